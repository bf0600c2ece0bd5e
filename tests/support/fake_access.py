# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the fake Vault through which people come in: policies, auth mounts, roles there, secret ids.

It has the habits of the real one that matter here: what a write replaces, what it forgets, and which names it lowers.
"""

from __future__ import annotations

import copy
import hmac
import itertools
import json
import re
import typing as t

Body = dict[str, t.Any]
Answer = tuple[int, Body]

TOKEN: Body = {
    "token_bound_cidrs": [], "token_explicit_max_ttl": 0, "token_max_ttl": 0, "token_no_default_policy": False, "token_num_uses": 0,
    "token_period": 0, "token_policies": [], "token_strictly_bind_ip": False, "token_ttl": 0,
    "token_type": "default",
}  # fmt: skip
ROLES: dict[str, Body] = {
    "approle": {
        "bind_secret_id": True, "local_secret_ids": False, "secret_id_bound_cidrs": None, "secret_id_num_uses": 0, "secret_id_ttl": 0,
    },
    "kubernetes": {
        "alias_name_source": "serviceaccount_uid", "bound_service_account_names": [], "bound_service_account_namespaces": [],
        "bound_service_account_namespace_selector": "",
    },
    "jwt": {
        "bound_audiences": None, "bound_claims": None, "bound_claims_type": "string", "bound_subject": "", "claim_mappings": None,
        "clock_skew_leeway": 0, "expiration_leeway": 0, "groups_claim": "", "not_before_leeway": 0, "role_type": "oidc",
        "user_claim": "", "user_claim_json_pointer": False,
    },
}  # fmt: skip
CONFIGURATIONS: dict[str, Body] = {
    "kubernetes": {
        "disable_iss_validation": True, "disable_local_ca_jwt": False, "issuer": "", "kubernetes_ca_cert": "", "kubernetes_host": "",
        "pem_keys": [],
    },
    "jwt": {
        "bound_issuer": "", "default_role": "", "jwks_ca_pem": "", "jwks_url": "", "jwt_supported_algs": [],
        "jwt_validation_pubkeys": [], "namespace_in_state": True, "oidc_client_id": "", "oidc_discovery_ca_pem": "",
        "oidc_discovery_url": "", "provider_config": {},
    },
}  # fmt: skip
SOURCES = ("jwks_url", "jwt_validation_pubkeys", "oidc_discovery_url")


class RefusalError(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status, errors)
        self.status, self.errors = status, errors


def is_harmless(path: str) -> bool:
    return path.endswith("/secret-id-accessor/lookup") or path.startswith("sys/audit-hash/") or "/reset/" in path


class FakeAccess:
    """Policies, audit devices and auth mounts."""

    def __init__(self) -> None:
        self.policies = {"root": "", "default": 'path "auth/token/lookup-self" { capabilities = ["read"] }'}
        self.password_policies: dict[str, str] = {}
        self.quotas: dict[str, Body] = {}
        self.mounts: dict[str, Body] = {}
        self.objects: dict[str, Body] = {}
        self.secret_ids: dict[str, Body] = {}
        self.devices: dict[str, Body] = {}
        self.shows_reviewer = True
        self._serial = itertools.count(1)

    def owns(self, path: str) -> bool:
        return path.startswith(
            ("sys/policies/", "sys/quotas/", "sys/audit", "sys/auth", "sys/internal/ui/mounts/auth/", "auth/")
        )

    def help(self, path: str) -> Body:
        """What it says of an auth role: its fields."""
        mount = next(m for m in self.mounts if path.startswith(f"auth/{m}/role/"))
        fields = {**TOKEN, **ROLES[self.mounts[mount]["type"]]}
        return {"openapi": {"components": {"schemas": {"Role": {"properties": {field: {} for field in fields}}}}}}

    def answer(self, method: str, path: str, body: Body, headers: t.Mapping[str, str]) -> Answer:
        if path.startswith("sys/policies/acl"):
            return self._policy(method, path[len("sys/policies/acl") :].strip("/").lower(), body)
        if path.startswith("sys/policies/password"):
            return self._password_policy(method, path[len("sys/policies/password") :].strip("/"), body)
        if path.startswith("sys/quotas/rate-limit"):
            return self._quota(method, path[len("sys/quotas/rate-limit") :].strip("/"), body)
        if path.startswith("sys/audit-hash/"):
            if path[len("sys/audit-hash/") :] != "main":
                raise RefusalError(400, "unknown audit backend")
            digest = hmac.digest(b"a salt of its own", body["input"].encode(), "sha256").hex()
            return 200, {"data": {"hash": f"hmac-sha256:{digest}"}}
        if path.startswith("sys/audit"):
            return self._device(method, path[len("sys/audit") :].strip("/"), body)
        if path.startswith("sys/auth"):
            return self._mount(method, path[len("sys/auth") :].strip("/"), body)
        if path.startswith("sys/internal/ui/mounts/auth/"):
            current = self.mounts.get(path[len("sys/internal/ui/mounts/auth/") :])
            if current is None:
                raise RefusalError(403, "preflight capability check returned 403")
            return 200, {"data": copy.deepcopy(current)}
        mount = next((m for m in self.mounts if path.startswith(f"auth/{m}/")), None)
        if mount is None:
            raise RefusalError(404, f'no handler for route "{path}". route entry not found.')
        kind, _slash, rest = path[len(f"auth/{mount}/") :].partition("/")
        if kind == "config":
            return self._configuration(method, mount, body)
        name, _slash, what = rest.lower().partition("/")
        if name and not re.fullmatch(r"\w(([\w.-]+)?\w)?", name, re.ASCII):
            raise RefusalError(404, "1 error occurred:\n\t* unsupported path\n\n")
        if what:
            return self._secret_id(method, f"auth/{mount}/role/{name}", what, body, headers)
        return self._role(method, mount, name, body)

    def _policy(self, method: str, name: str, body: Body) -> Answer:
        if method == "LIST":
            return 200, {"data": {"keys": sorted(self.policies)}}
        if method == "GET":
            if name not in self.policies:
                raise RefusalError(404)
            return 200, {"data": {"name": name, "policy": self.policies[name], "cas_required": False, "version": 1}}
        if name == "root" or (name == "default" and method == "DELETE"):
            raise RefusalError(400, f'cannot update "{name}" policy')
        if method == "DELETE":
            self.policies.pop(name, None)
        else:
            self.policies[name] = body["policy"]
        return 204, {}

    def _password_policy(self, method: str, name: str, body: Body) -> Answer:
        """The text is kept as it was sent, once the server could make a password from it."""
        if method == "LIST":
            if not self.password_policies:
                raise RefusalError(404)
            return 200, {"data": {"keys": sorted(self.password_policies)}}
        if method == "GET":
            if name not in self.password_policies:
                raise RefusalError(404, "1 error occurred:\n\t* policy does not exist\n\n")
            return 200, {"data": {"policy": self.password_policies[name]}}
        if method == "DELETE":
            self.password_policies.pop(name, None)
        else:
            if "charset" not in body["policy"]:
                raise RefusalError(400, "invalid password policy: 1 error occurred:\n\t* no charset specified\n\n")
            self.password_policies[name] = body["policy"]
        return 204, {}

    def _quota(self, method: str, name: str, body: Body) -> Answer:
        """A write replaces all of it; what names a mount gets a slash at its end."""
        if method == "LIST":
            if not self.quotas:
                raise RefusalError(404)
            return 200, {"data": {"keys": sorted(self.quotas)}}
        if method == "GET":
            if name not in self.quotas:
                raise RefusalError(404)
            return 200, {"data": copy.deepcopy(self.quotas[name])}
        if method == "DELETE":
            self.quotas.pop(name, None)
        else:
            if body.get("rate", 0) <= 0:
                raise RefusalError(400, "'rate' is invalid")
            path = body.get("path", "")
            is_mount = path and path.count("/") == path.startswith("auth/")
            defaults = {"type": "rate-limit", "role": "", "interval": 1, "block_interval": 0, "inheritable": not path}
            self.quotas[name] = {**defaults, **body, "name": name, "path": f"{path}/" if is_mount else path}
        return 204, {}

    def _device(self, method: str, name: str, body: Body) -> Answer:
        """They are shown all at once, and cannot be changed."""
        if method == "GET":
            return 200, {"data": copy.deepcopy(self.devices)}
        if method == "DELETE":
            self.devices.pop(f"{name}/", None)
        elif f"{name}/" in self.devices:
            raise RefusalError(400, "path already in use")
        else:
            kept = {"path": f"{name}/", "type": body["type"], "description": body.get("description", "")}
            self.devices[f"{name}/"] = {**kept, "options": body.get("options"), "local": body.get("local", False)}
        return 204, {}

    def _mount(self, method: str, path: str, body: Body) -> Answer:
        if method == "GET" and not path:
            return 200, {"data": {f"{mount}/": current for mount, current in self.mounts.items()}}
        if path.endswith("/tune"):
            current = self.mounts[path.removesuffix("/tune")]
            current["description"] = body.pop("description", current["description"])
            current["config"].update(body)
            return 204, {}
        if method == "GET":
            if path not in self.mounts:
                raise RefusalError(400, f"No auth engine at {path}/")
            return 200, {"data": copy.deepcopy(self.mounts[path])}
        if method == "DELETE":
            self.mounts.pop(path, None)
            self.objects = {
                key: current for key, current in self.objects.items() if not key.startswith(f"auth/{path}/")
            }
            return 204, {}
        if path in self.mounts:
            raise RefusalError(400, f"path is already in use at {path}/")
        self.mounts[path] = {
            "type": body["type"],
            "description": body.get("description", ""),
            "accessor": f"auth_{body['type']}_{next(self._serial):08x}",
            "local": body.get("local", False),
            "config": {
                "default_lease_ttl": 0,
                "max_lease_ttl": 0,
                "token_type": "default-service",
                **body.get("config", {}),
            },
        }
        return 204, {}

    def _configuration(self, method: str, mount: str, body: Body) -> Answer:
        """A write replaces all of it."""
        kind, path = self.mounts[mount]["type"], f"auth/{mount}/config"
        if method == "GET":
            if path not in self.objects:
                raise RefusalError(404)
            return 200, {"data": copy.deepcopy(self.objects[path])}
        known = CONFIGURATIONS[kind]
        if kind == "kubernetes" and not body.get("kubernetes_host"):
            raise RefusalError(400, "no host provided")
        if kind == "jwt" and sum(bool(body.get(source)) for source in SOURCES) != 1:
            raise RefusalError(400, f"exactly one of {SOURCES} must be set")
        self.objects[path] = {**known, **{key: value for key, value in body.items() if key in known}}
        if kind == "kubernetes" and self.shows_reviewer:
            self.objects[path]["token_reviewer_jwt_set"] = bool(body.get("token_reviewer_jwt"))
        return 204, {}

    def _role(self, method: str, mount: str, name: str, body: Body) -> Answer:
        kind, path = self.mounts[mount]["type"], f"auth/{mount}/role/{name}"
        if method == "LIST":
            keys = sorted(key.rsplit("/", 1)[1] for key in self.objects if key.startswith(path))
            if not keys:
                raise RefusalError(404)
            return 200, {"data": {"keys": keys}}
        if method == "DELETE":
            self.objects.pop(path, None)
            return 204, {}
        if method == "GET":
            if path not in self.objects:
                raise RefusalError(404)
            return 200, {
                "data": copy.deepcopy({key: value for key, value in self.objects[path].items() if key != "role_id"})
            }
        known = {**ROLES[kind], **TOKEN, **({"audience": ""} if kind == "kubernetes" else {})}
        if path not in self.objects:
            self.objects[path] = {**ROLES[kind], **TOKEN, "role_id": f"role-id-{next(self._serial)}"}
        forgotten = {
            "kubernetes": ("bound_service_account_namespace_selector",),
            "jwt": ("role_type", "bound_claims_type"),
        }.get(kind, ())
        self.objects[path].update({key: ROLES[kind][key] for key in forgotten})
        self.objects[path].update({key: value for key, value in body.items() if key in known})
        return 204, {}

    def _secret_id(self, method: str, role: str, what: str, body: Body, headers: t.Mapping[str, str]) -> Answer:
        if role not in self.objects:
            raise RefusalError(
                404 if what == "role-id" else 500, *([] if what == "role-id" else ["role does not exist"])
            )
        if what == "role-id":
            return 200, {"data": {"role_id": self.objects[role]["role_id"]}}
        if what == "secret-id":
            serial = next(self._serial)
            ttl, uses = (body.get(key, self.objects[role][f"secret_id_{key}"]) for key in ("ttl", "num_uses"))
            issued = {
                "secret_id": f"secret-id-{serial}", "secret_id_accessor": f"accessor-{serial}",
                "secret_id_ttl": ttl, "secret_id_num_uses": uses,
            }  # fmt: skip
            until = "2999-01-01T00:00:00.123456789Z" if ttl else "0001-01-01T00:00:00Z"
            metadata = json.loads(body.get("metadata", "{}"))
            self.secret_ids[f"accessor-{serial}"] = {
                **issued,
                "role": role,
                "expiration_time": until,
                "metadata": metadata,
            }
            wrap_ttl = headers.get("X-Vault-Wrap-TTL")
            if not wrap_ttl:
                return 200, {"data": issued}
            wrapped = {
                "token": f"s.wrapping-{serial}", "accessor": f"wrapping-accessor-{serial}", "ttl": int(wrap_ttl),
                "creation_time": "2026-01-31T12:30:00Z", "creation_path": f"{role}/secret-id", "wrapped_accessor": f"accessor-{serial}",
            }  # fmt: skip
            return 200, {"data": None, "wrap_info": wrapped}
        current = self.secret_ids.get(body["secret_id_accessor"])
        if current is None or current["role"] != role:
            raise RefusalError(404)
        if what == "secret-id-accessor/destroy":
            del self.secret_ids[body["secret_id_accessor"]]
            return 204, {}
        return 200, {"data": {key: value for key, value in current.items() if key not in ("secret_id", "role")}}
