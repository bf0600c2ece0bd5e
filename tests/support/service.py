# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the commands of a systemd service where systemd does not run (containers, CI), in the order in which it would.

    service = Service(path)
    service.start()                             # ExecStartPre, ExecStart, ExecStartPost
    service.reload()                            # ExecReload, ExecStopPost, and a start
    service.stop()                              # SIGTERM, ExecStopPost

    python tests/support/service.py start|stop UNIT   # it stays in between; UNIT.pid says which process it is

Sandboxing, users and directories are systemd's own and not done.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path


class ServiceError(RuntimeError):
    """A command of the unit failed."""


class Service:
    def __init__(self, path: Path) -> None:
        self.path, self.log = path, path.with_suffix(".log")
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None

    def settings(self, key: str) -> list[str]:
        lines = (line.partition("=") for line in self.path.read_text().splitlines() if not line.startswith("#"))
        return [value for name, _equals, value in lines if name == key]

    def start(self) -> None:
        """Ends when the start is over; a failed one leaves nothing running."""
        self._each("ExecStartPre")
        (command,) = self._commands("ExecStart")
        self._process = self._spawn(command)
        self.pid = self._process.pid
        try:
            self._each("ExecStartPost", MAINPID=str(self.pid))
        except ServiceError:
            self.end("exit-code")
            raise

    def reload(self) -> None:
        """As of a service that ends by it and is restarted."""
        self._each("ExecReload", MAINPID=str(self.pid))
        self._wait()
        self._ended("success")
        self.start()

    def stop(self) -> int:
        return self.end("success")

    def crash(self) -> None:
        """As when it runs out of memory, with the restart that follows."""
        os.kill(self.pid, signal.SIGKILL)
        self._wait()
        self._ended("signal")
        self.start()

    def end(self, result: str) -> int:
        if self._is_running():
            os.kill(self.pid, signal.SIGTERM)
            self._wait()
        return self._ended(result)

    def _ended(self, result: str) -> int:
        """The exit code of the last command, which systemd would show."""
        codes = [self._spawn(command, SERVICE_RESULT=result).wait() for command in self._commands("ExecStopPost")]
        return codes[-1] if codes else 0

    def _wait(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while self._is_running():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise ServiceError(f"{self.path.name} did not end within {seconds} s\n{self.log.read_text()}")
            time.sleep(0.05)

    def _is_running(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z"

    def _each(self, key: str, **environment: str) -> None:
        for command in self._commands(key):
            if code := self._spawn(command, **environment).wait():
                raise ServiceError(f"{key}={shlex.join(command)}: exit code {code}\n{self.log.read_text()}")

    def _commands(self, key: str) -> list[list[str]]:
        lines = self.settings(key)
        return [[word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)] for line in lines]

    def _spawn(self, command: list[str], **more: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", **more},
            )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the commands of a systemd service without systemd.")
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("unit", type=Path)
    arguments = parser.parse_args()
    service, record = Service(arguments.unit), arguments.unit.with_suffix(".pid")
    if arguments.action == "start":
        try:
            service.start()
        except ServiceError as error:
            print(error, file=sys.stderr)
            return 1
        record.write_text(str(service.pid))
        return 0
    service.pid = int(record.read_text())
    record.unlink()
    return service.stop()


if __name__ == "__main__":
    sys.exit(main())
