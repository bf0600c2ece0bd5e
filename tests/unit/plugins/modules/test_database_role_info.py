# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.fixture
def connected(vault):
    return vault.add_mount().add_connection()


def test_role_is_shown_in_readable_sql(connected, run):
    role = run("database_role", name="app", db_name="db", in_role=connected.database.group)["role"]
    assert "REASSIGN OWNED BY" in role["revocation_statements"][-1]
    for check in (True, False):
        shown = run("database_role_info", check=check, role_name="app")
        assert shown == {"changed": False, "roles": [role], "warnings": []}


@pytest.mark.both
def test_shown_role_reapplies_without_change(connected, run):
    run("database_role", name="app", db_name="db", in_role=connected.database.group, default_ttl="1h")
    run.nothing("database_role", **run("database_role_info", name="app")["roles"][0])


def test_without_name_all_are_listed_or_empty_list(connected, run):
    assert run("database_role_info")["roles"] == []
    connected.add_role("b").add_role("a")
    assert [role["name"] for role in run("database_role_info")["roles"]] == ["a", "b"]


def test_missing_role_is_empty_list_or_error_with_must_exist(connected, run):
    assert run("database_role_info", name="app")["roles"] == []
    sentence = run.refused("database_role_info", name="app", must_exist=True)
    assert f"There is no role {connected.mount}/roles/app" in sentence


@pytest.mark.parametrize("options", [{}, {"name": "app"}])
def test_missing_mount_has_its_own_error(vault, run, options):
    assert "nothing is mounted there" in run.refused("database_role_info", **options)


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "früh"])
def test_invalid_name_is_refused_before_any_request(connected, run, name):
    assert "cannot be a name" in run.refused("database_role_info", name=name)
