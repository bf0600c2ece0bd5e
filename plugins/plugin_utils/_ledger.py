# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""What this run holds: leases and logins, so that a lookup mentioned ten times issues once.

A lookup is evaluated at every mention, each time in another worker process.  The ledger makes that safe: files in the run's
private temporary directory, one for each lease, locked while somebody works on it, and encrypted with a key that lives only
in the memory of the run's processes (workers inherit multiprocessing's authkey).  A killed run leaves nothing readable.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fcntl
import hashlib
import hmac
import json
import multiprocessing
import os
import pathlib
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

Page = dict[str, t.Any]


@dataclasses.dataclass
class Entry:
    """A page of the ledger while it is locked; what ``page`` is at the end is what the next reader finds."""

    page: Page | None = None


class Ledger:
    def __init__(self, directory: pathlib.Path, key: bytes) -> None:
        from cryptography import fernet  # ansible-core depends on it; what only reads documentation may not have it

        self._directory = directory
        self._key = key
        self._cipher = fernet.Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"leasehold ledger" + key).digest()))
        self._unreadable = fernet.InvalidToken
        directory.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def entry(self, *what: str) -> Iterator[Entry]:
        """The page about ``what``, for one process at a time."""
        path = self._directory / self.fingerprint(*what)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            held = self._decrypted(file.read())
            entry = Entry(held)
            before = json.dumps(held)
            try:
                yield entry
            finally:
                # Also when something failed: what was issued before the failure must not be forgotten.
                if json.dumps(entry.page) != before:
                    file.seek(0)
                    file.truncate()
                    file.write(self._cipher.encrypt(json.dumps(entry.page).encode()))

    def pages(self) -> list[Page]:
        """Everything that is written down."""
        found = [self._decrypted(path.read_bytes()) for path in sorted(self._directory.iterdir())]
        return [page for page in found if page is not None]

    def clear(self) -> None:
        """Leave nothing behind; Ansible does not clean up after SIGTERM."""
        for path in self._directory.iterdir():
            path.unlink()

    def fingerprint(self, *what: str) -> str:
        """A name that tells nothing about what it names; what it names may hold secrets."""
        return hmac.new(self._key, json.dumps(what).encode(), hashlib.sha256).hexdigest()

    def _decrypted(self, text: bytes) -> Page | None:
        if not text:
            return None
        try:
            return t.cast("Page", json.loads(self._cipher.decrypt(text)))
        except self._unreadable:  # written half, by a worker that was killed
            return None


def of_this_run() -> Ledger:
    """The ledger that all processes of this run share; ``OSError`` where there is no place for it."""
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
