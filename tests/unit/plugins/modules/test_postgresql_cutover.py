# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module postgresql_cutover: compared, refused by name, disabled, given back."""

from __future__ import annotations

import contextlib
import threading
import time

import psycopg2
import pytest
import servers
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import cutover as _cutover
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.cutover import MARK, _Cutover, users_of


def test_sessions_are_named_with_what_is_known_of_them():
    one = {"database": "app", "application_name": "web", "address": "10.0.0.7", "count": 12}
    assert users_of([one, {**one, "application_name": "", "address": ""}]) == (
        "12 of web from 10.0.0.7 in app, 12 of an unnamed application in app"
    )


def rights(result):
    return {each["right"]: each["detail"] for each in result["lacks"]}


@pytest.mark.real
def test_login_is_disabled_and_given_back_with_its_comment(site):
    site.sql(f"COMMENT ON ROLE {site.login} IS 'of the billing team'")
    found = site()
    assert (found["lacks"], found["surplus"], found["sessions"], found["changed"]) == ([], [], [], False)
    done = site.changes(state="disabled")
    assert done["changes"] == [f"{site.login}: NOLOGIN", f"{site.login}: comment of the billing team ({MARK})"]
    with pytest.raises(psycopg2.OperationalError, match="not permitted to log in"):
        site.as_login()
    assert f"{site.login} cannot log in" in site()["report"]
    site.changes(state="enabled")
    site.as_login().close()
    assert site.sql(f"SELECT shobj_description('{site.login}'::regrole, 'pg_authid')") == [("of the billing team",)]


@pytest.mark.real
def test_each_right_that_the_group_lacks_is_named_and_refused(site):
    site.sql(f"""
        SET ROLE {site.owner};
        GRANT DELETE ON sales.orders TO {site.login}; CREATE SCHEMA stock; GRANT USAGE, CREATE ON SCHEMA stock TO {site.login};
        CREATE TABLE stock.shelf (id int, place text); GRANT SELECT (place) ON stock.shelf TO {site.login};
        ALTER DEFAULT PRIVILEGES IN SCHEMA sales GRANT SELECT ON TABLES TO {site.login};
        CREATE FUNCTION sales.close() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION sales.close FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION sales.close TO {site.login}; GRANT USAGE ON SEQUENCE sales.orders_id_seq TO {site.login} WITH GRANT OPTION;
        CREATE POLICY own ON sales.items USING (current_user = 'x');
        CREATE POLICY less ON sales.orders AS RESTRICTIVE TO {site.group} USING (true);
        CREATE POLICY less ON stock.shelf AS RESTRICTIVE TO {site.login} USING (true);
        RESET ROLE;
        ALTER ROLE {site.login} CREATEDB; ALTER ROLE {site.login} SET search_path TO sales;
        ALTER ROLE {site.login} IN DATABASE {site.database} SET work_mem TO '8MB'; GRANT pg_monitor TO {site.login};
        CREATE TABLE stock.own (); ALTER TABLE stock.own OWNER TO {site.login}
    """)
    expected = {
        "DELETE on tables in schema sales": "1 of 2: orders",
        "USAGE on schema stock": "",
        "CREATE on schema stock": "",
        "SELECT on columns in schema stock": "shelf.place",
        f"SELECT on tables to come from {site.owner} in schema sales": "",
        "EXECUTE on functions in schema sales": "1 of 1: sales.close()",
        "GRANT OPTION on objects in schema sales": "orders_id_seq",
        "policies of row level security in schema sales": "items, orders",
        "policies of row level security in schema stock": None,
        "the attribute CREATEDB": "",
        "the setting search_path": "",
        "the setting work_mem": "",
        "membership in pg_monitor": "",
        "ownership of objects here": "1: table",
        "TRUNCATE on tables in schema stock": "1 of 2: own",
    }
    found = rights(site())
    assert {key: found.get(key) for key in expected} == expected
    named = site.refused(state="disabled").partition(" may not: ")[2].partition(". Give it")[0].split("; ")
    assert named == [f"{right} ({detail})" if detail else right for right, detail in found.items()]
    accept = [right for right in found if right != "DELETE on tables in schema sales"]
    assert "may not: DELETE on tables in schema sales (1 of 2: orders). Give it" in site.refused(
        state="disabled", accept=accept
    )
    assert site(state="disabled", accept=list(found))["changed"]


@pytest.mark.real
def test_login_in_use_is_not_disabled_unless_its_sessions_may_stay_or_end(site):
    with contextlib.closing(site.as_login()) as session:
        assert "1 of billing-web" in site.refused(state="disabled")
        done = site(state="disabled", sessions="keep")
        assert [each["count"] for each in done["sessions"]] == [1]
        with session.cursor() as cursor:
            cursor.execute("SELECT 1")
        done = site.changes(state="disabled", sessions="end")
        assert (done["changes"], done["sessions"]) == ([f"{site.login}: its sessions are ended"], [])


@pytest.mark.real
def test_session_that_comes_between_look_and_nologin_is_seen(site, monkeypatch):
    """Refused, it is rolled back; ended, it is ended, though there was none to foresee."""
    compare, opened = _Cutover._to_disable, []

    def late(self, current):
        changes = compare(self, current)
        opened.append(site.as_login())
        return changes

    monkeypatch.setattr(_Cutover, "_to_disable", late)
    with pytest.raises(Problem, match="is in use \\(1 of billing-web"):
        site(state="disabled")
    assert site()["can_log_in"]
    opened.pop().close()
    done = site(state="disabled", sessions="end")
    assert (done["can_log_in"], done["sessions"]) == (False, [])
    with pytest.raises(psycopg2.OperationalError), opened[0].cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.real
def test_sessions_on_standbys_are_named_and_end_and_one_that_is_away_is_said(site, monkeypatch):
    """Real standbys: tests/integration/test_replicas.py."""
    node = {
        "name": "db",
        "host": site.server.host,
        "port": str(site.server.port),
        "database": "postgres",
        "replica": True,
    }
    with contextlib.closing(site.as_login()):
        assert [each["standby"] for each in site(nodes=[node])["sessions"]] == [""]  # it is the primary
        monkeypatch.setattr(_cutover, "_STANDBY", "SELECT true")
        label = f"db at {site.server.host}:{site.server.port}"
        assert [each["standby"] for each in site(nodes=[node])["sessions"]] == ["", label]
        assert f"on {label}" in site.refused(state="disabled", nodes=[node])
        done = site(state="disabled", sessions="end", nodes=[node])
        assert (done["changed"], done["sessions"]) == (True, [])
    site(state="enabled")
    away = {**node, "port": "1"}
    found = site(nodes=[away])
    assert f"db at {site.server.host}:1 could not be looked at: Logging in to" in found["report"][-1]
    for how in ("refuse", "end"):
        assert "is in use is unknown: db at" in site.refused(state="disabled", sessions=how, nodes=[away])
    done = site.changes(state="disabled", sessions="keep", nodes=[away])
    assert "could not be looked at" in done["warnings"][0]


@pytest.mark.real
def test_login_may_have_a_percent_sign_and_a_note_that_is_out_of_date(site):
    name = f"50% of %s {site.number}"
    site.sql(f"""CREATE ROLE "{name}" LOGIN; COMMENT ON ROLE "{name}" IS 'old ({MARK})'""")
    assert site.changes(state="enabled", login=name)["changes"] == [f"{name}: comment old"]
    site.sql(f"""COMMENT ON ROLE "{name}" IS 'old ({MARK})'""")
    assert site.changes(state="disabled", login=name)["changes"] == [
        f"{name}: NOLOGIN",
        f"{name}: comment old ({MARK})",
    ]


@pytest.mark.real
def test_what_makes_no_sense_is_refused(site):
    swapped = {"login": site.group, "group": site.login, "state": "enabled"}
    for more, sentence in (
        ({"login": "postgres"}, "postgres is a superuser, and no group can have its rights"),
        ({"login": "nobody_here"}, "There is no role nobody_here"),
        ({"group": "nobody_here"}, "There is no group nobody_here"),
        ({"group": "postgres"}, "group: postgres is a superuser"),
        ({"group": site.login}, f"group: {site.login} is the login itself"),
        (swapped, "comment does not say that a cutover took its LOGIN"),
    ):
        assert sentence in site.refused(**more)


@pytest.mark.real
def test_dba_without_superuser_needs_admin_option_and_is_told_so(site):
    site.sql(f"CREATE ROLE {site.dba} LOGIN CREATEROLE PASSWORD 'dba'")
    site.options |= {"login_user": site.dba, "login_password": "dba"}
    if site.new:
        assert f'GRANT "{site.login}" TO "{site.dba}" WITH ADMIN OPTION. Nothing was changed' in site.refused(
            state="disabled"
        )
        site.sql(f"GRANT {site.login} TO {site.dba} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    done = site.changes(state="disabled")
    assert f"{site.dba} sees how many sessions {site.login} has" in done["warnings"][0]
    site.changes(state="enabled")


class Load:
    """Sessions that read and write until they are told to stop; what failed is kept."""

    def __init__(self, site, logins):
        self.site, self.stopped, self.failures, self.rounds = site, threading.Event(), [], [0] * len(logins)
        self.threads = [
            threading.Thread(target=self._work, args=(number, *login)) for number, login in enumerate(logins)
        ]

    def goes_on(self):
        """Wait until each session has begun and ended a round from now on, or one of them has failed."""
        before = list(self.rounds)
        servers.wait_for(
            "rounds of each session",
            lambda: self.failures or all(now > then + 1 for now, then in zip(self.rounds, before, strict=True)),
        )

    def _work(self, number, user, password):
        with contextlib.closing(self.site.server_login(user, password)) as session:
            session.autocommit = True
            while not self.stopped.is_set():
                try:
                    with session.cursor() as cursor:
                        cursor.execute("INSERT INTO work.jobs (note) VALUES ('x') RETURNING id")
                        cursor.execute(
                            "SELECT count(*) FROM work.open_jobs WHERE id > %s", (cursor.fetchone()[0] - 10,)
                        )
                        cursor.execute("UPDATE work.jobs SET note = 'y' WHERE id = (SELECT max(id) FROM work.jobs)")
                except psycopg2.Error as error:
                    self.failures.append(f"{user}: {error}")
                    return
                self.rounds[number] += 1
                time.sleep(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_exc):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.real
@pytest.mark.full
def test_fifty_sessions_notice_nothing_of_a_whole_cutover_and_back(site):
    """Half of them of the old login, half of dynamic users; what the login owns is handed over meanwhile."""
    site.sql(f"""
        CREATE SCHEMA work AUTHORIZATION {site.login}; GRANT USAGE, CREATE ON SCHEMA work TO {site.owner}; SET ROLE {site.login};
        CREATE TABLE work.jobs (id serial PRIMARY KEY, note text); CREATE VIEW work.open_jobs AS SELECT * FROM work.jobs;
        CREATE TABLE work.more (id int GENERATED ALWAYS AS IDENTITY, job int REFERENCES work.jobs);
        GRANT USAGE, CREATE ON SCHEMA work TO {site.group}; GRANT ALL ON ALL TABLES IN SCHEMA work TO {site.group};
        GRANT ALL ON ALL SEQUENCES IN SCHEMA work TO {site.group}
    """)
    users = [f"v-{number}-{site.number}" for number in range(5)]
    for user in users:
        site.sql(f"""CREATE ROLE "{user}" LOGIN PASSWORD 'new' IN ROLE {site.group}""")

    def server_login(user, password):
        return psycopg2.connect(
            host=site.server.host, port=site.server.port, dbname=site.database, user=user, password=password
        )

    site.server_login = server_login
    logins = [(site.login, "old")] * 25 + [(user, "new") for user in users] * 5
    with Load(site, logins) as load:
        load.goes_on()
        plan = site("postgresql_ownership", check=True, roles=[site.login])
        report = site.server.connect(site.database)  # a long transaction that reads
        report.autocommit = False
        with report.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM work.jobs")
        free = threading.Timer(2, report.close)
        free.start()
        handed = site("postgresql_ownership", roles=[site.login])
        free.join()
        assert handed["changes"] == plan["changes"]
        assert "table work.jobs: owner" in " ".join(handed["changes"])
        assert load.failures == []
        found = site()
        assert not found["lacks"], found["lacks"]
        assert sum(each["count"] for each in found["sessions"]) == 25
        site(state="disabled", sessions="keep")
        load.goes_on()
        site(state="enabled")
        load.goes_on()
        servers.wait_for("500 rounds", lambda: load.failures or sum(load.rounds) > 500)
    assert load.failures == []
    assert site.sql("SELECT count(*) > 500 FROM work.jobs") == [(True,)]
