"""A library's own tests, as its recipe's `check` says: built for a target, and run.

librarytable.py asks for them. They are built in a tree of their own, the way the library is, but
that all of their programs are static. For another processor they run under qemu-user: the kernel
is told of it in a user namespace of their own, so that this machine is as it was. Linux can do
that since 6.7.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from toolman import qemu
from toolman.build.step import Step
from toolman.context import Context
from toolman.errors import BuildError
from toolman.host import Host
from toolman.libraries import building, choice, recipe, systems
from toolman.paths import Paths
from toolman.target import with_libc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toolman.libraries.choice import Chosen
    from toolman.toolchain import Toolchain

LONGEST = 3000  # seconds that the tests of one library may take
STATIC = "{triple}-gcc --static"  # libtool would keep -static for itself

# How some report: what of their output are tests that passed, failed, were skipped.
_COUNTS = {
    "automake": (r"^# PASS: +(\d+)", r"^# (?:FAIL|XPASS|ERROR): +(\d+)", r"^# SKIP: +(\d+)"),
    "ctest": (r" Passed +[\d.]+ sec$", r"\*\*\*(?!Skipped)", r"\*\*\*Skipped"),
}
# What the kernel knows a program for arm64 by: a 64-bit ELF file, little endian, EM_AARCH64,
# executable or position-independent (Documentation/admin-guide/binfmt-misc.rst).
_MAGIC = r"\x7fELF\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00"
_MASK = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
# F: the kernel holds it open, so that its path means nothing. P: argv[0] is as it was.
_REGISTER = f":qemu-aarch64:M::{_MAGIC}:{_MASK}:{{}}:FP"
_NO_NAMESPACE = 75
_INSIDE = f"""
place=$(mktemp -d)
mount -t binfmt_misc none "$place" || exit {_NO_NAMESPACE}
printf %s "$1" >"$place/register" || exit {_NO_NAMESPACE}
shift
exec "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """How the tests of a library ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    trouble: str = ""
    """Why they did not run to a good end; empty if they did."""
    begun: bool = True

    def __str__(self) -> str:
        if not self.begun:
            return "not run"
        if not self.passed:
            return "fails"
        more = {"fail": self.failed, "skipped": self.skipped}
        told = [str(self.passed), *(f"{count} {word}" for word, count in more.items() if count)]
        return ", ".join([*told, *(["then fails"] if self.trouble and not self.failed else [])])


def check(word: str, target: str, env: Mapping[str, str]) -> Counted | None:
    """Run the tests of the library `word`, as `zlib@1.3.2`; None if it has none."""
    if not recipe.load(word.partition("@")[0]).check.run:
        return None
    argv = [sys.executable, __file__, word, target]
    ctx = _context(env)
    platform = with_libc(target).platform
    if not ctx.host.is_native(platform):
        line = _REGISTER.format(qemu.find(platform, ctx))
        inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-uc", _INSIDE, "sh"]
        argv = [*inside, line, *argv]
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    if done.returncode == _NO_NAMESPACE:
        why = "this kernel has no binfmt_misc for a user namespace (Linux 6.7)"
        return Counted(trouble=why, begun=False)
    if done.returncode:
        return Counted(trouble=done.stderr[-1500:])
    return Counted(**json.loads(done.stdout))


def main() -> None:
    """Build and run the tests of a library for a target, both arguments; print how they ended."""
    word, target = sys.argv[1:]
    ctx = _context(os.environ)
    active = ctx.store.active(target)
    assert active, f"{target} is not installed"
    base = ctx.store.base(active) or active
    *needs, one = choice.resolved([choice.wish(word)])
    print(json.dumps(asdict(_run(one, needs, base, ctx))))


def _run(one: Chosen, needs: list[Chosen], base: Toolchain, ctx: Context) -> Counted:
    found = building.build(needs, base, ctx)
    works = building.trial(one, base, ctx)
    steps = _steps(works.job(replace(one, recipe=_for_tests(one.recipe)), found))
    trouble = ""
    try:
        works.runner([one]).run(steps)
    except BuildError as error:
        trouble = str(error)
    return _counted(works.layout.log(steps[-1]), one.recipe.check.counts, trouble)


def _for_tests(known: recipe.Recipe) -> recipe.Recipe:
    """As the library is built, with tests, whose programs are static."""
    options, variables = [*known.options], {**known.variables}
    match known.system:
        case "cmake":
            options.append("-DCMAKE_EXE_LINKER_FLAGS=-static")
        case "openssl":
            options.append("-static")
        case "make":
            options.append(f"CC={STATIC}")
        case _:
            variables["CC"] = STATIC
    return replace(
        known,
        directory=known.check.directory or known.directory,
        options=(*options, *known.check.options),
        variables={**variables, **known.check.variables},
        make=known.check.make,
    )


def _steps(job: systems.Job) -> list[Step]:
    configure, make, _ = systems.steps(job)
    tests = systems.make(job, *job.chosen.recipe.check.run)
    limited = ("timeout", "--kill-after=10", str(LONGEST), *tests.argv)
    name = f"{job.chosen.name}: check"
    return [
        configure,
        make,
        Step(name=name, commands=(replace(tests, argv=limited),), needs=(make.name,)),
    ]


def _counted(log: Path, counts: str, trouble: str) -> Counted:
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    patterns = _COUNTS.get(counts, (counts,))
    numbers = [_number(pattern, text) for pattern in patterns]
    passed, failed, skipped = (*numbers, 0, 0)[:3]
    if not passed and not trouble:
        trouble = f"nothing in {log} looks like a test"
    return Counted(passed=passed, failed=failed, skipped=skipped, trouble=trouble)


def _number(pattern: str, text: str) -> int:
    """How many tests the lines tell of that `pattern` fits: their group says it, or it is one."""
    found = re.finditer(pattern, text, re.MULTILINE)
    return sum(int(one[1]) if one.re.groups else 1 for one in found)


def _context(env: Mapping[str, str]) -> Context:
    host = Host.current()
    return Context(host=host, paths=Paths.from_env(env, host), environ=env)


if __name__ == "__main__":
    main()
