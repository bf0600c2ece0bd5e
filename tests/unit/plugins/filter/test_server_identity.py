# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible_collections.leasehold.vault.plugins.filter.server_identity import FilterModule, server_identity

from ...conftest import ROOT


def test_sample_in_documentation_is_the_answer():
    documented = yaml.safe_load((ROOT / "plugins/filter/server_identity.yml").read_text())["RETURN"]["_value"]
    answer = server_identity({"version": "2.7.2"})
    assert answer == documented["sample"]
    assert set(answer) == set(documented["contains"])


@pytest.mark.parametrize(
    ("health", "namespaces"),
    [
        ({"version": "1.16.1", "enterprise": False}, False),
        ({"version": "1.16.1+ent"}, True),
        ("<html>", None),
        ({}, None),
    ],
)
def test_namespace_support_is_read_from_health(health, namespaces):
    assert FilterModule().filters()["server_identity"](health)["namespaces"] is namespaces
