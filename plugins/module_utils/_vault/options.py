# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The connection and login options, declared once: for modules, for lookups and for the variables and environment they come from."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import typing as t
from urllib.parse import urlsplit

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import mount_path
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values

TIMEOUT = 60  # seconds
RETRIES = 8
KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
AUTH_METHODS = ("token", "approle", "kubernetes", "jwt", "userpass", "ldap", "cert", "none")
IDENTITY = {
    "token": ("token", "token_path"),
    "approle": ("role_id", "secret_id"),
    "kubernetes": ("auth_role", "jwt", "jwt_path"),
    "jwt": ("auth_role", "jwt", "jwt_path"),
    "userpass": ("auth_username", "auth_password"),
    "ldap": ("auth_username", "auth_password"),
    "cert": ("auth_role",),
    "none": (),
}
"""The options that say as whom a method logs in."""


@dataclasses.dataclass(frozen=True)
class Option:
    """One option, and every place where it may be found when the task does not say it."""

    name: str
    type: str = "str"
    env: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    """The names it has in community.hashi_vault's variables, ``ansible_hashi_vault_<peer>``."""
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    default: t.Any = None
    secret: bool = False

    @property
    def variables(self) -> tuple[str, ...]:
        """Ansible variables, the strongest first."""
        return (f"leasehold_{self.name}", *(f"ansible_hashi_vault_{peer}" for peer in self.peers))

    def argument(self) -> Values:
        from ansible.module_utils.basic import env_fallback

        spec: Values = {"type": self.type, "no_log": self.secret}
        if self.aliases:
            spec["aliases"] = list(self.aliases)
        if self.choices:
            spec["choices"] = list(self.choices)
        if self.default is not None:
            spec["default"] = self.default
        if self.env:
            spec["fallback"] = (env_fallback, list(self.env))
        return spec

    def definition(self) -> Values:
        """Where plugins find it, as Ansible's configuration wants it declared: of each kind of place the last one wins."""
        places: Values = {
            "env": [{"name": name} for name in reversed(self.env)],
            "ini": [] if self.secret else [{"section": "leasehold_vault", "key": self.name}],
            "vars": [{"name": name} for name in reversed(self.variables)],
        }
        about: Values = {"aliases": list(self.aliases), "choices": list(self.choices)}
        given = {key: value for key, value in {**places, **about}.items() if value}
        return {"type": self.type, **given, **({} if self.default is None else {"default": self.default})}


OPTIONS = (
    Option("url", env=("VAULT_ADDR", "BAO_ADDR"), peers=("url", "addr"), aliases=("vault_address",)),
    Option("namespace", env=("VAULT_NAMESPACE", "BAO_NAMESPACE"), peers=("namespace",), aliases=("vault_namespace",)),
    Option("namespace_check", type="bool", env=("LEASEHOLD_NAMESPACE_CHECK",), default=True),
    Option("validate_certs", type="bool", peers=("validate_certs",)),
    Option("tls_skip_verify", type="bool", env=("VAULT_SKIP_VERIFY", "BAO_SKIP_VERIFY")),
    Option(
        "ca_cert",
        type="path",
        env=("VAULT_CACERT", "BAO_CACERT", "VAULT_CAPATH", "BAO_CAPATH"),
        peers=("ca_cert",),
        aliases=("cacert", "ssl_ca_cert"),
    ),
    Option("tls_server_name", env=("VAULT_TLS_SERVER_NAME", "BAO_TLS_SERVER_NAME")),
    Option("client_cert", type="path", env=("VAULT_CLIENT_CERT", "BAO_CLIENT_CERT"), aliases=("cert_auth_public_key",)),
    Option("client_key", type="path", env=("VAULT_CLIENT_KEY", "BAO_CLIENT_KEY"), aliases=("cert_auth_private_key",)),
    Option("timeout", env=("VAULT_CLIENT_TIMEOUT", "VAULT_TIMEOUT"), peers=("timeout",), default=f"{TIMEOUT}s"),
    Option("retries", type="int", env=("VAULT_MAX_RETRIES", "VAULT_RETRIES"), peers=("retries",), default=RETRIES),
    Option("proxies", type="raw", env=("VAULT_PROXY_ADDR", "VAULT_PROXIES"), peers=("proxies",)),
    Option("auth_method", env=("VAULT_AUTH_METHOD",), peers=("auth_method",), choices=AUTH_METHODS, default="token"),
    Option(
        "auth_mount",
        env=("VAULT_AUTH_MOUNT", "VAULT_APPROLE_PATH"),
        peers=("mount_point",),
        aliases=("vault_approle_path", "mount_point"),
    ),
    Option("token", env=("VAULT_TOKEN", "BAO_TOKEN"), peers=("token",), secret=True),
    Option("token_path", type="path", env=("VAULT_TOKEN_PATH",)),
    Option("role_id", env=("VAULT_APPROLE_ROLE_ID", "VAULT_ROLE_ID"), peers=("role_id",), aliases=("approle_role_id",)),
    Option(
        "secret_id",
        env=("VAULT_APPROLE_SECRET_ID", "VAULT_SECRET_ID"),
        peers=("secret_id",),
        aliases=("approle_secret_id",),
        secret=True,
    ),
    Option("auth_role", env=("VAULT_AUTH_ROLE",)),
    Option("jwt", env=("VAULT_JWT",), peers=("jwt",), secret=True),
    Option("jwt_path", type="path", env=("VAULT_JWT_PATH",), aliases=("kubernetes_token_path",)),
    Option("auth_username", env=("VAULT_AUTH_USERNAME",), peers=("username",)),
    Option("auth_password", env=("VAULT_AUTH_PASSWORD",), peers=("password",), secret=True),
)
NAMES = tuple(option.name for option in OPTIONS)


def argument_spec() -> Values:
    return {option.name: option.argument() for option in OPTIONS}


def drop_empty_variables() -> None:
    """A variable of the environment that is set to nothing counts as not set, as it does for ``vault`` and ``bao``.

    Modules, lookups and actions call this before their options are read; Ansible itself would take the empty text.
    """
    for name in {name for option in OPTIONS for name in option.env}:
        if os.environ.get(name) == "":
            del os.environ[name]


def client_arguments(options: Values) -> tuple[Values, list[str]]:
    """What :class:`Client` takes, out of the options; and what the user should know about it."""
    url = options.get("url")
    if not url:
        raise Refused("The address of Vault is missing: set url, VAULT_ADDR or the variable leasehold_url.")
    warnings = []
    verify: bool | str = options.get("ca_cert") or True
    if options.get("validate_certs") is False or (
        options.get("validate_certs") is None and options.get("tls_skip_verify")
    ):
        verify = False
        if str(url).startswith("https"):
            warnings.append(
                f"The certificate of {url} is not verified: anyone on the network path can read the credentials. Set ca_cert instead."
            )
    if str(url).startswith("http://") and not _loopback(str(url)):
        warnings.append(f"{url} is not protected by TLS: tokens and passwords are sent in clear text.")
    certificate, key = options.get("client_cert"), options.get("client_key")
    namespace = str(options.get("namespace") or "").strip("/")
    arguments = {
        "url": address(str(url)),
        "namespace": "" if namespace == "root" else namespace,
        "namespace_check": options.get("namespace_check") is not False,
        "verify": verify,
        "certificate": (certificate, key or certificate) if certificate else None,
        "proxies": _proxies(options.get("proxies")),
        "server_name": str(options.get("tls_server_name") or ""),
        "timeout": seconds_of("timeout", options.get("timeout") or TIMEOUT),
        "retries": int(options["retries"]) if options.get("retries") is not None else RETRIES,
    }
    return arguments, warnings


def address(url: str) -> str:
    """One spelling of an address of Vault, without the path of its API."""
    try:
        parts = urlsplit(url.strip())
        user, at, host = parts.netloc.rpartition("@")
        host = host.lower().removesuffix({"https": ":443", "http": ":80"}.get(parts.scheme, ""))
    except ValueError:
        return url  # the client says that it is no address
    path = parts.path.rstrip("/")
    base = f"{parts.scheme}://{user}{at}{host}{path}" if host else url
    if path.endswith("/v1"):
        raise Refused(
            f"url: {url} ends in /v1, the path of Vault's API, which is added to each request. Give {base.removesuffix('/v1')} instead."
        )
    return base


def auth_mount(options: Values) -> str:
    method = options["auth_method"]
    try:
        return mount_path(options.get("auth_mount") or method)
    except ValueError as error:
        raise Refused(f"auth_mount: {error}") from None


def logs_in(options: Values) -> bool:
    """Whether the token is the run's own."""
    return (options.get("auth_method") or "token") not in ("token", "none")


def login_identity(options: Values) -> str:
    """Who asks, and where, in one spelling; how long it waits and how often it tries is no part of that.  Holds secrets."""
    arguments, _warnings = client_arguments(options)
    method = options.get("auth_method") or "token"
    who = {option: str(options.get(option) or "").strip() for option in IDENTITY[method]}
    for given, file in (("token", "token_path"), ("jwt", "jwt_path")):
        if who.get(given):
            del who[file]
        elif file in who:
            who[file] = str(secret_file(options, method))
    where = {key: value for key, value in arguments.items() if key not in ("timeout", "retries")}
    mount = auth_mount({**options, "auth_method": method}) if method not in ("token", "none") else ""
    return json.dumps([where, method, mount, who], sort_keys=True)


def secret_file(options: Values, method: str) -> pathlib.Path:
    """Where the token, or the JWT, lies that was not given as an option."""
    if method == "token":
        return pathlib.Path(options.get("token_path") or "~/.vault-token").expanduser()
    path = options.get("jwt_path") or (KUBERNETES_TOKEN if method == "kubernetes" else "")
    if not path:
        raise Refused("auth_method jwt needs jwt or jwt_path.")
    return pathlib.Path(path)


def _loopback(url: str) -> bool:
    host = url.split("//", 1)[1].split("/", 1)[0].rpartition("@")[2]
    return bool(re.fullmatch(r"(?:127(?:\.\d+){3}|localhost|\[::1\])(?::\d+)?", host))


def _proxies(given: t.Any) -> dict[str, str]:
    """One address for both schemes, or a dictionary by scheme; text may hold the dictionary as JSON."""
    if not given:
        return {}
    if isinstance(given, str) and given.lstrip().startswith("{"):
        given = json.loads(given)
    return dict(given) if isinstance(given, dict) else {"http": str(given), "https": str(given)}
