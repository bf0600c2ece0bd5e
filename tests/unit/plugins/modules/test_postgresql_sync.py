# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module postgresql_sync on real servers: predicted, done, and nothing more to do."""

from __future__ import annotations

import secrets
import socket

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.plan import DatabasePlan
from ansible_collections.leasehold.vault.plugins.modules.postgresql_sync import TASK

from ...conftest import validated

pytestmark = pytest.mark.real


class Site:
    """A server, and an entry with names of its own."""

    def __init__(self, server):
        self.server, self.number = server, secrets.token_hex(4)
        self.owner, self.rw, self.ro, self.admin = (f"{role}_{self.number}" for role in ("owner", "rw", "ro", "admin"))
        self.login = {"login_host": server.host, "login_port": server.port, "login_password": server.password}
        self.entry = {
            "name": "db",
            "database": f"db_{self.number}",
            "owner": self.owner,
            "admin": {"username": self.admin, "password": "first"},
            "groups": {
                self.rw: {"schemas": ["public"], "tables": ["select", "insert"], "sequences": ["usage"]},
                self.ro: {"schemas": ["public", "sales"], "tables": ["select"]},
            },
        }

    def __call__(self, *entries, check=False, **options):
        given = {"databases": list(entries or [self.entry]), "close_databases": [], **self.login, **options}
        return TASK.perform(validated("postgresql_sync", given), check)

    def changes(self, *entries, **options):
        """A check run foresees exactly what a run does; another one has nothing to do."""
        foreseen = self(*entries, check=True, **options)
        done = self(*entries, **options)
        assert done["changes"] == foreseen["changes"]
        assert done["changed"]
        again = self(*entries, **options)
        assert (again["changes"], again["changed"]) == ([], False)
        return [change.partition(": ")[2] for change in done["changes"]]

    def refused(self, *entries, **options):
        with pytest.raises(Problem) as caught:
            self(*entries, **options)
        return str(caught.value)

    def sql(self, text, database=None, **login):
        connection = self.server.connect(database or self.entry["database"], **login)
        try:
            with connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()


@pytest.fixture(params=["postgres", pytest.param("postgres15", marks=pytest.mark.full)])
def site(request):
    site = Site(request.getfixturevalue(request.param))
    yield site
    for (name,) in site.sql(f"SELECT datname FROM pg_database WHERE datname LIKE '%_{site.number}'", "postgres"):
        site.sql(f"DROP DATABASE {name} WITH (FORCE)", "postgres")
    for (name,) in site.sql(f"SELECT rolname FROM pg_roles WHERE rolname LIKE '%_{site.number}'", "postgres"):
        site.sql(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}", "postgres")


def test_from_nothing_then_nothing_then_what_others_changed(site):
    done = site.changes()
    assert f"{site.entry['database']}: + database, owner {site.owner}" in done
    assert f"{site.rw}: + SELECT, INSERT on tables in schema public (those to come from {site.owner})" in done
    site.sql(f"SET ROLE {site.owner}; CREATE TABLE a (n serial); CREATE TABLE sales.b ()")
    site.sql(f"ALTER DEFAULT PRIVILEGES FOR ROLE {site.owner} GRANT DELETE ON TABLES TO {site.rw}")
    site.sql(f"REVOKE INSERT ON a FROM {site.rw}; GRANT DELETE ON sales.b TO {site.ro}")
    assert site.changes() == [
        f"{site.rw}: + INSERT on tables in schema public (1 table: public.a)",
        f"{site.rw}: - DELETE on tables in all schemas (those to come from {site.owner})",
        f"{site.ro}: - DELETE on tables in schema sales (1 table: sales.b)",
    ]


def test_group_of_two_databases_is_refused_unless_it_is_shared(site):
    other = {**site.entry, "name": "other", "database": f"other_{site.number}"}
    other["admin"] = {"username": f"admin2_{site.number}", "password": "first"}
    assert f"both have the group {site.rw}" in site.refused(site.entry, other)
    for group in site.entry["groups"].values():
        group["shared"] = True
    assert site.changes(site.entry, other)
    warnings = " ".join(site()["warnings"])
    assert f"{site.rw} has rights in {other['database']}, too, which this document does not give it" in warnings
    other["groups"] = {f"other_rw_{site.number}": {"schemas": ["public"]}}
    assert site.changes(site.entry, other)
    warnings = " ".join(site(site.entry, other)["warnings"])
    assert f"{site.rw} has rights in {other['database']}, too, which this document does not give it" in warnings
    pruned = site.changes(site.entry, other, prune=True)
    assert f"{other['database']}: - CONNECT of {site.rw}" in pruned
    assert "has rights in" not in " ".join(site(site.entry, other)["warnings"])


def test_group_of_more_than_the_document_says_is_refused(site):
    team = f"team_{site.number}"
    site.sql(f"CREATE ROLE {team} IN ROLE pg_monitor; CREATE ROLE {site.rw} IN ROLE {team}", "postgres")
    assert f"{site.rw} is a member of pg_monitor, which has rights on the whole server" in site.refused()


def test_login_that_is_refused_names_the_variables_to_correct(site):
    for password in ("wrong", None):
        with pytest.raises(
            Problem, match=r"Logging in to .*password.*\. Correct login_user and .* postgresql_access_login_password"
        ):
            site(site.entry, login_password=password)


@pytest.fixture(params=["closed", pytest.param("silent", marks=pytest.mark.full)])
def away(request):
    """A port where nobody listens, and one where nobody answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "silent":
            listener.listen()
        yield str(listener.getsockname()[1])


def test_server_that_is_away_is_named_and_the_others_are_done(site, away):
    there = {**site.entry, "name": "away", "host": "127.0.0.1", "port": away}
    here = {**site.entry, "host": site.server.host, "port": str(site.server.port)}
    with pytest.raises(
        Problem, match=rf"^away: Logging in to postgres at 127\.0\.0\.1:{away} as postgres failed"
    ) as caught:
        site(here, there, login_host=None, login_port=None, connect_timeout=2)
    assert caught.value.result["changed"]
    assert site.sql("SELECT 1")


def test_prune_takes_what_the_document_no_longer_has(site):
    site.changes()
    site.sql(f"SET ROLE {site.owner}; CREATE TABLE sales.b ()")
    site()
    site.entry["groups"][site.ro]["schemas"] = ["public"]
    assert site()["changes"] == []
    assert site.changes(prune=True) == [
        f"schema sales: - USAGE of {site.ro}",
        f"{site.ro}: - SELECT on tables in schema sales (1 table: sales.b, and those to come from {site.owner})",
    ]
    del site.entry["groups"][site.ro]
    for user in (f'"v-{site.number}"', f"person_{site.number} LOGIN"):
        site.sql(f"CREATE ROLE {user} IN ROLE {site.ro}")
        kept = site(prune=True)
        assert kept["changes"] == []
        assert "somebody who is not in the document is still a member of it" in kept["warnings"][0]
        site.sql(f"DROP ROLE {user.split()[0]}")
    assert f"{site.entry['database']}: - CONNECT of {site.ro}" in site.changes(prune=True)


def test_dba_without_superuser_makes_everything_but_what_belongs_to_others(site):
    dba = f"dba_{site.number}"
    site.sql(f"CREATE ROLE {dba} LOGIN CREATEROLE CREATEDB PASSWORD 'low'", "postgres")
    site.sql(f"GRANT CONNECT ON DATABASE postgres TO {dba}", "postgres")
    site.login.update(login_user=dba, login_password="low")
    site.changes()
    site.sql("CREATE TABLE foreign_one ()")
    refused = site.refused()
    assert f"{site.rw}: + SELECT, INSERT on tables in schema public (public.foreign_one) is not done" in refused
    assert "what is named belongs to postgres, who or a superuser has to do it" in refused
    site.sql(f"GRANT SELECT, INSERT ON foreign_one TO {site.rw}; GRANT SELECT ON foreign_one TO {site.ro}")
    site.sql("CREATE EXTENSION pg_stat_statements")
    again = site(close_databases=["template1"])
    assert "schema public: privileges of groups on tables of extensions is not done" in " ".join(again["warnings"])
    assert again["changes"] == []
    assert "template1: - CONNECT of PUBLIC is not done: the database belongs to postgres" in again["warnings"][0]


def test_grant_that_was_only_warned_about_is_an_error_and_no_change(site, monkeypatch):
    """As if it had not been known beforehand that the schema belongs to somebody else."""
    dba = f"dba_{site.number}"
    site.sql(f"CREATE ROLE {dba} LOGIN CREATEROLE CREATEDB PASSWORD 'low'", "postgres")
    site.sql(f"GRANT CONNECT ON DATABASE postgres TO {dba}", "postgres")
    site.login.update(login_user=dba, login_password="low")
    site()
    site.sql(f"CREATE SCHEMA sold; GRANT USAGE ON SCHEMA sold TO {dba}")
    site.entry["groups"][site.ro]["schemas"].append("sold")
    monkeypatch.setattr(DatabasePlan, "_can", lambda *_arguments: True)
    with pytest.raises(Problem, match="PostgreSQL accepted the statements, but these did not take effect") as caught:
        site()
    assert "no privileges were granted for" in str(caught.value)
    assert f"{site.ro}: + USAGE on schema sold" in str(caught.value)
    assert not any("USAGE on schema sold" in change for change in caught.value.result["changes"])
