# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

POLICY = '# why\nlength = 20\nrule "charset" { charset = "abc" }\n'


@pytest.fixture
def name(vault):
    return f"{vault.mount}-app"


@pytest.mark.both
def test_policy_is_shown_as_stored_and_reapplies_without_change(vault, run, name):
    made = run("password_policy", mount=None, name=name, policy=POLICY)["password_policy"]
    for check in (True, False):
        shown = run("password_policy_info", check=check, mount=None, name=name)
        assert shown == {"changed": False, "password_policies": [made], "warnings": []}
    run.nothing("password_policy", mount=None, name=name, policy=made["policy"])


def test_without_name_all_are_listed(vault, run, name):
    def shown():
        return {policy["name"]: policy for policy in run("password_policy_info", mount=None)["password_policies"]}

    assert name not in shown()
    vault.client.write(f"sys/policies/password/{name}", {"policy": POLICY})
    assert shown()[name]["policy"] == POLICY


def test_policy_with_unsupported_name_is_listed_by_name_only(real_vault, run):
    strange = f"{real_vault.mount}/früh"
    real_vault.client.write(f"sys/policies/password/{strange}", {"policy": POLICY})
    listed = [policy["name"] for policy in run("password_policy_info", mount=None)["password_policies"]]
    assert strange in listed or f"{real_vault.mount}/" in listed, "Vault 1.13 lists the folder alone"


def test_missing_policy_is_empty_list_or_error_with_must_exist(vault, run, name):
    assert run("password_policy_info", mount=None, name=name)["password_policies"] == []
    sentence = run.refused("password_policy_info", mount=None, name=name, must_exist=True)
    assert f"There is no password_policy sys/policies/password/{name}" in sentence


@pytest.mark.parametrize("wrong", ["a//b", "../x", "a?b"])
def test_invalid_name_is_refused_before_any_request(vault, run, wrong):
    assert "cannot be a name" in run.refused("password_policy_info", mount=None, name=wrong)
