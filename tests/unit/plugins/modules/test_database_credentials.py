# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem

SHAPE = {"username", "password", "lease_id", "lease_duration", "renewable", "expires_in", "expires_at"}


@pytest.fixture
def issuing(vault):
    return vault.add_mount().add_connection().add_role(default_ttl="1h")


def token(vault, **more):
    """A child of the root token."""
    auth = vault.client.ask("post", "auth/token/create", {"policies": ["root"], **more})["auth"]
    return auth["client_token"]


def test_check_mode_issues_nothing_and_each_run_issues_a_user(issuing, run):
    foreseen = run("database_credentials", check=True, role="app")
    assert foreseen["changed"]
    assert set(foreseen["credentials"]) == SHAPE
    assert issuing.leases() == []

    first, second = (run("database_credentials", role="app") for _time in range(2))
    assert first["changed"]
    assert set(first["credentials"]) == SHAPE
    assert first["credentials"]["lease_duration"] == first["credentials"]["expires_in"] == 3600
    assert first["credentials"]["username"] != second["credentials"]["username"]
    assert sorted(issuing.leases()) == sorted(issued["credentials"]["lease_id"] for issued in (first, second))
    assert first["warnings"] == []


def test_user_logs_in_until_lease_is_revoked(real_vault, run):
    database = real_vault.add_mount().add_connection().add_role().database
    issued = run("database_credentials", role="app")["credentials"]
    assert database.opens(issued["password"], issued["username"])
    real_vault.client.ask("put", "sys/leases/revoke", {"lease_id": issued["lease_id"]})
    assert not database.opens(issued["password"], issued["username"])


def test_expires_at_is_utc(issuing, run):
    issued = run("database_credentials", role="app")["credentials"]
    assert issued["expires_at"].endswith("Z")
    until = datetime.datetime.fromisoformat(issued["expires_at"].replace("Z", "+00:00"))
    assert until > datetime.datetime.now(datetime.timezone.utc)


@pytest.mark.both
def test_static_role_credentials_are_read_without_change(vault, run):
    vault.add_mount().add_connection()
    if "FakeWorld" not in type(vault).__name__:
        vault.database.sql(f"CREATE ROLE {vault.database.name}_static LOGIN PASSWORD 'old'")
        vault.database.sql(f"GRANT {vault.database.name}_static TO {vault.database.admin} WITH ADMIN OPTION")
    vault.write("static-roles/reader", db_name="db", username=f"{vault.database.name}_static", rotation_period="1h")
    for _time in range(2):
        with vault.unchanged():
            result = run("database_credentials", static_role="reader")
        assert not result["changed"]
        assert result["credentials"]["username"] == f"{vault.database.name}_static"
        assert result["credentials"]["lease_id"] == ""
    foreseen = run("database_credentials", check=True, static_role="reader")
    assert not foreseen["changed"]
    assert foreseen["credentials"].keys() == result["credentials"].keys()
    (role,) = run("database_static_role_info", name="reader")["static_roles"]
    assert result["credentials"]["last_vault_rotation"] == role["last_vault_rotation"]


def test_token_expiring_before_lease_warns(real_vault, run):
    real_vault.add_mount().add_connection().add_role(default_ttl="1h")
    result = run("database_credentials", role="app", token=token(real_vault, ttl="90s"))
    assert result["credentials"]["lease_duration"] == 3600
    assert result["credentials"]["expires_in"] <= 90
    assert "the user is revoked with it" in result["warnings"][0]


def test_periodic_token_has_no_warning(real_vault, run):
    real_vault.add_mount().add_connection().add_role(default_ttl="1h")
    result = run("database_credentials", role="app", token=token(real_vault, period="90s"))
    assert result["warnings"] == []
    assert result["credentials"]["expires_in"] == 3600


def test_server_warnings_are_passed_on(real_vault, run):
    real_vault.add_mount().add_connection().add_role(default_ttl="2h", max_ttl="1h")
    assert any("max_ttl" in warning for warning in run("database_credentials", role="app")["warnings"])


@pytest.mark.parametrize(
    ("role", "words"), [({"db_name": "gone"}, "gone"), ({"creation_statements": []}, "empty creation statements")]
)
def test_role_that_cannot_issue_shows_server_error(issuing, run, role, words):
    issuing.write("roles/app", **role)
    sentence = run.refused("database_credentials", role="app")
    assert words in sentence
    assert f"{issuing.mount}/creds/app" in sentence


def test_unknown_role_fails(issuing, run):
    assert "unknown role: nobody" in run.refused("database_credentials", role="nobody")


def test_failing_sql_leaves_no_user_and_shows_sqlstate(real_vault, run):
    real_vault.add_mount().add_connection().add_role(creation_statements=["CREATE NONSENSE {{name}}"])
    assert "42601" in run.refused("database_credentials", role="app")


@pytest.mark.parametrize("option", ["role", "static_role"])
@pytest.mark.parametrize("name", ["a/b", "..", "../config/db", "a b", "früh", "", "a?list=true"])
def test_invalid_name_is_refused_before_any_request(issuing, run, option, name):
    assert "cannot be a name" in run.refused("database_credentials", **{option: name})


def test_exactly_one_of_role_and_static_role_is_required(vault, run):
    assert "role" in run.refused("database_credentials")
    assert "mutually exclusive" in run.refused("database_credentials", role="a", static_role="b")


def test_waiting_for_no_server_is_refused_before_a_user_is_issued(issuing, run):
    assert "wait_for_replay needs nodes" in run.refused("database_credentials", role="app", wait_for_replay="10s")
    assert issuing.leases() == []


@pytest.mark.full
@pytest.mark.parametrize("otherwise", ["revoke", "warn"])
def test_user_that_a_server_does_not_know_is_revoked_or_told(issuing, run, otherwise):
    """Nothing listens there."""
    node = {"name": "db", "host": "127.0.0.1", "port": "1", "database": "app"}
    how = {"role": "app", "nodes": [node], "wait_for_replay": "1s", "not_replayed": otherwise}
    if otherwise == "warn":
        issued = run("database_credentials", **how)
        assert "db at 127.0.0.1:1: connection" in issued["warnings"][0]
        assert issuing.leases() == [issued["credentials"]["lease_id"]]
    else:
        with pytest.raises(Problem, match=r"db at 127\.0\.0\.1:1: .* It was revoked") as caught:
            run("database_credentials", **how)
        assert "credentials" not in caught.value.result
        assert issuing.leases() == []
