# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the uses of a registered result: rewritten where the new words say the same, and reported otherwise."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STEP = r"\.get\(\s*['\"]\w+['\"][^)\n]*\)|\.\w+|\[[^\]\n]*\]"
ELSEWHERE = (
    r"(?:hostvars(?:\.\w+|\[[^\]\n]*\])|\bvars)(?:\.|\[['\"]+)",
    r"\blookup\(\s*['\"]+(?:ansible\.builtin\.)?vars['\"]+\s*,\s*['\"]+",
)
"""What stands before the name of a variable that is read in another way."""
NAMES = " | map(attribute='name') | list"
FLAT = ", without connection_details around its keys"
LOOKED_FOR = re.compile(r"(?<=['\"])(\w+)(?=['\"]+\s+(?:not\s+)?in\s+$)")
KEY_LOOKED_FOR = re.compile(
    r"['\"](?!connection_details\b|root_credentials_rotate_statements\b)\w+['\"]+\s+(?:not\s+)?in\s+$"
)
"""A key of a connection that lies and is called as there."""
MESSAGE = "msg"
ABOUT_MESSAGE = "(none: messages have other words)"


class Use(t.NamedTuple):
    """A place where a registered result is used."""

    start: int
    end: int
    text: str
    steps: list[str]
    plain: bool
    """It is the name itself, and not a key of `hostvars` or `vars`."""

    @property
    def words(self) -> list[str]:
        return [word for step in self.steps for word in re.findall(r"\w+", step)]


def uses(text: str, register: str, start: int, end: int) -> Iterator[Use]:
    """Where a variable is used between two places of a text, outside of comments; its keys may follow."""
    name = re.escape(register)
    pattern = re.compile(
        rf"(?:(?:{'|'.join(ELSEWHERE)}){name}\b(?:['\"]+\s*[\])])?|(?<![\w./-]){name}\b(?!['\"]?[ \t]*(?:=(?!=)|[:(])|[/-]))((?:{STEP})*)"
    )
    for found in pattern.finditer(text, start, end):
        line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()].lstrip(" -")
        if not line.startswith("#") and not line.startswith("register"):
            steps = re.findall(STEP, found[1])
            quoted = text[found.start() - 1] == text[found.end() : found.end() + 1] and text[found.start() - 1] in "'\""
            if quoted and not steps:
                continue  # a text that is the same word
            yield Use(found.start(), found.end(), found[0], steps, found[0] == register + found[1])


def reasons(use: Use, ours: Mapping[str, str]) -> list[str]:
    """What is another word in a use, as sentences."""
    looped = use.words == ["results"]
    known = [word for word in dict.fromkeys(use.words) if word in ours]
    return [f"what was {word} is now {ours[word]}" for word in (list(ours) if looped else known)]


def hidden(use: Use, scalar: str, ours: Mapping[str, str]) -> list[str]:
    """The words of a result that stand beside it in the same expression: in a test, a filter or behind a bracket."""
    if set(use.words) & {"changed", "failed", "skipped"}:
        return []
    around = scalar.replace(use.text, " ", 1)
    words = "|".join(map(re.escape, ours))
    return list(dict.fromkeys(re.findall(rf"(?:['\"]|\)\.|\)\[['\"]+)({words})\b", around))) if words else []


def rewritten(use: Use, ours: Mapping[str, str], quotes: str, before: str, after: str) -> str | None:
    """The use in our words, or None when they do not say the same.

    ``quotes`` is how the scalar around it is quoted, ``before`` and ``after`` is its text on both sides.
    """
    steps = list(use.steps)
    loop = []
    if steps and _word(steps[0]) == "results":
        if len(steps) < 2 or not re.fullmatch(r"\[(-?\d+|\w*index\w*)\]", steps[1]):
            return None
        loop, steps = steps[:2], steps[2:]
    if not use.plain or not steps or any(step.startswith(".get(") for step in steps):
        return None
    register = use.text[: len(use.text) - len("".join(use.steps))] + "".join(loop)
    first = _word(steps[0])
    if first not in ours:
        renamed = [_renamed(step, ours, last=place == len(steps) - 1) for place, step in enumerate(steps)]
        return None if None in renamed else register + "".join(t.cast("list[str]", renamed))
    new = ours[first]
    rest = steps[1:]
    if (first == "raw" and ours.get("data") == new) or (first == "role" and new == "auth_roles[0]"):
        if not rest or _word(rest[0]) != "data":
            return None  # the whole answer of the server
        rest = rest[1:]
    flat, listed = new.endswith(FLAT), new.endswith(NAMES)
    new = new.removesuffix(FLAT).removesuffix(NAMES)
    if not re.fullmatch(r"\w+(\[0\](\.\w+)?)?", new):
        return None
    if listed:
        if first in ("data", "raw"):
            if not rest or _word(rest[0]) != "keys":
                return None
            rest = rest[1:]
        if "\\" in quotes:
            return None
        names = NAMES.replace("'", "''" if quotes == "'" else "'")
        return f"({register}.{new}{names}){''.join(rest)}"
    inner = set(ours) - {first, "data", "raw", "rc", MESSAGE}
    if inner and not rest and not re.match(r"\s+is\s+(not\s+)?defined", after):
        return None  # some of its keys have other names
    if flat:
        if not rest and not KEY_LOOKED_FOR.search(before):
            return None  # its keys lie elsewhere
        rest = rest[1:] if len(rest) > 1 and _word(rest[0]) == "connection_details" else rest
        ours = {**ours, "root_credentials_rotate_statements": "root_rotation_statements"}
    renamed = [_renamed(step, ours, last=place == len(rest) - 1) for place, step in enumerate(rest)]
    return None if None in renamed else f"{register}.{new}" + "".join(t.cast("list[str]", renamed))


def return_code(use: Use, after: str) -> tuple[int, str] | None:
    """Of `result.rc == 0` of a task without `failed_when`: how much of the text after it belongs to it, and what says the same."""
    found = re.match(r"\s*(?:(==\s*0)|!=\s*0|==\s*1)(?![\w.])", after)
    if not (found and use.plain and len(use.steps) == 1 and _word(use.steps[0]) == "rc"):
        return None
    register = use.text[: -len(use.steps[0])]
    return found.end(), f"{register} is {'not ' if found[1] else ''}failed"


def looked_for(use: Use, ours: Mapping[str, str], before: str) -> tuple[int, int, str] | None:
    """Of `'data' in result`: from where to where the key stands in the text before the use, and what it is called here."""
    found = LOOKED_FOR.search(before) if use.plain and not use.steps else None
    new = re.match(r"\w+(?=\[0\]|,| \||$)", ours.get(found[1], "")) if found else None
    return (found.start(), found.end(), new[0]) if found and new else None


def _renamed(step: str, ours: Mapping[str, str], *, last: bool) -> str | None:
    word = _word(step)
    if word not in ours or word in ("data", "raw"):
        return None if word in ours else step
    new = ours[word]
    if new.startswith("(its keys"):
        return None if last else ""
    new = re.sub(r"^(\w+)\[0\]\.", "", new)
    return step.replace(word, new) if re.fullmatch(r"\w+", new) else None


def _word(step: str) -> str:
    found = re.fullmatch(r"\.(\w+)|\[['\"]+(\w+)['\"]+\]", step)
    return (found[1] or found[2]) if found else ""
