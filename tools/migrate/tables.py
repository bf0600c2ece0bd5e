# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the modules and options of other collections: read from tables.yml, printed for docs/migration.md."""

from __future__ import annotations

import dataclasses
import textwrap
import typing as t
from pathlib import Path

import yaml

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HASHICORP, COMMUNITY, HASHIVAULT = "hashicorp.vault", "community.hashi_vault", "ansible-modules-hashivault"
BY_HAND = "it is not rewritten; write it by hand, with leasehold.vault."


@dataclasses.dataclass(frozen=True)
class Option:
    """What becomes of an option."""

    to: str = ""
    """Our word for it."""
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Our words for some of its values."""
    drop: str = ""
    """Why it can be left out."""
    stop: str = ""
    """Why it cannot be honoured, and what to do."""
    refuse: tuple[tuple[str, str, str], ...] = ()
    """Values that cannot be honoured: pattern, name, why and what to do."""
    inside: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Keys of a dictionary that cannot be honoured, and why."""
    lift: Mapping[str, Option] = dataclasses.field(default_factory=dict)
    """It is a dictionary whose keys become options."""
    by_method: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Another word for it with some auth methods."""


Options = dict[str, Option]


@dataclasses.dataclass(frozen=True)
class Module:
    """What becomes of a module."""

    ours: str
    options: Mapping[str, Option]
    add: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What has to be set in addition."""
    defaults: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Defaults of theirs that the server does not have: said when the task does not."""
    results: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Where their results are found; in brackets, what to do where they are not."""
    note: str = ""
    """What differs although everything was rewritten."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """One module of theirs that is several of ours, by the value of an option."""

    by: str
    modules: Mapping[str, Module]
    default: str = ""
    otherwise: str = ""
    """The option whose value counts when there is none."""


@dataclasses.dataclass(frozen=True)
class Gone:
    """A module that is not rewritten: why, and what to do."""

    why: str


Target = t.Union[Module, Choice, Gone]
Values = dict[str, t.Any]


def _option(entry: str | Values) -> Option:
    """An option of tables.yml: our name for it, or the fields of `Option`."""
    if isinstance(entry, str):
        return Option(to=entry)
    fields = dict(entry)
    if "refuse" in fields:
        fields["refuse"] = tuple((one["value"], one["called"], one["why"]) for one in fields["refuse"])
    if "lift" in fields:
        fields["lift"] = _options(fields["lift"])
    return Option(**fields)


def _options(entry: Values) -> Options:
    """`unchanged` (names that stay), `options` (all others) and `unsupported` of a module, in this order."""
    options = {name: Option(to=name) for name in entry.get("unchanged", "").split()}
    options.update((name, _option(one)) for name, one in entry.get("options", {}).items())
    for one in entry.get("unsupported", ()):
        options.update((name, Option(stop=one["why"])) for name in one["names"].split())
    return options


def _module(entry: Values) -> Module:
    more = {name: entry[name] for name in ("add", "defaults", "results") if name in entry}
    note = entry.get("note", "")
    return Module(entry["to"], _options(entry), **more, note=note if isinstance(note, str) else "; ".join(note))


def _target(entry: Values) -> Target:
    if "gone" in entry or "by_hand" in entry:
        return Gone(entry.get("gone") or BY_HAND + entry["by_hand"])
    if "choices" in entry:
        modules = {value: _module(one) for value, one in entry["choices"].items()}
        return Choice(entry["choose_by"], modules, entry.get("default_choice", ""), entry.get("or_else_by", ""))
    return _module(entry)


def _read() -> dict[str, tuple[Options, dict[str, Target]]]:
    origins = yaml.safe_load(Path(__file__).with_name("tables.yml").read_text(encoding="utf-8"))["origins"]
    return {
        origin: (_options(entry["login"]), {name: _target(one) for name, one in entry["modules"].items()})
        for origin, entry in origins.items()
    }


ORIGINS = _read()
"""Of each collection: the options to log in with, which all of its modules take, and its modules."""
STATIC_CREDENTIALS = {
    old: new
    for old, new in t.cast("Module", ORIGINS[HASHICORP][1]["database_static_role_credentials"]).results.items()
    if new != "credentials"
}
"""What becomes of the keys of a static role's credentials."""


def markdown(origin: str) -> str:
    """What docs/migration.md says about an origin, in Markdown."""
    login, modules = ORIGINS[origin]
    rows, stopped = [], [("(all)", *row) for row in stopped_in(login)]
    for name, what in modules.items():
        if isinstance(what, Gone):
            rows.append((f"`{name}`", "–", "", "", ""))
            stopped.append((f"`{name}`", "(the module)", what.why))
            continue
        several = what.modules if isinstance(what, Choice) else {"": what}
        for value, module in several.items():
            label = f"`{name}`" + (f", `{what.by}: {value}`" if isinstance(what, Choice) else "")
            added = [f"`{key}: {given}`" for key, given in module.add.items()]
            added += [f"`{key}: {given}` unless given" for key, given in module.defaults.items()]
            results = [f"`{old}` → {new if new.startswith('(') else f'`{new}`'}" for old, new in module.results.items()]
            rows.append((label, f"`{module.ours}`", changes(module.options), ", ".join(added), "; ".join(results)))
            stopped += [(f"`{name}`", *row) for row in stopped_in(module.options)]
            if module.note:
                rows[-1] = (*rows[-1][:4], "; ".join(filter(None, [rows[-1][4], module.note])))
    text = table(("module", "here", "options", "set in addition", "results, and what differs"), rows)
    if changes(login):
        login_options = f"Options to connect and to log in: {changes(login)}."
        text += "\n" + textwrap.fill(login_options, 140, break_long_words=False, break_on_hyphens=False) + "\n"
    together: dict[tuple[str, str], list[str]] = {}
    for where, option, why in stopped:
        together.setdefault((where, why), []).append(option)
    cannot = [(where, ", ".join(dict.fromkeys(options)), why) for (where, why), options in together.items()]
    return f"{text}\nCannot be honoured:\n\n" + table(("module", "option", "why, and what to do"), cannot)


def changes(options: Mapping[str, Option], prefix: str = "") -> str:
    parts = []
    for name, option in options.items():
        if option.lift:
            parts.append(f"the keys of `{name}` become options")
        elif option.drop:
            parts.append(f"`{prefix}{name}` is left out ({option.drop})")
        elif option.to and option.to != name:
            parts.append(f"`{prefix}{name}` → `{option.to}`")
        parts += [f"`{name}: {old}` → `{new}`" for old, new in option.values.items()]
        parts += [f"`{name}` → `{new}` with `auth_method: {method}`" for method, new in option.by_method.items()]
    return ", ".join(parts)


def stopped_in(options: Mapping[str, Option]) -> Iterator[tuple[str, str]]:
    for name, option in options.items():
        if option.stop:
            yield f"`{name}`", option.stop
        yield from ((f"`{name}`: {label}", why) for _pattern, label, why in option.refuse)
        yield from (
            (f"`{name}`" + (f": `{key}`" if key != "*" else ": a dictionary"), why)
            for key, why in option.inside.items()
        )
        yield from stopped_in(option.lift)


def table(head: Sequence[str], rows: t.Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
