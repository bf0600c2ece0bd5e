# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the build of the documentation site looks for is found (the part `site` builds it)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "site"))

import build


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('<a href="other.html#there">', ""),
        ('<a href="https://example.com/">', ""),
        ('<a href="#">', ""),
        ('<a href="gone.html">', "page.html links to gone.html, which is not there"),
        ('<a href="other.html#gone">', "page.html links to other.html#gone, which has no such anchor"),
        ('<a href="#gone">', "page.html links to #gone, which has no such anchor"),
        ('<img src="gone.png">', "page.html links to gone.png, which is not there"),
        ('<script src="https://example.com/x.js">', "page.html is not shown without https://example.com/x.js"),
        ('<link href="//example.com/x.css">', "page.html is not shown without //example.com/x.css"),
    ],
)
def test_a_fault_of_a_page_is_found(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<body>{text}</body>")
    (tmp_path / "other.html").write_text('<h1 id="there">')
    assert list(build.faults(tmp_path)) == ([fault] if fault else [])


def test_a_font_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "site.css").write_text('@font-face { src: url("https://example.com/font.woff2"); }')
    assert list(build.faults(tmp_path)) == ["site.css is not shown without https://example.com/font.woff2"]
