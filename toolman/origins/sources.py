"""The sources of a recipe: from upstream and its mirrors, else from Debian's archive.

Whatever the way, the bytes are those of one of the pins: `<cache>/sha256/<digest>` holds them,
checked at every use. What cannot be reached goes on to the next place; wrong bytes never do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman import fetch, offline, store, web
from toolman.digest import sha256
from toolman.errors import InputError, NetworkError
from toolman.origins import archived

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from toolman.errors import ToolmanError
    from toolman.host import Host
    from toolman.pin import Pin
    from toolman.recipe import Recipe
    from toolman.report import Reporter
    from toolman.target import Platform


@dataclass(frozen=True, kw_only=True)
class Obtained:
    """Bytes of a component or a patch on this disk, and which of the pins they are."""

    pin: Pin
    path: Path
    """A tarball, or a patch; its name is its digest."""


def wanted(
    recipe: Recipe, platform: Platform, components: Collection[str] | None = None
) -> dict[str, tuple[Pin, ...]]:
    """The pins that serve `platform`, by name: of `components`, or of all that the recipe has,
    and of the published patches that those need."""
    found = {}
    for name in recipe.components:
        if components is None or name in components:
            found[name] = _serving(recipe.pins(name), platform)
            for patch in recipe.fixes(name):
                found[patch.name] = _serving(recipe.book.pins[patch.name, patch.commit], platform)
    return found


def obtain(
    pins: Mapping[str, Sequence[Pin]], cache: Path, host: Host, reporter: Reporter
) -> dict[str, Obtained]:
    """One of the pins of each name, several at once.

    Raises:
        NetworkError: neither upstream nor the host's archive could be reached, or has them.
        IntegrityError: some place gave other bytes than the pinned ones.
    """
    place = cache / "sha256"

    def waiting() -> None:
        reporter.step("waiting for another toolman (downloads)")

    with store.locked(cache / "locks", "sources", waiting):
        found = dict(_cached(pins, place))
        missing = {name: pins[name] for name in pins if name not in found}
        trouble = _from_upstream(missing, place, reporter)
        if trouble and offline.on():
            raise offline.lacking([_missing(pins[name], place) for name in trouble])
        if trouble:
            missing = {name: pins[name] for name in trouble}
            reporter.step(f"upstream: {_said(trouble)}; asking Debian's archive")
            try:
                archived.obtain(missing, cache, host, reporter)
            except (NetworkError, InputError) as error:
                raise _unreachable(trouble, error) from error
        return dict(_cached(pins, place))


def _serving(pins: Iterable[Pin], platform: Platform) -> tuple[Pin, ...]:
    return tuple(pin for pin in pins if not pin.platforms or platform.name in pin.platforms)


def _cached(pins: Mapping[str, Sequence[Pin]], place: Path) -> Iterator[tuple[str, Obtained]]:
    for name, some in pins.items():
        for pin in some:
            path = place / pin.sha256
            if path.is_file() and sha256(path) == pin.sha256:
                yield name, Obtained(pin=pin, path=path)
                break


def _from_upstream(
    pins: Mapping[str, Sequence[Pin]], place: Path, reporter: Reporter
) -> dict[str, NetworkError]:
    """Download what has URLs; why of those that are not there now, by name."""
    trouble = {name: NetworkError("upstream's is not pinned") for name in pins}
    downloads = [_download(name, some, place) for name, some in pins.items()]
    known = [one for one in downloads if one]
    if not known:
        return trouble
    for one in known:
        del trouble[one.name]
    total = sum(_likely_size(pins[one.name]) for one in known)
    with reporter.bar("downloading sources", total) as advance:
        return trouble | fetch.fetch(known, advance)


def _said(trouble: Mapping[str, NetworkError]) -> str:
    """The different reasons, the names left out where all are of one."""
    reasons = dict.fromkeys(str(error) for error in trouble.values())
    if len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(f"{name}: {error}" for name, error in trouble.items())


def _download(name: str, pins: Sequence[Pin], place: Path) -> fetch.Download | None:
    pin = next((pin for pin in pins if pin.urls), None)
    if pin is None:
        return None
    path = place / pin.sha256
    return fetch.Download(name=name, urls=pin.urls, sha256=pin.sha256, size=pin.size, path=path)


def _missing(pins: Sequence[Pin], place: Path) -> offline.Missing:
    pin = next((pin for pin in pins if pin.urls), pins[0])
    url = web.shown(pin.urls[0]) if pin.urls else f"{pin.filename} of Debian's {pin.debian}"
    return offline.Missing(url=url, sha256=pin.sha256, place=place / pin.sha256)


def _likely_size(pins: Sequence[Pin]) -> int:
    """Bytes of what upstream has; where that is not known, of what Debian makes of it."""
    return next((pin.size for pin in pins if pin.size), 0)


def _unreachable(trouble: Mapping[str, NetworkError], archive: ToolmanError) -> NetworkError:
    return NetworkError(
        f"cannot get {', '.join(trouble)}\n"
        f"  upstream: {_said(trouble)}\n"
        f"  Debian's archive: {archive}",
        hint="check the network; a proxy is taken from HTTPS_PROXY",
    )
