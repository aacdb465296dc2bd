"""GCC, as toolman has installed it: the tools and the sysroot are where BUILD.bazel says."""

load("@rules_cc//cc:action_names.bzl", "ACTION_NAMES")
load("@rules_cc//cc:cc_toolchain_config_lib.bzl", "feature", "flag_group", "flag_set", "tool_path")
load("@rules_cc//cc:defs.bzl", "CcToolchainConfigInfo", "cc_common")

_COMPILE = [
    ACTION_NAMES.assemble,
    ACTION_NAMES.preprocess_assemble,
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
]
_LINK = [
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]

def _flags(name, actions, flags):
    if not flags:
        return feature(name = name)
    groups = [flag_group(flags = flags)]
    sets = [flag_set(actions = actions, flag_groups = groups)]
    return feature(name = name, enabled = True, flag_sets = sets)

def _impl(ctx):
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = ctx.attr.triple,
        target_system_name = ctx.attr.triple,
        target_cpu = ctx.attr.cpu,
        target_libc = ctx.attr.libc,
        compiler = "gcc",
        abi_version = "unknown",
        abi_libc_version = "unknown",
        host_system_name = "local",
        builtin_sysroot = ctx.attr.sysroot,
        cxx_builtin_include_directories = ctx.attr.include_directories,
        tool_paths = [tool_path(name = name, path = path) for name, path in ctx.attr.tools.items()],
        features = [
            feature(name = "supports_pic", enabled = True),
            feature(name = "supports_dynamic_linker", enabled = not ctx.attr.static),
            _flags("toolman_compile", _COMPILE, ctx.attr.compile_flags),
            _flags("toolman_link", _LINK, ctx.attr.link_flags),
            _flags(
                "toolman_static",
                [ACTION_NAMES.cpp_link_executable],
                ["-static"] if ctx.attr.static else [],
            ),
        ],
    )

cc_config = rule(
    implementation = _impl,
    attrs = {
        "compile_flags": attr.string_list(),
        "cpu": attr.string(mandatory = True),
        "include_directories": attr.string_list(mandatory = True),
        "libc": attr.string(mandatory = True),
        "link_flags": attr.string_list(),
        "static": attr.bool(mandatory = True),
        "sysroot": attr.string(mandatory = True),
        "tools": attr.string_dict(mandatory = True),
        "triple": attr.string(mandatory = True),
    },
    provides = [CcToolchainConfigInfo],
)
