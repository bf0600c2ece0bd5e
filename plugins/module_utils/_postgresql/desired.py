# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What the document asks of PostgreSQL, checked as far as that is possible without a server."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import postgresql_password

Values = t.Mapping[str, t.Any]

DEFINER = "leasehold_definer"
"""The role that the functions run as."""
PRIVILEGES = {
    "schema_privileges": ("usage", "create"),
    "tables": ("select", "insert", "update", "delete", "truncate", "references", "trigger", "maintain"),
    "sequences": ("usage", "select", "update"),
    "functions": ("execute",),
}
"""By the key of a group: the privileges on schemas and on the objects in them."""
_PLAIN = re.compile(r"[A-Za-z_]([A-Za-z0-9_ $@-]{0,61}[A-Za-z0-9_$@-])?", re.ASCII)
_RESERVED = re.compile(r"(?i:public|none|current_role|current_user|session_user|pg_.*|v-.*)")
NAMES = (
    "Names are 1 to 63 ASCII letters, digits, spaces and the signs _ - $ @, they begin with a letter or _ and do not end with a space; roles are not "
    "called public, current_user or the like, and do not begin with pg_ or v-; schemas do not begin with pg_ and are not information_schema or leasehold."
)
_RESERVED_SCHEMA = re.compile(r"pg_.*|information_schema|leasehold")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Group:
    """A role that holds privileges."""

    name: str
    schemas: tuple[str, ...]
    privileges: t.Mapping[str, frozenset[str]]
    """By kind, in upper case; a kind that is not there is not managed."""
    shared: bool = False
    """Whether it may be a group of several databases of one server."""


@dataclasses.dataclass(frozen=True)
class User:
    """A role that a static role of Vault is about."""

    name: str
    in_role: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Entry:
    """The PostgreSQL side of one connection."""

    name: str
    database: str
    owner: str
    admin: str
    password: str = dataclasses.field(default="", repr=False)
    groups: tuple[Group, ...] = ()
    creators: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()
    """Other roles that may connect."""
    heirs: tuple[str, ...] = ()
    """Roles that get what a user owned, besides its group."""
    users_act_as_owner: bool = False
    users: tuple[User, ...] = ()
    functions: str = ""
    """``leasehold`` or ``none``; empty: by the version of the server."""

    @property
    def schemas(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(schema for group in self.groups for schema in group.schemas))

    @property
    def group_names(self) -> tuple[str, ...]:
        return tuple(group.name for group in self.groups)

    @property
    def acted_as(self) -> tuple[str, ...]:
        """The roles whose attributes users may have, by SET ROLE."""
        return (*self.group_names, *([self.owner] if self.users_act_as_owner else []))

    @property
    def handed_out(self) -> tuple[str, ...]:
        """The roles that the admin grants to users."""
        return tuple(dict.fromkeys([*self.group_names, *self.heirs]))

    @property
    def makers(self) -> tuple[str, ...]:
        """The roles that create tables."""
        return tuple(dict.fromkeys([self.owner, *self.creators]))

    @property
    def roles(self) -> tuple[str, ...]:
        others = (*self.guests, *self.heirs, *(user.name for user in self.users))
        return tuple(dict.fromkeys([*self.makers, self.admin, *self.group_names, *others]))

    def uses_functions(self, version: int) -> bool:
        """Before PostgreSQL 16 an admin with CREATEROLE could change nearly any role."""
        return (self.functions or ("leasehold" if version < 160000 else "none")) == "leasehold"

    def receiver(self, version: int) -> str:
        """The role that grants the groups to users, by ADMIN OPTION."""
        return DEFINER if self.uses_functions(version) else self.admin


def read_entries(databases: t.Sequence[Values], login_user: str) -> list[Entry]:
    """The entries of the document; refused with everything that is wrong in them."""
    problems = [problem for number, given in enumerate(databases) for problem in _problems(number, given, login_user)]
    if problems:
        raise Refused(" ".join(problems))
    return [_entry(given) for given in databases]


def read_settings(settings: Values | None) -> dict[str, str]:
    """The settings of the admin role, as PostgreSQL keeps them."""
    for name in settings or {}:
        if not _SETTING.fullmatch(str(name)):
            raise Refused(f"admin_settings: {name!r} is not the name of a setting of PostgreSQL.")
    return {
        name: ("on" if value else "off") if isinstance(value, bool) else str(value)
        for name, value in (settings or {}).items()
    }


def _entry(given: Values) -> Entry:
    groups = tuple(
        Group(
            name,
            tuple(dict.fromkeys(group["schemas"])),
            {
                kind: frozenset(privilege.upper() for privilege in given_privileges)
                for kind, given_privileges in {"schema_privileges": ["usage"], **group}.items()
                if kind in PRIVILEGES and given_privileges is not None
            },
            bool(group.get("shared")),
        )
        for name, group in given["groups"].items()
    )
    return Entry(
        name=given["name"],
        database=given["database"],
        owner=given["owner"],
        admin=given["admin"]["username"],
        password=str(given["admin"].get("password") or ""),
        groups=groups,
        creators=tuple(given.get("creators") or ()),
        guests=tuple(given.get("connect") or ()),
        heirs=tuple(dict.fromkeys(given.get("heirs") or ())),
        users_act_as_owner=bool(given.get("users_act_as_owner")),
        users=tuple(
            User(name, tuple(dict.fromkeys((user or {}).get("in_role") or ())))
            for name, user in (given.get("users") or {}).items()
        ),
        functions=given.get("functions") or "",
    )


def is_name(value: str) -> bool:
    """Whether it can name a database or schema here."""
    return bool(_PLAIN.fullmatch(value))


def is_schema_name(value: str) -> bool:
    """Whether groups may have privileges there: not among the server's own schemas, nor in that of the functions, which users must not call."""
    return is_name(value) and not _RESERVED_SCHEMA.fullmatch(value)


def is_role_name(value: str) -> bool:
    """Whether it can name a role here."""
    return is_name(value) and not _RESERVED.fullmatch(value)


# -- what is wrong ---------------------------------------------------------------------------------------------------------


def _problems(number: int, given: Values, login_user: str) -> t.Iterator[str]:
    missing = list(_missing(given))
    if missing:
        yield f"Entry {number + 1} of vault_databases lacks {', '.join(missing)}."
        return
    for check in (_odd_names, _odd_password, _double_roles(login_user), _strange_heirs, _odd_users, _odd_groups):
        for problem in check(given):
            yield f"{given['name']}: {problem}"


def _missing(given: Values) -> t.Iterator[str]:
    keys = [key for key in ("name", "database", "owner", "admin", "groups") if given.get(key) is None]
    yield from keys
    if keys:
        return
    if not given["admin"].get("username"):
        yield "admin.username"
    if not given["groups"]:
        yield "groups (at least one)"
    for name, group in given["groups"].items():
        if not isinstance(group, t.Mapping) or group.get("schemas") is None:
            yield f"groups.{name}.schemas"


def _roles_of(given: Values) -> list[str]:
    others = [*(given.get("creators") or ()), *(given.get("connect") or ()), *(given.get("users") or ())]
    return [str(name) for name in (given["owner"], given["admin"]["username"], *given["groups"], *others)]


def _odd_names(given: Values) -> t.Iterator[str]:
    roles = _roles_of(given)
    schemas = [str(schema) for group in given["groups"].values() for schema in _list(group["schemas"])]
    refused = [name for name in dict.fromkeys([*roles, str(given["database"])]) if not is_name(name)]
    refused += [name for name in dict.fromkeys(schemas) if not is_schema_name(name)]
    refused += [name for name in dict.fromkeys(roles) if not is_role_name(name) and name not in refused]
    if refused:
        yield (f"{', '.join(map(json.dumps, refused))} cannot be used as a name here. {NAMES}")


def _odd_password(given: Values) -> t.Iterator[str]:
    try:
        postgresql_password(given["admin"].get("password") or "")
    except ValueError as error:
        yield f"admin.password: {error}."


def _double_roles(login_user: str) -> t.Callable[[Values], t.Iterator[str]]:
    def check(given: Values) -> t.Iterator[str]:
        admin, groups, users = given["admin"]["username"], list(given["groups"]), list(given.get("users") or ())
        others = [login_user, DEFINER, given["owner"]]
        double = [*([admin] if admin in (*groups, *others) else []), *(group for group in groups if group in others)]
        double += [user for user in users if user in (admin, *groups, *others)]
        if double:
            yield (
                f"{', '.join(dict.fromkeys(double))} cannot be two things at once. The owner, each group, the admin role, each user and the role "
                "that this play logs in as are different PostgreSQL roles."
            )

    return check


def _strange_heirs(given: Values) -> t.Iterator[str]:
    strangers = [
        heir for heir in dict.fromkeys(given.get("heirs") or ()) if heir not in (given["owner"], *given["groups"])
    ]
    if strangers:
        yield (
            f"reassign_owned_to names {', '.join(map(str, strangers))}, and every revocation would fail, because the admin role cannot be given ADMIN "
            f"OPTION on it. What users leave can go to the owner ({given['owner']}) or to one of the groups ({', '.join(given['groups'])})."
        )


def _odd_users(given: Values) -> t.Iterator[str]:
    for name, user in (given.get("users") or {}).items():
        unknown = [key for key in user or {} if key != "in_role"]
        groups = (user or {}).get("in_role") or []
        if unknown or not isinstance(groups, (list, tuple)):
            yield f"users.{name}: has in_role, a list of groups, and nothing else."
            continue
        strangers = [str(group) for group in groups if group not in given["groups"]]
        if strangers:
            yield f"users.{name}.in_role: {', '.join(strangers)} is none of the groups ({', '.join(given['groups'])})."


def _odd_groups(given: Values) -> t.Iterator[str]:
    wrong: dict[str, None] = {}
    for group in given["groups"].values():
        for key, value in group.items():
            if key == "shared":
                continue
            if key not in (*PRIVILEGES, "schemas"):
                wrong[f"the unknown keyword {key}"] = None
            elif value is None:
                continue  # as if it were not there
            elif not isinstance(value, (list, tuple)) or not value:
                wrong[f"{key} without a list"] = None
            elif key != "schemas":
                word = key.rstrip("s") if key != "schema_privileges" else "schema"
                for privilege in value:
                    if str(privilege).lower() not in PRIVILEGES[key]:
                        wrong[f"the {word} privilege {str(privilege).lower()}"] = None
    if wrong:
        yield (
            f"the groups hold {'; '.join(wrong)}. A group has schemas and, for each kind of right, a list of privileges: "
            f"{json.dumps(PRIVILEGES)}."
        )


def _list(value: t.Any) -> t.Sequence[t.Any]:
    return value if isinstance(value, (list, tuple)) else [value]
