# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/tools/generate.py writes is what it would write now."""

from __future__ import annotations

import generate
import pytest

from .conftest import ROOT

GENERATED = generate.generated()


@pytest.mark.parametrize("file", GENERATED, ids=lambda file: str(file.relative_to(generate.ROOT)))
def test_generated_file_is_current(file):
    assert file.read_text(encoding="utf-8") == GENERATED[file], "run: python tests/tools/generate.py"


def test_each_action_plugin_is_generated():
    written = {file for file in GENERATED if file.parent.name == "action"}
    assert written == set((ROOT / "plugins" / "action").glob("*.py"))
