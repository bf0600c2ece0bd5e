# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest


@pytest.fixture
def mounted(vault):
    return vault.add_mount()


def test_connection_is_shown_as_module_returns_it(mounted, run):
    connection = run("database_connection", name="db", **mounted.connection())["connection"]
    for check in (True, False):
        shown = run("database_connection_info", check=check, name="db")
        assert shown == {"changed": False, "connections": [connection], "warnings": []}


def test_without_name_all_are_listed_or_empty_list(mounted, run):
    assert run("database_connection_info")["connections"] == []
    mounted.add_connection("b").add_connection("a")
    assert [connection["name"] for connection in run("database_connection_info")["connections"]] == ["a", "b"]


def test_secrets_are_not_shown(mounted, run):
    mounted.add_connection()
    assert mounted.database.admin_password not in json.dumps(run("database_connection_info"))


def test_missing_connection_is_empty_list_or_error_with_must_exist(mounted, run):
    assert run("database_connection_info", name="db")["connections"] == []
    sentence = run.refused("database_connection_info", name="db", must_exist=True)
    assert f"There is no connection {mounted.mount}/config/db" in sentence


@pytest.mark.parametrize("options", [{}, {"name": "db"}])
def test_missing_mount_has_its_own_error(vault, run, options):
    assert "nothing is mounted there" in run.refused("database_connection_info", **options)


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "früh"])
def test_invalid_name_is_refused_before_any_request(mounted, run, name):
    assert "cannot be a name" in run.refused("database_connection_info", name=name)
