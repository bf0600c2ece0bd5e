# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.targets import nodes

ENTRY = {
    "name": "db",
    "host": "db1,db2",
    "port": 5433,
    "url_parameters": {"target_session_attrs": "read-write", "connect_timeout": 3},
    "login": {"host": "127.0.0.1", "ca_cert": "/ca.pem"},
}


def test_entry_without_replicas_is_one_node():
    assert nodes([ENTRY]) == [{**ENTRY, "replica": False}]


def test_replica_is_reached_at_its_own_address():
    """Not by the way to the primary, nor only if it can be written to."""
    primary, same_port, other = nodes([{**ENTRY, "replicas": [{"host": "db3"}, {"host": "db4", "port": 6000}]}])
    assert (primary["host"], primary["replica"]) == ("db1,db2", False)
    assert [(each["host"], each["port"]) for each in (same_port, other)] == [("db3", 5433), ("db4", 6000)]
    assert same_port["replica"] is True
    assert same_port["login"] == {"ca_cert": "/ca.pem"}
    assert same_port["url_parameters"] == {"connect_timeout": 3}
