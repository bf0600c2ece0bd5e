# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tarball that Galaxy would get, and what `ansible-galaxy` makes of it on a machine without network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from environments import output_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("built")
    output_of("ansible-galaxy", "collection", "build", ROOT, "--output-path", directory)
    (built,) = directory.iterdir()
    return built


@pytest.fixture(scope="session")
def collections(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path for collections with nothing but what ours depends on, and then ours."""
    directory = tmp_path_factory.mktemp("collections")
    depends_on = next(
        found
        for path in os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")
        if (found := Path(path) / "ansible_collections" / "community" / "postgresql").is_dir()
    )
    shutil.copytree(depends_on, directory / "ansible_collections" / "community" / "postgresql")
    output_of(
        "ansible-galaxy", "collection", "install", "--offline", "--collections-path", directory, tarball,
        environment={"ANSIBLE_COLLECTIONS_PATH": str(directory)},
    )  # fmt: skip
    return directory
