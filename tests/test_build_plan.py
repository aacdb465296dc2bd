"""The procedure of a cross GCC as values: steps, their order, their flags. Nothing is run."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toolman import recipe
from toolman.build import plan as procedure
from toolman.build.blueprint import Blueprint, Source
from toolman.target import Target, parse, targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolman.build.layout import Layout
    from toolman.build.step import Command, Step

CACHE = Path("/made/cache")
TARBALLS = Path("/fetched/sha256")
COMPONENTS = ("gcc", "binutils", "gmp", "mpfr", "mpc", "linux-headers", "musl", "glibc", "mimalloc")
LANGUAGES = [("c",), ("c", "c++", "gccgo", "fortran")]
EVERY = [(target, languages) for target in targets() for languages in LANGUAGES]
every = pytest.mark.parametrize(
    ("target", "languages"), EVERY, ids=[f"{one}-{some[-1]}" for one, some in EVERY]
)
SOURCES = {
    name: Source(version="14.2.0", file=TARBALLS / name, sha256=f"digest of {name}")
    for name in COMPONENTS
}


def blueprint(target: Target | str = "arm64-musl", **changes: object) -> Blueprint:
    """What is to be built, with C and C++ unless `changes` says otherwise."""
    target = parse(target) if isinstance(target, str) else target
    assert isinstance(target, Target)
    other = "glibc" if target.libc == "musl" else "musl"
    sources = {name: one for name, one in SOURCES.items() if name != other}
    values = {"languages": ("c", "c++"), "sources": sources, "cc": "/usr/bin/gcc", **changes}
    return Blueprint(target=target, **values)  # type: ignore[arg-type]


def steps(plan: Blueprint, cache: Path = CACHE) -> dict[str, Step]:
    """By name."""
    found = procedure.steps(plan, procedure.layout(plan, cache))
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def layout(plan: Blueprint) -> Layout:
    return procedure.layout(plan, CACHE)


def before(name: str, every_step: Mapping[str, Step]) -> set[str]:
    """All that is done before the step `name` may begin."""
    needs = every_step[name].needs
    return {*needs}.union(*(before(one, every_step) for one in needs))


def words(command: Command) -> list[str]:
    """All that the program is told."""
    return [*command.argv, *(f"{name}={value}" for name, value in command.env.items())]


def configure(plan: Blueprint, component: str) -> Command:
    """The one call of the component's configure."""
    (found,) = [
        command
        for step in steps(plan).values()
        for command in step.commands
        if command.argv[1:2] == (str(layout(plan).source(component) / "configure"),)
    ]
    return found


def options(plan: Blueprint, component: str) -> list[str]:
    return [*configure(plan, component).argv[2:]]


def made(plan: Blueprint, step: str) -> list[str]:
    """What `make` is told to make in a step."""
    return [
        word
        for command in steps(plan)[step].commands
        if command.argv[0] == "make"
        for word in command.argv[1:]
        if "=" not in word and not word.startswith("-")
    ]


# The order


@every
def test_every_step_can_be_done(target: Target, languages: tuple[str, ...]) -> None:
    found = steps(blueprint(target, languages=languages))
    assert {need for one in found.values() for need in one.needs} <= set(found)
    done: set[str] = set()
    while ready := [one for one in found.values() if one.name not in done and done >= {*one.needs}]:
        done |= {one.name for one in ready}
    assert done == set(found), "the others need each other"


@pytest.mark.parametrize(
    ("libc", "first", "then"),
    [
        ("musl", "sysroot: directories", "linux-headers: installation"),
        ("musl", "linux-headers: installation", "musl: headers"),
        ("musl", "musl: headers", "gcc: libgcc.a"),
        ("musl", "gcc: libgcc.a", "musl: library"),
        ("musl", "gcc: compilers", "musl: objects"),
        ("musl", "musl: objects", "musl: library"),
        ("musl", "musl: library", "gcc: libgcc"),
        ("musl", "mpc: library", "gcc: parts"),
        ("musl", "gcc: parts", "gcc: compilers"),
        ("musl", "binutils: tools", "gcc: compilers"),
        ("gnu", "linux-headers: installation", "glibc: headers"),
        ("gnu", "gcc: compilers", "glibc: headers"),
        ("gnu", "glibc: headers", "gcc: libgcc.a"),
        ("gnu", "gcc: libgcc.a", "glibc: library"),
        ("gnu", "glibc: library", "gcc: libgcc"),
    ],
)
def test_what_is_needed_comes_before(libc: str, first: str, then: str) -> None:
    for target in targets():
        if target.libc == libc:
            assert first in before(then, steps(blueprint(target))), target


def test_what_need_not_wait_does_not() -> None:
    """The longest way is GCC's; the rest goes beside it."""
    found = steps(blueprint())
    assert not before("binutils: tools", found) & {"mpc: library", "linux-headers: installation"}
    assert "gcc: libgcc.a" not in before("musl: objects", found)
    assert "musl: headers" not in before("gcc: compilers", found)
    assert "binutils: tools" not in before("gcc: parts", found)


@every
def test_all_that_is_made_gets_installed(target: Target, languages: tuple[str, ...]) -> None:
    plan = blueprint(target, languages=languages)
    names = {word.removeprefix("all-target-") for word in made(plan, "gcc: libraries")}
    installed = made(plan, "gcc: installation")
    assert {*installed} == {
        "install-gcc",
        *(f"install-target-{name}" for name in names | {"libgcc"}),
    }
    found = steps(plan)
    last = before("gcc: installation", found) | {"gcc: installation"}
    assert set(found) == last, "these would be of no use"


def test_libraries_of_the_languages() -> None:
    def names(*languages: str, target: str = "arm64-musl") -> set[str]:
        words = made(blueprint(target, languages=("c", *languages)), "gcc: libraries")
        return {word.removeprefix("all-target-") for word in words}

    c = {"libatomic", "libgomp"}
    assert names() == c
    assert names("c++") == c | {"libstdc++-v3"}
    assert names("gccgo") == c | {"libbacktrace", "libffi", "libgo"}
    assert names("fortran") == c | {"libgfortran"}
    assert names("fortran", target="amd64-musl") == c | {"libquadmath", "libgfortran"}


@every
def test_no_two_steps_make_one_directory(target: Target, languages: tuple[str, ...]) -> None:
    """What is made anew when a step is done again; within another's only after that one."""
    found = steps(blueprint(target, languages=languages, malloc="mallocng"))
    for one, other in combinations(found.values(), 2):
        for mine in one.owns:
            for its in other.owns:
                assert mine != its, f"{one.name} and {other.name}"
                if its.is_relative_to(mine):
                    assert one.name in before(other.name, found)
                if mine.is_relative_to(its):
                    assert other.name in before(one.name, found)


@every
def test_logs_and_stamps_do_not_collide(target: Target, languages: tuple[str, ...]) -> None:
    plan = blueprint(target, languages=languages)
    found = steps(plan).values()
    for place in (layout(plan).log, layout(plan).stamp):
        counted = Counter(place(one) for one in found)
        assert [path for path, count in counted.items() if count > 1] == []


# What targets share


@every
def test_a_shared_step_knows_nothing_of_the_target(
    target: Target, languages: tuple[str, ...]
) -> None:
    plan = blueprint(target, languages=languages)
    mine, another = steps(plan), steps(blueprint("arm64-gnu", languages=("c",)))
    shared = {name for name, one in mine.items() if one.shared}
    hosts = {f"{name}: {what}" for name in ("gmp", "mpfr", "mpc") for what in ("source", "library")}
    hosts |= {"mimalloc: source", "mimalloc: object"}
    libc = "musl" if plan.musl else "glibc"
    assert shared == hosts | {"gcc: source", "binutils: source", f"{libc}: source"}
    for name in shared & set(another):
        assert mine[name] == another[name], "made twice"
    for name in shared:
        assert str(layout(plan).work) not in str(asdict(mine[name]))
        assert not set(mine[name].needs) - shared


@every
def test_only_shared_steps_write_where_others_look(
    target: Target, languages: tuple[str, ...]
) -> None:
    plan = blueprint(target, languages=languages)
    where = layout(plan)
    for step in steps(plan).values():
        below = where.shared if step.shared else where.work
        places = [*step.owns, *(command.cwd for command in step.commands)]
        assert [path for path in places if not path.is_relative_to(below)] == [], step.name


# The flags


@every
def test_gcc_is_told_the_target_and_the_languages(
    target: Target, languages: tuple[str, ...]
) -> None:
    said = options(blueprint(target, languages=languages), "gcc")
    spelled = ",".join(languages).replace("gccgo", "go")
    assert f"--enable-languages={spelled}" in said
    assert f"--target={target.triple}" in said
    assert f"--with-sysroot=/{target.triple}" in said
    assert set(target.platform.gcc) <= set(said)
    assert "--disable-bootstrap" in said
    assert "--enable-default-pie" in said
    assert not [word for word in said if "march=native" in word or "isl=" in word]


@pytest.mark.parametrize(
    ("target", "flags"),
    [
        ("armv7-musl", {"--with-arch=armv7-a+fp", "--with-float=hard"}),
        ("armv6-musl", {"--with-arch=armv6+fp", "--with-float=hard"}),
        ("386-musl", {"--with-arch=i686"}),
        ("riscv64-musl", {"--with-arch=rv64gc", "--with-abi=lp64d"}),
        ("ppc64le-musl", {"--with-abi=elfv2"}),
        ("arm64-musl", set()),
        ("amd64-musl", set()),
    ],
)
def test_what_a_machine_needs(target: str, flags: set[str]) -> None:
    said = options(blueprint(target), "gcc")
    assert flags <= set(said)
    if not flags:
        assert not [word for word in said if re.match("--with-(arch|cpu|float|abi|mode)=", word)]


@every
def test_what_a_libc_needs(target: Target, languages: tuple[str, ...]) -> None:
    plan = blueprint(target, languages=languages)
    said = options(plan, "gcc")
    assert "--disable-libsanitizer" in said
    if plan.musl:
        assert not [word for word in said if "glibc" in word]
        assert f"ARCH={target.platform.musl}" in str(steps(plan)["musl: headers"].commands)
        assert "--syslibdir=/lib" in options(plan, "musl")
    else:
        assert "--with-glibc-version=14.2" in said
        assert f"--host={target.triple}" in options(plan, "glibc")


def test_a_recipe_has_the_last_word() -> None:
    for component in ("gcc", "binutils", "musl"):
        plan = blueprint(configure={component: ("--with-mine", "--and-mine")})
        assert options(plan, component)[-2:] == ["--with-mine", "--and-mine"]
    plan = blueprint("arm64-gnu", configure={"glibc": ("--with-mine",)})
    assert options(plan, "glibc")[-1] == "--with-mine"


@every
def test_host_tools_are_static_and_without_debug_information(
    target: Target, languages: tuple[str, ...]
) -> None:
    plan = blueprint(target, languages=languages, cc="/opt/cc", cxx="/opt/c++")
    for component in ("gcc", "binutils", "gmp", "mpfr", "mpc"):
        env = configure(plan, component).env
        assert (env["CC"], env["CXX"]) == ("/opt/cc", "/opt/c++")
        assert env["LDFLAGS"].endswith("-static"), component
        for name in ("CFLAGS", "CXXFLAGS"):
            assert "-g0" in env[name].split(), component
        assert f"--host={plan.machine}-pc-linux-gnu" in options(plan, component)


def absolute(text: str) -> Iterator[str]:
    """The paths that a word names."""
    yield from re.findall(r"""(?:^|[=\s"']|-[IBL])(/[\w.+-]+(?:/[\w.+-]+)*)""", text)


@every
def test_no_word_names_another_directory(target: Target, languages: tuple[str, ...]) -> None:
    """But those of the build, the host's compiler, and what lies inside of the finished tree."""
    plan = blueprint(target, languages=languages)
    where = layout(plan)
    own = (where.shared, where.work, TARBALLS, recipe.directory(), Path("/usr/bin/gcc"))
    package = Path(procedure.__file__).parents[1] / "data"
    inside = {f"/{target.triple}", "/usr", "/lib", "/usr/lib", "/programs"}
    inside |= {"/0", "/1", "/2"}
    for step in steps(plan).values():
        for command in step.commands:
            for path in (path for word in words(command) for path in absolute(word)):
                known = any(Path(path).is_relative_to(one) for one in (*own, package))
                assert known or path in inside, f"{step.name}: {path}"


@every
def test_no_directory_gets_into_what_is_compiled(
    target: Target, languages: tuple[str, ...]
) -> None:
    """Each set of flags maps each directory of the build, the inner ones too."""
    plan = blueprint(target, languages=languages)
    where = layout(plan)
    for step in steps(plan).values():
        directories = [where.shared] if step.shared else [where.shared, where.work]
        for command in step.commands:
            for name, value in command.env.items():
                if re.fullmatch("(C|CXX|FC|GOC)FLAGS(_FOR_TARGET)?", name):
                    for directory in directories:
                        wanted = f"-ffile-prefix-map={directory}="
                        assert wanted in value, f"{step.name}: {name}"


def test_where_it_is_built_changes_nothing_but_the_directories() -> None:
    for target, languages in EVERY:
        plan = blueprint(target, languages=languages)
        here, there = steps(plan, Path("/a")), steps(plan, Path("/some/where/else"))
        assert str(there).replace("/some/where/else", "/a") == str(here), target


# What goes in


def test_the_digest_tells_all_that_changes_the_outcome() -> None:
    plan = blueprint()
    changed = replace(SOURCES["gcc"], sha256="another")
    others = [
        *(blueprint("arm64-gnu"), blueprint("armv7-musl"), blueprint(languages=("c",))),
        blueprint(sources={**plan.sources, "gcc": changed}),
        blueprint(configure={"gcc": ("--with-mine",)}),
        *(blueprint(malloc="mimalloc"), blueprint(thread_stack=1), blueprint(compiler="gcc 15")),
    ]
    digests = {one.digest for one in (plan, *others)}
    assert len(digests) == 1 + len(others)
    moved = {name: replace(one, file=Path("/else") / name) for name, one in plan.sources.items()}
    assert blueprint(sources=moved).digest == plan.digest


def test_the_digest_tells_patches_by_their_text(tmp_path: Path) -> None:
    patch = tmp_path / "1.patch"
    patch.write_text("one")
    patched = replace(SOURCES["gcc"], patches=(patch,))
    plan = blueprint(sources={**blueprint().sources, "gcc": patched})
    was, tree = plan.digest, layout(plan).source("gcc")
    elsewhere = patch.rename(tmp_path / "2.patch")
    moved = replace(patched, patches=(elsewhere,))
    assert blueprint(sources={**plan.sources, "gcc": moved}).digest == was
    patch.write_text("two")
    assert plan.digest != was
    assert layout(plan).source("gcc") != tree


def test_patches_are_applied_in_their_order(tmp_path: Path) -> None:
    patches = tuple(tmp_path / name for name in ("b.patch", "a.patch"))
    for path in patches:
        path.write_text(path.name)
    patched = replace(SOURCES["musl"], patches=patches)
    plan = blueprint(sources={**blueprint().sources, "musl": patched})
    _, *applied = steps(plan)["musl: source"].commands
    assert [command.argv[0] for command in applied] == ["patch", "patch"]
    assert [command.argv[-1] for command in applied] == [str(path) for path in patches]
    assert {command.cwd for command in applied} == {layout(plan).source("musl")}


def test_mimalloc_is_put_into_the_libc_when_that_is_asked_for() -> None:
    assert "mimalloc: library" not in steps(blueprint())
    found = steps(blueprint(malloc="mimalloc"))
    assert "musl: library" in before("mimalloc: library", found)
    assert "mimalloc: source" in before("mimalloc: library", found)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("tree.o", "-O2 -include middle2.h"),
        ("cp/parser.o", "-O2"),
        ("tree-vect-loop.o", "-O1 -include middle1.h"),
        ("gimple-match-3.o", "-O1 -include middle1.h"),
        ("aarch64.o", "-O2"),
        ("reload.o", "-O1"),
        ("opts.o", "-O1"),
        ("insn-recog.o", "-O1"),
        ("insn-emit-10.o", "-O0"),
    ],
)
def test_how_files_of_compilers_are_compiled(tmp_path: Path, name: str, flags: str) -> None:
    *_, script, _, _ = steps(blueprint())["gcc: compilers"].commands
    begin = {"tree": "", "tree-vect-loop": "", "aarch64": "#define IN_TARGET_CODE 1\n"}
    begin["reload"] = "#define REG_OK_STRICT\n"
    (tmp_path / "rtl-ssa").mkdir()
    (tmp_path / "rtl-ssa/blocks.cc").touch()
    (tmp_path / "opts.cc").write_text('#include "config.h"\n')
    for one, text in begin.items():
        (tmp_path / f"{one}.cc").write_text(f'{text}#include "backend.h"\n')
    objects = " ".join(f"{one}.o" for one in [*begin, "opts", "insn-recog", "gimple-match-3"])
    known = f"srcdir = .\nCOMPILER = true\nALL_HOST_BACKEND_OBJS = {objects}\n"
    (tmp_path / "Makefile").write_text(f"{known}{name}: ; @echo '$(COVERAGE_FLAGS)'\n")
    subprocess.run(script.argv, cwd=tmp_path, check=True)
    done = subprocess.run(
        ["make", "-s", name], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == flags.split()


def test_headers_of_debian_are_ready_made() -> None:
    ready = replace(SOURCES["linux-headers"], debian=True)
    plan = blueprint(sources={**blueprint().sources, "linux-headers": ready})
    assert not made(plan, "linux-headers: installation")
    plain = blueprint("armv7-musl")
    assert made(plain, "linux-headers: installation") == ["headers"]
    assert "ARCH=arm" in str(steps(plain)["linux-headers: installation"].commands)
