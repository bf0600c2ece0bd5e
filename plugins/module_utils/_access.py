# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What an application needs to come in: a policy, an auth mount, a role there; for AppRole, secret ids."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils import _policies
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Forbidden, MountMissing, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._fields import (
    duration,
    fact,
    flag,
    names,
    number,
    secret,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._module import (
    MUST_EXIST,
    STATE,
    Task,
    found,
    manner_of,
    require,
    told,
)
from ansible_collections.leasehold.vault.plugins.module_utils._names import mount_path, name
from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import (
    Field,
    Finding,
    Findings,
    Plan,
    Resource,
    Server,
    Values,
    reading,
    reconcile,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources import (
    TUNED,
    UPDATE_PASSWORD,
    ordered_ttls,
    tuned,
)
from ansible_collections.leasehold.vault.plugins.module_utils._servers import known_to_server
from ansible_collections.leasehold.vault.plugins.module_utils._times import seconds

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._auth import Session

TYPES = ("approle", "kubernetes", "jwt")
TYPE: Values = {"type": "str", "choices": list(TYPES), "required": True}


# -- policies -------------------------------------------------------------------------------------------------------------


def _policy_name(value: t.Any) -> str:
    """Vault keeps the names of policies in small letters."""
    said = str(value).lower()
    if not re.fullmatch(r"[\w-][\w.:@-]*([/ ][\w-][\w.:@-]*)*", said, re.ASCII):
        raise ValueError(
            f"{str(value)!r} cannot name a policy here; use letters, digits and _ . : @ -, with single blanks or slashes inside"
        )
    return said


def _ours_to_change(wanted: Values, plan: Plan) -> Findings:
    policy = _policy_name(wanted["name"])
    if policy in ("root", "response-wrapping") and plan.action != "none":
        raise Refused(f"The policy {policy} is Vault's own and cannot be changed or deleted.")
    if policy == "default" and plan.action == "delete":
        raise Refused("The policy default cannot be deleted; it belongs to every token that does not do without it.")
    return ()


def _says_something(wanted: Values, plan: Plan) -> Findings:
    if plan.action not in ("create", "update"):
        return
    if wanted.get("policy") is None:
        raise Refused("policy is needed: the text of the policy, HCL or JSON.")
    unknown = _policies.unknown_words(plan.after["policy"])
    if unknown:
        yield Finding(
            f"policy: {', '.join(unknown)} is no word of a policy known here; the server most likely refuses it."
        )
    lost = [option for option in ("expiration", "cas_required") if plan.before.get(option)]
    if lost:
        yield Finding(
            f"OpenBao resets {' and '.join(lost)} of a policy that is written anew, unless they are given again."
        )


POLICY = Resource(
    kind="policy",
    path="sys/policies/acl/{name}",
    identity=(Field("name", same=_policy_name, spec={"required": True}),),
    fields=(
        Field(
            "policy",
            type="raw",
            same=_policies.checked,
            counts=_policies.normal,
            spec={"aliases": ["rules"], "no_log": False},
        ),
        fact("expiration"),
        fact("cas_required", same=bool),
    ),
    rules=(_ours_to_change, _says_something),
)


# -- auth mounts ----------------------------------------------------------------------------------------------------------


def _at_its_type(wanted: Values) -> Values:
    """A method is mounted under its own name, unless it is said otherwise."""
    return {**wanted, "mount": wanted.get("mount") or wanted["type"]}


def _is_this_method(wanted: Values, plan: Plan) -> Findings:
    held = plan.before.get("type", wanted["type"])
    if held != wanted["type"]:
        raise Refused(
            f"The auth mount {wanted['mount']} holds a {held} method, not {wanted['type']}; choose another mount."
        )
    return ()


PATH = Field("mount", same=mount_path, spec={})

AUTH_MOUNT = Resource(
    kind="auth_mount",
    path="sys/auth/{mount}",
    update_path="sys/auth/{mount}/tune",
    identity=(PATH,),
    derive=_at_its_type,
    fields=(
        text("type", spec=TYPE, fixed=True),
        text("description", default=""),
        *TUNED,
        tuned(
            text,
            "token_type",
            default="default-service",
            spec={"choices": ["default-service", "default-batch", "service", "batch"], "no_log": False},
        ),
        flag("local", default=False, fixed=True),
        fact("accessor"),
    ),
    rules=(_is_this_method, ordered_ttls("default_lease_ttl", "max_lease_ttl")),
    leases=lambda server, wanted: [f"auth/{PATH.said_in(wanted)}"],
    stranded="whoever logged in there would lose the token, and every database user issued under it, at once",
)


def _pem(value: t.Any) -> str:
    return str(value).strip()


def _pem_set(value: t.Any) -> list[str]:
    return sorted({_pem(one) for one in ([value] if isinstance(value, str) else value)})


def _kept(make: t.Callable[..., Field], option: str, **more: t.Any) -> Field:
    """A write replaces the whole configuration: what it does not say goes back to the default."""
    return make(option, always=True, **more)


def _certificate(option: str, **more: t.Any) -> Field:
    return Field(option, same=_pem, default="", **more)


def _keys(option: str, **more: t.Any) -> Field:
    more["spec"] = {"elements": "str", "no_log": False}
    return Field(option, type="list", same=_pem_set, default=[], **more)


def _reviewer_kept(wanted: Values, plan: Plan) -> Findings:
    """The server shows no secret, so this write could not repeat it; HashiCorp Vault does not even show whether there is one."""
    held = plan.before.get("token_reviewer_jwt_set")
    if plan.action == "update" and held is not False and wanted.get("token_reviewer_jwt") is None:
        what = (
            "would lose the one it has."
            if held
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
        _kept(secret, "token_reviewer_jwt", sign=("token_reviewer_jwt_set",)),
        _kept(flag, "disable_local_ca_jwt", default=False),
        _kept(_keys, "pem_keys"),
        _kept(text, "issuer", default=""),
        _kept(flag, "disable_iss_validation", default=True),
        _kept(flag, "use_annotations_as_alias_metadata", default=False),
        fact("token_reviewer_jwt_set", same=bool),
    ),
    rules=(_reviewer_kept,),
    requirements=(known_to_server("auth_mount", lambda wanted: f"auth/{PATH.said_in(wanted)}/config"),),
)

SOURCES = ("jwks_url", "jwt_validation_pubkeys", "oidc_discovery_url")


def _one_source(wanted: Values) -> Values:
    """Who is given one source of keys has given up the others."""
    if any(wanted.get(source) is not None for source in SOURCES):
        empty: Values = {"jwks_url": "", "jwt_validation_pubkeys": [], "oidc_discovery_url": ""}
        return {**wanted, **{s: empty[s] for s in SOURCES if wanted.get(s) is None}}
    return wanted


def _not_for_people_too(wanted: Values, plan: Plan) -> Findings:
    if plan.action == "update" and plan.before.get("oidc_client_id"):
        raise Refused(
            f"The auth mount {wanted['mount']} also logs people in (oidc_client_id is set), and the server would lose their client secret, "
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
            Field(option, internal=True, always=True)
            for option in ("provider_config", "override_allowed_server_names", "namespace_in_state")
        ),
    ),
    rules=(_not_for_people_too,),
)

CONFIGURATIONS = {"kubernetes": KUBERNETES, "jwt": JWT}


def keep_mount(session: Session, wanted: Values, check_mode: bool) -> Values:
    """The module ``auth_mount``: the mount, then what is configured inside it."""
    client, manner, wanted = session.client, manner_of(wanted, check_mode), _at_its_type(wanted)
    configuration = CONFIGURATIONS.get(wanted["type"])
    _only_of(wanted["type"], wanted, CONFIGURATIONS)
    if not configuration or manner.state == "absent" or not _asked(configuration, wanted):
        return told(AUTH_MOUNT.kind, [(AUTH_MOUNT, reconcile(client, AUTH_MOUNT, wanted, manner))])

    def inside() -> Server:
        """Before the method is mounted, and so in a check run, nothing can be read in there."""
        mounted = client.read(AUTH_MOUNT.at(wanted)) is not None
        return client if mounted else reading(client, lambda path: None)

    server = inside()
    if server is not client:  # what is refused is refused before there is a mount
        reconcile(server, configuration, wanted, dataclasses.replace(manner, dry_run=True))
    outcomes = [(AUTH_MOUNT, reconcile(client, AUTH_MOUNT, wanted, manner))]
    outcomes.append((configuration, reconcile(inside(), configuration, wanted, manner)))
    return told(AUTH_MOUNT.kind, outcomes)


def show_mounts(session: Session, wanted: Values, check_mode: bool) -> Values:
    """The module ``auth_mount_info``."""
    client = session.client
    if wanted.get("mount"):
        held = client.read(AUTH_MOUNT.at(wanted))
        if held is None:
            require(client, wanted, f"auth mount {wanted['mount']}")
        mounts = {PATH.said_in(wanted): held} if held is not None else {}
    else:
        mounts = {path: held for path, held in client.mounts("sys/auth").items() if held["type"] in TYPES}
    shown = []
    for path, held in sorted(mounts.items()):
        shown.append(AUTH_MOUNT.describe({"mount": path}, held))
        if held.get("type") in CONFIGURATIONS:
            configuration = CONFIGURATIONS[held["type"]]
            shown[-1].update(configuration.describe({"mount": path}, client.read(configuration.at({"mount": path}))))
    return {"changed": False, "auth_mounts": shown}


def _asked(resource: Resource, wanted: Values) -> bool:
    return any(wanted.get(f.option) is not None for f in resource.fields if not f.internal)


def _only_of(chosen: str, wanted: Values, kinds: t.Mapping[str, Resource]) -> None:
    """The server would take an option of another type without a word."""
    own = {f.option for f in kinds[chosen].fields} if chosen in kinds else set()
    for kind, resource in kinds.items():
        foreign = [f.option for f in resource.fields if f.option not in own and wanted.get(f.option) is not None]
        if foreign:
            raise Refused(
                f"{', '.join(foreign)}: not an option of type {chosen} but of {kind}; Vault would ignore it without a word."
            )


def _union(kinds: t.Mapping[str, Resource]) -> Values:
    options: Values = {}
    for resource in kinds.values():
        options |= {option: spec for option, spec in resource.argument_spec().items() if option not in options}
    return options


def auth_mount() -> Task:
    options = {**AUTH_MOUNT.argument_spec(), **_union(CONFIGURATIONS), **STATE}
    return Task(options, keep_mount, dict(JWT.constraints))


# -- auth roles -----------------------------------------------------------------------------------------------------------


def _low_name(value: t.Any) -> str:
    """Vault keeps the names of auth roles in small letters."""
    return name(value).lower()


def _policy_set(value: t.Any) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    chosen = sorted({_policy_name(str(item).strip()) for item in items if str(item).strip()})
    if "root" in chosen:
        raise ValueError("no auth method can give the policy root, every login would fail; name policies of your own")
    return chosen


def _networks(value: t.Any) -> list[str]:
    """``10.0.0.1`` is a network of one address."""
    try:
        return sorted({str(ipaddress.ip_network(str(item).strip(), strict=False)) for item in value})
    except ValueError as error:
        raise ValueError(f"{error}; write addresses or networks (10.0.0.0/8)") from None


def cidrs(option: str) -> Field:
    return Field(option, type="list", same=_networks, default=[], spec={"elements": "str", "no_log": False})


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
        same=_policy_set,
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
    cidrs("token_bound_cidrs"),
    flag("token_strictly_bind_ip", default=False, spec={"no_log": False}),
)


def _one_life(wanted: Values, plan: Plan) -> Findings:
    """What contradicts itself is stored, and quietly cut when somebody logs in."""
    asked = any(wanted.get(f.option) is not None for f in _TOKEN)
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


def _somebody_in_particular(wanted: Values, plan: Plan) -> Findings:
    """What the role's type wants to know of whoever logs in."""
    after, kind = plan.after, wanted["type"]
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
                raise Refused(f"* beside {', '.join(values[1:])}: everybody is everybody; Vault refuses the mixture.")
        if bound == [["*"], ["*"]]:
            yield Finding(
                "Every pod of the cluster may log in: bound_service_account_names and _namespaces are both *."
            )
    else:
        _needs(plan, "user_claim")
        if not any(after.get(f"bound_{what}") for what in ("audiences", "claims", "subject")):
            _needs(plan, "bound_audiences (or bound_subject, bound_claims)")
        if plan.before.get("role_type") == "oidc":
            raise Refused("This role logs people in (role_type oidc); choose another name for the application's.")


def _mounted_as_said(server: Server, wanted: Values, plan: Plan) -> Findings:
    """A method of another type takes the role, ignores what it does not know, and lets nobody in."""
    mount = PATH.said_in(wanted)
    try:
        held = (server.read(f"sys/internal/ui/mounts/auth/{mount}") or {}).get("type")
    except Forbidden:
        return ()  # also the answer where nothing is mounted, which reading the role has told already
    if held and held != wanted["type"]:
        raise Refused(f"The auth mount {mount} holds a {held} method, not {wanted['type']}; correct type or mount.")
    return ()


def _role(*fields: Field) -> Resource:
    return Resource(
        kind="auth_role",
        path="auth/{mount}/role/{name}",
        identity=(PATH, Field("name", same=_low_name, spec={"required": True, "aliases": ["role_name"]})),
        shorthand={"type": TYPE},
        derive=_at_its_type,
        fields=(*fields, *_TOKEN),
        rules=(_one_life, _somebody_in_particular),
        requirements=(
            known_to_server("auth_role", lambda wanted: f"auth/{PATH.said_in(wanted)}/role/{wanted['name']}"),
        ),
        inquiries=(_mounted_as_said,),
    )


ROLES = {
    "approle": _role(
        flag("bind_secret_id", default=True, spec={"no_log": False}),
        _life("secret_id_ttl"),
        number("secret_id_num_uses", default=0, spec={"no_log": False}),
        cidrs("secret_id_bound_cidrs"),
        flag("local_secret_ids", default=False, fixed=True, spec={"no_log": False}),
    ),
    "kubernetes": _role(
        names("bound_service_account_names"),
        names("bound_service_account_namespaces"),
        # The server forgets this one in every write that does not repeat it.
        text("bound_service_account_namespace_selector", default="", always=True),
        text("audience", default=""),
        text(
            "alias_name_source",
            default="serviceaccount_uid",
            spec={"choices": ["serviceaccount_uid", "serviceaccount_name"]},
        ),
    ),
    "jwt": _role(
        # Left out, these two would go back to oidc and string.
        text("role_type", internal=True, always=True, initial="jwt"),
        text("bound_claims_type", default="string", always=True, spec={"choices": ["string", "glob"]}),
        text("user_claim"),
        flag("user_claim_json_pointer", default=False),
        text("groups_claim", default=""),
        names("bound_audiences"),
        text("bound_subject", default=""),
        Field("bound_claims", type="dict", same=_claims, default={}),
        Field("claim_mappings", type="dict", default={}),
        *(
            Field(option, same=_leeway, default=0)
            for option in ("clock_skew_leeway", "expiration_leeway", "not_before_leeway")
        ),
    ),
}


def keep_role(session: Session, wanted: Values, check_mode: bool) -> Values:
    """The module ``auth_role``."""
    resource = ROLES[wanted["type"]]
    _only_of(wanted["type"], wanted, ROLES)
    answer = told(
        resource.kind, [(resource, reconcile(session.client, resource, wanted, manner_of(wanted, check_mode)))]
    )
    _complete(session, wanted, [answer["auth_role"]] if answer["auth_role"] else [])
    return answer


def show_roles(session: Session, wanted: Values, check_mode: bool) -> Values:
    """The module ``auth_role_info``."""
    wanted = _at_its_type(wanted)
    roles = found(session.client, ROLES[wanted["type"]], wanted, "auth/{mount}/role")
    _complete(session, wanted, roles)
    return {"changed": False, "auth_roles": roles}


def _complete(session: Session, wanted: Values, roles: list[Values]) -> None:
    """Say of each role what it is, and of an AppRole's its id: half of its login, and no secret."""
    for role in roles:
        role["type"] = wanted["type"]
        if wanted["type"] == "approle":
            path = f"auth/{role['mount']}/role/{role['name']}/role-id"
            try:
                role["role_id"] = (session.client.read(path) or {}).get("role_id", "")
            except MountMissing:
                role["role_id"] = ""  # a check run, before there is anything


def auth_role() -> Task:
    return Task({**_union(ROLES), "state": STATE["state"], "validate": STATE["validate"]}, keep_role)


def auth_role_info() -> Task:
    (mount, role), spec = ROLES["approle"].identity, {"aliases": ["role_name"]}
    return Task(
        {"type": TYPE, "mount": mount.argument(), "name": {**role.argument(), **spec, "required": False}, **MUST_EXIST},
        show_roles,
    )
