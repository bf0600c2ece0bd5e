# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the access of a user ends, whatever its name is and whatever it has done: with in_role, with and without the functions.

On PostgreSQL 18 and 15; on 14 with LEASEHOLD_POSTGRESQL=14. `LEASEHOLD_LOAD=full` lets the storms last longer.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from pathlib import Path

import psycopg2
import pytest
import servers
from ansible_collections.leasehold.vault.plugins.module_utils._core import statements
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.functions import FUNCTIONS

from ...conftest import Runner
from ...conftest import _real as real_world

ROUNDS = 200 if os.environ.get("LEASEHOLD_LOAD") == "full" else 1
PARKED = "SELECT rolcanlogin, rolvaliduntil::text, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"


@pytest.fixture(
    scope="module",
    params=[
        "postgres-none",
        "postgres15-leasehold",
        pytest.param("postgres-leasehold", marks=pytest.mark.full),
        pytest.param("postgres15-none", marks=pytest.mark.full),
    ],
)
def any_postgres(request, bao):
    """A server, and how users are made on it: by blocks or by functions."""
    postgres, functions = request.param.split("-")
    for world in real_world(request, postgres):
        world.functions = functions
        yield world


TEMPLATE = "v-{{.RoleName}}-{{random 20}}-{{unix_time}}"


@pytest.fixture(scope="module")
def closed(any_postgres):
    """An engine, and a database that is closed to PUBLIC."""
    database = any_postgres.add_mount().database
    database.sql(f"REVOKE CONNECT ON DATABASE {database.name} FROM PUBLIC")
    database.sql(f"GRANT CONNECT ON DATABASE {database.name} TO {database.group}, {database.admin}")
    if any_postgres.functions == "leasehold":
        install_functions(database)
    return any_postgres


@pytest.fixture
def made(closed):
    database = closed.database
    yield closed.add_connection(username_template=TEMPLATE)
    closed.client.ask("put", f"sys/leases/revoke-force/{closed.mount}")
    with database.session() as sql:
        sql("SET lock_timeout TO '10s'")  # a test that failed may have left what holds the users
        for (transaction,) in sql(
            "SELECT quote_literal(gid) FROM pg_prepared_xacts WHERE database = current_database()"
        ):
            sql(f"ROLLBACK PREPARED {transaction}")
        for (user,) in sql("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname LIKE 'v-%'"):
            sql(f"DROP OWNED BY {user} CASCADE")
            with contextlib.suppress(psycopg2.Error):
                sql(f"DROP ROLE {user}")
        sql(f"DROP OWNED BY {database.group} CASCADE")
        sql(f"GRANT CONNECT ON DATABASE {database.name} TO {database.group}")
        sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON items TO {database.group}")
        sql(f"GRANT USAGE, SELECT ON SEQUENCE items_id_seq TO {database.group}")
        sql(f"GRANT CREATE, USAGE ON SCHEMA public TO {database.group}")


@pytest.fixture
def member(made, run):
    """A role in a group."""
    run(
        "database_role",
        name="app",
        db_name="db",
        in_role=made.database.group,
        functions=made.functions,
        revocation="parking",
    )
    return made


def install_functions(database, text=""):
    with database.session() as sql:
        if not sql("SELECT 1 FROM pg_roles WHERE rolname = 'leasehold_definer'"):
            sql("CREATE ROLE leasehold_definer CREATEROLE")
        sql(f"ALTER ROLE {database.admin} NOCREATEROLE")
        sql(f"REVOKE {database.group} FROM {database.admin}")
        sql(f"GRANT {database.group} TO leasehold_definer WITH ADMIN OPTION")
        sql("CREATE SCHEMA IF NOT EXISTS leasehold AUTHORIZATION leasehold_definer")
        sql("SET ROLE leasehold_definer")
        sql(text or FUNCTIONS)
        sql(f"GRANT USAGE ON SCHEMA leasehold TO {database.admin}")
        sql(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA leasehold TO {database.admin}")


def revoke(vault, user):
    vault.client.ask("put", "sys/leases/revoke", {"lease_id": user["lease_id"]})


def session(vault, user, dbname="", **more):
    return vault.database.session(dbname, user=user["username"], password=user["password"], **more)


def has_access(vault, user):
    """Where the user can log in, and how many sessions it has."""
    database, open_to = vault.database, []
    for dbname in (database.name, "postgres"):
        with contextlib.suppress(psycopg2.OperationalError), session(vault, user, dbname):
            open_to.append(dbname)
    (sessions,) = database.sql(
        "SELECT count(*) FROM pg_stat_activity AS a WHERE usename = %s OR datname = %s AND usesysid IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = a.usesysid)",
        user["username"],
        database.name,
    )[0]
    return open_to, sessions


NO_ACCESS = ([], 0)

# -- names are data ----------------------------------------------------------------------------------------------------------

NAMES = [
    "o'brien@bank",
    'x" CREATEROLE LOGIN--',
    "bob@x",
    "$do$; $$ $1$",
    "a;b--c/*d",
    "back\\slash\\'",
    "zoé ☃ 🔑",
    "%s%I}}",
    "E'\\x27",
    "tab\tnew\nline",
]


@pytest.mark.parametrize("name", NAMES)
def test_user_of_any_name_lives_and_ends(member, name):
    member.add_connection(username_template=f"v-{name}-{{{{random 20}}}}")
    before = member.database.sql("SELECT rolname FROM pg_roles WHERE rolcreaterole OR rolsuper ORDER BY 1")
    user = member.issue("app")
    assert user["username"].startswith(f"v-{name}-")
    with session(member, user) as sql:
        assert sql("SELECT session_user::text") == [(user["username"],)]
        sql("CREATE TABLE made ()")
    member.client.ask("put", "sys/leases/renew", {"lease_id": user["lease_id"], "increment": 7200})
    revoke(member, user)
    assert not member.database.has(user["username"])
    assert member.database.sql("SELECT rolname FROM pg_roles WHERE rolcreaterole OR rolsuper ORDER BY 1") == before


@pytest.mark.parametrize("placeholder", ["{{password}}", "{{expiration}}", "{{name}}"])
def test_name_with_placeholder_of_vault_is_refused(member, placeholder):
    """Vault would fill it in, and the user would not have the name that Vault revokes."""
    member.add_connection(username_template=f'v-{{{{"{placeholder}"}}}}-{{{{random 20}}}}')
    with pytest.raises(Problem, match="placeholder"):
        member.issue("app")
    assert member.database.sql("SELECT 1 FROM pg_roles WHERE rolname LIKE 'v-%SCRAM%' OR rolname LIKE 'v-{%'") == []


# -- access ends first -------------------------------------------------------------------------------------------------------


def owns_in_other_database(vault, user, keep):
    with session(vault, user, "postgres") as sql:
        sql("SELECT lo_create(0)")
    return "in database postgres"


def owns_large_object(vault, user, keep):
    with session(vault, user) as sql:
        sql("SELECT lo_create(0)")


def owns_many_kinds(vault, user, keep):
    with session(vault, user) as sql:
        for kind in (
            "TYPE kind AS ENUM ('a')",
            "DOMAIN dom AS int",
            "SEQUENCE seq",
            "MATERIALIZED VIEW mat AS SELECT 1 AS x",
        ):
            sql(f"CREATE {kind}")
        sql("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        sql("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
        sql("CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple)")
        sql('CREATE COLLATION coll FROM "C"')


def owns_what_needs_create_on_database(vault, user, keep):
    vault.database.sql(f"GRANT CREATE ON DATABASE {vault.database.name} TO {vault.database.group}")
    with session(vault, user) as sql:
        sql("CREATE SCHEMA theirs; CREATE TABLE theirs.table_of_theirs (id int PRIMARY KEY, number int)")
        sql("CREATE PUBLICATION pub FOR TABLE theirs.table_of_theirs")
        second = "(id + 1)" if vault.database.server.major >= 14 else "number"
        sql(f"CREATE STATISTICS theirs.stat ON id, {second} FROM theirs.table_of_theirs")
        sql("CREATE FUNCTION theirs.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        sql("CREATE TRIGGER t BEFORE INSERT ON theirs.table_of_theirs EXECUTE FUNCTION theirs.f()")
        sql("ALTER TABLE theirs.table_of_theirs ENABLE ROW LEVEL SECURITY")
        sql("CREATE POLICY p ON theirs.table_of_theirs TO CURRENT_USER USING (true)")
        sql("ALTER ROLE CURRENT_USER SET search_path TO theirs")
    keep.callback(vault.database.sql, "DROP SCHEMA theirs CASCADE; DROP PUBLICATION pub")


def holds_lock_and_temporary_table(vault, user, keep):
    sql = keep.enter_context(session(vault, user))
    sql("CREATE TABLE mine ()")
    sql("BEGIN; LOCK TABLE mine; CREATE TEMP TABLE passing ()")


def changes_its_password(vault, user, keep):
    """Its row in pg_authid is locked."""
    sql = keep.enter_context(session(vault, user))
    sql("BEGIN")
    sql("ALTER ROLE CURRENT_USER PASSWORD 'another'")


def has_prepared_transaction(vault, user, keep):
    with session(vault, user) as sql:
        sql("CREATE TABLE mine ()")
        sql("BEGIN; INSERT INTO mine DEFAULT VALUES")
        sql(f"PREPARE TRANSACTION '{user['username']}'")
    keep.callback(vault.database.sql, f"ROLLBACK PREPARED '{user['username']}'")
    return "lock timeout"


def another_reads_its_table(vault, user, keep):
    other = vault.issue("app")
    with session(vault, user) as sql:
        sql(f'CREATE TABLE mine (); GRANT SELECT ON mine TO "{other["username"]}"')
    sql = keep.enter_context(session(vault, other))
    sql("BEGIN; SELECT FROM mine")
    return "lock timeout"


def another_is_granting_to_it(vault, user, keep):
    sql = keep.enter_context(session(vault, vault.issue("app")))
    sql(f'CREATE TABLE theirs (); BEGIN; GRANT SELECT ON theirs TO "{user["username"]}"')
    return "lock timeout"


def another_has_granted_to_it(vault, user, keep):
    with session(vault, vault.issue("app")) as sql:
        sql(f'CREATE TABLE theirs (); GRANT SELECT ON theirs TO "{user["username"]}" WITH GRANT OPTION')
    with session(vault, user) as sql:
        sql(f"GRANT SELECT ON theirs TO {vault.database.group}")
    return "privileges for table public.theirs"


def another_may_act_as_it(vault, user, keep):
    """Until PostgreSQL 14 a user may grant itself; the other then locks its row and would not be ended with it."""
    other = vault.issue("app")
    with contextlib.suppress(psycopg2.errors.InsufficientPrivilege), session(vault, user) as sql:
        sql(f'GRANT "{user["username"]}" TO "{other["username"]}" WITH ADMIN OPTION')
        sql = keep.enter_context(session(vault, other))
        sql(f'SET ROLE "{user["username"]}"')
        sql("BEGIN")
        sql(f"ALTER ROLE \"{user['username']}\" PASSWORD 'another'")


def group_may_act_as_it(vault, user, keep):
    with contextlib.suppress(psycopg2.Error), session(vault, user) as sql:
        sql(f'GRANT "{user["username"]}" TO {vault.database.group}')


STATES = [
    owns_in_other_database, owns_large_object, owns_many_kinds, owns_what_needs_create_on_database, holds_lock_and_temporary_table, changes_its_password,
    has_prepared_transaction, another_reads_its_table, another_is_granting_to_it, another_has_granted_to_it, another_may_act_as_it,
    group_may_act_as_it,
]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_access_ends_in_every_state(member, state):
    """What cannot be dropped is parked, says why, and holds no lease."""
    user = member.issue("app")
    with contextlib.ExitStack() as keep:
        reason = state(member, user, keep)
        revoke(member, user)
        assert has_access(member, user) == NO_ACCESS
        assert not any(user["lease_id"] == lease for lease in member.leases())
        if not reason:
            assert not member.database.has(user["username"])
            return
        ((can_log_in, until, comment),) = member.database.sql(PARKED, user["username"])
        assert (can_log_in, until) == (False, "-infinity")
        assert comment.startswith("leasehold: parked, ")
        assert reason in comment
        groups = "SELECT 1 FROM pg_auth_members AS m JOIN pg_roles AS u ON u.oid = m.member WHERE u.rolname = %s"
        assert member.database.sql(groups, user["username"]) == []


def test_row_locked_by_prepared_transaction_ends_membership_and_keeps_lease(member):
    """Nobody but a superuser can end it: the user has no rights, and Vault goes on trying."""
    user = member.issue("app")
    with session(member, user) as sql:
        sql("BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'another'")
        sql(f"PREPARE TRANSACTION '{user['username']}'")
    with pytest.raises(Problem, match="prepared"):
        revoke(member, user)
    assert member.database.name not in has_access(member, user)[0]
    member.database.sql(f"ROLLBACK PREPARED '{user['username']}'")
    revoke(member, user)
    assert not member.database.has(user["username"])
    assert member.leases() == []


@pytest.fixture(scope="module")
def postgres_crowded():
    """Few connections, of which two are reserved where PostgreSQL can do that for others than superusers."""
    major = int(os.environ.get("LEASEHOLD_POSTGRESQL", "18"))
    reserved = {"reserved_connections": 2} if major >= 16 else {}
    settings = {"max_connections": 15, "superuser_reserved_connections": 2, "max_wal_senders": 0, **reserved}
    with servers.PostgreSQL(major=major, settings=settings) as server:
        yield server


@pytest.mark.full
@pytest.mark.parametrize("of_vault", ["kept", "lost", "reserved"])
def test_user_that_took_all_connections_ends(request, bao, postgres_crowded, of_vault):
    """By the session that Vault keeps, or by a reserved one; without either as soon as there is a free one."""
    if of_vault == "reserved" and postgres_crowded.major < 16:
        return
    for made in real_world(request, "postgres_crowded"):
        made.add_mount().add_connection(username_template=TEMPLATE)
        Runner(made)("database_role", name="app", db_name="db", in_role=made.database.group, functions="none")
        user = made.issue("app")
        if of_vault == "reserved":
            made.database.sql(f"GRANT pg_use_reserved_connections TO {made.database.admin}")
        with contextlib.ExitStack() as keep:
            if of_vault != "kept":
                made.database.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", made.database.admin
                )
            with pytest.raises(psycopg2.OperationalError, match="remaining connection slots"):
                for _session in range(20):
                    keep.enter_context(session(made, user))
            if of_vault == "lost":
                with pytest.raises(Problem, match="remaining connection slots"):
                    revoke(made, user)
                assert made.leases() == [user["lease_id"]]
                keep.close()
            revoke(made, user)
            assert has_access(made, user) == NO_ACCESS
        assert made.leases() == []


def test_strict_keeps_lease_but_not_access(member, run):
    run(
        "database_role",
        name="app",
        db_name="db",
        in_role=member.database.group,
        functions=member.functions,
        revocation="strict",
    )
    user = member.issue("app")
    with contextlib.ExitStack() as keep:
        owns_in_other_database(member, user, keep)
        for _attempt in range(2):
            with pytest.raises(Problem, match="2BP01"):
                revoke(member, user)
            assert has_access(member, user) == NO_ACCESS
        assert member.leases() == [user["lease_id"]]
    with pytest.raises(Problem, match="has ended"):
        member.client.ask("put", "sys/leases/renew", {"lease_id": user["lease_id"]})


def test_other_users_are_renewed_and_revoked_whatever_one_grants_them(member):
    """Until PostgreSQL 14 a user may grant itself to any other."""
    attacker, victim = member.issue("app"), member.issue("app")
    with contextlib.suppress(psycopg2.errors.InsufficientPrivilege), session(member, attacker) as sql:
        sql(f'GRANT "{attacker["username"]}" TO "{victim["username"]}"')
    member.client.ask("put", "sys/leases/renew", {"lease_id": victim["lease_id"], "increment": 7200})
    revoke(member, victim)
    assert not member.database.has(victim["username"])


# -- nobody acts as the group ------------------------------------------------------------------------------------------------


def test_user_is_member_and_cannot_act_as_group(member):
    user = member.issue("app")
    with session(member, user) as sql:
        sql("SELECT * FROM items")
        if member.database.server.major >= 16:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                sql(f"SET ROLE {member.database.group}")


@pytest.mark.parametrize("options", ["", "-c role=group"], ids=["plain", "acting as the group"])
def test_storm_of_sessions_ends(member, options):
    """Threads that connect again as soon as they are cut off; none is left, two seconds later where that is measured (docs/sql.md)."""
    database, options = member.database, options.replace("group", member.database.group)
    for _round in range(ROUNDS):
        user = member.issue("app")
        stop = threading.Event()

        def again_and_again(user=user, stop=stop):
            while not stop.is_set():
                with contextlib.suppress(psycopg2.Error), session(member, user, options=options) as sql:
                    while not stop.is_set():
                        sql("INSERT INTO items (name) VALUES ('x')")

        threads = [threading.Thread(target=again_and_again, daemon=True) for _thread in range(24)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        ((oid,),) = database.sql("SELECT oid FROM pg_roles WHERE rolname = %s", user["username"])
        revoke(member, user)
        time.sleep(2)
        left = functools.partial(database.sql, "SELECT count(*) FROM pg_stat_activity WHERE usesysid = %s", oid)
        try:
            servers.wait_for("the end of the sessions", lambda left=left: left() == [(0,)], 0 if ROUNDS > 1 else 20)
        finally:
            stop.set()
        assert not database.has(user["username"])
        for thread in threads:
            thread.join()


# -- what stays behind runs with nobody else's rights -----------------------------------------------------------------------


def test_code_of_user_does_not_run_with_rights_of_heir(made, run):
    database = made.database
    who = "leasehold_definer" if made.functions == "leasehold" else database.admin
    database.sql(f"GRANT {database.owner} TO {who} WITH ADMIN OPTION")
    run(
        "database_role",
        name="app",
        db_name="db",
        in_role=database.group,
        reassign_owned_to=database.owner,
        functions=made.functions,
    )
    database.sql("CREATE TABLE secret AS SELECT 'of the owner' AS text")
    database.sql(f"ALTER TABLE secret OWNER TO {database.owner}")
    user, other = made.issue("app"), made.issue("app")
    with session(made, user) as sql:
        sql(
            "CREATE FUNCTION read() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN (SELECT text FROM secret); END'"
        )
        sql("CREATE VIEW seen AS SELECT text FROM secret")
        sql("GRANT SELECT ON seen TO PUBLIC")
        sql("CREATE TABLE inbox (text text)")
        sql("GRANT INSERT ON inbox TO PUBLIC")
        sql("CREATE RULE empty AS ON INSERT TO inbox DO ALSO DELETE FROM secret")
    revoke(made, user)
    database.sql(f"REVOKE {database.owner} FROM {who}")
    assert database.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'inbox'") == [(database.owner,)]
    with session(made, other) as sql:
        for query in ("SELECT read()", "SELECT * FROM seen"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                sql(query)
        sql("INSERT INTO inbox VALUES ('x')")
    assert database.sql("SELECT count(*) FROM secret") == [(1,)]


def test_heir_that_admin_may_not_grant_is_found_by_verify(made, run):
    database = made.database
    if made.functions == "none" and database.server.major < 16:
        return  # whoever has CREATEROLE may grant any role
    desired = {"in_role": database.group, "reassign_owned_to": database.owner, "functions": made.functions}
    says = rf"needs ADMIN OPTION on {database.owner}|{database.owner}' is not a role that leasehold_definer may give"
    with pytest.raises(Problem, match=says):
        run("database_role", name="heir", db_name="db", **desired, verify="issue")
    assert made.read("roles/heir") is None


def test_superuser_as_admin_ends_users_too(made, run):
    made.add_connection(username="postgres", password=made.database.server.password)
    run("database_role", name="app", db_name="db", in_role=made.database.group, functions="none")
    user = made.issue("app")
    with session(made, user) as sql:
        sql("CREATE TABLE mine ()")
        revoke(made, user)
    assert not made.database.has(user["username"])


def test_functions_of_others_are_not_called_by_admin(member):
    """A function in schema public with arguments that fit better would be preferred, were it looked for."""
    made, user = member, member.issue("app")
    with session(made, user) as sql:
        for name, arguments in (
            ("format", "text, name"),
            ("strpos", "name, text"),
            ("set_config", "text, text, boolean"),
        ):
            sql(
                f"CREATE FUNCTION public.{name}({arguments}) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''taken in''; END'"
            )
        sql("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC")
    made.issue("app")
    revoke(made, user)
    assert not made.database.has(user["username"])


# -- engines that were set up by 1.0.0 ----------------------------------------------------------------------------------------

DATA = Path(__file__).resolve().parents[2] / "data"


def statements_of_1_0_0(group, functions):
    """What in_role wrote."""
    if functions == "leasehold":
        return {
            "creation_statements": [
                f"SELECT leasehold.issue('{{{{name}}}}', '{{{{password}}}}', '{{{{expiration}}}}', '{group}')"
            ],
            "renew_statements": ["SELECT leasehold.renew('{{name}}', '{{expiration}}')"],
            "revocation_statements": [f"SELECT leasehold.revoke('{{{{name}}}}', '{group}')"],
        }
    creation = f"CREATE ROLE \"{{{{name}}}}\" LOGIN PASSWORD '{{{{password}}}}' VALID UNTIL '{{{{expiration}}}}' IN ROLE \"{group}\""
    block = (DATA / "revocation_1_0_0.sql").read_text().replace("app_rw", group)
    return {"creation_statements": [creation], "revocation_statements": [statements.encoded(block)]}


@pytest.fixture
def old(made):
    database = made.database
    if made.functions == "leasehold":
        database.sql("DROP SCHEMA leasehold CASCADE")
        install_functions(database, (DATA / "functions_1_0_0.sql").read_text())
    none = {"renew_statements": [], "rollback_statements": []}
    made.add_role("app", db_name="db", **{**none, **statements_of_1_0_0(database.group, made.functions)})
    made.add_connection(username_template="")
    yield made
    if made.functions == "leasehold":
        install_functions(database)


def to_new_statements(old, run):
    return run.changes(
        "database_role", name="app", db_name="db", in_role=old.database.group, functions=old.functions, default_ttl="1h"
    )


def test_live_lease_of_1_0_0_ends_by_new_statements(old, run):
    first, second = old.issue("app"), old.issue("app")
    owns_in_other_database(old, first, None)
    with pytest.raises(Problem, match="2BP01"):
        revoke(old, first)
    assert has_access(old, first)[0]

    if old.functions == "leasehold":
        install_functions(old.database)
    to_new_statements(old, run)
    for user in (first, second):
        old.client.ask("put", "sys/leases/renew", {"lease_id": user["lease_id"], "increment": 1800})
        revoke(old, user)
        assert has_access(old, user) == NO_ACCESS
    assert old.database.has(first["username"])
    assert not old.database.has(second["username"])
    assert old.leases() == []


def test_statements_of_1_0_0_work_with_new_functions(old):
    """While the Vault side has not been run yet."""
    if old.functions == "none":
        return
    first, second = old.issue("app"), old.issue("app")
    owns_in_other_database(old, first, None)
    install_functions(old.database)
    third = old.issue("app")
    for user in (first, second, third):
        old.client.ask("put", "sys/leases/renew", {"lease_id": user["lease_id"], "increment": 1800})
        revoke(old, user)
        assert has_access(old, user) == NO_ACCESS
    assert old.leases() == []


def test_new_statements_work_with_functions_of_1_0_0(old, run):
    """While the PostgreSQL side has not been run yet."""
    if old.functions == "none":
        return
    first = old.issue("app")
    to_new_statements(old, run)
    second = old.issue("app")
    for user in (first, second):
        old.client.ask("put", "sys/leases/renew", {"lease_id": user["lease_id"], "increment": 1800})
        revoke(old, user)
        assert not old.database.has(user["username"])


def test_statements_of_1_0_0_tell_group_and_heir():
    for functions in ("none", "leasehold"):
        current = statements_of_1_0_0("app_rw", functions)
        assert statements.groups_in(current["creation_statements"]) == ["app_rw"]
        assert statements.heirs_in(statements.readable(current["revocation_statements"])) == ["app_rw"]
