"""What the plain way to libraries starts from: their sources, and the host's tools.

python bare.py DIRECTORY NAME...

DIRECTORY/<name>        a link to its tarball in toolman's cache
DIRECTORY/environment   for sh: where make and a compiler are, if the host has none
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import entry
import tarballs

from toolman.libraries import recipe
from toolman.origins import hosttools, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolman.context import Context


def lay_out(names: Sequence[str], into: Path, ctx: Context) -> None:
    """Fill the new directory `into` with the preferred versions of the libraries `names`.

    Raises:
        NetworkError, IntegrityError: something could not be had.
    """
    pins = {name: recipe.load(name).pins[recipe.load(name).version(None)] for name in names}
    obtained = sources.obtain(pins, ctx.paths.cache, ctx.host, ctx.reporter)
    into.mkdir(parents=True)
    for name, one in obtained.items():
        (into / name).symlink_to(one.path)
    tarballs.write_environment(hosttools.find(("make", "compiler"), ctx), into)


if __name__ == "__main__":
    place, *words = sys.argv[1:]
    sys.exit(entry.call(lambda ctx: lay_out(words, Path(place), ctx)))
