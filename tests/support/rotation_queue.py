# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database secrets engine reads its static roles some milliseconds after it is mounted.

OpenBao 2.7.2 crashes when one is written or deleted meanwhile (populateQueue, rotation.go). Plays are too slow for
that, tests are not. That it has read them is in the server's log only, OpenBao's and Vault's.
"""

from __future__ import annotations

import time
import typing as t

if t.TYPE_CHECKING:
    import servers


def wait_for_rotation_queue(server: servers.OpenBao, accessor: str) -> None:
    """Until the mount with this accessor has read its static roles, or the server is not there to do it."""
    end = time.monotonic() + 30
    while f"{accessor}: starting periodic ticker" not in _since_it_was_opened(server):
        if server.has_crashed or time.monotonic() > end:
            raise AssertionError(f"{accessor} has not read its static roles: {server.log_tail()}")
        time.sleep(0.002)


def _since_it_was_opened(server: servers.OpenBao) -> str:
    """The log goes on when a server is started again, which reads them again."""
    return server.log_path.read_text(errors="replace").rpartition("post-unseal setup starting")[2]
