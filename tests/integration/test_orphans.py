# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`clean_orphans` shows the users that no lease holds, and removes those that are certain."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core import statements

from .conftest import extra

if t.TYPE_CHECKING:
    from collections.abc import Callable

    import servers

    from .conftest import Ground, Play

BROKEN = ["SELECT no_such_function()"]


@pytest.fixture(scope="module", params=["postgres", pytest.param("postgres15", marks=pytest.mark.full)])
def engine(ground: Callable[[servers.PostgreSQL, str], Ground], request: pytest.FixtureRequest) -> Ground:
    made = ground(request.getfixturevalue(request.param), f"orphans{request.param[8:]}")
    made.role("first", revocation_statements=BROKEN)
    made.role("look")
    return made


def login(engine: Ground) -> dict[str, t.Any]:
    return {
        "postgresql_access_login_user": engine.server.user,
        "postgresql_access_login_password": engine.server.password,
    }


def test_they_are_shown_removed_and_gone(engine: Ground, play: Play) -> None:
    mount = {"vault_database_mount": engine.mount}
    old, young = engine.stranded("first", 200_000, "-2 days"), engine.stranded("first", 1000, "1 hour")
    current = engine.issue("first")
    play.secrets = [engine.server.password, current["password"]]
    engine.sql(
        f'GRANT CREATE ON SCHEMA public TO {engine.group}; CREATE TABLE mine (what text); ALTER TABLE mine OWNER TO "{old}"'
    )

    for look in (
        login(engine),
        {"leasehold_orphans_role": "look"},
    ):  # as the DBA, and with a user that Vault issues for it
        run = play("leasehold.vault.clean_orphans", *extra(**mount, **look), check=True)
        assert run.changes == 1
        assert f"{old} (expired_and_leaseless)" in run.output
        assert f"{young} (leaseless)" in run.output
        assert f"would remove 1 orphan(s), left are {young}" in run.output
        assert current["username"] not in run.output
        assert engine.users("look") == engine.leases("look") == [], "who looked is gone"
        assert len(engine.users("first")) == 3

    run = play("leasehold.vault.clean_orphans", *extra(**mount), ok=False)
    assert "Who looks into the databases?" in run.output
    run = play("leasehold.vault.clean_orphans", *extra(**mount, leasehold_orphans_role="look"), ok=False)
    assert "1 orphan(s) can be removed, and only a superuser can" in run.output
    assert len(engine.users("first")) == 3

    run = play("leasehold.vault.clean_orphans", *extra(**mount, **login(engine)))
    assert f"removed 1 orphan(s), left are {young}" in run.output
    assert engine.users("first") == sorted([young, current["username"]])
    assert engine.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'") == [(engine.group,)]
    engine.sql("DROP TABLE mine")
    assert engine.opens(current["username"], current["password"])

    run = play("leasehold.vault.clean_orphans", *extra(**mount, **login(engine), leasehold_clean_leaseless=True))
    assert "removed 1 orphan(s), left are none" in run.output
    run = play("leasehold.vault.clean_orphans", *extra(**mount, **login(engine), leasehold_clean_leaseless=True))
    assert run.changes == 0
    assert engine.users("first") == [current["username"]]


@pytest.mark.full
def test_unremovable_orphans_are_listed_and_others_removed(engine: Ground, play: Play) -> None:
    stuck, other = engine.stranded("first", 300_000, "-2 days"), engine.stranded("first", 200_000, "-2 days")
    kept = f"{engine.mount}_kept"
    engine.sql(f"CREATE DATABASE {kept}")
    engine.sql(f'CREATE TABLE mine (what text); ALTER TABLE mine OWNER TO "{stuck}"', kept)
    engine.sql(f"ALTER DATABASE {kept} ALLOW_CONNECTIONS false")
    try:
        run = play(
            "leasehold.vault.clean_orphans", *extra(vault_database_mount=engine.mount, **login(engine)), ok=False
        )
        assert run.code == 2
        assert "2 of 3 statement(s) failed; what they belong to is still there." in run.output
        assert f"{stuck}: " in run.output
        assert "cannot be dropped" in run.output
        assert stuck in engine.users("first")
        assert other not in engine.users("first")
    finally:
        engine.sql(f"DROP DATABASE {kept}")


@pytest.mark.full
def test_revoke_rolls_back_what_keeps_a_login(engine: Ground, play: Play) -> None:
    """The user has changed its own password in a prepared transaction: no revocation of Vault can take its login."""
    written = statements.expand({"in_role": engine.group})
    lists = {word: statements.sendable(text) for word, text in written.items() if word in statements.OWNED}
    engine.role("holder", **lists)
    user = engine.issue("holder")
    login_of_user = {"user": user["username"], "password": user["password"]}
    with contextlib.closing(engine.server.connect(engine.database, **login_of_user)) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'another'")
        cursor.execute("PREPARE TRANSACTION %s", ("it's \\ mine",))
    database = {
        "name": "db", "host": engine.server.host, "port": engine.server.port, "database": engine.database, "sslmode": "disable",
    }  # fmt: skip
    document = {"vault_database_mount": engine.mount, "vault_databases": [database], "leasehold_revoke_role": "holder"}
    refused = play("leasehold.vault.revoke", *extra(**document), ok=False)
    assert "can still log in" in refused.output
    run = play("leasehold.vault.revoke", *extra(**document, **login(engine)))
    assert "revoked 1 lease(s)" in run.output
    assert engine.users("holder") == engine.leases("holder") == []
