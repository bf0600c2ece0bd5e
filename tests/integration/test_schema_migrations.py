# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`migrations` of the document with Alembic, Django and yoyo: in a new database, on objects of the owner, and on objects of users that are gone."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

import pytest
from environments import output_of, tool

from .conftest import extra

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import servers

    from .conftest import Play, Values

pytestmark = pytest.mark.full

GONE = 30
"""Users that are gone and left a table each."""


class Tool(t.NamedTuple):
    """A tool for migrations, with two of them: the first creates `<name>_guests`, the second changes that and t0, t1, ..."""

    name: str
    files: dict[str, str]
    command: tuple[str, ...]
    """In the directory of these files, of which `{home}` is the path; the revision is the last word."""
    revisions: tuple[str, str, str]
    """The first migration, the second, and the newest, to which there is nothing left to do."""
    tables: set[str]
    """What it creates."""


ALEMBIC = Tool(
    "alembic",
    {
        "alembic.ini": """
[alembic]
script_location = %(here)s
""",
        "env.py": """
import os
from alembic import context
from sqlalchemy import create_engine, make_url

url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg2")
with create_engine(url).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
""",
        "versions/first.py": """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None

def upgrade():
    op.create_table("alembic_guests", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
""",
        "versions/second.py": r"""
import re
import sqlalchemy as sa
from alembic import op

revision, down_revision = "2", "1"

def upgrade():
    for name in sa.inspect(op.get_bind()).get_table_names():
        if re.fullmatch(r"t\d+|alembic_guests", name):
            op.add_column(name, sa.Column("alembic_added", sa.Date))
            op.create_index(name + "_alembic_added", name, ["alembic_added"])
            op.alter_column(name, "name", type_=sa.String(200))
""",
    },
    ("alembic", "-c", "{home}/alembic.ini", "upgrade"),
    ("1", "2", "head"),
    {"alembic_guests", "alembic_version"},
)
DJANGO = Tool(
    "django",
    {
        "settings.py": """
import os
from urllib.parse import unquote, urlsplit

url = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "HOST": url.hostname, "PORT": url.port,
    "USER": unquote(url.username), "PASSWORD": unquote(url.password),
}}
INSTALLED_APPS = ["hotel"]
""",
        "hotel/__init__.py": "",
        "hotel/migrations/__init__.py": "",
        "hotel/migrations/0001_first.py": """
from django.db import migrations, models

class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel(
            "guests", [("id", models.AutoField(primary_key=True)), ("name", models.TextField())], {"db_table": "django_guests"}
        )
    ]
""",
        "hotel/migrations/0002_second.py": r"""
import re
from django.db import connection, migrations, models

existing = [name for name in connection.introspection.table_names() if re.fullmatch(r"t\d+", name)]

class Migration(migrations.Migration):
    dependencies = [("hotel", "0001_first")]
    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[
            migrations.CreateModel(
                name, [("id", models.AutoField(primary_key=True)), ("name", models.TextField(null=True))], {"db_table": name}
            )
            for name in existing
        ])
    ] + [
        operation
        for name in ["guests", *existing]
        for operation in (
            migrations.AddField(name, "django_added", models.DateField(null=True, db_index=True)),
            migrations.AlterField(name, "name", models.CharField(max_length=200, null=True)),
        )
    ]
""",
    },
    ("django-admin", "migrate", "--pythonpath={home}", "--settings=settings", "hotel"),
    ("0001", "0002", "0002"),
    {"django_guests", "django_migrations"},
)
YOYO = Tool(
    "yoyo",
    {
        "yoyo.ini": """
[DEFAULT]
sources = %(here)s/migrations
database = %(DATABASE_URL)s
batch_mode = on
""",
        "migrations/first.sql": """
CREATE TABLE yoyo_guests (id serial PRIMARY KEY, name text);
""",
        "migrations/second.py": r"""
from yoyo import step

__depends__ = {"first"}

def change(connection):
    with connection.cursor() as cursor:
        cursor.execute(r"SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^(t\d+|yoyo_guests)$'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {name} ADD yoyo_added date, ALTER name TYPE varchar(200)")
            cursor.execute(f"CREATE INDEX ON {name} (yoyo_added)")

step(change)
""",
    },
    ("yoyo", "apply", "--config={home}/yoyo.ini", "--revision"),
    ("first", "second", "second"),
    {"yoyo_guests", "yoyo_lock", "_yoyo_log", "_yoyo_migration", "_yoyo_version"},
)


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


def migrate(migrations: Tool, home: Path, name: str, postgres: servers.PostgreSQL, bao: servers.OpenBao) -> None:
    """Runs a tool to each of its revisions, as a user of its own that has ended before the next one."""
    for path, text in migrations.files.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    command = [word.format(home=home) for word in migrations.command]
    for revision in migrations.revisions:
        lease = bao.request("GET", f"mig/creds/migrate-{name}")
        user = f"{quote(lease['data']['username'])}:{quote(lease['data']['password'])}"
        url = f"postgresql://{user}@{postgres.host}:{postgres.port}/mig_{name}"
        output_of(tool("migration-tools") / command[0], *command[1:], revision, environment={"DATABASE_URL": url})
        bao.request("PUT", "sys/leases/revoke", {"lease_id": lease["lease_id"], "sync": True})
        assert postgres.sql(f"SELECT FROM pg_roles WHERE rolname = '{lease['data']['username']}'") == []


@pytest.mark.usefixtures("existing")
def test_tools_migrate_new_databases_those_of_the_owner_and_those_of_users_that_are_gone(
    play: Play, postgres: servers.PostgreSQL, bao: servers.OpenBao
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
        tables = set() if name == "fresh" else {f"t{number}" for number in range(GONE)}
        altered = set(tables)
        for each in (ALEMBIC, DJANGO, YOYO):
            migrate(each, play.directory / each.name, name, postgres, bao)
            tables |= each.tables
            found = postgres.sql(f"""
                SELECT relname, pg_get_userbyid(relowner), has_table_privilege('mig_{name}_rw', oid, 'SELECT')
                  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
            """, f"mig_{name}")  # fmt: skip
            assert set(found) == {(table, f"mig_{name}_owner", True) for table in tables}
            found = postgres.sql(f"""
                SELECT relname FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid WHERE relkind = 'r' AND attname = '{each.name}_added'
            """, f"mig_{name}")  # fmt: skip
            assert {table for (table,) in found} == altered | {f"{each.name}_guests"}
    assert play("leasehold.vault.site", *variables).changes == 0
