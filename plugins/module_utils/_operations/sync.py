# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Reconciles many objects in one task, with the declarations of the single modules, in the right order.

engine, then connections, then roles that go, then roles, then connections that go.  What depends on a failed object is not
tried; everything else is, and then all errors are reported together.  Interrupted anywhere, the next run finishes the job: there is
no state but the server's.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Outcome,
    ReconcileOptions,
    Resource,
    Server,
    Values,
    reading,
    reconcile,
)
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import (
    KEEP_LEASES,
    STATE,
    Task,
    readable_diff,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import CONNECTION
from ansible_collections.leasehold.vault.plugins.module_utils._resources.engine import ENGINE
from ansible_collections.leasehold.vault.plugins.module_utils._resources.role import ROLE
from ansible_collections.leasehold.vault.plugins.module_utils._resources.static_role import STATIC_ROLE
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError

if t.TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client

KINDS = {"connections": CONNECTION, "roles": ROLE, "static_roles": STATIC_ROLE}


@dataclasses.dataclass(frozen=True)
class Object:
    """One entry of the document, or one that is to go because the document does not have it."""

    kind: str
    resource: Resource
    desired: Values
    reconcile_options: ReconcileOptions

    @property
    def path(self) -> str:
        """Where it is, unless its name cannot stand in a path, which reconciling it says."""
        return self.resource.path.format(mount=self.desired["mount"], name=self.desired.get("name", ""))

    @property
    def label(self) -> str:
        return f"{self.kind}/{self.desired['name']}" if "name" in self.desired else self.kind


@dataclasses.dataclass
class Result:
    object: Object
    outcome: Outcome | None = None
    error: str = ""

    @property
    def action(self) -> str:
        return self.outcome.plan.action if self.outcome else "failed"


class View:
    """The server as checks before a change see it: each path is read once, and what this run makes, changes or deletes counts already.

    ``overlay`` has by path what an object will show, which is laid over what it shows now; None for one that will be gone.
    """

    def __init__(self, server: Client, mount: str, is_mounted: bool, overlay: t.Mapping[str, Values | None]) -> None:
        self._server, self._mount, self._is_mounted, self._overlay = server, mount, is_mounted, overlay
        self._seen: dict[tuple[str, str], t.Any] = {}
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._server, name)

    def read(self, path: str) -> Values | None:
        if path in self._overlay and self._overlay[path] is None:
            return None
        current = self._once("read", path)
        made = self._overlay.get(path)
        if made is None:
            return t.cast("Values | None", current)
        return {
            key: {**_part(current, key), **value} if isinstance(value, dict) else value
            for key, value in {**(current or {}), **made}.items()
        }

    def list(self, path: str) -> builtins.list[str]:
        below = {
            each.rpartition("/")[2]: made for each, made in self._overlay.items() if each.rpartition("/")[0] == path
        }
        gone = {name for name, made in below.items() if made is None}
        return sorted({*self._once("list", path), *below} - gone)

    def _once(self, method: str, path: str) -> t.Any:
        if not self._is_mounted and path.startswith((f"{self._mount}/", f"sys/mounts/{self._mount}/")):
            return [] if method == "list" else None
        with self._lock:
            if (method, path) not in self._seen:
                try:
                    self._seen[method, path] = getattr(self._server, method)(path)
                except Problem as problem:
                    self._seen[method, path] = problem
        seen = self._seen[method, path]
        if isinstance(seen, Problem):
            raise seen
        return seen


def _part(current: Values | None, key: str) -> Values:
    value = (current or {}).get(key)
    return value if isinstance(value, dict) else {}


def synchronise(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``database_sync``."""
    client, mount = session.client, MOUNT.desired_value(desired)
    options = ReconcileOptions(
        validate=desired["validate"],
        revoke_leases=desired["revoke_leases"],
        keep_leases=desired["keep_leases"],
        dry_run=check_mode,
    )
    removal = dataclasses.replace(options, state="absent", keep_leases=False)  # pruning never leaves users behind

    def declared(kind: str) -> list[Object]:
        entries = desired.get(kind) or []
        return [Object(kind, KINDS[kind], {**entry, "mount": mount}, _options_for(entry, options)) for entry in entries]

    engine = Object("engine", ENGINE, {**(desired.get("engine") or {}), "mount": mount}, options)
    connections, roles = declared("connections"), declared("roles") + declared("static_roles")
    _refuse_duplicates(connections, roles)
    surplus = {kind: _undeclared(client, mount, kind, desired, removal) for kind in desired.get("prune") or []}
    to_remove = [each for objects in surplus.values() for each in objects]

    workers = Workers(desired["concurrency"])
    results = workers.reconciled([engine], client)
    if results[0].error:
        results += [Result(each, error="not tried, because the engine failed") for each in connections + roles]
    else:
        is_mounted = client.read(ENGINE.at(engine.desired)) is not None
        overlay: dict[str, Values | None] = _limits_of(results[0])

        def reconciled(objects: Sequence[Object], plans: t.Mapping[str, Values | None]) -> list[Result]:
            """``plans``: what the document says of objects of the same kind that are not reconciled yet."""
            view = t.cast("Server", View(client, mount, is_mounted, {**overlay, **plans}))
            done = workers.reconciled(objects, client if is_mounted else _unmounted(client), view)
            for result in done:
                if result.outcome:
                    overlay[result.object.path] = (
                        _shown(result.outcome.object) if result.outcome.plan.action != "delete" else None
                    )
            return done

        plans = {
            **{
                each.path: _shown({**each.desired, **(each.desired.get("plugin_options") or {})})
                for each in connections
            },
            **{each.path: _shown(each.desired) for each in roles if each.kind == "static_roles"},
            **dict.fromkeys(each.path for each in to_remove),
        }
        results += reconciled(connections, plans)
        failed = {result.object.desired["name"] for result in results[1:] if result.outcome is None}
        results += reconciled([each for kind in ("roles", "static_roles") for each in surplus.get(kind, ())], {})
        results += [
            Result(each, error=f"not tried, because its connection {each.desired['db_name']} failed")
            for each in roles
            if each.desired.get("db_name") in failed
        ]
        left = [each for each in roles if each.desired.get("db_name") not in failed]
        results += reconciled(left, {each.path: _shown(each.desired) for each in left if each.kind == "static_roles"})
        results += reconciled(surplus.get("connections", []), {})
    return _result_of(results)


def _unmounted(client: Client) -> Server:
    """In a check run whose engine is not there yet, nothing below it is."""
    return reading(client, lambda path: None)


_CHECKED_KEYS = ("plugin_name", "allowed_roles", "password_policy", "db_name", "username", "connection_url")


def _shown(values: Values) -> Values:
    """Options of a module as the server shows them, as far as checks read them; what is not given stays as it is."""
    given = {key: values[key] for key in _CHECKED_KEYS if values.get(key) is not None}
    details = {key: given[key] for key in ("connection_url", "username") if key in given}
    return {**given, "connection_details": details}


def _limits_of(engine: Result) -> dict[str, Values | None]:
    """The TTL limit that the mount is given; None in it if an update leaves it to the server, whose own limit is not foreseen."""
    step = engine.outcome.plan if engine.outcome else None
    limit = (engine.outcome.object if engine.outcome else {}).get("max_lease_ttl")
    if not limit and not (step and step.action == "update" and step.before.get("max_lease_ttl")):
        return {}
    return {f"sys/mounts/{engine.object.desired['mount']}/tune": {"max_lease_ttl": limit or None}}


def _options_for(entry: Values, reconcile_options: ReconcileOptions) -> ReconcileOptions:
    return dataclasses.replace(reconcile_options, secrets=entry.get("update_password") or "on_create")


def _refuse_duplicates(connections: Sequence[Object], roles: Sequence[Object]) -> None:
    """Dynamic and static roles share one space of names."""
    for objects, word in ((connections, "connections"), (roles, "roles and static_roles")):
        names = [each.desired["name"] for each in objects]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise Problem(f"{word}: {', '.join(duplicates)} is declared more than once.")


def _undeclared(
    client: Client, mount: str, kind: str, desired: Values, reconcile_options: ReconcileOptions
) -> list[Object]:
    """What is on the server and not in the document.  Nothing is removed unless all of it can be seen."""
    declared = {entry["name"] for entry in desired.get(kind) or []}
    path = KINDS[kind].path.format(mount=mount, name="").rstrip("/")
    return [
        Object(kind, KINDS[kind], {"mount": mount, "name": name}, reconcile_options)
        for name in client.list(path, mount_may_be_missing=True)
        if name not in declared
    ]


NOT_TRIED = "not tried, because Vault was unavailable; run it again"


class Workers:
    """Runs some at a time; when Vault is unavailable for one, the rest is not tried."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._away = False

    def reconciled(self, objects: Sequence[Object], server: Server, view: Server | None = None) -> list[Result]:
        if len(objects) < 2 or self._concurrency < 2:
            return [self._one(each, server, view) for each in objects]
        with concurrent.futures.ThreadPoolExecutor(self._concurrency) as pool:
            return list(pool.map(lambda each: self._one(each, server, view), objects))

    def _one(self, each: Object, server: Server, view: Server | None) -> Result:
        if self._away:
            return Result(each, error=NOT_TRIED)
        try:
            try:
                return Result(each, reconcile(server, each.resource, each.desired, each.reconcile_options, view))
            except VaultError as error:
                # Another controller may have made it between our look and our write.
                if "already in use" not in error.message:
                    raise
                return Result(each, reconcile(server, each.resource, each.desired, each.reconcile_options, view))
        except Problem as problem:
            self._away = self._away or (isinstance(problem, VaultError) and problem.away)
            return Result(each, error=str(problem))


def _result_of(results: Sequence[Result]) -> Values:
    differing = [result for result in results if result.outcome and result.outcome.changed]
    answer = {
        "changed": bool(differing),
        "objects": [
            {
                "kind": result.object.kind,
                "name": result.object.desired.get("name", result.object.desired["mount"]),
                "action": result.action,
            }
            for result in results
        ],
        "diff": readable_diff(
            {r.object.label: r.outcome.plan.before for r in differing if r.outcome and r.outcome.plan.before},
            {
                r.object.label: {**r.outcome.plan.after, **r.outcome.side_effects}
                for r in differing
                if r.outcome and r.outcome.plan.after
            },
        ),
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
        **KEEP_LEASES,
        "validate": STATE["validate"],
        "concurrency": {"type": "int", "default": 8},
    }
    secret_keys = {option: keys for resource in KINDS.values() for option, keys in resource.secret_keys.items()}
    return Task(options, synchronise, secret_keys=secret_keys)


def _within(resource: Resource) -> Values:
    """The options of one entry of a document, where the mount is given once."""
    return {option: spec for option, spec in resource.argument_spec().items() if option != "mount"}
