# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A. One connection and N roles: made, and then found to be as they should be."""

from __future__ import annotations

import time
import typing as t

from ground import CREATION, CannotRunError, Ground, Run, Size, Unsafe, Values, repeated, say, servers, summary

OURS = "leasehold.vault"
PEER = "community.hashi_vault"
PER_TASK = ("modules_as_modules", "peer")
"""A process for every role: measured with few roles only."""


def document(ground: Ground, mount: str, roles: int) -> Values:
    statements = {
        "creation_statements": [Unsafe(CREATION.format(group="bench_rw"))],
        "revocation_statements": [Unsafe('DROP ROLE IF EXISTS "{{name}}"')],
    }
    return {
        "mount": mount,
        "connection": {
            "name": "db", "plugin_name": "postgresql-database-plugin", "connection_url": Unsafe(ground.url("postgres")),
            "username": "bench_admin", "password": "bench", "allowed_roles": ["*"],
        },
        "roles": [
            {"name": f"role-{number:04}", "db_name": "db", **statements, "default_ttl": 3600, "max_ttl": 86400}
            for number in range(roles)
        ],
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ the ways to do it


def with_sync(ground: Ground, doc: Values) -> Run:
    arguments = {"mount": "{{ mount }}", "connections": ["{{ connection }}"], "roles": "{{ roles }}"}
    return ground.play([{f"{OURS}.database_sync": arguments}], doc)


def with_modules(ground: Ground, doc: Values, in_controller: bool = True) -> Run:
    def from_item(names: t.Iterable[str]) -> Values:
        return {name: f"{{{{ item.{name} }}}}" for name in names}

    connection = {name: f"{{{{ connection.{name} }}}}" for name in doc["connection"]}
    tasks: list[Values] = [
        {f"{OURS}.database_engine": {"mount": "{{ mount }}"}},
        {f"{OURS}.database_connection": {"mount": "{{ mount }}", **connection}},
        {
            f"{OURS}.database_role": {"mount": "{{ mount }}", **from_item(doc["roles"][0])},
            "loop": "{{ roles }}",
            "loop_control": {"label": "{{ item.name }}"},
        },
    ]
    return ground.play(tasks, {**doc, "leasehold_run_in_controller": in_controller})


def with_modules_as_modules(ground: Ground, doc: Values) -> Run:
    return with_modules(ground, doc, in_controller=False)


def with_peer(ground: Ground, doc: Values) -> Run:
    """It has no module for mounting: that is done beforehand, and not on its bill."""
    connection = {
        "engine_mount_point": "{{ mount }}", "connection_name": "{{ connection.name }}",
        "connection_username": "{{ connection.username }}", "connection_password": "{{ connection.password }}",
        **{name: f"{{{{ connection.{name} }}}}" for name in ("plugin_name", "connection_url", "allowed_roles")},
    }  # fmt: skip
    role = {
        "engine_mount_point": "{{ mount }}", "connection_name": "{{ item.db_name }}", "role_name": "{{ item.name }}",
        **{name: f"{{{{ item.{name} }}}}" for name in (
            "creation_statements", "revocation_statements", "default_ttl", "max_ttl",
        )},
    }  # fmt: skip
    tasks: list[Values] = [
        {f"{PEER}.vault_database_connection_configure": connection},
        {
            f"{PEER}.vault_database_role_create": role,
            "loop": "{{ roles }}",
            "loop_control": {"label": "{{ item.name }}"},
        },
    ]
    return ground.play(tasks, doc)


def with_raw(ground: Ground, doc: Values, read_back: bool = False) -> Run:
    """The requests that cannot be spared: look at each object, write those that are not there."""
    mount, changed = doc["mount"], 0
    objects = [(f"config/{doc['connection']['name']}", doc["connection"])]
    objects += [(f"roles/{role['name']}", role) for role in doc["roles"]]
    began = time.perf_counter()
    with ground.raw() as raw:
        if raw.ask("GET", f"sys/mounts/{mount}")[0] >= 400:
            raw.must("POST", f"sys/mounts/{mount}", {"type": "database"})
        for path, wanted in objects:
            if raw.ask("GET", f"{mount}/{path}")[0] == 404:
                raw.must("POST", f"{mount}/{path}", {key: wanted[key] for key in wanted if key != "name"})
                changed += 1
                if read_back:
                    raw.must("GET", f"{mount}/{path}")
    return Run(time.perf_counter() - began, changed, "")


def with_raw_and_read_back(ground: Ground, doc: Values) -> Run:
    """The same requests as ours: we look whether a write was kept."""
    return with_raw(ground, doc, read_back=True)


WAYS: dict[str, t.Callable[[Ground, Values], Run]] = {
    "sync": with_sync,
    "modules": with_modules,
    "modules_as_modules": with_modules_as_modules,
    "peer": with_peer,
    "raw": with_raw,
    "raw_and_read_back": with_raw_and_read_back,
}


# ---------------------------------------------------------------------------------------------------------- measuring


def measure(ground: Ground, size: Size) -> Values:
    prepare(ground)
    ground.play([])  # whatever is made once is made
    results: Values = {"roles": list(size.roles), "loop": size.loop, "rows": []}
    say("A  an empty play")
    repeats = max(size.repeats, 3)
    empty = repeated(lambda: ground.play([]).seconds, repeats, 60)
    last = document(ground, "none", size.roles[-1])
    look: Values = {"ansible.builtin.assert": {"that": "roles | to_json | length > 0"}}
    results["document_alone"] = summary(repeated(lambda: ground.play([look], last).seconds, size.repeats, 60))
    for way in WAYS:
        numbers = size.roles if way not in PER_TASK or size.per_task_at_last else size.roles[:-1]
        for roles in sorted({*numbers, *([size.loop] if way in ("modules", "peer") else [])}):
            say(f"A  {way}: {roles} roles")
            patience = 0 if roles not in numbers and way in PER_TASK else size.patience
            results["rows"].append(converge(ground, way, roles, size.repeats, patience))
    say("A  an empty play, again")  # before and after: all ratios lean on it
    results["empty"] = summary(empty + repeated(lambda: ground.play([]).seconds, repeats, 60))
    return results


def prepare(ground: Ground) -> None:
    """The admin of the connections, and the group its users would be in."""
    if not ground.sql("SELECT 1 FROM pg_roles WHERE rolname = 'bench_admin'"):
        ground.sql("CREATE ROLE bench_rw; CREATE ROLE bench_admin LOGIN CREATEROLE PASSWORD 'bench'")
        ground.sql("GRANT bench_rw TO bench_admin WITH ADMIN OPTION")


def converge(ground: Ground, way: str, roles: int, repeats: int, patience: float) -> Values:
    """A first converge and one that finds nothing to do, each time on a new mount."""
    row: Values = {"way": way, "roles": roles}
    first, again = list[float](), list[float]()

    def both() -> float:
        mount = ground.name("bench")
        doc = document(ground, mount, roles)
        if way == "peer":
            with ground.raw() as raw:
                raw.must("POST", f"sys/mounts/{mount}", {"type": "database"})
        try:
            for key, samples in (("first", first), ("no_change", again)):
                mark = ground.mark()
                run = WAYS[way](ground, doc)
                samples.append(run.seconds)
                row[f"{key}_requests"], row[f"{key}_changed"] = ground.requests(mark), run.changed
            check(ground, mount, roles)
            if run.changed and way != "peer":
                raise servers.ServerError(f"{way}: {run.changed} changes where there was nothing to change")
        finally:
            ground.forget(mount)
        return first[-1] + again[-1]

    try:
        repeated(both, repeats, patience)
    except CannotRunError as reason:
        if way != "peer":
            raise
        return {"way": way, "roles": roles, "cannot_run": str(reason)}
    return {**row, "first": summary(first), "no_change": summary(again)}


def check(ground: Ground, mount: str, roles: int) -> None:
    """Whether it did what is timed."""
    with ground.raw() as raw:
        there = len(raw.names(f"{mount}/roles"))
    if there != roles:
        raise servers.ServerError(f"{there} roles are there, not {roles}")


def make(ground: Ground, roles: int) -> Values:
    """An engine that is as it should be, for the other measurements."""
    prepare(ground)
    doc = document(ground, ground.name("bench"), roles)
    with_raw(ground, doc)
    return doc
