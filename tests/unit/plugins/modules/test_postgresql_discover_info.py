# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module postgresql_discover_info: every right of a login is a right of its group, or named."""

from __future__ import annotations

import secrets

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import discover
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.discover import (
    Group,
    Rights,
    beyond,
    group_of,
)
from ansible_collections.leasehold.vault.plugins.modules import postgresql_discover_info, postgresql_sync

from ...conftest import validated

ALL = {("a", "schemas"): {"a"}, ("a", "tables"): {"t", "u"}, ("b", "schemas"): {"b"}, ("b", "tables"): {"v"}}


def rights(*granted):
    """Of ``schema kind privilege objects``."""
    found = {tuple(words[:3]): frozenset(words[3:]) for words in map(str.split, granted)}
    return Rights(found, found, {place: frozenset(names) for place, names in ALL.items()})


def test_rights_on_all_objects_become_group_and_others_are_listed():
    some = rights(
        "a schemas USAGE a", "a tables SELECT t u", "a tables DELETE t", "b schemas USAGE b", "b tables SELECT v"
    )
    group = group_of(some)
    assert group == Group(("a", "b"), frozenset({("schemas", "USAGE"), ("tables", "SELECT")}))
    assert beyond(some, group) == ["DELETE on 1 of 2 tables in schema a (t)"]


def rows_of(query, _values=None):
    """A database with two logins that may do the same, and one that may read another schema; a superuser has a session."""
    given = {"a": "sales", "b": "sales", "c": "stock"}
    answers = {
        discover._LOGINS: [(name, True, False, False, False, False, [], True, False, [], []) for name in given],
        discover._RIGHTS: [
            (name, schema, kind, each, privilege, False, has)
            for name, its in given.items()
            for schema in ("sales", "stock")
            for has in [schema == its]
            for kind, each, privilege in (("schemas", schema, "USAGE"), ("tables", "t", "SELECT"))
        ],
        discover._DATABASE_OWNER: [("owner", False, False)],
        discover._SESSIONS: [(name, "", "", 1) for name in ("a", "root", "dba")],
        discover._SUPERUSERS: [("root",), ("dba",)],
    }
    return answers.get(query, [])


def test_names_of_groups_have_no_gaps_and_superusers_with_sessions_are_noted():
    found = discover.described(rows_of, {"database": "app", "login_user": "dba"})
    assert {name: role["in_role"] for name, role in found["entry"]["roles"].items()} == {
        "a": "app_ro",
        "b": "app_ro",
        "c": "app_ro_2",
    }
    assert found["notes"] == ["Sessions here are of root, superusers; what they may do is not in the document."]


def test_role_without_login_is_refused():
    with pytest.raises(Refused, match="logins names biling, which cannot be looked at"):
        discover.described(rows_of, {"database": "app", "login_user": "dba", "logins": ["a", "biling"]})


def test_schema_without_usage_has_no_group():
    some = rights("a tables SELECT t u")
    assert group_of(some) is None
    assert beyond(some, None) == ["SELECT on 2 of 2 tables in schema a (t, u)"]


HAS = """
SELECT n.nspname, c.relname, p FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p
 WHERE n.nspname IN ('public', 'sales') AND c.relkind = 'r' AND has_table_privilege('{role}', c.oid, p)
"""


@pytest.mark.real
@pytest.mark.full
@pytest.mark.parametrize("server", ["postgres", "postgres15"])
def test_group_has_rights_of_login_or_lists_difference(request, server):
    server = request.getfixturevalue(server)
    number = secrets.token_hex(4)
    database, owner, reader, writer, odd = (f"{name}_{number}" for name in ("db", "owner", "reader", "writer", "odd"))
    login = {"login_host": server.host, "login_port": server.port, "login_password": server.password}

    server.sql(f"CREATE ROLE {owner}")
    server.sql(f"CREATE DATABASE {database} OWNER {owner}")
    server.sql(f"""
        CREATE ROLE {reader} LOGIN; CREATE ROLE {writer} LOGIN; CREATE ROLE {odd} LOGIN NOINHERIT CREATEDB;
        SET ROLE {owner};
        CREATE SCHEMA sales; CREATE TABLE sales.orders (id int, note text); CREATE TABLE sales.items (id int);
        GRANT USAGE ON SCHEMA sales TO {reader}, {writer}, {odd};
        GRANT SELECT ON ALL TABLES IN SCHEMA sales TO {reader}, {writer};
        GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA sales TO {writer};
        GRANT DELETE ON sales.orders TO {writer};
        GRANT SELECT (id) ON sales.items TO {odd};
        RESET ROLE; GRANT {writer} TO {odd};
    """, database)  # fmt: skip
    given = {"database": database, "logins": [reader, writer, odd], **login}
    found = postgresql_discover_info.TASK.perform(validated("postgresql_discover_info", given), False)
    entry, differences = found["entry"], found["differences"]
    assert differences[writer] == ["DELETE on 1 of 2 tables in schema sales (orders)"]
    assert reader not in differences
    assert {f"what {writer} may do, after SET ROLE, because it is NOINHERIT", "it has the attribute CREATEDB"} <= set(
        differences[odd]
    )
    assert "SELECT on column sales.items.id, but not on its table" in differences[odd]
    assert entry["owner"] == owner
    assert sorted(entry["groups"]) == sorted({role["in_role"] for role in entry["roles"].values()})

    entry["admin"]["password"] = "first"
    roles = entry.pop("roles")
    postgresql_sync.TASK.perform(
        validated("postgresql_sync", {"databases": [entry], "close_databases": [], **login}), False
    )
    for name, lost in ((reader, set()), (writer, {("sales", "orders", "DELETE")})):
        user = f"user_{name}"
        server.sql(f"CREATE ROLE {user} IN ROLE {roles[name]['in_role']}")
        of_login, of_user = (set(server.sql(HAS.format(role=role), database)) for role in (name, user))
        assert of_login - lost == of_user
