# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Database secrets engines, which the server lists among all mounts."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._fields import MOUNT
from ansible_collections.leasehold.vault.plugins.module_utils._module import MUST_EXIST, Task, require
from ansible_collections.leasehold.vault.plugins.module_utils._resources import ENGINE

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._auth import Session
    from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import Values


def show_engines(session: Session, wanted: Values, check_mode: bool) -> Values:
    """The module ``database_engine_info``."""
    client = session.client
    if not wanted.get("mount"):
        mounts = client.mounts("sys/mounts")
        chosen = {path: held for path, held in mounts.items() if held["type"] == "database"}
        return {
            "changed": False,
            "engines": [ENGINE.describe({"mount": path}, chosen[path]) for path in sorted(chosen)],
        }
    held = client.read(ENGINE.at(wanted))
    if held is None:
        require(client, wanted, f"mount {wanted['mount']}")
        return {"changed": False, "engines": []}
    if held.get("type") != "database":
        raise Problem(
            f"The mount {wanted['mount']} at {client.url} holds a {held.get('type')} engine, not a database engine."
        )
    return {"changed": False, "engines": [ENGINE.describe(wanted, held)]}


def engines() -> Task:
    mount = {key: value for key, value in MOUNT.argument().items() if key != "default"}
    return Task({"mount": mount, **MUST_EXIST}, show_engines)
