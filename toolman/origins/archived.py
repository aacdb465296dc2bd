"""Sources out of the packages of Debian's archive, whatever release the host is.

Only the lists of the suites that pins name are fetched. The packages themselves are not kept:
what is pinned is inside.
"""

from __future__ import annotations

import shutil
import time
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from toolman import tarball
from toolman.digest import sha256
from toolman.errors import AbsentError, InputError, IntegrityError
from toolman.origins import apt, deb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from toolman.host import Host
    from toolman.origins.apt import Archive
    from toolman.origins.deb import Deb
    from toolman.pin import Pin
    from toolman.report import Reporter
    from toolman.run import Running

_POLL = 0.1  # seconds between looks at the download


def obtain(pins: Mapping[str, Sequence[Pin]], cache: Path, host: Host, reporter: Reporter) -> None:
    """Put into `<cache>/sha256/` one of the pins of each name that are Debian's.

    Raises:
        InputError: this host has no apt, or the archive lacks one of them.
        NetworkError: the lists or a package could not be fetched.
        IntegrityError: a package is not as the signed lists state, or its contents not as pinned.
    """
    if not apt.available():
        raise InputError("this host has no apt-get and dpkg-deb")
    left = {name: [pin for pin in some if pin.suite] for name, some in pins.items()}
    absent = {name: AbsentError(f"no package is pinned for {pins[name][0]}") for name in pins}
    while left:
        for name, some in left.items():
            if not some:
                raise absent[name]
        heads = {name: some.pop(0) for name, some in left.items()}
        absent = {}
        for suite in dict.fromkeys(pin.suite for pin in heads.values()):
            archive = apt.Archive(cache=cache, host=host, suite=suite, sources=True)
            group = {name: pin for name, pin in heads.items() if pin.suite == suite}
            absent |= _from_suite(archive, group, reporter)
        left = {name: left[name] for name in absent}


def _from_suite(
    archive: Archive, pins: Mapping[str, Pin], reporter: Reporter
) -> dict[str, AbsentError]:
    """Fetch and unpack `pins`; why of those that the suite lacks, by name."""
    try:
        return _fetch(archive, pins, reporter)
    except apt.StaleError:
        archive.refresh(reporter)
        return _fetch(archive, pins, reporter)


def _look_up(
    archive: Archive, pins: Mapping[str, Pin], reporter: Reporter
) -> tuple[dict[str, Deb], dict[str, AbsentError]]:
    """The package of each pin, and why of those that have none, by name."""
    try:
        return _packages(archive, pins, reporter), {}
    except AbsentError as error:
        if len(pins) == 1:
            return {}, dict.fromkeys(pins, error)
    found: dict[str, Deb] = {}
    absent: dict[str, AbsentError] = {}
    for name, pin in pins.items():
        one, none = _look_up(archive, {name: pin}, reporter)
        found |= one
        absent |= none
    return found, absent


def _packages(archive: Archive, pins: Mapping[str, Pin], reporter: Reporter) -> dict[str, Deb]:
    binary = {pin.debian: None for pin in pins.values() if pin.debian and not pin.file}
    files = {pin.file: pin.debian for pin in pins.values() if pin.debian and pin.file}
    debs = archive.packages(list(binary), reporter) if binary else []
    debs += archive.source_files(files, reporter) if files else []
    return {name: next(one for one in debs if _holds(one, pin)) for name, pin in pins.items()}


def _holds(package: Deb, pin: Pin) -> bool:
    return fnmatch(package.file, pin.file) if pin.file else package.name == pin.debian


def _fetch(archive: Archive, pins: Mapping[str, Pin], reporter: Reporter) -> dict[str, AbsentError]:
    found, absent = _look_up(archive, pins, reporter)
    debs = list({one.file: one for one in found.values()}.values())
    if not debs:
        return absent
    with (
        archive.alone(reporter),
        reporter.bar("downloading packages", sum(one.size for one in debs)) as advance,
        archive.fetch(debs) as (into, process),
    ):
        _wait(process, [into / one.file for one in debs], advance)
        for name, package in found.items():
            try:
                _unpack(into / package.file, package, pins[name], archive.cache)
            except AbsentError as error:
                absent[name] = error
    return absent


def _wait(process: Running, files: Sequence[Path], advance: Callable[[int], object]) -> None:
    shown = 0
    while not process.ended():
        time.sleep(_POLL)
        grown = sum(_size(file) for file in files)
        advance(grown - shown)
        shown = grown
    done = process.finish()
    if done.code:
        raise apt.download_failure(done)


def _unpack(file: Path, package: Deb, pin: Pin, cache: Path) -> None:
    """Put what is pinned of a downloaded package where it belongs."""
    if sha256(file) != package.sha256:
        raise IntegrityError(f"{package.file} is not what the archive's signed list states")
    place = cache / "sha256" / pin.sha256
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    try:
        _take(file, pin, part)
        if sha256(part) != pin.sha256:
            raise IntegrityError(
                f"{pin}: {pin.filename} of {package.file} has not the pinned sha256 {pin.sha256}"
            )
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _take(file: Path, pin: Pin, part: Path) -> None:
    contents = file
    if not pin.file:
        contents = file.with_suffix(".tar")
        deb.copy_contents(file, contents)
    if pin.member is None:
        shutil.copyfile(contents, part)
        return
    try:
        tarball.copy(contents, pin.member, part)
    except KeyError:
        raise AbsentError(f"{file.name} holds no {pin.member}") from None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
