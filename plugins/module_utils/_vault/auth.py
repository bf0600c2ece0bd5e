# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Logging in: every method ends in a token on the client.  The requests are hvac's."""

from __future__ import annotations

import base64
import datetime
import json
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.process import signals_deferred
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import timestamp
from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import (
    auth_mount,
    client_arguments,
    secret_file,
)

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values

NEEDS = {
    "approle": ("role_id",),
    "kubernetes": ("auth_role",),
    "jwt": ("auth_role",),
    "userpass": ("auth_username", "auth_password"),
    "ldap": ("auth_username", "auth_password"),
    "cert": ("client_cert",),
}


class Session(t.NamedTuple):
    """A client that is logged in, and whether the token is ours to revoke."""

    client: Client
    own_token: bool
    warnings: list[str]
    renewable: bool = False
    """Whether the token we made can be renewed."""

    def log_out(self) -> list[str]:
        """End the token we made; what went wrong with that, if anything.

        Everything issued under the token ends with it, so this is not for those who issued a lease.
        """
        if not self.own_token or self.client.uses_left == 0:
            return []
        try:
            with signals_deferred():
                self.client.ask("post", "auth/token/revoke-self")
        except Problem as problem:
            return [f"The token of this task could not be revoked and lives until it expires. {problem}"]
        return []


def log_in(options: Values) -> Session:
    """A logged-in session as the options describe it."""
    arguments, warnings = client_arguments(options)
    try:
        return _log_in(Client(**arguments), options, warnings)
    except Problem as problem:
        problem.add_warnings(warnings)
        raise


def _log_in(client: Client, options: Values, warnings: list[str]) -> Session:
    method = options.get("auth_method") or "token"
    client.mask(options.get("secret_id"), options.get("auth_password"))
    if method == "none":
        return Session(client, False, warnings)
    if method == "token":
        client.token = _given_token(options)
        return Session(client, False, warnings)
    missing = [need for need in NEEDS[method] if not options.get(need)]
    if missing:
        raise Refused(f"auth_method {method} needs {' and '.join(missing)}.")
    mount = auth_mount({**options, "auth_method": method})
    jwt = _jwt(options, method) if method in ("kubernetes", "jwt") else ""
    client.mask(jwt)
    response = _request_login(client, method, mount, options, jwt)
    if not response.ok:
        message = client.message_of(response)
        hint = _kubernetes_hint(message, options["auth_role"]) if method == "kubernetes" else ""
        if response.status_code == 403 and not hint:
            hint = f" This is also the answer when no auth method is mounted there; set auth_mount if {method} lives elsewhere."
        raise VaultError(
            f"Could not log in to {client.url} by {method} at auth/{mount}: the server answered {response.status_code}: "
            f"{message or 'nothing more'}.{hint}{_whose(jwt, client.now())}",
            response.status_code,
            message,
        )
    answer = client.content_of(f"auth/{mount}", response)
    auth = answer.get("auth") or {}
    if not auth.get("client_token"):
        raise Problem(f"{client.url} answered the login by {method} at auth/{mount} without a token.")
    client.token = auth["client_token"]
    warnings += [f"auth/{mount}: {warning}" for warning in answer.get("warnings") or []]
    client.token_ttl, client.uses_left = auth.get("lease_duration"), auth.get("num_uses") or None
    # A batch token cannot be revoked, and needs not be: it is not stored.
    return Session(client, auth.get("token_type") != "batch", warnings, bool(auth.get("renewable")))


def _request_login(client: Client, method: str, mount: str, options: Values, jwt: str) -> t.Any:
    """The request as hvac makes it, sent our way."""
    try:
        from hvac.adapters import Adapter
        from hvac.api import auth_methods
    except ImportError as error:
        raise Problem(
            f"auth_method {method} needs the Python library hvac, which could not be imported ({error}); install it for the Python that "
            "runs this task."
        ) from None

    class ClientAdapter(Adapter):
        def __init__(self) -> None:
            """Nothing: hvac's adapter would open a session of its own."""

        def request(self, method: str, url: str, headers: t.Any = None, *dummy: t.Any, **more: t.Any) -> t.Any:
            return client.send(method, url, more.get("json")).response

        def get_login_token(self, response: t.Any) -> str:
            raise NotImplementedError

    adapter: t.Any = ClientAdapter()
    # use_token=False everywhere: hvac would read the token out of a refusal as well.
    if method == "approle":
        return auth_methods.AppRole(adapter).login(
            options["role_id"], options.get("secret_id"), use_token=False, mount_point=mount
        )
    if method == "kubernetes":
        return auth_methods.Kubernetes(adapter).login(options["auth_role"], jwt, use_token=False, mount_point=mount)
    if method == "jwt":
        return auth_methods.JWT(adapter).jwt_login(options["auth_role"], jwt, use_token=False, path=mount)
    if method == "userpass":
        return auth_methods.Userpass(adapter).login(
            options["auth_username"], options["auth_password"], use_token=False, mount_point=mount
        )
    if method == "ldap":
        return auth_methods.Ldap(adapter).login(
            options["auth_username"], options["auth_password"], use_token=False, mount_point=mount
        )
    # hvac's Cert.login wants the certificate again and gives it per request; the session already presents it.
    return adapter.login(f"/v1/auth/{mount}/login", use_token=False, json={"name": options.get("auth_role") or ""})


def _given_token(options: Values) -> str:
    """The token option (with its variables and environment), else the file the command line client leaves behind."""
    if options.get("token"):
        return str(options["token"]).strip()
    path = secret_file(options, "token")
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        raise Refused(
            f"No token: set token or VAULT_TOKEN, choose another auth_method, or log in so that {path} exists."
        ) from None


def _jwt(options: Values, method: str) -> str:
    if options.get("jwt"):
        return str(options["jwt"]).strip()
    path = secret_file(options, method)
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Refused(
            f"The token for the login could not be read from {path}: {error.strerror}. Set jwt or jwt_path."
        ) from None


KUBERNETES_HINTS = (
    ("service account name not", "It is not among bound_service_account_names of the auth role {role}."),
    ("namespace not", "Its namespace is not among bound_service_account_namespaces of the auth role {role}."),
    ("(exp)", "Read the token anew, since a pod's file changes before it ends; or the clocks differ."),
    ("(nbf)", "The clocks of the cluster and of Vault differ."),
    ("(aud)", "The auth role {role} wants another audience."),
    ("invalid role name", "Make the auth role with leasehold.vault.auth_role, or correct auth_role."),
    ("could not load backend configuration", "Configure the method, kubernetes_host of leasehold.vault.auth_mount."),
    (
        "permission denied",
        "This is the one answer when the cluster does not confirm the token, when Vault cannot ask it (the API is down, or kubernetes_host, "
        "kubernetes_ca_cert or the reviewer's token are wrong), and when no Kubernetes method is mounted there (auth_mount).",
    ),
)


def _kubernetes_hint(message: str, role: str) -> str:
    return next((f" {hint.format(role=role)}" for words, hint in KUBERNETES_HINTS if words in message), "")


def _whose(jwt: str, now: datetime.datetime) -> str:
    """What a token says of itself, which is no secret: whose it is, for whom, and until when."""
    try:
        payload = jwt.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        until = datetime.datetime.fromtimestamp(claims["exp"], datetime.timezone.utc) if claims.get("exp") else None
        audiences = claims.get("aud") or "nobody in particular"
        message = f" The token is that of {claims['sub']}, for {audiences if isinstance(audiences, str) else ', '.join(audiences)}"
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        return " The token is not a readable JSON web token." if jwt else ""
    if until is None:
        return f"{message}, without an end."
    return f"{message}, and {'ended' if until < now else 'ends'} at {timestamp(until)}."
