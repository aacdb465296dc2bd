"""The environment of a toolchain: the variables that make others use it.

What each is for stands beside it. The measured reasons are in the project's Go reference:
CGO_CFLAGS replaces Go's own `-O2 -g`, so that has to stand in it; CGO_LDFLAGS holds the
sysroot's path, whose digest keys Go's build cache; GOFLAGS makes the link external, for the
internal linker ignores `-static`; and the `go` shim does what no GOFLAGS can.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import choose, cpu
from toolman.errors import InputError
from toolman.shell import Prepend, Set, Statement
from toolman.toolchain import Description, Toolchain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolman.paths import Paths
    from toolman.store import Store
    from toolman.target import Target

OPTIONS = "TOOLMAN_ENV_OPTIONS"
COMPILERS = ("gc", "gccgo")
GCCGO = "compiler=gccgo"
"""Stands in OPTIONS if the environment is for gccgo."""
GO_TAGS = "netgo,osusergo"
GO_LINK = "-linkmode=external"
STATIC_GLIBC = (
    "a static glibc program still loads libnss_* at run time for getaddrinfo, getpwnam and "
    "their kin, and cannot dlopen; musl has no such limit"
)

# Variable → tool. A C++ compiler is named even where the toolchain has none: a C++ build then
# fails by that name, instead of taking the host's compiler.
_TOOLS = {
    "CC": "gcc",
    "CXX": "g++",
    "AR": "ar",
    "AS": "as",
    "LD": "ld",
    "NM": "nm",
    "RANLIB": "ranlib",
    "STRIP": "strip",
    "OBJCOPY": "objcopy",
    "OBJDUMP": "objdump",
    "READELF": "readelf",
}
_OPTIONAL = {"GCCGO": "gccgo", "FC": "gfortran"}
# Crates take these for what runs while they are built; without them, CC.
_HOSTS = {
    "HOST_CC": "cc",
    "HOST_CXX": "c++",
    "HOST_AR": "ar",
    "HOST_PKG_CONFIG": "pkg-config",
}
_GENERIC = (
    *_TOOLS,
    *_OPTIONAL,
    "PKG_CONFIG",
    "GOOS",
    "GOARCH",
    "GOARM",
    "GOARM64",
    "GOAMD64",
    "GORISCV64",
    "CGO_ENABLED",
    "CGO_CFLAGS",
    "CGO_CXXFLAGS",
    "CGO_LDFLAGS",
    "CMAKE_TOOLCHAIN_FILE",
    "CONFIG_SITE",
    "CARGO_BUILD_TARGET",
    *_HOSTS,
)
_PLAIN = re.compile(r"[\w/.+@%:,=-]+")


def saved_names() -> tuple[str, ...]:
    """The variables that a user may have set for other reasons; `--unset` restores them."""
    return _GENERIC


def prefix(chosen: Toolchain) -> str:
    """What the shims of `chosen` begin with: its triple, or the name that the user linked."""
    return chosen.target.triple if chosen.name == chosen.target.name else chosen.name


def default_static(chosen: Toolchain) -> bool:
    """Whether the environment is static when nothing is said: with musl, yes."""
    return chosen.target.libc == "musl"


def statements(
    chosen: Toolchain,
    paths: Paths,
    *,
    static: bool | None = None,
    march: str | None = None,
    tune: str | None = None,
    compiler: str = "gc",
) -> list[Statement]:
    """The environment of `chosen`, for `toolman.shell` to print.

    `static` overrides the libc's habit, `march` the platform's architecture flag, for Go as well;
    `tune` is a processor of GCC's `-mtune`, `compiler` that of Go code, of `COMPILERS`.
    """
    is_static = default_static(chosen) if static is None else static
    return [
        Prepend(name="PATH", text=str(paths.shims), separator=":"),
        Set(name="TOOLMAN_ENV", value=chosen.name),
        Set(
            name=OPTIONS,
            value=options(chosen, static=static, march=march, tune=tune, compiler=compiler),
        ),
        *tools(chosen, paths),
        *_go(chosen, march, tune),
        *(_gccgo_flags if compiler == "gccgo" else _gc_flags)(chosen, is_static),
        *_others(chosen, paths, is_static),
        *_cargo(chosen, paths, is_static),
    ]


def options(
    chosen: Toolchain,
    *,
    static: bool | None = None,
    march: str | None = None,
    tune: str | None = None,
    compiler: str = "gc",
) -> str:
    """What an environment has beyond the default of its toolchain; empty for that."""
    said = [f"march={march}"] if march else []
    said += [f"tune={tune}"] if tune else []
    said += [f"compiler={compiler}"] if compiler != "gc" else []
    if static not in (None, default_static(chosen)):
        said.insert(0, "static" if static else "dynamic")
    return ",".join(said)


def files(chosen: Toolchain, paths: Paths, *, static: bool) -> Path:
    """The directory of the files for build systems; the default's stand beside those of shells."""
    other = "static" if static else "dynamic"
    return paths.env if static == default_static(chosen) else paths.env / other


def rust_linkage(*, static: bool) -> str:
    """The flag of rustc's that makes programs static, or dynamic."""
    return f"-Ctarget-feature={'+' if static else '-'}crt-static"


def need_gccgo(chosen: Toolchain) -> None:
    """Make sure that `chosen` has gccgo.

    Raises:
        InputError: it has none.
    """
    if "gccgo" not in chosen.about.tools:
        hint = f"toolman install {chosen.name} --with gccgo"
        if chosen.about.origin == "linked":
            hint = f"link a directory with {prefix(chosen)}-gccgo in it"
        raise InputError(f"{chosen.name} has no gccgo", hint=hint)


def possible(name: str, said: str, where: Store, paths: Paths) -> list[Statement]:
    """All that an environment called `name` can have set, with `said` as its `options`.

    What it puts in front of others' words is exactly what those options make of it.
    """
    chosen = where.active(name)
    if chosen is None:
        try:
            target = choose.choose(name, where).target
        except InputError:
            return [Prepend(name="PATH", text=str(paths.shims), separator=":")]
        chosen = _imagined(name, target)
    imagined = replace(chosen, about=_with_all_tools(chosen))
    words = said.split(",")
    return statements(
        imagined,
        paths,
        static={"static": True, "dynamic": False}.get(words[0]),
        march=chosen.target.platform.march,
        compiler="gccgo" if GCCGO in words else "gc",
    )


def applied(said: Sequence[Statement], environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` after `said`."""
    result = dict(environ)
    for one in said:
        before = result.get(one.name, "")
        result[one.name] = one.value if isinstance(one, Set) else one.onto(before)
    return result


def tools(chosen: Toolchain, paths: Paths) -> Iterator[Set]:
    """The variables of the compilers and what goes with them: CC, AR …"""
    for variable, tool in _TOOLS.items():
        yield Set(name=variable, value=command(chosen, paths, tool))
    for variable, tool in _OPTIONAL.items():
        if tool in chosen.about.tools:
            yield Set(name=variable, value=command(chosen, paths, tool))
    yield Set(name="PKG_CONFIG", value=command(chosen, paths, "pkg-config"))


def command(chosen: Toolchain, paths: Paths, tool: str) -> str:
    """How to call a tool: its shim's path, or its name alone where make or Go would split that."""
    name = f"{prefix(chosen)}-{tool}"
    path = str(paths.shims / name)
    return path if _PLAIN.fullmatch(path) else name


def _imagined(name: str, target: Target) -> Toolchain:
    about = Description(
        name=name,
        target=target,
        version="",
        digest="",
        origin="",
        languages=(),
        host="",
        sysroot="",
        tools={},
    )
    return Toolchain(path=Path(), about=about)


def _with_all_tools(chosen: Toolchain) -> Description:
    return replace(chosen.about, tools=dict.fromkeys(_OPTIONAL.values(), ""))


def _go(chosen: Toolchain, march: str | None, tune: str | None) -> Iterator[Statement]:
    platform = chosen.target.platform
    tuned = f" -mtune={tune}" if tune else ""
    flags = f"-O2 -g {platform.flag}={march or platform.march}{tuned} -fPIC"
    yield Set(name="GOOS", value="linux")
    # Of the default march Go is not told: what it has beyond the base, Go's own code looks for.
    for name, value in {**platform.go, **(cpu.go_level(march, platform) if march else {})}.items():
        yield Set(name=name, value=value)
    if chosen.target.libc == "musl":
        yield Set(name="TOOLMAN_GO_LIBC", value="musl")
    yield Set(name="CGO_ENABLED", value="1")
    yield Set(name="CGO_CFLAGS", value=flags)
    yield Set(name="CGO_CXXFLAGS", value=flags)


def _gc_flags(chosen: Toolchain, static: bool) -> Iterator[Statement]:
    link = [_go_word(f"--sysroot={chosen.sysroot}"), *(["-static"] if static else [])]
    yield Set(name="CGO_LDFLAGS", value=" ".join(link))
    if static:
        yield Set(name="TOOLMAN_GO_TAGS", value=GO_TAGS)
        yield Set(name="TOOLMAN_GO_LDFLAGS", value=f"{GO_LINK} -extldflags=-static")
        yield Prepend(name="GOFLAGS", text=f"-tags={GO_TAGS} -ldflags={GO_LINK}", separator=" ")


def _gccgo_flags(chosen: Toolchain, static: bool) -> Iterator[Statement]:
    """Nothing in CGO_LDFLAGS: with that, cmd/go 1.27 puts a mark of gc's into archives, which
    gccgo takes for an object. The sysroot keys Go's build cache here, too."""
    yield Set(name="CGO_LDFLAGS", value="")
    flags = [*(["-static"] if static else []), _go_word(f"--sysroot={chosen.sysroot}")]
    yield Set(name="TOOLMAN_GO_GCCGOFLAGS", value=" ".join(flags))
    # Go 1.19 knows no quotes in GOFLAGS, so it has one word, and the `go` shim gives all.
    text = "-compiler=gccgo" + (" -gccgoflags=-static" if static else "")
    yield Prepend(name="GOFLAGS", text=text, separator=" ")


def _others(chosen: Toolchain, paths: Paths, static: bool) -> Iterator[Statement]:
    """The names by which other ecosystems look for the same tools."""
    target = chosen.target
    suffixed = {"CC": "gcc", "CXX": "g++", "AR": "ar"}
    for triple in (target.platform.triple["gnu"], target.rust):
        for variable, tool in suffixed.items():
            name = f"{variable}_{triple.replace('-', '_')}"
            yield Set(name=name, value=command(chosen, paths, tool))
    go = target.platform.go["GOARCH"]
    for variable in ("CC", "CXX"):
        name = f"{variable}_FOR_linux_{go}"
        yield Set(name=name, value=command(chosen, paths, suffixed[variable]))
    directory = files(chosen, paths, static=static)
    yield Set(name="CMAKE_TOOLCHAIN_FILE", value=str(directory / f"{chosen.name}.cmake"))
    site = str(directory / f"{chosen.name}.config.site")
    if _PLAIN.fullmatch(site):  # configure takes it for a list
        yield Set(name="CONFIG_SITE", value=site)


def _cargo(chosen: Toolchain, paths: Paths, static: bool) -> Iterator[Statement]:
    """Cargo's, and what keeps build scripts' own C code off the target's compiler."""
    yield Set(name="CARGO_BUILD_TARGET", value=chosen.target.rust)
    name = f"CARGO_TARGET_{chosen.target.rust.replace('-', '_').upper()}"
    yield Set(name=f"{name}_LINKER", value=command(chosen, paths, "gcc"))
    yield Set(name=f"{name}_RUNNER", value=command(chosen, paths, "run"))
    if static != default_static(chosen):
        yield Set(name=f"{name}_RUSTFLAGS", value=rust_linkage(static=static))
    for variable, tool in _HOSTS.items():
        yield Set(name=variable, value=tool)


def _go_word(word: str) -> str:
    """Quote for cmd/go's lists of flags: '…' or "…" around a word, nothing inside escaped.

    `Paths` lets no path hold both.
    """
    if not re.search(r"[\s'\"]", word):
        return word
    quote = '"' if "'" in word else "'"
    return f"{quote}{word}{quote}"
