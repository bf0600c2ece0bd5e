# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `./test` does: run the parts that are named, or all, say which of them passed, and how to repeat what did not."""

from __future__ import annotations

import argparse
import fnmatch
import os
import shlex
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / ".cache" / "tree"
STAGE = TREE / "ansible_collections" / "leasehold" / "vault"
OURS = "ansible_collections/leasehold/vault"
COVERED = ROOT / ".cache" / "coverage"
FAILED = ROOT / ".cache" / "failed"
FEW = 10
"""So many tests that failed, or files, are named one by one."""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Command:
    words: Sequence[str]
    directory: Path = STAGE
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    """What it is called after its part, as in `lint:mypy`; the program, if left out."""
    on: Sequence[str] | None = None
    """Its last words, in the place of which it takes names of files; nothing, if it has to see all."""
    about: Sequence[str] = ()
    """The files of a commit that it has something to say about."""
    shown: bool = False
    """What it says is its result, and worth reading when all is well too."""

    def __str__(self) -> str:
        on = list(self.on or ())
        return " ".join([*self.words, *(on if len(on) <= FEW else [f"({len(on)} files)"])])

    def called(self) -> str:
        return self.name or self.words[0]

    def narrowed(self, files: Sequence[str]) -> Command | None:
        """The same for these files alone, or as it is where it has to see all; nothing, where none concerns it."""
        chosen = [file for file in files if any(fnmatch.fnmatch(file, pattern) for pattern in self.about)]
        return replace(self, on=None if self.on is None else chosen) if chosen else None


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
    return Command([sys.executable, "-m", "pytest", *arguments], environment=environment, name="pytest")


def covered(data: str, *arguments: str) -> list[Command]:
    """Tests that note which branches of the plugins they take; `tests/branches.py` reads it."""
    file = f"--data-file={COVERED / data}"
    watch = ["run", file, f"--source={STAGE / 'plugins'}", "-m", "pytest"]
    return [
        Command([sys.executable, "-m", "coverage", "erase", file], name="coverage"),
        Command([sys.executable, "-m", "coverage", *watch, *arguments], name="pytest"),
    ]


SHELL = ("demo", "test", ".ci/run", "sandbox/bootstrap.sh", "benchmarks/run")
TYPED = (
    "sandbox",
    "docs/site/build.py",
    "tests/run.py",
    "tests/matrix.py",
    "tests/conftest.py",
    "tests/branches.py",
    "tests/sanity.py",
    "migrate",
)
YAML = ("*.yml", "*.yaml")


PARTS = [
    Part(
        "lint",
        "style, types, Ansible's own rules",
        [
            Command(["ruff", "check", "--output-format=concise"], on=["."], about=["*.py"]),
            Command(["ruff", "format", "--check", "--output-format=concise"], on=["."], about=["*.py"]),
            Command(["yamllint"], on=["."], about=YAML),
            Command(["reuse", "lint", "--lines"], ROOT),  # where git says what is not ours
            Command(["shellcheck", "--external-sources"], on=SHELL, about=SHELL),
            Command(["mypy", "--config-file", f"{OURS}/.mypy.ini", f"{OURS}/plugins"], TREE, about=["plugins/*.py"]),
            Command(["mypy", "--config-file", ".mypy.ini", *TYPED], about=[*TYPED, "sandbox/*.py"]),
            Command(["ansible-lint", "--offline", "--profile", "production"], on=[], about=YAML),
        ],
        needs="plugins",
    ),
    Part(
        "unit",
        "every part alone, stories on the fake server",
        covered("unit", "tests/unit", "-m", "not real"),
        "tests/unit",
    ),
    Part(
        "stories",
        "the same stories on real servers",
        covered("stories", "tests/unit", "-m", "real", *SHARED),
        "tests/unit",
    ),
    Part(
        "coverage",
        "how many branches of the plugins the last `./test unit stories` took",
        [Command([sys.executable, "tests/branches.py", str(COVERED)], name="branches")],
        "tests/branches.py",
    ),
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
            Command([sys.executable, "tests/get_pip.py"], name="get_pip"),
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
            Command(["molecule", "test", "--scenario-name", name], name=name)
            for name in ("whole_setup", "applications", "agent", "monitoring")
        ],
        needs="extensions/molecule/whole_setup",
    ),
    Part(
        "corners",
        "the oldest and the newest of all versions",
        [Command([sys.executable, "tests/matrix.py", "--corners"], shown=True)],
        "tests/matrix.py",
    ),
    Part(
        "sanity-all",
        "ansible-test sanity of every supported ansible-core",
        [Command([sys.executable, "tests/sanity.py"])],
        "tests/sanity.py",
        on_request=True,
    ),
    Part(
        "matrix",
        "every supported version of ansible-core, Python, PostgreSQL, OpenBao",
        [Command([sys.executable, "tests/matrix.py"], shown=True)],
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
    Part(
        "examples", "every example of the README and the guides", [pytest("tests/docs", "tests/readme")], "tests/docs"
    ),
    Part(
        "site",
        "the documentation site, with every link in it",
        [Command([sys.executable, "docs/site/build.py", str(ROOT / ".cache" / "site")])],
        "docs/site",
    ),
    Part(
        "package",
        "the tarball: what is in it, what Galaxy says, the demo where it is installed",
        [pytest("tests/package")],
        "tests/package",
    ),
    Part("demo", "the demo, as a newcomer runs it", [Command(["./demo"], ROOT)], "demo"),
]


def run(part: Part, verbose: bool) -> list[str]:
    """Run all commands of a part, also after one has failed; the answer is what to call `./test` with to repeat those."""
    if not (ROOT / part.needs).exists():
        print(f"there is no {part.needs}")
        return [part.name]
    again = []
    for command in part.commands:
        if not run_command(command, verbose):
            tests = FAILED.read_text().splitlines() if FAILED.exists() and not command.environment else []
            in_part = len(part.commands) > 1 and command.called() != "pytest"
            whole = f"{part.name}:{command.called()}" if in_part else part.name
            again += tests if len(tests) <= FEW and tests else [whole]
    return again


def run_command(command: Command, verbose: bool) -> bool:
    FAILED.unlink(missing_ok=True)
    environment = os.environ | {
        "PYTHONPATH": str(TREE),
        "MYPY_CACHE_DIR": str(ROOT / ".cache" / "mypy"),
        "RUFF_CACHE_DIR": str(ROOT / ".cache" / "ruff"),
        "NO_COLOR": "1",
        "PYTEST_DEBUG_TEMPROOT": str(ROOT / ".cache" / "home"),  # where pytest's tmp_path lies
        **({"LEASEHOLD_FAILED": str(FAILED)} if command.called() == "pytest" else {}),
        **command.environment,
    }
    seen = verbose or command.shown
    if verbose:
        print(f"+ {command}", flush=True)
    done = subprocess.run(
        [*command.words, *(command.on or ())],
        cwd=command.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=None if seen else subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0 and not seen:
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
    if done.returncode != 0:
        print(f"failed: {command}", flush=True)
    return done.returncode == 0


def summary(results: list[tuple[Part, list[str], float]]) -> int:
    """The table, what to do next, and the one line that counts."""
    print(f"\n{'part':<12} {'result':<7} seconds")
    for part, again, seconds in results:
        print(f"{part.name:<12} {'FAILED' if again else 'passed':<7} {seconds:7.1f}")
    repeat = list(dict.fromkeys(word for _part, again, _seconds in results for word in again))
    failed = sum(bool(again) for _part, again, _seconds in results)
    if repeat:
        print(f"\nnext: ./test {shlex.join(repeat)}   # with -v to watch")
    print(f"\n{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def chosen(words: Sequence[str], files: Sequence[str] | None) -> list[Part]:
    """The parts that are meant: named, as `lint:mypy` in part, or by their tests; all but those on request, if none is."""
    tests = [word for word in words if "/" in word]
    parts = []
    for part in PARTS:
        of_it = [word.partition(":")[2] for word in words if word not in tests and word.partition(":")[0] == part.name]
        if of_it or not (words or part.on_request):
            commands = [c for c in part.commands if not any(of_it) or c.called() in of_it]
            if files is not None:
                commands = [narrowed for c in commands if (narrowed := c.narrowed(files))]
            parts.append(replace(part, commands=commands))
    known = {f"{part.name}:{command.called()}" for part in PARTS for command in part.commands}
    known.update(tests, (part.name for part in PARTS))
    if unknown := [word for word in words if word not in known]:
        raise ValueError(f"no such part: {', '.join(unknown)} (see --list; a test is named by its file)")
    return [*parts, Part("tests", "those that were named", [pytest(*tests)])] if tests else parts


def main() -> int:
    parser = argparse.ArgumentParser(prog="./test", description="Run the tests: all, some parts, or single ones.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="see --list; or a test, as pytest names it")
    parser.add_argument("--files", nargs="*", metavar="FILE", help="only what concerns these files (for lint)")
    parser.add_argument("--list", action="store_true", help="list the parts")
    parser.add_argument("-v", "--verbose", action="store_true", help="show everything while it runs")
    arguments = parser.parse_args()
    if arguments.list:
        for part in PARTS:
            print(f"{part.name:<12} {part.about}{' (only when named)' if part.on_request else ''}")
        return 0
    try:
        parts = chosen(arguments.parts, arguments.files)
    except ValueError as error:
        parser.error(str(error))

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # takes what is running along
    results = []
    for part in parts:
        print(f"== {part.name}: {part.about}", flush=True)
        began = time.monotonic()
        again = run(part, arguments.verbose)
        results.append((part, again, time.monotonic() - began))
    return summary(results)


if __name__ == "__main__":
    sys.exit(main())
