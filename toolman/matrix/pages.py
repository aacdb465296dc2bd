"""A matrix for readers: JSON, Markdown, and one HTML page that loads nothing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from toolman.drawing import Bar, bars
from toolman.matrix.cells import malloc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from toolman.elf import Report
    from toolman.matrix import Cell, How, Method, Outcome, Runs
    from toolman.toolchain import Toolchain

HEAD = ("build", "state", "linkage", "size", "start-up", "peak memory", "run")
_QEMU = "under qemu"
_UNSTEADY = 2  # times the fastest run: what the slowest took is then told
_STYLE = """\
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;display:block;overflow-x:auto}
caption{text-align:left}
th,td{border:1px solid #8c959f;padding:.25rem .6rem;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.failed{font-weight:bold}
code{font-family:ui-monospace,monospace}"""


def row(one: Outcome) -> tuple[str, ...]:
    """One line of the table, as `HEAD`."""
    report, runs = one.report, one.run
    measured = runs is not None and runs.median is not None
    return (
        one.cell.label,
        one.state,
        _linkage(report) if report else "",
        megabytes(one.size) if one.size is not None else "",
        _milliseconds(runs) if runs and measured else "",
        _mebibytes(runs) if runs and measured else "",
        _run_text(runs),
    )


def remarks(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What is to be said of cells beside the table, a line each."""
    for one in outcomes:
        said = [f"{one.state}: {one.why}"] if one.why else []
        said += [f"→ {one.hint}"] if one.hint else []
        said += _run_remarks(one.run) if one.run else []
        said += one.notes
        for text in said:
            yield f"{one.cell.label}: {text}"


def method_lines(method: Method) -> Iterator[str]:
    """How the figures were got."""
    host, wish = method.host, method.wish
    yield (
        f"Host: {host['system']} on {host['machine']}, Linux {host['kernel']}, "
        f"{host['processors']} processors; toolman {method.toolman}."
    )
    yield f"Go: {', '.join(one.version for one in method.go)}."
    for one in method.toolchains:
        about = one.about
        yield (
            f"Toolchain {one.name}: gcc {about.version}, origin {about.origin}, "
            f"malloc {malloc(one)}, digest {about.digest[:12]}."
        )
    if method.gccgo:
        yield "With gccgo, the Go named is the go command's; the library is the toolchain's."
    yield "Size: of the program's file alone; a dynamic one needs its libraries, too."
    for name, text in (("-ldflags", wish.ldflags), ("-tags", wish.tags)):
        if text:
            yield f"Every build had {name}={text}."
    if not wish.runs:
        yield "The programs were not run."
        return
    yield (
        f"Start-up time: from the start of the program to its end, the median of {wish.runs} runs"
        " one after the other, after one that is not counted. Peak memory: the most of these runs,"
        " as the kernel counts it (ru_maxrss)."
    )
    yield (
        "A dynamic program runs by the dynamic linker and the libraries of its toolchain, not by"
        " the host's."
    )
    for platform, said in method.qemu.items():
        yield (
            f"{platform} runs under {said}: its time and memory hold qemu's own, and tell nothing"
            " of real hardware nor beside native ones."
        )


def as_json(
    package: str,
    method: Method,
    outcomes: Sequence[Outcome],
    verified: Callable[[Outcome], Mapping[str, Any]],
) -> dict[str, Any]:
    """What the package's docstring says, but for the schema."""
    wish = method.wish
    return {
        "package": package,
        "method": {
            "toolman": method.toolman,
            "host": dict(method.host),
            "go": [{"version": one.version, "program": str(one.program)} for one in method.go],
            "toolchains": [_toolchain_json(one) for one in method.toolchains],
            "qemu": dict(method.qemu),
            "runs": wish.runs,
            "run_args": [*wish.run_args],
            "time_limit": wish.limit,
            "ldflags": wish.ldflags,
            "tags": wish.tags,
        },
        "cells": [
            {
                **_cell_json(one.cell),
                "state": one.state,
                "why": one.why,
                "hint": one.hint,
                "log": [*one.log],
                "size": one.size,
                "verified": dict(verified(one)) if one.report else None,
                "notes": [*one.notes],
                "run": _runs_json(one.run) if one.run else None,
            }
            for one in outcomes
        ],
    }


def markdown(package: str, method: Method, outcomes: Sequence[Outcome]) -> str:
    """A table, what is to be said beside it, and how the figures were got."""
    rows = [HEAD, ["---", "---", "---", "---:", "---:", "---:", "---"], *map(row, outcomes)]
    table = ["| " + " | ".join(map(_md, one)) + " |" for one in rows]
    said = [f"- {_md(one)}" for one in remarks(outcomes)]
    how = [f"- {_md(one)}" for one in method_lines(method)]
    parts = [[f"# {_md(package)}: builds"], table, said, ["## How this was measured"], how]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def html(package: str, method: Method, outcomes: Sequence[Outcome]) -> str:
    """The same as a page of its own, with charts."""
    title = escape(f"{package}: builds")
    said = "".join(f"<li>{escape(one)}</li>\n" for one in remarks(outcomes))
    how = "".join(f"<li>{escape(one)}</li>\n" for one in method_lines(method))
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>",
        _html_table(outcomes),
        f"<ul>\n{said}</ul>" if said else "",
        *(f"<h2>{escape(name)}</h2>\n{chart}" for name, chart in charts(outcomes)),
        f"<h2>How this was measured</h2>\n<ul>\n{how}</ul>\n</body>\n</html>\n",
    ]
    return "\n".join(filter(None, parts))


def charts(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    """Titles and pictures. Native runs and those under qemu never share one."""
    sizes = [
        Bar(label=one.cell.label, value=one.size, text=megabytes(one.size))
        for one in outcomes
        if one.size is not None and one.state == "ok"
    ]
    if sizes:
        yield "Size", bars(sizes, "Size of the programs")
    hows: tuple[How, ...] = ("native", "qemu")
    for how in hows:
        there = [
            (one.cell.label, one.run)
            for one in outcomes
            if one.run and one.run.how == how and one.state == "ok"
        ]
        if not there:
            continue
        marked = how == "qemu"
        place = f"{_QEMU}, not comparable with native" if marked else "native"
        times = [
            Bar(label=label, value=runs.median or 0, text=_milliseconds(runs), marked=marked)
            for label, runs in there
        ]
        yield f"Start-up time, {place}", bars(times, f"Start-up time, {place}")
        peaks = [
            Bar(label=label, value=runs.peak or 0, text=_mebibytes(runs), marked=marked)
            for label, runs in there
        ]
        yield f"Peak memory, {place}", bars(peaks, f"Peak memory, {place}")


def _linkage(report: Report) -> str:
    """With the oldest glibc that it runs with."""
    floor = f", GLIBC_{'.'.join(map(str, report.glibc))}" if report.glibc else ""
    return f"{report.linkage}{floor}"


def _run_remarks(runs: Runs) -> list[str]:
    said = [f"not run: {runs.why}"] if runs.why else []
    fastest, slowest = min(runs.seconds, default=0), max(runs.seconds, default=0)
    if slowest > _UNSTEADY * fastest:
        said.append(f"its runs took {fastest * 1e3:.1f} to {slowest * 1e3:.1f} ms: trust no digit")
    return said


def megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def _milliseconds(runs: Runs) -> str:
    return f"{(runs.median or 0) * 1e3:.1f} ms"


def _mebibytes(runs: Runs) -> str:
    return f"{(runs.peak or 0) / 1024:.1f} MiB"


def _run_text(runs: Runs | None) -> str:
    if runs is None or runs.how is None:
        return "not run" if runs else ""
    return _QEMU if runs.how == "qemu" else runs.how


def _html_table(outcomes: Sequence[Outcome]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in HEAD)
    lines = []
    for one in outcomes:
        label, state, *rest = row(one)
        kind = f' class="{state.split()[0]}"' if state != "ok" else ""
        cells = "".join(
            f"<td{' class=n' if text[:1].isdigit() else ''}>{escape(text)}</td>" for text in rest
        )
        name = f'<th scope="row">{escape(label)}</th>'
        lines.append(f"<tr>{name}<td{kind}>{escape(state)}</td>{cells}</tr>")
    caption = "<caption>Each build, verified and measured</caption>"
    body = "\n".join(lines)
    return f"<table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _md(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _toolchain_json(one: Toolchain) -> dict[str, Any]:
    about = one.about
    return {
        "name": one.name,
        "target": one.target.name,
        "gcc": about.version,
        "origin": about.origin,
        "digest": about.digest,
        "malloc": malloc(one),
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    with_libc = cell.cgo != "off"
    return {
        "label": cell.label,
        "platform": str(cell.platform),
        "target": cell.toolchain.target.name if with_libc else None,
        "toolchain": cell.toolchain.about.digest if with_libc else None,
        "malloc": cell.malloc if with_libc else None,
        "cgo": cell.cgo,
        "compiler": cell.compiler,
        "go": cell.go.version,
    }


def _runs_json(runs: Runs) -> dict[str, Any]:
    return {
        "how": runs.how,
        "why": runs.why,
        "seconds": [*runs.seconds],
        "median": None if runs.median is None else round(runs.median, 6),
        "peak": runs.peak,
    }
