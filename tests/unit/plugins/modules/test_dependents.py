# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What live leases, static roles and other connections rely on does not change under them: refused by name, in a check run too."""

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from fake_vault import RefusalError

POLICY = 'length = 20\nrule "charset" { charset = "abc" }'


@pytest.fixture
def mounted(vault):
    return vault.add_mount().add_connection()


def refused(run, module, **options):
    """The sentence of a run, which is that of a check run."""
    (sentence,) = {run.refused(module, **options, check=check) for check in (True, False)}
    return sentence


def at(world, **parts):
    """The URL of the test's database with another host, port or database."""
    url = world.database.url
    host, port, name = (parts.get(key, getattr(world.database, key)) for key in ("host", "port", "name"))
    return url.replace(f"@{world.database.host}:{world.database.port}/{world.database.name}", f"@{host}:{port}/{name}")


def second_admin(world):
    """Another PostgreSQL user that may make users."""
    if not hasattr(world, "server") or not hasattr(world.database, "sql"):
        world.database.passwords["second_admin"] = "second-password"
        return {"username": "second_admin", "password": "second-password"}
    user = f"second_{world.database.admin}"
    world.database.sql(f"CREATE ROLE {user} LOGIN CREATEROLE PASSWORD 'second-password'")
    return {"username": user, "password": "second-password"}


# -- live leases -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"host": "elsewhere.example"}, "host would change from localhost:"),
        ({"port": 1}, "host would change from localhost:"),
        ({"name": "other"}, "the database would change from "),
    ],
)
def test_connection_address_with_live_leases_is_refused(mounted, run, changed, words):
    mounted.add_role().issue("app")
    url = at(mounted, **changed)
    sentence = refused(run, "database_connection", name="db", connection_url=url, verify_connection=False)
    assert words in sentence
    assert f"1 under {mounted.mount}/creds/app" in sentence
    assert "keep_leases: true" in sentence


def test_connection_user_with_live_leases_is_refused(mounted, run):
    mounted.add_role().issue("app")
    desired = {"name": "db", **second_admin(mounted), "update_password": "always"}
    assert "username would change from " in refused(run, "database_connection", **desired)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "127.0.0.1,elsewhere.example", "elsewhere.example,localhost"]
)
def test_connection_other_name_of_same_server_with_live_leases_is_changed(fake_vault, run, host):
    fake_vault.add_mount().add_connection().add_role().issue("app")
    url = at(fake_vault, host=host)
    assert run("database_connection", name="db", connection_url=url, verify_connection=False, check=True)["changed"]


@pytest.mark.both
def test_connection_address_change_revokes_leases_first_when_asked(mounted, run):
    user = mounted.add_role().issue("app")
    desired = {"name": "db", "connection_url": at(mounted, port=1), "verify_connection": False, "revoke_leases": True}
    assert run("database_connection", check=True, **desired)["revoked_leases"] == 1
    assert mounted.leases() != []
    assert run("database_connection", **desired)["revoked_leases"] == 1
    assert mounted.leases() == []
    assert not mounted.database.opens(user["password"], user["username"])


def test_connection_address_change_with_keep_leases_leaves_them(mounted, run):
    """A fail-over to another address of the same server; Vault logs in there before it takes it."""
    mounted.add_role().issue("app")
    desired = {"name": "db", "connection_url": at(mounted, name="postgres"), "verify_connection": False}
    run("database_connection", **desired, keep_leases=True)
    assert len(mounted.leases()) == 1


def test_connection_address_without_leases_is_changed(mounted, run):
    mounted.add_role()
    assert run("database_connection", name="db", connection_url=at(mounted, port=1), verify_connection=False)["changed"]


@pytest.mark.both
def test_role_connection_with_live_leases_is_refused(mounted, run):
    mounted.add_connection("other", connection_url=at(mounted, name="postgres"), verify_connection=False)
    mounted.add_role().issue("app")
    sentence = refused(run, "database_role", name="app", db_name="other")
    assert "db_name would change from db to other" in sentence
    run("database_role", name="app", db_name="other", keep_leases=True)
    assert len(mounted.leases()) == 1


def test_role_connection_that_leads_to_same_place_is_changed(mounted, run):
    mounted.add_connection("renamed").add_role().issue("app")
    run.changes("database_role", name="app", db_name="renamed")


def test_role_connection_is_changed_when_old_one_is_gone(mounted, run):
    mounted.add_connection("other", connection_url=at(mounted, name="postgres"), verify_connection=False)
    mounted.add_role().issue("app")
    mounted.client.delete(f"{mounted.mount}/config/db")
    run.changes("database_role", name="app", db_name="other")


def test_role_group_with_live_leases_is_refused_or_revokes_them_first(mounted, run):
    group = mounted.database.group
    desired = {"name": "app", "db_name": "db", "in_role": group}
    run("database_role", **desired)
    mounted.issue("app")
    run.changes("database_role", **desired, default_ttl="1h")  # concerns nobody
    sentence = refused(run, "database_role", **{**desired, "in_role": "app_ro"})
    assert f"members of {group}" in sentence
    assert run.changes("database_role", **{**desired, "in_role": "app_ro"}, revoke_leases=True)["revoked_leases"] == 1
    assert mounted.leases() == []


def test_role_that_takes_own_statements_for_same_group_is_changed_under_leases(fake_vault, run):
    fake_vault.add_mount().add_connection()
    run("database_role", name="app", db_name="db", in_role="app_rw")
    fake_vault.issue("app")
    creation = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE app_rw"
    own = {"creation_statements": creation, "revocation_statements": 'DROP ROLE IF EXISTS "{{name}}"'}
    run.changes("database_role", name="app", **own)
    assert "are members of app_rw" in refused(run, "database_role", name="app", db_name="db", in_role="app_ro")


def test_role_functions_with_live_leases_are_refused(fake_vault, run):
    fake_vault.add_mount().add_connection()
    desired = {"name": "app", "db_name": "db", "in_role": "app_rw"}
    run("database_role", **desired, functions="none")
    fake_vault.issue("app")
    assert "were made by the admin role" in refused(run, "database_role", **desired, functions="leasehold")
    run.changes("database_role", **desired, functions="leasehold", keep_leases=True)
    assert "were made by the functions" in refused(run, "database_role", **desired, functions="none")


def test_changes_under_leases_are_made_without_looking_when_checks_are_off(mounted, run):
    mounted.add_role().issue("app")
    url = at(mounted, port=1)
    run("database_connection", name="db", connection_url=url, verify_connection=False, validate=False)
    assert len(mounted.leases()) == 1


# -- objects that name a connection ----------------------------------------------------------------------------------------


@pytest.fixture
def with_static(reports):
    user = f"{reports.database.name}_reports"
    reports.write("static-roles/reports", db_name="db", username=user, rotation_period="24h")
    return reports


def test_connection_that_static_role_names_is_not_deleted(with_static, run):
    for options in ({}, {"revoke_leases": True}):
        sentence = refused(run, "database_connection", name="db", state="absent", **options)
        assert "used by the static role reports" in sentence
    run("database_static_role", name="reports", state="absent")
    run.changes("database_connection", name="db", state="absent")


def test_connection_that_static_role_names_keeps_its_address(with_static, run):
    desired = {"name": "db", "connection_url": at(with_static, name="postgres"), "verify_connection": False}
    sentence = refused(run, "database_connection", **desired)
    assert "used by the static role reports, and the database would change" in sentence
    run.changes("database_connection", name="db", max_open_connections=3)
    assert run("database_connection", **desired, keep_leases=True)["changed"]


def test_static_role_keeps_its_server(with_static, run):
    with_static.add_connection("same", connection_url=at(with_static, host="localhost"))
    with_static.add_connection("other", connection_url=at(with_static, port=1), verify_connection=False)
    user = with_static.read("static-roles/reports")["username"]
    desired = {"name": "reports", "username": user}
    assert "from db to other" in refused(run, "database_static_role", **desired, db_name="other")
    run.changes("database_static_role", **desired, db_name="same")
    run.changes("database_static_role", **desired, db_name="other", validate=False)


def test_connection_that_roles_name_is_not_deleted_without_leases_either(mounted, run):
    mounted.add_role().add_role("other").add_role("elsewhere", db_name="another")
    sentence = refused(run, "database_connection", name="db", state="absent")
    assert "used by the roles app, other, which could issue no user" in sentence
    done = run.changes("database_connection", name="db", state="absent", revoke_leases=True)
    assert done["warnings"] == ["The connection db is deleted; the roles app, other cannot issue users without it."]


@pytest.mark.parametrize(("kind", "word"), [("roles", "role app"), ("static_roles", "static role reports")])
def test_pruned_connection_that_stays_named_is_not_deleted(with_static, run, kind, word):
    others = {"roles": "static_roles", "static_roles": "roles"}
    with_static.add_role()
    sentence = refused(run, "database_sync", prune=["connections"])
    assert "connections/db: Not deleted: connection " in sentence
    with_static.client.delete(
        f"{with_static.mount}/{others[kind].replace('_', '-')}/{'app' if kind == 'static_roles' else 'reports'}"
    )
    assert word in refused(run, "database_sync", prune=["connections"])
    run.changes("database_sync", prune=["connections", kind])
    assert with_static.names("config") == []


# -- one password, one keeper ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_second_connection_with_same_user_is_refused(mounted, run, host):
    desired = {"name": "second", **mounted.connection(), "connection_url": at(mounted, host=host)}
    sentence = refused(run, "database_connection", **desired)
    assert f"connection db of mount {mounted.mount}" in sentence
    assert mounted.database.admin in sentence
    run.changes("database_connection", name="db", allowed_roles=["app"])
    run.changes("database_connection", **desired, validate=False)
    run.nothing("database_connection", **desired)


def test_second_connection_with_own_user_is_made(mounted, run):
    run.changes("database_connection", name="second", **{**mounted.connection(), **second_admin(mounted)})


def test_connection_is_not_moved_to_user_of_another(mounted, run):
    mounted.add_connection("second", **second_admin(mounted))
    desired = {"name": "second", "username": mounted.database.admin}
    desired |= {"password": mounted.connection()["password"], "update_password": "always"}
    assert "so does connection db" in refused(run, "database_connection", **desired)


def test_document_with_one_user_in_two_connections_is_refused_before_either_is_made(vault, run):
    vault.add_mount()
    connections = [
        {"name": name, **vault.connection(), "connection_url": at(vault, host=host)}
        for name, host in (("one", "localhost"), ("two", "127.0.0.1"))
    ]
    sentence = refused(run, "database_sync", connections=connections)
    assert "so does connection two" in sentence
    assert "so does connection one" in sentence
    run.changes("database_sync", connections=connections, validate=False)
    run.nothing("database_sync", connections=connections)


def test_document_that_swaps_users_of_two_connections_is_not_refused(fake_vault, run):
    """Each is compared with what the other will be."""
    second = second_admin(fake_vault)
    fake_vault.add_mount().add_connection("one").add_connection("two", **second)
    first = {"username": fake_vault.database.admin, "password": fake_vault.database.admin_password}
    swapped = [
        {"name": "one", **second, "update_password": "always"},
        {"name": "two", **first, "update_password": "always"},
    ]
    assert run("database_sync", connections=swapped)["changed"]


def test_document_that_renames_a_connection_and_prunes_it_is_not_refused(mounted, run):
    run.changes("database_sync", connections=[{"name": "new", **mounted.connection()}], prune=["connections"])
    assert mounted.names("config") == ["new"]


def test_static_role_of_user_with_another_keeper_is_refused(with_static, run):
    user, admin = f"{with_static.database.name}_reports", with_static.database.admin
    desired = {"name": "second", "db_name": "db", "rotation_period": "24h"}
    assert "so does static role reports" in refused(run, "database_static_role", **desired, username=user)
    assert "so does connection db" in refused(run, "database_static_role", **desired, username=admin)


def test_connection_with_user_of_static_role_is_refused(with_static, run):
    user = f"{with_static.database.name}_reports"
    desired = {**with_static.connection(), "username": user, "verify_connection": False}
    assert "so does static role reports" in refused(run, "database_connection", name="second", **desired)


def test_two_static_roles_of_one_user_in_document_are_refused(reports, run):
    user = f"{reports.database.name}_reports"
    static_roles = [
        {"name": name, "db_name": "db", "username": user, "rotation_period": "24h"} for name in ("one", "two")
    ]
    sentence = refused(run, "database_sync", static_roles=static_roles)
    assert "so does static role two" in sentence
    assert reports.database.opens("first-password", user)


# -- limits and policies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttls", "words"),
    [
        ({"default_ttl": "12h", "max_ttl": "20h"}, "max_ttl (72000 s) is longer than the mount"),
        ({"default_ttl": "11h"}, "default_ttl (39600 s) is longer than the mount"),
    ],
)
def test_ttl_above_limit_of_mount_is_refused(mounted, run, ttls, words):
    run("database_engine", max_lease_ttl="10h")
    sentence = refused(run, "database_role", name="app", db_name="db", in_role=mounted.database.group, **ttls)
    assert words in sentence
    assert "max_lease_ttl 36000 s" in sentence
    run.changes("database_role", name="app", db_name="db", in_role=mounted.database.group, max_ttl="10h")


@pytest.mark.both
def test_ttl_above_limit_of_server_is_refused(mounted, run):
    desired = {"name": "app", "db_name": "db", "in_role": mounted.database.group}
    sentence = refused(run, "database_role", **desired, max_ttl="9000h")
    assert "max_ttl (32400000 s)" in sentence
    assert "max_lease_ttl 2764800 s" in sentence


def test_ttl_above_limit_that_was_there_before_does_not_stop_other_changes(mounted, run):
    mounted.add_role(max_ttl="9000h")
    run.changes("database_role", name="app", default_ttl="1h")


def test_ttl_is_compared_with_limit_the_document_gives_the_mount(vault, run):
    document = {
        "engine": {"max_lease_ttl": "10h"},
        "connections": [{"name": "db", **vault.connection()}],
        "roles": [{"name": "app", "db_name": "db", "in_role": vault.database.group, "max_ttl": "20h"}],
    }
    for check in (True, False):
        with pytest.raises(Problem, match=r"max_ttl \(72000 s\) is longer .*36000 s"):
            run("database_sync", **document, check=check)
    document["engine"]["max_lease_ttl"] = "24h"
    run.changes("database_sync", **document)
    document["engine"]["max_lease_ttl"] = 0
    document["roles"][0]["max_ttl"] = "100h"
    run.changes("database_sync", **document)


def test_password_policy_that_does_not_exist_is_refused(mounted, run):
    sentence = run.refused("database_connection", name="db", password_policy=f"{mounted.mount}-none")
    assert f"there is no password policy {mounted.mount}-none" in sentence
    role = {"name": "app", "db_name": "db", "in_role": mounted.database.group}
    config = {"password_policy": f"{mounted.mount}-none"}
    assert "there is no password policy" in run.refused("database_role", **role, credential_config=config)
    foreseen = run("database_connection", name="db", password_policy=f"{mounted.mount}-none", check=True)
    assert sentence in foreseen["warnings"]


def test_password_policy_in_use_is_not_deleted(mounted, run):
    policy = {"mount": None, "name": f"{mounted.mount}-own"}
    run("password_policy", **policy, policy=POLICY)
    run("database_connection", name="db", password_policy=policy["name"])
    assert f"in use by the object {mounted.mount}/config/db" in refused(
        run, "password_policy", **policy, state="absent"
    )
    run("database_connection", name="db", password_policy="")
    mounted.add_role(credential_config={"password_policy": policy["name"]})
    assert f"{mounted.mount}/roles/app" in refused(run, "password_policy", **policy, state="absent")
    run.changes("password_policy", **policy, state="absent", validate=False)


# -- what a check may not look at ------------------------------------------------------------------------------------------


def test_what_the_token_may_not_look_at_is_a_warning(fake_vault, run, monkeypatch):
    fake_vault.add_mount().add_connection()
    deny(fake_vault, monkeypatch, "/static-roles", "/tune", "sys/policies/", "sys/mounts")
    options = {**fake_vault.connection(), **second_admin(fake_vault)}
    warnings = run("database_connection", name="second", **options, password_policy="own")["warnings"]
    assert any("changes the password of second_admin was not checked" in each for each in warnings)
    assert any("there is a password policy own was not checked" in each for each in warnings)
    role = {"name": "app", "db_name": "db", "in_role": "app_rw"}
    (warning,) = run("database_role", **role, max_ttl="9000h")["warnings"]
    assert "longer than Vault's default limit (2764800 s)" in warning


def test_use_of_password_policy_that_may_not_be_looked_at_is_a_warning(fake_vault, run, monkeypatch):
    fake_vault.add_mount().client.write("sys/policies/password/own", {"policy": POLICY})
    deny(fake_vault, monkeypatch, f"{fake_vault.mount}/config")
    options = {"mount": None, "name": "own", "state": "absent"}
    (warning,) = run("password_policy", **options, check=True)["warnings"]
    assert "own is in use was not checked everywhere" in warning
    deny(fake_vault, monkeypatch, "sys/mounts")
    assert run("password_policy", **options)["warnings"] != []


def test_leases_that_cannot_be_counted_are_not_taken_for_none(fake_vault, run, monkeypatch):
    fake_vault.add_mount().add_connection().add_role()
    deny(fake_vault, monkeypatch, "sys/leases/lookup")
    url = at(fake_vault, port=1)
    desired = {"name": "db", "connection_url": url, "verify_connection": False}
    for check in (True, False):
        with pytest.raises(Problem, match=r"live leases depend on it could not be seen.*keep_leases: true"):
            run("database_connection", **desired, check=check)
    assert run("database_connection", **desired, validate=False)["changed"]


def test_deletion_without_the_right_to_look_for_leases_is_possible_on_request(fake_vault, run, monkeypatch):
    fake_vault.add_mount().add_connection().add_role()
    deny(fake_vault, monkeypatch, "sys/leases/lookup")
    with pytest.raises(Problem, match="With keep_leases: true nobody looks"):
        run("database_role", name="app", state="absent")
    (warning,) = run("database_role", name="app", state="absent", keep_leases=True)["warnings"]
    assert "was not looked at (keep_leases)" in warning
    assert "database_orphans_info" in warning


def deny(world, monkeypatch, *places):
    answer = world.server.answer

    def refuse(method, path, body, headers):
        if any(place in path for place in places) and method in ("GET", "LIST"):
            raise RefusalError(403, "permission denied")
        return answer(method, path, body, headers)

    monkeypatch.setattr(world.server, "answer", refuse)


# -- what it costs ---------------------------------------------------------------------------------------------------------


def test_sync_without_changes_asks_nothing_more_and_with_them_each_thing_once(fake_vault, run, monkeypatch):
    run.watching = False
    number = 50
    document = {
        "connections": [{"name": "db", **fake_vault.connection()}],
        "roles": [{"name": f"r{each}", "db_name": "db", "in_role": "g", "max_ttl": "1h"} for each in range(number)],
    }
    run("database_sync", **document)
    asked = []
    answer = fake_vault.server.answer

    def counted(method, path, body, headers):
        asked.append(path)
        return answer(method, path, body, headers)

    monkeypatch.setattr(fake_vault.server, "answer", counted)
    run("database_sync", **document)
    below = [path for path in asked if path.startswith((fake_vault.mount, "sys/mounts"))]
    # Each object once, the list of connections that tells a tainted mount, and whether the mount is there.
    assert len(below) == number + 1 + 3
    for role in document["roles"]:
        role["max_ttl"] = "2h"
    asked.clear()
    run("database_sync", **document)
    assert asked.count(f"sys/mounts/{fake_vault.mount}/tune") == 1
    assert asked.count(f"{fake_vault.mount}/config/db") == 2
