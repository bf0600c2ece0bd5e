# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The rights that the present logins of a database have, as groups of the document, and what groups cannot express.

PostgreSQL itself says what a login may do (``has_table_privilege`` and the like), so that rights by membership and of ``PUBLIC`` count.
A group of the document has the same privileges on all objects of a kind in all of its schemas.  What a login has beyond that is named.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.connect import (
    DATABASE_OPTIONS,
    database_session,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import is_role_name
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.rights import (
    DEFAULT_PRIVILEGES,
    TABLE_PRIVILEGES,
    named,
    on_other_objects,
)

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.catalog import Query

Values = dict[str, t.Any]
OPTIONS: Values = {
    **DATABASE_OPTIONS,
    "logins": {"type": "list", "elements": "str"},
}
NOBODY = "pg_signal_backend"
"""A predefined role that may do on objects what PUBLIC may, and nothing else."""
_OTHERS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_LOGIN = "l.rolcanlogin AND NOT l.rolsuper AND l.rolname !~ '^(pg_|v-)'"
_LOGINS = f"""
SELECT l.rolname, l.rolinherit, l.rolcreaterole, l.rolcreatedb, l.rolreplication, l.rolbypassrls,
       ARRAY(SELECT unnest(s.setconfig) FROM pg_db_role_setting AS s WHERE s.setrole = l.oid AND s.setdatabase IN (0, d.oid)),
       has_database_privilege(l.oid, d.oid, 'CONNECT'), has_database_privilege(l.oid, d.oid, 'CREATE'),
       ARRAY(SELECT g.rolname::text FROM pg_roles AS g WHERE g.oid <> l.oid AND NOT pg_has_role(l.oid, g.oid, 'USAGE')
              AND pg_has_role(l.oid, g.oid, 'MEMBER') ORDER BY 1),
       ARRAY(SELECT g.rolname::text FROM pg_roles AS g WHERE starts_with(g.rolname, 'pg_') AND g.rolname <> 'pg_database_owner'
              AND pg_has_role(l.oid, g.oid, 'USAGE') ORDER BY 1)
  FROM pg_roles AS l CROSS JOIN pg_database AS d WHERE d.datname = current_database() AND {_LOGIN} ORDER BY 1
"""
_RIGHTS = f"""
SELECT l.rolname, n.nspname, 'schemas', n.nspname, p.name,
       has_schema_privilege('public', n.oid, p.name)
         AND NOT (n.nspname = 'public' AND p.name = 'CREATE' AND EXISTS (
           SELECT FROM aclexplode(n.nspacl) AS a WHERE a.privilege_type = 'CREATE' AND a.grantee <> 0 AND pg_has_role(l.oid, a.grantee, 'USAGE'))),
       has_schema_privilege(l.oid, n.oid, p.name)
  FROM pg_roles AS l CROSS JOIN pg_namespace AS n CROSS JOIN unnest(ARRAY['USAGE', 'CREATE']) AS p(name) WHERE {_LOGIN} AND {_OTHERS}
UNION ALL
SELECT l.rolname, n.nspname, 'tables', c.relname, p.name, has_table_privilege('public', c.oid, p.name), has_table_privilege(l.oid, c.oid, p.name)
  FROM pg_roles AS l CROSS JOIN pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 CROSS JOIN {TABLE_PRIVILEGES} AS p(name)
 WHERE {_LOGIN} AND {_OTHERS} AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
UNION ALL
SELECT l.rolname, n.nspname, 'sequences', c.relname, p.name, has_sequence_privilege('public', c.oid, p.name), has_sequence_privilege(l.oid, c.oid, p.name)
  FROM pg_roles AS l CROSS JOIN pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 CROSS JOIN unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS p(name) WHERE {_LOGIN} AND {_OTHERS} AND c.relkind = 'S'
UNION ALL
SELECT l.rolname, n.nspname, 'functions', f.oid::regprocedure::text, 'EXECUTE',
       has_function_privilege('public', f.oid, 'EXECUTE'), has_function_privilege(l.oid, f.oid, 'EXECUTE')
  FROM pg_roles AS l CROSS JOIN pg_proc AS f JOIN pg_namespace AS n ON n.oid = f.pronamespace
 WHERE {_LOGIN} AND {_OTHERS}
"""
_ON_COLUMNS = f"""
SELECT l.rolname, n.nspname, c.relname || '.' || a.attname, p.name
  FROM pg_roles AS l CROSS JOIN pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
 CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS p(name)
 WHERE {_LOGIN} AND {_OTHERS} AND has_column_privilege(l.oid, c.oid, a.attnum, p.name) AND NOT has_table_privilege(l.oid, c.oid, p.name)
 ORDER BY 1, 2, 3, 4
"""
_TO_COME = f"""
SELECT DISTINCT l.rolname, d.creator, coalesce(d.schema, ''), d.kind, d.privilege FROM pg_roles AS l CROSS JOIN {DEFAULT_PRIVILEGES} AS d
 WHERE {_LOGIN} AND pg_has_role(l.oid, d.grantee, 'USAGE') ORDER BY 1, 2, 3, 4, 5
"""
_ROW_SECURITY = f"""
SELECT DISTINCT l.rolname, n.nspname, c.relname
  FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_roles AS l ON EXISTS (SELECT FROM unnest(p.polroles) AS r(role) WHERE r.role <> 0 AND pg_has_role(l.oid, r.role, 'MEMBER'))
 WHERE {_LOGIN} ORDER BY 1, 2, 3
"""
_OWNERS = f"""
SELECT o.rolname, o.rolcanlogin, o.rolsuper, count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_roles AS o ON o.oid = c.relowner WHERE {_OTHERS} AND c.relkind IN ('r', 'v', 'm', 'p', 'f') GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1
"""
_DATABASE_OWNER = """
SELECT o.rolname, o.rolcanlogin, o.rolsuper FROM pg_database AS d JOIN pg_roles AS o ON o.oid = d.datdba WHERE d.datname = current_database()
"""
_SESSIONS = """
SELECT usename::text, application_name, coalesce(host(client_addr), ''), count(*)::int FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_OPEN = "SELECT 1 FROM pg_namespace WHERE nspname = 'public' AND has_schema_privilege('public', oid, 'CREATE')"
_TAKEN = "SELECT rolname FROM pg_roles"
_SUPERUSERS = "SELECT rolname::text FROM pg_roles WHERE rolsuper"


@dataclasses.dataclass(frozen=True)
class Rights:
    """What one login may do beyond ``PUBLIC``: by schema, kind and privilege, the objects; and all objects there are."""

    granted: t.Mapping[tuple[str, str, str], frozenset[str]]
    usable: t.Mapping[tuple[str, str, str], frozenset[str]]
    """The same with what ``PUBLIC`` has."""
    objects: t.Mapping[tuple[str, str], frozenset[str]]

    def whole(self, schema: str) -> frozenset[tuple[str, str]]:
        """Kinds and privileges that it has on all objects of the kind in this schema."""
        return frozenset(
            (kind, privilege)
            for (where, kind, privilege), names in self.granted.items()
            if where == schema and names and self.usable[where, kind, privilege] == self.objects[where, kind]
        )


class Group(t.NamedTuple):
    schemas: tuple[str, ...]
    privileges: frozenset[tuple[str, str]]


def group_of(rights: Rights) -> Group | None:
    """The group that gives the most of these rights and nothing else."""
    whole = {
        schema: rights.whole(schema) for schema in sorted({schema for schema, _kind, _privilege in rights.granted})
    }
    useful = {
        schema: found
        for schema, found in whole.items()
        if found - {("schemas", "CREATE")} and rights.usable.get((schema, "schemas", "USAGE"))
    }
    if not useful:
        return None

    def fits(schema: str, privileges: frozenset[tuple[str, str]]) -> bool:
        """Whether a group with these privileges gives nothing new in this schema."""
        return useful[schema] >= {(kind, each) for kind, each in privileges if (schema, kind) in rights.objects}

    def covered(privileges: frozenset[tuple[str, str]]) -> int:
        return sum(len(useful[schema] & privileges) for schema in useful if fits(schema, privileges))

    best = max(sorted(set(useful.values()), key=sorted), key=covered)
    return Group(tuple(schema for schema in useful if fits(schema, best)), best)


def beyond(rights: Rights, group: Group | None) -> list[str]:
    """What a login may do and a user of its group may not, a sentence each."""
    given = []
    for (schema, kind, privilege), names in sorted(rights.granted.items()):
        if names and not (group and schema in group.schemas and (kind, privilege) in group.privileges):
            if kind == "schemas":
                given.append(f"{privilege} on schema {schema}")
            else:
                given.append(
                    f"{privilege} on {len(names)} of {len(rights.objects[schema, kind])} {kind} in schema {schema} ({named(sorted(names))})"
                )
    return given


def discover(_session: t.Any, options: Values, _check_mode: bool) -> Values:
    """The module ``postgresql_discover_info``."""
    with database_session(options) as session:
        return {"changed": False, **described(session.query, options)}


def described(query: Query, options: Values) -> Values:
    """The entry of the document, what it does not express, and who is connected."""
    asked = options.get("logins")
    every = query(_LOGINS)
    logins = {row[0]: row for row in every if not asked or row[0] in asked}
    missing = sorted(set(asked or ()) - logins.keys())
    if missing:
        raise Refused(
            f"logins names {', '.join(missing)}, which cannot be looked at: a login is a role with LOGIN that exists, is no superuser, and does not "
            "begin with pg_ or v-."
        )
    rights = _rights(query)
    differences: dict[str, list[str]] = {name: _of_the_role(row) for name, row in logins.items()}
    taken = {name for (name,) in query(_TAKEN)}
    groups: dict[Group, str] = {}
    roles: Values = {}
    given_to: dict[str, Group] = {}
    for name in logins:
        found = group_of(rights[name]) if name in rights else None
        if found is not None:
            if found not in groups:
                groups[found] = _free_name(found, options["database"], taken)
            roles[name] = {"in_role": groups[found], "default_ttl": "1h", "max_ttl": "24h"}
            given_to[name] = found
        elif logins[name][7]:
            differences[name].append("CONNECT on the database, because there is no group for it")
        differences[name] += beyond(rights[name], found) if name in rights else []
    for login, schema, column, privilege in query(_ON_COLUMNS):
        differences.setdefault(login, []).append(f"{privilege} on column {schema}.{column}, but not on its table")
    for login, schema, table in query(_ROW_SECURITY):
        differences.setdefault(login, []).append(
            f"a policy on {schema}.{table} names it, or a role that it is a member of"
        )
    owner, creators, notes = _makers(query, options["database"], taken)
    for login in logins:
        if login in creators:
            differences[login].append(
                "it owns tables here and may change them, and as one of the creators may make more in the schemas of the groups; a user of a group may not"
            )
        differences[login] += map(str, on_other_objects(query, login, NOBODY))
    for login, creator, schema, kind, privilege in query(_TO_COME):
        group = given_to.get(login)
        if not (
            group
            and schema in group.schemas
            and (kind, privilege) in group.privileges
            and creator in (owner, *creators)
        ):
            where = f" in schema {schema}" if schema else ""
            differences.setdefault(login, []).append(f"{privilege} on {kind} to come from {creator}{where}")
    # PUBLIC loses CONNECT, by which they may have come in.
    guests = [row[0] for row in every if row[7] and row[0] not in (owner, *creators)]
    if query(_OPEN):
        notes.append("PUBLIC loses CREATE on schema public. Who makes tables there by it needs a grant of its own.")
    odd = [name for name in guests if not is_role_name(name)]
    if odd:
        notes.append(
            f"PUBLIC loses CONNECT, and these cannot be named in connect: {', '.join(odd)}. GRANT CONNECT to them by hand."
        )
    entry = {
        "name": options["database"],
        "database": options["database"],
        "owner": owner,
        **({"creators": creators} if creators else {}),
        **({"connect": [name for name in guests if name not in odd]} if len(guests) > len(odd) else {}),
        "admin": {"username": _free("vault_" + options["database"], taken)},
        "groups": {groups[group]: _as_entry(group) for group in groups},
        "roles": roles,
    }
    found_differences = {login: given for login, given in sorted(differences.items()) if given and login in logins}
    sessions = [dict(zip(("user", "application_name", "address", "count"), row)) for row in query(_SESSIONS)]
    superusers = {name for (name,) in query(_SUPERUSERS)}
    strong = sorted({each["user"] for each in sessions} & superusers - {options["login_user"]})
    if strong:
        notes.append(f"Sessions here are of {', '.join(strong)}, superusers; what they may do is not in the document.")
    return {"entry": entry, "differences": found_differences, "notes": notes, "sessions": sessions}


def _rights(query: Query) -> dict[str, Rights]:
    current: dict[str, dict[tuple[str, str, str], set[str]]] = collections.defaultdict(
        lambda: collections.defaultdict(set)
    )
    usable: dict[str, dict[tuple[str, str, str], set[str]]] = collections.defaultdict(
        lambda: collections.defaultdict(set)
    )
    objects: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
    for login, schema, kind, name, privilege, public, has in query(_RIGHTS):
        objects[schema, kind].add(name)
        if has:
            usable[login][schema, kind, privilege].add(name)
        if has and not public:
            current[login][schema, kind, privilege].add(name)
    every = {place: frozenset(names) for place, names in objects.items()}
    return {
        login: Rights(
            {place: frozenset(names) for place, names in found.items()},
            {place: frozenset(names) for place, names in usable[login].items()},
            every,
        )
        for login, found in current.items()
    }


def _of_the_role(row: tuple[t.Any, ...]) -> list[str]:
    """What a login has by its attributes, which a user that Vault makes does not have."""
    _name, inherit, createrole, createdb, replication, bypassrls, settings, connect, create, roles, predefined = row
    has = {"CREATEROLE": createrole, "CREATEDB": createdb, "REPLICATION": replication, "BYPASSRLS": bypassrls}
    text = [f"it has the attribute {attribute}" for attribute, given in has.items() if given]
    text += [f"its setting {setting.partition('=')[0]}" for setting in settings]
    text += [] if connect else ["it may not connect to this database"]
    text += ["CREATE on the database"] if create else []
    text += [f"it is a member of {name}" for name in predefined]
    if roles:
        how = "" if inherit else ", because it is NOINHERIT"
        text.append(f"what {', '.join(roles)} may do, after SET ROLE{how}")
    return text


def _makers(query: Query, database: str, taken: set[str]) -> tuple[str, list[str], list[str]]:
    """The owner of the document, the other roles that own tables, and notes about both."""
    ((owner, logs_in, superuser),) = query(_DATABASE_OWNER)
    notes = []
    if logs_in or superuser:
        new = _free(f"{database}_owner", taken)
        notes.append(
            f"The database is owned by {owner}, which can log in; the document has the new owner {new}, and the tables stay whose they are."
        )
        owner = new
    owners = query(_OWNERS)
    strange = [name for name, _login, is_super, _count in owners if is_super]
    if strange:
        notes.append(
            f"Tables are owned by {', '.join(strange)}, superusers; what they create later is not granted to the groups."
        )
    return owner, [name for name, _login, is_super, _count in owners if not is_super and name != owner], notes


def _as_entry(group: Group) -> Values:
    entry: Values = {"schemas": list(group.schemas)}
    for kind, key in (
        ("schemas", "schema_privileges"),
        ("tables", "tables"),
        ("sequences", "sequences"),
        ("functions", "functions"),
    ):
        privileges = [privilege.lower() for found, privilege in sorted(group.privileges) if found == kind]
        if kind == "schemas":
            privileges = sorted({*privileges, "usage"}, reverse=True)
            if privileges == ["usage"]:
                continue
        if privileges:
            entry[key] = privileges
    return entry


def _free_name(group: Group, database: str, taken: set[str]) -> str:
    writes = any(kind == "tables" and privilege != "SELECT" for kind, privilege in group.privileges)
    return _free(f"{database}_{'rw' if writes else 'ro'}", taken)


def _free(name: str, taken: set[str]) -> str:
    """A name that no role has, which is taken then."""
    number = 1
    chosen = name[:60]
    while chosen in taken:
        number += 1
        chosen = f"{name[:57]}_{number}"
    taken.add(chosen)
    return chosen
