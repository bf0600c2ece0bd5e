# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that were restored, failed over or changed by hand: `drift` names the cause, one `site` repairs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import typing as t

import pytest
import servers

from ..conftest import Ground, Play, as_yaml

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..conftest import Run

GROUP = {"schemas": ["public"], "tables": ["select"]}
PASSWORD = "First-password-of-bad-days"


class Estate(Ground):
    """A server of each kind, a document, and copies of both servers' data."""

    def __init__(self, bao: servers.OpenBao, server: servers.PostgreSQL, directory: Path) -> None:
        self.bao, self.server, self.copies = bao, server, directory / "copies"
        self.mount, self.database, self.admin = "bad", "bad_app", "bad_admin"
        self.play = Play(directory, bao)
        self.play.as_root = True
        self.play.secrets += [PASSWORD, server.password]
        self.copies.mkdir()
        self.entry: dict[str, t.Any] = {
            "name": "db", "host": server.host, "port": server.port, "database": self.database, "sslmode": "disable",
            "admin": {"username": self.admin, "password": PASSWORD}, "owner": "bad_owner", "groups": {"bad_rw": GROUP},
            "roles": {"app": {"in_role": "bad_rw", "default_ttl": "1h", "max_ttl": "24h"}},
        }  # fmt: skip

    def run(self, playbook: str, *arguments: str, ok: bool = True) -> Run:
        document = {
            "vault_database_mount": self.mount, "vault_databases": [self.entry], "postgresql_access_login_password": self.server.password,
            "leasehold_health_min_age": "0",
        }  # fmt: skip
        path = self.play.write("document.yml", as_yaml(document))
        run = self.play(f"leasehold.vault.{playbook}", "-e", f"@{path}", *arguments, ok=ok)
        assert "output has been hidden" not in run.output
        return run

    def drift(self) -> tuple[Run, list[dict[str, str]]]:
        """A run, and what it wrote as JSON."""
        written = self.play.directory / "drift.json"
        run = self.run("drift", "-e", f"leasehold_drift_to={written}", ok=False)
        return run, json.loads(written.read_text())["differences"]

    def copy(self, name: str) -> None:
        for server, data in self._data():
            server.halt()
            subprocess.run(["cp", "-a", data, self.copies / f"{name}-{server.name}"], check=True)
            server.start()

    def restore(self, *, postgresql: str = "", openbao: str = "", standby: bool = False) -> None:
        for server, data in self._data():
            name = {"postgresql": postgresql, "openbao": openbao}[server.name]
            if name:
                server.halt()
                shutil.rmtree(data)
                subprocess.run(["cp", "-a", self.copies / f"{name}-{server.name}", data], check=True)
                if standby and server is self.server:
                    (data / "standby.signal").touch()
                server.start()
        if standby:
            self.sql("SELECT pg_promote()", "postgres")

    def _data(self) -> list[tuple[t.Any, Path]]:
        return [(self.server, self.server.data_directory), (self.bao, self.bao.directory / "raft")]

    def works(self) -> bool:
        """A user is issued, logs in, and ends."""
        one = self.issue("app")
        opened = self.opens(one["username"], one["password"])
        self.bao.request("PUT", "sys/leases/revoke", {"lease_id": one["lease_id"]})
        return opened and not self.opens(one["username"], one["password"])


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with servers.OpenBao() as bao, servers.PostgreSQL() as postgres:
        estate = Estate(bao, postgres, tmp_path_factory.mktemp("bad"))
        estate.copy("empty")
        estate.run("postgresql")
        estate.copy("prepared")
        estate.run("site")
        estate.copy("first")
        estate.entry["groups"]["bad_ro"] = GROUP
        estate.entry["roles"]["reader"] = {"in_role": "bad_ro", "default_ttl": "1h"}
        estate.run("site")
        bao.request("POST", "bad/rotate-root/db")
        estate.copy("well")
        yield estate


ADMIN = "ALTER ROLE bad_admin "
OTHER_PASSWORD = "the server has another password than Vault"
BAD_DAYS: dict[str, tuple[Callable[[Estate], t.Any], str]] = {
    "PostgreSQL restored to before the first rotation": (lambda it: it.restore(postgresql="prepared"), "bad_ro does not exist"),
    "PostgreSQL restored to before the last rotation and a group": (lambda it: it.restore(postgresql="first"), "bad_ro does not exist"),
    "PostgreSQL restored to before the admin role": (lambda it: it.restore(postgresql="empty"), "does not exist on this server"),
    "standby promoted that missed the last rotation": (lambda it: it.restore(postgresql="first", standby=True), "bad_ro does not exist"),
    "Vault restored to before the last rotation": (lambda it: it.restore(openbao="first"), OTHER_PASSWORD),
    "both restored, to different moments": (lambda it: it.restore(postgresql="prepared", openbao="first"), OTHER_PASSWORD),
    "password changed by hand": (lambda it: it.sql(ADMIN + "PASSWORD 'by-hand'"), OTHER_PASSWORD),
    "admin role dropped": (lambda it: it.sql("DROP OWNED BY bad_admin; DROP ROLE bad_admin"), "it was dropped or renamed"),
    "admin role expired": (lambda it: it.sql(ADMIN + "VALID UNTIL '2020-01-01'"), "has expired"),
    "admin role may not log in": (lambda it: it.sql(ADMIN + "NOLOGIN"), "may not log in (NOLOGIN)"),
    "admin role renamed": (lambda it: it.sql(ADMIN + "RENAME TO bad_former"), "it was dropped or renamed"),
    "admin role stripped of a right": (lambda it: it.sql(ADMIN + "NOCREATEROLE"), "it lacks CREATEROLE"),
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("day", BAD_DAYS)
def test_drift_names_the_cause_and_one_site_repairs_it(estate: Estate, day: str) -> None:
    estate.restore(postgresql="well", openbao="well")
    happen, words = BAD_DAYS[day]
    happen(estate)
    run, differences = estate.drift()
    assert run.code == 2, run.output
    causes = [each["detail"] for each in differences if each["kind"] == "connections" and words in each["detail"]]
    assert len(causes) == 1, differences
    estate.run("site")
    assert estate.works()
    run, differences = estate.drift()
    assert run.code == 0, differences


@pytest.mark.full
def test_leases_and_users_of_another_time_are_ended_or_named(estate: Estate) -> None:
    estate.restore(postgresql="well", openbao="well")
    gone = estate.issue("app")
    estate.restore(postgresql="well")
    _run, differences = estate.drift()
    assert [each["name"] for each in differences] == [gone["lease_id"]]
    estate.run("site")
    assert estate.leases("app") == []

    left = estate.issue("app")
    estate.restore(openbao="well")
    estate.sql(
        f"DO $$ BEGIN EXECUTE format('ALTER ROLE %I VALID UNTIL %L', '{left['username']}', now() - interval '1 day'); END $$"
    )
    name = left["username"][:-10] + "1700000000"
    estate.sql(f'ALTER ROLE "{left["username"]}" RENAME TO "{name}"')
    run, differences = estate.drift()
    assert (run.code, [each["name"] for each in differences]) == (2, [name])
    estate.run("site")
    assert estate.sql("SELECT FROM pg_roles WHERE rolname = %s", values=[name]) == []
