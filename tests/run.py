# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `./test` does: run the parts that are named, or all, and say which of them passed."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / ".cache" / "tree"
STAGE = TREE / "ansible_collections" / "leasehold" / "vault"
OURS = "ansible_collections/leasehold/vault"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Command:
    words: Sequence[str]
    directory: Path = STAGE
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True)
class Part:
    name: str
    about: str
    commands: Sequence[Command]
    needs: str = "galaxy.yml"
    """What the part is about; without it the part fails, however content the tools are with nothing."""
    on_request: bool = False
    """Takes its time: only run when it is named."""


# Most of what a play does is waiting for Python to start: files of tests share the cores, each worker with servers of its own.
SHARED = ("-n", "2", "--dist", "loadfile")
FAULTS = "tests/integration/faults"


def pytest(*arguments: str, **environment: str) -> Command:
    return Command([sys.executable, "-m", "pytest", *arguments], environment=environment)


PARTS = [
    Part(
        "lint",
        "style, types, Ansible's own rules",
        [
            Command(["ruff", "check", "--output-format=concise", "."]),
            Command(["ruff", "format", "--check", "--output-format=concise", "."]),
            Command(["yamllint", "."]),
            Command(
                [
                    "shellcheck",
                    "--external-sources",
                    "demo",
                    "test",
                    ".ci/run",
                    "sandbox/bootstrap.sh",
                    "benchmarks/run",
                ]
            ),
            Command(["mypy", "--config-file", f"{OURS}/.mypy.ini", f"{OURS}/plugins"], TREE),
            Command(
                [
                    "mypy",
                    "--config-file",
                    ".mypy.ini",
                    "sandbox",
                    "tests/run.py",
                    "tests/matrix.py",
                    "tests/conftest.py",
                ]
            ),
            Command(["ansible-lint", "--offline", "--profile", "production"]),
        ],
        needs="plugins",
    ),
    Part(
        "unit", "every part alone, stories on the fake server", [pytest("tests/unit", "-m", "not real")], "tests/unit"
    ),
    Part("stories", "the same stories on real servers", [pytest("tests/unit", "-m", "real", *SHARED)], "tests/unit"),
    Part(
        "integration",
        "playbooks on real servers",
        [pytest("tests/integration", f"--ignore={FAULTS}", *SHARED)],
        "tests/integration",
    ),
    Part(
        "faults",
        "the same when things go wrong: killed, cut off, overloaded",
        [pytest(FAULTS, *SHARED)],
        FAULTS,
    ),
    Part(
        "sanity",
        "ansible-test sanity, nothing ignored",
        [
            Command([sys.executable, "tests/get_pip.py"]),
            Command(["ansible-test", "sanity", "--local", "--python", PYTHON, "--color", "no"]),
        ],
        needs="plugins",
    ),
    Part(
        "docs",
        "the documentation of each plugin",
        [Command(["antsibull-docs", "lint-collection-docs", "--plugin-docs", "."])],
    ),
    Part("changelog", "the changelog and its fragments", [Command(["antsibull-changelog", "lint"])], "changelogs"),
    Part(
        "molecule",
        "whole set-ups, applications, agents, monitoring: converge, again, verify",
        [
            Command(["molecule", "test", "--scenario-name", name])
            for name in ("whole_setup", "applications", "agent", "monitoring")
        ],
        needs="extensions/molecule/whole_setup",
    ),
    Part(
        "corners",
        "the oldest and the newest of all versions",
        [Command([sys.executable, "tests/matrix.py", "--corners"])],
        "tests/matrix.py",
        on_request=True,
    ),
    Part(
        "matrix",
        "every supported version of ansible-core, Python, PostgreSQL, OpenBao",
        [Command([sys.executable, "tests/matrix.py"])],
        "tests/matrix.py",
        on_request=True,
    ),
    Part(
        "nightly",
        "more of the same: 50,000 hostile inputs, 100 crashes, the whole load",
        [
            pytest("tests/unit/test_hostile_input.py", *SHARED, LEASEHOLD_CASES="5000"),
            pytest(f"{FAULTS}/test_crashes.py", LEASEHOLD_CASES="100"),
            pytest(f"{FAULTS}/test_load.py", LEASEHOLD_LOAD="full"),
        ],
        "tests/unit",
        on_request=True,
    ),
    Part("readme", "every example of the README", [pytest("tests/readme")], "tests/readme"),
    Part("demo", "the demo, as a newcomer runs it", [Command(["./demo"], ROOT)], "demo"),
]


def run(part: Part, verbose: bool) -> bool:
    """Run all commands of a part, also after one has failed; show what the failed ones said."""
    if not (ROOT / part.needs).exists():
        print(f"there is no {part.needs}")
        return False
    outcomes = [run_command(command, verbose) for command in part.commands]
    return all(outcomes)


def run_command(command: Command, verbose: bool) -> bool:
    environment = os.environ | {
        "PYTHONPATH": str(TREE),
        "MYPY_CACHE_DIR": str(ROOT / ".cache" / "mypy"),
        "NO_COLOR": "1",
        "PYTEST_DEBUG_TEMPROOT": str(ROOT / ".cache" / "home"),  # where pytest's tmp_path lies
        **command.environment,
    }
    if verbose:
        print(f"+ {command}", flush=True)
    done = subprocess.run(
        command.words,
        cwd=command.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=None if verbose else subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0 and not verbose:
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
    if done.returncode != 0:
        print(f"failed: {command}", flush=True)
    return done.returncode == 0


def summary(results: list[tuple[Part, bool, float]]) -> int:
    """The table, what to do next, and the one line that counts."""
    print(f"\n{'part':<12} {'result':<7} seconds")
    for part, passed, seconds in results:
        print(f"{part.name:<12} {'passed' if passed else 'FAILED':<7} {seconds:7.1f}")
    failed = [part.name for part, passed, _seconds in results if not passed]
    if failed:
        print(f"\nnext: ./test {' '.join(failed)}   (with -v to watch)")
    print(f"\n{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="./test", description="Run the tests, all of them or some parts.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="see --list")
    parser.add_argument("--list", action="store_true", help="list the parts")
    parser.add_argument("-v", "--verbose", action="store_true", help="show everything while it runs")
    arguments = parser.parse_args()
    if arguments.list:
        for part in PARTS:
            print(f"{part.name:<12} {part.about}{' (only when named)' if part.on_request else ''}")
        return 0
    unknown = set(arguments.parts) - {part.name for part in PARTS}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))} (see --list)")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # takes what is running along
    results = []
    for part in PARTS:
        if part.name in arguments.parts or not (arguments.parts or part.on_request):
            print(f"== {part.name}: {part.about}", flush=True)
            began = time.monotonic()
            passed = run(part, arguments.verbose)
            results.append((part, passed, time.monotonic() - began))
    return summary(results)


if __name__ == "__main__":
    sys.exit(main())
