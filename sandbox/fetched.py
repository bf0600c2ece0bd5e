# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fetched into the cache once, without the right to install anything."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Callable

WORK = Path(os.environ.get("LEASEHOLD_WORK") or Path(__file__).resolve().parents[1] / ".cache")
"""What belongs to this checkout (sandbox/bootstrap.sh says where that is)."""
CACHE = Path(os.environ.get("LEASEHOLD_CACHE") or WORK)
"""Downloads, which several checkouts may share."""


class FetchError(RuntimeError):
    """Something could not be fetched."""


def once(name: str, make: Callable[[Path], Path]) -> Path:
    """The directory of this name in the cache; what `make` returns becomes it, made in a workshop, by one process at a time."""
    target = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE) as workshop:
                made = make(Path(workshop))
                made.chmod(0o755)
                made.rename(target)  # at once, so that nobody ever sees half of it
    return target


def debian(package: str, *, beside: bool = False) -> Path:
    """Debian's package, unpacked; `beside`: with what it needs beside what is on the machine."""
    if not shutil.which("apt-get"):
        raise FetchError(f"there is neither a {package} on this machine nor apt-get to fetch Debian's with")
    return once(package, lambda workshop: _unpacked(package, workshop, beside))


def _unpacked(package: str, workshop: Path, beside: bool) -> Path:
    # Lists and archives of our own: the machine's may be missing, and are root's to refresh.
    for directory in ("lists/partial", "archives/partial"):
        (workshop / directory).mkdir(parents=True)
    options = [
        f"Dir::State::lists={workshop}/lists", f"Dir::Cache::archives={workshop}/archives", f"Dir::Cache::pkgcache={workshop}/pkgcache.bin",
        f"Dir::Cache::srcpkgcache={workshop}/srcpkgcache.bin", "Debug::NoLocking=1", "APT::Sandbox::User=",
    ]  # fmt: skip
    apt = ["apt-get", "--quiet", "--quiet", "--yes", *(word for option in options for word in ("-o", option))]
    archives, made = workshop / "archives", workshop / "made"
    _run([*apt, "update"], archives)
    _run(
        [*apt, *(["install", "--download-only", "--no-install-recommends"] if beside else ["download"]), package],
        archives,
    )
    for archive in archives.glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(archive), str(made)], archives)
    return made


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )  # fmt: skip
    if done.returncode != 0:
        raise FetchError(f"{command[0]} failed: {done.stdout[-2000:]}")
