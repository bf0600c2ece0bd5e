# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.
"""What is there: one query for each kind of object, whatever their number."""

from __future__ import annotations

import dataclasses
import typing as t

PUBLIC = ""
"""The grantee that is everybody."""
DATABASE_OWNER = "pg_database_owner"
"""The role (PostgreSQL 14 and newer) whose only member is the owner of the database one is in."""

Query = t.Callable[..., t.Any]


class Acl(t.NamedTuple):
    """One privilege of one grantee."""

    grantee: str
    privilege: str
    grantor: str
    grantable: bool = False
    """Whether the grantee may pass it on."""


@dataclasses.dataclass(frozen=True)
class Role:
    superuser: bool = False
    login: bool = False
    inherit: bool = True
    createrole: bool = False
    settings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    usable: bool = False
    """Whether the DBA has its privileges and may act as it."""
    grantable: bool = False
    """Whether the DBA has ADMIN OPTION on it, also through another role."""
    beyond: tuple[str, ...] = ()
    """The other attributes that give rights on the whole server: CREATEROLE, CREATEDB, REPLICATION, BYPASSRLS."""


@dataclasses.dataclass(frozen=True)
class Membership:
    role: str
    member: str
    grantor: str
    admin: bool
    inherit: bool
    set: bool
    revocable: bool
    """Whether the DBA may revoke what this grantor granted."""


@dataclasses.dataclass(frozen=True)
class Database:
    owner: str
    acl: tuple[Acl, ...] = ()
    allows_connections: bool = True

    def holds(self, grantee: str, privilege: str) -> bool:
        return any(each.grantee == grantee and each.privilege == privilege for each in self.acl)


@dataclasses.dataclass(frozen=True)
class Server:
    """What concerns the whole server, of the roles that the document names and of all databases."""

    version: int
    identity: str
    me: str
    superuser: bool
    createrole: bool
    initial: str
    """The superuser that the cluster was made with."""
    roles: t.Mapping[str, Role]
    memberships: tuple[Membership, ...]
    databases: t.Mapping[str, Database]
    elsewhere: t.Mapping[str, tuple[str, ...]]
    """By role: the databases in which it owns something or has privileges."""
    within: t.Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """By role: what it is a member of, directly or not; of predefined roles only the first ones."""
    superusers: frozenset[str] = frozenset()
    createdb: bool = True
    former: t.Mapping[str, bool] = dataclasses.field(default_factory=dict)
    """Groups that an admin may hand out and no entry names, each with whether somebody else can log in with its rights."""
    at_public: tuple[tuple[str, str], ...] = ()
    """Database and role of each session whose role may connect there because PUBLIC may, and for no other reason."""


class Schema(t.NamedTuple):
    owner: str
    acl: tuple[Acl, ...]
    usable: bool


class Objects(t.NamedTuple):
    """The objects of one kind in one schema with the same owner and the same privileges."""

    schema: str
    kind: str
    owner: str
    usable: bool
    acl: tuple[Acl, ...]
    names: tuple[str, ...]
    """Quoted by the server, with the schema."""
    extension: bool = False
    """Whether an extension made them."""


class DefaultAcl(t.NamedTuple):
    creator: str
    schema: str
    """Empty: in all schemas."""
    kind: str
    grantee: str
    privilege: str
    grantable: bool = False


@dataclasses.dataclass(frozen=True)
class Contents:
    """What is in one database, as far as the document is concerned."""

    owner: str
    schemas: t.Mapping[str, Schema] = dataclasses.field(default_factory=dict)
    objects: tuple[Objects, ...] = ()
    defaults: frozenset[DefaultAcl] = frozenset()
    functions_comment: str = ""
    functions_now: str = ""
    """A digest of the functions in the schema ``leasehold``."""
    callers: t.Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """By function: the roles that may call it."""
    acl: tuple[Acl, ...] = ()
    """The privileges on the database itself."""
    may_create: bool = True
    """Whether this login may create schemas."""
    columns: tuple[Objects, ...] = ()
    """Tables with privileges on some of their columns, which are then ``acl``."""


def new_database(server: Server, owner: str) -> Contents:
    """What PostgreSQL puts into a new database."""
    old = server.version < 150000
    owner_of_public = server.initial if old else DATABASE_OWNER
    public = (Acl(PUBLIC, privilege, owner_of_public) for privilege in (("USAGE", "CREATE") if old else ("USAGE",)))
    return Contents(owner, {"public": Schema(owner_of_public, tuple(public), usable=False)})


_ME = """
SELECT current_setting('server_version_num')::int, pg_postmaster_start_time()::text || ' ' || current_setting('port'),
       current_user::text, rolsuper, rolcreaterole, rolcreatedb, pg_get_userbyid(10)::text, has_function_privilege('pg_control_system()', 'EXECUTE')
  FROM pg_roles WHERE rolname = current_user
"""
_ROLES = """
SELECT rolname, rolsuper, rolcanlogin, rolinherit, rolcreaterole, coalesce(rolconfig, '{{}}'),
       pg_has_role(oid, 'USAGE') AND pg_has_role(oid, '{set}'), pg_has_role(oid, 'MEMBER WITH ADMIN OPTION'),
       array_remove(ARRAY[CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
                          CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL)
  FROM pg_roles WHERE rolname = ANY (%(roles)s)
"""
_MEMBERSHIPS = """
SELECT g.rolname, m.rolname, coalesce(b.rolname, ''), a.admin_option, {options}, b.oid IS NULL OR pg_has_role(b.oid, 'USAGE')
  FROM pg_auth_members AS a
  JOIN pg_roles AS g ON g.oid = a.roleid
  JOIN pg_roles AS m ON m.oid = a.member
  LEFT JOIN pg_roles AS b ON b.oid = a.grantor
 WHERE g.rolname = ANY (%(roles)s) AND m.rolname = ANY (%(roles)s || ARRAY[current_user::text])
 ORDER BY 1, 2, 3
"""
_ACL = """
(SELECT json_agg(json_build_array(coalesce(e.rolname, ''), a.privilege_type, coalesce(b.rolname, ''), a.is_grantable))
   FROM aclexplode({acl}) AS a LEFT JOIN pg_roles AS e ON e.oid = a.grantee LEFT JOIN pg_roles AS b ON b.oid = a.grantor
  WHERE a.grantee = 0 OR e.rolname = ANY (%(roles)s) OR b.rolname = ANY (%(roles)s))
"""
_DATABASES = f"""
SELECT d.datname, o.rolname, d.datallowconn, {_ACL.format(acl="coalesce(d.datacl, acldefault('d', d.datdba))")}
  FROM pg_database AS d JOIN pg_roles AS o ON o.oid = d.datdba ORDER BY 1
"""
_ELSEWHERE = """
SELECT DISTINCT r.rolname, d.datname FROM pg_shdepend AS s JOIN pg_roles AS r ON r.oid = s.refobjid
  JOIN pg_database AS d ON d.oid = s.dbid
 WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = ANY (%(roles)s) ORDER BY 1, 2
"""

_WITHIN = """
WITH RECURSIVE up AS (
  SELECT a.member, a.roleid FROM pg_auth_members AS a JOIN pg_roles AS m ON m.oid = a.member WHERE m.rolname = ANY (%(roles)s)
  UNION SELECT up.member, a.roleid FROM up JOIN pg_auth_members AS a ON a.member = up.roleid JOIN pg_roles AS r ON r.oid = up.roleid
   WHERE NOT starts_with(r.rolname, 'pg_')
)
SELECT m.rolname, g.rolname FROM up JOIN pg_roles AS m ON m.oid = up.member JOIN pg_roles AS g ON g.oid = up.roleid ORDER BY 1, 2
"""
_FORMER = """
SELECT DISTINCT g.rolname,
       EXISTS (SELECT FROM pg_auth_members AS x JOIN pg_roles AS u ON u.oid = x.member WHERE x.roleid = g.oid AND u.rolname LIKE 'v-%%')
       OR EXISTS (SELECT FROM pg_roles AS u
                   WHERE u.rolcanlogin AND NOT u.rolsuper AND u.rolname <> ALL (%(roles)s || ARRAY[current_user::text])
                     AND (pg_has_role(u.oid, g.oid, 'USAGE') OR pg_has_role(u.oid, g.oid, '{set}')))
  FROM pg_auth_members AS a JOIN pg_roles AS g ON g.oid = a.roleid JOIN pg_roles AS m ON m.oid = a.member
 WHERE a.admin_option AND m.rolname = ANY (%(keepers)s) AND g.rolname <> ALL (%(roles)s)
   AND NOT g.rolcanlogin AND g.rolname NOT LIKE 'v-%%'
"""


_AT_PUBLIC = """
SELECT DISTINCT d.datname::text, u.rolname::text
  FROM pg_stat_activity AS s JOIN pg_roles AS u ON u.oid = s.usesysid JOIN pg_database AS d ON d.oid = s.datid
 WHERE NOT u.rolsuper AND u.rolname <> current_user AND NOT pg_has_role(u.oid, d.datdba, 'USAGE')
   AND EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT')
   AND NOT EXISTS (SELECT FROM aclexplode(d.datacl) AS a
                    WHERE a.grantee <> 0 AND a.privilege_type = 'CONNECT' AND pg_has_role(u.oid, a.grantee, 'USAGE'))
   AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = ANY (%(roles)s) AND pg_has_role(u.oid, r.oid, 'USAGE'))
 ORDER BY 1, 2
"""


def read_server(query: Query, roles: t.Iterable[str], keepers: t.Iterable[str] = ()) -> Server:
    """Read what concerns the whole server, of these roles; with keepers, also of the roles that these may hand out."""
    ((version, started, me, superuser, createrole, createdb, initial, may_identify),) = query(_ME)
    identifier = query("SELECT system_identifier FROM pg_control_system()")[0][0] if may_identify else ""
    new = version >= 160000
    options = "a.inherit_option, a.set_option" if new else "m.rolinherit, true"
    may_set = "SET" if new else "MEMBER"
    known = {"roles": sorted(roles), "keepers": sorted(keepers)}
    former = dict(query(_FORMER.format(set=may_set), known)) if keepers else {}
    values = {"roles": sorted({*roles, *former})}
    found = query(_ROLES.format(set=may_set), values)
    return Server(
        version=version,
        # A server that was copied has the identifier of the other one; it did not start at the same moment.
        identity=f"{identifier} {started}",
        me=me,
        superuser=superuser,
        createrole=createrole,
        createdb=createdb,
        initial=initial,
        roles={
            name: Role(
                is_super,
                login,
                inherit,
                makes,
                dict(each.split("=", 1) for each in settings),
                usable,
                grantable,
                tuple(beyond),
            )
            for name, is_super, login, inherit, makes, settings, usable, grantable, beyond in found
        },
        memberships=tuple(Membership(*row) for row in query(_MEMBERSHIPS.format(options=options), values)),
        databases={
            name: Database(owner, _acl(acl), allowed) for name, owner, allowed, acl in query(_DATABASES, values)
        },
        elsewhere=_grouped(query(_ELSEWHERE, values)),
        within=_grouped(query(_WITHIN, values)),
        superusers=frozenset(name for (name,) in query("SELECT rolname FROM pg_roles WHERE rolsuper")),
        former=former,
        at_public=tuple(query(_AT_PUBLIC, values)),
    )


_DATABASE = f"""
SELECT pg_get_userbyid(d.datdba)::text, {_ACL.format(acl="coalesce(d.datacl, acldefault('d', d.datdba))")},
       has_database_privilege(d.oid, 'CREATE')
  FROM pg_database AS d WHERE d.datname = current_database()
"""
_SCHEMAS = f"""
SELECT n.nspname, o.rolname, {_ACL.format(acl="coalesce(n.nspacl, acldefault('n', n.nspowner))")}, pg_has_role(n.nspowner, 'USAGE')
  FROM pg_namespace AS n JOIN pg_roles AS o ON o.oid = n.nspowner WHERE n.nspname !~ '^pg_(toast|temp)'
"""
_OBJECTS = f"""
WITH object AS (
  SELECT relnamespace AS namespace, CASE relkind WHEN 'S' THEN 'sequences' ELSE 'tables' END AS kind,
         CASE relkind WHEN 'S' THEN 's' ELSE 'r' END AS type, relowner AS owner, relacl AS acl, oid::regclass::text AS name,
         EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e') AS extension
    FROM pg_class AS c WHERE relkind IN ('r', 'v', 'm', 'p', 'f', 'S')
     AND relnamespace = ANY (ARRAY(SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s)))
  UNION ALL
  SELECT pronamespace, 'functions', 'f', proowner, proacl, oid::regprocedure::text,
         EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
    FROM pg_proc AS p WHERE pronamespace = ANY (ARRAY(SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s)))
), alike AS (
  SELECT namespace, kind, type, owner, acl, extension, array_agg(name) AS names
    FROM object GROUP BY namespace, kind, type, owner, acl, extension
)
SELECT n.nspname, x.kind, o.rolname, pg_has_role(x.owner, 'USAGE'),
       {_ACL.format(acl="coalesce(x.acl, acldefault(x.type::" + '"char"' + ", x.owner))")}, x.names, x.extension
  FROM alike AS x JOIN pg_namespace AS n ON n.oid = x.namespace JOIN pg_roles AS o ON o.oid = x.owner
 ORDER BY 1, 2, 3
"""
_COLUMNS = """
SELECT n.nspname, 'tables', o.rolname, pg_has_role(c.relowner, 'USAGE'),
       jsonb_agg(DISTINCT jsonb_build_array(coalesce(e.rolname, ''), x.privilege_type, coalesce(b.rolname, ''), x.is_grantable)),
       ARRAY[c.oid::regclass::text], false
  FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS x
  JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_roles AS o ON o.oid = c.relowner
  LEFT JOIN pg_roles AS e ON e.oid = x.grantee LEFT JOIN pg_roles AS b ON b.oid = x.grantor
 WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND n.nspname = ANY (%(schemas)s)
   AND (x.grantee = 0 OR e.rolname = ANY (%(roles)s) OR b.rolname = ANY (%(roles)s))
 GROUP BY n.nspname, o.rolname, c.relowner, c.oid ORDER BY 1, 6
"""
_DEFAULTS = """
SELECT c.rolname, coalesce(n.nspname, ''), CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' ELSE 'functions' END,
       e.rolname, a.privilege_type, a.is_grantable
  FROM pg_default_acl AS d CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
  JOIN pg_roles AS c ON c.oid = d.defaclrole LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
  JOIN pg_roles AS e ON e.oid = a.grantee
 WHERE d.defaclobjtype IN ('r', 'S', 'f') AND e.rolname = ANY (%(roles)s)
"""
DIGEST = """
(SELECT encode(sha256(convert_to(string_agg(
    pg_get_functiondef(oid) || pg_get_userbyid(proowner) || has_function_privilege('public', oid, 'EXECUTE'),
    '' ORDER BY oid::regprocedure::text), 'UTF8')), 'hex')
   FROM pg_proc WHERE pronamespace = to_regnamespace('leasehold'))
"""
"""What the functions in the database are, as one number."""
_FUNCTIONS = f"SELECT obj_description(to_regnamespace('leasehold'), 'pg_namespace'), {DIGEST}"
_CALLERS = """
SELECT p.oid::regprocedure::text, coalesce(array_agg(e.rolname::text) FILTER (WHERE e.rolname IS NOT NULL), '{}')
  FROM pg_proc AS p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
  LEFT JOIN pg_roles AS e ON e.oid = a.grantee
 WHERE p.pronamespace = to_regnamespace('leasehold') GROUP BY 1
"""


def read_contents(query: Query, roles: t.Iterable[str], schemas: t.Iterable[str] | None) -> Contents:
    """Read what is in the database of this session, of these roles and schemas (None: of all schemas)."""
    values = {"roles": sorted(roles)}
    ((owner, acl_of_database, may_create),) = query(_DATABASE, values)
    ((comment, now),) = query(_FUNCTIONS)
    found = {name: Schema(owner, _acl(acl), usable) for name, owner, acl, usable in query(_SCHEMAS, values)}
    values["schemas"] = sorted(
        (name for name in found if name not in ("pg_catalog", "information_schema")) if schemas is None else schemas
    )
    return Contents(
        owner=owner,
        schemas=found,
        objects=_objects(query(_OBJECTS, values)),
        columns=_objects(query(_COLUMNS, values)),
        defaults=frozenset(DefaultAcl(*row) for row in query(_DEFAULTS, values)),
        functions_comment=comment or "",
        functions_now=now or "",
        callers={name: frozenset(roles) for name, roles in query(_CALLERS)},
        acl=_acl(acl_of_database),
        may_create=may_create,
    )


def _objects(rows: t.Iterable[tuple[t.Any, ...]]) -> tuple[Objects, ...]:
    return tuple(
        Objects(schema, kind, owner, usable, _acl(acl), tuple(sorted(names)), extension)
        for schema, kind, owner, usable, acl, names, extension in rows
    )


def _acl(rows: t.Any) -> tuple[Acl, ...]:
    return tuple(Acl(*row) for row in rows or ())


def _grouped(rows: t.Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for key, value in rows:
        found[key] = (*found.get(key, ()), value)
    return found
