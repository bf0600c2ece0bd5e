# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

POLICY = """\
# The application's credentials
path "database/creds/app-role" {
  capabilities = ["read", "list"]
}
"""
SAME = {"path": {"database/creds/app-role": {"capabilities": ["list", "read"]}}}


@pytest.fixture
def policy(vault):
    """The options of a policy that only this test has."""
    return {"mount": None, "name": f"{vault.mount}-app"}


@pytest.mark.both
def test_lifecycle_of_policy(vault, run, policy):
    made = run.changes("acl_policy", **policy, policy=POLICY)
    assert made["diff"]["before"] == ""
    assert made["policy"]["policy"] == POLICY
    current = vault.client.read(f"sys/policies/acl/{policy['name']}")
    assert current["policy"] == POLICY, "the server keeps the text as sent, comments and all"

    run.nothing("acl_policy", **policy, policy=SAME)
    run.nothing("acl_policy", **policy, rules=POLICY.replace("\n", "\n\n# more\n"))
    run.nothing("acl_policy", **policy)

    changed = run.changes("acl_policy", **policy, policy=POLICY.replace(', "list"', ""))
    assert '["list", "read"]' in changed["diff"]["before"]
    assert '["read"]' in changed["diff"]["after"]
    assert "#" not in changed["diff"]["before"], "a diff shows what counts"

    assert run.changes("acl_policy", **policy, state="absent")["policy"] == {}
    run.nothing("acl_policy", **policy, state="absent")


def test_change_made_elsewhere_is_reverted(vault, run, policy):
    run("acl_policy", **policy, policy=POLICY)
    vault.client.write(f"sys/policies/acl/{policy['name']}", {"policy": POLICY.replace("list", "delete")})
    result = run.changes("acl_policy", **policy, policy=POLICY)
    assert "delete" in result["diff"]["before"]
    assert "delete" not in result["diff"]["after"]


def test_policy_text_not_parsed_here_is_replaced(real_vault, run):
    name = f"{real_vault.mount}-app"
    doubled = 'path "a" { capabilities = ["read"]\n capabilities = ["sudo"] }'
    real_vault.client.write(f"sys/policies/acl/{name}", {"policy": doubled})
    assert "sudo" in run.changes("acl_policy", mount=None, name=name, policy=POLICY)["diff"]["before"]


def test_policy_name_is_lowercased(vault, run, policy):
    run.changes("acl_policy", **{**policy, "name": policy["name"].upper()}, policy=POLICY)
    run.nothing("acl_policy", **policy, policy=POLICY)


@pytest.mark.parametrize("name", ["a b", "team/app", "a:b@c", "x."])
def test_usual_policy_names_are_accepted(real_vault, run, name):
    options = {"mount": None, "name": f"{real_vault.mount} {name}"}
    run.changes("acl_policy", **options, policy=POLICY)
    run.changes("acl_policy", **options, state="absent")


@pytest.mark.parametrize("name", ["", "a//b", "/a", "a/", "a?b", "a#b", "a\nb", "früh", "a,b", "{{x}}"])
def test_invalid_name_is_refused_before_any_request(vault, run, name):
    assert "cannot name a policy" in run.refused("acl_policy", mount=None, name=name, policy=POLICY)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("root", {"policy": POLICY}, "Vault's own"),
        ("Root", {"policy": POLICY}, "Vault's own"),
        ("root", {"state": "absent"}, "Vault's own"),
        ("default", {"state": "absent"}, "cannot be deleted"),
    ],
)
def test_builtin_policy_is_refused(vault, run, check, name, options, words):
    assert words in run.refused("acl_policy", mount=None, name=name, check=check, **options)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "policy is needed"),
        ("", "the text is empty"),
        ('path "a" {', "line 1"),
        ('path "a" { capabilities = ["deny", "read"] }', "deny stands beside"),
        ('path "a/*/b" { capabilities = ["read"] }', "wildcard at the end only"),
    ],
)
def test_contradictory_policy_is_refused_before_any_request(vault, run, policy, check, text, words):
    assert words in run.refused("acl_policy", **policy, policy=text, check=check)


def test_unknown_keyword_warns_and_passes_on_server_error(real_vault, run):
    options = {"mount": None, "name": f"{real_vault.mount}-app", "policy": 'path "a" { capabilities = ["reed"] }'}
    (warning,) = run("acl_policy", check=True, **options)["warnings"]
    assert "reed is an unknown policy keyword" in warning
    assert 'invalid capability "reed"' in run.refused("acl_policy", **options)


@pytest.mark.needs("policy_ttl")
def test_field_reset_by_write_is_a_warning(real_vault, run):
    name = f"{real_vault.mount}-app"
    real_vault.client.write(f"sys/policies/acl/{name}", {"policy": POLICY, "ttl": "1h"})
    (warning,) = run("acl_policy", mount=None, name=name, policy='path "a" {}')["warnings"]
    assert "resets expiration" in warning
