# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Plan
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import verification
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError

WANTED = {"mount": "/database/", "name": "app", "verify": "issue"}
STEP = Plan("create", {}, {"db_name": "db"}, {})


class Server:
    def __init__(self, creation=None, revocation=None):
        self.creation, self.revocation, self.asked = creation, revocation, []

    def ask(self, method, path, body=None, kind="repeat", needs=()):
        self.asked.append((method, path, body, kind))
        failure = self.revocation if path == "sys/leases/revoke" else self.creation
        if failure:
            raise VaultError(failure, 500, failure)
        return {"lease_id": "database/creds/app/1", "data": {"username": "v-app", "password": "hush-hush"}}


def test_none_does_nothing():
    server = Server()
    assert list(verification.verify(server, {**WANTED, "verify": "none"}, STEP)) == []
    assert server.asked == []


def test_issue_makes_one_user_and_revokes_it():
    server = Server()
    assert list(verification.verify(server, WANTED, STEP)) == []
    assert server.asked == [
        ("get", "database/creds/app", None, "issue"),
        ("put", "sys/leases/revoke", {"lease_id": "database/creds/app/1"}, "repeat"),
    ]


def test_what_fails_is_said_with_what_is_left_behind():
    with pytest.raises(Problem, match=r"app was rolled back.*cannot issue.*42601"):
        verification.verify(Server(creation="ERROR (SQLSTATE 42601)"), WANTED, STEP)
    with pytest.raises(Problem, match=r"cannot be revoked.*2BP01.*database/creds/app/1.*v-app stays") as caught:
        verification.verify(Server(revocation="ERROR (SQLSTATE 2BP01)"), WANTED, STEP)
    assert "hush-hush" not in str(caught.value)


def test_a_user_that_cannot_work_is_revoked_before_that_is_said(monkeypatch):
    server = Server()
    monkeypatch.setattr(verification, "_login_trouble", lambda *dummy: "it lacks everything")
    with pytest.raises(Problem, match="cannot work: it lacks everything"):
        verification.verify(server, {**WANTED, "verify": "login"}, STEP)
    assert server.asked[-1][1] == "sys/leases/revoke"


URL = (
    "postgresql://{{username}}:{{password}}@db.example.com:6432/app?sslmode=verify-full&sslrootcert=/on/the/server.pem"
)


@pytest.mark.parametrize(
    ("url", "desired", "where"),
    [
        (URL, {}, {"host": "db.example.com", "port": "6432", "dbname": "app", "sslmode": "verify-full", "sslrootcert": "/on/the/server.pem"}),
        (URL, {"login_host": "localhost", "login_port": 7432, "login_ca_cert": "/ca"}, {"host": "localhost", "port": "7432", "sslrootcert": "/ca"}),
        ("postgres://{{username}}:{{password}}@db/app", {}, {"host": "db", "port": "5432", "sslmode": "prefer"}),
        ("postgres://{{username}}:{{password}}@db/odd%20name", {}, {"dbname": "odd name"}),
        ("postgres://{{username}}:{{password}}@db", {}, {"dbname": "postgres"}),
    ],
)  # fmt: skip
def test_where_to_log_in(url, desired, where):
    found = verification.where_to_log_in(url, desired)
    assert {key: found[key] for key in where} == where


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("[::1]:6432", "::1", "6432"),
        ("a:1,b:2", "a,b", "1,2"),
        ("a,b", "a,b", "5432,5432"),
        ("db", "db", "5432"),
    ],
)
def test_where_to_log_in_with_ipv6_and_several_hosts(address, host, port):
    found = verification.where_to_log_in(f"postgresql://{{{{username}}}}:{{{{password}}}}@{address}/app", {})
    assert (found["host"], found["port"]) == (host, port)
    assert (
        verification.where_to_log_in(f"postgresql://x:y@{address}/app", {"login_host": "z"})["port"]
        == port.split(",")[0]
    )


@pytest.mark.real
@pytest.mark.parametrize(
    ("granted", "claimed", "missing"),
    [
        ("SELECT ON items", "GRANT SELECT ON items TO \"{{name}}\"", []),
        ("SELECT ON items", "GRANT SELECT, INSERT ON items TO \"{{name}}\"", ["INSERT on items"]),
        ("SELECT ON items", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{name}}\"", []),
        ("SELECT ON items", "grant insert on table items to \"{{name}}\"", ["INSERT on items"]),
        ("SELECT ON items", "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO \"{{name}}\"", ["USAGE on items_id_seq"]),
        ("USAGE ON SEQUENCE items_id_seq", "GRANT USAGE ON SEQUENCE items_id_seq TO \"{{name}}\"", []),
        ("SELECT ON items", "GRANT USAGE ON SCHEMA public TO \"{{name}}\"", []),
        ("SELECT ON items", "GRANT ALL ON items TO \"{{name}}\"", ["INSERT on items", "UPDATE on items", "DELETE on items"]),
        ("SELECT ON items", "GRANT ALL PRIVILEGES ON ALL TABLES IN SCHEMA public TO \"{{name}}\"", ["INSERT on items", "UPDATE on items", "DELETE on items"]),
        ("SELECT (name) ON items", "GRANT SELECT (name) ON items TO \"{{name}}\"", []),
        ("SELECT ON items", "GRANT CONNECT ON DATABASE postgres TO \"{{name}}\"", []),
        ("SELECT ON items", "GRANT app_rw TO \"{{name}}\"", []),
    ],
)  # fmt: skip
def test_which_rights_a_user_lacks(real_vault, granted, claimed, missing):
    database, user = real_vault.database, f"user_of_{real_vault.database.name}"
    database.sql(f"CREATE ROLE {user} LOGIN PASSWORD 'hush-hush'")
    database.sql(f"GRANT {granted} TO {user}")
    session = database.server.connect(database.name, user=user, password="hush-hush")
    step = Plan("create", {}, {"creation_statements": ['CREATE ROLE "{{name}}"; ' + claimed]}, {})
    try:
        with session.cursor() as cursor:
            assert verification._missing_rights(cursor, {}, step) == missing
    finally:
        session.close()


@pytest.mark.parametrize(
    "trouble", [Problem("where to log in is not known"), KeyboardInterrupt(), ImportError("psycopg2")]
)
def test_user_is_revoked_whatever_stops_the_trial(monkeypatch, trouble):
    def fail(*_arguments):
        raise trouble

    monkeypatch.setattr(verification, "_login_trouble", fail)
    server = Server()
    with pytest.raises(type(trouble)):
        list(verification.verify(server, {**WANTED, "verify": "login"}, STEP))
    assert server.asked[-1][1] == "sys/leases/revoke"


def test_signal_waits_until_the_user_is_revoked(monkeypatch):
    monkeypatch.setattr(verification, "_login_trouble", lambda *_arguments: os.kill(os.getpid(), signal.SIGTERM) or "")
    ended = []
    before = signal.signal(signal.SIGTERM, lambda *_arguments: ended.append(len(server.asked)))
    server = Server()
    try:
        list(verification.verify(server, {**WANTED, "verify": "login"}, STEP))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == [2]
