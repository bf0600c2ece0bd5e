# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import (
    effective_life,
    expiry,
    issue,
    look_up_token,
    placeholder,
    read_static,
)

NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)


class Client:
    """Answers what it is told to, by path."""

    uses_left = token_ttl = None

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def now(self):
        return NOON

    def ask(self, method, path, body=None, kind="repeat", needs=()):
        self.asked.append((method, path, kind))
        answer = self.answers["token" if path == "auth/token/lookup-self" else "user"]
        if isinstance(answer, Exception):
            raise answer
        return answer


USER = {
    "data": {"username": "v-app", "password": "hush-hush"},
    "lease_id": "database/creds/app/1",
    "lease_duration": 3600,
    "renewable": True,
    "warnings": None,
}


@pytest.mark.parametrize(
    ("token", "life", "warned"),
    [
        ({"expire_time": None, "ttl": 0}, 3600, False),
        ({"expire_time": "2026-01-31T12:00:00Z", "ttl": 90}, 90, True),
        ({"expire_time": "2026-01-31T12:00:00Z", "ttl": 3600}, 3600, False),
        ({"expire_time": "2026-01-31T12:00:00Z", "ttl": 90, "period": 90}, 3600, False),
        ({"expire_time": "2026-01-31T12:00:00Z", "ttl": 90, "period": 0}, 90, True),
    ],
)
def test_a_lease_ends_with_its_token(token, life, warned):
    lives, warnings = effective_life(look_up_token(Client(token={"data": token}), "This"), 3600)
    assert lives == life
    assert bool(warnings) is warned


def test_without_token_lookup_expiration_is_that_of_lease():
    assert effective_life(look_up_token(Client(token=Problem("no")), "This"), 3600) == (3600, [])


@pytest.mark.parametrize(("left", "asked"), [(-1, "0 more"), (1, "1 more")])
def test_counted_token_is_not_used_up_by_issuing(left, asked):
    client = Client(user=USER, token={"data": {"num_uses": left, "expire_time": None}})
    with pytest.raises(Refused, match=f"Issuing a user of database/creds/app was not tried: .* {asked} request"):
        issue(client, "database", "app")
    assert [path for _method, path, _kind in client.asked] == ["auth/token/lookup-self"]


def test_counted_token_is_asked_about_before_issuing_and_never_after():
    client = Client(user=USER, token={"data": {"num_uses": 2, "expire_time": None}})
    (warning,) = issue(client, "database", "app").warnings
    assert "more request(s) (num_uses), and the last one ends the user" in warning
    assert [path for _method, path, _kind in client.asked] == ["auth/token/lookup-self", "database/creds/app"]


def test_token_that_the_login_counted_is_not_asked_about():
    client = Client(user=USER)
    client.uses_left, client.token_ttl = 9, 60
    assert issue(client, "database", "app").credentials["expires_in"] == 60
    assert [path for _method, path, _kind in client.asked] == ["database/creds/app"]


def test_unanswered_issue_is_not_retried():
    client = Client(user=USER, token=Problem("no"))
    issue(client, "database", "app")
    assert client.asked[-1] == ("get", "database/creds/app", "issue")


def test_all_kinds_of_credentials_have_same_keys():
    static = {"data": {"username": "u", "password": "p", "ttl": 60}}
    shapes = [
        placeholder("app"),
        issue(Client(user=USER, token=Problem("no")), "database", "app").credentials,
        read_static(Client(user=static), "database", "app").credentials,
    ]
    assert len({frozenset(shape) for shape in shapes}) == 1


def test_server_warnings_are_passed_on():
    client = Client(user={**USER, "warnings": ["capped"]}, token=Problem("no"))
    assert issue(client, "database", "app").warnings == ["capped"]


def test_possible_second_user_warns():
    client = Client(user={**USER, "reissued": True}, token=Problem("no"))
    (warning,) = issue(client, "database", "app").warnings
    assert "unknown whether it had made another user" in warning


def test_placeholder_is_not_a_credential():
    assert placeholder("app")["lease_id"] == ""
    assert placeholder("app")["lease_duration"] == 0


def test_expiry_is_given_twice():
    assert expiry(60, NOON) == {"expires_in": 60, "expires_at": "2026-01-31T12:01:00Z"}
