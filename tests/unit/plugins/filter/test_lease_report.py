# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.report import cure, lease_report

NOW = "2026-01-31T12:00:00Z"
POLICY = 'path "database/creds/app*" { capabilities = ["read"] }'


def lease(number=1, role="app", ends="2026-01-31T12:30:00Z", error="", overdue=False):
    return {
        "lease_id": f"database/creds/{role}/{number:024}", "role": role, "issued_at": "2026-01-31T11:30:00Z", "expires_at": ends,
        "overdue": overdue, "irrevocable": bool(error), "error": error,
    }  # fmt: skip


def role(name="app", **more):
    return {"name": name, "db_name": "db", "default_ttl": 3600, "max_ttl": 0, **more}


def report(**gathered):
    return lease_report({"mount": "database", **gathered}, now=NOW)


def test_report_of_empty_mount_is_empty():
    made = report()
    assert made["counts"] == {"leases": 0, "overdue": 0, "irrevocable": 0, "orphans": None}
    assert made["timeline"]["bars"] == [{"from": NOW, "leases": 0}]
    assert made["mismatches"] is None


def test_overdue_and_irrevocable_leases_are_counted_apart():
    made = report(leases=[lease(1), lease(2, overdue=True), lease(3, overdue=True, error="refused")], orphans=[])
    assert made["counts"] == {"leases": 3, "overdue": 2, "irrevocable": 1, "orphans": 0}


def test_leases_are_counted_by_role_including_deleted_roles():
    made = report(roles=[role(), role("idle")], leases=[lease(1), lease(2), lease(3, role="gone")])
    assert [(row["role"], row["leases"], row["deleted"]) for row in made["roles"]] == [
        ("app", 2, False),
        ("gone", 1, True),
        ("idle", 0, False),
    ]


def test_histogram_has_every_live_lease():
    ends = ["2026-01-31T12:00:00Z", "2026-01-31T12:00:59Z", "2026-02-14T00:00:00Z", "2026-01-31T11:59:59Z"]
    made = report(leases=[lease(number, ends=end) for number, end in enumerate(ends)])["timeline"]
    assert sum(span["leases"] for span in made["bars"]) == 3
    assert made["bars"][0]["leases"] == made["most"] == 2
    assert made["overdue"] == 1
    assert len(made["bars"]) <= 48


def test_leases_with_same_cause_are_one_row():
    error = 'role "v-token-app-{:020}-1795304493" cannot be dropped because some objects depend on it (SQLSTATE 2BP01)'
    leases = [lease(number, error=error.format(number)) for number in range(1000)]
    (row,) = report(leases=[*leases])["irrevocable"]
    assert row["leases"] == 1000
    assert len(row["lease_ids"]) == 20
    assert "in_role" in row["cure"]


def test_lease_list_has_cause_and_user_once():
    broken = 'ERROR: role "v-token-app-{}" cannot be dropped (SQLSTATE 2BP01)'
    gone = 'failed to find entry for connection with name: "db"'
    errors = [broken.format("a"), "", broken.format("b"), gone]
    made = report(leases=[lease(number, error=error) for number, error in enumerate(errors)])
    when = {"issued_at": "2026-01-31T11:30:00Z", "expires_at": "2026-01-31T12:30:00Z"}
    assert made["leases"] == {
        "app": [
            {"id": f"{0:024}", **when, "cause": 0, "user": "v-token-app-a"},
            {"id": f"{1:024}", **when},
            {"id": f"{2:024}", **when, "cause": 0, "user": "v-token-app-b"},
            {"id": f"{3:024}", **when, "cause": 1},
        ]
    }
    assert [(row["leases"], "connection" in row["cure"]) for row in made["irrevocable"]] == [(2, False), (1, True)]


@pytest.mark.parametrize(
    ("error", "what"),
    [
        ("ERROR: permission denied for table items (SQLSTATE 42501)", "lacks a right"),
        ("failed SASL auth: FATAL: password authentication failed (SQLSTATE 28P01)", "Vault's password"),
        ('failed to find entry for connection with name: "db"', "connection of the role does not exist"),
        ("dial tcp 10.0.0.1:5432: connect: connection refused", "could not be reached"),
        ("ERROR: function no_such_function() does not exist (SQLSTATE 42883)", "not correct SQL"),
        ("ERROR: canceling statement due to lock timeout (SQLSTATE 55P03)", "lock"),
        ("something else", "Read the error"),
    ],
)
def test_each_revocation_error_has_a_remedy(error, what):
    assert what in cure(error)


@pytest.mark.parametrize(
    ("login", "policy", "mismatch"),
    [
        ({"token_ttl": 1200}, POLICY, 1200),
        ({"token_ttl": 7200, "token_max_ttl": 1800}, POLICY, 1800),
        ({"token_ttl": 1200, "token_period": 1200}, POLICY, None),
        ({"token_ttl": 7200}, POLICY, None),
        ({}, POLICY, None),
        ({"token_ttl": 1200}, 'path "database/creds/other" { capabilities = ["read"] }', None),
        ({"token_ttl": 1200}, 'path "database/+/app" { capabilities = ["read"] }', 1200),
        ({"token_ttl": 1200}, POLICY + ' path "database/creds/app" { capabilities = ["deny"] }', None),
        ({"token_ttl": 1200}, "not a policy {", None),
    ],
)
def test_login_shorter_than_its_leases_is_reported(login, policy, mismatch):
    logins = [{"name": "web", "type": "approle", "mount": "approle", "token_policies": ["web", "default"], **login}]
    found = report(roles=[role()], auth_roles=logins, policies=[{"name": "web", "policy": policy}])["mismatches"]
    assert [row["token"] for row in found] == ([mismatch] if mismatch else [])


def test_late_password_rotations_are_reported():
    static = {"name": "reports", "username": "reports", "rotation_period": 3600}
    made = report(
        connections=[{"name": "old", "root_rotated_at": "2026-01-01T00:00:00Z"}, {"name": "by-hand"}],
        static_roles=[{**static, "last_vault_rotation": moment} for moment in ("2026-01-31T11:30:00Z", "2026-01-31T10:00:00Z")],
    )  # fmt: skip
    assert [row["age"] for row in made["connections"]] == [30 * 86400 + 43200, None]
    assert [row["late"] for row in made["static_roles"]] == [False, True]


@pytest.mark.parametrize(
    ("limit", "late"), [(0, [False, False]), (31 * 86400, [False, True]), (30 * 86400, [True, True])]
)
def test_root_password_is_late_by_the_limit_of_its_schedule(limit, late):
    made = report(
        connections=[{"name": "old", "root_rotated_at": "2026-01-01T00:00:00Z"}, {"name": "never"}], rotation_late=limit
    )
    assert [row["late"] for row in made["connections"]] == late


def test_servers_with_unexpected_role_are_reported():
    node = {
        "name": "db",
        "host": "db2",
        "port": "5432",
        "replica": True,
        "in_recovery": True,
        "started": "1",
        "ended": 2,
        "problem": "",
    }
    (line,) = report(nodes=[node])["servers"]
    assert line.startswith("sessions/db at db2:5432: 2 session(s) go on without their user")
    assert report()["servers"] == []
