# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README shows of the collection is true: badges, the comparison with others, the picture of the demo, the version."""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path
from xml.etree import ElementTree

import pictures
import pytest
import yaml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
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


def test_the_badges_are_true() -> None:
    shown = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "badges").glob("*.svg")}
    assert shown == pictures.badges(), "python sandbox/pictures.py badges makes them anew"
    for label, value in pictures.facts().items():
        assert (
            f"![{label}: {value}](https://raw.githubusercontent.com/leasehold/vault/main/docs/badges/{label.lower()}.svg)"
            in README
        )


def test_the_picture_of_the_demo_says_what_the_demo_says() -> None:
    picture = (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(picture)  # noqa: S314
    assert not re.search(r"href|url\(|@import|<image|<script", picture), "it needs nothing else"
    seen = html.unescape(picture)
    story = next(
        node
        for node in ast.walk(ast.parse((ROOT / "sandbox" / "demo.py").read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "play"
    )
    result = [
        node.value.strip()
        for node in ast.walk(story)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip()
    ]

    assert len(result) > 10
    assert [text for text in result if text not in seen] == [], "python sandbox/pictures.py demo makes it anew"


def test_the_changelog_knows_the_version() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    known = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]
    assert version in known, "antsibull-changelog release writes it"
    assert f"## v{version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("\\.", ".")
