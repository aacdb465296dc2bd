"""`toolman verify` as it is called: what it prints, and its exit code as a gate."""

from __future__ import annotations

import json
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from toolman import cli

if TYPE_CHECKING:
    from pathlib import Path

HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'
DLOPEN = '#include <dlfcn.h>\nint main(void) { return !dlopen("a", RTLD_NOW); }\n'
LOOKUP = (
    "#include <netdb.h>\n"
    'int main(void) { struct addrinfo *a; return getaddrinfo("a", "b", 0, &a); }\n'
)
ARM64 = 183


class Files:
    """One of each kind of file, compiled for the tests of this module."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.dynamic = self.compiled("dynamic")
        self.static = self.compiled("static", "-static")
        self.object = self.compiled("object.o", "-c")
        self.text = directory / "text"
        self.text.write_text("hello\n")

    def compiled(self, name: str, *flags: str, text: str = HELLO) -> Path:
        source, made = self.directory / f"{name}.c", self.directory / name
        source.write_text(text)
        subprocess.run(["gcc", "-w", source, "-o", made, *flags], check=True, capture_output=True)
        return made

    def for_machine(self, of: Path, number: int, name: str) -> Path:
        """A copy that says it is for another machine."""
        data = bytearray(of.read_bytes())
        data[18:20] = struct.pack("<H", number)
        made = self.directory / name
        made.write_bytes(data)
        return made

    def archive(self, name: str, *members: Path) -> Path:
        made = self.directory / name
        made.unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", made, *members], check=True)
        return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("files"))


class Said:
    """What one call printed, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: str | Path) -> None:
        self.code = cli.main(["verify", *map(str, words)])
        self.out, self.err = capsys.readouterr()

    @property
    def errors(self) -> list[str]:
        return self.err.splitlines()


def test_shows_what_a_program_is(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, files.dynamic)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == str(files.dynamic)
    rows = dict(line.split(maxsplit=1) for line in lines[1:])
    assert rows["kind"] == "executable, dynamic"
    assert rows["needs"] == "libc.so.6"
    assert rows["versions"].startswith("GLIBC_2.")
    assert rows["stack"] == "the system's default"
    assert len({line.index(line.split(maxsplit=1)[1], 14) for line in lines[1:]}) == 1


def test_shows_what_a_program_was_linked_with(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("-static", "-z", "execstack", "-Wl,-z,stack-size=2097152,-z,norelro")
    said = Said(capsys, files.compiled("loose", *flags, text=LOOKUP))
    assert said.code == 0
    assert "  stack       2 MiB\n" in said.out
    assert "  hardening   RELRO none, stack EXECUTABLE\n" in said.out
    assert "  caution     getaddrinfo loads libnss_* of the very same glibc" in said.out


def test_quiet_prints_only_failures(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "-q", "--static", files.static, files.dynamic)
    assert (said.code, said.out, len(said.errors)) == (1, "", 1)


class TestStatic:
    @pytest.mark.parametrize("flag", ["-static", "-static-pie"])
    def test_static_program_passes(
        self, files: Files, capsys: pytest.CaptureFixture[str], flag: str
    ) -> None:
        assert Said(capsys, "--static", files.compiled("program", flag)).code == 0

    def test_dynamic_program_fails_with_its_interpreter(
        self, files: Files, capsys: pytest.CaptureFixture[str]
    ) -> None:
        linker = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"
        program = files.compiled("program", linker)
        said = Said(capsys, "--static", program)
        expected = f"error: {program}: dynamic: needs /lib/ld-musl-x86_64.so.1"
        assert (said.code, said.errors) == (1, [expected])

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (LOOKUP, "static, but getaddrinfo loads libnss_* of the very same glibc at run time"),
            (DLOPEN, "static, but dlopen loads libraries of the very same glibc at run time"),
        ],
    )
    def test_static_glibc_that_loads_libraries_fails(
        self, files: Files, capsys: pytest.CaptureFixture[str], text: str, reason: str
    ) -> None:
        program = files.compiled("program", "-static", text=text)
        said = Said(capsys, "--static", program)
        assert (said.code, said.errors) == (1, [f"error: {program}: {reason}"])

    def test_what_is_no_program_fails(
        self, files: Files, capsys: pytest.CaptureFixture[str]
    ) -> None:
        library = files.compiled("lib.so", "-shared", "-fPIC")
        archive = files.archive("lib.a", files.object)
        said = Said(capsys, "--static", library, files.object, archive)
        assert said.code == 1
        assert [line.rsplit(": ", 1)[1] for line in said.errors] == [
            "it is a shared library",
            "it is an object",
            "it is an archive",
        ]


class TestArch:
    @pytest.mark.parametrize("word", ["linux/arm64", "arm64-gnu", "aarch64-linux-gnu", "ARM64"])
    def test_any_spelling_of_its_target_passes(
        self, files: Files, capsys: pytest.CaptureFixture[str], word: str
    ) -> None:
        program = files.for_machine(files.static, ARM64, "arm64")
        assert Said(capsys, "--arch", word, program).code == 0

    def test_another_machine_fails(self, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
        program = files.for_machine(files.static, ARM64, "arm64")
        said = Said(capsys, "--arch", "riscv64-musl", program)
        expected = f"error: {program}: built for linux/arm64, not for linux/riscv64"
        assert (said.code, said.errors) == (1, [expected])

    def test_another_libc_fails(self, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
        program = files.for_machine(files.static, ARM64, "arm64")
        said = Said(capsys, "--arch", "arm64-musl", program)
        expected = f"error: {program}: built for arm64-gnu, not for arm64-musl"
        assert (said.code, said.errors) == (1, [expected])

    def test_unknown_target_is_bad_input(
        self, files: Files, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = Said(capsys, "--arch", "arm46", files.static)
        assert (said.code, said.out) == (2, "")
        assert said.errors[0] == "error: unknown target 'arm46'"


class TestArchives:
    @pytest.fixture
    def mixed(self, files: Files) -> Path:
        others = [files.for_machine(files.object, ARM64, f"arm{n}.o") for n in range(5)]
        return files.archive("mixed.a", files.text, files.object, *others)

    def test_mixed_machines_fail_without_being_asked(
        self, mixed: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = Said(capsys, mixed)
        assert said.code == 1
        assert "most members are for linux/arm64, but object.o (" in said.errors[0]
        assert "  members     5 linux/arm64, 1 " in said.out

    def test_wrong_members_are_named(self, mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = Said(capsys, "--arch", "s390x", mixed)
        assert said.code == 1
        assert len(said.errors) == 1
        assert "arm0.o (linux/arm64), arm1.o (linux/arm64) and 3 more are" in said.errors[0]
        assert said.errors[0].endswith("not for linux/s390x")

    def test_members_of_one_machine_pass(
        self, files: Files, capsys: pytest.CaptureFixture[str]
    ) -> None:
        member = files.for_machine(files.object, ARM64, "arm.o")
        archive = files.archive("arm.a", member, files.text)
        assert Said(capsys, "--arch", "linux/arm64", archive).code == 0

    def test_empty_archive_fits_every_machine(
        self, files: Files, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert Said(capsys, "--arch", "linux/arm64", files.archive("libm.a")).code == 0


class TestMaxGlibc:
    @pytest.fixture
    def program(self, files: Files) -> Path:
        """It needs GLIBC_2.9, of a library made for that."""
        script = files.directory / "map"
        script.write_text("GLIBC_2.9 { a; };")
        flags = ("-shared", "-fPIC", "-nostdlib", f"-Wl,--version-script={script}")
        library = files.compiled("liba.so", *flags, text="int a(void) { return 0; }")
        text = "int a(void); void _start(void) { a(); }"
        return files.compiled("old", "-nostdlib", str(library), text=text)

    @pytest.mark.parametrize("limit", ["2.9", "2.28", "2.9.1", "3.0"])
    def test_older_need_passes(
        self, program: Path, capsys: pytest.CaptureFixture[str], limit: str
    ) -> None:
        assert Said(capsys, "--max-glibc", limit, program).code == 0

    @pytest.mark.parametrize("limit", ["2.8", "2.2.5", "1.99"])
    def test_newer_need_fails(
        self, program: Path, capsys: pytest.CaptureFixture[str], limit: str
    ) -> None:
        said = Said(capsys, "--max-glibc", limit, program)
        expected = f"error: {program}: needs GLIBC_2.9, newer than {limit}"
        assert (said.code, said.errors) == (1, [expected])

    def test_static_program_passes(self, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
        assert Said(capsys, "--max-glibc", "2.0", files.static).code == 0

    def test_object_cannot_tell(self, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
        said = Said(capsys, "--max-glibc", "2.28", files.object)
        assert said.code == 1
        assert "an object names no glibc version" in said.errors[0]

    @pytest.mark.parametrize("word", ["", "2", "2.x", "2.28-1", "٢.٣", "2.28.1.1"])
    def test_invalid_version_is_bad_input(
        self, files: Files, capsys: pytest.CaptureFixture[str], word: str
    ) -> None:
        said = Said(capsys, "--max-glibc", word, files.dynamic)
        assert said.code == 2
        assert said.errors[0] == f"error: --max-glibc: '{word}' is no version"


def test_all_files_are_checked_and_bad_input_wins(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = files.directory / "missing"
    said = Said(capsys, "--static", files.text, missing, files.dynamic, files.static)
    assert said.code == 2
    assert [line.split(": ")[1] for line in said.errors] == [
        str(files.text),
        str(missing),
        str(files.dynamic),
    ]
    assert f"{files.static}\n  kind        executable, static\n" in said.out


def test_no_file_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert Said(capsys).code == 2


def test_json(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    program = files.for_machine(files.static, ARM64, "arm64")
    archive = files.archive("lib.a", files.text)
    said = Said(capsys, "--json", "--static", program, files.text, archive)
    assert said.code == 2
    values = json.loads(said.out)
    assert values["schema"] == 1
    good, bad, listed = values["files"]
    assert good == {
        "path": str(program),
        "ok": True,
        "failures": [],
        "error": None,
        "kind": "executable",
        "linkage": "static",
        "machine": {
            "name": "AARCH64",
            "bits": 64,
            "endian": "little",
            "platforms": ["linux/arm64"],
        },
        "libc": "gnu",
        "interpreter": None,
        "needed": [],
        "glibc": None,
        "glibcxx": None,
        "stack_size": None,
        "relro": "partial",
        "nx": True,
        "stripped": False,
        "hazards": [],
        "members": [],
    }
    assert bad == {
        "path": str(files.text),
        "ok": False,
        "failures": [],
        "error": f"{files.text}: not an ELF file or archive: it is text",
    }
    assert listed["members"] == [{"name": "text", "machine": None}]
    assert listed["failures"] == ["not a static program: it is an archive"]
