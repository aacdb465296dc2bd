"""What scripts/plain-build starts from: the sources of a recipe, and the host's tools.

python tarballs.py RECIPE PLATFORM DIRECTORY

DIRECTORY/<component>                   a link to its tarball in toolman's cache
DIRECTORY/patches/<component>.<n>.patch what these bytes do not build without
DIRECTORY/environment                   for sh: where m4, bison … are, if the host has none
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import entry

from toolman import recipe
from toolman.origins import hosttools, sources
from toolman.target import Platform, Target

if TYPE_CHECKING:
    from toolman.context import Context
    from toolman.origins.hosttools import HostTools

COMPONENTS = ("binutils", "gcc", "gmp", "linux-headers", "mpc", "mpfr", "musl")


def lay_out(name: str, platform: Platform, into: Path, ctx: Context) -> None:
    """Fill the directory `into`; `name` is that of a recipe.

    Raises:
        InputError: the recipe is wrong, or the host lacks tools that it cannot have.
        NetworkError, IntegrityError: something could not be had.
    """
    found = recipe.load_recipe(name)
    wanted = sources.wanted(found, platform, COMPONENTS)
    obtained = sources.obtain(wanted, ctx.paths.cache, ctx.host, ctx.reporter)
    tools = hosttools.find(hosttools.needed(Target(platform=platform, libc="musl")), ctx)
    (into / "patches").mkdir(parents=True, exist_ok=True)
    for component in COMPONENTS:
        (into / component).unlink(missing_ok=True)
        (into / component).symlink_to(obtained[component].path)
        for number, patch in enumerate(found.patch_files(obtained[component].pin.patches)):
            shutil.copy(patch, into / f"patches/{component}.{number}.patch")
    write_environment(tools, into)


def write_environment(tools: HostTools, into: Path) -> None:
    """Write `into/environment`: what makes the host's tools found."""
    path = ":".join([*(shlex.quote(str(one)) for one in tools.path), '"$PATH"'])
    lines = [f"{key}={shlex.quote(value)}" for key, value in tools.environ.items()]
    text = "".join(f"export {line}\n" for line in [f"PATH={path}", *lines])
    (into / "environment").write_text(text, "utf-8")


def main() -> int:
    """Do what the command line says; the exit code."""
    name, word, into = sys.argv[1:]
    return entry.call(lambda ctx: lay_out(name, entry.platform(word), Path(into), ctx))


if __name__ == "__main__":
    sys.exit(main())
