"""Writes ``docs/explanation/compared.md`` and its plots from the document of a run.

``python -m benchmarks.peers.page out.json``. Of several documents, the later ones replace what they measured
of the first. Needs matplotlib, which nothing else here does. The
page's words are its template, ``page.md``; every figure comes from the document.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from benchmarks.peers.peer import HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Found = dict[str, Any]

DOCS = HERE.parent.parent / "docs" / "explanation"
PAGE = DOCS / "compared.md"
PLOTS = DOCS / "compared"
OURS, THEIRS = "#2f6f9f", "#b8c4cc"


@dataclass(frozen=True, slots=True)
class Column:
    """One line of comparison: where its figure is, how it is written, and which end is good."""

    title: str
    key: tuple[str, str]
    write: Callable[[float], str]
    best: Callable[[float, float], float]
    plot: str | None = None

    def of(self, peer: Found) -> float | None:
        """The figure, or None where there is none."""
        measurement, figure = self.key
        value = peer.get(measurement, {}).get(figure)
        return None if value is None else float(value)


def _rate(value: float) -> str:
    digits = 3 if value >= 1000 else 2
    return f"{float(f'{value:.{digits}g}'):,.0f}"


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _ms_each(per_s: float) -> str:
    return f"{1000 / per_s:.2g}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


COLUMNS = (
    Column("enqueue, messages/s", ("enqueue", "per_s"), _rate, max, "enqueue"),
    Column("drain, messages/s", ("drain", "per_s"), _rate, max, "drain"),
    Column("unique enqueue, messages/s", ("unique", "per_s"), _rate, max, "unique"),
    Column("drain by priority, messages/s", ("priority", "per_s"), _rate, max, "priority"),
    Column("drain of limited groups, messages/s", ("limited", "per_s"), _rate, max, "limited"),
    Column("latency p50, ms", ("latency", "p50_ms"), _ms, min, "latency"),
    Column("p95", ("latency", "p95_ms"), _ms, min),
    Column("p99", ("latency", "p99_ms"), _ms, min),
    Column("p50 with the commit", ("latency", "p50_with_commit_ms"), _ms, min),
    Column("drain while pinned, messages/s", ("pinned", "drain_per_s"), _rate, max, "pinned"),
    Column("of its drain", ("pinned", "drain_kept"), _percent, max),
    Column("backlog after the pinned load, s", ("pinned", "backlog_s"), lambda value: f"{value:.1f}", min),
    Column("crash, s", ("crash", "s"), lambda value: f"{value:.2g}", min, "crash"),
)


FLOW_COLUMNS = (
    Column("short runs, steps/s", ("runs", "per_s"), _rate, max, "runs"),
    Column("a map, items/s", ("map", "per_s"), _rate, max, "map"),
    Column("one long run, ms per step", ("chain", "per_s"), _ms_each, max, "chain"),
)
"""Of the systems that have flows, in a table of their own."""


def check() -> None:
    """Raises ImportError where the page could not be drawn: better before the hours that a run takes."""
    import matplotlib as mpl  # noqa: F401, PLC0415


def write(document: Found) -> None:
    """The page and its plots."""
    PLOTS.mkdir(exist_ok=True)
    for columns in (COLUMNS, FLOW_COLUMNS):
        compared = among(document, columns)
        for column in columns:
            if column.plot and compared["peers"]:
                _plot(column, compared)
    PAGE.write_text(text(document))


def among(document: Found, columns: Sequence[Column]) -> Found:
    """The document without the systems of which nothing in these columns can be told. A system that could not
    be installed stays: the page says so.
    """
    keys = {column.key[0] for column in columns}
    peers = {
        name: peer
        for name, peer in document["peers"].items()
        if keys & peer.keys() or keys & peer.get("errors", {}).keys() or "version" not in peer
    }
    return document | {"peers": peers}


def text(document: Found) -> str:
    """The page."""
    return Template((HERE / "page.md").read_text()).substitute(_parts(document))


def _parts(document: Found) -> dict[str, str]:
    around, options = document["environment"], document["options"]
    server = around["server"]
    return {
        "table": "\n".join(table(among(document, COLUMNS), COLUMNS)),
        "flows": "\n".join(table(among(document, FLOW_COLUMNS), FLOW_COLUMNS)),
        "behind": "\n".join(behind(document)),
        "settings": "\n".join(_settings(document)),
        "date": around["date"],
        "machine": f"{around['cpus']} virtual processors, {around['machine']}, Python {around['python']}",
        "load": str(around["load_1m"]),
        "server": f"PostgreSQL {server['server_version'].split()[0]}, fsync {server['fsync']}, "
        f"synchronous_commit {server['synchronous_commit']}, autovacuum {server['autovacuum']}",
        **{name: f"{value:g}" for name, value in options.items()},
    }


def table(document: Found, columns: Sequence[Column]) -> list[str]:
    head = ["", *(column.title for column in columns)]
    lines = [f"| {' | '.join(head)} |", f"|---{'|--:' * len(columns)}|"]
    for peer in document["peers"].values():
        cells = [peer["title"], *(_cell(column, peer, document) for column in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cell(column: Column, peer: Found, document: Found) -> str:
    if (value := column.of(peer)) is not None:
        return column.write(value)
    has_waited = column.key[0] == "crash" and "crash" in peer
    return f"> {document['options']['give_up_s']:.0f}" if has_waited else "-"


def behind(document: Found) -> list[str]:
    """A line for each column in which another system is ahead of Postmill, in either form of its flows."""
    ours = [peer for peer in document["peers"].values() if _is_ours(peer["title"])]
    others = [peer for peer in document["peers"].values() if not _is_ours(peer["title"])]
    lines = [
        f"- {mine['title']}, {column.title}: {column.write(value)}; ahead: {', '.join(ahead)}."
        for mine in ours
        for column in (*COLUMNS, *FLOW_COLUMNS)
        if (value := column.of(mine)) is not None and (ahead := _ahead(column, value, others))
    ]
    return lines or ["Nowhere in this run."]


def _ahead(column: Column, value: float, others: Sequence[Found]) -> list[str]:
    return [
        f"{peer['title']} ({column.write(theirs)})"
        for peer in others
        if (theirs := column.of(peer)) is not None
        and column.best(theirs, value) != value
        and column.write(theirs) != column.write(value)
    ]


def _is_ours(title: str) -> bool:
    return title.startswith("Postmill")


def _settings(document: Found) -> list[str]:
    lines = ["| system | version | settings |", "|---|---|---|"]
    for peer in document["peers"].values():
        what = peer.get("settings") or f"not measured: {peer['errors']['install'].splitlines()[0]}"
        lines.append(f"| {peer['title']} | {peer.get('version', '-')} | {what} |")
    return lines


def _plot(column: Column, document: Found) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - only who writes the page needs it

    mpl.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    mpl.rcParams |= {"svg.hashsalt": "postmill", "svg.fonttype": "none"}
    bars = [(peer["title"], *_bar(column, peer, document)) for peer in reversed(document["peers"].values())]
    names, lengths, labels = zip(*bars, strict=True)
    figure, axes = pyplot.subplots(figsize=(7, 0.32 * len(bars) + 0.7))
    drawn = axes.barh(names, lengths, color=[OURS if _is_ours(name) else THEIRS for name in names])
    axes.bar_label(drawn, labels, padding=3, fontsize=8)
    axes.set_title(column.title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(PLOTS / f"{column.plot}.svg", metadata={"Date": None})
    pyplot.close(figure)


def _bar(column: Column, peer: Found, document: Found) -> tuple[float, str]:
    value = column.of(peer)
    label = _cell(column, peer, document)
    if value is None:
        value = document["options"]["give_up_s"] if label.startswith(">") else 0.0
    return value, label


def together(documents: Sequence[Found]) -> Found:
    """The first document, with what the others measured in the place of its own."""
    first, *others = documents
    peers = {
        name: peer | {what: found for other in others for what, found in other["peers"].get(name, {}).items()}
        for name, peer in first["peers"].items()
    }
    loads = ", ".join(str(document["environment"]["load_1m"]) for document in documents)
    return first | {"peers": peers, "environment": first["environment"] | {"load_1m": loads}}


if __name__ == "__main__":
    write(together([json.loads(Path(name).read_text()) for name in sys.argv[1:]]))
