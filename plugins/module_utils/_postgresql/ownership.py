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
    LOGIN_OPTIONS,
    DatabaseProblem,
    Session,
    login_words,
    require_psycopg2,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.plan import quoted

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session as VaultSession

Values = dict[str, t.Any]
OPTIONS: Values = {
    "database": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "roles": {"type": "list", "elements": "str", "default": []},
    "ended_users": {"type": "bool", "default": False},
    "lock_timeout": {"type": "int", "default": 500},
    "tries": {"type": "int", "default": 20},
    "pause": {"type": "float", "default": 1.0},
    **LOGIN_OPTIONS,
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

_SERVER = """
SELECT current_user::text, m.rolsuper, m.rolcreaterole, current_setting('server_version_num')::int,
       ARRAY(SELECT d.datname::text FROM pg_shdepend AS s JOIN pg_database AS d ON d.oid = s.dbid JOIN pg_roles AS r ON r.oid = s.refobjid
              WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND r.rolname = ANY (%(roles)s) AND d.datname <> current_database()
              GROUP BY 1 ORDER BY 1)
  FROM pg_roles AS m WHERE m.rolname = current_user
"""
_ENDED = """
SELECT DISTINCT r.rolname::text FROM pg_roles AS r JOIN pg_shdepend AS s ON s.refobjid = r.oid AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'
 WHERE starts_with(r.rolname, 'v-') AND NOT r.rolsuper AND (NOT r.rolcanlogin OR r.rolvaliduntil < now())
   AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY 1
"""
_ROLES = """
SELECT rolname::text, rolsuper, pg_has_role(oid, 'USAGE'), pg_has_role(oid, '{set}'), pg_has_role(oid, 'MEMBER WITH ADMIN OPTION'), {before}
  FROM pg_roles AS r WHERE rolname = ANY (%(roles)s)
"""
_BEFORE = """
coalesce((SELECT format('INHERIT %%s, SET %%s', a.inherit_option, a.set_option) FROM pg_auth_members AS a
           WHERE a.roleid = r.oid AND pg_get_userbyid(a.member) = current_user AND a.grantor = a.member), '')
"""
_OBJECTS = """
WITH mine AS (
  SELECT s.classid, s.objid, r.oid AS owner, r.rolname::text AS rolname, i.type, i.schema, i.identity, r.rolname = ANY (%(ended)s) AS ended
    FROM pg_shdepend AS s JOIN pg_roles AS r ON r.oid = s.refobjid CROSS JOIN LATERAL pg_identify_object(s.classid, s.objid, 0) AS i
   WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND r.rolname = ANY (%(roles)s)
     AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
          OR s.classid = 'pg_database'::regclass AND s.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))
), acl AS (
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
       ARRAY(SELECT format('ALTER ROUTINE %%s SECURITY INVOKER', p.oid::regprocedure) FROM pg_proc AS p
              WHERE m.ended AND m.classid = 'pg_proc'::regclass AND p.oid = m.objid AND p.prosecdef
             UNION ALL SELECT format('DROP RULE %%I ON %%s', w.rulename, w.ev_class::regclass) FROM pg_rewrite AS w
              WHERE m.ended AND m.classid = 'pg_class'::regclass AND w.ev_class = m.objid AND w.ev_type <> '1'
             UNION ALL SELECT format('ALTER VIEW %%s SET (security_invoker = true)', c.oid::regclass) FROM pg_class AS c
              WHERE m.ended AND m.classid = 'pg_class'::regclass AND c.oid = m.objid AND c.relkind = 'v'
                AND current_setting('server_version_num')::int >= 150000),
       coalesce((SELECT p.prosecdef FROM pg_proc AS p WHERE m.classid = 'pg_proc'::regclass AND p.oid = m.objid), false),
       coalesce((SELECT c.relrowsecurity AND NOT c.relforcerowsecurity AND NOT m.ended FROM pg_class AS c
                  WHERE m.classid = 'pg_class'::regclass AND c.oid = m.objid), false),
       ARRAY(SELECT DISTINCT c.oid::regclass::text FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
               JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
              WHERE m.type IN ('view', 'materialized view') AND NOT m.ended AND w.ev_class = m.objid AND c.oid <> m.objid
                AND has_table_privilege(m.owner, c.oid, 'SELECT') AND NOT has_table_privilege(%(owner)s::name, c.oid, 'SELECT') ORDER BY 1),
       (SELECT n.nspname::text FROM pg_namespace AS n
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
    precautions: tuple[str, ...]
    definer: bool
    row_security: bool
    unreadable: tuple[str, ...]
    closed_schema: str | None
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
        if self.ended and self.kind == "view" and not self.invoker_views:
            return (
                f"it would show what {new} may read; drop it, or name {self.owner} in roles if you know what is in it"
            )
        if self.row_security:
            return f"its row level security does not hold for its owner, and would hold for {self.owner}; FORCE or DISABLE it first"
        unreadable = [name for name in self.unreadable if name not in handed_over]
        if unreadable:
            return f"it reads {', '.join(unreadable)}, which {new} may not: GRANT SELECT on it to {quoted(new)} first"
        if self.closed_schema:
            return f"{new} may not use its schema: GRANT USAGE, CREATE ON SCHEMA {quoted(self.closed_schema)} TO {quoted(new)} first"
        return ""


def _owned(row: list[t.Any]) -> Owned:
    return Owned(*row)


class Role(t.NamedTuple):
    name: str
    superuser: bool
    usage: bool
    set: bool
    admin: bool
    before: str
    """How this login is a member of it by its own grant, as options of GRANT; empty if it is not."""


def ownership(_session: VaultSession, options: Values, check_mode: bool) -> Values:
    """The module ``postgresql_ownership``."""
    require_psycopg2()
    if options["lock_timeout"] < 1 or options["tries"] < 1 or options["pause"] < 0:
        raise Refused("lock_timeout and tries are at least 1, and pause is not negative.")
    words = login_words({"name": options["database"]}, options)
    with contextlib.closing(Session(words, options["database"])) as session:
        return _HandOver(session, options).result(check_mode)


class _HandOver:
    def __init__(self, session: Session, options: Values) -> None:
        self.session, self.options = session, options
        self.new: str = options["owner"]
        ended = [name for (name,) in session.query(_ENDED)] if options["ended_users"] else []
        self.ended = [name for name in ended if name != self.new]
        self.old = list(dict.fromkeys([*options["roles"], *self.ended]))
        ((self.me, self.superuser, self.createrole, self.version, self.elsewhere),) = session.query(
            _SERVER, {"roles": self.old}
        )
        self._require_roles()

    def _require_roles(self) -> None:
        values = {"roles": [self.new, *self.old]}
        new = self.version >= 160000
        rows = self.session.query(
            _ROLES.format(set="SET" if new else "MEMBER", before=_BEFORE if new else "''"), values
        )
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
        found = [
            _owned([tuple(value) if isinstance(value, list) else value for value in row])
            for row in self.session.query(_OBJECTS, values)
        ]
        return sorted(
            found, key=lambda each: (order.index(each.kind) if each.kind in KINDS else len(order), each.identity)
        )

    def result(self, check_mode: bool) -> Values:
        found = self.objects() if self.old else []
        todo, obstacles = self._split(found)
        self.memberships = list(self._memberships(todo)) if todo else []
        done: list[Owned] = []
        failures: dict[Owned, str] = {}
        if todo:
            done = carry_out(lambda: self._hand_over(todo, failures), todo, check_mode)
        answer: Values = {
            "changed": bool(done),
            "changes": [each.change(self.new) for each in done],
            "obstacles": [{"object": str(each), "detail": reason} for each, reason in {**obstacles, **failures}.items()],
            "diff": {
                "before": "".join(f"{each}: {each.owner}\n" for each in done),
                "after": "".join(f"{each}: {self.new}\n" for each in done),
            },
            "warnings": [
                f"In {', '.join(self.elsewhere)} these roles own objects, too: {', '.join(self.old)}. A session reaches one database only; "
                "run it there as well."
            ] if self.elsewhere else [],
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

    def _split(self, found: Sequence[Owned]) -> tuple[list[Owned], dict[Owned, str]]:
        """What can be handed over, and why the rest cannot: what stays may be what others read."""
        todo, obstacles = list(found), dict[Owned, str]()
        while True:
            names = {each.identity for each in todo}
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
                    f"{quoted(self.me)}{' WITH INHERIT TRUE, SET TRUE' if self.version >= 160000 else ''}. Nothing was changed."
                )
            yield name

    @contextlib.contextmanager
    def _member(self) -> Iterator[None]:
        """Of both sides, as long as it takes; what was granted to this login before is put back."""
        how = " WITH INHERIT TRUE, SET TRUE" if self.version >= 160000 else ""
        try:
            for name in self.memberships:
                self.session.execute_text(f"GRANT {quoted(name)} TO CURRENT_USER{how}")
            yield
        finally:
            for name in self.memberships:
                before = self.roles[name].before
                self.session.execute_text(
                    f"GRANT {quoted(name)} TO CURRENT_USER WITH {before}"
                    if before
                    else f"REVOKE {quoted(name)} FROM CURRENT_USER"
                )

    @contextlib.contextmanager
    def _lent(self, todo: Sequence[Owned], failures: dict[Owned, str]) -> Iterator[None]:
        """The new owner may use all of it before the first object is handed over; of what stays it loses that again, unless code that it owns
        now uses it."""
        lent = {each: each.lent for each in todo if each.lent}
        for rights in lent.values():
            self.session.execute_text("; ".join(f"GRANT {right} TO {quoted(self.new)}" for right in rights))
        try:
            yield
        finally:
            handed_over = [each for each in todo if each not in failures]
            used = {name for each in handed_over for name in each.unreadable}
            code = any(each.definer for each in handed_over)
            for each in [each for each in failures if each in lent and each.identity not in used and not code]:
                self.session.execute_text("; ".join(f"REVOKE {right} FROM {quoted(self.new)}" for right in lent[each]))

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
        left = {(each.kind, each.identity) for each in self.objects()}
        for each in todo:
            if (each.kind, each.identity) in left and each not in failures:
                failures[each] = f"PostgreSQL accepted the statements, and it still belongs to {each.owner}"
        return [each for each in todo if (each.kind, each.identity) not in left]

    def _try(self, owned: Owned, failures: dict[Owned, str]) -> bool:
        """One try, sent as a whole: nobody waits for the network while this session holds the object."""
        milliseconds = int(self.options["lock_timeout"])
        statements = [
            f"SET LOCAL lock_timeout = {milliseconds}",
            f"SET LOCAL statement_timeout = {milliseconds}",
            *owned.precautions,
            f"ALTER {KINDS[owned.kind]} {owned.identity} OWNER TO {quoted(self.new)}",
            *owned.grants,
        ]
        try:
            self.session.execute_text("BEGIN; " + "; ".join(statements) + "; COMMIT")
        except DatabaseProblem as problem:
            with contextlib.suppress(Problem):
                self.session.execute_text("ROLLBACK")
            tries = self.options["tries"]
            busy = f"{IN_USE} in {tries} tries of {milliseconds} ms: " if problem.code in BUSY else ""
            failures[owned] = f"{busy}{problem}"
            return False
        return True
