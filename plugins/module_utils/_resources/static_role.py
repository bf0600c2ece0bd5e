# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Static roles: PostgreSQL users whose password Vault changes."""

from __future__ import annotations

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import (
    MOUNT,
    duration,
    fact,
    password,
    statements,
    switch,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostic,
    Diagnostics,
    Plan,
    Resource,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources import dependents
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import allowed_by_connection
from ansible_collections.leasehold.vault.plugins.module_utils._resources.shared import (
    CREDENTIAL,
    UPDATE_PASSWORD,
    credential_policy,
    named,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import known_to_server


def _can_rotate(desired: Values, plan: Plan) -> Diagnostics:
    period, schedule = plan.after.get("rotation_period"), plan.after.get("rotation_schedule")
    if desired.get("rotation_period") is not None and (period or 0) < 5:
        raise Refused(f"rotation_period: {period} s is too short; Vault rotates every 5 s at the most.")
    if plan.action != "create":
        return
    missing = [option for option in ("db_name", "username") if not plan.after.get(option)]
    if not (period or schedule):
        missing.append("rotation_period (or rotation_schedule)")
    if missing:
        raise Refused(f"A static role needs {' and '.join(missing)} when it is made.")
    if not desired.get("skip_import_rotation"):
        yield Diagnostic(
            f"Making the static role {desired['name']} rotates the password of {plan.after['username']} at once: whatever logs in with the "
            "present one stops working until it reads the new one from Vault."
        )


STATIC_ROLE = Resource(
    kind="static_role",
    path="{mount}/static-roles/{name}",
    identity=(MOUNT, named("role_name")),
    shorthand={"update_password": UPDATE_PASSWORD},
    constraints={
        "mutually_exclusive": [("rotation_period", "rotation_schedule"), ("rotation_period", "rotation_window")]
    },
    fields=(
        text("db_name"),
        text("username", immutable=True, resend=True),
        duration("rotation_period"),
        text("rotation_schedule", default=""),
        duration("rotation_window"),
        statements("rotation_statements"),
        *CREDENTIAL,
        switch("skip_import_rotation"),
        password("self_managed_password"),
        password("password"),
        fact("last_vault_rotation"),
    ),
    validators=(_can_rotate,),
    requirements=(
        known_to_server(
            "static_role", lambda desired: f"{MOUNT.desired_value(desired)}/static-roles/{desired['name']}"
        ),
    ),
    pre_write_checks=(allowed_by_connection, dependents.static_role_keeps_alone, credential_policy),
    dependency_checks=(dependents.static_role_keeps_server,),
    side_effects=lambda desired: {} if desired.get("skip_import_rotation") else {"password": "(rotated at once)"},
)
