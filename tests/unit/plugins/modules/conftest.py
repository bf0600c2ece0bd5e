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


class OnServer:
    """A server with databases and roles of one's own, whose names end in the same number, and a module that is run there."""

    database: str

    def __init__(self, server):
        self.server, self.number = server, secrets.token_hex(4)
        self.options = {"login_host": server.host, "login_port": server.port, "login_password": server.password}

    def sql(self, text, where=None, **login):
        return self.server.sql(text, where or self.database, **login)

    def changes(self, *what, **more):
        """A check run foresees exactly what a run does; another one has nothing to do."""
        foreseen, done = self(*what, check=True, **more), self(*what, **more)
        keys = ("changes", "changed", "diff")
        assert [done[key] for key in keys] == [foreseen[key] for key in keys]
        assert done["changed"]
        again = self(*what, **more)
        assert (again["changes"], again["changed"]) == ([], False)
        return done

    def refused(self, *what, **more):
        sentences = set()
        for check in (True, False):
            with pytest.raises(Problem) as caught:
                self(*what, check=check, **more)
            sentences.add(str(caught.value))
        (sentence,) = sentences
        return sentence

    def remove(self):
        for (name,) in self.server.sql(f"SELECT datname FROM pg_database WHERE datname LIKE '%{self.number}'"):
            self.server.sql(f"DROP DATABASE {name} WITH (FORCE)")
        for (name,) in self.server.sql(f"SELECT rolname FROM pg_roles WHERE rolname LIKE '%{self.number}'"):
            self.server.sql(f'DROP OWNED BY "{name}" CASCADE; DROP ROLE "{name}"')


class Site(OnServer):
    """A database with an owner, a group, and a login that may do what the group may."""

    def __init__(self, server):
        super().__init__(server)
        self.database, self.owner, self.login, self.group, self.dba = (
            f"{name}_{self.number}" for name in ("db", "owner", "billing", "rw", "dba")
        )
        self.version = int(self.sql("SHOW server_version_num", "postgres")[0][0])
        self.new = self.version >= 160000
        self.options["database"] = self.database
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

    def __call__(self, module="postgresql_cutover", check=False, **more):
        given = (
            {"login": self.login, "group": self.group}
            if module == "postgresql_cutover"
            else {"owner": self.owner, "pause": 0.1}
        )
        return TASKS[module].perform(validated(module, {**given, **self.options, **more}), check)

    def as_login(self):
        return psycopg2.connect(
            host=self.server.host, port=self.server.port, dbname=self.database, user=self.login, password="old",
            application_name="billing-web",
        )  # fmt: skip


@pytest.fixture(params=["postgres", pytest.param("postgres15", marks=pytest.mark.full)])
def site(request):
    site = Site(request.getfixturevalue(request.param))
    yield site
    site.remove()
