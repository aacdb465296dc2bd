"""The host's own package archive, through its own `apt-get`, without root.

State is private, so neither the host's package database nor its architectures change:

    <cache>/apt/debs/              downloaded packages, kept
    <cache>/apt/<architecture>/    lists of an architecture that the host does not have
    <cache>/apt/suite-<suite>/     lists of another release of the same distribution
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
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import offline, run, store, web
from toolman.checkpoint import checkpoint
from toolman.digest import sha256
from toolman.errors import (
    AbsentError,
    InputError,
    IntegrityError,
    NetworkError,
    ToolmanError,
)
from toolman.origins import apt_sources, deb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolman.host import Host
    from toolman.origins.deb import Deb as Deb  # part of this module's interface too
    from toolman.report import Reporter

MAX_AGE = 24 * 3600  # seconds that lists are used before they are fetched again

_HELPER = "/usr/lib/apt/apt-helper"  # of the package apt; not on PATH
_ERROR = re.compile(r"^Err:", re.MULTILINE)
_ABSENT = (
    "Unable to locate",
    "Unable to find a source package",
    "has no installation candidate",
    "unmet dependencies",
)
_UNSIGNED = ("is not signed", "NO_PUBKEY", "GPG error", "invalid signature")
_NETWORK = ("Failed to fetch", "Unable to fetch", "failed to download", "Release file")
_FORGED = ("Hash Sum mismatch", "unexpected size", *_UNSIGNED)


class StaleError(NetworkError):
    """The lists are older than the archive: they name a package that it no longer has."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """The archive as seen for one architecture beside the host's own."""

    cache: Path
    host: Host
    architecture: str | None = None
    """A foreign one, as Debian names it; None: the host's alone."""
    sources: bool = False
    """Whether source packages are wanted too."""
    suite: str | None = None
    """Another release of the same distribution, as `trixie`; None: the host's."""

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
        with self.alone(reporter), self._lists_at_hand(reporter):
            return self._resolve(packages, self._private_options())

    def packages(self, names: Sequence[str], reporter: Reporter) -> list[Deb]:
        """The packages of these names, without what they depend on.

        Raises:
            AbsentError, NetworkError, IntegrityError: as `closure`.
        """
        with self.alone(reporter), self._lists_at_hand(reporter):
            return self._uris(["download", *names], self._private_options())

    def source_files(self, files: Mapping[str, str], reporter: Reporter) -> list[Deb]:
        """Files of source packages: `files` are patterns of their names (fnmatch), each with the
        name of the package. An archive holds several versions of some.

        Raises:
            AbsentError, NetworkError, IntegrityError: as `closure`.
        """
        with self.alone(reporter), self._lists_at_hand(reporter):
            argv = ["apt-cache", *self._common(), *self._private_options(), "showsrc"]
            done = run.run([*argv, *dict.fromkeys(files.values())])
            if done.code:
                raise failure("apt-cache", done)
            words = {_holder(done.out, package, file) for file, package in files.items()}
            every = self._uris(["--only-source", "source", *words], self._private_options())
            return [one for one in every if any(fnmatch(one.file, file) for file in files)]

    def source(self, name: str) -> list[Deb]:
        """The files of the source package `name`. Call `closure` before, which has the lists.

        Raises:
            AbsentError: the archive has none.
            NetworkError: offline, and there is no list of source packages.
        """
        try:
            return self._uris(["--only-source", "source", name], self._private_options())
        except ToolmanError as error:
            if offline.on():  # then the lists may be the host's, which are of binary packages
                raise offline.refused("the list of source packages") from error
            raise

    def fetch_source(self, name: str, files: Sequence[Deb], reporter: Reporter) -> None:
        """Download those files, where `has` finds them.

        Raises:
            NetworkError, IntegrityError: one could not be had, or is not what the lists state.
        """
        self._refuse_offline([file for file in files if not self.has(file)])
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

    def has(self, package: Deb) -> bool:
        """Whether `package` is downloaded and what the lists state, for a file on disk can rot."""
        try:
            return sha256(self.debs / package.file) == package.sha256
        except OSError:
            return False

    @contextmanager
    def fetch(self, debs: Sequence[Deb]) -> Iterator[tuple[Path, run.Running]]:
        """Start to download `debs` into a directory of its own, where the files grow.

        Not into `self.debs`, for an apt-get whose toolman was killed goes on for a while.
        """
        self._refuse_offline(debs)
        # `apt-get download` would read all the lists again.
        words = [_HELPER, *self._common(), "download-file"]
        for one in debs:
            words += [one.uri, one.file, f"SHA256:{one.sha256}"]
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

    def _refuse_offline(self, debs: Sequence[Deb]) -> None:
        missing = [
            offline.Missing(url=web.shown(one.uri), sha256=one.sha256, place=self.debs / one.file)
            for one in debs
        ]
        if missing and offline.on():
            raise offline.lacking(missing)

    @contextmanager
    def _lists_at_hand(self, reporter: Reporter) -> Iterator[None]:
        """Fetch the private lists if they are old; what is missing from them may be in those
        that could not be fetched."""
        trouble = None if self._is_fresh() else self._update(reporter)
        try:
            yield
        except AbsentError:
            if trouble:
                raise trouble from None
            raise

    def _resolve(self, packages: Sequence[str], options: Sequence[str]) -> list[Deb]:
        return self._uris(["--yes", "--no-install-recommends", "install", *packages], options)

    def _uris(self, words: Sequence[str], options: Sequence[str]) -> list[Deb]:
        common = [*self._common(), "-o", "Acquire::ForceHash=SHA256"]
        # apt names no package that lies in the working directory.
        nowhere = self.cache / "apt" / "none"
        nowhere.mkdir(exist_ok=True)
        done = run.run(["apt-get", *common, *options, "--print-uris", *words], cwd=nowhere)
        if done.code:
            raise failure("apt-get", done)
        return deb.listed(done.out)

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
            # Of another suite little is asked, and apt's index is as large as the lists.
            "Dir::Cache::pkgcache": "" if self.suite else cache / f"{name}.bin",
            "Dir::Cache::srcpkgcache": "" if self.suite else cache / f"{name}-src.bin",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Retries": "2",
        }
        return _options(settings)

    def _lists(self) -> Path:
        return self.cache / "apt" / self._name / "lists"

    @property
    def _name(self) -> str:
        name = f"suite-{self.suite}" if self.suite else self.architecture or "host"
        return name + ("-source" if self.sources else "")

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
        of = f"{self.suite}, in the host's archive" if self.suite else "the host's archive"
        if offline.on():
            if not self._lists().exists():
                self._seed()  # with those of the host, which may suffice
            return offline.refused(f"the package list of {of}")
        reporter.step(f"fetching the package lists of {of}")
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
            text = apt_sources.of_suite(text, self.suite) if self.suite else text
            text = apt_sources.with_sources(text) if self.sources else text
            (sources / f"{number}{path.suffix}").write_text(text, "utf-8")
        host_lists = self._host_lists()
        for path in host_lists:
            ours = not self.suite or f"_dists_{self.suite}_" in path.name
            if ours and not (lists / path.name).exists():
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


def _holder(stanzas: str, package: str, file: str) -> str:
    version = deb.version_with(stanzas, package, file)
    if version is None:
        raise AbsentError(f"the archive has no {file} of {package}")
    return f"{package}={version}"


def _options(settings: dict[str, str | Path]) -> list[str]:
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
