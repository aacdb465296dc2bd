"""What a Go file uses, as far as that is seen without types: imports, names of packages, syntax.

Patterns on the text without comments and literals, for there is no parser of Go's here. Each is
made so that it rather misses a use than claims one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["import", "name", "language", "loop"]

_COMMENT_OR_LITERAL = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"|`[^`]*`|' + r"'(?:\\.|[^'\\\n])*'",
    re.DOTALL,
)
_FIRST_DECLARATION = re.compile(r"^(?:func|type|var|const)\b", re.MULTILINE)
_IMPORT = re.compile(r'(?:^|[(;])[ \t]*(?:import\s+)?(?:([\w.]+)[ \t]+)?"([^"\n]+)"', re.MULTILINE)
# Two words in brackets are type parameters, but for the types that are two words themselves.
_GENERICS = re.compile(
    r"\w\[\s*(?!chan\b|func\b|struct\b|interface\b|map\b)"
    r"\w+(?:\s*,\s*\w+)*[ \t]+(?:~|\[\w*\])*[A-Za-z_]"
)
_RANGE_NUMBER = re.compile(r"\brange\s+(?:\d\w*|(?:len|cap)\([^\n]*\))\s*\{")
# A call: a method of that name, or of an interface, is none.
_BUILTINS = {
    "min": re.compile(r"(?<=[=(,+\-*/<>\[{:&|%!])[ \t]*min\(|\breturn[ \t]+min\("),
    "max": re.compile(r"(?<=[=(,+\-*/<>\[{:&|%!])[ \t]*max\(|\breturn[ \t]+max\("),
    "clear": re.compile(r"^[ \t]*clear\([\w.\[\]*]+\)[ \t]*$", re.MULTILINE),
}
_LOOP = re.compile(r"\bfor[ \t]+(\w+(?:[ \t]*,[ \t]*\w+)*)[ \t]*:=[^\n]*\{[ \t]*\n")
_CLOSURE = re.compile(r"\bfunc\s*\(")


@dataclass(frozen=True, kw_only=True)
class Use:
    """A use of something in a file; `what` is an import path, `errors.Join`, or a word."""

    line: int
    kind: Kind
    what: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A Go file."""

    uses: tuple[Use, ...]
    defines: frozenset[str]
    """Those of `min`, `max` and `clear` to which it gives a meaning of its own."""


def read(text: str) -> Source:
    """What the text of a Go file uses."""
    code = _COMMENT_OR_LITERAL.sub(_without_comment, text)
    first = _FIRST_DECLARATION.search(code)
    imports = [*_imports(code[: first.start() if first else len(code)])]
    bare = _COMMENT_OR_LITERAL.sub(_without_literal, code)
    uses = [Use(line=line, kind="import", what=path) for line, _, path in imports]
    for _, name, path in imports:
        uses += _names(bare, name, path)
    uses += [*_language(bare), *_loops(bare)]
    defines = {one for one in _BUILTINS if _declared(one).search(bare)}
    return Source(uses=tuple(uses), defines=frozenset(defines))


def _without_comment(found: re.Match[str]) -> str:
    return _lines_of(found[0]) if found[0].startswith(("//", "/*")) else found[0]


def _without_literal(found: re.Match[str]) -> str:
    return f'"{_lines_of(found[0])}"'


def _lines_of(text: str) -> str:
    return "\n" * text.count("\n") or " "


def _imports(head: str) -> Iterator[tuple[int, str, str]]:
    """Line, name in this file, and path."""
    for found in _IMPORT.finditer(head):
        path = found[2]
        parts = path.split("/")
        versioned = len(parts) > 1 and re.fullmatch(r"v\d+", parts[-1])
        yield _line(head, found.start(2)), found[1] or parts[-2 if versioned else -1], path


def _names(bare: str, name: str, path: str) -> Iterator[Use]:
    """`errors.Join` and its kin, unless something else than the package has that name too."""
    if name in (".", "_") or _declared(name).search(bare):
        return
    for found in re.finditer(rf"(?<![\w.)\]]){re.escape(name)}\.([A-Z]\w*)", bare):
        yield Use(line=_line(bare, found.start()), kind="name", what=f"{path}.{found[1]}")


def _declared(name: str) -> re.Pattern[str]:
    """A place where `name` becomes a function, a variable or a parameter."""
    word = re.escape(name)
    return re.compile(
        rf"^func {word}[\[(]|\b{word}(?:[ \t]*,[ \t]*\w+)*[ \t]*:=|,[ \t]*{word}[ \t]*:="
        rf"|\bvar[ \t]+{word}\b|^[ \t]+{word}[ \t]+=|[(,][ \t]*{word}[ \t]+[\w*\[.]",
        re.MULTILINE,
    )


def _language(bare: str) -> Iterator[Use]:
    for found in _GENERICS.finditer(bare):
        yield Use(line=_line(bare, found.start()), kind="language", what="generics")
    for found in _RANGE_NUMBER.finditer(bare):
        yield Use(line=_line(bare, found.start()), kind="language", what="range over a number")
    for word, pattern in _BUILTINS.items():
        for found in pattern.finditer(bare):
            yield Use(line=_line(bare, found.end() - 1), kind="language", what=word)


def _loops(bare: str) -> Iterator[Use]:
    """Variables of loops that a closure or a pointer may keep."""
    for found in _LOOP.finditer(bare):
        body = _braced(bare, bare.rindex("{", 0, found.end()))
        for name in re.findall(r"\w+", found[1]):
            again = re.search(rf"\b{name}[ \t]*:=[ \t]*{name}\b", body)
            if name != "_" and not again and _keeps(body, name):
                yield Use(line=_line(bare, found.start()), kind="loop", what=name)


def _keeps(body: str, name: str) -> bool:
    word = re.compile(rf"(?<![\w.]){name}\b")
    closures = (_braced(body, body.find("{", one.end())) for one in _CLOSURE.finditer(body))
    return bool(re.search(rf"(?<!&)&{name}\b", body)) or any(map(word.search, closures))


def _braced(text: str, start: int) -> str:
    """From the `{` at `start` to its `}`; empty for a `start` of -1."""
    depth = 0
    for found in re.finditer(r"[{}]", text[start:]) if start >= 0 else ():
        depth += 1 if found[0] == "{" else -1
        if not depth:
            return text[start : start + found.end()]
    return ""


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
