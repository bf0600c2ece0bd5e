# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser, to look at pages with: what is installed, else Debian's Chromium, unpacked into the cache without root rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import typing as t

import fetched

if t.TYPE_CHECKING:
    from pathlib import Path

INSTALLED = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PACKAGE = "chromium-headless-shell"


class BrowserError(RuntimeError):
    """The browser did not do what it was asked to do."""


class Browser:
    """Runs Chromium once for each question."""

    def __init__(self) -> None:
        found = next(filter(None, map(shutil.which, INSTALLED)), None)
        self._environment = dict(os.environ)
        if found is None:
            root = fetched.debian(PACKAGE, beside=True)
            libraries = [str(path) for path in root.glob("usr/lib/*-linux-gnu*")]
            libraries += [str(path) for path in root.glob("usr/lib/*-linux-gnu*/pulseaudio")]
            self._environment["LD_LIBRARY_PATH"] = ":".join(libraries)
            found = str(next(root.glob("usr/lib/chromium/*headless*shell")))
        self._program = found

    def dom(self, page: Path, **look: t.Any) -> str:
        """The page as it is after its scripts have run."""
        return self._run(page, ["--dump-dom"], **look)

    def picture(self, page: Path, to: Path, **look: t.Any) -> None:
        self._run(page, [f"--screenshot={to}", "--hide-scrollbars"], **look)

    def paper(self, page: Path, to: Path) -> None:
        self._run(page, [f"--print-to-pdf={to}", "--no-pdf-header-footer"])

    def _run(self, page: Path, what: list[str], width: int = 1200, height: int = 900, dark: bool = False) -> str:
        with tempfile.TemporaryDirectory(prefix="leasehold-browser-") as profile:
            done = subprocess.run(
                [
                    self._program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                    f"--user-data-dir={profile}", f"--window-size={width},{height}",
                    f"--blink-settings=preferredColorScheme={0 if dark else 1}", *what, page.resolve().as_uri(),
                ],
                env={**self._environment, "HOME": profile}, capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
        if done.returncode != 0:
            raise BrowserError(f"{self._program} ended with {done.returncode}: {done.stderr[-1000:]}")
        return done.stdout
