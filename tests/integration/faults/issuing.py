# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients that issue at once, and remember what they were given."""

from __future__ import annotations

import threading
import typing as t

import servers
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import issue
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in

if t.TYPE_CHECKING:
    from ..conftest import Ground, Values


class Issuing:
    """Clients that issue users of a role through one node until they are told to stop."""

    def __init__(self, engine: Ground, role: str, node: servers.OpenBao, clients: int = 4) -> None:
        self.known: list[Values] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self._path = engine.mount, role
        self._options = {
            "url": node.url,
            "ca_cert": str(node.ca_cert),
            "token": node.token,
            "timeout": 10,
            "retries": 30,
        }
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._issue, daemon=True) for _client in range(clients)]

    @property
    def doubts(self) -> int:
        return sum("unknown whether" in text for text in [*self.warnings, *self.errors])

    def wait_for_more(self, number: int) -> None:
        enough = len(self.known) + number
        try:
            servers.wait_for(f"{number} more users", lambda: len(self.known) >= enough, 150)
        except servers.ServerError as error:
            raise AssertionError(f"{error}; {len(self.errors)} errors: {self.errors[-3:]}") from None

    def _issue(self) -> None:
        while not self._stop.is_set():
            try:
                user, warnings = issue(
                    log_in(self._options).client, *self._path
                )  # a client of its own, as each task has
            except Problem as problem:
                self.errors.append(str(problem))
            else:
                self.known.append(user)
                self.warnings.extend(warnings)
            self._stop.wait(0.1)

    def __enter__(self) -> t.Self:
        for thread in self._threads:
            thread.start()
        self.wait_for_more(len(self._threads))
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(150)
            assert not thread.is_alive()
