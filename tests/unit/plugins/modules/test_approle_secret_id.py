# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.fixture
def role(vault):
    """An AppRole whose secret ids live for a day."""
    vault.client.write(f"sys/auth/{vault.mount}", {"type": "approle"})
    vault.client.write(f"auth/{vault.mount}/role/app", {"secret_id_ttl": 86400, "secret_id_num_uses": 9})
    return {"name": "app"}


def accessors(vault):
    return vault.client.list(f"auth/{vault.mount}/role/app/secret-id")


def logs_in(vault, secret_id):
    path = f"auth/{vault.mount}"
    role_id = vault.client.read(f"{path}/role/app/role-id")["role_id"]
    return vault.client.ask("post", f"{path}/login", {"role_id": role_id, "secret_id": secret_id})["auth"]


def test_check_mode_issues_nothing_and_each_run_issues_one(vault, run, role):
    foreseen = run("approle_secret_id", check=True, **role)
    assert foreseen == {"changed": True, "secret_id": {}, "warnings": []}
    first, second = (run("approle_secret_id", **role) for _time in range(2))
    assert first["changed"]
    assert first["secret_id"]["secret_id"] != second["secret_id"]["secret_id"]
    assert first["secret_id"]["secret_id_ttl"] == 86400
    assert "wrap_info" not in first


@pytest.mark.both
def test_valid_secret_id_is_kept(vault, run, role):
    had = run("approle_secret_id", **role)["secret_id"]
    desired = {**role, "secret_id_accessor": had["secret_id_accessor"]}
    for options in ({}, {"valid_for": "23h"}, {"wrap_ttl": "1m"}):
        kept = run.nothing("approle_secret_id", **desired, **options)
        assert kept["secret_id"]["secret_id_accessor"] == had["secret_id_accessor"]
        assert "secret_id" not in kept["secret_id"]
    vault.client.write(
        f"auth/{vault.mount}/role/app/secret-id-accessor/destroy", {"secret_id_accessor": had["secret_id_accessor"]}
    )
    assert run("approle_secret_id", check=True, **desired)["changed"]
    assert run("approle_secret_id", **desired)["secret_id"]["secret_id"]


def test_secret_id_expiring_too_soon_is_replaced(real_vault, run):
    real_vault.client.write(f"sys/auth/{real_vault.mount}", {"type": "approle"})
    real_vault.client.write(f"auth/{real_vault.mount}/role/app", {"secret_id_ttl": 86400})
    had = run("approle_secret_id", name="app", ttl="2h")["secret_id"]
    assert had["secret_id_ttl"] == 7200
    desired = {"name": "app", "secret_id_accessor": had["secret_id_accessor"]}
    run.nothing("approle_secret_id", **desired, valid_for="1h")
    assert run("approle_secret_id", **desired, valid_for="3h")["changed"]


def test_secret_id_without_expiration_is_kept(vault, run, role):
    vault.client.write(f"auth/{vault.mount}/role/app", {"secret_id_ttl": 0})
    had = run("approle_secret_id", **role)["secret_id"]
    run.nothing("approle_secret_id", **role, secret_id_accessor=had["secret_id_accessor"], valid_for="9999d")


def test_state_absent_destroys_secret_id(vault, run, role):
    accessor = run("approle_secret_id", **role)["secret_id"]["secret_id_accessor"]
    desired = {**role, "secret_id_accessor": accessor, "state": "absent"}
    assert run("approle_secret_id", check=True, **desired)["changed"]
    assert run("approle_secret_id", **desired)["changed"]
    run.nothing("approle_secret_id", **desired)
    assert "needs secret_id_accessor" in run.refused("approle_secret_id", **role, state="absent")


@pytest.mark.both
def test_wrapped_secret_id_is_not_in_result(vault, run, role):
    issued = run("approle_secret_id", **role, wrap_ttl="2m")
    assert set(issued["secret_id"]) == {"secret_id_accessor"}
    assert issued["wrap_info"]["ttl"] == 120
    assert issued["wrap_info"]["creation_path"] == f"auth/{vault.mount}/role/app/secret-id"
    run.nothing("approle_secret_id", **role, secret_id_accessor=issued["secret_id"]["secret_id_accessor"])


def test_wrapped_secret_id_unwraps_once_and_logs_in(real_vault, run):
    real_vault.client.write(f"sys/auth/{real_vault.mount}", {"type": "approle"})
    real_vault.client.write(f"auth/{real_vault.mount}/role/app", {})
    issued = run("approle_secret_id", name="app", wrap_ttl="2m", metadata={"host": "web1"}, num_uses=3)
    token = {"token": issued["wrap_info"]["token"]}
    unwrapped = real_vault.client.ask("post", "sys/wrapping/unwrap", token)["data"]
    assert unwrapped["secret_id_accessor"] == issued["secret_id"]["secret_id_accessor"]
    assert unwrapped["secret_id_num_uses"] == 3
    assert logs_in(real_vault, unwrapped["secret_id"])["metadata"]["host"] == "web1"
    with pytest.raises(Exception, match="wrapping token is not valid"):
        real_vault.client.ask("post", "sys/wrapping/unwrap", token)


def test_cidr_list_is_sent_in_server_format(real_vault, run):
    real_vault.client.write(f"sys/auth/{real_vault.mount}", {"type": "approle"})
    real_vault.client.write(f"auth/{real_vault.mount}/role/app", {})
    issued = run("approle_secret_id", name="app", cidr_list=["127.0.0.1"], token_bound_cidrs=["127.0.0.1"])["secret_id"]
    assert logs_in(real_vault, issued["secret_id"])["client_token"]


@pytest.mark.parametrize("option", ["wrap_ttl", "valid_for", "ttl"])
def test_invalid_duration_is_refused(vault, run, role, option):
    more = (
        {"secret_id_accessor": run("approle_secret_id", **role)["secret_id"]["secret_id_accessor"]}
        if option == "valid_for"
        else {}
    )
    assert f"{option}: 'soon' is not a duration" in run.refused("approle_secret_id", **role, **more, **{option: "soon"})


def test_secret_id_beyond_role_limits_shows_server_error(real_vault, run):
    real_vault.client.write(f"sys/auth/{real_vault.mount}", {"type": "approle"})
    real_vault.client.write(f"auth/{real_vault.mount}/role/app", {"secret_id_ttl": 60})
    assert "ttl cannot be longer" in run.refused("approle_secret_id", name="app", ttl="2m")


def test_missing_role_fails(real_vault, run):
    real_vault.client.write(f"sys/auth/{real_vault.mount}", {"type": "approle"})
    for options in ({}, {"secret_id_accessor": "any"}):
        assert "does not exist" in run.refused("approle_secret_id", name="nobody", **options)


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "früh", ""])
def test_invalid_name_is_refused_before_any_request(vault, run, name):
    assert "cannot be a name" in run.refused("approle_secret_id", name=name)
