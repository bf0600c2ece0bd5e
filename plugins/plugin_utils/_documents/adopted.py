# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.


"""An engine that somebody else has set up, as the document (``vault_databases``) that reproduces it."""

from __future__ import annotations

import re
import shlex
import textwrap
import typing as t
from urllib.parse import quote, urlencode

import yaml
from ansible_collections.leasehold.vault.plugins.module_utils._core import statements as _statements
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Plan
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import usernames
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import (
    join_parameters,
    parse_addresses,
    parse_url,
    url_parts,
)
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import CONNECTION
from ansible_collections.leasehold.vault.plugins.module_utils._resources.role import ROLE
from ansible_collections.leasehold.vault.plugins.module_utils._resources.static_role import STATIC_ROLE

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Resource

Values = dict[str, t.Any]
NEEDED = "__needed__"
ALWAYS_WRITTEN = ("password_authentication",)
"""Said at the server's default, too, because a new connection is made with another value."""
COMMENT = "# password: needed only if the connection has to be made anew"


def adopted_databases(
    connections: list[Values], roles: list[Values], static_roles: list[Values], mount: str = "database"
) -> str:
    """YAML text with ``vault_database_mount`` and ``vault_databases``; what is at the server's default is left out.

    What cannot be managed as it is, or not be written down whole, is named at the end, each with what to do.
    """
    problems = problems_of_adoption(connections, roles, static_roles, mount)
    left = {path for path, _why, _command in problems if path}
    databases = [
        {
            "name": connection["name"],
            **_connection(connection),
            "roles": {
                role["name"]: _role(role)
                for role in roles
                if role.get("db_name") == connection["name"] and f"{mount}/roles/{role['name']}" not in left
            },
            "static_roles": {
                role["name"]: _entry(STATIC_ROLE, role, "db_name", "last_vault_rotation")
                for role in static_roles
                if role.get("db_name") == connection["name"] and f"{mount}/static-roles/{role['name']}" not in left
            },
        }
        for connection in connections
        if f"{mount}/config/{connection['name']}" not in left
    ]
    text = yaml.dump(
        _plain({"vault_database_mount": mount, "vault_databases": databases}),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=1000,
    )
    return "---\n" + text.replace(f"password: {NEEDED}", COMMENT) + _as_comments(problems)


class NotAdopted(t.NamedTuple):
    """What was not adopted, or not whole."""

    path: str
    """Of an object that is not in the document; empty if it is there, and only something of it is not."""
    why: str
    command: str
    """What makes it manageable; empty if nothing has to be done."""


def problems_of_adoption(
    connections: list[Values], roles: list[Values], static_roles: list[Values], mount: str = "database"
) -> list[NotAdopted]:
    """Everything that the document does not hold, with the command that makes it manageable."""
    problems: list[NotAdopted] = []
    adopted: set[str] = set()
    for connection in connections:
        found = _problem_of_connection(connection, mount)
        if found:
            problems.append(found)
            continue
        adopted.add(connection["name"])
        others = connection.get("unknown_options_set") or []
        if others:
            why = f"{mount}/config/{connection['name']} has options that are not known here ({', '.join(others)}); they stay as they are."
            problems.append(NotAdopted("", why, ""))
        if connection.get("tls_certificate"):
            why = (
                f"{mount}/config/{connection['name']} has a private_key, which Vault does not show; it stays as it is."
            )
            problems.append(NotAdopted("", why, ""))
    for kind, resource, objects in (("roles", ROLE, roles), ("static-roles", STATIC_ROLE, static_roles)):
        for role in objects:
            found = _problem_of_role(resource, role, f"{mount}/{kind}/{role['name']}", connections, adopted)
            problems += [found] if found else []
    return problems


def _problem_of_connection(connection: Values, mount: str) -> NotAdopted | None:
    path = f"{mount}/config/{connection['name']}"
    if set(connection) == {"name"}:
        return _unusable_name(path, "a connection")
    username, url = str(connection.get("username") or ""), str(connection.get("connection_url") or "")
    why = _refusal(CONNECTION, {"username": "unknown", **connection})
    if not why and username:
        return None
    if connection.get("auth_type") or connection.get("self_managed"):
        why = "it has no user of its own, and an entry of the document has; keep it with leasehold.vault.database_connection"
        return NotAdopted(path, why, "")
    if why.startswith("username_template"):
        return NotAdopted(path, why, f"bao write {path} {shlex.quote(f'username_template={usernames.TEMPLATE}')}")
    why = why or "it has no username, so that its password cannot be rotated."
    own, better = _templated(url)
    words = [path, f"connection_url={better}"] if better != url else [path]
    if not username:
        words += [f"username={own or 'USER'}", "password=-"]
    return NotAdopted(path, why, f"bao write {' '.join(shlex.quote(word) for word in words)}")


def _problem_of_role(
    resource: Resource, role: Values, path: str, connections: list[Values], adopted: set[str]
) -> NotAdopted | None:
    name = role.get("db_name")
    if set(role) == {"name"}:
        return _unusable_name(path, "a role")
    if name not in {connection["name"] for connection in connections}:
        why = f"its connection {name} does not exist. If it is needed no more: bao delete {path}"
        return NotAdopted(path, why, f"bao write {path} db_name=CONNECTION" + _repeated(resource, role))
    if name not in adopted:
        return NotAdopted(path, f"its connection {name} was not adopted; afterwards run adopt again.", "")
    why = _refusal(resource, role)
    if not why:
        return None
    shorter = min((role[ttl] for ttl in ("default_ttl", "max_ttl") if role.get(ttl)), default=0)
    return NotAdopted(path, why, f"bao write {path} default_ttl={shorter}" if "default_ttl" in why else "")


def _repeated(resource: Resource, role: Values) -> str:
    """Vault wants some fields in every write."""
    fields = [field.option for field in resource.fields if field.resend and role.get(field.option)]
    return "".join(f" {option}={shlex.quote(str(role[option]))}" for option in fields)


def _unusable_name(path: str, what: str) -> NotAdopted:
    return NotAdopted(
        path, f"this collection does not write a name like this into a path; make {what} with another name.", ""
    )


def _refusal(resource: Resource, current: Values) -> str:
    """Why our module would refuse the object as it is; empty if it would not."""
    kept = {field.option for field in (*resource.identity, *resource.fields) if field.storage == "readable"}
    try:
        desired = resource.derive({option: value for option, value in current.items() if option in kept})
        for rule in resource.validators:
            list(rule(desired, Plan("none", current, current, {})))
    except Refused as refusal:
        return str(refusal)
    return ""


def _templated(url: str) -> tuple[str, str]:
    """The user in a connection's URL or keywords, and the same as a URL that has neither user nor password."""
    try:
        if re.match(r"postgres(ql)?://", url):
            credentials, addresses, database, parameters = parse_url(url)
            user = credentials.partition(":")[0]
        else:
            words = {key: one.strip("'") for key, one in re.findall(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", url)}
            addresses = parse_addresses(words.pop("host", ""), words.pop("port", None))
            database, user = words.pop("dbname", ""), words.pop("user", "")
            parameters = words
        if not any(address.host for address in addresses):
            raise ValueError("it has no host")
    except ValueError:
        return "", "postgresql://{{username}}:{{password}}@HOST:5432/DATABASE"
    kept = {key: value for key, value in parameters.items() if "password" not in key.lower()}
    authority, hosts = url_parts(addresses)
    query = join_parameters(hosts, urlencode(kept, quote_via=quote, safe="/"))
    better = f"postgresql://{{{{username}}}}:{{{{password}}}}@{authority}/{quote(database, safe='')}{query}"
    return ("" if "{{" in user else user), better


def _as_comments(problems: list[NotAdopted]) -> str:
    if not problems:
        return ""
    text = "\n# Not in this document. What a command is given for can be managed after it: run adopt again then. password=- is read from\n"
    text += "# standard input; vault does the same as bao.\n"
    for path, why, command in problems:
        lines = textwrap.wrap(f"{path}: {why}" if path else why, 136, break_long_words=False, break_on_hyphens=False)
        text += "#\n" + "".join(f"# {line}\n" for line in lines) + (f"#   {command}\n" if command else "")
    return text


def _connection(connection: Values) -> Values:
    result = _entry(CONNECTION, connection, "username", "connection_url", "root_rotated_at")
    allowed = result.pop("allowed_roles", [])
    return {
        "connection_url": connection.get("connection_url", ""),
        "admin": {"username": connection.get("username", ""), "password": NEEDED},
        "options": {**result, "allowed_roles": allowed},
    }


def _role(role: Values) -> Values:
    """With ``in_role`` where the statements are the ones it writes."""
    result = _entry(ROLE, role, "db_name")
    current = {option: role.get(option) or [] for option in _statements.OWNED}
    for shorthand in _statements.shorthands(current):
        rest = {key: value for key, value in result.items() if key not in _statements.OWNED}
        return {**shorthand, **rest}
    return result


def _entry(resource: Resource, current: Values, *but: str) -> Values:
    """What the server would not do by itself."""
    return {
        field.option: current[field.option]
        for field in resource.fields
        if field.storage == "readable"
        and field.option not in but
        and current.get(field.option) is not None
        and (current[field.option] != field.default or field.option in ALWAYS_WRITTEN)
    }


def _plain(value: t.Any) -> t.Any:
    """Without Ansible's own kinds of text and list, which YAML does not know."""
    if isinstance(value, dict):
        return {str.__str__(key): _plain(current) for key, current in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(current) for current in value]
    return str.__str__(value) if isinstance(value, str) else value


class _Dumper(yaml.SafeDumper):
    """Writes SQL as blocks, and marks what has braces so that Ansible leaves them alone."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def _text(dumper: t.Any, text: str) -> t.Any:
    tag = "!unsafe" if "{{" in text or "{%" in text or "{#" in text else "tag:yaml.org,2002:str"
    return dumper.represent_scalar(tag, str(text), style="|" if "\n" in text else ('"' if tag == "!unsafe" else None))


_Dumper.add_representer(str, _text)


def adoption_problems(
    connections: list[Values], roles: list[Values], static_roles: list[Values], mount: str = "database"
) -> list[str]:
    """What was not adopted, a sentence each."""
    found = problems_of_adoption(connections, roles, static_roles, mount)
    return [f"{path}: {why}" if path else why for path, why, _command in found]
