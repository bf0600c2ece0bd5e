# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
import yaml
from ansible.module_utils.common.parameters import PASS_VARS
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import issued_lease
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import Task, as_text, readable_diff
from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client


@dataclasses.dataclass
class Session:
    """As much of a session as a task needs."""

    warnings: list = dataclasses.field(default_factory=lambda: ["of the session"])
    logged_out: int = 0
    revoke_lease = Client.revoke_lease

    @property
    def client(self):
        return self

    def notices(self):
        return ["of the server"]

    def log_out(self):
        self.logged_out += 1
        return ["of the log-out"]


def performed(run, session, **more):
    return Task({}, run, **more).perform({}, False, connect=lambda options: session)


# -- the life of a task ----------------------------------------------------------------------------------------------------


def test_a_task_logs_out_and_collects_all_warnings():
    session = Session()
    result = performed(lambda *dummy: {"changed": True, "warnings": ("of the task",)}, session)
    assert result == {"changed": True, "warnings": ["of the session", "of the task", "of the server", "of the log-out"]}
    assert session.logged_out == 1


def test_a_task_that_fails_logs_out_too():
    session = Session()

    def fail(*dummy):
        raise Problem("a sentence")

    with pytest.raises(Problem, match="a sentence") as caught:
        performed(fail, session)
    assert caught.value.result["warnings"] == ["of the session", "of the server"]
    assert session.logged_out == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_task_that_is_interrupted_logs_out(error):
    session = Session()

    def interrupted(*dummy):
        raise error

    with pytest.raises(error):
        performed(interrupted, session)
    assert session.logged_out == 1


def test_user_that_is_issued_while_a_signal_comes_is_revoked():
    asked = []
    session = Session()
    session.ask = lambda *what: asked.append(what)

    def interrupted(*dummy):
        signal.raise_signal(signal.SIGINT)
        return {"changed": True, "credentials": {"lease_id": "database/creds/app/1"}}

    with pytest.raises(KeyboardInterrupt):
        performed(interrupted, session, issues=issued_lease)
    assert asked == [("put", "sys/leases/revoke", {"lease_id": "database/creds/app/1"})]
    assert session.logged_out == 1


@pytest.mark.parametrize(("lease_id", "logged_out"), [("database/creds/app/1", 0), ("", 1)])
def test_a_task_that_issued_a_lease_keeps_its_token(lease_id, logged_out):
    session = Session()
    performed(lambda *dummy: {"changed": True, "credentials": {"lease_id": lease_id}}, session, issues=issued_lease)
    assert session.logged_out == logged_out


def test_a_task_knows_whether_it_is_a_check_run():
    seen = []
    task = Task({}, lambda session, options, check_mode: seen.append(check_mode) or {"changed": False})
    for check_mode in (True, False):
        task.perform({}, check_mode, connect=lambda options: Session())
    assert seen == [True, False]


def test_every_task_has_the_connection_and_login_options():
    specification = Task({"own": {"type": "str"}}, lambda *dummy: {}, {"required_one_of": [("own",)]}).specification
    assert {"own", "url", "token", "namespace"} <= set(specification["argument_spec"])
    assert specification["supports_check_mode"] is True
    assert specification["required_one_of"] == [("own",)]


# -- a side of a diff ------------------------------------------------------------------------------------------------------


def test_a_side_of_a_diff_is_sorted_yaml():
    assert as_text({"b": 1, "a": ["x"]}) == "a:\n- x\nb: 1\n"
    assert as_text({}) == ""


def test_sql_of_many_lines_is_shown_in_lines():
    values = {"creation_statements": ["DO $$\nBEGIN\n  NULL;\nEND\n$$"]}
    assert "\n  BEGIN\n" in as_text(values)
    assert yaml.safe_load(as_text(values)) == values


def test_diff_has_no_yaml_anchors():
    ttl = ["app-role"]
    assert as_text({"a": ttl, "b": ttl}) == "a:\n- app-role\nb:\n- app-role\n"


SQL = "\n".join(["DO $$", *(f"  line {number};" for number in range(10)), "$$"])
S = "creation_statements"
FOLDED = "(12 lines of SQL)"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ({}, {S: [SQL]}, ({}, {S: [FOLDED]})),
        ({S: [SQL]}, {}, ({S: [FOLDED]}, {})),
        ({S: [SQL], "ttl": 1}, {S: [SQL], "ttl": 2}, ({S: [FOLDED], "ttl": 1}, {S: [FOLDED], "ttl": 2})),
        ({"r": {S: [SQL, "b"]}}, {"r": {S: [SQL + "x", "b"]}}, ({"r": {S: [SQL, "b"]}}, {"r": {S: [SQL + "x", "b"]}})),
        ({}, {S: ["DROP ROLE\nx"]}, ({}, {S: ["DROP ROLE\nx"]})),
        ({}, {"policy": SQL}, ({}, {"policy": SQL})),
    ],
    ids=["created", "deleted", "unchanged", "changed", "short", "not SQL"],
)
def test_a_diff_shows_sql_where_it_changes(before, after, shown):
    answer = readable_diff(before, after)
    assert tuple(yaml.safe_load(answer[side]) or {} for side in ("before", "after")) == shown


def test_without_yaml_it_is_json(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert json.loads(as_text({"a": 1})) == {"a": 1}


# -- as a program ----------------------------------------------------------------------------------------------------------


def program(module, **arguments):
    """A module as Ansible starts it: its exit code, and what it prints."""
    arguments |= {"_ansible_check_mode": arguments.pop("check", False)}
    if "inject_invocation" in PASS_VARS:  # since 2.21 the arguments are in the answer only on request, as at -vvv
        arguments |= {"_ansible_inject_invocation": True}
    code = (
        "import sys, runpy; from ansible.module_utils import basic; basic._ANSIBLE_ARGS = sys.stdin.buffer.read();"
        "basic._ANSIBLE_PROFILE = 'legacy';"
        f"runpy.run_module('ansible_collections.leasehold.vault.plugins.modules.{module}', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode(),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout.decode() or "null"), done.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_module_that_is_ended_logs_out(stub, number):
    def end():
        children = pathlib.Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        os.kill(int(children[-1]), number)  # the youngest
        return 404, {"errors": []}

    stub.answers = [(200, {"auth": {"client_token": "s.one"}}), end]
    login = {"auth_method": "approle", "role_id": "r", "url": stub.url}
    code, _answer, _errors = program("database_role_info", **login)
    assert code != 0
    assert [path for _method, path, *_rest in stub.asked][-1] == "/v1/auth/token/revoke-self"


def test_a_module_answers_in_json(stub):
    stub.answers = [(404, {"errors": []})]
    code, answer, errors = program("database_role_info", url=stub.url, token="s.of-this-test")
    assert (code, errors) == (0, "")
    assert answer["roles"] == []
    assert answer["changed"] is False
    assert "s.of-this-test" not in json.dumps(answer)


def test_module_failure_has_message_and_no_traceback(stub):
    stub.answers = [(400, {"errors": ["no"]})]
    code, answer, errors = program("database_role_info", url=stub.url, token="s.of-this-test")
    assert (code, errors, answer["failed"]) == (1, "", True)
    assert answer["msg"].startswith("Could not list database/roles")
    assert "s.of-this-test" not in json.dumps(answer)


@pytest.mark.parametrize("in_list", [False, True], ids=["database_connection", "database_sync"])
def test_secrets_inside_a_dictionary_are_hidden_by_a_module(stub, in_list):
    options = {"password": "a-bootstrap-password", "private_key": "a-private-key"}
    login = {"url": stub.url, "token": "s.of-this-test"}
    own = {"name": "db", "plugin_options": options}
    module, own = ("database_sync", {"connections": [own]}) if in_list else ("database_connection", own)
    code, answer, errors = program(module, **login, **own)
    assert (code, errors) == (1, "")
    arguments = answer["invocation"]["module_args"]
    arguments = arguments["connections"][0] if in_list else arguments
    assert set(arguments["plugin_options"]) == set(options)
    assert not [secret for secret in options.values() if secret in json.dumps(answer)]


def test_a_module_warns(stub):
    stub.answers = [(404, {"errors": ["no handler for route"]})]
    code, answer, _errors = program(
        "database_root_rotation", url=stub.url, token="s.of-this-test", name="db", password="hush-hush", check=True
    )
    assert (code, answer["changed"]) == (0, True)
    assert "no connection" in str(answer["warnings"])
    assert "hush-hush" not in json.dumps(answer)
