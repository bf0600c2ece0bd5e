# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies of docs/policies.md, which is the one place they are written down, for those who run with them."""

from __future__ import annotations

import functools
import hashlib
import re
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from servers import OpenBao

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policies.md"
EVERY_LOGIN = "With every login"
PRINTED_MOUNTS = {"database", "approle"}
_LINE = re.compile(r'path "(?P<path>[^"]+)" \{ capabilities = \[(?P<may>[^]]+)\] \}(?: # (?P<remark>.+))?')


class Rule(t.NamedTuple):
    """A line of a policy."""

    path: str
    capabilities: tuple[str, ...]
    remark: str = ""

    @property
    def optional(self) -> bool:
        return self.remark.startswith("optional: ")

    def covers(self, path: str) -> bool:
        """Whether the rule speaks of this path; that of a list ends in a slash."""
        meant = re.escape(self.path).replace(r"\+", "[^/]+").replace(r"\*", ".*")
        return bool(re.fullmatch(f"{meant}/?", path))

    def at(self, mount: str) -> Rule:
        """The same for this mount, of an engine or of an auth method."""
        steps = [mount.strip("/") if step in PRINTED_MOUNTS else step for step in self.path.split("/")]
        return self._replace(path="/".join(steps))

    def __str__(self) -> str:
        return (
            f'path "{self.path}" {{ capabilities = [{", ".join(f"{one!r}" for one in self.capabilities)}] }}'.replace(
                "'", '"'
            )
        )


@functools.cache
def documented() -> dict[str, tuple[Rule, ...]]:
    """`{"module lease": (…), "lookup database_credentials": (…), …}`; what every login needs is in none of them."""
    sections = re.split(r"^#+ ", PAGE.read_text(), flags=re.MULTILINE)
    return {
        (name := section.partition("\n")[0].replace("`", "")): tuple(_rules(name, section))
        for section in sections
        if "```hcl" in section
    }


def _rules(name: str, section: str) -> Iterable[Rule]:
    for line in section.partition("```hcl\n")[2].partition("```")[0].splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"{PAGE.name}, {name}: {line!r} is not a path with its capabilities on one line")
        yield Rule(found["path"], tuple(re.findall(r'"(\w+)"', found["may"])), found["remark"] or "")


def token(bao: OpenBao, rules: Iterable[Rule]) -> str:
    """A token that may do this and nothing else, not even what Vault's policy `default` allows."""
    policy = "\n".join(sorted({str(rule) for rule in merged(rules)}))
    return _token(bao, policy)


def merged(rules: Iterable[Rule]) -> list[Rule]:
    """One rule for each path."""
    together: dict[str, list[str]] = {}
    for rule in rules:
        current = together.setdefault(rule.path, [])
        current += [one for one in rule.capabilities if one not in current]
    return [Rule(path, tuple(capabilities)) for path, capabilities in together.items()]


@functools.cache
def _token(bao: OpenBao, policy: str) -> str:
    name = "documented-" + hashlib.sha256(policy.encode()).hexdigest()[:16]
    bao.request("POST", f"sys/policies/acl/{name}", {"policy": policy})
    answer = bao.request("POST", "auth/token/create", {"policies": [name], "no_default_policy": True})
    return str(answer["auth"]["client_token"])
