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
def test_one_policy_is_shown_as_the_server_keeps_it_and_can_be_given_back(vault, run, name):
    made = run("password_policy", mount=None, name=name, policy=POLICY)["password_policy"]
    for check in (True, False):
        shown = run("password_policy_info", check=check, mount=None, name=name)
        assert shown == {"changed": False, "password_policies": [made], "warnings": []}
    run.nothing("password_policy", mount=None, name=name, policy=made["policy"])


def test_without_a_name_all_are_shown(vault, run, name):
    def shown():
        return {policy["name"]: policy for policy in run("password_policy_info", mount=None)["password_policies"]}

    assert name not in shown()
    vault.client.write(f"sys/policies/password/{name}", {"policy": POLICY})
    assert shown()[name]["policy"] == POLICY


def test_under_a_name_that_others_gave_it_a_policy_is_named_alone(real_vault, run):
    strange = f"{real_vault.mount}/früh"
    real_vault.client.write(f"sys/policies/password/{strange}", {"policy": POLICY})
    assert {"name": strange} in run("password_policy_info", mount=None)["password_policies"]


def test_missing_policy_is_an_empty_list_or_an_error_if_it_must_exist(vault, run, name):
    assert run("password_policy_info", mount=None, name=name)["password_policies"] == []
    sentence = run.refused("password_policy_info", mount=None, name=name, must_exist=True)
    assert f"There is no password_policy sys/policies/password/{name}" in sentence


@pytest.mark.parametrize("wrong", ["a//b", "../x", "a?b"])
def test_what_cannot_be_a_name_is_said_and_not_sent(vault, run, wrong):
    assert "cannot be a name" in run.refused("password_policy_info", mount=None, name=wrong)
