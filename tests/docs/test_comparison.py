# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each cell of docs/comparison.md names the test, or the source, that backs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPARISON = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
SOURCES = dict(re.findall(r"^\[([\w-]+)\]: (\S+)$", COMPARISON, re.MULTILINE))
PEERS = {
    "community": "ansible-collections/community.hashi_vault",
    "hashicorp": "ansible-collections/hashicorp.vault",
    "hashivault": "TerryHowe/ansible-modules-hashivault",
    "Terraform": "hashicorp/terraform-provider-vault",
    "Salt": "salt-extensions/saltext-vault",
}
OPERATORS = {
    "Secrets Operator": "hashicorp/vault-secrets-operator",
    "External Secrets": "external-secrets/external-secrets",
    "Config Operator": "redhat-cop/vault-config-operator",
}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows(text: str) -> list[tuple[dict[str, str], list[str]]]:
    """The rows of the tables that compare: with whom, and the cells: what matters, ours, then the others."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [cells(line) for line in table.splitlines()]
        found += [
            (others, line) for others in (PEERS, OPERATORS) if lines[0] == ["", "ours", *others] for line in lines[2:]
        ]
    return found


def our_links(cell: str) -> list[tuple[str, str]]:
    return re.findall(r'\]\(([^)\s]+) "(\w+)"\)', cell)


def test_the_comparison_has_its_tables() -> None:
    assert len(rows(COMPARISON)) >= 25
    assert {len(others) for others, _row in rows(COMPARISON)} == {len(PEERS), len(OPERATORS)}
    assert all(len(row) == 2 + len(others) for others, row in rows(COMPARISON))


@pytest.mark.parametrize(
    ("others", "row"), rows(COMPARISON), ids=lambda value: value[0] if isinstance(value, list) else ""
)
def test_each_cell_has_a_test_or_a_source(others: dict[str, str], row: list[str]) -> None:
    links = our_links(row[1])
    assert links, "our cell names no test"
    for target, name in links:
        source = (ROOT / "docs" / target).resolve()
        assert source.is_relative_to(ROOT / "tests"), target
        assert re.search(rf"^(def {name}\(|{name} = )", source.read_text(), re.MULTILINE), f"{target} has no {name}"
    for peer, cell in zip(others, row[2:], strict=True):
        assert re.search(r"\]\[[\w-]+\]|\]\(\.\./benchmarks/results/", cell), f"{peer}: {cell} has no source"
        for label in re.findall(r"\]\[([\w-]+)\]", cell):
            assert label in SOURCES, f"{peer}: [{label}] is not defined"


def test_a_source_is_in_a_version_or_a_thread() -> None:
    versions = dict(re.findall(r"^\| \[.*\]\(https://[\w.]+/(\S+)\) \| ([\d.]+) \|", COMPARISON, re.MULTILINE))
    assert list(versions) == [*PEERS.values(), *OPERATORS.values()]
    for label, address in SOURCES.items():
        _host, repository, kind, rest = re.fullmatch(r"https://([\w.]+)/([\w.-]+/[\w.-]+)/(\w+)/(.*)", address).groups()
        if kind in ("blob", "tree"):
            fixed = versions.get(repository)
            assert re.match(rf"v?{re.escape(fixed)}/" if fixed else r"[0-9a-f]{40}/", rest), label
        else:
            assert kind in ("issues", "pull"), label
            assert rest.isdigit(), label
    used = set(re.findall(r"\]\[([\w-]+)\]", COMPARISON))
    assert used == set(SOURCES)
