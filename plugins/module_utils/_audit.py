# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Audit devices: where Vault writes down what it was asked and what it answered, and the hashes with which it does."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._fields import flag, text
from ansible_collections.leasehold.vault.plugins.module_utils._module import STATE, Task, act, manner_of, told
from ansible_collections.leasehold.vault.plugins.module_utils._names import mount_path
from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import (
    Field,
    Finding,
    Findings,
    Plan,
    Resource,
    Values,
    reading,
    reconcile,
)

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._auth import Session


def _texts(value: t.Any) -> Values:
    """The server keeps every option as text, and reads a mode as octal: of 0640, YAML makes 416, which would let everybody write."""
    if isinstance(value.get("mode"), int):
        raise ValueError("mode must be a string of octal digits: write it in quotes, '0600'")
    return {str(key): str(held).lower() if isinstance(held, bool) else str(held) for key, held in value.items()}


def _not_executable(wanted: Values, plan: Plan) -> Findings:
    mode = str((plan.after.get("options") or {}).get("mode", ""))
    if plan.action == "create" and re.fullmatch("[0-7]+", mode) and int(mode, 8) & 0o111:
        yield Finding(
            f"mode {mode} makes the log executable, which HashiCorp Vault 1.20.1 and newer refuses; use 0600."
        )


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
    rules=(_not_executable,),
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


def _hashes(session: Session, wanted: Values, check_mode: bool) -> Values:
    path = f"sys/audit-hash/{DEVICE.said_in(wanted)}"
    session.client.mask(*wanted["inputs"])
    answers = [session.client.ask("put", path, {"input": value}, needs=("hash",)) for value in wanted["inputs"]]
    return {"changed": False, "hashes": [answer["data"]["hash"] for answer in answers]}


DEVICE = Field("device", same=mount_path, spec={"required": True})
INPUTS = Field("inputs", type="list", spec={"elements": "str", "required": True, "no_log": True})


def audit_hash() -> Task:
    return act((DEVICE, INPUTS), _hashes)
