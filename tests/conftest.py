# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers for the tests that ask for them: started when first needed, one of each for the whole run."""

from __future__ import annotations

import collections
import json
import os
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))

import capabilities
import servers

if t.TYPE_CHECKING:
    from collections.abc import Iterator

REAL_SERVERS = {"bao", "postgres", "postgres15"}
LACKED = pytest.StashKey[str]()
"""The capability for whose want a test is skipped."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real: needs a real server (set by itself on what uses a server's fixture)")
    config.addinivalue_line("markers", "needs(name, …): what the server must be able to do, see tests/capabilities.py")
    config.addinivalue_line("markers", "full: too slow for the default run, only in `./test full` or when it is named")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        on_fake = _is_on_fake(item)
        if REAL_SERVERS.intersection(getattr(item, "fixturenames", ())) or (_needed(item) and not on_fake):
            item.add_marker("real")
        if _needed(item) and not on_fake and "server_has_what_is_needed" not in item.fixturenames:  # type: ignore[attr-defined]
            # Before all others: those of the test may need it as well.
            item.fixturenames.insert(0, "server_has_what_is_needed")  # type: ignore[attr-defined]


def _is_on_fake(item: pytest.Item) -> bool:
    """Whether it is a story told on the server in memory, which has everything."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("vault") == "fake"


def _needed(item: pytest.Item) -> list[str]:
    return [name for marker in item.iter_markers("needs") for name in marker.args]


@pytest.fixture
def server_has_what_is_needed(request: pytest.FixtureRequest) -> None:
    if _is_on_fake(request.node):
        return
    server = request.getfixturevalue("bao")
    for name in _needed(request.node):
        if not capabilities.has(server, name):
            request.node.stash[LACKED] = name
            pytest.skip(f"{server.title} lacks {name}: {capabilities.CAPABILITIES[name].about}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip that nobody has listed is a failure."""
    report = yield
    lacked = item.stash.get(LACKED, "")
    if report.skipped and not capabilities.may_lack(servers.program(), lacked):
        report.outcome = "failed"
        report.longrepr = f"{_reason(report)}; tests/skips.yml does not list this"
    return report


def _reason(report: pytest.TestReport) -> str:
    """Why it was skipped."""
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell `./test` which tests failed, so that it can say how to run them again, and how many were skipped for which reason.

    The first file has a name a line; to the second, one line is added: a JSON object `{reason: number of tests}`.
    """
    if file := os.environ.get("LEASEHOLD_FAILED"):
        failed = [report.nodeid for kind in ("failed", "error") for report in terminalreporter.getreports(kind)]
        Path(file).write_text("".join(f"{name}\n" for name in dict.fromkeys(failed)))
    if file := os.environ.get("LEASEHOLD_SKIPPED"):
        skipped = collections.Counter(_reason(report) for report in terminalreporter.getreports("skipped"))
        if skipped:
            with Path(file).open("a") as stream:
                stream.write(f"{json.dumps(skipped)}\n")


@pytest.fixture(scope="session")
def bao() -> Iterator[servers.OpenBao]:
    """OpenBao, or what LEASEHOLD_VAULT names, as in production: raft, TLS, audit log."""
    with servers.OpenBao() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.PostgreSQL]:
    """PostgreSQL 18, or what the matrix wants."""
    with servers.PostgreSQL(major=int(os.environ.get("LEASEHOLD_POSTGRESQL", "18"))) as server:
        yield server


@pytest.fixture(scope="session")
def postgres15() -> Iterator[servers.PostgreSQL]:
    """PostgreSQL 15: the last major in which CREATEROLE alone may change any user."""
    with servers.PostgreSQL(major=15) as server:
        yield server
