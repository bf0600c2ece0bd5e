# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Tasks with audit devices: manage one, and hash values as it does."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.names import mount_path
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Field,
    Values,
    reading,
    reconcile,
)
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import (
    STATE,
    Task,
    act,
    reconcile_options_of,
    result_of,
)

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
from ansible_collections.leasehold.vault.plugins.module_utils._resources.audit_device import AUDIT_DEVICE


def _keep(session: Session, desired: Values, check_mode: bool) -> Values:
    def read(path: str) -> Values | None:
        """The server shows its devices all at once only."""
        current = session.client.read("sys/audit") or {}
        return current.get(path[len("sys/audit/") :] + "/")

    server = reading(session.client, read)
    outcome = reconcile(server, AUDIT_DEVICE, desired, reconcile_options_of(desired, check_mode))
    return result_of(AUDIT_DEVICE.kind, [(AUDIT_DEVICE, outcome)])


def audit_device() -> Task:
    return Task({**AUDIT_DEVICE.argument_spec(), "state": STATE["state"]}, _keep)


def _hashes(session: Session, desired: Values, check_mode: bool) -> Values:
    path = f"sys/audit-hash/{DEVICE.desired_value(desired)}"
    session.client.mask(*desired["inputs"])
    answers = [session.client.ask("put", path, {"input": value}, needs=("hash",)) for value in desired["inputs"]]
    return {"changed": False, "hashes": [answer["data"]["hash"] for answer in answers]}


DEVICE = Field("device", normalize=mount_path, spec={"required": True})
INPUTS = Field("inputs", type="list", spec={"elements": "str", "required": True, "no_log": True})


def audit_hash() -> Task:
    return act((DEVICE, INPUTS), _hashes)
