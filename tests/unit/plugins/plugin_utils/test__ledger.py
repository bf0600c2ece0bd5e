# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger alone: one record for each thing, for one reader at a time, and readable by this run only."""

from __future__ import annotations

import fcntl
import os
import signal
import time

import pytest
from ansible import constants
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import ledger as _ledger
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import (
    LeaseRecord,
    LeaseRequest,
    LoginRecord,
    StaticRecord,
)


@pytest.fixture
def ledger(tmp_path):
    return _ledger.Ledger(tmp_path / "leasehold", b"the key of this run")


def user(name):
    return StaticRecord({"username": name}, 0.0)


def test_record_is_read_again_under_its_name_and_under_no_other(ledger):
    with ledger.entry(StaticRecord, "app") as entry:
        assert entry.record is None
        entry.record = user("v-app-1")
    with ledger.entry(StaticRecord, "app") as entry:
        assert entry.record == user("v-app-1")
        entry.record.credentials = {"username": "v"}  # shorter than before
    with ledger.entry(StaticRecord, "other") as entry:
        assert entry.record is None
    assert ledger.records() == [user("v")]


def test_a_record_is_locked_while_somebody_works_on_it(ledger, tmp_path):
    with ledger.entry(StaticRecord):
        (file,) = (tmp_path / "leasehold").iterdir()
        with file.open("rb") as another, pytest.raises(BlockingIOError):
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with ledger.entry(LeaseRecord):
            pass
    with file.open("rb") as another:
        fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_was_written_before_a_failure_is_not_forgotten(ledger):
    with pytest.raises(ValueError, match="afterwards"), ledger.entry(StaticRecord) as entry:
        entry.record = user("v-app-1")
        raise ValueError("afterwards")
    assert ledger.records() == [user("v-app-1")]


def test_neither_content_nor_names_can_be_read_without_the_key(ledger, tmp_path):
    with ledger.entry(StaticRecord, "s.token") as entry:
        entry.record = user("a-password")
    (file,) = (tmp_path / "leasehold").iterdir()
    assert b"a-password" not in file.read_bytes()
    assert "token" not in file.name
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    another = _ledger.Ledger(tmp_path / "leasehold", b"the key of another run")
    assert another.records() == []
    assert another.fingerprint(StaticRecord, "s.token") != file.name


def test_a_record_of_which_only_half_was_written_counts_as_none(ledger, tmp_path):
    with ledger.entry(StaticRecord) as entry:
        entry.record = user("v-app-1")
    (file,) = (tmp_path / "leasehold").iterdir()
    file.write_bytes(file.read_bytes()[:20])
    with ledger.entry(StaticRecord) as entry:
        assert entry.record is None
        entry.record = user("v-app-2")
    assert ledger.records() == [user("v-app-2")]


def test_state_of_which_only_half_was_written_leaves_the_one_before(ledger, tmp_path):
    with ledger.entry(StaticRecord) as entry:
        entry.note(user("intention"), keep_room=True)
        size = next((tmp_path / "leasehold").iterdir()).stat().st_size
        entry.note(user("v-app-1"))
        assert next((tmp_path / "leasehold").iterdir()).stat().st_size == size, "what was kept free was not used"
    (file,) = (tmp_path / "leasehold").iterdir()
    whole = file.read_bytes().rstrip()
    file.write_bytes(whole[:-20])
    assert ledger.records() == [user("intention")]
    with ledger.entry(StaticRecord) as entry:
        entry.note(user("v"))
    assert ledger.records() == [user("v")]


def test_record_is_what_was_noted_even_when_the_process_is_killed_then(ledger):
    child = os.fork()
    if child == 0:
        with ledger.entry(StaticRecord) as entry:
            entry.note(user("v-app-1"))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert ledger.records() == [user("v-app-1")]


def test_records_wait_for_who_is_at_work(ledger):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with ledger.entry(StaticRecord) as entry:
            os.write(writing, b"x")
            time.sleep(0.3)
            entry.note(user("v-app-1"))
        os._exit(0)
    os.read(reading, 1)
    assert ledger.records(time.monotonic() + 60) == [user("v-app-1")]
    os.waitpid(child, 0)


@pytest.mark.parametrize("what", ["no directory", "a link"])
def test_ledger_that_cannot_be_written_is_a_sentence(tmp_path, what):
    with pytest.raises(_ledger.CannotNote, match="Nothing was issued"):
        if what == "no directory":
            _ledger.Ledger(tmp_path / "missing" / "leasehold", b"key")
        else:
            ledger = _ledger.Ledger(tmp_path / "leasehold", b"key")
            (ledger.directory / ledger.fingerprint(StaticRecord)).symlink_to(tmp_path / "elsewhere")
            with ledger.entry(StaticRecord):
                pass


def test_clearing_leaves_no_file(ledger, tmp_path):
    with ledger.entry(StaticRecord) as entry:
        entry.record = user("v-app-1")
    ledger.clear()
    assert list((tmp_path / "leasehold").iterdir()) == []


def test_the_ledger_of_a_run_lies_in_its_private_directory_once_something_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    assert _ledger.written_in_this_run() is None
    with _ledger.of_this_run().entry(StaticRecord) as entry:
        entry.record = user("v-app-1")
    assert _ledger.written_in_this_run().records() == [user("v-app-1")]
    assert [file.name for file in tmp_path.iterdir()] == ["leasehold"]


@pytest.mark.parametrize(
    "record",
    [
        LeaseRecord("db/creds/app", {"url": "u"}, "login", credentials={"lease_id": "a"}, replaced=["b"], reachable=5),
        LoginRecord("login", {"url": "u"}, token="s.x", own=True, life=3600, expires=1.5, earlier=["s.y"]),
        StaticRecord({"username": "reports"}, 1.5),
    ],
    ids=lambda record: type(record).__name__,
)
def test_record_keeps_its_kind_and_shows_no_secret(ledger, record):
    with ledger.entry(type(record), "app") as entry:
        entry.note(record)
    (read,) = ledger.records()
    assert type(read) is type(record)
    assert read == record
    assert "s.x" not in repr(record)


def test_request_shows_no_secret():
    assert "hush-hush" not in repr(LeaseRequest("database", "app", standbys={"login_password": "hush-hush"}))


@pytest.mark.parametrize(("left", "enough"), [(1900, True), (1700, False)])
def test_lease_has_enough_until_half_of_its_life(left, enough):
    lease = LeaseRecord("database/creds/app", {}, "login", life=3600, expires=_ledger.clock() + left)
    assert lease.has_enough(LeaseRequest("database", "app")) is enough
