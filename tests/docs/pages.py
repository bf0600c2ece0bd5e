# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a page says can be done is done, block by block, as printed.

```yaml, ```ini    a file; its first line is a comment with its name
```console         commands; what they set stays set
```sql             what the DBA runs in the database of the page
```text            after commands, what they are to say: these lines in this order, `…` is any text.  They are to fail if it has `fatal:`
```

Any other block has another language: output, or what other programs read (a shell's commands for them are ```sh).
"""

from __future__ import annotations

import os
import re
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import servers

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
DONE = {"yaml", "ini", "console", "sql"}
SHOWN = {"text", "json", "hcl", "diff", "sh"}


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """Which file it is."""
        return name[1] if (name := re.match(r"# (\S+\.(?:yml|cfg))\n", self.text)) else ""

    @property
    def commands(self) -> list[str]:
        return self.text.replace("\\\n", "").splitlines()


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def unlike(output: str, shown: str) -> str:
    """The first line that is shown and not said, after those before it."""
    rest = output
    for line in filter(None, map(str.strip, shown.splitlines())):
        words = [r"\s+".join(map(re.escape, part.split())) for part in line.split("…")]
        found = re.search(r".*".join(words), rest)
        if not found:
            return line
        rest = rest[found.end() :]
    return ""


class Shell:
    """A directory, and commands in it as somebody types them, one after the other."""

    def __init__(
        self, directory: Path, environment: Mapping[str, str], instead: Mapping[str, str], state: Path | None = None
    ) -> None:
        self.directory, self._instead = directory, instead
        self._state = state or directory / ".environment"
        self._environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000"} | environment
        self._state.touch(mode=0o600)

    def here(self, text: str) -> str:
        """The text with the places of this sandbox in it."""
        for printed, here in self._instead.items():
            text = text.replace(printed, here)
        return text

    def write(self, block: Block) -> None:
        (self.directory / block.file).write_text(self.here(block.text), encoding="utf-8")

    def run(self, command: str) -> tuple[int, str]:
        command = servers.program().typed(self.here(command))
        script = f". {self._state}; {command}\ncode=$?; export -p >{self._state}; exit $code"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


def steps(page: str) -> Iterator[tuple[Block, str]]:
    """The blocks to be carried out, each with what it is to say."""
    following = blocks(page)
    for block, after in zip(following, [*following[1:], Block(page, 0, "", "")]):
        if block.language in DONE:
            yield block, after.text if block.language == "console" and after.language == "text" else ""
