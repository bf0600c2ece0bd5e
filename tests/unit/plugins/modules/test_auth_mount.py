# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

TYPES = ("approle", "kubernetes", "jwt")
REVIEWER = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZXZpZXdlciJ9.c2ln"


def public_key():
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def cluster(vault):
    """How a Kubernetes method is configured."""
    return {
        "type": "kubernetes",
        "kubernetes_host": "https://kubernetes.default.svc",
        "kubernetes_ca_cert": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "token_reviewer_jwt": REVIEWER,
    }


@pytest.mark.both
@pytest.mark.parametrize("kind", TYPES)
def test_lifecycle_of_mount(vault, run, kind):
    desired = {"type": kind, "description": "For applications", "default_lease_ttl": "1h", "max_lease_ttl": "24h"}
    made = run.changes("auth_mount", **desired)
    assert made["diff"]["before"] == ""
    assert made["auth_mount"]["default_lease_ttl"] == 3600
    assert made["auth_mount"]["accessor"].startswith(f"auth_{kind}_")
    run.nothing("auth_mount", type=kind, default_lease_ttl="60m", max_lease_ttl=86400)
    run.nothing("auth_mount", type=kind)

    changed = run.changes("auth_mount", **{**desired, "description": "", "token_type": "batch"})
    before, after = (yaml.safe_load(changed["diff"][side]) for side in ("before", "after"))
    assert {key: (before[key], after[key]) for key in after if before[key] != after[key]} == {
        "description": ("For applications", ""),
        "token_type": ("default-service", "batch"),
    }
    assert run.changes("auth_mount", type=kind, state="absent")["auth_mount"] == {}
    run.nothing("auth_mount", type=kind, state="absent")


def test_mount_path_defaults_to_type(fake_vault, run):
    assert run("auth_mount", mount=None, type="approle")["auth_mount"]["mount"] == "approle"
    assert "approle" in fake_vault.server.access.mounts


# -- what is configured inside ----------------------------------------------------------------------------------------------


@pytest.mark.both
def test_lifecycle_of_kubernetes_configuration(vault, run, cluster):
    foreseen = run("auth_mount", check=True, **cluster)
    assert yaml.safe_load(foreseen["diff"]["after"])["token_reviewer_jwt"] == "(sent)"
    assert foreseen["warnings"] == [], "the mount is missing, and this task makes it"
    made = run.changes("auth_mount", **cluster)
    assert made["diff"] == foreseen["diff"]
    assert REVIEWER not in str(made)
    # Older servers do not show it.
    assert made["auth_mount"].get("token_reviewer_jwt_set", True) is True

    # The certificate's last line end is nobody's business.
    run.nothing("auth_mount", **{**cluster, "kubernetes_ca_cert": cluster["kubernetes_ca_cert"].strip()})
    run.nothing("auth_mount", type="kubernetes")

    changed = run.changes("auth_mount", **cluster, disable_local_ca_jwt=True)
    assert changed["auth_mount"]["kubernetes_host"] == cluster["kubernetes_host"]
    run.changes("auth_mount", **{**cluster, "kubernetes_host": "https://elsewhere"})
    current = vault.client.read(f"auth/{vault.mount}/config")
    assert current["disable_local_ca_jwt"] is True, "a write replaces everything, so everything is repeated"
    assert current["kubernetes_ca_cert"].strip() == cluster["kubernetes_ca_cert"].strip()
    assert current.get("token_reviewer_jwt_set", True) is True


def test_write_losing_reviewer_token_is_refused(vault, run, cluster):
    run("auth_mount", **cluster)
    assert "token_reviewer_jwt is needed" in run.refused("auth_mount", type="kubernetes", issuer="me")
    assert "token_reviewer_jwt is needed" in run.refused("auth_mount", type="kubernetes", issuer="me", check=True)


def test_hidden_reviewer_token_is_required_before_write(fake_vault, run):
    fake_vault.server.play_vault("1.20.0")
    cluster = {"type": "kubernetes", "kubernetes_host": "https://cluster", "token_reviewer_jwt": REVIEWER}
    run.changes("auth_mount", **cluster)
    run.nothing("auth_mount", type="kubernetes", kubernetes_host="https://cluster")
    for check in (True, False):
        sentence = run.refused("auth_mount", type="kubernetes", issuer="me", check=check)
        assert sentence.endswith("this server does not show it. Give it, or an empty one if there is none.")
    run.changes("auth_mount", **cluster, issuer="me")
    assert fake_vault.server.writes[-1][2]["token_reviewer_jwt"] == REVIEWER
    run.changes("auth_mount", type="kubernetes", issuer="you", token_reviewer_jwt="")


def test_empty_reviewer_token_means_none(vault, run, cluster):
    without = {**cluster, "token_reviewer_jwt": ""}
    made = run.changes("auth_mount", **without)
    assert made["auth_mount"]["token_reviewer_jwt_set"] is False
    run.changes("auth_mount", **cluster)
    assert run.changes("auth_mount", **without)["auth_mount"]["token_reviewer_jwt_set"] is False


def test_missing_reviewer_token_is_sent_again(vault, run, cluster):
    run("auth_mount", **cluster)
    kept = {key: cluster[key] for key in ("kubernetes_host", "kubernetes_ca_cert")}
    vault.client.write(f"auth/{vault.mount}/config", kept)
    assert run.changes("auth_mount", **cluster)["auth_mount"]["token_reviewer_jwt_set"] is True


def test_new_reviewer_token_is_sent_with_update_password_always(vault, run, cluster):
    run("auth_mount", **cluster)
    for check in (True, False):
        assert run("auth_mount", check=check, **cluster, update_password="always")["changed"]


@pytest.mark.both
def test_lifecycle_of_jwt_configuration(vault, run):
    one, two = public_key(), public_key()
    made = run.changes("auth_mount", type="jwt", jwt_validation_pubkeys=[one, two], bound_issuer="ci")
    run.nothing("auth_mount", type="jwt", jwt_validation_pubkeys=[two.strip(), one, one], bound_issuer="ci")
    assert made["auth_mount"]["bound_issuer"] == "ci"
    run.changes("auth_mount", type="jwt", jwt_supported_algs=["ES256"])
    current = vault.client.read(f"auth/{vault.mount}/config")
    assert current["bound_issuer"] == "ci"
    assert len(current["jwt_validation_pubkeys"]) == 2
    run.changes("auth_mount", type="jwt", jwt_validation_pubkeys=[one], bound_issuer="")


def test_new_key_source_replaces_old_one(vault, run, stub):
    run("auth_mount", type="jwt", jwt_validation_pubkeys=[public_key()])
    stub.answers = [(200, {"keys": []})] * 8
    changed = run("auth_mount", type="jwt", jwks_url=f"{stub.url}/keys")
    assert changed["auth_mount"]["jwt_validation_pubkeys"] == []
    assert changed["auth_mount"]["jwks_url"] == f"{stub.url}/keys"


def test_two_key_sources_are_refused(vault, run):
    sentence = run.refused("auth_mount", type="jwt", jwt_validation_pubkeys=["x"], jwks_url="https://x")
    assert "mutually exclusive" in sentence


def test_mount_with_oidc_logins_is_refused(fake_vault, run):
    run("auth_mount", type="jwt", oidc_discovery_url="https://issuer")
    fake_vault.server.access.objects[f"auth/{fake_vault.mount}/config"]["oidc_client_id"] = "web"
    assert "also logs people in" in run.refused("auth_mount", type="jwt", bound_issuer="x")


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (
            "approle",
            {"kubernetes_host": "https://x"},
            "kubernetes_host: not an option of type approle but of kubernetes",
        ),
        ("jwt", {"token_reviewer_jwt": "hush-hush"}, "token_reviewer_jwt: not an option of type jwt"),
        ("kubernetes", {"jwks_url": "https://x"}, "jwks_url: not an option of type kubernetes but of jwt"),
    ],
)
def test_option_of_other_type_is_refused(vault, run, check, kind, options, words):
    sentence = run.refused("auth_mount", type=kind, check=check, **options)
    assert words in sentence
    assert "hush" not in sentence


def test_server_error_is_shown_without_secret(real_vault, run):
    run("auth_mount", type="kubernetes")
    sentence = run.refused("auth_mount", type="kubernetes", token_reviewer_jwt=REVIEWER)
    assert "no host provided" in sentence
    assert REVIEWER not in sentence


# -- refusals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_mount_of_other_type_is_refused(vault, run, state, check):
    run("auth_mount", type="jwt")
    assert "jwt" in run.refused("auth_mount", type="approle", state=state, check=check)


@pytest.mark.parametrize("mount", ["auth/approle", "sys/x", "../x", "a b", "/", "früh"])
def test_invalid_mount_is_refused_before_any_request(vault, run, mount):
    assert "cannot be a mount" in run.refused("auth_mount", type="approle", mount=mount)


def test_default_ttl_above_max_ttl_is_refused(vault, run):
    sentence = run.refused("auth_mount", type="approle", default_lease_ttl="2h", max_lease_ttl="1h")
    assert "default_lease_ttl (7200 s) is longer than max_lease_ttl (3600 s)" in sentence


def test_disabling_method_with_live_tokens_is_refused_or_revokes_first(real_vault, run):
    run("auth_mount", type="approle")
    path = f"auth/{real_vault.mount}"
    real_vault.client.write(f"{path}/role/app", {"bind_secret_id": False, "token_bound_cidrs": ["127.0.0.1"]})
    role_id = real_vault.client.read(f"{path}/role/app/role-id")["role_id"]
    login = real_vault.client.ask("post", f"{path}/login", {"role_id": role_id})["auth"]
    for check in (True, False):
        sentence = run.refused("auth_mount", type="approle", state="absent", check=check)
        assert "1 live lease(s)" in sentence
        assert "would be revoked at once" in sentence
    assert run.changes("auth_mount", type="approle", state="absent", revoke_leases=True)["revoked_leases"] == 1
    accessors = real_vault.client.list("auth/token/accessors")
    assert login["accessor"] not in accessors
