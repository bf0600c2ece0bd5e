# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

POLICY = '# why\npath "a" { capabilities = ["read"] }'


@pytest.fixture
def name(vault):
    return f"{vault.mount}-app"


@pytest.mark.both
def test_policy_is_shown_as_stored_and_reapplies_without_change(vault, run, name):
    made = run("acl_policy", mount=None, name=name, policy=POLICY)["policy"]
    for check in (True, False):
        shown = run("acl_policy_info", check=check, mount=None, name=name)
        assert shown == {"changed": False, "policies": [made], "warnings": []}
    run.nothing("acl_policy", mount=None, name=name, policy=made["policy"])


def test_without_name_all_are_listed(vault, run, name):
    vault.client.write(f"sys/policies/acl/{name}", {"policy": POLICY})
    shown = {policy["name"]: policy for policy in run("acl_policy_info", mount=None)["policies"]}
    assert shown[name]["policy"] == POLICY
    assert {"root", "default"} <= set(shown)


def test_object_written_elsewhere_is_shown_unchanged(real_vault, run):
    strange, text = f"{real_vault.mount},früh", 'path "a" { capabilities = ["read"]\n capabilities = ["list"] }'
    for name in (real_vault.mount, strange):
        real_vault.client.write(f"sys/policies/acl/{name}", {"policy": text})
    shown = {policy["name"]: policy for policy in run("acl_policy_info", mount=None)["policies"]}
    assert shown[real_vault.mount]["policy"] == text
    assert shown[strange] == {"name": strange}


def test_missing_policy_is_empty_list_or_error_with_must_exist(vault, run, name):
    assert run("acl_policy_info", mount=None, name=name)["policies"] == []
    sentence = run.refused("acl_policy_info", mount=None, name=name, must_exist=True)
    assert f"There is no policy sys/policies/acl/{name}" in sentence


@pytest.mark.parametrize("wrong", ["a//b", "../x", "a?b"])
def test_invalid_name_is_refused_before_any_request(vault, run, wrong):
    assert "cannot name a policy" in run.refused("acl_policy_info", mount=None, name=wrong)
