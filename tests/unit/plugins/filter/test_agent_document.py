# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agents are made of. That it works with the real agent, tests/integration/test_vault_agent.py shows."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.agent import agent_document

FILE = {"path": "/etc/app/db", "format": "json"}
DATABASES = [{"name": "d", "host": "pg.svc", "database": "app db", "sslmode": "require", "roles": {"app-role": {}}}]


def document(agent: dict[str, t.Any], **application: t.Any) -> dict[str, t.Any]:
    entry = {
        "name": "app",
        "roles": ["app-role"],
        "auth": {"approle": {"token_ttl": "1h"}},
        "agent": agent,
        **application,
    }
    (answer,) = agent_document([{"name": "other"}, entry], DATABASES)
    return answer


def test_values_of_document_are_defaults_of_agent() -> None:
    answer = document({"files": [FILE]})
    assert (answer["user"], answer["home"]) == ("root", "/etc/vault-agent/app")
    assert answer["login"] == {
        "type": "approle",
        "mount_path": "auth/approle",
        "config": {
            "role_id_file_path": "/etc/vault-agent/app/role_id",
            "secret_id_file_path": "/etc/vault-agent/app/secret_id",
            "remove_secret_id_file_after_reading": "false",
        },
    }
    (template,) = answer["templates"]
    assert 'secret "database/creds/app-role"' in template["template"]
    assert '"pg.svc"' in template["template"]
    assert [secret["name"] for secret in answer["secrets"]] == ["app-role"]


def test_server_of_the_role_for_migrations_is_known() -> None:
    (entry,) = DATABASES
    migrating = {**entry, "owner": "app_owner", "roles": None, "migrations": {"role": "migrate"}}
    application = {"name": "ci", "roles": ["migrate"], "auth": {"approle": {}}, "agent": {"files": [FILE]}}
    (answer,) = agent_document([application], [migrating])
    (template,) = answer["templates"]
    assert '"pg.svc"' in template["template"]
    assert '"app db"' in template["template"]


@pytest.mark.parametrize(
    ("every", "place"),
    [
        ({"host": "*"}, "*:5432:app db"),
        ({"port": "*"}, "pg.svc:*:app db"),
        ({"host": "a,b", "port": "*"}, "a:*:app db"),
        ({"host": "*", "port": "*", "database": "*"}, "*:*:*"),
    ],
    ids=str,
)
def test_asterisk_of_pgpass_stands_for_each(every: dict[str, str], place: str) -> None:
    (template,) = document({"files": [{**FILE, "format": "pgpass", **every}]})["templates"]
    assert f'{{{{ "{place}" }}}}:{{{{ .Data.username' in template["template"]


def test_asterisk_elsewhere_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="port: '\\*' is not a number"):
        document({"files": [{**FILE, "port": "*"}]})


def test_the_fields_of_a_url_are_quoted() -> None:
    (template,) = document({"files": [{**FILE, "format": "env", "keys": {"DATABASE_URL": "url"}}]})["templates"]
    assert "@pg.svc:5432/app%20db?sslmode=require" in template["template"]
    (template,) = document({"files": [{**FILE, "host": "::1", "keys": {"url": "url"}}]})["templates"]
    assert "@[::1]:5432/" in template["template"]


@pytest.mark.parametrize(
    ("auth", "login", "expected"),
    [
        ({"kubernetes": {"service_accounts": ["app"]}}, None, ("kubernetes", "auth/kubernetes", {"role": "app"})),
        (
            {},
            {"kubernetes": {"mount": "k8s/", "role": "r", "jwt_file": "/jwt"}},
            ("kubernetes", "auth/k8s", {"role": "r", "token_path": "/jwt"}),
        ),
        ({"approle": {}}, {"token_file": {"path": "/t"}}, ("token_file", "", {"token_file_path": "/t"})),
        (
            {"approle": {}, "kubernetes": {}},
            {"approle": {"role_id_file": "/r", "secret_id_file": ""}},
            ("approle", "auth/approle", {"role_id_file_path": "/r"}),
        ),
    ],
)
def test_each_login_method_is_rendered_as_auto_auth(auth: t.Any, login: t.Any, expected: t.Any) -> None:
    answer = document({"login": login, "files": [FILE]}, auth=auth)["login"]
    assert (answer["type"], answer["mount_path"], answer["config"]) == expected


def test_absent_agent_needs_name_only() -> None:
    assert document({"state": "absent"})["state"] == "absent"
    assert document({"files": [FILE]}, state="absent")["state"] == "absent"


@pytest.mark.parametrize(
    ("agent", "application", "sentence"),
    [
        ({"files": [FILE]}, {"name": "a b"}, "An application's name has letters, digits"),
        ({"file": [FILE]}, {}, "app: agent: file is not known; known are exec, files, group"),
        ({"files": []}, {}, "give either files or exec"),
        ({"files": [FILE], "exec": {"command": ["/x"]}}, {}, "give either files or exec"),
        ({"files": [FILE], "state": "gone"}, {}, "state is present or absent, not 'gone'"),
        ({"files": [FILE]}, {"auth": {}}, "agent.login must have one of approle, kubernetes, token_file"),
        ({"files": [FILE]}, {"auth": {"approle": {}, "kubernetes": {}}}, "agent.login must have one of"),
        ({"files": [FILE], "login": {"ldap": {}}}, {}, "logs in by approle, kubernetes, token_file, not by ldap"),
        ({"files": [FILE], "login": {"approle": {"role": "x"}}}, {}, "agent.login.approle: role is not known"),
        ({"files": [FILE], "login": {"token_file": {}}}, {}, "needs the path of the file"),
        ({"files": [{**FILE, "path": "db"}]}, {}, "path is the absolute path of the file"),
        ({"files": [{**FILE, "format": "xml"}]}, {}, "format is one of env, .*, or template, not 'xml'"),
        ({"files": [{**FILE, "template": "x"}]}, {}, "template goes with format: template"),
        ({"files": [{**FILE, "format": "template"}]}, {}, "template goes with format: template"),
        ({"files": [{**FILE, "format": "pgpass", "keys": {"a": "url"}}]}, {}, "keys go with env, properties"),
        ({"files": [{**FILE, "keys": {"a": "user"}}]}, {}, "'user' is not known; known are host, port"),
        ({"files": [{**FILE, "format": "env", "keys": {"a-b": "username"}}]}, {}, "'a-b' cannot be the name of an env"),
        ({"files": [FILE, FILE]}, {}, "two files have the same path"),
        ({"files": [FILE]}, {"roles": ["a", "b"]}, "role is needed; the application has a, b"),
        ({"files": [FILE]}, {"roles": []}, "role is needed; the application has none"),
        ({"files": [{**FILE, "role": "b"}]}, {}, "b is not among the application's roles"),
        ({"files": [{**FILE, "role": "b", "static_role": "b"}]}, {}, "give role or static_role, not both"),
        ({"files": [FILE]}, {"roles": ["a/b"]}, "'a/b' cannot be the name of a role"),
        ({"exec": {"command": "/x y"}}, {}, "command is a list of words"),
        ({"exec": {"command": ["/x"]}, "reload": ["/y"]}, {}, "reload goes with files"),
        ({"files": ["/etc/x"]}, {}, "a dictionary is needed, not '/etc/x'"),
    ],
)
def test_invalid_agent_is_refused(agent: t.Any, application: t.Any, sentence: str) -> None:
    with pytest.raises(AnsibleFilterError, match=sentence):
        document(agent, **application)


@pytest.mark.parametrize(
    ("user", "reload"),
    [
        ("root", ["systemctl", "reload", "app"]),
        ("app", ["systemctl", "--user", "reload", "app"]),
        ("app", ["pkill", "-HUP", "-x", "app"]),
    ],
)
def test_possible_reload_is_accepted(user: str, reload: list[str]) -> None:
    assert document({"files": [FILE], "user": user, "reload": reload})["reload"] == reload


def test_reload_by_systemctl_is_refused_for_an_unprivileged_user() -> None:
    with pytest.raises(AnsibleFilterError, match=r"systemd does not allow app.* \[pkill, -HUP, -x, web\]"):
        document({"files": [FILE], "user": "app", "reload": ["/usr/bin/systemctl", "reload", "web.service"]})


def test_exec_gets_credentials_in_environment() -> None:
    answer = document({"exec": {"command": ["/usr/bin/app", 1], "environment": {"DB_USER": "username"}}})
    assert answer["exec"] == {"command": ["/usr/bin/app", "1"], "stop_signal": "SIGTERM"}
    assert [template["name"] for template in answer["templates"]] == ["DB_USER"]
    assert "{{ .Data.username }}" in answer["templates"][0]["template"]


@pytest.mark.parametrize("command", [None, [], "/usr/bin/app --now"])
def test_the_command_of_a_program_is_a_list(command: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"agent\.exec: command is a list of words"):
        document({"exec": {"command": command}})


def test_each_format_has_its_lines() -> None:
    def lines(form: str, **more: t.Any) -> str:
        return str(document({"files": [{**FILE, "format": form, **more}]})["templates"][0]["template"])

    assert '{{ "pg.svc:5432:app db" }}:{{ .Data.username' in lines("pgpass", section="app")
    assert "[app]" in lines("pg_service", section="app")
    assert "dbname=" in lines("pg_service", section="app")
    assert "a\\ key=" in lines("properties", keys={"a key": "username"})
    assert '"a key": ' in lines("yaml", keys={"a key": "username"})
    with pytest.raises(AnsibleFilterError, match="'a key' cannot be the name of an environment variable"):
        lines("env", keys={"a key": "username"})


def test_files_trust_the_authority_of_the_entry_and_name_each_host() -> None:
    entry = {"name": "app", "roles": ["app-role"], "auth": {"approle": {}}}
    database = {**DATABASES[0], "host": "db1,[::1]:5433", "sslmode": "verify-full", "ca_cert": "/ca.pem"}

    def text(form: str, **more: t.Any) -> str:
        agent = {"files": [{**FILE, "format": form, **more}]}
        (answer,) = agent_document([{**entry, "agent": agent}], [database])
        return str(answer["templates"][0]["template"])

    env = text("env")
    for line in ('PGHOST="{{ "db1,::1"', 'PGPORT="{{ "5432,5433"', 'PGSSLROOTCERT="{{ "/ca.pem"'):
        assert line in env
    assert 'PGTARGETSESSIONATTRS="{{ "read-write"' in env
    assert 'sslrootcert={{ "/ca.pem" }}' in text("pg_service")
    assert '"/own.pem"' in text("env", ca_cert="/own.pem")
    url = text("env", keys={"URL": "url"})
    assert "@/app%20db?host=db1,::1&port=5432,5433&sslmode=verify-full&sslrootcert=/ca.pem" in url
    first, second = text("pgpass").split("\n")[:2]
    assert '{{ "db1:5432:app db" }}:{{ .Data.username' in first
    assert r'{{ "\\:\\:1:5433:app db" }}:{{ .Data.username' in second
    assert '"port": {{ "5432,5433" | toJSON }}' in text("json")
