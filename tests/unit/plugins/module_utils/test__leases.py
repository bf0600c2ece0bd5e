# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no healthy server shows: a revocation that is accepted and not carried out, a lease that is overdue."""

from __future__ import annotations

import datetime
import types

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._operations import leases
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import connect
from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError

LEASE = "database/creds/app/1"
HELD = {"ttl": 100, "issue_time": "2026-01-31T11:00:00Z", "expire_time": "2026-01-31T12:00:00Z", "renewable": True}
NOW = datetime.datetime(2026, 1, 31, 12, 0, tzinfo=datetime.timezone.utc)


class Stubborn:
    """Accepts everything and keeps its lease."""

    url = "https://vault"
    revoke_lease = Client.revoke_lease

    def ask(self, method, path, body=None, **more):
        return {"data": dict(HELD)} if path == "sys/leases/lookup" else {}

    def now(self):
        return NOW


def test_revocation_without_effect_fails():
    desired = {"lease_id": LEASE, "state": "absent", "force": False}
    with pytest.raises(Problem, match="and still holds the lease"):
        leases.renew_or_revoke(types.SimpleNamespace(client=Stubborn()), desired, check_mode=False)


@pytest.mark.parametrize(("ttl", "overdue"), [(1, False), (0, False), (-1, True)])
def test_lease_past_its_end_is_overdue(ttl, overdue):
    row = leases._row(NOW, LEASE, {**HELD, "ttl": ttl}, "")
    assert (row["overdue"], row["irrevocable"], row["age"]) == (overdue, False, 3600)


class Refusing(Stubborn):
    """Cannot remove the user; forgets the lease when it is forced to."""

    def __init__(self):
        self.forgotten = False

    def ask(self, method, path, body=None, **more):
        if path == "sys/leases/revoke":
            raise VaultError("no", 500, "role cannot be dropped")
        self.forgotten |= path.startswith("sys/leases/revoke-force/")
        if self.forgotten and path == "sys/leases/lookup":
            raise VaultError("no", 400, "invalid lease")
        return super().ask(method, path, body, **more)


@pytest.mark.parametrize("force", [False, True])
def test_lease_is_forgotten_only_by_force(force):
    client = Refusing()
    desired = {"lease_id": LEASE, "state": "absent", "force": force}
    session = types.SimpleNamespace(client=client)
    if force:
        assert "stays in the database" in leases.renew_or_revoke(session, desired, check_mode=False)["warnings"][0]
    else:
        with pytest.raises(Problem, match="could not be revoked"):
            leases.renew_or_revoke(session, desired, check_mode=False)
    assert client.forgotten is force


class NotToBeAsked:
    def ask(self, *given, **more):
        raise AssertionError("nothing is to be revoked")

    leases = ask


@pytest.mark.parametrize("which", [{"lease_id": LEASE}, {"prefix": "database/creds"}])
def test_nothing_is_revoked_when_sessions_could_not_be_ended_then(which, monkeypatch):
    session = types.SimpleNamespace(client=NotToBeAsked())
    desired = {**which, "state": "absent", "force": False, "nodes": [{"host": "a@b", "database": "app"}]}
    with pytest.raises(Refused, match="has an @"):
        leases.renew_or_revoke(session, desired, check_mode=False)
    monkeypatch.setattr(connect, "HAS_PSYCOPG2", False)
    with pytest.raises(Refused, match="psycopg2 is missing"):
        leases.renew_or_revoke(session, {**desired, "nodes": [{"host": "db", "database": "app"}]}, check_mode=False)
