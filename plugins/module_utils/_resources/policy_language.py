# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Policies, read as Vault reads them (HCL or JSON), so that two texts that mean the same are the same.

Only what a policy can hold is understood: blocks, strings, numbers, true and false, lists and maps.  Python has no reader for Vault's
older dialect of HCL.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values

Path = tuple[str, "Values"]
"""A path and its rules."""

_CAPABILITIES = {"create", "read", "update", "patch", "delete", "list", "scan", "sudo", "deny", "recover", "subscribe"}
_KEYS = {
    "capabilities", "policy", "allowed_parameters", "denied_parameters", "required_parameters", "min_wrapping_ttl",
    "max_wrapping_ttl", "mfa_methods", "control_group", "comment", "expiration", "pagination_limit",
    "list_scan_response_keys_filter_path", "subscribe_event_types",
}  # fmt: skip
_PARAMETERS = ("allowed_parameters", "denied_parameters")
_WRAPPING = ("min_wrapping_ttl", "max_wrapping_ttl")
_LISTS = ("capabilities", "required_parameters", "mfa_methods")

_OF_PASSWORDS = {"length", "rule", "charset", "min-chars"}

_TOKEN = re.compile(
    r"""(?P<skip>[\s,]+ | \#[^\n]* | //[^\n]* | /\*.*?\*/)
    | (?P<text>"(?:[^"\\\n]|\\.)*")
    | <<-?(?P<mark>\w+)\r?\n (?P<lines>.*?) \n[ \t]*(?P=mark)\b
    | (?P<number>-?\d+(?:\.\d+)?)(?![\w.])
    | (?P<word>[^\W\d][\w.-]*)
    | (?P<sign>[={}\[\]])""",
    re.DOTALL | re.VERBOSE,
)


def checked(policy: t.Any) -> str:
    """The text as it is sent; ``ValueError`` for what Vault refuses, and for what it takes and then quietly does not do."""
    text = policy if isinstance(policy, str) else json.dumps(policy, indent=2)
    if not text.strip():
        raise ValueError("the text is empty; delete the policy if it shall allow nothing")
    for path, rules in read(text):
        _plain(path, rules)
        if "deny" in rules.get("capabilities", ()) and len(rules["capabilities"]) > 1:
            raise ValueError(f'path "{path}": deny stands beside other capabilities, which Vault would drop')
        if "*" in path[:-1]:
            raise ValueError(f'path "{path}": * is a wildcard at the end only; within a path, + stands for one segment')
        for template in re.findall(r"\{\{\s*(.*?)\s*\}\}", path):
            if not template.startswith("identity."):
                raise ValueError(
                    f'path "{path}": {{{{{template}}}}} does not begin with identity., and Vault would quietly leave the path out'
                )
    return text


def unknown_words(policy: str) -> list[str]:
    """The words that no server known to us has.  Only the server can tell for sure: the next version may know more."""
    rules = [given for _path, given in read(policy)]
    capabilities = {str(word) for given in rules for word in given.get("capabilities", ())}
    return sorted(capabilities - _CAPABILITIES) + sorted({key for given in rules for key in given} - _KEYS)


def of_passwords(policy: str) -> tuple[list[str], bool]:
    """Of the HCL of a password policy: the words that no server has, and whether a character of its passwords is a quote."""
    try:
        tokens = list(_tokens(policy))
    except ValueError:
        return [], False  # JSON, or what only the server can tell
    words = {token.value for token in tokens if token.kind == "word"}
    return sorted(words - _OF_PASSWORDS), any(token.kind == "text" and "'" in token.value for token in tokens)


def normal(policy: str) -> str:
    """What a policy means, as HCL: without comments, sorted, each thing written in one way.

    A text on the server that is not understood means only itself.
    """
    try:
        return "\n".join(sorted(_as_hcl(path, _plain(path, rules)) for path, rules in read(policy)))
    except ValueError:
        return policy.strip()


def read(policy: str) -> list[Path]:
    """The paths of a policy in the order of the text."""
    return _read_json(policy) if policy.lstrip().startswith("{") else _read_hcl(policy)


# -- one form ---------------------------------------------------------------------------------------------------------------


def _as_hcl(path: str, rules: Values) -> str:
    lines = [f"  {key} = {_written(value)}" for key, value in sorted(rules.items())]
    return "\n".join([f"path {_written(path)} {{", *lines, "}\n"])


def _written(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _plain(path: str, rules: Values) -> Values:
    """Order, repetition, the case of parameters and the unit of a duration mean nothing."""
    plain = dict(rules)
    for key in _LISTS:
        if key in rules:
            plain[key] = _set(f'path "{path}": {key}', rules[key])
    for key in _PARAMETERS:
        if not isinstance(rules.get(key, {}), dict):
            raise ValueError(f'path "{path}": {key} is a map of parameters to lists of values')
        if key in rules:
            plain[key] = {
                name.lower(): _set(f'path "{path}": {key}: {name}', values) for name, values in rules[key].items()
            }
    for key in _WRAPPING:
        if key in rules:
            plain[key] = seconds(rules[key])
    if "deny" in plain.get("capabilities", ()):
        plain["capabilities"] = ["deny"]
    return plain


def _set(what: str, values: t.Any) -> list[t.Any]:
    if not isinstance(values, list):
        raise ValueError(f"{what} is a list, in brackets")
    return [json.loads(value) for value in sorted({_written(value) for value in values})]


# -- JSON -------------------------------------------------------------------------------------------------------------------


def _read_json(text: str) -> list[Path]:
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"the JSON ends or breaks at line {error.lineno}, column {error.colno}: {error.msg}") from None
    _only_paths(document)
    found = document.get("path", [])
    maps = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) and all(isinstance(rules, dict) for rules in one.values()) for one in maps):
        raise ValueError('the JSON form is {"path": {"<path>": {"capabilities": ["read"]}}}')
    return [(path.removeprefix("/"), rules) for one in maps for path, rules in one.items()]


def _once(pairs: list[tuple[str, t.Any]]) -> Values:
    return _nested([([key], value) for key, value in pairs])


def _only_paths(keys: t.Iterable[str]) -> None:
    for key in keys:
        if key not in ("path", "name"):
            raise ValueError(f"a policy holds paths, and no {key}")


# -- HCL --------------------------------------------------------------------------------------------------------------------


class _Token(t.NamedTuple):
    kind: str
    value: t.Any
    line: int


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        found = _TOKEN.match(text, at)
        if not found:
            raise ValueError(f"line {line}: {text[at:].split(maxsplit=1)[0][:30]} is not understood")
        at = found.end()
        if found["text"] is not None:
            try:
                yield _Token("text", json.loads(found["text"], strict=False), line)
            except ValueError:
                raise ValueError(f"line {line}: {found['text']} holds an escape that is not understood") from None
        elif found["number"] is not None:
            yield _Token("number", json.loads(found["number"]), line)
        elif found["skip"] is None:
            yield (
                _Token("lines", found["lines"], line) if found["mark"] else _Token(str(found.lastgroup), found[0], line)
            )
    yield _Token("sign", "", text.count("\n") + 1)


class _Reader:
    """Keys and their values, as far as a closing sign."""

    def __init__(self, text: str) -> None:
        self._left = list(_tokens(text))[::-1]

    def _sees(self, sign: str) -> bool:
        return self._left[-1][:2] == ("sign", sign)

    def items(self, end: str) -> list[tuple[list[str], t.Any]]:
        found: list[tuple[list[str], t.Any]] = []
        while not self._sees(end):
            keys = []
            while self._left[-1].kind in ("word", "text"):
                keys.append(self._left.pop().value)
            if not keys or not (self._sees("{") or self._sees("=")):
                self._stop(f"{{ or = after {keys[-1]}" if keys else "a name")
            if self._sees("="):
                self._left.pop()
            found.append((keys, self.value()))
        self._left.pop()
        return found

    def value(self) -> t.Any:
        token = self._left[-1]
        if token.kind in ("text", "number", "lines"):
            return self._left.pop().value
        if token.kind == "word" and token.value in ("true", "false"):
            return self._left.pop().value == "true"
        if self._sees("{"):
            self._left.pop()
            return _nested(self.items("}"))
        if self._sees("["):
            self._left.pop()
            values = []
            while not self._sees("]"):
                values.append(self.value())
            self._left.pop()
            return values
        self._stop("a value (text stands in double quotes)")
        raise AssertionError

    def _stop(self, expected: str) -> None:
        token = self._left[-1]
        found = f"{token.value!r}" if token.value != "" else "the end"
        raise ValueError(f"line {token.line}: {found} stands where {expected} should be")


def _read_hcl(text: str) -> list[Path]:
    paths = []
    for keys, value in _Reader(text).items(""):
        _only_paths(keys[:1])
        if keys[0] == "path":
            if len(keys) != 2 or not isinstance(value, dict):
                raise ValueError(f'each path is written path "<path>" {{ … }}, with one name ({" ".join(keys)})')
            paths.append((keys[1].removeprefix("/"), value))
    return paths


def _nested(items: list[tuple[list[str], t.Any]]) -> Values:
    """A map of what stands between braces; what is given twice is refused, since only the server knows what it makes of that."""
    found: Values = {}
    for keys, value in items:
        place = found
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        if not isinstance(place, dict) or keys[-1] in place:
            raise ValueError(f"{' '.join(keys)} is given twice")
        place[keys[-1]] = value
    return found
