"""apt's package sources on this host, and what of them the private lists are made from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import run

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUITES = re.compile(r"^Suites:[ \t]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE | re.IGNORECASE)
_LINE = re.compile(r"(?P<head>deb(?:-src)?\s+(?:\[[^]]*\]\s+)?\S+\s+)(?P<suite>\S+)")


def setting(key: str) -> str:
    """The value of one of apt's settings; /nonexistent if it has none."""
    line = run.run(["apt-config", "shell", "VALUE", key]).out
    return line.strip().removeprefix("VALUE=").strip("'") or "/nonexistent"


def files() -> list[Path]:
    """The files that name the host's package sources."""
    parts = Path(setting("Dir::Etc::sourceparts/d"))
    single = Path(setting("Dir::Etc::sourcelist/f"))
    found = sorted(parts.glob("*.list")) + sorted(parts.glob("*.sources"))
    return [path for path in (single, *found) if path.is_file()]


def official(path: Path, codename: str) -> str:
    """The entries of a sources file that belong to the distribution itself.

    A third party's archive holds no cross toolchains, and one that does not answer would
    fail the whole update. Backports do not fit the release's own packages.
    """
    text = path.read_text("utf-8", "replace")
    if path.suffix == ".sources":
        stanzas = re.split(r"\n\s*\n", text)
        return "\n\n".join(one for one in stanzas if _of_release(_suites(one), codename)) + "\n"
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    kept = [line for line in lines if _of_release(_suites(line), codename)]
    return "\n".join([*kept, ""])


def with_sources(text: str) -> str:
    """The same entries, for source packages too."""
    binary = re.findall(r"^deb\s.*\n", text, re.MULTILINE)
    stanzas = re.sub(r"^Types:.*", "Types: deb deb-src", text, flags=re.MULTILINE)
    return stanzas + "".join(line.replace("deb", "deb-src", 1) for line in binary)


def of_suite(text: str, suite: str) -> str:
    """The entries of the release itself (not of its updates), with `suite` instead of it.

    Security updates are in an archive of their own; so for `trixie-security` the entries of those.
    """
    wanted = _has_security if suite.endswith("-security") else _has_release
    if re.search(r"^Suites:", text, re.MULTILINE | re.IGNORECASE):
        stanzas = [one for one in text.split("\n\n") if wanted(one)]
        return "\n\n".join(_SUITES.sub(f"Suites: {suite}", one).strip() for one in stanzas) + "\n"
    lines = [line for line in text.splitlines() if wanted(line)]
    return "".join(_LINE.sub(rf"\g<head>{suite}", line) + "\n" for line in lines)


def _has_release(entry: str) -> bool:
    return any("-" not in suite and "/" not in suite for suite in _suites(entry))


def _has_security(entry: str) -> bool:
    return any(suite.endswith("-security") for suite in _suites(entry))


def _suites(entry: str) -> list[str]:
    field = _SUITES.search(entry)
    if field:
        return field[1].split()
    line = _LINE.match(entry)
    return [line["suite"]] if line else []


def _of_release(suites: Sequence[str], codename: str) -> bool:
    rolling = {"stable", "testing", "unstable", "sid"}
    return any(
        suite.split("-")[0].split("/")[0] in {codename, *rolling} and "backports" not in suite
        for suite in suites
    )
