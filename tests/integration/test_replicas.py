# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A primary with a streaming standby: what ends on one ends on both."""

from __future__ import annotations

import time
import typing as t
from contextlib import closing

import psycopg2
import pytest
import servers

from .conftest import Ground, Play, extra

if t.TYPE_CHECKING:
    from collections.abc import Iterator


class Standby(servers.PostgreSQL):
    """A copy that follows its primary."""

    def __init__(self, primary: servers.PostgreSQL) -> None:
        super().__init__(primary.bindir)
        self.primary, self.password = primary, primary.password

    def prepare(self) -> None:
        servers.write_private(self.password_path, self.password)
        if user := self._run_as():
            self._hand_over(user)
        where = f"host={self.primary.host} port={self.primary.port} user={self.user} password={self.password}"
        self._run([self.bindir / "pg_basebackup", "-D", self.data_directory, "-d", where, "-R", "--checkpoint=fast"])
        with (self.data_directory / "postgresql.conf").open("a") as config:
            config.write(f"port = '{self.port}'\nunix_socket_directories = '{self.directory}'\n")


@pytest.fixture(scope="module")
def both(bao: servers.OpenBao) -> Iterator[tuple[Ground, Standby]]:
    with servers.PostgreSQL() as primary, Standby(primary) as standby:
        ground = Ground(bao, primary, "replicated")
        ground.role("app")
        yield ground, standby
        ground.remove()


def document(ground: Ground, standby: Standby) -> dict[str, t.Any]:
    server = ground.server
    return {
        "vault_database_mount": ground.mount,
        "vault_databases": [{
            "name": "db", "host": server.host, "port": server.port, "database": ground.database, "sslmode": "disable",
            "replicas": [{"host": standby.host, "port": standby.port}], "admin": {"username": ground.admin}, "roles": {"app": {}},
        }],
        "postgresql_access_login_password": server.password,
    }  # fmt: skip


def logged_in(standby: Standby, ground: Ground, user: dict[str, t.Any]) -> psycopg2.extensions.connection:
    """A session on the standby, once it knows the user."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return standby.connect(ground.database, user=user["username"], password=user["password"])
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.full
def test_revoke_ends_sessions_on_the_replica(both: tuple[Ground, Standby], play: Play) -> None:
    ground, standby = both
    user = ground.issue("app")
    with closing(logged_in(standby, ground, user)) as session, session.cursor() as cursor:
        cursor.execute("SELECT 1")
        run = play("leasehold.vault.revoke", *extra(**document(ground, standby), leasehold_revoke_role="app"))
        assert run.messages("Report") == [
            "revoked 1 lease(s), ended 1 session(s) of users that were gone, left are none"
        ]
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")


@pytest.mark.full
def test_verify_looks_at_the_replica(both: tuple[Ground, Standby], play: Play) -> None:
    ground, standby = both
    run = play("leasehold.vault.verify", *extra(**document(ground, standby)))
    assert run.messages("The user is gone on each replica") == [f"app: refused at db at {standby.host}"]
    standby.halt()
    try:
        run = play("leasehold.vault.verify", *extra(**document(ground, standby)), ok=False)
    finally:
        standby.start()
    assert "could not be asked" in run.output
