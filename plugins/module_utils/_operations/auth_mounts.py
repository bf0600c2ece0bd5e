# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Tasks that manage and show auth mounts."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Resource,
    Server,
    Values,
    reading,
    reconcile,
)
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import (
    STATE,
    Task,
    reconcile_options_of,
    require,
    result_of,
)

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
from ansible_collections.leasehold.vault.plugins.module_utils._operations.by_type import only_of, union
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_mount import (
    AUTH_MOUNT,
    CONFIGURATIONS,
    JWT,
    PATH,
    TYPES,
    at_its_type,
)


def keep_mount(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``auth_mount``: the mount, then what is configured inside it."""
    client, reconcile_options, desired = session.client, reconcile_options_of(desired, check_mode), at_its_type(desired)
    configuration = CONFIGURATIONS.get(desired["type"])
    only_of(desired["type"], desired, CONFIGURATIONS)
    if not configuration or reconcile_options.state == "absent" or not _asked(configuration, desired):
        return result_of(AUTH_MOUNT.kind, [(AUTH_MOUNT, reconcile(client, AUTH_MOUNT, desired, reconcile_options))])

    def inside() -> Server:
        """Before the method is mounted, and so in a check run, nothing can be read in there."""
        mounted = client.read(AUTH_MOUNT.at(desired)) is not None
        return client if mounted else reading(client, lambda path: None)

    server = inside()
    if server is not client:  # what is refused is refused before there is a mount
        reconcile(server, configuration, desired, dataclasses.replace(reconcile_options, dry_run=True))
    outcomes = [(AUTH_MOUNT, reconcile(client, AUTH_MOUNT, desired, reconcile_options))]
    outcomes.append((configuration, reconcile(inside(), configuration, desired, reconcile_options)))
    return result_of(AUTH_MOUNT.kind, outcomes)


def show_mounts(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``auth_mount_info``."""
    client = session.client
    if desired.get("mount"):
        current = client.read(AUTH_MOUNT.at(desired))
        if current is None:
            require(client, desired, f"auth mount {desired['mount']}")
        mounts = {PATH.desired_value(desired): current} if current is not None else {}
    else:
        mounts = {path: current for path, current in client.mounts("sys/auth").items() if current["type"] in TYPES}
    shown = []
    for path, current in sorted(mounts.items()):
        shown.append(AUTH_MOUNT.describe({"mount": path}, current))
        if current.get("type") in CONFIGURATIONS:
            configuration = CONFIGURATIONS[current["type"]]
            shown[-1].update(configuration.describe({"mount": path}, client.read(configuration.at({"mount": path}))))
    return {"changed": False, "auth_mounts": shown}


def _asked(resource: Resource, desired: Values) -> bool:
    return any(desired.get(f.option) is not None for f in resource.fields if not f.internal)


def auth_mount() -> Task:
    options = {**AUTH_MOUNT.argument_spec(), **union(CONFIGURATIONS), **STATE}
    return Task(options, keep_mount, dict(JWT.constraints))
