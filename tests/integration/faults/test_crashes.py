# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ansible-playbook leasehold.vault.site` killed at random points: the next run finishes the job, and nothing is left behind.

A seed says where: after a write to Vault (at a gate) or a message to PostgreSQL (on a link, for the play's own sessions and for Vault's),
with its answer or without, or some moment later, but before the next.  The full run tries 8 seeds, or LEASEHOLD_CASES; in
the default run `test_sync_interrupted.py` kills the bulk module at two points.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
import typing as t

import pytest
from gate import Gate
from link import Link
from servers import wait_for

from ..conftest import Ground, Play, Unsafe, as_yaml, leaks, short_directory

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import servers

    from ..conftest import Started

FIRST_PASSWORD = "First \"one\" 'crash' %s {# äß #}"
CASES = int(os.environ.get("LEASEHOLD_CASES", "8"))


class Point(t.NamedTuple):
    seed: int
    side: str
    share: float
    """How far through all the writes, or messages, of an undisturbed run."""
    lose_answer: bool
    pause: float
    pipelining: bool

    def __str__(self) -> str:
        answer = "unanswered" if self.lose_answer else "answered"
        return f"{self.seed}-{self.side}-{self.share:.0%}-{answer}-{self.pause:.1f}s-{'piped' if self.pipelining else 'files'}"


def point(seed: int) -> Point:
    draw = random.Random(seed)  # noqa: S311 (no secret)
    side = draw.choice(["vault", "postgresql"])
    return Point(seed, side, draw.random(), draw.random() < 0.5, draw.choice([0, draw.random()]), draw.random() < 0.8)


class Site(Ground):
    """One document, its runs, and the servers behind a gate and a link."""

    def __init__(
        self, bao: servers.OpenBao, server: servers.PostgreSQL, gate: Gate, link: Link, play: Play, name: str
    ) -> None:
        self.bao, self.server, self.gate, self.link, self.play = bao, server, gate, link, play
        self.mount, self.database, self.admin = name, f"{name}_app", f"{name}_admin"
        self.group, self.application = f"{name}_rw", f"{name}-application"
        self.ids, self.temporary = play.directory / "ids", short_directory()
        self.temporary.chmod(0o755)  # nothing below it is private because it is
        rights = {"tables": ["select", "insert"]}
        lifetime = {"in_role": self.group, "default_ttl": "1h", "max_ttl": "24h"}
        ids = {"role_id_file": str(self.ids / "role_id"), "secret_id_file": str(self.ids / "secret_id")}
        document = {
            "vault_database_mount": name,
            "vault_databases": [{
                "name": "db", "host": server.host, "port": link.port, "database": self.database, "sslmode": "disable",
                "admin": {"username": self.admin, "password": Unsafe(FIRST_PASSWORD)}, "owner": f"{name}_owner",
                "groups": {self.group: {"schemas": ["public"], **rights}},
                "roles": {"app-role": lifetime, "job-role": lifetime},
            }],
            "vault_auth_mounts": [{"type": "approle", "mount": name}],
            "vault_applications": [{
                "name": self.application, "roles": ["app-role"], "auth": {"approle": {"mount": name, **ids}},
                "deliver": {"hosts": ["localhost"]},
            }],
            "postgresql_access_login_password": server.password,
            "postgresql_access_close_databases": [],
        }  # fmt: skip
        self.document = play.write("document.yml", as_yaml(document))
        play.secrets = [FIRST_PASSWORD, server.password, bao.token]
        play.environment = {**gate.environment, "TMPDIR": str(self.temporary)}

    def start(self) -> Started:
        return self.play.start("leasehold.vault.site", "-e", f"@{self.document}")

    def kill_at(self, point: Point, length: dict[str, int]) -> None:
        barrier = self.gate if point.side == "vault" else self.link
        barrier.shut_after(1 + int(point.share * (length[point.side] - 1)), lose_answer=point.lose_answer)
        started = self.start()
        started.wait_for(barrier.is_shut, 300)
        time.sleep(point.pause)
        started.kill()
        wait_for("Vault knows of the death", self.gate.is_left)
        self.gate.open()
        self.link.open()

    def log_in(self) -> str:
        """As the application does, with what lies on its host."""
        login = {name: (self.ids / name).read_text() for name in ("role_id", "secret_id")}
        return str(self.bao.request("POST", f"auth/{self.mount}/login", login, token="")["auth"]["client_token"])

    def sessions(self) -> list[str]:
        """The users who have sessions in this database, or were users of it, or may do everything; but us."""
        found = self.sql(
            "SELECT usename FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' "
            "AND (datname = %s OR usename = ANY (%s) OR usename IS NULL)",
            "postgres",
            [self.database, [self.admin, self.server.user]],
        )
        return [user for (user,) in found]

    def names(self, path: str) -> list[str]:
        return list(self.bao.request("LIST", f"{self.mount}/{path}")["data"]["keys"])

    def files_with_secrets(self) -> list[Path]:
        """Below HOME, which has ANSIBLE_HOME and the remote temporary directory, and below TMPDIR; ids are where they belong."""
        homes = [*self.play.directory.glob("run*/home"), self.temporary]
        files = [file for home in homes for file in home.rglob("*") if file.is_file()]
        return [file for file in files if leaks(file.read_text(errors="replace"), self.play.secrets)]

    def is_private(self, file: Path) -> bool:
        """Itself, or a directory below those of the test."""
        tops = {self.play.directory, self.temporary}
        inside = [
            file,
            *(folder for folder in file.parents if tops.intersection(folder.parents) and folder.name != "home"),
        ]
        return any(not path.stat().st_mode & 0o077 for path in inside)

    def remove(self) -> None:
        super().remove()
        self.bao.request("DELETE", f"sys/auth/{self.mount}")
        self.bao.request("DELETE", f"sys/policies/acl/{self.application}")
        for role in (self.admin, f"{self.mount}_owner", self.group):
            self.sql(f"DROP ROLE IF EXISTS {role}", "postgres")


class Stage(t.NamedTuple):
    bao: servers.OpenBao
    server: servers.PostgreSQL
    gate: Gate
    link: Link

    @contextlib.contextmanager
    def site(self, directory: Path, name: str) -> Iterator[Site]:
        site = Site(*self, Play(directory, self.bao), name)
        try:
            yield site
        finally:
            self.gate.open()
            self.link.open()
            site.remove()


@pytest.fixture(scope="module")
def stage(bao: servers.OpenBao, postgres: servers.PostgreSQL) -> Iterator[Stage]:
    with Gate(bao) as gate, Link(postgres.port) as link:
        yield Stage(bao, postgres, gate, link)


@pytest.fixture(scope="module")
def length(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How many writes to Vault and messages to PostgreSQL an undisturbed run has."""
    with stage.site(tmp_path_factory.mktemp("undisturbed"), "crash_none") as site:
        for barrier in (stage.gate, stage.link):
            barrier.shut_after(10**6)
        run = site.start().finish(300)
        assert run.ok, run.output
        return {"vault": stage.gate.passed, "postgresql": stage.link.passed}


@pytest.mark.full
@pytest.mark.parametrize("point", [point(seed) for seed in range(CASES)], ids=str)
def test_killed_run_is_completed_by_next_run(
    stage: Stage, length: dict[str, int], tmp_path: Path, point: Point
) -> None:
    with stage.site(tmp_path, f"crash_{point.seed}") as site:
        site.play.environment["ANSIBLE_PIPELINING"] = str(point.pipelining)
        site.kill_at(point, length)
        assert_no_secret_lies_about(site, point)

        run = site.start().finish(300)
        assert run.ok, run.output
        assert_no_secret_lies_about(site, point)

        assert not site.opens(site.admin, FIRST_PASSWORD)
        assert site.names("config") == ["db"]
        assert site.names("roles") == ["app-role", "job-role"]
        assert [site.leases(role) for role in site.names("roles")] == [[], []]
        assert site.issued() == []
        wait_for("only Vault has a session, and one", lambda: site.sessions() == [site.admin])
        assert_the_application_works(site)


def assert_no_secret_lies_about(site: Site, point: Point) -> None:
    """Without pipelining Ansible itself leaves the module that was killed, with its arguments, to the user and nobody else."""
    found = site.files_with_secrets()
    assert [file for file in found if not site.is_private(file)] == []
    assert [file for file in found if point.pipelining or "AnsiballZ_" not in file.name] == []
    ids = [file for file in site.ids.rglob("*") if file.name != "role_id"]
    assert [file for file in ids if file.stat().st_mode & 0o077] == []


def assert_the_application_works(site: Site) -> None:
    site.sql(f"SET ROLE {site.mount}_owner; CREATE TABLE items (what text)")
    token = site.log_in()
    answer = site.bao.request("GET", f"{site.mount}/creds/app-role", token=token)
    user, password = answer["data"]["username"], answer["data"]["password"]
    with contextlib.closing(site.server.connect(site.database, user=user, password=password)) as session:
        session.cursor().execute("INSERT INTO items VALUES ('done')")
    site.bao.request("PUT", "sys/leases/revoke", {"lease_id": answer["lease_id"]})
    assert not site.opens(user, password)
    assert site.sql("SELECT what FROM items") == [("done",)]
    names = sorted(file.name for file in site.ids.iterdir())
    assert names == ["role_id", "secret_id", "secret_id_accessor"]
