# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be said of every task of the roles and playbooks without running one."""

from __future__ import annotations

import functools
import importlib
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.leasehold.vault.plugins.module_utils._core.user_sql import END_ACCESS, REMOVE
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.connect import LOGIN_OPTIONS

ROOT = Path(__file__).resolve().parents[2]
Values = dict[str, t.Any]
ANSWERS_WITH_SECRETS = {"leasehold.vault.database_credentials", "leasehold.vault.approle_secret_id"}
"""Modules whose result holds a secret."""
WRITES = "leasehold.vault.private_file"
ANYWHERE = {
    f"ansible.builtin.{name}"
    for name in ("copy", "template", "lineinfile", "blockinfile", "replace", "get_url", "unarchive", "assemble")
}
HIDES_ITS_SECRETS = ("leasehold.vault.", "community.postgresql.")
"""The secrets among the options of these modules are declared as such."""
SHOWS_NOTHING = {"ansible.builtin.assert", "ansible.builtin.include_tasks", "ansible.builtin.include_role"}
# Expressions whose value is a secret, or holds one.
SECRET = re.compile(
    r"\.password\b|_password\b|_replacement\b|_verifier\.stdout|wrap_info\.token|_token\b(?!_)|heartbeat_url\b|_config\.content|heartbeat\.env"
)
KEYWORDS = {
    "name", "when", "loop", "loop_control", "register", "vars", "no_log", "changed_when", "failed_when", "check_mode", "delegate_to", "become",
    "notify", "diff", "run_once", "until", "retries", "delay", "module_defaults", "block", "rescue", "always", "ignore_errors",
}  # fmt: skip


class _Loader(yaml.CSafeLoader):
    pass


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def read(path: Path) -> t.Any:
    return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a CSafeLoader)


def flat(tasks: t.Iterable[Values]) -> t.Iterator[Values]:
    for task in tasks:
        inside = [word for word in ("block", "rescue", "always") if word in task]
        for word in inside:
            yield from flat(task[word])
        if not inside:
            yield task


@functools.cache
def tasks() -> dict[str, Values]:
    """All tasks, as `file: name`."""
    found = {}
    for path in sorted(ROOT.glob("roles/*/*/*.yml")):
        if path.parent.name in ("tasks", "handlers"):
            found.update({f"{path.relative_to(ROOT)}: {task['name']}": task for task in flat(read(path))})
    for path in sorted(ROOT.glob("playbooks/*.yml")):
        for play in read(path):
            found.update({f"{path.relative_to(ROOT)}: {task['name']}": task for task in flat(play.get("tasks", ()))})
    return found


def module_of(task: Values) -> tuple[str, t.Any]:
    ((module, arguments),) = ((word, value) for word, value in task.items() if word not in KEYWORDS)
    return module, arguments


def handles_secrets(task: Values) -> bool:
    module, arguments = module_of(task)
    if module == "leasehold.vault.approle_secret_id" and arguments.get("state") == "absent":
        return False
    if module in ANSWERS_WITH_SECRETS:
        return True
    if module in SHOWS_NOTHING or (module.startswith(HIDES_ITS_SECRETS) and module != WRITES):
        return False
    # Whether something is there is not what it is.
    text = re.sub(r"\S+_token\s*(?:==|\bif\b|\|\s*length)|'[^']*'(?=:)", "", str(arguments))
    return bool(SECRET.search(text))


def with_secrets() -> list[str]:
    return [where for where, task in tasks().items() if handles_secrets(task)]


def test_tasks_with_secrets_are_recognised() -> None:
    """Those that everybody knows of: otherwise the next test would look at nothing."""
    assert set(with_secrets()) >= {
        "roles/app_access/tasks/present.yml: Issue a secret id, unless the one there is still good",
        "roles/app_access/tasks/present.yml: Unwrap it on the host",
        "roles/database_secrets/tasks/login_test.yml: Issue a test user",
        "roles/database_secrets/tasks/repair_root_password.yml: Generate a password",
        "roles/database_secrets/tasks/orphans.yml: Issue a temporary login",
        "roles/database_secrets/tasks/verify_role.yml: Issue a user",
        "roles/lease_monitoring/tasks/beat.yml: Issue a user",
        "roles/lease_monitoring/tasks/beat.yml: Report",
        "roles/lease_monitoring/tasks/collector.yml: Give the collector its tokens",
        "roles/lease_monitoring/tasks/prometheus.yml: Give Prometheus its token",
    }


@pytest.mark.parametrize("where", with_secrets())
def test_task_with_secret_is_no_log(where: str) -> None:
    task = tasks()[where]
    emptied = task.get("ansible.builtin.set_fact", {}).values()
    assert task.get("no_log") is True or set(emptied) == {""}, where


def test_users_that_roles_issue_end_with_the_run() -> None:
    """Also if it is interrupted before the task that revokes them."""
    issuing = [task for task in tasks().values() if "leasehold.vault.database_credentials" in task]
    assert len(issuing) >= 4
    assert all(task["vars"]["__leasehold_ends_with_run"] is True for task in issuing)


def written_in_secret() -> list[str]:
    return [where for where, task in tasks().items() if task.get("no_log") and module_of(task)[0] == WRITES]


@pytest.mark.parametrize("where", written_in_secret())
def test_file_with_secret_is_for_its_owner_only(where: str) -> None:
    _module, arguments = module_of(tasks()[where])
    assert arguments["mode"] in ("0400", "0600")
    assert arguments["owner"]


READ_BY_ALL = {
    "roles/app_access/tasks/main.yml: Write the manifests for clusters",
    "roles/database_secrets/tasks/note_rotations.yml: Write the metrics for the node exporter",
    "roles/lease_monitoring/tasks/beat.yml: Record success",
    "roles/lease_monitoring/tasks/collector.yml: Configure the collector to scrape Vault and export to OneUptime",
    "roles/lease_monitoring/tasks/heartbeat.yml: Write the heartbeat service and timer",
    "roles/lease_monitoring/tasks/prometheus.yml: Write the rules",
    "roles/lease_monitoring/tasks/rotation.yml: Write the rotation service and timer",
    "roles/vault_agent/tasks/present.yml: Write the agents' configuration",
    "roles/vault_agent/tasks/present.yml: Write the units",
    "roles/vault_agent/tasks/present.yml: Write the scripts of the agents",
    "roles/vault_agent/tasks/present.yml: Write the templates of the agents",
}
"""Tasks that write a file without a secret for programs of other users."""


def test_only_files_for_other_programs_can_be_read_by_all() -> None:
    found = set()
    for where, task in tasks().items():
        module, arguments = module_of(task)
        if (
            module == WRITES
            and arguments.get("state") != "directory"
            and arguments.get("mode", "0600")[-1:] not in ("0", "}")
        ):
            found.add(where)
    assert found == READ_BY_ALL


def test_units_of_agents_are_narrow() -> None:
    """The lines of a unit that nobody misses until a program breaks out."""
    variables = read(ROOT / "roles" / "vault_agent" / "vars" / "main.yml")
    assert variables["__vault_agent_sandbox"].items() >= {
        "NoNewPrivileges": "yes", "UMask": "0077", "LimitCORE": 0, "ProtectSystem": "strict", "PrivateTmp": "yes", "RestrictSUIDSGID": "yes",
    }.items()  # fmt: skip
    assert variables["__vault_agent_narrow_sandbox"].items() >= {
        "MemorySwapMax": 0, "ProtectHome": "read-only", "ProtectProc": "invisible", "SystemCallFilter": "@system-service",
    }.items()  # fmt: skip
    unit = (ROOT / "roles" / "vault_agent" / "templates" / "agent.service.j2").read_text(encoding="utf-8")
    assert {"RuntimeDirectoryMode=0700", "KillMode=mixed", "User={{ item.user }}"} <= set(unit.splitlines())


@pytest.mark.parametrize("where", sorted(tasks()))
def test_files_are_written_where_nobody_else_can_replace_them(where: str) -> None:
    module, arguments = module_of(tasks()[where])
    assert module not in ANYWHERE
    assert module != "ansible.builtin.file" or arguments["state"] == "absent"


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        (
            "playbooks/drift.yml",
            [
                f"leasehold.vault.{role}"
                for role in ("vault_agent", "postgresql_access", "database_secrets", "app_access")
            ],
        ),
        ("roles/lease_report/tasks/main.yml", ["leasehold.vault.database_secrets"]),
    ],
)
def test_what_compares_with_the_document_only_looks(path: str, roles: list[str]) -> None:
    included = [
        task
        for where, task in tasks().items()
        if where.startswith(f"{path}: ") and "ansible.builtin.include_role" in task
    ]
    for task in included:  # sessions that are ended are ended, check mode or not
        role = task["ansible.builtin.include_role"]
        if role["name"] == "leasehold.vault.database_secrets" and "tasks_from" not in role:
            assert task["vars"]["database_secrets_repair"] is False
    included = [task["ansible.builtin.include_role"] for task in included]
    whole = [role for role in included if "tasks_from" not in role]
    assert [role["name"] for role in whole] == roles
    assert all(role["apply"].get("check_mode") is True for role in whole)
    nodes = tasks()["roles/database_secrets/tasks/nodes.yml: Look at every server"]["ansible.builtin.include_tasks"]
    assert nodes["apply"]["check_mode"] is True


def test_drift_notes_what_differs_and_what_could_not_be_compared() -> None:
    """A role's own tasks tell of no result; a handler does. What fails must not end the comparison of the rest."""
    blocks = [task for play in read(ROOT / "playbooks" / "drift.yml") for task in play["tasks"] if "block" in task]
    handlers = {each["name"] for play in read(ROOT / "playbooks" / "drift.yml") for each in play.get("handlers", ())}
    assert len(blocks) == 4
    assert all("_failed" in str(task["rescue"]) for task in blocks)
    applied = [task["block"][0]["ansible.builtin.include_role"]["apply"] for task in blocks]
    assert {each["notify"] for each in applied if "notify" in each} == handlers


# ------------------------------------------------------------------------------------------------- what is handed on


@pytest.mark.parametrize("kind", ["auth_mount", "auth_role", "rate_limit_quota"])
def test_options_are_handed_on_whole(kind: str) -> None:
    """An option that the document has and the task does not would be dropped silently: the whole entry becomes the module's defaults."""
    present = [
        task
        for where, task in tasks().items()
        if where.startswith("roles/app_access/") and f"leasehold.vault.{kind}" in task and "absent" not in str(task)
    ]
    assert len(present) == 1
    defaults = present[0]["module_defaults"][f"leasehold.vault.{kind}"]
    assert re.fullmatch(r"\{\{ (item|__app_access_auth_mount) \}\}", defaults)


ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_a_role_is_used(role: str) -> None:
    spec = read(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    declared = {name for entry in spec.values() for name in entry.get("options", ())}
    files = [
        path for path in (ROOT / "roles" / role).rglob("*") if path.is_file() and path.parent.name not in ("meta", role)
    ]
    # In defaults the variable itself is declared, and the ones behind it are used.
    text = "\n".join(re.sub(r"^\w+:", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE) for path in files)
    assert {name for name in declared if not re.search(rf"\b{name}\b", text)} == set()


@pytest.mark.parametrize(
    ("where", "role", "module"),
    [
        (
            "roles/database_secrets/tasks/main.yml: Make engine, connections and roles be as the document says",
            "database_secrets",
            "database_sync",
        ),
        (
            "roles/postgresql_access/tasks/main.yml: Make roles, databases and privileges be as the document says",
            "postgresql_access",
            "postgresql_sync",
        ),
    ],
)
def test_variable_of_the_name_of_an_option_is_handed_to_it(where: str, role: str, module: str) -> None:
    called, arguments = module_of(tasks()[where])
    assert called == f"leasehold.vault.{module}"
    defaults = read(ROOT / "roles" / role / "defaults" / "main.yml")
    words = {name.removeprefix(f"{role}_"): name for name in defaults}
    options = set(
        importlib.import_module(
            f"ansible_collections.{called.replace('vault.', 'vault.plugins.modules.')}"
        ).TASK.options
    )
    shared = options & set(words)
    assert len(shared) >= 4
    for option in shared:
        assert re.search(rf"\b{words[option]}\b", str(arguments[option])), option


def test_login_of_the_dba_is_handed_on_whole() -> None:
    """To whoever reads the rights of the present logins, and to those who replace them."""
    module, arguments = module_of(tasks()["playbooks/discover.yml: Read the rights of the logins"])
    assert module == "leasehold.vault.postgresql_discover_info"
    at_item = read(ROOT / "roles" / "postgresql_access" / "vars" / "main.yml")["__postgresql_access_login_at_item"]
    for option in LOGIN_OPTIONS:
        if option != "connect_timeout":
            variable = rf"postgresql_access_({option}|{option.removeprefix('login_')})\b"
            assert re.search(variable, arguments[option])
            assert re.search(rf"'{option}': {variable}", at_item)
    modules = {f"leasehold.vault.postgresql_{name}" for name in ("cutover", "ownership")}
    handed = [task["module_defaults"] for task in tasks().values() if modules & set(task)]
    assert len(handed) == 5
    assert {text for each in handed for text in each.values()} == {"{{ __postgresql_access_login_at_item }}"}


def test_connection_is_tried_before_and_after_its_rotation() -> None:
    (_due, rotation) = read(ROOT / "roles" / "database_secrets" / "tasks" / "rotate_root_connection.yml")
    kinds = [next(iter(module_of(task))) for task in rotation["block"]]
    assert kinds == [
        "ansible.builtin.include_tasks",
        "leasehold.vault.database_root_rotation",
        "ansible.builtin.include_tasks",
    ]
    assert {task.get("ansible.builtin.include_tasks", "login_test.yml") for task in rotation["block"]} == {
        "login_test.yml"
    }


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_those_of_the_documentation(role: str) -> None:
    spec = read(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    defaults = read(ROOT / "roles" / role / "defaults" / "main.yml")
    for entry in spec.values():
        for name, option in entry.get("options", {}).items():
            if "default" in option and name in defaults:
                assert defaults[name] == option["default"], name


def test_what_a_running_program_reads_is_read_again_when_it_changes() -> None:
    """By a handler; tokens of Prometheus are read at each scrape."""
    silent = set()
    for where, task in tasks().items():
        module, _arguments = module_of(task)
        part = where.partition(".yml")[0].rpartition("/")[2]
        if (
            where.startswith("roles/lease_monitoring/")
            and part in ("server", "prometheus", "collector")
            and module == WRITES
            and "notify" not in task
        ):
            silent.add(where.partition(": ")[2])
    assert silent == {"Give Prometheus its token"}


def test_roles_look_for_the_comments_that_revocations_leave() -> None:
    """A user that keeps its login for a prepared transaction is another than one without access that could not be dropped."""
    for where, comment, sql in (
        (
            "roles/database_secrets/tasks/revoke.yml: Look for prepared transactions of users that are to end",
            "leasehold: ending",
            END_ACCESS,
        ),
        (
            "roles/lease_monitoring/tasks/beat.yml: Look for users that could not be dropped",
            "leasehold: parked",
            REMOVE,
        ),
    ):
        _module, arguments = module_of(tasks()[where])
        assert re.findall(r"LIKE '(leasehold: \w+)", arguments["query"]) == [comment]
        assert f"'{comment}, " in sql


@pytest.mark.parametrize("role", ROLES)
def test_every_handler_of_a_role_is_notified(role: str) -> None:
    here = {where: task for where, task in tasks().items() if where.startswith(f"roles/{role}/")}
    handlers = {task["name"] for where, task in here.items() if where.startswith(f"roles/{role}/handlers/")}
    notified = {task["notify"] for task in here.values() if "notify" in task}
    assert handlers == notified


@pytest.mark.full
def test_host_that_the_dba_names_is_one_host(tmp_path):
    """Whatever number of hosts and ports the entry has."""
    server = {"name": "db", "host": "a,b", "port": "1,2", "database": "app"}
    given = {"__database_secrets_database": server, "postgresql_access_login_host": "c"}
    logins = [f"__database_secrets_{name}" for name in ("login", "login_of_dba")]
    words = [
        *("localhost", "-i", "localhost,", "-c", "local", "-m", "ansible.builtin.debug"),
        *("-a", f"msg={{{{ [{', '.join(logins)}] | map('dict2items') | map('items2dict') | to_json }}}}"),
        *("-e", f"@{ROOT / 'roles/database_secrets/vars/main.yml'}", "-e", json.dumps(given)),
    ]
    environment = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "adhoc", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.partition("=>")[2])["msg"]
    found = json.loads(found) if isinstance(found, str) else found
    assert [(each["login_host"], each["login_port"], each.get("connect_params", {}).get("port")) for each in found] == [
        ("a,b", 1, "1,2"),
        ("c", 1, None),
    ]


@pytest.mark.parametrize(
    "file",
    [
        "postgresql_access/tasks/main.yml",
        *(f"database_secrets/tasks/{name}.yml" for name in ("main", "health", "repair_users")),
    ],
)
def test_set_up_that_repairs_nothing_loads_no_module_of_community_postgresql(file: str) -> None:
    """Ansible resolves the modules of a file when it loads the file; what a condition includes is not loaded before."""
    text = (ROOT / "roles" / file).read_text(encoding="utf-8")
    assert "community.postgresql." not in re.sub(r"#.*", "", text)
    included = [task for task in flat(yaml.load(text, _Loader)) if "ansible.builtin.include_tasks" in task]  # noqa: S506 (a CSafeLoader)
    assert all(
        "when" in task or "loop" in task
        for task in included
        if "health.yml" not in task["ansible.builtin.include_tasks"]
    )
