# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The servers on which users have sessions: of each database the primary, and its standbys.

A standby learns of a user, and of its end, when it has replayed that.  It does not end the sessions of a user whose end it replays, and
``pg_terminate_backend`` reaches the server alone on which it is called: whoever ends a user ends its sessions on each server.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import time
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import carry_out
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import NODES
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.connect import (
    HAS_PSYCOPG2,
    LOGIN_OPTIONS,
    Session,
    login_parameters,
    require_psycopg2,
    server_label,
)

if HAS_PSYCOPG2:
    import psycopg2

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Values = dict[str, t.Any]
LOGIN = ("login_user", "login_password", "connect_timeout")
"""The options of a login that hold for all servers."""
OPTIONS: Values = {
    "nodes": {**NODES, "required": True},
    **{word: LOGIN_OPTIONS[word] for word in LOGIN},
    "timeout": {"type": "str", "default": "30s"},
    "unreachable": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
}
_STATE = """
SELECT pg_is_in_recovery(), pg_postmaster_start_time()::text,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn()::text END
"""
_REPLAYED = "SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= %(lsn)s::pg_lsn"
_LEFT = """
SELECT pid FROM pg_stat_activity AS a
 WHERE usesysid IS NOT NULL AND pid <> pg_backend_pid()
   AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = a.usesysid AND r.rolvaliduntil IS DISTINCT FROM '-infinity')
"""
_END = f"SELECT pid, pg_terminate_backend(pid) FROM ({_LEFT}) AS left_over"
PAUSE = 0.05
"""Seconds between two looks at a server."""


@dataclasses.dataclass
class Node:
    """A server, and what was found on it."""

    name: str
    """Of the entry that it belongs to."""
    parameters: Values = dataclasses.field(repr=False)
    """Connection parameters of libpq for the login that looks, with its password."""
    database: str
    replica: bool
    in_recovery: bool | None = None
    started: str = ""
    lsn: str | None = None
    ended: int = 0
    """Sessions without a user that were found, and that are gone now unless it was a check run."""
    problem: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} at {server_label(self.parameters)}" if self.name else server_label(self.parameters)

    def described(self) -> Values:
        return {
            "name": self.name,
            "host": str(self.parameters.get("host", "")),
            "port": str(self.parameters.get("port", "")),
            "replica": self.replica,
            "in_recovery": self.in_recovery,
            "started": self.started,
            "ended": self.ended,
            "problem": self.problem,
        }


def read_nodes(given: Sequence[Mapping[str, t.Any]], login: Mapping[str, t.Any]) -> list[Node]:
    """The servers; ``login`` has the options ``LOGIN``, others in it do not count.  A certificate of a node is that of the login."""
    if not all(isinstance(each, dict) for each in given):
        raise Refused("nodes: each is a dictionary with host and database, as the filter database_nodes makes them.")
    login = {word: login.get(word) for word in LOGIN}
    return [
        Node(
            str(each.get("name") or ""),
            login_parameters({**each, "name": each.get("name") or each.get("host")}, login),
            str(each.get("database") or "postgres"),
            bool(each.get("replica")),
        )
        for each in given
    ]


def end_sessions(nodes: Sequence[Node], seconds: float, dry_run: bool = False, threads: bool = True) -> None:
    """End the sessions of users that are gone or parked, on all servers at once; each node says what came of it.

    On a standby that is done when it has replayed what the primary of the same name had written at the beginning.  A process that is leaving
    the interpreter cannot start ``threads``.
    """
    deadline = time.monotonic() + seconds
    with _each(nodes, threads) as run, contextlib.ExitStack() as sessions:
        opened = dict(zip(map(id, nodes), run(lambda node: _open(node, deadline))))
        for session in opened.values():
            if session is not None:
                sessions.callback(session.close)
        written = _written(nodes)
        run(lambda node: _end_sessions_on(node, opened[id(node)], written.get(node.name), deadline, dry_run))


def _open(node: Node, deadline: float) -> Session | None:
    left = max(2, int(deadline - time.monotonic()))  # libpq waits no less than 2 s
    session = None
    try:
        session = Session(
            {**node.parameters, "connect_timeout": min(node.parameters["connect_timeout"], left)}, node.database
        )
        ((node.in_recovery, node.started, node.lsn),) = session.query(_STATE)
    except Problem as problem:
        node.problem = str(problem)
        if session is not None:
            session.close()
        return None
    return session


def _written(nodes: Sequence[Node]) -> dict[str, str]:
    """By name, how far the server has written that can be written to; of two of them the farther one."""
    found: dict[str, str] = {}
    for node in nodes:
        if node.lsn is not None and (node.name not in found or _number(node.lsn) > _number(found[node.name])):
            found[node.name] = node.lsn
    return found


def _number(lsn: str) -> int:
    high, _slash, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def _end_sessions_on(node: Node, session: Session | None, written: str | None, deadline: float, dry_run: bool) -> None:
    if session is None:
        return
    try:
        if written is None:
            node.problem = (
                "no server of it that can be written to could be asked, so it is unknown which users have ended"
            )
        elif not until(deadline, lambda: session.query(_REPLAYED, {"lsn": written})[0][0]):
            node.problem = f"it has not replayed {written}, up to which the primary had written"
        found = len(session.query(_LEFT))
        node.ended = carry_out(lambda: _end(node, session, deadline), found, dry_run)
    except Problem as problem:
        node.problem = str(problem)


def _end(node: Node, session: Session, deadline: float) -> int:
    """A session ends when its process comes to look, and one that was logging in shows only then: look until there is none."""
    seen: set[int] = set()
    left: set[int] = set()

    def none_is_left() -> bool:
        left.clear()
        left.update(row[0] for row in session.query(_END))
        seen.update(left)
        return not left

    if not until(max(deadline, time.monotonic() + 1), none_is_left):
        node.problem = node.problem or "sessions without a user do not end"
    return len(seen - left)


def until(deadline: float, what: Callable[[], t.Any], pause: float | None = None) -> bool:
    """Whether it is so before the deadline, looked at again and again."""
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE if pause is None else pause)
    return True


@contextlib.contextmanager
def _each(nodes: Sequence[Node], threads: bool = True) -> Iterator[Callable[[Callable[[Node], t.Any]], list[t.Any]]]:
    """Do something for all nodes at the same time, or one by one."""
    if not threads:
        yield lambda what: [what(node) for node in nodes]
        return
    with concurrent.futures.ThreadPoolExecutor(max(1, min(32, len(nodes)))) as pool:
        yield lambda what: list(pool.map(what, nodes))


def run_module(_session: t.Any, options: Values, check_mode: bool) -> Values:
    """The module ``postgresql_sessions``."""
    require_psycopg2()
    nodes = read_nodes(options["nodes"], options)
    seconds = seconds_of("timeout", options["timeout"])
    end_sessions(nodes, seconds, dry_run=check_mode)
    problems = problems_of(nodes)
    result: Values = {
        "changed": any(node.ended for node in nodes),
        "ended": sum(node.ended for node in nodes),
        "nodes": [node.described() for node in nodes],
        "problems": problems,
        "warnings": [],
    }
    if problems and options["unreachable"] == "fail":
        raise Problem(f"Sessions may go on without their users. {' '.join(problems)}", **result)
    return {**result, "warnings": problems}


def problems_of(nodes: Sequence[Node]) -> list[str]:
    return [f"{node.label}: {node.problem.rstrip('.')}." for node in nodes if node.problem]


# -- a user that was just made ----------------------------------------------------------------------------------------------


def await_login(given: Sequence[Mapping[str, t.Any]], user: str, password: str, seconds: float) -> list[str]:
    """Wait until the user can log in to each server; a sentence for each on which it could not in this time."""
    require_psycopg2()
    # The certificate of a node is that of somebody else.
    own = [{key: value for key, value in each.items() if key not in ("client_cert", "client_key")} for each in given]
    nodes = read_nodes(own, {"login_user": user, "login_password": password})
    deadline = time.monotonic() + seconds
    with _each(nodes) as run:
        run(lambda node: _await_login(node, deadline))
    return problems_of(nodes)


def _await_login(node: Node, deadline: float) -> None:
    pause = PAUSE
    while True:
        left = deadline - time.monotonic()
        try:
            psycopg2.connect(
                **{**node.parameters, "connect_timeout": max(2, min(10, int(left)))},
                dbname=node.database,
                application_name="leasehold.vault wait_for_replay",
            ).close()
        except psycopg2.Error as error:
            if time.monotonic() + pause > deadline:
                node.problem = " ".join(str(error).split())
                return
        else:
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.5)
