# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""What a value of the document may be: a check with sentences, and the same as a JSON schema for editors.

The check sees values when templates are rendered; the schema sees the file, so that it takes a template (``{{ … }}``) in the place of any value.
What the schema refuses, the check refuses too, and the check knows more.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field, Resource

Problems = t.Iterator[str]
Check = t.Callable[[t.Any, str], Problems]
Schema = dict[str, t.Any]

TEMPLATE = r"\{\{|\{%"
OWN_KEYS = "x_"
"""How keys begin that are the document's own."""
_BOOLEANS = ("true", "false", "yes", "no", "on", "off", "1", "0")


@dataclasses.dataclass(frozen=True)
class Shape:
    """Checks one value at a path, with a sentence for each problem, such as ``vault_databases[2].port: 'abc' is not a port``."""

    check: Check
    schema: Schema

    def __call__(self, value: t.Any, path: str) -> Problems:
        return self.check(value, path)

    def where(self, further: Check) -> Shape:
        """The same with a check that the schema does not have; asked only of what has this shape."""

        def check(value: t.Any, path: str) -> Problems:
            problems = list(self.check(value, path))
            yield from problems or further(value, path)

        return Shape(check, self.schema)


def shape(**schema: t.Any) -> t.Callable[[Check], Shape]:
    return lambda check: Shape(check, schema)


def accepted_by(reader: t.Callable[[t.Any], t.Any]) -> Check:
    """What this function takes; its error is the sentence."""

    def check(value: t.Any, path: str) -> Problems:
        try:
            reader(value)
        except (ValueError, Problem) as error:
            yield f"{path}: {error}"

    return check


def any_case(*words: str) -> str:
    """The part of a pattern for one of these words, in upper or lower case, as JSON schemas have it."""
    letters = ("".join(f"[{c.upper()}{c}]" if c.isalpha() else c for c in word) for word in words)
    return f"({'|'.join(letters)})"


@shape()
def anything(value: t.Any, path: str) -> Problems:
    yield from ()


@shape(type=["string"])
def text(value: t.Any, path: str) -> Problems:
    if not isinstance(value, str):
        yield f"{path}: must be text, not {kind(value)}{_in_quotes(value)}"


@shape(type=["string", "number", "boolean"])
def scalar(value: t.Any, path: str) -> Problems:
    """Text, or what YAML makes of text that looks like a number or a truth value."""
    if not isinstance(value, (str, int, float, bool)):
        yield f"{path}: must be a single value, not {kind(value)}"


@shape(type=["integer", "string"], pattern=rf"^\s*-?[0-9]+\s*$|{TEMPLATE}")
def integer(value: t.Any, path: str) -> Problems:
    """Also as text, which is what a template gives."""
    if isinstance(value, bool) or not re.fullmatch(r"\s*-?[0-9]+\s*", str(value)):
        yield f"{path}: must be a number, not {value!r}"


@shape(
    type=["integer", "string"],
    minimum=1,
    maximum=65535,
    pattern=rf"^\s*[0-9]{{1,5}}\s*(,\s*[0-9]{{1,5}}\s*)*$|{TEMPLATE}",
)
def port(value: t.Any, path: str) -> Problems:
    """A number, or one for each host with commas."""
    for part in str(value).split(","):
        number = part.strip()
        if isinstance(value, bool) or not re.fullmatch("[0-9]{1,5}", number) or not 0 < int(number) < 65536:
            yield f"{path}: {number!r} is not a port, a number from 1 to 65535"


@shape(
    type=["boolean", "integer", "string"],
    minimum=0,
    maximum=1,
    pattern=rf"^\s*{any_case(*_BOOLEANS)}\s*$|{TEMPLATE}",
)
def boolean(value: t.Any, path: str) -> Problems:
    if str(value).strip().lower() not in _BOOLEANS:
        yield f"{path}: must be true or false, not {value!r}"


def choice(*values: str) -> Shape:
    def check(value: t.Any, path: str) -> Problems:
        if value not in values:
            yield f"{path}: must be one of {', '.join(values)}, not {value!r}{nearest(value, values)}"

    return Shape(check, {"anyOf": [{"enum": list(values)}, {"type": "string", "pattern": TEMPLATE}]})


def word(*values: str) -> Shape:
    """One of these in any case."""

    def check(value: t.Any, path: str) -> Problems:
        if not isinstance(value, str) or value.lower() not in values:
            yield f"{path}: must be one of {', '.join(values)}, not {value!r}{nearest(value, values)}"

    pattern = f"^{any_case(*values)}$|{TEMPLATE}"
    return Shape(check, {"anyOf": [{"enum": list(values)}, {"type": "string", "pattern": pattern}]})


def list_of(item: Shape, least: int = 0) -> Shape:
    def check(value: t.Any, path: str) -> Problems:
        if not isinstance(value, (list, tuple)):
            yield f"{path}: must be a list, not {kind(value)}"
            return
        if len(value) < least:
            yield f"{path}: must not be empty"
        for number, each in enumerate(value):
            yield from item(each, f"{path}[{number}]")

    schema: Schema = {"type": ["array", "string"], "items": item.schema, "pattern": TEMPLATE}
    return Shape(check, {**schema, **({"minItems": least} if least else {})})


def one_or_more(item: Shape) -> Shape:
    """A list, or one value, or several of them with commas, as Ansible reads an option that is a list."""
    several = list_of(item)

    def check(value: t.Any, path: str) -> Problems:
        yield from several(value, path) if isinstance(value, (list, tuple)) else scalar(value, path)

    return Shape(check, {"type": ["array", *scalar.schema["type"]], "items": item.schema})


def map_of(item: Shape, least: int = 0, key: Check | None = None) -> Shape:
    """A dictionary by names that the document chooses, with a further check of each name."""

    def check(value: t.Any, path: str) -> Problems:
        if not isinstance(value, t.Mapping):
            yield f"{path}: must be a dictionary, not {kind(value)}"
            return
        if len(value) < least:
            yield f"{path}: must not be empty"
        for name, each in value.items():
            if not isinstance(name, str):
                yield f"{path}.{name}: a name must be text, not {kind(name)}{_in_quotes(name)}"
                continue
            yield from key(name, f"{path}.{name}") if key else ()
            yield from item({} if each is None else each, f"{path}.{name}")

    each = item.schema if item.schema.get("required") else nullable(item.schema)
    schema: Schema = {"type": ["object", "string"], "additionalProperties": each, "pattern": TEMPLATE}
    return Shape(check, {**schema, **({"minProperties": least} if least else {})})


def keys(known: t.Mapping[str, Shape], required: t.Sequence[str] = (), own: bool = False) -> Shape:
    """A dictionary of these keys; with ``own``, those that begin with ``x_`` are the document's own."""

    def check(value: t.Any, path: str) -> Problems:
        if not isinstance(value, t.Mapping):
            yield f"{path}: must be a dictionary, not {kind(value)}"
            return
        for key in required:
            if value.get(key) in (None, ""):
                yield f"{path}: {key} is missing"
        for key, item in value.items():
            if key in known:
                if item is not None and not (item == "" and key in required):
                    yield from known[key](item, f"{path}.{key}")
            elif not (own and str(key).startswith(OWN_KEYS)):
                yield f"{path}: unknown key {key}{nearest(key, known)}"

    properties = {
        key: {**each.schema, "minLength": 1} if key in required else nullable(each.schema)
        for key, each in known.items()
    }
    schema: Schema = {
        "type": ["object", "string"],
        "properties": properties,
        **({"patternProperties": {f"^{OWN_KEYS}": {}}} if own else {}),
        "additionalProperties": False,
        "pattern": TEMPLATE,
    }
    return Shape(check, {**schema, **({"required": list(required)} if required else {})})


def options_of(
    resource: Resource,
    beside: t.Collection[str],
    also: t.Mapping[str, Shape] | None = None,
    required: t.Sequence[str] = (),
) -> Shape:
    """The options of a module but for these, which the document says elsewhere; each value by its declaration."""
    fields = {field.option: field for field in resource.fields}
    known: dict[str, Shape] = {}
    for option, spec in resource.argument_spec().items():
        for name in (option, *spec.get("aliases", ())):
            if option not in beside:
                known[name] = _by_its_field(_option(spec), fields.get(option))

    def together(value: t.Any, path: str) -> Problems:
        for excluding in resource.constraints.get("mutually_exclusive", ()):
            given = [option for option in excluding if value.get(option) is not None]
            if len(given) > 1:
                yield f"{path}: {' and '.join(given)} exclude each other"

    return keys({**known, **(also or {})}, required).where(together)


def _option(spec: t.Mapping[str, t.Any]) -> Shape:
    if "choices" in spec:
        return choice(*spec["choices"])
    elements = map_of(anything) if spec.get("elements") == "dict" else scalar
    by_type = {"str": scalar, "int": integer, "bool": boolean, "dict": map_of(anything), "list": one_or_more(elements)}
    return by_type.get(spec["type"], anything)


def _by_its_field(of: Shape, field: Field | None) -> Shape:
    """What the module would say of the value.  A secret is not shown."""
    if field is None or field.spec.get("no_log"):
        return of

    def normalized(value: t.Any) -> t.Any:
        return field.normalize(value.split(",") if field.type == "list" and isinstance(value, str) else value)

    return of.where(accepted_by(normalized))


def nullable(schema: Schema) -> Schema:
    """The same, or nothing, which is as if the key were not there."""
    if "anyOf" in schema:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {**schema, "type": [*schema["type"], "null"]} if "type" in schema else schema


def kind(value: t.Any) -> str:
    kinds = (
        (str, "text"),
        (bool, "a truth value"),
        (t.Mapping, "a dictionary"),
        ((list, tuple), "a list"),
        (type(None), "nothing"),
        ((int, float), "a number"),
    )
    return next((name for of, name in kinds if isinstance(value, of)), f"a {type(value).__name__}")


def nearest(given: t.Any, known: t.Iterable[str]) -> str:
    found = difflib.get_close_matches(str(given), list(known), 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _in_quotes(value: t.Any) -> str:
    return "; write it in quotes" if isinstance(value, (int, float)) else ""
