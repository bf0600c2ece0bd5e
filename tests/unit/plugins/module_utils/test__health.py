# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an admin role lacks, by what the database shows of it."""

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._operations.health import _lacking

BY_ITSELF = 'CREATE ROLE "{{name}}" LOGIN'
BY_FUNCTIONS = "SELECT leasehold.issue('{{name}}', '{{password}}', '{{expiration}}', 'app_rw')"
WELL = {
    "functions": True,
    "superuser": False,
    "create_role": True,
    "hands_out_by_option": True,
    "hands_out": ["app_rw"],
}


def lacking(creation, **row):
    return list(_lacking("vault_admin", {**WELL, **row}, creation, ["app_rw"]))


@pytest.mark.parametrize("creation", [[BY_ITSELF], [BY_FUNCTIONS], []])
def test_admin_that_has_everything_lacks_nothing(creation):
    assert lacking(creation) == []


@pytest.mark.parametrize(
    ("creation", "row", "sentence"),
    [
        ([BY_FUNCTIONS], {"functions": False}, "the functions that make the users do not exist"),
        ([BY_ITSELF], {"create_role": False}, "it lacks CREATEROLE"),
        ([BY_ITSELF], {"hands_out": []}, "may not hand out the group app_rw (it lacks ADMIN OPTION)"),
    ],
)
def test_what_an_admin_lacks_is_named(creation, row, sentence):
    (cause,) = lacking(creation, **row)
    assert sentence in cause


@pytest.mark.parametrize(
    ("creation", "row"),
    [
        ([BY_ITSELF], {"create_role": False, "superuser": True, "hands_out": []}),
        ([BY_FUNCTIONS], {"create_role": False, "hands_out": []}),
        ([BY_ITSELF], {"functions": False}),
        ([BY_ITSELF], {"hands_out_by_option": False, "hands_out": []}),
    ],
)
def test_what_an_admin_does_not_need_is_not_named(creation, row):
    assert lacking(creation, **row) == []
