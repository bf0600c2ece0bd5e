# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer: Debian's, fetched without the right to install anything."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import typing as t
from pathlib import Path

import fetched
import psycopg2
from servers import HOST, UNPRIVILEGED_USER, Server, free_port, is_open_to_all

if t.TYPE_CHECKING:
    from collections.abc import Sequence


class PgBouncer(Server):
    """A PgBouncer with this configuration, in which `{port}` and `{directory}` are its own; `users` is its `userlist.txt`."""

    name = "pgbouncer"
    gentle = signal.SIGINT
    hard = signal.SIGKILL

    def __init__(self, config: str, users: str, auth: tuple[str, str]) -> None:
        super().__init__()
        self.config, self.users, self.auth = config, users, auth
        self.made = fetched.debian("pgbouncer", beside=True)
        self.port = free_port()

    def prepare(self) -> None:
        files = {
            "pgbouncer.ini": self.config.format(port=self.port, directory=self.directory),
            "userlist.txt": self.users,
        }
        for name, text in files.items():
            (self.directory / name).write_text(text)
        if user := self._run_as():
            if not is_open_to_all(self.made):
                self.made = Path(shutil.copytree(self.made, self.directory / "programs", symlinks=True))
            for path in (self.directory, *(self.directory / name for name in files)):
                os.chown(path, user.pw_uid, user.pw_gid)

    def command(self) -> Sequence[str | Path]:
        libraries = ":".join(sorted({str(path.parent) for path in self.made.rglob("*.so.*")}))
        return [
            "env",
            f"LD_LIBRARY_PATH={libraries}",
            self.made / "usr/sbin/pgbouncer",
            self.directory / "pgbouncer.ini",
        ]

    def is_ready(self) -> bool:
        try:
            self.connect(*self.auth).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _run_as(self) -> pwd.struct_passwd | None:
        return pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None

    def connect(self, user: str, password: str, dbname: str = "appdb") -> t.Any:
        """A session through the pooler, which commits by itself."""
        session = psycopg2.connect(
            host=HOST, port=self.port, user=user, password=password, dbname=dbname, connect_timeout=10
        )
        session.autocommit = True
        return session
