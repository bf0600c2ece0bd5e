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
def test_one_policy_is_shown_as_the_server_keeps_it_and_can_be_given_back(vault, run, name):
    made = run("acl_policy", mount=None, name=name, policy=POLICY)["policy"]
    for check in (True, False):
        shown = run("acl_policy_info", check=check, mount=None, name=name)
        assert shown == {"changed": False, "policies": [made], "warnings": []}
    run.nothing("acl_policy", mount=None, name=name, policy=made["policy"])


def test_without_a_name_all_are_shown(vault, run, name):
    vault.client.write(f"sys/policies/acl/{name}", {"policy": POLICY})
    shown = {policy["name"]: policy for policy in run("acl_policy_info", mount=None)["policies"]}
    assert shown[name]["policy"] == POLICY
    assert {"root", "default"} <= set(shown)


def test_what_others_wrote_is_shown_as_it_is(real_vault, run):
    strange, text = f"{real_vault.mount},früh", 'path "a" { capabilities = ["read"]\n capabilities = ["list"] }'
    for name in (real_vault.mount, strange):
        real_vault.client.write(f"sys/policies/acl/{name}", {"policy": text})
    shown = {policy["name"]: policy for policy in run("acl_policy_info", mount=None)["policies"]}
    assert shown[real_vault.mount]["policy"] == text
    assert shown[strange] == {"name": strange}


def test_missing_policy_is_an_empty_list_or_an_error_if_it_must_exist(vault, run, name):
    assert run("acl_policy_info", mount=None, name=name)["policies"] == []
    sentence = run.refused("acl_policy_info", mount=None, name=name, must_exist=True)
    assert f"There is no policy sys/policies/acl/{name}" in sentence


@pytest.mark.parametrize("wrong", ["a//b", "../x", "a?b"])
def test_what_cannot_be_a_name_is_said_and_not_sent(vault, run, wrong):
    assert "cannot name a policy" in run.refused("acl_policy_info", mount=None, name=wrong)
