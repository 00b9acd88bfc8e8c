# SPDX-License-Identifier: Apache-2.0
"""Manual pages, made of the documentation and of what --help is made of."""

def man_page(name, what, texts, program = None):
    """One page.

    Args:
      name: its name and section, "kinsockd.8".
      what: what its subject is, in a few words.
      texts: Markdown files (see page.py).
      program: whose options it has.
    """
    title, section = name.rsplit(".", 1)
    options = ["$(execpath %s) __man >$(RULEDIR)/%s.options" % (program, name)] if program else []
    flag = " --options $(RULEDIR)/%s.options" % name if program else ""
    native.genrule(
        name = name + "_page",
        # The program, too: as a tool it would be built once more, for the machine that builds.
        srcs = texts + ["//base:version.h"] + ([program] if program else []),
        outs = [name] + ([name + ".options"] if program else []),
        cmd = " && ".join(options + [
            "version=$$(sed -n 's/.*kVersion.*\"\\(.*\\)\".*/\\1/p' $(execpath //base:version.h))",
            "$(execpath page.py) --name %s --section %s --what '%s' --version $$version%s %s >$(RULEDIR)/%s" %
            (title, section, what, flag, " ".join(["$(execpath %s)" % text for text in texts]), name),
        ]),
        tools = ["page.py"],
        # Needs lowdown, which only packages need (tools/setup package).
        tags = ["manual"],
        visibility = ["//deploy:__pkg__", "//tests/deploy:__pkg__"],
    )
