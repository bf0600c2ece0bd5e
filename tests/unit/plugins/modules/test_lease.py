# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._operations import leases


@pytest.fixture
def issuing(real_vault):
    return real_vault.add_mount().add_connection().add_role(default_ttl="1h", max_ttl="2h")


def lease(run, check=False, **options):
    return run("lease", check=check, mount=None, **options)


def refused(run, **options):
    return run.refused("lease", mount=None, **options)


def test_lifecycle_of_lease(issuing, run):
    user = issuing.issue("app")
    one = {"lease_id": user["lease_id"]}
    for check in (True, False):
        assert not lease(run, check=check, **one)["changed"]
        assert not lease(run, check=check, **one, valid_for="30m")["changed"]
    assert lease(run, check=True, **one, valid_for="90m")["changed"]
    renewed = lease(run, **one, valid_for="90m")
    assert renewed["changed"]
    assert renewed["lease"]["lease_duration"] == 5400
    assert not lease(run, **one, valid_for="80m")["changed"]

    assert lease(run, check=True, **one, state="absent")["changed"]
    assert issuing.database.has(user["username"])
    assert lease(run, **one, state="absent")["changed"]
    assert not issuing.database.has(user["username"])
    for check in (True, False):
        assert not lease(run, check=check, **one, state="absent")["changed"]


def test_renewal_never_shortens_lease(issuing, run):
    one = {"lease_id": issuing.issue("app")["lease_id"]}
    lease(run, **one, valid_for="90m")
    assert not lease(run, **one, valid_for="1m", increment="2m")["changed"]
    assert issuing.client.ask("put", "sys/leases/lookup", one)["data"]["ttl"] > 5000


def test_renewal_beyond_max_ttl_fails(issuing, run):
    with pytest.raises(Problem, match=r"hard limit.*Issue new credentials"):
        lease(run, lease_id=issuing.issue("app")["lease_id"], valid_for="5h")


def test_renewal_of_ended_lease_fails(issuing, run):
    assert "has ended" in refused(run, lease_id=f"{issuing.mount}/creds/app/nobody")


def test_prefix_revokes_all_leases(issuing, run):
    issuing.add_role("other")
    for role in ("app", "app", "other"):
        issuing.issue(role)
    prefix = {"prefix": f"{issuing.mount}/creds/app", "state": "absent"}
    assert lease(run, check=True, **prefix)["revoked"] == 2
    done = lease(run, **prefix)
    assert (done["changed"], done["revoked"], done["remaining"]) == (True, 2, 0)
    for check in (True, False):
        assert not lease(run, check=check, **prefix)["changed"]
    assert len(issuing.leases()) == 1


def test_sessions_on_standbys_end_after_the_revocation_and_are_not_foreseen_before_it(issuing, run, monkeypatch):
    """What ends them: tests/unit/plugins/modules/test_postgresql_sessions.py."""
    asked, answers = [], iter([(0, []), (0, ["db2: it is away."]), (1, [])])
    monkeypatch.setattr(
        leases, "end_sessions_on_standbys", lambda _desired, dry_run: asked.append(dry_run) or next(answers)
    )
    issuing.issue("app")
    all_of_it = {
        "prefix": f"{issuing.mount}/creds/app",
        "state": "absent",
        "nodes": [{"host": "db2", "database": "app"}],
    }
    foreseen = lease(run, check=True, **all_of_it)
    assert (foreseen["changed"], "ended_sessions" in foreseen, asked) == (True, False, [])
    done = lease(run, **all_of_it)
    assert (done["changed"], done["ended_sessions"], asked) == (True, 0, [False])
    assert "may go on without their users. db2: it is away." in refused(run, **all_of_it)
    foreseen = lease(run, check=True, **all_of_it)
    assert (foreseen["changed"], foreseen["ended_sessions"], asked) == (True, 1, [False, False, True])


@pytest.mark.parametrize("whole_prefix", [True, False])
def test_irrevocable_lease_fails_or_is_forgotten_with_force(real_vault, run, whole_prefix):
    real_vault.add_mount().add_connection().add_role(revocation_statements=["SELECT no_such_function()"])
    user = real_vault.issue("app")
    what = {"prefix": f"{real_vault.mount}/creds"} if whole_prefix else {"lease_id": user["lease_id"]}
    assert "42883" in refused(run, **what, state="absent")
    done = lease(run, **what, state="absent", force=True)
    assert done["changed"]
    assert "stays in the database" in done["warnings"][0]
    assert real_vault.leases() == []
    assert real_vault.database.has(user["username"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "lease_id"),
        ({"lease_id": "a/b", "prefix": "a"}, "mutually exclusive"),
        ({"prefix": "database/creds"}, "prefix can be revoked, not renewed"),
        ({"prefix": "", "state": "absent"}, "is not a lease or a prefix"),
        ({"lease_id": "", "state": "absent"}, "is not a lease or a prefix"),
        ({"lease_id": "../sys/seal", "state": "absent"}, "is not a lease"),
        ({"lease_id": "database/creds/app/x", "valid_for": "soon"}, "valid_for"),
        ({"prefix": "sys/x", "state": "absent"}, "is not a lease"),
    ],
)
def test_invalid_input_is_refused(real_vault, run, options, words):
    assert words in refused(run, **options)
