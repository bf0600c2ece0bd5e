# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

POLICY = """\
# Digits can be typed
length = 24
rule "charset" {
  charset   = "0123456789"
  min-chars = 1
}
"""


@pytest.fixture
def policy(vault):
    """The options of a policy that only this test has."""
    return {"mount": None, "name": f"{vault.mount}-app"}


@pytest.mark.both
def test_lifecycle_of_password_policy(vault, run, policy):
    made = run.changes("password_policy", **policy, policy=POLICY)
    assert made["diff"]["before"] == ""
    assert made["password_policy"] == {"name": policy["name"], "policy": POLICY}
    assert made["warnings"] == []
    current = vault.client.read(f"sys/policies/password/{policy['name']}")
    assert current["policy"] == POLICY, "the server keeps the text as sent, comments and all"

    run.nothing("password_policy", **policy, policy=POLICY)
    run.nothing("password_policy", **policy, policy=f"\n{POLICY.strip()}")
    run.nothing("password_policy", **policy)

    changed = run.changes("password_policy", **policy, policy=POLICY.replace("24", "30"))
    assert "length = 24" in changed["diff"]["before"]
    assert "length = 30" in changed["diff"]["after"]

    assert run.changes("password_policy", **policy, state="absent")["password_policy"] == {}
    run.nothing("password_policy", **policy, state="absent")


def test_change_made_elsewhere_is_reverted(vault, run, policy):
    run("password_policy", **policy, policy=POLICY)
    vault.client.write(f"sys/policies/password/{policy['name']}", {"policy": POLICY.replace("24", "8")})
    result = run.changes("password_policy", **policy, policy=POLICY)
    assert "length = 8" in result["diff"]["before"]
    assert "length = 24" in result["diff"]["after"]


def test_name_keeps_case(vault, run, policy):
    for name in (f"{policy['name']}-x", f"{policy['name']}-X"):
        run.changes("password_policy", **{**policy, "name": name}, policy=POLICY)


@pytest.mark.parametrize("name", ["", "a//b", "a/b", "a b", "a?b", "a\nb", "früh", "{{x}}"])
def test_invalid_name_is_refused_before_any_request(vault, run, name):
    assert "cannot be a name" in run.refused("password_policy", mount=None, name=name, policy=POLICY)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("text", [None, "", " \n"])
def test_policy_without_text_is_refused_before_any_request(vault, run, policy, check, text):
    assert "policy is needed" in run.refused("password_policy", **policy, policy=text, check=check)


@pytest.mark.parametrize("check", [True, False])
def test_empty_text_for_existing_policy_is_refused(vault, run, policy, check):
    run("password_policy", **policy, policy=POLICY)
    assert "policy is needed" in run.refused("password_policy", **policy, policy="", check=check)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("length = 20", "no charset specified"),
        (POLICY.replace("24", "3"), "between 4 and 100 characters"),
        (POLICY.replace("min-chars = 1", "min-chars = 30"), "require at least 30 characters but 24 is specified"),
        ("lenght", "expected start of object"),
    ],
)
def test_server_refusal_is_passed_on(real_vault, run, text, words):
    """And a check run cannot know it."""
    options = {"mount": None, "name": f"{real_vault.mount}-app", "policy": text}
    assert run("password_policy", check=True, **options)["changed"]
    assert words in run.refused("password_policy", **options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (POLICY.replace("min-chars", "min_chars"), "min_chars is not a password policy keyword"),
        (POLICY.replace("length = 24", "length = 24\nwidth = 1"), "width is not a password policy keyword"),
        (POLICY.replace("012", "0'12"), "breaks the SQL"),
    ],
)
def test_keyword_ignored_by_server_warns(vault, run, policy, text, words):
    (foreseen,) = run("password_policy", check=True, **policy, policy=text)["warnings"]
    (warning,) = run("password_policy", **policy, policy=text)["warnings"]
    assert words in foreseen
    assert warning == foreseen
    assert run("password_policy", **policy, policy=text)["warnings"] == []


def test_json_policy_is_not_parsed_here(vault, run, policy):
    text = '{"length": 20, "rule": [{"charset": {"charset": "abc", "min-chars": 1}}]}'
    assert run.changes("password_policy", **policy, policy=text)["warnings"] == []


def test_connection_generates_passwords_by_policy(real_vault, run):
    """And makes none, once the policy is gone."""
    name = f"{real_vault.mount}-app"
    run("password_policy", mount=None, name=name, policy=POLICY)
    run("database_engine")
    run("database_connection", name="db", **real_vault.connection(), password_policy=name)
    real_vault.add_role()
    assert len(password := real_vault.issue("app")["password"]) == 24
    assert password.isdigit()

    assert "is in use" in run.refused("password_policy", mount=None, name=name, state="absent")
    run("password_policy", mount=None, name=name, state="absent", validate=False)
    assert "no password policy found" in run.refused("database_credentials", role="app")


@pytest.mark.needs("scram")
def test_quote_in_charset_warns(real_vault, run):
    name = f"{real_vault.mount}-app"
    run("password_policy", mount=None, name=name, policy=POLICY.replace("0123456789", "'").replace("24", "25"))
    real_vault.add_mount().add_connection(password_policy=name, password_authentication="scram-sha-256").add_role()
    assert real_vault.issue("app")["password"] == "'" * 25
    real_vault.add_connection(password_policy=name, password_authentication="password")
    assert "SQLSTATE 42601" in run.refused("database_credentials", role="app")
