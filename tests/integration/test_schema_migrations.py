# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`migrations` of the document with Alembic: in a new database, on objects of the owner, and on objects of users that are gone."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

import pytest
from environments import output_of, tool

from .conftest import extra

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import servers

    from .conftest import Play, Values

pytestmark = pytest.mark.full

GONE = 30
"""Users that are gone and left a table each."""
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine

with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
FIRST = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None

def upgrade():
    op.create_table("guests", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "2", "1"

def upgrade():
    names = [name for name in sa.inspect(op.get_bind()).get_table_names() if name != "alembic_version"]
    for name in names:
        op.add_column(name, sa.Column("added", sa.Date))
        op.create_index(name + "_added", name, ["added"])
        op.alter_column(name, "name", type_=sa.String(200))
"""


def table(name: str) -> str:
    return f"CREATE TABLE public.{name} (id serial PRIMARY KEY, name text);"


def entry(server: servers.PostgreSQL, name: str) -> Values:
    return {
        "name": f"mig_{name}", "host": server.host, "port": server.port, "database": f"mig_{name}", "sslmode": "disable", "owner": f"mig_{name}_owner",
        "admin": {"username": f"mig_{name}_admin", "password": "first"},
        "groups": {f"mig_{name}_rw": {"schemas": ["public"], "tables": ["select", "insert"], "sequences": ["usage"]}},
        "migrations": {"role": f"migrate-{name}", "default_ttl": "5m", "max_ttl": "1h"},
    }  # fmt: skip


@pytest.fixture
def existing(postgres: servers.PostgreSQL, bao: servers.OpenBao) -> Iterator[None]:
    """Databases in use: all tables are the owner's in one, and those of users that are gone in the other."""
    for name in ("owned", "gone"):
        postgres.sql(f"CREATE ROLE mig_{name}_owner")
        postgres.sql(f"CREATE DATABASE mig_{name} OWNER mig_{name}_owner")
    tables = "".join(table(f"t{number}") for number in range(GONE))
    postgres.sql(f"SET ROLE mig_owned_owner;{tables}", "mig_owned")
    for number in range(GONE):
        user = f'"v-old-{number:02}"'
        postgres.sql(
            f"CREATE ROLE {user}; GRANT CREATE ON SCHEMA public TO {user}; SET ROLE {user}; {table(f't{number}')}",
            "mig_gone",
        )
    yield
    bao.request("DELETE", "sys/mounts/mig")
    for name in ("fresh", "owned", "gone"):
        postgres.sql(f"DROP DATABASE IF EXISTS mig_{name} WITH (FORCE)")
    found = "SELECT quote_ident(rolname) FROM pg_roles WHERE rolname ~ '^(mig_|v-old-)' ORDER BY rolname"
    for (name,) in postgres.sql(found):
        postgres.sql(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@pytest.fixture
def alembic(postgres: servers.PostgreSQL, bao: servers.OpenBao, play: Play) -> Callable[[str, str], None]:
    """Runs Alembic to a revision as a user of its own, which ends afterwards."""
    home = play.directory / "alembic"
    (home / "versions").mkdir(parents=True)
    (home / "env.py").write_text(ENV)
    (home / "versions" / "first.py").write_text(FIRST)
    (home / "versions" / "second.py").write_text(SECOND)
    (home / "alembic.ini").write_text(f"[alembic]\nscript_location = {home}\n")

    def upgrade(name: str, revision: str) -> None:
        lease = bao.request("GET", f"mig/creds/migrate-{name}")
        user = f"{quote(lease['data']['username'])}:{quote(lease['data']['password'])}"
        url = f"postgresql+psycopg2://{user}@{postgres.host}:{postgres.port}/mig_{name}"
        output_of(
            tool("migration-tools") / "alembic",
            "-c",
            home / "alembic.ini",
            "upgrade",
            revision,
            environment={"DATABASE_URL": url},
        )
        bao.request("PUT", "sys/leases/revoke", {"lease_id": lease["lease_id"], "sync": True})
        assert postgres.sql(f"SELECT FROM pg_roles WHERE rolname = '{lease['data']['username']}'") == []

    return upgrade


@pytest.mark.usefixtures("existing")
def test_alembic_migrates_new_databases_those_of_the_owner_and_those_of_users_that_are_gone(
    play: Play, postgres: servers.PostgreSQL, alembic: Callable[[str, str], None]
) -> None:
    document = {
        "vault_database_mount": "mig",
        "vault_databases": [entry(postgres, name) for name in ("fresh", "owned", "gone")],
        "postgresql_access_login_password": postgres.password,
        "postgresql_access_close_databases": [],
    }
    variables = extra(**document)
    play("leasehold.vault.site", *variables)
    assert play("leasehold.vault.site", *variables).changes == 0

    task = "Hand over what ended users, or roles that are named, own"
    foreseen, handed = (
        [event["result"]["changes"] for event in play("leasehold.vault.hand_over", *variables, check=check).of(task)]
        for check in (True, False)
    )
    assert handed == foreseen
    assert [len(changes) for changes in handed] == [0, 0, GONE]
    assert play("leasehold.vault.hand_over", *variables).changes == 0

    for name in ("fresh", "owned", "gone"):
        for revision in ("1", "head", "head"):
            alembic(name, revision)
        found = postgres.sql(f"""
            SELECT count(*), count(*) FILTER (WHERE has_table_privilege('mig_{name}_rw', c.oid, 'SELECT')), array_agg(DISTINCT pg_get_userbyid(relowner)::text)
              FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        """, f"mig_{name}")  # fmt: skip
        number = 2 if name == "fresh" else GONE + 2
        assert found == [(number, number, [f"mig_{name}_owner"])]
    assert play("leasehold.vault.site", *variables).changes == 0
