# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


def test_mount_is_shown_as_module_returns_it(vault, run):
    engine = run("database_engine", description="ours", default_lease_ttl="1h")["engine"]
    for check in (True, False):
        assert run("database_engine_info", check=check) == {"changed": False, "engines": [engine], "warnings": []}


def test_without_mount_only_database_engines_are_listed(vault, run):
    run("database_engine")
    run("database_engine", mount=f"{vault.mount}-2")
    shown = run("database_engine_info", mount=None)["engines"]
    assert {engine["type"] for engine in shown} == {"database"}
    assert [e["mount"] for e in shown if e["mount"].startswith(vault.mount)] == [vault.mount, f"{vault.mount}-2"]


def test_missing_mount_is_empty_list_or_error_with_must_exist(vault, run):
    assert run("database_engine_info")["engines"] == []
    assert f"There is no mount {vault.mount}" in run.refused("database_engine_info", must_exist=True)


def test_mount_of_other_type_fails(vault, run):
    vault.client.write(f"sys/mounts/{vault.mount}", {"type": "kv"})
    try:
        assert "holds a kv engine" in run.refused("database_engine_info")
    finally:
        vault.client.delete(f"sys/mounts/{vault.mount}")


@pytest.mark.parametrize("mount", ["../sys", "a b", "früh"])
def test_invalid_mount_is_refused_before_any_request(vault, run, mount):
    assert "cannot be a mount" in run.refused("database_engine_info", mount=mount)
