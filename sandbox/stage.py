# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the collection to where Ansible expects it: `…/ansible_collections/leasehold/vault`.

    python sandbox/stage.py CHECKOUT TARGET

Ansible's test tools follow no symbolic links and package whatever lies in the directory. So the copy has what git knows
or would accept, and nothing else; files that are as they should be are left alone.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(checkout: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if not (target / ".git").exists():  # ansible-test asks git what belongs to a collection
        git(target, "init", "--quiet")
    wanted = {name for name in files(checkout) if (checkout / name).is_file()}
    for name in files(target) - wanted:
        (target / name).unlink(missing_ok=True)
        remove_empty(target, (target / name).parent)
    for name in wanted:
        copy(checkout / name, target / name)


def files(repository: Path) -> set[str]:
    """What git tracks there, and what it would track if it were told."""
    listing = git(repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return {name for name in listing.split("\0") if name}


def git(repository: Path, *arguments: str) -> str:
    # The checkout may belong to another user than the one who runs the tests.
    command = ["git", "-c", "safe.directory=*", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def copy(source: Path, target: Path) -> None:
    if target.is_symlink() or not target.exists() or not filecmp.cmp(source, target, shallow=False):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    if os.access(source, os.X_OK) != os.access(target, os.X_OK):
        shutil.copymode(source, target)


def remove_empty(top: Path, directory: Path) -> None:
    while directory != top and directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
