# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Roles of AppRole, Kubernetes and JWT auth mounts: who may log in, and with which policies."""

from __future__ import annotations

import ipaddress
import json
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import (
    duration,
    flag,
    names,
    number,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostic,
    Diagnostics,
    Field,
    Plan,
    Resource,
    Server,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds
from ansible_collections.leasehold.vault.plugins.module_utils._resources.acl_policy import policy_name
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_mount import PATH, TYPE, at_its_type
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import known_to_server


def _low_name(value: t.Any) -> str:
    """Vault keeps the names of auth roles in lower case."""
    return name(value).lower()


def _policy_set(value: t.Any) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    chosen = sorted({policy_name(str(item).strip()) for item in items if str(item).strip()})
    if "root" in chosen:
        raise ValueError("no auth method can give the policy root, every login would fail; name policies of your own")
    return chosen


def _networks(value: t.Any) -> list[str]:
    """``10.0.0.1`` is a network of one address."""
    try:
        return sorted({str(ipaddress.ip_network(str(item).strip(), strict=False)) for item in value})
    except ValueError as error:
        raise ValueError(f"{error}; write addresses or networks (10.0.0.0/8)") from None


def _as_shown(value: t.Any) -> list[str]:
    """The server shows a network of one address without its length."""
    networks = map(ipaddress.ip_network, _networks(value))
    return sorted(str(each.network_address if each.num_addresses == 1 else each) for each in networks)


def cidrs(option: str, normalize: t.Callable[[t.Any], list[str]] = _networks) -> Field:
    return Field(option, type="list", normalize=normalize, default=[], spec={"elements": "str", "no_log": False})


def _life(option: str, **more: t.Any) -> Field:
    return duration(option, spec={"no_log": False}, **more)


def _claims(value: t.Any) -> Values:
    """One value and a list of it are the same, and so is every order of a list."""
    return {
        claim: sorted(expected if isinstance(expected, list) else [expected], key=json.dumps)
        for claim, expected in dict(value).items()
    }


def _leeway(value: t.Any) -> int:
    """-1 turns it off; 0 is the default of 150 s (clock skew: 60 s)."""
    return -1 if str(value).strip() == "-1" else seconds(value)


_TOKEN = (
    Field(
        "token_policies",
        type="list",
        normalize=_policy_set,
        default=[],
        spec={"elements": "str", "no_log": False, "aliases": ["policies"]},
    ),
    flag("token_no_default_policy", default=False),
    _life("token_ttl"),
    _life("token_max_ttl"),
    _life("token_explicit_max_ttl"),
    _life("token_period"),
    text(
        "token_type",
        default="default",
        spec={"choices": ["default", "service", "batch", "default-service", "default-batch"], "no_log": False},
    ),
    number("token_num_uses", default=0, spec={"no_log": False}),
    cidrs("token_bound_cidrs", _as_shown),
    flag("token_strictly_bind_ip", default=False, spec={"no_log": False}),
)


def _one_life(desired: Values, plan: Plan) -> Diagnostics:
    """What contradicts itself is stored, and quietly cut when somebody logs in."""
    asked = any(desired.get(f.option) is not None for f in _TOKEN)
    ttl, period, longest = (plan.after.get(f"token_{word}") or 0 for word in ("ttl", "period", "max_ttl"))
    if not asked:
        return ()
    if ttl and period:
        raise Refused(
            f"token_ttl ({ttl} s) has no effect beside token_period ({period} s): a periodic token always lives one period longer. Give one "
            "of them, and set the other to 0 if the role has it."
        )
    if longest and max(ttl, period) > longest:
        word = "token_ttl" if ttl else "token_period"
        raise Refused(
            f"{word} ({max(ttl, period)} s) is longer than token_max_ttl ({longest} s), and would silently be cut."
        )
    if "batch" in plan.after.get("token_type", "") and (period or plan.after.get("token_num_uses")):
        raise Refused("A batch token can be neither periodic nor counted; set token_period and token_num_uses to 0.")
    return ()


def _needs(plan: Plan, *options: str) -> None:
    missing = [option for option in options if plan.action == "create" and not plan.after.get(option)]
    if missing:
        raise Refused(f"{' and '.join(missing)} needed: the role would not say who may log in.")


def _somebody_in_particular(desired: Values, plan: Plan) -> Diagnostics:
    """What the role's type wants to know of whoever logs in."""
    after, kind = plan.after, desired["type"]
    if plan.action not in ("create", "update"):
        return
    if kind == "approle":
        if not (
            after.get("bind_secret_id", True) or after.get("secret_id_bound_cidrs") or after.get("token_bound_cidrs")
        ):
            raise Refused(
                "bind_secret_id: false leaves no condition at all; add token_bound_cidrs, so that not everybody may log in."
            )
    elif kind == "kubernetes":
        _needs(plan, "bound_service_account_names")
        if not after.get("bound_service_account_namespace_selector"):
            _needs(plan, "bound_service_account_namespaces")
        bound = [after.get(f"bound_service_account_{of}") or [] for of in ("names", "namespaces")]
        for values in bound:
            if "*" in values and len(values) > 1:
                raise Refused(
                    f"* beside {', '.join(values[1:])}: * already includes every name, and Vault refuses it beside others."
                )
        if bound == [["*"], ["*"]]:
            yield Diagnostic(
                "Every pod of the cluster may log in: bound_service_account_names and _namespaces are both *."
            )
    else:
        _needs(plan, "user_claim")
        if not any(after.get(f"bound_{what}") for what in ("audiences", "claims", "subject")):
            _needs(plan, "bound_audiences (or bound_subject, bound_claims)")
        if plan.before.get("role_type") == "oidc":
            raise Refused("This role logs people in (role_type oidc); choose another name for the application's.")


def _mount_has_type(server: Server, desired: Values, plan: Plan) -> Diagnostics:
    """A method of another type takes the role, ignores what it does not know, and lets nobody in."""
    mount = PATH.desired_value(desired)
    try:
        current = (server.read(f"sys/internal/ui/mounts/auth/{mount}") or {}).get("type")
    except Forbidden:
        return ()  # also the answer where nothing is mounted, which reading the role has reported already
    if current and current != desired["type"]:
        raise Refused(f"The auth mount {mount} holds a {current} method, not {desired['type']}; correct type or mount.")
    return ()


def _role(*fields: Field) -> Resource:
    return Resource(
        kind="auth_role",
        path="auth/{mount}/role/{name}",
        identity=(PATH, Field("name", normalize=_low_name, spec={"required": True, "aliases": ["role_name"]})),
        shorthand={"type": TYPE},
        derive=at_its_type,
        fields=(*fields, *_TOKEN),
        validators=(_one_life, _somebody_in_particular),
        requirements=(
            known_to_server("auth_role", lambda desired: f"auth/{PATH.desired_value(desired)}/role/{desired['name']}"),
        ),
        pre_write_checks=(_mount_has_type,),
    )


ROLES = {
    "approle": _role(
        flag("bind_secret_id", default=True, spec={"no_log": False}),
        _life("secret_id_ttl"),
        number("secret_id_num_uses", default=0, spec={"no_log": False}),
        cidrs("secret_id_bound_cidrs"),
        flag("local_secret_ids", default=False, immutable=True, spec={"no_log": False}),
    ),
    "kubernetes": _role(
        names("bound_service_account_names"),
        names("bound_service_account_namespaces"),
        # The server forgets this one in every write that does not repeat it.
        text("bound_service_account_namespace_selector", default="", resend=True),
        text("audience", default=""),
        text(
            "alias_name_source",
            default="serviceaccount_uid",
            spec={"choices": ["serviceaccount_uid", "serviceaccount_name"]},
        ),
    ),
    "jwt": _role(
        # Left out, these two would go back to oidc and string.
        text("role_type", internal=True, resend=True, initial="jwt"),
        text("bound_claims_type", default="string", resend=True, spec={"choices": ["string", "glob"]}),
        text("user_claim"),
        flag("user_claim_json_pointer", default=False),
        text("groups_claim", default=""),
        names("bound_audiences"),
        text("bound_subject", default=""),
        Field("bound_claims", type="dict", normalize=_claims, default={}),
        Field("claim_mappings", type="dict", default={}),
        *(
            Field(option, normalize=_leeway, default=0)
            for option in ("clock_skew_leeway", "expiration_leeway", "not_before_leeway")
        ),
    ),
}
