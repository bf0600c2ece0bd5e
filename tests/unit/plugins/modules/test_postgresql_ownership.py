# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module postgresql_ownership: everything a role owns, object by object, without anybody losing anything."""

from __future__ import annotations

import os
import threading
import time

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.ownership import _HandOver

pytestmark = pytest.mark.real

EVERYTHING = """
    CREATE SCHEMA {login} AUTHORIZATION {login}; GRANT ALL ON SCHEMA {login} TO {owner}; GRANT CREATE ON SCHEMA sales TO {login};
    SET ROLE {login}; SET search_path = {login};
    CREATE TABLE parts (id serial, kind int) PARTITION BY LIST (kind); CREATE TABLE "Part 1" PARTITION OF parts FOR VALUES IN (1);
    CREATE SEQUENCE alone; CREATE VIEW few AS SELECT * FROM parts; CREATE MATERIALIZED VIEW kept AS SELECT 1 AS n;
    CREATE TYPE pair AS (a int, b int); CREATE TYPE mood AS ENUM ('x'); CREATE DOMAIN small AS int CHECK (VALUE < 9);
    CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT a + b'; CREATE PROCEDURE run() LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION strong() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
    CREATE AGGREGATE total(int) (SFUNC = add, STYPE = int); CREATE OPERATOR @@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = add);
    CREATE STATISTICS pairs ON id, kind FROM parts; CREATE COLLATION own FROM "C"; CREATE TEXT SEARCH CONFIGURATION words (COPY = pg_catalog.simple);
    SELECT lo_create(0)
"""


def owned_by(site, role):
    return site.sql(f"""
        SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = '"{role}"'::regrole AND deptype = 'o'
    """)[0][0]


def test_everything_is_handed_over_and_the_former_owner_keeps_its_rights(site):
    site.sql(EVERYTHING.format(login=site.login, owner=site.owner))
    number = owned_by(site, site.login)
    before = site.sql(f"SELECT has_table_privilege('{site.login}', '{site.login}.parts', 'SELECT, INSERT, TRUNCATE')")
    done = site.changes("postgresql_ownership", roles=[site.login])
    assert len(done["changes"]) == number - 1  # the sequence of a column goes with its table
    assert (
        f"function {site.login}.strong(): owner {site.login} -> {site.owner}, and runs with the rights of {site.owner}"
        in done["changes"]
    )
    assert owned_by(site, site.login) == 0
    assert (
        before
        == site.sql(f"SELECT has_table_privilege('{site.login}', '{site.login}.parts', 'SELECT, INSERT, TRUNCATE')")
        == [(True,)]
    )
    site.sql(
        f"SET ROLE {site.login}; SET search_path = {site.login}; INSERT INTO parts (kind) VALUES (1); SELECT nextval('alone'), strong(), add(1, 2)"
    )


def test_what_is_in_use_is_tried_again_and_named_if_it_stays_so(site):
    site.sql(
        f"GRANT CREATE ON SCHEMA sales TO {site.login}; SET ROLE {site.login}; CREATE TABLE sales.busy (); CREATE TABLE sales.idle ();"
        "CREATE TABLE sales.read (); CREATE VIEW sales.seen AS SELECT FROM sales.read"
    )
    holder = site.server.connect(site.database)
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE sales.busy, sales.read IN ACCESS SHARE MODE")
        with pytest.raises(
            Problem, match=r"2 of 4 objects stay whose they are. table sales.busy: it was in use in 2 tries of 200 ms"
        ) as caught:
            site("postgresql_ownership", roles=[site.login], tries=2, lock_timeout=200)
        assert caught.value.result["changes"] == [
            f"{each}: owner {site.login} -> {site.owner}" for each in ("table sales.idle", "view sales.seen")
        ]
        site.sql(
            f"SET ROLE {site.login}; SELECT FROM sales.seen"
        )  # its owner may read what has stayed, and nothing else
        may = "SELECT has_table_privilege('{0}', 'sales.read', 'SELECT'), has_table_privilege('{0}', 'sales.busy', 'SELECT')"
        assert site.sql(may.format(site.owner)) == [(True, False)]
        free = threading.Timer(0.3, holder.rollback)
        free.start()
        assert site("postgresql_ownership", roles=[site.login], lock_timeout=50)["changed"]
        free.join()
    holder.close()


def test_what_somebody_would_lose_by_is_named_and_left(site):
    site.sql(f"""
        CREATE SCHEMA closed; GRANT USAGE, CREATE ON SCHEMA closed TO {site.login}; GRANT CREATE ON SCHEMA sales TO {site.login};
        CREATE TABLE closed.secret (); GRANT SELECT ON closed.secret TO {site.login};
        SET ROLE {site.login}; CREATE TABLE closed.own (); CREATE VIEW sales.shown AS SELECT 1 FROM closed.secret;
        CREATE TABLE sales.rows (); ALTER TABLE sales.rows ENABLE ROW LEVEL SECURITY
    """)
    sentence = site.refused("postgresql_ownership", roles=[site.login])
    assert sentence.startswith("3 of 3 objects would stay")
    for part in (
        "GRANT USAGE, CREATE ON SCHEMA",
        "it reads closed.secret, which",
        "row level security does not hold for its owner",
    ):
        assert part in sentence


def test_what_makes_no_sense_is_refused(site):
    for more, sentence in (
        ({"roles": ["postgres"]}, "postgres is a superuser"),
        ({"roles": ["nobody_here"]}, "There is no role nobody_here"),
        ({"roles": [site.owner]}, "is the owner itself"),
        ({"tries": 0}, "lock_timeout and tries are at least 1"),
    ):
        assert sentence in site.refused("postgresql_ownership", **more)


def test_what_ended_users_left_is_handed_over_and_their_code_has_no_rights_of_the_owner(site):
    ended, alive = f"v-ended-{site.number}", f"v-alive-{site.number}"
    site.sql(f"""
        CREATE ROLE "{ended}"; CREATE ROLE "{alive}" LOGIN; GRANT USAGE, CREATE ON SCHEMA sales TO "{ended}", "{alive}";
        SET ROLE "{alive}"; CREATE TABLE sales.stays (); RESET ROLE; SET ROLE "{ended}";
        CREATE TABLE sales.rest (id serial); CREATE FUNCTION sales.trap() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
        CREATE RULE trap AS ON INSERT TO sales.rest DO ALSO NOTHING
    """)
    done = site.changes("postgresql_ownership", ended_users=True)
    assert done["changes"] == [
        f"table sales.rest: owner {ended} -> {site.owner}",
        f"function sales.trap(): owner {ended} -> {site.owner}, SECURITY INVOKER",
    ]
    assert site.sql(
        "SELECT prosecdef, (SELECT count(*) FROM pg_rules WHERE rulename = 'trap') FROM pg_proc WHERE proname = 'trap'"
    ) == [(False, 0)]
    assert (owned_by(site, ended), owned_by(site, alive)) == (0, 1)


def test_code_of_ended_users_that_runs_as_the_owner_is_named_and_left(site):
    """Until somebody who knows it names the user in roles."""
    ended = f"v-ended-{site.number}"
    counted, numbers = "STATISTICS numbers ON run(id), id FROM counted", "statistics numbers"
    if site.server.major < 14:  # statistics have no code
        counted, numbers = "INDEX numbers ON counted (run(id))", "index sales.numbers"
    site.sql(f"""
        CREATE ROLE "{ended}"; GRANT USAGE, CREATE ON SCHEMA sales TO "{ended}"; GRANT REFERENCES ON sales.items TO "{ended}";
        ALTER TABLE sales.items ADD PRIMARY KEY (id); SET ROLE "{ended}"; SET search_path = sales;
        CREATE FUNCTION run(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
        CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
        CREATE FUNCTION apart(int, int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT 1.0::float8';
        CREATE TYPE span AS RANGE (subtype = int, subtype_diff = apart);
        CREATE TABLE indexed (id int, name text); CREATE INDEX trap ON indexed (run(id)); CREATE INDEX fine ON indexed (lower(name)) WHERE id > 1;
        CREATE TABLE partial (id int); CREATE INDEX ON partial (id) WHERE run(id) = 1;
        CREATE TABLE counted (id int); CREATE {counted};
        CREATE TABLE spans (at span); CREATE TABLE checked (id int CHECK (run(id) = 1), made int DEFAULT run(1));
        CREATE TABLE child (id int REFERENCES items ON DELETE CASCADE); CREATE TRIGGER fire BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION fire();
        CREATE TABLE quiet (id int REFERENCES items); CREATE TRIGGER fire BEFORE DELETE ON quiet FOR EACH ROW EXECUTE FUNCTION fire();
        CREATE MATERIALIZED VIEW kept AS SELECT 1 AS n; CREATE TABLE plain (name text); CREATE INDEX ON plain (lower(name));
    """)
    for _again in range(2):  # the function itself has a new owner the second time
        with pytest.raises(Problem) as caught:
            site("postgresql_ownership", ended_users=True)
        found = {each["object"]: each["detail"] for each in caught.value.result["obstacles"]}
        assert sorted(found) == [
            "materialized view sales.kept", *(f"table sales.{name}" for name in ("child", "counted", "indexed", "partial", "spans")),
        ]  # fmt: skip
        for name, part in {
            "child": "code of trigger fire with", "counted": f"code of {numbers} with", "indexed": "code of index sales.trap with",
            "partial": "code of index sales.partial_id_idx with", "spans": "code of type sales.span with",
        }.items():  # fmt: skip
            assert part in found[f"table sales.{name}"]
        assert f"REFRESH would run its query with the rights of {site.owner}" in found["materialized view sales.kept"]
    site.changes("postgresql_ownership", roles=[ended])


def test_ended_user_with_a_session_is_named_and_what_it_did_last_has_no_rights_of_the_owner(site, monkeypatch):
    ended = f"v-ended-{site.number}"
    site.sql(f"""
        CREATE ROLE "{ended}" LOGIN PASSWORD 'old'; GRANT USAGE, CREATE ON SCHEMA sales TO "{ended}"; SET ROLE "{ended}";
        CREATE TABLE sales.rest (id int); CREATE VIEW sales."odd ' view" AS SELECT 1 AS n;
        CREATE FUNCTION sales.trap() RETURNS int LANGUAGE sql AS 'SELECT 1';
    """)
    connection = site.server.connect(site.database, user=ended, password="old")
    site.sql(f"""ALTER ROLE "{ended}" NOLOGIN""")
    assert f"{ended} still has a session" in site.refused("postgresql_ownership", ended_users=True)
    connection.close()
    before = _HandOver._hand_over

    def late(self, todo, failures):
        site.sql("""
            ALTER FUNCTION sales.trap() SECURITY DEFINER; CREATE RULE trap AS ON INSERT TO sales.rest DO ALSO NOTHING;
            CREATE RULE trap AS ON INSERT TO sales."odd ' view" DO INSTEAD NOTHING
        """)
        return before(self, todo, failures)

    monkeypatch.setattr(_HandOver, "_hand_over", late)
    while site.sql(f"SELECT FROM pg_stat_activity WHERE usename = '{ended}'"):
        time.sleep(0.01)
    if site.version >= 150000:
        assert site("postgresql_ownership", ended_users=True)["changed"]
    else:
        with pytest.raises(Problem, match="it would show what"):  # the view stays
            site("postgresql_ownership", ended_users=True)
    assert site.sql(f"""
        SELECT prosecdef, (SELECT count(*) FROM pg_rewrite AS w JOIN pg_class AS c ON c.oid = w.ev_class
                            WHERE rulename = 'trap' AND relowner = '{site.owner}'::regrole) FROM pg_proc WHERE proname = 'trap'
    """) == [(False, 0)]


def test_view_needs_what_it_uses_of_what_the_new_owner_may(site):
    site.sql(f"""
        CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO {site.login}, {site.owner}; GRANT CREATE ON SCHEMA sales TO {site.login};
        CREATE TABLE other.wide (a int, b int); GRANT SELECT (a) ON other.wide TO {site.login};
        CREATE TABLE other.filled (a int); GRANT SELECT, INSERT ON other.filled TO {site.login}; GRANT SELECT ON other.filled TO {site.owner};
        SET ROLE {site.login}; CREATE VIEW sales.narrow AS SELECT a FROM other.wide; CREATE VIEW sales.filling AS SELECT a FROM other.filled;
        CREATE VIEW sales.counted AS SELECT count(*) FROM other.filled; CREATE TABLE sales.noted (a int);
        CREATE RULE note AS ON INSERT TO sales.noted DO ALSO INSERT INTO other.filled VALUES (new.a);
    """)
    invoker = "VIEW sales.invoker WITH (security_invoker = on) AS SELECT a FROM other.wide"
    site.sql(f"SET ROLE {site.login}; CREATE {invoker if site.version >= 150000 else 'TABLE sales.invoker ()'}")
    with pytest.raises(Problem) as caught:
        site("postgresql_ownership", check=True, roles=[site.login])
    sentence = str(caught.value)
    assert sentence.startswith("3 of 5 objects stay")
    for part in (
        "view sales.narrow: it reads other.wide, which",
        f"view sales.filling: {site.login} may write to other.filled through it",
        f"table sales.noted: {site.login} may write to other.filled through it",
    ):
        assert part in sentence
    site.sql(f"GRANT SELECT (a) ON other.wide TO {site.owner}; GRANT INSERT ON other.filled TO {site.owner}")
    site("postgresql_ownership", roles=[site.login])


def test_what_is_dropped_meanwhile_is_no_change(site, monkeypatch):
    site.sql(
        f"GRANT CREATE ON SCHEMA sales TO {site.login}; SET ROLE {site.login}; CREATE TABLE sales.gone (); CREATE TABLE sales.stays ()"
    )
    before = _HandOver._try

    def late(self, owned, failures):
        site.sql("DROP TABLE IF EXISTS sales.gone")
        return before(self, owned, failures)

    monkeypatch.setattr(_HandOver, "_try", late)
    with pytest.raises(Problem) as caught:
        site("postgresql_ownership", roles=[site.login])
    assert caught.value.result["changes"] == [f"table sales.stays: owner {site.login} -> {site.owner}"]
    assert [each["object"] for each in caught.value.result["obstacles"]] == ["table sales.gone"]


def test_lost_connection_names_what_was_done_and_what_is_left(site, monkeypatch):
    site.sql(f"CREATE ROLE {site.dba} LOGIN CREATEROLE PASSWORD 'dba'; GRANT CREATE ON SCHEMA sales TO {site.login}")
    if site.new:
        site.sql(f"GRANT {site.login}, {site.owner} TO {site.dba} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    site.sql(f"SET ROLE {site.login}; CREATE TABLE sales.first (); CREATE TABLE sales.second ()")
    site.options |= {"login_user": site.dba, "login_password": "dba"}
    before = _HandOver._try

    def late(self, owned, failures):
        if owned.identity == "sales.second":
            site.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{site.dba}'")
        return before(self, owned, failures)

    monkeypatch.setattr(_HandOver, "_try", late)
    with pytest.raises(
        Problem, match=f"1 of 2 objects were handed over before, and of one it is unknown.* {site.dba} may still be"
    ) as caught:
        site("postgresql_ownership", roles=[site.login])
    assert (caught.value.result["changed"], caught.value.result["changes"]) == (
        True, [f"table sales.first: owner {site.login} -> {site.owner}"],
    )  # fmt: skip


def test_schema_that_is_handed_over_too_and_what_is_elsewhere(site):
    other, second = f"other_{site.number}", f"second_{site.number}"
    site.sql(f"""
        CREATE ROLE {other}; CREATE SCHEMA "its own" AUTHORIZATION {other}; GRANT USAGE, CREATE ON SCHEMA "its own" TO {site.login};
        SET ROLE {site.login}; CREATE TABLE "its own".mine ()
    """)
    site.sql(f"CREATE DATABASE {second} OWNER {other}", "postgres")
    try:
        done = site("postgresql_ownership", roles=[site.login, other])
        assert done["changes"] == [
            f'schema "its own": owner {other} -> {site.owner}', f'table "its own".mine: owner {site.login} -> {site.owner}',
        ]  # fmt: skip
        assert f"In {second} these roles own objects, too" in done["warnings"][0]
    finally:
        site.sql(f"DROP DATABASE {second}", "postgres")


@pytest.mark.parametrize(
    "site", ["postgres" if int(os.environ.get("LEASEHOLD_POSTGRESQL", "18")) >= 16 else "postgres16"], indirect=True
)
def test_membership_by_another_grantor_is_put_back(site):
    """From PostgreSQL 16 on a role is a member once for each grantor."""
    assert site.new
    boss = f"boss_{site.number}"
    site.sql(f"""
        CREATE ROLE {boss}; CREATE ROLE {site.dba} LOGIN PASSWORD 'dba'; GRANT {boss} TO {site.dba}; GRANT CREATE ON SCHEMA sales TO {site.login};
        GRANT {site.login}, {site.owner} TO {boss} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
        SET ROLE {boss}; GRANT {site.login}, {site.owner} TO {site.dba} WITH INHERIT FALSE, SET FALSE
    """)
    site.sql(f"SET ROLE {site.login}; CREATE TABLE sales.mine ()")
    members = f"""
        SELECT roleid::regrole::text, grantor::regrole::text, admin_option, inherit_option, set_option FROM pg_auth_members
         WHERE member = '{site.dba}'::regrole ORDER BY 1, 2
    """
    before = site.sql(members)
    site.options |= {"login_user": site.dba, "login_password": "dba"}
    site.changes("postgresql_ownership", roles=[site.login])
    assert site.sql(members) == before


def test_dba_without_superuser_is_a_member_while_it_works_and_not_longer(site):
    site.sql(f"CREATE ROLE {site.dba} LOGIN CREATEROLE PASSWORD 'dba'; GRANT CREATE ON SCHEMA sales TO {site.login}")
    site.sql(f"SET ROLE {site.login}; CREATE TABLE sales.mine ()")
    site.options |= {"login_user": site.dba, "login_password": "dba"}
    members = f"SELECT count(*) FROM pg_auth_members WHERE member = '{site.dba}'::regrole"
    if site.new:
        assert f"{site.dba} may not act as {site.owner}" in site.refused("postgresql_ownership", roles=[site.login])
        site.sql(f"GRANT {site.login}, {site.owner} TO {site.dba} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    before = site.sql(members)
    site.changes("postgresql_ownership", roles=[site.login])
    assert site.sql(members) == before
