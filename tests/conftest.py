# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers for the tests that ask for them: started when first needed, one of each for the whole run."""

from __future__ import annotations

import json
import os
import signal
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))

import capabilities
import servers

if t.TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {"max_prepared_transactions": 10}  # so that a user can leave one
REAL_SERVERS = {"bao", "postgres", "postgres15", "postgres16", "postgres_tls"}
DECIDED = pytest.StashKey[tuple[str, bool]]()
"""The capability for which a test is skipped, because the server lacks it, or has it."""


CRASHABLE: list[servers.OpenBao] = []
"""The servers that all tests of a worker have in common."""


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background (`./test &`), a shell has SIGINT ignored, also for the programs that the tests interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "real: needs a real server (set by itself on what uses a server's fixture)")
    config.addinivalue_line("markers", "needs(name, …): what the server must be able to do, see tests/capabilities.py")
    config.addinivalue_line(
        "markers", "lacks(name, …): what the server must not be able to do, see tests/capabilities.py"
    )
    config.addinivalue_line(
        "markers", "both: a story that runs on the fake and on the real server in the default run too"
    )
    config.addinivalue_line("markers", "full: too slow for the default run, only in `./test full` or when it is named")
    record = os.environ.get("LEASEHOLD_RECORD")
    if record and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(record)))


def pytest_itemcollected(item: pytest.Item) -> None:
    on_fake = _server_of(item) == "fake"
    if _server_of(item) == "real" and not item.get_closest_marker("both"):
        item.add_marker("full")  # in the default run it runs on the fake Vault
    if REAL_SERVERS.intersection(getattr(item, "fixturenames", ())) or (_needed(item) and not on_fake):
        item.add_marker("real")
    if _needed(item) and not on_fake and "server_has_what_is_needed" not in item.fixturenames:  # type: ignore[attr-defined]
        # Before all others: those of the test may need it as well.
        item.fixturenames.insert(0, "server_has_what_is_needed")  # type: ignore[attr-defined]


def _server_of(item: pytest.Item) -> str | None:
    """`fake` or `real`, if it is a story that runs on both servers: the fake one is in memory and has everything."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("vault")


def _needed(item: pytest.Item) -> list[tuple[str, bool]]:
    """The capabilities that decide whether it runs, each with whether the server must have it."""
    kinds = (("needs", True), ("lacks", False))
    return [(name, desired) for kind, desired in kinds for marker in item.iter_markers(kind) for name in marker.args]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """One test fails where the server crashes, and not all that come after it: see `rotation_queue`."""
    for server in CRASHABLE:
        if server.has_crashed:
            item.warn(pytest.PytestWarning(f"{server.title} had crashed and was started again: {server.log_tail()}"))
            server.start()


@pytest.fixture
def server_has_what_is_needed(request: pytest.FixtureRequest) -> None:
    if _server_of(request.node) == "fake":
        return
    server = request.getfixturevalue("bao")
    for name, desired in _needed(request.node):
        if capabilities.has(server, name) != desired:
            request.node.stash[DECIDED] = (name, desired)
            verb = "lacks" if desired else "has"
            pytest.skip(f"{server.title} {verb} {name}: {capabilities.CAPABILITIES[name].about}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip that nobody has listed is a failure."""
    report = yield
    name, desired = item.stash.get(DECIDED, ("", True))
    if report.skipped and capabilities.may_lack(servers.program(), name) != desired:
        report.outcome = "failed"
        report.longrepr = f"{_reason(report)}; tests/skips.yml does not list this"
    return report


def _reason(report: pytest.TestReport) -> str:
    """Why it was skipped."""
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)


@pytest.hookimpl(trylast=True)  # after -m has chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files first where workers share them; only one share of them where that is asked for."""
    seconds = _seconds()
    if of := os.environ.get("LEASEHOLD_SHARD"):
        items[:] = _shard(items, seconds, of)
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        items.sort(key=lambda item: -seconds.get(_file(item), 1.0))


class Recorder:
    """Writes down for `./test` how many tests there are, and how each of them went, as it ends: a line of JSON each."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a", buffering=1)

    def _write(self, **entry: t.Any) -> None:
        self._stream.write(f"{json.dumps({**entry, 'session': os.getpid()})}\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:
            self._write(total=len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._write(total=len(ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        reason = _reason(report) if report.skipped else ""
        self._write(test=report.nodeid, seconds=report.duration, outcome=report.outcome, reason=reason)


def _shard(items: list[pytest.Item], seconds: dict[str, float], of: str) -> list[pytest.Item]:
    """The tests of the K-th of N shares, `K/N`: whole files, the longest first to where there is least so far."""
    number, count = (int(word) for word in of.split("/"))
    sums, chosen = [0.0] * count, set()
    for file in sorted({_file(item) for item in items}, key=lambda file: (-seconds.get(file, 1.0), file)):
        least = sums.index(min(sums))
        sums[least] += seconds.get(file, 1.0)
        if least == number - 1:
            chosen.add(file)
    return [item for item in items if _file(item) in chosen]


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _seconds() -> dict[str, float]:
    """How long each file took the last time in this part."""
    path, part = os.environ.get("LEASEHOLD_DURATIONS"), os.environ.get("LEASEHOLD_PART", "")
    known = json.loads(Path(path).read_text()) if path else {}
    return {name.removeprefix(f"{part} "): seconds for name, seconds in known.items() if name.startswith(f"{part} ")}


@pytest.fixture(scope="session")
def bao() -> Iterator[servers.OpenBao]:
    """OpenBao, or what LEASEHOLD_VAULT names, as in production: raft, TLS, audit log."""
    with servers.OpenBao() as server:
        CRASHABLE.append(server)
        yield server
        CRASHABLE.remove(server)


def _postgres(major: int) -> Iterator[servers.PostgreSQL]:
    with servers.PostgreSQL(major=major, settings=SETTINGS) as server:
        server.waits_for_removal = False
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.PostgreSQL]:
    """PostgreSQL 18, or what the matrix wants."""
    yield from _postgres(int(os.environ.get("LEASEHOLD_POSTGRESQL", "18")))


@pytest.fixture(scope="session")
def postgres15() -> Iterator[servers.PostgreSQL]:
    """PostgreSQL 15: the last major in which CREATEROLE alone may change any user."""
    yield from _postgres(15)


@pytest.fixture(scope="session")
def postgres16() -> Iterator[servers.PostgreSQL]:
    """PostgreSQL 16: the first major in which CREATEROLE needs ADMIN OPTION."""
    yield from _postgres(16)


@pytest.fixture(scope="session")
def postgres_tls() -> Iterator[servers.PostgreSQL]:
    """PostgreSQL 17 with TLS under an authority of its own (`ca_cert`); over the network it takes nothing else. Also on ``::1``."""
    with servers.PostgreSQL(major=17, tls=True, settings={"listen_addresses": f"{servers.HOST},::1"}) as server:
        yield server
