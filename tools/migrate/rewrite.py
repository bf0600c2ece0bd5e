# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rewrite tasks written for hashicorp.vault, community.hashi_vault or ansible-modules-hashivault for leasehold.vault.

    python3 migrate playbooks/ roles/           show what would change, as a diff
    python3 migrate --write playbooks/ roles/   change it

Only the words that have to change are touched, everything else of a file stays byte for byte.  A task is either rewritten
so that it gives what it gave before, or left as it is and reported: `file:line: module: option: why, what to do`.

Ends with 0 when nothing is left to do by hand, with 1 when something is, with 2 when a file could not be read or written.
Tasks for which there is nothing here (key-value, PKI, …) are listed as well; nothing has to be done about them.
Needs Python 3.9 and PyYAML (ansible-core brings it).  docs/migration.md is the guide; its tables come from here.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
import tempfile
import typing as t
from pathlib import Path

import yaml

from . import results
from .tables import (
    COMMUNITY,
    HASHICORP,
    HASHIVAULT,
    ORIGINS,
    STATIC_CREDENTIALS,
    Choice,
    Gone,
    Module,
    Option,
    Target,
    markdown,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

OURS = "leasehold.vault."
NAMESPACE = (
    "the default there is admin, here it is no namespace; if yours is admin, say so (module_defaults, variable leasehold_namespace or "
    "VAULT_NAMESPACE)"
)
HINTS = ("hashicorp.vault", "hashi_vault", "vault_database_", "hashivault_")
"""No file without one of these words is looked at closely."""
ENVIRONMENT = "ANSIBLE_HASHI_VAULT_"
CONDITIONS = ("when", "that", "until", "failed_when", "changed_when", "break_when", "var")
"""Keys whose text is an expression, without braces."""
GENERIC = (
    *("vault_read", "vault_write", "vault_list"),
    *("hashivault_read", "hashivault_write", "hashivault_list", "hashivault_delete"),
)
LOOKUPS = {"creds": "database_credentials", "static-creds": "database_static_credentials"}
NOTHING_HERE = "left as it is: leasehold.vault has nothing for it; both can be used side by side"
LATER = "its value is known at run time only; write the value, or convert this task by hand"


def origin_of(name: str, collections: Sequence[str]) -> tuple[str, str] | None:
    """The origin and the bare name of a module, when it is one of theirs, whether something becomes of it or not."""
    for prefix in ("ansible.legacy.", "terryhowe.hashivault."):
        if name.startswith(f"{prefix}hashivault_"):
            name = name[len(prefix) :]
    if name.startswith("hashivault_"):
        return HASHIVAULT, name
    origin, _dot, bare = name.rpartition(".")
    if origin:
        return (origin, bare) if origin in (HASHICORP, COMMUNITY) else None
    if bare in ORIGINS[COMMUNITY][1] or (bare.startswith("vault_") and COMMUNITY in collections):
        return COMMUNITY, bare
    # Our modules have the same names: the first collection that is listed has it.
    listed = [one for one in collections if f"{one}." == OURS or one == HASHICORP]
    return (HASHICORP, bare) if bare in ORIGINS[HASHICORP][1] and listed[:1] == [HASHICORP] else None


# ---------------------------------------------------------------------------------------------------------------- one file


class Edit(t.NamedTuple):
    start: int
    end: int
    text: str


class CannotError(Exception):
    """Something that cannot be rewritten: where, which option, why and what to do."""

    def __init__(self, node: yaml.Node, option: str, why: str) -> None:
        super().__init__(f"{option}: {why}" if option else why)
        self.line = node.start_mark.line + 1


Pair = tuple[yaml.Node, yaml.Node]


class File:
    """One file of tasks, and what to change in it."""

    def __init__(self, name: str, text: str, mounts: Sequence[str], collections: Sequence[str] = ()) -> None:
        self.name, self.text, self.mounts, self.collections = name, text, mounts, list(collections)
        self.edits: list[Edit] = []
        self.left: list[tuple[int, str]] = []
        self.stays: list[str] = []
        self.rewritten = 0
        self._seen: set[int] = set()
        self._shared: list[yaml.Node] = []
        self._scalars: list[yaml.ScalarNode] = []
        self._names: dict[int, str] = {}
        self._conditions: set[int] = set()
        self._in_flow: set[int] = set()
        self._registered: list[tuple[str, yaml.Node, str, Mapping[str, str]]] = []
        self._defaulted: set[tuple[str, str]] = set()
        self._held: set[str] = set()

    def rewrite(self) -> str:
        """The text as it should be; raises ``yaml.YAMLError``."""
        documents = list(yaml.compose_all(self.text, yaml.SafeLoader))
        for document in documents:
            self._survey(document)
        self._seen.clear()
        for document in documents:
            if isinstance(document, yaml.SequenceNode):
                for entry in document.value:
                    self._entry(entry, self.collections)
        for scalar in self._scalars:
            self._lookups(scalar)
        for registered in self._registered:
            self._results(*registered)
        self._failures()
        self._environment()
        text = applied(self.text, self.edits)
        list(yaml.compose_all(text, yaml.SafeLoader))  # better nothing than something else
        self.left.sort()
        return text

    def report(self, line: int, module: str, why: str) -> None:
        self.left.append((line, f"{self.name}:{line}: {module}: {why}"))

    def _survey(self, node: yaml.Node | None, in_flow: bool = False) -> None:
        if node is None:
            return
        if id(node) in self._seen:
            self._shared.append(node)  # an alias stands for what its anchor stands at
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            self._scalars.append(node)
            self._in_flow |= {id(node)} if in_flow else set()
        if not isinstance(node, yaml.CollectionNode):
            return
        for child in node.value:
            if isinstance(child, tuple) and isinstance(child[0], yaml.ScalarNode):
                self._names[id(child[1])] = child[0].value
                if child[0].value in CONDITIONS and isinstance(child[1], yaml.SequenceNode):
                    self._conditions |= {id(one) for one in child[1].value}
            for part in child if isinstance(child, tuple) else (child,):
                self._survey(part, in_flow or bool(node.flow_style))

    # -- tasks

    def _entry(self, node: yaml.Node, collections: Sequence[str]) -> None:
        """A play, a block or a task."""
        if not isinstance(node, yaml.MappingNode) or id(node) in self._seen:
            return
        self._seen.add(id(node))
        keys = named(node)
        if "collections" in keys and isinstance(keys["collections"][1], yaml.SequenceNode):
            collections = [one.value for one in keys["collections"][1].value if isinstance(one, yaml.ScalarNode)]
        if "module_defaults" in keys:
            self._module_defaults(keys["module_defaults"][1], collections)
        for part in ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            below = keys[part][1] if part in keys else None
            for child in below.value if isinstance(below, yaml.SequenceNode) else ():
                self._entry(child, collections)
        if "hosts" not in keys and "import_playbook" not in keys:
            self._task(node, keys, collections)

    def _task(self, node: yaml.MappingNode, keys: Mapping[str, Pair], collections: Sequence[str]) -> None:
        for key, value in keys.values():
            word = key.value
            if word in ("action", "local_action"):
                if isinstance(value, yaml.MappingNode) and "module" in named(value):
                    self._module(named(value)["module"][1], [value], node, keys, collections, ("module",))
                elif isinstance(value, yaml.ScalarNode):
                    first = value.value.split(" ", 1)[0]
                    found = origin_of(first, collections)
                    if found and found[1] not in ORIGINS[found[0]][1]:
                        self._stays(key, first)
                    elif found:
                        why = f"{word}: written as text; write the module as a key and its options below it, and run this again"
                        self.report(key.start_mark.line + 1, first, why)
            else:
                arguments = [value] + ([keys["args"][1]] if "args" in keys else [])
                self._module(key, arguments, node, keys, collections)

    def _module(
        self,
        name: yaml.Node,
        arguments: Sequence[yaml.Node],
        task: yaml.Node,
        keys: Mapping[str, Pair],
        collections: Sequence[str],
        skip: Sequence[str] = (),
    ) -> None:
        found = origin_of(name.value, collections)
        if self._generic(name, found[1] if found else name.value, arguments) or not found:
            return
        problems: list[CannotError] = []
        module, edits = self._converted(found, name, arguments, problems, skip)
        if module and not problems:
            if found[1] in self._held:
                why = "its module_defaults are left to do by hand; run this again when they are done"
                problems.append(CannotError(name, "", why))
            elif any(inside(edit, self._shared) for edit in edits):
                problems.append(
                    CannotError(name, "", "an anchor shares a part of it with others; write it out, and run this again")
                )
            else:
                self.edits += edits
                self.rewritten += 1
                self._notes(found, module, task, keys)
        elif not problems:
            self._stays(name, name.value)
        for problem in problems:
            self.report(problem.line, name.value, str(problem))

    def _notes(self, found: tuple[str, str], module: Module, task: yaml.Node, keys: Mapping[str, Pair]) -> None:
        """What only the one who wrote the play can decide: what is done with the results, and the namespace."""
        if "register" in keys and isinstance(keys["register"][1], yaml.ScalarNode):
            self._registered.append((keys["register"][1].value, task, found[1], module.results))
        groups = f"{OURS}{module.ours}", OURS, HASHICORP
        if found[0] == HASHICORP and not any((name, "namespace") in self._defaulted for name in groups):
            self._defaulted.add((HASHICORP, "namespace"))  # once a file is enough
            words = re.compile(r"""\b(?:vault_)?namespace['"]?\s*:""")
            if not words.search(self.text[task.start_mark.index : task.end_mark.index]):
                self.report(task.start_mark.line + 1, f"{HASHICORP}.{found[1]}", f"namespace: {NAMESPACE}")

    def _results(self, register: str, task: yaml.Node, module: str, ours: Mapping[str, str]) -> None:
        """Rewrite or report each use of a registered result, or of a variable, by words that are other words here."""
        again = re.compile(rf"^[ \t-]*register\s*:\s*['\"]?{re.escape(register)}['\"]?\s*$", re.MULTILINE)
        registered = [found.start() for found in again.finditer(self.text)]
        own = next((place for place in registered if place >= task.start_mark.index), len(self.text))
        end = next((place for place in registered if place > own), len(self.text))
        begin = task.start_mark.index if registered and registered[0] < own else 0
        same = sum(1 for other, _task, theirs, _results in self._registered if (other, theirs) == (register, module))
        ours = {results.MESSAGE: results.ABOUT_MESSAGE, **ours}
        for use in results.uses(self.text, register, begin, end):
            scalar = self._scalar_at(use.start)
            if scalar is None or scalar.tag in ("!unsafe", "!vault"):
                continue
            line = self.text.count("\n", 0, use.start) + 1
            reasons = results.reasons(use, ours)
            certain = self._is_expression(scalar, use.start) and (use.start > own or len(registered) < 2)
            if inside(Edit(use.start, use.end, ""), self._shared):
                certain = certain and same == len(registered)  # an anchor stands for uses of other results, too
            new = self._renamed_use(use, scalar, ours) if certain and reasons else None
            key = results.looked_for(use, ours, self.text[scalar.start_mark.index : use.start]) if certain else None
            code = None
            if certain and "rc" in ours and isinstance(task, yaml.MappingNode) and "failed_when" not in named(task):
                code = results.return_code(use, self.text[use.end : scalar.end_mark.index])
            if code is not None:
                self._edit(use.start, use.end + code[0], code[1])
            elif new is not None:
                self._edit(use.start, use.end, new)
            elif key is not None:
                self._edit(scalar.start_mark.index + key[0], scalar.start_mark.index + key[1], key[2])
            elif reasons:
                self.report(line, module, f"{use.text}: {', '.join(reasons)}{self._each(use)}; change it here")
            elif self._is_expression(scalar, use.start):
                words = results.hidden(use, scalar.value, ours)
                whole = re.fullmatch(rf"\s*\{{\{{\s*{re.escape(use.text)}\s*\}}\}}\s*", scalar.value)
                if words:
                    given = ", ".join(f"what was {word} is now {ours[word]}" for word in words)
                    self.report(line, module, f"{use.text}: {given}; change it here")
                elif whole and not use.steps and self._names.get(id(scalar)) not in ("var", "msg", "loop"):
                    self.report(line, module, f"{use.text}: it is handed on as a whole; its keys have other names here")

    def _edit(self, start: int, end: int, text: str) -> None:
        if Edit(start, end, text) not in self.edits:
            self.edits.append(Edit(start, end, text))

    def _renamed_use(self, use: results.Use, scalar: yaml.ScalarNode, ours: Mapping[str, str]) -> str | None:
        before = self.text[scalar.start_mark.index : use.start]
        new = results.rewritten(use, ours, self._quotes(scalar), before, self.text[use.end : scalar.end_mark.index])
        ends_plain_text = scalar.style is None and id(scalar) in self._in_flow and re.search(r"[\[\]{},]", new or "")
        return None if ends_plain_text else new

    @staticmethod
    def _each(use: results.Use) -> str:
        return " (of each item, if it is looped over)" if use.words == ["results"] else ""

    def _scalar_at(self, place: int) -> yaml.ScalarNode | None:
        return next((one for one in self._scalars if one.start_mark.index <= place < one.end_mark.index), None)

    def _quotes(self, scalar: yaml.ScalarNode) -> str:
        """How a scalar is quoted; a backslash says that its text is not written as it is."""
        written = self.text[scalar.start_mark.index : scalar.end_mark.index]
        return "\\" if scalar.style == '"' and "\\" in written else scalar.style or ""

    def _is_expression(self, scalar: yaml.ScalarNode, place: int) -> bool:
        """Whether a place in a scalar is read by Jinja: within braces, or in a condition."""
        before = self.text[scalar.start_mark.index : place]
        inside_braces = max(before.rfind("{{"), before.rfind("{%")) > max(before.rfind("}}"), before.rfind("%}"))
        return inside_braces or self._names.get(id(scalar)) in CONDITIONS or id(scalar) in self._conditions

    def _failures(self) -> None:
        """Report what looks into the failure of a task that was rewritten, in a rescue."""
        for use in results.uses(self.text, "ansible_failed_result", 0, len(self.text)) if self.rewritten else ():
            if use.words:
                line = self.text.count("\n", 0, use.start) + 1
                self.report(
                    line, "rescue", f"{use.text}: messages have other words here, and results other keys; look at it"
                )

    def _environment(self) -> None:
        """Report what the other collection's plugins read from the environment, and ours do not: once a file, as all of it has one cure."""
        found = [one for one in self._scalars if one.value.startswith(ENVIRONMENT) and self.rewritten]
        if found:
            names = ", ".join(dict.fromkeys(one.value for one in found))
            why = "not read here; say it as options, variables (leasehold_*, ansible_hashi_vault_*) or VAULT_ADDR, VAULT_TOKEN and their like"
            self.report(found[0].start_mark.line + 1, "environment", f"{names}: {why}")

    def _stays(self, node: yaml.Node, module: str) -> None:
        self.stays.append(f"{self.name}:{node.start_mark.line + 1}: {module}: {NOTHING_HERE}")

    def _generic(self, name: yaml.Node, module: str, arguments: Sequence[yaml.Node]) -> bool:
        """Whether it is a module for any path, and the path one of a database engine."""
        for mapping in arguments if module in GENERIC else ():
            options = named(mapping) if isinstance(mapping, yaml.MappingNode) else {}
            for option in ("path", "mount_point", "secret"):
                path = literal(options.get(option))
                # What hashivault calls a secret lies below its mount_point, unless it begins with a slash.
                if self._mount_of(path) and (option != "secret" or path.startswith("/")):
                    why = f"{option}: it belongs to a database engine; use the module of leasehold.vault for what is there (docs/migration.md)"
                    self.report(options[option][0].start_mark.line + 1, name.value, why)
                    return True
        return False

    def _mount_of(self, path: str) -> str:
        return next((mount for mount in self.mounts if f"{path.strip('/')}/".startswith(f"{mount}/")), "")

    def _converted(
        self,
        found: tuple[str, str],
        name: yaml.Node,
        arguments: Sequence[yaml.Node],
        problems: list[CannotError],
        skip: Sequence[str] = (),
        complete: bool = True,
    ) -> tuple[Module | None, list[Edit]]:
        """Our module, if there is one, and the edits that make a task its task; ``complete`` unless it is about defaults."""
        origin, bare = found
        login, modules = ORIGINS[origin]
        if bare not in modules:
            return None, []
        mappings: list[yaml.MappingNode] = []
        for node in arguments:
            if node.start_mark.index < name.start_mark.index and "module" not in skip and len(arguments) == 1:
                problems.append(
                    CannotError(name, "", "its options come from an anchor; write them out, and run this again")
                )
            elif isinstance(node, yaml.MappingNode):
                mappings.append(node)
            elif not (isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null")):
                problems.append(
                    CannotError(name, "", "its options are text; write them as keys below it, and run this again")
                )
        if problems:
            return None, []
        try:
            module = chosen(modules[bare], name, mappings)
            if module is None:
                return None, []
            edits = [replaced(self.text, name, f"{OURS}{module.ours}")]
        except CannotError as problem:
            problems.append(problem)
            return None, []
        options = {**login, **module.options}
        taken: dict[str, str] = {}
        for mapping in mappings:
            edits += self._options(mapping, options, taken, problems, bare, skip)
        extra = {**module.defaults, **module.add} if complete else {}
        ours = f"{OURS}{module.ours}"
        new = {k: v for k, v in extra.items() if k not in taken and (ours, k) not in self._defaulted}
        first = next((mapping.value[0][0] for mapping in mappings if mapping.value), None)
        if new and first is None:
            problems.append(CannotError(name, "", f"it needs {', '.join(new)} and has no options; convert it by hand"))
        elif new and first is not None:
            flow = next(mapping.flow_style for mapping in mappings if mapping.value)
            between = ", " if flow else newline(self.text) + " " * first.start_mark.column
            text = "".join(f"{key}: {value}{between}" for key, value in new.items())
            edits.append(Edit(first.start_mark.index, first.start_mark.index, text))
        if not complete:
            self._defaulted |= {(f"{OURS}{module.ours}", option) for option in taken}
        return module, edits

    def _options(
        self,
        mapping: yaml.MappingNode,
        options: Mapping[str, Option],
        taken: dict[str, str],
        problems: list[CannotError],
        module: str,
        skip: Sequence[str] = (),
    ) -> list[Edit]:
        method = literal(named(mapping).get("auth_method"))
        edits: list[Edit] = []
        for place, (key, _value) in enumerate(mapping.value):
            try:
                if not isinstance(key, yaml.ScalarNode) or "{{" in key.value or "{%" in key.value:
                    raise CannotError(key, "", "a key is not plain text; write out the options, and run this again")
                if key.value in skip:
                    continue
                if key.value == "<<":
                    raise CannotError(key, "<<", "options come from an anchor; write them out, and run this again")
                option = options.get(key.value)
                if option is None:
                    raise CannotError(
                        key, key.value, f"it is not an option of {module}; correct it, and run this again"
                    )
                edits += self._option(mapping, place, option, method, taken, problems, module)
            except CannotError as problem:
                problems.append(problem)
        return edits

    def _option(
        self,
        mapping: yaml.MappingNode,
        place: int,
        option: Option,
        method: str,
        taken: dict[str, str],
        problems: list[CannotError],
        module: str,
    ) -> list[Edit]:
        key, value = mapping.value[place]
        given = value.value if isinstance(value, yaml.ScalarNode) else ""
        if option.stop:
            raise CannotError(key, key.value, option.stop)
        for pattern, _name, why in option.refuse:
            if re.fullmatch(pattern, given):
                raise CannotError(key, key.value, why)
        if isinstance(value, yaml.MappingNode) and option.inside:
            for inner in named(value):
                if inner in option.inside or "*" in option.inside:
                    raise CannotError(key, key.value, option.inside.get(inner) or option.inside["*"])
        if option.drop:
            return [removed(self.text, mapping, place)]
        if option.lift:
            if not isinstance(value, yaml.MappingNode) or value.start_mark.index < key.start_mark.index:
                raise CannotError(
                    key,
                    key.value,
                    "its keys are options here, and it is not written out; write them out, and run this again",
                )
            inner_edits = self._options(value, option.lift, taken, problems, module)
            return [*inner_edits, *lifted(self.text, mapping, place)]
        ours = option.by_method.get(method, option.to)
        if ours in taken:
            raise CannotError(
                key, key.value, f"it is the same as {taken[ours]} here; keep one of them, and run this again"
            )
        taken[ours] = key.value
        edits = [] if ours == key.value else [replaced(self.text, key, ours)]
        if option.values and "{{" in given:
            raise CannotError(key, key.value, LATER)
        if given in option.values:
            edits.append(replaced(self.text, value, option.values[given]))
        return edits

    # -- module_defaults

    def _module_defaults(self, node: yaml.Node, collections: Sequence[str]) -> None:
        if isinstance(node, yaml.SequenceNode):
            for one in node.value:
                self._module_defaults(one, collections)
            return
        if not isinstance(node, yaml.MappingNode):
            if literal((node, node)):
                self.report(node.start_mark.line + 1, "module_defaults", LATER)
            return
        present = set(named(node))
        for place, (key, value) in enumerate(node.value):
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            problems: list[CannotError] = []
            found = origin_of(name, collections)
            if name in (f"group/{HASHICORP}.vault", f"group/{COMMUNITY}.vault"):
                if f"group/{OURS}vault" not in present:
                    self._group(node, place, name, present, problems)
                    self._held |= set(ORIGINS[name[len("group/") : -len(".vault")]][1]) if problems else set()
            elif found:
                module, edits = self._converted(found, key, [value], problems, complete=False)
                if module and not problems:
                    why = self._not_alone(found, module, present, edits)
                    problems += [CannotError(key, "module_defaults", why)] if why else []
                if module and not problems:
                    present.add(f"{OURS}{module.ours}")
                    self.edits += edits
                self._held |= {found[1]} if problems else set()
            for problem in problems:
                self.report(problem.line, name, str(problem))

    def _not_alone(self, found: tuple[str, str], module: Module, present: set[str], edits: Sequence[Edit]) -> str:
        """Why defaults of a module of theirs cannot be defaults of ours."""
        if f"{OURS}{module.ours}" in present:
            return f"there are defaults of {OURS}{module.ours} already; put them together, and run this again"
        for other, what in ORIGINS[found[0]][1].items():
            if other != found[1] and module.ours in targets(what) and re.search(rf"\b{other}\b", self.text):
                return f"they would hold for {other} too, which becomes the same module; write them into the tasks, and run this again"
        if any(inside(edit, self._shared) for edit in edits):
            return "an anchor shares them with others; write them out, and run this again"
        return ""

    def _group(
        self, node: yaml.MappingNode, place: int, name: str, present: set[str], problems: list[CannotError]
    ) -> None:
        """Ours beside theirs, because other modules of theirs may go on using it.

        Options of some modules only become defaults of those: in our group they would reach modules that do not have them.
        """
        key, value = node.value[place]
        origin = name[len("group/") : -len(".vault")]
        login = ORIGINS[origin][0]
        if not isinstance(value, yaml.MappingNode) or "&" in self.text[key.start_mark.index : end_of(value)]:
            why = f"write the same for group/{OURS}vault beside it"
            problems.append(CannotError(key, "module_defaults", why))
            return
        others = {word: self._takers(origin, word) for word in named(value) if word not in login}
        moved = {word: Option(drop="it is an option of some modules") for word, takers in others.items() if takers}
        own = [word for word in named(value) if word not in moved]
        taken: dict[str, str] = {}
        edits = self._options(value, {**login, **moved}, taken, problems, name)
        defaults = self._defaults_of(value, {word: others[word] for word in moved}, problems)
        already = present & {f"{OURS}{module}" for module in defaults}
        if already and not self._modules_here(origin):
            return  # it was done before
        if already and not problems:
            why = f"there are defaults of {OURS}{', '.join(sorted(defaults))} already; write {', '.join(moved)} there, too"
            problems.append(CannotError(key, "module_defaults", why))
        if problems:
            return
        copies = [f"{OURS}{module}: {{{', '.join(options)}}}" for module, options in sorted(defaults.items())]
        if own:
            edits.append(replaced(self.text, key, f"group/{OURS}vault"))
            start, end = key.start_mark.index, value.end_mark.index if value.flow_style else end_of(value)
            shifted = [Edit(edit.start - start, edit.end - start, edit.text) for edit in edits]
            copies.insert(0, applied(self.text[start:end], shifted).rstrip())
        between = ", " if node.flow_style else newline(self.text) + " " * key.start_mark.column
        self.edits.append(
            Edit(key.start_mark.index, key.start_mark.index, "".join(f"{one}{between}" for one in copies))
        )
        self._defaulted |= {(OURS, option) for option in taken}
        for module, options in defaults.items():
            self._defaulted |= {(f"{OURS}{module}", option.partition(":")[0]) for option in options}
        why = "copied for our modules; take the old one out when no module needs it, for without its collection it is an error"
        self.report(key.start_mark.line + 1, name, f"module_defaults: {why}")

    def _modules_here(self, origin: str) -> set[str]:
        """The modules of theirs that this file may use."""
        prefix = r"(?<!leasehold\.vault\.)\b" if origin == HASHICORP else r"\b"
        return {name for name in ORIGINS[origin][1] if re.search(rf"{prefix}{name}\b", self.text)}

    def _takers(self, origin: str, word: str) -> dict[str, Option]:
        """The modules of ours for which an option of theirs is one: of those in this file, or of all that may be elsewhere."""
        known, here = ORIGINS[origin][1], self._modules_here(origin)
        elsewhere = re.search(
            r"(?m)^[ -]*(?:ansible\.builtin\.)?(?:roles|(?:include|import)_(?:role|tasks))\s*:", self.text
        )
        takers = {}
        for name, what in known.items():
            if name in here or elsewhere or not here:
                for module in what.modules.values() if isinstance(what, Choice) else [what]:
                    if not isinstance(module, Gone) and word in module.options:
                        takers[module.ours] = module.options[word]
        return takers

    def _defaults_of(
        self, mapping: yaml.MappingNode, moved: Mapping[str, Mapping[str, Option]], problems: list[CannotError]
    ) -> dict[str, list[str]]:
        """For each of our modules, its options of a group's defaults, as text."""
        defaults: dict[str, list[str]] = {}
        for word, takers in moved.items():
            key, value = named(mapping)[word]
            text = self.text[value.start_mark.index : value.end_mark.index].rstrip()
            for module, option in takers.items():
                plain = option.to and not (option.lift or option.inside or option.refuse or option.values)
                if not plain or "\n" in text or text[:1] in ("|", ">", "*"):
                    why = f"write it into the tasks, or as defaults of {OURS}{module}, and run this again"
                    problems.append(CannotError(key, word, why))
                    break
                defaults.setdefault(module, []).append(f"{option.to}: {text}")
        return defaults

    # -- lookups

    def _lookups(self, node: yaml.ScalarNode) -> None:
        if node.tag in ("!unsafe", "!vault"):
            return
        start, end = node.start_mark.index, node.end_mark.index
        loop = re.fullmatch(r"with_(?:community\.hashi_vault\.)?(hashi_vault|vault_read)", node.value)
        if loop and self._credentials_in(0, len(self.text)):
            why = "a loop over a lookup; write loop with query('leasehold.vault.…') where it is about databases"
            self.report(node.start_mark.line + 1, loop[1], why)
        for call in LOOKUP.finditer(self.text, start, end):
            line = self.text.count("\n", 0, call.start()) + 1
            try:
                edit = self._lookup(call, end)
            except ValueError as problem:
                if self._credentials_in(call.start(), end):
                    self.report(line, call["plugin"], f"{problem}; convert it by hand")
                continue
            if edit:
                self.edits.append(edit)
                self.rewritten += 1
                if LOOKUPS["static-creds"] in edit.text and id(node) in self._names:
                    self._registered.append((self._names[id(node)], node, call["plugin"], STATIC_CREDENTIALS))

    def _credentials_in(self, start: int, end: int) -> bool:
        paths = (f"{mount}/{kind}/" for mount in self.mounts for kind in LOOKUPS)
        return any(self.text.find(path, start, end) >= 0 for path in paths)

    def _lookup(self, call: re.Match[str], end: int) -> Edit | None:
        """The call of a lookup rewritten, or None when it is about something else; ``ValueError`` says what is in the way."""
        quote, position, terms = call["quote"], call.end(), []
        named_arguments: dict[str, str] = {}
        while True:
            argument = ARGUMENT.match(self.text, position, end)
            if not argument:
                raise ValueError("its arguments are not plain")
            if argument["key"]:
                named_arguments[argument["key"]] = argument["value"]
            else:
                terms.append(argument["value"])
            position = argument.end()
            if argument["end"] == ")":
                break
        path = re.fullmatch(
            rf"{re.escape(quote)}(?:secret=)?([\w./-]+)/(creds|static-creds)/([\w.-]+)(?::(\w+))?{re.escape(quote)}", terms[0]
        ) if len(terms) == 1 else None  # fmt: skip
        if path is None or path[1] not in self.mounts:
            if len(terms) == 1 and not self._mount_of(terms[0].strip("\\'\"").removeprefix("secret=")):
                return None
            raise ValueError("it reads more than a role's credentials")
        arguments = [f"{quote}{path[3]}{quote}"]
        if path[1] != "database":
            arguments.append(f"mount={quote}{path[1]}{quote}")
        method = named_arguments.get("auth_method", "").strip("\\'\"")
        for name, value in named_arguments.items():
            option = ORIGINS[COMMUNITY][0].get(name)
            if name in ("return_format", "as") and value.strip("\\'\"") == "dict":
                continue
            if (
                option is None
                or option.stop
                or any(re.fullmatch(one[0], value.strip("\\'\"")) for one in option.refuse)
            ):
                raise ValueError(
                    f"{name}: {option.stop or option.refuse[0][2] if option else 'there is no such option'}"
                )
            if not option.drop:
                arguments.append(f"{option.by_method.get(method, option.to)}={value}")
        word = path[4] or next(iter(re.findall(r"\w+", (FIELD.match(self.text, position, end) or [""])[1] or "")), "")
        if path[2] == "static-creds" and word in STATIC_CREDENTIALS:
            raise ValueError(f"{word}: what was {word} is now {STATIC_CREDENTIALS[word]}")
        field = f".{path[4]}" if path[4] else ""
        if call["plugin"].endswith("vault_read"):
            data = re.compile(rf"\.data\b|\[{re.escape(quote)}data{re.escape(quote)}\]").match(self.text, position, end)
            if call["function"] != "lookup" or not data:
                raise ValueError(
                    "it returns the whole answer; here the credentials themselves are returned, without data around them"
                )
            position = data.end()
        elif field and call["function"] != "lookup":
            raise ValueError("here one field cannot be asked for in a query")
        text = f"{call['function']}({quote}{OURS}{LOOKUPS[path[2]]}{quote}, {', '.join(arguments)}){field}"
        return Edit(call.start(), position, text)


QUOTE = r"(?P<quote>''|\\\"|'|\")"
LOOKUP = re.compile(
    rf"\b(?P<function>lookup|query|q)\(\s*{QUOTE}(?P<plugin>(?:community\.hashi_vault\.)?(?:hashi_vault|vault_read))(?P=quote)\s*,"
)
FIELD = re.compile(r"""(?:\.data\b|\[\\?['"]+data\\?['"]+\])?((?:\.|\[\\?['"]+)\w+)?""")
ARGUMENT = re.compile(
    r"\s*(?:(?P<key>\w+)\s*=\s*)?(?P<value>''[^'\n]*''|\\\"[^\"\n]*\\\"|'[^'\n]*'|\"[^\"\n]*\"|[\w.]+)\s*(?P<end>,|\))"
)


# ----------------------------------------------------------------------------------------------------------- nodes and text


def named(node: yaml.Node) -> dict[str, Pair]:
    """The keys of a mapping that are text."""
    return {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def literal(pair: Pair | None) -> str:
    return pair[1].value if pair and isinstance(pair[1], yaml.ScalarNode) else ""


def chosen(what: Target, name: yaml.Node, mappings: Sequence[yaml.MappingNode]) -> Module | None:
    if isinstance(what, Module):
        return what
    if isinstance(what, Gone):
        raise CannotError(name, "", what.why)
    given = {key: literal(pair) for mapping in mappings for key, pair in named(mapping).items()}
    value = given.get(what.by) or given.get(what.otherwise, "") or what.default
    if "{{" in value:
        raise CannotError(name, what.by, LATER)
    return what.modules.get(value)


def targets(what: Target) -> set[str]:
    """The modules of ours that a module of theirs can become."""
    if isinstance(what, Gone):
        return set()
    return {module.ours for module in ([what] if isinstance(what, Module) else what.modules.values())}


def end_of(node: yaml.Node) -> int:
    """Where its last character is; the mark of a collection may be far behind, at the next token."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return end_of(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def inside(edit: Edit, nodes: Sequence[yaml.Node]) -> bool:
    return any(node.start_mark.index <= edit.start and edit.end <= node.end_mark.index for node in nodes)


def newline(text: str) -> str:
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def replaced(text: str, node: yaml.Node, new: str) -> Edit:
    """Another text for a scalar, in its own quotes."""
    start, end = node.start_mark.index, node.end_mark.index
    written = re.fullmatch(r"(?s)((?:[&!]\S*\s+)*)(['\"]?)(.*?)\2", text[start:end])
    if written is None or written[3] != node.value:
        raise CannotError(
            node,
            node.value,
            "it is written in a way that cannot be changed in place; write it plainly, and run this again",
        )
    return Edit(start + len(written[1]) + len(written[2]), end - len(written[2]), new)


def removed(text: str, mapping: yaml.MappingNode, place: int) -> Edit:
    """A pair taken out: its lines, or its part of a line."""
    key, value = mapping.value[place]
    start, end = key.start_mark.index, end_of(value)
    if mapping.flow_style:
        if place + 1 < len(mapping.value):
            return Edit(start, mapping.value[place + 1][0].start_mark.index, "")
        return Edit(end_of(mapping.value[place - 1][1]) if place else start, end, "")
    begin = start - key.start_mark.column
    if text[begin:start].strip():
        raise CannotError(key, key.value, "it shares its line with others; take it out, and run this again")
    if text[end - 1] != "\n":
        end = text.find("\n", end) + 1 or len(text)
    return Edit(begin, end, "")


def lifted(text: str, mapping: yaml.MappingNode, place: int) -> list[Edit]:
    """The pairs of a dictionary moved out of it, to where its key stands."""
    key, value = mapping.value[place]
    if not value.value:
        return [removed(text, mapping, place)]
    start, first = key.start_mark.index, value.value[0][0].start_mark.index
    if value.flow_style:
        last = end_of(value.value[-1][1])
        if "#" in text[start:first] or "\n" in text[start : value.end_mark.index]:
            raise CannotError(
                key, key.value, "its keys are options here; write them out on lines of their own, and run this again"
            )
        edits = [Edit(start, first, ""), Edit(last, value.end_mark.index, "")]
        if not mapping.flow_style:
            between = newline(text) + " " * key.start_mark.column
            edits += [
                Edit(end_of(one[1]), following[0].start_mark.index, between)
                for one, following in zip(value.value, value.value[1:])
            ]
        return edits
    back = value.value[0][0].start_mark.column - key.start_mark.column
    comment = text[text.find(":", key.end_mark.index) + 1 : first].strip()
    kept = comment + newline(text) + " " * key.start_mark.column if comment else ""
    edits = [Edit(start, first, kept)]
    position = text.find("\n", first) + 1
    while 0 < position < end_of(value):
        if text.startswith(" " * back, position):
            edits.append(Edit(position, position + back, ""))
        position = text.find("\n", position) + 1
    return edits


def applied(text: str, edits: Sequence[Edit]) -> str:
    """The text after all edits, which may only meet where something is taken out."""
    parts, position = [], 0
    for start, end, new in sorted(edits):
        parts += [text[position : max(start, position)], new]
        position = max(position, end)
    return "".join([*parts, text[position:]])


# --------------------------------------------------------------------------------------------------------------- many files


def files_in(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for directory, below, names in os.walk(path):
            below[:] = sorted(name for name in below if not name.startswith("."))
            yield from (Path(directory) / name for name in sorted(names) if name.endswith((".yml", ".yaml")))


def collections_of_role(path: Path) -> list[str]:
    """What the role of a tasks file searches for short names."""
    if path.parent.name not in ("tasks", "handlers"):
        return []
    try:
        meta = yaml.safe_load((path.parents[1] / "meta" / "main.yml").read_text(encoding="utf-8"))
        return [str(one) for one in meta["collections"]]
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError):
        return []


def write(path: Path, data: bytes) -> None:
    """All or nothing, with the mode and the owner it has."""
    real = path.resolve()
    status = real.stat()
    descriptor, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, status.st_mode & 0o7777)  # noqa: PTH101
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(name, status.st_uid, status.st_gid)
        os.replace(name, real)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise


def difference(name: str, before: str, after: str) -> str:
    old, new = (text.removesuffix("\n").split("\n") for text in (before, after))
    lines = difflib.unified_diff(old, new, name, name, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def migrate(paths: Sequence[Path], mounts: Sequence[str], really: bool) -> int:
    files = tasks = 0
    left: list[str] = []
    stays: list[str] = []
    errors: list[str] = []
    for path in files_in(paths):
        try:
            before = path.read_bytes().decode("utf-8")
            role = collections_of_role(path)
            if not any(hint in before for hint in HINTS) and HASHICORP not in role:
                continue
            file = File(str(path), before, mounts, role)
            after = file.rewrite()
            left += [problem for _line, problem in file.left]
            stays += file.stays
            if after == before:
                continue
            files, tasks = files + 1, tasks + file.rewritten
            if really:
                write(path, after.encode("utf-8"))
            else:
                sys.stdout.write(difference(str(path), before, after))
        except OSError as error:
            errors.append(f"{path}: {error.strerror or error}")
        except UnicodeDecodeError:
            errors.append(f"{path}: it is not UTF-8")
        except (yaml.YAMLError, RecursionError) as error:
            line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
            errors.append(
                f"{path}:{line}: it is not YAML that can be read: {getattr(error, 'problem', None) or error}; it was left alone"
            )
    sys.stdout.flush()
    for message in [*left, *stays, *errors]:
        print(message, file=sys.stderr)
    done = "rewritten" if really else "to rewrite (with --write)"
    by_hand = f"{len(left)} left to do by hand, {len(stays)} left as they are"
    print(f"{tasks} places in {files} files {done}, {by_hand}, {len(errors)} errors", file=sys.stderr)
    return 2 if errors else 1 if left else 0


# ---------------------------------------------------------------------------------------------------------- the command line


def main(arguments: Sequence[str] | None = None) -> int:
    about, _blank, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        "migrate", description=about, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="files, or directories with *.yml and *.yaml"
    )
    parser.add_argument("--write", action="store_true", help="change the files, instead of showing a diff")
    parser.add_argument(
        "--mount",
        action="append",
        default=[],
        metavar="NAME",
        help="another mount of a database engine, for lookups by path (beside database)",
    )
    parser.add_argument(
        "--tables", choices=ORIGINS, metavar="ORIGIN", help="print what becomes of an origin's modules and options"
    )
    options = parser.parse_args(arguments)
    if options.tables:
        print(markdown(options.tables), end="")
        return 0
    if not options.paths:
        parser.error("which files? Name files or directories")
    return migrate(options.paths, ["database", *(mount.strip("/") for mount in options.mount)], options.write)
