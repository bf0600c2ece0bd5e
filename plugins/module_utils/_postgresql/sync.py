# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.
"""The PostgreSQL side of all entries: servers first, then databases, some at a time; plan, apply, read back."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import carry_out
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import SERVER_OPTIONS
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.catalog import (
    PUBLIC,
    new_database,
    read_contents,
    read_server,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.connect import (
    LOGIN_OPTIONS,
    DatabaseProblem,
    Session,
    login_parameters,
    require_psycopg2,
    server_label,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import (
    DEFINER,
    read_entries,
    read_settings,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.plan import (
    DatabasePlan,
    Obstacle,
    ServerOptions,
    ServerPlan,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.refusals import conflicts
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.scram import verifier

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.catalog import Server
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import Entry
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.plan import Plan

Values = dict[str, t.Any]
_NAMES: Values = {"type": "list", "elements": "str"}
OPTIONS: Values = {
    "databases": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            **SERVER_OPTIONS,
            "owner": {"type": "str"},
            "admin": {
                "type": "dict",
                "options": {"username": {"type": "str"}, "password": {"type": "str", "no_log": True}},
            },
            "groups": {"type": "dict"},
            "users": {"type": "dict"},
            "creators": _NAMES,
            "connect": _NAMES,
            "heirs": _NAMES,
            "users_act_as_owner": {"type": "bool", "default": False},
            "functions": {"type": "str", "choices": ["leasehold", "none"]},
        },
    },
    **LOGIN_OPTIONS,
    "maintenance_db": {"type": "str", "default": "postgres"},
    "admin_settings": {"type": "dict", "default": {}},
    "create_database": {"type": "bool", "default": True},
    "close_databases": {**_NAMES, "default": ["postgres", "template1"]},
    "lock_out": {**_NAMES, "default": []},
    "prune": {"type": "bool", "default": False},
    "concurrency": {"type": "int", "default": 8},
}
ROUNDS = 5
"""How often a plan is made when somebody else changes the same at the same moment."""


@dataclasses.dataclass
class Result:
    """What was or would be changed in one place, and what could not be."""

    where: str
    changes: list[str] = dataclasses.field(default_factory=list)
    obstacles: list[Obstacle] = dataclasses.field(default_factory=list)
    error: str = ""


@dataclasses.dataclass
class ServerJob:
    """One server to synchronise: its entries, what was found there, and the result."""

    parameters: Values = dataclasses.field(repr=False)
    """Connection parameters of libpq, for the login, with its password."""
    entries: list[Entry]
    server: Server | None = None
    plan: ServerPlan | None = None
    result: Result = dataclasses.field(default_factory=lambda: Result(""))
    prune: bool = False

    def read(self, session: Session) -> Server:
        """What is there of the roles of all entries."""
        keepers = {DEFINER, *(entry.admin for entry in self.entries)} if self.prune else ()
        return read_server(session.query, {DEFINER, *(role for entry in self.entries for role in entry.roles)}, keepers)


def synchronise(_session: t.Any, options: Values, check_mode: bool) -> Values:
    """The module ``postgresql_sync``."""
    require_psycopg2()
    entries = read_entries(options["databases"], options["login_user"])
    settings = read_settings(options["admin_settings"])
    pool = concurrent.futures.ThreadPoolExecutor(max(1, options["concurrency"]))
    with pool:
        jobs = _by_parameters(entries, options)
        list(pool.map(lambda job: _look(job, options), jobs))
        jobs = _by_identity(jobs, options)
        reached = [job for job in jobs if job.server]
        _refuse(reached, options)
        how = ServerOptions(settings, tuple(options["close_databases"]))
        list(pool.map(lambda job: _bring_server(job, how, options, check_mode), reached))
        tasks = [
            (job, database)
            for job in reached
            if not job.result.error
            for database in dict.fromkeys(entry.database for entry in job.entries)
        ]
        results = list(pool.map(lambda task: _bring_database(task[0], task[1], check_mode), tasks))
    return _answer(jobs, results, options)


def _by_parameters(entries: Sequence[Entry], options: Values) -> list[ServerJob]:
    jobs: list[ServerJob] = []
    for entry, given in zip(entries, options["databases"]):
        parameters = login_parameters(given, options)
        job = next((each for each in jobs if each.parameters == parameters), None)
        if job is None:
            jobs.append(ServerJob(parameters, [entry], result=Result(server_label(parameters)), prune=options["prune"]))
        else:
            job.entries.append(entry)
    return jobs


def _look(job: ServerJob, options: Values) -> None:
    try:
        with contextlib.closing(Session(job.parameters, options["maintenance_db"])) as session:
            job.server = job.read(session)
    except Problem as problem:
        job.result.error = str(problem)


def _by_identity(jobs: Sequence[ServerJob], options: Values) -> list[ServerJob]:
    """The server is asked who it is: names and addresses do not tell."""
    found: dict[str, ServerJob] = {}
    separate = []
    merged: dict[int, ServerJob] = {}
    for job in jobs:
        first = found.setdefault(job.server.identity, job) if job.server else job
        if first is job:
            separate.append(job)
        else:
            first.entries += job.entries
            merged[id(first)] = first
    for job in merged.values():
        _look(job, options)  # again, with the roles of all its entries
    return separate


# -- what is refused before anything is written ----------------------------------------------------------------------------


def _refuse(jobs: Sequence[ServerJob], options: Values) -> None:
    problems = [problem for job in jobs if job.server for problem in conflicts(job.entries, job.server, options)]
    if problems:
        raise Refused(" ".join(problems))


# -- plan, apply, read back ------------------------------------------------------------------------------------------------


def _bring_server(job: ServerJob, how: ServerOptions, options: Values, check_mode: bool) -> None:
    # A verifier has a salt: made once, a plan is the same when it is made again.
    entries = [
        dataclasses.replace(entry, password=verifier(entry.password) if entry.password else "")
        if job.server and entry.admin not in job.server.roles
        else entry
        for entry in job.entries
    ]
    first = job.server

    def plan_with(session: Session) -> ServerPlan:
        nonlocal first
        job.server, first = first or job.read(session), None
        plan = ServerPlan(entries, job.server, how)
        job.plan = job.plan or plan
        return plan

    try:
        with contextlib.closing(Session(job.parameters, options["maintenance_db"])) as session:
            _bring_about(job.result, session, lambda: plan_with(session), check_mode)
    except Problem as problem:
        job.result.error = str(problem)


def _bring_database(job: ServerJob, database: str, check_mode: bool) -> Result:
    result = Result(database)
    server, plan_of_server = t.cast("Server", job.server), t.cast("ServerPlan", job.plan)
    entries, usable = [entry for entry in job.entries if entry.database == database], plan_of_server.usable
    if database not in server.databases and database not in plan_of_server.created:
        return result  # the obstacle is named
    if database not in server.databases:
        for entry in entries:
            plan = DatabasePlan(entry, new_database(server, entry.owner), server, usable)
            result.changes += map(str, plan.changes)
            result.obstacles += plan.obstacles
        return result
    try:
        with contextlib.closing(Session(job.parameters, database)) as session:

            def look(entry: Entry) -> DatabasePlan:
                strangers = _strangers(job, entries) if entry is entries[0] else ()
                roles, schemas = {*entry.roles, *server.former, *strangers}, None if job.prune else entry.schemas
                contents = read_contents(session.query, roles, schemas)
                return DatabasePlan(entry, contents, server, usable, job.prune, strangers)

            for entry in entries:
                _bring_about(result, session, functools.partial(look, entry), check_mode)
    except Problem as problem:
        result.error = str(problem)
    return result


def _strangers(job: ServerJob, entries: Sequence[Entry]) -> list[str]:
    """The groups of other databases of this server that have no part in these entries of one database."""
    ours = {role for entry in entries for role in entry.roles}
    return sorted({name for entry in job.entries for name in entry.group_names} - ours)


def _bring_about(result: Result, session: Session, look: Callable[[], Plan], check_mode: bool) -> None:
    plan = look()
    result.obstacles += plan.obstacles
    foreseen = list(map(str, plan.changes))
    if foreseen:
        result.changes += carry_out(lambda: _apply(result, session, look, plan), foreseen, check_mode)


def _apply(result: Result, session: Session, look: Callable[[], Plan], plan: Plan) -> list[str]:
    """Execute, read back, and answer what has really changed."""
    foreseen = list(map(str, plan.changes))
    session.take_warnings()
    failure = ""
    for number in range(ROUNDS):
        try:
            _execute(session, plan)
            break
        except DatabaseProblem as problem:
            failure = str(problem)
            if not problem.retried or number == ROUNDS - 1:
                break
            plan, failure = look(), ""
    left = look()
    missing = list(map(str, left.changes))
    if failure:
        result.error = failure
    elif missing:
        given = "; ".join(dict.fromkeys(session.take_warnings()))
        result.error = (
            f"PostgreSQL accepted the statements, but these did not take effect: {'; '.join(missing)}."
            f"{f' PostgreSQL warned: {given}.' if given else ''} The owner or a superuser has to do it."
        )
    return [change for change in foreseen if change not in missing]


def _execute(session: Session, plan: Plan) -> None:
    """In one transaction, but for what must be alone."""
    together: list[t.Any] = []
    for change in plan.changes:
        if any(statement.alone for statement in change.statements):
            _transaction(session, together)
            together = []
            for statement in change.statements:
                _statement(session, change, statement)
        else:
            together.append(change)
    _transaction(session, together)


def _transaction(session: Session, changes: Sequence[t.Any]) -> None:
    if changes:
        with session.transaction():
            for change in changes:
                for statement in change.statements:
                    _statement(session, change, statement)


def _statement(session: Session, change: t.Any, statement: t.Any) -> None:
    try:
        session.execute(statement)
    except DatabaseProblem as problem:
        problem.args = (f"{change} failed: {problem}",)
        raise


# -- the answer ------------------------------------------------------------------------------------------------------------


def _answer(jobs: Sequence[ServerJob], results: Sequence[Result], options: Values) -> Values:
    everything = [*(job.result for job in jobs), *results]
    changes = [f"{each.where}: {change}" for each in everything for change in each.changes]
    obstacles: dict[Obstacle, list[str]] = {}
    for each in everything:
        for obstacle in dict.fromkeys(each.obstacles):
            obstacles.setdefault(obstacle, []).append(each.where)
    elsewhere = list(_every_right_elsewhere(jobs, options))
    answer: Values = {
        "changed": bool(changes),
        "changes": changes,
        "functions": {
            entry.name: entry.uses_functions(job.server.version) for job in jobs if job.server for entry in job.entries
        },
        "diff": {"prepared": _diff(everything)},
        "obstacles": [
            *({"name": ", ".join(where), "detail": str(obstacle)} for obstacle, where in obstacles.items()),
            *({"name": group, "detail": detail} for group, detail in elsewhere),
        ],
        "warnings": [
            *_sentences(obstacles, fatal=False),
            *_warnings(jobs, options),
            *(f"{group} {detail}." for group, detail in elsewhere),
        ],
    }
    failures = [*_errors(jobs, results), *_sentences(obstacles, fatal=True)]
    if failures:
        raise Problem(" ".join(failures), **answer)
    return answer


def _sentences(obstacles: Mapping[Obstacle, Sequence[str]], fatal: bool) -> Iterator[str]:
    """Each obstacle once, with the places where it is."""
    for obstacle, where in obstacles.items():
        if obstacle.fatal == fatal:
            more = f" and {len(where) - 3} more" if len(where) > 3 else ""
            yield f"{', '.join(where[:3])}{more}: {obstacle}."


def _errors(jobs: Iterable[ServerJob], results: Iterable[Result]) -> Iterator[str]:
    for job in jobs:
        if job.result.error:
            yield f"{', '.join(entry.name for entry in job.entries)}: {job.result.error.rstrip('.')}."
    for result in results:
        if result.error:
            yield f"{result.where}: {result.error.rstrip('.')}."


def _diff(results: Iterable[Result]) -> str:
    lines: list[str] = []
    for result in results:
        if result.changes:
            lines += [result.where, *(f"  {change}" for change in result.changes)]
    return "".join(f"{line}\n" for line in lines)


def _warnings(jobs: Iterable[ServerJob], options: Values) -> Iterator[str]:
    for job in jobs:
        if job.server:
            ours = {entry.database for entry in job.entries}
            yield from _open_databases(job, job.server, {*ours, *options["close_databases"]})


def _every_right_elsewhere(jobs: Iterable[ServerJob], options: Values) -> Iterator[tuple[str, str]]:
    for job in jobs:
        if job.server:
            ours = {entry.database for entry in job.entries}
            yield from _rights_elsewhere(job, job.server, ours if options["prune"] else set())
            yield from _rights_of_others(job, job.server)


def _open_databases(job: ServerJob, server: Server, known: set[str]) -> Iterator[str]:
    found = [
        name
        for name, database in server.databases.items()
        if name not in known and database.allows_connections and database.holds(PUBLIC, "CONNECT")
    ]
    if found:
        yield (
            f"{', '.join(entry.name for entry in job.entries)}: PUBLIC may connect to {', '.join(found)} on this server. A user can leave objects "
            "there, and then stays behind without access when its lease ends. Name them in close_databases (postgresql_access_close_databases), "
            "or revoke CONNECT from PUBLIC."
        )


def _rights_of_others(job: ServerJob, server: Server) -> Iterator[tuple[str, str]]:
    """What groups inherit, and the document does not know."""
    ours = {name for entry in job.entries for name in entry.group_names}
    for group in sorted(ours):
        above = [name for name in server.within.get(group, ()) if name not in ours]
        if above:
            yield (
                group,
                f"is a member of {', '.join(above)}, which this document does not say; its users have those rights, too",
            )


def _rights_elsewhere(job: ServerJob, server: Server, pruned: set[str]) -> Iterator[tuple[str, str]]:
    groups = dict.fromkeys(name for entry in job.entries for name in entry.group_names)
    for group in groups:
        homes = {entry.database for entry in job.entries if group in entry.roles}
        connects = {name for name, database in server.databases.items() if database.holds(group, "CONNECT")}
        found = sorted({*server.elsewhere.get(group, ()), *connects} - homes - pruned)
        if found:
            yield (
                group,
                f"has rights in {', '.join(found)}, too, which this document does not give it; its users have them",
            )
