# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.fixture
def rotated(reports):
    reports.write(
        "static-roles/reports", db_name="db", username=f"{reports.database.name}_reports", rotation_period="24h"
    )
    return reports


def password(vault):
    return vault.read("static-creds/reports")["password"]


def test_each_run_rotates_and_check_mode_does_not(rotated, run):
    for _time in range(2):
        first = password(rotated)
        assert run("database_static_role_rotation", check=True, name="reports")["changed"]
        assert password(rotated) == first
        assert run("database_static_role_rotation", name="reports")["changed"]
        assert password(rotated) != first
        assert rotated.database.opens(password(rotated), f"{rotated.database.name}_reports")


def test_recent_password_is_kept(rotated, run):
    run.nothing("database_static_role_rotation", name="reports", older_than="30d")
    assert run("database_static_role_rotation", name="reports", older_than="0")["changed"]


def test_password_is_not_shown(rotated, run):
    result = run("database_static_role_rotation", name="reports")
    assert password(rotated) not in str(result)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "nobody"}, "no static role"),
        ({"name": "a/b"}, "cannot be a name"),
        ({"name": "reports", "older_than": "1w"}, "older_than"),
        ({"name": "reports", "mount": "nowhere"}, "nothing is mounted there"),
    ],
)
def test_invalid_input_is_refused(rotated, run, options, words):
    first = password(rotated)
    assert words in run.refused("database_static_role_rotation", **options)
    assert password(rotated) == first
