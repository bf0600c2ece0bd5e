# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test may ask of the server, and how the server is asked whether it has it.

    @pytest.mark.needs("namespaces")    # what only a server that has it does
    @pytest.mark.lacks("root_rollback") # what only a server without it does

On another server the test is skipped, with the sentence as its reason. Which server may lack what stands in `skips.yml`;
a skip that it does not explain is a failure.
"""

from __future__ import annotations

import functools
import json
import re
import typing as t
import urllib.error
from dataclasses import dataclass
from pathlib import Path

import yaml

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from servers import OpenBao, Program

LIST = Path(__file__).with_name("skips.yml")
PROBE = "leasehold-probe"
"""The mount at which the plugin for databases is asked what it knows; gone afterwards."""


@dataclass(frozen=True)
class Capability:
    about: str
    has: Callable[[OpenBao], bool]
    """Asks the server, with the root token. Leaves nothing behind."""


def _asked(server: OpenBao, method: str, path: str, body: t.Any = None) -> tuple[int, str]:
    """Status and text of the answer, of an error too."""
    try:
        return 200, json.dumps(server.request(method, path, body))
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _namespaces(server: OpenBao) -> bool:
    """An unknown path is answered in words, a list of none without any."""
    status, text = _asked(server, "LIST", "sys/namespaces")
    return status == 200 or (status == 404 and not json.loads(text)["errors"])


def _audit_over_api(server: OpenBao) -> bool:
    """A device of an unknown type is refused for its type only where devices are taken."""
    return "config-based" not in _asked(server, "PUT", "sys/audit/leasehold-probe", {"type": "leasehold-probe"})[1]


def _help_names(path: str, field: str) -> Callable[[OpenBao], bool]:
    def has(server: OpenBao) -> bool:
        return f'"{field}"' in _asked(server, "GET", f"{path}?help=1")[1]

    return has


def _database_help_names(path: str, field: str) -> Callable[[OpenBao], bool]:
    def has(server: OpenBao) -> bool:
        server.request("POST", f"sys/mounts/{PROBE}", {"type": "database"})
        try:
            return _help_names(f"{PROBE}/{path}", field)(server)
        finally:
            server.request("DELETE", f"sys/mounts/{PROBE}")

    return has


def _approle_help_names(path: str, field: str) -> Callable[[OpenBao], bool]:
    def has(server: OpenBao) -> bool:
        server.request("POST", f"sys/auth/{PROBE}", {"type": "approle"})
        try:
            return _help_names(f"auth/{PROBE}/{path}", field)(server)
        finally:
            server.request("DELETE", f"sys/auth/{PROBE}")

    return has


def _refuses(**options: t.Any) -> Callable[[OpenBao], bool]:
    """Whether the plugin looks at an option of a connection: what makes no sense is refused, with the option's name or value."""

    def has(server: OpenBao) -> bool:
        body = {
            "plugin_name": "postgresql-database-plugin", "verify_connection": False,
            "connection_url": "postgresql://{{username}}:{{password}}@127.0.0.1:1/none", "username": "a", "password": "b",
        }  # fmt: skip
        server.request("POST", f"sys/mounts/{PROBE}", {"type": "database"})
        try:
            return _asked(server, "POST", f"{PROBE}/config/probe", {**body, **options})[0] == 400
        finally:
            server.request("DELETE", f"sys/mounts/{PROBE}")

    return has


def _has_index(server: OpenBao) -> bool:
    """Whether its answers say how far its storage has come."""
    return "X-Vault-Index" in server.answer("GET", "sys/mounts")[1]


def _rolls_back(server: OpenBao) -> bool:
    """HashiCorp Vault's plugins for databases write a root rotation down before it; OpenBao's have lost that."""
    server.request("POST", f"sys/mounts/{PROBE}", {"type": "database"})
    try:
        return "+builtin.vault" in _asked(server, "GET", f"sys/internal/ui/mounts/{PROBE}")[1]
    finally:
        server.request("DELETE", f"sys/mounts/{PROBE}")


def _has_path(method: str, path: str, body: t.Any = None) -> Callable[[OpenBao], bool]:
    def has(server: OpenBao) -> bool:
        status, text = _asked(server, method, path, body)
        return not (status in (404, 405) or "unsupported path" in text or "cannot tune" in text)

    return has


CAPABILITIES = {
    "namespaces": Capability("the server has namespaces", _namespaces),
    "audit_over_api": Capability("audit devices are made over the API", _audit_over_api),
    "sys_tune": Capability("the mount sys/ can be tuned", _has_path("POST", "sys/mounts/sys/tune", {})),
    "root_rollback": Capability("a root rotation that was cut off is rolled back", _rolls_back),
    "standby_reads": Capability("standbys answer reads themselves, and can be told how old they may be", _has_index),
    "ldap": Capability("logins by LDAP are built in", _has_path("GET", "sys/plugins/catalog/auth/ldap")),
    "rotation_schedule": Capability(
        "a static role has a schedule", _database_help_names("static-roles/probe", "rotation_schedule")
    ),
    "tls_ca": Capability("a connection to PostgreSQL takes its certificates as options", _refuses(tls_ca="no certificate")),
    "token_strictly_bind_ip": Capability(
        "a token can be bound to the address that logged in", _approle_help_names("role/probe", "token_strictly_bind_ip")
    ),
    "policy_ttl": Capability("a policy may have an end", _help_names("sys/policies/acl/probe", "ttl")),
    "scram": Capability(
        "passwords are hashed before they are sent to PostgreSQL (password_authentication)",
        _refuses(password_authentication="none"),
    ),
}  # fmt: skip

_answers: dict[tuple[str, str], bool] = {}


def has(server: OpenBao, name: str) -> bool:
    """Whether this server has a capability; asked once a run."""
    key = (server.url, name)
    if key not in _answers:
        _answers[key] = CAPABILITIES[name].has(server)
    return _answers[key]


@functools.cache
def listed() -> dict[str, list[str]]:
    """`{capability: [server, …]}` of `skips.yml`."""
    return t.cast("dict[str, list[str]]", yaml.safe_load(LIST.read_text(encoding="utf-8")))


def may_lack(program: Program, name: str) -> bool:
    """Whether the list has it that this server is without this capability."""
    return any(_is(program, server) for server in listed().get(name, ()))


def _is(program: Program, server: str) -> bool:
    """`vault`, `vault <1.18`, `openbao >=2.7`, `vault >=1.14 <1.18`; a pre-release counts as its release."""
    product, *bounds = server.split()
    if product != program.product.lower():
        return False
    here = _numbers(program.version)
    for bound in bounds:
        sign, number = re.fullmatch(r"(<|>=)([\d.]+)", bound).groups()  # type: ignore[union-attr]
        if (here >= _numbers(number)) != (sign == ">="):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"[\d.]+", version)
    return tuple(int(number) for number in found[0].strip(".").split(".")) if found else ()
