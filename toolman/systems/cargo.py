"""Cargo: a configuration, for `cargo --config` or as a project's `.cargo/config.toml`.

rustc decides by itself how programs of a target are linked, musl's statically; it is told so only
where something else is wanted, for such flags take the place of those in a project's `[build]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import environment, systems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolman.systems import Setup


def text(setup: Setup) -> str:
    return "".join(f"{line}\n" for line in _lines(setup))


def _lines(setup: Setup) -> Iterator[str]:
    rust = setup.target.rust
    yield "[build]"
    yield f"target = {_word(rust)}"
    yield ""
    yield f"[target.{rust}]"
    yield f"linker = {_word(setup.shim('gcc'))}"
    yield f"runner = [{_word(setup.run)}]"
    if setup.static != environment.default_static(setup.chosen):
        yield f"rustflags = [{_word(environment.rust_linkage(static=setup.static))}]"
    yield ""
    # What the crates cc, pkg-config and cmake read. A variable that is set already stays.
    yield "[env]"
    suffix = rust.replace("-", "_")
    for variable, tool in (("CC", "gcc"), ("CXX", "g++"), ("AR", "ar")):
        yield f"{variable}_{suffix} = {_word(setup.shim(tool))}"
    if setup.flags:
        for variable in ("CFLAGS", "CXXFLAGS"):
            yield f"{variable}_{suffix} = {_word(' '.join(setup.flags))}"
    yield f"PKG_CONFIG_{suffix} = {_word(setup.pkg_config)}"
    yield f"CMAKE_TOOLCHAIN_FILE_{suffix} = {_word(systems.path('cmake', setup))}"


def _word(word: object) -> str:
    """A string. No path of toolman's has what would need an escape: see `Paths`."""
    return f'"{word}"'
