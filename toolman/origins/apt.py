"""The host's own package archive, through its own `apt-get`, without root.

State is private, so neither the host's package database nor its architectures change:

    <cache>/apt/debs/              downloaded packages, kept
    <cache>/apt/<architecture>/    lists of an architecture that the host does not have
    <cache>/apt/*.bin              apt's own index of the lists
    <cache>/staging/  locks/       downloads under way

The mirror is read from the host's settings and written nowhere but into copies of them.
apt checks the signatures of the lists; the digest of each package, as the signed lists state
it, is checked here as well, for a cache on disk can rot.
"""

from __future__ import annotations

import re
import shutil
import time
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import run, store
from toolman.checkpoint import checkpoint
from toolman.digest import sha256
from toolman.errors import InputError, IntegrityError, NetworkError, ToolmanError
from toolman.origins import apt_sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolman.host import Host
    from toolman.report import Reporter

MAX_AGE = 24 * 3600  # seconds that lists are used before they are fetched again

_HELPER = "/usr/lib/apt/apt-helper"  # of the package apt; not on PATH
_URI = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$")
_ERROR = re.compile(r"^Err:", re.MULTILINE)
_ABSENT = ("Unable to locate package", "has no installation candidate", "unmet dependencies")
_UNSIGNED = ("is not signed", "NO_PUBKEY", "GPG error", "invalid signature")
_NETWORK = ("Failed to fetch", "Unable to fetch", "failed to download", "Release file")
_FORGED = ("Hash Sum mismatch", "unexpected size", *_UNSIGNED)


class AbsentError(InputError):
    """The archive does not hold what was asked for."""


class StaleError(NetworkError):
    """The lists are older than the archive: they name a package that it no longer has."""


@dataclass(frozen=True, kw_only=True)
class Deb:
    """A package of the archive, as its signed lists state it."""

    name: str
    version: str
    architecture: str
    uri: str
    file: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Archive:
    """The archive as seen for one architecture beside the host's own."""

    cache: Path
    host: Host
    architecture: str | None = None
    """A foreign one, as Debian names it; None: the host's alone."""
    sources: bool = False
    """Whether source packages are wanted too."""

    @property
    def debs(self) -> Path:
        return self.cache / "apt" / "debs"

    def closure(self, packages: Sequence[str], reporter: Reporter) -> list[Deb]:
        """`packages` and all that they depend on, down to libc.

        Raises:
            AbsentError: the archive lacks one of them.
            NetworkError: the lists could not be fetched.
            IntegrityError: the lists' signature is wrong.
        """
        private = self.architecture or self.sources or self._lists().exists()
        if not private and self._host_lists():
            try:
                return self._resolve(packages, [])
            except ToolmanError:
                reporter.detail("the host's package lists do not suffice")
        with self.alone(reporter):
            trouble = None if self._is_fresh() else self._update(reporter)
            try:
                return self._resolve(packages, self._private_options())
            except AbsentError:
                if trouble:
                    raise trouble from None
                raise

    def source(self, name: str) -> list[Deb]:
        """The files of the source package `name`. Call `closure` before, which has the lists.

        Raises:
            AbsentError: the archive has none.
        """
        return self._uris(["--only-source", "source", name], self._private_options())

    def fetch_source(self, name: str, files: Sequence[Deb], reporter: Reporter) -> None:
        """Download those files, where `has` finds them.

        Raises:
            NetworkError, IntegrityError: one could not be had, or is not what the lists state.
        """
        words = ["--download-only", "--only-source", "source", name]
        argv = ["apt-get", *self._common(), *self._private_options(), *words]
        with self.alone(reporter), store.stage(self.cache / "staging", "apt") as into:
            done = run.run(argv, cwd=into)
            for file in files:
                package = into / file.file
                if not package.exists():
                    raise download_failure(done)
                if sha256(package) != file.sha256:
                    raise IntegrityError(f"{file.file} is not what the signed list states")
                self.keep(package)

    def refresh(self, reporter: Reporter) -> None:
        """Fetch the lists again: they name packages that the archive no longer has."""
        with self.alone(reporter):
            trouble = self._update(reporter)
        if trouble:
            raise trouble

    @contextmanager
    def alone(self, reporter: Reporter) -> Iterator[None]:
        """Be the only toolman that fetches: apt would refuse, or fetch the same bytes twice."""

        def waiting() -> None:
            reporter.step("waiting for another toolman (downloads)")

        with store.locked(self.cache / "locks", "apt", waiting):
            yield

    def has(self, deb: Deb) -> bool:
        """Whether `deb` is downloaded and what the lists state, for a file on disk can rot."""
        try:
            return sha256(self.debs / deb.file) == deb.sha256
        except OSError:
            return False

    @contextmanager
    def fetch(self, debs: Sequence[Deb]) -> Iterator[tuple[Path, run.Running]]:
        """Start to download `debs` into a directory of its own, where the files grow.

        Not into `self.debs`, for an apt-get whose toolman was killed goes on for a while.
        """
        # `apt-get download` would read all the lists again.
        words = [_HELPER, *self._common(), "download-file"]
        for deb in debs:
            words += [deb.uri, deb.file, f"SHA256:{deb.sha256}"]
        with (
            store.stage(self.cache / "staging", "apt") as into,
            run.start(words, cwd=into) as process,
        ):
            yield into, process

    def keep(self, package: Path) -> None:
        """Put a verified package where `has` finds it, in one step; apt may not be done with it."""
        kept = package.with_suffix(".kept")
        try:
            kept.hardlink_to(package)
        except OSError:  # not every file system has hard links
            shutil.copy2(package, kept)
        kept.replace(self.debs / package.name)

    def _resolve(self, packages: Sequence[str], options: Sequence[str]) -> list[Deb]:
        return self._uris(["--yes", "--no-install-recommends", "install", *packages], options)

    def _uris(self, words: Sequence[str], options: Sequence[str]) -> list[Deb]:
        common = [*self._common(), "-o", "Acquire::ForceHash=SHA256"]
        done = run.run(["apt-get", *common, *options, "--print-uris", *words])
        if done.code:
            raise failure("apt-get", done)
        found = (_URI.match(line) for line in done.out.splitlines())
        return [_deb(match) for match in found if match]

    def _common(self) -> list[str]:
        # Given as -o, for they must win over the host's own settings, which may say
        # that apt is to keep no index (Debian's container images do).
        self.debs.mkdir(parents=True, exist_ok=True)
        name = self._name
        cache = self.cache / "apt"
        settings: dict[str, str | Path] = {
            "Dir::State::status": "/dev/null",
            "Dir::Cache": cache,
            # Empty, for apt names no package that it finds there.
            "Dir::Cache::archives": cache / "none",
            "Dir::Cache::pkgcache": cache / f"{name}.bin",
            "Dir::Cache::srcpkgcache": cache / f"{name}-src.bin",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
        }
        return _options(settings)

    def _lists(self) -> Path:
        return self.cache / "apt" / self._name / "lists"

    @property
    def _name(self) -> str:
        return (self.architecture or "host") + ("-source" if self.sources else "")

    def _private_options(self) -> list[str]:
        state = self._lists().parent
        settings: dict[str, str | Path] = {
            "Dir::State": state,
            "Dir::State::lists": self._lists(),
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": state / "sources",
        }
        native = self.host.platform.debian or ""
        architectures = [native, self.architecture] if self.architecture else [native]
        settings["APT::Architectures"] = ",".join(architectures)
        return _options(settings)

    @property
    def _stamp(self) -> Path:
        return self._lists().parent / "fetched"

    def _is_fresh(self) -> bool:
        try:
            return time.time() - self._stamp.stat().st_mtime < MAX_AGE
        except OSError:
            return False

    def _update(self, reporter: Reporter) -> ToolmanError | None:
        """Fetch the private lists. What could not be fetched is left out by apt, and returned.

        A mirror in the midst of its own update has lists that do not fit their signature, most
        often those of one suite; the others may well hold all that is needed.

        Raises:
            IntegrityError: a list is not signed by the distribution.
        """
        reporter.step("fetching the package lists of the host's archive")
        self._seed()
        done = run.run(["apt-get", *self._common(), *self._private_options(), "update"])
        checkpoint("after-lists")
        if not done.code and not _ERROR.search(done.out):
            self._stamp.touch()
            return None
        trouble = failure("apt-get update", done, forged=_UNSIGNED)
        if isinstance(trouble, IntegrityError):
            raise trouble
        reporter.step(f"warning: {trouble}; going on without it")
        return trouble

    def _seed(self) -> None:
        """Begin with what the host has: apt then fetches only what is new or missing."""
        lists = self._lists()
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        sources = lists.parent / "sources"
        shutil.rmtree(sources, ignore_errors=True)
        sources.mkdir()
        found = {
            path: apt_sources.official(path, self.host.codename) for path in apt_sources.files()
        }
        if not any(text.strip() for text in found.values()):
            message = f"apt's sources name no archive of {self.host.codename or self.host.system}"
            raise InputError(message, hint="see: /etc/apt/sources.list, and sources.list.d beside")
        for number, (path, text) in enumerate(found.items()):
            text = apt_sources.with_sources(text) if self.sources else text
            (sources / f"{number}{path.suffix}").write_text(text, "utf-8")
        host_lists = self._host_lists()
        for path in host_lists:
            if not (lists / path.name).exists():
                # A half of a list would pass for the whole: apt does not look at it again.
                part = lists / "partial" / path.name
                shutil.copy2(path, part)
                checkpoint("mid-seed")
                part.replace(lists / path.name)

    def _host_lists(self) -> list[Path]:
        where = Path(apt_sources.setting("Dir::State::lists/d"))
        try:
            return [path for path in where.iterdir() if path.is_file() and path.stat().st_size]
        except OSError:
            return []


def failure(command: str, done: run.Finished, forged: Sequence[str] = _FORGED) -> ToolmanError:
    """What a failed apt-get means for the user; `forged` are the words for wrong bytes.

    Raises:
        OSError: the disk is full.
    """
    run.check_disk(done)
    said = [line for line in (done.err + done.out).splitlines() if line.startswith(("E:", "Err:"))]
    text = said[0].removeprefix("E:").strip() if said else f"exit {done.code}"
    everything = done.out + done.err
    if any(word in everything for word in forged):
        return IntegrityError(f"{command}: {text}", hint="the mirror or the cache is damaged")
    if any(word in everything for word in _ABSENT):
        return AbsentError(f"the host's archive lacks it ({text})")
    if _ERROR.search(done.out) or any(word in everything for word in _NETWORK):
        return NetworkError(f"{command}: {text}", hint="check the network and apt's sources")
    return ToolmanError(f"{command} failed: {text}")


def download_failure(done: run.Finished) -> ToolmanError:
    """The same of a download by apt, where a file that is gone tells of lists that are old."""
    found = failure("apt's download", done)
    if "  404  " in done.out + done.err:
        return StaleError(str(found), hint="the package lists are too old: try again")
    return found


def available() -> bool:
    """Whether this host has apt and dpkg."""
    return bool(run.which("apt-get") and run.which("dpkg-deb"))


def _deb(match: re.Match[str]) -> Deb:
    if not match["file"].endswith(".deb"):
        return _source_file(match)
    name, version, architecture = match["file"].removesuffix(".deb").split("_")
    return Deb(
        name=name,
        version=urllib.parse.unquote(version),
        architecture=architecture,
        uri=match["uri"],
        file=match["file"],
        size=int(match["size"]),
        sha256=match["sha256"],
    )


def _source_file(match: re.Match[str]) -> Deb:
    name, _, rest = match["file"].partition("_")
    version = re.sub(r"\.(dsc|orig|debian|tar).*$", "", rest)
    return Deb(
        name=name,
        version=version,
        architecture="source",
        file=match["file"],
        size=int(match["size"]),
        sha256=match["sha256"],
        uri=match["uri"],
    )


def _options(settings: dict[str, str | Path]) -> list[str]:
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
