"""Pictures: SVG with nothing to load. A graph in layers from left to right, and bars."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_HEIGHT, _GAP, _ACROSS, _MARGIN = 28, 14, 70, 20  # pixels
_LETTER = 7.3  # of 12-pixel monospace type
_STYLE = """\
text{font:12px ui-monospace,monospace;fill:#1b1f24}
rect{fill:#f6f8fa;stroke:#8c959f;rx:5px}
path{fill:none;stroke:#8c959f}
.cgo rect{fill:#fff1e5;stroke:#bc4c00}
.library rect{fill:#ddf4ff;stroke:#0969da}
@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}
rect{fill:#161b22}.cgo rect{fill:#3d1e00}.library rect{fill:#0c2d6b}}"""
_BARS = """\
.bars{max-width:100%;height:auto}
.bars text{font:12px ui-monospace,monospace;fill:#1b1f24}
.bars rect{fill:#0969da}
.bars .marked rect{fill:#bc4c00}
@media(prefers-color-scheme:dark){.bars text{fill:#e6edf3}.bars rect{fill:#58a6ff}
.bars .marked rect{fill:#f0883e}}"""
_LONGEST = 360  # pixels of the longest bar


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A value, and how it is written; `marked` in another colour, which its text must explain."""

    label: str
    value: float
    text: str
    marked: bool = False


@dataclass(frozen=True, kw_only=True)
class Node:
    """A box: its text, and its class of style: "", "cgo" or "library"."""

    text: str
    kind: str = ""
    about: str = ""
    """Shown where the pointer rests on it."""


def svg(layers: Sequence[Sequence[Node]], edges: Sequence[tuple[str, str]], title: str) -> str:
    """The picture of `layers`, the first one leftmost; `edges` go from text to text."""
    places: dict[str, tuple[float, float, float]] = {}
    x, boxes = float(_MARGIN), []
    for layer in layers:
        wide = max((len(one.text) for one in layer), default=0) * _LETTER + 20
        for row, one in enumerate(layer):
            y = _MARGIN + row * (_HEIGHT + _GAP)
            places[one.text] = (x, y, wide)
            boxes.append(_box(one, x, y, wide))
        x += wide + _ACROSS
    tall = max((len(layer) for layer in layers), default=0) * (_HEIGHT + _GAP) + 2 * _MARGIN
    size = f'width="{x - _ACROSS + _MARGIN:.0f}" height="{tall}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        *_lines(edges, places),
        *boxes,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def bars(rows: Sequence[Bar], title: str) -> str:
    """Horizontal bars below one another, on one scale from zero."""
    left = max((len(one.label) for one in rows), default=0) * _LETTER + _MARGIN
    right = max((len(one.text) for one in rows), default=0) * _LETTER + _MARGIN
    wide, tall = left + _LONGEST + 8 + right, len(rows) * _HEIGHT + 8
    scale = _LONGEST / (max((one.value for one in rows), default=0) or 1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="bars" role="img" width="{wide:.0f}"'
        f' height="{tall}" viewBox="0 0 {wide:.0f} {tall}">',
        f"<title>{escape(title)}</title>",
        f"<style>{_BARS}</style>",
        *(_bar(one, row, left, one.value * scale) for row, one in enumerate(rows)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bar(one: Bar, row: int, left: float, long: float) -> str:
    y = row * _HEIGHT + 4
    kind = ' class="marked"' if one.marked else ""
    return (
        f'<g{kind}><text x="{left - 8:.0f}" y="{y + 16}" text-anchor="end">{escape(one.label)}'
        f'</text><rect x="{left:.0f}" y="{y}" width="{max(long, 1):.1f}" height="20"/>'
        f'<text x="{left + long + 8:.0f}" y="{y + 16}">{escape(one.text)}</text></g>'
    )


def _box(one: Node, x: float, y: float, wide: float) -> str:
    about = f"<title>{escape(one.about)}</title>" if one.about else ""
    return (
        f'<g class="{one.kind}">{about}<rect x="{x:.0f}" y="{y}" width="{wide:.0f}"'
        f' height="{_HEIGHT}"/><text x="{x + 10:.0f}" y="{y + 18}">{escape(one.text)}</text></g>'
    )


def _lines(
    edges: Sequence[tuple[str, str]], places: Mapping[str, tuple[float, float, float]]
) -> Iterator[str]:
    for from_, to in dict.fromkeys(edges):
        left, top, wide = places[from_]
        end, low, _ = places[to]
        start, half = left + wide, _HEIGHT / 2
        bend = (start + end) / 2
        yield (
            f'<path d="M{start:.0f} {top + half:.0f}C{bend:.0f} {top + half:.0f} {bend:.0f}'
            f' {low + half:.0f} {end:.0f} {low + half:.0f}"/>'
        )
