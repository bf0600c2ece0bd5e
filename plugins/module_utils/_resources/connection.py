# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Database connections: how Vault reaches a PostgreSQL server."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import (
    MOUNT,
    duration,
    flag,
    names,
    number,
    password,
    secret,
    statements,
    switch,
    text,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    SENT,
    Diagnostic,
    Diagnostics,
    Field,
    Plan,
    Resource,
    Server,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import usernames
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import parse_url
from ansible_collections.leasehold.vault.plugins.module_utils._resources import dependents
from ansible_collections.leasehold.vault.plugins.module_utils._resources.shared import (
    UPDATE_PASSWORD,
    chosen_by_logins,
    named,
    names_are_data,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import POSTGRESQL as PLUGIN
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import known_to_server

ROTATED_AT = "leasehold_root_rotated_at"  # our key in a connection; Vault keeps it through updates and rotations
SECRETS = ("password", "private_key", "service_account_json")
"""Options of a connection that nobody may read, in ``plugin_options`` neither."""


def _detail(make: t.Callable[..., Field], option: str, **more: t.Any) -> Field:
    """A key that belongs to the database plugin: sent at the top, read back one level deeper."""
    return make(option, read=("connection_details", option), **more)


def _for_postgresql(value: t.Any) -> t.Callable[[Values], t.Any]:
    return lambda desired: value if "postgresql" in str(desired.get("plugin_name") or PLUGIN) else None


def _unfold(desired: Values) -> Values:
    """Let ``plugin_options`` hold the plugin's keys, as plays written for hashicorp.vault do; nothing unknown passes."""
    known = {f.option for f in CONNECTION.fields if not f.internal}
    unfolded = dict(desired)
    for key, value in (desired.get("plugin_options") or {}).items():
        if key not in known and desired.get("unknown_options") != "pass":
            raise Refused(
                f"plugin_options: {str(key)!r} is not an option of a connection that is known here, and Vault stores what it does not know "
                f"without effect. Known are {', '.join(sorted(known))}. If this server knows it, set unknown_options: pass."
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", str(key)):
            raise Refused(f"plugin_options: {str(key)!r} cannot be the name of an option of a connection.")
        if key in SECRETS:
            raise Refused(
                f"plugin_options: {key} must be given beside it, as an option that Ansible keeps out of logs."
            )
        if unfolded.get(key) is not None and unfolded[key] != value:
            raise Refused(f"{key} is given twice, beside plugin_options and in it; give it once.")
        unfolded[key] = value
    if unfolded.get("verify_connection") is None:
        # HashiCorp Vault keeps the last value since 1.19, so omitting it would keep the last value.
        unfolded["verify_connection"] = True
    if unfolded.get("password") is not None and unfolded.get("update_password") == "always":
        unfolded["root_rotated_at"] = ""
    return unfolded


def _passed_on(desired: Values) -> tuple[Field, ...]:
    """A field for each key of ``plugin_options`` that is not known here; ``_unfold`` has refused them unless they are to pass."""
    known = {f.option for f in CONNECTION.fields}
    return tuple(_detail(Field, key) for key in desired.get("plugin_options") or {} if key not in known)


PASSWORD_IN_URL = re.compile(r"([a-z][a-z0-9+.-]*://)?[^/@?:]*:[^/@?{}]+@", re.IGNORECASE)
"""The address of any database plugin, URL or DSN, that begins with a password written out."""


def _safe_url(desired: Values, plan: Plan) -> Diagnostics:
    url = desired.get("connection_url")
    if url is None:
        return ()
    if "postgresql" not in str(plan.after.get("plugin_name", PLUGIN)):
        if PASSWORD_IN_URL.match(url):
            raise Refused(
                "connection_url holds a password, which would be printed with it, and which Vault shows in clear or masks, so that it cannot "
                "be compared. Write {{username}}:{{password}} there, marked !unsafe, and give them as username and password."
            )
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


def _names_without_logins(desired: Values, plan: Plan) -> Diagnostics:
    if desired.get("username_template") is not None and _for_postgresql(True)(plan.after):
        given = chosen_by_logins(desired["username_template"])
        if given:
            yield Diagnostic(f"{given} Leave .DisplayName out, if the names do not have to tell who asked for them.")


def _password_of_user(server: Server, desired: Values, plan: Plan) -> Diagnostics:
    """Vault would log in as the new user with the password of the old one."""
    before, after = plan.before.get("username"), plan.after.get("username")
    if plan.action == "update" and before and before != after and plan.after.get("password") != SENT:
        raise Refused(
            f"Not changed: username would become {after} instead of {before}, and the password of {before} would stay. Give the password of "
            f"{after} as password, with update_password: always for this run (in a document, both among the options of the connection), "
            "and rotate it afterwards (leasehold.vault.database_root_rotation)."
        )
    return ()


def _password_kept(desired: Values, plan: Plan) -> Diagnostics:
    """The only good password may be known to Vault alone; nothing may overwrite it unseen."""
    if plan.action != "update" or plan.after.get("password") != SENT:
        return ()
    if desired.get("verify_connection") is False:
        raise Refused(
            "Not sent: a password for an existing connection together with verify_connection: false. If it were wrong, Vault would "
            "lose the only password that works. Leave verify_connection at true."
        )
    same_user = plan.before.get("username") == plan.after.get("username")
    if plan.before.get("root_rotated_at") and same_user and not desired.get("force"):
        raise Refused(
            f"Not sent: the root password of this connection was rotated at {plan.before['root_rotated_at']}, so the one in the task is "
            "most likely the old one. Leave update_password at on_create, or set force: true if the password was reset in the database."
        )
    return ()


def _unverified(desired: Values, plan: Plan) -> Diagnostics:
    if plan.action == "none" and desired.get("verify_connection") is False:
        yield Diagnostic(
            "verify_connection is false and nothing differed, so nothing was sent: this run does not know whether Vault can log in."
        )


def _usable(server: Server, desired: Values, plan: Plan) -> Diagnostics:
    """What was written without being verified is tried all the same, and reported.

    Not by ``reset``: HashiCorp Vault 1.19 and newer does not log in for it where it keeps ``verify_connection: false``.
    """
    if desired.get("verify_connection") is False:
        try:
            server.write(CONNECTION.at(desired), {"verify_connection": True})
        except Problem as error:
            yield Diagnostic(f"The connection was written unverified, and Vault cannot use it: {error}")


def _unknown(details: Values) -> list[str] | None:
    """The keys of a connection that are not known here; their values may be secrets."""
    known = {at[1] for f in CONNECTION.fields for at in (f.read,) if at[:1] == ("connection_details",) and at[1:]}
    return sorted({*details} - known - {"verify_connection", "supported_credential_types"}) or None


CONNECTION = Resource(
    kind="connection",
    path="{mount}/config/{name}",
    identity=(MOUNT, named("connection_name")),
    derive=_unfold,
    secret_keys={"plugin_options": SECRETS},
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
        _detail(text, "username_template", default="", initial=_for_postgresql(usernames.TEMPLATE)),
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
        switch("verify_connection", presence_flag=("verify_connection",)),
        Field(
            "unknown_options_set", storage="read_only", type="list", normalize=_unknown, read=("connection_details",)
        ),
        Field("root_rotated_at", send=(ROTATED_AT,), read=("connection_details", ROTATED_AT), internal=True),
    ),
    extra_fields=_passed_on,
    validators=(_safe_url, _names_without_logins, _password_kept, _unverified),
    pre_write_checks=(
        dependents.connection_keeps_alone,
        dependents.policy_exists(lambda side: side.get("password_policy")),
        _password_of_user,
    ),
    requirements=(
        known_to_server("connection", lambda desired: f"{MOUNT.desired_value(desired)}/config/{desired['name']}"),
    ),
    dependency_checks=(dependents.static_roles_keep_connection, dependents.roles_keep_connection),
    post_write_checks=(_usable,),
    leases=lambda server, desired: [
        f"{MOUNT.desired_value(desired)}/creds/{role}" for role in dependents.roles_of(server, desired)
    ],
    endangers=dependents.connection_endangers_leases,
)


def allowed_by_connection(server: Server, desired: Values, plan: Plan) -> Diagnostics:
    """Vault takes a role for any connection, and only refuses when somebody asks for credentials."""
    mount, role, connection = MOUNT.desired_value(desired), desired["name"], str(plan.after.get("db_name"))
    try:
        current = server.read(f"{mount}/config/{name(connection)}")
    except ValueError as error:
        raise Refused(f"db_name: {error}") from None
    except Forbidden as error:
        yield Diagnostic(f"Whether the connection allows this role was not checked. {error}")
        return
    if current is None:
        yield Diagnostic(f"db_name: there is no connection {connection} on mount {mount}; make it first.", "missing")
    elif not is_allowed(role, current.get("allowed_roles") or ()):
        listed = ", ".join(current.get("allowed_roles") or []) or "nobody"
        yield Diagnostic(
            f"The connection {connection} does not allow the role {role} (allowed_roles: {listed}); add it there first.",
            "missing",
        )
    if (
        current is not None and "connection_details" in current and _for_postgresql(True)(current)
    ):  # not one that this check run would make
        yield from names_are_data(desired, current["connection_details"].get("username_template") or "")


def is_allowed(role: str, allowed_roles: t.Iterable[str]) -> bool:
    return any(re.fullmatch(".*".join(map(re.escape, each.split("*"))), role) for each in allowed_roles)
