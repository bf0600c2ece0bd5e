# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Password policies: how Vault makes the passwords that it issues and rotates to."""

from __future__ import annotations

from ansible_collections.leasehold.vault.plugins.module_utils import _dependents, _policies
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._fields import text
from ansible_collections.leasehold.vault.plugins.module_utils._names import name
from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import (
    Field,
    Finding,
    Findings,
    Plan,
    Resource,
    Values,
)


def _as_meant(wanted: Values, plan: Plan) -> Findings:
    """The server checks lengths and rules itself, when the policy is written; what it takes without a word is told here."""
    if plan.action not in ("create", "update"):
        return
    if not plan.after.get("policy", "").strip():
        raise Refused("policy is needed: the text of the password policy, HCL.")
    unknown, quoting = _policies.of_passwords(plan.after["policy"])
    if unknown:
        yield Finding(f"policy: {', '.join(unknown)} is no word of a password policy, and the server ignores it.")
    if quoting:
        yield Finding(
            "policy: a password with ' in it breaks the SQL of every connection whose password_authentication is password, and the "
            "server's error then shows parts of it; with scram-sha-256 it does not."
        )


PASSWORD_POLICY = Resource(
    kind="password_policy",
    path="sys/policies/password/{name}",
    identity=(Field("name", same=name, spec={"required": True}),),
    fields=(text("policy", counts=str.strip),),
    rules=(_as_meant,),
    safeguards=(_dependents.policy_is_unused,),
)
