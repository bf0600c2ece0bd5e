# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

ROLES = {
    "approle": {"secret_id_ttl": "1h"},
    "kubernetes": {"bound_service_account_names": ["app"], "bound_service_account_namespaces": ["production"]},
    "jwt": {"user_claim": "sub", "bound_audiences": ["vault"]},
}


@pytest.mark.both
@pytest.mark.parametrize("kind", ROLES)
def test_role_is_shown_and_reapplies_without_change(vault, run, kind):
    vault.client.write(f"sys/auth/{vault.mount}", {"type": kind})
    made = run("auth_role", type=kind, name="app", **ROLES[kind], token_policies=["app"])["auth_role"]
    for check in (True, False):
        shown = run("auth_role_info", check=check, type=kind, role_name="App")
        assert shown == {"changed": False, "auth_roles": [{**made, "name": "app"}], "warnings": []}
    run.nothing("auth_role", **{key: value for key, value in made.items() if key not in ("role_id", "role_type")})


def test_without_name_all_are_listed_or_empty_list(vault, run):
    vault.client.write(f"sys/auth/{vault.mount}", {"type": "approle"})
    assert run("auth_role_info", type="approle")["auth_roles"] == []
    for name in ("b", "a"):
        vault.client.write(f"auth/{vault.mount}/role/{name}", {})
    shown = run("auth_role_info", type="approle")["auth_roles"]
    assert [role["name"] for role in shown] == ["a", "b"]
    assert len({role["role_id"] for role in shown}) == 2


def test_object_written_elsewhere_is_shown_unchanged(real_vault, run):
    real_vault.client.write(f"sys/auth/{real_vault.mount}", {"type": "approle"})
    real_vault.client.write(f"auth/{real_vault.mount}/role/app", {"token_policies": ["root", "früh"]})
    assert run("auth_role_info", type="approle")["auth_roles"][0]["token_policies"] == ["root", "früh"]


def test_missing_role_is_empty_list_or_error_with_must_exist(vault, run):
    vault.client.write(f"sys/auth/{vault.mount}", {"type": "approle"})
    assert run("auth_role_info", type="approle", name="app")["auth_roles"] == []
    assert "There is no auth_role" in run.refused("auth_role_info", type="approle", name="app", must_exist=True)


@pytest.mark.parametrize("options", [{}, {"name": "app"}])
def test_missing_mount_has_its_own_error(vault, run, options):
    assert "nothing is mounted there" in run.refused("auth_role_info", type="approle", **options)
