# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine that somebody else has set up, as the one document that reproduces it."""

from __future__ import annotations

import typing as t

import yaml
from ansible_collections.leasehold.vault.plugins.module_utils import _statements
from ansible_collections.leasehold.vault.plugins.module_utils._resources import CONNECTION, ROLE, STATIC_ROLE

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._reconcile import Resource

Values = dict[str, t.Any]
NEEDED = "__needed__"
COMMENT = "# password: needed only if the connection has to be made anew"


def adopted_databases(
    connections: list[Values], roles: list[Values], static_roles: list[Values], mount: str = "database"
) -> str:
    """YAML text with ``vault_database_mount`` and ``vault_databases``; what is at the server's default is left out."""
    databases = [
        {
            "name": connection["name"],
            **_connection(connection),
            "roles": {role["name"]: _role(role) for role in roles if role.get("db_name") == connection["name"]},
            "static_roles": {
                role["name"]: _told(STATIC_ROLE, role, "db_name", "last_vault_rotation")
                for role in static_roles
                if role.get("db_name") == connection["name"]
            },
        }
        for connection in connections
    ]
    text = yaml.dump(
        _plain({"vault_database_mount": mount, "vault_databases": databases}),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=1000,
    )
    return "---\n" + text.replace(f"password: {NEEDED}", COMMENT)


def _connection(connection: Values) -> Values:
    told = _told(CONNECTION, connection, "username", "connection_url", "root_rotated_at")
    allowed = told.pop("allowed_roles", [])
    return {
        "connection_url": connection.get("connection_url", ""),
        "admin": {"username": connection.get("username", ""), "password": NEEDED},
        "options": {**told, "allowed_roles": allowed},
    }


def _role(role: Values) -> Values:
    """With ``in_role`` where the statements are the ones it writes."""
    told = _told(ROLE, role, "db_name")
    held = {option: role.get(option) or [] for option in _statements.OWNED}
    for shorthand in _statements.shorthands(held):
        rest = {key: value for key, value in told.items() if key not in _statements.OWNED}
        return {**shorthand, **rest}
    return told


def _told(resource: Resource, held: Values, *but: str) -> Values:
    """What the server would not do by itself."""
    defaults = {field.option: field.default for field in resource.fields if field.kept == "shown"}
    return {
        option: held[option]
        for option, default in defaults.items()
        if option not in but and held.get(option) is not None and held[option] != default
    }


def _plain(value: t.Any) -> t.Any:
    """Without Ansible's own kinds of text and list, which YAML does not know."""
    if isinstance(value, dict):
        return {str.__str__(key): _plain(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(held) for held in value]
    return str.__str__(value) if isinstance(value, str) else value


class _Dumper(yaml.SafeDumper):
    """Writes SQL as blocks, and marks what has braces so that Ansible leaves them alone."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def _text(dumper: t.Any, text: str) -> t.Any:
    tag = "!unsafe" if "{{" in text or "{%" in text or "{#" in text else "tag:yaml.org,2002:str"
    return dumper.represent_scalar(tag, str(text), style="|" if "\n" in text else ('"' if tag == "!unsafe" else None))


_Dumper.add_representer(str, _text)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"adopted_databases": adopted_databases}
