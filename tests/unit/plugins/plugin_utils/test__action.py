# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a task runs, and that it answers alike: the action plugin on its own, without a play around it."""

from __future__ import annotations

import sys
import types

import pytest
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.leasehold.vault.plugins.action.database_role_info import ActionModule
from ansible_collections.leasehold.vault.plugins.modules import database_connection, database_sync
from ansible_collections.leasehold.vault.plugins.plugin_utils import _action

LOGIN = {"url": "http://127.0.0.1:9", "token": "s.a-token", "retries": 0}
NOBODY = {**LOGIN, "name": "app"}
AS_MODULE = {"as": "module"}


@pytest.fixture
def act(monkeypatch):
    """Run the action with the task, the connection and the variables as given."""

    def run(variables=(), become=None, transport="local", **task):
        arguments = {
            "args": {},
            "async_val": 0,
            "environment": [],
            "delegate_to": None,
            "check_mode": False,
            "diff": False,
        }
        arguments |= {"action": "leasehold.vault.database_role_info", **task}
        connection = types.SimpleNamespace(
            transport=transport, become=become, _shell=types.SimpleNamespace(tmpdir=None)
        )
        action = ActionModule(
            types.SimpleNamespace(**arguments), connection, None, DataLoader(), Templar(DataLoader(), {}), None
        )
        sent = []
        monkeypatch.setattr(action, "_execute_module", lambda **arguments: sent.append(arguments) or dict(AS_MODULE))
        return action.run(task_vars=dict(variables)), sent

    return run


def test_a_task_for_the_controller_is_done_at_once_and_fails_as_the_module_would(act):
    result, sent = act(args=NOBODY)
    assert not sent
    assert result["failed"]
    assert "could not be reached" in result["msg"]
    assert result["invocation"]["module_args"]["name"] == "app"
    assert "s.a-token" not in str(result)


@pytest.mark.parametrize(
    "unusual",
    [
        {"transport": "ssh"},
        {"become": "sudo"},
        {"async_val": 10},
        {"environment": [{"VAULT_ADDR": "http://127.0.0.1:9"}]},
        {"variables": {"leasehold_run_in_controller": False}},
        {"variables": {"ansible_python_interpreter": "/usr/bin/another"}},
        {
            "delegate_to": "elsewhere",
            "variables": {"ansible_delegated_vars": {"elsewhere": {"ansible_python_interpreter": "/usr/bin/another"}}},
        },
    ],
    ids=str,
)
def test_whatever_is_unusual_makes_it_a_module(act, unusual):
    result, sent = act(args=NOBODY, **unusual)
    assert sent[0]["module_args"] == NOBODY
    assert result["as"] == "module"


@pytest.mark.parametrize("python", ["auto", "auto_silent", sys.executable, f"{sys.prefix}/bin/../bin/python"])
def test_the_same_python_under_another_name_is_not_unusual(act, python):
    assert not act({"ansible_python_interpreter": python}, args=NOBODY)[1]


def test_the_login_is_found_in_variables_unless_the_task_has_it(act):
    variables = {"leasehold_url": "http://127.0.0.1:7", "leasehold_token": "s.a-token", "leasehold_retries": 0}
    assert "http://127.0.0.1:7 could not be reached" in act(variables, args={"name": "app"})[0]["msg"]
    assert "http://127.0.0.1:9 could not be reached" in act(variables, args=NOBODY)[0]["msg"]


@pytest.mark.parametrize("in_list", [False, True], ids=["database_connection", "database_sync"])
def test_secrets_inside_a_dictionary_are_hidden_in_the_controller(in_list):
    """As by the module, in `test__module.py`."""
    options = {"password": "a-bootstrap-password", "private_key": "a-private-key"}
    own = {"name": "db", "plugin_options": options}
    task, own = (database_sync.TASK, {"connections": [own]}) if in_list else (database_connection.TASK, own)
    answer = _action.perform_here(task, "an action", {**LOGIN, **own}, check_mode=False)
    assert answer["failed"]
    arguments = answer["invocation"]["module_args"]
    arguments = arguments["connections"][0] if in_list else arguments
    assert set(arguments["plugin_options"]) == set(options)
    assert not [secret for secret in options.values() if secret in str(answer)]


def test_a_module_that_leaves_its_arguments_lying_about_is_warned_of(act, monkeypatch):
    result = []
    monkeypatch.setattr(constants, "DEFAULT_KEEP_REMOTE_FILES", True)
    monkeypatch.setattr(_action.display, "warning", result.append)
    act(args=NOBODY)
    assert result == []
    act(args=NOBODY, transport="ssh")
    assert result == [_action.KEPT]


def test_wrong_arguments_are_refused_in_the_words_of_a_module(act):
    result = act(args={**NOBODY, "nome": "app"})[0]["msg"]
    assert result.startswith("Unsupported parameters for (leasehold.vault.database_role_info) module: nome")
    assert "retries" in act(args={**NOBODY, "retries": "many"})[0]["msg"]
