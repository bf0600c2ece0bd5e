# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of an entry of the document what concerns PostgreSQL."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.filter.postgresql_document import postgresql_document
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.connect import login_parameters

from ...conftest import validated

ENTRY = {
    "name": "db",
    "host": "db.example.com",
    "database": "app",
    "owner": "owner",
    "admin": {"username": "admin"},
    "groups": {"g": {"schemas": ["public"]}},
    "options": {"max_open_connections": 7},
    "roles": {"one": {"in_role": "g", "reassign_owned_to": "owner"}, "two": {"in_role": "g"}, "three": None},
    "static_roles": {"reports": {"username": "reports"}},
}


def words(entry, **options):
    """How the DBA logs in, by way of the module's options."""
    given = validated("postgresql_sync", {"databases": postgresql_document([entry]), **options})
    return login_parameters(given["databases"][0], given)


def test_what_belongs_to_other_roles_is_left_out():
    assert postgresql_document([ENTRY]) == [
        {
            "name": "db", "host": "db.example.com", "port": "5432", "database": "app", "owner": "owner",
            "admin": {"username": "admin"}, "groups": {"g": {"schemas": ["public"]}}, "heirs": ["owner"],
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "options", "expected"),
    [
        ({}, {}, {"host": "db.example.com", "port": "5432", "sslmode": "prefer"}),
        ({"port": 5433}, {}, {"port": "5433"}),
        ({"ca_cert": "/ca.pem"}, {}, {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}),
        ({"url_parameters": {"sslmode": "require"}}, {}, {"sslmode": "require"}),
        ({"host": "a:1,b:2"}, {}, {"host": "a,b", "port": "1,2", "target_session_attrs": "read-write"}),
        ({"host": "", "connection_url": "postgresql://{{username}}:{{password}}@u:9/x"}, {}, {"host": "u", "port": "9"}),
        ({"sslmode": "require"}, {"login_ssl_mode": "disable"}, {"sslmode": "disable"}),
        ({}, {"login_host": "::1", "login_port": 7}, {"host": "::1", "port": "7"}),
        ({}, {"login_unix_socket": "/run"}, {"host": "/run", "port": "5432"}),
        ({"host": "a,b", "port": "1,2"}, {"login_host": "c"}, {"host": "c", "port": "1"}),
        ({"host": "a,b", "port": "1,2"}, {"login_unix_socket": "/run"}, {"host": "/run", "port": "1"}),
        ({"host": "a:1,b:2"}, {"login_host": "c,d"}, {"host": "c,d", "port": "1,1"}),
        ({"host": "a:1,[::1]:2"}, {"login_port": 7}, {"host": "a,::1", "port": "7,7"}),
        ({"client_cert": "/c", "client_key": "/k"}, {}, {"sslcert": "/c", "sslkey": "/k"}),
    ],
)  # fmt: skip
def test_entry_has_login_of_dba(more, options, expected):
    found = words({**ENTRY, **more}, **options)
    assert {key: found.get(key) for key in expected} == expected


def test_invalid_address_is_refused_naming_entry():
    with pytest.raises(AnsibleFilterError, match=r"^db: "):
        postgresql_document([{**ENTRY, "port": "1,2"}])
