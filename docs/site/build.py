# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the documentation site: python docs/site/build.py TARGET (the pages are then in TARGET/html).

The guides are the Markdown of this repository, in the places that they have here, so that their links hold here and there. The
reference is made from the plugins' documentation and the roles' argument_specs. No network is needed, neither now nor by a reader.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import typing as t
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "docs/*.md",
    "roles/*/README.md",
    "benchmarks/README.md",
    "benchmarks/results/*.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)
FETCHED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href")}


def main(target: Path) -> int:
    source, html = target / "source", target / "html"
    for directory in (source, html, target / "doctrees"):  # what Sphinx remembers may no longer hold
        shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "site", source)
    for pattern in PAGES:
        for page in ROOT.glob(pattern):
            copy = source / page.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(page, copy)
    complete(source)
    (source / "reference").mkdir(mode=0o700)
    words = ["antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error"]
    subprocess.run([*words, "--dest-dir", source / "reference", "leasehold.vault"], check=True)
    sphinx = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
    subprocess.run([*sphinx, "--doctree-dir", target / "doctrees", source, html], check=True)
    found = list(faults(html))
    print("\n".join(found) or f"{len(list(html.rglob('*.html')))} pages in {html}")
    return 1 if found else 0


def complete(source: Path) -> None:
    """Add the files that pages link to, and list the pages that are nowhere listed in the places that the index has for them."""
    pages = list(source.rglob("*.md"))
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            copy = (page.parent / target).resolve()
            if copy.is_relative_to(source) and not copy.exists() and (ROOT / copy.relative_to(source)).is_file():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / copy.relative_to(source), copy)
                if copy.suffix == ".md":
                    pages.append(copy)  # which may link to more
    index = source / "index.md"
    text = index.read_text(encoding="utf-8")
    listed = set(re.findall(r"^(?:.*<)?([\w/]+)>?$", text, re.MULTILINE)) | {"index"}
    for place in ("docs/*", "*"):
        names = sorted(str(page.relative_to(source).with_suffix("")) for page in source.glob(f"{place}.md"))
        text = text.replace(f"\n{place}\n", "".join(f"\n{name}" for name in names if name not in listed) + "\n")
    index.write_text(text, encoding="utf-8")


class Page(HTMLParser):
    """The anchors of a page, what it links to, and what a browser fetches to show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors, self.links, self.fetched = {"", "top"}, set[str](), set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag, name) == ("a", "name"):
                self.anchors.add(value)
            elif (tag, name) == ("a", "href"):
                self.links.add(value)
            elif (tag, name) in FETCHED:
                self.fetched.add(value)


def faults(html: Path) -> Iterator[str]:
    """Links to what is not there, and whatever would be fetched from elsewhere when a page is opened."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(html.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(html)
        for address in sorted(page.links | page.fetched):
            file, _hash, anchor = unquote(address).partition("#")
            target = (path.parent / file.partition("?")[0]).resolve() if file else path
            if re.match(r"([a-z+]+:|//)", address):
                if address in page.fetched and not address.startswith("data:"):
                    yield f"{where} is not shown without {address}"
            elif not target.is_file():
                yield f"{where} links to {address}, which is not there"
            elif target in pages and anchor not in pages[target].anchors:
                yield f"{where} links to {address}, which has no such anchor"
    for path in sorted(html.rglob("*.css")):
        for address in re.findall(
            r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')]+)", path.read_text(encoding="utf-8")
        ):
            yield f"{path.relative_to(html)} is not shown without {address}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
