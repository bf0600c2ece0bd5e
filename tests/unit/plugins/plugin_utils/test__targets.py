# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.targets import nodes

ENTRY = {
    "name": "db",
    "host": "db1,db2",
    "port": 5433,
    "database": "app",
    "admin": {"username": "vault", "password": "first"},
    "url_parameters": {"target_session_attrs": "read-write", "connect_timeout": 3},
    "login": {"ca_cert": "/ca.pem"},
}


def places(found):
    return [(each["host"], each["port"], each["replica"]) for each in found]


def test_each_of_several_hosts_is_a_node_behind_the_way_to_the_one_that_can_be_written_to():
    found = nodes([ENTRY])
    assert places(found) == [("db1,db2", "5433,5433", False), ("db1", "5433", True), ("db2", "5433", True)]
    assert [each.get("target_session_attrs") for each in found] == ["read-write", None, None]
    assert {each["ca_cert"] for each in found} == {"/ca.pem"}
    assert not any("admin" in each for each in found), "no password is handed on"


def test_one_host_is_one_node_and_replicas_are_reached_at_their_own_addresses():
    alone = {**ENTRY, "host": "db1", "login": {"host": "127.0.0.1", "port": 6000}}
    assert places(nodes([alone])) == [("127.0.0.1", "6000", False)]
    found = nodes([{**alone, "replicas": [{"host": "db3"}, {"host": "db4", "port": 6001}, {"host": "db3"}]}])
    assert places(found[1:]) == [("db3", "5433", True), ("db4", "6001", True)]


def test_what_the_dba_says_counts_for_the_primary_alone_but_for_certificates():
    dba = {
        "host": "c",
        "port": 0,
        "sslmode": "require",
        "client_cert": "/dba.pem",
        "client_key": "/dba.key",
        "ca_cert": "",
    }
    found = nodes([{**ENTRY, "replicas": [{"host": "db3"}]}], dba)
    assert places(found)[0] == ("c", "5433", False)
    assert places(nodes([ENTRY], {"port": 6000}))[0] == ("db1,db2", "6000,6000", False)
    assert [each["sslmode"] for each in found] == ["require"] * 4
    assert {each["client_cert"] for each in found} == {"/dba.pem"}


def test_one_port_for_each_host_is_that_of_the_first_for_who_has_none():
    entry = {**ENTRY, "port": "5433,5434", "replicas": [{"host": "db3"}]}
    assert places(nodes([entry])) == [
        ("db1,db2", "5433,5434", False), ("db1", "5433", True), ("db2", "5434", True), ("db3", "5433", True),
    ]  # fmt: skip
    through = {**entry, "login": {"host": "tunnel"}}
    assert places(nodes([through])) == [("tunnel", "5433", False), ("db3", "5433", True)]
    assert places(nodes([through], {"host": "c"}))[0] == ("c", "5433", False)
