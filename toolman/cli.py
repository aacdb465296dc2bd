"""The command line: which command, what progress looks like, what an error looks like."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from toolman import __version__, offline
from toolman.context import Context
from toolman.errors import EXIT_BUG, InputError, ToolmanError
from toolman.host import Host
from toolman.paths import Paths
from toolman.report import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from toolman.report import Progress, Table

# In the order in which a user meets them; each is a module of `toolman.commands`.
COMMANDS = (
    "install",
    "add",
    "remove",
    "env",
    "run",
    "verify",
    "list",
    "show",
    "which",
    "default",
    "override",
    "lock",
    "sync",
    "update",
    "exec",
    "link",
    "uninstall",
    "pack",
    "sbom",
    "audit",
    "index",
    "publish",
    "mirror",
    "export",
    "import",
    "gc",
    "cache",
    "init",
    "explain",
    "matrix",
    "doctor",
    "completions",
)
# These are called thousands of times, or become another program; gc says what it sweeps.
_NO_SWEEP = ("env", "run", "which", "exec", "verify", "completions", "gc")
_OFFLINE = "--offline"
_EXAMPLES = """\
examples:
  toolman install arm64-musl          get a toolchain, in seconds
  eval $(toolman env linux/arm64)     use it in this shell
  go build ./...                      a static arm64 binary
  toolman run linux/arm64 ./hello     run it here, under qemu-user
"""


def entry() -> NoReturn:
    """The `toolman` command; the only place that exits."""
    code = main(sys.argv[1:])
    with suppress(OSError):
        print(end="", flush=True)  # also where there is no stdout
    # To take the interpreter apart would be a tenth of a short command's time.
    os._exit(code)


def main(argv: Sequence[str]) -> int:
    """Run one command; its exit code (see `toolman.errors`)."""
    words = list(argv)
    while words[:1] == [_OFFLINE]:
        offline.turn_on()
        del words[0]
    try:
        return _run(words)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _fail(words, "interrupted", None, 130)
    except ToolmanError as error:
        return _fail(words, str(error), error.hint, error.exit_code)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _fail(words, f"{error.strerror or error}{where}", None, 1)
    except Exception:
        import traceback

        traceback.print_exc()
        return _fail(words, "this is a bug in toolman; please report it", None, EXIT_BUG)


def parser(commands: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line with the given commands."""
    top = _Parser(
        prog="toolman",
        description="Cross toolchains, musl and GNU: install, use, prove.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(_OFFLINE, action="store_true", help="never ask the network")
    top.add_argument("--version", action="version", version=f"toolman {__version__}")
    verbs = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in commands:
        module = _module(name)
        one = verbs.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"examples:\n{module.EXAMPLES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
        one.add_argument("-v", "--verbose", action="store_true", help="say more")
        one.add_argument(_OFFLINE, action="store_true", help="never ask the network")
        module.add_arguments(one)
        one.set_defaults(module=module)
    return top


def _run(words: list[str]) -> int:
    if not words:
        parser().print_help()
        return 0
    name = words[0]
    if not name.startswith("-") and name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "see: toolman --help"
        raise InputError(f"unknown command '{name}'", hint=hint)
    # One command's module is imported, not all: `env` and `which` are called often.
    args = parser([name] if name in COMMANDS else COMMANDS).parse_args(words)
    if args.offline:
        offline.turn_on()
    host = Host.current()
    ctx = Context(
        host=host,
        paths=Paths.from_env(os.environ, host),
        environ=os.environ,
        reporter=_reporter(args),
    )
    with ctx.store.telling_what_is_full():
        if name not in _NO_SWEEP:
            from toolman import publish

            publish.recover(ctx.store)
        code: int = args.module.run(args, ctx)
    print(end="", flush=True)
    return code


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"toolman.commands.{name}")


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are toolman's, in one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, hint=f"see: {self.prog} --help")


def _reporter(args: argparse.Namespace) -> Silent | _Lines:
    return Silent() if args.quiet else _Lines(verbose=args.verbose)


class _Lines:
    """Plain lines on stderr; a bar too if that is a terminal."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose

    def step(self, text: str) -> None:
        # The line in one piece, for steps of a build begin at the same time.
        sys.stderr.write(f"{text}\n")

    def detail(self, text: str) -> None:
        if self._verbose:
            self.step(text)

    @contextmanager
    def bar(self, text: str, total: int) -> Iterator[Callable[[int], object]]:
        if not sys.stderr.isatty():
            self.step(f"{text} {total / 1e6:.1f} MB" if total else text)
            yield lambda _: None
            return
        from tqdm import tqdm

        options: dict[str, Any] = {"unit": "B", "unit_scale": True, "leave": False}
        with tqdm(desc=text, total=total or None, file=sys.stderr, **options) as shown:
            yield shown.update

    @contextmanager
    def progress(self, text: str, total: float) -> Iterator[Progress]:
        if not sys.stderr.isatty():
            yield _SaidProgress(self.step)
            return
        from tqdm import tqdm

        shape = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
        options: dict[str, Any] = {"leave": False, "bar_format": shape}
        with tqdm(desc=text, total=total, file=sys.stderr, **options) as shown:
            yield _ShownProgress(shown)

    @contextmanager
    def table(self, lines: Sequence[str]) -> Iterator[Table]:
        if not sys.stderr.isatty() or len(lines) >= _terminal()[1]:
            yield _SaidTable(self.step)
            return
        shown = _ShownTable(lines)
        try:
            yield shown
        finally:
            shown.clear()


def _terminal() -> tuple[int, int]:
    """Columns and lines of the terminal; what is usual where it does not know."""
    columns, lines = os.get_terminal_size(sys.stderr.fileno())
    return columns or 80, lines or 24


class _SaidTable:
    """A line for each that is done."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def show(self, number: int, text: str, *, done: bool) -> None:
        del number
        if done:
            self._say(text)


class _ShownTable:
    """Lines that are written anew, from the first one on; gone when all is done."""

    def __init__(self, lines: Sequence[str]) -> None:
        import threading  # not for commands that show no table

        self._lines = [*lines]
        self._lock = threading.Lock()
        self._write("")

    def show(self, number: int, text: str, *, done: bool) -> None:
        del done
        with self._lock:
            self._lines[number] = text
            self._write(f"\033[{len(self._lines)}F")

    def clear(self) -> None:
        sys.stderr.write(f"\033[{len(self._lines)}F\033[J")

    def _write(self, start: str) -> None:
        wide = _terminal()[0] - 1
        text = "".join(f"\033[K{line[:wide]}\n" for line in self._lines)
        sys.stderr.write(start + text)
        sys.stderr.flush()


class _SaidProgress:
    """A line for each step as it begins."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def at(self, seconds: float, text: str) -> None:
        del seconds, text


class _ShownProgress:
    """A bar with the time left."""

    def __init__(self, shown: Any) -> None:
        self._shown = shown

    def say(self, text: str) -> None:
        del text

    def at(self, seconds: float, text: str) -> None:
        self._shown.n = seconds
        self._shown.set_description_str(text)


def _fail(words: Sequence[str], message: str, hint: str | None, code: int) -> int:
    _say("error", message, "31")
    if hint:
        _say("hint", hint, "36")
    if words[:1] == ["env"]:
        _stop_the_shell(words)
    return code


def _say(kind: str, text: str, colour: str) -> None:
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    head = f"\033[{colour}m{kind}:\033[0m" if coloured else f"{kind}:"
    print(head, text, file=sys.stderr)


def _stop_the_shell(words: Sequence[str]) -> None:
    """`eval $(toolman env …)` must fail, or the build goes on with the host's compiler."""
    from toolman.commands import env

    print(env.failure(words), end="")
