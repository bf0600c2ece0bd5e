# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What live leases, static roles and connections rely on, and the checks that a change or a deletion does not take it away.

Facts, measured on OpenBao 2.7 and PostgreSQL 13 to 18.  Vault revokes a lease with the role's present ``db_name`` and the connection's
present URL and user, and reports success when that server does not have the user.  It accepts the deletion of a connection that roles
name.  Rotating one PostgreSQL user's password in two places leaves one of them with a password that is refused.  It accepts the name of
a password policy that does not exist, and cuts TTLs above the limit of the mount when it issues.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core import statements as _statements
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import (
    Diagnostic,
    Diagnostics,
    Plan,
    ReconcileOptions,
    Server,
    ServerCheck,
    Values,
)
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import verification
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import POSTGRESQL as PLUGIN

PROBE = "leasehold-probe-"
"""Root rotation makes a connection of this prefix for a moment, with the user of the connection that it tries; a policy may allow
``<mount>/config/leasehold-probe-*`` alone."""
SYSTEM_MAX_TTL = 768 * 3600
"""Vault's default limit, in seconds, for mounts that have none; a server may be configured with another one."""
_LOOPBACK = ("", "localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")


# -- where a connection leads ---------------------------------------------------------------------------------------------


class LoginTarget(t.NamedTuple):
    """Where a connection logs in, as far as its URL says."""

    servers: frozenset[str]
    """``host:port`` of each host, all names of the loopback interface as ``localhost``."""
    database: str
    user: str

    def __str__(self) -> str:
        return f"{', '.join(sorted(self.servers))}/{self.database}"

    def shares_server(self, other: LoginTarget) -> bool:
        return bool(self.servers & other.servers)


def login_target(connection: Values) -> LoginTarget | None:
    """Where a connection (as the server returns it, or the options of the module) leads; None if it cannot be determined.

    Only URLs of PostgreSQL are read.  Names are not looked up: the server may resolve them otherwise than this machine.
    """
    details = connection.get("connection_details") or connection
    url = str(details.get("connection_url") or "")
    if not url or "postgresql" not in str(connection.get("plugin_name") or PLUGIN):
        return None
    try:
        where = verification.where_to_log_in(url, {})
    except Problem:
        return None
    hosts, ports = where.get("host", "").split(","), str(where.get("port") or "5432").split(",")
    servers = {f"{canonical(host)}:{ports[min(number, len(ports) - 1)]}" for number, host in enumerate(hosts)}
    return LoginTarget(frozenset(servers), str(where.get("dbname", "")), str(details.get("username") or ""))


def canonical(host: str) -> str:
    """One spelling of a host: lower case, IP addresses compressed, every name of the loopback interface ``localhost``."""
    name = host.strip().strip("[]").lower().rstrip(".")
    if name in _LOOPBACK or name.startswith("/"):
        return "localhost"
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name
    mapped = getattr(address, "ipv4_mapped", None) or address
    return "localhost" if mapped.is_loopback or mapped.is_unspecified else mapped.compressed


def _moved(plan: Plan) -> str:
    """What an update changes of a connection's login target, as text; empty if nothing."""
    before, after = login_target(plan.before), login_target(plan.after)
    if before is None or after is None:
        return ""
    changes = []
    if not before.shares_server(after):
        changes.append(
            f"the host would change from {', '.join(sorted(before.servers))} to {', '.join(sorted(after.servers))}"
        )
    if before.database != after.database:
        changes.append(f"the database would change from {before.database} to {after.database}")
    if before.user and before.user != after.user:
        changes.append(f"username would change from {before.user} to {after.user}")
    return " and ".join(changes)


# -- live leases ----------------------------------------------------------------------------------------------------------


def connection_endangers_leases(server: Server, desired: Values, plan: Plan) -> str:
    moved = _moved(plan)
    return (
        f"{moved}: Vault revokes with the address and user that the connection has then, so their users would stay where they are"
        if moved
        else ""
    )


def role_endangers_leases(server: Server, desired: Values, plan: Plan) -> str:
    before, after = plan.before, plan.after
    old, new = before.get("db_name"), after.get("db_name")
    if old != new and not _same_target(server, MOUNT.desired_value(desired), str(old), str(new)):
        return (
            f"db_name would change from {old} to {new}: Vault revokes with the connection that the role has then, so their users would stay "
            f"on the server of {old}"
        )
    creation = [side.get("creation_statements") or [] for side in (before, after)]
    groups, new_groups = (_groups_of(each) for each in creation)
    if groups and groups != new_groups:
        return (
            f"their users are members of {_listed(groups)} and would stay so, while the role would issue and revoke for "
            f"{_listed(new_groups) or 'no group'}"
        )
    functions, new_functions = ("leasehold.issue(" in " ".join(each) for each in creation)
    if functions != new_functions:
        maker, reviser = "the functions in the database", "the admin role"
        maker, reviser = (maker, reviser) if functions else (reviser, maker)
        return f"their users were made by {maker}, and would be revoked by {reviser}, which may not be able to"
    return ""


def _groups_of(creation: t.Sequence[str]) -> set[str]:
    """The groups that a user is made in: by statements of this collection, or by ``IN ROLE`` of others."""
    unquoted = re.findall(r"\bIN\s+(?:ROLE|GROUP)\s+([a-z_]\w*)", _statements.bare(" ".join(creation)), re.IGNORECASE)
    return {*_statements.groups_in(creation), *(name.lower() for name in unquoted)}


def _same_target(server: Server, mount: str, old: str, new: str) -> bool:
    """Whether users of one connection can be ended through another; also if the old one is gone, where nothing can be lost."""
    connections = _connections(server, mount, old, new)
    if connections is None:
        return False
    before, after = (login_target(connection or {}) for connection in connections)
    return connections[0] is None or (
        _share_server(before, after) and t.cast("LoginTarget", before)[1:] == t.cast("LoginTarget", after)[1:]
    )


def _connections(server: Server, mount: str, *names: str) -> list[Values | None] | None:
    """The connections of these names; None if they may not be read."""
    try:
        return [server.read(f"{mount}/config/{name}") for name in names]
    except Forbidden:
        return None


def _share_server(one: LoginTarget | None, other: LoginTarget | None) -> bool:
    return one is not None and other is not None and one.shares_server(other)


def roles_of(server: Server, desired: Values, kind: str = "roles") -> list[str]:
    """The names of the roles (or ``static-roles``) that name this connection."""
    mount, connection = MOUNT.desired_value(desired), desired["name"]
    return [
        role
        for role in server.list(f"{mount}/{kind}")
        if (server.read(f"{mount}/{kind}/{role}") or {}).get("db_name") == connection
    ]


# -- objects that name a connection ---------------------------------------------------------------------------------------


def roles_keep_connection(
    server: Server, desired: Values, plan: Plan, reconcile_options: ReconcileOptions
) -> Diagnostics:
    """A connection is not deleted under dynamic roles: nobody could log in by them any more."""
    if plan.action != "delete":
        return
    roles = roles_of(server, desired)
    if not roles:
        return
    if not reconcile_options.revoke_leases:
        raise Refused(
            f"Not deleted: connection {MOUNT.desired_value(desired)}/config/{desired['name']} is used by {_counted('role', roles)}, which could "
            "issue no user without it. Delete them first (in database_sync: prune roles, too), or give them another db_name."
        )
    yield Diagnostic(
        f"The connection {desired['name']} is deleted; {_counted('role', roles)} cannot issue users without it."
    )


def static_roles_keep_connection(
    server: Server, desired: Values, plan: Plan, reconcile_options: ReconcileOptions
) -> Diagnostics:
    """Vault shows the password of a static role only while its connection is there, and means the server to which it leads."""
    moved = "" if plan.action == "delete" or reconcile_options.keep_leases else _moved(plan)
    if plan.action != "delete" and not moved:
        return ()
    try:
        roles = roles_of(server, desired, "static-roles")
    except Forbidden as error:
        return [Diagnostic(f"Whether static roles name the connection {desired['name']} was not checked. {error}")]
    if not roles:
        return ()
    path = f"{MOUNT.desired_value(desired)}/config/{desired['name']}"
    if plan.action == "delete":
        raise Refused(
            f"Not deleted: connection {path} is used by {_counted('static role', roles)}, whose password nobody could read without "
            "it. Delete them first (in database_sync: prune static_roles, too), or give them another db_name."
        )
    raise Refused(
        f"Not changed: connection {path} is used by {_counted('static role', roles)}, and {moved}: Vault would go on handing out "
        "passwords that it set where the connection leads now. Set keep_leases: true if it leads to the same server afterwards (a "
        "fail-over, another name of it), or delete the static roles first and create them again after it, which rotates their passwords."
    )


def static_role_keeps_server(
    server: Server, desired: Values, plan: Plan, reconcile_options: ReconcileOptions
) -> Diagnostics:
    """Another ``db_name`` does not rotate: Vault would hand out a password that the other server does not know."""
    old, new = plan.before.get("db_name"), plan.after.get("db_name")
    if plan.action != "update" or old == new or reconcile_options.keep_leases:
        return ()
    connections = _connections(server, MOUNT.desired_value(desired), str(old), str(new))
    if connections and _share_server(*(login_target(connection or {}) for connection in connections)):
        return ()
    raise Refused(
        f"Not changed: db_name of static role {desired['name']} would change from {old} to {new}, which is not known to lead to the same "
        "server, and Vault would go on handing out the password that it set on the first one. Delete the static role and create it "
        "again, which rotates the password there; if it is the same server, validate: false changes it."
    )


# -- one password, one keeper ---------------------------------------------------------------------------------------------


class Keeper(t.NamedTuple):
    """Who changes the password of a PostgreSQL user."""

    label: str
    target: LoginTarget


def keepers(server: Server, mount: str) -> list[Keeper]:
    """All connections and static roles of a mount, each with the user whose password it changes."""
    connections = {
        name: server.read(f"{mount}/config/{name}") or {}
        for name in server.list(f"{mount}/config")
        if not name.startswith(PROBE)
    }
    targets = {name: login_target(connection) for name, connection in connections.items()}
    found = [Keeper(f"connection {name}", target) for name, target in targets.items() if target and target.user]
    for name in server.list(f"{mount}/static-roles"):
        current = server.read(f"{mount}/static-roles/{name}") or {}
        target = targets.get(str(current.get("db_name")))
        if target:
            found.append(Keeper(f"static role {name}", target._replace(user=str(current.get("username") or ""))))
    return found


def connection_keeps_alone(server: Server, desired: Values, plan: Plan) -> Diagnostics:
    if plan.action == "update" and not _moved(plan):
        return ()
    target = login_target(plan.after)
    return _refuse_second(server, desired, f"connection {desired['name']}", target) if target else ()


def static_role_keeps_alone(server: Server, desired: Values, plan: Plan) -> Diagnostics:
    """Its user cannot change, so only its creation can bring two of them together, or a connection whose login target changes."""
    if plan.action != "create":
        return ()
    try:
        target = login_target(server.read(f"{MOUNT.desired_value(desired)}/config/{plan.after['db_name']}") or {})
    except Forbidden as error:
        return [_not_compared(str(plan.after["username"]), error)]
    if target is None:
        return ()
    return _refuse_second(
        server, desired, f"static role {desired['name']}", target._replace(user=plan.after["username"])
    )


def _refuse_second(server: Server, desired: Values, label: str, target: LoginTarget) -> Diagnostics:
    mount = MOUNT.desired_value(desired)
    try:
        others = [
            keeper
            for keeper in keepers(server, mount)
            if keeper.label != label and keeper.target.user == target.user and keeper.target.shares_server(target)
        ]
    except Forbidden as error:
        return [_not_compared(target.user, error)]
    if not others:
        return ()
    other = others[0]
    raise Refused(
        f"Not written: {label} would change the password of the PostgreSQL user {target.user} on {', '.join(sorted(target.servers))}, and so does "
        f"{other.label} of mount {mount} ({', '.join(sorted(other.target.servers))}): as soon as one of them rotates it, the other is locked "
        "out. Give each its own user. Compared were user, host and port as they are written, all names of the loopback interface as one; if "
        "these are two servers, validate: false writes it."
    )


def _not_compared(user: str, error: Problem) -> Diagnostic:
    return Diagnostic(f"Whether something else in Vault changes the password of {user} was not checked. {error}")


# -- limits and policies --------------------------------------------------------------------------------------------------


def ttls_within_limit(server: Server, desired: Values, plan: Plan) -> Diagnostics:
    """Vault accepts longer TTLs and cuts each lease when it is issued."""
    asked = {
        option: plan.after[option]
        for option in ("default_ttl", "max_ttl")
        if plan.after.get(option) and plan.after[option] != plan.before.get(option)
    }
    if not asked:
        return
    option, longest = max(asked.items(), key=lambda each: int(each[1]))
    mount = MOUNT.desired_value(desired)
    limit, certain = _limit_of(server, mount)
    if longest <= limit:
        return
    if not certain:
        yield Diagnostic(
            f"{option} ({longest} s) is longer than Vault's default limit ({limit} s), and whether this server has another one could not be "
            f"read (sys/mounts/{mount}/tune); if it has not, leases are silently cut to {limit} s."
        )
        return
    raise Refused(
        f"{option} ({longest} s) is longer than the mount {mount} allows (max_lease_ttl {limit} s); leases would silently be cut to {limit} s. "
        f"Shorten it, or raise max_lease_ttl of the mount (leasehold.vault.database_engine; the server's own limit is max_lease_ttl in its "
        "configuration)."
    )


def _limit_of(server: Server, mount: str) -> tuple[int, bool]:
    """The longest lease of a mount in seconds, and whether it was read: tuning shows the effective value, the mount its own alone."""
    try:
        tuned = (server.read(f"sys/mounts/{mount}/tune") or {}).get("max_lease_ttl")
    except Forbidden:
        try:
            current = server.read(f"sys/internal/ui/mounts/{mount}") or {}
        except Forbidden:
            current = {}
        tuned = (current.get("config") or {}).get("max_lease_ttl")
    return (int(tuned), True) if tuned else (SYSTEM_MAX_TTL, False)


def policy_exists(named: t.Callable[[Values], t.Any]) -> ServerCheck:
    """``named`` takes the password policy out of a side of a plan."""

    def server_check(server: Server, desired: Values, plan: Plan) -> Diagnostics:
        policy = named(plan.after)
        if not policy or policy == named(plan.before):
            return
        try:
            current = server.read(f"sys/policies/password/{policy}")
        except Forbidden as error:
            yield Diagnostic(f"Whether there is a password policy {policy} was not checked. {error}")
            return
        if current is None:
            yield Diagnostic(
                f"password_policy: there is no password policy {policy}, and no password could be made without it; create it first "
                "(leasehold.vault.password_policy).",
                "missing",
            )

    return server_check


def policy_is_unused(server: Server, desired: Values, plan: Plan, reconcile_options: ReconcileOptions) -> Diagnostics:
    """Vault deletes a password policy that is in use, and then makes no password for those that name it."""
    if plan.action != "delete":
        return
    users, unseen = _users_of_policy(server, desired["name"])
    if users:
        raise Refused(
            f"Not deleted: password policy {desired['name']} is in use by {_counted('object', users)}, for which Vault could make no password "
            "without it. Give them another password_policy first."
        )
    if unseen:
        yield Diagnostic(
            f"Whether the password policy {desired['name']} is in use was not checked everywhere. {unseen[0]}"
        )


def _users_of_policy(server: Server, policy: str) -> tuple[list[str], list[Forbidden]]:
    """Paths below database secrets engines that name a password policy, and why some could not be read."""
    users: list[str] = []
    unseen: list[Forbidden] = []
    try:
        mounts = server.read("sys/mounts") or {}
    except Forbidden as error:
        return [], [error]
    databases = (
        path for path, current in mounts.items() if isinstance(current, dict) and current.get("type") == "database"
    )
    engines = sorted(path.strip("/") for path in databases)
    for mount, kind in itertools.product(engines, ("config", "roles", "static-roles")):
        try:
            for name in server.list(f"{mount}/{kind}"):
                current = server.read(f"{mount}/{kind}/{name}") or {}
                if policy in (
                    current.get("password_policy"),
                    (current.get("credential_config") or {}).get("password_policy"),
                ):
                    users.append(f"{mount}/{kind}/{name}")
        except Forbidden as error:
            unseen.append(error)
    return users, unseen


def _counted(word: str, names: t.Sequence[str]) -> str:
    """``the role app`` or ``the roles a, b, c and 4 more``."""
    listed = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"the {word}{'' if len(names) == 1 else 's'} {listed}"


def _listed(names: t.Iterable[str]) -> str:
    return ", ".join(sorted(names))
