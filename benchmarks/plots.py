# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.json in pictures.

PYTHONPATH=… python benchmarks/plots.py DIRECTORY
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import report

os.environ.setdefault("MPLCONFIGDIR", tempfile.gettempdir())
import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

SIZE = (8, 4.5)
DASHES = {"raw": ":", "raw_and_read_back": "--"}
LABELS = {name: label.replace("`", "") for name, label in (report.WAYS | report.METHODS).items()}


def growth(part: report.Values, target: Path) -> None:
    """A: how the time grows with the number of roles."""
    a = report.Converge(part)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for plot, what in zip(axes, ("first", "no_change"), strict=True):
        for way in report.WAYS:
            points = [(roles, a.seconds(way, roles, what)) for roles in part["roles"]]
            known = [(roles, *point) for roles, point in points if point]
            if not known:
                continue
            style = {"color": "black", "linestyle": DASHES[way]} if way in DASHES else {}
            (line,) = plot.plot([p[0] for p in known], [p[1] for p in known], label=LABELS[way], **style)
            for roles, seconds, extrapolated in known:  # hollow: not measured
                colour = line.get_color()
                plot.plot(roles, seconds, "o", color=colour, markerfacecolor="white" if extrapolated else colour)
        plot.set(title=f"{what.replace('_', '-')} converge", xlabel="roles", xscale="log", yscale="log")
        plot.set_xticks(part["roles"], [str(roles) for roles in part["roles"]])
        plot.minorticks_off()
        plot.grid(alpha=0.3)
    axes[0].set_ylabel("seconds (hollow: extrapolated)")
    axes[0].legend(fontsize="small")
    save(figure, target)


def marginal(part: report.Values, target: Path) -> None:
    """B: what one more task costs."""
    known = {name: report.marginal_cost(part, name) for name in reversed(report.TASKS)}
    bars = {report.TASKS[name].replace("`", ""): value * 1000 for name, value in known.items() if value is not None}
    figure, plot = plt.subplots(figsize=SIZE)
    plot.barh(list(bars), list(bars.values()))
    plot.set(title="One more task that finds nothing to do", xlabel="milliseconds")
    save(figure, target)


def credentials(part: report.Values, target: Path) -> None:
    """D: what a credential costs when there are more tables."""
    figure, plot = plt.subplots(figsize=SIZE)
    for method in report.METHODS:
        rows = [row for row in part["tables"] if row["method"] == method]
        tables = [row["tables"] for row in rows]
        plot.plot(tables, [report.cost(row) * 1000 for row in rows], "o-", label=LABELS[method])
    plot.set(
        title="Issue and revoke one credential", xlabel="tables", ylabel="milliseconds", xscale="log", yscale="log"
    )
    plot.grid(alpha=0.3)
    plot.legend()
    save(figure, target)


def save(figure: plt.Figure, target: Path) -> None:
    figure.tight_layout()
    figure.savefig(target, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main(directory: Path) -> None:
    parts = json.loads((directory / "results.json").read_text())["parts"]
    for name, draw, file in (("A", growth, "converge"), ("B", marginal, "tasks"), ("D", credentials, "credentials")):
        if name in parts:
            draw(parts[name], directory / f"{file}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
