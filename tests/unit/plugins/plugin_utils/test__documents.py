# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import datetime
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.filter.postgresql_document import postgresql_document
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import read_entries
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents import access as _access
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents import agent as _agent
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.access import access_document
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.agent import agent_document
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.databases import database_document
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.problems import APPLICATION, problems_of

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
GROUP = {"schemas": ["public"], "tables": ["select"]}


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
        ("database", 123, "vault_databases[0].database: must be text, not a number; write it in quotes"),
        ("database", "app\ndb", "vault_databases[0].database: 'app\\ndb' cannot be the name of a database here."),
        ("owner", " app_owner", "vault_databases[0].owner: ' app_owner' cannot be the name of a role here."),
        ("owner", "besitzer_ä", "vault_databases[0].owner: 'besitzer_ä' cannot be the name of a role here."),
        ("owner", "pg_monitor", "vault_databases[0].owner: 'pg_monitor' cannot be the name of a role here."),
        ("owner", "x" * 64, "vault_databases[0].owner: 'xxx"),
        ("owner", "", "vault_databases[0].owner: '' cannot be the name of a role here."),
        ("owner", "app_rw", "vault_databases[0].groups.app_rw: 'app_rw' is vault_databases[0].owner, too; owner, groups, admin role and"),
        ("admin/username", "leasehold_definer", "vault_databases[0].admin.username: 'leasehold_definer' is the role that the functions run as, too"),
        ("admin/password", "½", "vault_databases[0].admin.password: PostgreSQL and Vault would not agree on this password"),
        ("groups/app_rx", {}, "vault_databases[0].groups.app_rx: schemas is missing"),
        ("groups/public", GROUP, "vault_databases[0].groups.public: 'public' cannot be the name of a role here."),
        ("groups/app_rw/schemas", [], "vault_databases[0].groups.app_rw.schemas: must not be empty"),
        ("groups/app_rw/schemas", [None], "vault_databases[0].groups.app_rw.schemas[0]: must be text, not nothing"),
        ("groups/app_rw/schemas", ["leasehold"], "vault_databases[0].groups.app_rw.schemas[0]: 'leasehold' cannot be a schema of a group."),
        ("groups/app_rw/schemas", ["pg_catalog"], "vault_databases[0].groups.app_rw.schemas[0]: 'pg_catalog' cannot be a schema of a group."),
        ("groups/app_rw/schemas", [2024], "vault_databases[0].groups.app_rw.schemas[0]: must be text, not a number; write it in quotes"),
        ("groups/app_rw/tables", [], "vault_databases[0].groups.app_rw.tables: must not be empty"),
        ("groups/app_rw/tables", ["selct"], "vault_databases[0].groups.app_rw.tables[0]: must be one of select, insert, update, delete, "),
        ("groups/app_rw/sequences", ["insert"], "vault_databases[0].groups.app_rw.sequences[0]: must be one of usage, select, update, "),
        ("groups/app_rw/schema_privileges", ["drop"], "vault_databases[0].groups.app_rw.schema_privileges[0]: must be one of usage, create"),
        ("groups/app_rw/functions", "execute", "vault_databases[0].groups.app_rw.functions: must be a list, not text"),
        ("users", {"reporter": {"in_role": ["app_rx"]}}, "vault_databases[0].users.reporter.in_role[0]: 'app_rx' is none of the groups"),
        ("users", {"reporter": {"password": "x"}}, "vault_databases[0].users.reporter: unknown key password"),
        ("users", {"app_rw": None}, "vault_databases[0].users.app_rw: 'app_rw' is vault_databases[0].groups.app_rw, too"),
        ("users", ["reporter"], "vault_databases[0].users: must be a dictionary, not a list"),
        ("creators", "migrator", "vault_databases[0].creators: must be a list, not text"),
        ("connect", [["x"]], "vault_databases[0].connect[0]: must be text, not a list"),
        ("roles/app role", {}, "vault_databases[0].roles.app role: 'app role' cannot be a name in Vault"),
        ("roles/app-role/reassign_owned_to", "stranger", "vault_databases[0].roles.app-role.reassign_owned_to: 'stranger' is neither the owner"),
        ("static_roles/reports/rotation_schedule", "0 0 * * *", "vault_databases[0].static_roles.reports: rotation_period and rotation_schedule exclude"),
        ("port", 0, "vault_databases[0].port: '0' is not a port, a number from 1 to 65535"),
        ("port", 65536, "vault_databases[0].port: '65536' is not a port"),
        ("port", "٥٤٣٢", "vault_databases[0].port: '٥٤٣٢' is not a port"),
        ("port", "5²", "vault_databases[0].port: '5²' is not a port"),
        ("port", True, "vault_databases[0].port: 'True' is not a port"),
        ("port", "1e3", "vault_databases[0].port: '1e3' is not a port"),
        ("host", "[::1", "vault_databases[0].host: '[::1' is neither a name"),
        ("host", "::1 5432", "vault_databases[0].host: '::1 5432' is neither a name"),
        ("host", 5432, "vault_databases[0].host: must be text, not a number; write it in quotes"),
        ("sslmode", "verify_full", "vault_databases[0].sslmode: must be one of disable, allow, prefer, require, verify-ca, verify-full, not"),
        ("sslmode", False, "vault_databases[0].sslmode: must be one of disable, "),
        ("url_parameters", ["a=b"], "vault_databases[0].url_parameters: must be a dictionary, not a list"),
        ("url_parameters/connect_timeout", [3], "vault_databases[0].url_parameters.connect_timeout: must be a single value, not a list"),
        ("verify", "Login", "vault_databases[0].verify: must be one of none, issue, login, not 'Login'; did you mean login?"),
        ("functions", "lease-hold", "vault_databases[0].functions: must be one of leasehold, none, not 'lease-hold'; did you mean leasehold?"),
        ("login/hosts", "x", "vault_databases[0].login: unknown key hosts; did you mean host?"),
        ("migrations", {"max_ttl": "2h"}, "vault_databases[0].migrations: role is missing"),
        ("migrations", {"role": "m", "max_tll": 1}, "vault_databases[0].migrations: unknown key max_tll; did you mean max_ttl?"),
        ("migrations", {"role": "app-role"}, "vault_databases[0].migrations.role: 'app-role' is there already as vault_databases[0].roles.app-role"),
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


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"owner": None}, "vault_databases[0].migrations: its users act as the owner, and owner is missing"),
        ({"functions": "leasehold"}, "vault_databases[0].migrations: needs functions: none"),
    ],
)
def test_migrations_need_an_owner_and_no_functions(more, problem):
    (given,) = problems_of([{**GOOD, "migrations": {"role": "migrate"}, **more}])
    assert given.startswith(problem)


def test_applications_may_read_the_role_for_migrations():
    entry = {**GOOD, "migrations": {"role": "migrate"}}
    assert problems_of([entry], [{"name": "ci", "roles": ["migrate"]}]) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "billing desk"}, "vault_applications[0].name: 'billing desk' cannot be a name in Vault"),
        ({"name": "Root"}, "vault_applications[0].name: 'Root' is the name of a policy that belongs to Vault itself"),
        ({"state": "gone"}, "vault_applications[0].state: must be one of present, absent, not 'gone'"),
        ({"roles": "app-role"}, "vault_applications[0].roles: must be a list, not text"),
        ({"roles": [7]}, "vault_applications[0].roles[0]: must be text, not a number; write it in quotes"),
        ({"auth": {"aprole": {}}}, "vault_applications[0].auth: unknown key aprole; did you mean approle?"),
        ({"auth": {"approle": {"secret_id_tll": "1h"}}}, "vault_applications[0].auth.approle: unknown key secret_id_tll; did you mean secret_id_ttl?"),
        ({"auth": {"approle": {"secret_id_ttl": "1w"}}}, "vault_applications[0].auth.approle.secret_id_ttl: '1w' is not a duration"),
        ({"auth": {"kubernetes": {"service_account": ["x"]}}}, "vault_applications[0].auth.kubernetes: unknown key service_account; did you mean"),
        ({"limits": {"login": {"rate": 5}}}, "vault_applications[0].limits: unknown key login; did you mean logins?"),
        ({"limits": {"logins": {"rates": 5}}}, "vault_applications[0].limits.logins: unknown key rates; did you mean rate?"),
        ({"deliver": {"hosts": "web1"}}, "vault_applications[0].deliver.hosts: must be a list, not text"),
        ({"manifests": {"kinds": ["external_secret"]}}, "vault_applications[0].manifests.kinds[0]: must be one of agent_injector, external_secrets, "),
        ({"agent": {"files": [{"pat": "/x"}]}}, "vault_applications[0].agent.files[0]: path is missing"),
        ({"agent": {"exec": {"command": "run it"}}}, "vault_applications[0].agent.exec.command: must be a list, not text"),
    ],
)  # fmt: skip
def test_each_problem_of_an_application_is_said_with_its_path(change, problem):
    billing = {"name": "billing", "roles": ["app-role"], "auth": {"approle": {}}, **change}
    assert problems_of([GOOD], [billing])[0].startswith(problem)


def test_password_in_a_host_is_not_shown():
    (problem,) = problems_of([{**GOOD, "host": "postgresql://u:hush,hush@db"}])
    assert problem.startswith("vault_databases[0].host: has an @; only names and addresses belong there")
    assert "hush" not in problem


def test_applications_whose_names_differ_in_case_only_are_one():
    problems = problems_of(None, [{"name": "Billing"}, {"name": "billing"}])
    assert problems == [
        "vault_applications[1].name: 'billing' is there already as vault_applications[0].name; Vault keeps names of policies in lower case"
    ]


def test_names_that_yaml_reads_as_numbers_are_said():
    entry = {**GOOD, "groups": {**GOOD["groups"], 2024: GROUP}, "roles": {7: {"in_role": "app_rw"}}}
    assert problems_of([entry]) == [
        "vault_databases[0].groups.2024: a name must be text, not a number; write it in quotes",
        "vault_databases[0].roles.7: a name must be text, not a number; write it in quotes",
    ]


def test_users_and_functions_exclude_each_other():
    (problem,) = problems_of([{**GOOD, "functions": "leasehold", "users": {"reporter": None}}])
    assert problem.startswith(
        "vault_databases[0].users: needs functions: none, because with the functions the admin role"
    )


@pytest.mark.parametrize("host", ["::1", "[::1]:5433", "fe80::1%eth0", "db1:5433,db2:5434", "/var/run/postgresql", ""])
def test_addresses_of_all_kinds_are_no_problem(host):
    assert problems_of([{**GOOD, "host": host, "port": None}]) == []


# -- the same declarations as a JSON schema --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (_access.ENTRY, ()),
        (_access.LIMIT, ("limits", "logins")),
        (_access.LIMIT, ("limits", "credentials")),
        (_access.DELIVER, ("deliver",)),
        (_access.MANIFESTS, ("manifests",)),
        (_agent.ENTRY, ("agent",)),
        (_agent.FILE, ("agent", "files")),
        (_agent.EXEC, ("agent", "exec")),
    ],
)
def test_words_of_an_application_are_those_of_the_schema(words, path):
    found = APPLICATION.schema
    for step in path:
        found = found["properties"][step]
        found = found.get("items", found)
    assert set(found["properties"]) == words


SCHEMA = jsonschema.Draft7Validator(json.loads((ROOT / "docs" / "document.schema.json").read_text()))


def refused_by_schema(databases=None, applications=None):
    """Each path that the schema refuses."""
    given = {"vault_databases": databases, "vault_applications": applications}
    document = json.loads(json.dumps({key: value for key, value in given.items() if value is not None}))
    return [error.json_path for error in SCHEMA.iter_errors(document)]


def test_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA.schema)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("role", {}, "$.vault_databases[0]"),
        ("sslmode", "verify_full", "$.vault_databases[0].sslmode"),
        ("roles", ["app-role"], "$.vault_databases[0].roles"),
        ("roles/app-role/defualt_ttl", "1h", "$.vault_databases[0].roles['app-role']"),
        ("roles/app-role/revocation", "parkin", "$.vault_databases[0].roles['app-role'].revocation"),
        ("roles/app-role/set_role", "perhaps", "$.vault_databases[0].roles['app-role'].set_role"),
        ("port", "abc", "$.vault_databases[0].port"),
        ("port", 65536, "$.vault_databases[0].port"),
        ("database", 123, "$.vault_databases[0].database"),
        ("admin/username", "", "$.vault_databases[0].admin.username"),
        ("admin/pasword", "x", "$.vault_databases[0].admin"),
        ("name", None, "$.vault_databases[0]"),
        ("groups/app_rw/tables", "select", "$.vault_databases[0].groups.app_rw.tables"),
        ("groups/app_rw/tables", ["selct"], "$.vault_databases[0].groups.app_rw.tables[0]"),
        ("groups/app_rw/schemas", [], "$.vault_databases[0].groups.app_rw.schemas"),
        ("groups/app_rx", {}, "$.vault_databases[0].groups.app_rx"),
        ("users", {"reporter": {"password": "x"}}, "$.vault_databases[0].users.reporter"),
        ("url_parameters", ["a=b"], "$.vault_databases[0].url_parameters"),
        ("options/max_open_connections", "many", "$.vault_databases[0].options.max_open_connections"),
        ("replicas", [{"port": 5432}], "$.vault_databases[0].replicas[0]"),
    ],
)
def test_schema_and_check_both_find_what_is_wrong(path, value, where):
    entry = with_change(path, value)
    assert where in refused_by_schema([entry])
    assert problems_of([entry])


def test_schema_and_check_both_find_what_is_wrong_with_applications():
    for change in ({"rolls": []}, {"state": "gone"}, {"auth": {"aprole": {}}}, {"agent": {"files": [{"pat": 1}]}}):
        application = {"name": "billing", **change}
        assert refused_by_schema(None, [application])
        assert problems_of(None, [application])


def test_schema_takes_templates_nothing_and_keys_of_ones_own():
    entry = {**GOOD, "port": "{{ port }}", "groups": "{{ groups_of_all }}", "sslmode": "{{ mode }}", "connect": None}
    entry["roles"] = {"app-role": None, "other": {"set_role": "{{ yes }}", "default_ttl": "{{ ttl }}"}}
    assert refused_by_schema([GOOD, entry]) == []


NONSENSE = (
    None, "", " ", "ä b", "x" * 64, "'; DROP TABLE t; --", 0, -1, 1.5, 65536, 10**30, float("nan"), True, [], {}, [None], [[]], [{}],
    {"x": None}, {"x_own": 1}, {7: 7}, {None: None}, ("a",), b"bytes", {"a"}, datetime.date(2026, 1, 1), "1h", "::1", "%s", "\0", "²", "٥",
)  # fmt: skip
BILLING = {
    "name": "billing", "x_team": "shop", "roles": ["app-role"], "static_roles": ["reports"], "policies": ["extra"],
    "auth": {"approle": {"token_ttl": "1h"}, "kubernetes": {"namespaces": ["shop"], "service_accounts": ["billing"]}},
    "limits": {"logins": {"rate": 5}}, "deliver": {"hosts": ["web"], "become": True}, "manifests": {"kinds": ["agent_injector"], "directory": "/m"},
    "agent": {"files": [{"path": "/f", "format": "env", "role": "app-role"}], "login": {"approle": {"mount": "a"}}, "reload": ["kill"]},
}  # fmt: skip
JOBS = {
    "name": "jobs", "roles": ["app-role"],
    "auth": {"automation": {"platform": "github", "repository": "shop/billing", "branch": "main", "audience": "vault", "token_ttl": "1h"}},
}  # fmt: skip


def with_nonsense(node):
    """The same with each kind of nonsense in the place of each value."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        for nonsense in NONSENSE:
            changed = copy.copy(node)
            changed[key] = nonsense
            yield changed
        if isinstance(value, (dict, list)):
            for inner in with_nonsense(value):
                changed = copy.copy(node)
                changed[key] = inner
                yield changed


@pytest.mark.full
def test_nonsense_anywhere_is_never_an_exception_and_the_schema_refuses_no_more_than_the_check():
    entry = {**GOOD, "users": {"reporter": {"in_role": ["app_ro"]}}, "replicas": [{"host": "db2"}], "connect": ["pool"]}
    entry["pooler"] = {"kind": "pgbouncer", "auth_user": "pool"}
    assert problems_of([entry], [BILLING, JOBS]) == []
    make_all([entry], None)
    make_all(None, [BILLING, JOBS])
    found = [([changed], None) for changed in with_nonsense(entry)]
    found += [(None, [changed]) for application in (BILLING, JOBS) for changed in with_nonsense(application)]
    assert len(found) > 3000
    for databases, applications in found:
        problems = problems_of(databases, applications)
        assert all(problem.startswith(("vault_databases[0]", "vault_applications[0]")) for problem in problems)
        try:
            refused = refused_by_schema(databases, applications)
        except TypeError:
            continue  # what no file can hold
        assert problems or not refused, (refused, databases, applications)
        if not problems:
            try:
                make_all(databases, applications)
            except (AnsibleFilterError, Refused) as error:
                if not re.fullmatch("|".join(FOUND_LATER), str(error), re.DOTALL):
                    raise


def make_all(databases, applications):
    """What those make of the document who use it."""
    if databases:
        database_document(databases)
        read_entries(postgresql_document(databases), "postgres")
    else:
        access_document(applications, [GOOD])
        agent_document(applications, [GOOD])


FOUND_LATER = (
    # What is missing
    r"production-db: (host|database) is missing\.",
    r"Entry 1 of vault_databases lacks owner\.",
    r"vault_applications: jobs: set roles \(or static_roles\), whose credentials it may read\.",
    r"vault_applications: (billing|jobs): set auth, how it logs in: approle, kubernetes, jwt, automation\.",
    r"vault_applications: jobs: auth: automation: platform is one of controller, github, gitlab, not None\.",
    r"vault_applications: jobs: auth: automation: repository is not known; known are [a-z_, ]+\.",  # without a platform
    r"vault_applications: jobs: auth: automation: say (repository or repository_id|branch or environment), or the jobs of others log in as well\.",
    r"vault_applications: jobs: auth: automation: set audience to what the platform puts into its tokens .*",
    r"vault_applications: billing: limits: logins is a dictionary, not None\.",
    r"vault_applications: billing: deliver: hosts is needed\.",
    r"vault_applications: billing: manifests: (directory is needed|kinds are agent_injector, external_secrets, secrets_operator)\.",
    r"billing: agent: give either files or exec; the agent cannot do both\.",
    r"billing: agent\.login must have one of approle, kubernetes, token_file\.",
    r"billing: /f: role is needed; the application has app-role, reports\.",
    r"billing: /f: format is one of env, properties, json, yaml, pgpass, pg_service, or template, not ''\.",
    # What does not fit another part of the document, or the host
    r"billing: /f: .+ is not among the application's roles\.",
    r"billing: .+: path is the absolute path of the file\.",
)
"""The sentences of those who use the document about what the check lets through."""


# -- the documents of this repository --------------------------------------------------------------------------------------


class Loader(yaml.CSafeLoader):
    pass


Loader.add_multi_constructor("!", lambda loader, _tag, node: loader.construct_scalar(node))


def texts():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "roles").glob("*/README.md"))]
    for file in pages:
        for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", file.read_text(), re.DOTALL)):
            yield f"{file.relative_to(ROOT)} {number}", text
    for directory in ("examples", "extensions", "playbooks", "roles", "sandbox"):
        for file in sorted((ROOT / directory).rglob("*.yml")):
            yield str(file.relative_to(ROOT)), file.read_text()


def within(node):
    """Each dictionary that has a document, wherever it stands in a file."""
    if isinstance(node, dict) and {"vault_databases", "vault_applications"} & set(node):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from within(inner)


def documents():
    """Those that this repository shows, by file."""
    for where, text in texts():
        try:
            found = list(within(list(yaml.load_all(text, Loader))))
        except yaml.YAMLError:
            continue
        for document in found:
            given = [
                None if isinstance(document.get(word), str) else document.get(word)
                for word in ("vault_databases", "vault_applications")
            ]
            if given != [None, None]:
                yield pytest.param(*given, id=where)


DOCUMENTS = list(documents())


def test_documents_of_this_repository_are_found():
    found = {parameter.id for parameter in DOCUMENTS}
    assert {"sandbox/group_vars/all.yml", "examples/pipelines/databases.yml", "docs/setup.md 0"} <= found
    assert any(name.startswith("README.md") for name in found)


@pytest.mark.parametrize(("databases", "applications"), DOCUMENTS)
def test_documents_of_this_repository_have_no_problems(databases, applications):
    assert refused_by_schema(databases, applications) == []
    # What a template will be is not known here.
    known = databases and [
        {key: value for key, value in entry.items() if not (key == "groups" and isinstance(value, str))}
        for entry in databases
    ]
    assert [problem for problem in problems_of(known, applications) if "{{" not in problem] == []
