# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document as arguments of database_sync, and an existing engine as the document; one is the other's way back."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.filter.postgresql_login import postgresql_login
from ansible_collections.leasehold.vault.plugins.module_utils._core import statements
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.adopted import (
    adopted_databases,
    adoption_problems,
)
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.databases import database_document

DATABASE = {
    "name": "db",
    "host": "pg.svc",
    "database": "app db",
    "admin": {"username": "vault_admin", "password": "first"},
    "roles": {"app": {"in_role": "app_rw", "default_ttl": 3600}, "own": {"creation_statements": ["CREATE ROLE x"]}},
    "static_roles": {"reports": {"username": "reports", "rotation_period": 86400}},
}


class Loader(yaml.SafeLoader):
    """YAML as Ansible reads it: `!unsafe` is text."""


Loader.add_constructor("!unsafe", lambda loader, node: node.value)


def test_value_given_once_is_used_everywhere():
    document = database_document([DATABASE], verify="issue")
    (connection,) = document["connections"]
    assert (
        connection["connection_url"]
        == "postgresql://{{username}}:{{password}}@pg.svc:5432/app%20db?sslmode=verify-full"
    )
    assert connection["allowed_roles"] == ["app", "own", "reports"]
    app, own = document["roles"]
    assert (app["name"], app["db_name"], app["verify"]) == ("app", "db", "issue")
    assert not any("functions" in role for role in (app, own))
    assert document["static_roles"] == [
        {"username": "reports", "rotation_period": 86400, "name": "reports", "db_name": "db"}
    ]


@pytest.mark.parametrize(("known", "made_by"), [(True, "leasehold"), (False, "none")])
def test_functions_mode_is_passed_to_roles_with_in_role(known, made_by):
    app, own = database_document([{**DATABASE, "static_roles": None}], functions={"db": known})["roles"]
    assert app["functions"] == made_by
    assert "functions" not in own


def test_value_of_inner_entry_wins():
    entry = {
        **DATABASE,
        "options": {"allowed_roles": ["*"], "max_open_connections": None},
        "connection_url": "postgresql://x",
    }
    (connection,) = database_document([entry])["connections"]
    assert connection["allowed_roles"] == ["*"]
    assert "max_open_connections" not in connection
    assert connection["connection_url"] == "postgresql://x"
    login = {**DATABASE, "login": {"host": "127.0.0.1", "port": 5433}, "static_roles": {}}
    roles = database_document([login], functions={"db": True})["roles"]
    assert [(role["login_host"], role["login_port"]) for role in roles] == [("127.0.0.1", 5433)] * 2
    assert roles[0]["functions"] == "leasehold"
    assert (
        database_document([{**login, "functions": "none"}], functions={"db": True})["roles"][0]["functions"] == "none"
    )


def test_static_roles_with_functions_are_refused():
    """An admin role without CREATEROLE sets nobody's password."""
    with pytest.raises(AnsibleFilterError, match=r"^db: static_roles reports: .* Write functions: none in this entry"):
        database_document([DATABASE], functions={"db": True})
    for more in ({"rotation_statements": ["SELECT 1"]}, {"self_managed_password": "x"}):
        static = {"reports": {**DATABASE["static_roles"]["reports"], **more}}
        assert database_document([{**DATABASE, "static_roles": static}], functions={"db": True})["static_roles"]


def test_empty_role_has_defaults():
    document = database_document([{**DATABASE, "roles": {"plain": None}, "static_roles": {"fixed": None}}])
    assert [role["name"] for role in (*document["roles"], *document["static_roles"])] == ["plain", "fixed"]


@pytest.mark.parametrize("missing", ["name", "host", "database", "admin"])
def test_what_is_missing_is_named(missing):
    with pytest.raises(AnsibleFilterError, match=f"{missing} is missing"):
        database_document([{key: value for key, value in DATABASE.items() if key != missing}])


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"revocation": "strict"},
        {"set_role": True},
        {"functions": "leasehold"},
        {"reassign_owned_to": "o'wner", "revocation": "strict", "functions": "leasehold"},
    ],
    ids=str,
)
def test_adopted_engine_round_trips(extra):
    current = {
        "name": "app",
        "db_name": "db",
        "default_ttl": 3600,
        "max_ttl": 0,
        **statements.expand({"in_role": "app_rw", **extra}),
    }
    url = "postgresql://{{username}}:{{password}}@pg.svc:5432/appdb"
    connection = {
        "name": "db",
        "connection_url": url,
        "username": "vault_admin",
        "allowed_roles": ["app"],
        "max_open_connections": 4,
    }
    static = {"name": "reports", "db_name": "db", "username": "r", "rotation_period": 60, "last_vault_rotation": "now"}
    text = adopted_databases([connection], [current, {"name": "other", "db_name": "another"}], [static], "team/db")
    assert "# password: needed only if" in text
    found = yaml.load(text, Loader)  # noqa: S506 (a safe loader that knows one more tag)
    assert found["vault_database_mount"] == "team/db"
    (database,) = found["vault_databases"]
    assert database["roles"] == {"app": {"in_role": "app_rw", **extra, "default_ttl": 3600}}
    assert database["static_roles"] == {"reports": {"username": "r", "rotation_period": 60}}
    assert database["connection_url"] == url
    assert database["options"] == {"allowed_roles": ["app"]}
    made = database_document([database])
    assert made["connections"] == [
        {"name": "db", "connection_url": url, "username": "vault_admin", "allowed_roles": ["app"]}
    ]


def test_own_sql_is_adopted_verbatim():
    sql = 'CREATE ROLE "{{name}}"\nLOGIN'
    connection = {"name": "db", "username": "v", "connection_url": f"{TEMPLATED}db/app"}
    text = adopted_databases([connection], [{"name": "own", "db_name": "db", "creation_statements": [sql]}], [])
    (database,) = yaml.load(text, Loader)["vault_databases"]  # noqa: S506 (the same)
    assert database["roles"]["own"]["creation_statements"] == [sql]
    assert "!unsafe" in text


TEMPLATED = "postgresql://{{username}}:{{password}}@"


@pytest.mark.parametrize(
    ("connection", "command"),
    [
        (
            {"connection_url": "postgres://vault:*****@db:5433/app?sslmode=require"},
            f"connection_url={TEMPLATED}db:5433/app?sslmode=require' username=vault password=-",
        ),
        (
            {"connection_url": "host=db port=5433 user=vault password='se cret' dbname=app sslmode=disable"},
            f"connection_url={TEMPLATED}db:5433/app?sslmode=disable' username=vault password=-",
        ),
        (
            {"connection_url": "postgresql://{{ username }}:{{ password }}@db/app", "username": "vault"},
            f"connection_url={TEMPLATED}db:5432/app'",
        ),
        ({"connection_url": f"{TEMPLATED}db:5432/app"}, "bao write database/config/db username=USER password=-"),
        ({"connection_url": f"{TEMPLATED}db/app?sslpassword=secret", "username": "vault"}, f"{TEMPLATED}db:5432/app'"),
        ({"connection_url": "whatever", "username": "vault"}, f"{TEMPLATED}HOST:5432/DATABASE'"),
        (
            {"connection_url": f"{TEMPLATED}db/app", "username": "vault", "username_template": "{{.DisplayName}}"},
            "'username_template={{",
        ),
        (
            {"connection_url": f"{TEMPLATED}db/app", "self_managed": True},
            "keep it with leasehold.vault.database_connection",
        ),
    ],
)
def test_unmanageable_connection_is_reported_with_command(connection, command):
    role = {"name": "app", "db_name": "db"}
    text = adopted_databases([{"name": "db", **connection}], [role], [])
    assert yaml.load(text, Loader)["vault_databases"] == []  # noqa: S506 (a safe loader that knows one more tag)
    given = text.partition("# Not in this document.")[2].replace("\n# ", " ")
    assert command in given
    assert "database/config/db: " in given
    assert "database/roles/app: its connection db was not adopted" in given
    assert "se cret" not in text
    assert "secret" not in given
    assert len(adoption_problems([{"name": "db", **connection}], [role], [])) == 2


def test_partly_adopted_objects_are_reported():
    url = f"{TEMPLATED}db/app"
    connection = {
        "name": "db", "connection_url": url, "username": "v", "password_authentication": "password", "unknown_options_set": ["new"],
    }  # fmt: skip
    roles = [
        {"name": "orphan", "db_name": "gone"},
        {"name": "long", "db_name": "db", "default_ttl": 90, "max_ttl": 60},
        {"name": "früh"},
    ]
    text = adopted_databases([connection], roles, [{"name": "s", "db_name": "gone", "username": "reports"}])
    (database,) = yaml.load(text, Loader)["vault_databases"]  # noqa: S506 (a safe loader that knows one more tag)
    assert database["options"] == {"password_authentication": "password", "allowed_roles": []}
    assert database["roles"] == {}
    for line in (
        "has options that are not known here (new)",
        "bao write database/roles/orphan db_name=CONNECTION\n",
        "bao write database/static-roles/s db_name=CONNECTION username=reports",
        "bao write database/roles/long default_ttl=60",
        "database/roles/früh: this collection does not write a name like this",
    ):
        assert line in text
    assert adoption_problems([{**connection, "unknown_options_set": None}], [], []) == []


@pytest.mark.parametrize(
    ("given", "in_url", "here"),
    [
        ({"ca_cert": "/ca.pem"}, "?sslmode=verify-full&sslrootcert=/ca.pem", "/ca.pem"),
        ({"ca_cert": "/ca.pem", "ca_cert_on_vault": "/v.pem"}, "?sslmode=verify-full&sslrootcert=/v.pem", "/ca.pem"),
        ({"ca_cert": "/ca.pem", "ca_cert_on_vault": ""}, "?sslmode=verify-full", "/ca.pem"),
        ({"ca_cert_on_vault": "/v.pem", "sslmode": "verify-ca"}, "?sslmode=verify-ca&sslrootcert=/v.pem", None),
        # As it was written before there was ca_cert:
        ({"url_parameters": {"sslrootcert": "/v.pem"}, "login": {"ca_cert": "/l.pem"}}, "?sslmode=verify-full&sslrootcert=/v.pem", "/l.pem"),
        ({"ca_cert": "/ca.pem", "url_parameters": {"sslrootcert": "/v.pem"}, "login": {"ca_cert": "/l.pem"}},
         "?sslmode=verify-full&sslrootcert=/v.pem", "/l.pem"),
    ],
)  # fmt: skip
def test_ca_cert_is_used_in_url_and_logins(given, in_url, here):
    document = database_document([{**DATABASE, **given}])
    assert document["connections"][0]["connection_url"].endswith(in_url)
    assert all(role.get("login_ca_cert") == here for role in document["roles"])


def test_dba_login_has_ca_certificate_and_all_hosts():
    entry = {"host": "db1:5433,[::1]", "ca_cert": "/ca.pem", "client_cert": "/c.pem", "client_key": "/c.key"}
    assert postgresql_login(entry) == {
        "login_host": "db1,::1", "login_port": 5433, "ssl_mode": "verify-full", "ca_cert": "/ca.pem", "ssl_cert": "/c.pem",
        "ssl_key": "/c.key", "connect_params": {"port": "5433,5432", "target_session_attrs": "read-write"},
    }  # fmt: skip
    plain = {"login_host": "", "login_port": 5432, "ssl_mode": "prefer", "ca_cert": ""}
    assert postgresql_login({}, default_sslmode="prefer") == plain
    assert postgresql_login({"host": "/run/pg", "port": "6432"})["login_host"] == "/run/pg"
    for wrong in ("db", {"host": "a b"}):
        with pytest.raises(AnsibleFilterError):
            postgresql_login(wrong)


DBA = {"host": "", "port": 0, "sslmode": "require", "ca_cert": "", "client_cert": "/dba.pem", "client_key": "/dba.key"}


@pytest.mark.parametrize(
    ("entry", "options", "expected"),
    [
        ({"host": "db", "login": {"host": "jump", "port": 1}}, {}, {"login_host": "db", "login_port": 5432}),
        ({"host": "db", "login": {"host": "jump", "port": 1}}, {"use_login": True}, {"login_host": "jump", "login_port": 1}),
        ({"host": "db", "login": None}, {"use_login": True}, {"login_host": "db"}),
        ({"host": "db:6432"}, {"override": DBA}, {"login_host": "db", "login_port": 6432, "ssl_mode": "require", "ssl_cert": "/dba.pem"}),
        ({"host": "db:6432"}, {"override": {"host": "other"}}, {"login_host": "other", "login_port": 6432}),
        ({"host": "db:6432"}, {"override": {"host": "other", "port": 7}}, {"login_host": "other", "login_port": 7}),
        ({"host": "db", "client_cert": "/c.pem"}, {"client_certificate": False}, {"ssl_cert": None}),
    ],
)  # fmt: skip
def test_login_of_entry_is_overridden_by_its_login_and_by_the_dba(entry, options, expected):
    login = postgresql_login(entry, **options)
    assert {key: login.get(key) for key in expected} == expected
