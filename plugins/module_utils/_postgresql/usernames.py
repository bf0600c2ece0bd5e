# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The names that Vault gives to users, recognised again: a ``username_template`` read backwards.

A template is run with what is known (the name of the role) and with classes of characters for what is not (the display name of the
login, random letters, the time).  What comes out is the pattern of the names.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import typing as t

DEFAULT = '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}'
TEMPLATE = '{{ printf "v-%s-%s-%s" (.RoleName | truncate 20) (random 20) (unix_time) }}'
"""What new connections get: nothing that a login has chosen is in the names."""
LONGEST = 63  # bytes of a name in PostgreSQL, which cuts off the rest
ANY = "."  # a login may choose any character


class Unknown(t.NamedTuple):
    """So many characters of a class; ``name`` says that they are the time."""

    chars: str = ANY
    least: int = 0
    most: int = LONGEST
    name: str = ""
    login: bool = False
    """Whether somebody who logs in to Vault may have chosen them."""


class Cut(t.NamedTuple):
    """A text of which only the beginning is left, if it was longer."""

    text: Text
    most: int


Text = tuple[t.Union[str, Unknown, Cut], ...]

_ACTION = re.compile(r"\{\{(-?)(.*?)(-?)\}\}", re.DOTALL)
_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`|(\d+)|(\.\w+)|(\w+)|([|()]))')


@functools.cache
def pattern(template: str, role: str | None) -> re.Pattern[str]:
    """What matches the users of this role (of any role: None), with ``unix_time`` or ``unix_time_millis`` as a group if it is in the name.

    ``ValueError`` names what is not understood.
    """
    return re.compile(_regex(_cut(_made(template, role, Unknown()), LONGEST)), re.DOTALL)


def from_login(template: str) -> int | None:
    """The most characters of the login's display name in a name of this template; None if there is no limit.  ``ValueError`` as above."""
    most = _from_login(_made(template, None, Unknown(most=_UNLIMITED, login=True)))
    return None if most >= _UNLIMITED else most


_UNLIMITED = 1 << 20


def _from_login(text: Text) -> int:
    return sum(
        min(part.most, _from_login(part.text)) if isinstance(part, Cut) else part.most
        for part in text
        if isinstance(part, Cut) or (isinstance(part, Unknown) and part.login)
    )


def _made(template: str, role: str | None, login: Unknown) -> Text:
    # Text and actions in turn; a dash inside the braces eats the white space outside.
    text, *rest = _ACTION.split(template.strip() or DEFAULT)
    made: Text = ()
    while rest:
        left, action, right, following, *rest = rest
        made += (text.rstrip() if left else text, *_Reader(action, role, login).all())
        text = following.lstrip() if right else following
    return (*made, text)


def issued_at(match: re.Match[str]) -> float | None:
    """The second in which Vault made the name; None when the name does not tell."""
    given = match.groupdict()
    if given.get("unix_time_millis"):
        return int(given["unix_time_millis"]) / 1000
    return int(given["unix_time"]) if given.get("unix_time") else None


class _Reader:
    """One ``{{ action }}``: a pipeline of functions."""

    def __init__(self, text: str, role: str | None, login: Unknown) -> None:
        self._fields: dict[str, Text] = {
            ".RoleName": (Unknown(),) if role is None else (role,),
            ".DisplayName": (login,),
        }
        self._tokens: list[t.Any] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            token = _TOKEN.match(text, at)
            if token is None:
                raise ValueError(f"{text[at:].split()[0]!r} is not understood")
            self._tokens.append(token.groups())
            at = token.end()

    def all(self) -> Text:
        made = self._pipeline()
        if self._tokens:
            raise ValueError(f"{_text_of(self._tokens[0])!r} is not understood")
        return made

    def _pipeline(self) -> Text:
        value = self._command(())
        while self._next_is("|"):
            self._tokens.pop(0)
            value = self._command((value,))
        return value

    def _command(self, piped: tuple[Text, ...]) -> Text:
        if not self._tokens:
            raise ValueError("it ends too early")
        word = self._tokens[0][4]
        if word is None:
            return self._operand()
        function = _FUNCTIONS.get(word) or _refuse(word)
        self._tokens.pop(0)
        operands: list[Text] = []
        while self._tokens and not self._next_is("|") and not self._next_is(")"):
            operands.append(self._operand())
        try:
            return function(*operands, *piped)
        except (TypeError, IndexError):
            raise ValueError(f"{word!r} is not used as expected") from None

    def _operand(self) -> Text:
        text, raw, number, field, word, sign = self._tokens[0]
        if word is not None:  # a function without operands
            rest, self._tokens = self._tokens[1:], self._tokens[:1]
            value, self._tokens = self._command(()), rest
            return value
        self._tokens.pop(0)
        if sign == "(":
            value = self._pipeline()
            if not self._next_is(")"):
                raise ValueError("a bracket is missing")
            self._tokens.pop(0)
            return value
        if field is not None:
            return self._fields.get(field) or _refuse(field)
        if sign is not None:
            return _refuse(sign)
        return (re.sub(r"\\(.)", r"\1", text) if text is not None else raw if raw is not None else number,)

    def _next_is(self, sign: str) -> bool:
        return bool(self._tokens) and self._tokens[0][5] == sign


def _refuse(what: str) -> t.NoReturn:
    raise ValueError(f"{what!r} is not understood")


def _text_of(token: t.Sequence[str | None]) -> str:
    return next(part for part in token if part is not None)


# -- the functions of the template language ---------------------------------------------------------------------------------


def _known(text: Text) -> str | None:
    return "".join(t.cast("tuple[str, ...]", text)) if all(isinstance(part, str) for part in text) else None


def _number(text: Text) -> int:
    known = _known(text)
    if known is None or not known.isdigit():
        raise ValueError("a number is expected")
    return int(known)


def _of(known: t.Callable[[str], str], unknown: Unknown) -> t.Callable[[Text], Text]:
    """A function of one text: computed if the text is known, else only its characters are."""

    def apply(text: Text) -> Text:
        given = _known(text)
        return (unknown,) if given is None else (known(given),)

    return apply


def _letters(change: t.Callable[[str], str]) -> t.Callable[[Text], Text]:
    def apply(text: Text) -> Text:
        # The classes hold both cases, or none.
        return tuple(
            change(part)
            if isinstance(part, str)
            else part._replace(text=apply(part.text))
            if isinstance(part, Cut)
            else part
            for part in text
        )

    return apply


def _printf(form: Text, *values: Text) -> Text:
    parts = re.split(r"%([sv%])", _known(form) or _refuse("printf"))
    left = list(values)
    made: Text = ()
    for number, part in enumerate(parts):
        if number % 2 == 0:
            if "%" in part:
                _refuse(part)
            made += (part,)
        else:
            made += ("%",) if part == "%" else left.pop(0)
    return made


def _replace(old: Text, new: Text, text: Text) -> Text:
    known_old, known_new, given = _known(old), _known(new), _known(text)
    if given is not None and known_old is not None and known_new is not None:
        return (given.replace(known_old, known_new),)
    most = sum(_from_login(part) for part in (new, text))
    return (Unknown(most=_UNLIMITED if most else LONGEST, login=bool(most)),)


def _truncate_sha256(length: Text, text: Text) -> Text:
    given, most = _known(text), _number(length)
    if given is None:
        return (Unknown(most=most, login=bool(_from_login(text))),)
    kept = most - 8
    return (given if len(given) <= most else given[:kept] + _sha256(given[kept:])[:8],)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _random(length: Text) -> Text:
    return (Unknown("[A-Za-z0-9]", _number(length), _number(length)),)


_FUNCTIONS: dict[str, t.Callable[..., Text]] = {
    "printf": _printf,
    "random": _random,
    "truncate": lambda length, text: _cut(text, _number(length)),
    "truncate_sha256": _truncate_sha256,
    "lowercase": _letters(str.lower),
    "uppercase": _letters(str.upper),
    "replace": _replace,
    "sha256": _of(_sha256, Unknown("[0-9a-fA-F]", 64, 64)),
    "base64": _of(_base64, Unknown("[A-Za-z0-9+/=]")),
    "unix_time": lambda: (Unknown("[0-9]", 10, 10, "unix_time"),),
    "unix_time_millis": lambda: (Unknown("[0-9]", 13, 13, "unix_time_millis"),),
    "timestamp": lambda form: (Unknown(),),
    "uuid": lambda: (Unknown("[0-9a-fA-F-]", 36, 36),),
}


# -- patterns ---------------------------------------------------------------------------------------------------------------


def _longest(text: Text) -> int:
    return sum(len(part) if isinstance(part, str) else part.most for part in text)


def _cut(text: Text, most: int) -> Text:
    given = _known(text)
    if given is not None:
        return (given[:most],)
    if _longest(text) <= most:
        return text
    if len(text) == 1 and isinstance(text[0], Unknown):
        return (text[0]._replace(least=min(text[0].least, most), most=most, name=""),)
    return (Cut(text, most),)


def _regex(text: Text) -> str:
    return "".join(_regex_of(part) for part in text)


def _regex_of(part: str | Unknown | Cut) -> str:
    if isinstance(part, str):
        return re.escape(part)
    if isinstance(part, Cut):
        # Either it was short enough, or it ends where it was cut off.
        return f"(?:(?=.{{0,{part.most}}}\\Z){_regex(part.text)}|(?=.{{{part.most}}}\\Z){_beginning(part.text)})"
    many = f"{part.chars}{{{part.least},{part.most}}}"
    return f"(?P<{part.name}>{many})" if part.name else many


def _beginning(text: Text) -> str:
    """Any beginning of the text."""
    made = ""
    for part in reversed(text):
        if isinstance(part, str):
            for char in reversed(part):
                made = f"(?:{re.escape(char)}{made})?"
        elif isinstance(part, Cut):
            made = f"(?:{_beginning(part.text)})"
        else:
            made = f"(?:{part.chars}{{{part.least},{part.most}}}{made}|{part.chars}{{0,{part.most}}})"
    return made
