# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a command has passed as they are now, kept in `.cache/passed.json`, so that it looks only at the others.

A clone without a cache, as that of CI, looks at all of them; so does everybody after a change of the tools or of their
configuration.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import subprocess
import typing as t

from parts import CACHE, ROOT

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from parts import Command

PASSED = CACHE / "passed.json"
CONFIGURATION = (".ansible-lint", "requirements/dev.txt", "galaxy.yml", "tests/tools/parts.py")


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths if path.exists())).hexdigest()


def _load(command: Command) -> tuple[str, dict[str, str]]:
    """The key of a command with its configuration, and the files it passed with that, each with its digest."""
    key = f"{command.called()} {_digest(*(ROOT / name for name in CONFIGURATION))}"
    known = json.loads(PASSED.read_text()) if PASSED.exists() else {}
    return key, known.get(key, {})


def files(command: Command) -> dict[str, str]:
    """Every file that the command checks, with its digest."""
    listed = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    desired = [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in command.about)]
    return {name: _digest(ROOT / name) for name in desired if (ROOT / name).is_file()}


def to_check(command: Command) -> Sequence[str] | None:
    """The files that it has not passed as they are; None if that is all of them."""
    _key, passed = _load(command)
    now = files(command)
    changed = [name for name, digest in now.items() if passed.get(name) != digest]
    return None if len(changed) == len(now) else changed


def passed(command: Command, checked: dict[str, str]) -> None:
    """Remember that these files passed; of other tools and configurations nothing is kept."""
    key, before = _load(command)
    PASSED.write_text(json.dumps({key: {**before, **checked}}))
