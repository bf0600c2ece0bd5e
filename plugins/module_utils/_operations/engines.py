# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Database secrets engines, which the server lists among all mounts."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import MUST_EXIST, Task, require
from ansible_collections.leasehold.vault.plugins.module_utils._resources.engine import ENGINE

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session


def show_engines(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``database_engine_info``."""
    client = session.client
    if not desired.get("mount"):
        mounts = client.mounts("sys/mounts")
        chosen = {path: current for path, current in mounts.items() if current["type"] == "database"}
        return {
            "changed": False,
            "engines": [ENGINE.describe({"mount": path}, chosen[path]) for path in sorted(chosen)],
        }
    current = client.read(ENGINE.at(desired))
    if current is None:
        require(client, desired, f"mount {desired['mount']}")
        return {"changed": False, "engines": []}
    if current.get("type") != "database":
        raise Problem(
            f"The mount {desired['mount']} at {client.url} holds a {current.get('type')} engine, not a database engine."
        )
    return {"changed": False, "engines": [ENGINE.describe(desired, current)]}


def engines() -> Task:
    mount = {key: value for key, value in MOUNT.argument().items() if key != "default"}
    return Task({"mount": mount, **MUST_EXIST}, show_engines)
