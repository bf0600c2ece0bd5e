# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of attacks in SECURITY.md names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_attacks_name_tests_that_exist() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (?!somebody)(.+?) \| (.+?) \|$", text.partition("## Attacks tried")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert len(rows) >= 15
    there = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        there.update(re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    for attack, tests in rows:
        named = re.findall(r"`(\w+)`", tests)
        assert named, attack
        assert not set(named) - there, attack
