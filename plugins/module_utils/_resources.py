# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The declarations: every kind of object this collection keeps on the server, with what is checked before it is written."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils import _dependents, _statements, _usernames, _verification
from ansible_collections.leasehold.vault.plugins.module_utils._addresses import parse_url
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Forbidden, Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._fields import (
    MOUNT,
    duration,
    fact,
    flag,
    names,
    number,
    password,
    secret,
    statements,
    switch,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._names import name
from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import (
    SENT,
    Field,
    Finding,
    Findings,
    Plan,
    Resource,
    Server,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._servers import POSTGRESQL as PLUGIN
from ansible_collections.leasehold.vault.plugins.module_utils._servers import known_to_server

ROTATED_AT = "leasehold_root_rotated_at"  # our key in a connection; Vault keeps it through updates and rotations
SECRETS = ("password", "private_key", "service_account_json")
"""Options of a connection that nobody may read, in ``plugin_options`` neither."""
UPDATE_PASSWORD: Values = {"type": "str", "choices": ["on_create", "always"], "default": "on_create", "no_log": False}


def named(alias: str) -> Field:
    return Field("name", same=name, spec={"required": True, "aliases": [alias]})


def ordered_ttls(shorter: str, longer: str) -> t.Callable[[Values, Plan], Findings]:
    """Vault would store the contradiction and quietly cap every lease."""

    def rule(wanted: Values, plan: Plan) -> Findings:
        asked = wanted.get(shorter) is not None or wanted.get(longer) is not None
        low, high = plan.after.get(shorter) or 0, plan.after.get(longer) or 0
        if asked and high and low > high:
            raise Refused(
                f"{shorter} ({low} s) is longer than {longer} ({high} s); leases would silently be cut to {high} s."
            )
        return ()

    return rule


# -- the mount ------------------------------------------------------------------------------------------------------------


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


def _is_database_engine(wanted: Values, plan: Plan) -> Findings:
    held = plan.before.get("type")
    if held not in (None, "database"):
        raise Refused(
            f"The mount {wanted['mount']} holds a {held} engine, not a database engine; choose another mount."
        )
    return ()


def _not_tainted(server: Server, wanted: Values, plan: Plan) -> Findings:
    """A half-deleted mount is listed like any other; only its routes say so, with an error that explains itself."""
    try:
        server.list(f"{MOUNT.said_in(wanted)}/config")
    except Forbidden:
        pass
    return ()


ENGINE = Resource(
    kind="engine",
    path="sys/mounts/{mount}",
    update_path="sys/mounts/{mount}/tune",
    identity=(MOUNT,),
    derive=lambda wanted: {**wanted, "type": "database"},
    fields=(
        text("type", internal=True),
        text("description", default=""),
        *TUNED,
        tuned(flag, "force_no_cache", default=False, fixed=True),
        flag("local", default=False, fixed=True),
        flag("seal_wrap", default=False, fixed=True),
        fact("accessor"),
        fact("running_plugin_version"),
    ),
    rules=(_is_database_engine, ordered_ttls("default_lease_ttl", "max_lease_ttl")),
    inspections=(_not_tainted,),
    leases=lambda server, wanted: [f"{MOUNT.said_in(wanted)}/creds"],
)


# -- connections ----------------------------------------------------------------------------------------------------------


def _detail(make: t.Callable[..., Field], option: str, **more: t.Any) -> Field:
    """A key that belongs to the database plugin: sent at the top, read back one level deeper."""
    return make(option, read=("connection_details", option), **more)


def _for_postgresql(value: t.Any) -> t.Callable[[Values], t.Any]:
    return lambda wanted: value if "postgresql" in str(wanted.get("plugin_name") or PLUGIN) else None


def _unfold(wanted: Values) -> Values:
    """Let ``plugin_options`` hold the plugin's keys, as plays written for hashicorp.vault do; nothing unknown passes."""
    known = {f.option for f in CONNECTION.fields if not f.internal}
    unfolded = dict(wanted)
    for key, value in (wanted.get("plugin_options") or {}).items():
        if key not in known and wanted.get("unknown_options") != "pass":
            raise Refused(
                f"plugin_options: {str(key)!r} is not an option of a connection that is known here, and Vault stores what it does not know "
                f"without effect. Known are {', '.join(sorted(known))}. If this server knows it, set unknown_options: pass."
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", str(key)):
            raise Refused(f"plugin_options: {str(key)!r} cannot be the name of an option of a connection.")
        if key in SECRETS:
            raise Refused(f"plugin_options: {key} belongs beside it, where Ansible keeps it out of logs.")
        if unfolded.get(key) is not None and unfolded[key] != value:
            raise Refused(f"{key} is given twice, beside plugin_options and in it; give it once.")
        unfolded[key] = value
    if unfolded.get("verify_connection") is None:
        # HashiCorp Vault keeps the last value since 1.19, so silence would mean whatever somebody said before.
        unfolded["verify_connection"] = True
    if unfolded.get("password") is not None and unfolded.get("update_password") == "always":
        unfolded["root_rotated_at"] = ""
    return unfolded


def _passed_on(wanted: Values) -> tuple[Field, ...]:
    """A field for each key of ``plugin_options`` that is not known here; ``_unfold`` has refused them unless they are to pass."""
    known = {f.option for f in CONNECTION.fields}
    return tuple(_detail(Field, key) for key in wanted.get("plugin_options") or {} if key not in known)


def _safe_url(wanted: Values, plan: Plan) -> Findings:
    url = wanted.get("connection_url")
    if url is None or "postgresql" not in str(plan.after.get("plugin_name", PLUGIN)):
        return ()
    if plan.after.get("auth_type") == "gcp_iam" and not re.search(r"password\s*=", url, re.IGNORECASE):
        return ()  # host=project:region:instance, and no password
    if not re.match(r"postgres(ql)?://", url):
        raise Refused(
            "connection_url must be a URL, postgresql://{{username}}:{{password}}@host:5432/database?sslmode=verify-full; Vault gives "
            "the keyword form back altered and with its password in clear."
        )
    try:
        parts = parse_url(url)
    except ValueError as error:  # whose words show no part of it, which may be a password
        raise Refused(f"connection_url cannot be read as a URL: {error}.") from None
    if parts.credentials != "{{username}}:{{password}}":
        raise Refused(
            "connection_url must begin with postgresql://{{username}}:{{password}}@, exactly so and without blanks inside the braces: a "
            "name or password written into it is stored and shown in clear. Give them as username and password, and mark the URL "
            "!unsafe so that Ansible leaves the braces alone."
        )
    if any(key.lower() in ("password", "sslpassword") for key in parts.parameters):
        raise Refused(
            "connection_url holds a password among its parameters, which Vault would show in clear; give it as password."
        )
    return ()


def _chosen_by_logins(template: str) -> str:
    """What somebody who logs in to Vault can put into the users' names, as a sentence; and an error if it is anything at all."""
    try:
        most = _usernames.from_login(template)
    except ValueError as error:
        if not re.search(r"DisplayName|(?<![\w)])\.(?!\w)", template):
            return ""
        raise Refused(
            f"username_template: {error} here, so what a login puts into the names is not limited by anything that is known."
        ) from None
    if most is None:
        raise Refused(
            "username_template lets the display name of a login into the users' names whole, and with it whatever somebody has chosen as a "
            f"name or a claim. Leave .DisplayName out (new connections get {_usernames.TEMPLATE}), or cut it with truncate."
        )
    return f"username_template lets {most} characters of a login's display name into the users' names." if most else ""


def _names_without_logins(wanted: Values, plan: Plan) -> Findings:
    if wanted.get("username_template") is not None and _for_postgresql(True)(plan.after):
        said = _chosen_by_logins(wanted["username_template"])
        if said:
            yield Finding(f"{said} Leave .DisplayName out, if the names do not have to tell who asked for them.")


def _password_of_user(server: Server, wanted: Values, plan: Plan) -> Findings:
    """Vault would log in as the new user with the password of the old one."""
    before, after = plan.before.get("username"), plan.after.get("username")
    if plan.action == "update" and before and before != after and plan.after.get("password") != SENT:
        raise Refused(
            f"Not changed: username would become {after} instead of {before}, and the password of {before} would stay. Give the password of "
            f"{after} as password, with update_password: always for this run (in a document, both among the options of the connection), "
            "and rotate it afterwards (leasehold.vault.database_root_rotation)."
        )
    return ()


def _password_kept(wanted: Values, plan: Plan) -> Findings:
    """The only good password may be known to Vault alone; nothing may overwrite it unseen."""
    if plan.action != "update" or plan.after.get("password") != SENT:
        return ()
    if wanted.get("verify_connection") is False:
        raise Refused(
            "Not sent: a password for an existing connection together with verify_connection: false. If it were wrong, Vault would "
            "lose the only password that works. Leave verify_connection at true."
        )
    same_user = plan.before.get("username") == plan.after.get("username")
    if plan.before.get("root_rotated_at") and same_user and not wanted.get("force"):
        raise Refused(
            f"Not sent: the root password of this connection was rotated at {plan.before['root_rotated_at']}, so the one in the task is "
            "most likely the old one. Leave update_password at on_create, or set force: true if the password was reset in the database."
        )
    return ()


def _unverified(wanted: Values, plan: Plan) -> Findings:
    if plan.action == "none" and wanted.get("verify_connection") is False:
        yield Finding(
            "verify_connection is false and nothing differed, so nothing was sent: this run does not know whether Vault can log in."
        )


def _usable(server: Server, wanted: Values, plan: Plan) -> Findings:
    """What was written without being verified is tried all the same, and reported.

    Not by ``reset``: HashiCorp Vault 1.19 and newer does not log in for it where it keeps ``verify_connection: false``.
    """
    if wanted.get("verify_connection") is False:
        try:
            server.write(CONNECTION.at(wanted), {"verify_connection": True})
        except Problem as error:
            yield Finding(f"The connection was written unverified, and Vault cannot use it: {error}")


def _unknown(details: Values) -> list[str] | None:
    """The keys of a connection that are not known here; their values may be secrets."""
    known = {at[1] for f in CONNECTION.fields for at in (f.read,) if at[:1] == ("connection_details",) and at[1:]}
    return sorted({*details} - known - {"verify_connection", "supported_credential_types"}) or None


CONNECTION = Resource(
    kind="connection",
    path="{mount}/config/{name}",
    identity=(MOUNT, named("connection_name")),
    derive=_unfold,
    shorthand={
        "plugin_options": {"type": "dict"},
        "unknown_options": {"type": "str", "choices": ["refuse", "pass"], "default": "refuse"},
        "update_password": UPDATE_PASSWORD,
        "force": {"type": "bool", "default": False},
    },
    fields=(
        text("plugin_name", initial=PLUGIN),
        text("plugin_version", default=""),
        _detail(text, "connection_url"),
        _detail(text, "username", spec={"aliases": ["connection_username"]}),
        password("password", spec={"aliases": ["connection_password"]}),
        names("allowed_roles"),
        statements("root_rotation_statements", read=("root_credentials_rotate_statements",)),
        text("password_policy", default="", spec={"no_log": False}),
        _detail(text, "username_template", default="", initial=_for_postgresql(_usernames.TEMPLATE)),
        _detail(
            text,
            "password_authentication",
            default="password",
            initial=_for_postgresql("scram-sha-256"),
            spec={"choices": ["password", "scram-sha-256"], "no_log": False},
        ),
        _detail(flag, "disable_escaping", default=False),
        _detail(number, "max_open_connections", default=4),
        _detail(number, "max_idle_connections", default=0),
        _detail(duration, "max_connection_lifetime"),
        _detail(text, "tls_ca"),
        _detail(text, "tls_certificate"),
        secret("private_key"),
        _detail(text, "auth_type", default=""),
        secret("service_account_json"),
        *(_detail(flag, option, default=False) for option in ("use_private_ip", "use_psc", "self_managed")),
        duration("rotation_period"),
        text("rotation_schedule", default=""),
        duration("rotation_window"),
        flag("disable_automated_rotation", default=False),
        flag("skip_static_role_import_rotation", default=False),
        switch("verify_connection", sign=("verify_connection",)),
        Field("unknown_options_set", kept="fact", type="list", same=_unknown, read=("connection_details",)),
        Field("root_rotated_at", send=(ROTATED_AT,), read=("connection_details", ROTATED_AT), internal=True),
    ),
    extra_fields=_passed_on,
    rules=(_safe_url, _names_without_logins, _password_kept, _unverified),
    inquiries=(
        _dependents.connection_keeps_alone,
        _dependents.policy_exists(lambda side: side.get("password_policy")),
        _password_of_user,
    ),
    requirements=(known_to_server("connection", lambda wanted: f"{MOUNT.said_in(wanted)}/config/{wanted['name']}"),),
    safeguards=(_dependents.static_roles_keep_connection, _dependents.roles_keep_connection),
    afterwards=(_usable,),
    leases=lambda server, wanted: [
        f"{MOUNT.said_in(wanted)}/creds/{role}" for role in _dependents.roles_of(server, wanted)
    ],
    endangers=_dependents.connection_endangers_leases,
)


# -- dynamic roles --------------------------------------------------------------------------------------------------------

CREDENTIAL = (
    text(
        "credential_type", default="password", spec={"choices": ["password", "rsa_private_key", "client_certificate"]}
    ),
    Field("credential_config", type="dict", default={}),
)
"""What roles of both kinds have."""

_credential_policy = _dependents.policy_exists(
    lambda side: (side.get("credential_config") or {}).get("password_policy")
)

_USER = re.compile(r"\{\{(name|username)\}\}")


def _can_issue(wanted: Values, plan: Plan) -> Findings:
    if plan.action not in ("create", "update"):
        return ()
    if not plan.after.get("db_name"):
        raise Refused("db_name is needed: the name of the connection this role belongs to.")
    creation = plan.after.get("creation_statements") or []
    if not creation and plan.before.get("creation_statements") != []:
        raise Refused("creation_statements are empty, so no user could be made; use in_role, or give the SQL.")
    if wanted.get("creation_statements") is not None and creation and not any(_USER.search(s) for s in creation):
        raise Refused(
            "creation_statements do not hold {{name}}. If they do in your file, Ansible has templated it away: mark the SQL !unsafe."
        )
    return ()


_UNDOES = re.compile(r"\bDROP\s+OWNED\b|\bREVOKE\b|leasehold\.revoke", re.IGNORECASE)
_GRANTS_TABLES = re.compile(
    r"\bGRANT\b.*?\bON\s+(?!SCHEMA\b|DATABASE\b|FUNCTION\b|LANGUAGE\b)\S", re.IGNORECASE | re.DOTALL
)


def _can_revoke(wanted: Values, plan: Plan) -> Findings:
    """Accept people's own SQL, and say what it will do to them."""
    if wanted.get("creation_statements") is None or wanted.get("in_role") is not None:
        return
    grants = any(_GRANTS_TABLES.search(_statements.bare(s)) for s in plan.after.get("creation_statements") or [])
    revocation = " ".join(plan.after.get("revocation_statements") or [])
    undoes = _UNDOES.search(revocation)
    if grants and revocation and not undoes:
        yield Finding(
            "creation_statements grant rights on tables and revocation_statements do not take them back: every revocation will fail "
            'with "role cannot be dropped because some objects depend on it" (SQLSTATE 2BP01), users will pile up, and at about '
            '2,440 of them issuing stops with "row is too big". Grant to a group role once and use in_role, or revoke with REASSIGN '
            "OWNED, DROP OWNED and DROP ROLE."
        )
    elif not revocation:
        yield Finding(
            "There are no revocation_statements, and Vault's own revocation only works while the admin has all rights, with grant "
            "option, on every table and sequence the user can see. Use in_role, or give revocation_statements."
        )


def _outlives_revocation(wanted: Values, plan: Plan) -> Findings:
    if wanted.get("set_role"):
        yield Finding(
            "set_role: a session that reconnects while its user is being revoked may keep the group's rights until it ends; use it for "
            "migrations, not for application pools."
        )


def _keeps_the_functions(wanted: Values, plan: Plan) -> Findings:
    """Without them an admin role that has no CREATEROLE can neither make nor end a user."""
    before, after = ("leasehold.issue(" in str(side.get("creation_statements")) for side in (plan.before, plan.after))
    if before and not after and wanted.get("in_role") and wanted.get("functions") is None:
        raise Refused(
            f"The users of the role {wanted['name']} are made by the functions that postgresql_access installs. Say functions: leasehold to "
            "keep it so (in a document: in the entry of its connection), or functions: none if the admin role may now make them itself."
        )
    return ()


def _allowed_by_connection(server: Server, wanted: Values, plan: Plan) -> Findings:
    """Vault takes a role for any connection, and only refuses when somebody asks for credentials."""
    mount, role, connection = MOUNT.said_in(wanted), wanted["name"], str(plan.after.get("db_name"))
    try:
        held = server.read(f"{mount}/config/{name(connection)}")
    except ValueError as error:
        raise Refused(f"db_name: {error}") from None
    except Forbidden as error:
        yield Finding(f"Whether the connection allows this role was not checked. {error}")
        return
    if held is None:
        yield Finding(f"db_name: there is no connection {connection} on mount {mount}; make it first.", "missing")
    elif not any(_matches(allowed, role) for allowed in held.get("allowed_roles") or []):
        listed = ", ".join(held.get("allowed_roles") or []) or "nobody"
        yield Finding(
            f"The connection {connection} does not allow the role {role} (allowed_roles: {listed}); add it there first.",
            "missing",
        )
    if (
        held is not None and "connection_details" in held and _for_postgresql(True)(held)
    ):  # not one that this check run would make
        yield from _names_are_data(wanted, held["connection_details"].get("username_template") or "")


def _names_are_data(wanted: Values, template: str) -> Findings:
    """in_role quotes names with a tag that is longer than any name of PostgreSQL; other statements quote them as they were written."""
    try:
        said = _chosen_by_logins(template)
    except Refused as refusal:
        if wanted.get("in_role") is not None:
            raise Refused(f"The connection cannot be used with in_role. {refusal}") from None
        said = str(refusal)
    if said and wanted.get("in_role") is None and wanted.get("creation_statements") is not None:
        yield Finding(
            f"{said} Vault copies names into statements as they are: one with a quote in it changes what they do. Use in_role."
        )


def _matches(allowed: str, role: str) -> bool:
    return bool(re.fullmatch(".*".join(map(re.escape, allowed.split("*"))), role))


ROLE = Resource(
    kind="role",
    path="{mount}/roles/{name}",
    identity=(MOUNT, named("role_name")),
    derive=_statements.expand,
    shorthand={**_statements.OPTIONS, **_verification.OPTIONS},
    fields=(
        text("db_name"),
        statements("creation_statements"),
        statements("revocation_statements"),
        statements("renew_statements"),
        statements("rollback_statements"),
        duration("default_ttl"),
        duration("max_ttl"),
        *CREDENTIAL,
    ),
    rules=(ordered_ttls("default_ttl", "max_ttl"), _can_issue, _can_revoke, _outlives_revocation, _keeps_the_functions),
    requirements=(known_to_server("role", lambda wanted: f"{MOUNT.said_in(wanted)}/roles/{wanted['name']}"),),
    inquiries=(_allowed_by_connection, _dependents.ttls_within_limit, _credential_policy),
    afterwards=(_verification.verify,),
    leases=lambda server, wanted: [f"{MOUNT.said_in(wanted)}/creds/{wanted['name']}"],
    endangers=_dependents.role_endangers_leases,
)


# -- static roles -----------------------------------------------------------------------------------------------------------


def _can_rotate(wanted: Values, plan: Plan) -> Findings:
    period, schedule = plan.after.get("rotation_period"), plan.after.get("rotation_schedule")
    if wanted.get("rotation_period") is not None and (period or 0) < 5:
        raise Refused(f"rotation_period: {period} s is too short; Vault rotates every 5 s at the most.")
    if plan.action != "create":
        return
    missing = [option for option in ("db_name", "username") if not plan.after.get(option)]
    if not (period or schedule):
        missing.append("rotation_period (or rotation_schedule)")
    if missing:
        raise Refused(f"A static role needs {' and '.join(missing)} when it is made.")
    if not wanted.get("skip_import_rotation"):
        yield Finding(
            f"Making the static role {wanted['name']} rotates the password of {plan.after['username']} at once: whatever logs in with the "
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
        text("username", fixed=True, always=True),
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
    rules=(_can_rotate,),
    requirements=(
        known_to_server("static_role", lambda wanted: f"{MOUNT.said_in(wanted)}/static-roles/{wanted['name']}"),
    ),
    inquiries=(_allowed_by_connection, _dependents.static_role_keeps_alone, _credential_policy),
    safeguards=(_dependents.static_role_keeps_server,),
    beside=lambda wanted: {} if wanted.get("skip_import_rotation") else {"password": "(rotated at once)"},
)
