# SPDX-License-Identifier: Apache-2.0
"""A program built without sanitizers, whatever the build is configured for.

Sanitizer runtimes are shared libraries or need /proc and much memory; a static program for a tiny guest has neither.
So the daemon under test can be built with --config=asan while the guests stay what they are.
"""

def _plain(options):
    return [o for o in options if "sanitize" not in o and o not in ("--rtlib=compiler-rt", "-lgcc_s")]

def _drop_sanitizers(settings, _attr):
    return {
        "//command_line_option:copt": _plain(settings["//command_line_option:copt"]),
        "//command_line_option:linkopt": _plain(settings["//command_line_option:linkopt"]),
    }

_without_sanitizers = transition(
    implementation = _drop_sanitizers,
    inputs = ["//command_line_option:copt", "//command_line_option:linkopt"],
    outputs = ["//command_line_option:copt", "//command_line_option:linkopt"],
)

def _unsanitized_binary_impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = program, target_file = ctx.attr.program[0].files_to_run.executable, is_executable = True)
    return [DefaultInfo(executable = program, files = depset([program]), runfiles = ctx.runfiles([program]))]

unsanitized_binary = rule(
    implementation = _unsanitized_binary_impl,
    attrs = {
        "program": attr.label(cfg = _without_sanitizers, executable = True, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    executable = True,
)
