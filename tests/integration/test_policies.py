# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookups need all that docs/policies.md says and nothing else; tests/unit/test_policies.py shows the same of the modules.

All other plays of these tests run with that policy as well (`Play`).
"""

from __future__ import annotations

import json
import typing as t

import policies
import pytest

from .conftest import CALLBACK, as_yaml, used_in

if t.TYPE_CHECKING:
    from collections.abc import Callable

    import servers

    from .conftest import Ground, Play

LIFE = 40  # seconds, of the login and of the lease; after more than half of it both are renewed
STORIES = {
    "database_credentials": ("'app', mount='rights', revoke='at_end'", LIFE // 2 + 2),
    "database_static_credentials": ("'fixed', mount='rights'", 0),
}


@pytest.fixture(scope="module")
def here(ground: Callable[..., Ground], postgres: servers.PostgreSQL) -> Ground:
    here = ground(postgres, "rights")
    here.role("app", LIFE, 10 * LIFE)
    here.user("rights_fixed")
    here.write("static-roles/fixed", {"db_name": "db", "username": "rights_fixed", "rotation_period": "24h"})
    return here


def story(lookup: str) -> str:
    """Mention it, and again when half of its life is over."""
    arguments, pause = STORIES[lookup]
    given = f"{{{{ lookup('leasehold.vault.{lookup}', {arguments}).username }}}}"
    again = [
        {"ansible.builtin.wait_for": {"timeout": pause}},
        {"name": "again", "ansible.builtin.debug": {"msg": given}},
    ]
    tasks = [{"name": "first", "ansible.builtin.debug": {"msg": given}}, *(again if pause else [])]
    return as_yaml([{"hosts": "all", "gather_facts": False, "tasks": tasks}])


def refused(here: Ground, mark: int, policy: str) -> list[str]:
    """The paths on which the server refused something to a token with this policy."""
    entries = [json.loads(line) for line in here.asked_text(mark).splitlines() if '"type":"response"' in line]
    return [
        entry["request"]["path"]
        for entry in entries
        if "permission denied" in entry.get("error", "") and policy in (entry.get("auth") or {}).get("policies", ())
    ]


@pytest.mark.parametrize(
    "lookup", [pytest.param("database_credentials", marks=pytest.mark.full), "database_static_credentials"]
)
def test_lookup_needs_exactly_its_documented_policy(play: Play, here: Ground, lookup: str) -> None:
    play.environment["ANSIBLE_CALLBACKS_ENABLED"] = CALLBACK
    login_alone = policies.documented()[policies.EVERY_LOGIN]
    rules = [rule.at("rights") for rule in (*login_alone, *policies.documented()[f"lookup {lookup}"])]
    mark = here.mark()
    started = {}
    for number in range(len(rules) + 1):  # the last with all of them
        policy = "\n".join(str(rule) for rule in rules if rule not in rules[number : number + 1])
        name = f"{lookup}-without-{number}"
        settings = {"token_ttl": f"{LIFE}s", "token_max_ttl": "1h", "token_no_default_policy": True}
        started[number] = name, play.start(story(lookup), "-vv", env=here.approle(name, policy=policy, **settings))
    wrong = []
    for number, (name, one) in started.items():
        run = one.finish(300)
        denied = refused(here, mark, f"rights-{name}")
        if number == len(rules):
            assert run.ok, run.output
            assert not denied
            continue
        rule = rules[number]
        missed = [path for path in denied if rule.covers(path)]
        # What the token may do instead is asked only after a refusal.
        superfluous = not missed and rule.path != "sys/capabilities-self"
        sentence = "" if run.ok else f"needs the capability {rule.capabilities[0]} on {rule.path.partition('+')[0]}"
        if superfluous or run.ok != rule.optional or sentence not in run.output:
            wrong.append((rule, denied, run.output))
    assert not wrong


def test_what_a_play_uses_is_found_through_its_playbooks_and_roles() -> None:
    """The rights of a play are those of the plugins in it; of a playbook of ours, those of all that its roles use."""
    assert used_in("leasehold.vault.lease: {}") == {"lease"}
    assert {"database_sync", "database_root_rotation", "acl_policy"} <= used_in("import_playbook: leasehold.vault.site")
    assert "database_sync" not in used_in("import_playbook: leasehold.vault.app")
