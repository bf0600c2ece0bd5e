# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml


@pytest.fixture
def user(reports):
    return f"{reports.database.name}_reports"


@pytest.fixture
def desired(user):
    return {"name": "reports", "db_name": "db", "username": user, "rotation_period": "24h"}


def test_lifecycle_of_static_role(reports, run, user, desired):
    made = run.changes("database_static_role", **desired)
    assert made["static_role"]["rotation_period"] == 86400
    assert not reports.database.opens("first-password", user)  # Vault rotates at once

    run.nothing("database_static_role", **{**desired, "rotation_period": 86400})
    run.nothing("database_static_role", name="reports")
    changed = run.changes("database_static_role", **{**desired, "rotation_period": "12h"})
    assert yaml.safe_load(changed["diff"]["before"])["rotation_period"] == 86400
    assert yaml.safe_load(changed["diff"]["after"])["rotation_period"] == 43200

    assert run.changes("database_static_role", name="reports", state="absent")["static_role"] == {}
    run.nothing("database_static_role", name="reports", state="absent")
    assert reports.database.has(user)


def test_change_made_elsewhere_is_reported_and_reverted(reports, run, user, desired):
    run("database_static_role", **desired)
    reports.write("static-roles/reports", username=user, rotation_period=60, rotation_statements=["SELECT 'by hand'"])
    result = run.changes("database_static_role", **desired)
    before, after = (yaml.safe_load(result["diff"][side]) for side in ("before", "after"))
    assert {key for key in after if before[key] != after[key]} == {"rotation_period"}
    assert result["static_role"]["rotation_statements"] == ["SELECT 'by hand'"]


def test_username_change_is_refused(reports, run, desired):
    run("database_static_role", **desired)
    sentence = run.refused("database_static_role", **{**desired, "username": "somebody_else"})
    assert "username" in sentence
    assert "only at creation" in sentence


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "a/b"}, "cannot be a name"),
        ({"rotation_period": "abc"}, "rotation_period"),
        ({"rotation_period": "-1"}, "rotation_period"),
        ({"rotation_period": "1w"}, "rotation_period"),
        ({"db_name": "nowhere"}, "no connection nowhere"),
        ({"username": None}, "username"),
        ({"rotation_period": None}, "rotation_period"),
    ],
)
def test_invalid_input_is_refused_without_rotation(reports, run, user, desired, wrong, words):
    assert words in run.refused("database_static_role", **{**desired, **wrong})
    assert reports.database.opens("first-password", user)


@pytest.mark.lacks("rotation_schedule")
def test_schedule_ignored_by_server_is_refused_without_rotation(reports, run, user, desired):
    scheduled = {**desired, "rotation_period": None, "rotation_schedule": "0 0 * * *"}
    assert "rotation_schedule" in run.refused("database_static_role", **scheduled)
    assert reports.database.opens("first-password", user)


@pytest.mark.needs("rotation_schedule")
def test_role_with_schedule_is_created_updated_and_unchanged(reports, run, user, desired):
    scheduled = {**desired, "rotation_period": None, "rotation_schedule": "0 0 * * *", "rotation_window": "1h"}
    run.changes("database_static_role", **scheduled)
    assert not reports.database.opens("first-password", user)
    run.changes("database_static_role", **{**scheduled, "rotation_schedule": "0 3 * * 6"})
    assert reports.read("static-roles/reports")["rotation_schedule"] == "0 3 * * 6"


def test_role_not_allowed_by_connection_is_refused(reports, run, user, desired):
    reports.write("config/db", allowed_roles="another")
    assert "does not allow the role reports" in run.refused("database_static_role", **desired)
    assert reports.database.opens("first-password", user)


def test_password_is_not_shown(reports, run, desired):
    made = run("database_static_role", **desired)
    assert reports.read("static-creds/reports")["password"] not in str(made)
