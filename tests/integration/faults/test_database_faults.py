# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line between Vault and PostgreSQL is cut, slow or full, or PostgreSQL dies: what the user reads, and that a re-run fixes it."""

from __future__ import annotations

import contextlib
import typing as t
import urllib.error

import psycopg2
import pytest
from link import Link, Message, Place
from servers import HOST, PostgreSQL, wait_for

from ..conftest import Ground, Play, Unsafe, as_yaml

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import servers

    from ..conftest import Run, Values

FIRST_PASSWORD = "first-of-them-all"
LINKS = 40
COMMIT = b"Q\0\0\0\x0bcommit\0"
ROTATION = "Rotate the initial root passwords"
ROLLBACKS = 1800
"""Seconds that a run with all cuts may take: a server that rolls a rotation back does so two minutes later, one after the other."""


class Row(Ground):
    """Many connections of one mount, each with an admin role and a link of its own: each is cut at a place of its own, in the same play."""

    def __init__(self, bao: servers.OpenBao, server: servers.PostgreSQL, play: Play, links: dict[str, Link]) -> None:
        self.bao, self.server, self.play, self.links = bao, server, play, links
        self.mount, self.database = "cut", "cut_db"
        self.sql("CREATE DATABASE cut_db", "postgres")
        for name in links:
            self.sql(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD '{FIRST_PASSWORD}'")
        play.secrets = [FIRST_PASSWORD, server.password, bao.token]

    def run(self, *, rotate: bool = True, dba: bool = False, ok: bool = True) -> Run:
        """The playbook `vault`, of which each entry of the document goes through its link."""
        document = {
            "vault_database_mount": self.mount,
            "database_secrets_rotate_root": rotate,
            "vault_databases": [
                {
                    "name": name, "host": HOST, "port": link.port, "database": self.database, "sslmode": "disable",
                    "admin": {"username": name, "password": Unsafe(FIRST_PASSWORD)},
                }
                for name, link in self.links.items()
            ],
            **({"postgresql_access_login_password": self.server.password} if dba else {}),
        }  # fmt: skip
        path = self.play.write("document.yml", as_yaml(document))
        return self.play("leasehold.vault.vault", "-e", f"@{path}", ok=ok, seconds=ROLLBACKS)

    def logs_in(self, name: str) -> bool:
        """Whether Vault does: a write of nothing to a connection lets it try."""
        try:
            self.bao.request("POST", f"{self.mount}/config/{name}", {"verify_connection": True})
        except urllib.error.HTTPError:
            return False
        return True

    def remove(self) -> None:
        for link in self.links.values():
            link.open()
        super().remove()


def exchange(link: Link) -> list[Message]:
    """What was said, without goodbyes (whose place is not fixed), and of the server's settings after a login only the first."""
    given: list[Message] = []
    for message in sorted(link.seen):
        if message.kind != "X" and (message.kind != "S" or message.sender == "client" or given[-1].kind != "S"):
            given.append(message)
    return given


def places(messages: list[Message]) -> dict[Place, Message]:
    """After and in the middle of each message that is about the password; of the others, after some."""
    about = [number for number, message in enumerate(messages) if message.kind == "Q"]
    (commit,) = [number for number in about if messages[number].content == COMMIT]
    first, last = max(about[0], commit - 8), commit + 2  # begin, ALTER ROLE, commit, and the answers
    step = max(6, len(messages) // (LINKS - 1 - 2 * (last - first + 1)) + 1)
    chosen = {}
    for number, message in enumerate(messages):
        if first <= number <= last or number % step == 0:
            chosen[Place(message.connection, message.number, -1)] = message
        if first <= number <= last:
            chosen[Place(message.connection, message.number, len(message.content) // 2)] = message
    return chosen


def is_between_commit_and_answer(place: Place, messages: list[Message]) -> bool:
    (commit,) = [message for message in messages if message.content == COMMIT]
    before = Place(commit.connection, commit.number, len(commit.content) // 2)
    after = Place(commit.connection, commit.number + 2, -1)
    return place[:2] in {(commit.connection, commit.number + step) for step in range(3)} and place not in (
        before,
        after,
    )


class Rotations(t.NamedTuple):
    row: Row
    undisturbed: list[Message]
    cut: dict[str, Place]
    """Which connection was cut where."""
    results: dict[str, Values]
    """What the task said of each."""


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    """One that may be stopped and filled."""
    with PostgreSQL(settings={"max_connections": 80}) as server:
        yield server


@pytest.fixture(scope="module")
def row(bao: servers.OpenBao, database: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Row]:
    with contextlib.ExitStack() as stack:
        links = {f"cut_{number}": stack.enter_context(Link(database.port)) for number in range(LINKS)}
        row = Row(bao, database, Play(tmp_path_factory.mktemp("cut"), bao), links)
        try:
            row.run(rotate=False)
            yield row
        finally:
            row.remove()


def tasks(*tasks: Values) -> str:
    return as_yaml([{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}])


def interrupt(row: Row, task: str, alone: str, together: t.Callable[[], Run]) -> Rotations:
    """Rotate through the first link to see what is said there, then through all others, each cut somewhere else in it."""
    first, *others = row.links
    row.links[first].watch()
    row.play(alone)
    given = exchange(row.links[first])
    chosen = places(given)
    assert len(chosen) < len(row.links), f"{len(chosen)} links are needed"
    cut = dict(zip(others, chosen, strict=False))
    for name, place in cut.items():
        row.links[name].cut_at(place)
    run = together()
    assert [name for name in cut if not row.links[name].was_cut] == []
    for link in row.links.values():
        link.open()
    result = {event["result"]["_ansible_item_label"]: event["result"] for event in run.of(task)}
    return Rotations(row, given, cut, result)


# -------------------------------------------------------------------------------------------------------- root rotation


@pytest.fixture(scope="module")
def roots(row: Row) -> Rotations:
    task = {"mount": row.mount, "name": "cut_0", "password": FIRST_PASSWORD}
    alone = tasks({"name": "rotate", "leasehold.vault.database_root_rotation": task})
    return interrupt(row, ROTATION, alone, lambda: row.run(ok=False))


@pytest.mark.full
def test_cut_rotation_fails_with_one_message(roots: Rotations) -> None:
    beginnings = (
        "It is unknown whether the bootstrap password of ",
        "Nothing was rotated, and the bootstrap password still works. ",
        "The database refuses the password that Vault holds for ",
    )
    for name in roots.cut:
        result = roots.results[name]
        assert result.get("rotated") or result["msg"].startswith(beginnings)
        assert "\n" not in result.get("msg", "")


@pytest.mark.full
@pytest.mark.needs("root_rollback")
def test_site_waits_until_cut_rotation_is_rolled_back_and_rotates_then(roots: Rotations) -> None:
    """On a server that writes the new password down before it sets it: no DBA is needed, whatever was cut."""
    between = {name for name, place in roots.cut.items() if is_between_commit_and_answer(place, roots.undisturbed)}
    assert between
    assert {name for name in between if not roots.results[name].get("rotated")} == set()
    assert max(roots.results[name].get("attempts", 1) for name in between) > 1, (
        "it was rolled back while the role waited"
    )
    assert [name for name in roots.cut if roots.results[name].get("lost")] == []
    assert [name for name in roots.cut if not roots.row.logs_in(name)] == []
    assert [name for name in between if roots.row.opens(name, FIRST_PASSWORD)] == []


@pytest.mark.full
@pytest.mark.lacks("root_rollback")
def test_openbao_loses_the_password_between_the_commit_and_its_answer_and_nowhere_else(roots: Rotations) -> None:
    """What it wrote down about the rotation goes with the request that failed: neither it nor anybody else knows the password."""
    lost = {name for name in roots.cut if roots.results[name].get("lost")}
    assert lost == {name for name, place in roots.cut.items() if is_between_commit_and_answer(place, roots.undisturbed)}
    assert lost == {name for name in roots.cut if not roots.row.logs_in(name)}


@pytest.fixture(scope="module")
def next_run(roots: Rotations) -> Run:
    return roots.row.run(dba=True)


@pytest.mark.full
def test_next_run_rotates_remaining_and_replaces_lost_passwords(roots: Rotations, next_run: Run) -> None:
    row = roots.row
    replaced = [task for task in next_run.changed if task.startswith("Set the password of the admin role")]
    assert len(replaced) == sum(bool(result.get("lost")) for result in roots.results.values())
    assert [name for name in row.links if row.opens(name, FIRST_PASSWORD)] == []
    assert [name for name in row.links if not row.logs_in(name)] == []
    assert sorted(row.bao.request("LIST", f"{row.mount}/config")["data"]["keys"]) == sorted(row.links)


# ------------------------------------------------------------------------------------------------ rotation of a static role


@pytest.fixture(scope="module")
def statics(row: Row, next_run: Run) -> Rotations:
    for name in row.links:
        row.sql(f"CREATE ROLE user_{name} LOGIN; GRANT user_{name} TO {name} WITH ADMIN OPTION")
        static = {"db_name": name, "username": f"user_{name}", "rotation_period": "24h"}
        row.bao.request("POST", f"{row.mount}/config/{name}", {"allowed_roles": ["*"]})
        row.write(f"static-roles/{name}", static)
    return interrupt(
        row, "rotate", rotate_static(row, "cut_0"), lambda: row.play(rotate_static(row, *row.links), ok=False)
    )


def rotate_static(row: Row, *names: str) -> str:
    task = {"mount": row.mount, "name": "{{ item }}"}
    return tasks({"name": "rotate", "leasehold.vault.database_static_role_rotation": task, "loop": list(names)})


@pytest.mark.full
def test_static_role_rotation_cut_anywhere_fails_and_rotates_again(statics: Rotations) -> None:
    row = statics.row
    failed = [name for name in statics.cut if "static_role" not in statics.results[name]]
    assert failed
    for name in failed:
        assert statics.results[name]["msg"].startswith(f"Could not write {row.mount}/rotate-role/{name}: Vault at ")
        assert "it is also safe to retry manually" in statics.results[name]["msg"]
    row.play(rotate_static(row, *row.links))

    def opens(name: str) -> bool:
        current = row.read(f"static-creds/{name}")
        return row.opens(current["username"], current["password"])

    for name in row.links:
        # The server may be about to try again by itself, between the look and the login.
        wait_for(f"the password of {name} works", lambda: opens(name))  # noqa: B023


# ------------------------------------------------------------------------------------- PostgreSQL dies, is full, or far away


class Trouble(Ground):
    """A ground of which Vault's side goes through a link."""

    def __init__(self, bao: servers.OpenBao, server: PostgreSQL, link: Link) -> None:
        self.link = link
        super().__init__(bao, server, "trouble")
        self.role("app")
        self.write("static-roles/fixed", {"db_name": "db", "username": self.user("fixed"), "rotation_period": "24h"})

    def connection(self, name: str = "db", **more: t.Any) -> None:
        url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{HOST}:{self.link.port}/{self.database}?sslmode=disable"
        super().connection(name, connection_url=url, **more)

    def task(self, operation: str, **more: t.Any) -> str:
        lease = self.issue("app")["lease_id"] if operation in ("renew", "revoke") else ""
        module, options = {
            "issue": ("database_credentials", {"mount": self.mount, "role": "app"}),
            "renew": ("lease", {"lease_id": lease, "valid_for": "2h"}),
            "revoke": ("lease", {"lease_id": lease, "state": "absent"}),
            "rotate root": ("database_root_rotation", {"mount": self.mount, "name": "db", "rotate": "always"}),
            "rotate": ("database_static_role_rotation", {"mount": self.mount, "name": "fixed"}),
        }[operation]
        return tasks({"name": "try", f"leasehold.vault.{module}": {**options, **more}})

    def works(self) -> bool:
        """A user is issued, logs in, and is gone with its lease; the static user logs in."""
        one, fixed = self.issue("app"), self.read("static-creds/fixed")
        opened = self.opens(one["username"], one["password"]) and self.opens(fixed["username"], fixed["password"])
        self.bao.request("PUT", "sys/leases/revoke", {"lease_id": one["lease_id"]})
        return opened and not self.opens(one["username"], one["password"])


@pytest.fixture(scope="module")
def trouble(bao: servers.OpenBao, database: PostgreSQL) -> Iterator[Trouble]:
    with Link(database.port) as link:
        ground = Trouble(bao, database, link)
        yield ground
        link.open()
        ground.remove()


def said_in_one_sentence(run: Run) -> str:
    assert run.code == 2
    result = str(run.result("try")["msg"])
    assert "\n" not in result
    assert "Traceback" not in run.output
    return result


@pytest.mark.parametrize(
    ("operation", "beginning"),
    [
        ("issue", "Could not read trouble/creds/app: Vault at "),
        pytest.param("renew", "Could not write sys/leases/renew: Vault at ", marks=pytest.mark.full),
        ("revoke", "1 of 1 lease(s) could not be revoked and are still there, with their users. "),
        pytest.param("rotate root", "Could not write trouble/rotate-root/db: Vault at ", marks=pytest.mark.full),
        pytest.param("rotate", "Could not write trouble/rotate-role/fixed: Vault at ", marks=pytest.mark.full),
    ],
)
def test_postgresql_crash_fails_and_next_run_succeeds(
    trouble: Trouble, play: Play, operation: str, beginning: str
) -> None:
    text = trouble.task(operation)
    try:
        trouble.link.shut_after(2, lose_answer=True)
        started = play.start(text)
        started.wait_for(trouble.link.is_shut)
        trouble.server.kill()
        trouble.link.open()
        assert said_in_one_sentence(started.finish()).startswith(beginning)
    finally:
        trouble.link.open()
        trouble.server.start()
    assert play(text).changes == 1
    assert trouble.works()


def test_too_many_connections_fails_and_next_run_succeeds(trouble: Trouble, play: Play) -> None:
    with contextlib.ExitStack() as crowd:
        trouble.link.cut()
        with pytest.raises(psycopg2.OperationalError, match="too many clients"):
            while True:
                crowd.enter_context(contextlib.closing(trouble.server.connect()))
        text = trouble.task("issue", retries=1)
        result = said_in_one_sentence(play(text, ok=False))
        assert "SQLSTATE 53300" in result
    assert play(text).ok
    assert trouble.works()


@pytest.mark.full
def test_a_slow_line_is_slow_and_nothing_else(trouble: Trouble, play: Play) -> None:
    text = trouble.task("revoke")
    trouble.link.delay = 0.2
    assert play(text).changes == 1
    assert play(trouble.task("rotate root")).changes == 1
    trouble.link.open()
    assert trouble.works()


def test_silent_connection_times_out_and_leaves_no_user(trouble: Trouble, play: Play) -> None:
    trouble.link.shut_after(2, lose_answer=True)
    text = trouble.task("issue", timeout=3)
    try:
        result = said_in_one_sentence(play(text, ok=False))
    finally:
        trouble.link.open()
    assert "did not answer: timed out" in result.lower()
    assert result.endswith("It is unknown whether the request was carried out.")
    assert play(text).ok
    wait_for("each user has a lease", lambda: len(trouble.users("app")) == len(trouble.leases("app")))


class SmallDisk(PostgreSQL):
    """Its data lie in a small file system of its own: in a namespace, so that nobody needs to be root, and only it sees it."""

    @property
    def disk(self) -> Path:
        return self.directory / "disk"

    def command(self) -> list[str | Path]:
        self.disk.mkdir(exist_ok=True)
        script = 'mount -t tmpfs -o size=100m tmpfs "$1" && cp -a "$2" "$1/data" && exec "$3" -D "$1/data"'
        namespace = ["unshare", "--user", "--map-current-user", "--mount", "--keep-caps"]
        return [*namespace, "/bin/sh", "-c", script, "sh", self.disk, self.data_directory, self.bindir / "postgres"]


@pytest.mark.full
def test_full_disk_fails_and_next_run_succeeds(bao: servers.OpenBao, play: Play) -> None:
    with SmallDisk(settings={"max_wal_size": "64MB"}) as server:
        ground = Ground(bao, server, "full")
        ground.role("app")
        filler = f"{server.disk}/filler"
        ground.sql(f"COPY (SELECT 1) TO PROGRAM 'dd if=/dev/zero of={filler} bs=64k; true'")
        with pytest.raises(urllib.error.HTTPError):  # until the last page is full, too
            for _user in range(1000):
                ground.issue("app")
        issue = {"mount": "full", "role": "app"}
        text = tasks({"name": "try", "leasehold.vault.database_credentials": issue})
        result = said_in_one_sentence(play(text, ok=False))
        assert result.startswith("Could not read full/creds/app: Vault at ")
        assert "SQLSTATE 53100" in result
        ground.sql(f"COPY (SELECT 1) TO PROGRAM 'rm {filler}'")
        assert play(text).ok
        assert len(ground.users("app")) == len(ground.leases("app"))
        ground.remove()
