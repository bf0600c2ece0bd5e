# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from fake_vault import RefusalError


@pytest.fixture
def document(vault):
    roles = [
        {"name": name, "db_name": "db", "in_role": vault.database.group, "default_ttl": "1h"}
        for name in ("app", "reports")
    ]
    return {
        "engine": {"max_lease_ttl": "24h"},
        "connections": [{"name": "db", **vault.connection(), "allowed_roles": ["app", "reports"]}],
        "roles": roles,
    }


def actions(result):
    return {each["name"]: each["action"] for each in result["objects"] if each["action"] != "none"}


@pytest.mark.both
def test_lifecycle_of_engine_in_one_document(vault, run, document):
    made = run.changes("database_sync", **document)
    assert actions(made) == {vault.mount: "create", "db": "create", "app": "create", "reports": "create"}
    assert vault.issue("app")["username"]

    document["roles"][1]["default_ttl"] = "2h"
    assert actions(run.changes("database_sync", **document)) == {"reports": "update"}


def test_check_mode_accounts_for_objects_created_earlier_in_run(run, document):
    """Nothing is there yet: no mount for the connection, and no connection for the roles."""
    assert run("database_sync", check=True, **document)["warnings"] == []


def test_only_change_made_elsewhere_is_reported_and_reverted(vault, run, document):
    run("database_sync", **document)
    vault.write("roles/app", default_ttl=120, max_ttl=7200)
    result = run.changes("database_sync", **document)
    assert actions(result) == {"app": "update"}
    assert "120" in result["diff"]["before"]
    assert vault.read("roles/app")["max_ttl"] == 7200


def test_functions_in_use_are_kept_by_document_that_leaves_them_open(vault, run, document):
    """A new role of the connection has them, too; one that is to act as its group, or one of another connection, cannot or need not."""
    run("database_sync", **{**document, "roles": [{**role, "functions": "leasehold"} for role in document["roles"]]})
    run.nothing("database_sync", **document)
    document["connections"] = [
        {**document["connections"][0], "allowed_roles": ["app", "reports", "new", "migrations"]},
        {
            **vault.connection(),
            "name": "other",
            "allowed_roles": ["elsewhere"],
            "username": "other",
            "verify_connection": False,
        },
    ]
    new = {"db_name": "db", "in_role": vault.database.group}
    document["roles"] += [
        {**new, "name": "new"},
        {**new, "name": "migrations", "set_role": True},
        {**new, "name": "elsewhere", "db_name": "other"},
    ]
    run("database_sync", check=True, **document)
    run.changes("database_sync", **document)
    by_functions = {
        name: "leasehold.issue(" in str(vault.read(f"roles/{name}")["creation_statements"])
        for name in ("app", "reports", "new", "migrations", "elsewhere")
    }
    assert by_functions == {"app": True, "reports": True, "new": True, "migrations": False, "elsewhere": False}
    run.nothing("database_sync", **document)


@pytest.mark.both
def test_undeclared_objects_are_kept_unless_pruned(vault, run, document):
    run("database_sync", **document)
    vault.add_role("old").add_connection("old-db")
    run.nothing("database_sync", **document)
    assert actions(run.changes("database_sync", **document, prune=["roles"])) == {"old": "delete"}
    assert vault.names("config") == ["db", "old-db"]
    run.changes("database_sync", **document, prune=["roles", "connections"])
    assert vault.names("config") == ["db"]


@pytest.mark.both
def test_prune_with_live_leases_is_refused_or_revokes_first(vault, run, document):
    run("database_sync", **document)
    vault.write("config/db", allowed_roles=["*"])
    vault.add_role("old").issue("old")
    document["connections"][0]["allowed_roles"] = ["*"]
    assert "1 live lease(s)" in run.refused("database_sync", **document, prune=["roles"])
    assert "1 live lease(s)" in run.refused("database_sync", **document, prune=["roles"], keep_leases=True)
    run.changes("database_sync", **document, prune=["roles"], revoke_leases=True)
    assert vault.leases() == []


def test_failure_skips_only_dependent_objects(vault, run, document):
    wrong = {
        **document,
        "connections": [*document["connections"], {"name": "odd", **vault.connection(), "username": "nobody"}],
    }
    wrong["roles"] = [*document["roles"], {"name": "other", "db_name": "odd", "in_role": "g"}]
    with pytest.raises(Problem, match="28P01"):
        run("database_sync", **wrong)
    assert vault.names("roles") == ["app", "reports"]
    run.nothing("database_sync", **document)


def test_object_created_concurrently_is_accepted(fake_vault, run, monkeypatch):
    server, mount = fake_vault.server, f"sys/mounts/{fake_vault.mount}"
    answer = server.answer

    def after_somebody_else(method, path, body, headers):
        if (method, path) == ("POST", mount):
            answer(method, path, body, headers)
        return answer(method, path, body, headers)

    monkeypatch.setattr(server, "answer", after_somebody_else)
    result = run("database_sync", engine={"max_lease_ttl": "24h"})
    assert (actions(result), result["changed"]) == ({}, False)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_unavailable_server_is_reported_once_and_stops_requests(fake_vault, run, monkeypatch, concurrency):
    server, asked, tenth = fake_vault.server, [], itertools.count(1)
    document = {
        "connections": [{"name": "db", **fake_vault.connection(), "allowed_roles": ["*"]}],
        "roles": [{"name": f"role-{number}", "db_name": "db", "in_role": "g"} for number in range(100)],
    }
    run("database_sync", **document)
    answer = server.answer

    def away_from_the_tenth_role_on(method, path, body, headers):
        asked.append(path)
        if "/roles/" in path and next(tenth) > 10:
            raise RefusalError(503, "Vault is sealed")
        return answer(method, path, body, headers)

    monkeypatch.setattr(server, "answer", away_from_the_tenth_role_on)
    with pytest.raises(Problem) as caught:
        run("database_sync", **document, concurrency=concurrency)
    sentence = str(caught.value)
    assert sentence.startswith("90 object(s) failed; 12 of 102 objects are as declared. ")
    assert sentence.endswith(" more: not tried, because Vault was unavailable; run it again")
    assert 1 <= sentence.count("503: Vault is sealed. Unseal it first.") <= concurrency
    assert len(sentence) < 300 * (concurrency + 1)
    assert len([each for each in asked if "/roles/" in each]) <= 10 + concurrency


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "app"}, "more than once"),
        ({"name": "a/b"}, "cannot be a name"),
        ({"name": "other", "default_ttl": "1w"}, "default_ttl"),
        ({"name": "other", "db_name": "nowhere"}, "no connection nowhere"),
        ({"name": "other"}, "does not allow the role other"),
    ],
)
def test_invalid_input_is_refused(vault, run, document, wrong, words):
    run("database_sync", **document)
    document["roles"].append({"db_name": "db", "in_role": "g", **wrong})
    assert words in run.refused("database_sync", **document)


def test_password_is_not_shown(vault, run, document):
    assert vault.database.admin_password not in str(run("database_sync", **document))
