# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A living database, for the modules that take over what is there."""

from __future__ import annotations

import secrets

import psycopg2
import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.modules import postgresql_cutover, postgresql_ownership

from ...conftest import validated

TASKS = {"postgresql_cutover": postgresql_cutover.TASK, "postgresql_ownership": postgresql_ownership.TASK}


class Site:
    """A database with an owner, a group, and a login that may do what the group may."""

    def __init__(self, server):
        self.server, self.number = server, secrets.token_hex(4)
        self.database, self.owner, self.login, self.group, self.dba = (
            f"{name}_{self.number}" for name in ("db", "owner", "billing", "rw", "dba")
        )
        self.version = int(self.sql("SHOW server_version_num", "postgres")[0][0])
        self.new = self.version >= 160000
        self.options = {
            "database": self.database, "login_host": server.host, "login_port": server.port, "login_password": server.password,
        }  # fmt: skip
        self.sql(f"CREATE ROLE {self.owner}", "postgres")
        self.sql(f"CREATE DATABASE {self.database} OWNER {self.owner}", "postgres")
        self.sql(f"""
            CREATE ROLE {self.login} LOGIN PASSWORD 'old'; CREATE ROLE {self.group};
            SET ROLE {self.owner};
            CREATE SCHEMA sales; CREATE TABLE sales.orders (id serial, note text); CREATE TABLE sales.items (id int);
            GRANT USAGE ON SCHEMA sales TO {self.login}, {self.group};
            GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA sales TO {self.login}, {self.group};
            GRANT USAGE ON ALL SEQUENCES IN SCHEMA sales TO {self.login}, {self.group};
        """)

    def sql(self, text, where=None, **login):
        connection = self.server.connect(where or self.database, **login)
        try:
            with connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def __call__(self, module="postgresql_cutover", check=False, **more):
        given = (
            {"login": self.login, "group": self.group}
            if module == "postgresql_cutover"
            else {"owner": self.owner, "pause": 0.1}
        )
        return TASKS[module].perform(validated(module, {**given, **self.options, **more}), check)

    def changes(self, module="postgresql_cutover", **more):
        """A check run foresees exactly what a run does; another one has nothing to do."""
        foreseen, done = self(module, check=True, **more), self(module, **more)
        keys = ("changes", "changed", "diff")
        assert [done[key] for key in keys] == [foreseen[key] for key in keys]
        assert done["changed"]
        again = self(module, **more)
        assert (again["changes"], again["changed"]) == ([], False)
        return done

    def refused(self, module="postgresql_cutover", **more):
        sentences = set()
        for check in (True, False):
            with pytest.raises(Problem) as caught:
                self(module, check=check, **more)
            sentences.add(str(caught.value))
        (sentence,) = sentences
        return sentence

    def as_login(self):
        return psycopg2.connect(
            host=self.server.host, port=self.server.port, dbname=self.database, user=self.login, password="old",
            application_name="billing-web",
        )  # fmt: skip


@pytest.fixture(params=["postgres", pytest.param("postgres15", marks=pytest.mark.full)])
def site(request):
    site = Site(request.getfixturevalue(request.param))
    yield site
    site.sql(f"DROP DATABASE {site.database} WITH (FORCE)", "postgres")
    for (name,) in site.sql(f"SELECT rolname FROM pg_roles WHERE rolname LIKE '%{site.number}'", "postgres"):
        site.sql(f'DROP OWNED BY "{name}" CASCADE; DROP ROLE "{name}"', "postgres")
