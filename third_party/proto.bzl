# SPDX-License-Identifier: Apache-2.0
"""Protocol Buffers and gRPC stubs by the system's protoc, which matches the system's libraries."""

def proto_cc_library(name, srcs, deps = [], grpc = False, import_dirs = ["api"], **kwargs):
    """A cc_library of the C++ code for `srcs`.

    Args:
      name: of the library.
      srcs: .proto files of this package; they import each other by the path below the package.
      deps: proto_cc_library targets whose files are imported.
      grpc: whether there are services to generate stubs for.
      import_dirs: where protoc looks for imports.
      **kwargs: for cc_library.
    """
    stems = [src[:-len(".proto")] for src in srcs]
    endings = [".pb"] + ([".grpc.pb"] if grpc else [])
    plugin = ["--plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin)", "--grpc_out=$(RULEDIR)"] if grpc else []
    native.filegroup(
        name = name + "_srcs",
        srcs = srcs + [dep + "_srcs" for dep in deps],
        visibility = ["//visibility:public"],
    )
    native.genrule(
        name = name + "_generated",
        srcs = [name + "_srcs"],
        outs = [stem + ending + suffix for stem in stems for ending in endings for suffix in [".h", ".cc"]],
        cmd = " ".join(
            ["protoc"] + ["-I" + directory for directory in import_dirs] +
            ["--cpp_out=$(RULEDIR)"] + plugin +
            [native.package_name() + "/" + src for src in srcs],
        ),
        message = "Generating C++ of " + name,
    )
    native.cc_library(
        name = name,
        srcs = [stem + ending + ".cc" for stem in stems for ending in endings],
        hdrs = [stem + ending + ".h" for stem in stems for ending in endings],
        copts = ["-w"],
        includes = ["."],
        deps = deps + ["@system//:protobuf"] + (["@system//:grpc"] if grpc else []),
        **kwargs
    )
