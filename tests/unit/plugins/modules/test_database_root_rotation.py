# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError


@pytest.fixture
def connected(vault, run):
    """A connection as the module makes it, and the bootstrap password."""
    vault.add_mount()
    run("database_connection", name="db", **vault.connection())
    return vault


def rotate(run, vault, **more):
    return run("database_root_rotation", name="db", password=vault.database.admin_password, **more)


def assert_still_not_rotated(vault):
    assert vault.database.opens(vault.database.admin_password)
    assert vault.names("config") == ["db"]


def assert_rotated(vault):
    assert not vault.database.opens(vault.database.admin_password)
    assert vault.names("config") == ["db"]
    vault.add_role().issue("app")


@pytest.mark.both
def test_second_run_is_unchanged(connected, run):
    foreseen = rotate(run, connected, check=True)
    assert foreseen["changed"]
    assert "not known without a probe" in foreseen["warnings"][0]
    assert_still_not_rotated(connected)

    first = rotate(run, connected)
    assert (first["changed"], first["rotated"], first["warnings"]) == (True, True, [])
    assert_rotated(connected)

    for check in (True, False):
        with connected.same_afterwards():
            again = rotate(run, connected, check=check)
        assert (again["changed"], again["rotated"]) == (False, False)
    assert_rotated(connected)


def test_rotation_time_is_stored_in_connection(connected, run):
    rotate(run, connected)
    shown = run("database_connection_info", name="db")["connections"][0]
    assert shown["root_rotated_at"].endswith("Z")


def test_run_killed_before_rotation_is_completed_by_next_run(connected, run, monkeypatch):
    def die(*_arguments, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(
            "ansible_collections.leasehold.vault.plugins.module_utils._operations.root_rotation._rotate", die
        )
        with pytest.raises(KeyboardInterrupt):
            rotate(run, connected)
    assert_still_not_rotated(connected)
    assert rotate(run, connected)["rotated"]
    assert_rotated(connected)


def test_probe_of_killed_run_is_removed_by_next_run(connected, run, monkeypatch):
    def die(client, path):
        raise SystemExit

    with monkeypatch.context() as patched:
        original, calls = Client.delete, []

        def delete_once(client, path):
            calls.append(path)
            return original(client, path) if len(calls) == 1 else die(client, path)

        patched.setattr(Client, "delete", delete_once)
        with pytest.raises(SystemExit):
            rotate(run, connected)
    assert connected.names("config") == ["db", "leasehold-probe-db"]
    assert connected.database.opens(connected.database.admin_password)

    assert rotate(run, connected)["rotated"]
    assert_rotated(connected)


def test_run_killed_after_rotation_is_recorded_by_next_run(connected, run, monkeypatch):
    original = Client.ask

    def die_afterwards(client, method, path, *arguments, **more):
        answer = original(client, method, path, *arguments, **more)
        if "/rotate-root/" in path:
            raise KeyboardInterrupt
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Client, "ask", die_afterwards)
        with pytest.raises(KeyboardInterrupt):
            rotate(run, connected)
    assert rotate(run, connected, check=True)["changed"]
    result = rotate(run, connected)
    assert (result["changed"], result["rotated"], result["warnings"]) == (True, False, [])
    for check in (True, False):
        assert not rotate(run, connected, check=check)["changed"]
    assert_rotated(connected)


def test_refused_password_without_known_rotation_fails_unless_assumed(connected, run):
    """Rotated by other means, or mistyped: the server cannot tell, so it is never noted as rotated."""
    for _again in range(2):
        sentence = run.refused("database_root_rotation", name="db", password="mistyped")
        assert "mistyped" in sentence
        assert "assume_rotated" in sentence
        with connected.same_afterwards():
            result = run("database_root_rotation", name="db", password="mistyped", assume_rotated=True)
        assert (result["changed"], result["rotated"], result["warnings"]) == (False, False, [])
    assert_still_not_rotated(connected)
    assert rotate(run, connected)["rotated"]
    assert_rotated(connected)


@pytest.mark.parametrize("how", [{"rotate": "once", "password": "first"}, {"rotate": "always"}], ids=str)
def test_url_with_credentials_is_refused_before_rotation(vault, run, how):
    database = vault.database
    url = database.url.replace("{{username}}:{{password}}", f"{database.admin}:{database.admin_password}")
    vault.add_mount().add_connection(connection_url=url)
    sentence = run.refused("database_root_rotation", name="db", **how)
    assert "holds a name or a password itself" in sentence
    assert database.admin_password not in sentence
    assert_still_not_rotated(vault)


def test_lost_answer_does_not_rotate_again_or_fail(connected, run, monkeypatch):
    original, rotations = Client.ask, []

    def lose_the_answer(client, method, path, *arguments, **more):
        answer = original(client, method, path, *arguments, **more)
        if "/rotate-root/" in path:
            rotations.append(path)
            raise VaultError("Vault did not answer: Connection reset by peer.")
        return answer

    monkeypatch.setattr(Client, "ask", lose_the_answer)
    result = rotate(run, connected)
    assert (result["changed"], result["rotated"], len(rotations)) == (True, True, 1)
    monkeypatch.undo()
    assert_rotated(connected)
    assert not rotate(run, connected)["changed"]


def test_lost_request_fails_and_next_run_rotates(connected, run, monkeypatch):
    original = Client.ask

    def lose_the_request(client, method, path, *arguments, **more):
        if "/rotate-root/" in path:
            raise VaultError("Vault did not answer: Connection reset by peer.")
        return original(client, method, path, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Client, "ask", lose_the_request)
        with pytest.raises(Problem, match="did not answer"):
            rotate(run, connected)
    assert_still_not_rotated(connected)
    assert rotate(run, connected)["rotated"]


@pytest.mark.parametrize("check", [True, False])
def test_database_refusing_all_logins_rotates_nothing(connected, run, check):
    connected.database.refuse_all()
    if check:
        assert rotate(run, connected, check=True)["changed"]
    else:
        sentence = run.refused("database_root_rotation", name="db", password=connected.database.admin_password)
        assert "unknown" in sentence
        assert "55000" in sentence
    connected.database.let_in_again()
    assert_still_not_rotated(connected)


def test_unreachable_database_rotates_nothing(connected, run):
    database = connected.database
    down = database.url.replace(f":{database.port}/", ":9/")
    connected.write("config/db", connection_url=down, verify_connection=False)
    sentence = run.refused("database_root_rotation", name="db", password=database.admin_password)
    assert "unknown" in sentence
    assert "connection refused" in sentence
    assert database.admin_password not in sentence
    assert_still_not_rotated(connected)


def test_wrong_bootstrap_password_rotates_nothing(connected, run):
    run.refused("database_root_rotation", name="db", password="a-password-of-nobody")
    assert_still_not_rotated(connected)


def test_trust_authentication_fails(fake_vault, run):
    fake_vault.add_mount().add_connection()
    fake_vault.database.trusting = True
    with pytest.raises(Problem, match=r"still lets the bootstrap password in.*pg_hba"):
        rotate(run, fake_vault)


def test_rotate_always_rotates_each_run_without_password(connected, run):
    for _run in range(2):
        assert run("database_root_rotation", name="db", rotate="always", check=True)["changed"]
        assert run("database_root_rotation", name="db", rotate="always")["rotated"]
    assert_rotated(connected)


def test_older_than_rotates_only_old_passwords(connected, run):
    def due(**more):
        return run("database_root_rotation", name="db", rotate="always", older_than="30d", **more)

    assert due(check=True)["changed"], "nothing is noted yet"
    assert due()["rotated"]
    for check in (True, False):
        with connected.same_afterwards():
            assert not due(check=check)["changed"]
    for noted in ("2026-01-01T00:00:00Z", "begun 2026-01-01T00:00:00Z"):
        connected.write("config/db", leasehold_root_rotated_at=noted)
        assert due(check=True)["changed"]
        assert due()["rotated"]


def test_database_that_lost_rotation_is_distinguished_from_rotated_one(real_vault, run):
    """As after a restore of PostgreSQL: neither the first password nor that of Vault opens it."""
    real_vault.add_mount()
    run("database_connection", name="db", **real_vault.connection())
    rotate(run, real_vault)
    real_vault.database.sql(f"ALTER ROLE {real_vault.database.admin} PASSWORD 'of-an-older-copy'")
    with pytest.raises(Problem) as caught:
        rotate(run, real_vault)
    assert caught.value.result["lost"] is True
    assert "one of the two servers was restored" in str(caught.value)


def test_failed_rotation_keeps_password(real_vault, run):
    real_vault.add_mount()
    options = {**real_vault.connection(), "root_rotation_statements": "SELECT no_such_function()"}
    run("database_connection", name="db", **options)
    with pytest.raises(Problem, match="42883"):
        rotate(run, real_vault)
    assert_still_not_rotated(real_vault)


def test_username_may_differ_from_connection(connected, run):
    assert not rotate(run, connected, username="nobody_of_this_name", assume_rotated=True)["rotated"]
    assert_still_not_rotated(connected)
    assert rotate(run, connected, username=connected.database.admin)["rotated"]


def test_missing_connection_is_refused_and_warns_in_check_mode(vault, run):
    vault.add_mount()
    assert "There is no connection" in run.refused("database_root_rotation", name="db", password="x" * 8)
    foreseen = rotate(run, vault, check=True)
    assert foreseen["changed"]
    assert "no connection" in foreseen["warnings"][0]


def test_missing_mount_fails(vault, run):
    assert "There is no connection" in run.refused("database_root_rotation", name="db", password="x" * 8)
    assert rotate(run, vault, check=True)["changed"]


def test_rotate_once_requires_password(vault, run):
    assert "password" in run.refused("database_root_rotation", name="db")


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "früh"])
def test_invalid_name_is_refused_before_any_request(vault, run, name):
    assert "cannot be a name" in run.refused("database_root_rotation", name=name, password="x" * 8)


def test_result_has_no_passwords(connected, run):
    assert connected.database.admin_password not in str(rotate(run, connected))
