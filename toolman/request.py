"""What a user asks for: a target, and the languages to compile."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolman.target import Target

LANGUAGES = ("c", "c++", "gccgo", "fortran")
MALLOCS = ("mallocng", "mimalloc")
# In the order in which they are asked; a linked toolchain is the user's own.
ORIGINS = ("prebuilt", "distro", "source")
_ALIASES = {
    "cc": "c",
    "cxx": "c++",
    "cpp": "c++",
    "g++": "c++",
    "go": "gccgo",
    "gfortran": "fortran",
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """A target with languages, in the order of `LANGUAGES`; C is always among them."""

    target: Target
    languages: tuple[str, ...] = ("c",)
    gcc: str | None = None
    """The version of GCC that is wanted, or how it begins: `15`, `14.2`; None: any."""
    recipe: str | None = None
    """A recipe's name, or its file; None: whatever fits."""
    malloc: str | None = None
    """The allocator of musl's libc.a, one of `MALLOCS`; None: the origin's habit."""
    publisher: str | None = None
    """Whose toolchain, of the catalogue's; None: of those only toolman's own kind."""

    @property
    def special(self) -> str:
        """What the distribution cannot give, in words; empty if there is nothing."""
        said = {"GCC": self.gcc, "the recipe": self.recipe, "malloc": self.malloc}
        said["the publisher"] = self.publisher
        return ", ".join(f"{word} {value}" for word, value in said.items() if value)

    def __str__(self) -> str:
        more = [*self.languages[1:], *([self.special] if self.special else [])]
        return f"{self.target} with {', '.join(more)}" if more else str(self.target)


def languages(words: Iterable[str]) -> tuple[str, ...]:
    """The languages that `words` name, with C, in the order of `LANGUAGES`.

    Raises:
        InputError: one is unknown.
    """
    named = {"c"}
    for word in words:
        lower = word.strip().lower()
        language = _ALIASES.get(lower, lower)
        if language not in LANGUAGES:
            near = difflib.get_close_matches(lower, [*LANGUAGES, *_ALIASES], n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(LANGUAGES)}"
            raise InputError(f"unknown language '{word}'", hint=hint)
        named.add(language)
    return tuple(language for language in LANGUAGES if language in named)
