# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import secrets

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.usernames import TEMPLATE as NEW_NAMES

RANDOM = "9l9F9EmTO74d0uUKHUhJ"


@pytest.fixture
def made(any_postgres):
    """An engine, on PostgreSQL 18 and 15."""
    return any_postgres.add_mount().add_connection()


@pytest.fixture
def app():
    """The name of a role that no other test has: PostgreSQL 15 does not tell the users of other mounts from ours."""
    return f"a{secrets.token_hex(3)}"


@pytest.fixture
def safe(made, run, app):
    """A role as the documentation has it."""
    role(run, made, app)
    return made


def role(run, vault, name, **more):
    run("database_role", name=name, db_name="db", in_role=vault.database.group, default_ttl="1h", **more)


def dba(vault):
    return {"login_user": vault.database.server.user, "login_password": vault.database.server.password}


def look(run, vault, **more):
    return run("database_orphans_info", **{"name": "db", **dba(vault), **more})


def certainties(found):
    return {one["username"]: one["certainty"] for one in found["orphans"]}


def forget(vault, *lease_ids):
    """As a server does that is restored from an old copy: the leases are gone, the users stay."""
    for lease_id in lease_ids:
        vault.client.ask("put", f"sys/leases/revoke-force/{lease_id}")


def stranded(vault, role, age=1000):
    """A user whose lease is gone and who is still there; issued, as far as anybody can see, a quarter of an hour ago."""
    vault.write(f"roles/{role}", revocation_statements=["SELECT no_such_function()"])
    user = vault.issue(role)
    forget(vault, user["lease_id"])
    name = re.sub(r"\d{10}$", lambda made: str(int(made[0]) - age), user["username"])
    if name != user["username"]:
        vault.database.sql(f'ALTER ROLE "{user["username"]}" RENAME TO "{name}"')
    until(vault, name, f"(SELECT rolvaliduntil - interval '{age} s' FROM pg_roles WHERE rolname = '{name}')")
    return name


def expire(vault, username, ago="2 days"):
    until(vault, username, f"now() - interval '{ago}'")


def until(vault, username, expression):
    vault.database.sql(
        f"DO $$ BEGIN EXECUTE format('ALTER ROLE %I VALID UNTIL %L', '{username}', {expression}); END $$"
    )


def test_only_user_without_lease_is_orphan(safe, run, app):
    users = [safe.issue(app) for _user in range(3)]
    for check in (True, False):
        found = look(run, safe, check=check)
        assert (found["orphans"], found["users"], found["changed"]) == ([], 3, False)
    left = stranded(safe, app)
    found = look(run, safe)
    assert certainties(found) == {left: "leaseless"}
    assert found["counts"] == {"expired_and_leaseless": 0, "leaseless": 1, "unknown": 0}
    assert found["users"] == 4
    expire(safe, left)
    found = look(run, safe)
    assert certainties(found) == {left: "expired_and_leaseless"}
    assert found["orphans"][0]["expired"]
    assert all(safe.database.has(user["username"]) for user in users)


def test_user_from_before_new_template_is_found(made, run, app):
    """As an engine of 1.0.0 that gets the names of new connections."""
    made.add_connection(username_template="")
    role(run, made, app)
    current, left = made.issue(app), stranded(made, app)
    run("database_connection", name="db", username_template=NEW_NAMES)
    role(run, made, app)
    new = made.issue(app)
    assert new["username"].startswith(f"v-{app}-")
    found = look(run, made)
    assert certainties(found) == {left: "leaseless"}
    assert found["users"] == 3
    assert made.database.has(current["username"])


def test_open_databases_and_sessions_without_user_are_named(safe, run, app):
    database, user = safe.database, safe.issue(app)
    database.sql(f"CREATE DATABASE {database.name}_open")
    try:
        with database.session(user=user["username"], password=user["password"]):
            database.sql(f'DROP OWNED BY "{user["username"]}"')
            database.sql(f'DROP ROLE "{user["username"]}"')
            found = look(run, safe)
        assert f"{database.name}_open" in found["open_databases"]
        assert found["sessions_without_user"] >= 1
        assert any("belong to users that are gone" in warning for warning in found["warnings"])
        assert any(f"{database.name}_open" in warning for warning in found["warnings"])
    finally:
        database.sql(f"DROP DATABASE {database.name}_open")


def test_just_expired_user_with_known_creator_is_certain(safe, run, app):
    left = stranded(safe, app)
    expire(safe, left, "10 seconds")
    (orphan,) = look(run, safe)["orphans"]
    if safe.database.server.major >= 16:
        assert orphan["certainty"] == "expired_and_leaseless"
    else:
        assert orphan["certainty"] == "leaseless"
        assert "Who made it cannot be seen" in orphan["why"]


def test_renewed_shortened_and_overdue_leases_keep_their_users(safe, run, app):
    role(run, safe, f"{app}-b")
    long, short, failing = (safe.issue(name) for name in (app, app, f"{app}-b"))
    for lease_id, increment in ((long["lease_id"], 7200), (short["lease_id"], 60)):
        safe.client.ask("put", "sys/leases/renew", {"lease_id": lease_id, "increment": increment})
    safe.write(f"roles/{app}-b", revocation_statements=["SELECT no_such_function()"])
    with pytest.raises(Exception, match="no_such_function"):
        safe.client.ask("put", "sys/leases/revoke", {"lease_id": failing["lease_id"]})
    expire(safe, failing["username"])
    found = look(run, safe)
    assert (found["orphans"], found["users"]) == ([], 3)


def test_user_younger_than_min_age_is_unknown(safe, run, app):
    left = stranded(safe, app, age=0)
    found = look(run, safe)
    assert certainties(found) == {left: "unknown"}
    assert found["removal"] == []
    (orphan,) = found["orphans"]
    assert "min_age" in orphan["why"]


def test_two_users_of_one_second_with_one_lease_are_unknown(safe, run, app):
    user = safe.issue(app)
    twin = re.sub(r".{5}(.{15}-\d+)$", r"Twin0\1", user["username"])
    safe.database.sql(f'CREATE ROLE "{twin}"')
    safe.database.sql(
        f"DO $$ BEGIN EXECUTE format('ALTER ROLE %I VALID UNTIL %L', '{twin}',"
        f" (SELECT rolvaliduntil FROM pg_roles WHERE rolname = '{user['username']}')); END $$"
    )
    (orphan,) = look(run, safe, min_age="0")["orphans"]
    assert orphan["certainty"] == "unknown"
    assert user["lease_id"] in orphan["why"]


def test_lease_of_role_with_same_truncated_name_makes_user_unknown(made, run, app):
    reads, writes = f"{app}-reads", f"{app}-writes"
    for name in (reads, writes):
        role(run, made, name)
    current = made.issue(reads)
    old, new = stranded(made, writes), stranded(made, writes, age=0)
    assert current["username"].split("-")[2:4] == new.split("-")[2:4]
    given = certainties(look(run, made, min_age="0"))
    assert given.pop(old) == "leaseless"
    assert given in ({new: "unknown"}, {current["username"]: "unknown"})


def test_without_lease_list_right_all_users_are_unknown(safe, run, app):
    left = stranded(safe, app)
    expire(safe, left)
    policy = f'path "{safe.mount}/*" {{ capabilities = ["read", "list"] }}'
    safe.client.write(f"sys/policies/acl/{safe.mount}", {"policy": policy})
    token = safe.client.ask("post", "auth/token/create", {"policies": [safe.mount]})["auth"]["client_token"]
    found = look(run, safe, token=token)
    (orphan,) = found["orphans"]
    assert orphan["certainty"] == "unknown"
    assert "could not be listed" in orphan["why"]
    assert "sudo" in orphan["why"]
    assert "Leases of other mounts are not known" in found["warnings"][0]


def test_leases_of_other_mounts_count_and_users_of_other_connections_do_not(safe, run, app):
    """The same server, the same admin, the same name of the role."""
    other = f"{safe.mount}-b"
    safe.add_mount(other)
    # With Vault's default names, as the first one: PostgreSQL 15 does not tell who made a user.
    safe.client.write(f"{other}/config/db", {**safe.connection(), "plugin_name": "postgresql-database-plugin"})
    run("database_role", mount=other, name=app, db_name="db", in_role=safe.database.group)
    issued = safe.client.ask("get", f"{other}/creds/{app}", kind="issue")
    found = look(run, safe)
    assert (found["orphans"], found["users"]) == ([], 1)

    safe.client.ask("put", f"sys/leases/revoke/{issued['lease_id']}")
    rival = f"rival_{safe.database.admin}"
    safe.database.sql(f"CREATE ROLE {rival} LOGIN CREATEROLE PASSWORD 'x'")
    with safe.database.session(user=rival, password="x") as sql:
        sql(f"CREATE ROLE \"v-token-{app}-{RANDOM}-1700000000\" VALID UNTIL '2023-11-15'")
        sql(f"CREATE ROLE \"v-token-stranger-{RANDOM}-1700000000\" VALID UNTIL '2023-11-15'")
    found = look(run, safe)
    if safe.database.server.major >= 16:
        assert found["users"] == 0, "PostgreSQL tells that the rival made both"
    else:
        assert certainties(found) == {f"v-token-{app}-{RANDOM}-1700000000": "expired_and_leaseless"}


def test_users_not_issued_by_vault_are_ignored(safe, run, app):
    names = {
        f"v-token-{app}-{RANDOM}-1700000001": "",  # no VALID UNTIL
        f"v-token-{app}-{RANDOM}-1700000002": "VALID UNTIL 'infinity'",
        f"v-token-{app}-{RANDOM}-1700000003": "VALID UNTIL '2023-11-15' CREATEROLE",
        f"w-token-{app}-{RANDOM}-1700000004": "VALID UNTIL '2023-11-15'",
        "v-token-app": "VALID UNTIL '2023-11-15'",
        f"v-token-unheardof-{RANDOM}-1700000005": "VALID UNTIL '2023-11-15'",
    }
    for name, more in names.items():
        safe.database.sql(f'CREATE ROLE "{name}" {more}')
    try:
        found = look(run, safe)
        assert (found["orphans"], found["users"]) == ([], 0)
    finally:
        for name in names:
            safe.database.sql(f'DROP ROLE "{name}"')


def test_users_of_deleted_role_are_found_by_creator(safe, run, app):
    left = stranded(safe, app)
    safe.client.delete(f"{safe.mount}/roles/{app}")
    expected = {left: "leaseless"} if safe.database.server.major >= 16 else {}
    assert certainties(look(run, safe)) == expected


def test_custom_username_template_is_recognised(made, run, app):
    made.add_connection(username_template='{{ printf "x_%s_%s_%s" .RoleName (random 6) unix_time }}')
    role(run, made, app)
    made.issue(app)
    left = stranded(made, app)
    assert left.startswith(f"x_{app}_")
    assert certainties(look(run, made)) == {left: "leaseless"}


def test_names_without_time_are_matched_by_expiration(made, run, app):
    made.add_connection(username_template='{{ printf "x_%s_%s" .RoleName (random 12) }}')
    role(run, made, app)
    made.issue(app)
    left = stranded(made, app)
    expire(made, left)
    found = look(run, made)
    if made.database.server.major >= 16:
        assert certainties(found) == {left: "expired_and_leaseless"}
    else:
        assert found["users"] == 0
        assert any("Put unix_time into the template" in warning for warning in found["warnings"])


def test_unsupported_username_template_fails(made, run, app):
    made.add_connection(username_template="{{ if .RoleName }}v-{{ .RoleName }}-{{ random 8 }}{{ end }}")
    sentence = run.refused("database_orphans_info", name="db", **dba(made))
    assert "username_template of db" in sentence
    assert "its users cannot be distinguished from others" in sentence


def test_removal_ends_sessions_and_keeps_objects_in_all_databases(safe, run, app):
    database = safe.database
    user = safe.issue(app)
    other = f"{database.name}_b"
    with database.session("postgres") as sql:
        sql(f"CREATE DATABASE {other}")
    try:
        with database.session(other) as sql:
            sql(f"GRANT CREATE ON SCHEMA public TO {database.group}")
        for name in (database.name, other):
            with database.session(name, user=user["username"], password=user["password"]) as sql:
                sql("CREATE TABLE mine (what text)")
        forget_with_parking(safe, run, app, user)
        found = look(run, safe)
        (orphan,) = found["orphans"]
        assert orphan["parked"]
        assert orphan["certainty"] == "expired_and_leaseless"
        assert orphan["databases"] == [other]
        assert [step["database"] for step in found["removal"]] == [other, database.name]
        for step in found["removal"]:
            with database.session(step["database"]) as sql:
                sql(step["query"])
        assert not database.has(user["username"])
        assert look(run, safe)["orphans"] == []
        with database.session(other) as sql:
            assert sql("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'") == [(database.group,)]
    finally:
        with database.session("postgres") as sql:
            sql(f"DROP DATABASE {other} WITH (FORCE)")


def test_removal_rolls_back_prepared_transactions(safe, run, app):
    user = safe.issue(app)
    with safe.database.session(user=user["username"], password=user["password"]) as sql:
        sql("CREATE TABLE mine (); BEGIN; INSERT INTO mine DEFAULT VALUES")
        sql("PREPARE TRANSACTION %s", f"it's \\' {user['username']}")
    forget_with_parking(safe, run, app, user)
    for step in look(run, safe)["removal"]:
        with safe.database.session(step["database"]) as sql:
            sql(step["query"])
    assert not safe.database.has(user["username"])


def forget_with_parking(vault, run, app, user):
    """Revoke: its access ends, and what it owns elsewhere keeps it."""
    run("database_role", name=app, db_name="db", in_role=vault.database.group, revocation="parking")
    vault.client.ask("put", "sys/leases/revoke", {"lease_id": user["lease_id"]})
    assert vault.database.has(user["username"])


def test_removal_ends_counted_sessions(safe, run, app):
    database, user = safe.database, safe.issue(app)
    safe.write(f"roles/{app}", revocation_statements=["SELECT no_such_function()"])
    forget(safe, user["lease_id"])
    with database.session(user=user["username"], password=user["password"]):
        found = look(run, safe, min_age="0")
        assert found["orphans"][0]["sessions"] == 1
        (step,) = found["removal"]
        database.sql(step["query"])
        assert not database.sql("SELECT 1 FROM pg_stat_activity WHERE usename = %s", user["username"])
    assert not database.has(user["username"])


def test_any_login_suffices_and_session_is_read_only(safe, run, app):
    user = safe.issue(app)
    left = stranded(safe, app)
    found = look(run, safe, login_user=user["username"], login_password=user["password"])
    assert certainties(found) == {left: "leaseless"}


def test_wrong_login_and_missing_connection_fail_with_explanation(safe, run, app):
    sentence = run.refused("database_orphans_info", name="db", login_user="nobody", login_password="wrong")
    assert "Could not look into the database" in sentence
    assert "wrong" not in sentence.replace("wrong password", "")
    assert "There is no connection" in run.refused(
        "database_orphans_info", name="none", login_user="x", login_password="y"
    )
    assert "min_age" in run.refused(
        "database_orphans_info", name="db", login_user="x", login_password="y", min_age="soon"
    )
