# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that one test needs, each in an environment of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]


def output_of(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command printed; it must end well.  It does not see the collection where the tests see it."""
    done = subprocess.run(
        [str(word) for word in command], env={**os.environ, "PYTHONPATH": "", **(environment or {})}, cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


def tool(name: str) -> Path:
    """An environment of its own with what requirements/<name>.txt pins, made once; where its programs are."""
    lock = ROOT / "requirements" / f"{name}.txt"
    key = hashlib.sha256(f"{sys.version} {lock.read_text()}".encode()).hexdigest()[:12]
    cache = Path(os.environ.get("LEASEHOLD_WORK") or ROOT / ".cache")
    place = cache / f"venv-{name}-{key}"
    if not (place / "complete").exists():
        for old in cache.glob(f"venv-{name}-*"):
            shutil.rmtree(old)
        output_of(sys.executable, "-m", "venv", place)
        output_of(
            place / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", lock
        )
        (place / "complete").touch()
    return place / "bin"
