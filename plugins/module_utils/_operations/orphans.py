# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Database users without a lease, and how certain that is.

No API tells which user belongs to which lease.  What there is: the name has the role (often cut to 8 letters) and the second in which it
was made; the lease has its role and the time of its registration, which comes 0.01 to 0.93 s later; and VALID UNTIL lies 4 to 5 s behind
the end of the lease, also after a renewal.  So users and leases of a role are paired by time, from the surest evidence to the weakest.
Whatever leaves a doubt is called unknown: a user is reported as leaseless only when no remaining lease can be its own.

Who made a user is known from PostgreSQL 16 on: the maker has the ADMIN option on it.
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import datetime
import math
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core import statements as _statements
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT, text
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of, time_of, timestamp
from ansible_collections.leasehold.vault.plugins.module_utils._operations.leases import look_up
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql import usernames
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.verification import where_to_log_in
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import CONNECTION
from ansible_collections.leasehold.vault.plugins.module_utils._resources.role import ROLE

if t.TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Sequence

    from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client

    Ask = t.Callable[..., list[t.Any]]

CERTAIN, LEASELESS, UNKNOWN = "expired_and_leaseless", "leaseless", "unknown"
LOGIN_FIELDS = (
    Field("login_password", spec={"no_log": True}),
    text("login_host"),
    Field("login_port", type="int"),
    Field("login_ca_cert", type="path"),
    Field("login_client_cert", type="path"),
    Field("login_client_key", type="path", spec={"no_log": False}),
)
"""How ``login_user`` looks into the database of a connection."""
DEFINER = "leasehold_definer"
PARKED = "leasehold: parked"
SETTLED = 25 * 3600  # Vault tries to revoke an irrevocable lease again every 24 h
SLOW = 10  # issuing takes no longer as a rule: the admin's lock_timeout
SLOWEST = 95  # a request that issues ends within 90 s

_NOW = "SELECT extract(epoch FROM now())::float8, current_setting('server_version_num')::int"
_USERS = """
SELECT u.rolname::text AS username,
       extract(epoch FROM u.rolvaliduntil)::float8 AS valid_until,
       coalesce(pg_catalog.shobj_description(u.oid, 'pg_authid'), '') AS comment,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.usesysid = u.oid) AS sessions,
       ARRAY(SELECT m.rolname::text FROM pg_catalog.pg_auth_members AS b JOIN pg_catalog.pg_roles AS m ON m.oid = b.member
              WHERE b.roleid = u.oid AND b.admin_option AND b.grantor = 10 ORDER BY 1) AS makers,
       ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_auth_members AS b JOIN pg_catalog.pg_roles AS g ON g.oid = b.roleid
              WHERE b.member = u.oid ORDER BY 1) AS groups,
       ARRAY(SELECT DISTINCT d.datname::text FROM pg_catalog.pg_shdepend AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
              WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = u.oid ORDER BY 1) AS databases,
       ARRAY(SELECT ARRAY[x.database::text, x.gid] FROM pg_catalog.pg_prepared_xacts AS x WHERE x.owner = u.rolname) AS prepared
  FROM pg_catalog.pg_roles AS u
 WHERE u.rolvaliduntil < 'infinity'
   AND NOT (u.rolsuper OR u.rolcreaterole OR u.rolcreatedb OR u.rolreplication OR u.rolbypassrls)
 ORDER BY 1"""
_BESIDE = """
SELECT (SELECT coalesce(array_agg(datname::text ORDER BY 1), '{}') FROM pg_catalog.pg_database
         WHERE datallowconn AND datname <> current_database() AND has_database_privilege('public', oid, 'CONNECT')) AS open_databases,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
         WHERE usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid = a.usesysid)) AS sessions"""
_SUPERUSER = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = %s"
_STANDBY = "SELECT pg_catalog.pg_is_in_recovery()"
_OWNER = "SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = current_database()"


@dataclasses.dataclass(eq=False)
class User:
    """A user that this connection has made, or may have."""

    row: Values
    made: float | None
    """The second in the name."""
    sure: bool
    """Whether it is known that this connection made it."""
    roles: set[str] = dataclasses.field(default_factory=set)
    """The roles with leases whose users have such names."""
    family: str = ""
    """One of them, the same for all roles whose names are indistinguishable."""
    lease: Lease | None = None

    @property
    def name(self) -> str:
        return t.cast("str", self.row["username"])

    @property
    def parked(self) -> bool:
        return self.row["comment"].startswith(PARKED) and self.ends == -math.inf

    @property
    def ends(self) -> float:
        return t.cast("float", self.row["valid_until"])


@dataclasses.dataclass(eq=False)
class Lease:
    lease_id: str
    role: str
    issued: float
    ends: float
    family: str = ""
    user: User | None = None
    evidence: t.Callable[[User, Lease], bool] | None = None

    def is_certainly_of(self, user: User) -> bool:
        """Whether both were made in the same second, and end together."""
        return self.user is user and self.evidence is _same_second


@dataclasses.dataclass(frozen=True)
class Survey:
    """One look at a connection, its database and its leases, and which user has which lease."""

    view: View
    users: list[User]
    leases: list[Lease]
    foreign: list[User]
    """Users with names as those of this connection, whom another role has made."""
    names: set[str]
    """All roles of the server."""
    beside: Values
    where: Values


def read_orphans(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``database_orphans_info``."""
    client, min_age = session.client, seconds_of("min_age", desired["min_age"])
    current = connection_of(client, desired)
    with log_in(current, desired) as (ask, where):
        found = survey(client, desired, current, ask, where)
    return {
        "changed": False,
        **told_orphans(found, min_age),
        "users": len(found.users),
        "sessions_without_user": found.beside["sessions"],
        "open_databases": found.beside["open_databases"],
        "looked_at": where,
        "warnings": found.view.warnings + _said_beside(desired["name"], found.beside),
    }


def connection_of(client: Client, desired: Values) -> Values:
    """The connection as Vault has it, which must be there."""
    path = CONNECTION.at(desired)
    current = client.read(path)
    if current is None:
        raise Problem(f"There is no connection {path} at {client.url}.")
    return current


def survey(
    client: Client, desired: Values, current: Values, ask: Ask, where: Values, every_lease: bool = False
) -> Survey:
    """Read users and leases, and pair them.  ``every_lease``: also of roles that no user in the database is like."""
    details, roles = current.get("connection_details", {}), read_roles(client, desired)
    view = View(desired, details, roles, *ask(_NOW)[0], owner=ask(_OWNER)[0][0], database=where["dbname"])
    rows = ask(_USERS)
    users = view.recognised(rows)
    leases = view.leases(client, users, every_lease)
    (beside,) = ask(_BESIDE)
    admins = ask(_SUPERUSER, view.admin)
    view.admin_is_superuser = any(row[0] for row in admins)
    if ask(_STANDBY)[0][0]:
        view.doubt = "What was looked at is a standby, which may not have the newest users."
    elif not admins:
        view.doubt = (
            f"The admin role {view.admin} does not exist where this looked: it is another server, or a restored one."
        )
    # A user that is being revoked goes before its lease does; one that is still there now was not.
    names = {row["rolname"] for row in ask("SELECT rolname::text FROM pg_catalog.pg_roles")}
    users = [user for user in users if user.name in names]
    pair(users, leases)
    ours = {user.name for user in users}
    foreign = view.made_by_others(row for row in rows if row["username"] not in ours)
    return Survey(view, users, leases, foreign, names, beside, where)


def told_orphans(found: Survey, youngest: int) -> Values:
    orphans, removal = found.view.judged(found.users, found.leases, youngest)
    counts = {word: sum(one["certainty"] == word for one in orphans) for word in (CERTAIN, LEASELESS, UNKNOWN)}
    return {"orphans": orphans, "removal": removal, "counts": counts}


def _said_beside(connection: str, beside: Values) -> list[str]:
    given = []
    if beside["open_databases"]:
        given.append(
            f"{connection}: PUBLIC may connect to {', '.join(beside['open_databases'])} on this server. A user can leave objects there, and then "
            "stays behind without access when its lease ends. Revoke CONNECT from PUBLIC there, or name them in postgresql_access_close_databases."
        )
    if beside["sessions"]:
        given.append(
            f"{connection}: {beside['sessions']} session(s) on this server belong to users that are gone. The playbooks clean_orphans and revoke end "
            "them, with the DBA's login."
        )
    return given


def read_roles(client: Client, desired: Values) -> dict[str, Values]:
    """The roles of the mount, by name."""
    found = {role: {**desired, "name": role} for role in client.list(f"{MOUNT.desired_value(desired)}/roles")}
    return {role: ROLE.describe(given, client.read(ROLE.at(given))) for role, given in found.items()}


@contextlib.contextmanager
def log_in(current: Values, desired: Values) -> Iterator[tuple[Ask, Values]]:
    """A function that answers a query with its rows, in a session that can write nothing; and where it is, in libpq's words."""
    try:
        import psycopg2
        import psycopg2.extras
    except ImportError:
        raise Problem("psycopg2 (Python library) is needed where the task runs, to look into the database.") from None
    user = desired["login_user"]
    where = where_to_log_in(current.get("connection_details", {}).get("connection_url", ""), desired)
    try:
        session = psycopg2.connect(user=user, password=desired.get("login_password"), connect_timeout=10, **where)
        session.set_session(readonly=True, autocommit=True)
        with contextlib.closing(session), session.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:

            def ask(query: str, *values: t.Any) -> list[t.Any]:
                cursor.execute(query, values or None)
                return t.cast("list[t.Any]", cursor.fetchall())

            yield ask, where
    except psycopg2.Error as error:
        raise Problem(
            f"Could not look into the database of {CONNECTION.at(desired)} as {user} at {where.get('host')}: {' '.join(str(error).split())}. "
            "login_host, login_port and login_ca_cert say where it is from here."
        ) from None


class View:
    """What one look at a connection, its database and the leases showed."""

    def __init__(
        self,
        desired: Values,
        details: Values,
        roles: dict[str, Values],
        now: float,
        version: int,
        *,
        owner: str,
        database: str,
    ) -> None:
        self.desired, self.roles, self.now, self.owner, self.database = desired, roles, now, owner, database
        self.admin, self.tells_maker = details.get("username"), version >= 160000
        self.warnings: list[str] = []
        self.admin_is_superuser = False
        self.doubt = ""
        """Why it is not known which leases there are, or which users."""
        self._templates = self._known_templates(str(details.get("username_template") or usernames.DEFAULT))
        self._any = self._patterns(None)
        if not self.tells_maker and not {"unix_time", "unix_time_millis"} & set(self._any[0].groupindex):
            self.warnings.append(
                f"username_template of {desired['name']} puts no time into the names, and this PostgreSQL does not tell who made a user, so "
                "none is recognised. Put unix_time into the template."
            )

    def _known_templates(self, template: str) -> list[str]:
        """That of the connection, and what it may have had before, where this cannot be taken for that of another server."""
        if self.tells_maker:
            return list(dict.fromkeys([template, usernames.TEMPLATE, usernames.DEFAULT]))
        return [template, usernames.DEFAULT] if template == usernames.TEMPLATE else [template]

    def _patterns(self, role: str | None) -> list[re.Pattern[str]]:
        try:
            return [usernames.pattern(template, role) for template in self._templates]
        except ValueError as error:
            raise Refused(
                f"username_template of {self.desired['name']}: {error} here, so its users cannot be distinguished from others. What is understood is "
                "printf and the template functions of Vault, without conditions and variables."
            ) from None

    def is_of(self, username: str, role: str) -> bool:
        return any(pattern.fullmatch(username) for pattern in self._patterns(role))

    # -- who is ours

    def recognised(self, rows: Iterable[Values]) -> list[User]:
        return [user for user in (self._recognised(row, self.here) for row in rows) if user]

    def _recognised(self, row: Values, here: Sequence[str]) -> User | None:
        match = next(filter(None, (pattern.fullmatch(row["username"]) for pattern in self._any)), None)
        if match is None:
            return None
        made = usernames.issued_at(match)
        makers = row["makers"] if self.tells_maker else []
        sure = self.admin in makers
        if makers and not sure and DEFINER not in makers:
            return None  # somebody else's
        if not sure and (made is None or not any(self.is_of(row["username"], role) for role in here)):
            return None  # nothing says that it is ours
        return User(row, made, sure)

    @property
    def here(self) -> list[str]:
        """The roles whose users are in this database."""
        return [role for role, given in self.roles.items() if given.get("db_name") == self.desired["name"]]

    def made_by_others(self, rows: Iterable[Values]) -> list[User]:
        """Users with names as those of the roles here, but with another maker, such as this admin under a former name."""
        return [
            User(row, made, sure=False, roles=roles)
            for row in rows
            if row["makers"] and self.admin not in row["makers"] and DEFINER not in row["makers"]
            for roles in [{role for role in self.here if self.is_of(row["username"], role)}]
            if roles
            for match in [next(filter(None, (pattern.fullmatch(row["username"]) for pattern in self._any)), None)]
            if match
            for made in [usernames.issued_at(match)]
        ]

    # -- which leases there are

    def leases(self, client: Client, users: Sequence[User], every_lease: bool = False) -> list[Lease]:
        """The leases that may hold one of these users: also those of other mounts, which may use the same database."""
        mount = MOUNT.desired_value(self.desired)
        found: list[Lease] = []
        try:
            mounts = {path for path, current in client.mounts("sys/mounts").items() if current["type"] == "database"}
        except Forbidden as forbidden:
            mounts = set()
            self.warnings.append(f"Leases of other mounts are not known. {forbidden}")
        for one in sorted({mount} | mounts):
            try:
                found += self._of_mount(client, one, users, self.here if every_lease and one == mount else ())
            except Forbidden as forbidden:
                if one == mount:
                    self.doubt = f"The leases could not be listed. {forbidden}"
                else:
                    self.warnings.append(f"Leases of the mount {one} are not known. {forbidden}")
        families(users, found)
        return sorted(found, key=lambda lease: lease.issued)

    def _of_mount(self, client: Client, mount: str, users: Sequence[User], always: t.Collection[str]) -> list[Lease]:
        found = []
        for key in client.list(f"sys/leases/lookup/{mount}/creds/"):
            role = key.strip("/")
            like = [user for user in users if self.is_of(user.name, role)]
            for user in like:
                user.roles.add(role)
            for lease_id in client.leases(f"{mount}/creds/{role}") if like or role in always else ():
                current = look_up(client, lease_id)
                if current is not None:
                    ends = time_of(current["expire_time"]).timestamp() if current.get("expire_time") else math.inf
                    found.append(Lease(lease_id, role, time_of(current["issue_time"]).timestamp(), ends))
        return found

    # -- how sure it is

    def judged(
        self, users: Sequence[User], leases: Sequence[Lease], youngest: int
    ) -> tuple[list[Values], list[Values]]:
        """The orphans, and the SQL that removes the unambiguous ones."""
        near, chains = _Near(leases), _Chains(leases)
        orphans, removal = [], []
        for user in users:
            if user.lease is None:
                certainty, why = self._certainty(user, near, chains, youngest)
                orphans.append(self._row(user, certainty, why))
                if certainty != UNKNOWN:
                    result = {"username": user.name, "certainty": certainty, "parked": user.parked}
                    removal += [{**result, **step} for step in self._removal(user)]
        return orphans, removal

    def _certainty(self, user: User, near: _Near, chains: _Chains, youngest: int) -> tuple[str, str]:
        if user.parked:
            return (
                CERTAIN,
                f"Its lease was revoked, and it stayed, without access: {user.row['comment'].removeprefix(PARKED).lstrip(', ')}.",
            )
        if self.doubt:
            return UNKNOWN, self.doubt
        if user.made is not None and self.now - user.made < youngest:
            return UNKNOWN, f"It was made less than {youngest} s ago (min_age), and its lease may be on its way."
        twin = rival(user, near)
        if twin and twin.user:
            return UNKNOWN, f"The lease {twin.lease_id} is either its own or that of {twin.user.name}."
        stray = chains.stray(user)
        if stray:
            return UNKNOWN, f"The lease {stray.lease_id} was issued later and has no user that is certainly its own."
        over = self.now - user.ends
        who = (
            ""
            if user.sure
            else " Who made it cannot be seen here; another server whose roles have the same names might have."
        )
        if over < 0:
            return LEASELESS, f"It has no lease, and can log in until it expires.{who}"
        if user.sure or over > SETTLED:
            return CERTAIN, "It has expired and has no lease."
        return LEASELESS, f"It has expired and has no lease.{who}"

    def _row(self, user: User, certainty: str, why: str) -> Values:
        return {
            "username": user.name,
            "certainty": certainty,
            "why": why,
            "made_at": "" if user.made is None else _iso_time(user.made),
            "valid_until": _iso_time(user.ends) if math.isfinite(user.ends) else "",
            "expired": user.ends < self.now,
            "parked": user.parked,
            "sessions": user.row["sessions"],
            "databases": list(user.row["databases"]),
        }

    def _removal(self, user: User) -> list[Values]:
        """What it has prepared, then what it has in other databases: no block reaches that from here."""
        heir = self._heir(user)
        prepared = [
            {"database": database, "query": f"ROLLBACK PREPARED {_escaped(gid)}", "autocommit": True}
            for database, gid in user.row["prepared"]
        ]
        steps = [
            {"database": database, "query": _statements.handed_over(user.name, heir)}
            for database in user.row["databases"]
            if database != self.database
        ]
        return [*prepared, *steps, {"database": self.database, "query": _statements.removal(user.name, heir)}]

    def _heir(self, user: User) -> str:
        """Who gets its objects: whoever its role names, else its group, else the owner of the database."""
        groups = user.row["groups"]
        heirs = [
            heir
            for role, given in self.roles.items()
            if self.is_of(user.name, role)
            and (not groups or set(groups) & set(_statements.groups_in(given["creation_statements"])))
            for heir in _statements.heirs_in(given["revocation_statements"])
        ]
        return t.cast("str", [*heirs, *groups, self.owner][0])


def _escaped(text: str) -> str:
    """A literal of any text that a user has chosen."""
    return "E'{}'".format(text.replace("\\", "\\\\").replace("'", "''"))


def _iso_time(moment: float) -> str:
    return timestamp(datetime.datetime.fromtimestamp(moment, datetime.timezone.utc))


# -- pairs ------------------------------------------------------------------------------------------------------------------


def families(users: Iterable[User], leases: Iterable[Lease]) -> None:
    """Union-find: roles whose users have indistinguishable names form one set."""
    elder: dict[str, str] = {}

    def eldest(role: str) -> str:
        while elder.get(role, role) != role:
            role = elder[role]
        return role

    for user in users:
        for role in user.roles:
            elder[eldest(role)] = eldest(min(user.roles))
    for user in users:
        user.family = eldest(min(user.roles)) if user.roles else ""
    for lease in leases:
        lease.family = eldest(lease.role)


# Seconds from the name to the registration of the lease, and from the end of the lease to VALID UNTIL.


def _apart(user: User, lease: Lease) -> tuple[float, float]:
    return lease.issued - user.made if user.made is not None else 0, user.ends - lease.ends


def _same_second(user: User, lease: Lease) -> bool:
    issue, end = _apart(user, lease)
    return 0 <= issue < 1 and 3.5 <= end <= 5.5


def _same_seconds(user: User, lease: Lease) -> bool:
    issue, end = _apart(user, lease)
    return -1 <= issue <= 2 and 2.5 <= end <= 5.5


def _later(user: User, lease: Lease) -> bool:
    """Issuing took long.  VALID UNTIL counts from when Vault was asked, the lease from when all was done."""
    issue, end = _apart(user, lease)
    return -1 <= issue <= SLOWEST and (3.5 <= end <= 5.5 or (user.made is not None and -SLOWEST <= end <= 6 - issue))


def _about_then(user: User, lease: Lease) -> bool:
    """VALID UNTIL may be anything where a role has renewal statements of its own, or the login is a batch token."""
    issue, _end = _apart(user, lease)
    return user.made is not None and -1 <= issue <= 2


class _Near:
    """Leases by what may tie them to a user: the second of its name, or, where names have none, its end."""

    def __init__(self, leases: Iterable[Lease]) -> None:
        self._of: dict[tuple[str, bool], list[tuple[float, int, Lease]]] = {}
        for number, lease in enumerate(leases):
            self._of.setdefault((lease.family, True), []).append((lease.issued, number, lease))
            self._of.setdefault((lease.family, False), []).append((lease.ends, number, lease))
        for found in self._of.values():
            found.sort()

    def of(self, user: User, seconds: float) -> Iterator[Lease]:
        timed = user.made is not None
        first = user.made - 1 if user.made is not None else user.ends - 6
        found = self._of.get((user.family, timed), [])
        for at in range(bisect.bisect_left(found, (first,)), len(found)):
            if found[at][0] > first + 1 + seconds:
                return
            yield found[at][2]


def pair(users: Sequence[User], leases: Sequence[Lease]) -> None:
    """Match users and leases greedily, the strongest evidence first."""
    near = _Near(leases)
    for evidence, seconds in ((_same_second, 2), (_same_seconds, 2), (_later, SLOWEST), (_about_then, 2)):
        for user in users:
            if user.lease is None:
                lease = next((one for one in near.of(user, seconds) if one.user is None and evidence(user, one)), None)
                if lease:
                    user.lease, lease.user, lease.evidence = lease, user, evidence


def rival(user: User, near: _Near) -> Lease | None:
    """A lease matched to another user that may belong to this one."""
    for lease in near.of(user, SLOW):
        weak = lease.evidence is _about_then and _about_then(user, lease)
        if lease.user and (weak or _later(user, lease)):
            return lease
    return None


def owner_instead(lease: Lease, users: Iterable[User]) -> User | None:
    """A user matched to another lease that may own this one."""
    for user in users:
        slow = user.made is None or lease.issued - user.made <= SLOW
        if user.lease and user.family == lease.family and slow and (_later(user, lease) or _about_then(user, lease)):
            return user
    return None


class _Chains:
    """Leases without a user, and whom they put in doubt.

    Where issuing takes long, a user's own lease may have been given to the next user, whose own went to the one after it, and so on to a
    lease that is left over.  So a lease that is left over is looked for in all that follows without a long pause.
    """

    def __init__(self, leases: Sequence[Lease]) -> None:
        self._chains: dict[str, tuple[list[float], list[Lease | None]]] = {}
        for lease in reversed(leases):
            times, strays = self._chains.setdefault(lease.family, ([], []))
            goes_on = bool(times) and times[-1] - lease.issued <= SLOWEST
            strays.append(lease if lease.user is None else strays[-1] if goes_on else None)
            times.append(lease.issued)
        for chain in self._chains.values():
            for part in chain:
                part.reverse()

    def stray(self, user: User) -> Lease | None:
        times, strays = self._chains.get(user.family, ([], []))
        if user.made is None:
            return next((stray for stray in strays if stray), None)
        at = bisect.bisect_left(times, user.made - 1)
        return strays[at] if at < len(times) and times[at] - user.made <= SLOWEST else None
