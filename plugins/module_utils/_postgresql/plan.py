# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.
"""The plan: from what is desired and what is there to statements, each with its meaning.  No server is asked here."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.catalog import (
    DATABASE_OWNER,
    DIGEST,
    PUBLIC,
    Acl,
    Contents,
    Database,
    Membership,
    Objects,
    Role,
    Server,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import DEFINER, Group
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.functions import (
    CALLED_BY_ADMIN,
    FUNCTIONS,
    VERSION,
)

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import Entry, User

NOT_OURS = ("leasehold", "pg_catalog", "information_schema")
"""Schemas in which nothing is pruned."""
CHUNK = 1000
"""Objects in one statement."""
OBJECTS = {"tables": "TABLE", "sequences": "SEQUENCE", "functions": "ROUTINE"}
"""Procedures are among the functions, as in default privileges."""
ADMIN_ONLY = " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
"""Options of GRANT from PostgreSQL 16 on."""


@dataclasses.dataclass(frozen=True)
class Statement:
    """SQL with ``{0}`` for identifiers and ``%s`` for values."""

    text: str
    names: tuple[str, ...] = ()
    values: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    alone: bool = False
    """Not within a transaction."""


@dataclasses.dataclass(frozen=True)
class Change:
    """What differs, in words, and the statements that bring it about."""

    subject: str
    """The role, database or schema that changes."""
    meaning: str
    statements: tuple[Statement, ...]

    def __str__(self) -> str:
        return f"{self.subject}: {self.meaning}"


@dataclasses.dataclass(frozen=True)
class Obstacle:
    """What differs and this login cannot change."""

    subject: str
    meaning: str
    reason: str
    fatal: bool = True
    """Whether the document's users lack something; otherwise they, or others, have more than it says."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.meaning} is not done: {self.reason}"


@dataclasses.dataclass
class Plan:
    changes: list[Change] = dataclasses.field(default_factory=list)
    obstacles: list[Obstacle] = dataclasses.field(default_factory=list)

    def add(self, subject: str, meaning: str, *statements: Statement) -> None:
        change = Change(subject, meaning, statements)
        if change not in self.changes:
            self.changes.append(change)

    def cannot(self, subject: str, meaning: str, reason: str, fatal: bool = True) -> None:
        obstacle = Obstacle(subject, meaning, reason, fatal)
        if obstacle not in self.obstacles:
            self.obstacles.append(obstacle)


class Action(t.NamedTuple):
    """One way to change privileges on objects."""

    text: str
    """With the privileges and where."""
    verb: str
    way: str

    def meaning(self, privileges: Collection[str], kind: str, schema: str) -> str:
        return self.text.format(listed(privileges), f"{kind} in schema {schema}")


GRANT = Action("+ {} on {}", "GRANT {}", "TO")
REVOKE = Action("- {} on {}", "REVOKE {}", "FROM")
REVOKE_OPTION = Action("- GRANT OPTION for {} on {}", "REVOKE GRANT OPTION FOR {}", "FROM")
# What is revoked on a table is revoked on its columns.
OF_COLUMNS = REVOKE._replace(text="- {} on columns of {}")
OPTION_OF_COLUMNS = REVOKE_OPTION._replace(text="- GRANT OPTION for {} on columns of {}")
ACTIONS = (GRANT, REVOKE, OF_COLUMNS, REVOKE_OPTION, OPTION_OF_COLUMNS)


class Difference(t.NamedTuple):
    """Privileges on objects that are to change, or the reason why this login cannot change them."""

    action: Action
    privileges: tuple[str, ...]
    reason: str = ""
    fatal: bool = False


def listed(words: Collection[str]) -> str:
    return ", ".join(words)


# -- what concerns the whole server ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    settings: Mapping[str, str]
    close: tuple[str, ...] = ()
    """Databases that PUBLIC loses."""


class ServerPlan(Plan):
    """Owners, groups, admins, databases of all entries of one server."""

    def __init__(self, entries: Sequence[Entry], server: Server, options: ServerOptions) -> None:
        super().__init__()
        self.server, self.options = server, options
        self.made: set[str] = set()
        """Roles that this plan creates."""
        self.gained: set[str] = set()
        """Roles that this login becomes a member of."""
        self.created: dict[str, Database] = {}
        """Databases that this plan creates."""
        for entry in entries:
            self._roles(entry)
        for entry in entries:
            self._admin(entry)
            self._hand_out(entry)
            for user in entry.users:
                self._user(entry, user)
        for entry in entries:
            self._database(entry)
        for name in options.close:
            if name in server.databases and name not in {entry.database for entry in entries}:
                self._close(name, server.databases[name], ("CONNECT", "TEMPORARY"))

    @property
    def usable(self) -> Collection[str]:
        """The roles that this login can act for, once the plan is carried out."""
        return {name for name, role in self.server.roles.items() if role.usable} | self.gained

    def _uses_functions(self, entry: Entry) -> bool:
        return entry.uses_functions(self.server.version)

    def _roles(self, entry: Entry) -> None:
        if entry.owner not in self.server.roles:
            self._create(entry.owner, "NOLOGIN")
        for name in entry.group_names:
            role = self.server.roles.get(name)
            if role is None:
                self._create(name, "NOLOGIN")
            elif role.login:
                self._alter(name, "- LOGIN", Statement("ALTER ROLE {0} NOLOGIN", (name,)), fatal=False)
        if self._uses_functions(entry):
            self._alter_or_create(DEFINER, {"login": False, "inherit": True, "createrole": True})
        for name in (*entry.makers, *([DEFINER] if self._uses_functions(entry) else [])):
            self._act_as(name)

    def _create(self, name: str, attributes: str, password: str = "") -> None:
        if name in self.made:
            return
        self.made.add(name)
        text = f"CREATE ROLE {{0}} {attributes}{' PASSWORD %s' if password else ''}"
        self.add(name, f"+ role ({attributes})", Statement(text, (name,), (password,) if password else ()))

    def _alter_or_create(self, name: str, attributes: Mapping[str, bool], password: str = "") -> None:
        role = self.server.roles.get(name)
        if role is None:
            self._create(name, " ".join(_attribute(key, value) for key, value in attributes.items()), password)
            return
        odd = [_attribute(key, value) for key, value in attributes.items() if getattr(role, key) != value]
        if odd:
            self._alter(name, f"* {' '.join(odd)}", Statement(f"ALTER ROLE {{0}} {' '.join(odd)}", (name,)))

    def _alter(self, name: str, meaning: str, *statements: Statement, fatal: bool = True) -> None:
        role = self.server.roles.get(name, Role())
        if self.server.superuser or name in self.made or (self.server.createrole and self._may_grant(name, role)):
            self.add(name, meaning, *statements)
        else:
            who = "CREATEROLE" if self.server.version < 160000 else f"CREATEROLE and ADMIN OPTION on {name}"
            self.cannot(name, meaning, f"a role with {who}, or a superuser, has to ALTER ROLE {quoted(name)}", fatal)

    def _act_as(self, name: str) -> None:
        """A login that is no superuser creates and grants as a member of the owner."""
        role = self.server.roles.get(name, Role())
        if self.server.superuser or role.usable or name in self.gained:
            return
        how, meaning = acting(self.server.version), f"+ member {self.server.me} (this login)"
        if self._grant_role(name, self.server.me, how, meaning, fatal=False):
            self.gained.add(name)

    def _may_grant(self, name: str, role: Role) -> bool:
        if self.server.version < 160000 and self.server.createrole:
            return not role.superuser
        return role.grantable or any(each.admin for each in self._memberships(name, self.server.me))

    def _memberships(self, role: str, member: str) -> Iterator[Membership]:
        return (each for each in self.server.memberships if each.role == role and each.member == member)

    def _admin(self, entry: Entry) -> None:
        name, functions = entry.admin, self._uses_functions(entry)
        role = self.server.roles.get(name)
        if functions and role is not None:
            for group in entry.group_names:
                for each in self._memberships(group, name):
                    by = " GRANTED BY {2}" if self.server.version >= 160000 else ""
                    names = (group, name, each.grantor) if by else (group, name)
                    self._revoke(each, f"- member {name}", Statement(f"REVOKE {{0}} FROM {{1}}{by}", names))
        self._alter_or_create(name, {"login": True, "inherit": True, "createrole": not functions}, entry.password)
        # The server writes DateStyle, whatever the statement had.
        current = {key.lower(): value for key, value in role.settings.items()} if role else {}
        differing = {key: value for key, value in self.options.settings.items() if current.get(key.lower()) != value}
        if differing:
            self._alter(
                name,
                f"* {listed([f'{key} = {value}' for key, value in differing.items()])}",
                *(
                    Statement(f"ALTER ROLE {{0}} SET {_placeholders(parts, '.')} TO %s", (name, *parts), (value,))
                    for parts, value in ((key.split("."), value) for key, value in differing.items())
                ),
                fatal=False,
            )

    def _revoke(self, membership: Membership, meaning: str, statement: Statement) -> None:
        if membership.revocable or self.server.superuser:
            self.add(membership.role, meaning, statement)
        else:
            reason = f"{membership.grantor} granted it, and {membership.grantor} or a superuser has to revoke it"
            self.cannot(membership.role, meaning, reason, fatal=False)

    def _hand_out(self, entry: Entry) -> None:
        """ADMIN OPTION on the roles that users become members of, and from PostgreSQL 16 on no more than that."""
        functions, new = self._uses_functions(entry), self.server.version >= 160000
        receiver = entry.receiver(self.server.version)
        how = ADMIN_ONLY if new and not functions else " WITH ADMIN OPTION"
        for name in entry.handed_out:
            current = list(self._memberships(name, receiver))
            if not any(each.admin for each in current):
                self._grant_role(name, receiver, how)
            if not new or functions:
                continue
            for each in current:
                for option, has in (("INHERIT", each.inherit), ("SET", each.set)):
                    if has:
                        text = f"REVOKE {option} OPTION FOR {{0}} FROM {{1}} GRANTED BY {{2}}"
                        statement = Statement(text, (name, receiver, each.grantor))
                        self._revoke(each, f"- {option} OPTION of {receiver}", statement)

    def _grant_role(self, name: str, receiver: str, how: str, meaning: str = "", fatal: bool = True) -> bool:
        """Whether this login can; ``how`` begins with a space."""
        meaning = meaning or f"+ ADMIN OPTION of {receiver}"
        role = self.server.roles.get(name, Role())
        if self.server.superuser or name in self.made or self._may_grant(name, role):
            self.add(name, meaning, Statement(f"GRANT {{0}} TO {{1}}{how}", (name, receiver)))
            return True
        reason = f"a role with ADMIN OPTION on {name}, or a superuser, has to GRANT {quoted(name)} TO {quoted(receiver)}{how}"
        self.cannot(name, meaning, reason, fatal)
        return False

    def _user(self, entry: Entry, user: User) -> None:
        """A login without a password: the static role sets one, for which the admin needs ADMIN OPTION from PostgreSQL 16 on."""
        if user.name not in self.server.roles:
            self._create(user.name, "LOGIN")
        for group in user.in_role:
            if not any(self._memberships(group, user.name)):
                self._grant_role(group, user.name, "", f"+ member {user.name}")
        if self.server.version >= 160000 and not any(each.admin for each in self._memberships(user.name, entry.admin)):
            self._grant_role(user.name, entry.admin, ADMIN_ONLY)

    def _database(self, entry: Entry) -> None:
        name = entry.database
        database = self.server.databases.get(name) or self.created.get(name) or self._create_database(entry)
        if database is None:
            return
        self._close(name, database, ("CONNECT",))
        others = (user.name for user in entry.users if not user.in_role)
        guests = [*entry.group_names, entry.admin, *entry.creators, *entry.guests, *others]
        if database.owner != entry.owner:
            guests.append(entry.owner)
        missing = [role for role in dict.fromkeys(guests) if not database.holds(role, "CONNECT")]
        if not missing:
            return
        meaning = f"+ CONNECT of {listed(missing)}"
        if self._can(database.owner):
            text = f"GRANT CONNECT ON DATABASE {{0}} TO {_placeholders(missing, ', ')}"
            self.add(name, meaning, Statement(text, (name, *missing)))
        else:
            closed = not database.holds(PUBLIC, "CONNECT")
            self.cannot(name, meaning, _whose("the database", database.owner), fatal=closed)

    def _create_database(self, entry: Entry) -> Database | None:
        meaning = f"+ database, owner {entry.owner}"
        if not self._can(entry.owner):
            self.cannot(entry.database, meaning, f"it is no member of {entry.owner}")
            return None
        create = Statement("CREATE DATABASE {0} OWNER {1}", (entry.database, entry.owner), alone=True)
        self.add(entry.database, meaning, create)
        acl = tuple(Acl(PUBLIC, privilege, entry.owner) for privilege in ("CONNECT", "TEMPORARY"))
        return self.created.setdefault(entry.database, Database(entry.owner, acl))

    def _close(self, name: str, database: Database, privileges: Sequence[str]) -> None:
        found = [each for each in database.acl if each.grantee == PUBLIC and each.privilege in privileges]
        _take_back(self, name, "DATABASE", database.owner, found, database.acl, self._can(database.owner))

    def _can(self, owner: str) -> bool:
        return self.server.superuser or owner in self.usable


# -- what is in one database -----------------------------------------------------------------------------------------------


class DatabasePlan(Plan):
    """Schemas, functions and privileges in the database of one entry."""

    def __init__(
        self, entry: Entry, contents: Contents, server: Server, usable: Collection[str], prune: bool = False,
        strangers: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Strangers are groups of other databases, which lose what they have in this one if it is pruned."""
        super().__init__()
        self.entry, self.contents, self.server, self.prune = entry, contents, server, prune
        self.may_use = set(usable)
        if contents.owner in self.may_use:
            self.may_use.add(DATABASE_OWNER)
        self.absent: set[str] = set()
        """Schemas that this login cannot create."""
        self._schemas()
        if entry.uses_functions(server.version):
            self._functions()
        former = [Group(name, (), {}) for name in (*strangers, *self._former_groups())] if prune else []
        for group in (*entry.groups, *former):
            passed_on = self._passed_on_by(group.name)
            for kind in ("schema_privileges", "tables", "sequences", "functions"):
                for schema, desired in self._desired(group, kind):
                    if kind == "schema_privileges":
                        self._schema_privileges(group.name, schema, desired, complete=True)
                    else:
                        self._objects(group, kind, schema, desired, passed_on if kind == "tables" else {})
                if kind != "schema_privileges":
                    self._everywhere_to_come(group, kind)
        for group in (*entry.groups, *former):
            self._database_privileges(group.name, frozenset() if group in former else frozenset({"CONNECT"}))

    def _database_privileges(self, role: str, desired: frozenset[str]) -> None:
        """A group of the entry may connect and nothing else, which is pruned, and lets nobody else in."""
        owner, acl = self.contents.owner, self.contents.acl
        if owner == role:
            return
        for found, option in _surplus_and_options(acl, role, desired):
            if option or self.prune:
                _take_back(self, self.entry.database, "DATABASE", owner, found, acl, self._can(owner), option)

    def _can(self, owner: str, usable: bool = False) -> bool:
        return self.server.superuser or usable or owner in self.may_use

    def _desired(self, group: Group, kind: str) -> Iterator[tuple[str, frozenset[str]]]:
        """The schemas where these privileges of the group are managed, each with those that it is to have there."""
        for schema in dict.fromkeys([*group.schemas, *(self.contents.schemas if self.prune else ())]):
            if schema in self.absent:
                continue
            if schema in group.schemas and kind in group.privileges:
                yield schema, group.privileges[kind]
            elif self.prune and schema not in NOT_OURS:
                yield schema, frozenset()

    def _former_groups(self) -> Iterator[str]:
        """Roles that the admin may still hand out and that were let into this database, which the document does not have any more."""
        receiver = self.entry.receiver(self.server.version)
        for name, has_users in self.server.former.items():
            handed_out = any(
                each.admin for each in self.server.memberships if (each.role, each.member) == (name, receiver)
            )
            if not handed_out or not any(
                each.grantee == name and each.privilege == "CONNECT" for each in self.contents.acl
            ):
                continue
            if has_users:
                self.cannot(
                    name,
                    "- all privileges",
                    "somebody who is not in the document is still a member of it; revoke the leases of its users, and the membership of others, first",
                    fatal=False,
                )
            else:
                yield name

    def _schemas(self) -> None:
        for name in self.entry.schemas:
            if name not in self.contents.schemas and not self._create_schema(name, self.entry.owner):
                self.absent.add(name)
        if "public" in self.contents.schemas:
            there = self.contents.schemas["public"]
            found = [each for each in there.acl if each.grantee == PUBLIC and each.privilege == "CREATE"]
            can = self._can(there.owner, there.usable)
            _take_back(self, "public", "SCHEMA", there.owner, found, there.acl, can)
        for maker in self.entry.makers:
            for name in (each for each in self.entry.schemas if each not in self.absent):
                self._schema_privileges(maker, name, frozenset({"USAGE", "CREATE"}), complete=False)

    def _create_schema(self, name: str, owner: str) -> bool:
        subject, meaning, database = f"schema {name}", f"+ schema, owner {owner}", self.contents.owner
        if not (self.contents.may_create or self._can(database)):
            self.cannot(subject, meaning, _whose("the database", database))
        elif not self._can(owner):
            self.cannot(subject, meaning, f"this login is no member of {owner}")
        else:
            self.add(subject, meaning, Statement("CREATE SCHEMA {0} AUTHORIZATION {1}", (name, owner)))
            return True
        return False

    def _schema_privileges(self, role: str, name: str, desired: frozenset[str], complete: bool) -> None:
        there = self.contents.schemas.get(name)
        owner = there.owner if there else self.entry.owner
        acl = there.acl if there else tuple(Acl(owner, privilege, owner) for privilege in ("USAGE", "CREATE"))
        current = {each.privilege for each in acl if each.grantee == role}
        can, subject = self._can(owner, bool(there and there.usable)), role
        missing = _in_order(desired - current)
        if missing:
            meaning = f"+ {listed(missing)} on schema {name}"
            if can:
                self.add(subject, meaning, Statement(f"GRANT {listed(missing)} ON SCHEMA {{0}} TO {{1}}", (name, role)))
            elif not set(missing) <= {each.privilege for each in acl if each.grantee == PUBLIC}:
                self.cannot(subject, meaning, _whose("the schema", owner))
        if complete and owner != role:
            for found, option in _surplus_and_options(acl, role, desired):
                _take_back(self, name, "SCHEMA", owner, found, acl, can, option)

    # -- the functions

    def _functions(self) -> None:
        there, entry = self.contents.schemas.get("leasehold"), self.entry
        subject = "schema leasehold"
        if there is None:
            if not self._create_schema("leasehold", DEFINER):
                return
        elif there.owner != DEFINER and not self._can(there.owner, there.usable):
            self.cannot(subject, f"* owner {DEFINER}", _whose("the schema", there.owner))
            return
        elif there.owner != DEFINER:
            self.add(subject, f"* owner {DEFINER}", Statement("ALTER SCHEMA leasehold OWNER TO {0}", (DEFINER,)))
        if (
            there is None
            or not self.contents.functions_now
            or self.contents.functions_comment != f"{VERSION} {self.contents.functions_now}"
        ):
            comment = (
                f"DO $do$ BEGIN EXECUTE format('COMMENT ON SCHEMA leasehold IS %L', '{VERSION} ' || {DIGEST}); END $do$"
            )
            self.add(
                subject,
                "+ functions of this version" if not self.contents.functions_now else "* functions of this version",
                Statement("SET LOCAL ROLE {0}", (DEFINER,)),
                Statement(FUNCTIONS),
                Statement(comment),
                Statement("RESET ROLE"),
            )
        if not there or not any(each.grantee == entry.admin and each.privilege == "USAGE" for each in there.acl):
            statement = Statement("GRANT USAGE ON SCHEMA leasehold TO {0}", (entry.admin,))
            self.add(entry.admin, "+ USAGE on schema leasehold", statement)
        missing = [name for name in CALLED_BY_ADMIN if entry.admin not in self.contents.callers.get(name, frozenset())]
        if missing:
            what = "the functions" if len(missing) == len(CALLED_BY_ADMIN) else listed(missing)
            statement = Statement(f"GRANT EXECUTE ON FUNCTION {listed(missing)} TO {{0}}", (entry.admin,))
            self.add(entry.admin, f"+ EXECUTE on {what} in schema leasehold", statement)

    # -- tables, sequences, functions

    def _objects(
        self, group: Group, kind: str, schema: str, desired: frozenset[str], passed_on: Mapping[str, tuple[Acl, ...]]
    ) -> None:
        found: dict[Action, dict[tuple[str, ...], list[str]]] = {action: {} for action in ACTIONS}
        blocked: dict[Difference, list[str]] = {}
        differing = [
            *((each, (*self._lacking(group, each, desired), *self._beyond(group, each, desired, REVOKE, REVOKE_OPTION, passed_on)))
              for all_alike in self.contents.objects if (all_alike.schema, all_alike.kind) == (schema, kind)
              for each in _split(all_alike, passed_on)),
            *((each, (*self._beyond(group, each, desired, OF_COLUMNS, OPTION_OF_COLUMNS, passed_on),))
              for each in self.contents.columns if (each.schema, each.kind) == (schema, kind)),
        ]  # fmt: skip
        for alike, differences in differing:
            for each in differences:
                names = (
                    blocked.setdefault(each, []) if each.reason else found[each.action].setdefault(each.privileges, [])
                )
                names.extend(alike.names)
        for each, names in blocked.items():
            meaning = f"{each.action.meaning(each.privileges, kind, schema)}{_some(sorted(names))}"
            self.cannot(group.name, meaning, each.reason, each.fatal)
        to_come = self._to_come(group, kind, schema, desired)
        for action, there in found.items():
            future = {creator: each[action] for creator, each in to_come.items() if each.get(action)}
            for privileges in dict.fromkeys([*there, *future.values()]):
                creators = [creator for creator, each in future.items() if each == privileges]
                self._change(group, kind, schema, action, privileges, there.get(privileges, []), creators)

    def _lacking(self, group: Group, alike: Objects, desired: frozenset[str]) -> Iterator[Difference]:
        lacks = desired - {each.privilege for each in alike.acl if each.grantee == group.name}
        if not lacks:
            return
        if self._can(alike.owner, alike.usable):
            yield Difference(GRANT, _in_order(lacks))
        elif alike.extension:
            meaning = f"privileges of groups on {alike.kind} of extensions"
            reason = _whose("what an extension made", alike.owner)
            self.cannot(f"schema {alike.schema}", meaning, reason, fatal=False)
        else:
            for_all = {each.privilege for each in alike.acl if each.grantee == PUBLIC}
            # What a user of Vault owns goes to its group when it is revoked.
            fatal = not lacks <= for_all and not alike.owner.startswith("v-")
            yield Difference(GRANT, _in_order(lacks), _whose("what is named", alike.owner), fatal)

    def _beyond(
        self, group: Group, alike: Objects, desired: frozenset[str], take: Action, take_option: Action,
        passed_on_by_table: Mapping[str, tuple[Acl, ...]],
    ) -> Iterator[Difference]:  # fmt: skip
        """What the group holds there beyond what it is to have, also the right to pass on what it is to have."""
        if alike.owner == group.name:
            return
        dependent = (*alike.acl, *passed_on_by_table.get(alike.names[0], ()))
        can = self._can(alike.owner, alike.usable)
        for found, option in _surplus_and_options(alike.acl, group.name, desired):
            for privileges, reason in _revocations(found, dependent, alike.owner, can, "what is named"):
                yield Difference(take_option if option else take, privileges, reason)

    def _passed_on_by(self, name: str) -> dict[str, tuple[Acl, ...]]:
        """By table, what the group passed on of it or of its columns: REVOKE on a table acts on both."""
        found: dict[str, tuple[Acl, ...]] = {}
        for alike in (*self.contents.objects, *self.contents.columns):
            passed_on = tuple(each for each in alike.acl if each.grantor == name and each.grantee != name)
            if alike.kind == "tables" and passed_on:
                found.update({table: (*found.get(table, ()), *passed_on) for table in alike.names})
        return found

    def _default(self, group: Group, kind: str, schema: str, creator: str, option: bool = False) -> set[str]:
        """What the group will have on what this creator creates, or may pass on of it."""
        return {
            each.privilege
            for each in self.contents.defaults
            if (each.creator, each.schema, each.kind, each.grantee) == (creator, schema, kind, group.name)
            and (each.grantable or not option)
        }

    def _to_come(
        self, group: Group, kind: str, schema: str, desired: frozenset[str]
    ) -> dict[str, dict[Action, tuple[str, ...]]]:
        """By creator, the default privileges that are missing and those that are too much."""
        found = {}
        for creator in self.entry.makers:
            current = self._default(group, kind, schema, creator)
            differing = {
                GRANT: _in_order(desired - current),
                REVOKE: _in_order(current - desired),
                REVOKE_OPTION: _in_order(self._default(group, kind, schema, creator, option=True) & desired),
            }
            if any(differing.values()) and not self._can(creator):
                reason = f"{creator} or a superuser has to change its default privileges"
                for action, privileges in differing.items():
                    meaning = f"{action.meaning(privileges, kind, schema)} (those to come from {creator})"
                    if privileges:
                        self.cannot(group.name, meaning, reason, fatal=action is GRANT)
            elif any(differing.values()):
                found[creator] = differing
        return found

    def _everywhere_to_come(self, group: Group, kind: str) -> None:
        """Default privileges without a schema hold in all schemas: no more than the group is to have in each of them."""
        if kind not in group.privileges and not self.prune:
            return
        allowed: frozenset[str] = frozenset() if self.prune else group.privileges[kind]
        for creator in self.entry.makers:
            surplus = self._default(group, kind, "", creator) - allowed
            options = self._default(group, kind, "", creator, option=True) & allowed
            for action, privileges in ((REVOKE, _in_order(surplus)), (REVOKE_OPTION, _in_order(options))):
                meaning = (
                    f"{action.text.format(listed(privileges), f'{kind} in all schemas')} (those to come from {creator})"
                )
                if privileges and self._can(creator):
                    verb = action.verb.format(listed(privileges))
                    text = f"ALTER DEFAULT PRIVILEGES FOR ROLE {{0}} {verb} ON {kind.upper()} FROM {{1}}"
                    self.add(group.name, meaning, Statement(text, (creator, group.name)))
                elif privileges:
                    reason = f"{creator} or a superuser has to change its default privileges"
                    self.cannot(group.name, meaning, reason, fatal=False)

    def _change(self, group: Group, kind: str, schema: str, action: Action, privileges: tuple[str, ...],
                names: Sequence[str], creators: Sequence[str]) -> None:  # fmt: skip
        verb = action.verb.format(listed(privileges))
        statements = [
            # The names are quoted by the server.
            Statement(
                f"{verb} ON {OBJECTS[kind]} {_escaped(listed(names[start : start + CHUNK]))} {action.way} {{0}}",
                (group.name,),
            )
            for start in range(0, len(names), CHUNK)
        ]
        statements += [
            Statement(
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {{0}} IN SCHEMA {{1}} {verb} ON {kind.upper()} {action.way} {{2}}",
                (creator, schema, group.name),
            )
            for creator in creators
        ]
        there = _count(kind, names)
        future = f"those to come from {listed(creators)}" if creators else ""
        extent = f"{there}, and {future}" if there and future else there or future
        self.add(group.name, f"{action.meaning(privileges, kind, schema)} ({extent})", *statements)


# -- words -----------------------------------------------------------------------------------------------------------------


def _take_back(
    plan: Plan, name: str, kind: str, owner: str, found: Sequence[Acl], acl: Sequence[Acl], can: bool, option: bool = False,
) -> None:  # fmt: skip
    """Revoke privileges of one grantee on a database or schema, or the right to pass them on."""
    subject = name if kind == "DATABASE" else f"schema {name}"
    sign, verb = ("- GRANT OPTION for", "REVOKE GRANT OPTION FOR") if option else ("-", "REVOKE")
    for privileges, reason in _revocations(found, acl, owner, can, f"the {kind.lower()}"):
        grantee = found[0].grantee
        meaning = f"{sign} {listed(privileges)} of {grantee or 'PUBLIC'}"
        if reason:
            plan.cannot(subject, meaning, reason, fatal=False)
        else:
            receiver, names = ("{1}", (name, grantee)) if grantee else ("PUBLIC", (name,))
            plan.add(subject, meaning, Statement(f"{verb} {listed(privileges)} ON {kind} {{0}} FROM {receiver}", names))


def _surplus_and_options(
    acl: Sequence[Acl], role: str, desired: Collection[str]
) -> tuple[tuple[list[Acl], bool], tuple[list[Acl], bool]]:
    """What a role holds beyond what it is to have, and (``True``) what it is to have and may pass on."""
    held = [each for each in acl if each.grantee == role]
    surplus = [each for each in held if each.privilege not in desired]
    options = [each for each in held if each.privilege in desired and each.grantable]
    return (surplus, False), (options, True)


def _revocations(
    found: Sequence[Acl], acl: Sequence[Acl], owner: str, can: bool, what: str
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Privileges of one grantee that are to be revoked, each with the reason why this login cannot; that is empty if it can."""
    for grantor in sorted({each.grantor for each in found} - {owner, ""}):
        privileges = {each.privilege for each in found if each.grantor == grantor}
        yield _in_order(privileges), f"{grantor} granted it and has to revoke it"
    ours = {each.privilege for each in found if each.grantor in (owner, "")}
    if ours and not can:
        yield _in_order(ours), _whose(what, owner)
    elif ours:
        grantee = found[0].grantee
        passed_on = ours & _passed_on(acl, grantee)
        if passed_on:
            yield _in_order(passed_on), _first_revoke(acl, grantee, passed_on)
        if ours - passed_on:
            yield _in_order(ours - passed_on), ""


def _split(alike: Objects, passed_on: Mapping[str, tuple[Acl, ...]]) -> Iterator[Objects]:
    """The same objects, apart by what was passed on of them or of their columns."""
    apart: dict[tuple[Acl, ...], list[str]] = {}
    for name in alike.names:
        apart.setdefault(passed_on.get(name, ()), []).append(name)
    for names in apart.values():
        yield alike._replace(names=tuple(names))


def _passed_on(acl: Sequence[Acl], role: str) -> set[str]:
    """What this role granted to others: the server revokes nothing on which other grants depend."""
    return {each.privilege for each in acl if role and each.grantor == role and each.grantee != role}


def _first_revoke(acl: Sequence[Acl], role: str, privileges: Collection[str]) -> str:
    receivers = sorted(
        {each.grantee or "PUBLIC" for each in acl if each.grantor == role and each.privilege in privileges}
    )
    return f"{role} passed it on to {listed(receivers)}, from whom it has to be revoked first"


def _whose(what: str, owner: str) -> str:
    return f"{what} belongs to {owner}, who or a superuser has to do it"


def _count(kind: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    if len(names) > 3:
        return f"{len(names)} {kind}"
    return f"{len(names)} {kind if len(names) > 1 else kind[:-1]}: {listed(names)}"


def _some(names: Sequence[str]) -> str:
    return f" ({listed(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''})"


_ORDER = (
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
    "MAINTAIN",
    "USAGE",
    "CREATE",
    "EXECUTE",
    "CONNECT",
)


def _in_order(privileges: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(privileges, key=lambda each: (_ORDER.index(each) if each in _ORDER else len(_ORDER), each)))


def _attribute(key: str, value: bool) -> str:
    return f"{'' if value else 'NO'}{key.upper()}"


def _placeholders(names: Sequence[str], separator: str) -> str:
    """``{1}, {2}`` for two names."""
    return separator.join(f"{{{number}}}" for number in range(1, len(names) + 1))


def _escaped(text: str) -> str:
    """Text of the server as part of a statement in which braces have a meaning."""
    return text.replace("{", "{{").replace("}", "}}")


def acting(version: int) -> str:
    """Options of GRANT with which a member acts as the role."""
    return " WITH INHERIT TRUE, SET TRUE" if version >= 160000 else ""


def quoted(name: str) -> str:
    """An identifier as it stands in a statement."""
    return '"{}"'.format(name.replace('"', '""'))
