# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Database secrets engines: the mount and its tuning."""

from __future__ import annotations

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import (
    MOUNT,
    fact,
    flag,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostics,
    Plan,
    Resource,
    Server,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources.shared import TUNED, ordered_ttls, tuned


def _is_database_engine(desired: Values, plan: Plan) -> Diagnostics:
    current = plan.before.get("type")
    if current not in (None, "database"):
        raise Refused(
            f"The mount {desired['mount']} holds a {current} engine, not a database engine; choose another mount."
        )
    return ()


def _not_tainted(server: Server, desired: Values, plan: Plan) -> Diagnostics:
    """A tainted mount is listed like any other; only requests below it fail, with an error that explains it."""
    try:
        server.list(f"{MOUNT.desired_value(desired)}/config")
    except Forbidden:
        pass
    return ()


ENGINE = Resource(
    kind="engine",
    path="sys/mounts/{mount}",
    update_path="sys/mounts/{mount}/tune",
    identity=(MOUNT,),
    derive=lambda desired: {**desired, "type": "database"},
    fields=(
        text("type", internal=True),
        text("description", default=""),
        *TUNED,
        tuned(flag, "force_no_cache", default=False, immutable=True),
        flag("local", default=False, immutable=True),
        flag("seal_wrap", default=False, immutable=True),
        fact("accessor"),
        fact("running_plugin_version"),
    ),
    validators=(_is_database_engine, ordered_ttls("default_lease_ttl", "max_lease_ttl")),
    existing_checks=(_not_tainted,),
    leases=lambda server, desired: [f"{MOUNT.desired_value(desired)}/creds"],
)
