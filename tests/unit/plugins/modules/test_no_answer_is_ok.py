# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that is sealed, absent, not to be trusted or not willing is never reported as `ok`, by no module and in no mode."""

from __future__ import annotations

import contextlib
import secrets
import socket

import pytest
import servers
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in

from ...conftest import module_named, specification_of, validated
from ...test_every_module import VAULT_MODULES

ROLE = {"name": "app", "db_name": "db", "creation_statements": "CREATE ROLE \"{{name}}\" PASSWORD '{{password}}'"}
CONNECTION = {
    "name": "db",
    "connection_url": "postgresql://{{username}}:{{password}}@127.0.0.1:9/app",
    "username": "vault_admin",
    "password": "a-bootstrap-password",
}
TASKS = {
    "engine": ("database_engine", {}),
    "no engine": ("database_engine", {"state": "absent"}),
    "engine info": ("database_engine_info", {"mount": "database"}),
    "connection": ("database_connection", CONNECTION),
    "no connection": ("database_connection", {"name": "db", "state": "absent"}),
    "connection info": ("database_connection_info", {"name": "db"}),
    "role": ("database_role", ROLE),
    "no role": ("database_role", {"name": "app", "state": "absent"}),
    "role info": ("database_role_info", {"name": "app"}),
    "static role": (
        "database_static_role",
        {"name": "app", "db_name": "db", "username": "app", "rotation_period": "1h"},
    ),
    "no static role": ("database_static_role", {"name": "app", "state": "absent"}),
    "static role info": ("database_static_role_info", {"name": "app"}),
    "static role rotation": ("database_static_role_rotation", {"name": "app"}),
    "document": ("database_sync", {"connections": [CONNECTION], "roles": [ROLE]}),
    "health": ("database_health_info", {"name": "db"}),
    "orphans": ("database_orphans_info", {"name": "db", "login_user": "dba"}),
    "no leases": ("lease", {"prefix": "database/creds", "state": "absent"}),
    "leases": ("lease_info", {}),
    "audit device": ("audit_device", {"name": "file", "options": {"file_path": "audit.log"}}),
    "audit hash": ("audit_hash", {"device": "main", "inputs": ["v-approle-app"]}),
    "policy": ("acl_policy", {"name": "app", "policy": 'path "a" {}'}),
    "no policy": ("acl_policy", {"name": "app", "state": "absent"}),
    "policy info": ("acl_policy_info", {}),
    "auth mount": ("auth_mount", {"type": "kubernetes", "kubernetes_host": "https://x"}),
    "no auth mount": ("auth_mount", {"type": "approle", "state": "absent"}),
    "auth mount info": ("auth_mount_info", {}),
    "auth role": ("auth_role", {"type": "approle", "name": "app"}),
    "auth role info": ("auth_role_info", {"type": "approle", "name": "app"}),
    "password policy": (
        "password_policy",
        {"name": "app", "policy": 'length = 20\nrule "charset" { charset = "abc" }'},
    ),
    "no password policy": ("password_policy", {"name": "app", "state": "absent"}),
    "password policy info": ("password_policy_info", {}),
    "quota": ("rate_limit_quota", {"name": "app", "path": "database/creds/app", "rate": 5}),
    "no quota": ("rate_limit_quota", {"name": "app", "state": "absent"}),
    "quota info": ("rate_limit_quota_info", {}),
    "secret id": ("approle_secret_id", {"name": "app", "secret_id_accessor": "any"}),
    "rotation": ("database_root_rotation", {"name": "db", "password": "a-bootstrap-password"}),
}
UNCHECKED = {"credentials": ("database_credentials", {"role": "app"})}
"""A check run of these asks the server nothing."""
ALLOWED = {"lease": ("lease", {"lease_id": "database/creds/app/none"})}
"""Every login may ask what these ask."""


def runs(tasks, *checks):
    return [
        pytest.param(*task, check, id=f"{name}{' --check' if check else ''}")
        for name, task in tasks.items()
        for check in checks
    ]


NEED_RIGHTS = [*runs(TASKS, True, False), *runs(UNCHECKED, False)]
in_each_task = pytest.mark.parametrize(("module", "options", "check"), [*NEED_RIGHTS, *runs(ALLOWED, True, False)])


@pytest.fixture(scope="module")
def sealed():
    with servers.OpenBao() as server:
        token = server.token
        server.restart()  # for some seconds after its first start it opens itself again when it finds itself sealed
        server.seal()
        yield {"url": server.url, "ca_cert": str(server.ca_cert), "token": token}


@pytest.fixture
def reached(bao):
    return {"url": bao.url, "ca_cert": str(bao.ca_cert), "token": bao.token}


def test_every_module_is_covered():
    assert {module for module, _options in (TASKS | UNCHECKED).values()} == set(VAULT_MODULES)


def fails(module, options, check):
    """The sentence with which the task fails."""
    given = {"retries": 0, "mount": f"database-{secrets.token_hex(4)}", **options}
    known = specification_of(module)["argument_spec"]
    desired = validated(
        module, {option: value for option, value in given.items() if option != "mount" or option in known}
    )
    with pytest.raises(Problem) as caught:
        module_named(module).TASK.perform(desired, check, connect=log_in)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert options.get("token", "no token") not in sentence
    return sentence


@pytest.mark.real
@in_each_task
def test_sealed_server_fails(sealed, module, options, check):
    sentence = fails(module, {**sealed, **options}, check)
    assert "sealed" in sentence
    assert "Unseal it first" in sentence


@in_each_task
def test_unreachable_server_fails(module, options, check):
    sentence = fails(module, {"url": "https://127.0.0.1:9", "token": "a-token", **options}, check)
    assert "https://127.0.0.1:9 could not be reached" in sentence
    assert "Connection refused" in sentence


@in_each_task
def test_unknown_host_fails(monkeypatch, module, options, check):
    def not_found(*_arguments, **_options):  # at once; a resolver may think about it for seconds
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    assert "could not be reached" in fails(
        module, {"url": "https://vault.invalid", "token": "a-token", **options}, check
    )


@in_each_task
def test_untrusted_certificate_fails(reached, tmp_path, module, options, check):
    (tmp_path / "ca.pem").write_bytes(servers.Authority("another").certificate)
    sentence = fails(module, {**reached, "ca_cert": str(tmp_path / "ca.pem"), **options}, check)
    assert "Could not trust" in sentence
    assert "ca_cert" in sentence


@in_each_task
def test_unknown_token_fails(reached, module, options, check):
    sentence = fails(module, {**reached, "token": "s.nobodystoken", **options}, check)
    assert "expired, revoked or unknown" in sentence


@pytest.mark.parametrize(("module", "options", "check"), NEED_RIGHTS)
def test_token_without_rights_fails_naming_path_and_capability(reached, powerless, module, options, check):
    sentence = fails(module, {**reached, "token": powerless, "mount": "database-of-nobody", **options}, check)
    tried, needed, path = {
        "database_engine": ("read", "read", "sys/mounts/"),
        "database_engine_info": ("read", "read", "sys/mounts/"),
        "acl_policy": ("read", "read", "sys/policies/acl/app"),
        "acl_policy_info": ("list", "list", "sys/policies/acl"),
        "auth_mount": ("read", "read and sudo", "sys/auth/"),
        "auth_mount_info": ("read", "read and sudo", "sys/auth/"),
        "auth_role": ("read", "read", "auth/"),
        "auth_role_info": ("read", "read", "auth/"),
        "approle_secret_id": ("write", "update", "auth/"),
        "audit_device": ("read", "read and sudo", "sys/audit"),
        "audit_hash": ("write", "update", "sys/audit-hash/main"),
        "database_sync": ("read", "read", "sys/mounts/"),
        "lease": ("list", "list and sudo", "sys/leases/lookup/"),
        "lease_info": ("list", "list and sudo", "sys/leases/lookup/"),
        "password_policy": ("read", "read", "sys/policies/password/app"),
        "password_policy_info": ("list", "list", "sys/policies/password"),
        "rate_limit_quota": ("read", "read", "sys/quotas/rate-limit/app"),
        "rate_limit_quota_info": ("list", "list", "sys/quotas/rate-limit"),
    }.get(module, ("read", "read", "database-of-nobody/"))
    assert f"Not allowed to {tried}" in sentence
    assert f"needs the capability {needed} on {path}" in sentence
    assert "has deny there" in sentence


@pytest.mark.needs("namespaces")
@in_each_task
def test_unknown_namespace_fails(reached, module, options, check):
    assert "has no namespace 'elsewhere'" in fails(module, {**reached, "namespace": "elsewhere", **options}, check)


@pytest.fixture
def powerless(bao):
    return bao.request("POST", "auth/token/create", {"policies": ["default"], "no_default_policy": False})["auth"][
        "client_token"
    ]


@pytest.mark.needs("namespaces")
def test_unknown_namespace_missing_mount_and_absent_object_have_distinct_errors(reached, real_vault):
    mount = real_vault.add_mount().mount
    asked = [{"namespace": "elsewhere"}, {"mount": "database-of-nobody"}, {"mount": mount, "must_exist": True}]
    sentences = [fails("database_role_info", {"name": "app", **reached, **where}, False) for where in asked]
    assert "no namespace" in sentences[0]
    assert "nothing is mounted" in sentences[1]
    assert "There is no role" in sentences[2]


@pytest.mark.parametrize(
    ("url", "words"), [("", "VAULT_ADDR"), ("vault.example.com", "must begin with https://"), ("https://", "address")]
)
def test_invalid_address_fails(url, words):
    assert words in fails("database_role_info", {"url": url, "token": "a-token", "name": "app"}, False)


# -- JSON of another shape --------------------------------------------------------------------------------------------------

SHAPES = [
    [],
    "text",
    None,
    7,
    {"data": []},
    {"data": "text"},
    {"data": {"keys": "text"}},
    {"data": {"keys": [1, {}]}},
    {"data": {"ttl": "soon", "issue_time": 7, "connection_details": [], "allowed_roles": 7, "type": [], "policy": {}}},
    {"data": {"file/": 7}},
    {"auth": "text", "lease_id": 7},
]


@in_each_task
def test_json_of_unexpected_shape_fails_or_finds_nothing(stub, module, options, check):
    """Neither a fault of ours nor a traceback; what is not there may be said to be absent."""
    given = {"retries": 0, "url": stub.url, "token": "s.token", "mount": "database", **options}
    known = specification_of(module)["argument_spec"]
    desired = validated(
        module, {option: value for option, value in given.items() if option != "mount" or option in known}
    )
    for shape in SHAPES:
        stub.answers = [(200, shape)] * 40
        with contextlib.suppress(Problem):
            module_named(module).TASK.perform(desired, check, connect=log_in)
