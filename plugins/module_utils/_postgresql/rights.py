# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What one role may do in a database and another one may not.

PostgreSQL itself is asked (``has_table_privilege`` and the like), so that rights by membership and of ``PUBLIC`` count on both sides.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.catalog import Query

NAMED = 5
"""So many objects are named, of more the number."""


class Difference(t.NamedTuple):
    """A right that only one of both roles has."""

    right: str
    """Stays the same when objects come and go, such as ``DELETE on tables in schema sales``."""
    detail: str = ""
    """The objects, such as ``2 of 12: items, orders``."""

    def __str__(self) -> str:
        return f"{self.right} ({self.detail})" if self.detail else self.right


_ONE = "%(one)s::name"
_OTHER = "%(other)s::name"
_OURS = "n.nspname !~ '^pg_(toast|temp)'"
TABLE_PRIVILEGES = """
unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']
       || CASE WHEN current_setting('server_version_num')::int < 170000 THEN ARRAY[]::text[] ELSE ARRAY['MAINTAIN'] END)
"""
OWNED_HERE = """
  FROM pg_shdepend AS s JOIN pg_roles AS r ON r.oid = s.refobjid CROSS JOIN LATERAL pg_identify_object(s.classid, s.objid, 0) AS i
 WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'
   AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        OR s.classid = 'pg_database'::regclass AND s.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
"""What a role ``r`` owns in this database, and the database itself; a condition on ``r`` follows."""
DEFAULT_PRIVILEGES = """
(SELECT c.rolname::text AS creator, n.nspname::text AS schema, CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
        WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' ELSE 'objects' END AS kind, a.privilege_type AS privilege, a.grantee
   FROM pg_default_acl AS d CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a JOIN pg_roles AS c ON c.oid = d.defaclrole
   LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace WHERE a.grantee NOT IN (0, d.defaclrole))
"""


def _only_one(function: str, *arguments: str, one: str = _ONE, other: str = _OTHER) -> str:
    """A condition: the one role has the privilege, the other one has not."""
    given = ", ".join(arguments)
    return f"{function}({one}, {given}) AND NOT {function}({other}, {given})"


_TABLES = f"""
SELECT 'tables', n.nspname::text, p.name, array_agg(c.relname::text ORDER BY c.relname) FILTER (WHERE {_only_one("has_table_privilege", "c.oid", "p.name")}),
       count(*)::int
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN {TABLE_PRIVILEGES} AS p(name)
 WHERE {_OURS} AND c.relkind IN ('r', 'v', 'm', 'p', 'f') GROUP BY 2, 3
"""
_SEQUENCES = f"""
SELECT 'sequences', n.nspname::text, p.name,
       array_agg(c.relname::text ORDER BY c.relname) FILTER (WHERE {_only_one("has_sequence_privilege", "c.oid", "p.name")}), count(*)::int
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS p(name)
 WHERE {_OURS} AND c.relkind = 'S' GROUP BY 2, 3
"""
# A function or type without a list of its own is everybody's.
_FUNCTIONS = f"""
SELECT 'functions', n.nspname::text, 'EXECUTE', array_agg(f.oid::regprocedure::text ORDER BY f.oid::regprocedure::text)
         FILTER (WHERE f.proacl IS NOT NULL AND {_only_one("has_function_privilege", "f.oid", "'EXECUTE'")}), count(*)::int
  FROM pg_proc AS f JOIN pg_namespace AS n ON n.oid = f.pronamespace WHERE {_OURS} GROUP BY 2
"""
_TYPES = f"""
SELECT 'types', n.nspname::text, 'USAGE', array_agg(y.typname::text ORDER BY y.typname)
         FILTER (WHERE y.typacl IS NOT NULL AND {_only_one("has_type_privilege", "y.oid", "'USAGE'")}), count(*)::int
  FROM pg_type AS y JOIN pg_namespace AS n ON n.oid = y.typnamespace WHERE {_OURS} GROUP BY 2
"""
_COLUMNS = f"""
SELECT 'columns', n.nspname::text, p.name, array_agg(c.relname || '.' || a.attname ORDER BY c.relname, a.attnum), NULL::int
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
 CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS p(name)
 WHERE {_OURS} AND NOT has_table_privilege({_ONE}, c.oid, p.name) AND {_only_one("has_column_privilege", "c.oid", "a.attnum", "p.name")}
 GROUP BY 2, 3
"""
_IN_SCHEMAS = " UNION ALL ".join((_TABLES, _SEQUENCES, _FUNCTIONS, _TYPES, _COLUMNS))

_COMMON = f"""
SELECT p.name || ' on schema ' || n.nspname, '' FROM pg_namespace AS n CROSS JOIN unnest(ARRAY['USAGE', 'CREATE']) AS p(name)
 WHERE {_OURS} AND {_only_one("has_schema_privilege", "n.oid", "p.name")}
UNION ALL
SELECT p.name || ' on the database', '' FROM pg_database AS d CROSS JOIN unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) AS p(name)
 WHERE d.datname = current_database() AND {_only_one("has_database_privilege", "d.oid", "p.name")}
UNION ALL
SELECT 'the attribute ' || v.key, '' FROM pg_roles AS r CROSS JOIN LATERAL (VALUES
       ('CREATEROLE', r.rolcreaterole), ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication), ('BYPASSRLS', r.rolbypassrls)) AS v(key, has)
 WHERE r.rolname = {_ONE} AND v.has
UNION ALL
SELECT DISTINCT 'the setting ' || split_part(c.setting, '=', 1), '' FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
  CROSS JOIN unnest(s.setconfig) AS c(setting)
 WHERE r.rolname = {_ONE} AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
UNION ALL
SELECT 'membership in ' || g.rolname, '' FROM pg_roles AS g WHERE starts_with(g.rolname, 'pg_') AND g.rolname <> 'pg_database_owner'
   AND {_only_one("pg_has_role", "g.oid", "'USAGE'")}
UNION ALL
SELECT 'SET ROLE to ' || g.rolname, '' FROM pg_roles AS g
 WHERE g.rolname <> {_ONE} AND pg_has_role({_ONE}, g.oid, 'MEMBER') AND NOT pg_has_role({_ONE}, g.oid, 'USAGE') AND NOT pg_has_role({_OTHER}, g.oid, 'USAGE')
UNION ALL
SELECT 'policies of row level security in schema ' || n.nspname, string_agg(DISTINCT c.relname, ', ')
  FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE EXISTS (SELECT FROM unnest(p.polroles) AS r(role) WHERE r.role <> 0 AND
                   CASE WHEN p.polpermissive THEN {_only_one("pg_has_role", "r.role", "'USAGE'")}
                        ELSE {_only_one("pg_has_role", "r.role", "'USAGE'", one=_OTHER, other=_ONE)} END)
    OR (concat(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) ~* '(CURRENT_USER|SESSION_USER|current_role)'
        AND has_any_column_privilege({_ONE}, c.oid, 'SELECT, INSERT, UPDATE'))
 GROUP BY n.nspname
"""
_OTHER_OBJECTS = f"""
SELECT 'CONNECT on other databases', string_agg(d.datname, ', ' ORDER BY d.datname) FROM pg_database AS d
 WHERE d.datname <> current_database() AND d.datallowconn AND {_only_one("has_database_privilege", "d.oid", "'CONNECT'")} HAVING count(*) > 0
UNION ALL
SELECT 'USAGE on language ' || l.lanname, '' FROM pg_language AS l WHERE l.lanacl IS NOT NULL AND {_only_one("has_language_privilege", "l.oid", "'USAGE'")}
UNION ALL
SELECT 'USAGE on foreign server ' || s.srvname, '' FROM pg_foreign_server AS s WHERE {_only_one("has_server_privilege", "s.oid", "'USAGE'")}
UNION ALL
SELECT 'USAGE on foreign-data wrapper ' || w.fdwname, '' FROM pg_foreign_data_wrapper AS w
 WHERE {_only_one("has_foreign_data_wrapper_privilege", "w.oid", "'USAGE'")}
UNION ALL
SELECT 'user mapping of foreign server ' || m.srvname, '' FROM pg_user_mappings AS m WHERE m.usename = {_ONE}
UNION ALL
SELECT 'CREATE on tablespace ' || s.spcname, '' FROM pg_tablespace AS s WHERE {_only_one("has_tablespace_privilege", "s.oid", "'CREATE'")}
UNION ALL
SELECT 'large objects', count(*)::text FROM pg_largeobject_metadata AS o
 WHERE EXISTS (SELECT FROM aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner))) AS a WHERE a.grantee <> 0 AND pg_has_role({_ONE}, a.grantee, 'USAGE'))
   AND NOT EXISTS (SELECT FROM aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner))) AS a
                    WHERE a.grantee = 0 OR pg_has_role({_OTHER}, a.grantee, 'USAGE')) HAVING count(*) > 0
UNION ALL
SELECT 'GRANT OPTION on objects in schema ' || n.nspname, string_agg(c.relname, ', ' ORDER BY c.relname)
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.is_grantable AND a.grantee NOT IN (0, c.relowner) AND pg_has_role({_ONE}, a.grantee, 'USAGE')
                  AND NOT pg_has_role({_OTHER}, a.grantee, 'USAGE')) GROUP BY n.nspname
UNION ALL
SELECT 'ownership of objects here', count(*) || ': ' || string_agg(DISTINCT i.type, ', ') {OWNED_HERE} AND r.rolname = {_ONE}
   AND i.type NOT IN ('default acl', 'user mapping') HAVING count(*) > 0
UNION ALL
SELECT 'rights in other databases', string_agg(DISTINCT d.datname, ', ') FROM pg_shdepend AS s JOIN pg_roles AS r ON r.oid = s.refobjid
  JOIN pg_database AS d ON d.oid = CASE s.dbid WHEN 0 THEN s.objid ELSE s.dbid END
 WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = {_ONE} AND d.datname <> current_database()
   AND (s.dbid <> 0 OR s.classid = 'pg_database'::regclass AND s.deptype = 'o') HAVING count(*) > 0
"""
"""What no group of the document has."""
_TO_COME = " EXCEPT ".join(
    f"SELECT d.privilege || ' on ' || d.kind || ' to come from ' || d.creator || coalesce(' in schema ' || d.schema, ''), '' "
    f"FROM {DEFAULT_PRIVILEGES} AS d WHERE pg_has_role({role}, d.grantee, 'USAGE')"
    for role in (_ONE, _OTHER)
)


def lacking(query: Query, one: str, other: str) -> list[Difference]:
    """What ``one`` may do in the database of this session, and ``other`` may not; neither is a superuser."""
    values = {"one": one, "other": other}
    found = _single(query(f"{_COMMON} UNION ALL {_OTHER_OBJECTS}", values))
    found += _in_schemas(query(_IN_SCHEMAS, values))
    found += _single(query(_TO_COME, values))
    return sorted(found)


def on_other_objects(query: Query, one: str, other: str) -> list[Difference]:
    """Of :func:`lacking`, what no group of the document has: types, large objects, languages, other databases, grant options and the like."""
    values = {"one": one, "other": other}
    return sorted([*_single(query(_OTHER_OBJECTS, values)), *_in_schemas(query(_TYPES, values))])


def _single(rows: t.Iterable[tuple[str, str]]) -> list[Difference]:
    return [Difference(right, named(detail.split(", "))) for right, detail in rows]


def _in_schemas(rows: t.Iterable[tuple[t.Any, ...]]) -> list[Difference]:
    return [
        Difference(
            f"{privilege} on {kind} in schema {schema}",
            f"{f'{len(names)} of {total}: ' if total else ''}{named(names)}",
        )
        for kind, schema, privilege, names, total in rows
        if names
    ]


def named(names: t.Sequence[str]) -> str:
    """``items, orders``; of many names the first ones, and how many more."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
