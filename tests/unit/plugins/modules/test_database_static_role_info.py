# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


def test_static_roles_are_shown_as_module_returns_them(reports, run):
    assert run("database_static_role_info")["static_roles"] == []
    user = f"{reports.database.name}_reports"
    made = run("database_static_role", name="reports", db_name="db", username=user, rotation_period="1h")["static_role"]
    for check in (True, False):
        assert run("database_static_role_info", check=check)["static_roles"] == [made]
        assert run("database_static_role_info", check=check, name="reports")["static_roles"] == [made]


def test_missing_static_role_is_empty_list_or_error_with_must_exist(vault, run):
    vault.add_mount()
    assert run("database_static_role_info", name="nobody")["static_roles"] == []
    assert "There is no static_role" in run.refused("database_static_role_info", name="nobody", must_exist=True)


def test_missing_mount_has_its_own_error(real_vault, run):
    assert "nothing is mounted there" in run.refused("database_static_role_info")


def test_password_is_not_shown(reports, run):
    reports.write("static-roles/r", db_name="db", username=f"{reports.database.name}_reports", rotation_period="1h")
    assert reports.read("static-creds/r")["password"] not in str(run("database_static_role_info"))
