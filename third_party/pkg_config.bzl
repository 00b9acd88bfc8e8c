# SPDX-License-Identifier: Apache-2.0
"""Installed libraries as cc_library targets, with the flags that pkg-config gives.

Headers are in the compiler's own search path, so a target has flags only. Debian's Abseil alone is some
hundred -l flags: they are asked for here, never written down.
"""

_TARGET = """
cc_library(
    name = "{name}",
    defines = {defines},
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
"""

def _flags(repository_ctx, option, modules):
    modules = [module for module in modules if not module.startswith("-")]
    result = repository_ctx.execute(["pkg-config", option] + modules)
    if result.return_code != 0:
        fail("pkg-config %s %s: %s\nRun tools/setup, which installs what is missing." %
             (option, " ".join(modules), result.stderr))

    # -Wl,--push-state and its like hold for what stands between them; order is kept.
    return [flag for flag in result.stdout.strip().split(" ") if flag]

def _extra_libraries(modules):
    return [module for module in modules if module.startswith("-l")]

def _pkg_config_repository_impl(repository_ctx):
    build = ["# Written by //third_party:pkg_config.bzl."]
    for name, modules in repository_ctx.attr.libraries.items():
        cflags = _flags(repository_ctx, "--cflags", modules)
        build.append(_TARGET.format(
            name = name,
            defines = repr([flag[2:] for flag in cflags if flag.startswith("-D")]),
            linkopts = repr(_extra_libraries(modules) + _flags(repository_ctx, "--libs", modules)),
        ))
    repository_ctx.file("BUILD.bazel", "\n".join(build))

pkg_config_repository = repository_rule(
    implementation = _pkg_config_repository_impl,
    attrs = {
        "libraries": attr.string_list_dict(
            doc = "Target name to pkg-config modules, and -l flags for libraries that have none.",
            mandatory = True,
        ),
    },
    configure = True,
    local = True,
)
