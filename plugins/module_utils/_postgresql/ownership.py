# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Hand over what roles own in a database, object by object, while others work with it.

``ALTER … OWNER TO`` waits for everybody who uses the object, and everybody who comes later waits behind it.  So each try is cut off after
``lock_timeout``, and comes again after a pause.  A former owner keeps its privileges: PostgreSQL would give them to the new owner.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import carry_out
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.connect import (
    DATABASE_OPTIONS,
    DatabaseProblem,
    database_session,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.plan import acting, quoted
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.rights import OWNED_HERE

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.connect import Session

Values = dict[str, t.Any]
OPTIONS: Values = {
    **DATABASE_OPTIONS,
    "owner": {"type": "str", "required": True},
    "roles": {"type": "list", "elements": "str", "default": []},
    "ended_users": {"type": "bool", "default": False},
    "lock_timeout": {"type": "int", "default": 500},
    "tries": {"type": "int", "default": 20},
    "pause": {"type": "float", "default": 1.0},
}
KINDS = {
    "schema": "SCHEMA",
    "table": "TABLE",
    "foreign table": "FOREIGN TABLE",
    "sequence": "SEQUENCE",
    "type": "TYPE",
    "function": "ROUTINE",
    "procedure": "ROUTINE",
    "aggregate": "ROUTINE",
    "operator": "OPERATOR",
    "operator class": "OPERATOR CLASS",
    "operator family": "OPERATOR FAMILY",
    "view": "VIEW",
    "materialized view": "MATERIALIZED VIEW",
    "collation": "COLLATION",
    "conversion": "CONVERSION",
    "text search dictionary": "TEXT SEARCH DICTIONARY",
    "text search configuration": "TEXT SEARCH CONFIGURATION",
    "statistics object": "STATISTICS",
    "large object": "LARGE OBJECT",
    "language": "LANGUAGE",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
    "server": "SERVER",
    "publication": "PUBLICATION",
    "subscription": "SUBSCRIPTION",
    "event trigger": "EVENT TRIGGER",
    "database": "DATABASE",
}
"""What PostgreSQL calls an object, and what ``ALTER`` does; in the order in which they are handed over: code comes after what it uses."""
IN_USE = "it was in use"
BUSY = ("55P03", "57014", "40P01", "40001", "XX000")
"""Somebody else holds it, or changes the same: try again."""
GONE = ("42P01", "42883", "42704", "3F000")
"""Somebody has dropped it."""

_SERVER = """
SELECT current_user::text, m.rolsuper, m.rolcreaterole, current_setting('server_version_num')::int,
       ARRAY(SELECT d.datname::text FROM pg_shdepend AS s JOIN pg_database AS d
                 ON d.oid = s.dbid OR (s.classid = 'pg_database'::regclass AND d.oid = s.objid) JOIN pg_roles AS r ON r.oid = s.refobjid
              WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND r.rolname = ANY (%(roles)s) AND d.datname <> current_database()
              GROUP BY 1 ORDER BY 1),
       ARRAY(SELECT format('tablespace %%I', p.spcname) FROM pg_tablespace AS p JOIN pg_roles AS r ON r.oid = p.spcowner
              WHERE r.rolname = ANY (%(roles)s) ORDER BY 1)
  FROM pg_roles AS m WHERE m.rolname = current_user
"""
_ENDED = """
SELECT DISTINCT r.rolname::text FROM pg_roles AS r JOIN pg_shdepend AS s ON s.refobjid = r.oid AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'
 WHERE starts_with(r.rolname, 'v-') AND NOT r.rolsuper AND (NOT r.rolcanlogin OR r.rolvaliduntil < now())
   AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY 1
"""
_ROLES = """
SELECT rolname::text, rolsuper, pg_has_role(oid, 'USAGE'), pg_has_role(oid, '{set}'), pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')
  FROM pg_roles WHERE rolname = ANY (%(roles)s)
"""
_GRANTS = """
SELECT pg_get_userbyid(grantor)::text, format('INHERIT %%s, SET %%s', inherit_option::text, set_option::text) FROM pg_auth_members
 WHERE pg_get_userbyid(roleid) = %(role)s AND pg_get_userbyid(member) = current_user
"""
"""How this login is a member of a role, by who granted it, as options of GRANT."""
_OWNED = f"""
  SELECT s.classid, s.objid, r.oid AS owner, r.rolname::text AS rolname, i.type, i.schema, i.identity, r.rolname = ANY (%(ended)s) AS ended
  {OWNED_HERE} AND r.rolname = ANY (%(roles)s)
"""
_HAS = f"SELECT type, identity FROM ({_OWNED}) AS owned"
_OWNERS_CODE = """
SELECT x.label FROM (
    SELECT 'index ' || i.indexrelid::regclass AS label, 'pg_class'::regclass AS classid, i.indexrelid AS objid FROM pg_index AS i
     WHERE i.indrelid = m.objid
    UNION ALL SELECT 'statistics ' || e.stxname, 'pg_statistic_ext', e.oid FROM pg_statistic_ext AS e WHERE e.stxrelid = m.objid
    UNION ALL SELECT 'type ' || format_type(a.atttypid, NULL), 'pg_type', t.oid FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
     WHERE a.attrelid = m.objid AND t.typanalyze::text IN ('range_typanalyze', 'multirange_typanalyze')
    UNION ALL SELECT c.label, c.classid, c.objid FROM (
        SELECT 'trigger ' || tgname, 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid = m.objid AND NOT tgisinternal
        UNION ALL SELECT 'constraint ' || conname, 'pg_constraint', oid FROM pg_constraint WHERE conrelid = m.objid AND contype = 'c'
        UNION ALL SELECT 'default of column ' || adnum, 'pg_attrdef', oid FROM pg_attrdef WHERE adrelid = m.objid
    ) AS c(label, classid, objid)
     WHERE EXISTS (SELECT FROM pg_constraint AS f WHERE f.conrelid = m.objid AND f.contype = 'f'
                      AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd')))
  ) AS x
 WHERE EXISTS (
    SELECT FROM pg_depend AS d
      LEFT JOIN pg_proc AS p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
       AND p.prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('internal', 'c'))
      LEFT JOIN pg_operator AS o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
      LEFT JOIN pg_type AS t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid AND t.typtype IN ('c', 'd', 'm', 'r')
     WHERE d.classid = x.classid AND d.objid = x.objid
       AND coalesce(p.proowner, o.oprowner, t.typowner) NOT IN (SELECT oid FROM pg_roles WHERE rolsuper))
 ORDER BY 1
"""
"""What of a table is computed with the rights of its owner, with code that is of no superuser: by ANALYZE, which autovacuum does, and REINDEX, and by
a foreign key that changes rows (ON DELETE CASCADE)."""
_INVOKER = """
coalesce((SELECT o.option_value::boolean FROM pg_class AS v CROSS JOIN LATERAL pg_options_to_table(v.reloptions) AS o
           WHERE v.oid = m.objid AND o.option_name = 'security_invoker'), false)
"""
"""Whether it is a view that runs with the rights of who asks."""
_USED = f"""
SELECT DISTINCT c.oid::regclass::text FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
  JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
 WHERE m.classid = 'pg_class'::regclass AND NOT m.ended AND w.ev_class = m.objid AND c.oid <> m.objid AND NOT {_INVOKER}
"""
"""What a view, or a rule of a table, uses with the rights of its owner."""
_OBJECTS = f"""
WITH mine AS ({_OWNED}), acl AS (
  SELECT 'pg_class'::regclass AS classid, oid AS objid, CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || oid::regclass AS target,
         coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner)) AS acl FROM pg_class
  UNION ALL SELECT 'pg_class', d.refobjid, 'SEQUENCE ' || c.oid::regclass, coalesce(c.relacl, acldefault('s', c.relowner))
    FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
   WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  UNION ALL SELECT 'pg_proc', oid, 'ROUTINE ' || oid::regprocedure, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
  UNION ALL SELECT 'pg_namespace', oid, format('SCHEMA %%I', nspname), coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
  UNION ALL SELECT 'pg_type', oid, 'TYPE ' || format_type(oid, NULL), coalesce(typacl, acldefault('T', typowner)) FROM pg_type
  UNION ALL SELECT 'pg_database', oid, format('DATABASE %%I', datname), coalesce(datacl, acldefault('d', datdba)) FROM pg_database
  UNION ALL SELECT 'pg_foreign_server', oid, format('FOREIGN SERVER %%I', srvname), coalesce(srvacl, acldefault('S', srvowner)) FROM pg_foreign_server
  UNION ALL SELECT 'pg_largeobject', oid, 'LARGE OBJECT ' || oid, coalesce(lomacl, acldefault('L', lomowner)) FROM pg_largeobject_metadata
)
SELECT m.type, m.identity, m.rolname, m.ended,
       ARRAY(SELECT format('GRANT %%s ON %%s TO %%I', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), x.target, m.rolname)
               FROM acl AS x CROSS JOIN LATERAL aclexplode(x.acl) AS a
              WHERE x.classid = m.classid AND x.objid = m.objid AND a.grantee = m.owner AND a.privilege_type NOT IN ('REFERENCES', 'TRIGGER', 'MAINTAIN')
                AND NOT m.ended AND NOT pg_has_role(m.owner, %(owner)s::name, 'USAGE') GROUP BY x.target ORDER BY x.target),
       CASE WHEN m.ended AND m.classid = 'pg_class'::regclass THEN ARRAY({_OWNERS_CODE}) ELSE '{{}}' END,
       m.ended AND EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.usesysid = m.owner),
       coalesce((SELECT p.prosecdef FROM pg_proc AS p WHERE m.classid = 'pg_proc'::regclass AND p.oid = m.objid), false),
       coalesce((SELECT c.relrowsecurity AND NOT c.relforcerowsecurity AND NOT m.ended FROM pg_class AS c
                  WHERE m.classid = 'pg_class'::regclass AND c.oid = m.objid), false),
       ARRAY({_USED} AND CASE d.refobjsubid
                WHEN 0 THEN has_any_column_privilege(m.owner, c.oid, 'SELECT') AND NOT has_any_column_privilege(%(owner)s::name, c.oid, 'SELECT')
                ELSE has_column_privilege(m.owner, c.oid, d.refobjsubid::smallint, 'SELECT')
                     AND NOT has_column_privilege(%(owner)s::name, c.oid, d.refobjsubid::smallint, 'SELECT') END ORDER BY 1),
       ARRAY({_USED} AND c.relkind <> 'S' AND (w.ev_type <> '1' OR pg_relation_is_updatable(m.objid, false) <> 0)
                AND EXISTS (SELECT FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS p(name)
                             WHERE has_table_privilege(m.owner, c.oid, p.name) AND NOT has_table_privilege(%(owner)s::name, c.oid, p.name)) ORDER BY 1),
       (SELECT quote_ident(n.nspname) FROM pg_namespace AS n
         WHERE m.classid <> 'pg_namespace'::regclass AND n.nspname = m.schema AND n.nspowner <> m.owner
           AND NOT (has_schema_privilege(%(owner)s::name, n.oid, 'USAGE')
                    AND (has_schema_privilege(%(owner)s::name, n.oid, 'CREATE') OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)))),
       ARRAY(SELECT string_agg(p.name, ', ') || ' ON TABLE ' || c.oid::regclass FROM pg_class AS c
              CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p(name)
              WHERE NOT m.ended AND m.classid = 'pg_class'::regclass AND c.oid = m.objid AND c.relkind <> 'S'
                AND NOT has_table_privilege(%(owner)s::name, c.oid, p.name) GROUP BY c.oid
             UNION ALL SELECT 'USAGE ON SEQUENCE ' || c.oid::regclass FROM pg_class AS c
              WHERE NOT m.ended AND m.classid = 'pg_class'::regclass AND c.oid = m.objid
                AND CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(%(owner)s::name, c.oid, 'USAGE') ELSE false END
             UNION ALL SELECT 'EXECUTE ON ROUTINE ' || p.oid::regprocedure FROM pg_proc AS p
              WHERE NOT m.ended AND m.classid = 'pg_proc'::regclass AND p.oid = m.objid AND NOT has_function_privilege(%(owner)s::name, p.oid, 'EXECUTE')),
       current_setting('server_version_num')::int >= 150000
  FROM mine AS m
 WHERE m.type NOT IN ('default acl', 'user mapping')
   AND NOT EXISTS (SELECT FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
                    WHERE d.classid = m.classid AND m.classid = 'pg_class'::regclass AND d.objid = m.objid
                      AND d.refclassid = m.classid AND d.deptype IN ('a', 'i'))
"""
"""A sequence of a column goes with its table."""


@dataclasses.dataclass(frozen=True)
class Owned:
    """An object, whose it is, and what goes before and after its new owner."""

    kind: str
    identity: str
    """Quoted by the server, with the schema."""
    owner: str
    ended: bool
    """Whether its owner is a user of Vault that can no longer log in: nobody vouches for its code."""
    grants: tuple[str, ...]
    code: tuple[str, ...]
    """What would run with the rights of the new owner, if it is of an ended user."""
    session: bool
    """Whether the ended user still has a session."""
    definer: bool
    row_security: bool
    unreadable: tuple[str, ...]
    unwritable: tuple[str, ...]
    closed_schema: str | None
    """Quoted."""
    lent: tuple[str, ...]
    """What the new owner may not do yet, as ``SELECT ON TABLE …``: a view that it owns already reads what it does not own yet."""
    invoker_views: bool
    """Whether this server has views that run with the rights of who asks (PostgreSQL 15 and newer)."""

    def __str__(self) -> str:
        return f"{self.kind} {self.identity}"

    def change(self, new: str) -> str:
        """In words."""
        as_invoker = ", SECURITY INVOKER" if self.ended and self.definer else ""
        runs = f", and runs with the rights of {new}" if self.definer and not self.ended else ""
        return f"{self}: owner {self.owner} -> {new}{as_invoker}{runs}"

    def obstacle(self, new: str, handed_over: Collection[str]) -> str:
        """Why it cannot be handed over, beside these, without somebody losing something; empty if it can."""
        if self.kind not in KINDS:
            return f"ALTER {self.kind.upper()} has no OWNER TO; only REASSIGN OWNED, of a superuser, reaches it"
        if self.ended and self._exposes(new):
            return f"{self._exposes(new)}; drop it, or name {self.owner} in roles if you know what is in it"
        if self.session:
            return f"{self.owner} still has a session, and could change it meanwhile: end that first"
        if self.row_security:
            return f"its row level security does not hold for its owner, and would hold for {self.owner}; FORCE or DISABLE it first"
        unreadable = [name for name in self.unreadable if name not in handed_over]
        if unreadable:
            return f"it reads {', '.join(unreadable)}, which {new} may not: GRANT SELECT on it to {quoted(new)} first"
        unwritable = [name for name in self.unwritable if name not in handed_over]
        if unwritable:
            return (
                f"{self.owner} may write to {', '.join(unwritable)} through it, and {new} may not: GRANT INSERT, UPDATE, DELETE on it to "
                f"{quoted(new)} first"
            )
        if self.closed_schema and f"schema {self.closed_schema}" not in handed_over:
            return f"{new} may not use its schema: GRANT USAGE, CREATE ON SCHEMA {self.closed_schema} TO {quoted(new)} first"
        return ""

    def _exposes(self, new: str) -> str:
        """What code of an ended user would do with the rights of the new owner."""
        if self.kind == "view" and not self.invoker_views:
            return f"it would show what {new} may read"
        if self.kind == "materialized view":
            return f"REFRESH would run its query with the rights of {new}"
        if self.code:
            return f"ANALYZE, REINDEX or a foreign key that changes rows would run code of {', '.join(self.code)} with the rights of {new}"
        return ""

    @property
    def precautions(self) -> list[str]:
        """What takes the rights of its owner from code of an ended user.  Sent after the new owner, when nobody else can change it."""
        if not self.ended:
            return []
        if self.kind in ("function", "procedure"):
            return [f"ALTER ROUTINE {self.identity} SECURITY INVOKER"]
        if self.kind not in ("table", "foreign table", "view"):
            return []
        invoker = [f"ALTER VIEW {self.identity} SET (security_invoker = true)"] if self.kind == "view" else []
        return [*invoker, _drop_rules(self.identity)]


def _literal(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def _drop_rules(table: str) -> str:
    body = f"""DECLARE each text;
BEGIN
  FOR each IN SELECT format('DROP RULE %I ON %s', rulename, ev_class::regclass) FROM pg_rewrite WHERE ev_class = {_literal(table)}::regclass AND ev_type <> '1'
  LOOP
    EXECUTE each;
  END LOOP;
END"""
    return f"DO {_literal(body)}"


def _owned(row: Sequence[t.Any]) -> Owned:
    values: list[t.Any] = [tuple(value) if isinstance(value, list) else value for value in row]
    return Owned(*values)


class Role(t.NamedTuple):
    name: str
    superuser: bool
    usage: bool
    set: bool
    admin: bool


def ownership(_session: t.Any, options: Values, check_mode: bool) -> Values:
    """The module ``postgresql_ownership``."""
    if options["lock_timeout"] < 1 or options["tries"] < 1 or options["pause"] < 0:
        raise Refused("lock_timeout and tries are at least 1, and pause is not negative.")
    with database_session(options) as session:
        return _HandOver(session, options).result(check_mode)


class _HandOver:
    def __init__(self, session: Session, options: Values) -> None:
        self.session, self.options = session, options
        self.new: str = options["owner"]
        ended = [name for (name,) in session.query(_ENDED)] if options["ended_users"] else []
        self.ended = [name for name in ended if name != self.new]
        self.old = list(dict.fromkeys([*options["roles"], *self.ended]))
        ((self.me, self.superuser, self.createrole, self.version, self.elsewhere, self.tablespaces),) = session.query(
            _SERVER, {"roles": self.old}
        )
        self._require_roles()

    def _require_roles(self) -> None:
        values = {"roles": [self.new, *self.old]}
        new = self.version >= 160000
        rows = self.session.query(_ROLES.format(set="SET" if new else "MEMBER"), values)
        self.roles = {row[0]: Role(*row) for row in rows}
        missing = [name for name in (self.new, *self.old) if name not in self.roles]
        if missing:
            raise Refused(f"There is no role {', '.join(missing)} ({self.session.where}).")
        if self.new in self.old:
            raise Refused(f"roles: {self.new} is the owner itself.")
        strong = [name for name, role in self.roles.items() if role.superuser]
        if strong:
            raise Refused(
                f"{', '.join(strong)} is a superuser. What a superuser owns is often part of PostgreSQL or of an extension, and code that it owned "
                "would run with the rights of another role: hand it over by hand."
            )

    def objects(self) -> list[Owned]:
        """What the roles own now, in the order in which it is handed over."""
        values = {"roles": self.old, "ended": self.ended, "owner": self.new}
        order = list(KINDS)
        return sorted(
            map(_owned, self.session.query(_OBJECTS, values)),
            key=lambda each: (order.index(each.kind) if each.kind in KINDS else len(order), each.identity),
        )

    def result(self, check_mode: bool) -> Values:
        found = self.objects() if self.old else []
        todo, obstacles = self._split(found)
        self.memberships = list(self._memberships(todo)) if todo else []
        self.sent: list[Owned] = []
        done: list[Owned] = []
        failures: dict[Owned, str] = {}
        if todo:
            try:
                done = carry_out(lambda: self._hand_over(todo, failures), todo, check_mode)
            except Problem as problem:
                raise self._broken_off(problem, todo, {**obstacles, **failures}) from None
        answer: Values = {
            "changed": bool(done),
            "changes": [each.change(self.new) for each in done],
            "obstacles": self._described({**obstacles, **failures}),
            "diff": {
                "before": "".join(f"{each}: {each.owner}\n" for each in done),
                "after": "".join(f"{each}: {self.new}\n" for each in done),
            },
            "warnings": [
                f"In {', '.join(self.elsewhere)} these roles own objects, too: {', '.join(self.old)}. A session reaches one database only; "
                "run it there as well."
            ] * bool(self.elsewhere) + [
                f"{', '.join(self.tablespaces)} is owned by one of {', '.join(self.old)}, too, and belongs to no database: ALTER … OWNER TO."
            ] * bool(self.tablespaces),
        }  # fmt: skip
        if answer["obstacles"]:
            sentences = "; ".join(f"{each['object']}: {each['detail']}" for each in answer["obstacles"][:10])
            more = f"; and {len(answer['obstacles']) - 10} more" if len(answer["obstacles"]) > 10 else ""
            verb = "would stay" if not failures and not done else "stay"
            raise Problem(
                f"{len(answer['obstacles'])} of {len(found)} objects {verb} whose they are. {sentences}{more}.",
                **answer,
            )
        return answer

    def _broken_off(self, problem: Problem, todo: Sequence[Owned], obstacles: dict[Owned, str]) -> Problem:
        members = (
            f" {self.me} may still be a member of {', '.join(self.memberships)}; REVOKE what is not needed."
            if self.memberships
            else ""
        )
        unknown = ", and of one it is unknown" if self.session.lost else ""
        lent = (
            f" {self.new} may still have privileges that it was to have as the owner."
            if any(each.lent for each in todo)
            else ""
        )
        return Problem(
            f"{str(problem).rstrip('.')}. {len(self.sent)} of {len(todo)} objects were handed over before{unknown}.{members}{lent} "
            "Run it again for the rest.",
            changed=True,
            changes=[each.change(self.new) for each in self.sent],
            obstacles=self._described(obstacles),
        )

    @staticmethod
    def _described(obstacles: dict[Owned, str]) -> list[Values]:
        return [{"object": str(each), "detail": reason} for each, reason in obstacles.items()]

    def _split(self, found: Sequence[Owned]) -> tuple[list[Owned], dict[Owned, str]]:
        """What can be handed over, and why the rest cannot: what stays may be what others read."""
        todo, obstacles = list(found), dict[Owned, str]()
        while True:
            names = {name for each in todo for name in (each.identity, str(each))}
            more = {each: reason for each in todo for reason in [each.obstacle(self.new, names)] if reason}
            if not more:
                return todo, obstacles
            obstacles |= more
            todo = [each for each in todo if each not in more]

    # -- what the DBA's login lacks for it

    def _memberships(self, todo: Sequence[Owned]) -> Iterator[str]:
        """The roles that this login becomes a member of for the time being: who gives away acts for both sides."""
        if self.superuser:
            return
        for name in dict.fromkeys([self.new, *(each.owner for each in todo)]):
            role = self.roles[name]
            if role.usage and (role.set or name != self.new):
                continue
            if role.set and self.version < 160000:
                raise Refused(
                    f"{self.me} is a member of {name} and NOINHERIT. Log in as a role with INHERIT. Nothing was changed."
                )
            if not (role.admin or (self.createrole and self.version < 160000)):
                raise Refused(
                    f"{self.me} may not act as {name}. A role with ADMIN OPTION on it, or a superuser, has to GRANT {quoted(name)} TO "
                    f"{quoted(self.me)}{acting(self.version)}. Nothing was changed."
                )
            yield name

    @contextlib.contextmanager
    def _member(self) -> Iterator[None]:
        """Of both sides, as long as it takes; what was granted to this login before is put back."""
        before = {name: self._grants(name) for name in self.memberships}
        try:
            for name in self.memberships:
                self.session.execute_text(f"GRANT {quoted(name)} TO CURRENT_USER{acting(self.version)}")
            yield
        finally:
            for name in self.memberships:
                self._put_back(name, before[name])

    def _grants(self, name: str) -> dict[str, str]:
        return dict(self.session.query(_GRANTS, {"role": name})) if self.version >= 160000 else {}

    def _put_back(self, name: str, before: dict[str, str]) -> None:
        if self.version < 160000:
            self.session.execute_text(f"REVOKE {quoted(name)} FROM CURRENT_USER")
        for grantor, options in self._grants(name).items():
            if grantor not in before:
                self.session.execute_text(f"REVOKE {quoted(name)} FROM CURRENT_USER GRANTED BY {quoted(grantor)}")
            elif options != before[grantor]:
                self.session.execute_text(
                    f"GRANT {quoted(name)} TO CURRENT_USER WITH {before[grantor]} GRANTED BY {quoted(grantor)}"
                )

    @contextlib.contextmanager
    def _lent(self, todo: Sequence[Owned], failures: dict[Owned, str]) -> Iterator[None]:
        """The new owner may use all of it before the first object is handed over; of what stays it loses that again, unless code that it owns
        now uses it."""
        lent = {each: each.lent for each in todo if each.lent}
        for rights in lent.values():
            self._unless_gone("; ".join(f"GRANT {right} TO {quoted(self.new)}" for right in rights))
        try:
            yield
        finally:
            handed_over = [each for each in todo if each not in failures]
            used = {name for each in handed_over for name in (*each.unreadable, *each.unwritable)}
            code = any(each.definer for each in handed_over)
            for each in [each for each in failures if each in lent and each.identity not in used and not code]:
                self._unless_gone("; ".join(f"REVOKE {right} FROM {quoted(self.new)}" for right in lent[each]))

    def _unless_gone(self, statements: str) -> None:
        try:
            self.session.execute_text(statements)
        except DatabaseProblem as problem:
            if problem.code not in GONE:
                raise

    # -- object by object

    def _hand_over(self, todo: Sequence[Owned], failures: dict[Owned, str]) -> list[Owned]:
        """Those that have the new owner at the end, as was read back."""
        waiting = list(todo)
        with self._member(), self._lent(todo, failures):
            for number in range(self.options["tries"]):
                failures.clear()
                waiting = [each for each in waiting if not self._try(each, failures)]
                busy = [each for each in waiting if failures[each].startswith(IN_USE)]
                if not busy or number == self.options["tries"] - 1:
                    break
                time.sleep(self.options["pause"])
        owned = set(self.session.query(_HAS, {"roles": [self.new], "ended": []}))
        done = [each for each in todo if each not in failures and (each.kind, each.identity) in owned]
        for each in todo:
            if each not in done and each not in failures:
                failures[each] = f"PostgreSQL accepted the statements, and it does not belong to {self.new} now"
        return done

    def _try(self, owned: Owned, failures: dict[Owned, str]) -> bool:
        """One try, sent as a whole: nobody waits for the network while this session holds the object."""
        milliseconds = int(self.options["lock_timeout"])
        statements = [
            f"SET LOCAL lock_timeout = {milliseconds}",
            f"SET LOCAL statement_timeout = {milliseconds}",
            f"ALTER {KINDS[owned.kind]} {owned.identity} OWNER TO {quoted(self.new)}",
            *owned.precautions,
            *owned.grants,
        ]
        try:
            self.session.execute_text("BEGIN; " + "; ".join(statements) + "; COMMIT")
        except DatabaseProblem as problem:
            if self.session.lost:
                raise
            with contextlib.suppress(Problem):
                self.session.execute_text("ROLLBACK")
            tries = self.options["tries"]
            busy = f"{IN_USE} in {tries} tries of {milliseconds} ms: " if problem.code in BUSY else ""
            failures[owned] = f"{busy}{problem}"
            return False
        self.sent.append(owned)
        return True
