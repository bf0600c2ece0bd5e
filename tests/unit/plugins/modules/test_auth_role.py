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
def test_the_life_of_a_role(vault, run, mounted, kind):
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
def test_what_somebody_else_changed_is_fixed_and_the_rest_is_left_alone(vault, run, mounted, kind):
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
def test_a_token_can_be_for_the_address_that_logged_in(vault, run, mounted, kind):
    desired = mounted(kind)
    assert (
        run.changes("auth_role", **desired, token_strictly_bind_ip=True)["auth_role"]["token_strictly_bind_ip"] is True
    )
    run.nothing("auth_role", **desired)
    run.changes("auth_role", **desired, token_strictly_bind_ip=False)


def test_what_a_server_would_ignore_is_refused(fake_vault, run, monkeypatch):
    monkeypatch.delitem(fake_access.TOKEN, "token_strictly_bind_ip")
    fake_vault.client.write(f"sys/auth/{fake_vault.mount}", {"type": "approle"})
    desired = {"type": "approle", "name": "app"}
    sentence = run.refused("auth_role", **desired, token_strictly_bind_ip=True)
    assert sentence == "OpenBao 2.7.2 does not know token_strictly_bind_ip and would ignore it. Needed is OpenBao."
    run.changes("auth_role", **desired, token_strictly_bind_ip=False)


def test_a_role_id_is_returned_and_stays(vault, run, mounted):
    desired = mounted("approle")
    assert run("auth_role", check=True, **desired)["auth_role"]["role_id"] == ""
    made = run("auth_role", **desired)["auth_role"]
    assert made["role_id"] == vault.client.read(f"auth/{vault.mount}/role/app/role-id")["role_id"]
    assert run("auth_role", **desired, token_ttl="1h")["auth_role"]["role_id"] == made["role_id"]


def test_what_the_server_forgets_is_repeated(vault, run, mounted):
    desired = mounted("kubernetes")
    selector = '{"matchLabels":{"team":"app"}}'
    run.changes("auth_role", **desired, bound_service_account_namespace_selector=selector)
    run.changes("auth_role", type="kubernetes", name="app", token_ttl="5m")
    assert read_role(vault)["bound_service_account_namespace_selector"] == selector


def test_a_claim_with_stars_does_not_become_a_literal_one(vault, run, mounted):
    desired = {**mounted("jwt"), "bound_claims": {"ref": "refs/heads/*"}, "bound_claims_type": "glob"}
    run.changes("auth_role", **desired)
    run.changes("auth_role", type="jwt", name="app", token_ttl="5m")
    assert read_role(vault)["bound_claims_type"] == "glob"
    assert read_role(vault)["role_type"] == "jwt"


def test_a_claim_is_a_set_of_values(vault, run, mounted):
    run.changes("auth_role", **{**mounted("jwt"), "bound_claims": {"ref": ["b", "a"], "run": 7}})
    run.nothing("auth_role", type="jwt", name="app", bound_claims={"run": [7], "ref": ["a", "b"]})
    assert run.changes("auth_role", type="jwt", name="app", bound_claims={})["auth_role"]["bound_claims"] == {}


def test_leeways_can_be_turned_off(vault, run, mounted):
    assert run.changes("auth_role", **mounted("jwt"), clock_skew_leeway=-1)["auth_role"]["clock_skew_leeway"] == -1
    assert (
        run.changes("auth_role", type="jwt", name="app", clock_skew_leeway="1m")["auth_role"]["clock_skew_leeway"] == 60
    )


def test_an_address_is_a_network_of_one(vault, run, mounted):
    run.changes("auth_role", **mounted("approle"), token_bound_cidrs=["127.0.0.1", "10.1.2.3/8", "::1"])
    desired = {
        "secret_id_bound_cidrs": ["127.0.0.1/32"],
        "token_bound_cidrs": ["10.0.0.0/8", "127.0.0.1/32", "::1/128"],
    }
    run.nothing("auth_role", type="approle", name="app", **desired)


@each_type
@pytest.mark.parametrize("check", [True, False])
def test_an_option_of_another_type_is_refused(vault, run, mounted, kind, check):
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
def test_what_contradicts_itself_or_lets_everybody_in_is_refused(vault, run, mounted, check, kind, options, words):
    assert words in run.refused("auth_role", **{**mounted(kind), **options}, check=check)


def test_a_contradiction_with_what_the_role_has_is_refused_too(vault, run, mounted):
    run("auth_role", **mounted("approle"), token_ttl="1h")
    assert "set the other to 0" in run.refused("auth_role", type="approle", name="app", token_period="25h")
    run.changes("auth_role", type="approle", name="app", token_period="25h", token_ttl=0)


def test_a_role_for_every_pod_is_a_warning(vault, run, mounted):
    everybody = {"bound_service_account_names": ["*"], "bound_service_account_namespaces": ["*"]}
    (warning,) = run("auth_role", **{**mounted("kubernetes"), **everybody})["warnings"]
    assert "Every pod of the cluster" in warning


def test_a_role_for_people_is_left_alone(real_vault, run):
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
def test_a_mount_of_another_type_is_refused(vault, run, mounted, check):
    mounted("jwt")
    sentence = run.refused("auth_role", type="approle", name="app", check=check)
    assert f"The auth mount {vault.mount} holds a jwt method, not approle" in sentence


def test_a_mount_that_is_not_there_is_refused_and_in_a_check_run_a_warning(vault, run):
    sentence = run.refused("auth_role", type="approle", name="app")
    assert "nothing is mounted there" in sentence
    assert "leasehold.vault.auth_mount" in sentence
    foreseen = run("auth_role", check=True, type="approle", name="app", token_ttl="1h")
    assert foreseen["changed"]
    assert foreseen["auth_role"]["role_id"] == ""
    assert "nothing is mounted there" in foreseen["warnings"][0]


@each_type
@pytest.mark.parametrize("name", ["a/b", "..", "a b", "früh", "", "-a"])
def test_what_cannot_be_a_name_is_said_and_not_sent(vault, run, mounted, kind, name):
    assert "cannot be a name" in run.refused("auth_role", **{**mounted(kind), "name": name})


def test_what_a_role_says_is_what_a_login_gets(real_vault, run):
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
