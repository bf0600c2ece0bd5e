# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""The run's own login: made once, renewed while the run needs it, and ended by the run's end."""

from __future__ import annotations

import dataclasses
import json
import typing as t
import uuid

from ansible.utils.display import Display
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._core.process import signals_deferred
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session, log_in
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import logs_in
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import ledger as _ledger
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import (
    RENEW_BELOW,
    CannotNote,
    LeaseRecord,
    LoginRecord,
    clock,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import Entry, Ledger

Values = dict[str, t.Any]
display = Display()


def session_of_run(ledger: Ledger, identity: str, options: Values) -> Session:
    """Log in once for the run; a token past half of its life is renewed, and replaced when that does not help."""
    if not logs_in(options):
        return with_warnings(log_in(options))
    with ledger.entry(LoginRecord, identity) as entry:
        now = clock()
        current = entry.record
        if current and current.expires - now > current.life * RENEW_BELOW:
            return _with_token(options, current.token)
        if current and current.renewable and current.expires > now:
            session = _with_token(options, current.token)
            try:
                auth = session.client.ask("post", "auth/token/renew-self", needs=("auth",))["auth"]
            except Problem:
                auth = {"lease_duration": 0}
            if auth.get("lease_duration", 0) > current.life * RENEW_BELOW:
                current.expires = now + auth["lease_duration"]
                return session
        with signals_deferred():
            return _log_in_noted(ledger.fingerprint(LoginRecord, identity), entry, options)


def _log_in_noted(login: str, entry: Entry[LoginRecord], options: Values) -> Session:
    """A new login, which the run will end; it is noted before, so that none is made that could not be noted."""
    before = entry.record
    earlier = [token for token in (*before.earlier, before.token) if token] if before else []
    record = LoginRecord(id=login, options=plain(options), earlier=earlier)
    entry.note(record, keep_room=True)
    try:
        session = log_in(options)
    except Problem:
        entry.note(before)
        raise
    client = session.client
    # A token that is good for some requests only (num_uses) is nobody else's; 0 is a token without an end.
    life = 0 if client.uses_left else client.token_ttl or 10**9
    noted = dataclasses.replace(
        record,
        token=client.token,
        own=session.own_token,
        life=life,
        expires=clock() + life,
        renewable=session.renewable and life > 0,
    )
    try:
        entry.note(noted)
    except CannotNote:
        session.log_out()
        raise
    return with_warnings(session)


def give_up_login(ledger: Ledger, identity: str, options: Values) -> None:
    """End a login on which nothing depends, where the run has no end at which that would be done."""
    if not logs_in(options):
        return
    login = ledger.fingerprint(LoginRecord, identity)
    with ledger.entry(LoginRecord, identity) as entry:
        current = entry.record
        needed = any(isinstance(lease, LeaseRecord) and lease.login == login for lease in ledger.records())
        if current and not needed:
            for token in current.tokens:
                for warning in _with_token(current.options, token)._replace(own_token=True).log_out():
                    display.warning(warning)
            entry.note(None)


def _with_token(options: Values, token: str) -> Session:
    return log_in({**options, "auth_method": "token", "token": token})


def with_warnings(session: Session) -> Session:
    for warning in session.warnings:
        display.warning(warning)
    return session


def plain(options: Values) -> Values:
    """Options as JSON keeps them, without Ansible's own kinds of text."""
    return t.cast("Values", json.loads(json.dumps(options, default=str)))


def issued_by_module(
    options: Values, perform: Callable[[Callable[[Values], Session]], Values], ends_with_run: bool = False
) -> Values:
    """What the module ``database_credentials`` answers; its user outlives the run, and so does its login, as long as the user lives.

    The run's end looks whether that user is still there: a login whose user was revoked in the meantime ends.  With ``ends_with_run`` it
    revokes the user that is still there.
    """
    if not logs_in(options) and not ends_with_run:
        return perform(log_in)
    ledger, identity = _ledger.of_this_run(), uuid.uuid4().hex
    sessions: list[Session] = []

    def connect(_options: Values) -> Session:
        sessions.append(session_of_run(ledger, identity, options) if logs_in(options) else log_in(options))
        return sessions[-1]

    result: Values = {}
    try:
        result = perform(connect)
    finally:
        lease_id = (result.get("credentials") or {}).get("lease_id")
        if not lease_id and logs_in(options):  # it has logged out
            with ledger.entry(LoginRecord, identity) as entry:
                entry.note(None)
    if lease_id:
        with ledger.entry(LeaseRecord, identity) as lease:
            lease.note(
                LeaseRecord(
                    path=lease_id.rpartition("/")[0],
                    options=plain(options),
                    login=ledger.fingerprint(LoginRecord, identity),
                    token=sessions[-1].client.token,
                    credentials={"lease_id": lease_id},
                    ends_with_run=ends_with_run,
                )
            )
    return result
