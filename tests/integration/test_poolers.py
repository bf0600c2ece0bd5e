# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PgBouncer with the SQL and the configuration of docs/poolers.md: users that come and go, through few connections."""

from __future__ import annotations

import re
import threading
import time
import typing as t
from contextlib import ExitStack, closing

import psycopg2
import pytest
import servers
from pgbouncer import PgBouncer

from .conftest import ROOT, Ground

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = (ROOT / "docs" / "poolers.md").read_text()
PASSWORD = "a-long-password"


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


@pytest.fixture(scope="module")
def here(ground: Callable[..., Ground], postgres: servers.PostgreSQL) -> Iterator[Ground]:
    here = ground(postgres, "pooled")
    here.role("app")
    here.sql(block("sql"))
    here.sql(
        f"GRANT CONNECT ON DATABASE {here.database} TO pgbouncer, {here.group}; REVOKE CONNECT ON DATABASE {here.database} FROM PUBLIC"
    )
    yield here
    here.sql("DROP SCHEMA pooler CASCADE; DROP OWNED BY pgbouncer; DROP ROLE pgbouncer")


@pytest.fixture(scope="module")
def pooler(here: Ground) -> Iterator[PgBouncer]:
    server = here.server
    config = block("ini").replace("postgres.production.svc port=5432", f"{server.host} port={server.port}")
    config = config.replace("dbname=appdb", f"dbname={here.database}").replace("= 6432", "= {port}")
    config = config.replace("/etc/pgbouncer/", "{directory}/") + "unix_socket_dir =\n"
    with PgBouncer(config, f'"pgbouncer" "{PASSWORD}"\n', ("pgbouncer", PASSWORD)) as pooler:
        yield pooler


def login(pooler: PgBouncer, user: dict[str, t.Any]) -> t.Any:
    return closing(pooler.connect(user["username"], user["password"]))


def ask(session: t.Any, query: str = "SELECT session_user") -> t.Any:
    with session.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


@pytest.mark.full
def test_revoked_user_is_disconnected_in_every_state(here: Ground, pooler: PgBouncer) -> None:
    """Long before PgBouncer's own 120 seconds; docs/poolers.md has how long it was."""
    user = here.issue("app")
    with login(pooler, user) as idle, login(pooler, user) as busy:
        assert ask(idle) == user["username"]
        errors: list[str] = []

        def work() -> None:
            try:
                ask(busy, "SELECT pg_sleep(60)")
            except psycopg2.Error as error:
                errors.append(str(error))

        working = threading.Thread(target=work)
        working.start()
        while (
            here.sql(f"SELECT FROM pg_stat_activity WHERE usename = '{user['username']}' AND query ~ 'pg_sleep'") == []
        ):
            time.sleep(0.05)
        # The ground's own statement does not end sessions, as that of in_role does.
        here.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user['username']}'")
        here.bao.request("PUT", "sys/leases/revoke", {"lease_id": user["lease_id"]})
        begun = time.monotonic()
        with pytest.raises(psycopg2.Error):
            ask(idle)
        assert time.monotonic() - begun < 30, "this is query_wait_timeout of the page, not that of PgBouncer"
        working.join(30)
        assert errors
    with pytest.raises(psycopg2.OperationalError, match="no such user"):
        pooler.connect(user["username"], user["password"])


@pytest.mark.full
def test_200_users_on_20_connections_keep_identity(here: Ground, pooler: PgBouncer) -> None:
    users = [here.issue("app") for _number in range(200)]
    counted: list[int] = []

    def are_few() -> bool:
        """The 20, and one that is just ending; on a busy machine more than one may be."""
        ((now,),) = here.sql(
            f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{here.database}' AND usename ~ '^(v-|pgbouncer)' AND state IS NOT NULL"
        )
        counted.append(now)
        return counted[-1] <= 21

    with ExitStack() as open_ones:
        sessions = []
        for user in users:
            sessions.append(open_ones.enter_context(login(pooler, user)))
            assert ask(sessions[-1]) == user["username"]
        for user, session in zip(users, sessions):
            assert ask(session) == user["username"]
            servers.wait_for("few sessions", are_few)
        assert max(counted) <= 40, "as many that end as there may be"
