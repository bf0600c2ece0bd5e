# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that end something, and the rotation that was cut off, on a mount made by hand: `test_site.py` has them after a whole set-up."""

from __future__ import annotations

import typing as t
from contextlib import closing

import psycopg2
import pytest

from .conftest import REVOCATION, extra

if t.TYPE_CHECKING:
    from collections.abc import Callable

    import servers

    from .conftest import Ground, Play, Run

BROKEN = ["SELECT 1/0"]


@pytest.fixture(scope="module")
def here(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    made = ground(postgres, "glass")
    made.connection("other")
    made.role("ended")
    made.role("kept", db_name="other")
    made.role("stuck", db_name="other", revocation_statements=BROKEN)
    return made


def document(here: Ground) -> dict[str, t.Any]:
    return {
        "vault_database_mount": here.mount,
        "vault_databases": [{
            "name": "db", "host": here.server.host, "port": here.server.port, "database": here.database, "sslmode": "disable",
            "admin": {"username": here.admin, "password": here.admin_password}, "options": {"allowed_roles": ["*"], "max_open_connections": 10},
        }],
        "postgresql_access_login_user": here.server.user, "postgresql_access_login_password": here.server.password,
    }  # fmt: skip


def run(play: Play, here: Ground, playbook: str, ok: bool = True, **more: t.Any) -> Run:
    play.secrets += [here.server.password, here.admin_password]
    return play(f"leasehold.vault.{playbook}", *extra(**document(here) | more), ok=ok)


def test_revoke_of_connection_ends_its_users_and_orphaned_sessions_only(play: Play, here: Ground) -> None:
    """A DROP ROLE, which is the revocation here, leaves sessions alone."""
    ended, kept = here.issue("ended"), here.issue("kept")
    sessions = [
        here.server.connect(here.database, user=one["username"], password=one["password"]) for one in (ended, kept)
    ]
    report = run(play, here, "revoke", leasehold_revoke_connection="db").messages("Report")
    assert report == ["revoked 1 lease(s), ended 1 session(s) of users that were gone, left are none"]
    orphaned, living = sessions
    with closing(orphaned), orphaned.cursor() as cursor, pytest.raises(psycopg2.OperationalError):
        cursor.execute("SELECT 1")
    with closing(living), living.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert here.leases("kept") == [kept["lease_id"]]


def test_revoke_without_selection_revokes_nothing(play: Play, here: Ground) -> None:
    kept = here.issue("kept")
    assert "Set leasehold_revoke_role" in run(play, here, "revoke", ok=False).output
    assert kept["lease_id"] in here.leases("kept")


def test_revoke_forgets_irrevocable_leases_with_force_only(play: Play, here: Ground) -> None:
    user = here.issue("stuck")
    failed = run(play, here, "revoke", ok=False, leasehold_revoke_role="stuck")
    assert "could not be revoked and are still there, with their users" in failed.output
    assert here.leases("stuck") == [user["lease_id"]]
    here.role("stuck", db_name="other", revocation_statements=[REVOCATION])
    assert (
        run(play, here, "revoke", leasehold_revoke_role="stuck").messages("Report")[0].startswith("revoked 1 lease(s)")
    )


def test_password_lost_in_a_rotation_is_replaced_and_rotated_away(play: Play, here: Ground) -> None:
    """As after a run that was killed while it rotated, on a role that somebody has closed besides: nobody knows its password."""
    here.connection("db", leasehold_root_rotated_at="begun 2026-01-01T00:00:00Z")
    here.sql(f"ALTER ROLE {here.admin} NOLOGIN PASSWORD 'nobody-knows' VALID UNTIL '2020-01-01'")
    found = run(play, here, "vault")
    assert "Set the password of the admin role, as the DBA" in found.changed
    user = here.issue("ended")
    assert here.opens(user["username"], user["password"]), "Vault has the new one"
    assert not here.opens(here.admin, here.admin_password)
    assert not here.opens(here.admin, "nobody-knows")
    assert run(play, here, "vault").changed == []


def test_verify_finds_user_outliving_its_lease(play: Play, here: Ground) -> None:
    """And it goes the way that `login` names, which is not Vault's."""
    here.role("undying", db_name="other", revocation_statements=["SELECT 1"])
    (entry,) = document(here)["vault_databases"]
    login = {"host": entry["host"], "port": entry["port"]}
    entry |= {
        "host": "db.invalid",
        "port": 1,
        "login": login,
        "admin": {"username": here.admin},
        "roles": {"kept": {}, "undying": {}},
    }
    run_ = run(play, here, "verify", ok=False, vault_databases=[entry])
    kept, undying = run_.messages("The user is gone")
    assert kept.startswith("kept: ")
    assert kept.endswith("and is refused after its revocation")
    assert undying.endswith("can still log in after its lease was revoked.")
    assert here.leases("undying") == []


def test_teardown_requires_mount_name_and_leaves_no_user(play: Play, here: Ground) -> None:
    user = here.issue("ended")
    assert f"say leasehold_teardown={here.mount}" in " ".join(run(play, here, "teardown", ok=False).output.split())
    assert here.opens(user["username"], user["password"])
    assert run(play, here, "teardown", leasehold_teardown=here.mount).changes == 1
    assert f"{here.mount}/" not in here.bao.request("GET", "sys/mounts")["data"]
    assert not here.opens(user["username"], user["password"])
