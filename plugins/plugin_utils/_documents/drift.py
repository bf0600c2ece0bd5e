# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""What the playbook ``drift`` found, as one list of differences between the document and the servers.

A difference has ``kind``, ``name``, ``state`` (``differs``, ``undeclared`` or ``unknown``: it could not be looked at), ``detail`` and ``cure``.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.differences import (
    DIFFERS,
    UNDECLARED,
    UNKNOWN,
    Difference,
)
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.migrations import roles_of

Values = t.Mapping[str, t.Any]

_WRITTEN_FOR = re.compile(
    r"^# Written by the role leasehold\.vault\.app_access for the application (\S+)\.$", re.MULTILINE
)
_ACTIONS = {
    "create": "does not exist",
    "update": "is not as declared",
    "delete": "is to be removed",
    "failed": "could not be compared",
}
_SITE = "the playbook leasehold.vault.site makes it so"
_BY_HAND = "the playbook leasehold.vault.site does not change it: the owner or a superuser has to, or the document has to be changed"
_PRUNE = (
    "add it to the document (the playbook leasehold.vault.adopt writes it), or remove it with database_secrets_prune"
)
_PRIMARY = "name in host the server that can be written to, or all of them, and in replicas the others"
_SESSIONS = "the playbook leasehold.vault.clean_orphans ends them, with the DBA's login"
_ABSENT = "keep the application in the document with state: absent and run the playbook leasehold.vault.app, or remove it by hand"


def report(gathered: Values) -> dict[str, t.Any]:
    """``differences`` sorted by kind and name, ``lines`` for people, and the labels of what ``differs`` and what is ``unknown``."""
    found = [
        *_failed(gathered.get("failed") or []),
        *_flags(gathered),
        *(each for answer in gathered.get("postgresql") or [] for each in _postgresql(answer)),
        *_objects((gathered.get("sync") or {}).get("objects") or []),
        *_undeclared(gathered),
        *_health(gathered.get("health") or []),
        *_nodes(gathered.get("nodes") or []),
        *_access(gathered.get("access") or {}),
    ]
    unique = sorted(dict.fromkeys(found), key=lambda each: (each.kind, each.name, each.detail))
    labels = [(each.state, f"{each.kind}/{each.name}") for each in unique]
    return {
        "differences": [dataclasses.asdict(each) for each in unique],
        "lines": [each.line for each in unique],
        "differing": list(dict.fromkeys(label for state, label in labels if state != UNKNOWN)),
        "unknown": list(dict.fromkeys(label for state, label in labels if state == UNKNOWN)),
    }


def message(result: Values) -> str:
    """Why a task failed: its own sentence, or those of the items of its loop."""
    items = [message(item) for item in result.get("results") or [] if item.get("failed")]
    return "; ".join(dict.fromkeys(items)) or str(result.get("msg") or "no reason was given")


def _failed(failures: t.Iterable[Values]) -> t.Iterator[Difference]:
    """Whole parts that could not be compared: ``{"part": …, "result": of the task that failed}``."""
    for failure in failures:
        yield Difference(
            failure["part"],
            str(failure.get("name") or "all"),
            UNKNOWN,
            f"could not be compared: {message(failure['result'])}",
        )


def _flags(gathered: Values) -> t.Iterator[Difference]:
    """Parts of which only is known that something would be changed; what it is was printed by the tasks."""
    for part in gathered.get("changed") or []:
        yield Difference(part["part"], str(part["name"]), DIFFERS, "differs in what is shown as changed above", _SITE)


def _postgresql(answer: Values) -> t.Iterator[Difference]:
    """Of ``postgresql_sync``, whose changes are lines that begin with the database or the role, and what it cannot change."""
    for change in answer.get("changes") or []:
        name, _colon, detail = str(change).partition(": ")
        yield Difference("postgresql", name, DIFFERS, detail or "is not as declared", _SITE)
    for obstacle in answer.get("obstacles") or []:
        yield Difference("postgresql", obstacle["name"], DIFFERS, obstacle["detail"], _BY_HAND)


def _objects(objects: t.Iterable[Values]) -> t.Iterator[Difference]:
    for each in objects:
        if each["action"] != "none":
            state = UNKNOWN if each["action"] == "failed" else DIFFERS
            yield Difference(
                each["kind"], each["name"], state, _ACTIONS[each["action"]], "" if state == UNKNOWN else _SITE
            )


def _undeclared(gathered: Values) -> t.Iterator[Difference]:
    """What Vault has and the document does not."""
    current = gathered.get("held") or {}
    declared = _declared(gathered.get("databases") or [])
    for kind, names in declared.items():
        answer = current.get(kind) or {}
        if kind not in answer:
            if answer.get("msg"):
                yield Difference(kind, "all", UNKNOWN, f"could not be listed: {answer['msg']}")
            continue
        for each in answer[kind]:
            if each["name"] not in names:
                yield Difference(kind, each["name"], UNDECLARED, "the document does not have it", _PRUNE)
    yield from _undeclared_access(gathered, current)


def _declared(databases: t.Iterable[Values]) -> dict[str, set[str]]:
    entries = list(databases)
    return {
        "connections": {entry["name"] for entry in entries},
        "roles": {role for entry in entries for role in roles_of(entry)},
        "static_roles": {role for entry in entries for role in entry.get("static_roles") or {}},
    }


def _undeclared_access(gathered: Values, current: Values) -> t.Iterator[Difference]:
    """Policies that the role app_access wrote for this mount, and auth roles that give one of them."""
    for kind in ("policies", "auth_mounts"):
        if kind not in (current.get(kind) or {}) and (current.get(kind) or {}).get("msg"):
            yield Difference(kind, "all", UNKNOWN, f"could not be listed: {current[kind]['msg']}")
    applications = {str(entry.get("name")).lower() for entry in gathered.get("applications") or []}
    ours = {
        policy["name"]: match[1]
        for policy in (current.get("policies") or {}).get("policies") or []
        for match in [_WRITTEN_FOR.search(policy.get("policy") or "")]
        if match and f'"{gathered["mount"]}/' in policy["policy"]
    }
    for name, application in sorted(ours.items()):
        if application.lower() not in applications:
            yield Difference(
                "policies", name, UNDECLARED, f"the document does not have the application {application}", _ABSENT
            )
    if any(failure["part"] == "applications" for failure in gathered.get("failed") or []):
        return  # which auth roles the document has is not known
    declared = {(role["mount"].strip("/"), role["name"].lower()) for role in gathered.get("auth_roles") or []}
    for answer in current.get("auth_roles") or []:
        if "auth_roles" not in answer and answer.get("msg"):
            yield Difference("auth_roles", _mount_of(answer), UNKNOWN, f"could not be listed: {answer['msg']}")
        for role in answer.get("auth_roles") or []:
            gives = [name for name in role.get("token_policies") or [] if name in ours]
            if gives and (role["mount"].strip("/"), role["name"].lower()) not in declared:
                yield Difference(
                    "auth_roles", f"{role['mount']}/{role['name']}", UNDECLARED, f"it gives {', '.join(gives)}, and the document does not have it", _ABSENT
                )  # fmt: skip


def _mount_of(answer: Values) -> str:
    item = answer.get("item")
    return str(item.get("mount")) if isinstance(item, t.Mapping) else "all"


def _health(answers: t.Iterable[Values]) -> t.Iterator[Difference]:
    """Of ``database_health_info``, one answer a connection."""
    for answer in answers:
        if "differences" not in answer:
            yield Difference(
                "connections", str(answer.get("item", "all")), UNKNOWN, f"could not be looked at: {message(answer)}"
            )
        for each in answer.get("differences") or []:
            yield Difference(
                **{field.name: str(each.get(field.name) or "") for field in dataclasses.fields(Difference)}
            )


def _nodes(nodes: t.Sequence[Values]) -> t.Iterator[Difference]:
    """Of ``postgresql_sessions``: whether primaries and standbys are what the document takes them for, and whose sessions go on there."""
    seen: set[str] = set()
    for node in nodes:
        name = f"{node['name']} at {node['host']}:{node['port']}"
        if node["problem"]:
            yield Difference("nodes", name, UNKNOWN, f"it is not known whose sessions go on: {node['problem']}")
        if node["in_recovery"] is None or node["started"] in seen:
            continue
        seen.add(node["started"])
        if node["in_recovery"] and not node["replica"]:
            yield Difference(
                "nodes", name, DIFFERS, "is a standby, so that users can be neither issued nor revoked there", _PRIMARY
            )
        if node["in_recovery"] is False and node["replica"]:
            yield Difference(
                "nodes",
                name,
                DIFFERS,
                "can be written to, and is not where users are issued: it was promoted, or is no standby",
                _PRIMARY,
            )
        if node["ended"] and node["replica"]:
            yield Difference(
                "sessions", name, DIFFERS, f"{node['ended']} session(s) go on without their user", _SESSIONS
            )


def _access(access: Values) -> t.Iterator[Difference]:
    """What a check run of ``app_access`` would change: the results of its loops, by kind."""
    for kind, results in access.items():
        for answer in results or []:
            if answer.get("changed"):
                item = answer.get("item")
                named = item if isinstance(item, t.Mapping) else {"name": answer.get("_ansible_item_label") or item}
                name = (
                    f"{named['mount']}/{named['name']}"
                    if "mount" in named and "name" in named
                    else str(named.get("name") or named.get("mount"))
                )
                yield Difference(kind, name, DIFFERS, "is not as declared", _SITE)
