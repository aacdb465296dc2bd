"""GCC's C torture execute tests, and what their directives mean on a hosted Linux target.

    gcc.c-torture/execute/            dg- directives in comments
    gcc.c-torture/execute/ieee/       flags in ieee.exp and in NAME.x beside NAME.c
    gcc.c-torture/execute/builtins/   the same; NAME.c is linked with NAME-lib.c and lib/main.c

Of the directives these are honoured, with their selectors: dg-do, dg-options,
dg-additional-options, dg-additional-sources, dg-require-effective-target and dg-skip-if. The
others speak of systems without a libc, of warnings, or of failures that GCC expects on machines
that toolman has no target for. Of the Tcl in `.exp` and `.x` files only what stands outside of
conditions is read: `set additional_flags`, `lappend additional_flags`; and inside of them one
idiom, `string match {*-flto*} "$option"`, which skips a level.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Words = list["str | Words"]

# What each Linux target with a libc and GCC has, of what the tests ask for.
HOSTED = frozenset(
    [
        *("alloca", "c99_runtime", "double64plus", "fileio", "fpic", "indirect_calls"),
        *("indirect_jumps", "int32", "int32plus", "label_values", "longlong64", "mmap"),
        *("nonlocal_goto", "ptr32plus", "return_address", "signal", "size20plus", "size32plus"),
        *("stdint_types", "trampolines", "untyped_assembly", "unwrapped"),
    ]
)
# What depends on the machine or on how the compiler was configured: C that shows it, by linking.
PROBES = {
    "dfp": "_Decimal64 x; int main(void) { return 0; }",
    "dfprt": "volatile _Decimal64 x = 1; int main(void) { return x * x != 1; }",
    "ia32": "int main(void) { int big[__i386__ ? 1 : -1]; return 0; }",
    "int128": "__int128 x; int main(void) { return 0; }",
    "lp64": "int main(void) { int big[sizeof(long) == 8 ? 1 : -1]; return 0; }",
}

_DIRECTIVE = re.compile(r"\{\s*(dg-[a-z-]+)\s(.*)\}")
_TOKEN = re.compile(r'([{}])|"((?:\\.|[^"\\])*)"|([^\s{}"]+)')
_FLAGS = re.compile(r"^(set|lappend) additional_flags (.*)", re.MULTILINE)
_NOT_AT = re.compile(r'string match \{(\S+)\} "\$option"')


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a test's conditions are asked of."""

    triple: str
    """In four parts, as the selectors expect: `aarch64-unknown-linux-musl`."""
    has: frozenset[str]
    """The effective targets, of `HOSTED` and `PROBES`."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test."""

    name: str
    """The path of its source: `builtins/strlen.c`."""
    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    not_at: tuple[str, ...]
    """Patterns of levels that it is not for."""
    directives: tuple[tuple[str, Words], ...]
    dynamic: bool = False
    """Whether it is linked dynamically: it brings functions of libc's, which a static libc would
    call itself. musl's `vsprintf` is made of `vsnprintf`, and the tests' the other way round."""


def cases(execute: Path) -> list[Case]:
    """The tests in the directory `gcc.c-torture/execute`, in the order of their names."""
    main = [_case(execute, path, ()) for path in sorted(execute.glob("*.c"))]
    ieee = [_case(execute, path, ()) for path in sorted(execute.glob("ieee/*.c"))]
    return [*main, *ieee, *_builtins(execute)]


def plan(case: Case, level: Sequence[str], machine: Machine) -> tuple[list[str], list[Path]] | str:
    """The flags behind those of `level`, and the sources; or why the test is not for `machine`."""
    text = " ".join(level)
    if any(fnmatchcase(text, pattern) for pattern in case.not_at):
        return f"not for {text}"
    options: list[str] = []
    more: list[str] = []
    sources = list(case.sources)
    for name, words in case.directives:
        if name == "dg-options" and _applies(words[1:], machine):
            options = _flat(words[:1])
        elif name == "dg-additional-options" and _applies(words[1:], machine):
            more += _flat(words[:1])
        elif name == "dg-additional-sources" and _applies(words[1:], machine):
            sources += [sources[0].with_name(one) for one in _flat(words[:1])]
    flags = [*case.flags, *options, *more]
    reason = _unfit(case, [*level, *flags], machine)
    return reason or (flags, sources)


def _builtins(execute: Path) -> Iterator[Case]:
    for path in sorted(execute.glob("builtins/*.c")):
        if not path.stem.endswith("-lib"):
            others = (path.with_name(f"{path.stem}-lib.c"), path.parent / "lib/main.c")
            yield replace(_case(execute, path, others), dynamic=True)


def _case(execute: Path, path: Path, others: tuple[Path, ...]) -> Case:
    tcl = [*path.parent.glob(f"{path.parent.name}.exp"), path.with_suffix(".x")]
    texts = [one.read_text("utf-8") for one in tcl if one.is_file()]
    lines = path.read_text("latin-1").splitlines()
    found = (_DIRECTIVE.search(line) for line in lines if "dg-" in line)
    return Case(
        name=str(path.relative_to(execute)),
        sources=(path, *others),
        flags=tuple(_tcl_flags(texts)),
        not_at=tuple(pattern for text in texts for pattern in _NOT_AT.findall(text)),
        directives=tuple((match[1], _parse(match[2])) for match in found if match),
    )


def _tcl_flags(texts: Sequence[str]) -> list[str]:
    flags: list[str] = []
    for verb, rest in (found for text in texts for found in _FLAGS.findall(text)):
        flags = [*([] if verb == "set" else flags), *_flat(_parse(rest))]
    return flags


def _unfit(case: Case, flags: Sequence[str], machine: Machine) -> str | None:
    for name, words in case.directives:
        if name == "dg-require-effective-target" and _applies(words[1:], machine):
            (wanted,) = _flat(words[:1])
            if wanted not in machine.has:
                return f"needs {wanted}"
        elif name == "dg-do" and not _applies(words[1:], machine):
            return "not for this target"
        elif name == "dg-skip-if" and _holds(words[1], machine) and _used(words[2:], flags):
            return "skipped for this target"
    return None


def _applies(selector: Words, machine: Machine) -> bool:
    """Whether `{ target WORD… }`, or nothing, holds."""
    if not selector:
        return True
    (inner,) = selector
    return not isinstance(inner, list) or inner[:1] != ["target"] or _holds(inner[1:], machine)


def _holds(selector: str | Words, machine: Machine) -> bool:
    if isinstance(selector, str):
        return selector in machine.has or fnmatchcase(machine.triple, selector)
    for operator, combine in (("||", any), ("&&", all)):
        if operator in selector:
            parts = _split(selector, operator)
            return combine(_holds(part, machine) for part in parts)
    if selector[:1] == ["!"]:
        return not _holds(selector[1:], machine)
    return any(_holds(one, machine) for one in selector)


def _split(words: Words, operator: str) -> list[Words]:
    parts: list[Words] = [[]]
    for word in words:
        if word == operator:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _used(lists: Words, flags: Sequence[str]) -> bool:
    """Whether `flags` have one of the first list of options, and none of the second."""
    wanted = _options(lists[0]) if lists else ["*"]
    unwanted = _options(lists[1]) if len(lists) > 1 else []
    return _any_of(wanted, flags) and not _any_of(unwanted, flags)


def _options(one: str | Words) -> list[str]:
    return [text for text in ([one] if isinstance(one, str) else one) if isinstance(text, str)]


def _any_of(options: Sequence[str], flags: Sequence[str]) -> bool:
    def present(option: str) -> bool:
        words = option.split()
        return bool(words) and all(any(fnmatchcase(flag, word) for flag in flags) for word in words)

    return any(map(present, options))


def _parse(text: str) -> Words:
    """A Tcl list: braces nest, quotes hold one word together."""
    stack: list[Words] = [[]]
    for brace, quoted, word in _TOKEN.findall(text):
        if brace == "{":
            stack.append([])
        elif brace == "}" and len(stack) > 1:
            inner = stack.pop()
            stack[-1].append(inner)
        elif not brace:
            stack[-1].append(word or quoted)
    return stack[0]


def _flat(words: Words) -> list[str]:
    return list(_leaves(words))


def _leaves(words: Words) -> Iterator[str]:
    for word in words:
        if isinstance(word, str):
            yield from word.split()
        else:
            yield from _leaves(word)
