# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of every module that the server keeps is read back as it was given, or refused where this server does not know it.

What is not kept has its reason: it is never shown, says how and not what, or belongs to a module that has no object.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import STATE
from ansible_collections.leasehold.vault.plugins.module_utils._resources import (
    acl_policy,
    auth_mount,
    auth_role,
    connection,
    engine,
    role,
    static_role,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources import password_policy as password_policies
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import NAMES
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import FEATURES

from ...conftest import specification_of
from ...test_every_module import VAULT_MODULES
from .test_auth_mount import public_key

TUNED = {
    "description": "For one test",
    "default_lease_ttl": "1h",
    "max_lease_ttl": "2h",
    "listing_visibility": "unauth",
    "audit_non_hmac_request_keys": ["a"],
    "audit_non_hmac_response_keys": ["b"],
    "passthrough_request_headers": ["X-Mine"],
    "allowed_response_headers": ["X-Yours"],
    "local": True,
}
TOKEN = {
    "token_policies": ["some"],
    "token_no_default_policy": True,
    "token_ttl": "1h",
    "token_max_ttl": "2h",
    "token_explicit_max_ttl": "3h",
    "token_period": "1h",
    "token_type": "batch",
    "token_num_uses": 3,
    "token_bound_cidrs": ["10.0.0.0/8"],
    "token_strictly_bind_ip": True,
}
SQL = ["SELECT '{{name}}'"]
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
CLUSTER = {
    "type": "kubernetes",
    "kubernetes_host": "https://kubernetes.default.svc",
    "kubernetes_ca_cert": PEM,
    "token_reviewer_jwt": "",
}


def cases():
    """The name of each object, its module, what it is, what it cannot do without, and a value for everything else."""
    key = public_key()
    account = {"type": "kubernetes", "bound_service_account_names": ["a"], "bound_service_account_namespaces": ["b"]}
    pipeline = {"type": "jwt", "user_claim": "sub", "bound_subject": "me"}
    return {
        "engine": ("database_engine", engine.ENGINE, {}, {**TUNED, "force_no_cache": True, "seal_wrap": True}),
        "connection": (
            "database_connection",
            connection.CONNECTION,
            {"name": "db"},
            {
                "allowed_roles": ["app"],
                "root_rotation_statements": ["ALTER ROLE \"{{username}}\" PASSWORD '{{password}}'"],
                "password_policy": "some",
                "username_template": "{{ .RoleName }}_{{ unix_time }}",
                "password_authentication": "scram-sha-256",
                "disable_escaping": True,
                "max_open_connections": 7,
                "max_idle_connections": 5,
                "max_connection_lifetime": "90s",
                "tls_ca": "the authority of the test's server",
            },
        ),
        "role": (
            "database_role",
            role.ROLE,
            {"name": "app", "db_name": "db", "creation_statements": ['CREATE ROLE "{{name}}"']},
            {
                "revocation_statements": SQL,
                "renew_statements": SQL,
                "rollback_statements": SQL,
                "default_ttl": "1h",
                "max_ttl": "2h",
                "credential_type": "rsa_private_key",
                "credential_config": {"password_policy": "some"},
            },
        ),
        "static_role": (
            "database_static_role",
            static_role.STATIC_ROLE,
            {"name": "reports", "db_name": "db"},
            {
                "rotation_period": "24h",
                "rotation_schedule": "0 3 * * *",
                "rotation_window": "1h",
                "rotation_statements": ["ALTER ROLE \"{{name}}\" PASSWORD '{{password}}'"],
            },
        ),
        "auth_mount": (
            "auth_mount",
            auth_mount.AUTH_MOUNT,
            {"type": "approle"},
            {**TUNED, "token_type": "batch"},
        ),
        "kubernetes": (
            "auth_mount",
            auth_mount.KUBERNETES,
            CLUSTER,
            {
                "kubernetes_ca_cert": PEM,
                "disable_local_ca_jwt": True,
                "pem_keys": [key],
                "issuer": "me",
                "disable_iss_validation": False,
                "use_annotations_as_alias_metadata": True,
            },
        ),
        "jwt": (
            "auth_mount",
            auth_mount.JWT,
            {"type": "jwt", "jwt_validation_pubkeys": [key]},
            {"bound_issuer": "me", "jwt_supported_algs": ["ES256"], "default_role": "app"},
        ),
        "approle": (
            "auth_role",
            auth_role.ROLES["approle"],
            {"name": "app", "type": "approle"},
            {
                **TOKEN,
                "bind_secret_id": False,
                "secret_id_ttl": "1h",
                "secret_id_num_uses": 2,
                "secret_id_bound_cidrs": ["10.0.0.0/8"],
                "local_secret_ids": True,
            },
        ),
        "account": (
            "auth_role",
            auth_role.ROLES["kubernetes"],
            {"name": "app", **account},
            {
                **TOKEN,
                "bound_service_account_namespace_selector": '{"matchLabels": {"a": "b"}}',
                "audience": "vault",
                "alias_name_source": "serviceaccount_name",
            },
        ),
        "pipeline": (
            "auth_role",
            auth_role.ROLES["jwt"],
            {"name": "app", **pipeline},
            {
                **TOKEN,
                "bound_claims_type": "glob",
                "user_claim_json_pointer": True,
                "groups_claim": "groups",
                "bound_audiences": ["vault"],
                "bound_claims": {"ref": ["main"]},
                "claim_mappings": {"a": "b"},
                "clock_skew_leeway": 30,
                "expiration_leeway": 40,
                "not_before_leeway": 50,
            },
        ),
        "policy": (
            "acl_policy",
            acl_policy.POLICY,
            {"name": "some"},
            {"policy": 'path "a" { capabilities = ["read"] }'},
        ),
        "password_policy": (
            "password_policy",
            password_policies.PASSWORD_POLICY,
            {"name": "some"},
            {"policy": 'length = 20\nrule "charset" { charset = "abcdef" }'},
        ),
    }


BESIDE = {
    "bind_secret_id": {"token_bound_cidrs": ["10.0.0.0/8"]},
    "bound_claims_type": {"bound_claims": {"ref": ["main*"]}},
    "rotation_window": {"rotation_schedule": "0 3 * * *"},
    "tls_ca": {"verify_connection": False},  # the database of the test has no TLS
    "password_policy": {"validate": False},  # it is not there
    "credential_config": {"validate": False},
    "user_claim_json_pointer": {"user_claim": "/sub"},
}
"""What an option needs beside it."""

ELSEWHERE = {
    "database_connection": {
        "plugin_name",
        "plugin_version",
        "tls_certificate",
        *("auth_type", "use_private_ip", "use_psc", "self_managed", "rotation_period", "rotation_schedule"),
        *("rotation_window", "disable_automated_rotation", "skip_static_role_import_rotation"),
    },  # the catalog's, with a key, of a cloud, of the Enterprise edition: test_database_connection
    "auth_mount": {"jwks_url", "jwks_ca_pem", "oidc_discovery_url", "oidc_discovery_ca_pem"},  # the server asks there
    "database_static_role": {"credential_type", "credential_config"},  # as those of database_role
    "lease": {"nodes", "login_user", "login_password"},  # with a standby
}
"""What is kept and shown, and given neither here nor in the story of its module."""
HOW = {*STATE, "keep_leases"}


def test_every_option_is_covered_or_exempt():
    """A new option fails this until the story of its module, or a value above, gives it."""
    kept: dict[str, set[str]] = {}
    for module, resource, base, values in cases().values():
        named = {field.option for field in resource.identity}
        hidden = {field.option for field in resource.fields if field.storage in ("write_only", "transient")}
        kept.setdefault(module, set()).update(named, hidden, base, values, resource.shorthand, {"type"})
    for module, reasons in ELSEWHERE.items():
        kept.setdefault(module, {"name"}).update(reasons)
    for module in VAULT_MODULES:
        specification = set(specification_of(module)["argument_spec"])
        if "state" in specification:
            story = Path(__file__).with_name(f"test_{module}.py").read_text(encoding="utf-8")
            given = {*kept.get(module, ()), *re.findall(r"\w+", story)}
            assert specification - set(NAMES) - HOW <= given, module


@pytest.mark.parametrize("kind", cases())
def test_option_is_read_back_or_refused(request, real_vault, run, kind):
    vault = real_vault
    module, resource, base, values = cases()[kind]
    if kind == "static_role":
        vault = request.getfixturevalue("reports")
        base = {**base, "username": f"{vault.database.name}_reports"}
    elif module.startswith("database_") and kind != "engine":
        vault.add_mount()
        if kind == "role":
            vault.add_connection(allowed_roles=["*"])
        else:
            base = {**base, **vault.connection()}
            values = {**values, "tls_ca": Path(vault.options["ca_cert"]).read_text()}
    elif module == "auth_role":
        vault.client.write(f"sys/auth/{vault.mount}", {"type": base["type"]})
    elif module in ("acl_policy", "password_policy"):
        base = {"name": f"{vault.mount}-some"}
    where = {"mount": None} if module in ("acl_policy", "password_policy") else {}
    gone = {key: value for key, value in base.items() if key in ("name", "type")}
    features = {feature.option: feature for feature in FEATURES.get(resource.kind, ())}
    fields = {field.option: field for field in resource.fields}
    for option, value in values.items():
        desired = {**base, **BESIDE.get(option, {}), option: value}
        if kind == "static_role" and option not in ("rotation_schedule", "rotation_window"):
            desired.setdefault("rotation_period", "24h")
        asked = [features[one] for one in desired if one in features and features[one].asked(desired)]
        vault.client.read("sys/mounts")
        if any(feature.known_to(vault.client.identity) is False for feature in asked):
            assert "does not know" in run.refused(module, **where, **desired), option
            continue
        made = run(module, **where, **desired)[resource.kind]
        assert fields[option].compare_by(made[option]) == fields[option].compare_by(
            fields[option].desired_value({option: value})
        ), option
        run.nothing(module, **where, **desired)
        run(module, **where, **gone, state="absent", **({"revoke_leases": True} if kind == "engine" else {}))
