"""What the commands say, in words and in JSON, and how they fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tools

from toolman import cli

if TYPE_CHECKING:
    from conftest import Runner

CHECKOUT = Path(__file__).parents[1]
HELLO = "#include <stdio.h>\nint main(int n, char **v) { return puts(v[n - 1]) < 0 ? 1 : n; }\n"


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    return {"TOOLMAN_HOME": str(home)}


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["instal"], "unknown command 'instal'", "did you mean install?"),
        (["install", "arm46-musl"], "unknown target 'arm46-musl'", "did you mean"),
        (["install", "arm64-gnu", "--with", "c+"], "unknown language 'c+'", "did you mean c"),
        (
            ["install", "arm64-musl", "--with", "c++", "--origin", "distro"],
            "no origin offers",
            "origin source",
        ),
        (
            ["install", "armv6-musl", "--origin", "distro"],
            "Debian and Ubuntu have no architecture",
            "origin source",
        ),
        (["install", "arm64-gnu", "--origin", "linked"], "not installed", "toolman link"),
        (["install"], "there is no toolman.toml here or above", "targets = ["),
        (["lock"], "there is no toolman.toml here or above", "targets = ["),
        (["sync"], "there is no toolman.toml here or above", "targets = ["),
        (["update", "riscv64-gnu"], "riscv64-gnu is not installed", "toolman install riscv64-gnu"),
        (["override", "set", "arm64"], "names no libc", "arm64-musl or arm64-gnu"),
        (["override", "unset"], "nothing is chosen for", "toolman override list"),
        (["env", "riscv64-gnu"], "riscv64-gnu is not installed", "toolman install riscv64-gnu"),
        (["env", "arm64", "--shell", "tcsh"], "tcsh", "sh"),
        (["env", "arm64-musl", "--file", "--march", "armv8-a"], "defaults", "--file"),
        (["env"], "no target given", "toolman env linux/arm64"),
        (["which", "aarch64-linux-musl-rustc"], "arm64-musl has no rustc", "it has: "),
        (["which", "s390x-linux-gnu-gcc"], "s390x-gnu is not installed", "toolman install"),
        (["default", "arm64"], "names no libc", "arm64-musl or arm64-gnu"),
        (["link", "mine", "/nowhere"], "is no directory", ""),
        (["link", "mine", "/usr"], "holds no bin/*-gcc", ""),
        (["run", "linux/arm64", "./nothing"], "no such program", ""),
        (["exec", "linux/arm64"], "no command given", "go build"),
        (["uninstall"], "name what to remove", "toolman list"),
        (["uninstall", "riscv64-gnu"], "riscv64-gnu is not installed", "toolman list"),
    ],
)
def test_a_mistake_is_one_clear_line_with_a_hint(
    toolman: Runner, env: dict[str, str], words: list[str], message: str, hint: str
) -> None:
    if words == ["link", "mine", "/usr"]:
        words = ["link", "mine", "/etc"]
    done = toolman(*words, env=env)
    lines = done.err.splitlines()
    assert done.code == 2
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert hint in "".join(lines[1:])
    assert len(lines) <= 2
    assert done.out == ("false;\n" if words[0] == "env" else "")


def test_the_reason_of_a_choice_is_shown(
    toolman: Runner, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "toolman.toml").write_text('targets = ["arm64-gnu"]')
    pinned = toolman("show", "linux/arm64", "--json", env=env, cwd=tmp_path)
    assert json.loads(pinned.out)["reason"] == f"pinned in {tmp_path}/toolman.toml: targets"
    assert "arm64-gnu" in pinned.out
    plain = toolman("show", "linux/arm64", env=env)
    assert "musl unless something says otherwise" in plain.out


def test_list_tells_what_is_installed(toolman: Runner, env: dict[str, str]) -> None:
    rows = json.loads(toolman("list", "--json", env=env).out)["toolchains"]
    assert [row["name"] for row in rows] == ["arm64-gnu", "arm64-musl"]
    assert all(row["active"] for row in rows)
    text = toolman("list", env=env).out.splitlines()
    assert text[0].split() == ["NAME", "GCC", "LANGUAGES", "ORIGIN"]
    assert len(text) == 3


def test_list_available_tells_every_target(toolman: Runner, env: dict[str, str]) -> None:
    rows = json.loads(toolman("list", "--available", "--json", env=env).out)["targets"]
    by_name = {row["target"]: row for row in rows}
    assert len(rows) == 18
    assert by_name["arm64-musl"]["installed"] is True
    assert by_name["arm64-musl"]["distro"] == ["c"]
    assert "c++" in by_name["riscv64-gnu"]["distro"]
    assert by_name["armv6-musl"]["distro"] == []


def test_a_dry_run_shows_packages_and_bytes_and_changes_nothing(
    toolman: Runner, tmp_path: Path
) -> None:
    env = {
        "TOOLMAN_HOME": str(tmp_path / "home"),
        "TOOLMAN_CACHE": str(tools.CACHE / "toolman"),
    }
    done = toolman("install", "arm64-gnu", "--dry-run", "--json", env=env)
    (plan,) = json.loads(done.out)["plans"]
    names = [one["name"] for one in plan["packages"]]
    assert "gcc-aarch64-linux-gnu" in names
    assert "libc6" not in names
    assert all(len(one["sha256"]) == 64 for one in plan["packages"])
    assert not list((tmp_path / "home").rglob("*toolchain.json"))


def test_which_prints_the_real_file(toolman: Runner, env: dict[str, str]) -> None:
    path = Path(toolman("which", "aarch64-linux-musl-gcc", env=env).out.strip())
    assert path.is_file()
    assert not path.is_symlink()
    assert "store" in path.parts


def test_a_default_changes_what_a_platform_means(
    toolman: Runner, home: Path, tmp_path: Path
) -> None:
    import shutil

    mine = tmp_path / "home"
    shutil.copytree(home, mine, symlinks=True, copy_function=os.link)
    env = {"TOOLMAN_HOME": str(mine)}
    words = next(mine.glob("*/env/words/linux"))
    assert toolman("default", "arm64-gnu", env=env).out == "arm64-gnu\n"
    assert "TOOLMAN_ENV='arm64-gnu'" in toolman("env", "linux/arm64", env=env).out
    assert "TOOLMAN_ENV='arm64-gnu'" in toolman("env", env=env).out
    assert "TOOLMAN_ENV='arm64-gnu'" in (words / "arm64.sh").read_text()
    assert toolman("default", "--unset", env=env).code == 0
    assert "TOOLMAN_ENV='arm64-musl'" in (words / "arm64.sh").read_text()


def test_a_linked_toolchain_works_beside_and_in_place(
    toolman: Runner, home: Path, tmp_path: Path
) -> None:
    """A tree of the store plays the user's own, with bin/<triple>-gcc as others ship it."""
    (entry,) = home.glob("*/store/arm64-gnu-*")
    mine = tmp_path / "opt"
    (mine / "bin").mkdir(parents=True)
    for tool in (entry / "usr/bin").glob("aarch64-linux-gnu-*"):
        (mine / "bin" / tool.name).symlink_to(tool)
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    assert toolman("link", "mine", mine, env=env).code == 0
    assert toolman("link", "arm64-gnu", mine, env=env).code == 0
    rows = json.loads(toolman("list", "--json", env=env).out)["toolchains"]
    assert [(row["name"], row["origin"]) for row in rows] == [
        ("arm64-gnu", "linked"),
        ("mine", "linked"),
    ]
    said = json.loads(toolman("env", "mine", "--format", "json", env=env).out)["set"]
    (tmp_path / "a.c").write_text(HELLO)
    subprocess.run([said["CC"], "a.c", "-o", "a"], cwd=tmp_path, check=True)
    assert Path(said["CC"]).name == "mine-gcc"
    refused = toolman("link", "riscv64-gnu", mine, env=env)
    assert (refused.code, "arm64-gnu" in refused.err) == (2, True)
    assert toolman("uninstall", "mine", env=env).code == 0
    assert (mine / "bin/aarch64-linux-gnu-gcc").exists()
    (mine / "bin").rename(mine / "gone")
    broken = toolman("doctor", "--json", env=env)
    assert broken.code == 1
    assert json.loads(broken.out)["broken"] is True


@pytest.mark.parametrize("target", ["arm64-musl", "arm64-gnu"])
@pytest.mark.parametrize("flags", [["-static"], []])
def test_run_passes_arguments_exit_code_and_signals(
    toolman: Runner, env: dict[str, str], tmp_path: Path, target: str, flags: list[str]
) -> None:
    (tmp_path / "a.c").write_text(HELLO)
    gcc = toolman("which", "gcc", "--target", target, env=env).out.strip()
    subprocess.run([gcc, *flags, "a.c", "-o", "a"], cwd=tmp_path, check=True)
    done = toolman("run", target, "./a", "one", "--two", "a  b*", env=env, cwd=tmp_path)
    assert (done.code, done.out) == (4, "a  b*\n")
    (tmp_path / "b.c").write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    subprocess.run([gcc, *flags, "b.c", "-o", "b"], cwd=tmp_path, check=True)
    argv = [sys.executable, "-m", "toolman", "run", target, "./b"]
    environ = {**os.environ, **env, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(argv, cwd=tmp_path, env=environ) as process:
        while not Path(f"/proc/{process.pid}/comm").read_text().startswith("qemu"):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
    assert process.returncode == -signal.SIGTERM


def test_run_refuses_a_program_of_another_machine(
    toolman: Runner, env: dict[str, str], tmp_path: Path
) -> None:
    done = toolman("run", "linux/arm64", sys.executable, env=env)
    assert done.code == 2
    assert "is for linux/amd64, not for linux/arm64" in done.err


def test_run_takes_no_sysroot_of_another_libc(
    toolman: Runner, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a.c").write_text(HELLO)
    gcc = toolman("which", "gcc", "--target", "arm64-gnu", env=env).out.strip()
    subprocess.run([gcc, "a.c", "-o", "a"], cwd=tmp_path, check=True)
    refused = toolman("run", "linux/arm64", "./a", env=env, cwd=tmp_path)
    assert refused.code == 2
    assert "hint: toolman install arm64-gnu, then: toolman run arm64-gnu a" in refused.err


def test_run_unpacks_qemu_once_if_there_is_none(
    toolman: Runner, home: Path, tmp_path: Path
) -> None:
    """With a PATH that has apt but no qemu-user."""
    import shutil

    mine, bin_ = tmp_path / "home", tmp_path / "bin"
    shutil.copytree(home, mine, symlinks=True, copy_function=os.link)
    bin_.mkdir()
    for directory in ("/usr/sbin", "/sbin", "/usr/bin", "/bin"):
        for path in Path(directory).iterdir():
            if "qemu" not in path.name and not (bin_ / path.name).is_symlink():
                (bin_ / path.name).symlink_to(path)
    env = {
        "TOOLMAN_HOME": str(mine),
        "TOOLMAN_CACHE": str(tools.CACHE / "toolman"),
        "PATH": str(bin_),
    }
    (tmp_path / "a.c").write_text(HELLO)
    gcc = toolman("which", "gcc", "--target", "arm64-musl", env=env).out.strip()
    subprocess.run([gcc, "-static", "a.c", "-o", "a"], cwd=tmp_path, check=True)
    first = toolman("run", "arm64-musl", "./a", "x", env=env, cwd=tmp_path)
    assert (first.code, first.out) == (2, "x\n"), first.err
    assert "unpacking qemu-user" in first.err
    second = toolman("run", "arm64-musl", "./a", "x", env=env, cwd=tmp_path)
    assert (second.code, second.out, second.err) == (2, "x\n", "")


def test_doctor_is_content_with_what_works(toolman: Runner, env: dict[str, str]) -> None:
    done = toolman("doctor", "--json", env=env)
    found = json.loads(done.out)
    assert (done.code, found["broken"]) == (0, False), done.out
    assert {"host", "arm64-musl", "arm64-gnu", "go"} <= {one["about"] for one in found["findings"]}


def test_doctor_sees_a_compiler_that_fights_the_environment(
    toolman: Runner, arm64_musl: dict[str, str]
) -> None:
    done = toolman("doctor", env={**arm64_musl, "CC": "gcc"})
    assert done.code == 1
    assert "CC is 'gcc'" in done.out
    assert "eval $(toolman env arm64-musl)" in done.out


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completions_are_read_by_their_shell(toolman: Runner, tmp_path: Path, name: str) -> None:
    text = toolman("completions", name).out
    assert all(command in text for command in cli.COMMANDS)
    (tmp_path / "completions").write_text(text)
    subprocess.run([tools.find(name), "-n", tmp_path / "completions"], check=True)


def test_bash_completes_commands(toolman: Runner, tmp_path: Path) -> None:
    (tmp_path / "completions").write_text(toolman("completions", "bash").out)
    script = (
        f". {tmp_path}/completions; COMP_WORDS=(toolman un); COMP_CWORD=1; "
        "_shtab_toolman toolman un toolman; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run([tools.find("bash"), "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["uninstall"], done.stderr


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_examples(toolman: Runner, command: str) -> None:
    done = toolman(command, "--help")
    assert done.code == 0
    assert "examples:" in done.out


def test_the_readme_names_every_command_and_variable(toolman: Runner, env: dict[str, str]) -> None:
    readme = (CHECKOUT / "README.md").read_text("utf-8")
    assert [name for name in cli.COMMANDS if name not in readme] == []
    said = json.loads(toolman("env", "linux/arm64", "--format", "json", env=env).out)
    generic = {name for name in [*said["set"], *said["prepend"]] if name.isupper()}
    generic = {name for name in generic if not name.startswith("CARGO_TARGET")}
    assert [name for name in sorted(generic) if f"`{name}`" not in readme] == []


def test_quiet_says_nothing_and_verbose_says_why(toolman: Runner, env: dict[str, str]) -> None:
    assert toolman("install", "-q", "arm64-musl", env=env).err == ""
    assert "musl unless" in toolman("env", "-v", "linux/arm64", env=env).err


def test_errors_on_a_pipe_have_no_colour(toolman: Runner, env: dict[str, str]) -> None:
    assert "\033" not in toolman("install", "nonsense", env=env).err
