# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test sanity of every supported ansible-core, each on the newest Python that is here and that it takes: `./test sanity-all`.

Nothing is ignored: there is no tests/sanity/ignore-*.txt.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import typing as t

import matrix  # and with it the way to sandbox/
from fetched import WORK

if t.TYPE_CHECKING:
    from pathlib import Path

IGNORED = sorted((matrix.ROOT / "tests" / "sanity").glob("ignore*"))


def programs(core: str, python: str) -> Path:
    """The programs of a venv with this ansible-core, made once."""
    place = WORK / "matrix" / f"sanity-{core}-python-{python}"
    if not (place / "complete").exists():
        matrix.run_quietly([matrix.pythons()[python], "-m", "venv", "--clear", str(place)])
        install = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        matrix.run_quietly([*install, f"ansible-core=={core}.*"])
        (place / "complete").touch()
    return place / "bin"


def run(core: str, python: str) -> bool:
    found = programs(core, python)
    environment = os.environ | {"PATH": f"{found}:{os.environ['PATH']}", "VIRTUAL_ENV": str(found.parent)}
    for command in (
        ["python", "tests/tools/get_pip.py"],
        ["ansible-test", "sanity", "--local", "--python", python, "--color", "no"],
    ):
        done = subprocess.run(
            [found / command[0], *command[1:]], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            print(done.stdout)
            return False
    return True


def main() -> int:
    if IGNORED:
        sys.exit(f"nothing is to be ignored: {', '.join(path.name for path in IGNORED)}")
    failed = 0
    for core in matrix.CORES:
        if not (here := matrix.pythons_of(core)):
            print(f"not here, so not run: ansible-core {core} (needs Python {' to '.join(matrix.CORES[core])})")
            continue
        python, began = max(here, key=matrix.version), time.monotonic()
        good = run(core, python)
        failed += not good
        print(f"{core:<6} {python:<6} {'passed' if good else 'FAILED'} ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
