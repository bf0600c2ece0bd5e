# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module postgresql_ownership: everything a role owns, object by object, without anybody losing anything."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem

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
            Problem, match=r"2 of 4 objects stay whose they are. table sales.busy: it was in use in 2 tries of 50 ms"
        ) as caught:
            site("postgresql_ownership", roles=[site.login], tries=2, lock_timeout=50)
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
