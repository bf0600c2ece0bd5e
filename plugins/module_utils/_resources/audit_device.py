# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Audit devices."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import flag, text
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import mount_path
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostic,
    Diagnostics,
    Field,
    Plan,
    Resource,
    Values,
)


def _texts(value: t.Any) -> Values:
    """The server keeps every option as text, and reads a mode as octal: of 0640, YAML makes 416, which would let everybody write."""
    if isinstance(value.get("mode"), int):
        raise ValueError("mode must be a string of octal digits: write it in quotes, '0600'")
    return {
        str(key): str(current).lower() if isinstance(current, bool) else str(current) for key, current in value.items()
    }


def _not_executable(desired: Values, plan: Plan) -> Diagnostics:
    mode = str((plan.after.get("options") or {}).get("mode", ""))
    if plan.action == "create" and re.fullmatch("[0-7]+", mode) and int(mode, 8) & 0o111:
        yield Diagnostic(
            f"mode {mode} makes the log executable, which HashiCorp Vault 1.20.1 and newer refuses; use 0600."
        )


AUDIT_DEVICE = Resource(
    kind="audit_device",
    path="sys/audit/{name}",
    identity=(Field("name", normalize=mount_path, spec={"required": True}),),
    fields=(
        text("type", initial="file", immutable=True, spec={"choices": ["file", "socket", "syslog"]}),
        text("description", default="", immutable=True),
        Field("options", type="dict", normalize=_texts, default={}, immutable=True),
        flag("local", default=False, immutable=True),
    ),
    validators=(_not_executable,),
)
