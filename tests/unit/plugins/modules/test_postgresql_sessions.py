# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module postgresql_sessions: which sessions end, and what is said of servers that could not be asked.

With standbys: tests/integration/test_replicas.py.
"""

from __future__ import annotations

import contextlib
import secrets
import types

import psycopg2
import pytest
import servers
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import nodes as _nodes
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.nodes import Node, await_login
from ansible_collections.leasehold.vault.plugins.modules.postgresql_sessions import TASK

from ...conftest import validated


def run(server, check=False, **more):
    given = {
        "nodes": [
            {"name": "db", "host": server.host, "port": str(server.port), "database": "postgres", "sslmode": "disable"}
        ],
        "login_password": server.password,
        **more,
    }
    return TASK.perform(validated("postgresql_sessions", given), check)


@pytest.fixture
def user(postgres):
    """The name and the password of a user, and somebody who drops or changes it."""
    name, password = f"v-sessions-{secrets.token_hex(4)}", secrets.token_hex(8)
    with contextlib.closing(postgres.connect()) as dba, dba.cursor() as cursor:
        cursor.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
        yield name, password, lambda statement: cursor.execute(statement.format(f'"{name}"'))
        cursor.execute(f'DROP ROLE IF EXISTS "{name}"')


@pytest.mark.parametrize(
    "end",
    ["DROP ROLE {}", "ALTER ROLE {} NOLOGIN VALID UNTIL '-infinity'"],
)
def test_sessions_of_users_that_are_gone_or_parked_end_and_others_go_on(postgres, user, end):
    name, password, dba = user
    servers.wait_for("the end of the sessions of other tests", lambda: not run(postgres, check=True)["changed"])
    with contextlib.closing(postgres.connect(user=name, password=password)) as session:
        assert run(postgres)["ended"] == 0
        dba(end)
        foreseen = run(postgres, check=True)
        done = run(postgres)
        assert (foreseen["ended"], foreseen["changed"]) == (done["ended"], done["changed"]) == (1, True)
        assert not run(postgres)["changed"]
        with pytest.raises(psycopg2.OperationalError), session.cursor() as cursor:
            cursor.execute("SELECT 1")


def test_server_that_cannot_be_asked_is_said_after_the_others_were(postgres):
    away = {"name": "db", "host": "127.0.0.1", "port": "1", "database": "postgres"}
    here = {"name": "db", "host": postgres.host, "port": str(postgres.port), "database": "postgres"}
    with pytest.raises(Problem, match=r"db at 127.0.0.1:1: Logging in .* failed") as caught:
        run(postgres, nodes=[here, away])
    assert [node["in_recovery"] for node in caught.value.result["nodes"]] == [False, None]
    (warning,) = run(postgres, nodes=[here, away], unreachable="warn")["warnings"]
    assert postgres.password not in warning


class Standby:
    """A session on a standby that replays a little more each time it is asked."""

    def __init__(self, behind):
        self.behind, self.asked = behind, []

    def query(self, text, values=None):
        self.asked.append(text)
        if text is _nodes._REPLAYED:
            self.behind -= 1
            return [(self.behind < 0,)]
        return []


@pytest.mark.parametrize(
    ("written", "behind", "seconds", "problem"),
    [
        ("1/0", 2, 60, ""),
        ("1/0", 10**9, 0.02, "it has not replayed 1/0"),
        (None, 0, 60, "no server of it that can be written to could be asked"),
    ],
)
def test_standby_is_looked_at_when_it_has_replayed_or_when_that_cannot_be_known(
    written, behind, seconds, problem, monkeypatch
):
    monkeypatch.setattr(_nodes, "PAUSE", 0.001)
    node, session = Node("db", {}, "app", replica=True), Standby(behind)
    _nodes._end_sessions_on(node, session, written, _nodes.time.monotonic() + seconds, dry_run=False)
    assert node.problem[: len(problem) or None] == problem
    assert session.asked[-1] is _nodes._END


def test_node_does_not_show_the_password_of_who_looks():
    (node,) = _nodes.read_nodes([{"host": "db", "database": "app"}], {"login_password": "hush-hush"})
    assert node.parameters["password"] == "hush-hush"
    assert "hush-hush" not in repr(node)


def test_of_two_servers_that_can_be_written_to_the_farther_one_counts():
    found = [Node("db", {}, "app", replica=False, lsn=lsn) for lsn in ("0/FF000000", "1/0", None)]
    assert _nodes._written(found) == {"db": "1/0"}


def test_user_that_cannot_log_in_in_time_is_said_without_its_password(postgres, user):
    name, password, _dba = user
    node = {
        "host": postgres.host,
        "port": str(postgres.port),
        "database": "postgres",
        "client_cert": "/of/somebody/else.pem",
    }
    assert await_login([node], name, password, 60) == []
    (problem,) = await_login([node], name, "another", 0)
    assert "password authentication failed" in problem
    assert "another" not in problem


class Stubborn:
    """Two sessions without a user, of which one ends."""

    def __init__(self):
        self.looks = [[(1,), (2,)]]

    def query(self, _text):
        return self.looks.pop() if self.looks else [(2,)]


def clock(monkeypatch, *moments):
    """These moments, one after the other, and then the last one; nobody sleeps."""
    left = list(moments)
    time = types.SimpleNamespace(monotonic=lambda: left.pop(0) if left[1:] else left[0], sleep=lambda _seconds: None)
    monkeypatch.setattr(_nodes, "time", time)


def test_session_that_does_not_end_is_not_among_those_that_ended(monkeypatch):
    clock(monkeypatch, 100, 100.3, 102)
    node = Node("db", {}, "app", replica=False)
    assert _nodes._end(node, Stubborn(), 0) == 1
    assert node.problem == "sessions without a user do not end"


@pytest.mark.parametrize(("left", "timeout"), [(100, 10), (5.5, 5), (-3, 2)])
def test_login_to_a_server_takes_no_longer_than_there_is_time(left, timeout, monkeypatch):
    given = []

    def session(words, _database):
        given.append(words["connect_timeout"])
        raise Problem("it is away")

    monkeypatch.setattr(_nodes, "Session", session)
    clock(monkeypatch, 100)
    _nodes._open(Node("db", {"connect_timeout": 10}, "app", replica=True), 100 + left)
    assert given == [timeout]
