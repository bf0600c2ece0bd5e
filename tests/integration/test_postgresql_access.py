# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role postgresql_access on PostgreSQL 15 and 18, each time with and without the functions.

The document has two entries per server: `plain` (the admin role has CREATEROLE) and `careful` (it has the functions).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import typing as t
from contextlib import closing
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest

from .conftest import interpreter

if t.TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]
FIRST_PASSWORD = "First 'one' \"%s\" äß\u00a0x"
IN_AN_HOUR = time.strftime("%Y-%m-%d %H:%M:%S+0000", time.gmtime(time.time() + 3600))

SYNC = "Make roles, databases and privileges be as the document says"
REVOCATION = """
DO $do$
DECLARE
  pids int[];
BEGIN
  GRANT "{name}" TO CURRENT_USER;
  pids := ARRAY(SELECT pid FROM pg_catalog.pg_stat_activity WHERE usename = '{name}');
  PERFORM pg_catalog.pg_terminate_backend(p) FROM pg_catalog.unnest(pids) AS p;
  FOR i IN 1..500 LOOP
    PERFORM pg_catalog.pg_stat_clear_snapshot();
    EXIT WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE usename = '{name}' AND pid = ANY (pids));
    PERFORM pg_catalog.pg_sleep(0.01);
  END LOOP;
  REASSIGN OWNED BY "{name}" TO "{group}";
  DROP OWNED BY "{name}";
  DROP ROLE "{name}";
END
$do$"""


# ------------------------------------------------------------------------------------------------------- the setting


class Run(t.NamedTuple):
    """What a run of the playbook said."""

    output: str
    changed: list[str]
    """The lines of the diff, and other tasks that changed something."""
    ok: bool


class Access:
    """One server, its document, and the playbook."""

    def __init__(self, server: t.Any, directory: Path) -> None:
        self.server = server
        self.directory = directory
        tree = directory / "tree" / "ansible_collections" / "leasehold"
        tree.mkdir(parents=True)
        (tree / "vault").symlink_to(CHECKOUT)
        self.document: dict[str, t.Any] = {
            "postgresql_access_login_password": server.password,
            "postgresql_access_close_databases": ["access_other"],
            "vault_databases": [self.entry("plain", "none"), self.entry("careful", "leasehold")],
        }
        # Left out where it is the default.
        del self.document["vault_databases"][server.major < 16]["functions"]

    def entry(self, name: str, functions: str) -> dict[str, t.Any]:
        rights: dict[str, t.Any] = {
            "tables": ["select", "insert", "update", "delete"],
            "sequences": ["usage", "select"],
        }
        groups = {f"{name} Group": {"schemas": ["public"], **rights, "schema_privileges": ["usage", "create"]}}
        if name == "plain":
            groups["plain_ro"] = {"schemas": ["public", "extra"], "tables": ["select"]}
        return {
            "name": name, "host": self.server.host, "port": self.server.port, "sslmode": "disable",
            "database": f"access_{name}", "owner": f"{name}_owner", "functions": functions,
            "admin": {"username": f"{name}_admin", "password": FIRST_PASSWORD},
            "groups": groups,
            "roles": {f"{name}-role": {"default_ttl": "1h"}},
        }  # fmt: skip

    def run(self, *arguments: str, playbook: str = "leasehold.vault.postgresql") -> Run:
        document = self.directory / "document.json"
        document.write_text(json.dumps(self.document))
        paths = [str(self.directory / "tree"), *filter(None, [os.environ.get("ANSIBLE_COLLECTIONS_PATH")])]
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), playbook, "-e", f"@{document}", "-i", "localhost,",
             "-c", "local", "--diff", *arguments],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd=self.directory,
            env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": ":".join(paths), "ANSIBLE_PYTHON_INTERPRETER": interpreter(),
                 "ANSIBLE_HOME": str(self.directory / "home"), "ANSIBLE_PIPELINING": "true", "ANSIBLE_NOCOLOR": "true",
                 "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        changed: list[str] = []
        task = ""
        for line in done.stdout.splitlines():
            if found := re.match(r"TASK \[(?:leasehold\.vault\.postgresql_access : )?(.*)\] \*", line):
                task = found[1]
            elif found := re.match(r"  (\S.*: [-+*] .+)$", line):
                changed.append(found[1])
            elif re.match(r"changed: ", line) and task != SYNC:
                changed.append(task)
        return Run(done.stdout, changed, done.returncode == 0)

    def run_well(self, *arguments: str) -> Run:
        run = self.run(*arguments)
        assert run.ok, run.output
        return run

    def dba(self, sql: str, database: str = "postgres") -> list[tuple[t.Any, ...]]:
        return self.server.sql(sql, database)

    def login(self, entry: str, user: str, password: str) -> t.Any:
        return self.server.connect(f"access_{entry}", user=user, password=password)

    def as_admin(self, entry: str, sql: str, *values: object) -> list[tuple[t.Any, ...]]:
        return self.server.sql(sql, f"access_{entry}", values or None, user=f"{entry}_admin", password="rotated")

    def issue(self, entry: str, name: str, group: str | None = None) -> None:
        group = group or f"{entry} Group"
        if entry == "careful":
            self.as_admin(entry, f"SELECT leasehold.issue('{name}', 'secret', '{IN_AN_HOUR}', '{group}')")
        else:
            self.as_admin(
                entry, f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'secret' VALID UNTIL '{IN_AN_HOUR}' IN ROLE \"{group}\""
            )

    def revoke(self, entry: str, name: str, group: str | None = None) -> None:
        group = group or f"{entry} Group"
        if entry == "careful":
            self.as_admin(entry, f"SELECT leasehold.revoke('{name}', '{group}')")
        else:
            self.as_admin(entry, REVOCATION.format(name=name, group=group))

    def has_role(self, name: str) -> bool:
        return bool(self.dba(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'"))


class Prepared(t.NamedTuple):
    access: Access
    predicted: Run
    existed: bool
    first: Run
    log: str


@pytest.fixture(scope="module", params=["postgres15", pytest.param("postgres", marks=pytest.mark.full)])
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """A server on which the role ran once in check mode and once for real, while everything was logged."""
    access = Access(request.getfixturevalue(request.param), tmp_path_factory.mktemp("access"))
    access.dba("CREATE DATABASE access_other")
    access.dba("ALTER SYSTEM SET log_statement = 'all'")
    access.dba("SELECT pg_reload_conf()")
    predicted = access.run_well("--check")
    existed = access.has_role("plain_admin") or access.has_role("careful_owner")
    first = access.run_well("-vvv")
    log = access.server.log_path.read_text()
    access.dba("ALTER SYSTEM RESET log_statement")
    access.dba("SELECT pg_reload_conf()")
    with closing(access.login("plain", "plain_admin", FIRST_PASSWORD)):
        pass
    with closing(access.login("careful", "careful_admin", FIRST_PASSWORD)):
        pass
    for entry in ("plain", "careful"):
        access.dba(f"ALTER ROLE {entry}_admin PASSWORD 'rotated'")  # as Vault does
        access.dba(
            f"SET ROLE {entry}_owner; CREATE TABLE items (id int GENERATED BY DEFAULT AS IDENTITY, what text)",
            f"access_{entry}",
        )
    access.dba("SET ROLE plain_owner; CREATE TABLE extra.more (what text)", "access_plain")
    yield Prepared(access, predicted, existed, first, log)
    for entry in ("plain", "careful"):
        access.dba(f"DROP DATABASE access_{entry} WITH (FORCE)")
    access.dba("DROP DATABASE access_other")


@pytest.fixture
def access(prepared: Prepared) -> Access:
    return prepared.access


both = pytest.mark.parametrize("entry", ["plain", "careful"])


# ----------------------------------------------------------------------------------------------------------- stories


def test_check_mode_on_a_fresh_server_predicts_and_writes_nothing(prepared: Prepared) -> None:
    assert "access_plain: + database, owner plain_owner" in prepared.predicted.changed
    assert prepared.predicted.changed == prepared.first.changed
    assert not prepared.existed


def test_initial_password_is_neither_printed_nor_logged(prepared: Prepared) -> None:
    printed = prepared.predicted.output + prepared.first.output
    for secret in (FIRST_PASSWORD, "First '", prepared.access.server.password, "SCRAM-SHA-256$"):
        assert secret not in printed
    assert "First" not in prepared.log
    assert "SCRAM-SHA-256$" in prepared.log, "the log was not looked at"


@both
def test_a_user_works_at_once_and_is_really_gone(access: Access, entry: str) -> None:
    access.issue(entry, "v-t")
    session = access.login(entry, "v-t", "secret")
    session.cursor().execute(
        "INSERT INTO items (what) VALUES ('by v-t'); CREATE TABLE own (n int);"
        "CREATE TEMP TABLE scratch (n int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    access.revoke(entry, "v-t")
    with pytest.raises(psycopg2.OperationalError):
        session.cursor().execute("SELECT 1")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        access.login(entry, "v-t", "secret")
    assert not access.has_role("v-t")
    assert access.dba("SELECT what FROM items", f"access_{entry}") == [("by v-t",)]
    assert access.dba("SELECT tableowner FROM pg_tables WHERE tablename = 'own'", f"access_{entry}") == [
        (f"{entry} Group",)
    ]
    access.dba("DROP TABLE own; DROP FUNCTION f()", f"access_{entry}")


def test_read_group_reads_and_public_cannot_connect(access: Access) -> None:
    access.issue("plain", "v-r", "plain_ro")
    with closing(access.login("plain", "v-r", "secret")) as session, session.cursor() as cursor:
        cursor.execute("SELECT * FROM items; SELECT * FROM extra.more")
        for forbidden in ("INSERT INTO items (what) VALUES ('x')", "CREATE TABLE x ()", "CREATE TABLE extra.x ()"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(forbidden)
    for closed in ("access_other", "access_careful"):
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            access.server.connect(closed, user="v-r", password="secret")
    access.revoke("plain", "v-r", "plain_ro")


def test_the_admin_role_has_no_more_than_it_needs(access: Access) -> None:
    attributes = dict(access.dba("SELECT rolname, rolcreaterole FROM pg_roles WHERE rolname LIKE '%_admin'"))
    assert attributes["plain_admin"] is True
    assert attributes["careful_admin"] is False
    for entry in ("plain", "careful") if access.server.major >= 16 else ("careful",):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            access.as_admin(entry, "SELECT * FROM items")


def test_the_functions_do_nothing_else(access: Access) -> None:
    group, end = "careful Group", IN_AN_HOUR
    access.dba(
        'CREATE ROLE "v-boss" LOGIN CREATEROLE IN ROLE "careful Group"; CREATE ROLE "v-super" SUPERUSER;'
        'CREATE ROLE "v-alien" LOGIN IN ROLE pg_monitor; CREATE ROLE "v-loner" LOGIN;'
        "CREATE ROLE stranger LOGIN PASSWORD 'secret'; GRANT CONNECT ON DATABASE access_careful TO stranger"
    )
    access.issue("careful", "v-live")
    issue, renew, revoke = (
        f"SELECT leasehold.{call}" for call in ("issue(%s, %s, %s, %s)", "renew(%s, %s)", "revoke(%s, %s)")
    )
    refused: list[tuple[str, tuple[object, ...]]] = [
        *((issue, (name, "p", end, group)) for name in ("x", "v-", "V-x", "postgres", "v-" + "x" * 62, "v-" + "ä" * 31, None)),
        *((issue, ("v-new", "p", end, role)) for role in (
            "postgres", "pg_execute_server_program", "pg_monitor", "careful_owner", "careful_admin", "leasehold_definer",
            "plain Group", "v-live", "v-boss", "", 'careful Group", postgres', None)),
        *((renew, (name, end)) for name in ("postgres", "careful_admin", "careful Group", "v-boss", "v-super", "v-alien", "v-loner", "v-none", None)),
        *((revoke, (name, group)) for name in ("postgres", "careful_admin", "leasehold_definer", "v-boss", "v-super", "v-alien", "v-loner", None)),
        *((revoke, ("v-live", role)) for role in ("postgres", "careful_admin", "leasehold_definer", "plain Group", "v-live", "", None)),
        ('CREATE ROLE "v-direct"', ()), ("SET ROLE leasehold_definer", ()), ('SET ROLE "careful Group"', ()),
        ('GRANT "careful Group" TO careful_admin', ()), ('ALTER ROLE "v-live" SUPERUSER', ()),
        ("CREATE FUNCTION leasehold.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", ()),
        ("SELECT leasehold.check_name('v-x')", ()), ("DROP FUNCTION leasehold.renew(text, timestamptz)", ()),
    ]  # fmt: skip
    before = access.dba("SELECT * FROM pg_roles ORDER BY 1")
    with closing(access.login("careful", "careful_admin", "rotated")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION pg_temp.quote_nullable(text) RETURNS text LANGUAGE sql AS 'SELECT $1'")
        for sql, values in refused:
            with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.InvalidGrantOperation)):
                cursor.execute(sql, values)
                pytest.fail(f"{sql} {values} was not refused")
        for sql, values in (
            (issue, ("v-new", None, end, group)),
            (issue, ("v-new", "p", None, group)),
            (renew, ("v-live", None)),
        ):
            with pytest.raises(psycopg2.errors.NullValueNotAllowed):
                cursor.execute(sql, values)
        assert access.dba("SELECT * FROM pg_roles ORDER BY 1") == before
        cursor.execute(issue, ("v-quote", "' SUPERUSER CREATEROLE --", end, group))
        cursor.execute(renew, ("v-quote", end))
        cursor.execute(revoke, ("v-quote", group))
        cursor.execute(revoke, ("v-quote", group))  # gone already: nothing to do, and no stranded lease
        cursor.execute(revoke, ("v-live", group))
    with closing(access.login("careful", "stranger", "secret")) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(issue, ("v-new", "p", end, group))
    access.dba(
        'REVOKE CONNECT ON DATABASE access_careful FROM stranger; DROP ROLE "v-boss", "v-super", "v-alien", "v-loner", stranger'
    )


def test_changes_made_elsewhere_are_reverted_only(access: Access) -> None:
    """The password that Vault gave the admin role meanwhile included."""
    new = access.server.major >= 16
    access.dba(
        'REVOKE UPDATE ON items FROM "plain Group"; GRANT TRUNCATE, DELETE ON items TO plain_ro;'
        "ALTER DEFAULT PRIVILEGES FOR ROLE plain_owner IN SCHEMA public REVOKE SELECT ON TABLES FROM plain_ro;"
        "ALTER ROLE plain_admin SET statement_timeout = '5min';"
        'REVOKE ADMIN OPTION FOR "plain Group" FROM plain_admin;',
        "access_plain",
    )
    access.dba(
        "CREATE OR REPLACE FUNCTION leasehold.check_name(candidate text) RETURNS void LANGUAGE sql AS '';"
        "REVOKE EXECUTE ON FUNCTION leasehold.renew FROM careful_admin; GRANT CONNECT ON DATABASE access_careful TO PUBLIC;"
        'GRANT "careful Group" TO careful_admin; ALTER ROLE careful_admin CREATEROLE',
        "access_careful",
    )
    if new:  # a right that the admin role could have given itself
        access.dba("GRANT plain_ro TO plain_admin WITH INHERIT TRUE")
    expected = [
        "plain_admin: * statement_timeout = 60s",
        "plain Group: + ADMIN OPTION of plain_admin",
        *(["plain_ro: - INHERIT OPTION of plain_admin"] if new else []),
        "careful Group: - member careful_admin",
        "careful_admin: * NOCREATEROLE",
        "access_careful: - CONNECT of PUBLIC",
        "plain Group: + UPDATE on tables in schema public (1 table: public.items)",
        "plain_ro: + SELECT on tables in schema public (those to come from plain_owner)",
        "plain_ro: - DELETE, TRUNCATE on tables in schema public (1 table: public.items)",
        "schema leasehold: * functions of this version",
        "careful_admin: + EXECUTE on leasehold.renew(text,timestamp with time zone) in schema leasehold",
    ]
    assert access.run_well("--check").changed == expected
    assert access.run_well().changed == expected
    for entry in ("plain", "careful"):
        access.as_admin(entry, "SELECT 1")
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            access.login(entry, f"{entry}_admin", FIRST_PASSWORD)
    assert access.run_well("--check").changed == []


@pytest.mark.full
def test_admin_role_of_same_server_under_another_name_is_refused(access: Access) -> None:
    """The server is asked which one it is: 127.1 is 127.0.0.1, as a second name in DNS would be."""
    documented = access.document
    first = documented["vault_databases"][0]
    second = {**first, "name": "second", "host": "127.1", "roles": {}}
    access.document = {**documented, "vault_databases": [first, second]}
    run = access.run()
    access.document = documented
    assert not run.ok
    assert "second: it is on the same server as plain, whatever host says" in run.output
    assert run.changed == []


# --------------------------------------------------------------------------------------------------------- bad input


def test_bad_input_is_refused_in_one_sentence(postgres: t.Any, tmp_path: Path) -> None:
    """One of each place that refuses; the rest is in tests/unit/plugins/module_utils/test__postgresql.py."""
    access = Access(postgres, tmp_path)
    good = access.entry("plain", "none")
    group = good["groups"]["plain_ro"]
    cases: dict[str, list[dict[str, t.Any]]] = {
        "There is nothing to prepare": [],
        "Entry 1 of vault_databases lacks owner, groups.": [
            {k: v for k, v in good.items() if k not in ("owner", "groups")}
        ],
        "vault_databases[0].groups.g: unknown key table; did you mean tables?; vault_databases[0]: unknown key sslmod": [
            {**good, "groups": {"g": {**group, "table": ["select"]}}, "sslmod": "require"}
        ],
        "'plain_admin' is the admin role of vault_databases[0], too": [
            good,
            {**good, "name": "second", "roles": {}, "host": "localhost"},
        ],
        "creators and connect name nobody_here,": [{**good, "creators": ["nobody_here"]}],
        "bad_admin does not exist yet. Give it its first password": [{**good, "admin": {"username": "bad_admin"}}],
    }
    steps = [
        {"block": [{"include_role": {"name": "leasehold.vault.postgresql_access"}, "vars": {"vault_databases": databases}}],
         "rescue": [{"debug": {"msg": f"SAID {number} {{{{ ansible_failed_result.msg | default(ansible_failed_result) }}}}"}}]}
        for number, databases in enumerate(cases.values())
    ]  # fmt: skip
    playbook = tmp_path / "bad.json"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": steps}]))
    del access.document["vault_databases"]
    run = access.run(playbook=str(playbook))
    given = {
        int(number): json.loads(f'"{line}"') for number, line in re.findall(r'"msg": "SAID (\d+) (.*)"', run.output)
    }
    for number, expected in enumerate(cases):
        assert expected in given.get(number, ""), (given.get(number), run.output[-3000:])
    assert run.changed == []


@pytest.mark.full
def test_lines_of_pg_hba_are_written_and_loaded_once(access: Access) -> None:
    file = access.server.data_directory / "pg_hba.conf"
    before, state = file.read_bytes(), file.stat()
    loaded = access.dba("SELECT pg_conf_load_time()")
    rule = {
        "contype": "host",
        "databases": "access_plain",
        "users": "plain_admin",
        "address": "192.0.2.7/32",
        "method": "scram-sha-256",
    }
    access.document |= {"postgresql_access_pg_hba": [rule], "postgresql_access_pg_hba_path": str(file)}
    try:
        first, again = access.run_well(), access.run_well()
        assert first.changed == ["Manage pg_hba.conf"]
        assert again.changed == []
        assert access.dba(
            "SELECT user_name, address FROM pg_hba_file_rules WHERE address = '192.0.2.7' AND error IS NULL"
        ) == [(["plain_admin"], "192.0.2.7")]
        assert access.dba("SELECT pg_conf_load_time()") > loaded
        assert (file.stat().st_uid, file.stat().st_mode) == (state.st_uid, state.st_mode)
        del access.document["postgresql_access_pg_hba_path"]
        refused = access.run()
        assert not refused.ok
        assert "postgresql_access_pg_hba needs postgresql_access_pg_hba_path" in refused.output
    finally:
        file.write_bytes(before)
        access.dba("SELECT pg_reload_conf()")
        for key in ("postgresql_access_pg_hba", "postgresql_access_pg_hba_path"):
            access.document.pop(key, None)


@pytest.mark.full
def test_maintain_before_17_is_refused_by_name(postgres15: t.Any, tmp_path: Path) -> None:
    access = Access(postgres15, tmp_path)
    entry = access.entry("plain", "none")
    entry["groups"]["plain_ro"]["tables"] = ["select", "MAINTAIN"]
    access.document["vault_databases"] = [entry]
    run = access.run()
    assert not run.ok
    assert (
        "plain: plain_ro has the table privilege maintain, which PostgreSQL knows from 17 on; this server is 15."
        in run.output
    )
    assert run.changed == []
