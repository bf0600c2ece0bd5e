# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import secrets

import pytest


@pytest.fixture
def made(any_postgres):
    """An engine with one role, on PostgreSQL 18 and 15."""
    return any_postgres.add_mount().add_connection()


@pytest.fixture
def app(made, run):
    """A role of a name that no other test has: PostgreSQL 15 does not tell the users of other mounts from ours."""
    name = f"a{secrets.token_hex(3)}"
    run("database_role", name=name, db_name="db", in_role=made.database.group, default_ttl="1h")
    return name


def look(run, vault, **more):
    dba = {"login_user": vault.database.server.user, "login_password": vault.database.server.password}
    return run("database_health_info", **{"name": "db", "min_age": "0", **dba, **more})


def causes(found):
    return [(each["kind"], each["state"], each["detail"]) for each in found["differences"]]


def test_login_check_needs_no_database_login(vault, run):
    vault.add_mount().add_connection()
    for check in (True, False):
        found = run("database_health_info", name="db", look=["login"], check=check)
        assert (found["login"], found["differences"], found["changed"]) == ("ok", [], False)
    vault.database.refuse_all()
    try:
        found = run("database_health_info", name="db", look=["login"])
    finally:
        vault.database.let_in_again()
    assert found["login"] != "ok"
    assert [each["name"] for each in found["differences"]] == ["db"]


def test_refused_password_differs_and_unreachable_server_is_unknown(fake_vault, run):
    fake_vault.add_mount().add_connection()
    fake_vault.database.passwords[fake_vault.database.admin] = "another"
    ((_kind, state, detail),) = causes(run("database_health_info", name="db", look=["login"]))
    assert state == "differs"
    assert "28P01" in detail


def test_healthy_connection_has_no_differences(made, run, app):
    users = [made.issue(app) for _user in range(3)]
    found = look(run, made)
    assert (found["login"], found["differences"]) == ("ok", [])
    assert all(made.database.has(user["username"]) for user in users)


def test_without_dba_login_unchecked_parts_are_unknown(made, run, app):
    found = run("database_health_info", name="db")
    assert causes(found) == [("connections", "unknown", "its admin and users could not be looked at")]
    (_kind, state, detail), *_more = causes(look(run, made, login_password="wrong"))
    assert state == "unknown"
    assert "password authentication failed" in detail


@pytest.mark.parametrize(
    ("change", "login", "words"),
    [
        ("ALTER ROLE {} PASSWORD 'of-an-older-copy'", "refused", "the server has another password than Vault"),
        ("ALTER ROLE {} VALID UNTIL '2020-01-01'", "refused", "has expired (VALID UNTIL 2020-01-01"),
        ("ALTER ROLE {} NOLOGIN", "refused", "may not log in (NOLOGIN)"),
        ("ALTER ROLE {} NOCREATEROLE", "ok", "may make no users (it lacks CREATEROLE)"),
        ("ALTER ROLE {} RENAME TO {}_old", "refused", "does not exist on this server: it was dropped or renamed"),
    ],
)
def test_admin_role_lacking_rights_is_one_difference(made, run, app, change, login, words):
    admin = made.database.admin
    made.database.sql(change.format(admin, admin))
    found = look(run, made, look=["login", "admin"])
    ((kind, state, detail),) = causes(found)
    assert (found["login"], kind, state) == (login, "connections", "differs")
    assert words in detail


def test_lease_without_user_is_reported_with_removal(made, run, app):
    gone = made.issue(app)
    made.database.sql(f'DROP ROLE "{gone["username"]}"')
    found = look(run, made)
    assert found["userless_leases"] == [gone["lease_id"]]
    assert [(each["kind"], each["name"]) for each in found["differences"]] == [("leases", gone["lease_id"])]
    run("lease", mount=None, lease_id=gone["lease_id"], state="absent")
    assert look(run, made)["differences"] == []


def test_lease_younger_than_min_age_is_ignored(made, run, app):
    gone = made.issue(app)
    made.database.sql(f'DROP ROLE "{gone["username"]}"')
    found = look(run, made, min_age="2m")
    assert (found["userless_leases"], found["differences"]) == ([], [])


@pytest.mark.full
def test_other_server_makes_lease_without_user_uncertain(real_vault, run, postgres15):
    """The address the DBA connects to is a clone: the admin role is there, the users of live leases are not, and Vault does not log in there."""
    real_vault.add_mount().add_connection()
    run("database_role", name="app", db_name="db", in_role=real_vault.database.group, default_ttl="1h")
    user, database = real_vault.issue("app"), real_vault.database
    there = {"login_host": postgres15.host, "login_port": postgres15.port}
    there |= {"login_user": postgres15.user, "login_password": postgres15.password}
    admin = database.admin
    with contextlib.closing(postgres15.connect("postgres")) as server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {database.name}")
        try:
            found = look(run, real_vault, look=["users"], **there)
            assert "does not exist where this looked" in found["differences"][0]["detail"]
            cursor.execute(f"CREATE ROLE {admin} LOGIN")
            found = look(run, real_vault, look=["users"], **there)
        finally:
            cursor.execute(f"DROP DATABASE {database.name}")
            cursor.execute(f"DROP ROLE IF EXISTS {admin}")
    assert [(each["name"], each["state"]) for each in found["differences"]] == [(user["lease_id"], "unknown")]
    assert "no login of Vault was seen there" in found["differences"][0]["detail"]
    assert (found["userless_leases"], found["repair"]) == ([], [])


def test_ambiguous_lease_is_reported_as_uncertain(made, run, app):
    gone, well = made.issue(app), made.issue(app)
    made.database.sql(f'DROP ROLE "{gone["username"]}"')
    found = look(run, made)
    assert found["userless_leases"] == []
    ((kind, state, detail),) = causes(found)
    assert (kind, state) == ("leases", "differs")
    assert "either its user or that of" in detail
    assert made.database.has(well["username"])


def test_user_without_lease_is_reported(made, run, app):
    made.write(f"roles/{app}", revocation_statements=["SELECT no_such_function()"])
    left = made.issue(app)
    made.client.ask("put", f"sys/leases/revoke-force/{left['lease_id']}")
    found = look(run, made)
    assert [(each["kind"], each["name"]) for each in found["differences"]] == [("users", left["username"])]
    assert found["userless_leases"] == []


def test_user_of_former_admin_is_reported_with_repair(real_vault, run):
    """As after the admin role was dropped, or renamed, and made anew: from PostgreSQL 16 on it may not end what it did not make."""
    real_vault.add_mount().add_connection()
    app = f"app-{secrets.token_hex(3)}"  # users of others have other names
    run("database_role", name=app, db_name="db", in_role=real_vault.database.group, default_ttl="1h")
    user, admin = real_vault.issue(app), real_vault.database.admin
    real_vault.database.sql(
        f'REVOKE "{user["username"]}" FROM {admin} GRANTED BY {real_vault.database.server.user} CASCADE'
    )
    found = look(run, real_vault)
    reported = [("users", user["username"])] if real_vault.database.server.major >= 16 else []
    assert [(each["kind"], each["name"]) for each in found["differences"]] == reported
    for statement in found["repair"]:
        real_vault.database.sql(statement)
    assert look(run, real_vault)["differences"] == []
    run("lease", mount=None, lease_id=user["lease_id"], state="absent")
    assert not real_vault.database.has(user["username"])
