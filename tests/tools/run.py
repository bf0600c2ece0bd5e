# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `./test` does: run parts side by side, show how far they are, say which passed, and how to repeat what did not."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import typing as t
from collections import Counter

import durations
import parts
import unchanged
from parts import CACHE, CPUS, FEW, ROOT, TREE, Command, Part

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RECORDS = CACHE / "records"
SLOWEST = 10
PAUSE = 0.5
EVERY = 60
"""Without a terminal, the progress is printed every so many seconds."""


WHEN = {
    (False, True, False): "",
    (False, False, True): " (some of it by default)",
    (False, False, False): " (only in full)",
    (True, True, False): " (only when named)",
}
"""When a part runs: by whether it is only run on request, has the same commands by default, has some of them by default."""


class Job:
    """One command of a part: its process, and what its tests have recorded so far."""

    def __init__(self, part: Part, command: Command, expected: float | None) -> None:
        self.part, self.command, self.expected = part, command, expected
        self.title = part.name if command.called() in ("pytest", part.name) else f"{part.name}:{command.called()}"
        self.began = self.seconds = 0.0
        self.passed: bool | None = None
        self.note = ""
        """What was left out, because it has passed before."""
        self.totals: dict[int, int] = {}
        """How many tests each of its runs of pytest has, by process id: `corners` has several."""
        self.ended: set[tuple[int, str]] = set()
        self.tests: dict[str, float] = {}
        """Seconds of each test that has run: set-up, the test itself and tear-down."""
        self.failed: list[str] = []
        self.skipped: Counter[str] = Counter()
        self._record = RECORDS / f"{part.name}-{command.called()}.jsonl"
        self._read = 0
        self._reading = threading.Lock()
        self._output = RECORDS / f"{part.name}-{command.called()}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, environment: Mapping[str, str], seen: bool) -> None:
        self.began = time.monotonic()
        if not self.command.by_file:
            self._run(environment, seen, self.command.on or ())
            return
        checked = unchanged.files(self.command)
        changed = unchanged.to_check(self.command)
        if changed == []:
            self.passed, self.note = True, "no file has changed since it passed"
            return
        self._run(environment, seen, self.command.on or () if changed is None else changed)
        if changed is not None:
            self.note = f"{len(changed)} of {len(checked)} files, the others have not changed since they passed"
        if self.passed:
            unchanged.passed(self.command, checked)

    def _run(self, environment: Mapping[str, str], seen: bool, files: Sequence[str]) -> None:
        self._record.unlink(missing_ok=True)
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*self.command.words, *files],
                cwd=self.command.directory,
                env={
                    **environment,
                    "LEASEHOLD_RECORD": str(self._record),
                    "LEASEHOLD_PART": self.part.name,
                    **self.command.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=None if seen else output,
                stderr=None if seen else subprocess.STDOUT,
            )
        self.passed = self._process.wait() == 0
        self.seconds = time.monotonic() - self.began

    def end(self, seconds: float) -> None:
        """Wait for the end of the process, and kill it when it takes longer."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            self._process.kill()

    def read(self) -> list[str]:
        """Take in what the tests have recorded since the last time; the tests that failed among it."""
        new: list[str] = []
        if not self._record.exists():
            return new
        with self._reading, self._record.open() as stream:
            stream.seek(self._read)
            for line in iter(stream.readline, ""):
                if not line.endswith("\n"):
                    break  # not written to its end yet
                self._read += len(line.encode())
                entry = json.loads(line)
                if "total" in entry:
                    self.totals[entry["session"]] = entry["total"]
                    continue
                name = entry["test"]
                self.ended.add((entry["session"], name))
                self.tests[name] = self.tests.get(name, 0) + entry["seconds"]
                if entry["outcome"] == "failed" and name not in self.failed:
                    self.failed.append(name)
                    new.append(name)
                if entry["outcome"] == "skipped":
                    self.skipped[entry["reason"]] += 1
        return new

    def left(self) -> float:
        """How many seconds it will go on, as far as that can be told."""
        if self.passed is not None or self.expected is None:
            return 0
        return max(self.expected - (time.monotonic() - self.began if self.began else 0), 0)

    def progress(self) -> str:
        return self.title + (f" {len(self.ended)}/{sum(self.totals.values())}" if self.totals else "")

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def again(self) -> list[str]:
        """What to call `./test` with to repeat what failed."""
        if self.passed:
            return []
        if self.failed and len(self.failed) <= FEW and not self.command.environment:
            return self.failed
        return [f"{self.part.name}:{self.command.called()}" if len(self.part.commands) > 1 else self.part.name]


class Run:
    """The commands of all chosen parts, as many side by side as there are cores for."""

    def __init__(self, chosen: Sequence[Part], verbose: bool, shard: str) -> None:
        self.parts, self.verbose = chosen, verbose
        self.expected = durations.known()
        RECORDS.mkdir(parents=True, exist_ok=True)
        ordered = RECORDS / "durations.json"
        ordered.write_text(json.dumps(self.expected["files"]))
        self.environment = os.environ | {
            "PYTHONPATH": str(TREE),
            "MYPY_CACHE_DIR": str(CACHE / "mypy"),
            "RUFF_CACHE_DIR": str(CACHE / "ruff"),
            "NO_COLOR": "1",
            "PYTEST_DEBUG_TEMPROOT": str(CACHE / "home"),  # where pytest's tmp_path lies
            "LEASEHOLD_DURATIONS": str(ordered),
            "LEASEHOLD_SHARD": shard,
        }
        self.jobs = {part.name: [self._job(part, command) for command in part.commands] for part in chosen}
        self.began = time.monotonic()
        self.missing: list[str] = []
        self._free = 1 if verbose else CPUS
        self._in_use: set[str] = set()
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def _job(self, part: Part, command: Command) -> Job:
        return Job(part, command, self.expected["commands"].get(durations.key(part, command.called())))

    @property
    def all_jobs(self) -> list[Job]:
        return [job for jobs in self.jobs.values() for job in jobs]

    def go(self) -> int:
        waiting = [chain for part in self.parts for chain in self._chains(part)]
        threads: list[threading.Thread] = []
        shown = 0.0
        try:
            while waiting or self._error or any(thread.is_alive() for thread in threads):
                with self._changed:
                    for chain in list(waiting):
                        cores = 1 if self.verbose else min(max(job.command.cores for job in chain), CPUS)
                        uses = {job.command.uses for job in chain} - {""}
                        if cores <= self._free and not uses & self._in_use:
                            self._free -= cores
                            self._in_use |= uses
                            waiting.remove(chain)
                            threads.append(threading.Thread(target=self._follow, args=(chain, cores), daemon=True))
                            threads[-1].start()
                    self._changed.wait(PAUSE)
                if self._error:
                    raise self._error
                shown = self._show(shown)
        except BaseException:
            self._status("")
            for job in self.all_jobs:  # Ctrl-C has reached them too, and they end their servers
                job.end(30 if sys.exc_info()[0] is KeyboardInterrupt else 0)
            raise
        self._status("")
        return self._summary()

    def _chains(self, part: Part) -> Iterator[list[Job]]:
        if not (ROOT / part.needs).exists():
            print(f"there is no {part.needs}")
            self.missing.append(part.name)
        elif part.in_order:
            yield self.jobs[part.name]
        else:
            yield from ([job] for job in self.jobs[part.name])

    def _follow(self, chain: Sequence[Job], cores: int) -> None:
        """Run all commands of a part, also after one of them has failed."""
        try:
            for job in chain:
                if self.verbose:
                    print(f"+ {job.command}", flush=True)
                job.run(self.environment, self.verbose)
                self._tell(job)
        except BaseException as error:  # of the runner itself: told by the main thread, which ends everything
            self._error = error
        finally:
            with self._changed:
                self._free += cores
                self._in_use -= {job.command.uses for job in chain}
                self._changed.notify()

    def _tell(self, job: Job) -> None:
        lines = []
        if not self.verbose and (job.command.shown or not job.passed):
            lines.append(job.output().rstrip())
        if not job.passed:
            lines.append(f"failed: {job.command}")
        result = "passed" if job.passed else "FAILED"
        job.read()
        tests = f", {len(job.tests)} tests" if job.tests else ""
        note = f" ({job.note})" if job.note else ""
        lines.append(f"{self._clock()} {job.title}: {result}, {job.seconds:.1f} s{tests}{note}")
        self._status("")
        print("\n".join(lines), flush=True)

    # ------------------------------------------------------------------------------------------------------ progress

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        return f"[{minutes:2}:{seconds:02}]"

    def _show(self, shown: float) -> float:
        """Failures at once; the state of everything in place on a terminal, otherwise every minute."""
        running = [job for job in self.all_jobs if job.began and job.passed is None]
        for job in running:
            for name in job.read():
                self._status("")
                print(f"{self._clock()} FAILED {name}", flush=True)
        if self.verbose:
            return shown
        if sys.stdout.isatty():
            self._status(self._progress(running))
        elif time.monotonic() - (shown or self.began) >= EVERY:
            print(self._progress(running), flush=True)
            return time.monotonic()
        return shown

    def _progress(self, running: Sequence[Job]) -> str:
        left = sum(job.left() * min(job.command.cores, CPUS) for job in self.all_jobs) / CPUS
        about = f", about {left / 60:.0f} min left" if left >= 60 else ", nearly done" if left else ""
        failed = sum(len(job.failed) or job.passed is False for job in self.all_jobs)
        return f"{self._clock()} {'; '.join(job.progress() for job in running)}; {failed} failed{about}"

    @staticmethod
    def _status(text: str) -> None:
        if sys.stdout.isatty():
            columns = os.get_terminal_size(sys.stdout.fileno()).columns
            sys.stdout.write(f"\r\033[K{text[: max(columns - 1, 20)]}")
            sys.stdout.flush()

    # ------------------------------------------------------------------------------------------------------- summary

    def _summary(self) -> int:
        """The table, the slowest tests, what was skipped, what to do next, and the one line that counts."""
        print(f"\n{'part':<12} {'result':<7} {'seconds':>8}  tests")
        failed = 0
        for part in self.parts:
            jobs = self.jobs[part.name]
            good = part.name not in self.missing and all(job.passed for job in jobs)
            failed += not good
            tests = sum(len(job.tests) for job in jobs)
            seconds = sum(job.seconds for job in jobs)
            print(f"{part.name:<12} {'passed' if good else 'FAILED':<7} {seconds:8.1f}  {tests or ''}".rstrip())
        print(f"{'together':<12} {'':<7} {time.monotonic() - self.began:8.1f}")
        slow = sorted(((s, name) for job in self.all_jobs for name, s in job.tests.items()), reverse=True)[:SLOWEST]
        if len(slow) == SLOWEST:
            print("\nslowest:")
            print("\n".join(f"{seconds:8.1f} s  {name}" for seconds, name in slow))
        skipped = sum((job.skipped for job in self.all_jobs), Counter[str]())
        if skipped:
            print(f"\nskipped: {sum(skipped.values())}")
            print("\n".join(f"{count:8}  {reason}" for reason, count in skipped.most_common()))
        repeat = dict.fromkeys([*self.missing, *(word for job in self.all_jobs for word in job.again())])
        if repeat:
            print(f"\nnext: ./test {shlex.join(repeat)}   # with -v to watch")
        print(f"\n{len(self.parts) - failed} passed, {failed} failed")
        return 1 if failed else 0

    def measured(self) -> durations.Durations:
        """What can be relied upon the next time: of whole commands that passed."""
        found: durations.Durations = {"commands": {}, "files": {}}
        if os.environ.get("PYTEST_ADDOPTS") or self.environment["LEASEHOLD_SHARD"] or self.verbose:
            return found
        for job in self.all_jobs:
            if job.passed and not job.note and job.part.name != "tests" and job.command.on in (None, self._whole(job)):
                found["commands"][durations.key(job.part, job.command.called())] = job.seconds
                for name, seconds in job.tests.items():
                    file = f"{job.part.name} {name.partition('::')[0]}"
                    found["files"][file] = found["files"].get(file, 0) + seconds
        return found

    @staticmethod
    def _whole(job: Job) -> Sequence[str] | None:
        part = next(part for part in parts.PARTS if part.name == job.part.name)
        return next(command.on for command in part.commands if command.called() == job.command.called())


def budget() -> int:
    """What the default run costs now, part by part, as it was measured last."""
    chosen, known = parts.chosen([]), durations.known()
    print(f"{'part':<12} {'seconds':>8}  cores")
    for part in chosen:
        seconds = durations.seconds(part, known)
        cores = max(command.cores for command in part.commands)
        print(f"{part.name:<12} {'unknown' if seconds is None else f'{seconds:.1f}':>8}  {cores}")
    total, allowed = durations.cost(chosen, known), durations.BUDGET
    print(f"\n{total:.0f} s on {durations.CPUS_OF_BUDGET} cores, of {allowed} s: {100 * total / allowed:.0f} %")
    return 0 if total <= allowed else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./test", description="Run the tests: the default run, all, some parts, or single ones."
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="`full` for all, or see --list; or a test, as pytest names it"
    )
    parser.add_argument("--files", nargs="*", metavar="FILE", help="only what concerns these files (for lint)")
    parser.add_argument("--shard", default="", metavar="K/N", help="the K-th of N shares of the files of tests")
    parser.add_argument("--list", action="store_true", help="list the parts")
    parser.add_argument("--budget", action="store_true", help="what the default run costs, against what it may cost")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show everything while it runs, one command at a time"
    )
    parser.add_argument(
        "--record", action="store_true", help="ship what this machine measured, with the table of TESTING.md"
    )
    arguments = parser.parse_args()
    if arguments.record:
        durations.record()
        return 0
    if arguments.list:
        for part in parts.PARTS:
            print(f"{part.name:<12} {part.about}{WHEN[part.on_request, part.default is None, bool(part.default)]}")
        return 0
    if arguments.budget:
        return budget()
    try:
        chosen = parts.chosen(arguments.parts, arguments.files)
    except ValueError as error:
        parser.error(str(error))

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what is running
    run = Run(chosen, arguments.verbose, arguments.shard)
    code = run.go()
    durations.save(durations.MEASURED, run.measured())
    return code


if __name__ == "__main__":
    sys.exit(main())
