# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module postgresql_sync on real servers: predicted, done, and nothing more to do."""

from __future__ import annotations

import concurrent.futures
import contextlib
import socket

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.plan import DatabasePlan
from ansible_collections.leasehold.vault.plugins.modules.postgresql_sync import TASK

from ...conftest import validated
from .conftest import OnServer

pytestmark = pytest.mark.real


class Site(OnServer):
    """An entry with names of its own."""

    def __init__(self, server):
        super().__init__(server)
        self.owner, self.rw, self.ro, self.admin = (f"{role}_{self.number}" for role in ("owner", "rw", "ro", "admin"))
        self.database = f"db_{self.number}"
        self.entry = {
            "name": "db",
            "database": self.database,
            "owner": self.owner,
            "admin": {"username": self.admin, "password": "first"},
            "groups": {
                self.rw: {"schemas": ["public"], "tables": ["select", "insert"], "sequences": ["usage"]},
                self.ro: {"schemas": ["public", "sales"], "tables": ["select"]},
            },
        }

    def __call__(self, *entries, check=False, **options):
        given = {"databases": list(entries or [self.entry]), "close_databases": [], **self.options, **options}
        return TASK.perform(validated("postgresql_sync", given), check)

    def changes(self, *entries, **options):
        return [change.partition(": ")[2] for change in super().changes(*entries, **options)["changes"]]


OTHERS = [pytest.param(name, marks=pytest.mark.full) for name in ("postgres15", "postgres16")]


@pytest.fixture(params=["postgres", *OTHERS])
def site(request):
    site = Site(request.getfixturevalue(request.param))
    yield site
    site.remove()


def test_lifecycle_on_empty_server(site):
    done = site.changes()
    assert f"{site.database}: + database, owner {site.owner}" in done
    assert f"{site.rw}: + SELECT, INSERT on tables in schema public (those to come from {site.owner})" in done
    site.sql(f"SET ROLE {site.owner}; CREATE TABLE a (n serial); CREATE TABLE sales.b ()")
    site.sql(f"ALTER DEFAULT PRIVILEGES FOR ROLE {site.owner} GRANT DELETE ON TABLES TO {site.rw}")
    site.sql(f"REVOKE INSERT ON a FROM {site.rw}; GRANT DELETE ON sales.b TO {site.ro}")
    assert site.changes() == [
        f"{site.rw}: + INSERT on tables in schema public (1 table: public.a)",
        f"{site.rw}: - DELETE on tables in all schemas (those to come from {site.owner})",
        f"{site.ro}: - DELETE on tables in schema sales (1 table: sales.b)",
    ]


def test_group_of_two_databases_is_refused_unless_shared(site):
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


def test_superuser_group_is_refused(site):
    team = f"team_{site.number}"
    site.sql(f"CREATE ROLE {team} IN ROLE pg_monitor; CREATE ROLE {site.rw} IN ROLE {team}", "postgres")
    assert f"{site.rw} is a member of pg_monitor, which has rights on the whole server" in site.refused()


@pytest.mark.full
def test_runs_at_the_same_moment_end_well(site):
    """Each of them creates what the others create."""
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(site) for _number in range(3)]
    assert any(run.result()["changed"] for run in runs)
    assert site()["changes"] == []


def test_refused_login_names_variables_to_correct(site):
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


def test_unreachable_server_fails_and_others_are_done(site, away):
    there = {**site.entry, "name": "away", "host": "127.0.0.1", "port": away}
    here = {**site.entry, "host": site.server.host, "port": str(site.server.port)}
    with pytest.raises(
        Problem, match=rf"^away: Logging in to postgres at 127\.0\.0\.1:{away} as postgres failed"
    ) as caught:
        site(here, there, login_host=None, login_port=None, connect_timeout=2)
    assert caught.value.result["changed"]
    assert site.sql("SELECT 1")


def test_prune_removes_undeclared_privileges(site):
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
    assert f"{site.database}: - CONNECT of {site.ro}" in site.changes(prune=True)


def test_privileges_on_columns_and_grant_options_are_taken_back(site):
    site.changes()
    site.sql(f"SET ROLE {site.owner}; CREATE TABLE a (x int, y int)")
    site()
    site.sql(
        f"SET ROLE {site.owner}; GRANT UPDATE (x), SELECT (y) ON a TO {site.ro}; GRANT SELECT ON a TO {site.ro} WITH GRANT OPTION;"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {site.ro} WITH GRANT OPTION;"
        f"GRANT CONNECT ON DATABASE {site.database} TO {site.ro} WITH GRANT OPTION"
    )
    site.sql(f"GRANT USAGE ON SCHEMA sales TO {site.ro} WITH GRANT OPTION")
    assert site.changes() == [
        f"schema sales: - GRANT OPTION for USAGE of {site.ro}",
        f"{site.ro}: - UPDATE on columns of tables in schema public (1 table: public.a)",
        f"{site.ro}: - GRANT OPTION for SELECT on tables in schema public (1 table: public.a, and those to come from {site.owner})",
        f"{site.database}: - GRANT OPTION for CONNECT of {site.ro}",
    ]


def test_what_a_group_passed_on_is_named_and_nothing_fails(site):
    site.changes()
    site.sql(f"SET ROLE {site.owner}; CREATE TABLE a (x int, y int)")
    site()
    friend = f"friend_{site.number}"
    site.sql(f"CREATE ROLE {friend}")
    site.sql(f"SET ROLE {site.owner}; GRANT SELECT, DELETE ON a TO {site.ro} WITH GRANT OPTION")
    site.sql(
        f"SET ROLE {site.owner}; GRANT UPDATE ON a TO {site.ro}; GRANT UPDATE (x) ON a TO {site.ro} WITH GRANT OPTION"
    )
    site.sql(f"SET ROLE {site.ro}; GRANT SELECT, DELETE ON a TO {friend}; GRANT UPDATE (x) ON a TO {friend}")
    again = site()
    assert again["changes"] == []
    passed_on = f"on tables in schema public (public.a) is not done: {site.ro} passed it on to {friend}, from whom it has to be revoked first."
    warnings = " ".join(again["warnings"])
    assert f"{site.ro}: - UPDATE, DELETE {passed_on}" in warnings
    assert f"{site.ro}: - UPDATE on columns of" in warnings
    assert f"{site.ro}: - GRANT OPTION for SELECT {passed_on}" in warnings
    site.sql(f"SET ROLE {site.ro}; REVOKE SELECT, DELETE ON a FROM {friend}; REVOKE UPDATE (x) ON a FROM {friend}")
    assert len(site.changes()) == 3


def test_dba_without_superuser_makes_everything_but_what_belongs_to_others(site):
    dba = f"dba_{site.number}"
    site.sql(f"CREATE ROLE {dba} LOGIN CREATEROLE CREATEDB PASSWORD 'low'", "postgres")
    site.sql(f"GRANT CONNECT ON DATABASE postgres TO {dba}", "postgres")
    site.options.update(login_user=dba, login_password="low")
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
    site.options.update(login_user=dba, login_password="low")
    site()
    site.sql(f"CREATE SCHEMA sold; GRANT USAGE ON SCHEMA sold TO {dba}")
    site.entry["groups"][site.ro]["schemas"].append("sold")
    monkeypatch.setattr(DatabasePlan, "_can", lambda *_arguments: True)
    with pytest.raises(Problem, match="PostgreSQL accepted the statements, but these did not take effect") as caught:
        site()
    assert "no privileges were granted for" in str(caught.value)
    assert f"{site.ro}: + USAGE on schema sold" in str(caught.value)
    assert not any("USAGE on schema sold" in change for change in caught.value.result["changes"])


@pytest.mark.full
def test_database_and_roles_of_somebody_else_are_left_alone_and_named(site):
    """Everything exists and belongs to another DBA: what is not done is named, in check mode the same, and no statement fails."""
    dba, other = f"dba_{site.number}", f"other_{site.number}"
    site.sql(
        f"CREATE ROLE {dba} LOGIN CREATEROLE CREATEDB PASSWORD 'low'; CREATE ROLE {other} CREATEROLE CREATEDB",
        "postgres",
    )
    site.sql(f"GRANT CONNECT ON DATABASE postgres TO {dba}", "postgres")
    site.sql(
        f"SET ROLE {other}; CREATE ROLE {site.owner}; CREATE ROLE {site.rw} LOGIN; CREATE ROLE {site.ro}; CREATE ROLE {site.admin} LOGIN",
        "postgres",
    )
    site.sql(f"CREATE DATABASE {site.database} OWNER {other}", "postgres")
    site.options.update(login_user=dba, login_password="low")
    reported = []
    for check in (True, False):
        with pytest.raises(Problem) as caught:
            site(check=check, admin_settings={"lock_timeout": "10s"})
        reported.append((str(caught.value), caught.value.result["changes"], caught.value.result["warnings"]))
    assert reported[0] == reported[1]
    sentences = f"{reported[0][0]} {reported[0][2]}"
    if site.server.major >= 16:
        assert f"{site.rw}: - LOGIN is not done: a role with CREATEROLE and ADMIN OPTION on {site.rw}" in sentences
        assert f"{site.rw}: + ADMIN OPTION of {site.admin} is not done" in sentences
        assert "schema sales: + schema" in sentences
    assert "failed" not in sentences
    assert "did not take effect" not in sentences


OF_OTHERS = """
CREATE TABLE t (n int GENERATED ALWAYS AS IDENTITY, m serial); CREATE VIEW v AS SELECT 1 AS x; CREATE MATERIALIZED VIEW m AS SELECT 1 AS x;
CREATE SEQUENCE s; CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE PROCEDURE p(INOUT a int) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE g(int) (SFUNC = int4pl, STYPE = int); REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA public FROM PUBLIC;
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER away FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE ft (n int) SERVER away;
CREATE TYPE kind AS ENUM ('a'); SELECT lo_create(0); CREATE SCHEMA theirs; CREATE TABLE theirs.u ();
CREATE TABLE part PARTITION OF parted FOR VALUES IN (1)
"""
PRIVILEGES = """
SELECT oid::regclass::text, relacl::text FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'theirs'))
 UNION ALL SELECT oid::regprocedure::text, proacl::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
 UNION ALL SELECT nspname, nspacl::text FROM pg_namespace WHERE nspname IN ('public', 'theirs')
 UNION ALL SELECT datname, datacl::text FROM pg_database WHERE datname IN ('postgres', 'template1', current_database())
 UNION ALL SELECT lomowner::text, lomacl::text FROM pg_largeobject_metadata UNION ALL SELECT typname, typacl::text FROM pg_type WHERE typname = 'kind'
 ORDER BY 1, 2
"""


@pytest.mark.full
def test_nothing_of_others_is_changed_and_all_of_it_is_named(site):
    """Objects of each kind that belong to a superuser, in the database of a DBA who is none."""
    dba = f"dba_{site.number}"
    site.sql(f"CREATE ROLE {dba} LOGIN CREATEROLE CREATEDB PASSWORD 'low'", "postgres")
    site.sql(f"GRANT CONNECT ON DATABASE postgres TO {dba}", "postgres")
    site.options.update(login_user=dba, login_password="low")
    everything = {"tables": ["select"], "sequences": ["usage"], "functions": ["execute"]}
    site.entry["groups"] = {
        site.rw: {"schemas": ["public"], **everything},
        site.ro: {"schemas": ["public"], "tables": ["select"]},
    }
    site.changes()
    site.sql(f"SET ROLE {site.owner}; CREATE TABLE parted (n int) PARTITION BY LIST (n)")
    site()
    site.sql(OF_OTHERS)
    site.sql(
        f"GRANT DELETE ON t TO {site.ro}; GRANT UPDATE (n) ON t TO {site.ro}; GRANT SELECT ON v TO {site.ro} WITH GRANT OPTION"
    )
    site.sql(f"GRANT CREATE ON SCHEMA public TO {site.ro}" if site.server.major < 15 else "SELECT 1")
    site.entry["groups"][site.rw]["schemas"] = ["public", "theirs"]
    before = site.sql(PRIVILEGES)
    with pytest.raises(Problem) as caught:
        site(close_databases=["postgres", "template1"])
    reported = f"{caught.value} {' '.join(caught.value.result['warnings'])}"
    for what in (
        f"{site.rw}: + SELECT on tables in schema public (public.ft, public.m, public.part and 2 more)",
        "+ USAGE on sequences in schema public (public.s, public.t_m_seq, public.t_n_seq)",
        "+ EXECUTE on functions in schema public (public.f(integer), public.g(integer), public.p(integer))",
        "+ USAGE on schema theirs",
        "- DELETE on tables in schema public (public.t)",
        "- UPDATE on columns of tables in schema public (public.t)",
        "- GRANT OPTION for SELECT on tables in schema public (public.v)",
        "template1: - CONNECT of PUBLIC",
    ):
        assert f"{what} is not done: " in reported
    assert "belongs to postgres, who or a superuser has to do it" in reported
    assert site.sql(PRIVILEGES) == before
    assert not caught.value.result["changed"] or all("theirs" in change for change in caught.value.result["changes"])


def test_who_is_logged_in_because_public_may_is_not_locked_out_unless_told(site):
    name = f"guest_{site.number}"
    site.sql(f"CREATE DATABASE {site.database}", "postgres")
    site.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'guest'", "postgres")
    with contextlib.closing(site.server.connect(site.database, user=name, password="guest")):
        assert f"{name} is logged in to {site.database}, and may be because PUBLIC may" in site.refused()
        assert any("- CONNECT" in change for change in site(check=True, lock_out=[name])["changes"])
        site({**site.entry, "connect": [name]})
        assert not site({**site.entry, "connect": [name]})["changed"]
