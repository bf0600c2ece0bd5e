# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""Runs a task in Ansible's own worker process when its target is the controller, and as a module everywhere else.

Starting a module costs some 300 ms before it does anything.  The work itself knows nothing of where it runs, so when the target is
the controller, it is done in the worker that is there already: same options, same results, same masking.  Anything unusual
(become, async, environment, another interpreter) is done the usual way.

Action plugins are loaded in the main process, before the workers fork: what is imported here is paid for once a run.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import sys
import typing as t

from ansible import constants as _constants
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import secrets_within
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import (
    NAMES,
    OPTIONS,
    Option,
    drop_empty_variables,
    login_identity,
    logs_in,
)
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.end import end_of_run
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import CannotNote, of_this_run
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.session import issued_by_module, session_of_run

constants = t.cast("t.Any", _constants)
KEPT = (
    "keep_remote_files leaves the arguments of every module on its target, with the secrets among them. Remove Ansible's temporary directories "
    "there (remote_tmp) when you have seen enough."
)
DEBUG = "ANSIBLE_DEBUG prints all that a module answers, passwords included, whatever no_log says. Let the task run in the controller, or turn it off."
ASYNC = (
    "The answer of a task with async lies in a file on its target (~/.ansible_async), with the password in it, until async_status with "
    "mode=cleanup removes it. Issue without async."
)
ENDS_WITH_RUN = "__leasehold_ends_with_run"
"""A variable of tasks in our own roles that issue a user to try something: if the run is interrupted before they revoke it, its end does."""


@functools.cache
def _is_here(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import Task
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session

Values = dict[str, t.Any]
display = Display()
VALIDATED = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")
end_of_run()


class LeaseholdAction(ActionBase):
    """The action plugin of a module; ``task`` is what both do."""

    task: Task
    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: Values | None = None) -> Values:
        result: Values = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        if "url" in self.task.specification["argument_spec"]:
            arguments = with_variables(arguments, variables, self._templar.template)
        if _is_here(self.task.library) and self._controller_is_target(variables):
            ends = boolean(self._templar.template(variables.get(ENDS_WITH_RUN, False)), strict=False)
            result.update(perform_here(self.task, self._task.action, arguments, bool(self._task.check_mode), ends))
        else:
            for warning in _laid_open(self.task, bool(self._task.async_val)):
                display.warning(warning)
            result.update(
                self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val)
            )
        return result

    def _controller_is_target(self, variables: Values) -> bool:
        """Whether nothing about the task asks for a process of its own."""
        if not boolean(self._templar.template(variables.get("leasehold_run_in_controller", True)), strict=False):
            return False
        unusual = (
            self._connection.transport != "local"
            or self._connection.become is not None
            or self._task.async_val
            or any(self._task.environment or ())
        )
        return not unusual and self._asks_for_this_python(variables)

    def _asks_for_this_python(self, variables: Values) -> bool:
        if self._task.delegate_to:
            variables = variables.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {})
        asked = self._templar.template(variables.get("ansible_python_interpreter") or "auto")
        return str(asked).startswith("auto") or os.path.abspath(str(asked)) == os.path.abspath(sys.executable)  # noqa: PTH100 (no links resolved)


def _laid_open(task: Task, in_background: bool) -> Iterator[str]:
    """Where Ansible leaves secrets of a task that runs as a module, and nobody can prevent it here."""
    answers_secrets = task.returns_secrets or bool(task.issues)
    if constants.DEFAULT_KEEP_REMOTE_FILES:
        yield KEPT
    if constants.DEFAULT_DEBUG and answers_secrets:
        yield DEBUG
    if in_background and answers_secrets:
        yield ASYNC


def perform_here(task: Task, action: str, arguments: Values, check_mode: bool, ends_with_run: bool = False) -> Values:
    """Do in this process what the module would do in its own, and answer as it would."""
    drop_empty_variables()
    specification = task.specification
    validator = ModuleArgumentSpecValidator(
        specification["argument_spec"], **{key: specification[key] for key in VALIDATED if key in specification}
    )
    checked = validator.validate(_as_sent(arguments))
    options = checked.validated_parameters
    secrets = checked._no_log_values | secrets_within(options, task.secret_keys)
    if checked.error_messages:
        message = checked.error_messages[0]
        if checked.unsupported_parameters:
            message = f"Unsupported parameters for ({action}) module: {message}"
        return t.cast("Values", remove_values({"failed": True, "msg": message}, secrets))
    answer: Values = {"invocation": {"module_args": _shown(options, specification["argument_spec"])}}
    try:
        if task.issues:
            answer.update(
                issued_by_module(
                    _login_options(options), lambda log_in: task.perform(options, check_mode, log_in), ends_with_run
                )
            )
        else:
            answer.update(task.perform(options, check_mode, connect=_session))
    except Problem as problem:
        answer.update(problem.result, failed=True, msg=str(problem))
    return t.cast("Values", remove_values(_as_sent(answer), secrets))


def _session(options: Values) -> Session:
    """The run's login, shared with the lookups; it ends with the run, not with the task."""
    login = _login_options(options)
    if not logs_in(login):
        return log_in(login)
    try:
        return session_of_run(of_this_run(), login_identity(login), login)._replace(own_token=False)
    except CannotNote:
        return log_in(login)  # for this task alone


def _login_options(options: Values) -> Values:
    return {name: options.get(name) for name in NAMES}


def _as_sent(values: Values) -> Values:
    """Values as they come out of the JSON in which modules get and give them: plain, and decrypted."""
    return t.cast("Values", json.loads(json.dumps(values, default=str)))


def _shown(options: Values, specification: Values) -> Values:
    """What the task was called with; a document of a thousand objects without the options that none of them has."""
    hidden = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    return {
        name: hidden if specification.get(name, {}).get("no_log") and value is not None else _plain(value)
        for name, value in options.items()
    }


def _plain(value: t.Any) -> t.Any:
    if not isinstance(value, list):
        return value
    return [{k: v for k, v in each.items() if v is not None} if isinstance(each, dict) else each for each in value]


def with_variables(
    arguments: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any], template: t.Callable[[t.Any], t.Any]
) -> Values:
    """The task's arguments, completed from variables where neither the option nor one of its aliases is given."""
    completed = dict(arguments)
    for option in OPTIONS:
        if any(completed.get(word) is not None for word in (option.name, *option.aliases)):
            continue
        found = _first(option, variables)
        if found is not None:
            completed[option.name] = template(found)
    return completed


def _first(option: Option, variables: t.Mapping[str, t.Any]) -> t.Any:
    return next((variables[name] for name in option.variables if variables.get(name) is not None), None)
