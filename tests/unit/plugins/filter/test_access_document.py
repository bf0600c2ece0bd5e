# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.filter.access_document import FilterModule
from ansible_collections.leasehold.vault.plugins.module_utils._resources.policy_language import (
    checked,
    read,
    unknown_words,
)

from ...conftest import ROOT

DATABASES = [{"name": "db", "roles": {"app-role": {"default_ttl": "1h", "max_ttl": "24h"}, "endless": {}}}]
POD = {"kubernetes": {"service_accounts": ["app"], "namespaces": ["production"]}}
access_document = FilterModule().filters()["access_document"]


def documented(entry, **options):
    (answer,) = access_document(
        [{"name": "app", "roles": ["app-role"], "auth": {"approle": {}}, **entry}],
        **{"databases": DATABASES, **options},
    )
    return answer


def paths(**entry):
    return dict(read(documented(entry)["policy"]["policy"]))


# -- the policy -------------------------------------------------------------------------------------------------------------


def test_generated_policy_is_accepted_by_server():
    policy = documented({"static_roles": ["reports"]})["policy"]
    assert policy["name"] == "app"
    assert checked(policy["policy"]) == policy["policy"]
    assert unknown_words(policy["policy"]) == []


def test_policy_grants_roles_of_application_only():
    allowed = paths(roles=["app-role", "other"], static_roles=["reports"])
    of_the_engine = {path: rules for path, rules in allowed.items() if path.startswith("database/")}
    assert of_the_engine == {
        "database/creds/app-role": {"capabilities": ["read"]},
        "database/creds/other": {"capabilities": ["read"]},
        "database/static-creds/reports": {"capabilities": ["read"]},
    }
    leases = allowed["sys/leases/revoke"]["allowed_parameters"]["lease_id"]
    assert leases == ["database/creds/app-role/*", "database/creds/other/*"]


def test_policy_of_static_roles_has_no_lease_paths():
    assert set(paths(roles=[], static_roles=["reports"])) == {
        "database/static-creds/reports",
        "auth/token/lookup-self",
        "auth/token/renew-self",
        "auth/token/revoke-self",
    }


def test_a_nested_mount_is_one_mount():
    assert "team/db/creds/app-role" in dict(read(documented({}, mount="/team/db/")["policy"]["policy"]))


# -- the token --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "known", "engine", "period"),
    [
        (["app-role"], [], {}, 25 * 3600),
        (["app-role"], [{"name": "app-role", "max_ttl": 7200}], {}, 3 * 3600),  # Vault knows better
        (["app-role", "other"], [{"name": "other", "max_ttl": 172800}], {}, 49 * 3600),
        (["endless"], [], {"max_lease_ttl": 36000}, 11 * 3600),
        (["endless"], [], {}, 768 * 3600),  # longer than the system's maximum would be cut
        (["nobody-knows"], [], {}, 768 * 3600),
    ],
)
def test_token_period_exceeds_longest_lease(roles, known, engine, period):
    (role,) = documented({"roles": roles}, roles=known, engine=engine)["auth_roles"]
    assert role["token_period"] == period


def test_token_margin_is_configurable():
    assert documented({}, margin="10m")["auth_roles"][0]["token_period"] == 24 * 3600 + 600


@pytest.mark.parametrize("given", [{"token_period": "2h"}, {"token_ttl": "1h"}, {"token_type": "batch"}])
def test_explicit_token_lifetime_is_kept(given):
    (role,) = documented({"auth": {"approle": given}})["auth_roles"]
    assert {key: value for key, value in role.items() if key in ("token_period", "token_ttl", "token_type")} == given


def test_auth_role_has_own_policy_without_default():
    auth = {"approle": None, **POD, "jwt": {"mount": "ci", "role": "app-deploy", "user_claim": "sub"}}
    roles = documented({"auth": auth, "policies": ["kv-reader"]})["auth_roles"]
    assert [(role["type"], role["mount"], role["name"]) for role in roles] == [
        ("approle", "approle", "app"),
        ("kubernetes", "kubernetes", "app"),
        ("jwt", "ci", "app-deploy"),
    ]
    assert all(role["token_policies"] == ["app", "kv-reader"] for role in roles)
    assert all(role["token_no_default_policy"] is True for role in roles)
    assert roles[1]["bound_service_account_names"] == ["app"]
    assert roles[1]["bound_service_account_namespaces"] == ["production"]


def test_absent_application_needs_name_and_method_only():
    (answer,) = access_document([{"name": "app", "state": "absent", "auth": {"approle": {}}}])
    assert answer["auth_roles"] == [{"type": "approle", "mount": "approle", "name": "app", "state": "absent"}]
    assert answer["state"] == "absent"


# -- limits ----------------------------------------------------------------------------------------------------------------


def test_limits_become_quotas_of_logins_and_credentials():
    limits = {"logins": {"rate": 20, "interval": "1m"}, "credentials": {"rate": 5, "block_interval": "5m"}}
    auth = {"approle": {"mount": "apps", "role": "App"}, "kubernetes": {**POD["kubernetes"], "role": "App"}}
    assert documented({"limits": limits, "auth": auth})["quotas"] == [
        {"name": "app-logins-approle", "path": "auth/apps", "role": "app", "rate": 20, "interval": "1m"},
        {"name": "app-logins-kubernetes", "path": "auth/kubernetes", "role": "App", "rate": 20, "interval": "1m"},
        {"name": "app-credentials-app-role", "path": "database/creds/app-role", "rate": 5, "block_interval": "5m"},
    ]
    gone = [{"name": "app-logins-approle", "state": "absent"}]
    assert documented({"limits": {"logins": {"state": "absent"}}})["quotas"] == gone
    assert documented({"limits": {"logins": {"rate": 20}}, "state": "absent"})["quotas"] == gone
    assert documented({})["quotas"] == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"limits": {"login": {"rate": 5}}}, "limits: login is not known"),
        ({"limits": {"logins": {"rates": 5}}}, "limits: logins: rates is not known"),
        ({"limits": {"logins": 5}}, "limits: logins is a dictionary"),
        ({"limits": {"logins": {"rate": 5}}, "auth": {"jwt": {"user_claim": "sub"}}}, "logins by JWT"),
    ],
)
def test_invalid_limits_are_refused(entry, words):
    with pytest.raises(AnsibleFilterError, match=words):
        documented(entry)


def test_credentials_of_one_role_are_limited_once():
    entry = {"roles": ["app-role"], "auth": {"approle": {}}, "limits": {"credentials": {"rate": 5}}}
    with pytest.raises(AnsibleFilterError, match="a and b both limit reads of database/creds/app-role"):
        access_document([{"name": "a", **entry}, {"name": "b", **entry}])


# -- on hosts ---------------------------------------------------------------------------------------------------------------


def test_each_host_has_its_own_delivery():
    deliver = {"hosts": ["web", "db1", "web1"], "owner": "app"}
    deliveries = documented({"deliver": deliver}, groups={"web": ["web1", "web2"]})["deliveries"]
    assert [delivery["host"] for delivery in deliveries] == ["web1", "web2", "db1"]
    assert deliveries[0]["secret_id"] == "/etc/vault-agent/app/secret_id"
    assert deliveries[0]["accessor"] == "/etc/vault-agent/app/secret_id_accessor"
    assert deliveries[0]["owner"] == "app"


def test_delivered_files_match_login_paths():
    auth = {"approle": {"role_id_file": "/run/a/role", "secret_id_file": "/srv/b/secret"}}
    (delivery,) = documented({"auth": auth, "deliver": {"hosts": ["web1"]}})["deliveries"]
    assert delivery["role_id"] == "/run/a/role"
    assert delivery["accessor"] == "/srv/b/secret_accessor"
    assert delivery["directories"] == ["/run/a", "/srv/b"]


# -- for a cluster ----------------------------------------------------------------------------------------------------------


def manifest(kind, auth=None, **more):
    desired = {"directory": "here", "kinds": [kind], "server": "https://vault:8200", **more}
    entry = {"static_roles": ["reports"], "auth": auth or POD, "manifests": desired}
    (made,) = documented(entry)["manifests"]
    assert made["path"] == f"here/app-{kind.replace('_', '-')}.yml"
    return list(yaml.safe_load_all(made["content"]))


@pytest.mark.parametrize("several", [list, ",".join])
@pytest.mark.parametrize("names", [["production"], ["production", "staging"]])
def test_manifest_is_for_the_first_account_and_namespace_however_they_are_written(several, names):
    pod = {"kubernetes": {"service_accounts": several(names), "namespaces": several(names)}}
    (patch,) = manifest("agent_injector", auth=pod)
    assert patch["metadata"]["namespace"] == "production"
    assert patch["spec"]["template"]["spec"]["serviceAccountName"] == "production"


def test_injector_manifest_logs_in_as_pod_and_revokes_on_shutdown():
    (patch,) = manifest("agent_injector")
    pod = patch["spec"]["template"]
    given = {key.removeprefix("vault.hashicorp.com/"): value for key, value in pod["metadata"]["annotations"].items()}
    assert (patch["kind"], patch["metadata"]) == ("Deployment", {"name": "app", "namespace": "production"})
    assert pod["spec"] == {"serviceAccountName": "app"}
    assert (given["role"], given["auth-path"]) == ("app", "auth/kubernetes")
    assert given["agent-revoke-on-shutdown"] == "true"
    assert given["agent-inject-secret-app-role.json"] == "database/creds/app-role"
    assert given["agent-inject-secret-reports.json"] == "database/static-creds/reports"
    assert given["agent-inject-perms-app-role.json"] == "0600"
    assert all(isinstance(value, str) for value in given.values())


def test_audience_adds_projected_token():
    auth = {"kubernetes": {**POD["kubernetes"], "audience": "vault"}}
    (patch,) = manifest("agent_injector", auth, annotations="openbao.example", workload="StatefulSet/shop")
    annotations = patch["spec"]["template"]["metadata"]["annotations"]
    assert annotations["openbao.example/agent-service-account-token-volume-name"] == "vault-token"
    (volume,) = patch["spec"]["template"]["spec"]["volumes"]
    assert volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "vault"
    assert (patch["kind"], patch["metadata"]["name"]) == ("StatefulSet", "shop")
    assert manifest("secrets_operator", auth)[0]["spec"]["kubernetes"]["audiences"] == ["vault"]


def test_external_secrets_refreshes_before_expiration():
    generator, secret, static, static_secret = manifest("external_secrets")
    assert (generator["kind"], generator["spec"]["path"]) == ("VaultDynamicSecret", "database/creds/app-role")
    assert generator["spec"]["provider"]["auth"]["kubernetes"]["role"] == "app"
    assert generator["spec"]["provider"]["server"] == "https://vault:8200"
    assert secret["spec"]["refreshInterval"] == "1800s"
    assert secret["spec"]["dataFrom"][0]["sourceRef"]["generatorRef"]["name"] == generator["metadata"]["name"]
    assert static["spec"]["path"] == "database/static-creds/reports"
    assert static_secret["spec"]["refreshInterval"] == "60s"


def test_operator_manifest_revokes_and_restarts():
    auth, dynamic, static = manifest("secrets_operator")
    assert auth["spec"] == {
        "method": "kubernetes",
        "mount": "kubernetes",
        "kubernetes": {"role": "app", "serviceAccount": "app"},
    }
    assert dynamic["spec"]["vaultAuthRef"] == auth["metadata"]["name"]
    assert (dynamic["spec"]["mount"], dynamic["spec"]["path"]) == ("database", "creds/app-role")
    assert dynamic["spec"]["revoke"] is True
    assert dynamic["spec"]["rolloutRestartTargets"] == [{"kind": "Deployment", "name": "app"}]
    assert static["spec"]["allowStaticCreds"] is True


# -- refusals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": ""}, "its name: '' cannot be a name"),
        ({"name": "a/b"}, "cannot be a name"),
        ({"name": "default"}, "belongs to Vault itself"),
        ({"name": "Root"}, "belongs to Vault itself"),
        ({"rolls": []}, "rolls is not known"),
        ({"state": "gone"}, "state is present or absent"),
        ({"roles": []}, "set roles (or"),
        ({"roles": ["a/../b"]}, "roles: 'a/../b' cannot be a name"),
        ({"static_roles": ["*"]}, "static_roles: '*' cannot be a name"),
        ({"auth": {}}, "set auth, how it logs in"),
        ({"auth": {"ldap": {}}}, "ldap is not known"),
        ({"auth": {"approle": ["x"]}}, "auth: approle is a dictionary"),
        ({"auth": {"approle": {"secretid_ttl": "1h"}}}, "auth: approle: secretid_ttl is not known"),
        ({"auth": {"approle": {"service_accounts": []}}}, "service_accounts is not known"),
        ({"auth": {"approle": {"role_type": "oidc"}}}, "role_type is not known"),
        ({"auth": POD, "deliver": {"hosts": ["web1"]}}, "auth must have approle"),
        ({"deliver": {"owner": "app"}}, "hosts is needed"),
        ({"deliver": ["web1"]}, "deliver is a dictionary"),
        ({"manifests": {"kinds": ["agent_injector"]}}, "auth must have kubernetes"),
        ({"auth": POD, "manifests": {"kinds": ["agent_injector"]}}, "directory is needed"),
        ({"auth": POD, "manifests": {"directory": "x", "kinds": ["helm"]}}, "not helm"),
        ({"auth": POD, "manifests": {"directory": "x"}}, "kinds are agent_injector"),
    ],
)
def test_invalid_application_is_refused(entry, words):
    with pytest.raises(AnsibleFilterError, match=r"^vault_applications: [^\n]+$") as caught:
        documented(entry)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{"name": "Billing"}, {"name": "billing"}], "Billing and billing are one name for Vault"),
        (
            [
                {"name": "a", "auth": {"approle": {"role": "Shared"}}},
                {"name": "b", "auth": {"approle": {"role": "shared"}}},
            ],
            "a and b have one auth role, auth/approle/role/shared",
        ),
    ],
)
def test_names_differing_in_case_only_are_refused(entries, words):
    with pytest.raises(AnsibleFilterError, match=words):
        access_document([{"roles": ["app-role"], "auth": {"approle": {}}, **entry} for entry in entries])


def test_two_applications_of_one_name_are_refused():
    entry = {"name": "app", "roles": ["app-role"], "auth": {"approle": {}}}
    with pytest.raises(AnsibleFilterError, match="app is there more than once"):
        access_document([entry, entry])


def test_an_auth_mount_is_written_in_known_words():
    with pytest.raises(AnsibleFilterError, match="entry 1: kube_host is no option of auth_mount"):
        access_document([], auth_mounts=[{"type": "kubernetes", "kube_host": "x"}])
    assert access_document([], auth_mounts=[{"type": "kubernetes", "kubernetes_host": "x"}]) == []


# -- the jobs of a platform ------------------------------------------------------------------------------------------------

CONTROLLER = {
    "platform": "controller",
    "audience": "https://vault:8200",
    "organization": "Default",
    "job_template": "Deploy",
}


@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        (CONTROLLER, {"aap_controller_organization_name": "Default", "aap_controller_job_template_name": "Deploy"}),
        (
            {
                "platform": "github",
                "audience": "vault",
                "repository": "o/r",
                "branch": "main",
                "bound_claims": {"x": "y"},
            },
            {"repository": "o/r", "ref": "refs/heads/main", "ref_type": "branch", "x": "y"},
        ),
        (
            {"platform": "gitlab", "audience": ["vault"], "project": "g/p", "branch": "main", "protected": "true"},
            {"project_path": "g/p", "ref": "main", "ref_type": "branch", "ref_protected": "true"},
        ),
    ],
)
def test_jobs_of_a_platform_are_bound_by_its_claims(settings, claims):
    (role,) = documented({"auth": {"automation": {"mount": "jobs", "token_ttl": "1h", **settings}}})["auth_roles"]
    assert (role["type"], role["mount"], role["name"], role["token_ttl"]) == ("jwt", "jobs", "app", "1h")
    assert role["bound_claims"] == claims
    assert role["bound_audiences"] in (["vault"], ["https://vault:8200"])
    assert "started_by" in role["claim_mappings"].values()
    assert not {"platform", "audience", "branch", "organization"} & set(role)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"platform": "jenkins"}, "platform is one of controller, github, gitlab, not 'jenkins'"),
        ({**CONTROLLER, "job_template": ""}, "say job_template or job_template_id, or the jobs of others"),
        ({**CONTROLLER, "audience": None}, "set audience"),
        ({"platform": "github", "audience": "v", "repository": "o/r"}, "say branch or environment"),
        ({**CONTROLLER, "repository": "o/r"}, "repository is not known"),
    ],
)
def test_jobs_that_could_be_those_of_others_are_refused(settings, sentence):
    with pytest.raises(AnsibleFilterError, match=sentence):
        documented({"auth": {"automation": settings}})


def test_manifests_of_the_page_about_operators_are_made():
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    document = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    (answer,) = access_document(document["vault_applications"], DATABASES, auth_mounts=document["vault_auth_mounts"])
    (manifest,) = answer["manifests"]
    login, secret = yaml.safe_load_all(manifest["content"])
    assert (login["kind"], login["spec"]["kubernetes"]["audiences"]) == ("VaultAuth", ["vault"])
    assert (secret["kind"], secret["spec"]["revoke"]) == ("VaultDynamicSecret", True)


def test_jobs_of_the_page_about_pipelines_are_let_in():
    page = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    document = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    answers = access_document(document["vault_applications"], DATABASES, auth_mounts=document["vault_auth_mounts"])
    mounts = {mount["mount"] for mount in document["vault_auth_mounts"]}
    assert {role["mount"] for answer in answers for role in answer["auth_roles"]} == mounts
