"""The printed environments, given to the real shells and read back from `env -0`."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tools import find

from toolman import shell
from toolman.errors import InputError
from toolman.shell import Prepend, Set

if TYPE_CHECKING:
    from pathlib import Path

SAVE = tuple(f"V{number}" for number in range(16))
SHIMS = Prepend("PATH", "/home/o'neil/my  *shims[1]", ":")
GOFLAGS = Prepend("GOFLAGS", "-ldflags=-linkmode=external -tags=a", " ")

# How the callers take the text, and options of theirs under which they must succeed.
UNQUOTED = 'eval $("$CAT" text)'
QUOTED = 'eval "$("$CAT" text)"'
SOURCED = ". ./text"
CALLS = {
    "dash unquoted": ("dash", "set -eu", UNQUOTED),
    "dash quoted": ("dash", "set -eu", QUOTED),
    "dash sourced": ("dash", "set -eu", SOURCED),
    "bash unquoted": ("bash", "set -eu", UNQUOTED),
    "bash quoted": ("bash", "set -eu", QUOTED),
    "bash sourced": ("bash", "set -eu", SOURCED),
    "bash posix": ("bash", "set -eu -o posix", UNQUOTED),
    "bash failglob": ("bash", "set -eu; shopt -s failglob extglob", UNQUOTED),
    "bash nullglob": ("bash", "set -eu; shopt -s nullglob extglob", UNQUOTED),
    "zsh unquoted": ("zsh", "set -eu", UNQUOTED),
    "zsh quoted": ("zsh", "set -eu", QUOTED),
    "zsh sourced": ("zsh", "set -eu", SOURCED),
    "zsh nullglob": ("zsh", "set -eu; setopt nullglob", UNQUOTED),
    "zsh as sh": ("zsh", "emulate sh; set -eu", UNQUOTED),
    "fish source": ("fish", "true", '"$CAT" text | source; or exit 9'),
    "fish eval": ("fish", "true", 'eval ("$CAT" text); or exit 9'),
}
FLAGS = {"bash": ("--norc", "--noprofile"), "zsh": ("-f",), "fish": ("--no-config",)}
ON_EACH_CALL = pytest.mark.parametrize("call", CALLS, scope="module")

PIECES = (
    *(b" ", b"  ", b"\t", b"\n", b"\r", b"'", b'"', b"$", b"$(id)", b"`id`", b"${V0}"),
    *(b"\\", b"\\\\", b"\\n", b"*", b"?", b"[a-z]", b"!", b"#", b" # ", b"~", b"^", b"@("),
    *(b";", b"&", b"|", b"(", b")", b"{a,b}", b"<", b">", b"%", b"%s", b"-", b"=", b":", b","),
    *(b"\x01", b"\x1f", b"\x7f", b"\x81", b"\x83", b"\xa2", b"\xff", b"052", b"a", b"/usr/bin"),
    *("é".encode(), "日本".encode(), "\u2018\u2019".encode()),
)
SOME_BYTES = st.sampled_from(PIECES) | st.binary(max_size=3).map(lambda b: b.replace(b"\0", b""))
ANY_VALUE = st.lists(SOME_BYTES, max_size=5).map(b"".join).map(os.fsdecode)
VALUE = ANY_VALUE.map(lambda value: value.rstrip("\n"))
VALUES = st.lists(VALUE, min_size=len(SAVE), max_size=len(SAVE))
BEFORE = st.lists(st.none() | st.just("") | VALUE, min_size=len(SAVE), max_size=len(SAVE))
ALL_BYTES = [os.fsdecode(bytes(range(n, n + 16)).lstrip(b"\0")) for n in range(0, 256, 16)]
LOCALE = st.sampled_from(["C", "C.UTF-8"])

Environ = dict[str, str]


class Caller:
    """A shell that evaluates texts and shows its environment."""

    def __init__(self, call: str, shells: dict[str, Path], folder: Path) -> None:
        name, self.options, self.call = CALLS[call]
        self.argv = [str(shells[name]), *FLAGS.get(name, ()), "-c"]
        self.dialect = shell.dialect(name)
        self.folder = folder
        self.tools = {"CAT": str(find("cat")), "ENV": str(find("env"))}
        for file in ("a", "b", "-n", "export"):
            (folder / file).touch()

    def locale(self, wanted: str) -> str:
        """In the C locale fish misreads what it inherits: bytes above 127 become two."""
        return "C.UTF-8" if self.dialect == "fish" else wanted

    def run(
        self, text: str, environ: Environ, *, before: str = "true", times: int = 1
    ) -> subprocess.CompletedProcess[bytes]:
        (self.folder / "text").write_bytes(os.fsencode(text))
        calls = "\n".join([self.call] * times)
        return subprocess.run(
            [*self.argv, f'{self.options}\n{before}\n{calls}\nexec "$ENV" -0'],
            env=environ | self.tools,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )

    def __call__(
        self, text: str, environ: Environ, *, before: str = "true", times: int = 1
    ) -> Environ:
        """The environment after evaluating `text`, exactly, but for what shells keep there."""
        done = self.run(text, environ, before=before, times=times)
        assert (done.returncode, done.stderr) == (0, b""), text
        own = {"_", "SHLVL", "PWD", "OLDPWD", "LOGNAME", "USER", *self.tools}
        return {name: value for name, value in _read(done.stdout).items() if name not in own}


def _read(output: bytes) -> Environ:
    pairs = (entry.partition("=") for entry in os.fsdecode(output).split("\0")[:-1])
    return {name: value for name, _, value in pairs}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("o'neil *[a] é")


@pytest.fixture(scope="module")
def shells() -> dict[str, Path]:
    return {name: find(name) for name in ("dash", "bash", "zsh", "fish")}


@pytest.fixture(scope="module")
def caller(call: str, shells: dict[str, Path], folder: Path) -> Caller:
    return Caller(call, shells, folder)


def environment(locale: str = "C.UTF-8", **more: str) -> Environ:
    return {"PATH": "/usr/bin:/bin", "HOME": "/proc", "LC_ALL": locale, **more}


def few(count: int) -> settings:
    return settings(max_examples=count, deadline=None)


def sets(values: list[str]) -> list[shell.Statement]:
    return [Set(name, value) for name, value in zip(SAVE, values, strict=True)]


# --- values ------------------------------------------------------------------------------


@ON_EACH_CALL
@given(values=VALUES, locale=LOCALE)
@example(values=ALL_BYTES, locale="C")
@example(values=ALL_BYTES, locale="C.UTF-8")
@example(values=[os.fsdecode(piece).rstrip("\n") for piece in PIECES[:16]], locale="C")
@example(values=[os.fsdecode(piece).rstrip("\n") for piece in PIECES[16:32]], locale="C")
@few(8)
def test_every_value_arrives(caller: Caller, values: list[str], locale: str) -> None:
    after = caller(shell.activate(caller.dialect, sets(values)), environment(locale))
    assert after == environment(locale) | dict(zip(SAVE, values, strict=True))


@given(values=VALUES)
def test_text_for_posix_shells_has_nothing_to_split_or_glob(values: list[str]) -> None:
    text = shell.activate("sh", [*sets(values), SHIMS, GOFLAGS], save=SAVE)
    assert text == shell.activate("bash", [*sets(values), SHIMS, GOFLAGS], save=SAVE)
    assert text == shell.activate("zsh", [*sets(values), SHIMS, GOFLAGS], save=SAVE)
    assert not re.search(r"[*?\[\]~!&|<>]|  |[^\n\037 -~]|(^|[\s;])#|[^;]\n", text)


@ON_EACH_CALL
def test_path_lists_arrive_as_they_are(caller: Caller) -> None:
    values = {"PKG_CONFIG_PATH": "/a b:/c", "X_PATH": ":/a::/b:", "EMPTY_PATH": ""}
    text = shell.activate(caller.dialect, [Set(name, value) for name, value in values.items()])
    assert caller(text, environment()) == environment() | values


# --- prepending --------------------------------------------------------------------------


@ON_EACH_CALL
@pytest.mark.parametrize(
    "present",
    ["/bin", "/bin:/x", SHIMS.text, f"{SHIMS.text}:/bin", f"{SHIMS.text}2:/bin", "/b::/c:", ":"],
)
def test_shims_stand_in_front_of_path_once(caller: Caller, present: str) -> None:
    # fish itself writes an empty element of PATH as `.`.
    present = caller("", environment(PATH=present))["PATH"]
    text = shell.activate(caller.dialect, [SHIMS])
    rest = [] if present == SHIMS.text else [present.removeprefix(f"{SHIMS.text}:")]
    once = environment(PATH=":".join([SHIMS.text, *rest]))
    assert caller(text, environment(PATH=present)) == once
    assert caller(text, environment(PATH=present), times=3) == once
    assert SHIMS.onto(present) == once["PATH"]


@ON_EACH_CALL
@pytest.mark.parametrize("before", ["unset", "empty"])
def test_empty_path_gets_no_empty_element(caller: Caller, before: str) -> None:
    make = {"unset": "unset PATH", "empty": "PATH="}
    if caller.dialect == "fish":
        make = {"unset": "set -e PATH", "empty": "set -gx PATH"}
    text = shell.activate(caller.dialect, [SHIMS])
    for times in (1, 2):
        after = caller(text, environment(), before=make[before], times=times)
        assert after["PATH"] == SHIMS.text


@ON_EACH_CALL
# In bash's patterns a backslash behind half a character escapes; `Paths` lets none through.
@given(
    text=VALUE.filter(lambda one: one and "\\" not in one), rest=st.none() | VALUE, locale=LOCALE
)
@few(10)
def test_prepending_twice_is_prepending_once(
    caller: Caller, text: str, rest: str | None, locale: str
) -> None:
    locale = caller.locale(locale)
    statement = Prepend("V0", text, " ")
    environ = environment(locale) if rest is None else environment(locale, V0=rest)
    output = shell.activate(caller.dialect, [statement])
    once = environment(locale, V0=statement.onto(rest))
    assert caller(output, environ) == once
    assert caller(output, environ, times=2) == once
    assert statement.onto(once["V0"]) == once["V0"]


@pytest.mark.parametrize(
    ("present", "rest"),
    [
        (None, None),
        ("", None),
        ("/shims", None),
        ("/shims:/bin", "/bin"),
        ("/venv:/shims:/bin", "/venv:/bin"),
        ("/bin:/shims", "/bin"),
        ("/shims:/bin:/shims", "/bin:/shims"),
        ("/shims2:/my/shims", "/shims2:/my/shims"),
        ("/shims:", None),
    ],
)
def test_shims_are_taken_out_of_path(present: str | None, rest: str | None) -> None:
    assert Prepend("PATH", "/shims", ":").off(present) == rest


# --- giving back -------------------------------------------------------------------------


@ON_EACH_CALL
@given(before=BEFORE, values=VALUES, goflags=st.sampled_from([None, "-v", "-v  -x"]), locale=LOCALE)
@few(6)
def test_deactivating_restores_the_environment(
    caller: Caller, before: list[str | None], values: list[str], goflags: str | None, locale: str
) -> None:
    locale = caller.locale(locale)
    present = dict(zip([*SAVE, GOFLAGS.name], [*before, goflags], strict=True))
    start = environment(locale) | {name: v for name, v in present.items() if v is not None}
    statements = [*sets(values), Set("TARGET_ONLY", "x y"), SHIMS, GOFLAGS]
    text = shell.activate(caller.dialect, statements, save=SAVE)
    active = caller(text, start, times=2)
    assert active == start | {
        **dict(zip(SAVE, values, strict=True)),
        "TARGET_ONLY": "x y",
        "PATH": SHIMS.onto(start["PATH"]),
        "GOFLAGS": GOFLAGS.onto(goflags),
        shell.SAVED: active[shell.SAVED],
    }
    restore = {
        **shell.saved(active[shell.SAVED], SAVE),
        **{each.name: each.off(active[each.name]) for each in (SHIMS, GOFLAGS)},
        **dict.fromkeys(["TARGET_ONLY", shell.SAVED, "NEVER_SET"]),
    }
    assert caller(shell.deactivate(caller.dialect, restore), active) == start


@ON_EACH_CALL
def test_saving_a_variable_that_is_unset_succeeds(caller: Caller) -> None:
    after = caller(shell.activate(caller.dialect, [Set("CC", "gcc")], save=["CC"]), environment())
    assert after == environment(CC="gcc", TOOLMAN_SAVED="1")


def test_deactivate_prints_unset_and_export() -> None:
    text = shell.deactivate("sh", {"CC": None, "PATH": "/usr/bin"})
    assert text == "unset CC;\nexport PATH='/usr/bin';\n"


def test_saved_tells_names_apart_that_begin_alike() -> None:
    text = "1\037CC=gcc|CXX=g++\037CC_arm=a=b\037AR="
    assert shell.saved(text, ("CC", "CXX", "CC_arm", "AR", "NM")) == {
        "CC": "gcc|CXX=g++",
        "CXX": None,
        "CC_arm": "a=b",
        "AR": "",
        "NM": None,
    }


def test_saved_refuses_what_toolman_did_not_write() -> None:
    with pytest.raises(InputError, match="TOOLMAN_SAVED") as caught:
        shell.saved("CC=gcc", ("CC",))
    assert "unset TOOLMAN_SAVED" in str(caught.value.hint)


# --- failing -----------------------------------------------------------------------------


@ON_EACH_CALL
def test_failure_stops_the_caller(caller: Caller) -> None:
    done = caller.run(shell.failure(caller.dialect), environment())
    assert done.returncode != 0
    assert done.stdout == b""


def test_failure_prints_nothing_into_a_file() -> None:
    assert [shell.failure(word) for word in shell.FORMATS] == [""] * 5


def test_newline_at_the_end_is_refused_for_posix_shells() -> None:
    with pytest.raises(InputError, match="CC ends in a newline") as caught:
        shell.activate("sh", [Set("CC", "gcc\n")])
    assert "remove the newline" in str(caught.value.hint)


@given(values=st.lists(ANY_VALUE.map("{}\n".format), min_size=16, max_size=16))
@pytest.mark.parametrize("call", ["fish source", "fish eval"], scope="module")
@few(5)
def test_newline_at_the_end_arrives_in_fish(caller: Caller, values: list[str]) -> None:
    after = caller(shell.activate("fish", sets(values)), environment())
    assert after == environment() | dict(zip(SAVE, values, strict=True))


@pytest.mark.parametrize("word", [*shell.SHELLS, *shell.FORMATS])
@pytest.mark.parametrize(
    "statement",
    [Set("CC", "a\0b"), Set("A-B", ""), Set("A;id", ""), Set("É", ""), Prepend("", "a", ":")],
)
def test_no_dialect_takes_a_nul_or_a_bad_name(word: str, statement: shell.Statement) -> None:
    with pytest.raises(InputError, match=r"NUL|name of a variable"):
        shell.activate(word, [statement])


@pytest.mark.parametrize("word", shell.FORMATS)
def test_formats_cannot_deactivate(word: str) -> None:
    with pytest.raises(InputError, match=word):
        shell.deactivate(word, {"CC": None})


# --- names of dialects -------------------------------------------------------------------


@pytest.mark.parametrize("word", [*shell.SHELLS, *shell.FORMATS])
def test_each_dialect_is_its_own_name(word: str) -> None:
    assert shell.dialect(word) == word


@pytest.mark.parametrize(
    ("word", "meant"), [("dash", "sh"), ("ash", "sh"), ("ksh", "sh"), ("powershell", "pwsh")]
)
def test_other_names_of_shells(word: str, meant: str) -> None:
    assert shell.dialect(word) == meant


@pytest.mark.parametrize(
    ("word", "near"), [("fsh", "fish"), ("PowerShell", "powershell"), ("githb", "github")]
)
def test_unknown_dialect_suggests_a_near_one(word: str, near: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        shell.dialect(word)
    assert near in str(caught.value.hint)


def test_dialect_near_to_nothing_lists_them_all() -> None:
    with pytest.raises(InputError) as caught:
        shell.dialect("xyzzy")
    assert "fish" in str(caught.value.hint)
    assert "make" in str(caught.value.hint)


# --- PowerShell --------------------------------------------------------------------------


def _pwsh_string(text: str) -> tuple[str, str]:
    """The value of the single-quoted string that `text` begins with, and the rest."""
    quotes = "'\u2018\u2019\u201a\u201b"
    assert text[0] in quotes
    value, at = "", 1
    while text[at] not in quotes or text[at + 1] in quotes:
        at += text[at] in quotes
        value += text[at]
        at += 1
    return value, text[at + 1 :]


@given(value=ANY_VALUE)
@example(value="\u2018'\u2019")
def test_pwsh_value_is_one_string(value: str) -> None:
    """By the rules of about_Quoting_Rules, as the reader above has them.

    PowerShell is not here: neither these rules nor the other statements are proved.
    """
    text = shell.activate("pwsh", [Set("CC", value)])
    start = "${Env:CC} = "
    assert text.startswith(start)
    assert _pwsh_string(text.removeprefix(start)) == (value, ";\n")


def test_pwsh_statements() -> None:
    """Their form only, read by a human; see above."""
    statements = (Set("CC", "o'neil"), Prepend("PATH", "/s", ":"))
    assert shell.activate("pwsh", statements, save=["CC"]) == (
        "if (-not (Test-Path 'Env:/TOOLMAN_SAVED')) { ${Env:TOOLMAN_SAVED} = '1'"
        " + $(if (Test-Path 'Env:/CC') { '\037CC=' + ${Env:CC} }) };\n"
        "${Env:CC} = 'o''neil';\n"
        "if (-not (${Env:PATH} + ':').StartsWith('/s:', 'Ordinal'))"
        " { ${Env:PATH} = '/s' + $(if (${Env:PATH}) { ':' + ${Env:PATH} }) };\n"
    )
    assert shell.deactivate("pwsh", {"CC": None}) == (
        "Remove-Item -ErrorAction SilentlyContinue -LiteralPath 'Env:/CC';\n"
    )
    assert shell.failure("pwsh") == "throw 'toolman env failed';\n"


# --- formats -----------------------------------------------------------------------------


def _github_env(text: str) -> Environ:
    """Reads as the runner does: `NAME<<DELIMITER`, then the lines up to the delimiter."""
    values = {}
    lines = iter(text.split("\n")[:-1])
    for line in lines:
        name, _, end = line.partition("<<")
        values[name] = "\n".join(iter(lambda: next(lines), end))
    return values


@given(values=st.lists(ANY_VALUE, min_size=16, max_size=16))
def test_github_reads_every_value(values: list[str]) -> None:
    statements = [*sets(values), SHIMS, GOFLAGS]
    found = _github_env(shell.activate("github", statements, {"GOFLAGS": "-v", "PATH": "/bin"}))
    assert found == {**dict(zip(SAVE, values, strict=True)), "GOFLAGS": GOFLAGS.onto("-v")}


def test_github_delimiter_cannot_be_foreseen() -> None:
    first, second = (shell.activate("github", [Set("CC", "gcc")]) for _ in range(2))
    assert first != second


def test_github_path_puts_the_first_element_last() -> None:
    statements = (Set("CC", "gcc"), Prepend("PATH", "/a:/b", ":"), GOFLAGS)
    assert shell.github_path(statements) == "/b\n/a\n"


def test_github_path_refuses_a_newline() -> None:
    with pytest.raises(InputError, match="PATH holds a newline"):
        shell.github_path([Prepend("PATH", "/a\n/b", ":")])


def test_json_has_sets_and_prepends_by_name() -> None:
    statements: list[shell.Statement] = [Set("CXX", "é"), Set("CC", "gcc\n"), SHIMS]
    text = shell.activate("json", statements, {"PATH": "/bin"})
    assert text.isascii()
    assert json.loads(text) == {
        "schema": 1,
        "set": {"CC": "gcc\n", "CXX": "é"},
        "prepend": {"PATH": {"text": SHIMS.text, "separator": ":"}},
    }
    assert text.index('"CC"') < text.index('"CXX"')


@pytest.mark.parametrize("call", ["dash sourced", "bash sourced"], scope="module")
@given(values=VALUES)
@few(12)
def test_dotenv_is_read_by_a_shell(caller: Caller, values: list[str]) -> None:
    """No newline or carriage return here: their escapes are of the dotenv libraries only."""
    values = [re.sub(r"[\r\n]", "_", value) for value in values]
    text = shell.activate("dotenv", [*sets(values), SHIMS], environment())
    after = caller(text, environment(), before="set -a")
    assert after == environment(PATH=SHIMS.onto("/usr/bin:/bin")) | dict(
        zip(SAVE, values, strict=True)
    )


def test_dotenv_escapes_newlines() -> None:
    assert shell.activate("dotenv", [Set("A", 'a"\r\n\\n$b`')]) == 'A="a\\"\\r\\n\\\\n\\$b\\`"\n'


def _make(text: str, folder: Path, environ: Environ) -> Environ:
    makefile = os.fsencode(text) + b"all:\n\t@" + os.fsencode(find("env")) + b" -0\n"
    (folder / "makefile").write_bytes(makefile)
    argv = [str(find("make")), "-f", "makefile"]
    run = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, check=True)
    assert run.stderr == b""
    return _read(run.stdout)


@given(values=VALUES)
@example(
    values=["", " a", "a ", "\\", "a\\\\", "#", "\\#", "\\\\#a", "$", "$(V0)", "a\r"] + [""] * 5
)
@few(30)
def test_make_exports_every_value(folder: Path, values: list[str]) -> None:
    values = [value.replace("\n", "_") for value in values]
    found = _make(shell.activate("make", sets(values)), folder, environment())
    assert {name: found[name] for name in SAVE} == dict(zip(SAVE, values, strict=True))


@pytest.mark.parametrize("goflags", [None, "", "-v  -x"])
def test_make_adds_to_its_own_variables(folder: Path, goflags: str | None) -> None:
    environ = environment() if goflags is None else environment(GOFLAGS=goflags)
    found = _make(shell.activate("make", [SHIMS, GOFLAGS]), folder, environ)
    assert found["PATH"] == SHIMS.onto("/usr/bin:/bin")
    assert found["GOFLAGS"] == GOFLAGS.onto(goflags)


def test_make_refuses_a_newline() -> None:
    with pytest.raises(InputError, match="CC holds a newline"):
        shell.activate("make", [Set("CC", "a\nb")])
