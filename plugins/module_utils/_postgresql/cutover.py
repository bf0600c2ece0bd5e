# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""From a login with a password of its own to dynamic users: compare the rights, see who still uses it, take its LOGIN, give it back."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import carry_out
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import NODES
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.connect import (
    DATABASE_OPTIONS,
    Session,
    database_session,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.nodes import Node, read_nodes, until
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.plan import Statement, quoted
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.rights import Difference, lacking

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


Values = dict[str, t.Any]
OPTIONS: Values = {
    **DATABASE_OPTIONS,
    "login": {"type": "str", "required": True},
    "group": {"type": "str"},
    "state": {"type": "str", "choices": ["compared", "disabled", "enabled"], "default": "compared"},
    "accept": {"type": "list", "elements": "str", "default": []},
    "sessions": {"type": "str", "choices": ["refuse", "keep", "end"], "default": "refuse"},
    "nodes": {**NODES, "default": []},
}
CONSTRAINTS: Values = {"required_if": [("state", "compared", ["group"]), ("state", "disabled", ["group"])]}
MARK = "leasehold: LOGIN taken by a cutover"
"""In the comment of a role: that it had LOGIN, and who took it."""
WAIT = 5.0
"""Seconds in which sessions have to be gone that were ended."""
PAUSE, QUIET = 0.02, 5
"""Seconds between two looks, and how many have to find none: a login that began before NOLOGIN shows only when it is through."""

_ROLE = """
SELECT r.rolcanlogin, r.rolsuper, coalesce(shobj_description(r.oid, 'pg_authid'), ''), current_user = r.rolname,
       m.rolsuper OR (m.rolcreaterole AND (current_setting('server_version_num')::int < 160000 OR pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'))),
       m.rolsuper OR pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'),
       m.rolsuper OR pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_read_all_stats', 'USAGE'), m.rolname::text
  FROM pg_roles AS r CROSS JOIN pg_roles AS m WHERE r.rolname = %(login)s AND m.rolname = current_user
"""
_GROUP = "SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = %(group)s"
_SESSIONS = """
SELECT coalesce(datname::text, ''), coalesce(application_name, ''), coalesce(host(client_addr), ''), count(*)::int FROM pg_stat_activity
 WHERE usename = %(login)s AND pid <> pg_backend_pid() GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_END = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %(login)s AND pid <> pg_backend_pid()"
_STANDBY = "SELECT pg_is_in_recovery()"
_WRITTEN = "SELECT pg_current_wal_lsn()::text"
_REPLAYED = "SELECT coalesce(pg_last_wal_replay_lsn() >= %(lsn)s::pg_lsn, true)"


class Login(t.NamedTuple):
    """The old login, and what the DBA's login may do with it."""

    can_log_in: bool
    superuser: bool
    comment: str
    is_me: bool
    alterable: bool
    endable: bool
    visible: bool
    """Whether the DBA sees application and address of its sessions."""
    me: str

    @property
    def taken(self) -> bool:
        """Whether a cutover took its LOGIN."""
        return not self.can_log_in and MARK in self.comment

    @property
    def own_comment(self) -> str:
        """The comment without what a cutover noted there."""
        return self.comment.replace(f" ({MARK})", "").replace(MARK, "")


def cutover(_session: t.Any, options: Values, check_mode: bool) -> Values:
    """The module ``postgresql_cutover``."""
    with database_session(options) as session, _standbys(options) as standbys:
        return _Cutover(session, options, standbys).result(check_mode)


@contextlib.contextmanager
def _standbys(options: Values) -> Iterator[list[tuple[Node, Session | None]]]:
    """The standbys among the nodes, each with a session, or with what has gone wrong.  The primary of the moment is not one of them."""
    found: list[tuple[Node, Session | None]] = []
    with contextlib.ExitStack() as opened:
        for node in read_nodes([each for each in options["nodes"] if each.get("replica")], options):
            try:
                session = opened.enter_context(contextlib.closing(Session(node.parameters, node.database)))
                if session.query(_STANDBY)[0][0]:
                    found.append((node, session))
            except Problem as problem:
                node.problem = str(problem).rstrip(".")
                found.append((node, None))
        yield found


class _Cutover:
    def __init__(self, session: Session, options: Values, standbys: Sequence[tuple[Node, Session | None]]) -> None:
        self.session, self.options, self.standbys = session, options, standbys
        self.name: str = options["login"]
        self.login = self._read()
        if self.login.superuser:
            raise Refused(
                f"{self.name} is a superuser, and no group can have its rights. Take SUPERUSER from it (ALTER ROLE {quoted(self.name)} NOSUPERUSER), "
                "grant what it needs, and compare again."
            )
        self.lacks, self.surplus = self._compare() if options.get("group") else ([], [])

    def _read(self) -> Login:
        rows = self.session.query(_ROLE, {"login": self.name})
        if not rows:
            raise Refused(f"There is no role {self.name} ({self.session.where}).")
        return Login(*rows[0])

    def _compare(self) -> tuple[list[Difference], list[Difference]]:
        group = self.options["group"]
        rows = self.session.query(_GROUP, {"group": group})
        if not rows:
            raise Refused(
                f"There is no group {group} ({self.session.where}). The playbook leasehold.vault.postgresql makes those of the document."
            )
        if group == self.name or rows[0][1]:
            raise Refused(
                f"group: {group} is {'the login itself' if group == self.name else 'a superuser'}; it has to be the group of dynamic users."
            )
        return lacking(self.session.query, self.name, group), lacking(self.session.query, group, self.name)

    @property
    def refused(self) -> list[Difference]:
        """What the group lacks and nobody has accepted."""
        return [each for each in self.lacks if each.right not in self.options["accept"]]

    def sessions(self) -> list[Values]:
        """Who uses the login, in any database of the server and of its standbys."""
        keys = ("database", "application_name", "address", "count", "standby")
        return [
            dict(zip(keys, (*row, label)))
            for label, session in self._places
            for row in session.query(_SESSIONS, {"login": self.name})
        ]

    @property
    def _places(self) -> list[tuple[str, Session]]:
        """Where sessions are looked at: here, and on the standbys that could be reached, each with its name."""
        return [("", self.session), *((node.label, session) for node, session in self.standbys if session)]

    @property
    def unseen(self) -> list[str]:
        """The standbys on which nobody has looked."""
        return [
            f"{node.label} could not be looked at: {node.problem}" for node, session in self.standbys if not session
        ]

    def result(self, check_mode: bool) -> Values:
        current = self.sessions()
        changes = self._changes(current)
        statements = [statement for _meaning, statement in changes if statement]
        ends = bool(changes) and self.options["state"] == "disabled" and self.options["sessions"] == "end"
        if changes:
            carry_out(lambda: self._apply(statements, ends), None, check_mode)
        can_log_in = self.login.can_log_in if not statements else self.options["state"] == "enabled"
        left = carry_out(self.sessions, [] if ends else current, check_mode)
        return {
            "changed": bool(changes),
            "changes": [meaning for meaning, _statement in changes],
            "can_log_in": can_log_in,
            "lacks": self._lacks(),
            "surplus": [str(each) for each in self.surplus],
            "sessions": left,
            "lacks_unaccepted": len(self.refused),
            "report": list(self._report(can_log_in, left)),
            "diff": {"before": self._state(self.login.can_log_in), "after": self._state(can_log_in)},
            "warnings": self.unseen + [

                f"{self.login.me} sees how many sessions {self.name} has, and neither their application nor their address; that takes "
                "membership in pg_read_all_stats."
            ] * (not self.login.visible),
        }  # fmt: skip

    def _report(self, can_log_in: bool, sessions: Sequence[Values]) -> Iterator[str]:
        """What there is to know before the next step, a line each."""
        group = self.options.get("group")
        yield f"{self.name} can{'' if can_log_in else 'not'} log in"
        if group:
            for each in self.lacks:
                accepted = " (accepted)" if each.right in self.options["accept"] else ""
                yield f"users of {group} lack: {each}{accepted}"
            for each in self.surplus:
                yield f"users of {group} have in addition: {each}"
        yield f"in use: {users_of(sessions)}" if sessions else "no sessions"
        yield from self.unseen

    def _state(self, can_log_in: bool) -> str:
        return f"{self.name}: {'LOGIN' if can_log_in else 'NOLOGIN'}\n"

    def _lacks(self) -> list[Values]:
        return [
            {"right": each.right, "detail": each.detail, "accepted": each.right in self.options["accept"]}
            for each in self.lacks
        ]

    def _changes(self, current: Sequence[Values]) -> list[tuple[str, Statement | None]]:
        if self.options["state"] == "disabled":
            return self._to_disable(current)
        return self._to_enable() if self.options["state"] == "enabled" else []

    def _to_disable(self, current: Sequence[Values]) -> list[tuple[str, Statement | None]]:
        how = self.options["sessions"]
        changes: list[tuple[str, Statement | None]] = []
        if self.login.can_log_in:
            self._require_rights()
            if how == "refuse":
                self._require_unused(current)
            if how != "keep" and self.unseen:
                raise Refused(
                    f"Whether {self.name} is in use is unknown: {'; '.join(self.unseen)}. sessions: keep disables it nevertheless. Nothing was changed."
                )
            comment = f"{self.login.own_comment} ({MARK})" if self.login.own_comment else MARK
            changes = self._altered("NOLOGIN", comment)
        if current and how == "end":
            if not self.login.endable:
                raise Refused(
                    f"{self.login.me} may not end the sessions of {self.name}: that takes membership in it, or in pg_signal_backend "
                    f"(GRANT pg_signal_backend TO {quoted(self.login.me)}). Nothing was changed."
                )
            changes.append((f"{self.name}: its sessions are ended", None))
        return changes

    def _require_unused(self, current: Sequence[Values]) -> None:
        if current:
            raise Refused(
                f"{self.name} is in use ({users_of(current)}), and each of them that connects again would fail. Move them to dynamic users first. "
                "sessions: keep takes the LOGIN and leaves these sessions alone, sessions: end ends them.",
                sessions=current,
            )

    def _require_rights(self) -> None:
        if self.refused:
            raise Refused(
                f"{self.name} may do what users of {self.options['group']} may not: {'; '.join(map(str, self.refused))}. Give it to the group, "
                "hand over what the login owns, or name in accept what is not needed, as it stands before the parenthesis. Nothing was changed.",
                lacks=self._lacks(),
            )

    def _to_enable(self) -> list[tuple[str, Statement | None]]:
        if self.login.can_log_in:  # somebody else has given it back, and left the note
            return [self._commented(self.login.own_comment)] if MARK in self.login.comment else []
        if not self.login.taken:
            raise Refused(
                f"{self.name} cannot log in, and its comment does not say that a cutover took its LOGIN, so that it may never have had it. "
                f"If it had: ALTER ROLE {quoted(self.name)} LOGIN."
            )
        return self._altered("LOGIN", self.login.own_comment)

    def _altered(self, word: str, comment: str) -> list[tuple[str, Statement | None]]:
        if self.login.is_me:
            raise Refused(f"{self.name} is the role that this task logs in as. Set login_user to another one.")
        if not self.login.alterable:
            raise Refused(
                f"{self.login.me} may not alter {self.name}. A superuser, or a role with CREATEROLE and ADMIN OPTION on it, has to do it: "
                f"GRANT {quoted(self.name)} TO {quoted(self.login.me)} WITH ADMIN OPTION. Nothing was changed."
            )
        return [
            (f"{self.name}: {word}", Statement(f"ALTER ROLE {{0}} {word}", (self.name,))),
            self._commented(comment),
        ]

    def _commented(self, comment: str) -> tuple[str, Statement]:
        text = "COMMENT ON ROLE {0} IS " + ("%s" if comment else "NULL")
        return f"{self.name}: comment {comment or 'removed'}", Statement(
            text, (self.name,), (comment,) if comment else ()
        )

    def _apply(self, statements: Sequence[Statement], ends: bool) -> None:
        """Change it, read it back, and end its sessions when nobody can log in as it any more."""
        if statements:
            with self.session.transaction():
                for statement in statements:
                    self.session.execute(statement)
                if self.options["state"] == "disabled" and self.options["sessions"] == "refuse":
                    self._require_unused(self.sessions())
            if self._read().can_log_in != (self.options["state"] == "enabled"):
                raise Problem(
                    f"PostgreSQL accepted ALTER ROLE, and {self.name} is as it was. Nobody else may change it meanwhile; try again."
                )
        if ends:
            self._end_sessions()

    def _end_sessions(self) -> None:
        ((written,),) = self.session.query(_WRITTEN) if self.standbys else (("",),)
        deadline = time.monotonic() + WAIT
        for label, session in self._places:
            try:
                ended = (not label or self._replayed(session, written, deadline)) and self._quiet(session, deadline)
            except Problem as problem:
                raise Problem(
                    f"{self.name} has NOLOGIN, and its sessions could not be ended: {problem}", changed=True
                ) from None
            if not ended:
                raise Problem(
                    f"{self.name} has NOLOGIN, and {f'on {label} ' if label else ''}sessions may be left after {WAIT:g} s: "
                    f"{users_of(self.sessions()) or 'it has not replayed NOLOGIN'}.",
                    changed=True,
                )

    @staticmethod
    def _replayed(session: Session, written: str, deadline: float) -> bool:
        return until(deadline, lambda: session.query(_REPLAYED, {"lsn": written})[0][0], PAUSE)

    def _quiet(self, session: Session, deadline: float) -> bool:
        quiet = 0

        def quiet_for_long() -> bool:
            nonlocal quiet
            quiet = 0 if session.query(_END, {"login": self.name})[0][0] else quiet + 1
            return quiet == QUIET

        return until(deadline, quiet_for_long, PAUSE)


def users_of(sessions: Sequence[Values]) -> str:
    """``12 of billing-web from 10.0.0.7 in appdb, …``"""
    return ", ".join(
        f"{each['count']} of {each['application_name'] or 'an unnamed application'}"
        f"{' from ' + each['address'] if each['address'] else ''} in {each['database']}"
        f"{' on ' + each['standby'] if each.get('standby') else ''}"
        for each in sessions
    )
