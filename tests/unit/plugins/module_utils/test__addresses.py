# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts and ports of PostgreSQL: as people write them, in the document, the filters and `verify: login`, and as libpq reads them.

That libpq reads back whatever is written, tests/unit/test_hostile_input.py tries; that Vault's driver does,
tests/unit/plugins/modules/test_database_role.py.
"""

from __future__ import annotations

import psycopg2.extensions
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.filter.postgresql import (
    postgresql_conninfo,
    postgresql_pgpass,
    postgresql_url,
)
from ansible_collections.leasehold.vault.plugins.filter.postgresql_login import postgresql_login
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import addresses, verification
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.databases import database_document

USER = {"username": "v-app", "password": "secret"}

# What is written as host and port, libpq's host and port, what a URL has, and the lines of .pgpass.
CASES = [
    ("db", None, ("db", "5432"), "@db:5432/app", ["db:5432"]),
    ("db", 6432, ("db", "6432"), "@db:6432/app", ["db:6432"]),
    ("db:5433", 6432, ("db", "5433"), "@db:5433/app", ["db:5433"]),
    ("::1", None, ("::1", "5432"), "@[::1]:5432/app", [r"\:\:1:5432"]),
    ("[::1]", "6432", ("::1", "6432"), "@[::1]:6432/app", [r"\:\:1:6432"]),
    ("[::1]:5433", None, ("::1", "5433"), "@[::1]:5433/app", [r"\:\:1:5433"]),
    ("fe80::1%eth0", None, ("fe80::1%eth0", "5432"), "@[fe80::1%25eth0]:5432/app", [r"fe80\:\:1%eth0:5432"]),
    ("db1:5433,db2:5434", None, ("db1,db2", "5433,5434"), "@db1:5433,db2:5434/app", ["db1:5433", "db2:5434"]),
    ("db1, db2", 6432, ("db1,db2", "6432,6432"), "@db1:6432,db2:6432/app", ["db1:6432", "db2:6432"]),
    ("db1,db2", "5433,5434", ("db1,db2", "5433,5434"), "@db1:5433,db2:5434/app", ["db1:5433", "db2:5434"]),
    ("db1,[::1]:5433", None, ("db1,::1", "5432,5433"), "@/app?host=db1,::1&port=5432,5433", ["db1:5432", r"\:\:1:5433"]),
    ("/var/run/postgresql", None, ("/var/run/postgresql", "5432"), "@/app?host=/var/run/postgresql&port=5432",
     ["/var/run/postgresql:5432", "localhost:5432"]),
    ("/a b", 25415, ("/a b", "25415"), "@/app?host=/a%20b&port=25415", ["/a b:25415", "localhost:25415"]),
]  # fmt: skip


def read(dsn: str) -> tuple[str, str]:
    found = psycopg2.extensions.parse_dsn(dsn)
    return found["host"], found["port"]


@pytest.mark.parametrize(("host", "port", "expected", "in_url", "places"), CASES)
def test_each_host_has_its_port_everywhere(host, port, expected, in_url, places):
    entry = {"name": "db", "host": host, "port": port, "database": "app", "admin": {"username": "a"}}
    (connection,) = database_document([entry])["connections"]
    for_vault = connection["connection_url"]
    assert in_url in for_vault
    url = postgresql_url(USER, host, database="app", port=port)
    assert url == f"postgresql://v-app:secret{in_url}"
    conninfo = postgresql_conninfo(USER, host, database="app", port=port)
    assert read(for_vault) == read(url) == read(conninfo) == expected
    lines = postgresql_pgpass(USER, host, port=port or 5432, database="app").splitlines()
    assert lines == [f"{place}:app:v-app:secret" for place in places]

    several = "," in host
    where = verification.where_to_log_in(for_vault, {})
    assert (where["host"], where["port"]) == expected
    assert where.get("target_session_attrs") == ("read-write" if several else None)
    elsewhere = verification.where_to_log_in(
        "postgresql://{{username}}:{{password}}@db/app", {"login_host": host, "login_port": port}
    )
    assert (elsewhere["host"], elsewhere["port"]) == expected
    login = postgresql_login(entry)
    assert login["login_host"] == expected[0]
    assert login.get("connect_params", {}).get("port", str(login["login_port"])) == expected[1]


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("db:", None, "port: '' is not a number from 1 to 65535"),
        ("db:abc", None, "port: 'abc' is not a number"),
        ("db", "abc", "port: 'abc' is not a number"),
        ("db", 65536, "port: '65536' is not a number"),
        ("a,b,c", "1,2", "port: 2 ports (1,2) for 3 hosts (a,b,c)"),
        ("a,,b", None, "host: '' is neither a name, an IPv4 or IPv6 address, nor the directory of a socket"),
        ("user@db", None, "host: has an @"),
        ("db/app", None, "host: 'db/app' is neither"),
        ("postgresql://db", None, "is neither"),
        ("[db", None, "host: '[db' is neither"),
        ("::x", None, "host: '::x' is neither"),
        ("a b", None, "host: 'a b' is neither"),
        (["a", "b"], None, "host is text, such as db.example.com or db1:5433,db2:5434, not ['a', 'b']"),
    ],
)
def test_invalid_address_is_refused(host, port, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (its text is looked at)
        addresses.parse_addresses(host, port)
    assert sentence in str(caught.value)
    entry = {"name": "db", "host": host, "port": port, "database": "app", "admin": {"username": "a"}}
    with pytest.raises(AnsibleFilterError) as refused:
        database_document([entry])
    assert str(refused.value).startswith("db: ")
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://U@db/app", [("db", "5432")]),
        ("postgresql://U@[::1]:5433,db/app?sslmode=disable", [("::1", "5433"), ("db", "5433")]),
        ("postgresql://U@db,[::1]:5433/app", [("db", "5433"), ("::1", "5433")]),
        ("postgresql://U@/app?host=/dir&port=25415", [("/dir", "25415")]),
        ("postgresql://U@/app?host=%2Fdir&port=", [("/dir", "5432")]),
        ("postgresql://U@db:1/app?port=2", [("db", "2")]),
        ("postgresql://U@a:1/app?host=b,c&port=2,3", [("b", "2"), ("c", "3")]),
        ("postgresql://U@[fe80::1%25eth0]/app", [("fe80::1%eth0", "5432")]),
    ],
)
def test_url_is_parsed_like_pgx(url, expected):
    found = addresses.parse_url(url)
    assert found.addresses == expected
    assert found.database == "app"
    assert found.credentials == "U"


def test_entry_provides_host_port_and_tls():
    entry = {"host": "db1,db2:5433", "port": 6432, "database": "app db", "ca_cert": "/ca.pem", "admin": {"password": "first"}}  # fmt: skip
    words = psycopg2.extensions.parse_dsn(postgresql_url(USER, entry))
    assert words == psycopg2.extensions.parse_dsn(postgresql_conninfo(USER, entry))
    assert words == {
        "user": "v-app", "password": "secret", "host": "db1,db2", "port": "6432,5433", "dbname": "app db",
        "sslmode": "verify-full", "sslrootcert": "/ca.pem", "target_session_attrs": "read-write",
    }  # fmt: skip
    other = psycopg2.extensions.parse_dsn(
        postgresql_url(USER, entry, database="x", port="1,2", sslrootcert="/other", target_session_attrs="any")
    )
    # A port beside its host stays there.
    assert (other["dbname"], other["port"], other["sslrootcert"]) == ("x", "1,5433", "/other")
    assert other["target_session_attrs"] == "any"
    assert postgresql_pgpass(USER, entry) == "db1:6432:app db:v-app:secret\ndb2:5433:app db:v-app:secret"
    adopted = {"connection_url": "postgresql://{{username}}:{{password}}@[::1]:5433/app?sslmode=require"}
    assert postgresql_url(USER, adopted) == "postgresql://v-app:secret@[::1]:5433/app?sslmode=require"
