"""librdkafka with all that it needs, in C and in Go, static, for arm64 and amd64: messages go to a
broker that the library imitates, by each kind of compression.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_tls import TARGETS, Home, sh

from toolman import elf

if TYPE_CHECKING:
    from conftest import Runner

HERE = Path(__file__).parent
FEATURES = {"gzip", "lz4", "snappy", "ssl", "zstd", "sasl_plain", "sasl_scram"}
C = '"$CC" -static librdkafka.c -o program $("$PKG_CONFIG" --cflags --libs rdkafka)'
GO = "go build -tags dynamic -o program ."

# In the home of `test_tls`, and after that.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tls")]


@pytest.fixture(scope="module")
def user(toolman: Runner, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(toolman, tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest, user: Home) -> str:
    """A target that has been asked for librdkafka, and so has what that needs."""
    user.well("add", request.param, "librdkafka", "--jobs", "2")
    said = user.well("list", "--libraries", request.param)
    assert all(name in said for name in ("librdkafka", "lz4", "openssl", "zlib", "zstd"))
    return str(request.param)


def run(source: Path, command: str, target: str, user: Home, work: Path, *words: str) -> str:
    """Build by `command` in a copy of the directory `source`; what the program says."""
    place = Path(shutil.copytree(source, work / "program"))
    sh(command, place, user.environment(target) | {"GOCACHE": str(work / "go")})
    report = elf.inspect(place / "program")
    assert (str(report.machine), report.linkage) == (TARGETS[target], "static")
    done = user("run", target, place / "program", *words)
    assert done.code == 0, done.out + done.err
    return done.out + (done.err if words else "")


def test_a_program_in_c(target: str, user: Home, tmp_path: Path) -> None:
    version, features = run(HERE / "programs/libraries", C, target, user, tmp_path).split()
    assert version == "2.14.2"
    assert set(features.split(",")) >= FEATURES
    assert "sasl_gssapi" not in features


def test_what_it_tests_of_itself(target: str, user: Home, tmp_path: Path) -> None:
    said = run(HERE / "programs/libraries", C, target, user, tmp_path, "unittest")
    assert len(re.findall(r"rd_unittest: unittest: \w+: .*PASS", said)) > 20
    assert "FAIL" not in said


def test_a_program_in_go(target: str, user: Home, tmp_path: Path) -> None:
    said = run(HERE / "modules/kafka", GO, target, user, tmp_path)
    words = " ".join(f"1000 times {codec}" for codec in ("zstd", "lz4", "gzip", "snappy"))
    assert said == f"2.14.2 [{words}]\n"
