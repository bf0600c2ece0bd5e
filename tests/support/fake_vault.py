# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake Vault: answers the paths the modules use with the words and status codes of a real server.

It stands where the network would be, below the collection's own client.  With ``frozen`` every write is an error of the test.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import fnmatch
import itertools
import json
import re
import typing as t
from urllib.parse import urlsplit

from ansible_collections.leasehold.vault.plugins.module_utils._resources.role import ROLE
from ansible_collections.leasehold.vault.plugins.module_utils._vault import transport
from fake_access import FakeAccess, RefusalError, is_harmless

if t.TYPE_CHECKING:
    from collections.abc import Iterator

Answer = tuple[int, dict[str, t.Any]]

HARMLESS = ("sys/capabilities-self", "sys/leases/lookup", "auth/token/lookup-self", "auth/token/revoke-self")
"""What may be posted by a check run: nothing is changed by it."""
TOP_LEVEL = ("plugin_name", "plugin_version", "allowed_roles", "password_policy")
ROTATION = (
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "disable_automated_rotation",
    "skip_static_role_import_rotation",
)
"""At the top level, too, on HashiCorp Vault 1.19 and newer, Enterprise edition."""
STATEMENTS = ("creation_statements", "revocation_statements", "renew_statements", "rollback_statements")
OF_ROLE = {field.send[-1] for field in ROLE.fields}
"""What a dynamic role keeps; anything else is ignored."""


@dataclasses.dataclass
class FakeDatabase:
    """What the server meets when it logs in."""

    host: str = "127.0.0.1"
    port: int = 5432
    name: str = "app"
    admin: str = "vault_admin"
    admin_password: str = "bootstrap-password"
    group: str = "app_rw"
    passwords: dict[str, str] = dataclasses.field(default_factory=dict)
    trusting: bool = False

    def __post_init__(self) -> None:
        self.passwords[self.admin] = self.admin_password

    @property
    def url(self) -> str:
        return f"postgresql://{{{{username}}}}:{{{{password}}}}@{self.host}:{self.port}/{self.name}?sslmode=disable"

    def refuse_all(self) -> None:
        """Be there, and let nobody in, for a reason that is not the password."""
        self.name = "closed"

    def let_in_again(self) -> None:
        self.name = "app"

    def opens(self, password: str, user: str = "") -> bool:
        return self.passwords.get(user or self.admin) == password

    def try_login(self, url: str, user: str, password: str) -> str:
        parts = urlsplit(url.replace("{{username}}:{{password}}@", ""))
        where = f"failed to connect to `user={user}`: {parts.netloc}: "
        if parts.hostname not in (self.host, "localhost") or parts.port != self.port:
            return f"{where}dial error: dial tcp {parts.netloc}: connect: connection refused"
        if parts.path.strip("/") != self.name:
            return f"{where}server error: FATAL: database is not currently accepting connections (SQLSTATE 55000)"
        if not self.trusting and self.passwords.get(user) != password:
            return f'{where}failed SASL auth: FATAL: password authentication failed for user "{user}" (SQLSTATE 28P01)'
        return ""


class FakeVault:
    """The server, and at the same time the way to it: it stands in the place of a client's wire."""

    def __init__(self) -> None:
        self.frozen = False
        self.mounts: dict[str, dict[str, t.Any]] = {}
        self.objects: dict[str, dict[str, t.Any]] = {}
        self.passwords: dict[str, str] = {}
        self.leases: dict[str, dict[str, t.Any]] = {}
        self.writes: list[tuple[str, str, t.Any]] = []
        self.database = FakeDatabase()
        self.access = FakeAccess()
        self.health = {"standby": False, "version": "2.7.2"}
        self._serial = itertools.count(1)

    def play_vault(self, version: str) -> None:
        """Be HashiCorp Vault of this version, Community edition, as far as it differs here."""
        self.health = {"standby": False, "version": version, "enterprise": False}
        self.access.shows_reviewer = False

    def _help(self, path: str) -> dict[str, t.Any]:
        """The fields of a path; those of both editions are named by either."""
        if self.access.owns(path):
            return self.access.help(path)
        fields = (*TOP_LEVEL, *(ROTATION if "enterprise" in self.health else ()))
        return {"openapi": {"components": {"schemas": {"Object": {"properties": {field: {} for field in fields}}}}}}

    @property
    def _keeps_verification(self) -> bool:
        return "enterprise" in self.health and tuple(map(int, str(self.health["version"]).split("."))) >= (1, 19)

    @contextlib.contextmanager
    def freeze(self) -> Iterator[None]:
        self.frozen = True
        try:
            yield
        finally:
            self.frozen = False

    # -- the network -------------------------------------------------------------------------------------------------------

    def send(
        self, method: str, path: str, headers: t.Any, body: t.Any = None, params: t.Any = None
    ) -> transport.Answer:
        path = path.removeprefix("/v1/")
        method = {"PUT": "POST"}.get(method, "LIST" if "list" in (params or {}) else method)
        body = json.loads(json.dumps(body)) if body else {}
        if self.frozen and method in ("POST", "DELETE") and path not in HARMLESS and not is_harmless(path):
            raise AssertionError(f"a check run sent {method} {path}")
        try:
            if method in ("POST", "DELETE"):
                self.writes.append((method, path, copy.deepcopy(body)))
            if "help" in (params or {}):
                return transport.Answer(200, {}, json.dumps(self._help(path)).encode())
            status, answer = self.answer(method, path, body, headers)
            if method == "LIST":
                answer["data"]["keys"] = _page(answer["data"]["keys"], params or {})
        except RefusalError as refusal:
            status, answer = refusal.status, {"errors": list(refusal.errors)}
        return transport.Answer(status, {}, b"" if status == 204 else json.dumps(answer).encode())

    # -- the server --------------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, body: dict[str, t.Any], headers: t.Any) -> Answer:
        if path.endswith("/") and method == "POST":
            raise RefusalError(400, "cannot write to a path ending in '/'")
        if path.startswith("sys/mounts"):
            return self._mounts(method, path[len("sys/mounts") :].strip("/"), body)
        if path.startswith("sys/leases/"):
            return self._leases(method, path[len("sys/leases/") :], body)
        if path == "sys/health":
            return 200, self.health
        if path == "auth/token/lookup-self":
            return 200, {"data": {"expire_time": None, "ttl": 0}}
        if path == "auth/token/revoke-self":
            return 204, {}
        if self.access.owns(path):
            return self.access.answer(method, path, body, headers)
        if path.startswith("sys/internal/ui/mounts/"):
            current = self.mounts.get(path[len("sys/internal/ui/mounts/") :], {})
            return 200, {"data": {**copy.deepcopy(current), "running_plugin_version": "v2.7.2+builtin.bao"}}
        mount = next((m for m in sorted(self.mounts, key=len, reverse=True) if path.startswith(f"{m}/")), None)
        if mount is None:
            raise RefusalError(404, f'no handler for route "{path}". route entry not found.')
        kind, _slash, name = path[len(mount) + 1 :].strip("/").partition("/")
        if self.mounts[mount]["type"] != "database" or (name and not re.fullmatch(r"\w(([\w.-]+)?\w)?", name)):
            raise RefusalError(404, "1 error occurred:\n\t* unsupported path\n\n")
        answer: Answer = getattr(self, "_" + kind.replace("-", "_"))(method, mount, name, body)
        return answer

    def _mounts(self, method: str, path: str, body: dict[str, t.Any]) -> Answer:
        if method == "GET" and not path:
            return 200, {"data": {f"{mount}/": current for mount, current in self.mounts.items()}}
        if path.endswith("/tune") and method == "POST":
            current = self.mounts.get(path.removesuffix("/tune"))
            if current is None:
                raise RefusalError(400, f'tune of path "{path.removesuffix("/tune")}/" failed: no mount entry found')
            current["description"] = body.pop("description", current["description"])
            current["config"].update(_mount_config(body))
            return 204, {}
        if method == "GET" and path.endswith("/tune"):
            current = self.mounts.get(path.removesuffix("/tune"))
            if current is None:
                raise RefusalError(400, f'cannot fetch sysview for path "{path.removesuffix("/tune")}"')
            effective = {key: current["config"][key] or 2764800 for key in ("default_lease_ttl", "max_lease_ttl")}
            return 200, {"data": {**current["config"], **effective}}
        if method == "GET":
            if path not in self.mounts:
                raise RefusalError(400, f"No secret engine mount at {path}/")
            return 200, {"data": copy.deepcopy(self.mounts[path])}
        if method == "DELETE":
            self.mounts.pop(path, None)
            for kept in (self.objects, self.passwords, self.leases):
                for key in [key for key in kept if key.startswith(f"{path}/")]:
                    del kept[key]
            return 204, {}
        clash = next(
            (m for m in self.mounts if m == path or m.startswith(f"{path}/") or path.startswith(f"{m}/")), None
        )
        if clash:
            raise RefusalError(400, f"path is already in use at {clash}/")
        self.mounts[path] = {
            "type": body["type"],
            "description": body.get("description", ""),
            "accessor": f"{body['type']}_{next(self._serial):08x}",
            "local": body.get("local", False),
            "seal_wrap": body.get("seal_wrap", False),
            "running_plugin_version": "v2.7.2+builtin.bao",
            "config": {
                "default_lease_ttl": 0,
                "max_lease_ttl": 0,
                "force_no_cache": False,
                **_mount_config(body.get("config", {})),
            },
        }
        return 204, {}

    def _config(self, method: str, mount: str, name: str, body: dict[str, t.Any]) -> Answer:
        path = f"{mount}/config/{name}"
        if method != "POST":
            return self._plain(method, mount, "config", name)
        current = copy.deepcopy(self.objects.get(path)) or {
            "allowed_roles": [],
            "connection_details": {},
            "password_policy": "",
            "plugin_name": "",
            "plugin_version": "",
            "root_credentials_rotate_statements": [],
        }
        body, verify = dict(body), body.get("verify_connection", current.get("verify_connection", True))
        body.pop("verify_connection", None)
        if self._keeps_verification:
            current["verify_connection"] = verify
        for secret in ("private_key", "service_account_json"):
            body.pop(secret, None)
        top_level = (*TOP_LEVEL, *(ROTATION if self.health.get("enterprise") is True else ()))
        password = body.pop("password", self.passwords.get(path, ""))
        if "root_rotation_statements" in body:
            current["root_credentials_rotate_statements"] = _as_list(body.pop("root_rotation_statements"))
        for key, value in body.items():
            if key == "allowed_roles":
                value = [role.strip() for role in (value.split(",") if isinstance(value, str) else value)]
            (current if key in top_level else current["connection_details"])[key] = value
        if not current["plugin_name"]:
            raise RefusalError(400, "empty plugin name")
        details = current["connection_details"]
        if verify:
            trouble = self.database.try_login(details.get("connection_url", ""), details.get("username", ""), password)
            if trouble:
                raise RefusalError(400, f"error creating database object: error verifying connection: {trouble}")
        self.objects[path], self.passwords[path] = current, password
        return 204, {}

    def _roles(self, method: str, mount: str, name: str, body: dict[str, t.Any]) -> Answer:
        if method != "POST":
            return self._plain(method, mount, "roles", name)
        path = f"{mount}/roles/{name}"
        current = copy.deepcopy(self.objects.get(path)) or {
            **{key: [] for key in STATEMENTS},
            "credential_type": "password",
            "db_name": "",
            "default_ttl": 0,
            "max_ttl": 0,
        }
        for key, value in body.items():
            if key in STATEMENTS:
                current[key] = [statement.strip() for statement in _as_list(value)]
            elif key in OF_ROLE:
                current[key] = _seconds(value, key) if key.endswith("_ttl") else value
        if not current["db_name"]:
            raise RefusalError(400, "database name is required")
        self.objects[path] = current
        return 204, {}

    def _static_roles(self, method: str, mount: str, name: str, body: dict[str, t.Any]) -> Answer:
        if method == "POST":
            rotated = {"last_vault_rotation": "2026-01-31T12:00:00.225297562Z"}
            self.objects[f"{mount}/static-roles/{name}"] = {**rotated, **body}
            return 204, {}
        return self._plain(method, mount, "static-roles", name)

    def _static_creds(self, _method: str, mount: str, name: str, _body: dict[str, t.Any]) -> Answer:
        current = self.objects.get(f"{mount}/static-roles/{name}")
        if current is None:
            raise RefusalError(400, "unknown role: " + name)
        return 200, {
            "data": {
                "username": current["username"],
                "password": "static-password",
                "ttl": 3598,
                "last_vault_rotation": current["last_vault_rotation"],
            },
            "lease_id": "",
        }

    def _creds(self, _method: str, mount: str, name: str, _body: dict[str, t.Any]) -> Answer:
        role = self.objects.get(f"{mount}/roles/{name}")
        if role is None:
            raise RefusalError(400, f"unknown role: {name}")
        connection = self.objects.get(f"{mount}/config/{role['db_name']}")
        if connection is None:
            raise RefusalError(500, f'failed to find entry for connection with name: "{role["db_name"]}"')
        if not any(fnmatch.fnmatchcase(name, allowed) for allowed in connection["allowed_roles"]):
            raise RefusalError(500, f'"{name}" is not an allowed role')
        if not role["creation_statements"]:
            raise RefusalError(500, "empty creation statements")
        self._log_in(mount, role["db_name"], 500)
        serial = next(self._serial)
        lease = f"{mount}/creds/{name}/{serial:024d}"
        user = {"username": f"v-root-{name}-{serial}", "password": f"issued-password-{serial}"}
        self.leases[lease] = user
        self.database.passwords[user["username"]] = user["password"]
        duration = role["default_ttl"] or self.mounts[mount]["config"]["default_lease_ttl"] or 2764800
        return 200, {"lease_id": lease, "renewable": True, "lease_duration": duration, "data": user, "warnings": None}

    def _reset(self, _method: str, mount: str, name: str, _body: dict[str, t.Any]) -> Answer:
        self._log_in(mount, name, 500)
        return 200, {"data": None}

    def _rotate_root(self, _method: str, mount: str, name: str, _body: dict[str, t.Any]) -> Answer:
        details = self._log_in(mount, name, 500)
        new = f"rotated-password-{next(self._serial)}"
        self.passwords[f"{mount}/config/{name}"] = self.database.passwords[details["username"]] = new
        return 204, {}

    def _log_in(self, mount: str, name: str, status: int) -> dict[str, t.Any]:
        connection = self.objects.get(f"{mount}/config/{name}")
        if connection is None:
            raise RefusalError(status, f'failed to find entry for connection with name: "{name}"')
        details: dict[str, t.Any] = connection["connection_details"]
        password = self.passwords[f"{mount}/config/{name}"]
        trouble = self.database.try_login(details["connection_url"], details["username"], password)
        if trouble:
            raise RefusalError(status, f"unable to start transaction: {trouble}")
        return details

    def _plain(self, method: str, mount: str, kind: str, name: str) -> Answer:
        path = f"{mount}/{kind}/{name}"
        if method == "DELETE":
            self.objects.pop(path, None)
            self.passwords.pop(path, None)
            return 204, {}
        if method == "LIST":
            return _listed(sorted(key.rsplit("/", 1)[1] for key in self.objects if key.startswith(f"{mount}/{kind}/")))
        if path not in self.objects:
            raise RefusalError(404)
        return 200, {"data": copy.deepcopy(self.objects[path])}

    def _leases(self, method: str, path: str, body: dict[str, t.Any]) -> Answer:
        if method == "LIST":
            prefix = path.removeprefix("lookup").strip("/") + "/"
            below = [lease[len(prefix) :] for lease in self.leases if lease.startswith(prefix)]
            return _listed(sorted({rest.split("/")[0] + ("/" if "/" in rest else "") for rest in below}))
        if path == "lookup":
            if body["lease_id"] not in self.leases:
                raise RefusalError(400, "invalid lease")
            return 200, {"data": {"id": body["lease_id"], "ttl": 3600, "renewable": True}}
        ended = (
            [body["lease_id"]]
            if path == "revoke"
            else [one for one in self.leases if one.startswith(path.partition("/")[2] + "/")]
        )
        for lease in ended:
            user = self.leases.pop(lease, None)
            if user:
                del self.database.passwords[user["username"]]
        return 204, {}


def _listed(keys: list[str]) -> Answer:
    if not keys:
        raise RefusalError(404)
    return 200, {"data": {"keys": keys}}


def _page(keys: list[str], query: dict[str, t.Any]) -> list[str]:
    after, limit = query.get("after", ""), query.get("limit", 0)
    later = [key for key in keys if key > after]
    return later[:limit] if limit > 0 else later


def _as_list(value: t.Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _mount_config(config: dict[str, t.Any]) -> dict[str, t.Any]:
    return {key: _seconds(value, key) if key.endswith("_ttl") else value for key, value in config.items()}


def _seconds(value: t.Any, key: str) -> int:
    units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", str(value))
    if "".join(number + unit for number, unit in parts) != str(value):
        raise RefusalError(400, f'error converting input for field "{key}": time: invalid duration "{value}"')
    return int(sum(float(number) * units[unit] for number, unit in parts))
