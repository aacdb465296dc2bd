"""`toolman init`, judged by those who read its files, and its commands run as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engine
import judges
import pytest
import tools
from conftest import CHECKOUT, isolated
from ruamel.yaml import YAML

from toolman import gomod, run
from toolman.errors import InputError
from toolman.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conftest import Runner

# They share what go builds.
pytestmark = pytest.mark.xdist_group("init")

KINDS = {
    "docker": {"Dockerfile", "docker-bake.hcl", ".dockerignore"},
    "github": {".github/workflows/cross.yml"},
    "gitlab": {".gitlab-ci.yml"},
}
LOCK = """\
schema = 1

[target.arm64-musl]
origin = "distro"
languages = ["c"]

[target.arm64-musl.systems."{system}-x86_64"]
gcc = "12.2.0"
digest = "{digest}"
packages = ["a 1 {digest}"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Go module with cgo."""
    made = tmp_path / "project"
    shutil.copytree(CHECKOUT / "examples/hello-cgo", made, ignore=shutil.ignore_patterns("build"))
    (made / "go.mod").write_text("module example.com/hello-cgo\n\ngo 1.25\n")
    return made


def pin(project: Path, *targets: str, system: str = "") -> None:
    (project / "toolman.toml").write_text(f"targets = {json.dumps(targets)}\n")
    if system:
        text = LOCK.format(system=system, digest="0" * 64)
        (project / "toolman.lock").write_text(text)


def files(directory: Path) -> set[str]:
    """All files in it, but the project's."""
    found = {path.relative_to(directory) for path in directory.rglob("*") if path.is_file()}
    theirs = {path.name for path in (CHECKOUT / "examples/hello-cgo").iterdir()}
    return {str(one) for one in found if one.name not in {*theirs, "toolman.toml", "toolman.lock"}}


@pytest.fixture
def good(toolman: Runner, project: Path) -> Runner:
    """`toolman init` in the project, which must succeed."""

    def call(*words: str | Path, env: Mapping[str, str] = {}, cwd: Path = project) -> run.Finished:
        done = toolman("init", *words, env=env, cwd=cwd)
        assert done.code == 0, done.err
        return done

    return call


@pytest.fixture
def refused(toolman: Runner, project: Path) -> Runner:
    """The same, which must fail with one error and a hint, and write nothing."""

    def call(*words: str | Path, env: Mapping[str, str] = {}, cwd: Path = project) -> run.Finished:
        before = {path: path.read_bytes() for path in cwd.rglob("*") if path.is_file()}
        done = toolman("init", *words, env=env, cwd=cwd)
        assert done.code == 2
        assert re.fullmatch(r"error: [^\n]+\nhint: [^\n]+\n", done.err), done.err
        assert {path: path.read_bytes() for path in cwd.rglob("*") if path.is_file()} == before
        return done

    return call


# What is written


@pytest.mark.parametrize("kind", KINDS)
def test_writes_its_files_once(good: Runner, refused: Runner, project: Path, kind: str) -> None:
    good(kind)
    assert files(project) == KINDS[kind]
    assert "there already" in refused(kind).err
    assert "@" not in re.sub(r"uses: \S+@v", "", "".join(map(str, texts(project))))


def texts(project: Path) -> list[str]:
    return [(project / name).read_text() for name in sorted(files(project))]


def test_one_file_that_is_there_stops_all(good: Runner, refused: Runner, project: Path) -> None:
    (project / "docker-bake.hcl").write_text("# mine\n")
    assert "docker-bake.hcl is there already" in refused("docker").err
    good("docker", "--force")
    assert "# mine" not in (project / "docker-bake.hcl").read_text()
    assert files(project) == KINDS["docker"]


def test_a_link_to_nowhere_is_there(refused: Runner, project: Path) -> None:
    (project / "Dockerfile").symlink_to("nowhere")
    refused("docker")
    assert not (project / "nowhere").exists()


def test_force_puts_all_back_if_one_cannot_be_replaced(toolman: Runner, project: Path) -> None:
    (project / "Dockerfile").write_text("# mine\n")
    (project / "docker-bake.hcl").mkdir()
    done = toolman("init", "docker", "--force", cwd=project)
    assert done.code != 0
    assert "Traceback" not in done.err
    assert (project / "Dockerfile").read_text() == "# mine\n"
    assert files(project) == {"Dockerfile"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_leaves_nothing_behind(project: Path, kind: str, command: Path) -> None:
    before = set(project.rglob("*"))
    words = ["sh", "-c", f"ulimit -f 0; exec {command} init {kind} --output new/place"]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: File too large\n"
    assert set(project.rglob("*")) == before


def test_what_the_user_ignores_stays(good: Runner, project: Path) -> None:
    (project / ".dockerignore").write_text("secret\n")
    good("docker")
    good("docker", "--force")
    assert (project / ".dockerignore").read_text() == "secret\n"


def test_output_and_stdout(good: Runner, project: Path, tmp_path: Path) -> None:
    shown = good("github", "--stdout").out
    assert files(project) == set()
    said = json.loads(good("github", "--output", tmp_path / "else/where", "--json").out)
    assert said["files"] == [str(tmp_path / "else/where/.github/workflows/cross.yml")]
    assert said["platforms"] == ["linux/amd64", "linux/arm64"]
    assert Path(said["files"][0]).read_text() == shown
    several = good("docker", "--stdout").out
    assert re.findall("^==> (.*) <==$", several, re.MULTILINE) == [
        "Dockerfile",
        "docker-bake.hcl",
        ".dockerignore",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--platform", "linux/arn64"], "did you mean linux/arm64"),
        (["--platform", "arm64-gnu"], "say linux/arm64; toolman.toml says its libc"),
        (["--package", "./nowhere"], "--package ./cmd/app"),
        (["--package", "../other"], "no directory below this one"),
        (["--package", "/etc"], "no directory below this one"),
        (["--package", "./$(id)"], "no directory below this one"),
        (["--package", "-x"], "expected one argument"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_refuses(refused: Runner, project: Path, words: list[str], said: str) -> None:
    (project / "cmd/app").mkdir(parents=True)
    (project / "cmd/app/main.go").write_text("package main\n\nfunc main() {}\n")
    assert said in refused("docker", *words).err


def test_refuses_what_is_no_module(refused: Runner, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/main.c").write_text("int main(void) { return 0; }\n")
    assert "go mod init" in refused("gitlab", cwd=tmp_path / "c").err
    assert "invalid choice: 'dokcer'" in refused("dokcer", cwd=tmp_path / "c").err


def test_refuses_a_platform_that_is_not_pinned(refused: Runner, project: Path) -> None:
    pin(project, "arm64-musl")
    done = refused("docker", "--platform", "linux/arm64,linux/s390x")
    assert "toolman.toml names no target of linux/s390x" in done.err


def test_notes_what_would_stop_the_build(good: Runner, project: Path) -> None:
    pin(project, "arm64-musl", system="ubuntu24.04")
    (project / "go.mod").write_text(
        "module example.com/hello\n\ngo 1.25\n\nreplace example.com/a => ../a\n"
    )
    docker, github = good("docker").err, good("github").err
    assert "toolman.lock was not made on debian12: say toolman lock there once" in docker
    assert "../a is outside of the build context" in docker
    assert "not made on" not in github


# The module

MODULES = {
    "module example.com/a/b\n\ngo 1.25\n": "1.25",
    'module "example.com/a" // why\n\ngo 1.24.3 // least\n': "1.24",
    "module example.com/a/v2\n\ngo 1.24\n\ntoolchain go1.27.1\n": "1.27",
    "// module no\nmodule example.com/a/v10\ngo 1.26rc1\nrequire (\n\tx.org/y v1.0.0\n)\n": "1.26",
    "module example.com/old\n\ngo 1.13\n": None,
    "module hello\n": None,
}


@pytest.mark.parametrize("text", MODULES)
def test_reads_a_module_as_go_does(tmp_path: Path, text: str) -> None:
    (tmp_path / "go.mod").write_text(text)
    (tmp_path / "main.go").write_text("// A program.\npackage main\n\nfunc main() {}\n")
    env = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    words = [tools.go("1.27"), "mod", "edit", "-json"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    found, gos = gomod.read(tmp_path), json.loads(done.stdout)
    assert (found.path, found.go) == (gos["Module"]["Path"], MODULES[text])
    words = [tools.go("1.27"), "list", "-f", "{{.Target}}", "."]
    env |= {"GOBIN": "/bin", "GOSUMDB": "off"}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert f"/bin/{gomod.program(found, '.', tmp_path)}\n" == done.stdout


@pytest.mark.parametrize("text", ["", "go 1.25\n", "\0", "module\n"])
def test_a_damaged_module_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "go.mod").write_text(text)
    with pytest.raises(InputError, match=r"go\.mod"):
        gomod.read(tmp_path)


# Docker

PINS: dict[str, tuple[tuple[str, ...], str]] = {
    "unpinned": ((), ""),
    "pinned": (("arm64-musl", "armv7-musl"), ""),
    "gnu": (("arm64-gnu",), ""),
    "locked": (("arm64-musl",), "debian12"),
    "locked on trixie": (("arm64-musl",), "debian13"),
}


def compiled(project: Path, *platforms: str, **options: str) -> judges.Compiled:
    asked = {"platform": ",".join(platforms), **options}
    return judges.compile_(project, contexts={"toolman": CHECKOUT}, options=asked)


@pytest.mark.parametrize("name", PINS)
def test_buildkit_compiles_it_without_a_warning(good: Runner, project: Path, name: str) -> None:
    targets, system = PINS[name]
    if targets:
        pin(project, *targets, system=system)
    good("docker", *([] if targets else ["--platform", "linux/arm64,linux/arm/v7"]))
    platforms = ["linux/arm64", "linux/arm/v7"][: len(targets) or 2]
    found = compiled(project, *platforms)
    assert found.warnings == []
    assert set(found.platforms) == set(platforms)
    install = 'toolman install "$TARGETPLATFORM"' if not targets else "cd /src && toolman sync"
    install += " --locked" if system else ""
    for platform in platforms:
        ops = [one["op"] for one in found.platforms[platform]]
        steps = [*filter(None, map(_command, ops))]
        assert steps[:2] == ["/opt/toolman/scripts/install --quiet", install]
        assert ("verify --static" in steps[2]) == (name != "gnu")
        # The source comes behind the toolchain, or each change of it would install that anew.
        ran = next(i for i, one in enumerate(ops) if install in _command(one))
        source = [i for i, one in enumerate(ops) if _copies(one) == ["/"]]
        assert source[0] > ran
        assert found.configs[platform]["config"]["User"] == "65532:65532"
        assert found.configs[platform]["config"]["Entrypoint"] == ["/usr/local/bin/hello-cgo"]
    image = "trixie" if "trixie" in name else "bookworm"
    assert f"golang:1.25-{image}@" in json.dumps(found.platforms)
    assert ("library/debian:bookworm-slim@" in json.dumps(found.platforms)) == (name == "gnu")


def _command(op: dict[str, Any]) -> str:
    found: str = op["exec"]["meta"]["args"][-1] if "exec" in op else ""
    return found


def _copies(op: dict[str, Any]) -> list[str]:
    return [one["copy"]["src"] for one in op.get("file", {}).get("actions", ()) if "copy" in one]


def test_nothing_is_emulated_and_toolman_is_installed_once(good: Runner, project: Path) -> None:
    platforms = ["linux/arm64", "linux/arm/v7", "linux/s390x"]
    good("docker", "--platform", ",".join(platforms))
    found = compiled(project, *platforms)
    execs = {name: found.execs(name) for name in platforms}
    here = Host.current().platform.name
    assert {one["platform"]["Architecture"] for them in execs.values() for one in them} == {here}
    first, *others = [them[0] for them in execs.values()]
    assert all(one == first for one in others)
    for name, them in execs.items():
        assert all(f"TARGETPLATFORM={name}" in one["exec"]["meta"]["env"] for one in them[1:])
    caches = {one["dest"] for one in execs["linux/arm64"][2]["exec"]["mounts"]} - {"/"}
    assert caches == {"/go/pkg/mod", "/root/.cache/go-build"}


def test_the_epoch_reaches_the_compilers(good: Runner, project: Path) -> None:
    good("docker")
    without = compiled(project, "linux/arm64").execs("linux/arm64")
    epoch = {"build-arg:SOURCE_DATE_EPOCH": "1700000000"}
    made = compiled(project, "linux/arm64", **epoch).execs("linux/arm64")
    assert made[:2] == without[:2]
    assert "SOURCE_DATE_EPOCH=1700000000" in made[2]["exec"]["meta"]["env"]


def test_without_toolman_the_build_says_so(good: Runner, project: Path) -> None:
    good("docker")
    options = {"platform": "linux/arm64"}
    found = judges.compile_(project, contexts={}, options=options)
    first = found.execs("linux/arm64")[0]["exec"]["meta"]["args"]
    done = subprocess.run(first, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: say where toolman is: --build-context toolman=DIRECTORY or URL\n"


def bake(project: Path, *words: str, **variables: str) -> run.Finished:
    argv = [judges.program("buildx"), "bake", "--print", *words]
    return run.run(argv, env={**os.environ, **variables}, cwd=project)


def test_bake_reads_its_file(good: Runner, project: Path) -> None:
    good("docker", "--platform", "linux/arm64,linux/arm/v7")
    done = bake(project, "default", "binaries", TOOLMAN="../toolman", TAG="example.org/a:1")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["group"]["default"]["targets"] == ["binaries", "image"]
    for name in ("image", "binaries"):
        one = said["target"][name]
        assert one["platforms"] == ["linux/arm64", "linux/arm/v7"]
        assert one["contexts"] == {"toolman": "../toolman"}
        assert one["args"] == {"GO_VERSION": "1.25"}
        assert (one["context"], one["dockerfile"], one["target"]) == (".", "Dockerfile", name)
    assert said["target"]["image"]["tags"] == ["example.org/a:1"]
    assert said["target"]["binaries"]["output"] == [{"dest": "dist", "type": "local"}]
    without = json.loads(bake(project, TOOLMAN="../toolman").out)["target"]
    assert set(without) == {"image"}
    assert "tags" not in without["image"]


def test_bake_says_what_is_missing(good: Runner, project: Path) -> None:
    good("docker")
    done = bake(project)
    assert done.code != 0
    assert "Say where toolman is: TOOLMAN=DIRECTORY" in done.err


# The workflows


@pytest.mark.parametrize("name", PINS)
def test_the_workflows_are_what_their_readers_take(good: Runner, project: Path, name: str) -> None:
    targets, system = PINS[name]
    if targets:
        pin(project, *targets, system=system)
    good("github")
    good("gitlab")
    workflow = project / ".github/workflows/cross.yml"
    judged = run.run([judges.program("actionlint"), "-shellcheck=", "-pyflakes=", workflow])
    assert (judged.code, judged.out, judged.err) == (0, "", "")
    for schema, path in (("github-workflows", workflow), ("gitlab-ci", project / ".gitlab-ci.yml")):
        words = ["--builtin-schema", f"vendor.{schema}", path]
        judged = run.run([sys.executable, "-m", "check_jsonschema", *words])
        assert judged.code == 0, judged.out + judged.err
    install = 'toolman install "$PLATFORM"' if not targets else "toolman sync"
    install += " --locked" if system else ""
    assert f"\n          {install}\n" in workflow.read_text()
    assert f"\n    - {install}\n" in (project / ".gitlab-ci.yml").read_text()


def loaded(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def test_a_workflow_may_do_no_more_than_read(good: Runner, project: Path) -> None:
    good("github", "--platform", "linux/arm64,linux/arm/v7")
    said = loaded(project / ".github/workflows/cross.yml")
    assert said["permissions"] == {"contents": "read"}
    job = said["jobs"]["build"]
    assert job["strategy"]["matrix"]["include"] == [
        {"platform": "linux/arm64", "name": "arm64"},
        {"platform": "linux/arm/v7", "name": "armv7"},
    ]
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", one) for one in used)
    # An expression in a script is text that an attacker may choose.
    assert not [step for step in job["steps"] if "${{" in step.get("run", "")]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of this checkout as it stands."""
    made = tmp_path_factory.mktemp("repository") / "toolman"
    ignored = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(CHECKOUT, made, ignore=ignored)
    git = ["git", "-C", made, "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    return made


@pytest.fixture
def runner(tmp_path: Path, repository: Path) -> dict[str, str]:
    """The environment of a runner with Go, and nothing of toolman but its repository's URL."""
    home = tmp_path / "home"
    kept = isolated(home)
    return {
        **kept,
        "PATH": f"{tools.go('1.27').parent}:{kept['PATH']}",
        "GOTOOLCHAIN": "local",
        "GOCACHE": str(tools.CACHE / "go-build"),
        "TOOLMAN_CACHE": str(tools.CACHE / "toolman"),
        "TOOLMAN": f"file://{repository}",
    }


def test_the_github_job_runs_as_it_stands(
    good: Runner, project: Path, tmp_path: Path, runner: dict[str, str], toolman: Runner
) -> None:
    good("github", "--platform", "linux/arm64")
    job = loaded(project / ".github/workflows/cross.yml")["jobs"]["build"]
    temp = tmp_path / "runner"
    temp.mkdir()
    env = runner | {"PLATFORM": job["strategy"]["matrix"]["include"][0]["platform"]}
    env |= {"RUNNER_TEMP": str(temp)}
    with tools.locked(tools.CACHE / "apt"):
        for step in job["steps"]:
            if "run" in step:
                env = github_step(step["run"], env, project, temp)
    built = project / "dist/hello-cgo"
    assert "hello from linux/arm64" in toolman("run", "linux/arm64", built).out
    assert toolman("verify", "--static", "--arch", "arm64-musl", built).code == 0
    commit = (temp / "output").read_text()
    assert re.fullmatch(r"commit=[0-9a-f]{40}\n", commit)


def github_step(script: str, env: dict[str, str], cwd: Path, temp: Path) -> dict[str, str]:
    """Run a step as GitHub's runner does; the environment of the next one."""
    names = {name: temp / name.removeprefix("GITHUB_").lower() for name in _FILES}
    for name in ("GITHUB_ENV", "GITHUB_PATH"):
        names[name].write_text("")
    (temp / "script.sh").write_text(script)
    said = {name: str(path) for name, path in names.items()}
    done = run.run(["bash", "-e", temp / "script.sh"], env=env | said, cwd=cwd)
    assert done.code == 0, done.out + done.err
    after = dict(env)
    for line in names["GITHUB_PATH"].read_text().splitlines():
        after["PATH"] = f"{line}:{after['PATH']}"
    lines = iter(names["GITHUB_ENV"].read_text().splitlines())
    for line in lines:
        name, several, end = line.partition("<<")
        if several and "=" not in name:
            after[name] = "\n".join(iter(lambda end=end: next(lines), end))
        else:
            name, _, after[name] = line.partition("=")
    return after


_FILES = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT")


def test_a_job_without_toolman_says_so(good: Runner, project: Path, tmp_path: Path) -> None:
    good("github")
    good("gitlab")
    steps = loaded(project / ".github/workflows/cross.yml")["jobs"]["build"]["steps"]
    first = next(step["run"] for step in steps if "run" in step)
    script = loaded(project / ".gitlab-ci.yml")["build"]["script"]
    for text in (first, script[0]):
        done = run.run(["bash", "-e", "-c", text], env={**os.environ, "TOOLMAN": ""}, cwd=tmp_path)
        assert done.code == 1
        assert "set the variable TOOLMAN to the URL of a git repository" in done.out + done.err


# In an unpacked root, as an engine would

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can make another root")


@pytest.fixture(scope="module")
def golang(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a golang image."""
    root = tmp_path_factory.mktemp("golang") / "root"
    engine.golang(root, CHECKOUT, tools.go("1.27"))
    yield root
    shutil.rmtree(root)


@needs_root
@pytest.mark.slow
def test_the_stages_build_images_as_they_stand(
    good: Runner, project: Path, tmp_path: Path, golang: Path, toolman: Runner
) -> None:
    platforms = ["linux/arm64", "linux/arm/v7"]
    good("docker", "--platform", ",".join(platforms))
    found = compiled(project, *platforms, **{"build-arg:SOURCE_DATE_EPOCH": "1700000000"})
    local = {"context": project, "toolman": CHECKOUT}
    built = engine.Engine(tmp_path / "engine", golang, local)
    images = built.build(found.platforms)
    # toolman once, then of each platform the toolchain and the program.
    assert len(built.ran) == 5
    for name, root in images.items():
        (entry,) = found.configs[name]["config"]["Entrypoint"]
        inside = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        assert inside == {entry.lstrip("/"), "etc/ssl/certs/ca-certificates.crt"}
        program = root / entry.lstrip("/")
        assert toolman("verify", "--static", "--arch", name, program).code == 0
        assert f"hello from {name.rpartition('/v')[0] or name}" in toolman("run", name, program).out
    assert not (project / "dist").exists()


@needs_root
@pytest.mark.slow
def test_locked_toolchains_are_what_a_stage_installs(
    good: Runner, project: Path, tmp_path: Path, golang: Path, toolman: Runner
) -> None:
    (project / "toolman.toml").write_text('targets = ["arm64-gnu"]\n')
    env = {"TOOLMAN_CACHE": str(tools.CACHE / "toolman")}
    with tools.locked(tools.CACHE / "apt"):
        locked = toolman("lock", cwd=project, env=env)
    assert locked.code == 0, locked.err
    good("docker")
    found = compiled(project, "linux/arm64")
    built = engine.Engine(tmp_path / "engine", golang, {"context": project, "toolman": CHECKOUT})
    (root,) = built.build(found.platforms).values()
    assert any("toolman sync --locked" in script for script in built.ran)
    done = toolman("verify", "--arch", "arm64-gnu", root / "usr/local/bin/hello-cgo")
    assert "ld-linux-aarch64" in done.out


@needs_root
@pytest.mark.slow
def test_the_gitlab_job_runs_as_it_stands_in_its_image(
    good: Runner, project: Path, tmp_path: Path, golang: Path, repository: Path, toolman: Runner
) -> None:
    good("gitlab", "--platform", "linux/arm/v7")
    job = loaded(project / ".gitlab-ci.yml")["build"]
    assert job["image"].startswith("golang:")
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", golang, root], check=True)
    image = dict(one.split("=", 1) for one in judges.IMAGE["Env"])
    directory = "/builds/team/hello"
    env = {"CI_PROJECT_DIR": directory, "TOOLMAN": "file:///repository"}
    env |= {
        name: value.replace("$CI_PROJECT_DIR", directory)
        for name, value in job["variables"].items()
    }
    env |= job["parallel"]["matrix"][0]
    # As the runner does: one shell for all, which stops at the first that fails.
    script = "\n".join(["set -eo pipefail", *job["script"]])
    bound: list[str | Path] = [project, directory, repository, "/repository"]
    engine.enter(root, "bash", "-c", script, env=image | env, where=directory, bound=bound)
    program = project / "dist/armv7/hello-cgo"
    assert "hello from linux/arm" in toolman("run", "linux/arm/v7", program).out
    (path,) = job["cache"]["paths"]
    assert all(env[name].startswith(f"{directory}/{path}") for name in ("GOCACHE", "TOOLMAN_HOME"))
    assert (project / path / "home").is_dir()
