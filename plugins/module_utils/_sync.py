# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Many objects in one task: the same declarations and the same engine as the single modules, in the right order.

engine, then connections, then roles that go, then roles, then connections that go.  What depends on a failed object is not
tried; everything else is, and then all errors are told at once.  Interrupted anywhere, the next run finishes the job: there is
no state but the server's.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._client import VaultError
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._fields import MOUNT
from ansible_collections.leasehold.vault.plugins.module_utils._module import STATE, Task, as_text
from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import (
    Manner,
    Outcome,
    Resource,
    Server,
    Values,
    reading,
    reconcile,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources import CONNECTION, ENGINE, ROLE, STATIC_ROLE

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.leasehold.vault.plugins.module_utils._auth import Session
    from ansible_collections.leasehold.vault.plugins.module_utils._client import Client

KINDS = {"connections": CONNECTION, "roles": ROLE, "static_roles": STATIC_ROLE}


@dataclasses.dataclass(frozen=True)
class Object:
    """One entry of the document, or one that is to go because the document does not have it."""

    kind: str
    resource: Resource
    wanted: Values
    manner: Manner

    @property
    def label(self) -> str:
        return f"{self.kind}/{self.wanted['name']}" if "name" in self.wanted else self.kind


@dataclasses.dataclass
class Result:
    object: Object
    outcome: Outcome | None = None
    error: str = ""

    @property
    def action(self) -> str:
        return self.outcome.plan.action if self.outcome else "failed"


def synchronise(session: Session, wanted: Values, check_mode: bool) -> Values:
    """The module ``database_sync``."""
    client, mount = session.client, MOUNT.said_in(wanted)
    keep = Manner(validate=wanted["validate"], dry_run=check_mode)
    go = dataclasses.replace(keep, state="absent", revoke_leases=wanted["revoke_leases"])

    def declared(kind: str) -> list[Object]:
        entries = wanted.get(kind) or []
        return [Object(kind, KINDS[kind], {**entry, "mount": mount}, _manner(entry, keep)) for entry in entries]

    engine = Object("engine", ENGINE, {**(wanted.get("engine") or {}), "mount": mount}, keep)
    connections, roles = declared("connections"), declared("roles") + declared("static_roles")
    _refuse_doubles(connections, roles)
    surplus = {kind: _undeclared(client, mount, kind, wanted, go) for kind in wanted.get("prune") or []}

    several = Several(wanted["concurrency"])
    results = several.reconciled([engine], client)
    if results[0].error:
        results += [Result(each, error="not tried, because the engine failed") for each in connections + roles]
    else:
        mounted = client.read(ENGINE.at(engine.wanted)) is not None
        made: dict[str, Values] = {}  # by this run; by a check run, in thought

        def read(path: str) -> Values | None:
            return made[path] if path in made else client.read(path) if mounted else None

        server = reading(client, read)
        results += several.reconciled(connections, server)
        failed = _note_connections(made, results[1:])
        results += several.reconciled(
            [each for kind in ("roles", "static_roles") for each in surplus.get(kind, ())], client
        )
        results += [
            Result(each, error=f"not tried, because its connection {each.wanted['db_name']} failed")
            for each in roles
            if each.wanted.get("db_name") in failed
        ]
        results += several.reconciled([each for each in roles if each.wanted.get("db_name") not in failed], server)
        results += several.reconciled(surplus.get("connections", []), client)
    return _told(results)


def _manner(entry: Values, manner: Manner) -> Manner:
    return dataclasses.replace(manner, secrets=entry.get("update_password") or "on_create")


def _refuse_doubles(connections: Sequence[Object], roles: Sequence[Object]) -> None:
    """Dynamic and static roles share one space of names."""
    for objects, word in ((connections, "connections"), (roles, "roles and static_roles")):
        names = [each.wanted["name"] for each in objects]
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise Problem(f"{word}: {', '.join(double)} is declared more than once.")


def _undeclared(client: Client, mount: str, kind: str, wanted: Values, manner: Manner) -> list[Object]:
    """What is on the server and not in the document.  Nothing is removed unless all of it can be seen."""
    declared = {entry["name"] for entry in wanted.get(kind) or []}
    path = KINDS[kind].path.format(mount=mount, name="").rstrip("/")
    return [
        Object(kind, KINDS[kind], {"mount": mount, "name": name}, manner)
        for name in client.list(path, mount_may_be_missing=True)
        if name not in declared
    ]


NOT_TRIED = "not tried, because Vault was away; run it again"


class Several:
    """Some at a time; when Vault is away for one of them, the rest does not wait for it in turn."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._away = False

    def reconciled(self, objects: Sequence[Object], server: Server) -> list[Result]:
        if len(objects) < 2 or self._concurrency < 2:
            return [self._one(each, server) for each in objects]
        with concurrent.futures.ThreadPoolExecutor(self._concurrency) as pool:
            return list(pool.map(lambda each: self._one(each, server), objects))

    def _one(self, each: Object, server: Server) -> Result:
        if self._away:
            return Result(each, error=NOT_TRIED)
        try:
            try:
                return Result(each, reconcile(server, each.resource, each.wanted, each.manner))
            except VaultError as error:
                # Another controller may have made it between our look and our write.
                if "already in use" not in error.said:
                    raise
                return Result(each, reconcile(server, each.resource, each.wanted, each.manner))
        except Problem as problem:
            self._away = self._away or (isinstance(problem, VaultError) and problem.away)
            return Result(each, error=str(problem))


def _note_connections(made: dict[str, Values], results: Iterable[Result]) -> set[str]:
    """Spare each role the question for its connection; return the names of connections that failed."""
    failed = set()
    for result in results:
        if result.outcome is None:
            failed.add(result.object.wanted["name"])
        else:
            made[result.object.resource.at(result.object.wanted)] = result.outcome.object
    return failed


def _told(results: Sequence[Result]) -> Values:
    differing = [result for result in results if result.outcome and result.outcome.changed]
    answer = {
        "changed": bool(differing),
        "objects": [
            {
                "kind": result.object.kind,
                "name": result.object.wanted.get("name", result.object.wanted["mount"]),
                "action": result.action,
            }
            for result in results
        ],
        "diff": {
            "before": as_text(
                {r.object.label: r.outcome.plan.before for r in differing if r.outcome and r.outcome.plan.before}
            ),
            "after": as_text(
                {
                    r.object.label: {**r.outcome.plan.after, **r.outcome.beside}
                    for r in differing
                    if r.outcome and r.outcome.plan.after
                }
            ),
        },
        "warnings": sorted(
            {f"{r.object.label}: {warning}" for r in results if r.outcome for warning in r.outcome.warnings}
        ),
    }
    failed: dict[str, list[str]] = {}  # by the error: many objects may have met the same one
    for result in results:
        if result.error:
            failed.setdefault(result.error, []).append(result.object.label)
    if failed:
        count = sum(map(len, failed.values()))
        reasons_first = sorted(failed.items(), key=lambda each: each[0] == NOT_TRIED)
        errors = " ".join(f"{_some(labels)}: {error}" for error, labels in reasons_first)
        raise Problem(
            f"{count} object(s) failed; {len(results) - count} of {len(results)} objects are as declared. {errors}",
            **answer,
        )
    return answer


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return ", ".join(labels[:3]) + more


def synchronisation() -> Task:
    """The task that reconciles a whole engine from one document."""
    each = {"type": "list", "elements": "dict"}
    kinds = {kind: {**each, "options": _within(resource), **resource.constraints} for kind, resource in KINDS.items()}
    options: Values = {
        "mount": MOUNT.argument(),
        "engine": {"type": "dict", "options": _within(ENGINE)},
        **kinds,
        "prune": {"type": "list", "elements": "str", "choices": list(KINDS), "default": []},
        "revoke_leases": STATE["revoke_leases"],
        "validate": STATE["validate"],
        "concurrency": {"type": "int", "default": 8},
    }
    return Task(options, synchronise)


def _within(resource: Resource) -> Values:
    """The options of one entry of a document, where the mount is said once."""
    return {option: spec for option, spec in resource.argument_spec().items() if option != "mount"}
