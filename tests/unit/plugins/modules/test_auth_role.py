# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fake_access
import pytest
import yaml

WANTED = {
    "approle": {"secret_id_ttl": "30d", "secret_id_bound_cidrs": ["127.0.0.1"]},
    "kubernetes": {"bound_service_account_names": ["app"], "bound_service_account_namespaces": ["production"]},
    "jwt": {"user_claim": "sub", "bound_audiences": ["vault"], "bound_claims": {"ref": "main"}},
}
OTHER = {
    "approle": ("secret_id_num_uses", 5),
    "kubernetes": ("audience", "vault"),
    "jwt": ("bound_subject", "app"),
}
each_type = pytest.mark.parametrize("kind", WANTED)


@pytest.fixture
def mounted(vault, run):
    """A function that mounts a method and answers with the options of a role there."""

    def mount(kind):
        vault.client.write(f"sys/auth/{vault.mount}", {"type": kind})
        return {"type": kind, "name": "app", **WANTED[kind]}

    return mount


def read_role(vault, name="app"):
    return vault.client.read(f"auth/{vault.mount}/role/{name}")


@pytest.mark.both
@each_type
def test_lifecycle_of_role(vault, run, mounted, kind):
    desired = {**mounted(kind), "token_policies": ["app", "Other"], "token_period": "25h"}
    made = run.changes("auth_role", **desired)
    assert made["diff"]["before"] == ""
    assert made["auth_role"]["type"] == kind
    assert made["auth_role"]["token_period"] == 90000
    assert made["auth_role"]["token_policies"] == ["app", "other"], "Vault compares them so"

    run.nothing("auth_role", **{**desired, "token_policies": ["OTHER", "app", "app"], "token_period": 90000})
    run.nothing("auth_role", type=kind, name="App")

    option, value = OTHER[kind]
    changed = run.changes("auth_role", type=kind, name="app", **{option: value})
    before, after = (yaml.safe_load(changed["diff"][side]) for side in ("before", "after"))
    assert {key for key in after if before.get(key) != after[key]} == {option}
    assert changed["auth_role"]["token_period"] == 90000

    assert run.changes("auth_role", type=kind, name="app", state="absent")["auth_role"] == {}
    run.nothing("auth_role", type=kind, name="app", state="absent")


@each_type
def test_change_made_elsewhere_is_reverted_and_other_fields_kept(vault, run, mounted, kind):
    desired = {**mounted(kind), "token_policies": ["app"]}
    run("auth_role", **desired)
    again = {"role_type": "jwt"} if kind == "jwt" else {}
    vault.client.write(f"auth/{vault.mount}/role/app", {"token_policies": ["admin"], "token_ttl": "1h", **again})
    result = run.changes("auth_role", **desired)
    before, after = (yaml.safe_load(result["diff"][side]) for side in ("before", "after"))
    assert {key: (before[key], after[key]) for key in after if before[key] != after[key]} == {
        "token_policies": (["admin"], ["app"])
    }
    assert result["auth_role"]["token_ttl"] == 3600


@pytest.mark.needs("token_strictly_bind_ip")
@each_type
def test_token_is_bound_to_login_address(vault, run, mounted, kind):
    desired = mounted(kind)
    assert (
        run.changes("auth_role", **desired, token_strictly_bind_ip=True)["auth_role"]["token_strictly_bind_ip"] is True
    )
    run.nothing("auth_role", **desired)
    run.changes("auth_role", **desired, token_strictly_bind_ip=False)


def test_option_ignored_by_server_is_refused(fake_vault, run, monkeypatch):
    monkeypatch.delitem(fake_access.TOKEN, "token_strictly_bind_ip")
    fake_vault.client.write(f"sys/auth/{fake_vault.mount}", {"type": "approle"})
    desired = {"type": "approle", "name": "app"}
    sentence = run.refused("auth_role", **desired, token_strictly_bind_ip=True)
    assert sentence == "OpenBao 2.7.2 does not know token_strictly_bind_ip and would ignore it. Needed is OpenBao."
    run.changes("auth_role", **desired, token_strictly_bind_ip=False)


def test_role_id_is_returned_and_stable(vault, run, mounted):
    desired = mounted("approle")
    assert run("auth_role", check=True, **desired)["auth_role"]["role_id"] == ""
    made = run("auth_role", **desired)["auth_role"]
    assert made["role_id"] == vault.client.read(f"auth/{vault.mount}/role/app/role-id")["role_id"]
    assert run("auth_role", **desired, token_ttl="1h")["auth_role"]["role_id"] == made["role_id"]


def test_field_dropped_by_server_is_resent(vault, run, mounted):
    desired = mounted("kubernetes")
    selector = '{"matchLabels":{"team":"app"}}'
    run.changes("auth_role", **desired, bound_service_account_namespace_selector=selector)
    run.changes("auth_role", type="kubernetes", name="app", token_ttl="5m")
    assert read_role(vault)["bound_service_account_namespace_selector"] == selector


def test_claim_with_wildcard_stays_glob(vault, run, mounted):
    desired = {**mounted("jwt"), "bound_claims": {"ref": "refs/heads/*"}, "bound_claims_type": "glob"}
    run.changes("auth_role", **desired)
    run.changes("auth_role", type="jwt", name="app", token_ttl="5m")
    assert read_role(vault)["bound_claims_type"] == "glob"
    assert read_role(vault)["role_type"] == "jwt"


def test_claim_values_compare_as_set(vault, run, mounted):
    run.changes("auth_role", **{**mounted("jwt"), "bound_claims": {"ref": ["b", "a"], "run": 7}})
    run.nothing("auth_role", type="jwt", name="app", bound_claims={"run": [7], "ref": ["a", "b"]})
    assert run.changes("auth_role", type="jwt", name="app", bound_claims={})["auth_role"]["bound_claims"] == {}


def test_leeway_can_be_disabled(vault, run, mounted):
    assert run.changes("auth_role", **mounted("jwt"), clock_skew_leeway=-1)["auth_role"]["clock_skew_leeway"] == -1
    assert (
        run.changes("auth_role", type="jwt", name="app", clock_skew_leeway="1m")["auth_role"]["clock_skew_leeway"] == 60
    )


def test_single_address_equals_its_cidr(vault, run, mounted):
    made = run.changes("auth_role", **mounted("approle"), token_bound_cidrs=["127.0.0.1/32", "10.1.2.3/8", "::1"])
    for option in ("token_bound_cidrs", "secret_id_bound_cidrs"):
        assert sorted(made["auth_role"][option]) == sorted(read_role(vault)[option])
    desired = {
        "secret_id_bound_cidrs": ["127.0.0.1/32"],
        "token_bound_cidrs": ["10.0.0.0/8", "127.0.0.1", "::1/128"],
    }
    run.nothing("auth_role", type="approle", name="app", **desired)


@each_type
@pytest.mark.parametrize("check", [True, False])
def test_option_of_other_type_is_refused(vault, run, mounted, kind, check):
    desired = mounted(kind)
    foreign = {option: value for other, (option, value) in OTHER.items() if other != kind}
    for option, value in foreign.items():
        sentence = run.refused("auth_role", **desired, check=check, **{option: value})
        assert f"{option}: not an option of type {kind}" in sentence


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("approle", {"token_ttl": "1h", "token_period": "2h"}, "token_ttl (3600 s) has no effect beside token_period"),
        (
            "approle",
            {"token_max_ttl": "1h", "token_period": "2h"},
            "token_period (7200 s) is longer than token_max_ttl",
        ),
        ("approle", {"token_max_ttl": "1h", "token_ttl": "2h"}, "token_ttl (7200 s) is longer than token_max_ttl"),
        ("approle", {"token_type": "batch", "token_period": "2h"}, "neither periodic nor counted"),
        ("approle", {"token_type": "batch", "token_num_uses": 1}, "neither periodic nor counted"),
        ("approle", {"token_policies": ["root"]}, "no auth method can give the policy root"),
        ("approle", {"token_policies": ["früh"]}, "cannot name a policy"),
        ("approle", {"token_bound_cidrs": ["10.0.0.300"]}, "10.0.0.300"),
        ("approle", {"token_ttl": "-1"}, "'-1' is not a duration"),
        ("approle", {"bind_secret_id": False, "secret_id_bound_cidrs": []}, "leaves no condition at all"),
        ("kubernetes", {"bound_service_account_names": []}, "bound_service_account_names needed"),
        ("kubernetes", {"bound_service_account_namespaces": []}, "bound_service_account_namespaces needed"),
        ("kubernetes", {"bound_service_account_names": ["*", "app"]}, "* beside app"),
        ("jwt", {"user_claim": ""}, "user_claim needed"),
        ("jwt", {"bound_audiences": [], "bound_claims": {}}, "bound_audiences (or bound_subject, bound_claims) needed"),
    ],
)
def test_contradictory_or_unrestricted_role_is_refused(vault, run, mounted, check, kind, options, words):
    assert words in run.refused("auth_role", **{**mounted(kind), **options}, check=check)


def test_contradiction_with_stored_role_is_refused(vault, run, mounted):
    run("auth_role", **mounted("approle"), token_ttl="1h")
    assert "set the other to 0" in run.refused("auth_role", type="approle", name="app", token_period="25h")
    run.changes("auth_role", type="approle", name="app", token_period="25h", token_ttl=0)


def test_role_open_to_every_pod_warns(vault, run, mounted):
    everybody = {"bound_service_account_names": ["*"], "bound_service_account_namespaces": ["*"]}
    (warning,) = run("auth_role", **{**mounted("kubernetes"), **everybody})["warnings"]
    assert "Every pod of the cluster" in warning


def test_oidc_role_is_refused(real_vault, run):
    path = f"auth/{real_vault.mount}"
    real_vault.client.write(f"sys/{path}", {"type": "jwt"})
    people = {
        "user_claim": "sub",
        "allowed_redirect_uris": ["http://localhost:8250/oidc/callback"],
        "role_type": "oidc",
    }
    real_vault.client.write(f"{path}/role/app", people)
    assert "logs people in" in run.refused("auth_role", type="jwt", name="app", **WANTED["jwt"])


@pytest.mark.parametrize("check", [True, False])
def test_mount_of_other_type_is_refused(vault, run, mounted, check):
    mounted("jwt")
    sentence = run.refused("auth_role", type="approle", name="app", check=check)
    assert f"The auth mount {vault.mount} holds a jwt method, not approle" in sentence


def test_missing_mount_is_refused_and_warns_in_check_mode(vault, run):
    sentence = run.refused("auth_role", type="approle", name="app")
    assert "nothing is mounted there" in sentence
    assert "leasehold.vault.auth_mount" in sentence
    foreseen = run("auth_role", check=True, type="approle", name="app", token_ttl="1h")
    assert foreseen["changed"]
    assert foreseen["auth_role"]["role_id"] == ""
    assert "nothing is mounted there" in foreseen["warnings"][0]


@each_type
@pytest.mark.parametrize("name", ["a/b", "..", "a b", "früh", "", "-a"])
def test_invalid_name_is_refused_before_any_request(vault, run, mounted, kind, name):
    assert "cannot be a name" in run.refused("auth_role", **{**mounted(kind), "name": name})


def test_login_gets_policies_and_ttl_of_role(real_vault, run):
    real_vault.client.write(f"sys/auth/{real_vault.mount}", {"type": "approle"})
    desired = {
        "bind_secret_id": False,
        "token_bound_cidrs": ["127.0.0.0/8"],
        "token_policies": [f"{real_vault.mount}-app"],
    }
    for more, expected in (
        ({"token_type": "batch", "token_ttl": "15m"}, ("batch", 900, False)),
        ({"token_type": "service", "token_ttl": 0, "token_period": "2h"}, ("service", 7200, True)),
    ):
        role = run("auth_role", type="approle", name="app", **desired, token_no_default_policy=True, **more)[
            "auth_role"
        ]
        login = real_vault.client.ask("post", f"auth/{real_vault.mount}/login", {"role_id": role["role_id"]})["auth"]
        assert (login["token_type"], login["lease_duration"], login["renewable"]) == expected
        assert login["policies"] == [f"{real_vault.mount}-app"]
