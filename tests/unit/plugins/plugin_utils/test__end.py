# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a run, without a run around it: what is given back, what stays, and what is said."""

from __future__ import annotations

import atexit
import os
import signal

import pytest
from ansible import constants
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import connect as _connect
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import end as _end
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import issue as _issue
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import ledger as _ledger
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import LeaseRecord, LoginRecord


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return _ledger.of_this_run()


@pytest.fixture
def printed(monkeypatch):
    result = []
    monkeypatch.setattr(_end.display, "display", result.append)
    monkeypatch.setattr(_end.display, "warning", result.append)
    return result


@pytest.fixture
def end(monkeypatch, printed):
    """The end of this run, which comes only when it is called."""
    monkeypatch.setattr(atexit, "register", lambda function: function)
    before = signal.getsignal(signal.SIGTERM)
    yield _end.EndOfRun()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def issuing(real_vault):
    return real_vault.add_mount().add_connection().add_role()


def write_lease(ledger, issuing, at_end, replaced=(), login="", role="app", **more):
    user = issuing.issue(role)
    with ledger.entry(LeaseRecord, user["lease_id"]) as entry:
        entry.record = LeaseRecord(
            path=f"{issuing.mount}/creds/app",
            options={**issuing.options, "auth_method": "token"},
            login=login,
            token=issuing.options["token"],
            credentials={"lease_id": user["lease_id"]},
            revoke_at_end=at_end,
            replaced=list(replaced),
            **more,
        )
    return user


def write_login(ledger, issuing, name, earlier=()):
    auth = issuing.client.ask("post", "auth/token/create", {"policies": ["default"]})["auth"]
    options = {**issuing.options, "auth_method": "approle"}
    with ledger.entry(LoginRecord, name) as entry:
        entry.record = LoginRecord(name, options, token=auth["client_token"], own=True, earlier=list(earlier))
    return auth["accessor"]


def lives(issuing, accessor):
    try:
        return bool(issuing.client.ask("post", "auth/token/lookup-accessor", {"accessor": accessor}))
    except Problem:
        return False


def test_users_for_the_run_only_are_revoked_with_those_they_replaced_and_the_others_stay(end, ledger, issuing, printed):
    replaced = issuing.issue("app")
    gone, stays = write_lease(ledger, issuing, True, [replaced["lease_id"]]), write_lease(ledger, issuing, False)
    end.revoke_leases(30)
    end.give_back()
    assert [issuing.database.has(user["username"]) for user in (gone, replaced, stays)] == [False, False, True]
    assert printed == [f"leasehold: revoked 2 lease(s) of {issuing.mount}/creds/app"]
    assert ledger.records() == []


def test_without_the_callback_all_users_stay(end, ledger, issuing, printed):
    user = write_lease(ledger, issuing, True)
    end.give_back()
    assert issuing.database.has(user["username"])
    assert printed == []


def test_the_logins_of_a_run_end_with_it_but_for_those_on_which_a_user_depends(end, ledger, issuing):
    ends, needed = write_login(ledger, issuing, "ends"), write_login(ledger, issuing, "needed")
    write_lease(ledger, issuing, False, login="needed")
    end.give_back()
    assert not lives(issuing, ends)
    assert lives(issuing, needed)


def test_login_ends_when_its_user_was_revoked_in_the_meantime(end, ledger, issuing):
    accessor = write_login(ledger, issuing, "issued")
    user = write_lease(ledger, issuing, False, login="issued")
    issuing.client.ask("put", "sys/leases/revoke", {"lease_id": user["lease_id"]})
    end.give_back()
    assert not lives(issuing, accessor)


@pytest.mark.parametrize("own_login", [True, False])
def test_user_that_a_killed_worker_may_have_issued_ends_with_the_login_or_is_told(
    end, ledger, issuing, printed, own_login
):
    if own_login:
        write_login(ledger, issuing, "killed")
    user = write_lease(ledger, issuing, False, login="killed" if own_login else "")
    with ledger.entry(LeaseRecord, user["lease_id"]) as entry:
        entry.record.credentials, entry.record.issuing = None, True
    end.give_back()
    assert len(printed) == (0 if own_login else 1)
    assert own_login or "ended while it issued a user of" in printed[0]


def test_earlier_logins_end_too_and_one_that_has_ended_is_said(end, ledger, issuing, printed):
    write_login(ledger, issuing, "app", earlier=["s.unknown"])
    end.give_back()
    (warning,) = printed
    assert "the run's own login could not be revoked and lives until it expires" in warning


def test_a_lease_that_cannot_be_revoked_is_named_and_the_next_one_is_tried(end, ledger, issuing, printed):
    issuing.add_role("bad", revocation_statements=["SELECT no_such_function()"])
    stuck = write_lease(ledger, issuing, True, role="bad")
    gone = write_lease(ledger, issuing, True)
    end.revoke_leases(30)
    end.give_back()
    assert not issuing.database.has(gone["username"])
    assert f"not revoked, and their users live to the end of their leases: {stuck['lease_id']}" in printed[-1]


def test_there_is_no_more_time_than_was_allowed(end, ledger, issuing, printed):
    user = write_lease(ledger, issuing, True)
    end.revoke_leases(0)
    end.give_back()
    assert "there was no time left" in printed[-1]
    assert issuing.database.has(user["username"])


def test_it_ends_once_and_in_the_process_that_began_it(end, ledger, issuing):
    user = write_lease(ledger, issuing, True)
    end.revoke_leases(30)
    child = os.fork()
    if child == 0:
        end.give_back()
        os._exit(0)
    os.waitpid(child, 0)
    assert issuing.database.has(user["username"])
    end.give_back()
    user = write_lease(ledger, issuing, True)
    end.give_back()
    assert issuing.database.has(user["username"])


def test_sigterm_gives_back_first_and_then_does_what_ansible_would(end, ledger, issuing):
    user, passed_on = write_lease(ledger, issuing, True), []
    signal.signal(signal.SIGTERM, lambda number, frame: passed_on.append(number))
    end = _end.EndOfRun()
    end.revoke_leases(30)
    with pytest.raises(SystemExit) as caught:
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 143
    assert passed_on == [signal.SIGTERM]
    assert not issuing.database.has(user["username"])


def test_a_worker_that_is_terminated_just_ends(end, ledger, issuing):
    user = write_lease(ledger, issuing, True)
    end.revoke_leases(30)
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
    assert issuing.database.has(user["username"])


def test_a_run_that_wrote_nothing_down_has_nothing_to_do(end, tmp_path, monkeypatch, printed):
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    end.give_back()
    assert printed == []
    assert list(tmp_path.iterdir()) == []


def test_the_main_process_has_one_end(monkeypatch, end):
    monkeypatch.setattr(_end, "_end", [])
    assert _end.end_of_run() is _end.end_of_run()


# -- sessions on standbys, which take as long as these are behind ------------------------------------------------------------

STANDBYS = {"nodes": [{"name": "db", "host": "127.0.0.1", "port": "1", "database": "app"}], "login_user": "sweeper"}


def test_sessions_on_standbys_come_after_the_logins_of_the_run(end, ledger, issuing, monkeypatch):
    accessor = write_login(ledger, issuing, "app")
    write_lease(ledger, issuing, True, login="app", standbys=STANDBYS)
    lived = []
    monkeypatch.setattr(
        _issue, "end_sessions_on_standbys", lambda *_given, **_more: lived.append(lives(issuing, accessor)) or (0, [])
    )
    end.revoke_leases(30)
    end.give_back()
    assert lived == [False]


def test_without_psycopg2_the_logins_end_and_sessions_that_may_go_on_are_said(
    end, ledger, issuing, printed, monkeypatch
):
    accessor = write_login(ledger, issuing, "app")
    write_lease(ledger, issuing, True, login="app", standbys=STANDBYS)
    monkeypatch.setattr(_connect, "HAS_PSYCOPG2", False)
    monkeypatch.delattr(_connect, "psycopg2")
    end.revoke_leases(30)
    end.give_back()
    assert not lives(issuing, accessor)
    assert "sessions may go on without their users. The Python library psycopg2 is missing" in printed[-1]
    assert ledger.records() == []


def test_all_calls_share_one_deadline(monkeypatch):
    given = []

    def end_sessions(desired, timeout, threads):
        given.append(timeout)
        _issue.time.sleep(0.02)
        return 0, []

    monkeypatch.setattr(_issue, "end_sessions_on_standbys", end_sessions)
    records = [
        LeaseRecord("p", {}, "", standbys={**STANDBYS, "login_user": user}) for user in ("one", "another", "third")
    ]
    _issue.end_sessions(records, timeout=0.03)
    assert given[0] <= 0.03
    assert given[1] <= 0.01
    assert given[2] == 0
