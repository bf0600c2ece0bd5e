# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `./test` runs, what it keeps of it, and what it says about it."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path
from types import SimpleNamespace

import durations
import matrix
import parts
import pytest
import run
import unchanged
import yaml

if t.TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
CONFTEST = ROOT / "tests" / "conftest.py"


def names(*words: str) -> list[str]:
    return [part.name for part in parts.chosen(words)]


# ------------------------------------------------------------------------------------------------------------- which parts


@pytest.mark.parametrize("name", matrix.FIRST_RUNS)
def test_test_that_is_named_for_the_oldest_versions_exists(name):
    file, _separator, function = name.partition("::")
    assert f"def {function}(" in (ROOT / file).read_text()


def test_default_run_has_no_part_of_the_full_one_only():
    assert "unit" in names()
    assert not {"molecule", "corners", "coverage", "matrix", "nightly"} & set(names())


def test_full_run_has_every_part_once():
    expected = {part.name for part in parts.PARTS if not part.on_request}
    included = {name for part in parts.chosen(["full"]) for name in part.includes}
    assert included == {"unit", "stories"}
    assert set(names("full")) == expected - included


def test_default_run_takes_only_tests_without_the_marker_full():
    for part in parts.chosen([]):
        whole = next(known for known in parts.PARTS if known.name == part.name)
        if part.commands != whole.commands:
            tests = [command for command in part.commands if "pytest" in command.words]
            assert all(parts.DEFAULT in command.words[command.words.index("-m", 3) + 1] for command in tests)


def test_named_part_is_run_whole():
    (integration,) = parts.chosen(["integration"])
    assert not any(parts.DEFAULT in command.words for command in integration.commands)


def test_one_command_of_a_part_can_be_named():
    (lint,) = parts.chosen(["lint:mypy"])
    assert [command.called() for command in lint.commands] == ["mypy"]


def test_every_command_can_be_told_from_the_others_of_its_part():
    for part in parts.PARTS:
        called = [command.called() for command in part.commands]
        assert len(called) == len(set(called))
        assert not any("/" in name for name in called)


def test_unknown_part_is_refused_by_name():
    with pytest.raises(ValueError, match="no such part: unti "):
        parts.chosen(["unti"])


# ------------------------------------------------------------------------------------------------------------- what it says


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(run, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(durations, "MEASURED", tmp_path / "durations.json")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    return tmp_path


@pytest.fixture
def carried_out(here: Path) -> Callable[..., tuple[int, run.Run]]:
    """Run scripts of Python, each as a part of its own, in the directory of the test."""

    def go(**scripts: str) -> tuple[int, run.Run]:
        chosen = [
            parts.Part(name, "", [parts.Command([sys.executable, "-c", text], here, name="script")], "galaxy.yml")
            for name, text in scripts.items()
        ]
        one = run.Run(chosen, verbose=False, shard="")
        return one.go(), one

    return go


RECORD = """
import json, os
with open(os.environ["LEASEHOLD_RECORD"], "a") as stream:
    for entry in {entries!r}:
        print(json.dumps(entry), file=stream)
"""


def test_parts_that_pass(carried_out, capsys):
    code, _run = carried_out(one="print('noise')", two="")
    result = capsys.readouterr().out
    assert code == 0
    assert "noise" not in result
    assert result.rstrip().endswith("\n2 passed, 0 failed")


def test_failed_part_shows_its_output_and_how_to_repeat_it(carried_out, capsys):
    code, _run = carried_out(good="", bad="print('the reason'); raise SystemExit(3)")
    result = capsys.readouterr().out
    assert code == 1
    assert "the reason" in result
    assert "next: ./test bad " in result
    assert result.rstrip().endswith("\n1 passed, 1 failed")


def test_failed_tests_and_reasons_of_skips_are_named(carried_out, capsys):
    entries = [
        {"session": 1, "total": 3},
        {"session": 1, "test": "a.py::one", "seconds": 1, "outcome": "passed", "reason": ""},
        {"session": 1, "test": "a.py::two", "seconds": 2, "outcome": "failed", "reason": ""},
        {"session": 1, "test": "a.py::three", "seconds": 0, "outcome": "skipped", "reason": "needs namespaces"},
    ]
    _code, one = carried_out(some=RECORD.format(entries=entries) + "raise SystemExit(1)")
    result = capsys.readouterr().out
    assert "next: ./test a.py::two " in result
    assert "skipped: 1\n       1  needs namespaces" in result
    (job,) = one.all_jobs
    assert job.progress() == "some:script 3/3"
    assert one.measured() == {"commands": {}, "files": {}}


def test_parts_run_side_by_side(carried_out, here):
    """Each waits for a file of the other: one after the other, neither would end."""
    meet = "import pathlib, time\npathlib.Path('{0}').touch()\nwhile not pathlib.Path('{1}').exists(): time.sleep(0.01)"
    code, _run = carried_out(one=meet.format("a", "b"), two=meet.format("b", "a"))
    assert code == 0


def test_commands_that_use_the_same_thing_do_not_run_side_by_side(here):
    script = "import pathlib, time\nplace = pathlib.Path('place')\nplace.mkdir()\ntime.sleep(0.2)\nplace.rmdir()"
    command = parts.Command([sys.executable, "-c", script], here, name="script", uses="the place")
    one = run.Run([parts.Part("one", "", [command]), parts.Part("two", "", [command])], verbose=False, shard="")
    assert one.go() == 0


# --------------------------------------------------------------------------------------------------- what has passed before


@pytest.fixture
def lint(here, monkeypatch):
    """Run a linter that notes the files it is given and fails on the word `bad`; returns its exit code and those files."""
    for name in ("one.yml", "two.yml", "other.py"):
        (here / name).write_text("good")
    subprocess.run(["git", "init", "--quiet", here], check=True)
    monkeypatch.setattr(unchanged, "ROOT", here)
    monkeypatch.setattr(unchanged, "PASSED", here / "passed.json")
    script = (
        "import pathlib, sys; names = sys.argv[1:] or ['one.yml', 'two.yml']; pathlib.Path('given').write_text(' '.join(names));"
        "sys.exit(any('bad' in pathlib.Path(name).read_text() for name in names))"
    )
    command = parts.Command([sys.executable, "-c", script], here, name="lint", on=[], about=["*.yml"], by_file=True)

    def go() -> tuple[int, list[str]]:
        (here / "given").unlink(missing_ok=True)
        code = run.Run([parts.Part("lint", "", [command])], verbose=False, shard="").go()
        return code, (here / "given").read_text().split() if (here / "given").exists() else []

    return go


def test_linter_looks_again_only_at_files_that_have_changed(lint, here, capsys):
    assert lint() == (0, ["one.yml", "two.yml"])
    assert lint() == (0, [])
    assert "no file has changed since it passed" in capsys.readouterr().out
    (here / "two.yml").write_text("better")
    assert lint() == (0, ["two.yml"])
    assert lint() == (0, [])


def test_linter_looks_again_at_a_file_that_failed(lint, here):
    assert lint()[0] == 0
    (here / "two.yml").write_text("bad")
    assert lint() == lint() == (1, ["two.yml"])


def test_linter_looks_at_everything_after_a_change_of_its_configuration(lint, here):
    assert lint()[0] == 0
    (here / ".ansible-lint").write_text("profile: other")
    assert lint() == (0, ["one.yml", "two.yml"])


# --------------------------------------------------------------------------------------------------------- how long it takes


def test_durations_are_kept_by_command_and_file(here, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    entries = [
        {"session": 1, "test": f"a.py::{name}", "seconds": 2, "outcome": "passed", "reason": ""} for name in "xy"
    ]
    script = parts.Command([sys.executable, "-c", RECORD.format(entries=entries)], here, name="pytest")
    one = run.Run([parts.Part("unit", "", [script])], verbose=False, shard="")
    assert one.go() == 0
    durations.save(durations.MEASURED, one.measured())
    known = durations.load(durations.MEASURED)
    assert known["files"] == {"unit a.py": 4}
    assert set(known["commands"]) == {"unit:pytest"}


def test_cost_counts_what_each_command_takes_of_two_cores():
    one = parts.Part("one", "", [parts.Command(["x"], cores=1)])
    two = parts.Part("two", "", [parts.Command(["y"], cores=2)])
    known = {"commands": {"one:x": 10.0, "two:y": 10.0}, "files": {}}
    assert durations.cost([one, two], known) == 15


def test_table_in_testing_md_is_made_from_the_durations_that_are_shipped():
    text = (ROOT / "TESTING.md").read_text(encoding="utf-8")
    assert durations.printed(text) == durations.markdown(durations.load(durations.SHIPPED))


# ----------------------------------------------------------------------------------------------------------------- pytest


TESTS = {
    "test_quick.py": "def test_one(): pass\ndef test_two(): pass\n",
    "test_slow.py": "def test_three(): pass\ndef test_four(): pass\n",
}


def collected(directory: Path) -> list[t.Any]:
    """What pytest records of two small files, in one worker."""
    known, record = directory / "known.json", directory / "record"
    known.write_text(json.dumps({"some test_slow.py": 9.0}))
    for name, text in TESTS.items():
        (directory / name).write_text(text)
    (directory / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"))
    environment = {
        "PATH": "", "PYTHONPATH": f"{ROOT / 'sandbox'}:{ROOT / 'tests'}", "LEASEHOLD_RECORD": str(record), "LEASEHOLD_PART": "some",
        "LEASEHOLD_DURATIONS": str(known),
    }  # fmt: skip
    words = [
        "-n",
        "1",
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
        "--rootdir",
        str(directory),
        "-p",
        "no:cacheprovider",
    ]
    subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=directory, env=environment, check=True, capture_output=True
    )
    return [json.loads(line) for line in record.read_text().splitlines()]


def test_longest_file_comes_first_and_every_test_is_counted(tmp_path):
    entries = collected(tmp_path)
    assert {entry["total"] for entry in entries if "total" in entry} == {4}
    assert len({entry["session"] for entry in entries}) == 1
    order = list(dict.fromkeys(entry["test"].partition("::")[0] for entry in entries if "test" in entry))
    assert order == ["test_slow.py", "test_quick.py"]


def test_shards_have_every_test_once_and_weigh_about_the_same():
    specification = importlib.util.spec_from_file_location("conftest_of_all", CONFTEST)
    conftest = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(conftest)
    items = [SimpleNamespace(nodeid=f"{file}.py::{test}") for file in "abcd" for test in "xy"]
    seconds = {"a.py": 5.0, "b.py": 3.0, "c.py": 2.0, "d.py": 1.0}
    shares = [[item.nodeid for item in conftest._shard(items, seconds, f"{number}/2")] for number in (1, 2)]
    assert sorted(shares[0] + shares[1]) == [item.nodeid for item in items]
    assert {name[0] for name in shares[0]} == {"a", "d"}


def test_default_run_keeps_its_budget():
    assert durations.cost(parts.chosen([]), durations.load(durations.SHIPPED)) <= durations.BUDGET


# ------------------------------------------------------------------------------------------------------------ the workflow


def test_workflow_runs_every_part_of_the_full_run():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    words = [
        entry.split() for job in ("full", "scheduled") for entry in workflow["jobs"][job]["strategy"]["matrix"]["parts"]
    ]
    run_there = {word for entry in words for word in entry if not word.startswith("-") and "/" not in word}
    assert run_there | {"unit", "stories", "oldest"} == {part.name for part in parts.PARTS}
    shares = [entry[-1] for entry in words if "--shard" in entry and entry[0] == "integration"]
    assert shares == [f"{number}/{len(shares)}" for number in range(1, len(shares) + 1)]


def test_workflow_names_actions_by_commit():
    text = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)
