# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""What this run holds: leases and logins, so that a lookup that stands in a play ten times issues once.

A lookup is evaluated at every mention, each time in another worker process.  The ledger makes that safe: files in the run's
private temporary directory, one for each lease, locked while somebody works on it, and encrypted with a key that lives only
in the memory of the run's processes (workers inherit multiprocessing's authkey).  A killed run leaves nothing readable.

What is about to be issued is noted first, with room for what will come: a disk that is full or read-only is found out before
there is anything to lose.  A file is a journal: each state of its record is appended, the last one that is whole counts.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fcntl
import hashlib
import hmac
import json
import math
import multiprocessing
import os
import pathlib
import time
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem

if t.TYPE_CHECKING:
    from collections.abc import Iterator

Values = dict[str, t.Any]
ROOM = 16384
"""Bytes kept free for what follows an intention: a few states of a record, each with the login's options and token."""
RENEW_BELOW = 0.5
"""The part of its full life below which a lease, or the token of a login, is renewed before it is used."""


def clock() -> float:
    """Seconds of a clock that all processes of this machine share and that nobody sets; it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class CannotNote(Problem):
    """There is no place, or no room, in which this run could remember what it makes."""

    def __init__(self, directory: object, error: OSError) -> None:
        self.why = f"{directory}: {error.strerror or error}"
        super().__init__(
            f"Nothing was issued, because this run could not note it in its temporary directory, {self.why}. Make ANSIBLE_LOCAL_TEMP (local_tmp) a "
            "directory that can be written and has room."
        )


@dataclasses.dataclass(frozen=True, repr=False)
class LeaseRequest:
    """What a lookup asks for: a user of which role, how long it has to live, and what is revoked when."""

    mount: str
    role: str
    valid_for: int = 0
    renew_increment: int = 0
    revoke_at_end: bool = False
    revoke_replaced: bool = False
    standbys: Values = dataclasses.field(default_factory=dict)
    """``nodes``, how to wait for them, and who ends sessions there."""

    @property
    def ends_sessions(self) -> bool:
        """Whether somebody is named who ends the sessions of the user on ``nodes``."""
        return bool(self.standbys.get("nodes") and self.standbys.get("login_user"))


@dataclasses.dataclass(repr=False)
class LeaseRecord:
    """A user that this run has issued, or is about to issue; times are those of :func:`clock`."""

    path: str
    """Where it is issued, without a slash in front."""
    options: Values
    """How to reach the server and log in there, as the lookup has it."""
    login: str
    """The id of the :class:`LoginRecord` under which it is issued."""
    token: str = ""
    """Under which it was issued."""
    credentials: Values | None = None
    """None until it is issued."""
    issuing: bool = False
    """Asked for, and not answered yet."""
    unconfirmed: int = 0
    """How often a worker has ended while it was asked for."""
    revoke_at_end: bool = False
    """By the callback."""
    ends_with_run: bool = False
    """Revoked at the end if it is still there, with the callback or without."""
    replaced: list[str] = dataclasses.field(default_factory=list)
    """The ids of the leases in whose place it was issued, and which live on."""
    life: float = 0
    """Seconds of its full life."""
    expires: float = 0
    reachable: int | None = None
    """Seconds a new user lives at the most, once that is known to be less than what was asked for."""
    standbys: Values = dataclasses.field(default_factory=dict)
    """``nodes`` on which sessions end with it, and ``login_user`` and ``login_password`` of who ends them; empty if nobody does."""

    @property
    def lease_id(self) -> str:
        return str(self.credentials["lease_id"]) if self.credentials else ""

    @property
    def lease_ids(self) -> list[str]:
        """All that live because of it."""
        return [*self.replaced, *([self.lease_id] if self.credentials else [])]

    def has_enough(self, request: LeaseRequest) -> bool:
        """Enough is more than ``RENEW_BELOW`` of a full life, or as much as is asked for and can be had."""
        left = math.ceil(self.expires - clock())  # what was granted a moment ago counts in full
        if request.valid_for and (self.reachable is None or request.valid_for <= self.reachable):
            return left >= request.valid_for
        return left > self.life * RENEW_BELOW


@dataclasses.dataclass(repr=False)
class LoginRecord:
    """A login of this run; a token that was given is not written down."""

    id: str
    options: Values
    token: str = ""
    """Empty until it has logged in."""
    own: bool = False
    """Whether the token has to be revoked at the end: a batch token cannot be."""
    life: float = 0
    expires: float = 0
    renewable: bool = False
    earlier: list[str] = dataclasses.field(default_factory=list)
    """The tokens in whose place it was made."""

    @property
    def tokens(self) -> list[str]:
        """All that the run has to revoke."""
        return [*self.earlier, *([self.token] if self.own else [])]


@dataclasses.dataclass(repr=False)
class StaticRecord:
    """The password of a static role, until it is rotated."""

    credentials: Values
    expires: float


Record = t.Union[LeaseRecord, LoginRecord, StaticRecord]
KINDS: dict[str, type[Record]] = {"lease": LeaseRecord, "login": LoginRecord, "static": StaticRecord}
Kind = t.TypeVar("Kind", LeaseRecord, LoginRecord, StaticRecord)


def answer(record: LeaseRecord | StaticRecord) -> Values:
    """The credentials as a lookup returns them, with the seconds that are left."""
    return {**(record.credentials or {}), "expires_in": max(int(record.expires - clock()), 0)}


def _written(record: Record | None) -> str:
    if record is None:
        return "null"
    kind = next(kind for kind, of in KINDS.items() if isinstance(record, of))
    return json.dumps({"kind": kind, **vars(record)})


def _read(text: bytes) -> Record | None:
    values = json.loads(text)
    return KINDS[values.pop("kind")](**values) if values else None


class Entry(t.Generic[Kind]):
    """A record of the ledger while it is locked; what ``record`` is at the end is what the next reader finds."""

    record: Kind | None = None

    def note(self, record: Kind | None, keep_room: bool = False) -> None:
        """Let this be the record from now on, whatever happens next."""
        self.record = record


class _FileEntry(Entry[Kind]):
    def __init__(self, ledger: Ledger, descriptor: int) -> None:
        self._ledger, self._descriptor = ledger, descriptor
        text = ledger.text_of(descriptor)
        self._end = len(text.rstrip(b" "))
        self.record = t.cast("Kind | None", ledger.record_in(text))
        self._written = _written(self.record)

    def note(self, record: Kind | None, keep_room: bool = False) -> None:
        text = _written(record)
        line = b"\n" + self._ledger.encrypted(text) + b"\n"
        rest, at = line + (b" " * ROOM if keep_room else b""), self._end
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, at)
                rest, at = rest[written:], at + written
            if keep_room:
                os.fsync(self._descriptor)  # where a quota, or a file server, says no only later
        except OSError as error:
            raise CannotNote(self._ledger.directory, error) from None
        self.record, self._written, self._end = record, text, self._end + len(line)

    def finish(self) -> None:
        if _written(self.record) != self._written:
            self.note(self.record)


class Ledger:
    def __init__(self, directory: pathlib.Path, key: bytes) -> None:
        from cryptography import fernet  # ansible-core depends on it; what only reads documentation may not have it

        self.directory = directory
        self._key = key
        self._cipher = fernet.Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"leasehold ledger" + key).digest()))
        self._unreadable = fernet.InvalidToken
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CannotNote(directory, error) from None

    @contextlib.contextmanager
    def entry(self, kind: type[Kind], *what: str) -> Iterator[Entry[Kind]]:
        """The record of a kind about ``what``, for one process at a time."""
        path = self.directory / self.fingerprint(kind, *what)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise CannotNote(self.directory, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            entry: _FileEntry[Kind] = _FileEntry(self, descriptor)
            try:
                yield entry
            finally:
                entry.finish()  # also when something failed: what was issued before the failure must not be forgotten
        finally:
            os.close(descriptor)

    def records(self, deadline: float = 0.0) -> list[Record]:
        """Everything that is written down; who is at work is waited for until ``deadline``, as ``time.monotonic()`` counts."""
        found = []
        for path in sorted(self.directory.iterdir()):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                _wait_for_lock(descriptor, deadline)
                found.append(self.record_in(self.text_of(descriptor)))
            finally:
                os.close(descriptor)
        return [record for record in found if record is not None]

    def clear(self) -> None:
        """Leave nothing behind; Ansible does not clean up after SIGTERM."""
        for path in self.directory.iterdir():
            path.unlink()

    def fingerprint(self, kind: type[Record], *what: str) -> str:
        """A name that tells nothing about what it names; what it names may hold secrets."""
        return hmac.new(self._key, json.dumps([kind.__name__, *what]).encode(), hashlib.sha256).hexdigest()

    def encrypted(self, text: str) -> bytes:
        return self._cipher.encrypt(text.encode())

    def text_of(self, descriptor: int) -> bytes:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)

    def record_in(self, text: bytes) -> Record | None:
        for line in reversed(text.split()):
            try:
                return _read(self._cipher.decrypt(line))
            except self._unreadable:  # written half, by a worker that was killed or had no room
                continue
        return None


def _wait_for_lock(descriptor: int, deadline: float) -> None:
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        if time.monotonic() >= deadline:
            return
        time.sleep(0.02)


def of_this_run() -> Ledger:
    """The ledger that all processes of this run share; :class:`CannotNote` where there is no place for it."""
    return Ledger(_place(), bytes(multiprocessing.current_process().authkey))


def written_in_this_run() -> Ledger | None:
    """The same, if anything was ever written down."""
    return of_this_run() if _place().is_dir() else None


def _place() -> pathlib.Path:
    from ansible import constants

    private = t.cast(
        "t.Any", constants
    ).DEFAULT_LOCAL_TMP  # set when the configuration is loaded, unknown to type checkers
    return pathlib.Path(private) / "leasehold"
