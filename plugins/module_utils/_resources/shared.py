# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What several resources have in common: TTLs, tuning of a mount, names."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import (
    duration,
    names,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostic,
    Diagnostics,
    Field,
    Plan,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import usernames
from ansible_collections.leasehold.vault.plugins.module_utils._resources import dependents

UPDATE_PASSWORD: Values = {"type": "str", "choices": ["on_create", "always"], "default": "on_create", "no_log": False}


def named(alias: str) -> Field:
    return Field("name", normalize=name, spec={"required": True, "aliases": [alias]})


def ordered_ttls(shorter: str, longer: str) -> t.Callable[[Values, Plan], Diagnostics]:
    """Vault would store the contradiction and quietly cap every lease."""

    def rule(desired: Values, plan: Plan) -> Diagnostics:
        asked = desired.get(shorter) is not None or desired.get(longer) is not None
        low, high = plan.after.get(shorter) or 0, plan.after.get(longer) or 0
        if asked and high and low > high:
            raise Refused(
                f"{shorter} ({low} s) is longer than {longer} ({high} s); leases would silently be cut to {high} s."
            )
        return ()

    return rule


def tuned(make: t.Callable[..., Field], option: str, **more: t.Any) -> Field:
    return make(option, send=("config", option), **more)


TUNED = (
    tuned(duration, "default_lease_ttl"),
    tuned(duration, "max_lease_ttl"),
    tuned(text, "listing_visibility", default="hidden", spec={"choices": ["hidden", "unauth"]}),
    tuned(names, "audit_non_hmac_request_keys", spec={"no_log": False}),
    tuned(names, "audit_non_hmac_response_keys", spec={"no_log": False}),
    tuned(names, "passthrough_request_headers", spec={"no_log": False}),
    tuned(names, "allowed_response_headers"),
)
"""What mounts of every kind have, secrets engines and auth methods."""


def chosen_by_logins(template: str) -> str:
    """What somebody who logs in to Vault can put into the users' names, as a sentence; and an error if it is anything at all."""
    try:
        most = usernames.from_login(template)
    except ValueError as error:
        if not re.search(r"DisplayName|(?<![\w)])\.(?!\w)", template):
            return ""
        raise Refused(
            f"username_template: {error} here, so what a login puts into the names is not limited by anything that is known."
        ) from None
    if most is None:
        raise Refused(
            "username_template lets the display name of a login into the users' names whole, and with it whatever somebody has chosen as a "
            f"name or a claim. Leave .DisplayName out (new connections get {usernames.TEMPLATE}), or cut it with truncate."
        )
    return f"username_template lets {most} characters of a login's display name into the users' names." if most else ""


CREDENTIAL = (
    text(
        "credential_type", default="password", spec={"choices": ["password", "rsa_private_key", "client_certificate"]}
    ),
    Field("credential_config", type="dict", default={}),
)
"""What roles of both kinds have."""

credential_policy = dependents.policy_exists(lambda side: (side.get("credential_config") or {}).get("password_policy"))


def names_are_data(desired: Values, template: str) -> Diagnostics:
    """in_role quotes names with a tag that is longer than any name of PostgreSQL; other statements quote them as they were written."""
    try:
        given = chosen_by_logins(template)
    except Refused as refusal:
        if desired.get("in_role") is not None:
            raise Refused(f"The connection cannot be used with in_role. {refusal}") from None
        given = str(refusal)
    if given and desired.get("in_role") is None and desired.get("creation_statements") is not None:
        yield Diagnostic(
            f"{given} Vault copies names into statements as they are: one with a quote in it changes what they do. Use in_role."
        )
