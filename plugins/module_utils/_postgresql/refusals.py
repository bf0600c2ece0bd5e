# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.
"""What is refused before anything is written, once it is known what is on the server.  No server is asked here."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import DEFINER

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.catalog import Server
    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import Entry

Values = dict[str, t.Any]


def conflicts(entries: Sequence[Entry], server: Server, options: Values) -> Iterator[str]:
    """A sentence for each reason not to begin with these entries of one server."""
    for one, other in itertools.combinations(entries, 2):
        yield from _shared(one, other)
    for one, other in itertools.permutations(entries, 2):
        yield from _two_things(one, other)
        yield from _within(one, other, server)
    yield from _locked_out(entries, server, options)
    for entry in entries:
        for check in CHECKS:
            for problem in check(entry, server, options):
                yield f"{entry.name}: {problem}"


def _shared(one: Entry, other: Entry) -> Iterator[str]:
    """Roles of two entries that have the same part in both."""
    if one.admin == other.admin:
        yield (
            f"{other.name}: it is on the same server as {one.name}, whatever host says, and both have the admin role {one.admin}. "
            "Rotating its password through one of them would lock the other out; give each its own."
        )
    for group, twin in itertools.product(one.groups, other.groups):
        if group.name != twin.name:
            continue
        if one.database == other.database:
            if (set(group.schemas), group.privileges) != (set(twin.schemas), twin.privileges):
                yield (
                    f"{other.name}: {one.name} is about the same database, and the two say different things of the group {group.name}. "
                    "Declare the same in both, or use another name."
                )
        elif not (group.shared and twin.shared):
            yield (
                f"{other.name}: it is on the same server as {one.name}, and both have the group {group.name}. Roles belong to the server: users of "
                f"{one.database} would have the rights of the group in {other.database}, too. Use another name, or set shared: true in "
                "both groups."
            )


def _locked_out(entries: Sequence[Entry], server: Server, options: Values) -> Iterator[str]:
    """Somebody who works in a database that is about to be closed, and who would not get in again."""
    by_database = {entry.database: entry for entry in entries}
    for database, role in server.at_public:
        if role in options["lock_out"] or database not in (*by_database, *options["close_databases"]):
            continue
        entry = by_database.get(database)
        cure = (
            f"Add it to connect of {entry.name}"
            if entry
            else "Grant it CONNECT there, or leave the database out of close_databases"
        )
        yield (
            f"{role} is logged in to {database}, and may be because PUBLIC may connect there, which is about to end: its next login would be refused. "
            f"{cure}; or name it in lock_out (postgresql_access_lock_out), if it is to be kept out."
        )


def _two_things(entry: Entry, other: Entry) -> Iterator[str]:
    """Groups and the admin of an entry that are something else in another one."""
    parts = {
        "the owner": (other.owner,),
        "one of the creators": other.creators,
        "the admin role": (other.admin,),
        "one of the users": tuple(user.name for user in other.users),
        "in connect": other.guests if other.database != entry.database else (),
    }
    shared = [group.name for group in entry.groups if group.shared]
    for part, names in parts.items():
        for name in entry.group_names:
            if name in names and not (part == "in connect" and name in shared):
                more = ", or set shared: true in the group" if part == "in connect" else ""
                yield (
                    f"{entry.name}: it is on the same server as {other.name}, and the group {name} is {part} of {other.name}. Roles belong to the "
                    f"server: users of {entry.database} would have the rights of {name} in {other.database}, and nobody can log in as a group. "
                    f"Use another name{more}."
                )
        if entry.admin in names and part != "the admin role":
            yield (
                f"{entry.name}: it is on the same server as {other.name}, and the admin role {entry.admin} is {part} of {other.name}. Roles belong to "
                f"the server: Vault would have its rights in {other.database}, and rotates its password. Use another name."
            )


def _within(entry: Entry, other: Entry, server: Server) -> Iterator[str]:
    """Groups that are members of roles of another database."""
    if entry.database == other.database:
        return
    for name in entry.group_names:
        found = [role for role in server.within.get(name, ()) if role in other.roles and role not in entry.roles]
        if found:
            yield (
                f"{entry.name}: the group {name} is a member of {', '.join(found)} of {other.name}, so that users of {entry.database} would have "
                f"rights in {other.database}. Revoke that membership."
            )


def _superusers(entry: Entry, server: Server, options: Values) -> Iterator[str]:
    users = (user.name for user in entry.users)
    found = [
        name
        for name in dict.fromkeys([*entry.handed_out, entry.admin, *users])
        if name in server.roles and server.roles[name].superuser
    ]
    if found:
        yield (
            f"{', '.join(found)} is a superuser on this server. A group, an heir or an admin role that is one would hand the whole server to every "
            "user Vault issues; take SUPERUSER from it, or use another name."
        )
    for name in entry.handed_out:
        above = server.within.get(name, ())
        beyond = [role for role in above if role in server.superusers]
        if name in entry.acted_as:
            beyond += [role for role in above if role.startswith("pg_")]
        if beyond:
            yield (
                f"{name} is a member of {', '.join(beyond)}, which has rights on the whole server, and every user Vault issues would have them. "
                "Revoke that membership."
            )


def _attributes(entry: Entry, server: Server, options: Values) -> Iterator[str]:
    """A member may act as its group (SET ROLE), with the attributes of the group; users for migrations act as the owner."""
    for name in entry.acted_as:
        part = "group" if name in entry.group_names else "owner"
        beyond = server.roles[name].beyond if name in server.roles else ()
        if beyond:
            yield (
                f"the {part} {name} has {', '.join(beyond)}, which holds on the whole server, and every user Vault issues could act as the {part}. Take it "
                f"from the {part} (ALTER ROLE), or use another name."
            )


def _absent(entry: Entry, server: Server, options: Values) -> Iterator[str]:
    absent = [
        name
        for name in dict.fromkeys([*entry.creators, *entry.guests])
        if name not in server.roles and name not in (entry.owner, *entry.group_names)
    ]
    if absent:
        yield f"creators and connect name {', '.join(absent)}, but there is no such role on this server."


def _no_database(entry: Entry, server: Server, options: Values) -> Iterator[str]:
    if entry.database in server.databases:
        return
    if not options["create_database"]:
        yield f"there is no database {entry.database} on this server, and create_database is false."
    elif not (server.superuser or server.createdb):
        yield (
            f"there is no database {entry.database} on this server, and the login {server.me} lacks CREATEDB. Give it CREATEDB, or create the database."
        )


def _no_createrole(entry: Entry, server: Server, options: Values) -> Iterator[str]:
    definer = [DEFINER] if entry.uses_functions(server.version) else []
    users = [user.name for user in entry.users]
    needed = dict.fromkeys([entry.owner, *entry.group_names, *definer, entry.admin, *users])
    missing = [name for name in needed if name not in server.roles]
    if missing and not (server.superuser or server.createrole):
        yield f"there is no {', '.join(missing)} on this server, and the login {server.me} lacks CREATEROLE. Give it CREATEROLE, or create these roles."


def _no_password(entry: Entry, server: Server, options: Values) -> Iterator[str]:
    if entry.admin not in server.roles and not entry.password:
        yield (
            f"{entry.admin} does not exist yet. Give it its first password in admin.password; it is used this once, and Vault rotates it away."
        )


def _unknown_privileges(entry: Entry, server: Server, options: Values) -> Iterator[str]:
    maintaining = [group.name for group in entry.groups if "MAINTAIN" in group.privileges.get("tables", ())]
    if maintaining and server.version < 170000:
        yield (
            f"{', '.join(maintaining)} has the table privilege maintain, which PostgreSQL knows from 17 on; this server is "
            f"{server.version // 10000}. Take it out of tables."
        )


def _users_of_functions(entry: Entry, server: Server, options: Values) -> Iterator[str]:
    if entry.users and entry.uses_functions(server.version):
        yield (
            f"users needs the line functions: none in this entry. With the functions, which are the default on PostgreSQL 15 and older (this server is "
            f"{server.version // 10000}), the admin role has no CREATEROLE and cannot set the passwords of static roles. To keep the functions for "
            "the other roles, give users and static_roles an entry of their own for this database, with another admin role and functions: none."
        )


def _migrations_with_functions(entry: Entry, server: Server, options: Values) -> Iterator[str]:
    if entry.users_act_as_owner and entry.uses_functions(server.version):
        yield (
            f"migrations needs the line functions: none in this entry. The functions, which are the default on PostgreSQL 15 and older (this server is "
            f"{server.version // 10000}), make no users that act as another role. To keep the functions for the other roles, give the migrations an "
            "entry of their own for this database, with another admin role and functions: none."
        )


CHECKS = (
    _superusers, _attributes, _absent, _no_createrole, _no_database, _no_password, _unknown_privileges, _users_of_functions, _migrations_with_functions,
)  # fmt: skip
