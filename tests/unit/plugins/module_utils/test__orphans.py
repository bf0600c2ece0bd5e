# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is whose: pairs of users and leases in invented histories, of which the truth is known."""

from __future__ import annotations

import random

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._operations.orphans import (
    CERTAIN,
    LEASELESS,
    UNKNOWN,
    Lease,
    User,
    View,
    families,
    pair,
    survey,
)

NOW = 1_800_000_000.0
WANTED = {"name": "db", "mount": "database"}


def view():
    return View(WANTED, {"username": "vault_admin"}, {}, NOW, 180000, owner="owner", database="appdb")


def user(made, ends, name="", timed=True):
    row = {
        "username": name or f"v-{made}",
        "valid_until": ends,
        "groups": ["g"],
        "databases": [],
        "prepared": [],
        "sessions": 0,
    }
    return User({**row, "comment": ""}, int(made) if timed else None, True, {"app"}, "app")


def lease(issued, ends):
    return Lease(f"database/creds/app/{issued}", "app", issued, ends, "app")


def certainties(users, leases):
    leases = sorted(leases, key=lambda one: one.issued)
    pair(users, leases)
    return {one["username"]: one["certainty"] for one in view().judged(users, leases, 120)[0]}


class History:
    """Users that are issued, renewed and forgotten, as Vault does it; the users with a lease are in `leased`."""

    def __init__(self, seed, slow=0.0, timed=True, own_renewal=False):
        self.users, self.leases, self.leased = [], [], set()
        dice = random.Random(seed)  # noqa: S311 (no secret)
        at = NOW - 40_000
        for number in range(dice.randint(1, 60)):
            at += dice.choice([0, 0.01, 0.2, 0.9, 3, 20, 200, 2000])
            if at > NOW - 200:
                break
            took = dice.uniform(0.01, 0.93) + (dice.choice([0, slow]) if slow else 0)
            life = 36_000
            name, ends = f"v-{number}", at + life + 5
            issued, expires = at + took, at + took + life
            if dice.random() < 0.3:  # renewed
                expires = min(NOW, issued + dice.uniform(5, 3000)) + life
                ends = ends if own_renewal else expires + dice.uniform(4, 5)
            self.users.append(user(at, round(ends), name, timed))
            if dice.random() < 0.8:
                self.leased.add(name)
                self.leases.append(lease(issued, expires))

    def wrongly_called_leaseless(self):
        given = certainties(self.users, self.leases)
        return {name for name, certainty in given.items() if certainty != UNKNOWN and name in self.leased}


@pytest.mark.parametrize(
    "circumstances",
    [{}, {"slow": 4.0}, {"slow": 8.0}, {"own_renewal": True}],
    ids=["as measured", "issuing takes 4 s", "issuing takes 8 s", "renewal leaves VALID UNTIL"],
)
def test_user_with_lease_is_never_leaseless(circumstances):
    wrong = [seed for seed in range(400) if History(seed, **circumstances).wrongly_called_leaseless()]
    assert wrong == []


class NoLeases:
    """A server without mounts and leases."""

    def list(self, _path):
        return []

    def mounts(self, _path):
        return {}


@pytest.mark.parametrize(
    ("standby", "admins", "words"),
    [
        (False, [[False]], ""),
        (True, [[False]], "a standby, which may not have the newest users"),
        (False, [], "The admin role vault_admin does not exist where this looked"),
    ],
)
def test_standby_or_other_server_makes_result_uncertain(standby, admins, words):
    def ask(query, *_values):
        answers = {
            "extract(epoch FROM now())": [(NOW, 180000)],
            "datdba": [["owner"]],
            "open_databases": [{"open_databases": [], "sessions": 0}],
            "is_in_recovery": [[standby]],
            "rolsuper FROM": admins,
        }
        return next((rows for words, rows in answers.items() if words in query), [])

    leased = {"connection_details": {"username": "vault_admin"}}
    doubt = survey(NoLeases(), WANTED, leased, ask, {"dbname": "appdb"}).view.doubt
    assert words in doubt
    assert bool(doubt) == bool(words)


@pytest.mark.parametrize(("took", "certain"), [(0.4, True), (1.4, False)])
def test_pair_is_certain_only_within_the_same_second(took, certain):
    made = NOW - 1000
    one, its = user(made, made + 3605), lease(made + took, made + 3600.4)
    pair([one], [its])
    assert one.lease is its
    assert its.is_certainly_of(one) is certain


def test_most_orphans_are_found():
    histories = [History(seed) for seed in range(100)]
    truth = sum(len(history.users) - len(history.leased) for history in histories)
    given = [word for history in histories for word in certainties(history.users, history.leases).values()]
    assert truth <= len(given)
    assert sum(word != UNKNOWN for word in given) > truth * 0.4


def test_renewed_expiration_distinguishes_users_of_same_second():
    made = NOW - 5000
    old, renewed = user(made, NOW - 1400, "old"), user(made, NOW + 3600, "renewed")
    assert certainties([old, renewed], [lease(made + 0.4, NOW + 3595.5)]) == {"old": CERTAIN}


def test_indistinguishable_users_are_unknown():
    made = NOW - 1000
    twins = [user(made, made + 3605, name) for name in ("one", "two")]
    assert certainties(twins, [lease(made + 0.4, made + 3600.4)]) == {"two": UNKNOWN}


def test_unmatched_lease_makes_earlier_users_unknown_only():
    early, late = NOW - 9000, NOW - 5000
    users = [
        user(early, early + 3605, "early"),
        user(late, late + 3605, "late"),
        user(late + 300, late + 3905, "after"),
    ]
    assert certainties(users, [lease(late + 60, NOW + 2000)]) == {"early": CERTAIN, "late": UNKNOWN, "after": CERTAIN}


def test_unexpired_orphan_can_log_in():
    assert certainties([user(NOW - 500, NOW + 500, "alive")], []) == {"alive": LEASELESS}


def test_roles_with_ambiguous_names_form_one_set():
    ours, of_both, lonely = user(NOW, NOW), user(NOW, NOW), user(NOW, NOW)
    ours.roles, of_both.roles, lonely.roles = {"x-app"}, {"app", "x-app"}, set()
    leases = [Lease("", role, NOW, NOW) for role in ("app", "x-app", "other")]
    families([ours, of_both, lonely], leases)
    assert ours.family == of_both.family == leases[0].family == leases[1].family
    assert leases[2].family == "other"
    assert lonely.family == ""


def test_ten_thousand_users_of_one_role_are_matched():
    at = [NOW - 100_000 + number * 0.1 for number in range(10_000)]
    users = [user(moment, round(moment + 200_005), f"v-{number}") for number, moment in enumerate(at)]
    leases = [lease(moment + 0.02, moment + 200_000.02) for moment in at]
    assert certainties(users, leases) == {}
