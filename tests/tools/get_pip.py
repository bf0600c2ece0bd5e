# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give ansible-test the pip it wants from the package registry.

It would download a script for that from elsewhere, unless the script is in its cache already. Ours installs from the
wheel that requirements/ansible-test.txt pins; that has what the ansible-cores of `./test` want, not what all the others of
`./test sanity-all` do.
"""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path
from types import SimpleNamespace

from ansible_test._internal.python_requirements import get_venv_packages

CACHE = Path.home() / ".ansible" / "test" / "cache"
REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "ansible-test.txt"

SCRIPT = """\
import runpy, sys
sys.path.insert(0, {wheel!r})
sys.argv[1:] = ["install", *(word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel"))]
runpy.run_module("pip", run_name="__main__")
"""


def main() -> None:
    python: t.Any = SimpleNamespace(version=f"{sys.version_info.major}.{sys.version_info.minor}")
    version = get_venv_packages(python)["pip"]
    wheel = CACHE / f"pip-{version}-py3-none-any.whl"
    for desired in (["--require-hashes", "--requirement", str(REQUIREMENTS)], [f"pip=={version}"]):
        if not wheel.exists():
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), *desired]
            subprocess.run(command, check=True)
    (CACHE / f"get_pip_{version.replace('.', '_')}.py").write_text(SCRIPT.format(wheel=str(wheel)))


if __name__ == "__main__":
    main()
