# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated databases: what each present login may do, a dynamic user of its group may do, or the difference is named; and the logins lose nothing.

`./test full` tries 5 of them, or LEASEHOLD_CASES.  The rights are compared by `_postgresql/rights`, which asks other questions than `discover`.
"""

from __future__ import annotations

import contextlib
import os
import random
import re

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.rights import lacking
from ansible_collections.leasehold.vault.plugins.modules import postgresql_discover_info, postgresql_sync

from ...conftest import validated

CASES = int(os.environ.get("LEASEHOLD_CASES", "5"))
pytestmark = [pytest.mark.real, pytest.mark.full]
WORDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


def statements(number, chance):
    """SQL that makes a database in use, and the names of its logins."""
    big = number % 5 == 4
    logins = [f"l{number}_{each}" for each in range(40 if big else chance.randint(3, 10))]
    groups = [f"g{number}_{each}" for each in range(chance.randint(1, 5))]
    owners = [f"o{number}_{each}" for each in range(chance.randint(1, 3))]
    schemas = ["public", *(f"s{each}" for each in range(chance.randint(1, 4)))]
    yield from (f"CREATE ROLE {each}" for each in groups)
    yield from (f"CREATE ROLE {each} {chance.choice(('LOGIN', 'NOLOGIN'))}" for each in owners)
    for each in logins:
        yield f"CREATE ROLE {each} LOGIN {chance.choice(('INHERIT', 'INHERIT', 'NOINHERIT'))} {chance.choice(('', '', '', 'CREATEDB', 'BYPASSRLS'))}"
        if chance.random() < 0.2:
            yield f"ALTER ROLE {each} SET search_path TO {chance.choice(schemas)}"
    for each in (*logins, *groups[1:]):
        if chance.random() < 0.5:
            earlier = groups[: groups.index(each)] if each in groups else groups
            yield f"GRANT {chance.choice(earlier)} TO {each}"
    yield from (f"CREATE SCHEMA {each} AUTHORIZATION {chance.choice(owners)}" for each in schemas[1:])
    receivers = [*logins, *groups, "PUBLIC"]
    tables = []
    for each in range(500 if big else chance.randint(2, 30)):
        name, owner = (
            f"{chance.choice(schemas)}.t{each}",
            chance.choice([*owners, *owners, *owners, chance.choice(logins)]),
        )
        tables.append(name)
        kind = chance.choice(("TABLE", "TABLE", "VIEW"))
        yield (
            f"CREATE TABLE {name} (id serial, note text)"
            if kind == "TABLE"
            else f"CREATE VIEW {name} AS SELECT 1 AS id, 'x'::text AS note"
        )
        yield f"ALTER {kind} {name} OWNER TO {owner}"
        if kind == "TABLE" and chance.random() < 0.1:
            yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {name} TO {chance.choice([*logins, *groups, 'PUBLIC'])} USING (true)"
    for schema in schemas:
        for each in range(chance.randint(0, 3)):
            yield f"CREATE FUNCTION {schema}.f{each}() RETURNS int LANGUAGE sql AS 'SELECT 1'"
            if chance.random() < 0.5:
                yield f"REVOKE EXECUTE ON FUNCTION {schema}.f{each} FROM PUBLIC; GRANT EXECUTE ON FUNCTION {schema}.f{each} TO {chance.choice(receivers)}"
        if chance.random() < 0.3:
            yield f"CREATE PROCEDURE {schema}.p() LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON PROCEDURE {schema}.p FROM PUBLIC"
            yield f"GRANT EXECUTE ON PROCEDURE {schema}.p TO {chance.choice(receivers)}"
            yield f"CREATE TYPE {schema}.y AS ENUM ('x'); REVOKE USAGE ON TYPE {schema}.y FROM PUBLIC"
            yield f"GRANT USAGE ON TYPE {schema}.y TO {chance.choice(logins)}"
        for each in chance.sample(receivers, min(len(receivers), chance.randint(1, 6))):
            if chance.random() < 0.8:
                yield f"GRANT USAGE{chance.choice(('', '', ', CREATE'))} ON SCHEMA {schema} TO {each}"
            words = ", ".join(chance.sample(WORDS, chance.randint(1, 4)))
            yield f"GRANT {words} ON ALL TABLES IN SCHEMA {schema} TO {each}"
            if chance.random() < 0.5:
                yield f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {each}"
            if chance.random() < 0.3:
                yield f"ALTER DEFAULT PRIVILEGES FOR ROLE {chance.choice(owners)} IN SCHEMA {schema} GRANT {words} ON TABLES TO {each}"
    for _each in range(chance.randint(2, 15)):
        word, table, to = chance.choice(WORDS[:4]), chance.choice(tables), chance.choice(receivers)
        column = " (note)" if chance.random() < 0.4 and word != "DELETE" else ""
        option = " WITH GRANT OPTION" if chance.random() < 0.2 and to != "PUBLIC" else ""
        yield f"GRANT {word}{column} ON {table} TO {to}{option}"
    if chance.random() < 0.5:
        yield f"GRANT pg_read_all_data TO {chance.choice(logins)}"


def named(right, given):
    """Whether a sentence of `discover` names the right."""
    patterns = (
        (r"(\w+) on (tables|sequences|functions|types) in schema (\S+)", r"{0} on \d+ of \d+ {1} in schema {2} \("),
        (r"USAGE on types in schema (\S+)", r"USAGE on types in schema {0}"),
        (r"(\w+) on columns in schema (\S+)", r"{0} on column {1}\."),
        (r"(\w+) on \w+ in schema (pg_catalog|information_schema)", r"it is a member of pg_"),
        (r"(\w+) on schema (\S+)", r"{0} on schema {1}$"),
        (r"(USAGE|CREATE) on schema \S+", r"as one of the creators"),
        (r"policies of row level security in schema (\S+)", r"a policy on {0}\."),
        (r"ownership of objects here", r"it owns "),
        (r"rights in other databases", r"it has rights in other databases"),
        (r"GRANT OPTION on objects in schema (\S+)", r"GRANT OPTION on objects in schema {0}"),
        (r"(.+) to come from (.+)", r"{0} to come from {1}"),
        (r"SET ROLE to (\S+)", r"what (.*, )?{0}(,.*)? may do, after SET ROLE"),
        (r"the (attribute|setting) (\S+)", r"(it has the attribute|its setting) {1}"),
        (r"membership in (\S+)", r"it is a member of {0}"),
    )
    for pattern, sentence in patterns:
        match = re.fullmatch(pattern, right)
        if match and any(re.search(sentence.format(*map(re.escape, match.groups())), each) for each in given):
            return True
    return any(each.startswith(right) for each in given)


@pytest.mark.parametrize("number", range(CASES))
def test_each_difference_between_a_login_and_a_user_of_its_group_is_named(postgres, number):
    database = f"figure_{number}"
    login = {"login_host": postgres.host, "login_port": postgres.port, "login_password": postgres.password}
    with contextlib.ExitStack() as stack:
        postgres.sql(f"CREATE DATABASE {database}")
        stack.callback(remove, postgres, number)
        connection = stack.enter_context(contextlib.closing(postgres.connect(database)))
        cursor = connection.cursor()
        for text in statements(number, random.Random(number)):  # noqa: S311 (no secret)
            cursor.execute(text)

        def query(text, values=None):
            cursor.execute(text, values)
            return cursor.fetchall()

        version = connection.server_version
        found = postgresql_discover_info.TASK.perform(
            validated("postgresql_discover_info", {"database": database, **login}), False
        )
        logins = "SELECT rolname::text FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND rolname ~ %(like)s"
        ours = [name for (name,) in query(logins, {"like": f"^[lo]{number}_"})]
        cursor.execute(f"CREATE ROLE l{number}_nobody")
        connect = (
            f"SELECT rolname FROM pg_roles WHERE rolcanlogin AND has_database_privilege(oid, '{database}', 'CONNECT')"
        )
        before = {each: set(lacking(query, each, f"l{number}_nobody")) for each in ours}
        may_connect = set(query(connect)) & {(each,) for each in ours}
        entry = found["entry"]
        entry["admin"]["password"] = "first"
        roles = entry.pop("roles")
        postgresql_sync.TASK.perform(
            validated("postgresql_sync", {"databases": [entry], "close_databases": [], **login}), False
        )
        assert may_connect <= set(query(connect))
        wrong = []
        for user_number, each in enumerate(ours):
            user, given = f"u{number}_{user_number}", found["differences"].get(each, [])
            cursor.execute(f"CREATE ROLE {user}")
            if each in roles:
                options = " WITH INHERIT TRUE, SET FALSE" if version >= 160000 else ""
                cursor.execute(f"GRANT {roles[each]['in_role']} TO {user}{options}")
            left = {one.right for one in lacking(query, each, f"l{number}_nobody")}
            wrong += [f"{each} lost {one}" for one in before[each] if one.right not in left]
            wrong += [f"{each}: {one}" for one in lacking(query, each, user) if not named(one.right, given)]
            # A group has the same privileges on what is to come.
            wrong += [
                f"{each} has not: {one}" for one in lacking(query, user, each) if " to come from " not in one.right
            ]
        assert wrong == [], "\n".join(wrong)


def remove(server, number):
    server.sql(f"DROP DATABASE figure_{number} WITH (FORCE)")
    ours = f"^([goul]{number}_|(vault_)?figure_{number}_?)"
    for (name,) in server.sql("SELECT rolname FROM pg_roles WHERE rolname ~ %s", values=(ours,)):
        server.sql(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")
