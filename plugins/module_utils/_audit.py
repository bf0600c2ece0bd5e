# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Audit devices: where Vault writes down what it was asked and what it answered."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._fields import flag, mount_path, text
from ansible_collections.leasehold.vault.plugins.module_utils._module import STATE, Task, manner_of, told
from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import (
    Field,
    Resource,
    Values,
    reading,
    reconcile,
)

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._auth import Session


def _texts(value: t.Any) -> Values:
    """The server keeps every option as text."""
    return {str(key): str(held).lower() if isinstance(held, bool) else str(held) for key, held in value.items()}


AUDIT_DEVICE = Resource(
    kind="audit_device",
    path="sys/audit/{name}",
    identity=(Field("name", same=mount_path, spec={"required": True}),),
    fields=(
        text("type", initial="file", fixed=True, spec={"choices": ["file", "socket", "syslog"]}),
        text("description", default="", fixed=True),
        Field("options", type="dict", same=_texts, default={}, fixed=True),
        flag("local", default=False, fixed=True),
    ),
)


def _keep(session: Session, wanted: Values, check_mode: bool) -> Values:
    def read(path: str) -> Values | None:
        """The server shows its devices all at once only."""
        held = session.client.read("sys/audit") or {}
        return held.get(path[len("sys/audit/") :] + "/")

    server = reading(session.client, read)
    outcome = reconcile(server, AUDIT_DEVICE, wanted, manner_of(wanted, check_mode))
    return told(AUDIT_DEVICE.kind, [(AUDIT_DEVICE, outcome)])


def audit_device() -> Task:
    return Task({**AUDIT_DEVICE.argument_spec(), "state": STATE["state"]}, _keep)
