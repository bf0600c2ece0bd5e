# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Runs a module's task, from options to result, independent of where it runs.

There are three kinds.  *state*: a declared resource is made to be as asked.  *info*: the same declarations, only read.
*act*: something happens each time and says so.  Each module holds one :class:`Task`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.process import leave_no_core, signals_deferred
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Field,
    Outcome,
    ReconcileOptions,
    Resource,
    Values,
    reconcile,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session, log_in
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import argument_spec, drop_empty_variables

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client

Run = t.Callable[[Session, Values, bool], Values]
Connect = t.Callable[[Values], Session]
FOLDED = 6
"""Statements of more lines are folded in a diff, unless they change."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A module: its options, and what it does with them in a session; the third argument of ``run`` is check mode."""

    options: Values
    run: Run
    constraints: Values = dataclasses.field(default_factory=dict)
    issues: t.Callable[[Values], str] | None = None
    """Of a task that issues a lease: the id of the lease in its result.  The lease would end with the token the task made for itself."""
    returns_secrets: bool = False
    """Its result holds secrets."""
    secret_keys: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)
    """Of options that are dictionaries, at any depth: the keys whose values are secrets."""
    library: t.ClassVar[str] = "hvac"
    """What the Python that runs it must have."""

    @property
    def specification(self) -> Values:
        """The arguments of AnsibleModule."""
        return {"argument_spec": {**argument_spec(), **self.options}, "supports_check_mode": True, **self.constraints}

    def perform(self, options: Values, check_mode: bool, connect: Connect = log_in) -> Values:
        """Log in, run, log out; raises :class:`Problem` with the sentence to fail with."""
        # After a signal, too, or a fault of ours: what nobody will hear of ends.
        with contextlib.ExitStack() as unless_done:
            with signals_deferred():
                session = connect(options)
                unless_done.callback(session.log_out)
            try:
                with signals_deferred() if self.issues else contextlib.nullcontext():
                    result = self.run(session, options, check_mode)
                    lease_id = self.issues(result) if self.issues else ""
                    unless_done.callback(_revoke, session, lease_id)
            except Problem as problem:
                problem.add_warnings([*session.warnings, *session.client.notices()])
                raise
            unless_done.pop_all()
        left = [] if lease_id else session.log_out()
        result["warnings"] = [*session.warnings, *result.get("warnings", ()), *session.client.notices(), *left]
        return result

    def as_module(self) -> None:
        from ansible.module_utils.basic import AnsibleModule

        leave_no_core()
        _end_in_order()
        drop_empty_variables()
        module = AnsibleModule(**self.specification)
        module.no_log_values.update(secrets_within(module.params, self.secret_keys))
        result: Values = {}
        failure = None
        try:
            result = self.perform(module.params, module.check_mode)
        except Problem as problem:
            result, failure = problem.result, str(problem)
        if failure is not None:  # outside of the except block, in which ansible-core before 2.19 adds a traceback
            module.fail_json(**result, msg=failure)
        for warning in result.pop("warnings"):
            module.warn(warning)
        module.exit_json(**result)


@dataclasses.dataclass(frozen=True)
class TaskWithoutVault(Task):
    """A module that talks to PostgreSQL alone, and has none of the options by which others reach Vault."""

    library: t.ClassVar[str] = "psycopg2"

    @property
    def specification(self) -> Values:
        return {"argument_spec": self.options, "supports_check_mode": True, **self.constraints}

    def perform(self, options: Values, check_mode: bool, connect: Connect = log_in) -> Values:
        return self.run(t.cast("Session", None), options, check_mode)


def _revoke(session: Session, lease_id: str) -> None:
    if lease_id:
        with contextlib.suppress(Problem):
            session.client.revoke_lease(lease_id)


def _end_in_order() -> None:
    """Let SIGTERM, and a connection to the target that breaks, end the module by way of ``finally``."""

    def leave(number: int, _frame: t.Any) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def secrets_within(options: Values, secret_keys: t.Mapping[str, t.Sequence[str]]) -> set[str]:
    """The secrets among the keys of dictionaries, which Ansible does not hide: its ``no_log`` knows whole options only."""
    found = set()
    for option, value in options.items():
        if isinstance(value, dict):
            found |= {str(value[key]) for key in secret_keys.get(option, ()) if value.get(key)}
        elif isinstance(value, list):
            found |= {
                secret for each in value if isinstance(each, dict) for secret in secrets_within(each, secret_keys)
            }
    return found


STATE = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "validate": {"type": "bool", "default": True},
    "revoke_leases": {"type": "bool", "default": False},
}
KEEP_LEASES: Values = {"keep_leases": {"type": "bool", "default": False}}
MUST_EXIST: Values = {"must_exist": {"type": "bool", "default": False}}


def state(resource: Resource) -> Task:
    """A task that makes one object be as asked."""

    def run(session: Session, desired: Values, check_mode: bool) -> Values:
        outcome = reconcile(session.client, resource, desired, reconcile_options_of(desired, check_mode))
        return result_of(resource.kind, [(resource, outcome)])

    # Without an inquiry there is nothing to validate, and without leases none to revoke.
    asks = resource.pre_write_checks or resource.existing_checks or resource.dependency_checks or resource.leases
    useful = {"state": True, "validate": bool(asks), "revoke_leases": resource.leases is not None}
    options = {option: spec for option, spec in STATE.items() if useful[option]}
    options |= KEEP_LEASES if resource.endangers else {}
    return Task(
        {**resource.argument_spec(), **options}, run, dict(resource.constraints), secret_keys=resource.secret_keys
    )


def reconcile_options_of(desired: Values, check_mode: bool) -> ReconcileOptions:
    return ReconcileOptions(
        state=desired["state"],
        secrets=desired.get("update_password") or "on_create",
        validate=desired.get("validate", True),
        revoke_leases=desired.get("revoke_leases", False),
        keep_leases=desired.get("keep_leases", False),
        dry_run=check_mode,
    )


def result_of(kind: str, outcomes: t.Sequence[tuple[Resource, Outcome]]) -> Values:
    """The result of a module that reconciled one object, kept at one or several paths."""
    changed = any(outcome.changed for _resource, outcome in outcomes)
    before: Values = {}
    after: Values = {}
    answer: Values = {"changed": changed, kind: {}, "warnings": []}
    for resource, outcome in outcomes:
        step = outcome.plan
        answer[kind].update(outcome.object)
        answer["warnings"] += outcome.warnings
        if changed:  # otherwise the diff is empty
            before.update(resource.in_diff(step.before))
            after.update(resource.in_diff({**step.after, **outcome.side_effects} if outcome.changed else step.before))
    answer["diff"] = readable_diff(before, after)
    revoked = sum(outcome.revoked for _resource, outcome in outcomes)
    return {**answer, "revoked_leases": revoked} if revoked else answer


def info(resource: Resource, plural: str, list_path: str = "") -> Task:
    """A task that reads one object by name, or all of them."""

    def run(session: Session, desired: Values, check_mode: bool) -> Values:
        return {"changed": False, plural: read_objects(session.client, resource, desired, list_path)}

    options = {field.option: field.argument() for field in resource.identity}
    options["name"] = {key: value for key, value in options["name"].items() if key != "required"}
    return Task({**options, **MUST_EXIST}, run)


def read_objects(client: Client, resource: Resource, desired: Values, list_path: str) -> list[Values]:
    """The object that is named, or all of them; none if there is none, unless it must exist."""
    described = []
    for one in [desired["name"]] if desired.get("name") else client.list(resource.at(desired, list_path)):
        try:
            path = resource.at({**desired, "name": one})
        except Refused:
            if desired.get("name"):
                raise
            described.append({"name": one})  # made by others, under a name that we would not write into a path
            continue
        answer = client.read(path)
        if answer is not None:
            described.append(resource.describe({**desired, "name": one}, answer))
        elif desired.get("name"):
            require(client, desired, f"{resource.kind} {path}")
    return described


def require(client: Client, desired: Values, missing: str) -> None:
    """Fail for a named object that is not there, if the task says that it must be."""
    if desired.get("must_exist"):
        raise Problem(f"There is no {missing} at {client.url}.")


def act(
    options: t.Sequence[Field], run: Run, issues: t.Callable[[Values], str] | None = None, **constraints: t.Any
) -> Task:
    """A task that does something each time it is asked to."""
    return Task({field.option: field.argument() for field in options}, run, constraints, issues)


def readable_diff(before: Values, after: Values) -> Values:
    """Both sides as YAML; of long SQL that does not change, or is there on one side only, how many lines it has."""
    return {"before": as_text(_folded(before, after)), "after": as_text(_folded(after, before))}


def _folded(values: Values, others: Values) -> Values:
    """``values`` with long statements folded, unless ``others`` has different ones in the same place."""
    answer = {}
    for key, value in values.items():
        other = others.get(key)
        if isinstance(value, dict):
            value = _folded(value, other if isinstance(other, dict) else {})
        elif key.endswith("_statements") and isinstance(value, list):
            value = [each if other and each not in other else _summary(each) for each in value]
        answer[key] = value
    return answer


def _summary(text: str) -> str:
    lines = str(text).count("\n") + 1
    return text if lines <= FOLDED else f"({lines} lines of SQL)"


def as_text(values: Values) -> str:
    """A side of a diff: sorted YAML without anchors, SQL as blocks of lines where PyYAML is at hand."""
    if not values:
        return ""
    try:
        import yaml
    except ImportError:
        import json

        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    class Readable(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, _data: t.Any) -> bool:
            return True

    def block(dumper: t.Any, text: str) -> t.Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Readable.add_representer(str, block)
    return str(
        yaml.dump(values, Dumper=Readable, default_flow_style=False, sort_keys=True, allow_unicode=True, width=1000)
    )
