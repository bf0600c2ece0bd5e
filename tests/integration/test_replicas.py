# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A primary with two streaming standbys: what begins and ends on one does so on all, and what is said when they change places."""

from __future__ import annotations

import json
import re
import time
import typing as t
from contextlib import ExitStack, closing, contextmanager

import psycopg2
import pytest
import servers

from .conftest import CALLBACK, Ground, Play, extra

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Run

    Sessions = list[psycopg2.extensions.connection]


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

    def follow(self, primary: servers.PostgreSQL) -> None:
        """Replay what another server writes, from now on."""
        where = f"host={primary.host} port={primary.port} user={self.user} password={self.password}"
        self.sql(f"ALTER SYSTEM SET primary_conninfo = '{where}'")
        self.sql("SELECT pg_reload_conf()")


class Cluster(t.NamedTuple):
    ground: Ground
    standbys: list[Standby]

    @property
    def entry(self) -> dict[str, t.Any]:
        server, ground = self.ground.server, self.ground
        return {
            "name": "db", "host": server.host, "port": server.port, "database": ground.database, "sslmode": "disable",
            "replicas": [{"host": standby.host, "port": standby.port} for standby in self.standbys],
            "admin": {"username": ground.admin}, "roles": {"app": {}},
        }  # fmt: skip

    @property
    def document(self) -> list[str]:
        return extra(
            vault_database_mount=self.ground.mount,
            vault_databases=[self.entry],
            postgresql_access_login_password=self.ground.server.password,
        )

    def sessions(self, user: dict[str, t.Any], seconds: float = 30) -> t.ContextManager[Sessions]:
        return sessions_on(self.standbys, self.ground.database, user, seconds)


@contextmanager
def sessions_on(
    standbys: list[Standby], database: str, user: dict[str, t.Any], seconds: float = 30
) -> Iterator[Sessions]:
    """A session on each standby, which has to know the user within these seconds."""
    with ExitStack() as open_ones:
        yield [open_ones.enter_context(closing(logged_in(each, database, user, seconds))) for each in standbys]


def logged_in(
    standby: Standby, database: str, user: dict[str, t.Any], seconds: float
) -> psycopg2.extensions.connection:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return standby.connect(database, user=user["username"], password=user["password"])
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def lives(session: psycopg2.extensions.connection) -> bool:
    try:
        with session.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error:
        return False
    return True


@pytest.fixture(scope="module")
def cluster(bao: servers.OpenBao) -> Iterator[Cluster]:
    with servers.PostgreSQL() as primary, Standby(primary) as one, Standby(primary) as other:
        ground = Ground(bao, primary, "replicated")
        ground.role("app")
        yield Cluster(ground, [one, other])
        ground.remove()


LEASE = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - name: End it
      leasehold.vault.lease:
        lease_id: "{{ lease_id }}"
        state: absent
        nodes: "{{ vault_databases | leasehold.vault.database_nodes }}"
        login_user: postgres
        login_password: "{{ postgresql_access_login_password }}"
"""
AT_END = """\
- hosts: localhost
  gather_facts: false
  vars:
    leasehold_nodes: "{{ vault_databases | leasehold.vault.database_nodes }}"
    leasehold_wait_for_replay: 20s
    leasehold_nodes_login_user: postgres
    leasehold_nodes_login_password: "{{ postgresql_access_login_password }}"
  tasks:
    - name: Hand it to the test
      ansible.builtin.copy:
        content: "{{ lookup('leasehold.vault.database_credentials', 'app', mount=vault_database_mount, revoke='at_end') | to_json }}"
        dest: user.json
        mode: "0600"
      no_log: true

    - name: Wait until it has logged in
      ansible.builtin.wait_for:
        path: logged_in
"""
ISSUE = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Issue
      leasehold.vault.database_credentials:
        mount: "{{ vault_database_mount }}"
        role: app
        nodes: "{{ vault_databases | leasehold.vault.database_nodes }}"
        wait_for_replay: 2s
        not_replayed: "{{ otherwise | default(omit) }}"
      register: issued
      ignore_errors: true
"""


@pytest.mark.full
@pytest.mark.parametrize("way", ["revoke", "lease", "clean_orphans", "teardown"])
def test_sessions_on_standbys_end_with_their_user(bao: servers.OpenBao, cluster: Cluster, play: Play, way: str) -> None:
    ground = cluster.ground
    user = ground.issue("app")
    with cluster.sessions(user) as sessions:
        assert all(map(lives, sessions))
        if way == "revoke":
            run = play("leasehold.vault.revoke", *cluster.document, *extra(leasehold_revoke_role="app"))
            assert run.messages("Report") == [
                "revoked 1 lease(s), ended 2 session(s) of users that were gone, left are none"
            ]
        elif way == "lease":
            run = play(LEASE, *cluster.document, *extra(lease_id=user["lease_id"]))
            assert run.result("End it")["ended_sessions"] == 2
        elif way == "clean_orphans":
            bao.request("PUT", "sys/leases/revoke", {"lease_id": user["lease_id"]})
            run = play("leasehold.vault.clean_orphans", *cluster.document)
            assert run.messages("Report")[0].endswith("; ended 2 session(s) of users that were gone")
        else:
            run = play("leasehold.vault.teardown", *cluster.document, *extra(leasehold_teardown=ground.mount))
            assert run.result("End the sessions of users that are gone, on every server")["ended"] == 2
            bao.request("POST", f"sys/mounts/{ground.mount}", {"type": "database"})
            ground.connection()
            ground.role("app")
        assert not any(map(lives, sessions))


@pytest.mark.full
def test_sessions_on_standbys_end_with_the_run(cluster: Cluster, play: Play, tmp_path: Path) -> None:
    """The lookup waits until each standby knows the user, and the callback ends it on each."""
    run = play.start(AT_END, *cluster.document, env={"ANSIBLE_CALLBACKS_ENABLED": CALLBACK})
    file = run.wait_for(lambda: next(tmp_path.rglob("user.json"), None))
    user = json.loads(file.read_text())
    with cluster.sessions(user, seconds=0) as sessions:
        (file.parent / "logged_in").touch()
        done = run.finish()
        assert done.ok, done.output
        assert not any(map(lives, sessions))
    assert "leasehold: ended 2 session(s)" in done.output


@pytest.mark.full
def test_user_not_replayed_in_time_is_not_returned(cluster: Cluster, play: Play) -> None:
    standby = cluster.standbys[1]
    standby.sql("SELECT pg_wal_replay_pause()")
    try:
        issued = play(ISSUE, *cluster.document).result("Issue")
        assert "could not log in on each server within 2 s" in issued["msg"]
        assert f"db at {standby.host}:{standby.port}: " in issued["msg"]
        assert "It was revoked." in issued["msg"]
        assert "credentials" not in issued
        assert cluster.ground.leases("app") == []
        run = play(ISSUE, *cluster.document, *extra(otherwise="warn"))
        assert run.result("Issue")["credentials"]["username"]
        assert run.warned("could not log in on each server", str(standby.port))
    finally:
        standby.sql("SELECT pg_wal_replay_resume()")


@pytest.mark.full
def test_cutover_sees_and_ends_sessions_of_the_login_on_standbys(cluster: Cluster, play: Play) -> None:
    ground = cluster.ground
    ground.sql("CREATE ROLE old_login LOGIN PASSWORD 'old'; CREATE ROLE app_rw")
    entry = {**cluster.entry, "groups": {"app_rw": {"schemas": ["public"]}}, "roles": {"app": {"in_role": "app_rw"}}}
    variables = extra(
        vault_databases=[entry],
        vault_applications=[{"name": "billing", "roles": ["app"], "cutover": {"login": "old_login"}}],
        postgresql_access_login_password=ground.server.password,
    )
    disable = extra(leasehold_cutover_step="disable")
    with cluster.sessions({"username": "old_login", "password": "old"}) as sessions:
        assert "on db at" in play("leasehold.vault.cutover", *variables).output
        refused = play("leasehold.vault.cutover", *variables, *disable, ok=False)
        assert "old_login is in use (1 of" in refused.output
        assert all(map(lives, sessions))
        play("leasehold.vault.cutover", *variables, *disable, *extra(leasehold_cutover_sessions="end"))
        assert not any(map(lives, sessions))


@pytest.mark.full
def test_verify_looks_at_each_standby(cluster: Cluster, play: Play) -> None:
    run = play("leasehold.vault.verify", *cluster.document)
    assert run.messages("The user is gone on each replica") == [
        f"app: refused at db at {each.host}:{each.port}" for each in cluster.standbys
    ]
    cluster.standbys[1].halt()
    try:
        run = play("leasehold.vault.verify", *cluster.document, ok=False)
    finally:
        cluster.standbys[1].start()
    assert "could not be asked" in run.output
    cluster.standbys[1].sql("SELECT pg_wal_replay_pause()")
    try:
        run = play("leasehold.vault.verify", *cluster.document, ok=False)
    finally:
        cluster.standbys[1].sql("SELECT pg_wal_replay_resume()")
    assert not run.ok
    assert "proves nothing" in run.output


@pytest.mark.full
def test_heartbeat_counts_and_ends_what_vault_left_on_standbys(
    bao: servers.OpenBao, cluster: Cluster, play: Play, tmp_path: Path
) -> None:
    textfile, ground = tmp_path / "leasehold.prom", cluster.ground
    beat = extra(
        lease_monitoring_heartbeat_mount=ground.mount,
        lease_monitoring_heartbeat_role="app",
        lease_monitoring_heartbeat_textfile=str(textfile),
        lease_monitoring_heartbeat_database=cluster.entry,
    )
    ground.sql("CREATE ROLE sweeper LOGIN PASSWORD 'sweeps' IN ROLE pg_signal_backend")
    user = ground.issue("app")

    def counted() -> dict[str, int]:
        found = re.findall(r'^leasehold_(\w+){server="[\d.]+:(\d+)"} (\d+)$', textfile.read_text(), re.MULTILINE)
        return {f"{word} {port}": int(count) for word, port, count in found}

    ports = [ground.server.port, *(each.port for each in cluster.standbys)]
    with cluster.sessions(user) as sessions:
        bao.request("PUT", "sys/leases/revoke", {"lease_id": user["lease_id"]})
        play("leasehold.vault.heartbeat", *beat)
        assert all(map(lives, sessions)), "nobody was told to end them"
        expected = dict(zip(ports, (0, 1, 1)))
        assert counted() == {
            **{f"sessions_without_user {port}": count for port, count in expected.items()},
            **{f"server_unknown {port}": 0 for port in ports},
        }
        play(
            "leasehold.vault.heartbeat",
            *beat,
            *extra(lease_monitoring_heartbeat_sweep_user="sweeper"),
            env={"LEASEHOLD_SWEEP_PASSWORD": "sweeps"},
        )
        assert not any(map(lives, sessions))
    assert set(counted().values()) == {0}
    cluster.standbys[1].halt()
    try:
        play("leasehold.vault.heartbeat", *beat)
    finally:
        cluster.standbys[1].start()
    assert counted()[f"server_unknown {ports[2]}"] == 1


# --------------------------------------------------------------------------------------------------------------- fail-over


class FailedOver(t.NamedTuple):
    """What was said after the first of two standbys was promoted, and the primary was gone."""

    primary: servers.PostgreSQL
    standbys: list[Standby]
    alive: list[bool]
    """The sessions on both standbys after the revocation."""
    runs: dict[str, Run]


@pytest.fixture(scope="module")
def failed_over(bao: servers.OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailedOver]:
    """A document with all three hosts; its user was issued by the primary, and revoked by the one that was promoted."""
    play = Play(tmp_path_factory.mktemp("fail-over"), bao)
    play.as_root = True
    with servers.PostgreSQL() as primary, Standby(primary) as one, Standby(primary) as other:
        three = [primary, one, other]
        entry = {
            "name": "failing", "host": ",".join(each.host for each in three), "port": ",".join(str(each.port) for each in three),
            "database": "failing", "sslmode": "disable", "admin": {"username": "failing_admin", "password": "first"}, "owner": "failing_owner",
            "groups": {"failing_rw": {"schemas": ["public"], "tables": ["select"]}},
            "roles": {"failing": {"in_role": "failing_rw", "default_ttl": "1h"}},
        }  # fmt: skip
        document = extra(
            vault_database_mount="failing",
            vault_databases=[entry],
            postgresql_access_login_password=primary.password,
            postgresql_access_close_databases=[],
        )
        play("leasehold.vault.site", *document)
        answer = bao.request("GET", "failing/creds/failing")
        user = {**answer["data"], "lease_id": answer["lease_id"]}
        runs = {"drift before": play("leasehold.vault.drift", *document)}
        with sessions_on([one, other], "failing", user) as sessions:
            primary.halt()
            one.sql("SELECT pg_promote()")
            other.follow(one)
            runs["revoke"] = play(
                "leasehold.vault.revoke", *document, *extra(leasehold_revoke_role="failing"), ok=False
            )
            alive = [lives(session) for session in sessions]
        for name in ("drift", "site", "verify"):
            runs[name] = play(f"leasehold.vault.{name}", *document, ok=False)
        single = {**entry, "host": one.host, "port": one.port, "replicas": [{"host": other.host, "port": other.port}]}
        given = extra(vault_databases=[single])
        runs["site of the new"] = play(
            "leasehold.vault.site", *document, *given, *extra(database_secrets_revoke_leases=True), ok=False
        )
        runs["drift of the new"] = play("leasehold.vault.drift", *document, *given, ok=False)
        runs["verify of the new"] = play("leasehold.vault.verify", *document, *given, ok=False)
        other.sql("SELECT pg_promote()")
        runs["drift with two"] = play("leasehold.vault.drift", *document, *given, ok=False)
        yield FailedOver(primary, [one, other], alive, runs)
        bao.request("PUT", "sys/leases/revoke-force/failing")
        bao.request("DELETE", "sys/mounts/failing")


@pytest.mark.full
def test_revocation_after_fail_over_ends_the_user_and_its_sessions(failed_over: FailedOver) -> None:
    run, server = failed_over.runs["revoke"], failed_over.primary
    assert not any(failed_over.alive)
    assert run.messages("Report")[0].startswith("revoked 1 lease(s)")
    assert not run.ok, "the old primary could not be asked"
    assert f"failing at {server.host}:{server.port}: Logging in to" in run.output


@pytest.mark.full
def test_after_fail_over_everything_works_and_what_is_away_is_said(failed_over: FailedOver) -> None:
    runs, server = failed_over.runs, failed_over.primary
    assert "Nothing differs" in runs["drift before"].output
    assert runs["site"].ok, runs["site"].output
    assert not runs["drift"].ok
    assert f"nodes/failing at {server.host}:{server.port}" in runs["drift"].messages("Fail if anything differs")[0]
    assert "Drift:" not in runs["drift"].messages("Fail if anything differs")[0]
    assert "could not be asked" in runs["verify"].output
    for each in failed_over.standbys:
        assert f"failing: refused at failing at {each.host}:{each.port}" in runs["verify"].output, runs[
            "verify"
        ].output[-3000:]


@pytest.mark.full
def test_document_with_the_new_primary_is_all_right_until_a_second_one_is_promoted(failed_over: FailedOver) -> None:
    runs, other = failed_over.runs, failed_over.standbys[1]
    for name in ("site", "drift", "verify"):
        assert runs[f"{name} of the new"].ok, runs[f"{name} of the new"].output
    (message,) = runs["drift with two"].messages("Fail if anything differs")
    assert message == f"Drift: nodes/failing at {other.host}:{other.port}"
