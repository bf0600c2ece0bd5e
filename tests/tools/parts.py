# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the test suite: which commands each one runs, and what the default run takes of it."""

from __future__ import annotations

import fnmatch
import os
import sys
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
TREE = CACHE / "tree"
STAGE = TREE / "ansible_collections" / "leasehold" / "vault"
OURS = "ansible_collections/leasehold/vault"
COVERED = CACHE / "coverage"
TOOLS, SUPPORT = "tests/tools", "tests/support"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
CPUS = max(2, os.cpu_count() or 2)
"""How many commands run side by side, and how many workers pytest gets."""
FEW = 10
"""Up to this many failed tests, or files, are named one by one."""


@dataclass(frozen=True)
class Command:
    words: Sequence[str]
    directory: Path = STAGE
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    """What it is called after its part, as in `lint:mypy`; the program, if left out."""
    on: Sequence[str] | None = None
    """Its last words, which names of files can replace; None, if it has to see everything."""
    about: Sequence[str] = ()
    """Patterns of the files that it checks."""
    shown: bool = False
    """Its output is its result, and is printed on success too."""
    cores: int = 1
    """How many cores it keeps busy; 0 if it waits most of its time, and takes no room from others."""
    by_file: bool = False
    """Its result on a file depends on that file alone: what passed is not looked at again before it changes."""
    uses: str = ""
    """Something that only one command at a time may use."""

    def __str__(self) -> str:
        on = list(self.on or ())
        return " ".join([*self.words, *(on if len(on) <= FEW else [f"({len(on)} files)"])])

    def called(self) -> str:
        return self.name or Path(self.words[0]).name

    def narrowed(self, files: Sequence[str]) -> Command | None:
        """The same for these files only, or as it is if it has to see everything; None, if it checks none of them."""
        chosen = [file for file in files if any(fnmatch.fnmatch(file, pattern) for pattern in self.about)]
        return replace(self, on=None if self.on is None else chosen, by_file=False) if chosen else None


@dataclass(frozen=True)
class Part:
    name: str
    about: str
    commands: Sequence[Command]
    needs: str = "galaxy.yml"
    """What the part is about; without it the part fails, even if its tools accept an empty tree."""
    default: Sequence[Command] | None = None
    """What the default run takes of it; None: all of it."""
    in_order: bool = True
    """Its commands run one after the other; otherwise side by side."""
    includes: Sequence[str] = ()
    """Parts that it runs too, so that the full run need not run them by themselves."""
    on_request: bool = False
    """Only run when it is named."""
    is_default: bool = False
    """Whether its commands are those of the default run."""

    def for_default(self) -> Part | None:
        """What the default run takes of it."""
        if self.on_request or self.default == []:
            return None
        return replace(self, commands=self.commands if self.default is None else self.default, is_default=True)


FAULTS = "tests/integration/faults"
SANDBOX = "the servers of `./demo up` in this checkout"
DEFAULT = "not full"
"""The tests of the default run: those without the marker `full`."""


def pytest(*arguments: str, dist: str = "loadfile", name: str = "pytest", **environment: str) -> Command:
    """Files share the cores: each worker has servers of its own, and most of what a play does is starting Python."""
    shared = ("-n", str(CPUS), "--dist", dist, "--no-loadscope-reorder")
    words = [sys.executable, "-m", "pytest", *arguments, *shared]
    return Command(words, environment=environment, name=name, cores=CPUS)


def alone(*arguments: str, uses: str = "", cores: int = 1) -> Command:
    """Tests that have one set of servers in common."""
    return Command([sys.executable, "-m", "pytest", *arguments], name="pytest", uses=uses, cores=cores)


def covered(data: str, *arguments: str) -> list[Command]:
    """Tests that record which branches of the plugins they take; `branches.py` reads it."""
    file = f"--data-file={COVERED / data}"
    coverage = [sys.executable, "-m", "coverage"]
    run = pytest(*arguments)
    watched = [*coverage, "run", file, f"--source={STAGE / 'plugins'}", *run.words[1:]]
    return [Command([*coverage, "erase", file], name=f"erase-{data}"), replace(run, words=watched, name=data)]


SANITY = ("ansible-test", "sanity", "--local", "--python", PYTHON, "--color", "no")
SLOW_SANITY = ("import", "pylint")
"""Two thirds of the time: `lint` has another linter, and every other test imports what it tests."""
SHELL = ("demo", "test", ".ci/run", "sandbox/bootstrap.sh", "benchmarks/run")
TYPED = ("sandbox", SUPPORT, "docs/site/build.py", TOOLS, "tests/conftest.py", "tools")
YAML = ("*.yml", "*.yaml")


def molecule(*names: str) -> list[Command]:
    return [Command(["molecule", "test", "--scenario-name", name], name=name) for name in names]


PARTS = [
    Part(
        "lint",
        "style, types, Ansible's own rules",
        [
            Command(["ansible-lint", "--offline", "--profile", "production"], on=[], about=YAML, by_file=True),
            Command(["mypy", "--config-file", f"{OURS}/.mypy.ini", f"{OURS}/plugins"], TREE, about=["plugins/*.py"]),
            Command(
                ["mypy", "--config-file", ".mypy.ini", *TYPED],
                name="mypy-tools",
                about=[*TYPED, "sandbox/*.py", f"{SUPPORT}/*.py", f"{TOOLS}/*.py", "tools/*.py"],
            ),
            Command(["yamllint"], on=["."], about=YAML),
            Command(["reuse", "lint", "--lines"], ROOT),  # where git says what is not ours
            Command(["ruff", "check", "--output-format=concise"], on=["."], about=["*.py"]),
            Command(
                ["ruff", "format", "--check", "--output-format=concise"], name="ruff-format", on=["."], about=["*.py"]
            ),
            Command(["shellcheck", "--external-sources"], on=SHELL, about=SHELL),
        ],
        needs="plugins",
        in_order=False,
    ),
    Part(
        "unit",
        "every unit alone; the modules' stories (lifecycle tests of one module each) on the fake Vault",
        [pytest("tests/unit", "-m", "not real", dist="worksteal")],
        "tests/unit",
    ),
    Part(
        "scripts",
        "`./test` and `./demo` themselves: what they install, choose, keep and say",
        [alone("tests/scripts")],
        "tests/scripts",
    ),
    Part(
        "stories",
        "the same stories on real servers",
        [pytest("tests/unit", "-m", "real")],
        "tests/unit",
        default=[pytest("tests/unit", "-m", f"real and {DEFAULT}")],
    ),
    Part(
        "integration",
        "playbooks, roles and lookups on real servers",
        [pytest("tests/integration", f"--ignore={FAULTS}")],
        "tests/integration",
        default=[pytest("tests/integration", f"--ignore={FAULTS}", "-m", DEFAULT)],
    ),
    Part(
        "faults",
        "the same with faults: killed, cut off, overloaded",
        [alone(FAULTS, cores=0)],  # most of their time they wait for a leader, a timeout, an end
        FAULTS,
        default=[alone(FAULTS, "-m", DEFAULT, cores=0)],
    ),
    Part(
        "examples",
        "the examples of the README and the guides, as printed",
        [alone("tests/docs", uses=SANDBOX)],
        "tests/docs",
        default=[alone("tests/docs", "-m", DEFAULT, uses=SANDBOX)],
    ),
    Part("demo", "the demo, as a newcomer runs it", [Command(["./demo"], ROOT, uses=SANDBOX)], "demo"),
    Part(
        "sanity",
        "ansible-test sanity, nothing ignored",
        [
            Command([sys.executable, f"{TOOLS}/get_pip.py"], name="get_pip"),
            Command(SANITY),
        ],
        needs="plugins",
        default=[
            Command([sys.executable, f"{TOOLS}/get_pip.py"], name="get_pip"),
            Command([*SANITY, *(word for test in SLOW_SANITY for word in ("--skip-test", test))]),
        ],
    ),
    Part(
        "molecule",
        "whole set-ups, applications, agents, monitoring: converge, again, verify",
        molecule("whole_setup", "applications", "agent", "monitoring"),
        needs="extensions/molecule/whole_setup",
        default=[],
    ),
    Part(
        "oldest",
        "the oldest of all supported versions: units, and the first runs of site",
        [Command([sys.executable, f"{TOOLS}/matrix.py", "--oldest"], name="oldest", shown=True)],
        f"{TOOLS}/matrix.py",
        default=[Command([sys.executable, f"{TOOLS}/matrix.py", "--first-runs"], name="oldest", shown=True)],
    ),
    Part(
        "docs",
        "the documentation of each plugin",
        [Command(["antsibull-docs", "lint-collection-docs", "--plugin-docs", "."])],
    ),
    Part(
        "site",
        "the documentation site, with every link in it",
        [Command([sys.executable, "docs/site/build.py", str(CACHE / "site")], name="site")],
        "docs/site",
        default=[],  # links between pages are checked by `examples`, the plugins' documentation by `docs` and `sanity`
    ),
    Part("changelog", "the changelog and its fragments", [Command(["antsibull-changelog", "lint"])], "changelogs"),
    Part(
        "package",
        "the tarball: what is in it, what Galaxy says, the demo where it is installed",
        [alone("tests/package")],
        "tests/package",
        default=[alone("tests/package", "-m", DEFAULT)],
    ),
    Part(
        "coverage",
        "how many branches of the plugins `unit` and `stories` take",
        [
            *covered("unit", "tests/unit", "-m", "not real"),
            *covered("stories", "tests/unit", "-m", "real"),
            Command([sys.executable, f"{TOOLS}/branches.py", str(COVERED)], name="branches"),
        ],
        f"{TOOLS}/branches.py",
        default=[],
        includes=("unit", "stories"),
    ),
    Part(
        "corners",
        "the oldest and the newest of all versions, each with more tests than `oldest` runs",
        [Command([sys.executable, f"{TOOLS}/matrix.py", "--corners"], name="corners", shown=True, cores=CPUS)],
        f"{TOOLS}/matrix.py",
        default=[],
    ),
    Part(
        "sanity-all",
        "ansible-test sanity of every supported ansible-core",
        [Command([sys.executable, f"{TOOLS}/sanity.py"], name="sanity-all")],
        f"{TOOLS}/sanity.py",
        on_request=True,
    ),
    Part(
        "matrix",
        "every supported version of ansible-core, Python, PostgreSQL, OpenBao",
        [Command([sys.executable, f"{TOOLS}/matrix.py"], name="matrix", shown=True, cores=CPUS)],
        f"{TOOLS}/matrix.py",
        on_request=True,
    ),
    Part(
        "nightly",
        "more of the same: 50,000 hostile inputs, 100 crashes, 50 databases in use, the whole load",
        [
            pytest("tests/unit/test_hostile_input.py", name="input", LEASEHOLD_CASES="5000"),
            pytest(f"{FAULTS}/test_crashes.py", name="crashes", LEASEHOLD_CASES="100"),
            pytest(
                "tests/unit/plugins/modules/test_discover_generated_databases.py", name="discover", LEASEHOLD_CASES="50"
            ),
            pytest(f"{FAULTS}/test_load.py", name="load", LEASEHOLD_LOAD="full"),
        ],
        "tests/unit",
        on_request=True,
    ),
]


def chosen(words: Sequence[str], files: Sequence[str] | None = None) -> list[Part]:
    """The parts that are meant.

    No word: what the default run takes. `full`: every part that is not only run on request, whole. Otherwise the parts
    that are named, whole, as `lint:mypy` one command of a part, or tests by their files.
    """
    if not words:
        return [taken for part in PARTS if (taken := part.for_default())]
    tests = [word for word in words if "/" in word]
    included = {name for part in PARTS for name in part.includes}
    parts = []
    for part in PARTS:
        of_it = [word.partition(":")[2] for word in words if word not in tests and word.partition(":")[0] == part.name]
        if of_it or ("full" in words and part.name not in included and not part.on_request):
            commands = [c for c in part.commands if not any(of_it) or c.called() in of_it]
            if files is not None:
                commands = [narrowed for c in commands if (narrowed := c.narrowed(files))]
            parts.append(replace(part, commands=commands))
    known = {f"{part.name}:{command.called()}" for part in PARTS for command in part.commands}
    known.update(tests, ["full"], (part.name for part in PARTS))
    if unknown := [word for word in words if word not in known]:
        raise ValueError(f"no such part: {', '.join(unknown)} (see --list; a test is named by its file)")
    return [*parts, Part("tests", "those that were named", [alone(*tests)])] if tests else parts
