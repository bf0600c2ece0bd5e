# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Password policies: how Vault makes the passwords that it issues and rotates to."""

from __future__ import annotations

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import text
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostic,
    Diagnostics,
    Field,
    Plan,
    Resource,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources import dependents, policy_language


def _as_meant(desired: Values, plan: Plan) -> Diagnostics:
    """The server checks lengths and rules itself, when the policy is written; this adds warnings for what it silently ignores."""
    if plan.action not in ("create", "update"):
        return
    if not plan.after.get("policy", "").strip():
        raise Refused("policy is needed: the text of the password policy, HCL.")
    unknown, quoting = policy_language.of_passwords(plan.after["policy"])
    if unknown:
        yield Diagnostic(f"policy: {', '.join(unknown)} is not a password policy keyword; the server ignores it.")
    if quoting:
        yield Diagnostic(
            "policy: a password with ' in it breaks the SQL of every connection whose password_authentication is password, and the "
            "server's error then shows parts of it; with scram-sha-256 it does not."
        )


PASSWORD_POLICY = Resource(
    kind="password_policy",
    path="sys/policies/password/{name}",
    identity=(Field("name", normalize=name, spec={"required": True}),),
    fields=(text("policy", compare_by=str.strip),),
    validators=(_as_meant,),
    dependency_checks=(dependents.policy_is_unused,),
)
