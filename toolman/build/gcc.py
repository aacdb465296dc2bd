"""GCC: compilers, then the libraries that their programs need.

It is configured once. libgcc.a and the start files are made before there is a libc, which is
linked with them; the shared libgcc and all other libraries after, in the same directories.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toolman.build import answers, binutils, compilers, flags, hostlibs, lto
from toolman.build import headers as linux
from toolman.build.step import Command, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

PARTS = "gcc: parts"
COMPILED = "gcc: compilers"
LIBGCC = "gcc: libgcc.a"
SHARED_LIBGCC = "gcc: libgcc"
LIBRARIES = "gcc: libraries"
INSTALLED = "gcc: installation"
# What the compilers are linked with, or made by.
_PARTS = (
    *("build-libiberty", "build-libcpp", "build-fixincludes", "fixincludes", "lto-plugin"),
    *("libiberty", "zlib"),
)
# The same, for the second processor: the compilers' own configure takes a while.
_OTHERS = ("libcpp", "libdecnumber", "libbacktrace", "libcody")
# What the programs of these languages need beside libgcc.
_LIBRARIES = {
    "c": ("libatomic", "libgomp"),
    "c++": ("libstdc++-v3",),
    "gccgo": ("libbacktrace", "libffi", "libgo"),
    "fortran": ("libquadmath", "libgfortran"),
}
# Seconds of one core; estimates from builds for aarch64 on busy machines.
_SECONDS = {"libstdc++-v3": 150, "libgo": 500, "libgfortran": 150, "libffi": 15}
_COMPILERS = {"c": 500, "c++": 130, "gccgo": 50, "fortran": 50}


def steps(plan: Blueprint, layout: Layout, *, headers: str, libc: str) -> Iterator[Step]:
    """`headers` and `libc` name the steps that install the libc's."""
    yield flags.source(plan, layout, "gcc", 14)
    yield _parts(plan, layout)
    yield _compilers(plan, layout)
    yield _static_libgcc(plan, layout, headers)
    yield _shared_libgcc(plan, layout, libc)
    yield _libraries(plan, layout)
    yield _install(plan, layout)


def _parts(plan: Blueprint, layout: Layout) -> Step:
    """They ask nothing of the target's tools, and so are made while binutils are."""
    where = layout.objects("gcc")
    # libtool makes of `-static` what it can, where the linker would refuse: no shared plugin.
    static = {"LDFLAGS": "-static"}
    host = flags.host_environment(plan, layout.shared, layout.work)
    env = {**host, **static, **_for_target(layout)}
    return Step(
        name=PARTS,
        commands=(
            flags.configure(layout.source("gcc"), where, _options(plan, layout), env),
            answers.lay(layout, "gcc"),
            _make(plan, layout, *(f"all-{name}" for name in _PARTS)),
        ),
        needs=("gcc: source", *hostlibs.INSTALLED),
        owns=(where,),
        seconds=40,
    )


def _compilers(plan: Blueprint, layout: Layout) -> Step:
    return Step(
        name=COMPILED,
        commands=(
            answers.lay(layout, "gcc"),
            lto.pretend_for_gcc(layout),
            _same_checksums(layout),
            _make(plan, layout, "configure-gcc", *(f"all-{name}" for name in _OTHERS)),
            compilers.makefile(layout),
            # There is a limits.h to come, though the libc's headers may not be here yet.
            _make(plan, layout, "LIMITS_H_TEST=true", "all-gcc"),
            answers.keep(layout, "gcc"),
        ),
        needs=(PARTS, binutils.INSTALLED, linux.INSTALLED),
        owns=tuple(layout.objects("gcc") / name for name in ("gcc", *_OTHERS)),
        seconds=sum(_COMPILERS[one] for one in plan.languages),
    )


def _same_checksums(layout: Layout) -> Command:
    """cc1 carries a checksum of its objects and of how they were linked, for precompiled headers:
    the directories in that must not count, and make takes a file that is there as it is."""
    return flags.shell(layout.objects("gcc") / "gcc", "echo toolman > checksum-options")


def _static_libgcc(plan: Blueprint, layout: Layout, headers: str) -> Step:
    """libgcc's own makefile makes them without a libc; its `all` would link libgcc_s.so."""
    where = _target_directory(plan, layout, "libgcc")
    # The last one means crtbegin.o and the like.
    names = ("libgcc.a", "libgcc_eh.a", "libgcc-extra-parts")
    return Step(
        name=LIBGCC,
        commands=(
            _make(plan, layout, "configure-target-libgcc"),
            flags.make(where, *names),
        ),
        needs=(COMPILED, headers),
        owns=(where,),
        seconds=60,
    )


def _shared_libgcc(plan: Blueprint, layout: Layout, libc: str) -> Step:
    return Step(
        name=SHARED_LIBGCC,
        commands=(_make(plan, layout, "all-target-libgcc"),),
        needs=(LIBGCC, libc),
        seconds=30,
    )


def _libraries(plan: Blueprint, layout: Layout) -> Step:
    """All in one: each call of GCC's makefile would copy libgcc anew, under the others' feet."""
    names = _names(plan)
    return Step(
        name=LIBRARIES,
        commands=(_make(plan, layout, *(f"all-target-{name}" for name in names)),),
        needs=(SHARED_LIBGCC,),
        owns=tuple(_target_directory(plan, layout, name) for name in names),
        seconds=sum(_SECONDS.get(name, 30) for name in names),
    )


def _install(plan: Blueprint, layout: Layout) -> Step:
    installed = ["install-target-libgcc", *(f"install-target-{name}" for name in _names(plan))]
    words = ("install-gcc", *installed, f"DESTDIR={layout.out}")
    return Step(
        name=INSTALLED,
        # One at a time: libtool's installations write the same files.
        commands=(_make(plan, layout, "-j1", *words),),
        needs=(LIBRARIES,),
        seconds=25,
    )


def _names(plan: Blueprint) -> list[str]:
    names = [name for language in plan.languages for name in _LIBRARIES[language]]
    # Only the machines that have a 128-bit float in software.
    quad = plan.target.platform.name in ("amd64", "386", "ppc64le")
    return [name for name in names if name != "libquadmath" or quad]


def _make(plan: Blueprint, layout: Layout, *words: str) -> Command:
    # What `gcc -v` shows. GCC would show its configure's arguments, with all directories.
    said = f"TOPLEVEL_CONFIGURE_ARGUMENTS=toolman --target={plan.triple}"
    # Of Go's and Fortran's flags GCC's makefile keeps nothing that its configure was told.
    target = _target_flags(layout)
    go = f"GOCFLAGS_FOR_TARGET={target}"
    found = flags.make(layout.objects("gcc"), flags.NO_MANUAL, said, go, *words)
    return replace(found, env={"FCFLAGS": target})


def _target_directory(plan: Blueprint, layout: Layout, name: str) -> Path:
    return layout.objects("gcc") / plan.triple / name


def _for_target(layout: Layout) -> dict[str, str]:
    return {f"{name}_FOR_TARGET": _target_flags(layout) for name in ("CFLAGS", "CXXFLAGS")}


def _target_flags(layout: Layout) -> str:
    """How the libraries are compiled: as their users would, and with no directory inside."""
    return " ".join(["-O2", *flags.hide(layout.shared, layout.work)])


def _options(plan: Blueprint, layout: Layout) -> tuple[str, ...]:
    return (
        *flags.machines(plan),
        f"--target={plan.triple}",
        *plan.target.platform.gcc,
        # Found relative to the compiler, wherever that is.
        "--prefix=",
        f"--with-sysroot=/{plan.triple}",
        f"--with-build-sysroot={layout.sysroot}",
        f"--enable-languages={','.join(plan.gcc_languages)}",
        *(f"--with-{name}={layout.hostlibs}" for name in ("gmp", "mpfr", "mpc")),
        f"--with-stage1-ldflags={hostlibs.linked(layout)}",
        # Position-independent by default, as every distribution has it; `-static` undoes it.
        "--enable-default-pie",
        "--enable-checking=release",
        "--enable-lto",
        "--enable-threads=posix",
        "--enable-tls",
        "--enable-__cxa_atexit",
        # One language's build instead of three.
        "--disable-bootstrap",
        "--disable-multilib",
        "--disable-nls",
        # Plugins are loaded by dlopen, which a static compiler has not.
        "--disable-plugin",
        "--disable-libcc1",
        # Precompiled headers take time and much room, and few use them.
        "--disable-libstdcxx-pch",
        # libssp is in every libc; transactional memory and vtable verification are not for us.
        "--disable-libssp",
        "--disable-libitm",
        "--disable-libvtv",
        # ISO TR 18037's _Fract and _Accum: of our targets 32-bit ARM alone would have them, as
        # hundreds of functions in libgcc that take a minute to compile.
        "--disable-fixed-point",
        "--disable-werror",
        "--without-isl",
        "--without-zstd",
        *_libc_options(plan),
        *plan.configure.get("gcc", ()),
    )


def _libc_options(plan: Blueprint) -> tuple[str, ...]:
    if plan.musl:
        # Both are made for glibc: the sanitizers, and shadow stacks.
        return ("--disable-libsanitizer", "--disable-cet")
    major, minor, *_ = plan.sources["glibc"].version.split(".")
    return ("--disable-libsanitizer", f"--with-glibc-version={major}.{minor}")
