# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long commands and files of tests take, in seconds, as they ran last on this machine.

`.cache/durations.json` is what this machine measured; `tests/durations.json`, which is shipped, is used for what has not
run here yet, and the table in TESTING.md is made from it.
"""

from __future__ import annotations

import json
import typing as t

from parts import CACHE, PARTS, ROOT, Part

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MEASURED = CACHE / "durations.json"
SHIPPED = ROOT / "tests" / "durations.json"
TESTING = ROOT / "TESTING.md"
BUDGET = 12 * 60
"""What the default run may take, in seconds, on two cores with nothing else to do."""
CPUS_OF_BUDGET = 2
WAITING = 0.5
"""What a command that waits most of its time takes of a core."""
Durations = dict[str, dict[str, float]]
"""`commands`: seconds by `part:command`, ` (default)` behind it if the default run takes only some of it;
`files`: seconds of all tests of a file, likewise."""


def load(*paths: Path) -> Durations:
    found: Durations = {"commands": {}, "files": {}}
    for path in paths:
        if path.exists():
            for kind, values in json.loads(path.read_text()).items():
                found[kind].update(values)
    return found


def known() -> Durations:
    return load(SHIPPED, MEASURED)


def save(path: Path, new: Durations) -> None:
    """Add to what the file has; what was not measured this time stays."""
    merged = load(path)
    for kind, values in new.items():
        merged[kind].update({name: round(seconds, 2) for name, seconds in values.items()})
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n")


def key(part: Part, command: str) -> str:
    """The name of a command in the file; what the default run takes only some of has two."""
    return f"{part.name}:{command}{' (default)' if part.is_default and part.default else ''}"


def cost(chosen: Sequence[Part], durations: Durations) -> float:
    """Seconds of all these parts together on the two CPUs of the budget: what each command takes of them, shared."""
    taken = 0.0
    for part in chosen:
        for command in part.commands:
            known_one = durations["commands"].get(key(part, command.called()), 0.0)
            taken += known_one * min(command.cores or WAITING, CPUS_OF_BUDGET)
    return taken / CPUS_OF_BUDGET


def seconds(part: Part, durations: Durations) -> float | None:
    """How long the commands of a part take one after the other, as far as it is known."""
    known_ones = [s for c in part.commands if (s := durations["commands"].get(key(part, c.called()))) is not None]
    return sum(known_ones) if known_ones else None


def _minutes(seconds: float | None) -> str:
    return "?" if seconds is None else "<1" if seconds < 45 else f"{seconds / 60:.0f}"


def markdown(durations: Durations) -> str:
    """The table of the parts in TESTING.md: what each shows, and its minutes in the default run and in the full one."""
    lines = ["| part | what it shows | default | full |", "|---|---|---|---|"]
    for part in PARTS:
        whole = None if part.on_request else part
        columns = [_minutes(seconds(taken, durations)) if taken else "-" for taken in (part.for_default(), whole)]
        lines.append(f"| `{part.name}` | {part.about} | {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def record() -> None:
    """Ship what this machine measured, and write the table of TESTING.md anew."""
    save(SHIPPED, load(MEASURED))
    text = TESTING.read_text()
    TESTING.write_text(text.replace(printed(text), markdown(load(SHIPPED))))


def printed(text: str) -> str:
    """The table as it stands in TESTING.md."""
    begin = text.index("| part | what it shows |")
    return text[begin : text.index("\n\n", begin) + 1]
