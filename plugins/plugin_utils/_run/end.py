# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""The end of a run: revoke what was issued for the run only, then the run's own logins.

Leaving the interpreter is what nearly all ends of a run have in common: callbacks are not called after Ctrl-C, and several
times for several playbooks.  SIGTERM alone ends it without leaving; Ansible passes it on to the workers and to itself.

This is loaded in the main process, and so is what the lookups of its workers use: they inherit it.  What talks to PostgreSQL is
not, because only credentials with standbys need it.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import time
import typing as t

from ansible.utils.display import Display
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._core.process import leave_no_core
from ansible_collections.leasehold.vault.plugins.module_utils._operations.leases import look_up
from ansible_collections.leasehold.vault.plugins.module_utils._vault import transport
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import ledger as _ledger
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import LeaseRecord, LoginRecord

if t.TYPE_CHECKING:
    from collections.abc import Sequence


display = Display()


class EndOfRun:
    """One for the main process of the run; workers inherit it and do nothing."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._deadline = 30.0
        self._revokes_leases = False
        self._done = False
        atexit.register(self.give_back)
        # After Ansible's own, which is there before any plugin of a play is loaded.
        self._signal_handler: t.Any = signal.signal(signal.SIGTERM, self._terminated)

    def revoke_leases(self, timeout: float) -> None:
        """Leases as well: what the callback adds."""
        self._revokes_leases = True
        self._deadline = timeout

    def _terminated(self, number: int, frame: t.Any) -> None:
        if os.getpid() != self._owner:  # a worker has inherited us
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for worker in multiprocessing.active_children():
            worker.terminate()  # what they are issuing is noted before they end, and nothing more is issued
        self.give_back()
        sys.stdout.flush()  # Ansible's handler ends the process without it
        if callable(self._signal_handler):
            self._signal_handler(number, frame)
        raise SystemExit(128 + number)

    def give_back(self) -> None:
        if os.getpid() != self._owner or self._done:
            return
        self._done = True
        ledger = _ledger.written_in_this_run()
        if ledger is None:
            return
        deadline = time.monotonic() + self._deadline
        records = ledger.records(deadline)
        leases = [record for record in records if isinstance(record, LeaseRecord)]
        ending = [
            lease
            for lease in leases
            if (lease.revoke_at_end and self._revokes_leases) or (lease.ends_with_run and _is_there(lease, deadline))
        ]
        _revoke_leases(ending, deadline)
        staying = [lease for lease in leases if lease not in ending]
        logins = {record.id: record for record in records if isinstance(record, LoginRecord)}
        over = [login for login in logins.values() if not _is_needed(login, staying, deadline)]
        _revoke_logins(over, deadline)
        _tell_of_unconfirmed(leases, [login.id for login in over if login.own])
        _end_sessions(ending, deadline)  # last: a standby that is behind takes all the time that is left
        ledger.clear()


def _is_needed(login: LoginRecord, leases: Sequence[LeaseRecord], deadline: float) -> bool:
    """Whether a user depends on this login; one that was revoked in the meantime does not."""
    return any(_is_there(lease, deadline) for lease in leases if lease.login == login.id)


def _is_there(lease: LeaseRecord, deadline: float) -> bool:
    """Whether a user of these leases still lives."""
    try:
        client = _client(lease.options, lease.token, deadline)
        return any(look_up(client, lease_id) for lease_id in lease.lease_ids)
    except Problem:
        return True  # it is not known


def _tell_of_unconfirmed(leases: Sequence[LeaseRecord], ended: Sequence[str]) -> None:
    """A worker that was killed between asking for a user and noting it; the end of its login has ended that user, too."""
    for lease in leases:
        if (lease.issuing or lease.unconfirmed) and lease.login not in ended:
            display.warning(
                f"leasehold: a worker of this run ended while it issued a user of {lease.path}. It is unknown whether it had created "
                "one; such a user stays until its lease ends. Look for it with the module database_orphans_info."
            )


def _revoke_leases(leases: Sequence[LeaseRecord], deadline: float) -> None:
    revoked: dict[str, int] = {}
    left: list[str] = []
    for lease in leases:
        for lease_id in lease.lease_ids:
            try:
                _client(lease.options, lease.token, deadline).revoke_lease(lease_id)
                revoked[lease.path] = revoked.get(lease.path, 0) + 1
            except Problem as problem:
                left.append(f"{lease_id} ({problem})")
    for path, count in sorted(revoked.items()):
        display.display(f"leasehold: revoked {count} lease(s) of {path}")
    if left:
        display.warning(f"leasehold: not revoked, and their users live to the end of their leases: {'; '.join(left)}")


def _end_sessions(leases: Sequence[LeaseRecord], deadline: float) -> None:
    """On standbys, which a revocation does not reach."""
    if any(lease.standbys for lease in leases):
        from ansible_collections.leasehold.vault.plugins.plugin_utils._run.issue import end_sessions

        end_sessions(leases, max(deadline - time.monotonic(), 1), threads=False)


def _revoke_logins(logins: Sequence[LoginRecord], deadline: float) -> None:
    for login in logins:
        if not login.token:
            display.warning(
                f"leasehold: a worker of this run ended while it logged in by {login.options['auth_method']}. It is unknown whether there is a token, "
                "which lives until it expires."
            )
        for token in login.tokens:
            try:
                _client(login.options, token, deadline).ask("post", "auth/token/revoke-self")
            except Problem as problem:
                display.warning(
                    f"leasehold: the run's own login could not be revoked and lives until it expires. {problem}"
                )


def _client(options: dict[str, t.Any], token: str, deadline: float) -> t.Any:
    left = int(deadline - time.monotonic())
    if left < 1:
        raise Problem("there was no time left")
    method = "none" if options["auth_method"] == "none" else "token"
    return log_in({**options, "auth_method": method, "token": token, "timeout": left, "retries": 0}).client


_end: list[EndOfRun] = []


def run_has_end() -> bool:
    """Whether cleanup is registered in the main process: it has where it loaded an action plugin of ours, or the callback."""
    return bool(_end)


def end_of_run() -> EndOfRun:
    """To be called first in the main process, when plugins are loaded there."""
    if not _end:
        leave_no_core()
        transport.warm_up()
        _end.append(EndOfRun())
    return _end[0]
