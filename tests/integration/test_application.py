# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plays and the program in examples/, run for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import typing as t

import psycopg2
import pytest

from .conftest import ROOT, extra

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import servers

    from .conftest import Ground, Play

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def app(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    return ground(postgres, "application")


def where(app: Ground, prefix: str) -> list[str]:
    values = {"host": app.server.host, "port": app.server.port, "database": app.database, "sslmode": "disable"}
    words = [f"{prefix}_{key}={value}" for key, value in values.items()]
    return [word for value in [*words, f"leasehold_mount={app.mount}"] for word in ("-e", value)]


def wait_until(what: str, is_so: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


@pytest.mark.full
@pytest.mark.parametrize(("ending", "ttl", "max_ttl"), [(signal.SIGTERM, 10, 25), (signal.SIGINT, 6, 14)])
def test_program_switches_users_at_max_ttl_without_failed_query(
    app: Ground, bao: servers.OpenBao, tmp_path: Path, ending: signal.Signals, ttl: int, max_ttl: int
) -> None:
    role = app.role(f"prog{ending.value:02}", ttl=ttl, max_ttl=max_ttl)
    log = tmp_path / "log"
    with log.open("w") as stream:
        program = subprocess.Popen(
            [sys.executable, EXAMPLES / "application" / "app.py"],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
                **bao.environment,
                "DATABASE_MOUNT": app.mount,
                "DATABASE_ROLE": role,
                "DATABASE_DSN": f"host={app.server.host} port={app.server.port} dbname={app.database}",
            },
        )
    try:
        wait_until("the third user", lambda: log.read_text().count("issued") >= 3 or program.poll() is not None)
        program.send_signal(ending)
        assert program.wait(30) == 0, log.read_text()
    finally:
        program.kill()
    result = log.read_text()
    assert "renewed for" in result
    assert "Traceback" not in result
    assert app.users(role) == []
    assert app.leases(role) == []


def test_migration_user_is_revoked_also_on_failure(app: Ground, play: Play) -> None:
    role = app.role("migrate")
    script = play.write("migration.sql", "CREATE TEMPORARY TABLE moved (a int); INSERT INTO items VALUES ('migrated');")
    arguments = [*where(app, "migration"), *extra(migration_role=role, migration_mount=app.mount)]
    text = (EXAMPLES / "migration.yml").read_text()

    play(text, *arguments, *extra(migration_script=script))
    assert app.sql("SELECT count(*) FROM items WHERE name = 'migrated'") == [(1,)]
    assert app.users(role) == []

    broken = play.write("broken.sql", "INSERT INTO nowhere VALUES (1);")
    run = play(text, *arguments, *extra(migration_script=broken), ok=False)
    assert run.code != 0
    assert "nowhere" in run.output
    assert app.users(role) == []


@pytest.mark.full
def test_deploy_gives_each_application_a_user_that_outlives_run(app: Ground, play: Play) -> None:
    role = app.role("deployed")
    play.inventory = ["app1", "app2"]
    text = (EXAMPLES / "deploy.yml").read_text()
    play(
        text,
        *where(app, "deploy"),
        *extra(deploy_hosts="all", deploy_role=role, deploy_directory=str(play.directory)),
    )
    urls = [
        (play.directory / f"{host}.env").read_text().partition("DATABASE_URL=")[2].strip() for host in play.inventory
    ]
    assert len(set(urls)) == 2
    for url in urls:
        psycopg2.connect(url).close()
    assert len(app.users(role)) == 2


@pytest.mark.full
def test_long_play_renews_users_and_leaves_none(app: Ground, play: Play) -> None:
    role = app.role("longplay", ttl=8, max_ttl=12)
    text = (EXAMPLES / "long_play.yml").read_text()
    run = play(
        text,
        *where(app, "long"),
        *("-e", f"long_role={role}", "-e", "long_steps=8", "-e", "long_pause=2"),
        env={"ANSIBLE_CALLBACKS_ENABLED": "leasehold.vault.revoke_leases"},
    )
    items = [event["result"] for event in run.of("One step after the other") if "query_result" in event["result"]]
    assert len(items) == 8
    users = {item["query_result"][0]["current_user"] for item in items}
    assert len(users) >= 2, "the hard limit was passed"
    assert app.users(role) == []
