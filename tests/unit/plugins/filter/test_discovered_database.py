# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logins of a database may do, as the document."""

from __future__ import annotations

import yaml
from ansible_collections.leasehold.vault.plugins.filter.discovered_database import discovered_database


def test_discovered_document_comments_what_groups_cannot_express():
    entry = {
        "name": "app",
        "database": "app",
        "owner": "o",
        "admin": {"username": "vault_app"},
        "groups": {},
        "roles": {},
    }
    found = {
        "entry": entry,
        "differences": {"billing": ["DELETE on 1 of 2 tables in schema public (t\nroles: {})"]},
        "notes": ["The database is owned by dba."],
        "sessions": [{"user": "billing", "application_name": "web", "address": "10.0.0.7", "count": 3}],
    }
    text = discovered_database(found, host="db.svc", port=5433)
    assert yaml.safe_load(text) == {"vault_databases": [{**entry, "host": "db.svc", "port": 5433}]}
    comments = text.partition("\n#")[2]
    assert "owned by dba" in comments
    assert "billing has, and a user of its role has not: DELETE on 1 of 2 tables" in comments
    assert "Connected now: billing as web from 10.0.0.7 (3)." in comments
