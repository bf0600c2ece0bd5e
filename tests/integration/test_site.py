# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One document and the playbooks around it, as one story: the tests follow each other.

Every run here is at `-vvv --diff`, and none may print one of the secrets (see test_secrets.py). Two hosts take part, the
database's and Vault's. On PostgreSQL 15 and older functions make the users, on 16 and later the admin role does.
"""

from __future__ import annotations

import copy
import typing as t
from contextlib import closing

import psycopg2
import psycopg2.errors
import pytest
import yaml
from gate import Gate

from .conftest import CREATION, FirstRuns, Ground, Play, Unsafe, as_yaml

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    import servers

    from .conftest import Run, Started

FIRST_PASSWORD = "First \"one\" 'site' %s {# äß #}"
SYNC = "Make engine, connections and roles be as the document says"
ACCESS = "Make roles, databases and privileges be as the document says"
ROTATION = "Rotate the initial root passwords"


class Site(Ground):
    """The servers, the document, and what happens to both. (Nothing is made on the servers to begin with.)"""

    def __init__(self, bao: servers.OpenBao, server: servers.PostgreSQL, play: Play) -> None:
        self.bao, self.server, self.play = bao, server, play
        self.mount, self.database = "site", "site_app"
        self.functions = server.major < 16
        creation, self.drop = CREATION.format(group="site_ro"), 'DROP ROLE IF EXISTS "{{name}}"'
        if self.functions:
            creation = "SELECT leasehold.issue('{{name}}', '{{password}}', '{{expiration}}', 'site_ro')"
            self.drop = "SELECT leasehold.revoke('{{name}}', 'site_ro')"
        self.by_hand = [self.drop, "SELECT 'by hand'"]
        play.inventory = ["localhost", "dba"]
        rights = {"tables": ["select", "insert", "update", "delete"], "sequences": ["usage", "select"]}
        self.document: dict[str, t.Any] = {
            "vault_database_mount": self.mount,
            "vault_databases": [{
                "name": "production-db", "host": server.host, "port": server.port, "database": self.database,
                "sslmode": "disable", "admin": {"username": "site_admin", "password": Unsafe(FIRST_PASSWORD)}, "owner": "site_owner",
                "groups": {"site_rw": {"schemas": ["public"], **rights}, "site_ro": {"schemas": ["public"], "tables": ["select"]}},
                "roles": {
                    "app-role": {"in_role": "site_rw", "default_ttl": "1h", "max_ttl": "24h"},
                    "analytics-role": {"in_role": "site_ro", "default_ttl": "1h", "max_ttl": "24h"},
                    "own-role": {"creation_statements": [Unsafe(creation)], "default_ttl": "1h"},
                },
            }],
            "postgresql_access_login_password": server.password,
            "postgresql_access_close_databases": [],
            "leasehold_postgresql_hosts": "dba",
        }  # fmt: skip
        play.secrets += [FIRST_PASSWORD, server.password, bao.token]

    @property
    def entry(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.document["vault_databases"][0])

    def start(self, playbook: str, *arguments: str) -> Started:
        path = self.play.write("document.yml", as_yaml(self.document))
        return self.play.start(f"leasehold.vault.{playbook}", "-e", f"@{path}", "-vvv", "--diff", *arguments)

    def run(self, playbook: str, *arguments: str, ok: bool = True) -> Run:
        run = self.start(playbook, *arguments).finish(300)
        assert run.ok == ok, run.output
        return run

    @staticmethod
    def moved(run: Run) -> dict[str, str]:
        """What the run did, or would do, to the objects in Vault."""
        objects = run.result(SYNC)["objects"]
        return {f"{each['kind']}/{each['name']}": each["action"] for each in objects if each["action"] != "none"}

    def works(self, role: str = "app-role") -> bool:
        """A user is issued, logs in, and ends."""
        one = self.issue(role)
        opened = self.opens(one["username"], one["password"])
        self.bao.request("PUT", "sys/leases/revoke", {"lease_id": one["lease_id"]})
        return opened and not self.opens(one["username"], one["password"])

    def users(self, role: str) -> list[str]:
        """Not those of other files with a role of that name."""
        ours = self.sql("SELECT member::regrole::text FROM pg_auth_members WHERE roleid::regrole::text ~ '^site_'")
        return [name for name in super().users(role) if (f'"{name}"',) in ours]

    def stored_password(self) -> str:
        return str(self.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'site_admin'")[0][0])

    def remove(self) -> None:
        """With its roles: test_secrets.py has a site of the same names."""
        super().remove()
        for (name,) in self.sql("SELECT rolname FROM pg_roles WHERE rolname ~ '^site_' ORDER BY 1", "postgres"):
            self.sql(f'DROP OWNED BY "{name}" CASCADE; DROP ROLE "{name}"', "postgres")

    def has_mount(self) -> bool:
        return f"{self.mount}/" in self.bao.request("GET", "sys/mounts")["data"]


@pytest.fixture(scope="module")
def site(
    bao: servers.OpenBao, postgres: servers.PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    site = Site(bao, postgres, Play(tmp_path_factory.mktemp("site"), bao))
    yield site
    site.remove()


@pytest.fixture(scope="module")
def runs(site: Site) -> FirstRuns:
    """A check run on fresh servers, a run, and a run."""
    predicted = site.run("site", "--check")
    touched = site.has_mount() or bool(site.sql("SELECT FROM pg_roles WHERE rolname ~ '^site_'", "postgres"))
    first = site.run("site")
    site.sql("SET ROLE site_owner; CREATE TABLE items (id int GENERATED BY DEFAULT AS IDENTITY, what text)")
    site.write("roles/own-role", {"revocation_statements": site.by_hand})  # of these the document does not speak
    return FirstRuns(predicted, touched, first, site.run("site"))


# ------------------------------------------------------------------------------------------------------- the first runs


def test_check_mode_on_fresh_servers_writes_nothing(runs: FirstRuns) -> None:
    assert not runs.touched
    roles = ("app-role", "analytics-role", "own-role")
    made = {
        "engine/site": "create",
        "connections/production-db": "create",
        **{f"roles/{role}": "create" for role in roles},
    }
    assert Site.moved(runs.predicted) == Site.moved(runs.first) == made
    assert {ACCESS, SYNC, f"{ROTATION} (production-db)"} <= set(runs.predicted.changed)
    assert set(runs.first.changed) == set(runs.predicted.changed)
    assert runs.predicted.result(ACCESS)["changes"] == runs.first.result(ACCESS)["changes"]


def test_first_run_creates_and_later_runs_are_unchanged(site: Site, runs: FirstRuns) -> None:
    assert runs.first.changes == 3
    assert runs.again.changed == []
    assert site.works("app-role")
    assert site.works("analytics-role")
    assert sorted(site.read("config/production-db")["allowed_roles"]) == ["analytics-role", "app-role", "own-role"]


def test_the_first_password_is_dead(site: Site, runs: FirstRuns) -> None:
    assert not site.opens("site_admin", FIRST_PASSWORD)


def test_a_user_works_and_is_really_gone(site: Site, runs: FirstRuns) -> None:
    one = site.issue("app-role")
    session = site.server.connect(site.database, user=one["username"], password=one["password"])
    with closing(session), session.cursor() as cursor:
        cursor.execute("INSERT INTO items (what) VALUES ('kept') RETURNING what")
        assert cursor.fetchone() == ("kept",)
        site.bao.request("PUT", "sys/leases/revoke", {"lease_id": one["lease_id"]})
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    assert site.sql("SELECT what FROM items") == [("kept",)]
    assert site.users("app-role") == []


# ---------------------------------------------------------------------------------------------------------------- verify


def test_verify_proves_it(site: Site, runs: FirstRuns) -> None:
    run = site.run("verify")
    given = [event["result"]["msg"] for event in run.of("The user is gone")]
    assert [text.partition(":")[0] for text in given] == ["app-role", "analytics-role", "own-role"]
    assert "could read 1 and write 1 of 1 tables, and is refused" in given[0]
    assert "could read 1 and write 0 of 1 tables, and is refused" in given[1]
    assert (
        run.result("Check that the initial root password is refused")["msg"]
        == "production-db: the first password is refused"
    )
    assert run.changed == []
    assert site.users("") == []


@pytest.mark.full
def test_verify_catches_a_revocation_that_fails(site: Site, runs: FirstRuns) -> None:
    site.write("roles/app-role", {"revocation_statements": [f"{site.drop}; SELECT 1/0"]})
    run = site.run("verify", ok=False)
    assert "division by zero" in run.result("Revoke the user")["msg"]
    assert len(site.leases("app-role")) == 1  # is told, and fixed below


def test_verify_finds_working_initial_password(site: Site, runs: FirstRuns) -> None:
    kept = site.stored_password()
    site.sql("ALTER ROLE site_admin PASSWORD %s", values=[FIRST_PASSWORD])
    run = site.run("verify", ok=False)
    site.sql(f"ALTER ROLE site_admin PASSWORD '{kept}'")
    assert "production-db: the first password still opens the database" in run.output


# ----------------------------------------------------------------------------------------------------------------- drift


def differing(before: dict[str, t.Any], after: dict[str, t.Any]) -> dict[str, tuple[t.Any, t.Any]]:
    return {key: (before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)}


@pytest.mark.full
def test_changes_made_elsewhere_are_reported_and_reverted(site: Site, runs: FirstRuns) -> None:
    site.write("roles/analytics-role", {"default_ttl": "2h"})
    site.write("config/production-db", {"allowed_roles": ["app-role", "own-role", "stranger"]})
    site.sql("REVOKE INSERT ON items FROM site_rw")
    expected = [ACCESS, SYNC]
    rights = ["site_app: site_rw: + INSERT on tables in schema public (1 table: public.items)"]
    moved = {"connections/production-db": "update", "roles/app-role": "update", "roles/analytics-role": "update"}

    report = site.run("site", "--check")
    assert report.changed == expected
    assert report.result(ACCESS)["changes"] == rights
    assert Site.moved(report) == moved
    difference = report.result(SYNC)["diff"]
    before, after = yaml.safe_load(difference["before"]), yaml.safe_load(difference["after"])
    assert set(before) == set(after) == set(moved)
    assert differing(before["roles/analytics-role"], after["roles/analytics-role"]) == {"default_ttl": (7200, 3600)}
    assert list(differing(before["roles/app-role"], after["roles/app-role"])) == ["revocation_statements"]
    ((old, new),) = differing(before["connections/production-db"], after["connections/production-db"]).values()
    assert (sorted(old), sorted(new)) == (
        ["app-role", "own-role", "stranger"],
        ["analytics-role", "app-role", "own-role"],
    )

    run = site.run("site")
    assert (run.changed, Site.moved(run)) == (expected, moved)
    assert run.result(ACCESS)["changes"] == rights
    assert sorted(site.read("config/production-db")["allowed_roles"]) == ["analytics-role", "app-role", "own-role"]
    assert site.read("roles/analytics-role")["default_ttl"] == 3600
    assert site.sql("SELECT has_table_privilege('site_rw', 'items', 'INSERT')") == [(True,)]
    assert site.read("roles/own-role")["revocation_statements"] == site.by_hand
    (stranded,) = site.leases("app-role")
    site.bao.request("PUT", "sys/leases/revoke", {"lease_id": stranded})
    assert site.works("app-role")
    assert site.works("analytics-role")


def test_vault_playbook_alone_keeps_functions(site: Site, runs: FirstRuns) -> None:
    """Only in a run of both sides it knows what the other has chosen; alone, it goes by what Vault has."""
    assert site.run("vault").changed == []


def test_document_changes_never_restore_initial_password(site: Site, runs: FirstRuns) -> None:
    site.entry["roles"]["reports"] = {"in_role": "site_ro", "default_ttl": "30m"}
    site.entry["options"] = {"max_open_connections": 7}
    site.entry["host"] = "localhost"
    kept = site.stored_password()
    assert Site.moved(site.run("vault")) == {"connections/production-db": "update", "roles/reports": "create"}
    current = site.read("config/production-db")
    assert "reports" in current["allowed_roles"]
    assert current["connection_details"]["max_open_connections"] == 7
    assert "@localhost:" in current["connection_details"]["connection_url"]
    assert site.stored_password() == kept
    assert site.works("reports")
    assert not site.opens("site_admin", FIRST_PASSWORD)


# ------------------------------------------------------------------------------------------------- rotate_root and revoke


def test_rotate_root_keeps_everything_working(site: Site, runs: FirstRuns) -> None:
    kept = site.stored_password()
    assert site.run("rotate_root").changed == ["Rotate the root password"]
    assert site.stored_password() != kept
    assert site.works()
    assert site.run("vault").changed == []
    assert site.users("") == []


@pytest.mark.full
def test_revoke_ends_selected_leases_and_reports(site: Site, runs: FirstRuns) -> None:
    refused = site.run("revoke", ok=False)
    assert "Set leasehold_revoke_role" in refused.output
    first, second, other = site.issue("app-role"), site.issue("app-role"), site.issue("analytics-role")
    session = site.server.connect(site.database, user=first["username"], password=first["password"])
    run = site.run("revoke", "-e", "leasehold_revoke_role=app-role")
    assert run.messages("Report") == ["revoked 2 lease(s), ended 0 session(s) of users that were gone, left are none"]
    with closing(session), session.cursor() as cursor, pytest.raises(psycopg2.OperationalError):
        cursor.execute("SELECT 1")
    assert not site.opens(second["username"], second["password"])
    assert site.opens(other["username"], other["password"])
    site.write("roles/own-role", {"revocation_statements": [site.drop]})  # a DROP ROLE leaves sessions alone
    ghost = site.issue("own-role")
    session = site.server.connect(site.database, user=ghost["username"], password=ghost["password"])
    if site.functions:  # they would end the session
        site.sql(f'DROP ROLE "{ghost["username"]}"')
    run = site.run("revoke", "-e", "leasehold_revoke_connection=production-db")
    ended = 0 if site.functions else 1  # the functions end it with the lease of another user
    assert run.messages("Report") == [
        f"revoked 2 lease(s), ended {ended} session(s) of users that were gone, left are none"
    ]
    with closing(session), session.cursor() as cursor, pytest.raises(psycopg2.OperationalError):
        cursor.execute("SELECT 1")
    assert site.users("") == []
    assert site.run("revoke", "-e", "leasehold_revoke_all=true").changed == []


# ------------------------------------------------------------------------------------------------------------ interrupted


@pytest.mark.full
def test_run_killed_before_rotation_rotates_next_time(site: Site, runs: FirstRuns) -> None:
    killed = "killed"
    entry = copy.deepcopy(site.entry)
    entry |= {"name": killed, "roles": {f"{killed}-role": {"in_role": "site_ro"}}, "functions": "none"}
    entry["admin"] = {"username": f"site_{killed}", "password": Unsafe(FIRST_PASSWORD)}
    site.sql(f'CREATE ROLE "site_{killed}" LOGIN CREATEROLE PASSWORD %s', values=[FIRST_PASSWORD])
    site.sql(
        f'GRANT site_ro TO "site_{killed}" WITH ADMIN OPTION; GRANT CONNECT ON DATABASE site_app TO "site_{killed}"'
    )
    site.document["vault_databases"] = [entry]
    with Gate(site.bao) as gate:
        gate.shut_after(1)  # the connection
        site.play.environment["VAULT_ADDR"] = gate.url
        started = site.start("vault")
        started.wait_for(gate.is_shut)
        started.kill()
    del site.play.environment["VAULT_ADDR"]
    assert site.opens(f"site_{killed}", FIRST_PASSWORD)

    # What a run leaves that was killed while it looked whether the password works:
    current = site.read(f"config/{killed}")["connection_details"]
    probe = {"plugin_name": "postgresql-database-plugin", **current, "password": FIRST_PASSWORD, "allowed_roles": []}
    site.write(f"config/leasehold-probe-{killed}", probe)

    assert f"{ROTATION} ({killed})" in site.run("vault").changed
    assert not site.opens(f"site_{killed}", FIRST_PASSWORD)
    assert site.works(f"{killed}-role")
    assert not [name for name in site.bao.request("LIST", "site/config")["data"]["keys"] if "probe" in name]
    assert site.run("vault").changed == []


@pytest.mark.full
def test_teardown_requires_confirmation_and_leaves_no_user(site: Site, runs: FirstRuns) -> None:
    one = site.issue("app-role")
    refused = site.run("teardown", ok=False)
    assert "say leasehold_teardown=site" in refused.output
    assert site.run("teardown", "--check", "-e", "leasehold_teardown=site").changes == 1
    assert site.opens(one["username"], one["password"])
    assert site.run("teardown", "-e", "leasehold_teardown=site").changes == 1
    assert not site.has_mount()
    assert site.users("app-role") == []
    assert site.sql("SELECT FROM pg_roles WHERE rolname = 'site_owner'"), "what PostgreSQL has stays"
    assert site.run("teardown", "-e", "leasehold_teardown=site").changes == 0
