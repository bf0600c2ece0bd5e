# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""One lease of the run: renewed when half of its life is over, and replaced by a new one when a renewal cannot make it last long enough."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import typing as t

from ansible.utils.display import Display
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._core.process import signals_deferred
from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import (
    effective_life,
    expiry,
    issue,
    look_up_token,
)
from ansible_collections.leasehold.vault.plugins.module_utils._operations.leases import renew
from ansible_collections.leasehold.vault.plugins.module_utils._operations.standbys import (
    TIMEOUT,
    NotReplayed,
    end_sessions_on_standbys,
    replay_seconds,
    require_replay,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import CannotNote, LeaseRecord, clock
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.session import plain

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
    from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import Entry, LeaseRequest

Values = dict[str, t.Any]
display = Display()


def renew_or_issue(
    request: LeaseRequest, entry: Entry[LeaseRecord], connect: Callable[[], Session], options: Values, login: str
) -> LeaseRecord:
    """A record with credentials that live long enough; the entry is left with it."""
    current = entry.record
    if current and current.credentials and current.credentials["renewable"] and current.expires > clock():
        _renew(current, request, connect())
        if current.has_enough(request):
            return current
    with signals_deferred():
        return _issue(request, connect, entry, options, login)


def _renew(record: LeaseRecord, request: LeaseRequest, session: Session) -> None:
    try:
        token = look_up_token(session.client, f"Renewing {record.lease_id}")
        duration = renew(session.client, record.lease_id, max(request.valid_for, request.renew_increment))
    except Problem as problem:
        display.vv(f"leasehold: not renewed: {problem}")
        return
    life, warnings = effective_life(token, duration)
    record.expires = clock() + life
    record.credentials = {
        **(record.credentials or {}),
        "lease_duration": duration,
        **expiry(life, session.client.now()),
    }
    for warning in warnings:
        display.warning(f"{record.path}: {warning}")


def _issue(
    request: LeaseRequest, connect: Callable[[], Session], entry: Entry[LeaseRecord], options: Values, login: str
) -> LeaseRecord:
    """A new user, noted before anything else happens; its record begins with the intention to issue it."""
    old = entry.record
    record = LeaseRecord(
        path=f"{request.mount}/creds/{request.role}",
        options=plain(options),
        login=login,
        issuing=True,
        unconfirmed=old.unconfirmed + old.issuing if old else 0,
        revoke_at_end=request.revoke_at_end or bool(old and old.revoke_at_end),
        replaced=old.lease_ids if old else [],
        standbys=standbys_of(request) or (old.standbys if old else {}),
    )
    entry.note(dataclasses.replace(old, issuing=True) if old else record, keep_room=True)
    session: Session | None = None

    def note(credentials: Values) -> None:
        record.credentials, record.issuing = credentials, False
        record.life, record.expires = max(credentials["expires_in"], 1), clock() + credentials["expires_in"]
        try:
            entry.note(record)
        except CannotNote as error:
            raise _taken_back(t.cast("Session", session), record, error) from None

    try:
        session = connect()
        record.token = session.client.token
        credentials, warnings = issue(session.client, request.mount, request.role, note)
    except Problem as problem:
        if not record.credentials and not (isinstance(problem, VaultError) and problem.in_doubt):
            with contextlib.suppress(CannotNote):
                entry.note(old)
        raise
    for warning in [*warnings, *_await_standbys(session, request, record, entry, old)]:
        display.warning(f"{record.path}: {warning}")
    if credentials["expires_in"] < request.valid_for and credentials["renewable"]:
        _renew(record, request, session)
    _warn_of_too_short(record, request)
    if request.revoke_replaced and old and old.credentials:
        try:
            session.client.revoke_lease(old.lease_id)
            record.replaced.remove(old.lease_id)
        except Problem as problem:
            display.warning(
                f"The replaced lease {old.lease_id} could not be revoked and lives on to its end. {problem}"
            )
        else:
            end_sessions([old])
    return record


def _await_standbys(
    session: Session, request: LeaseRequest, record: LeaseRecord, entry: Entry[LeaseRecord], old: LeaseRecord | None
) -> list[str]:
    """Wait until each of the user's servers knows it; a user that is not handed out is none that a later mention finds."""
    try:
        return require_replay(session.client, record.credentials or {}, request.standbys)
    except Problem as problem:
        lives_on = dataclasses.replace(record, credentials=None, replaced=record.lease_ids)
        with contextlib.suppress(CannotNote):
            entry.note(old if isinstance(problem, NotReplayed) else lives_on)
        raise


def end_sessions(leases: t.Iterable[LeaseRecord], timeout: float = TIMEOUT, threads: bool = True) -> None:
    """The sessions on standbys of users that have just been revoked, where somebody is named who may end them; never raises."""
    standbys = {json.dumps(lease.standbys, sort_keys=True): lease.standbys for lease in leases if lease.standbys}
    deadline = time.monotonic() + timeout
    for given in standbys.values():
        try:
            ended, problems = end_sessions_on_standbys(
                given, timeout=max(deadline - time.monotonic(), 0), threads=threads
            )
        except Problem as problem:
            ended, problems = 0, [str(problem)]
        if ended:
            display.display(f"leasehold: ended {ended} session(s) of users that are gone")
        for sentence in problems:
            display.warning(f"leasehold: sessions may go on without their users. {sentence}")


def standbys_of(request: LeaseRequest) -> Values:
    """What the end of the user needs; :class:`Refused` if what the mention says of standbys could not be used."""
    replay_seconds(request.standbys)
    if not request.ends_sessions:
        return {}
    words = ("nodes", "login_user", "login_password")
    return plain({word: request.standbys[word] for word in words if request.standbys.get(word)})


def _warn_of_too_short(record: LeaseRecord, request: LeaseRequest) -> None:
    lives = (record.credentials or {}).get("expires_in", 0)
    if lives < request.valid_for:
        record.reachable = lives
        display.warning(
            f"{record.path}: valid_for asks for {request.valid_for} s, and a new user lives {lives} s at the most. Raise max_ttl of "
            "the role, or the life of the token."
        )


def _taken_back(session: Session, record: LeaseRecord, error: CannotNote) -> Problem:
    """End at once what this run would forget."""
    given = f"The user of the lease {record.lease_id} could not be noted in the temporary directory of this run, {error.why}"
    try:
        session.client.revoke_lease(record.lease_id)
    except Problem as problem:
        return Problem(f"{given}, and could not be revoked either: the user lives to the end of its lease. {problem}")
    record.credentials = None
    return Problem(f"{given}, and was revoked at once. Make ANSIBLE_LOCAL_TEMP (local_tmp) a directory that has room.")
