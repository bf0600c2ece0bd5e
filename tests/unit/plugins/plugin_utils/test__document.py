# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.problems import problems_of

ROOT = Path(__file__).resolve().parents[4]
GOOD = {
    "name": "production-db",
    "host": "postgres.production.svc",
    "port": "5432",
    "database": "appdb",
    "sslmode": "verify-full",
    "url_parameters": {"connect_timeout": 3},
    "admin": {"username": "vault_admin", "password": "first"},
    "owner": "app_owner",
    "creators": ["migrator"],
    "groups": {
        "app_rw": {"schemas": ["public"], "tables": ["select", "insert"], "sequences": ["usage"]},
        "app_ro": {"schemas": ["public"], "tables": ["select"]},
    },
    "options": {"max_open_connections": 3, "verify_connection": "true"},
    "roles": {"app-role": {"in_role": "app_rw", "default_ttl": "1h", "max_ttl": 86400}},
    "static_roles": {"reports": {"username": "reports_user", "rotation_period": "24h"}},
    "login": {"host": "127.0.0.1", "port": "{{ 5432 }}".strip("{} ")},
    "x_team": {"anything": ["goes"]},
}


def with_change(path, value):
    """The good entry with another value at a path; None takes it away."""
    entry = copy.deepcopy(GOOD)
    *steps, last = path.split("/")
    place = entry
    for step in steps:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return entry


def test_pooler_that_may_connect_is_no_problem():
    for change in (
        {"connect": ["pool"]},
        {"pooler": {"kind": "pgbouncer", "auth_user": "pool", "auth_dbname": "pooling"}},
    ):
        entry = {**GOOD, "pooler": {"kind": "pgbouncer", "auth_user": "pool"}, "replicas": [{"host": "db2"}], **change}
        assert problems_of([entry]) == []


def test_good_document_has_no_problems():
    assert problems_of([GOOD], [{"name": "billing", "roles": ["app-role"], "auth": {"approle": {}}}], "24h") == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("pooler", {"kind": "pgbouncer", "auth_user": "pool"}, "vault_databases[0].pooler.auth_user: CONNECT to appdb is taken from PUBLIC, and 'pool' is"),
        ("pooler", {"kind": "pgpool"}, "vault_databases[0].pooler.kind: must be one of pgbouncer"),
        ("replicas", [{"port": 5432}], "vault_databases[0].replicas[0]: host is missing"),
        ("replicas", [{"host": "db 2"}], "vault_databases[0].replicas[0].host: 'db 2' is neither a name"),
        ("role", {}, "vault_databases[0]: unknown key role; did you mean roles?"),
        ("sslmod", "require", "vault_databases[0]: unknown key sslmod; did you mean sslmode?"),
        ("url_parameter", {}, "vault_databases[0]: unknown key url_parameter; did you mean url_parameters?"),
        ("verfy", "login", "vault_databases[0]: unknown key verfy; did you mean verify?"),
        ("quite_another", 1, "vault_databases[0]: unknown key quite_another"),
        ("roles", ["app-role"], "vault_databases[0].roles: must be a dictionary, not a list"),
        ("port", "abc", "vault_databases[0].port: 'abc' is not a port"),
        ("host", "db/app", "vault_databases[0].host: 'db/app' is neither a name"),
        ("host", "db:x", "vault_databases[0].port: 'x' is not a number"),
        ("port", "1,2", "vault_databases[0].port: 2 ports (1,2) for 1 hosts (postgres.production.svc)"),
        ("login/host", "[::1", "vault_databases[0].login.host: '[::1' is neither a name"),
        ("name", None, "vault_databases[0]: name is missing"),
        ("admin/username", "", "vault_databases[0].admin: username is missing"),
        ("name", "a/b", "vault_databases[0].name: 'a/b' cannot be a name in Vault; "),
        ("sslmode", "verifyfull", "vault_databases[0].sslmode: must be one of disable, allow, prefer, require, "),
        ("groups/app_rw/tables", "select", "vault_databases[0].groups.app_rw.tables: must be a list, not text"),
        ("groups/app_rw/table", ["select"], "vault_databases[0].groups.app_rw: unknown key table; did you mean tables?"),
        (
            "roles/app-role/in_role",
            "app_roo",
            "vault_databases[0].roles.app-role.in_role: 'app_roo' is none of the groups app_ro, app_rw; did you mean app_ro?",
        ),
        ("roles/app-role/defualt_ttl", "1h", "vault_databases[0].roles.app-role: unknown key defualt_ttl; did you mean default_ttl?"),
        ("roles/app-role/default_ttl", "1w", "vault_databases[0].roles.app-role.default_ttl: '1w' is not a duration"),
        ("roles/app-role/default_ttl", "25h", "vault_databases[0].roles.app-role.default_ttl: 90000 s is longer than max_ttl (86400 s)"),
        ("roles/app-role/set_role", "perhaps", "vault_databases[0].roles.app-role.set_role: must be true or false, not 'perhaps'"),
        ("roles/app-role/revocation", "parkin", "vault_databases[0].roles.app-role.revocation: must be one of strict, parking"),
        ("static_roles/app-role", {"username": "u"}, "vault_databases[0].static_roles.app-role: 'app-role' is there already as "),
        ("static_roles/reports/rotation_periods", 5, "vault_databases[0].static_roles.reports: unknown key rotation_periods"),
        ("options/max_open_connection", 3, "vault_databases[0].options: unknown key max_open_connection; did you mean max_"),
        ("options/max_open_connections", "many", "vault_databases[0].options.max_open_connections: must be a number, not 'many'"),
    ],
)  # fmt: skip
def test_each_problem_is_said_with_its_path(path, value, problem):
    (given,) = problems_of([with_change(path, value)])
    assert given.startswith(problem)


def test_all_problems_are_said_at_once_and_no_password_is_shown():
    odd = {
        **GOOD,
        "name": "other",
        "role": {},
        "port": [],
        "admin": {"username": "u", "password": ["hush"], "pasword": "hush"},
    }
    odd |= {"roles": {}, "static_roles": {}}
    problems = problems_of([with_change("sslmod", "x"), odd])
    assert [problem.partition(":")[0] for problem in problems] == [
        "vault_databases[0]", "vault_databases[1].port", "vault_databases[1].admin.password", "vault_databases[1].admin",
        "vault_databases[1]",
    ]  # fmt: skip
    assert "hush" not in str(problems)


@pytest.mark.parametrize(
    "nonsense",
    [None, "text", 7, {"name": "x"}, [None], ["text"], [[]], [{}], [{"roles": 1, "groups": [], "admin": "x"}]],
)
def test_what_is_no_document_is_said_and_never_an_exception(nonsense):
    problems = problems_of(nonsense, nonsense)
    assert (problems == []) == (nonsense is None)


def second(**more):
    return {**GOOD, "name": "second", "roles": {}, "static_roles": {}, **more}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("db", "DB."),
        ("localhost", "127.0.0.1"),
        ("db1:5433,db2:5432", "[::1],db2"),
        ("::1", "127.0.0.1"),
        ("db1,db2", "db2"),
        ("/var/run/postgresql", "localhost"),
    ],
)
def test_one_admin_in_two_entries_of_one_server_is_refused(one, other):
    (problem,) = problems_of([{**GOOD, "host": one}, second(host=other)])
    assert problem.startswith(
        "vault_databases[1].admin.username: 'vault_admin' is the admin role of vault_databases[0], too"
    )


def test_one_admin_name_on_two_servers_is_not():
    assert problems_of([GOOD, second(host="other"), second(name="third", port=5433)]) == []


def test_names_are_there_once():
    problems = problems_of([GOOD, {**GOOD, "host": "other"}])
    assert [problem.partition(":")[0] for problem in problems] == [
        "vault_databases[1].name", "vault_databases[1].roles.app-role", "vault_databases[1].static_roles.reports",
    ]  # fmt: skip


def test_ttls_are_compared_with_the_limit_of_the_mount():
    (problem,) = problems_of([GOOD], None, "10h")
    assert (
        problem
        == "vault_databases[0].roles.app-role.max_ttl: 86400 s is longer than max_lease_ttl of the mount (36000 s)"
    )


def test_roles_of_applications_are_roles_of_the_document():
    billing = {"name": "billing", "roles": ["app-rol"], "static_roles": ["reports"], "auth": {}}
    (problem,) = problems_of([GOOD], [billing])
    assert problem == (
        "vault_applications[0].roles: 'app-rol' is none of the roles of vault_databases (app-role); did you mean app-role?"
    )
    assert problems_of([], [billing]) == [], "they may be in another document"
    assert problems_of([GOOD], [{**billing, "state": "absent"}]) == []
    (problem,) = problems_of([], [{**billing, "rolls": []}])
    assert problem == "vault_applications[0]: unknown key rolls; did you mean roles?"


def documents():
    """Those that this repository shows, by file."""
    texts = {}
    for file in [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "roles").glob("*/README.md")),
    ]:
        for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", file.read_text(), re.DOTALL)):
            texts[f"{file.relative_to(ROOT)} {number}"] = text
    for file in sorted((ROOT / "examples").rglob("*.yml")):
        texts[str(file.relative_to(ROOT))] = file.read_text()

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, tag, node: loader.construct_scalar(node))
    for where, text in texts.items():
        try:
            document = yaml.load(text, Loader)  # noqa: S506
        except yaml.YAMLError:
            continue
        plays = document if isinstance(document, list) else [document]
        for play in plays:
            current = {**play, **(play.get("vars") or {})} if isinstance(play, dict) else {}
            if {"vault_databases", "vault_applications"} & set(current):
                yield pytest.param(current.get("vault_databases"), current.get("vault_applications"), id=where)


@pytest.mark.parametrize(("databases", "applications"), list(documents()))
def test_documents_of_this_repository_have_no_problems(databases, applications):
    assert problems_of(databases, applications) == []
