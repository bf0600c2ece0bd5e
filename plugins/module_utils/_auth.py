# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Logging in: every method ends in a token on the client.  The requests are hvac's."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._client import Client, VaultError, _errors_of
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._options import auth_mount, client_arguments

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import Values

KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
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

    def log_out(self) -> list[str]:
        """End the token we made; what went wrong with that, if anything.

        Everything issued under the token ends with it, so this is not for those who issued a lease.
        """
        if not self.own_token:
            return []
        try:
            self.client.ask("post", "auth/token/revoke-self")
        except Problem as problem:
            return [f"The token of this task could not be revoked and lives until it expires. {problem}"]
        return []


def log_in(options: Values) -> Session:
    """A logged-in session as the options describe it."""
    arguments, warnings = client_arguments(options)
    client = Client(**arguments)
    method = options.get("auth_method") or "token"
    client.mask(options.get("secret_id"), options.get("auth_password"), options.get("jwt"))
    if method == "none":
        return Session(client, False, warnings)
    if method == "token":
        client.token = _given_token(options)
        return Session(client, False, warnings)
    missing = [need for need in NEEDS[method] if not options.get(need)]
    if missing:
        raise Refused(f"auth_method {method} needs {' and '.join(missing)}.")
    mount = auth_mount({**options, "auth_method": method})
    response = _request_login(client, method, mount, options)
    if not response.ok:
        said = client._clean("; ".join(_errors_of(response)))
        raise VaultError(
            f"Could not log in to {client.url} by {method} at auth/{mount}: the server answered {response.status_code}: "
            f"{said or 'nothing more'}.{_login_hint(method, response.status_code)}",
            response.status_code,
            said,
        )
    auth = response.json()["auth"]
    client.token = auth["client_token"]
    # A batch token cannot be revoked, and needs not be: it is not stored.
    return Session(client, auth.get("token_type") != "batch", warnings)


def _request_login(client: Client, method: str, mount: str, options: Values) -> t.Any:
    """The request as hvac makes it, sent our way."""
    try:
        from hvac.adapters import Adapter
        from hvac.api import auth_methods
    except ImportError as error:
        raise Problem(
            f"auth_method {method} needs the Python library hvac, which could not be imported ({error}); install it for the Python that "
            "runs this task."
        ) from None

    class OurWay(Adapter):
        def __init__(self) -> None:
            """Nothing: hvac's adapter would open a session of its own."""

        def request(self, method: str, url: str, headers: t.Any = None, *dummy: t.Any, **more: t.Any) -> t.Any:
            return client.send(method, url, more.get("json"))

        def get_login_token(self, response: t.Any) -> str:
            raise NotImplementedError

    adapter: t.Any = OurWay()
    # use_token=False everywhere: hvac would read the token out of a refusal as well.
    if method == "approle":
        return auth_methods.AppRole(adapter).login(
            options["role_id"], options.get("secret_id"), use_token=False, mount_point=mount
        )
    if method == "kubernetes":
        return auth_methods.Kubernetes(adapter).login(
            options["auth_role"], _jwt(options, KUBERNETES_TOKEN), use_token=False, mount_point=mount
        )
    if method == "jwt":
        return auth_methods.JWT(adapter).jwt_login(options["auth_role"], _jwt(options), use_token=False, path=mount)
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
    path = pathlib.Path(options.get("token_path") or "~/.vault-token").expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        raise Refused(
            f"No token: set token or VAULT_TOKEN, choose another auth_method, or log in so that {path} exists."
        ) from None


def _jwt(options: Values, default_path: str = "") -> str:
    if options.get("jwt"):
        return str(options["jwt"]).strip()
    path = options.get("jwt_path") or default_path
    if not path:
        raise Refused("auth_method jwt needs jwt or jwt_path.")
    try:
        return pathlib.Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Refused(
            f"The token for the login could not be read from {path}: {error.strerror}. Set jwt or jwt_path."
        ) from None


def _login_hint(method: str, status: int) -> str:
    if status == 403 and method == "kubernetes":
        return (
            " This is also the answer when the service account or its namespace is not bound to the role, and when Vault cannot "
            "reach the cluster's token review."
        )
    if status == 403:
        return f" This is also the answer when no auth method is mounted there; set auth_mount if {method} lives elsewhere."
    return ""
