# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""ACL policies."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import (
    fact,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostic,
    Diagnostics,
    Field,
    Plan,
    Resource,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources import policy_language


def policy_name(value: t.Any) -> str:
    """Vault keeps the names of policies in lower case."""
    given = str(value).lower()
    if not re.fullmatch(r"[\w-][\w.:@-]*([/ ][\w-][\w.:@-]*)*", given, re.ASCII):
        raise ValueError(
            f"{str(value)!r} cannot name a policy here; use letters, digits and _ . : @ -, with single blanks or slashes inside"
        )
    return given


def _ours_to_change(desired: Values, plan: Plan) -> Diagnostics:
    policy = policy_name(desired["name"])
    if policy in ("root", "response-wrapping") and plan.action != "none":
        raise Refused(f"The policy {policy} is Vault's own and cannot be changed or deleted.")
    if policy == "default" and plan.action == "delete":
        raise Refused("The policy default cannot be deleted; it belongs to every token that does not do without it.")
    return ()


def _says_something(desired: Values, plan: Plan) -> Diagnostics:
    if plan.action not in ("create", "update"):
        return
    if desired.get("policy") is None:
        raise Refused("policy is needed: the text of the policy, HCL or JSON.")
    unknown = policy_language.unknown_words(plan.after["policy"])
    if unknown:
        yield Diagnostic(
            f"policy: {', '.join(unknown)} is an unknown policy keyword; the server most likely refuses it."
        )
    lost = [option for option in ("expiration", "cas_required") if plan.before.get(option)]
    if lost:
        yield Diagnostic(
            f"OpenBao resets {' and '.join(lost)} of a policy that is written anew, unless they are given again."
        )


POLICY = Resource(
    kind="policy",
    path="sys/policies/acl/{name}",
    identity=(Field("name", normalize=policy_name, spec={"required": True}),),
    fields=(
        Field(
            "policy",
            type="raw",
            normalize=policy_language.checked,
            compare_by=policy_language.normal,
            spec={"aliases": ["rules"], "no_log": False},
        ),
        fact("expiration"),
        fact("cas_required", normalize=bool),
    ),
    validators=(_ours_to_change, _says_something),
)
