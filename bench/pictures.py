"""How the pictures of the results look, and their small print."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

GREY: Final = "#b8bec6"
ORANGE: Final = "#d98b5f"
SAND: Final = "#e3b778"
GREEN: Final = "#6f9e7c"
BLUES: Final = ("#2f6f9f", "#568fb9", "#7fb0d3", "#a9cbe3", "#1d4a6d")
RED: Final = "#b5483f"
INK: Final = "#1c2733"
SMALL: Final = "#5a6470"
PALETTE: Final = (BLUES[0], ORANGE, GREEN, SAND, BLUES[2], RED, GREY, BLUES[4])


@contextlib.contextmanager
def picture(
    path: Path,
    found: Mapping[str, Any],
    title: str,
    *,
    rows: int = 1,
    columns: int = 1,
    size: tuple[float, float] = (9.0, 5.4),
) -> Iterator[list[Axes]]:
    """Give axes to draw on; then write the picture with its title and its small print."""
    mpl.use("Agg")
    canvas, axes = plt.subplots(rows, columns, figsize=size, dpi=150, squeeze=False)
    flat = list(axes.flat)
    for one in flat:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="y", color="#e3e6ea", zorder=0)
        one.set_axisbelow(True)
    yield flat
    canvas.text(0.012, 0.985, title, va="top", fontsize=12.5, fontweight="bold")
    canvas.text(0.012, 0.012, small_print(found), fontsize=7.2, color=SMALL)
    above, below = (0.2 + 0.22 * (1 + title.count("\n"))) / size[1], 0.4 / size[1]
    canvas.tight_layout(rect=(0, below, 1, 1 - above))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path)
    plt.close(canvas)


def small_print(found: Mapping[str, Any]) -> str:
    """Return where and how it was measured, in two lines."""
    where, how, what = found["machine"], found.get("conditions", {}), found["versions"]
    lines = [
        f"{where['cpu']}, {where['cores']} cores shared by client, server and PostgreSQL"
        f" {what.get('PostgreSQL', '')} (fsync on), loopback; Python {what['Python']}, aiohttp"
        f" {what['aiohttp']}, uvloop {what['uvloop']}, asyncpg {what['asyncpg']}."
    ]
    if how:
        lines.append(
            f"{how['rounds']} interleaved rounds of {how['seconds']:g} s,"
            f" {how['connections']} connections where nothing else is said;"
            f" commit {what.get('commit', 'unknown')}, {found['at'][:10]}"
        )
    return "\n".join(lines)


def bars(
    axes: Axes,
    labels: list[str],
    values: list[float],
    dots: list[list[float]],
    colours: list[str],
    form: str = ",.0f",
) -> None:
    """Draw medians as bars, with their values above, and the rounds as dots."""
    for at, (value, rounds) in enumerate(zip(values, dots, strict=True)):
        axes.bar(at, value, width=0.62, color=colours[at % len(colours)], zorder=2)
        axes.scatter([at] * len(rounds), rounds, s=12, color=INK, alpha=0.55, zorder=3)
        axes.annotate(
            f"{value:{form}}",
            (at, max(value, *rounds)),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=10,
            fontweight="bold",
        )
    axes.set_xticks(range(len(labels)), labels, fontsize=8.5)
    axes.margins(y=0.14)
