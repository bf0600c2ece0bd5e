# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Auth mounts of type AppRole, Kubernetes and JWT, and their configuration."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import (
    fact,
    flag,
    names,
    secret,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import mount_path
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostics,
    Field,
    Plan,
    Resource,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources.shared import (
    TUNED,
    UPDATE_PASSWORD,
    ordered_ttls,
    tuned,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import known_to_server

TYPES = ("approle", "kubernetes", "jwt")
TYPE: Values = {"type": "str", "choices": list(TYPES), "required": True}


def at_its_type(desired: Values) -> Values:
    """The mount path defaults to the method's type."""
    return {**desired, "mount": desired.get("mount") or desired["type"]}


def _is_this_method(desired: Values, plan: Plan) -> Diagnostics:
    current = plan.before.get("type", desired["type"])
    if current != desired["type"]:
        raise Refused(
            f"The auth mount {desired['mount']} holds a {current} method, not {desired['type']}; choose another mount."
        )
    return ()


PATH = Field("mount", normalize=mount_path, spec={})

AUTH_MOUNT = Resource(
    kind="auth_mount",
    path="sys/auth/{mount}",
    update_path="sys/auth/{mount}/tune",
    identity=(PATH,),
    derive=at_its_type,
    fields=(
        text("type", spec=TYPE, immutable=True),
        text("description", default=""),
        *TUNED,
        tuned(
            text,
            "token_type",
            default="default-service",
            spec={"choices": ["default-service", "default-batch", "service", "batch"], "no_log": False},
        ),
        flag("local", default=False, immutable=True),
        fact("accessor"),
    ),
    validators=(_is_this_method, ordered_ttls("default_lease_ttl", "max_lease_ttl")),
    leases=lambda server, desired: [f"auth/{PATH.desired_value(desired)}"],
    stranded="every token of a login there, and every lease issued under it, would be revoked at once",
)


def _pem(value: t.Any) -> str:
    return str(value).strip()


def _pem_set(value: t.Any) -> list[str]:
    return sorted({_pem(one) for one in ([value] if isinstance(value, str) else value)})


def _kept(make: t.Callable[..., Field], option: str, **more: t.Any) -> Field:
    """A write replaces the whole configuration: what it does not say goes back to the default."""
    return make(option, resend=True, **more)


def _certificate(option: str, **more: t.Any) -> Field:
    return Field(option, normalize=_pem, default="", **more)


def _keys(option: str, **more: t.Any) -> Field:
    more["spec"] = {"elements": "str", "no_log": False}
    return Field(option, type="list", normalize=_pem_set, default=[], **more)


def _reviewer_kept(desired: Values, plan: Plan) -> Diagnostics:
    """The server shows no secret, so this write could not repeat it; HashiCorp Vault 1.16 and older do not even show whether there is one."""
    current = plan.before.get("token_reviewer_jwt_set")
    if plan.action == "update" and current is not False and desired.get("token_reviewer_jwt") is None:
        what = (
            "would lose the one it has."
            if current
            else "would lose the one it may have; this server does not show it. Give it, or an empty one if there is none."
        )
        raise Refused(
            "token_reviewer_jwt is needed: the server replaces the whole configuration of a Kubernetes method with each write, and "
            f"{what}"
        )
    return ()


KUBERNETES = Resource(
    kind="auth_mount",
    path="auth/{mount}/config",
    identity=(PATH,),
    shorthand={"update_password": UPDATE_PASSWORD},
    fields=(
        _kept(text, "kubernetes_host", default=""),
        _kept(_certificate, "kubernetes_ca_cert"),
        _kept(secret, "token_reviewer_jwt", presence_flag=("token_reviewer_jwt_set",)),
        _kept(flag, "disable_local_ca_jwt", default=False),
        _kept(_keys, "pem_keys"),
        _kept(text, "issuer", default=""),
        _kept(flag, "disable_iss_validation", default=True),
        _kept(flag, "use_annotations_as_alias_metadata", default=False),
        fact("token_reviewer_jwt_set", normalize=bool),
    ),
    validators=(_reviewer_kept,),
    requirements=(known_to_server("auth_mount", lambda desired: f"auth/{PATH.desired_value(desired)}/config"),),
)

SOURCES = ("jwks_url", "jwt_validation_pubkeys", "oidc_discovery_url")


def _one_source(desired: Values) -> Values:
    """Who is given one source of keys has given up the others."""
    if any(desired.get(source) is not None for source in SOURCES):
        empty: Values = {"jwks_url": "", "jwt_validation_pubkeys": [], "oidc_discovery_url": ""}
        return {**desired, **{s: empty[s] for s in SOURCES if desired.get(s) is None}}
    return desired


def _not_for_people_too(desired: Values, plan: Plan) -> Diagnostics:
    if plan.action == "update" and plan.before.get("oidc_client_id"):
        raise Refused(
            f"The auth mount {desired['mount']} also logs people in (oidc_client_id is set), and the server would lose their client secret, "
            "since it replaces the whole configuration with each write. Use a mount of its own for applications."
        )
    return ()


JWT = Resource(
    kind="auth_mount",
    path="auth/{mount}/config",
    identity=(PATH,),
    constraints={"mutually_exclusive": [SOURCES]},
    derive=_one_source,
    fields=(
        _kept(text, "jwks_url", default=""),
        _kept(_certificate, "jwks_ca_pem"),
        _kept(_keys, "jwt_validation_pubkeys"),
        _kept(text, "oidc_discovery_url", default=""),
        _kept(_certificate, "oidc_discovery_ca_pem"),
        _kept(text, "bound_issuer", default=""),
        _kept(names, "jwt_supported_algs"),
        _kept(text, "default_role", default=""),
        fact("oidc_client_id"),
        *(
            Field(option, internal=True, resend=True)
            for option in ("provider_config", "override_allowed_server_names", "namespace_in_state")
        ),
    ),
    validators=(_not_for_people_too,),
)

CONFIGURATIONS = {"kubernetes": KUBERNETES, "jwt": JWT}
