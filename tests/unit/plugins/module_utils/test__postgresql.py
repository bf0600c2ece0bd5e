# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PostgreSQL side without a server: what is read from the document, and the plan for what was found."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.catalog import (
    PUBLIC,
    Acl,
    Contents,
    Database,
    DefaultAcl,
    Membership,
    Objects,
    Role,
    Schema,
    Server,
    new_database,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import read_entries, read_settings
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.plan import (
    DatabasePlan,
    ServerOptions,
    ServerPlan,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.refusals import conflicts

ENTRY = {
    "name": "db",
    "database": "app",
    "owner": "owner",
    "admin": {"username": "admin", "password": "first"},
    "groups": {"rw": {"schemas": ["public"], "tables": ["select", "insert"]}, "ro": {"schemas": ["public"]}},
}


def entry(**more):
    return read_entries([{**ENTRY, **more}], "postgres")[0]


def server(**more):
    values = {
        "version": 180000, "identity": "1", "me": "postgres", "superuser": True, "createrole": True, "initial": "postgres", "roles": {},
        "memberships": (), "databases": {}, "elsewhere": {}, **more,
    }  # fmt: skip
    return Server(**values)


def lines(plan):
    return [str(change) for change in plan.changes]


def database_plan(contents, there=None, usable=("owner",), **more):
    return DatabasePlan(entry(**more), contents, there or server(), usable)


# -- the document ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"owner": None, "groups": None}, "Entry 1 of vault_databases lacks owner, groups."),
        ({"admin": {}, "groups": {}}, "lacks admin.username, groups (at least one)."),
        ({"groups": {"g": {"tables": ["select"]}}}, "lacks groups.g.schemas."),
        ({"groups": {'x"; DROP TABLE t; --': {"schemas": ["a"]}}}, 'db: "x\\"; DROP TABLE t; --" cannot be used as a name'),
        ({"owner": "pg_monitor"}, 'db: "pg_monitor" cannot be used'),
        ({"admin": {"username": "postgres"}}, "db: postgres cannot be two things at once."),
        ({"groups": {"owner": {"schemas": ["a"]}}}, "db: owner cannot be two things at once."),
        ({"heirs": ["somebody"]}, "db: reassign_owned_to names somebody,"),
        ({"users": {"u": {"in_role": ["other"]}}}, "db: users.u.in_role: other is none of the groups (rw, ro)."),
        ({"users": {"u": {"password": "x"}}}, "db: users.u: has in_role"),
        ({"users": {"rw": {}}}, "db: rw cannot be two things at once."),
        ({"groups": {"g": {"schemas": ["leasehold"]}}}, 'db: "leasehold" cannot be used as a name here.'),
        ({"groups": {"g": {"schemas": ["a"], "sequences": []}}}, "sequences without a list"),
        ({"groups": {"g": {"schemas": ["a"], "tables": ["selekt"]}}}, "the table privilege selekt."),
        ({"groups": {"g": {"schemas": ["a"], "schema_privileges": ["drop"]}}}, "the schema privilege drop."),
        ({"groups": {"g": {"schemas": ["a"], "table": ["select"]}}}, "the unknown keyword table."),
        ({"admin": {"username": "admin", "password": "½"}}, "db: admin.password: PostgreSQL and Vault would not agree"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(more, sentence):
    with pytest.raises(Refused) as caught:
        entry(**more)
    assert sentence in str(caught.value)


def test_all_entries_are_looked_at():
    with pytest.raises(Refused, match=r"^Entry 1 .* Entry 2 of"):
        read_entries([{"name": "a"}, {"name": "b"}], "postgres")


def test_settings_are_text_and_their_names_are_names():
    assert read_settings({"lock_timeout": 10, "jit": False}) == {"lock_timeout": "10", "jit": "off"}
    with pytest.raises(Refused, match="no; SELECT"):
        read_settings({"no; SELECT 1": "x"})


# -- the server ------------------------------------------------------------------------------------------------------------


def test_plan_for_an_empty_server_makes_everything():
    assert lines(ServerPlan([entry()], server(), ServerOptions({"lock_timeout": "10s"}))) == [
        "owner: + role (NOLOGIN)",
        "rw: + role (NOLOGIN)",
        "ro: + role (NOLOGIN)",
        "admin: + role (LOGIN INHERIT CREATEROLE)",
        "admin: * lock_timeout = 10s",
        "rw: + ADMIN OPTION of admin",
        "ro: + ADMIN OPTION of admin",
        "app: + database, owner owner",
        "app: - CONNECT of PUBLIC",
        "app: + CONNECT of rw, ro, admin",
    ]


def test_settings_are_compared_as_the_server_writes_them():
    there = prepared()
    there = dataclasses.replace(
        there, roles={**there.roles, "admin": dataclasses.replace(there.roles["admin"], settings={"DateStyle": "ISO"})}
    )
    assert lines(ServerPlan([entry()], there, ServerOptions({"datestyle": "ISO"}))) == []


def test_password_is_a_value_of_one_statement_and_is_not_shown():
    plan = ServerPlan([entry()], server(), ServerOptions({}))
    assert [s.values for change in plan.changes for s in change.statements if s.values] == [("first",)]
    assert "first" not in repr(plan.changes)


def prepared(version=180000, **more):
    """A server where the plan is empty."""
    names = ("rw", "ro")
    receiver = "leasehold_definer" if version < 160000 else "admin"
    roles = {name: Role() for name in ("owner", *names)}
    roles["admin"] = Role(login=True, createrole=version >= 160000)
    if version < 160000:
        roles["leasehold_definer"] = Role(createrole=True)
    acl = tuple(Acl(role, "CONNECT", "owner") for role in (*names, "admin"))
    members = tuple(
        Membership(name, receiver, "postgres", True, version < 160000, version < 160000, True) for name in names
    )
    return server(version=version, roles=roles, memberships=members, databases={"app": Database("owner", acl)}, **more)


@pytest.mark.parametrize("version", [130000, 150000, 160000, 180000])
def test_nothing_is_planned_for_a_server_that_is_as_desired(version):
    plan = ServerPlan([entry()], prepared(version), ServerOptions({}))
    assert (plan.changes, plan.obstacles) == ([], [])


def test_options_that_admin_could_have_given_itself_are_revoked_from_16_on():
    there = prepared()
    there = dataclasses.replace(
        there, memberships=(*there.memberships, Membership("ro", "admin", "admin", False, True, True, True))
    )
    plan = ServerPlan([entry()], there, ServerOptions({}))
    assert lines(plan) == ["ro: - INHERIT OPTION of admin", "ro: - SET OPTION of admin"]
    assert plan.changes[0].statements[0].names == ("ro", "admin", "admin")


def test_login_without_superuser_becomes_a_member_of_the_owner():
    low = {"me": "dba", "superuser": False}
    plan = ServerPlan([entry()], server(**low), ServerOptions({}, ("template1",)))
    assert "owner: + member dba (this login)" in lines(plan)
    assert set(plan.usable) == {"owner"}
    owner_of_others = server(**low, roles={"owner": Role()})
    plan = ServerPlan([entry()], owner_of_others, ServerOptions({}))
    obstacle, database = plan.obstacles
    assert (obstacle.fatal, database.fatal) == (False, True)
    assert str(database) == "app: + database, owner owner is not done: it is no member of owner"
    assert 'has to GRANT "owner" TO "dba" WITH INHERIT TRUE, SET TRUE' in str(obstacle)


def test_what_belongs_to_somebody_else_is_an_obstacle_and_no_change():
    template = Database("provider", (Acl(PUBLIC, "CONNECT", "provider"),))
    there = dataclasses.replace(prepared(), superuser=False, databases={**prepared().databases, "template1": template})
    there = dataclasses.replace(there, roles={**there.roles, "owner": Role(usable=True)})
    plan = ServerPlan([entry()], there, ServerOptions({}, ("template1",)))
    assert plan.changes == []
    assert [str(each) for each in plan.obstacles] == [
        "template1: - CONNECT of PUBLIC is not done: the database belongs to provider, who or a superuser has to do it"
    ]


def test_owner_may_still_connect_to_a_database_of_somebody_else():
    acl = (Acl(PUBLIC, "CONNECT", "somebody"), *prepared().databases["app"].acl)
    plan = ServerPlan(
        [entry()], dataclasses.replace(prepared(), databases={"app": Database("somebody", acl)}), ServerOptions({})
    )
    assert lines(plan) == ["app: - CONNECT of PUBLIC", "app: + CONNECT of owner"]


@pytest.mark.parametrize("version", [150000, 160000])
def test_role_of_somebody_else_is_altered_only_by_who_may(version):
    there = prepared(version, me="dba")
    there = dataclasses.replace(
        there,
        superuser=False,
        roles={
            **there.roles,
            "rw": Role(login=True),
            "owner": Role(usable=True),
            "leasehold_definer": Role(createrole=True, usable=True),
        },
    )
    plan = ServerPlan([entry()], there, ServerOptions({"lock_timeout": "10s"}))
    if version < 160000:
        assert lines(plan) == ["rw: - LOGIN", "admin: * lock_timeout = 10s"]
    else:
        assert lines(plan) == []
        assert [str(each) for each in plan.obstacles] == [
            'rw: - LOGIN is not done: a role with CREATEROLE and ADMIN OPTION on rw, or a superuser, has to ALTER ROLE "rw"',
            'admin: * lock_timeout = 10s is not done: a role with CREATEROLE and ADMIN OPTION on admin, or a superuser, has to ALTER ROLE "admin"',
        ]


def test_admin_option_that_a_team_has_is_enough_to_grant():
    there = server(me="dba", superuser=False, roles={"owner": Role(grantable=True)})
    assert "owner: + member dba (this login)" in lines(ServerPlan([entry()], there, ServerOptions({})))


@pytest.mark.parametrize("version", [150000, 160000])
def test_user_of_a_static_role_is_created_without_password(version):
    there = prepared(version)
    plan = ServerPlan(
        [entry(users={"u": {"in_role": ["ro"]}, "alone": None}, functions="none")], there, ServerOptions({})
    )
    found = [line for line in lines(plan) if "u" in line.split() or line.startswith(("u:", "alone:", "app:"))]
    assert found == [
        "u: + role (LOGIN)",
        "ro: + member u",
        *(["u: + ADMIN OPTION of admin"] if version >= 160000 else []),
        "alone: + role (LOGIN)",
        *(["alone: + ADMIN OPTION of admin"] if version >= 160000 else []),
        "app: + CONNECT of alone",
    ]


# -- what is refused -------------------------------------------------------------------------------------------------------

SHARED = {"schemas": ["public"], "shared": True}


def refused(*given, **there):
    roles = {name: Role() for name in ("team", "rw", "ro", "other_rw")}
    entries = read_entries([{**ENTRY, **more} for more in given], "dba")
    return " ".join(conflicts(entries, server(roles=roles, **there), {"create_database": True}))


def another(**more):
    groups = {"other_rw": {"schemas": ["public"]}}
    return {
        "name": "b", "database": "b", "owner": "other_owner", "admin": {"username": "b_admin", "password": "first"}, "groups": groups, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        ({}, {"admin": {"username": "admin", "password": "x"}}, "both have the admin role admin."),
        ({}, {"groups": {"owner": SHARED}}, "b: it is on the same server as db, and the group owner is the owner of db."),
        ({}, {"groups": {"admin": SHARED}}, "the group admin is the admin role of db."),
        ({"creators": ["team"]}, {"groups": {"team": SHARED}}, "the group team is one of the creators of db."),
        ({"users": {"u": {}}, "functions": "none"}, {"groups": {"u": SHARED}}, "the group u is one of the users of db."),
        ({"connect": ["other_rw"]}, {}, "the group other_rw is in connect of db."),
        ({"connect": ["other_rw"]}, {"groups": {"other_rw": SHARED}}, ""),
        ({}, {"admin": {"username": "owner", "password": "x"}}, "b: it is on the same server as db, and the admin role owner is the owner of db."),
        ({}, {"admin": {"username": "rw", "password": "x"}}, "db: it is on the same server as b, and the group rw is the admin role of b."),
        ({}, {"owner": "owner"}, ""),
        ({}, {"groups": {"rw": {"schemas": ["public"]}}}, "both have the group rw."),
        ({}, {"database": "app", "groups": {"ro": {"schemas": ["public"]}}}, ""),
        ({}, {"database": "app", "groups": {"ro": {"schemas": ["b"]}}}, "say different things of the group ro."),
    ],
)  # fmt: skip
def test_role_that_is_something_else_in_another_entry_is_refused(one, other, sentence):
    found = refused(one, another(**other))
    assert sentence in found
    assert bool(sentence) == bool(found)


@pytest.mark.parametrize(
    ("within", "sentence"),
    [
        ({"rw": ("root",)}, "db: rw is a member of root, which has rights on the whole server"),
        ({"rw": ("pg_write_all_data",)}, "db: rw is a member of pg_write_all_data, which"),
        ({"rw": ("other_rw",)}, "db: the group rw is a member of other_rw of b, so that users of app"),
        ({"rw": ("ro",), "admin": ("rw", "pg_monitor")}, ""),
    ],
)
def test_group_that_is_a_member_of_more_is_refused(within, sentence):
    found = refused({}, another(), within=within, superusers=frozenset({"root"}))
    assert sentence in found
    assert bool(sentence) == bool(found)


def test_login_that_may_not_create_what_is_missing_is_refused():
    there = server(me="dba", superuser=False, createrole=False, createdb=False, roles={"owner": Role(), "rw": Role()})
    assert list(conflicts([entry()], there, {"create_database": True})) == [
        "db: there is no ro, admin on this server, and the login dba lacks CREATEROLE. Give it CREATEROLE, or create these roles.",
        "db: there is no database app on this server, and the login dba lacks CREATEDB. Give it CREATEDB, or create the database.",
    ]


def test_heir_that_is_a_superuser_is_refused():
    entries = read_entries([{**ENTRY, "owner": "postgres", "heirs": ["postgres"]}], "dba")
    found = list(conflicts(entries, server(roles={"postgres": Role(superuser=True)}), {"create_database": True}))
    assert found[0].startswith("db: postgres is a superuser on this server.")


def test_group_with_attributes_beyond_is_refused():
    """A member may SET ROLE to it."""
    there = server(roles={"rw": Role(beyond=("CREATEROLE", "BYPASSRLS")), "owner": Role(beyond=("CREATEDB",))})
    (found,) = conflicts([entry()], there, {"create_database": True})
    assert found.startswith("db: the group rw has CREATEROLE, BYPASSRLS, which holds on the whole server")


# -- a database ------------------------------------------------------------------------------------------------------------

USAGE = tuple(Acl(role, "USAGE", "pg_database_owner") for role in ("owner", "rw", "ro"))
OWNED = Schema("pg_database_owner", (*USAGE, Acl("owner", "CREATE", "pg_database_owner")), True)
COMING = frozenset(DefaultAcl("owner", "public", "tables", "rw", privilege) for privilege in ("SELECT", "INSERT"))


def tables(*names, acl=(), owner="owner", usable=True):
    return Objects("public", "tables", owner, usable, tuple(Acl("rw", each, owner) for each in acl), names)


def test_one_line_for_what_is_there_and_what_will_come():
    contents = Contents("owner", {"public": OWNED}, (tables("public.a", "public.b"),))
    assert lines(database_plan(contents)) == [
        "rw: + SELECT, INSERT on tables in schema public (2 tables: public.a, public.b, and those to come from owner)"
    ]


def test_nothing_for_a_database_that_is_as_desired():
    contents = Contents("owner", {"public": OWNED}, (tables("public.a", acl=("SELECT", "INSERT")),), COMING)
    assert lines(database_plan(contents)) == []


def test_schema_in_a_database_of_somebody_else_is_an_obstacle():
    low = server(superuser=False)
    contents = Contents("somebody", {"public": OWNED}, (), COMING, may_create=False)
    plan = database_plan(contents, low, groups={"rw": {"schemas": ["sales"], "tables": ["select"]}})
    assert plan.changes == []
    assert [str(each) for each in plan.obstacles] == [
        "schema sales: + schema, owner owner is not done: the database belongs to somebody, who or a superuser has to do it"
    ]
    with_create = dataclasses.replace(contents, may_create=True)
    plan = database_plan(with_create, low, groups={"rw": {"schemas": ["sales"], "tables": ["select"]}})
    assert plan.obstacles == []
    assert lines(plan)[0] == "schema sales: + schema, owner owner"


def test_default_privileges_of_all_schemas_are_no_more_than_those_of_each():
    everywhere = {DefaultAcl("owner", "", "tables", "rw", privilege) for privilege in ("SELECT", "DELETE")}
    contents = Contents("owner", {"public": OWNED}, (), COMING | everywhere)
    assert lines(database_plan(contents)) == ["rw: - DELETE on tables in all schemas (those to come from owner)"]
    (change,) = DatabasePlan(entry(), contents, server(), ("owner",), prune=True).changes
    assert change.meaning.startswith("- SELECT, DELETE on tables in all schemas")


def test_what_is_too_much_is_revoked_but_not_what_a_group_owns():
    much = ("SELECT", "INSERT", "DELETE")
    contents = Contents(
        "owner", {"public": OWNED}, (tables("public.a", acl=much), tables("public.b", acl=much, owner="rw")), COMING
    )
    plan = database_plan(contents)
    assert lines(plan) == ["rw: - DELETE on tables in schema public (1 table: public.a)"]
    assert plan.changes[0].statements[0].text == "REVOKE DELETE ON TABLE public.a FROM {0}"


def test_braces_in_names_of_tables_are_no_placeholders():
    contents = Contents("owner", {"public": OWNED}, (tables('public."a{0}"'),), COMING)
    assert (
        database_plan(contents)
        .changes[0]
        .statements[0]
        .text.startswith('GRANT SELECT, INSERT ON TABLE public."a{{0}}" TO')
    )


@pytest.mark.parametrize(("owner", "fatal"), [("somebody", True), ("v-token-app-1", False)])
def test_table_of_somebody_else_is_an_obstacle(owner, fatal):
    contents = Contents("owner", {"public": OWNED}, (tables("public.a", owner=owner, usable=False),), COMING)
    plan = database_plan(contents, server(superuser=False))
    assert plan.changes == []
    (obstacle,) = plan.obstacles
    assert (obstacle.fatal, obstacle.reason.split(",")[0]) == (fatal, f"what is named belongs to {owner}")


def test_objects_of_extensions_are_named_once():
    made = tables("public.a", owner="root", usable=False)._replace(extension=True)
    contents = Contents("owner", {"public": OWNED}, (made, made._replace(names=("public.b",))), COMING)
    plan = database_plan(contents, server(superuser=False))
    assert plan.changes == []
    assert [str(each) for each in plan.obstacles if not each.fatal] == [
        "schema public: privileges of groups on tables of extensions is not done: what an extension made belongs to root, who or a superuser "
        "has to do it"
    ]
    assert len(plan.obstacles) == 1


def test_what_another_grantor_gave_is_named_with_it():
    acl = (Acl("rw", "SELECT", "owner"), Acl("rw", "INSERT", "owner"), Acl("rw", "DELETE", "somebody"))
    contents = Contents("owner", {"public": OWNED}, (tables("public.a")._replace(acl=acl),), COMING)
    plan = database_plan(contents)
    assert plan.changes == []
    assert [each.reason for each in plan.obstacles] == ["somebody granted it and has to revoke it"]


def test_privileges_on_columns_are_no_more_than_those_on_tables():
    acl = (Acl("rw", "SELECT", "owner"), Acl("rw", "UPDATE", "owner"), Acl("rw", "REFERENCES", "somebody"))
    part = tables("public.a")._replace(acl=acl)
    there = Contents(
        "owner", {"public": OWNED}, (tables("public.a", acl=("SELECT", "INSERT")),), COMING, columns=(part,)
    )
    plan = database_plan(there)
    assert lines(plan) == ["rw: - UPDATE on columns of tables in schema public (1 table: public.a)"]
    assert plan.changes[0].statements[0].text == "REVOKE UPDATE ON TABLE public.a FROM {0}"
    assert [str(each) for each in plan.obstacles] == [
        "rw: - REFERENCES on columns of tables in schema public (public.a) is not done: somebody granted it and has to revoke it"
    ]


def test_grant_options_are_revoked_but_not_what_was_passed_on():
    acl = (Acl("rw", "SELECT", "owner", True), Acl("rw", "INSERT", "owner", True), Acl("friend", "INSERT", "rw"))
    coming = {*COMING, DefaultAcl("owner", "public", "tables", "ro", "SELECT", True)}
    coming = (coming - {DefaultAcl("owner", "public", "tables", "rw", "SELECT")}) | {
        DefaultAcl("owner", "public", "tables", "rw", "SELECT", True)
    }
    usage = (Acl("ro", "USAGE", "pg_database_owner", True), Acl("friend", "USAGE", "ro"), *OWNED.acl[:2], OWNED.acl[-1])
    there = Contents(
        "owner",
        {"public": OWNED._replace(acl=usage)},
        (tables("public.a")._replace(acl=acl),),
        frozenset(coming),
        acl=(Acl("rw", "CONNECT", "owner", True),),
    )
    plan = database_plan(there)
    assert lines(plan) == [
        "rw: - GRANT OPTION for SELECT on tables in schema public (1 table: public.a, and those to come from owner)",
        "app: - GRANT OPTION for CONNECT of rw",
    ]
    assert [statement.text for statement in plan.changes[0].statements] == [
        "REVOKE GRANT OPTION FOR SELECT ON TABLE public.a FROM {0}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {0} IN SCHEMA {1} REVOKE GRANT OPTION FOR SELECT ON TABLES FROM {2}",
    ]
    passed_on = "passed it on to friend, from whom it has to be revoked first"
    assert sorted(str(each) for each in plan.obstacles) == [
        f"rw: - GRANT OPTION for INSERT on tables in schema public (public.a) is not done: rw {passed_on}",
        f"schema public: - GRANT OPTION for USAGE of ro is not done: ro {passed_on}",
    ]
    assert not any(each.fatal for each in plan.obstacles)


def test_pruned_group_has_nothing_but_connect_on_the_database():
    acl = (Acl("rw", "CONNECT", "owner"), Acl("rw", "CREATE", "owner"))
    there = Contents("owner", {"public": OWNED}, (), COMING, acl=acl)
    assert lines(database_plan(there)) == []
    assert lines(DatabasePlan(entry(), there, server(), ("owner",), prune=True)) == ["app: - CREATE of rw"]


def test_many_tables_are_granted_in_several_statements():
    contents = Contents("owner", {"public": OWNED}, (tables(*(f"public.t{number}" for number in range(2500))),), COMING)
    (change,) = database_plan(contents).changes
    assert change.meaning == "+ SELECT, INSERT on tables in schema public (2500 tables)"
    assert len(change.statements) == 3


@pytest.mark.parametrize("version", [140000, 150000])
def test_new_database_of_a_version(version):
    there = server(version=version)
    plan = database_plan(new_database(there, "owner"), there, functions="none")
    assert ("schema public: - CREATE of PUBLIC" in lines(plan)) == (version < 150000)
    plan = database_plan(new_database(there, "owner"), there)
    assert "schema leasehold: + functions of this version" in lines(plan)


def test_default_privileges_of_a_creator_that_are_too_much_are_no_error():
    much = DefaultAcl("owner", "public", "tables", "rw", "DELETE")
    more = DefaultAcl("owner", "public", "tables", "rw", "SELECT", True)
    plan = database_plan(
        Contents("owner", {"public": OWNED}, (), {*COMING, much, more}), server(superuser=False), usable=()
    )
    assert [(each.meaning, each.fatal) for each in plan.obstacles] == [
        ("- DELETE on tables in schema public (those to come from owner)", False),
        ("- GRANT OPTION for SELECT on tables in schema public (those to come from owner)", False),
    ]
    plan = database_plan(Contents("owner", {"public": OWNED}), server(superuser=False), usable=())
    assert [(each.meaning, each.fatal) for each in plan.obstacles][:1] == [
        ("+ SELECT, INSERT on tables in schema public (those to come from owner)", True)
    ]


@pytest.mark.parametrize("on", ["table", "column"])
def test_what_was_passed_on_of_a_table_counts_for_its_columns_and_the_other_way(on):
    """REVOKE on a table acts on its columns, and one that is for columns on the table."""
    held, passed_on = Acl("rw", "DELETE", "owner", True), Acl("friend", "DELETE", "rw")
    given = tuple(Acl("rw", each, "owner") for each in ("SELECT", "INSERT"))
    of_table, of_column = ((held, passed_on), (held,)) if on == "table" else ((held,), (held, passed_on))
    names = ("public.a",) if on == "table" else ("public.a", "public.b")
    table, column = (
        tables()._replace(acl=(*given, *of_table), names=names),
        tables("public.a")._replace(acl=of_column),
    )
    plan = database_plan(Contents("owner", {"public": OWNED}, (table,), COMING, columns=(column,)))
    assert [(each.meaning, each.reason.split(",")[0]) for each in plan.obstacles] == [
        ("- DELETE on tables in schema public (public.a)", "rw passed it on to friend"),
        ("- DELETE on columns of tables in schema public (public.a)", "rw passed it on to friend"),
    ]
    assert lines(plan) == (["rw: - DELETE on tables in schema public (1 table: public.b)"] if on == "column" else [])
