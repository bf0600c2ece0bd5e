# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays written for others, rewritten by `migrate`: they do what they did; and engines made by Terraform, adopted."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import textwrap
import typing as t
import zipfile

import fetched
import pytest
import yaml
from migrate import tables

from .conftest import ROOT, collections_path, extra

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import servers

    from .conftest import Ground, Play, Values

CREATION = (
    """CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';""",
    'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{{name}}";',
)
REVOCATION = ('DROP OWNED BY "{{name}}";', 'DROP ROLE IF EXISTS "{{name}}";')


@pytest.fixture(scope="session")
def community() -> Path:
    """A tree with community.hashi_vault, out of the package that is pinned for community.postgresql anyway."""

    def make(workshop: Path) -> Path:
        lock = ROOT / "requirements" / "collections.txt"
        words = ["download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        subprocess.run(
            [sys.executable, "-m", "pip", *words, "--requirement", str(lock), "--dest", str(workshop)], check=True
        )
        with zipfile.ZipFile(next(workshop.glob("ansible-*.whl"))) as archive:
            names = [
                name for name in archive.namelist() if name.startswith("ansible_collections/community/hashi_vault/")
            ]
            archive.extractall(workshop / "tree", names)
        return workshop / "tree"

    return fetched.once(f"community.hashi_vault-{sys.version_info.major}.{sys.version_info.minor}", make)


@pytest.fixture(scope="module")
def engine(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    made = ground(postgres, "migrated")
    made.user("migrated_reports")
    made.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {made.admin} WITH GRANT OPTION")
    return made


@pytest.fixture(autouse=True)
def _one_connection(request: pytest.FixtureRequest) -> None:
    """Each test makes the connection of the ground's admin itself, and a second one of that user is refused."""
    if "engine" in request.fixturenames:
        engine = request.getfixturevalue("engine")
        for name in ("db", "production-db", "sample", "test", "production"):
            engine.bao.request("DELETE", f"{engine.mount}/config/{name}")


def migrated(play: Play, name: str, *left: str) -> str:
    """The playbook, rewritten; what has to be left to do by hand is said."""
    path = play.directory / name
    done = subprocess.run(
        [sys.executable, ROOT / "migrate", "--mount", "migrated", "--write", path],
        capture_output=True,
        text=True,
        check=False,
    )
    *lines, _summary = done.stderr.splitlines()
    assert len(lines) == len(left), done.stderr
    assert [one for one, line in zip(left, lines) if one not in line] == [], done.stderr
    assert done.returncode == (1 if left else 0)
    return path.read_text()


def taken_away(engine: Ground, path: str) -> Values:
    """What the server had there."""
    was = read_objects(engine, path)[path]
    engine.bao.request("DELETE", f"{engine.mount}/{path}")
    return was


def read_objects(engine: Ground, *paths: str) -> dict[str, Values]:
    """What the server has, but for what it alone decides."""
    found = {path: engine.read(path) for path in paths}
    for one in found.values():
        one.pop("last_vault_rotation", None)
        one.pop("ttl", None)
    return found


def in_a_play(engine: Ground, tasks: str, defaults: str = "") -> str:
    values = {
        "MOUNT": engine.mount, "ADMIN": engine.admin, "DATABASE": engine.database, "PASSWORD": engine.admin_password,
        "HOST": f"{engine.server.host}:{engine.server.port}",
        "CREATION": "".join(f"\n    - !unsafe {quoted(one)}" for one in CREATION),
        "REVOCATION": f"[{', '.join(f'!unsafe {quoted(one)}' for one in REVOCATION)}]",
    }  # fmt: skip
    tasks = textwrap.dedent(tasks)
    for word, value in values.items():
        tasks = tasks.replace(f"${word}", value)
    head = "- hosts: localhost\n  gather_facts: false\n"
    return head + textwrap.indent(textwrap.dedent(defaults), "  ") + "  tasks:\n" + textwrap.indent(tasks, "    ")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


OBJECTS = ("config/production-db", "roles/app-role", "static-roles/reports")


@pytest.mark.full
def test_migrated_community_hashi_vault_play_is_unchanged(
    engine: Ground, play: Play, bao: servers.OpenBao, community: Path
) -> None:
    with_community = {
        "VAULT_TOKEN": bao.token,
        "ANSIBLE_COLLECTIONS_PATH": f"{collections_path()}:{community}",
    }
    text = in_a_play(
        engine,
        r"""
        - name: Create a connection
          community.hashi_vault.vault_database_connection_configure:
            engine_mount_point: $MOUNT
            connection_name: production-db
            plugin_name: postgresql-database-plugin
            connection_url: postgresql://{{'{{username}}'}}:{{'{{password}}'}}@$HOST/$DATABASE?sslmode=disable
            connection_username: $ADMIN
            connection_password: $PASSWORD
            allowed_roles: [app-role, reports]
        - name: Create a role
          community.hashi_vault.vault_database_role_create:
            engine_mount_point: $MOUNT # said once more
            connection_name: production-db
            role_name: app-role
            revocation_statements: $REVOCATION
            creation_statements:$CREATION
        - name: Create a static role
          community.hashi_vault.vault_database_static_role_create:
            engine_mount_point: $MOUNT
            connection_name: production-db
            role_name: reports
            db_username: migrated_reports
            rotation_statements: [!unsafe "ALTER USER \"{{name}}\" WITH PASSWORD '{{password}}';"]
        - name: Read the role
          community.hashi_vault.vault_database_role_read: {engine_mount_point: $MOUNT, role_name: app-role}
          register: role
        - name: List the roles
          community.hashi_vault.vault_database_roles_list: {engine_mount_point: $MOUNT}
          register: listed
        - name: Show
          ansible.builtin.debug:
            msg: ["{{ role.data.max_ttl }}", "{{ listed.roles }}"]
        - name: Use a user
          ansible.builtin.set_fact:
            user: "{{ lookup('community.hashi_vault.vault_read', 'migrated/creds/app-role').data }}"
        - name: Use the static one
          ansible.builtin.set_fact:
            static: "{{ lookup('community.hashi_vault.hashi_vault', 'migrated/static-creds/reports:username') }}"
        """,
        """
        module_defaults:
          group/community.hashi_vault.vault: {retries: 2, token_validate: false} # all of them
        """,
    )
    play.write("play.yml", text)
    first = play("play.yml", env=with_community)
    assert len(first.changed) >= 3
    assert first.messages("Show") == [["86400", ["app-role"]]] or first.messages("Show") == [[86400, ["app-role"]]]
    before = read_objects(engine, *OBJECTS)

    rewritten = migrated(
        play,
        "play.yml",
        "module_defaults: copied",
    )
    assert "community.hashi_vault.vault_database" not in rewritten
    old = "group/community.hashi_vault.vault: {retries: 2, token_validate: false} # all of them"
    assert f"group/leasehold.vault.vault: {{retries: 2}}\n    {old}\n" in rewritten
    play.write("play.yml", rewritten.replace(f"    {old}\n", ""))
    again = play("play.yml", env={"VAULT_TOKEN": bao.token})
    assert again.changed == []
    assert again.messages("Show") == first.messages("Show")
    assert read_objects(engine, *OBJECTS) == before
    assert set(again.result("Use a user")["ansible_facts"]["user"]) >= {"username", "password"}
    assert again.result("Use the static one")["ansible_facts"]["static"] == "migrated_reports"


@pytest.mark.full
def test_migrated_hashicorp_vault_play_has_same_result(engine: Ground, play: Play, bao: servers.OpenBao) -> None:
    """What that collection would send stands beside it, under other names."""
    play.write(
        "hashicorp.yml",
        in_a_play(
            engine,
            r"""
            - name: Connection
              hashicorp.vault.database_connection:
                vault_database_mount_path: $MOUNT
                connection_name: sample
                plugin_name: "postgresql-database-plugin"
                allowed_roles:
                  - "readonly"
                  - "static"
                  - "static-twin"
                connection_url: !unsafe "postgresql://{{username}}:{{password}}@$HOST/$DATABASE?sslmode=disable"
                plugin_options:
                  max_open_connections: 5
                  max_connection_lifetime: "5s"
                connection_username: "$ADMIN"
                connection_password: "$PASSWORD"
                disable_escaping: false
                verify_connection: true
            - database_role:
                mount_path: $MOUNT
                role_name: readonly
                db_name: sample
                creation_statements:$CREATION
                revocation_statements: $REVOCATION
                default_ttl: 3600
                max_ttl: 86400
              name: Role
            - name: Static role
              hashicorp.vault.database_static_role:
                database_mount_path: $MOUNT
                name: static
                db_name: sample
                username: migrated_static
                rotation_period: "24h"
                skip_import_rotation: false
                credential_type: password
            - name: Policy
              hashicorp.vault.acl_policy:
                name: migrated-sample
                rules: |
                  path "secret/data/myapp/*" {
                    capabilities = ["read", "list"]
                  }
            - name: Connections
              hashicorp.vault.database_connection_info: {name: sample, database_mount_path: $MOUNT}
            - name: Credentials
              hashicorp.vault.database_dynamic_role_credentials: {name: readonly, database_mount_path: $MOUNT}
              no_log: true
              register: issued
            - name: Use
              ansible.builtin.debug: {msg: "{{ issued.dynamic_role_credentials.username }}"}
            - name: Rotate
              hashicorp.vault.database_credential_rotation: {name: static, credential_type: role, database_mount_path: $MOUNT}
            """,
            "collections: [hashicorp.vault]\n",
        ),
    )
    engine.write(
        "config/sample-twin",
        {
            **connection_body(engine, ["readonly", "static", "static-twin"]),
            "max_open_connections": 5,
            "max_connection_lifetime": 5,
            "disable_escaping": False,
        },
    )
    twin = taken_away(engine, "config/sample-twin")
    role = {"creation_statements": CREATION, "revocation_statements": REVOCATION, "default_ttl": 3600, "max_ttl": 86400}
    engine.write("roles/readonly-twin", {"db_name": "sample", **role})
    engine.user("migrated_static")
    engine.user("migrated_twin")

    migrated(play, "hashicorp.yml", "namespace: the default there is admin")
    run = play("hashicorp.yml", env={"VAULT_TOKEN": bao.token})
    assert run.messages("Use")[0].startswith("v-")
    engine.write(
        "static-roles/static-twin", {"db_name": "sample", "username": "migrated_twin", "rotation_period": 86400}
    )

    found = read_objects(engine, "config/sample", "roles/readonly", "roles/readonly-twin")
    assert found["config/sample"]["connection_details"].pop("password_authentication") == "scram-sha-256"
    assert found["config/sample"]["connection_details"].pop("username_template")
    assert found["config/sample"] == twin
    assert found["roles/readonly"] == found["roles/readonly-twin"]
    static = read_objects(engine, "static-roles/static", "static-roles/static-twin")
    assert static["static-roles/static"] == {**static["static-roles/static-twin"], "username": "migrated_static"}
    assert "myapp" in bao.request("GET", "sys/policies/acl/migrated-sample")["data"]["policy"]

    again = play("hashicorp.yml", env={"VAULT_TOKEN": bao.token})
    assert set(again.changed) == {"Credentials", "Rotate"}, "these act"
    bao.request("DELETE", "sys/policies/acl/migrated-sample")


@pytest.mark.full
def test_migrated_hashivault_play_has_same_result(engine: Ground, play: Play, bao: servers.OpenBao) -> None:
    play.write(
        "hashivault.yml",
        in_a_play(
            engine,
            r"""
            - name: Engine
              hashivault_secret_engine:
                name: $MOUNT
                backend: database
                description: by hashivault
                config: {default_lease_ttl: 1h, max_lease_ttl: 90000}
                state: enabled
            - name: Connection
              hashivault_db_secret_engine_config:
                name: test
                mount_point: $MOUNT
                plugin_name: "postgresql-database-plugin" # out of the box
                allowed_roles: ["my-role"]
                connection_details:
                    username: "$ADMIN"
                    password: "$PASSWORD"
                    connection_url: "postgresql://{{'{{username}}'}}:{{'{{password}}'}}@$HOST/$DATABASE?sslmode=disable"
                state: "present"
            - name: Role
              hashivault_db_secret_engine_role:
                name: my-role
                mount_point: $MOUNT
                db_name: test
                creation_statements:$CREATION
                revocation_statements: $REVOCATION
                token_ttl: 600
                token_max_ttl: 1200
            - name: An old one
              hashivault_db_secret_engine_role: {name: old, mount_point: $MOUNT, state: absent}
            """,
        ),
    )
    engine.role("old")
    engine.write(
        "config/test-twin",
        {**connection_body(engine, ["my-role"]), "password_policy": "", "root_rotation_statements": []},
    )
    twin = taken_away(engine, "config/test-twin")
    role = {"creation_statements": CREATION, "revocation_statements": REVOCATION, "default_ttl": 600, "max_ttl": 1200}
    engine.write("roles/my-role-twin", {"db_name": "test", "renew_statements": [], "rollback_statements": [], **role})

    migrated(play, "hashivault.yml")
    run = play("hashivault.yml", env={"VAULT_TOKEN": bao.token})
    assert run.changed == ["Engine", "Connection", "Role", "An old one"]
    found = read_objects(engine, "config/test", "roles/my-role", "roles/my-role-twin")
    assert found["config/test"]["connection_details"].pop("password_authentication") == "scram-sha-256"
    assert found["config/test"]["connection_details"].pop("username_template")
    assert found["config/test"] == twin
    assert found["roles/my-role"] == found["roles/my-role-twin"]
    mount = bao.request("GET", f"sys/mounts/{engine.mount}")["data"]
    assert (mount["description"], mount["config"]["default_lease_ttl"]) == ("by hashivault", 3600)
    assert mount["config"]["max_lease_ttl"] == 90000
    assert play("hashivault.yml", env={"VAULT_TOKEN": bao.token}).changed == []


def connection_body(engine: Ground, allowed_roles: list[str]) -> Values:
    url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{engine.server.host}:{engine.server.port}/{engine.database}?sslmode=disable"
    return {
        "plugin_name": "postgresql-database-plugin", "allowed_roles": allowed_roles, "connection_url": url,
        "username": engine.admin, "password": engine.admin_password, "verify_connection": True,
    }  # fmt: skip


@pytest.mark.full
def test_engine_of_terraform_is_adopted_without_difference(
    ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL, play: Play
) -> None:
    """Written with the requests of its provider: each field of the resources, at its default or not, in its form."""
    engine = ground(postgres, "terraformed")
    engine.bao.request("POST", f"sys/mounts/{engine.mount}/tune", {
        "description": "By Terraform", "default_lease_ttl": "3600s", "max_lease_ttl": "86400s", "listing_visibility": "hidden",
    })  # fmt: skip
    engine.bao.request("DELETE", f"{engine.mount}/config/db")
    engine.write("config/production", {
        **connection_body(engine, ["app", "reports"]), "root_rotation_statements": ["ALTER ROLE \"{{name}}\" PASSWORD '{{password}}'"],
        "max_open_connections": 5, "max_idle_connections": 2, "max_connection_lifetime": "30s", "username_template": "",
        "disable_escaping": False, "password_policy": "",
    })  # fmt: skip
    engine.write("roles/app", {
        "db_name": "production", "default_ttl": 3600, "max_ttl": 86400, "creation_statements": list(CREATION),
        "revocation_statements": list(REVOCATION), "renew_statements": [], "rollback_statements": [], "credential_type": "password",
    })  # fmt: skip
    engine.write(
        "roles/plain", {"db_name": "production", "creation_statements": [CREATION[0]], "default_ttl": 0, "max_ttl": 0}
    )
    engine.write("static-roles/reports", {
        "db_name": "production", "username": engine.user("terraformed_reports"), "rotation_period": 86400,
        "rotation_statements": ["ALTER USER \"{{name}}\" WITH PASSWORD '{{password}}';"],
    })  # fmt: skip
    before = read_objects(engine, "config/production", "roles/app", "roles/plain", "static-roles/reports")

    # The commands in docs/migration.md are run; only the mount is another.
    adopt, drift = commands_of(ROOT / "docs" / "migration.md")
    play(*adopt, *extra(vault_database_mount=engine.mount))
    document = play.directory / "adopted.yml"
    yaml.SafeLoader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
    (database,) = yaml.safe_load(document.read_text())["vault_databases"]
    assert (database["name"], database["admin"]["username"]) == ("production", engine.admin)
    assert database["options"]["max_connection_lifetime"] == 30
    assert database["roles"]["app"]["revocation_statements"] == list(REVOCATION)
    assert database["static_roles"]["reports"]["rotation_period"] == 86400
    assert engine.admin_password not in document.read_text()

    run = play(*drift)
    assert run.code == 0
    assert "Nothing differs" in run.output
    assert play("leasehold.vault.vault", "-e", f"@{document}").changes == 0
    assert read_objects(engine, *before) == before


def commands_of(page: Path) -> list[list[str]]:
    (block,) = re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line.removeprefix("ansible-playbook ")) for line in block.splitlines()]


def test_every_option_of_community_hashi_vault_is_mapped(community: Path) -> None:
    login, known = tables.ORIGINS[tables.COMMUNITY]
    plugins = community / "ansible_collections" / "community" / "hashi_vault" / "plugins"
    modules = {file.stem: documented_in(file) for file in (plugins / "modules").glob("vault_database_*.py")}
    assert set(modules) == set(known)
    for name, options in modules.items():
        what = known[name]
        assert isinstance(what, tables.Gone | tables.Module)
        if isinstance(what, tables.Module):
            assert options == set(what.options) - {"engine_mount_point"}, name
    for fragment in ("auth", "connection"):
        assert documented_in(plugins / "doc_fragments" / f"{fragment}.py") <= set(login)


def documented_in(file: Path) -> set[str]:
    """The options of a module or a fragment, with their aliases."""
    texts = [
        t.cast("str", t.cast("ast.Constant", node.value).value)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION"
    ]
    options = yaml.safe_load(texts[0]).get("options") or {}
    return {*options, *(alias for option in options.values() for alias in option.get("aliases", ()))}
