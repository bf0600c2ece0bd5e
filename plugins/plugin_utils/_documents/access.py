# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.


"""The applications of the document (``vault_applications``), as policies, auth roles, files for hosts and manifests for a cluster."""

from __future__ import annotations

import json
import typing as t

import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import mount_path
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name as vault_name
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds
from ansible_collections.leasehold.vault.plugins.module_utils._operations.auth_mounts import auth_mount
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_mount import TYPES
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_role import ROLES
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents import automation as _automation
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.migrations import roles_of
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.shapes import OWN_KEYS

Values = dict[str, t.Any]

ENTRY = {
    "name",
    "state",
    "roles",
    "static_roles",
    "policies",
    "auth",
    "limits",
    "deliver",
    "manifests",
    "agent",
    "cutover",
}
LIMIT = {"rate", "interval", "block_interval", "state"}
DELIVER = {"hosts", "owner", "group", "valid_for", "wrap_ttl", "become"}
MANIFESTS = {"kinds", "directory", "namespace", "server", "workload", "annotations"}
BESIDE = ("mount", "role", "role_id_file", "secret_id_file", "jwt_file")
"""What an entry's auth says beside the options of the auth role."""
RESERVED = ("root", "default", "response-wrapping")
"""Names of policies that belong to Vault itself."""
SHORT = {
    "service_accounts": "bound_service_account_names",
    "namespaces": "bound_service_account_namespaces",
}
METHODS = {**{kind: kind for kind in TYPES}, "automation": "jwt"}
"""How an application logs in, and by which method of Vault; ``automation`` are the jobs of a platform."""
SYSTEM_MAX_TTL = 2764800  # 32 days, where nothing says otherwise


def access_document(
    applications: list[Values],
    databases: list[Values] | None = None,
    mount: str = "database",
    roles: list[Values] | None = None,
    engine: Values | None = None,
    margin: t.Any = "1h",
    url: str = "",
    groups: Values | None = None,
    auth_mounts: list[Values] | None = None,
) -> list[Values]:
    """The entries of ``vault_applications``, complete and checked.

    ``roles`` and ``engine`` are what Vault says of them; what it does not have yet is taken from ``databases``.
    """
    declared = {name: role for database in databases or [] for name, role in roles_of(database).items()}
    known = {**declared, **{role["name"]: role for role in roles or []}}
    options = set(auth_mount().options) if auth_mounts else set()
    for number, mounted in enumerate(auth_mounts or []):
        unknown = sorted(set(mounted) - options)
        if unknown:
            raise AnsibleFilterError(
                f"vault_auth_mounts: entry {number + 1}: {', '.join(unknown)} is no option of auth_mount."
            )
    answer = [
        _Application(entry, mount_path(mount), known, engine or {}, seconds(margin), url, groups or {}).document()
        for entry in applications
    ]
    _refuse_one_name(answer)
    _refuse_one_quota(answer)
    return answer


def _refuse_one_name(entries: list[Values]) -> None:
    """Vault keeps the names of policies and of auth roles in lower case, so that two spellings are one object."""
    names: dict[str, list[str]] = {}
    roles: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        names.setdefault(entry["name"].lower(), []).append(entry["name"])
        for role in entry["auth_roles"]:
            path = (mount_path(role["mount"]), role["name"].lower())
            roles.setdefault(path, set()).add(entry["name"])
    for same in names.values():
        if len(set(same)) > 1:
            raise AnsibleFilterError(
                f"vault_applications: {' and '.join(same)} are one name for Vault, which keeps names of policies and auth roles in lower case."
            )
        if len(same) > 1:
            raise AnsibleFilterError(f"vault_applications: {same[0]} is there more than once.")
    for (mount, role), applications in roles.items():
        if len(applications) > 1:
            raise AnsibleFilterError(
                f"vault_applications: {' and '.join(sorted(applications))} have one auth role, auth/{mount}/role/{role}; give each its own."
            )


def _refuse_one_quota(entries: list[Values]) -> None:
    """The server has one quota for the credentials of a role, whichever application reads them."""
    limited: dict[str, str] = {}
    for entry in entries:
        for quota in entry["quotas"]:
            if "path" not in quota or "role" in quota:
                continue
            other = limited.setdefault(quota["path"], entry["name"])
            if other != entry["name"]:
                raise AnsibleFilterError(
                    f"vault_applications: {other} and {entry['name']} both limit reads of {quota['path']}; a limit holds for all who read it, so "
                    "give it once, or give each application a role of its own."
                )


class _Application:
    def __init__(
        self, entry: Values, mount: str, known: Values, engine: Values, margin: int, url: str, groups: Values
    ) -> None:
        self.entry, self.mount, self.known, self.engine = entry, mount, known, engine
        self.margin, self.url, self.groups = margin, url, groups
        self.name = str(entry.get("name") or "")
        own = {key for key in entry if str(key).startswith(OWN_KEYS)}
        self._only(entry, ENTRY | own, "an application")
        self._named(self.name, "its name")
        if self.name.lower() in RESERVED:
            self._refuse("is the name of a policy that belongs to Vault itself; choose another.")
        self.state = entry.get("state") or "present"
        if self.state not in ("present", "absent"):
            self._refuse(f"state is present or absent, not {self.state!r}.")
        self.roles = [self._named(role, "roles") for role in entry.get("roles") or []]
        self.static_roles = [self._named(role, "static_roles") for role in entry.get("static_roles") or []]
        if self.state == "present" and not (self.roles or self.static_roles):
            self._refuse("set roles (or static_roles), whose credentials it may read.")
        self.auth: Values = entry.get("auth") or {}
        if not self.auth:
            self._refuse(f"set auth, how it logs in: {', '.join(METHODS)}.")
        for method, settings in self.auth.items():
            if method not in METHODS:
                self._refuse(f"auth: {method} is not known; known are {', '.join(METHODS)}.")
            fields = ROLES[METHODS[method]].fields
            words = {*BESIDE, *(f.option for f in fields if f.storage != "read_only" and not f.internal)}
            words |= set(SHORT) if method == "kubernetes" else set()
            words |= _automation.words(settings or {}) if method == "automation" else set()
            self._only(settings or {}, words, f"auth: {method}")

    def document(self) -> Values:
        return {
            "name": self.name,
            "state": self.state,
            "policy": {"name": self.name.lower(), "policy": self._policy()},
            "auth_roles": [self._auth_role(method, settings or {}) for method, settings in self.auth.items()],
            "quotas": self._quotas(),
            "deliveries": self._deliveries(),
            "manifests": self._manifests(),
        }

    # -- in Vault ------------------------------------------------------------------------------------------------------------

    def _policy(self) -> str:
        """Read these credentials, keep and end what was issued, the same for its own token.  Nothing else, not even `default`."""
        leases = [f"{self.mount}/creds/{role}/*" for role in self.roles]
        paths: list[Values] = [
            *({"path": f"{self.mount}/creds/{role}", "capabilities": ["read"]} for role in self.roles),
            *({"path": f"{self.mount}/static-creds/{role}", "capabilities": ["read"]} for role in self.static_roles),
        ]
        if leases:
            for word, more in (("renew", ["increment"]), ("revoke", ["sync"]), ("lookup", [])):
                only: Values = {"lease_id": leases, **{parameter: [] for parameter in more}}
                paths.append({"path": f"sys/leases/{word}", "capabilities": ["update"], "allowed_parameters": only})
            paths += [
                {
                    "path": f"sys/leases/{word}/{lease}",
                    "capabilities": ["update"],
                }  # some clients name the lease in the path
                for word in ("renew", "revoke")
                for lease in leases
            ]
        paths += [
            {"path": f"auth/token/{word}-self", "capabilities": [capability]}
            for word, capability in (("lookup", "read"), ("renew", "update"), ("revoke", "update"))
        ]
        head = f"# Written by the role leasehold.vault.app_access for the application {self.name}.\n"
        return head + "".join(_hcl(**path) for path in paths)

    def _auth_role(self, method: str, settings: Values) -> Values:
        kind = METHODS[method]
        given = {SHORT.get(key, key): value for key, value in settings.items() if key not in BESIDE}
        role = {"type": kind, "mount": settings.get("mount") or kind, "name": settings.get("role") or self.name}
        if self.state == "absent":
            return {**role, "state": "absent"}
        if method == "automation":
            of_jobs = _automation.words(settings)
            given = {**{key: value for key, value in given.items() if key not in of_jobs}, **self._jobs(settings)}
        # Every user ends with the token it was issued under, so the token outlives the longest of them.
        if not {"token_period", "token_ttl", "token_type"} & set(given):
            role["token_period"] = min(self._longest("max_ttl") + self.margin, SYSTEM_MAX_TTL)
        policies = [self.name.lower(), *(self.entry.get("policies") or [])]
        return {**role, "token_policies": policies, "token_no_default_policy": True, **given}

    def _jobs(self, settings: Values) -> Values:
        try:
            return _automation.jwt_role(settings)
        except ValueError as error:
            self._refuse(f"auth: automation: {error}.")

    def _longest(self, ttl: str) -> int:
        return max([self._ttl(role, ttl) for role in self.roles], default=0)

    def _ttl(self, role: str, ttl: str) -> int:
        """Of a role, else of its mount, else of the system."""
        given = seconds(self.known.get(role, {}).get(ttl) or 0)
        return given or self.engine.get(ttl.replace("_ttl", "_lease_ttl")) or SYSTEM_MAX_TTL

    def _quotas(self) -> list[Values]:
        """Options of ``rate_limit_quota``, for its logins and for reads of the credentials of its roles."""
        limits = self.entry.get("limits") or {}
        self._only(limits, {"logins", "credentials"}, "limits")
        for what, limit in limits.items():
            self._only(limit, LIMIT, f"limits: {what}")
        logins = [self._auth_role(method, settings or {}) for method, settings in self.auth.items()]
        if "logins" in limits and any(role["type"] == "jwt" for role in logins):
            self._refuse(
                "limits: logins by JWT cannot be limited by their role (OpenBao breaks off the request). Limit all logins of the mount with "
                "leasehold.vault.rate_limit_quota, path auth/<mount>/login."
            )
        places = {
            # AppRole knows its roles in lower case, Kubernetes as the login spells them.
            "logins": {
                role["type"]: {
                    "path": f"auth/{mount_path(role['mount'])}",
                    "role": role["name"].lower() if role["type"] == "approle" else role["name"],
                }
                for role in logins
            },
            "credentials": {role: {"path": f"{self.mount}/creds/{role}"} for role in self.roles},
        }
        return [
            {"name": f"{self.name}-{what}-{each}", "state": "absent"}
            if self.state == "absent" or limit.get("state") == "absent"
            else {"name": f"{self.name}-{what}-{each}", **place, **limit}
            for what, limit in limits.items()
            for each, place in places[what].items()
        ]

    # -- on hosts ------------------------------------------------------------------------------------------------------------

    def _deliveries(self) -> list[Values]:
        deliver = self.entry.get("deliver")
        if not deliver:
            return []
        self._only(deliver, DELIVER, "deliver")
        if "approle" not in self.auth:
            self._refuse("deliver takes the ids of an AppRole to hosts, so auth must have approle.")
        settings = self.auth["approle"] or {}
        hosts = [one for host in deliver.get("hosts") or [] for one in self.groups.get(host, [host])]
        if not hosts:
            self._refuse("deliver: hosts is needed.")
        home = f"/etc/vault-agent/{self.name}"
        files = {word: str(settings.get(f"{word}_file") or f"{home}/{word}") for word in ("role_id", "secret_id")}
        role = self._auth_role("approle", settings)
        return [
            {
                **{key: role[key] for key in ("mount", "name")},
                **files,
                "application": self.name,
                "state": self.state,
                "host": host,
                "accessor": f"{files['secret_id']}_accessor",
                "directories": sorted({path.rpartition("/")[0] for path in files.values()}),
                "owner": str(deliver.get("owner") or "root"),
                "group": str(deliver.get("group") or ""),
                "valid_for": deliver.get("valid_for") or 0,
                "wrap_ttl": deliver.get("wrap_ttl") or "2m",
                "become": bool(deliver.get("become")),
            }
            for host in dict.fromkeys(hosts)
        ]

    # -- for a cluster -------------------------------------------------------------------------------------------------------

    def _manifests(self) -> list[Values]:
        desired = self.entry.get("manifests")
        if not desired:
            return []
        self._only(desired, MANIFESTS, "manifests")
        if "kubernetes" not in self.auth:
            self._refuse("manifests are for a cluster, so auth must have kubernetes.")
        if not desired.get("directory"):
            self._refuse("manifests: directory is needed.")
        made = {
            "agent_injector": self._agent_injector,
            "external_secrets": self._external_secrets,
            "secrets_operator": self._secrets_operator,
        }
        kinds = desired.get("kinds") or []
        unknown = sorted(set(kinds) - set(made))
        if unknown or not kinds:
            self._refuse(f"manifests: kinds are {', '.join(made)}{', not ' + ', '.join(unknown) if unknown else ''}.")
        return [
            {
                "path": f"{desired['directory']}/{self.name}-{kind.replace('_', '-')}.yml",
                "content": "" if self.state == "absent" else _as_yaml(made[kind](_Cluster(self, desired))),
            }
            for kind in kinds
        ]

    def _agent_injector(self, cluster: _Cluster) -> list[Values]:
        """What is added to the application's own workload."""
        prefix = cluster.desired.get("annotations") or "vault.hashicorp.com"
        given = {
            "agent-inject": "true",
            "auth-path": f"auth/{cluster.mount}",
            "role": cluster.role,
            "agent-revoke-on-shutdown": "true",
            "agent-revoke-grace": "5",
        }
        for name, path in self._credentials().items():
            given[f"agent-inject-secret-{name}.json"] = path
            given[f"agent-inject-template-{name}.json"] = (
                f"{{{{ with secret {json.dumps(path)} }}}}{{{{ .Data | toJSON }}}}{{{{ end }}}}"
            )
            given[f"agent-inject-perms-{name}.json"] = "0600"
        spec: Values = {"serviceAccountName": cluster.account}
        if cluster.audience:
            given["agent-service-account-token-volume-name"] = "vault-token"
            projected = {
                "serviceAccountToken": {"audience": cluster.audience, "expirationSeconds": 600, "path": "token"}
            }
            spec["volumes"] = [{"name": "vault-token", "projected": {"sources": [projected]}}]
        annotations = {f"{prefix}/{word}": value for word, value in given.items()}
        pod = {"metadata": {"annotations": annotations}, "spec": spec}
        return [{"apiVersion": "apps/v1", **cluster.workload(), "spec": {"template": pod}}]

    def _external_secrets(self, cluster: _Cluster) -> list[Values]:
        documents = []
        account = {"name": cluster.account, **({"audiences": [cluster.audience]} if cluster.audience else {})}
        login = {"mountPath": cluster.mount, "role": cluster.role, "serviceAccountRef": account}
        for name, path in self._credentials().items():
            generator = {"apiVersion": "generators.external-secrets.io/v1alpha1", "kind": "VaultDynamicSecret"}
            provider = {"server": cluster.server, "auth": {"kubernetes": login}}
            documents += [
                {**generator, **cluster.named(name), "spec": {"path": path, "method": "GET", "provider": provider}},
                {
                    "apiVersion": "external-secrets.io/v1",
                    "kind": "ExternalSecret",
                    **cluster.named(name),
                    "spec": {
                        "refreshInterval": f"{self._refresh(name)}s",
                        "target": {"name": cluster.object_name(name)},
                        "dataFrom": [{"sourceRef": {"generatorRef": {**generator, "name": cluster.object_name(name)}}}],
                    },
                },
            ]
        return documents

    def _refresh(self, role: str) -> int:
        """Seconds: a new user well before the old one ends; a new password soon after it was rotated."""
        return max(self._ttl(role, "default_ttl") // 2, 1) if role in self.roles else 60

    def _secrets_operator(self, cluster: _Cluster) -> list[Values]:
        version = "secrets.hashicorp.com/v1beta1"
        login = {"role": cluster.role, "serviceAccount": cluster.account}
        if cluster.audience:
            login["audiences"] = [cluster.audience]
        auth = {"method": "kubernetes", "mount": cluster.mount, "kubernetes": login}
        documents: list[Values] = [
            {"apiVersion": version, "kind": "VaultAuth", **cluster.named(), "spec": auth},
        ]
        workload = cluster.workload()
        for name, path in self._credentials().items():
            spec = {
                "vaultAuthRef": cluster.object_name(),
                "mount": self.mount,
                "path": path.removeprefix(f"{self.mount}/"),
                "destination": {"name": cluster.object_name(name), "create": True},
                "revoke": True,
                "rolloutRestartTargets": [{"kind": workload["kind"], "name": workload["metadata"]["name"]}],
            }
            if name in self.static_roles:
                spec["allowStaticCreds"] = True
            documents.append({"apiVersion": version, "kind": "VaultDynamicSecret", **cluster.named(name), "spec": spec})
        return documents

    def _credentials(self) -> dict[str, str]:
        """For each role, where its credentials are read."""
        return {
            **{role: f"{self.mount}/creds/{role}" for role in self.roles},
            **{role: f"{self.mount}/static-creds/{role}" for role in self.static_roles},
        }

    # -- refusals ------------------------------------------------------------------------------------------------------------

    def _refuse(self, why: str) -> t.NoReturn:
        raise AnsibleFilterError(f"vault_applications: {self.name or 'an entry without a name'}: {why}")

    def _only(self, entry: t.Any, known: set[str], where: str) -> None:
        if not isinstance(entry, dict):
            self._refuse(f"{where} is a dictionary, not {entry!r}.")
        unknown = sorted(set(entry) - known)
        if unknown:
            self._refuse(f"{where}: {', '.join(unknown)} is not known; known are {', '.join(sorted(known))}.")

    def _named(self, value: t.Any, where: str) -> str:
        try:
            return vault_name(value)
        except ValueError as error:
            self._refuse(f"{where}: {error}.")


class _Cluster:
    """How an application looks from a cluster."""

    def __init__(self, application: _Application, desired: Values) -> None:
        settings = application.auth["kubernetes"] or {}
        role = application._auth_role("kubernetes", settings)
        accounts = settings.get("service_accounts") or settings.get("bound_service_account_names") or []
        namespaces = settings.get("namespaces") or settings.get("bound_service_account_namespaces") or []
        self.desired, self.application = desired, application.name
        self.mount, self.role, self.audience = role["mount"], role["name"], settings.get("audience") or ""
        self.account = _first(accounts) or application.name
        self.namespace = desired.get("namespace") or _first(namespaces)
        self.server = desired.get("server") or application.url

    def object_name(self, role: str = "") -> str:
        """As Kubernetes wants it."""
        return "-".join(filter(None, [self.application, role])).lower().replace("_", "-")

    def named(self, role: str = "") -> Values:
        return {"metadata": self._metadata(self.object_name(role))}

    def workload(self) -> Values:
        kind, _slash, name = str(self.desired.get("workload") or f"Deployment/{self.object_name()}").partition("/")
        return {"kind": kind, "metadata": self._metadata(name)}

    def _metadata(self, name: str) -> Values:
        return {"name": name, **({"namespace": self.namespace} if self.namespace else {})}


def _first(names: t.Any) -> str:
    """Of one or several, as a list or as text with commas, as modules take them; empty if there is none."""
    names = names if isinstance(names, (list, tuple)) else str(names).split(",")
    return str(names[0]) if names else ""


def _hcl(path: str, capabilities: list[str], allowed_parameters: Values | None = None) -> str:
    lines = [f"  capabilities = {json.dumps(capabilities)}"]
    if allowed_parameters:
        given = [f"    {json.dumps(key)} = {json.dumps(values)}" for key, values in allowed_parameters.items()]
        lines += ["  allowed_parameters = {", *given, "  }"]
    return "\n".join([f"\npath {json.dumps(path)} {{", *lines, "}\n"])


def _as_yaml(documents: list[Values]) -> str:
    plain = json.loads(json.dumps(documents))  # Ansible's strings are more than strings, and YAML would not have them
    return "".join(f"---\n{yaml.safe_dump(document, sort_keys=False, width=160)}" for document in plain)
