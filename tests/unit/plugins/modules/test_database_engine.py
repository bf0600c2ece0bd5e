# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem


@pytest.mark.both
def test_lifecycle_of_mount(vault, run):
    desired = {"description": "Short-lived users", "default_lease_ttl": "1h", "max_lease_ttl": "24h"}
    made = run.changes("database_engine", **desired)
    assert made["diff"]["before"] == ""
    assert made["engine"]["default_lease_ttl"] == 3600
    assert made["engine"]["accessor"].startswith("database_")

    run.nothing("database_engine", default_lease_ttl="3600", max_lease_ttl="1d")
    run.nothing("database_engine")

    changed = run.changes("database_engine", **{**desired, "default_lease_ttl": "1h30m"})
    assert yaml.safe_load(changed["diff"]["before"])["default_lease_ttl"] == 3600
    assert yaml.safe_load(changed["diff"]["after"])["default_lease_ttl"] == 5400

    assert run.changes("database_engine", state="absent")["engine"] == {}
    run.nothing("database_engine", state="absent")


def test_change_made_elsewhere_is_reported_and_reverted(vault, run):
    run("database_engine", default_lease_ttl="1h", description="ours")
    vault.client.write(f"sys/mounts/{vault.mount}/tune", {"default_lease_ttl": "7200", "max_lease_ttl": "86400"})
    result = run.changes("database_engine", default_lease_ttl="1h", description="ours")
    before, after = (yaml.safe_load(result["diff"][side]) for side in ("before", "after"))
    assert {key: (before[key], after[key]) for key in after if before[key] != after[key]} == {
        "default_lease_ttl": (7200, 3600)
    }
    assert result["engine"]["max_lease_ttl"] == 86400


def test_only_differences_are_sent(fake_vault, run):
    run("database_engine", default_lease_ttl="1h", description="ours")
    fake_vault.server.writes.clear()
    run("database_engine", default_lease_ttl="2h", description="ours")
    assert fake_vault.server.writes == [("POST", f"sys/mounts/{fake_vault.mount}/tune", {"default_lease_ttl": 7200})]


def test_ttl_zero_restores_server_default(vault, run):
    run("database_engine", default_lease_ttl="1h", max_lease_ttl="2h")
    assert run.changes("database_engine", default_lease_ttl="0")["engine"]["default_lease_ttl"] == 0


@pytest.mark.both
def test_lists_compare_as_sets_and_can_be_emptied(vault, run):
    run.changes("database_engine", audit_non_hmac_request_keys=["b", "a"])
    run.nothing("database_engine", audit_non_hmac_request_keys=["a", "b", "a"])
    assert run.changes("database_engine", audit_non_hmac_request_keys=[])["engine"]["audit_non_hmac_request_keys"] == []


def test_empty_description_clears_it(vault, run):
    run("database_engine", description="ours")
    run.nothing("database_engine")
    assert run.changes("database_engine", description="")["engine"]["description"] == ""


@pytest.mark.parametrize("alias", ["database_mount_path", "mount_path", "engine_mount_point"])
def test_option_aliases_of_other_collections_work(fake_vault, run, alias):
    assert run("database_engine", **{alias: "elsewhere"})["engine"]["mount"] == "elsewhere"


def test_mount_path_ignores_surrounding_slashes(vault, run):
    run.changes("database_engine", mount=f"team-a/{vault.mount}")
    run.nothing("database_engine", mount=f"/team-a/{vault.mount}/")
    run.changes("database_engine", mount=f"team-a/{vault.mount}", state="absent")


@pytest.mark.parametrize(
    "mount", ["../sys", "a/../b", "a b", "", "/", "a//b", "früh", "a\nb", "a?b", "a#b", ".a", "{{x}}"]
)
def test_invalid_mount_is_refused_before_any_request(vault, run, mount):
    assert "cannot be a mount" in run.refused("database_engine", mount=mount)


@pytest.mark.parametrize("mount", ["sys/x", "auth/x", "identity", "cubbyhole/x"])
def test_reserved_mount_path_is_refused(vault, run, mount):
    assert "belongs to Vault itself" in run.refused("database_engine", mount=mount)


@pytest.mark.parametrize("option", ["default_lease_ttl", "max_lease_ttl"])
@pytest.mark.parametrize("ttl", ["abc", "-1", "1w", "system", "1.0001s", "1h 30m", ""])
def test_invalid_duration_is_refused(vault, run, option, ttl):
    sentence = run.refused("database_engine", **{option: ttl})
    assert option in sentence
    assert repr(ttl) in sentence


def test_default_ttl_above_max_ttl_is_refused(vault, run):
    sentence = run.refused("database_engine", default_lease_ttl="2h", max_lease_ttl="1h")
    assert "default_lease_ttl (7200 s) is longer than max_lease_ttl (3600 s)" in sentence


def test_default_ttl_above_stored_max_ttl_is_refused(vault, run):
    run("database_engine", max_lease_ttl="1h")
    assert "longer than max_lease_ttl" in run.refused("database_engine", default_lease_ttl="2h")


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_mount_of_other_type_is_refused(vault, run, state, check):
    vault.client.write(f"sys/mounts/{vault.mount}", {"type": "kv"})
    try:
        assert "holds a kv engine" in run.refused("database_engine", state=state, check=check)
    finally:
        vault.client.delete(f"sys/mounts/{vault.mount}")


def test_parent_path_of_existing_mount_is_refused(vault, run):
    run("database_engine", mount=f"{vault.mount}/inner")
    assert "path is already in use" in run.refused("database_engine", mount=vault.mount)


def test_immutable_option_change_is_refused(vault, run):
    run.changes("database_engine", seal_wrap=False, local=True)
    sentence = run.refused("database_engine", local=False)
    assert "local" in sentence
    assert "only at creation" in sentence


@pytest.mark.both
def test_delete_with_live_leases_is_refused_or_revokes_first(vault, run):
    vault.add_mount().add_connection().add_role("app").add_role("other")
    for role in ("app", "app", "other"):
        vault.issue(role)
    assert "3 live lease(s)" in run.refused("database_engine", state="absent")
    assert "3 live lease(s)" in run.refused("database_engine", state="absent", check=True)
    result = run.changes("database_engine", state="absent", revoke_leases=True)
    assert result["revoked_leases"] == 3


def test_tainted_mount_is_explained(real_vault, run):
    real_vault.add_mount().add_connection().add_role(revocation_statements=["SELECT no_such_function()"])
    real_vault.issue("app")
    with pytest.raises(Problem, match="42883"):
        run("database_engine", state="absent", revoke_leases=True)
    with pytest.raises(Problem, match="tainted now"):
        real_vault.client.delete(f"sys/mounts/{real_vault.mount}")
    for check in (True, False):
        for options in ({}, {"description": "x"}, {"state": "absent", "revoke_leases": True}):
            with pytest.raises(Problem, match=r"tainted.*revoke-force"):
                run("database_engine", check=check, **options)
