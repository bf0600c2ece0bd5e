# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.json in words: Markdown tables, and which targets are met.

python benchmarks/report.py DIRECTORY       writes results.md again
"""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

Values = dict[str, t.Any]

WAYS = {
    "sync": "`database_sync`",
    "modules": "our single modules in a loop",
    "modules_as_modules": "the same, each in a process of its own",
    "peer": "community.hashi_vault's modules in a loop",
    "raw": "the bare requests + an empty play",
    "raw_and_read_back": "the same, each write read back as ours are",
}
TASKS = {
    "debug": "`ansible.builtin.debug` (in the controller)",
    "ping": "`ansible.builtin.ping` (a module that does nothing)",
    "ours": "our `database_role`",
    "ours_as_module": "our `database_role`, as a module",
    "peer": "`vault_database_role_create` (community.hashi_vault)",
    "ours_read": "our `database_role_info`",
    "ours_read_as_module": "our `database_role_info`, as a module",
    "peer_read": "`vault_database_role_read` (community.hashi_vault)",
}
LOOKUPS = {
    "literal": "no lookup: a variable",
    "ours": "`leasehold.vault.database_credentials`",
    "ours_with_callback": "the same, with the callback `leasehold.vault.revoke_leases` enabled",
    "peer": "`community.hashi_vault.vault_read`",
}
METHODS = {"in_role": "`in_role`", "direct": "rights per table"}


# ------------------------------------------------------------------------------------------------------------ numbers


class Converge:
    """Part A, with what was not measured put on the line through what was."""

    def __init__(self, part: Values) -> None:
        self.part = part
        self.empty: float = part["empty"]["median"]
        self.rows = {(row["way"], row["roles"]): row for row in part["rows"]}

    def seconds(self, way: str, roles: int, what: str) -> tuple[float, bool] | None:
        """How long it took, and whether that is extrapolated. The bare requests get the start of ansible-playbook on top."""
        row = self.rows.get((way, roles))
        if row and "cannot_run" in row:
            return None
        if row:
            return row[what]["median"] + (self.empty if way.startswith("raw") else 0), False
        (few, many) = self.part["roles"][:2]
        low, high = self.seconds(way, few, what), self.seconds(way, many, what)
        if low is None or high is None or roles not in self.part["roles"]:
            return None
        return high[0] + (high[0] - low[0]) * (roles - many) / (many - few), True


def median(part: Values, *path: str) -> float | None:
    for name in path:
        part = part.get(name, {})
    return t.cast("float | None", part.get("median"))


def marginal_cost(part: Values, name: str) -> float | None:
    """A difference of two plays: on a machine that does other things it can come out below nothing, and says nothing."""
    value = median(part, "marginal", name)
    return value if value is not None and value > 0 else None


def cost(row: Values) -> float:
    return float(row["issue"]["median"] + row["revoke"]["median"])


# ------------------------------------------------------------------------------------------------------------ targets


def targets(results: Values) -> list[Values]:
    """What the collection promises about its speed, and whether this run bears it out."""
    parts, found, quick = results["parts"], list[Values](), results["about"]["size"] == "quick"

    def target(text: str, value: float | None, limit: float, unit: str, at_least: bool = False) -> None:
        met = None if value is None or quick else value >= limit if at_least else value <= limit
        found.append({"target": text, "value": value, "unit": unit, "met": met})

    if "A" in parts:
        a = Converge(parts["A"])
        last, loop = parts["A"]["roles"][-1], parts["A"]["loop"]
        for what, words, limit, raw in (
            ("no_change", "no-change converge of {} roles: at most {}× the same requests + empty play", 1.5, "raw"),
            (
                "first",
                "first converge of {} roles: at most {}× the same requests + empty play",
                1.3,
                "raw_and_read_back",
            ),
            ("first", "… also when the bare requests read nothing back", 1.3, "raw"),
        ):
            ratio = quotient(a.seconds("sync", last, what), a.seconds(raw, last, what))
            target(words.format(last, limit), ratio, limit, "×")
        both = [quotient(a.seconds("peer", last, w), a.seconds("sync", last, w)) for w in ("no_change", "first")]
        known = [ratio for ratio in both if ratio is not None]
        target(
            f"{last} roles: at least 50× faster than community.hashi_vault (the worse of first and no-change)",
            min(known, default=None), 50, "×", at_least=True,
        )  # fmt: skip
        looped = a.seconds("modules", loop, "no_change")
        target(
            f"{loop + 2} resources in a loop, second run: at most 1 s more than an empty play",
            looped[0] - a.empty if looped else None, 1, "s",
        )  # fmt: skip
    if "B" in parts:
        names = ("ours", "ours_as_module", "peer", "debug")
        own, as_module, peer, debug = (marginal_cost(parts["B"], name) for name in names)
        target("a separate task: at most 1.3× ansible.builtin.debug", own / debug if own and debug else None, 1.3, "×")
        target("a task costs no more than a peer's", own / peer if own and peer else None, 1, "×")
        target("… nor does it as a module", as_module / peer if as_module and peer else None, 1, "×")
    if "C" in parts:
        literal = parts["C"]["literal"]["median"]
        alone, at_end = (parts["C"][name]["median"] - literal for name in ("ours", "ours_with_callback"))
        words = f"lookups on {parts['C']['hosts']} hosts, beyond a literal: without the callback at most 1.5× what they take with it"
        target(words, alone / at_end if at_end > 0 else None, 1.5, "×")
    if "D" in parts:
        rows = [row for row in parts["D"]["tables"] if row["method"] == "in_role"]
        ratios = [cost(row) / cost(rows[0]) for row in rows]
        worst = max(ratios, key=lambda ratio: abs(ratio - 1))
        words = f"cost of a credential from {rows[0]['tables']} to {rows[-1]['tables']} tables: constant, ±15 %"
        found.append({"target": words, "value": worst, "unit": "×", "met": None if quick else abs(worst - 1) <= 0.15})
    if "E" in parts:
        last = parts["E"]["pages"][-1]
        target(f"the page of {last['leases']} leases: at most 2 s", last["write"]["median"], 2, "s")
        target("… and at most 2 MB", last["bytes"] / 1e6, 2, "MB")
        target("… and its data, too", last["data"] / 1e6, 2, "MB")
    if "F" in parts:
        f = parts["F"]
        row, empty = f["rows"][0], f["empty"]["median"]
        target(
            f"PostgreSQL's side of {row['databases']} databases, no change: at most 6 s more than an empty play",
            row["again"]["median"] - empty,
            6,
            "s",
        )
        target("… and on an empty server at most 40 s", row["first"], 40, "s")
        target(
            f"one database of {f['tables']} tables and {f['groups']} groups, no change: at most 2 s more",
            f["large"]["median"] - empty,
            2,
            "s",
        )
    return found


def quotient(above: tuple[float, bool] | None, below: tuple[float, bool] | None) -> float | None:
    return above[0] / below[0] if above and below else None


# ------------------------------------------------------------------------------------------------------------- tables


def markdown(results: Values, plots: t.Sequence[str] = ()) -> str:
    about, parts = results["about"], results["parts"]
    lines = ["# What was measured", ""]
    lines += [
        f"`{about['command']}` on {about['date']}, {about['machine']}, {about['cores']} cores, load at the start "
        f"{' '.join(map(str, about['load_at_start']))}, {about['seconds']} s. "
        + ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        + ". Medians; [README](../README.md) says what they mean.",
        "",
    ]
    if about["size"] == "quick":
        lines += [
            "**A quick run: it shows that everything works. Its numbers mean little, and are not judged.**",
            "",
        ]
    if about["load_at_start"][0] > 0.5:
        lines += ["**The machine was not idle when this began.**", ""]
    shown = [[each["target"], amount(each["value"], each["unit"]), MET[each["met"]]] for each in results["targets"]]
    lines += table("Targets", ["target", "measured", ""], shown)
    for name, write in (
        ("A", converge),
        ("B", tasks),
        ("C", lookups),
        ("D", credentials),
        ("E", pages),
        ("F", databases),
    ):
        if name in parts:
            lines += write(parts[name])
    for name, error in results["failed"].items():
        lines += [f"## {name} failed", "", "```text", error.strip()[-2000:], "```", ""]
    for plot in plots:
        lines += [f"![{Path(plot).stem}]({plot})", ""]
    return "\n".join(lines).rstrip() + "\n"


MET = {True: "met", False: "**missed**", None: "not judged"}


def converge(part: Values) -> list[str]:
    a, lines = Converge(part), []
    notes = [
        f"An empty play takes {amount(a.empty, 's')}, "
        f"{amount(part['document_alone']['median'], 's')} when its one task looks at the {part['roles'][-1]} roles among its variables: "
        "that much of `database_sync` is Ansible reading the document. "
        "community.hashi_vault writes each object in each run, and has no module for the mount, which was there already. "
        "≈ is extrapolated from the two columns before it.",
        "",
    ]
    for what, words in (("first", "first converge"), ("no_change", "no-change converge")):
        heads = ["", *(f"{roles} roles" for roles in part["roles"]), "ratio to the bare requests", "requests", "runs"]
        body = []
        for way, label in WAYS.items():
            cells = [a.seconds(way, roles, what) for roles in part["roles"]]
            ratio = quotient(cells[-1], a.seconds("raw", part["roles"][-1], what))
            measured = [row for (name, _roles), row in a.rows.items() if name == way and row["roles"] in part["roles"]]
            asked = ", ".join(str(row.get(f"{what}_requests", "–")) for row in measured)
            runs = ", ".join(str(len(row[what]["samples"])) if what in row else "–" for row in measured)
            body.append([label, *map(seconds_cell, cells), amount(ratio, "×"), asked, runs])
        lines += table(f"A. One connection and N roles: {words}", heads, body)
    loop = [
        [WAYS[way], *(seconds_cell(a.seconds(way, part["loop"], what)) for what in ("first", "no_change"))]
        for way in ("modules", "peer")
    ]
    lines += table(f"A. {part['loop']} roles, their connection and its mount", ["", "first", "second run"], loop)
    return lines + notes + reasons({f"{WAYS[way]}, {roles} roles": row for (way, roles), row in a.rows.items()})


def tasks(part: Values) -> list[str]:
    ping, peer = marginal_cost(part, "ping"), marginal_cost(part, "peer")
    body = []
    for name, label in TASKS.items():
        value = marginal_cost(part, name)
        body.append([
            label,
            amount(None if value is None else value * 1000, "ms"),
            amount(value / ping if value and ping else None, "×"),
            amount(value / peer if value and peer else None, "×"),
        ])  # fmt: skip
    heads = ["one more task", "costs", "ratio to ping", "ratio to `vault_database_role_create`"]
    title = f"B. The cost of a task that finds nothing to do ({part['tasks']} separate tasks)"
    return table(title, heads, body) + reasons({TASKS[name]: each for name, each in part["marginal"].items()})


def lookups(part: Values) -> list[str]:
    plain, ours, body = median(part, "literal"), median(part, "ours"), []
    for name, label in LOOKUPS.items():
        value = median(part, name)
        beyond = None if value is None or plain is None else value - plain
        body.append([
            label,
            str(part[name].get("leases", "cannot run")),
            amount(value, "s"),
            amount(beyond, "s"),
            amount(value / ours if value and ours else None, "×"),
        ])  # fmt: skip
    heads = ["", "leases issued", "play", "more than without", "ratio to ours"]
    title = f"C. {part['mentions']} tasks that mention the credentials, on {part['hosts']} hosts"
    return table(title, heads, body) + reasons({LOOKUPS[name]: part[name] for name in LOOKUPS})


def pages(part: Values) -> list[str]:
    first, body = part["pages"][0], []
    for row in part["pages"]:
        size = [
            amount(row["bytes"] / 1e6, "MB"),
            amount(row["bytes"] / first["bytes"], "×"),
            amount(row["data"] / 1e6, "MB"),
        ]
        body.append([str(row["leases"]), amount(row["write"]["median"], "s"), *size])
    return table("E. The page of lease_report", ["leases", "more than reading them", "page", "ratio", "JSON"], body)


def databases(part: Values) -> list[str]:
    names = {"ours": "`postgresql_sync`", "peer": "community.postgresql's modules"}
    empty, body = part["empty"]["median"], []
    for row in part["rows"]:
        costs = [(seconds - empty) / row["databases"] * 1000 for seconds in (row["first"], row["again"]["median"])]
        body.append(
            [names[row["way"]], str(row["databases"]), *(amount(cost, "ms") for cost in costs), str(row["changed"])]
        )
    return table(
        "F. PostgreSQL's side, per database", ["", "databases", "first", "no change", "changed the second time"], body
    )


def credentials(part: Values) -> list[str]:
    heads = ["", "tables", "issue", "revoke", "both", "ratio to the least"]
    body = [
        [METHODS[row["method"]], str(row["tables"]), *costs(row), amount(cost(row) / cost(first), "×")]
        for method in METHODS
        for first in [next(row for row in part["tables"] if row["method"] == method)]
        for row in part["tables"]
        if row["method"] == method
    ]
    lines = table("D. Issue and revoke a credential", heads, body)
    few = {row["method"]: row for row in reversed(part["tables"])}
    body = [
        [
            METHODS[row["method"]], str(row["tables"]), str(row["live"]), *costs(row),
            amount(cost(row) / cost(few[row["method"]]), "×"), failures(row["errors"]),
        ]
        for row in part["live"]
    ]  # fmt: skip
    heads = ["", "tables", "live users", "issue", "revoke", "both", "ratio to none live", "errors"]
    lines += table("D. The same while other users of the role live", heads, body)
    concurrent = part["concurrent"]
    body = [
        [
            METHODS[row["method"]], f"{row['issue_done'] / row['seconds']:.1f}",
            f"{row['issue_failed']} of {row['issue_done'] + row['issue_failed']}",
            f"{row['revoke_failed']} of {row['revoke_done'] + row['revoke_failed']}", failures(row["errors"]),
        ]
        for row in concurrent["rows"]
    ]  # fmt: skip
    title = f"D. {concurrent['clients']} clients over {concurrent['connections']} connections, {concurrent['tables']} tables"
    return lines + table(title, ["", "issued per s", "issues failed", "revocations failed", "errors"], body)


def table(title: str, heads: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"## {title}", "", f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def costs(row: Values) -> list[str]:
    values = (row["issue"]["median"], row["revoke"]["median"], cost(row))
    return [amount(value * 1000, "ms") for value in values]


def failures(errors: Values) -> str:
    return "; ".join(f"{count}× {error}" for error, count in errors.items()).replace("|", "\\|") or "none"


def seconds_cell(value: tuple[float, bool] | None) -> str:
    return "–" if value is None else ("≈ " if value[1] else "") + amount(value[0], "s")


def amount(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f} {unit}".replace(" ×", "×")


def reasons(rows: Values) -> list[str]:
    """What could not run, in its own words."""
    lines = []
    for name, row in rows.items():
        if "cannot_run" in row:
            lines += [f"{name} cannot run:", "", "```text", row["cannot_run"].strip()[-600:], "```", ""]
    return lines


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    found = json.loads((directory / "results.json").read_text())
    found["targets"] = targets(found)
    names = sorted(path.name for path in directory.glob("*.png"))
    (directory / "results.md").write_text(markdown(found, names))
