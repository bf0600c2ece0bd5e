# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: revoke_leases
type: notification
author:
  - The leasehold.vault authors (@leasehold)
version_added: 0.1.0
short_description: At the end of a run, revoke what its lookups issued for the run only
description:
  - Revokes the users that the lookup P(leasehold.vault.database_credentials#lookup) issued with C(revoke=at_end), whether the run succeeded,
    failed, or was ended by Ctrl-C or SIGTERM; then the run's own login, unless users that shall live on depend on it.
  - Prints one line per role, and a warning with the leases that could not be revoked.
  - A run that is killed (SIGKILL) revokes nothing; its users end with their leases.
requirements:
  - enable it with C(callbacks_enabled=leasehold.vault.revoke_leases) in C(ansible.cfg), or E(ANSIBLE_CALLBACKS_ENABLED)
options:
  timeout:
    description: The most seconds a run may be delayed by it.
    type: int
    default: 30
    env:
      - name: LEASEHOLD_REVOKE_TIMEOUT
    ini:
      - section: leasehold_vault
        key: revoke_timeout
"""

import atexit
import os
import signal
import sys
import time
import typing as t

from ansible.plugins.callback import CallbackBase
from ansible_collections.leasehold.vault.plugins.module_utils._auth import log_in
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._leases import revoke
from ansible_collections.leasehold.vault.plugins.plugin_utils import _ledger


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "leasehold.vault.revoke_leases"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._owner = os.getpid()
        self._done = False
        # Callbacks are not called after Ctrl-C, and several times for several playbooks; all but SIGTERM leave the interpreter.
        atexit.register(self.give_back)
        # SIGTERM ends it without leaving properly: Ansible's handler passes it on to the workers and to itself.
        self._handler = signal.signal(signal.SIGTERM, self._terminated)

    def _terminated(self, number: int, frame: t.Any) -> None:
        if os.getpid() != self._owner:  # a worker has inherited us
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.give_back()
        sys.stdout.flush()  # Ansible's handler ends the process without it
        if callable(self._handler):
            self._handler(number, frame)
        raise SystemExit(128 + number)

    def give_back(self) -> None:
        if os.getpid() != self._owner or self._done:
            return
        self._done = True
        try:
            ledger = _ledger.of_this_run()
            pages = ledger.pages()
        except OSError:
            return  # nowhere to write, so nothing was written down; the lookup has said so
        deadline = time.monotonic() + float(t.cast("t.Any", self).get_option("timeout"))
        leases = [page for page in pages if page["kind"] == "lease"]
        self._revoke_leases([page for page in leases if page["revoke_at_end"]], deadline)
        surviving = {page["login"] for page in leases if not page["revoke_at_end"]}
        self._revoke_logins(
            [page for page in pages if page["kind"] == "login" and page["id"] not in surviving], deadline
        )

    def _revoke_leases(self, pages: list[dict[str, t.Any]], deadline: float) -> None:
        revoked: dict[str, int] = {}
        left: list[str] = []
        for page in pages:
            for lease_id in [*page["replaced"], page["credentials"]["lease_id"]]:
                try:
                    revoke(self._client(page["options"], page["token"], deadline), lease_id)
                    revoked[page["path"]] = revoked.get(page["path"], 0) + 1
                except Problem as problem:
                    left.append(f"{lease_id} ({problem})")
        for path, count in sorted(revoked.items()):
            self._display.display(f"leasehold: revoked {count} lease(s) of {path}")
        if left:
            self._display.warning(
                f"leasehold: not revoked, and their users live to the end of their leases: {'; '.join(left)}"
            )

    def _revoke_logins(self, pages: list[dict[str, t.Any]], deadline: float) -> None:
        for page in pages:
            for token in [*page["earlier"], *([page["token"]] if page["own"] else [])]:
                try:
                    self._client(page["options"], token, deadline).ask("post", "auth/token/revoke-self")
                except Problem as problem:
                    self._display.warning(
                        f"leasehold: the run's own login could not be revoked and lives until it expires. {problem}"
                    )

    def _client(self, options: dict[str, t.Any], token: str, deadline: float) -> t.Any:
        left = int(deadline - time.monotonic())
        if left < 1:
            raise Problem("there was no time left")
        method = "none" if options["auth_method"] == "none" else "token"
        return log_in({**options, "auth_method": method, "token": token, "timeout": left, "retries": 0}).client
