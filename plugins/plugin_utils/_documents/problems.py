# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""What is wrong in ``vault_databases`` and ``vault_applications``: all of it at once, each with its path, without asking a server.

The shape of each value is declared once; ``schema()`` is the same declarations for editors. What concerns more than one value follows below, such as
``vault_databases[2].roles.billing.in_role: 'app_roo' is none of the groups app_ro, app_rw; did you mean app_ro?``.
The options of roles and connections are those of the modules, by their own declarations.
"""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import postgresql_password
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name as vault_name
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import parse_addresses
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import (
    DEFINER,
    NAMES,
    PRIVILEGES,
    is_name,
    is_role_name,
    is_schema_name,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_role import ROLES
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import CONNECTION
from ansible_collections.leasehold.vault.plugins.module_utils._resources.dependents import LoginTarget, canonical
from ansible_collections.leasehold.vault.plugins.module_utils._resources.role import ROLE
from ansible_collections.leasehold.vault.plugins.module_utils._resources.static_role import STATIC_ROLE
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents import agent as _agent
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents import automation as _automation
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.access import BESIDE, METHODS, RESERVED, SHORT
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.shapes import (
    Check,
    Problems,
    Schema,
    Shape,
    accepted_by,
    anything,
    boolean,
    choice,
    keys,
    list_of,
    map_of,
    nearest,
    one_or_more,
    options_of,
    port,
    scalar,
    text,
    word,
)

Values = t.Mapping[str, t.Any]

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


# -- the document ---------------------------------------------------------------------------------------------------------


def _named(fits: t.Callable[[t.Any], bool], what: str) -> Check:
    def check(value: t.Any, path: str) -> Problems:
        if not fits(value):
            yield f"{path}: {value!r} cannot be {what}. {NAMES}"

    return check


_role_name = _named(is_role_name, "the name of a role here")
_in_vault = accepted_by(vault_name)


def _application_name(value: t.Any, path: str) -> Problems:
    yield from _in_vault(value, path)
    if value.lower() in RESERVED:
        yield f"{path}: {value!r} is the name of a policy that belongs to Vault itself; choose another"


NAME = text.where(_named(is_name, "the name of a database here"))
ROLE_NAME, VAULT_NAME = text.where(_role_name), text.where(_in_vault)
GROUP = keys(
    {
        "schemas": list_of(text.where(_named(is_schema_name, "a schema of a group")), least=1),
        **{key: list_of(word(*privileges), least=1) for key, privileges in PRIVILEGES.items()},
        "shared": boolean,
    },
    ["schemas"],
)
DATABASE = keys(
    {
        "name": VAULT_NAME,
        "host": text,
        "port": port,
        "database": NAME,
        "sslmode": choice(*SSL_MODES),
        "ca_cert": text,
        "ca_cert_on_vault": text,
        "client_cert": text,
        "client_key": text,
        "url_parameters": map_of(scalar),
        "connection_url": text,
        "admin": keys(
            {"username": ROLE_NAME, "password": scalar.where(accepted_by(postgresql_password))}, ["username"]
        ),
        "owner": ROLE_NAME,
        "groups": map_of(GROUP, least=1, key=_role_name),
        "users": map_of(keys({"in_role": list_of(text)}), key=_role_name),
        "creators": list_of(ROLE_NAME),
        "connect": list_of(ROLE_NAME),
        "replicas": list_of(keys({"host": text, "port": port}, ["host"])),
        "pooler": keys({"kind": choice("pgbouncer"), "auth_user": text, "auth_dbname": text}, ["kind"]),
        "functions": choice("leasehold", "none"),
        "options": options_of(CONNECTION, ("mount", "name")),
        "roles": map_of(options_of(ROLE, ("mount", "name", "db_name")), key=_in_vault),
        "static_roles": map_of(options_of(STATIC_ROLE, ("mount", "name", "db_name")), key=_in_vault),
        "migrations": options_of(
            ROLE, ("mount", "name", "db_name", "in_role", "set_role", "functions"), {"role": VAULT_NAME}, ["role"]
        ),
        "verify": choice("none", "issue", "login"),
        "login": keys({"host": text, "port": port, "ca_cert": text}),
    },
    ["name", "admin"],
    own=True,
)
_CLAIMS = {claim: anything for platform in _automation.PLATFORMS.values() for claim in platform.claims}
_MORE: t.Mapping[str, t.Mapping[str, Shape]] = {
    "kubernetes": dict.fromkeys(SHORT, one_or_more(scalar)),
    "automation": {
        **_CLAIMS,
        "platform": choice(*_automation.PLATFORMS),
        "audience": one_or_more(scalar),
        "branch": scalar,
    },
}
LIMIT = keys({"rate": scalar, "interval": scalar, "block_interval": scalar, "state": choice("present", "absent")})
_WHERE: dict[str, Shape] = {
    "role": text, "static_role": text, "host": text, "port": port, "database": text, "sslmode": choice(*SSL_MODES), "ca_cert": text,
}  # fmt: skip
_AGENT_FILE: dict[str, Shape] = {
    **_WHERE, "path": text, "format": choice("template", *_agent.ESCAPE), "owner": text, "group": text, "mode": scalar, "keys": anything,
    "section": text, "template": text,
}  # fmt: skip
_AGENT_EXEC: dict[str, Shape] = {
    **_WHERE,
    "command": list_of(scalar, least=1),
    "environment": anything,
    "stop_signal": text,
}
APPLICATION = keys(
    {
        "name": text.where(_application_name),
        "state": choice("present", "absent"),
        "roles": list_of(VAULT_NAME),
        "static_roles": list_of(VAULT_NAME),
        "policies": list_of(text),
        "auth": keys(
            {
                method: options_of(
                    ROLES[kind], ("mount", "name", "type"), {**dict.fromkeys(BESIDE, text), **_MORE.get(method, {})}
                )
                for method, kind in METHODS.items()
            }
        ),
        "limits": keys({"logins": LIMIT, "credentials": LIMIT}),
        # What these need of each other is checked by those who use them.
        "deliver": keys(
            {
                "hosts": list_of(text),
                "owner": text,
                "group": text,
                "valid_for": scalar,
                "wrap_ttl": scalar,
                "become": boolean,
            }
        ),
        "manifests": keys(
            {
                "kinds": list_of(choice("agent_injector", "external_secrets", "secrets_operator")),
                **dict.fromkeys(("directory", "namespace", "server", "workload", "annotations"), text),
            }
        ),
        "agent": keys(
            {
                "user": text,
                "group": text,
                "login": keys(
                    {method: keys(dict.fromkeys(("mount", *words), text)) for method, words in _agent.LOGIN.items()}
                ),
                "files": list_of(keys(_AGENT_FILE, ["path"])),
                "exec": keys(_AGENT_EXEC),
                "reload": list_of(scalar),
                "service": map_of(anything),
                "state": choice("present", "absent"),
            }
        ),
        "cutover": keys({"login": text, "role": VAULT_NAME, "accept": list_of(text)}, ["login"]),
    },
    ["name"],
    own=True,
)


def schema() -> Schema:
    """The JSON schema of a file of variables that holds the document, among others."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Variables of leasehold.vault",
        "type": "object",
        "properties": {
            "vault_databases": list_of(DATABASE).schema,
            "vault_applications": list_of(APPLICATION).schema,
        },
    }


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
        for check in (_addresses, _pooler, _parts, _users, _functions, _migrations):
            found += check(path, entry)
    found += _admins(entries)
    for path, entry in entries:
        found += _roles(path, entry, max_lease_ttl)
    if entries:
        found += _applications(entries, applications)
    found += _application_names(applications)
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
        migration_role = _within(entry, "migrations").get("role")
        named += [(roles, f"{path}.migrations.role", migration_role)] if isinstance(migration_role, str) else []
        for seen, where, name in named:
            if name in seen:
                yield f"{where}: {name!r} is there already as {seen[name]}"
            seen.setdefault(name, where)


def _addresses(path: str, entry: Values) -> Problems:
    """Hosts and ports as the URL for Vault and the logins will have them; ports alone are checked by their shape."""
    yield from _address(path, entry)
    yield from _address(f"{path}.login", _within(entry, "login"))
    for number, replica in _dictionaries(entry.get("replicas")):
        yield from _address(f"{path}.replicas[{number}]", replica)


def _address(path: str, entry: Values) -> Problems:
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


def _parts(path: str, entry: Values) -> Problems:
    """The owner, each group, the admin role and each user are different roles of PostgreSQL."""
    parts = [
        (f"{path}.owner", entry.get("owner")),
        (f"{path}.admin.username", _within(entry, "admin").get("username")),
        *((f"{path}.{kind}.{name}", name) for kind in ("groups", "users") for name in _within(entry, kind)),
    ]
    seen = {DEFINER: "the role that the functions run as"}
    for where, name in parts:
        if not isinstance(name, str):
            continue  # reported by the check of its shape
        if name in seen:
            yield f"{where}: {name!r} is {seen[name]}, too; owner, groups, admin role and users are different roles"
        seen.setdefault(name, where)


def _users(path: str, entry: Values) -> Problems:
    """Users of static roles are members of groups of the entry."""
    groups = _within(entry, "groups")
    for name, user in _within(entry, "users").items():
        given = user.get("in_role") if isinstance(user, t.Mapping) else None
        for number, group in enumerate(given if isinstance(given, (list, tuple)) else ()):
            if isinstance(group, str) and group not in groups:
                yield _no_group(f"{path}.users.{name}.in_role[{number}]", group, groups)


def _functions(path: str, entry: Values) -> Problems:
    """An admin role without CREATEROLE sets no passwords of others."""
    if entry.get("functions") == "leasehold" and _within(entry, "users"):
        yield (
            f"{path}.users: needs functions: none, because with the functions the admin role cannot set the passwords of static roles; give users and "
            "static_roles an entry of their own for this database, with another admin role"
        )


def _migrations(path: str, entry: Values) -> Problems:
    """Users for migrations act as the owner, which they do by statements of their own."""
    if entry.get("migrations") and not entry.get("owner"):
        yield f"{path}.migrations: its users act as the owner, and owner is missing"
    if entry.get("migrations") and entry.get("functions") == "leasehold":
        yield (
            f"{path}.migrations: needs functions: none, because the functions make no users that act as another role; give the migrations an entry of "
            "their own, with another admin role"
        )


def _no_group(where: str, name: str, groups: t.Iterable[t.Any]) -> str:
    known = sorted(map(str, groups))
    return f"{where}: {name!r} is none of the groups {', '.join(known)}{nearest(name, known)}"


def _admins(entries: t.Sequence[tuple[str, Values]]) -> Problems:
    """No admin role in two entries of one server: rotating its password in one would lock the other out."""
    keepers: list[tuple[str, LoginTarget]] = []
    for path, entry in entries:
        user, hosts = _within(entry, "admin").get("username"), entry.get("host")
        if not user or entry.get("connection_url"):
            continue
        try:
            addresses = parse_addresses(hosts, entry.get("port"))
        except ValueError:
            continue  # reported by _addresses
        target = LoginTarget(frozenset(f"{canonical(host)}:{number}" for host, number in addresses), "", str(user))
        for other, current in keepers:
            if current.user == target.user and current.shares_server(target):
                yield (
                    f"{path}.admin.username: {user!r} is the admin role of {other}, too, which is on the same server. Rotating its password "
                    "through one of them would lock the other out; give each its own"
                )
        keepers.append((path, target))


def _roles(path: str, entry: Values, max_lease_ttl: t.Any) -> Problems:
    groups = _within(entry, "groups")
    named = {f"{path}.roles.{name}": role for name, role in _within(entry, "roles").items()}
    for where, role in {**named, f"{path}.migrations": _within(entry, "migrations")}.items():
        if not isinstance(role, t.Mapping):
            continue
        group = role.get("in_role")
        if groups and isinstance(group, str) and group not in groups:
            yield _no_group(f"{where}.in_role", group, groups)
        heir = role.get("reassign_owned_to")
        if groups and isinstance(heir, str) and heir not in (entry.get("owner"), *groups):
            yield (
                f"{where}.reassign_owned_to: {heir!r} is neither the owner nor one of the groups {', '.join(sorted(map(str, groups)))}; nobody lets the "
                "admin role hand out anything else, so that every revocation would fail"
            )
        limits = {
            "default_ttl": _seconds(role.get("default_ttl")),
            "max_ttl": _seconds(role.get("max_ttl")),
            "max_lease_ttl": _seconds(max_lease_ttl),
        }
        for shorter, longer, whose in (
            ("default_ttl", "max_ttl", "max_ttl"),
            ("default_ttl", "max_lease_ttl", "max_lease_ttl of the mount"),
            ("max_ttl", "max_lease_ttl", "max_lease_ttl of the mount"),
        ):
            if limits[longer] and limits[shorter] > limits[longer]:
                yield f"{where}.{shorter}: {limits[shorter]} s is longer than {whose} ({limits[longer]} s)"


def _seconds(duration: t.Any) -> int:
    """0 for what is no duration, which its shape says."""
    try:
        return seconds(duration or 0)
    except ValueError:
        return 0


def _applications(entries: t.Sequence[tuple[str, Values]], applications: t.Any) -> Problems:
    """What applications read must be a role of the document."""
    for kind in ("roles", "static_roles"):
        known = [str(name) for _path, entry in entries for name in _within(entry, kind)]
        if kind == "roles":
            known += [str(role) for _path, entry in entries if (role := _within(entry, "migrations").get("role"))]
        for number, application in _dictionaries(applications):
            given = application.get(kind)
            for role in given if isinstance(given, (list, tuple)) and application.get("state") != "absent" else ():
                if isinstance(role, str) and role not in known:
                    what = kind.replace("_", " ")
                    yield (
                        f"vault_applications[{number}].{kind}: {role!r} is none of the {what} of vault_databases "
                        f"({', '.join(sorted(known)) or 'there are none'}){nearest(role, known)}"
                    )


def _application_names(applications: t.Any) -> Problems:
    """Vault keeps names of policies and auth roles in lower case."""
    seen: dict[str, str] = {}
    for number, application in _dictionaries(applications):
        name, where = application.get("name"), f"vault_applications[{number}].name"
        if isinstance(name, str) and name.lower() in seen:
            yield f"{where}: {name!r} is there already as {seen[name.lower()]}; Vault keeps names of policies in lower case"
        elif isinstance(name, str):
            seen[name.lower()] = where
