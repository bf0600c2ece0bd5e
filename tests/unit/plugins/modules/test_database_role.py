# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import socket

import psycopg2
import psycopg2.extensions
import pytest
import servers
import yaml
from ansible_collections.leasehold.vault.plugins.filter.postgresql import (
    postgresql_conninfo,
    postgresql_pgpass,
    postgresql_url,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.databases import database_document

CREATION = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
REVOCATION = 'DROP ROLE IF EXISTS "{{name}}"'
OWN = {"db_name": "db", "creation_statements": CREATION, "revocation_statements": REVOCATION}

GRANTS = (
    CREATION
    + """;
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO "{{name}}";
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{{name}}";"""
)


def has_ipv6():
    """Whether this machine has a loopback interface with ``::1``."""
    with socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET) as one:
        try:
            one.bind(("::1", 0))
        except OSError:
            return False
    return True


@pytest.fixture
def connected(vault):
    return vault.add_mount().add_connection()


@pytest.fixture
def real(real_vault):
    return real_vault.add_mount().add_connection()


def changed_keys(result):
    before, after = (yaml.safe_load(result["diff"][side]) or {} for side in ("before", "after"))
    return {key: (before.get(key), after.get(key)) for key in after if before.get(key) != after.get(key)}


# -- the stories -----------------------------------------------------------------------------------------------------------


@pytest.mark.both
def test_lifecycle_of_role_with_own_statements(connected, run):
    desired = {"name": "app", **OWN, "default_ttl": "1h", "max_ttl": "24h"}
    made = run.changes("database_role", **desired)
    assert made["role"]["default_ttl"] == 3600
    assert made["role"]["creation_statements"] == [CREATION]

    run.nothing(
        "database_role", **{**desired, "default_ttl": 3600, "max_ttl": "1d", "creation_statements": [f"  {CREATION}\n"]}
    )
    run.nothing("database_role", name="app")
    assert changed_keys(run.changes("database_role", **{**desired, "default_ttl": "90m"})) == {
        "default_ttl": (3600, 5400)
    }
    run.changes("database_role", name="app", revocation_statements=[REVOCATION, "SELECT 1"])

    assert run.changes("database_role", name="app", state="absent")["role"] == {}
    run.nothing("database_role", name="app", state="absent")


@pytest.mark.both
def test_lifecycle_of_role_with_in_role(connected, run):
    desired = {"name": "app", "db_name": "db", "in_role": connected.database.group, "default_ttl": "1h"}
    made = run.changes("database_role", **desired)
    assert f"in_role name := '{connected.database.group}'" in made["role"]["creation_statements"][0]
    assert "lines of SQL)" in made["diff"]["after"]
    assert "REASSIGN OWNED BY" in str(made["role"]["revocation_statements"])  # people read SQL, not base64
    current = connected.read("roles/app")["revocation_statements"]
    assert current[1] == "COMMIT AND CHAIN"
    assert "REASSIGN" in json.loads(base64.b64decode(current[2]))[0]

    run.nothing("database_role", **desired, revocation="parking")
    assert set(changed_keys(run.changes("database_role", **desired, revocation="strict"))) == {"revocation_statements"}
    assert set(changed_keys(run.changes("database_role", **desired, set_role=True))) == {
        "creation_statements",
        "revocation_statements",
    }
    run.changes("database_role", name="app", state="absent")


def test_dropping_functions_needs_explicit_option(connected, run):
    desired = {"name": "app", "db_name": "db", "in_role": connected.database.group}
    run.changes("database_role", **desired, functions="leasehold")
    run.nothing("database_role", **desired)
    assert list(changed_keys(run.changes("database_role", **desired, revocation="strict"))) == ["revocation_statements"]
    sentence = run.refused("database_role", **desired, set_role=True)
    assert "The users of the role app are made by the functions" in sentence
    assert "For set_role, say functions: none" in sentence
    run.changes("database_role", **desired, functions="leasehold")
    run.changes("database_role", **desired, functions="none")
    run.changes("database_role", **desired, functions="leasehold")
    run.changes("database_role", name="app", **OWN)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({}, {"functions": "leasehold"}, False),
        ({"set_role": True}, {"functions": "leasehold"}, True),
        ("CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' IN ROLE legacy", {"functions": "leasehold"}, True),
        ({"functions": "leasehold"}, {}, True),
        ({"set_role": True}, {"set_role": True}, False),
    ],
    ids=["plain", "acts as the group", "own statements", "functions", "nobody"],
)
def test_new_role_has_functions_of_first_neighbour_that_in_role_wrote(connected, run, first, second, expected):
    group = {"db_name": "db", "in_role": connected.database.group}
    own = {"db_name": "db", "creation_statements": [first], "revocation_statements": ['DROP ROLE "{{name}}"']}
    run(
        "database_role",
        name="a",
        **(own if isinstance(first, str) else {**group, **first, "functions": first.get("functions", "none")}),
    )
    run("database_role", name="b", **{**group, "functions": "none", **second})
    run.changes("database_role", name="new", **group)
    assert ("leasehold.issue(" in str(connected.read("roles/new")["creation_statements"])) == expected


def test_one_ttl_edited_among_fifty_roles_is_the_only_change(real_vault, run):
    run.watching = False

    def site(check=False):
        results = [
            run("database_engine", check=check),
            run("database_connection", name="db", check=check, **real_vault.connection()),
        ]
        for number in range(50):
            desired = {
                "name": f"role-{number}",
                "db_name": "db",
                "in_role": real_vault.database.group,
                "default_ttl": "1h",
            }
            results.append(run("database_role", check=check, **desired))
        return [result for result in results if result["changed"]]

    assert len(site()) == 52
    with real_vault.unchanged():
        assert site() == []
        assert site(check=True) == []
    real_vault.write("roles/role-7", default_ttl=120, max_ttl=86400)
    for check in (True, False):
        (only,) = site(check=check)
        assert only["role"]["name"] == "role-7"
        assert changed_keys(only) == {"default_ttl": (120, 3600)}
    assert real_vault.read("roles/role-7")["max_ttl"] == 86400
    assert site() == []


def test_statements_not_in_task_are_kept(connected, run):
    run("database_role", name="app", db_name="db", creation_statements=CREATION)
    connected.write("roles/app", revocation_statements=["SELECT 'by hand'"], default_ttl="5m")
    result = run.changes("database_role", name="app", db_name="db", creation_statements=CREATION, default_ttl="1h")
    assert changed_keys(result) == {"default_ttl": (300, 3600)}
    assert result["role"]["revocation_statements"] == ["SELECT 'by hand'"]


def test_only_differences_are_sent(fake_vault, run):
    fake_vault.add_mount().add_connection()
    run("database_role", name="app", **OWN, default_ttl="1h")
    fake_vault.server.writes.clear()
    run("database_role", name="app", **OWN, default_ttl="2h")
    assert fake_vault.server.writes == [("POST", f"{fake_vault.mount}/roles/app", {"default_ttl": 7200})]


def test_encoded_statements_compare_as_sql(connected, run):
    encoded = base64.b64encode(json.dumps([CREATION]).encode()).decode()
    connected.write(
        "roles/app", db_name="db", creation_statements=[encoded], revocation_statements=json.dumps([REVOCATION])
    )
    run.nothing("database_role", name="app", **OWN)


def test_statements_can_be_emptied_and_ttl_zero_is_mount_default(connected, run):
    run("database_role", name="app", **OWN, default_ttl="1h")
    assert run.changes("database_role", name="app", revocation_statements=[])["role"]["revocation_statements"] == []
    assert run.changes("database_role", name="app", default_ttl=0)["role"]["default_ttl"] == 0


@pytest.mark.parametrize("allowed", ["app-*", "*", "*-one", "a*-*e"])
def test_allowed_roles_wildcard_matches(vault, run, allowed):
    vault.add_mount().add_connection(allowed_roles=allowed)
    run.changes("database_role", name="app-one", **OWN)


# -- bad input -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a/b", "..", "../config/db", "a b", "früh", "", "-a", ".a", "a.", "a\n", "a?x", "{{x}}"]
)
def test_invalid_name_is_refused_before_any_request(connected, run, name):
    assert "cannot be a name" in run.refused("database_role", name=name, **OWN)
    assert "cannot be a name" in run.refused("database_role", name=name, state="absent")


@pytest.mark.parametrize("option", ["default_ttl", "max_ttl"])
@pytest.mark.parametrize("ttl", ["abc", "-1", "-1h", "1w", "1.0001s", "1 h", ""])
def test_invalid_duration_is_refused(connected, run, option, ttl):
    sentence = run.refused("database_role", name="app", **OWN, **{option: ttl})
    assert sentence.startswith(f"{option}: {ttl!r}")


@pytest.mark.parametrize("check", [True, False])
def test_default_ttl_above_max_ttl_is_refused(connected, run, check):
    sentence = run.refused("database_role", name="app", **OWN, default_ttl="2h", max_ttl="1h", check=check)
    assert "default_ttl (7200 s) is longer than max_ttl (3600 s)" in sentence


def test_default_ttl_above_stored_max_ttl_is_refused(connected, run):
    connected.add_role(max_ttl="1h")
    assert "longer than max_ttl" in run.refused("database_role", name="app", default_ttl="2h")


def test_unknown_connection_is_refused_and_warns_in_check_mode(vault, run):
    vault.add_mount()
    assert "no connection db" in run.refused("database_role", name="app", **OWN)
    foreseen = run("database_role", check=True, name="app", **OWN)
    assert foreseen["changed"]
    assert "no connection db" in foreseen["warnings"][0]


@pytest.mark.parametrize("allowed", ["", "other", "app-*", "App", "ap?"])
def test_role_not_allowed_by_connection_is_refused(vault, run, allowed):
    vault.add_mount().add_connection(allowed_roles=allowed)
    assert "does not allow the role app" in run.refused("database_role", name="app", **OWN)
    assert "does not allow" in run("database_role", check=True, name="app", **OWN)["warnings"][0]


def test_db_name_change_to_missing_connection_is_refused(connected, run):
    connected.add_role()
    assert "no connection elsewhere" in run.refused("database_role", name="app", db_name="elsewhere")


@pytest.mark.parametrize("db_name", ["../roles/x", "a b", ""])
def test_invalid_db_name_is_refused(connected, run, db_name):
    assert "db_name" in run.refused("database_role", name="app", **{**OWN, "db_name": db_name})


@pytest.mark.parametrize("empty", ["", "  \n", [], [""], None])
def test_empty_creation_statements_are_refused(connected, run, empty):
    assert "creation_statements are empty" in run.refused(
        "database_role", name="app", **{**OWN, "creation_statements": empty}
    )


@pytest.mark.parametrize("empty", ["", []])
def test_creation_statements_cannot_be_emptied(connected, run, empty):
    connected.add_role()
    assert "creation_statements are empty" in run.refused("database_role", name="app", creation_statements=empty)


def test_statements_templated_by_ansible_are_refused(connected, run):
    sentence = run.refused("database_role", name="app", **{**OWN, "creation_statements": 'CREATE ROLE ""'})
    assert "!unsafe" in sentence


@pytest.mark.parametrize("nonsense", [{"a": 1}, 7, [1, 2], [["nested"]]])
def test_statements_that_are_not_text_are_refused(connected, run, nonsense):
    sentence = run.refused("database_role", name="app", **{**OWN, "creation_statements": nonsense})
    assert "statements are one string of SQL or a list of strings" in sentence


def test_in_role_with_own_statements_is_refused(connected, run):
    sentence = run.refused("database_role", name="app", in_role="app_rw", **OWN)
    assert "give either in_role or your own statements" in sentence


def test_options_of_in_role_without_it_are_refused(connected, run):
    assert "in_role" in run.refused("database_role", name="app", **OWN, revocation="parking")


@pytest.mark.parametrize("group", ["", "x" * 64, "a{{name}}", "a\\b", "a\nb"])
def test_invalid_in_role_is_refused(connected, run, group):
    assert "PostgreSQL role" in run.refused("database_role", name="app", db_name="db", in_role=group)


def test_role_without_db_name_is_refused(connected, run):
    assert "db_name is needed" in run.refused("database_role", name="app", creation_statements=CREATION)


def test_validate_false_skips_server_checks(vault, run):
    vault.add_mount()
    run.changes("database_role", name="app", **OWN, validate=False)


# -- deleting --------------------------------------------------------------------------------------------------------------


@pytest.mark.both
def test_delete_with_live_leases_is_refused_or_revokes_first(connected, run):
    connected.add_role("app").add_role("app-two")
    for role in ("app", "app", "app-two"):
        connected.issue(role)
    for check in (True, False):
        assert "2 live lease(s)" in run.refused("database_role", name="app", state="absent", check=check)
    assert run.changes("database_role", name="app", state="absent", revoke_leases=True)["revoked_leases"] == 2
    assert len(connected.leases()) == 1


# -- on PostgreSQL: members of a group -------------------------------------------------------------------------------------


@pytest.fixture
def member(any_postgres, run):
    """A role in a group, as the module makes it, with a CREATEROLE admin, a table, and no superuser anywhere."""
    any_postgres.add_mount().add_connection()
    run("database_role", name="app", db_name="db", in_role=any_postgres.database.group, default_ttl="1h")
    return any_postgres


def revoke(vault, user):
    vault.client.ask("put", "sys/leases/revoke", {"lease_id": user["lease_id"]})


def test_member_logs_in_and_is_dropped_at_end(member):
    user = member.issue("app")
    with member.database.session(user=user["username"], password=user["password"]) as sql:
        sql("INSERT INTO items (name) VALUES ('one')")
        assert sql("SELECT name FROM items") == [("one",)]
    revoke(member, user)
    assert not member.database.has(user["username"])
    assert member.leases() == []


def test_objects_of_dropped_member_belong_to_group(member):
    user = member.issue("app")
    with member.database.session(user=user["username"], password=user["password"]) as sql:
        sql("CREATE TABLE made AS SELECT 1 AS one")
    revoke(member, user)
    assert not member.database.has(user["username"])
    assert member.database.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'made'") == [
        (member.database.group,)
    ]
    assert member.database.sql("SELECT one FROM made") == [(1,)]


def test_revocation_ends_session_holding_locks(member):
    user = member.issue("app")
    with member.database.session(user=user["username"], password=user["password"]) as sql:
        sql("CREATE TABLE mine (x int)")
        sql("BEGIN")
        sql("LOCK TABLE mine")
        sql("CREATE TEMP TABLE passing (x int)")
        revoke(member, user)
        with pytest.raises(psycopg2.OperationalError):
            sql("SELECT 1")
    assert not member.database.has(user["username"])


def test_revocation_of_manually_dropped_member_succeeds(member):
    user = member.issue("app")
    member.database.sql(f'DROP ROLE "{user["username"]}"')
    revoke(member, user)
    assert member.leases() == []


def test_member_is_renewed(member):
    user = member.issue("app")
    answer = member.client.ask("put", "sys/leases/renew", {"lease_id": user["lease_id"], "increment": 7200})
    assert answer["lease_duration"] == 7200


def test_set_role_makes_group_owner_of_new_objects(member, run):
    run("database_role", name="app", db_name="db", in_role=member.database.group, set_role=True, verify="login")
    user = member.issue("app")
    with member.database.session(user=user["username"], password=user["password"]) as sql:
        sql("CREATE TABLE migrated (x int)")
        assert sql("SELECT tableowner FROM pg_tables WHERE tablename = 'migrated'") == [(member.database.group,)]
    revoke(member, user)
    assert not member.database.has(user["username"])


@pytest.mark.parametrize("manner", ["strict", "parking"])
def test_user_owning_objects_in_other_database_is_parked(member, run, manner):
    run("database_role", name="app", db_name="db", in_role=member.database.group, revocation=manner)
    user = member.issue("app")
    with member.database.session("postgres") as sql:
        sql(f'CREATE SCHEMA "{user["username"]}" AUTHORIZATION "{user["username"]}"')
    if manner == "strict":
        with pytest.raises(Problem, match="2BP01"):
            revoke(member, user)
        assert len(member.leases()) == 1
    else:
        revoke(member, user)
        assert member.leases() == []
        assert member.database.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", user["username"]) == [
            (False,)
        ]
    with member.database.session("postgres") as sql:
        sql(f'DROP SCHEMA "{user["username"]}"')


@pytest.mark.parametrize("how", ["issue", "login"])
def test_verify_of_working_role_leaves_no_user(any_postgres, run, how):
    any_postgres.add_mount().add_connection()
    desired = {"name": "app", "db_name": "db", "in_role": any_postgres.database.group, "verify": how}
    assert run("database_role", **desired)["changed"]
    assert any_postgres.leases() == []


@pytest.mark.parametrize(
    "group",
    [
        'odd"group',
        "odd'group",
        "Odd Group",
        "odd$do$group",
        "é🔑",
        "x" * 63,
        '"; DROP ROLE postgres; --',
        "' OR '1'='1",
        "a$$%s }}",
    ],
)
def test_group_with_special_characters_works(real, run, group):
    quoted = group.replace('"', '""')
    real.database.sql(f'CREATE ROLE "{quoted}"')
    try:
        real.database.sql(f'GRANT "{quoted}" TO {real.database.admin} WITH ADMIN OPTION')
        run.changes("database_role", name="app", db_name="db", in_role=group, verify="login")
    finally:
        real.database.sql(f'DROP ROLE "{quoted}"')


# -- on PostgreSQL: own statements -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["issue", "login"])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"creation_statements": CREATION + " IN ROLE no_such_group"}, r"cannot issue.*42704"),
        ({"creation_statements": "CREATE ROLE \"{{name}}\" LOGIN PASSWORT '{{password}}'"}, r"cannot issue.*42601"),
        (
            {"revocation_statements": "SELECT no_such_function('{{name}}')"},
            r"cannot be revoked.*42883.*revoke the lease",
        ),
    ],
)
def test_verify_finds_failing_statements(real, run, how, wrong, words):
    with pytest.raises(Problem, match=words):
        run("database_role", name="app", **{**OWN, **wrong}, verify=how)
    assert real.read("roles/app") is None, "what does not work is not kept, so the next run finds it again"


def test_change_failing_verify_is_rolled_back(real, run):
    run("database_role", name="app", **OWN, default_ttl="1h", verify="login")
    before = real.read("roles/app")
    for _again in range(2):
        with pytest.raises(Problem, match=r"rolled back.*cannot issue"):
            run(
                "database_role",
                name="app",
                creation_statements=CREATION + " IN ROLE no_such",
                default_ttl="2h",
                verify="issue",
            )
        assert real.read("roles/app") == before


@pytest.mark.parametrize("how", ["issue", "login"])
def test_verify_finds_revocation_failing_on_existing_tables(real, run, how):
    with real.database.session() as sql:
        sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {real.database.admin} WITH GRANT OPTION")
        sql(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {real.database.admin} WITH GRANT OPTION")
    with pytest.raises(Problem, match=r"cannot be revoked.*2BP01"):
        run("database_role", name="app", **{**OWN, "creation_statements": GRANTS}, verify=how)


def test_verify_login_finds_admin_without_grant_option(real, run):
    with real.database.session() as sql:
        sql(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {real.database.admin}")
        sql(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {real.database.admin}")
    with pytest.raises(Problem, match=r"lacks SELECT on items.*WITH GRANT OPTION"):
        run("database_role", name="app", **{**OWN, "creation_statements": GRANTS}, verify="login")
    assert real.leases() == []


def test_verify_login_finds_admin_without_rights(real, run):
    # Until PostgreSQL 15 a member of a group has what the group has, and with any right at all GRANT only warns.
    says = r"cannot issue.*42501" if real.database.server.major >= 16 else r"lacks SELECT on items.*WITH GRANT OPTION"
    with pytest.raises(Problem, match=says):
        run("database_role", name="app", **{**OWN, "creation_statements": GRANTS}, verify="login")


def test_verify_login_to_unreachable_server_names_address(real, run):
    with pytest.raises(Problem, match=r"logging in to 127.0.0.1 failed.*login_host"):
        run("database_role", name="app", **OWN, verify="login", login_port=9)
    assert real.leases() == []


def test_verify_without_change_does_nothing(real, run):
    real.add_role(revocation_statements=["SELECT no_such_function()"])
    run.nothing("database_role", name="app", creation_statements=CREATION, verify="issue")


@pytest.mark.parametrize(
    "statement",
    [
        "COMMENT ON ROLE \"{{name}}\" IS 'one; two'",
        "DO $$ BEGIN EXECUTE 'COMMENT ON ROLE \"{{name}}\" IS ''one; two'''; END $$",
        "do $$ begin execute 'comment on role \"{{name}}\" is ''one; two'''; end $$",
        "do $body$\nbegin\n  perform 1;\n  comment on role \"{{name}}\" is 'one; two';\nend\n$body$;",
        "COMMENT ON ROLE \"{{name}}\" IS 'one; two' -- a comment; with a semicolon",
        "/* a comment; with a semicolon */ COMMENT ON ROLE \"{{name}}\" IS 'one; two'",
    ],
    ids=["literal", "DO block", "lower-case do", "tagged", "line comment", "comment"],
)
@pytest.mark.parametrize("shape", ["list", "one string"])
def test_semicolon_inside_statement_is_preserved(real, run, statement, shape):
    creation = [CREATION, statement] if shape == "list" else f"{CREATION};\n{statement}"
    made = run.changes("database_role", name="app", **{**OWN, "creation_statements": creation})
    assert made["role"]["creation_statements"] == ([creation] if shape == "one string" else creation)
    user = real.issue("app")
    comment = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"
    assert real.database.sql(comment, user["username"]) == [("one; two",)]


# -- the articles ----------------------------------------------------------------------------------------------------------

FIRST_ARTICLE = {
    "creation_statements": """
    CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO \"{{name}}\";
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO \"{{name}}\";
  """,
    "revocation_statements": """
    DROP ROLE IF EXISTS \"{{name}}\";
  """,
    "default_ttl": "1h",
    "max_ttl": "24h",
}
SECOND_ARTICLE = {
    "creation_statements": "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';",
    "default_ttl": "1h",
    "max_ttl": "24h",
}


@pytest.mark.both
@pytest.mark.parametrize(
    ("allowed", "article", "words"),
    [
        ("app-role,analytics-role", FIRST_ARTICLE, "2BP01"),
        ("app-role", SECOND_ARTICLE, "no revocation_statements"),
    ],
    ids=["first", "second"],
)
def test_tutorial_commands_as_tasks(vault, run, allowed, article, words):
    connection = {
        "plugin_name": "postgresql-database-plugin",
        **vault.connection(),
        "allowed_roles": allowed,
        "connection_url": vault.database.url.replace("?sslmode=disable", ""),
    }
    run.changes("database_engine")
    run.changes("database_connection", name="production-db", **connection)
    assert run("database_root_rotation", name="production-db", password=connection["password"])["rotated"]
    assert not run("database_root_rotation", name="production-db", password=connection["password"])["changed"]
    made = run.changes("database_role", name="app-role", db_name="production-db", **article)
    assert made["role"]["default_ttl"] == 3600
    assert made["role"]["max_ttl"] == 86400
    assert any(words in warning for warning in made["warnings"])
    assert any(
        words in w for w in run("database_role", name="app-role", db_name="production-db", **article)["warnings"]
    )
    run.nothing("database_connection", name="production-db", **connection)


@pytest.mark.parametrize("article", [FIRST_ARTICLE, SECOND_ARTICLE], ids=["first", "second"])
def test_tutorial_role_issues_working_user(real_vault, run, article):
    database = real_vault.database
    with database.session() as sql:
        sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {database.admin} WITH GRANT OPTION")
        sql(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {database.admin} WITH GRANT OPTION")
    real_vault.add_mount().add_connection()
    run("database_role", name="app-role", db_name="db", **article)
    issued = run("database_credentials", role="app-role")["credentials"]
    assert issued["lease_duration"] == 3600
    with database.session(user=issued["username"], password=issued["password"]) as sql:
        if article is FIRST_ARTICLE:
            sql("INSERT INTO items (name) VALUES ('one')")
        assert sql("SELECT session_user") == [(issued["username"],)]


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("127.0.0.1", "{port}"),
        ("localhost:{port}", None),
        *([("::1", "{port}"), ("127.0.0.1:9,[::1]:{port}", None)] if has_ipv6() else []),
        ("127.0.0.1:9,127.0.0.1:{port}", None),
        ("127.0.0.1,127.0.0.1", "9,{port}"),
        ("{socket}", "{port}"),
    ],
)
def test_verify_login_uses_private_ca_of_connection(tls_vault, run, tmp_path, host, port):
    """Vault's driver, libpq by `verify: login`, by the filters' URL and by .pgpass: the same servers with the same authority."""
    database = tls_vault.database
    here = {"port": database.port, "socket": database.server.directory}
    entry = {
        "name": "db", "host": host.format(**here), "port": port and port.format(**here), "database": database.name,
        "ca_cert": str(database.server.ca_cert), "admin": {"username": database.admin, "password": database.admin_password},
        "roles": {"app": {"in_role": database.group, "verify": "login"}},
    }  # fmt: skip
    document = database_document([entry])
    run("database_engine")
    run("database_connection", **document["connections"][0])
    assert run("database_role", **document["roles"][0])["changed"]
    user = tls_vault.issue("app")
    psycopg2.connect(postgresql_url(user, entry)).close()
    (tmp_path / "pgpass").write_text(postgresql_pgpass(user, entry) + "\n")
    (tmp_path / "pgpass").chmod(0o600)
    words = psycopg2.extensions.parse_dsn(postgresql_conninfo(user, entry))
    del words["password"]
    psycopg2.connect(passfile=str(tmp_path / "pgpass"), **words).close()


def test_verify_login_without_private_ca_fails_with_explanation(tls_vault, run, tmp_path):
    """And a URL whose host and port are among its parameters is read."""
    database = tls_vault.database
    run("database_engine")
    url = f"postgresql://{{{{username}}}}:{{{{password}}}}@/{database.name}?host=localhost&port={database.port}&sslmode=verify-full"
    known = {**tls_vault.connection(), "connection_url": f"{url}&sslrootcert={database.server.ca_cert}"}
    run("database_connection", name="db", **known)
    role = {"name": "app", "db_name": "db", "in_role": database.group, "verify": "login"}
    other = tmp_path / "other.pem"
    other.write_bytes(servers.Authority("other").certificate)
    with pytest.raises(Problem, match=r"logging in to localhost failed: .*certificate verify failed"):
        run("database_role", **role, login_ca_cert=str(other))
    run("database_role", **role)
