"""Autoconf: a `config.site`, which every `configure` reads that CONFIG_SITE names.

It answers what Autoconf's own macros find out by running a program, which a cross build cannot:
without an answer they take the worst (`#define malloc rpl_malloc`), or stop (AC_CHECK_FILE). The
answers are facts of Linux with musl or with glibc; tests/test_autotools.py asks both of them.

Other builds than the target's read the file too, and it says nothing to them: it speaks where CC
is the target's compiler, or --host the target.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from toolman import target as targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolman.systems import Setup
    from toolman.target import Target

# Of both libcs, and of Linux.
_ANSWERS = {
    "ac_cv_func_chown_works": "yes",
    "ac_cv_func_closedir_void": "no",
    "ac_cv_func_fnmatch_works": "yes",
    "ac_cv_func_fork_works": "yes",
    "ac_cv_func_getgroups_works": "yes",
    "ac_cv_func_getpgrp_void": "yes",
    "ac_cv_func_lstat_dereferences_slashed_symlink": "yes",
    "ac_cv_func_lstat_empty_string_bug": "no",
    "ac_cv_func_malloc_0_nonnull": "yes",
    "ac_cv_func_memcmp_working": "yes",
    "ac_cv_func_mmap_fixed_mapped": "yes",
    "ac_cv_func_realloc_0_nonnull": "yes",
    "ac_cv_func_setpgrp_void": "yes",
    "ac_cv_func_setvbuf_reversed": "no",
    "ac_cv_func_stat_empty_string_bug": "no",
    "ac_cv_func_strcoll_works": "yes",
    "ac_cv_func_strnlen_working": "yes",
    "ac_cv_func_strtod": "yes",
    "ac_cv_func_utime_null": "yes",
    "ac_cv_func_vfork_works": "yes",
    "ac_cv_func_wait3_rusage": "yes",
    "ac_cv_func_working_mktime": "yes",
    "ac_cv_file__dev_null": "yes",
    "ac_cv_file__dev_ptc": "no",
    "ac_cv_file__dev_ptmx": "yes",
    "ac_cv_file__dev_random": "yes",
    "ac_cv_file__dev_tty": "yes",
    "ac_cv_file__dev_urandom": "yes",
    "ac_cv_file__dev_zero": "yes",
}


def answers(target: Target) -> dict[str, str]:
    """What `configure` is told, by the names of its cache."""
    return {
        **_ANSWERS,
        "ac_cv_func_fnmatch_gnu": "yes" if target.libc == "gnu" else "no",
        "ac_cv_c_bigendian": "yes" if target.platform.elf["endian"] == "big" else "no",
    }


def text(setup: Setup) -> str:
    return "".join(f"{line}\n" for line in _lines(setup))


def _lines(setup: Setup) -> Iterator[str]:
    gcc = setup.shim("gcc").name
    yield 'case " ${CC-} " in'
    yield f'*[/\\ ]{gcc}\\ *) test -n "$host_alias" || {{'
    # What configure does for --host, before it reads this.
    triple = setup.target.platform.triple[setup.target.libc]
    yield f"    host_alias={triple} ac_tool_prefix={gcc.removesuffix('gcc')}"
    yield '    test "$cross_compiling" = yes || cross_compiling=maybe'
    yield "    }"
    yield "    toolman_site=yes ;;"
    yield f"*) case $host_alias in {' | '.join(_triples(setup))}) toolman_site=yes ;;"
    yield "    *) toolman_site=no ;;"
    yield "    esac ;;"
    yield "esac"
    yield 'if test "$toolman_site" = yes; then'
    yield from (f"    {line}" for line in _said(setup))
    yield "fi"


def _triples(setup: Setup) -> Iterator[str]:
    """What --host may be; no compiler of another name is found by it but the target's."""
    return (word for word in targets.spellings(setup.target) if word.count("-") > 1)


def _said(setup: Setup) -> Iterator[str]:
    pkg_config = shlex.quote(str(setup.pkg_config))
    yield f': "${{CC={setup.shim("gcc").name}}}"'
    yield f'test -n "$PKG_CONFIG" || PKG_CONFIG={pkg_config}'
    if setup.static:
        # Libtool takes `-static` for itself, and hands `--static` to the compiler. A program is
        # not static by a project's own libraries that are not.
        yield 'LDFLAGS="--static${LDFLAGS:+ $LDFLAGS}"'
        yield 'test -n "$enable_shared" || enable_shared=no'
    if setup.flags:
        said = " ".join(setup.flags)
        for variable in ("CFLAGS", "CXXFLAGS", "FCFLAGS"):
            yield f'{variable}="{said} ${{{variable}--g -O2}}"'
    for name, answer in answers(setup.target).items():
        yield f': "${{{name}={answer}}}"'
