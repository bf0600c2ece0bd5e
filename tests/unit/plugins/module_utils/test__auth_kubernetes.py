# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in as a pod does: the server's own Kubernetes method, made by our modules, asks a cluster for its review."""

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError
from cluster import DEFAULT_AUDIENCE, Cluster

from ...conftest import Runner

POD = "system:serviceaccount:production:app"


@pytest.fixture
def cluster():
    with Cluster() as running:
        yield running


@pytest.fixture
def login(real_vault, cluster):
    """A function that logs in with a token; the role is for the service account `app` of the namespace `production`."""
    run = Runner(real_vault)
    run("auth_mount", **configured(cluster))
    run("auth_role", **role())
    at = {
        "url": real_vault.options["url"],
        "ca_cert": real_vault.options["ca_cert"],
        "retries": 0,
        "auth_method": "kubernetes",
    }

    def log(jwt, **options):
        return log_in({**at, "auth_mount": real_vault.mount, "auth_role": "app", "jwt": jwt, **options})

    return log


def configured(cluster, **options):
    return {
        "type": "kubernetes",
        "kubernetes_host": cluster.url,
        "kubernetes_ca_cert": cluster.ca_cert,
        "token_reviewer_jwt": cluster.reviewer,
        **options,
    }


def role(**options):
    bound = {"bound_service_account_names": ["app"], "bound_service_account_namespaces": ["production"]}
    return {"type": "kubernetes", "name": "app", "token_ttl": "1h", **bound, **options}


def sentence(login, jwt, **options):
    with pytest.raises(VaultError) as caught:
        login(jwt, **options)
    given = str(caught.value)
    assert "\n" not in given
    assert jwt not in given
    assert jwt.rpartition(".")[2] not in given
    return given


# -- let in -----------------------------------------------------------------------------------------------------------------


def test_pod_logs_in_after_token_review(cluster, login):
    jwt = cluster.token("production", "app")
    session = login(jwt)
    current = session.client.ask("get", "auth/token/lookup-self")["data"]
    assert current["meta"]["service_account_name"] == "app"
    assert current["meta"]["service_account_namespace"] == "production"
    assert current["ttl"] > 3500
    (review,) = cluster.reviews
    assert review["spec"]["token"] == jwt
    assert session.log_out() == []
    with pytest.raises(Forbidden, match="expired, revoked"):
        session.client.ask("get", "auth/token/lookup-self")


def test_pod_token_file_is_read_at_each_login(cluster, login, tmp_path):
    path = tmp_path / "token"
    for _time in range(2):
        path.write_text(cluster.token("production", "app") + "\n")
        login(None, jwt_path=str(path)).log_out()
        assert cluster.reviews[-1]["spec"]["token"] == path.read_text().strip()


def test_audience_of_role_is_enforced(real_vault, cluster, login):
    Runner(real_vault)("auth_role", **role(audience="vault"))
    login(cluster.token("production", "app", audiences=["vault"])).log_out()
    assert cluster.reviews[-1]["spec"]["audiences"] == ["vault"]


def test_without_reviewer_jwt_pod_token_reviews_itself(real_vault, cluster, login):
    without = {**configured(cluster), "token_reviewer_jwt": None}
    real_vault.client.write(f"auth/{real_vault.mount}/config", {**without, "disable_local_ca_jwt": True})
    assert "does not confirm the token" in sentence(login, cluster.token("production", "app"))
    cluster.may_review.append(POD)
    login(cluster.token("production", "app")).log_out()


# -- refused, each with the reason ------------------------------------------------------------------------------------------


def test_another_service_account(cluster, login):
    given = sentence(login, cluster.token("production", "other"))
    assert "not among bound_service_account_names of the auth role app" in given
    assert "The token is that of system:serviceaccount:production:other" in given


def test_another_namespace(cluster, login):
    given = sentence(login, cluster.token("staging", "app"))
    assert "not among bound_service_account_namespaces of the auth role app" in given
    assert "The token is that of system:serviceaccount:staging:app" in given


def test_an_expired_token(cluster, login):
    given = sentence(login, cluster.token("production", "app", lives=-300))
    assert "Read the token anew" in given
    assert "and ended at 20" in given
    assert cluster.reviews == []


def test_another_audience(real_vault, cluster, login):
    Runner(real_vault)("auth_role", **role(audience="vault"))
    given = sentence(login, cluster.token("production", "app"))
    assert "The auth role app wants another audience" in given
    assert f"for {DEFAULT_AUDIENCE}" in given


def denied_by_the_cluster(real_vault, cluster):
    cluster.deleted.add(POD)
    return cluster.token("production", "app")


def signed_by_another_cluster(real_vault, cluster):
    return Cluster().token("production", "app")


def with_the_api_down(real_vault, cluster):
    cluster.go_down()
    return cluster.token("production", "app")


def with_a_reviewer_who_may_not(real_vault, cluster):
    cluster.may_review.clear()
    return cluster.token("production", "app")


def with_a_reviewer_who_has_expired(real_vault, cluster):
    expired = cluster.token("vault", "vault-reviewer", lives=-300)
    Runner(real_vault)("auth_mount", **configured(cluster, token_reviewer_jwt=expired), update_password="always")
    return cluster.token("production", "app")


def with_the_certificate_of_another_authority(real_vault, cluster):
    Runner(real_vault)("auth_mount", **configured(cluster, kubernetes_ca_cert=Cluster().ca_cert))
    return cluster.token("production", "app")


@pytest.mark.parametrize(
    "prepare",
    [
        denied_by_the_cluster,
        signed_by_another_cluster,
        with_the_api_down,
        with_a_reviewer_who_may_not,
        with_a_reviewer_who_has_expired,
        with_the_certificate_of_another_authority,
    ],
)
def test_failed_token_review_is_explained(real_vault, cluster, login, prepare):
    """The server has one answer for all of these, so the sentence names them all."""
    login(cluster.token("production", "app")).log_out()
    given = sentence(login, prepare(real_vault, cluster))
    assert "answered 403: permission denied" in given
    assert "the cluster does not confirm the token" in given
    assert "the API is down, or kubernetes_host, kubernetes_ca_cert or the reviewer's token are wrong" in given
    assert f"The token is that of {POD}" in given


def test_malformed_jwt_is_explained(login):
    given = sentence(login, "not-a-json-web-token")
    assert "not a readable JSON web token" in given


def test_a_role_that_is_not_there(cluster, login):
    given = sentence(login, cluster.token("production", "app"), auth_role="nobody")
    assert 'invalid role name "nobody"' in given
    assert "leasehold.vault.auth_role" in given


def test_a_method_that_is_not_configured(real_vault, cluster, login):
    real_vault.client.delete(f"sys/auth/{real_vault.mount}")
    Runner(real_vault)("auth_mount", type="kubernetes")
    Runner(real_vault)("auth_role", **role())
    assert "kubernetes_host of leasehold.vault.auth_mount" in sentence(login, cluster.token("production", "app"))


def test_a_method_that_is_not_mounted(cluster, login):
    assert "no Kubernetes method is mounted there" in sentence(
        login, cluster.token("production", "app"), auth_mount="nowhere"
    )


# -- what a module does with it ---------------------------------------------------------------------------------------------


def test_a_task_logs_in_as_a_pod_and_leaves_no_token(real_vault, cluster, login):
    policy = {
        "path": {
            f"{real_vault.mount}-engine/*": {"capabilities": ["read", "list"]},
            "sys/mounts": {"capabilities": ["read"]},
        }
    }
    run = Runner(real_vault)
    run("acl_policy", mount=None, name=f"{real_vault.mount}-reader", policy=policy)
    run("auth_role", **role(token_policies=[f"{real_vault.mount}-reader"]))
    before = set(real_vault.client.list("auth/token/accessors"))
    options = {"auth_method": "kubernetes", "auth_mount": real_vault.mount, "auth_role": "app", "token": None}
    run("database_engine_info", mount=None, **options, jwt=cluster.token("production", "app"))
    assert set(real_vault.client.list("auth/token/accessors")) - before == set()
    assert len(cluster.reviews) == 1
