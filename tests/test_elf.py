"""The ELF and archive reader, on files that the host's compiler makes and on damaged ones."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from elf_files import ar, compile_c, header, patch_machine, refused

from toolman.elf import Machine, Member, Report, inspect, machine_of
from toolman.target import platforms

CALLS = {
    "getaddrinfo": (
        "#include <netdb.h>\n"
        'int main(void) { struct addrinfo *a; return getaddrinfo("a", "b", 0, &a); }\n'
    ),
    "gethostbyname": '#include <netdb.h>\nint main(void) { return !gethostbyname("a"); }\n',
    "getpwnam_r": '#include <pwd.h>\nint main(void) { return !getpwnam("a"); }\n',
    "getpwuid_r": "#include <pwd.h>\nint main(void) { return !getpwuid(1); }\n",
    "getgrnam_r": '#include <grp.h>\nint main(void) { return !getgrnam("a"); }\n',
    "getgrgid_r": "#include <grp.h>\nint main(void) { return !getgrgid(1); }\n",
    "getgrouplist": (
        "#include <grp.h>\n"
        'int main(void) { int n = 1; gid_t g; return getgrouplist("a", 1, &g, &n); }\n'
    ),
    "name service": '#include <netdb.h>\nint main(void) { return !getservbyname("a", 0); }\n',
    "iconv_open": '#include <iconv.h>\nint main(void) { return !iconv_open("a", "b"); }\n',
    "dlopen": '#include <dlfcn.h>\nint main(void) { return !dlopen("a", RTLD_NOW); }\n',
}


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_c(tmp_path_factory.mktemp("dynamic"))


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_c(tmp_path_factory.mktemp("static"), "-static")


class TestLinkage:
    def test_static_program(self, static: Path) -> None:
        report = inspect(static)
        assert (report.kind, report.linkage, report.libc) == ("executable", "static", "gnu")
        assert (report.interpreter, report.needed, report.glibc) == (None, (), None)
        assert report.stripped is False

    def test_static_pie_is_no_shared_library(self, tmp_path: Path) -> None:
        report = inspect(compile_c(tmp_path, "-static-pie"))
        assert (report.kind, report.linkage, report.libc) == ("executable", "static-pie", "gnu")

    @pytest.mark.parametrize("flag", ["-pie", "-no-pie"])
    def test_dynamic_program(self, tmp_path: Path, flag: str) -> None:
        report = inspect(compile_c(tmp_path, flag))
        assert (report.kind, report.linkage, report.libc) == ("executable", "dynamic", "gnu")
        assert report.needed == ("libc.so.6",)
        hosts = {
            platform.interp["gnu"]
            for platform in machine_of(Path("/proc/self/exe").resolve()).platforms
        }
        assert {report.interpreter} == hosts

    def test_shared_library(self, tmp_path: Path) -> None:
        report = inspect(compile_c(tmp_path, "-shared", "-fPIC"))
        assert (report.kind, report.linkage) == ("shared library", "dynamic")
        assert report.interpreter is None

    def test_shared_library_that_needs_nothing_is_no_static_pie(self, tmp_path: Path) -> None:
        text = "int one(void) { return 1; }"
        report = inspect(compile_c(tmp_path, "-shared", "-fPIC", "-nostdlib", text=text))
        assert (report.kind, report.linkage, report.needed) == ("shared library", "dynamic", ())

    def test_libc_with_an_interpreter_is_a_shared_library(self) -> None:
        command = ["gcc", "-print-file-name=libc.so.6"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        report = inspect(Path(done.stdout.strip()))
        assert report.interpreter is not None
        assert report.kind == "shared library"

    def test_object(self, tmp_path: Path) -> None:
        report = inspect(compile_c(tmp_path, "-c"))
        assert (report.kind, report.linkage, report.libc) == ("object", None, None)
        assert report.machine == machine_of(Path("/proc/self/exe").resolve())

    def test_refuses_a_core_dump(self, tmp_path: Path) -> None:
        core = tmp_path / "core"
        core.write_bytes(header(62, kind=4))
        assert refused(core).endswith("it is a core dump")

    def test_works_without_section_headers(self, tmp_path: Path, dynamic: Path) -> None:
        data = bytearray(dynamic.read_bytes())
        data[0x28:0x30] = bytes(8)  # e_shoff
        data[0x3C:0x40] = bytes(4)  # e_shnum, e_shstrndx
        bare = tmp_path / "bare"
        bare.write_bytes(data)
        whole, report = inspect(dynamic), inspect(bare)
        assert (report.needed, report.glibc) == (whole.needed, whole.glibc)
        assert report.stripped is True


class TestVersions:
    def test_highest_glibc_is_what_readelf_shows(self, tmp_path: Path) -> None:
        text = "#include <iostream>\nint main() { std::cout << 1; }\n"
        program = compile_c(tmp_path, text=text, compiler="g++")
        report = inspect(program)
        shown = subprocess.run(["readelf", "-VW", program], check=True, capture_output=True)
        for prefix, found in ((b"GLIBC_", report.glibc), (b"GLIBCXX_", report.glibcxx)):
            names = re.findall(rb"Name: " + prefix + rb"([\d.]+)", shown.stdout)
            assert found == max(tuple(map(int, name.split(b"."))) for name in names)

    def test_versions_compare_as_numbers(self, tmp_path: Path) -> None:
        """2.9 is older than 2.28, and the string order says otherwise."""
        text = (
            "int main(void) { extern int a(void), b(void); return a() + b(); }\n"
            '__asm__(".symver a,a@GLIBC_2.9"); __asm__(".symver b,b@GLIBC_2.28");\n'
        )
        (tmp_path / "map").write_text("GLIBC_2.9 { a; }; GLIBC_2.28 { b; };")
        library = "int a(void) { return 0; } int b(void) { return 0; }"
        script = f"-Wl,--version-script={tmp_path / 'map'}"
        compile_c(tmp_path, "-shared", "-fPIC", script, text=library, name="liba.so")
        flags = ("-nostartfiles", "-Wl,-e,main", str(tmp_path / "liba.so"))
        assert inspect(compile_c(tmp_path, *flags, text=text)).glibc == (2, 28)

    def test_relative_relocations_need_2_36(self, tmp_path: Path) -> None:
        (tmp_path / "map").write_text("GLIBC_2.5 { a; }; GLIBC_ABI_DT_RELR { b; };")
        library = "int a(void) { return 0; } int b(void) { return 0; }"
        script = f"-Wl,--version-script={tmp_path / 'map'}"
        compile_c(tmp_path, "-shared", "-fPIC", script, text=library, name="liba.so")
        text = "int main(void) { extern int a(void), b(void); return a() + b(); }\n"
        flags = ("-nostartfiles", "-Wl,-e,main", str(tmp_path / "liba.so"))
        assert inspect(compile_c(tmp_path, *flags, text=text)).glibc == (2, 36)


class TestHardening:
    def test_stack_size(self, tmp_path: Path, dynamic: Path) -> None:
        assert inspect(dynamic).stack_size is None
        assert inspect(compile_c(tmp_path, "-Wl,-z,stack-size=1048576")).stack_size == 1 << 20

    def test_executable_stack(self, tmp_path: Path, dynamic: Path) -> None:
        assert inspect(dynamic).nx is True
        assert inspect(compile_c(tmp_path, "-z", "execstack")).nx is False

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            (["-Wl,-z,norelro"], "none"),
            (["-Wl,-z,relro,-z,lazy"], "partial"),
            (["-Wl,-z,relro,-z,now"], "full"),
        ],
    )
    def test_relro(self, tmp_path: Path, flags: list[str], expected: str) -> None:
        assert inspect(compile_c(tmp_path, *flags)).relro == expected


class TestLibc:
    def test_interpreter_tells_musl(self, tmp_path: Path) -> None:
        flag = "-Wl,--dynamic-linker=/nix/store/x/ld-musl-x86_64.so.1"
        assert inspect(compile_c(tmp_path, flag)).libc == "musl"

    def test_needed_library_tells_musl(self, tmp_path: Path) -> None:
        text = "int one(void) { return 1; }"
        flags = ("-shared", "-fPIC", "-nostdlib")
        compile_c(tmp_path, *flags, "-Wl,-soname,libc.so", text=text, name="libc.so")
        user = "extern int one(void); int two(void) { return one(); }"
        library = compile_c(tmp_path, *flags, str(tmp_path / "libc.so"), text=user, name="lib")
        assert inspect(library).libc == "musl"

    def test_stripped_static_glibc_is_told_by_its_note(self, tmp_path: Path) -> None:
        report = inspect(compile_c(tmp_path, "-static", "-s"))
        assert (report.libc, report.stripped) == ("gnu", True)

    @pytest.mark.parametrize(
        "text",
        [
            "void __init_libc(void) {} void _start(void) { __init_libc(); }",
            'const char text[] = "Not a tty"; void _start(void) {}\n__asm__(".section x");',
        ],
    )
    def test_static_musl_is_told_by_symbol_or_string(self, tmp_path: Path, text: str) -> None:
        strip = ["-s"] if "tty" in text else []
        program = compile_c(tmp_path, "-static", "-nostdlib", *strip, text=text)
        assert inspect(program).libc == "musl"

    def test_program_without_libc_has_none(self, tmp_path: Path) -> None:
        text = "void _start(void) { for (;;) ; }"
        report = inspect(compile_c(tmp_path, "-static", "-nostdlib", text=text))
        assert (report.linkage, report.libc, report.hazards) == ("static", None, ())


class TestHazards:
    def test_plain_static_glibc_has_none(self, static: Path) -> None:
        """glibc 2.36 links `dlopen` into this program too, and nothing calls it."""
        assert inspect(static).hazards == ()

    @pytest.mark.parametrize("name", CALLS)
    def test_named_by_what_is_called(self, tmp_path: Path, name: str) -> None:
        assert inspect(compile_c(tmp_path, "-static", text=CALLS[name])).hazards == (name,)

    def test_found_in_static_pie(self, tmp_path: Path) -> None:
        program = compile_c(tmp_path, "-static-pie", text=CALLS["dlopen"])
        assert inspect(program).hazards == ("dlopen",)

    def test_tail_call_of_dlopen_counts(self, tmp_path: Path) -> None:
        text = (
            "#include <dlfcn.h>\nvoid *f(char *a) { return dlopen(a, 1); }\n"
            "int main(int c, char **v) { return f(v[0]) != 0; }\n"
        )
        program = compile_c(tmp_path, "-static", "-O2", "-fno-inline", text=text)
        assert inspect(program).hazards == ("dlopen",)

    @pytest.mark.parametrize("block", [0, 65534, 131071])
    def test_call_across_the_end_of_a_block_counts(self, tmp_path: Path, block: int) -> None:
        """Code is read in blocks of 64 KiB; a call may begin in one and end in the next."""
        text = (
            f'__asm__(".globl _start, dlopen, __libc_setup_tls; _start: .skip {block}, 0x90;'
            'call dlopen; .skip 200000, 0x90; dlopen: __libc_setup_tls: ret");'
        )
        program = compile_c(tmp_path, "-static", "-nostdlib", text=text)
        assert inspect(program).hazards == ("dlopen",)

    @pytest.mark.parametrize(("word", "expected"), [("94000004", ("dlopen",)), ("94000003", ())])
    def test_arm64_call_of_dlopen_counts(
        self, tmp_path: Path, word: str, expected: tuple[str, ...]
    ) -> None:
        """0x94000004 is `bl .+16`; gcc for arm64 is not at hand, its code is."""
        text = (
            '__asm__(".globl _start, dlopen, __libc_setup_tls; .balign 4; _start: '
            f".long 0x{word}, 0, 0, 0; dlopen: .long 0xd65f03c0; __libc_setup_tls: .long 0"
            '");'
        )
        program = compile_c(tmp_path, "-static", "-nostdlib", text=text)
        patch_machine(program, 183)
        assert inspect(program).hazards == expected

    def test_stripped_name_service_is_told_by_a_string(self, tmp_path: Path) -> None:
        program = compile_c(tmp_path, "-static", "-s", text=CALLS["getaddrinfo"])
        assert inspect(program).hazards == ("name service",)

    def test_dynamic_program_has_none(self, tmp_path: Path) -> None:
        assert inspect(compile_c(tmp_path, text=CALLS["getaddrinfo"])).hazards == ()


class TestMachine:
    @pytest.mark.parametrize("platform", platforms(), ids=str)
    def test_every_platform_is_recognized(self, tmp_path: Path, platform: object) -> None:
        numbers = {"X86_64": 62, "AARCH64": 183, "ARM": 40, "386": 3, "RISCV": 243}
        numbers |= {"PPC64": 21, "S390": 22, "LOONGARCH": 258}
        elf = platform.elf  # type: ignore[attr-defined]
        program = tmp_path / "program"
        made = header(numbers[elf["machine"]], bits=elf["bits"], endian=elf["endian"])
        program.write_bytes(made)
        for machine in (machine_of(program), inspect(program).machine):
            assert machine == Machine(name=elf["machine"], bits=elf["bits"], endian=elf["endian"])
            assert platform in machine.platforms

    def test_arm_stands_for_both_of_its_platforms(self, tmp_path: Path) -> None:
        program = tmp_path / "program"
        program.write_bytes(header(40, bits=32))
        machine = machine_of(program)
        assert str(machine) == "linux/arm"
        assert {p.name for p in machine.platforms} == {"armv6", "armv7"}

    @pytest.mark.parametrize(
        ("number", "bits", "text"),
        [
            (62, 32, "X86_64 (32 bits, little endian)"),  # x32, no platform
            (8, 64, "MIPS (64 bits, little endian)"),
            (0xBEEF, 64, "0xbeef (64 bits, little endian)"),
        ],
    )
    def test_unknown_machine_is_named(
        self, tmp_path: Path, number: int, bits: int, text: str
    ) -> None:
        program = tmp_path / "program"
        program.write_bytes(header(number, bits=bits))
        assert str(machine_of(program)) == text
        assert machine_of(program).platforms == ()


class TestArchive:
    def test_members_with_short_and_long_names(self, tmp_path: Path) -> None:
        one = compile_c(tmp_path, "-c", name="a.o")
        long = one.rename(tmp_path / "a_name_of_more_than_sixteen_letters.o")
        two = compile_c(tmp_path, "-c", name="a.o")
        notes = tmp_path / "notes"
        notes.write_text("no object\n")
        archive = tmp_path / "lib.a"
        subprocess.run(["ar", "rcs", archive, two, long, notes], check=True)
        here = machine_of(two)
        assert inspect(archive) == Report(
            path=archive,
            kind="archive",
            members=(
                Member(name="a.o", machine=here),
                Member(name=long.name, machine=here),
                Member(name="notes", machine=None),
            ),
        )

    def test_libc_of_the_host_lists_what_ar_lists(self) -> None:
        command = ["gcc", "-print-file-name=libc.a"]
        path = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        listed = subprocess.run(["ar", "t", path], check=True, capture_output=True, text=True)
        assert [m.name for m in inspect(Path(path)).members] == listed.stdout.split()

    def test_bsd_names(self, tmp_path: Path) -> None:
        archive = tmp_path / "lib.a"
        name = b"a long name.o\0\0\0"
        table = ("#1/12", b"__.SYMDEF\0\0\0" + bytes(8))
        archive.write_bytes(ar(table, (f"#1/{len(name)}", name + header(183)), ("b.o", b"")))
        members = inspect(archive).members
        assert [member.name for member in members] == ["a long name.o", "b.o"]
        assert [str(member.machine) for member in members] == ["linux/arm64", "None"]

    def test_empty_archive_has_no_members(self, tmp_path: Path) -> None:
        """musl's libm.a is one."""
        archive = tmp_path / "libm.a"
        archive.write_bytes(ar())
        assert inspect(archive) == Report(path=archive, kind="archive")

    def test_name_cannot_command_the_terminal(self, tmp_path: Path) -> None:
        archive = tmp_path / "lib.a"
        archive.write_bytes(ar(("\x1b[31m\n.o/", b"")))
        assert [member.name for member in inspect(archive).members] == [r"\x1b[31m\n.o"]

    def test_refuses_a_thin_archive(self, tmp_path: Path) -> None:
        archive = tmp_path / "lib.a"
        member = compile_c(tmp_path, "-c", name="a.o")
        subprocess.run(["ar", "rcsT", archive, member], check=True)
        assert "it is a thin archive" in refused(archive)

    @pytest.mark.parametrize("keep", [20, 67, 68, 100])
    def test_refuses_a_truncated_archive(self, tmp_path: Path, keep: int) -> None:
        archive = tmp_path / "lib.a"
        archive.write_bytes(ar(("a.o/", header(62)))[:keep])
        assert "damaged archive" in refused(archive)


def test_100_mb_are_read_in_a_moment(tmp_path: Path) -> None:
    assembler = tmp_path / "big.S"
    assembler.write_text(
        ".section .rodata\n.space 104857600, 65\n.section .note.GNU-stack\n", "utf-8"
    )
    program = compile_c(tmp_path, "-static", "-s", str(assembler), text=CALLS["getaddrinfo"])
    assert program.stat().st_size > 100 << 20
    begin = time.monotonic()
    assert inspect(program).hazards == ("name service",)
    assert time.monotonic() - begin < 1
