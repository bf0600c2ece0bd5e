# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""What is wrong in ``vault_databases`` and ``vault_applications``: all of it at once, each with its path, without asking a server.

A shape checks one value and yields a sentence for each problem, such as
``vault_databases[2].roles.billing.in_role: 'app_roo' is none of the groups app_ro, app_rw; did you mean app_ro?``.
The options of roles and connections are those of the modules, by their own declarations.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name as vault_name
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import parse_addresses
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import CONNECTION
from ansible_collections.leasehold.vault.plugins.module_utils._resources.dependents import Place, canonical
from ansible_collections.leasehold.vault.plugins.module_utils._resources.role import ROLE
from ansible_collections.leasehold.vault.plugins.module_utils._resources.static_role import STATIC_ROLE

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Resource

Values = t.Mapping[str, t.Any]
Problems = t.Iterator[str]
Shape = t.Callable[[t.Any, str], Problems]

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


# -- shapes ---------------------------------------------------------------------------------------------------------------


def anything(value: t.Any, path: str) -> Problems:
    yield from ()


def text(value: t.Any, path: str) -> Problems:
    if not isinstance(value, str):
        yield f"{path}: must be text, not {_kind(value)}"


def scalar(value: t.Any, path: str) -> Problems:
    """Text, or what YAML makes of text that looks like a number or a truth value."""
    if not isinstance(value, (str, int, float, bool)):
        yield f"{path}: must be a single value, not {_kind(value)}"


def integer(value: t.Any, path: str) -> Problems:
    """Also as text, which is what a template gives."""
    if isinstance(value, bool) or not str(value).strip().lstrip("-").isdigit():
        yield f"{path}: must be a number, not {value!r}"


def port(value: t.Any, path: str) -> Problems:
    """A number, or one for each host with commas."""
    for part in str(value).split(","):
        if isinstance(value, bool) or not part.strip().isdigit() or not 0 < int(part) < 65536:
            yield f"{path}: {part.strip()!r} is not a port, a number from 1 to 65535"


def boolean(value: t.Any, path: str) -> Problems:
    if str(value).strip().lower() not in ("true", "false", "yes", "no", "on", "off", "1", "0"):
        yield f"{path}: must be true or false, not {value!r}"


def choice(*values: str) -> Shape:
    def check(value: t.Any, path: str) -> Problems:
        if value not in values:
            yield f"{path}: must be one of {', '.join(values)}, not {value!r}{_nearest(value, values)}"

    return check


def list_of(shape: Shape) -> Shape:
    def check(value: t.Any, path: str) -> Problems:
        if not isinstance(value, (list, tuple)):
            yield f"{path}: must be a list, not {_kind(value)}"
            return
        for number, item in enumerate(value):
            yield from shape(item, f"{path}[{number}]")

    return check


def map_of(shape: Shape) -> Shape:
    """A dictionary by names that the document chooses."""

    def check(value: t.Any, path: str) -> Problems:
        if not isinstance(value, t.Mapping):
            yield f"{path}: must be a dictionary, not {_kind(value)}"
            return
        for key, item in value.items():
            yield from shape({} if item is None else item, f"{path}.{key}")

    return check


def keys(known: t.Mapping[str, Shape], required: t.Sequence[str] = ()) -> Shape:
    """A dictionary of these keys; those that begin with ``x_`` are the document's own."""

    def check(value: t.Any, path: str) -> Problems:
        if not isinstance(value, t.Mapping):
            yield f"{path}: must be a dictionary, not {_kind(value)}"
            return
        for key in required:
            if value.get(key) in (None, ""):
                yield f"{path}: {key} is missing"
        for key, item in value.items():
            if key in known:
                if item is not None:
                    yield from known[key](item, f"{path}.{key}")
            elif not str(key).startswith("x_"):
                yield f"{path}: unknown key {key}{_nearest(key, known)}"

    return check


def _kind(value: t.Any) -> str:
    kinds = (
        (str, "text"),
        (bool, "a truth value"),
        (t.Mapping, "a dictionary"),
        ((list, tuple), "a list"),
        (type(None), "nothing"),
    )
    return next((word for kind, word in kinds if isinstance(value, kind)), "a number")


def _nearest(given: t.Any, known: t.Iterable[str]) -> str:
    found = difflib.get_close_matches(str(given), list(known), 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""


def options_of(resource: Resource, beside: t.Collection[str]) -> Shape:
    """The options of a module but for these, which the document says elsewhere; each value by its declaration."""
    by_type = {"str": scalar, "int": integer, "bool": boolean, "dict": map_of(anything), "list": anything}
    fields = {field.option: field for field in resource.fields}
    known: dict[str, Shape] = {}
    for option, spec in resource.argument_spec().items():
        for word in (option, *spec.get("aliases", ())):
            if option not in beside:
                known[word] = choice(*spec["choices"]) if "choices" in spec else by_type.get(spec["type"], anything)

    def check(value: t.Any, path: str) -> Problems:
        problems = list(keys(known)(value, path))
        yield from problems
        if problems:
            return
        for option, given in value.items():
            if option in fields and not fields[option].spec.get("no_log"):
                try:
                    fields[option].desired_value({option: given})
                except Problem as problem:
                    yield f"{path}.{problem}"

    return check


# -- the document ---------------------------------------------------------------------------------------------------------

PRIVILEGES = list_of(text)
GROUP = keys(
    {
        "schemas": list_of(text),
        "schema_privileges": PRIVILEGES,
        "tables": PRIVILEGES,
        "sequences": PRIVILEGES,
        "functions": PRIVILEGES,
        "shared": boolean,
    }
)
DATABASE = keys(
    {
        "name": text,
        "host": text,
        "port": port,
        "database": text,
        "sslmode": choice(*SSL_MODES),
        "ca_cert": text,
        "ca_cert_on_vault": text,
        "client_cert": text,
        "client_key": text,
        "url_parameters": map_of(scalar),
        "connection_url": text,
        "admin": keys({"username": text, "password": scalar}, ["username"]),
        "owner": text,
        "groups": map_of(GROUP),
        "users": map_of(keys({"in_role": list_of(text)})),
        "creators": list_of(text),
        "connect": list_of(text),
        "replicas": list_of(keys({"host": text, "port": port}, ["host"])),
        "pooler": keys({"kind": choice("pgbouncer"), "auth_user": text, "auth_dbname": text}, ["kind"]),
        "functions": choice("leasehold", "none"),
        "options": options_of(CONNECTION, ("mount", "name")),
        "roles": map_of(options_of(ROLE, ("mount", "name", "db_name"))),
        "static_roles": map_of(options_of(STATIC_ROLE, ("mount", "name", "db_name"))),
        "verify": choice("none", "issue", "login"),
        "login": keys({"host": text, "port": port, "ca_cert": text}),
    },
    ["name", "admin"],
)
APPLICATION = keys(
    {
        "name": text,
        "state": choice("present", "absent"),
        "roles": list_of(text),
        "static_roles": list_of(text),
        "policies": list_of(text),
        # What these hold is checked by those who use it.
        "auth": map_of(anything),
        "deliver": map_of(anything),
        "manifests": map_of(anything),
        "agent": map_of(anything),
    },
    ["name"],
)


def problems_of(databases: t.Any, applications: t.Any = None, max_lease_ttl: t.Any = None) -> list[str]:
    """The problems of both lists, in their order.  ``max_lease_ttl`` is the limit that the document gives the mount, if it does."""
    found: list[str] = []
    if databases is not None:
        found += list_of(DATABASE)(databases, "vault_databases")
    if applications is not None:
        found += list_of(APPLICATION)(applications, "vault_applications")
    entries = [(f"vault_databases[{number}]", entry) for number, entry in _dictionaries(databases)]
    found += _names(entries)
    for path, entry in entries:
        found += _addresses(path, entry)
        found += _addresses(f"{path}.login", _within(entry, "login"))
        for number, replica in _dictionaries(entry.get("replicas")):
            found += _addresses(f"{path}.replicas[{number}]", replica)
        found += _pooler(path, entry)
    found += _admins(entries)
    for path, entry in entries:
        found += _roles(path, entry, max_lease_ttl)
    if entries:
        found += _applications(entries, applications)
    return found


def _dictionaries(value: t.Any) -> list[tuple[int, Values]]:
    entries = value if isinstance(value, (list, tuple)) else []
    return [(number, entry) for number, entry in enumerate(entries) if isinstance(entry, t.Mapping)]


def _within(entry: Values, key: str) -> Values:
    """A dictionary of an entry; empty if it is another thing, which its shape says."""
    current = entry.get(key)
    return current if isinstance(current, t.Mapping) else {}


def _names(entries: t.Sequence[tuple[str, Values]]) -> Problems:
    """Names in Vault, each once: connections, and roles and static roles of all entries together."""
    connections: dict[str, str] = {}
    roles: dict[str, str] = {}
    for path, entry in entries:
        named = [(connections, f"{path}.name", entry["name"])] if isinstance(entry.get("name"), str) else []
        named += [
            (roles, f"{path}.{kind}.{name}", name)
            for kind in ("roles", "static_roles")
            for name in _within(entry, kind)
        ]
        for seen, where, name in named:
            try:
                vault_name(name)
            except ValueError as error:
                yield f"{where}: {error}"
            if name in seen:
                yield f"{where}: {name!r} is there already as {seen[name]}"
            seen.setdefault(name, where)


def _addresses(path: str, entry: Values) -> Problems:
    """Hosts and ports as the URL for Vault and the logins will have them; ports alone are told by their shape."""
    host, beside = entry.get("host"), entry.get("port")
    if isinstance(host, str) and (beside is None or not list(port(beside, ""))):
        try:
            parse_addresses(host, beside)
        except ValueError as error:
            yield f"{path}.{error}"


def _pooler(path: str, entry: Values) -> Problems:
    """A pooler asks for passwords as its auth_user, which loses CONNECT when it is taken from PUBLIC."""
    pooler = _within(entry, "pooler")
    user = pooler.get("auth_user")
    here = pooler.get("auth_dbname") in (None, "", entry.get("database"))
    guests = entry.get("connect")
    if (
        user
        and here
        and user not in (guests if isinstance(guests, (list, tuple)) else ())
        and user != entry.get("owner")
    ):
        yield (
            f"{path}.pooler.auth_user: CONNECT to {entry.get('database')} is taken from PUBLIC, and {user!r} is not in {path}.connect: each new login through "
            "the pooler would fail. Add it there, or name in auth_dbname the database in which the pooler asks"
        )


def _admins(entries: t.Sequence[tuple[str, Values]]) -> Problems:
    """No admin role in two entries of one server: rotating its password in one would lock the other out."""
    keepers: list[tuple[str, Place]] = []
    for path, entry in entries:
        user, hosts = _within(entry, "admin").get("username"), entry.get("host")
        if not user or entry.get("connection_url"):
            continue
        try:
            addresses = parse_addresses(hosts, entry.get("port"))
        except ValueError:
            continue  # told by _addresses
        place = Place(frozenset(f"{canonical(host)}:{number}" for host, number in addresses), "", str(user))
        for other, current in keepers:
            if current.user == place.user and current.shares_server(place):
                yield (
                    f"{path}.admin.username: {user!r} is the admin role of {other}, too, which is on the same server. Rotating its password "
                    "through one of them would lock the other out; give each its own"
                )
        keepers.append((path, place))


def _roles(path: str, entry: Values, max_lease_ttl: t.Any) -> Problems:
    groups = _within(entry, "groups")
    for name, role in _within(entry, "roles").items():
        if not isinstance(role, t.Mapping):
            continue
        where, group = f"{path}.roles.{name}", role.get("in_role")
        if groups and isinstance(group, str) and group not in groups:
            yield (
                f"{where}.in_role: {group!r} is none of the groups {', '.join(sorted(map(str, groups)))}"
                f"{_nearest(group, map(str, groups))}"
            )
        try:
            limits = {
                **{option: seconds(role[option]) for option in ("default_ttl", "max_ttl") if role.get(option)},
                "max_lease_ttl": seconds(max_lease_ttl or 0),
            }
        except ValueError:
            continue  # told by its shape
        for shorter, longer, whose in (
            ("default_ttl", "max_ttl", "max_ttl"),
            ("default_ttl", "max_lease_ttl", "max_lease_ttl of the mount"),
            ("max_ttl", "max_lease_ttl", "max_lease_ttl of the mount"),
        ):
            if limits.get(longer) and limits.get(shorter, 0) > limits[longer]:
                yield f"{where}.{shorter}: {limits[shorter]} s is longer than {whose} ({limits[longer]} s)"


def _applications(entries: t.Sequence[tuple[str, Values]], applications: t.Any) -> Problems:
    """What applications read must be a role of the document."""
    for kind in ("roles", "static_roles"):
        known = [str(name) for _path, entry in entries for name in _within(entry, kind)]
        for number, application in _dictionaries(applications):
            given = application.get(kind)
            for role in given if isinstance(given, (list, tuple)) and application.get("state") != "absent" else ():
                if isinstance(role, str) and role not in known:
                    word = kind.replace("_", " ")
                    yield (
                        f"vault_applications[{number}].{kind}: {role!r} is none of the {word} of vault_databases "
                        f"({', '.join(sorted(known)) or 'there are none'}){_nearest(role, known)}"
                    )
