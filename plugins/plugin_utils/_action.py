# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""What all our tasks do on the controller before the module starts: find connection and login options in variables.

Modules see their arguments and their environment, not Ansible's variables; here the two meet.
"""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.leasehold.vault.plugins.module_utils._options import OPTIONS, Option


class LeaseholdAction(ActionBase):
    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = with_variables(self._task.args, task_vars or {}, self._templar.template)
        answer = self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val)
        result.update(answer)
        return result


def with_variables(
    arguments: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any], template: t.Callable[[t.Any], t.Any]
) -> dict[str, t.Any]:
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
