# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers for the tests that ask for them: started when first needed, one of each for the whole run."""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))

import servers

if t.TYPE_CHECKING:
    from collections.abc import Iterator

REAL_SERVERS = {"bao", "postgres", "postgres15"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real: needs a real server (set by itself on what uses a server's fixture)")
    config.addinivalue_line("markers", "full: too slow for the default run, only in `./test full` or when it is named")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if REAL_SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("real")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell `./test` which tests failed, so that it can say how to run them again."""
    if file := os.environ.get("LEASEHOLD_FAILED"):
        failed = [report.nodeid for kind in ("failed", "error") for report in terminalreporter.getreports(kind)]
        Path(file).write_text("".join(f"{name}\n" for name in dict.fromkeys(failed)))


@pytest.fixture(scope="session")
def bao() -> Iterator[servers.OpenBao]:
    """OpenBao as in production: raft, TLS, audit log."""
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
