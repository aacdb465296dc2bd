"""`toolman env`.

The usual call never gets here: the launcher prints the file that `publish` rendered.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING

from toolman import choose, cpu, environment, publish, shell, store, systems
from toolman.commands import output
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from toolman.context import Context
    from toolman.toolchain import Toolchain

SUMMARY = "print the variables that make a shell, go, cargo and cmake use a toolchain"
EXAMPLES = """\
  eval $(toolman env linux/arm64)            sh, dash, bash, zsh; static, with musl
  eval $(toolman env arm64-gnu --static)
  eval $(toolman env arm64-gnu.2.28)         dynamic, for glibc 2.28 and newer; or: --glibc 2.28
  toolman env -s fish linux/arm64 | source
  . "$(toolman env --file linux/arm64)"      a file that stays where it is
  eval $(toolman env --unset)                take everything back
  toolman env --format github linux/arm64    in a GitHub workflow: sets $GITHUB_ENV, $GITHUB_PATH
  GOENV=$(toolman env --file --format goenv linux/arm64) go build
  meson setup --cross-file "$(toolman env --file --format meson linux/arm64)" build
  toolman env --cpu raspberrypi4 linux/arm64   for one kind of processor, C and Go
  toolman env --march armv8.1-a linux/arm64    the same by GCC's word
  toolman env --compiler gccgo arm64-gnu     Go code by gccgo: a library of Go 1.18, no generics
"""

_FORMATS = (*shell.FORMATS, *systems.EXTENSIONS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", help="a target, in any spelling, or a linked name")
    add_choice(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "-s", "--shell", default="sh", metavar="SHELL", help="sh, bash, zsh, fish, pwsh"
    )
    how.add_argument("--format", metavar="FORMAT", help=", ".join(_FORMATS))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--file", action="store_true", help="print the path of a file to source")
    what.add_argument("--unset", action="store_true", help="take back what was set")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that `asked` reads, which say what environment a target gets."""
    parser.add_argument("--libc", choices=("musl", "gnu"), help="for a platform named without one")
    output.add_glibc(parser)
    link = parser.add_mutually_exclusive_group()
    link.add_argument(
        "--static", action="store_true", default=None, help="link statically (musl's default)"
    )
    link.add_argument(
        "--dynamic", dest="static", action="store_false", help="link dynamically (gnu's default)"
    )
    processor = parser.add_mutually_exclusive_group()
    processor.add_argument("--march", metavar="ARCH", help="as GCC's -march; Go's level follows")
    processor.add_argument("--cpu", metavar="CPU", help="a processor: raspberrypi4, graviton3, …")
    parser.add_argument(
        "--compiler", choices=environment.COMPILERS, default="gc", help="of Go code (gc)"
    )


def run(args: argparse.Namespace, ctx: Context) -> int:
    dialect = _format(args.format) if args.format else shell.dialect(args.shell)
    if args.unset:
        if args.format:
            raise InputError("--unset is for a shell", hint="toolman env --unset -s SHELL")
        print(shell.deactivate(dialect, _previous(ctx)), end="")
        return 0
    if args.file:
        _need_defaults(args, dialect)
    chosen, said = asked(args, ctx)
    if dialect in systems.EXTENSIONS:
        print(_system(args, dialect, chosen, ctx), end="")
        return 0
    if args.file:
        print(ctx.paths.env / f"{chosen.name}.{publish.EXTENSIONS[dialect]}")
        return 0
    if args.format:
        _print_format(args.format, said, ctx)
        return 0
    wanted = environment.applied(said, {})[environment.OPTIONS]
    active = ctx.environ.get("TOOLMAN_ENV")
    if active and (active, ctx.environ.get(environment.OPTIONS, "")) != (chosen.name, wanted):
        print(shell.deactivate(dialect, _previous(ctx)), end="")
    print(shell.activate(dialect, said, save=environment.saved_names()), end="")
    return 0


def asked(args: argparse.Namespace, ctx: Context) -> tuple[Toolchain, list[shell.Statement]]:
    """The toolchain that `args` name, and the environment that they ask for.

    Raises:
        InputError: it is not installed, or cannot do that.
    """
    choice = choose.choose(
        args.target, ctx.store, libc=args.libc, glibc=args.glibc, directory=ctx.directory
    )
    chosen = choose.installed(choice, ctx.store)
    ctx.reporter.detail(f"{chosen.name}: {choice.reason}")
    if args.compiler == "gccgo":
        environment.need_gccgo(chosen)
    if args.static and chosen.target.libc == "gnu":
        ctx.reporter.step(f"note: {environment.STATIC_GLIBC}")
    march, tune = _processor(args, chosen)
    if march:
        _need_known(chosen, march, tune)
    said = environment.statements(
        chosen, ctx.paths, static=args.static, march=march, tune=tune, compiler=args.compiler
    )
    return chosen, said


def _processor(args: argparse.Namespace, chosen: Toolchain) -> tuple[str | None, str | None]:
    """The words of GCC's -march and -mtune."""
    if args.cpu:
        found = cpu.find(args.cpu, chosen.target.platform)
        return found.march, found.tune
    return args.march, None


def _need_known(chosen: Toolchain, march: str, tune: str | None) -> None:
    """Have the compiler read the words that it will be given; what it says of them is the error."""
    from toolman import run  # for this alone, and `env` has to be fast

    flags = [f"{chosen.target.platform.flag}={march}", *([f"-mtune={tune}"] if tune else [])]
    argv = [str(chosen.tool("gcc")), *flags, "-fsyntax-only", "-x", "c", os.devnull]
    done = run.run(argv)
    found = re.search(r" error: (.+)", done.err)
    if done.code and found:
        note = re.search(r" note: (.+)", done.err)
        raise InputError(f"{chosen.name}: {found[1]}", hint=note[1] if note else None)


def failure(words: Sequence[str]) -> str:
    """What `env` prints when it fails, in the dialect that `words` ask for."""
    for flag, dialect in itertools.pairwise(words):
        if flag == "--format":
            return ""
        if flag in ("-s", "--shell"):
            try:
                return shell.failure(shell.dialect(dialect))
            except InputError:
                break
    return shell.failure("sh")


def _format(word: str) -> str:
    """A member of `_FORMATS`.

    Raises:
        InputError: there is no such format.
    """
    if word in _FORMATS:
        return word
    import difflib  # only an error needs it

    near = difflib.get_close_matches(word.lower(), _FORMATS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_FORMATS)}"
    raise InputError(f"unknown format '{word}'", hint=hint)


def _system(args: argparse.Namespace, name: str, chosen: Toolchain, ctx: Context) -> str:
    """What a build system's file holds, or where it is."""
    march, tune = _processor(args, chosen)
    flags = [f"{chosen.target.platform.flag}={march}"] if march else []
    flags += [f"-mtune={tune}"] if tune else []
    static = environment.default_static(chosen) if args.static is None else args.static
    setup = systems.Setup(chosen=chosen, paths=ctx.paths, static=static, flags=tuple(flags))
    if args.file:
        return f"{systems.path(name, setup)}\n"
    if name == "bazel" and flags:
        words = " ".join(f"--copt={flag}" for flag in flags)
        raise InputError("Bazel's flags are said to Bazel", hint=f"bazel build {words}")
    return systems.text(name, setup)


def _need_defaults(args: argparse.Namespace, dialect: str) -> None:
    linkage = args.static is not None and dialect not in systems.EXTENSIONS
    differs = linkage or args.march or args.cpu or args.compiler != "gc"
    if differs or dialect not in {**publish.EXTENSIONS, **systems.EXTENSIONS}:
        raise InputError(
            "the file holds the defaults; print what differs", hint="leave --file away"
        )


def _print_format(name: str, said: list[shell.Statement], ctx: Context) -> None:
    text = shell.activate(name, said, ctx.environ)
    variables, path = ctx.environ.get("GITHUB_ENV"), ctx.environ.get("GITHUB_PATH")
    if name == "github" and variables and path:
        store.append(variables, text)
        store.append(path, shell.github_path(said))
        return
    print(text, end="")


def inactive(ctx: Context) -> dict[str, str]:
    """The user's environment, without one of toolman's that is active."""
    before = _previous(ctx)
    kept = {name: value for name, value in ctx.environ.items() if name not in before}
    return kept | {name: value for name, value in before.items() if value is not None}


def _previous(ctx: Context) -> dict[str, str | None]:
    """The values that the active environment has replaced."""
    active = ctx.environ.get("TOOLMAN_ENV")
    if not active:
        return {}
    # A format, as for GitHub, sets the variables without remembering what was there.
    text = ctx.environ.get(shell.SAVED)
    saved = shell.saved(text, environment.saved_names()) if text else {}
    restore: dict[str, str | None] = {}
    said = ctx.environ.get(environment.OPTIONS, "")
    for one in environment.possible(active, said, ctx.store, ctx.paths):
        now = ctx.environ.get(one.name)
        if isinstance(one, shell.Set):
            restore |= {one.name: saved.get(one.name)} if now is not None else {}
        elif now is not None:
            restore[one.name] = one.off(now)
    return {**restore, shell.SAVED: None}
