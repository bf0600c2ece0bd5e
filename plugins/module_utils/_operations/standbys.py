# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What issuing and revoking need on standbys: that a new user is known there, and that the sessions of an ended one end.

What talks to PostgreSQL is imported only where there are ``nodes``: most issue, renew and revoke without.
"""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import secret, text
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field, Values
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import NODES

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.nodes import Node
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client

NODES_FIELD = Field("nodes", type="list", spec={key: value for key, value in NODES.items() if key != "type"})
SESSION_FIELDS = (NODES_FIELD, text("login_user"), secret("login_password"))
REPLAY_FIELDS = (
    NODES_FIELD,
    Field("wait_for_replay"),
    Field("not_replayed", spec={"choices": ["revoke", "warn"], "default": "revoke"}),
)
TIMEOUT = 30
"""Seconds in which a standby may replay the end of a user."""


class NotReplayed(Problem):
    """A user that not every server knew in time, and that was revoked."""


def end_sessions_on_standbys(
    desired: Values, dry_run: bool = False, timeout: float = TIMEOUT, threads: bool = True
) -> tuple[int, list[str]]:
    """End the sessions without a user on ``nodes`` as ``login_user``: how many, and a sentence for each server on which some may be left."""
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.nodes import end_sessions, problems_of

    nodes = session_nodes(desired)
    end_sessions(nodes, timeout, dry_run, threads)
    return sum(node.ended for node in nodes), problems_of(nodes)


def session_nodes(desired: Values) -> list[Node]:
    """The servers on which sessions are ended; to be asked before anything is revoked, because it refuses what could not be done afterwards."""
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.connect import require_psycopg2
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.nodes import read_nodes

    require_psycopg2()
    return read_nodes(desired["nodes"], {**desired, "login_user": desired.get("login_user") or "postgres"})


def replay_seconds(desired: Values) -> int:
    """How long to wait; to be asked before anything is issued, because it refuses what could not be done afterwards."""
    seconds = seconds_of("wait_for_replay", desired.get("wait_for_replay") or 0)
    if seconds and not desired.get("nodes"):
        raise Refused("wait_for_replay needs nodes, the servers that are to know the user.")
    if desired.get("nodes") and (seconds or desired.get("login_user")):
        session_nodes(desired)
    return seconds


def require_replay(client: Client, credentials: Values, desired: Values) -> list[str]:
    """Wait until the new user can log in on each of ``nodes``; a warning if it cannot and is to be handed out all the same."""
    seconds = replay_seconds(desired)
    if not seconds:
        return []
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.nodes import await_login

    problems = await_login(desired["nodes"], credentials["username"], credentials["password"], seconds)
    if not problems:
        return []
    given = (
        f"The user {credentials['username']} could not log in on each server within {seconds} s. {' '.join(problems)}"
    )
    if desired.get("not_replayed") == "warn":
        return [given]
    try:
        client.revoke_lease(credentials["lease_id"])
    except Problem as problem:
        raise Problem(
            f"{given} Its lease {credentials['lease_id']} could not be revoked either, so it lives to its end. {problem}"
        ) from None
    raise NotReplayed(f"{given} It was revoked. Give wait_for_replay more time, or say not_replayed: warn.")
