# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages and ends count by the clock of the server, whatever the clock of this machine shows."""

from __future__ import annotations

import datetime

import pytest

pytestmark = pytest.mark.usefixtures("clock_off")


def seconds_from_now(text):
    """By the clock of the machine on which the server runs."""
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def test_wrong_local_clock_rotates_static_role_by_server_age(reports, run):
    user = f"{reports.database.name}_reports"
    reports.write("static-roles/reports", db_name="db", username=user, rotation_period="24h")
    run.nothing("database_static_role_rotation", name="reports", older_than="1h")
    assert run("database_static_role_rotation", name="reports", older_than="0")["changed"]


def test_wrong_local_clock_shows_server_age_and_expiration_of_lease(real_vault, run):
    real_vault.add_mount().add_connection().add_role(default_ttl="30m", max_ttl="1h")
    credentials = run("database_credentials", role="app")["credentials"]
    assert 1700 < seconds_from_now(credentials["expires_at"]) <= 1800
    found = run("lease_info", mount=None, prefix=f"{real_vault.mount}/creds")
    (lease,) = found["leases"]
    assert lease["age"] < 100
    assert abs(seconds_from_now(found["server_time"])) < 100
    renewed = run("lease", mount=None, lease_id=credentials["lease_id"], valid_for="50m")
    assert renewed["changed"]
    assert 2900 < seconds_from_now(renewed["lease"]["expires_at"]) <= 3000


def test_wrong_local_clock_keeps_secret_id_by_server_ttl(real_vault, run):
    real_vault.client.write(f"sys/auth/{real_vault.mount}", {"type": "approle"})
    real_vault.client.write(f"auth/{real_vault.mount}/role/app", {"secret_id_ttl": 7200})
    accessor = run("approle_secret_id", name="app")["secret_id"]["secret_id_accessor"]
    run.nothing("approle_secret_id", name="app", secret_id_accessor=accessor, valid_for="1h")
    assert run("approle_secret_id", check=True, name="app", secret_id_accessor=accessor, valid_for="3h")["changed"]


def test_wrong_local_clock_records_root_rotation_in_server_time(real_vault, run):
    real_vault.add_mount().add_connection()
    assert run("database_root_rotation", name="db", password=real_vault.database.admin_password)["changed"]
    current = real_vault.read("config/db")["connection_details"]
    (noted,) = [value for key, value in current.items() if "rotated" in key]
    assert abs(seconds_from_now(noted)) < 100
