"""What is seen in Go files without types: each claim, and what must not be claimed."""

from __future__ import annotations

import pytest

from toolman import gosource

# The words of a file, and what is seen in it, each `line kind what`.
SEES = {
    'package a\nimport "log/slog"\n': ["2 import log/slog"],
    'package a\nimport (\n\t"cmp"\n\tx "math/rand/v2"\n\t_ "embed"\n)\n': [
        "3 import cmp",
        "4 import math/rand/v2",
        "5 import embed",
    ],
    'package a; import "maps"\n': ["1 import maps"],
    'package a\n\nimport "errors"\n\nvar e = errors.Join(nil)\n': [
        "3 import errors",
        "5 name errors.Join",
    ],
    'package a\nimport e "errors"\nvar x = e.As\n': ["2 import errors", "3 name errors.As"],
    'package a\nimport "math/rand/v2"\nvar x = rand.N\n': [
        "2 import math/rand/v2",
        "3 name math/rand/v2.N",
    ],
    "package a\nfunc Max[T any](a, b T) T { return a }\n": ["2 language generics"],
    "package a\ntype S[K comparable, V any] struct{}\n": ["2 language generics"],
    "package a\ntype S[T ~int | ~string] struct{}\n": ["2 language generics"],
    "package a\ntype S[T interface{ M() }] struct{}\n": ["2 language generics"],
    "package a\ntype S[T []int] struct{}\n": ["2 language generics"],
    "package a\nfunc f() {\n\tfor range 3 {\n\t}\n}\n": ["3 language range over a number"],
    "package a\nfunc f(s []int) {\n\tfor i := range len(s) {\n\t\t_ = i\n\t}\n}\n": [
        "3 language range over a number"
    ],
    "package a\nfunc f(a, b int) int { return min(a, b) }\n": ["2 language min"],
    "package a\nfunc f(a, b int) int {\n\tx := max(a, b)\n\treturn x\n}\n": ["3 language max"],
    "package a\nfunc f(m map[int]int) {\n\tclear(m)\n}\n": ["3 language clear"],
    "package a\nfunc f() {\n\tfor i := 0; i < 3; i++ {\n\t\tgo func() { g(i) }()\n\t}\n}\n": [
        "3 loop i"
    ],
    "package a\nfunc f(s []int) {\n\tfor _, v := range s {\n\t\tg(&v)\n\t}\n}\n": ["3 loop v"],
}
NOTHING = [
    "",
    "package a\n",
    "not Go at all [a b] `",
    'package a\n// import "maps"\n/* func F[T any]() */\n',
    'package a\nvar s = "errors.Join min(1, 2)"\nvar r = `func F[T any]()`\n',
    "package a\nvar c = map[chan int]int{}\nvar d [2]int\nvar e = x[i]\n",
    "package a\ntype A [N * 2]int\ntype B [N]int\n",
    "package a\nvar f = map[string]func(int) int{}\n",
    "package a\ntype T interface {\n\tmin() int\n\tmax(a, b int) int\n\tclear()\n}\n",
    "package a\nfunc (t T) min(a int) int { return t.max(a) }\n",
    "package a\nfunc f(s []int) {\n\tfor i := range s {\n"
    "\t\ti := i\n\t\tgo func() { g(i) }()\n\t}\n}\n",
    "package a\nfunc f(s []int) {\n\tfor i := range s {\n\t\tg(i && x)\n\t}\n}\n",
    "package a\nfunc f() {\n\tfor {\n\t\tgo func() {}()\n\t}\n}\n",
]


def seen(text: str) -> list[str]:
    return [f"{one.line} {one.kind} {one.what}" for one in gosource.read(text).uses]


@pytest.mark.parametrize("text", SEES)
def test_what_is_used_is_seen(text: str) -> None:
    assert seen(text) == SEES[text]


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_is_claimed_that_is_not_there(text: str) -> None:
    assert seen(text) == []


def test_a_variable_with_the_name_of_a_package_is_no_package() -> None:
    for declares in ("func f(url T) {", "func f() {\n\turl := g()", "func f() {\n\tvar url T"):
        text = f'package a\nimport "net/url"\n{declares}\n\turl.JoinPath()\n}}\n'
        assert seen(text) == ["2 import net/url"]


def test_builtins_may_have_a_meaning_of_their_own() -> None:
    text = "package a\nfunc min(a, b int) int { return a }\nvar x = min(1, 2)\nvar max = 1\n"
    assert gosource.read(text).defines == {"min", "max"}
    assert gosource.read("package a\nvar x = min(1, 2)\n").defines == frozenset()
