# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Tasks that manage and show the roles of auth mounts."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import MountMissing
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Values,
    reconcile,
)
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import (
    MUST_EXIST,
    STATE,
    Task,
    read_objects,
    reconcile_options_of,
    result_of,
)

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
from ansible_collections.leasehold.vault.plugins.module_utils._operations.by_type import only_of, union
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_mount import TYPE, at_its_type
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_role import ROLES


def keep_role(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``auth_role``."""
    resource = ROLES[desired["type"]]
    only_of(desired["type"], desired, ROLES)
    answer = result_of(
        resource.kind,
        [(resource, reconcile(session.client, resource, desired, reconcile_options_of(desired, check_mode)))],
    )
    _complete(session, desired, [answer["auth_role"]] if answer["auth_role"] else [])
    return answer


def show_roles(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``auth_role_info``."""
    desired = at_its_type(desired)
    roles = read_objects(session.client, ROLES[desired["type"]], desired, "auth/{mount}/role")
    _complete(session, desired, roles)
    return {"changed": False, "auth_roles": roles}


def _complete(session: Session, desired: Values, roles: list[Values]) -> None:
    """Say of each role what it is, and of an AppRole's its id: half of its login, and no secret."""
    for role in roles:
        role["type"] = desired["type"]
        if desired["type"] == "approle":
            path = f"auth/{role['mount']}/role/{role['name']}/role-id"
            try:
                role["role_id"] = (session.client.read(path) or {}).get("role_id", "")
            except MountMissing:
                role["role_id"] = ""  # a check run, before there is anything


def auth_role() -> Task:
    return Task({**union(ROLES), "state": STATE["state"], "validate": STATE["validate"]}, keep_role)


def auth_role_info() -> Task:
    (mount, role), spec = ROLES["approle"].identity, {"aliases": ["role_name"]}
    return Task(
        {"type": TYPE, "mount": mount.argument(), "name": {**role.argument(), **spec, "required": False}, **MUST_EXIST},
        show_roles,
    )
