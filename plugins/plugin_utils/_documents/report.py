# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.


"""What the info modules read of a mount, as one report."""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.times import time_of, timestamp
from ansible_collections.leasehold.vault.plugins.module_utils._operations.leases import user_in
from ansible_collections.leasehold.vault.plugins.module_utils._operations.root_rotation import BEGUN
from ansible_collections.leasehold.vault.plugins.module_utils._resources import policy_language
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents import drift

Values = dict[str, t.Any]

BARS = 48
_STEPS = [60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800, 2592000]
_NAMES = re.compile(r'"[^"]*"|[\w.-]*\d{10}[\w.-]*|/[A-Za-z0-9]{20,}\b')

# Errors of failed revocations, and what to do about each.
_CURES = [
    ("2BP01|depend on it",
     "The revocation statements do not undo what the creation statements grant. Let the role use in_role, or revoke with REASSIGN OWNED, DROP "
     "OWNED and DROP ROLE."),
    ("42501|permission denied|must be",
     "Vault's admin lacks a right that the revocation needs. Run the playbook leasehold.vault.postgresql, or use in_role, which needs no rights "
     "on tables."),
    ("28P01|password authentication failed",
     "Vault's password for the admin is wrong. Let the DBA set one, and write it to the connection with force: true."),
    ("failed to find entry for connection", "The connection of the role does not exist. Create it again under its name."),
    ("57014|55P03|lock timeout|statement timeout|deadline exceeded",
     "The revocation waited too long for a lock. Find the transaction that holds it."),
    (r"dial|refused|no such host|57P0\d|53300|08\d{3}|connect", "The database could not be reached. Make it reachable from Vault."),
    ("42601|42883|42704|syntax", "The revocation statements are not correct SQL for this database. Correct the role."),
]  # fmt: skip
_AFTERWARDS = (
    " Then revoke the leases again: leasehold.vault.lease with state: absent, or the playbook leasehold.vault.revoke."
)


def lease_report(gathered: Values, now: str = "", shown: int = 200) -> Values:
    """All that the page shows, and all leases."""
    moment = time_of(now) if now else datetime.datetime.now(datetime.timezone.utc)
    leases = [
        {**lease, "left": (time_of(lease["expires_at"]) - moment).total_seconds() if lease["expires_at"] else None}
        for lease in gathered.get("leases") or []
    ]
    roles, causes = _roles(gathered, leases), _causes(leases)
    orphans = gathered.get("orphans")
    return {
        "mount": gathered["mount"],
        "url": gathered.get("url", ""),
        "made_at": timestamp(moment),
        "unread": gathered.get("unread") or [],
        "counts": {
            "leases": len(leases),
            "overdue": sum(lease["overdue"] for lease in leases),
            "irrevocable": sum(lease["irrevocable"] for lease in leases),
            "orphans": None if orphans is None else len(orphans),
        },
        "roles": roles,
        "timeline": _timeline([lease["left"] for lease in leases if lease["left"] is not None], moment),
        "irrevocable": [_irrevocable(those) for those in causes],
        "orphans": None if orphans is None else sorted(orphans, key=_worst),
        "open_databases": gathered.get("open_databases") or [],
        "sessions_without_user": int(gathered.get("sessions_without_user") or 0),
        "mismatches": _mismatches(gathered, roles),
        "connections": [
            _root(one["name"], given, moment, int(gathered.get("rotation_late") or 0))
            for one in gathered.get("connections") or []
            for given in [one.get("root_rotated_at") or ""]
        ],
        "static_roles": [_static(one, moment) for one in gathered.get("static_roles") or []],
        "drift": gathered.get("drift"),
        "servers": drift.report({"nodes": gathered.get("nodes") or []})["lines"],
        "next": [
            {word: lease[word] for word in ("lease_id", "issued_at", "expires_at")}
            for lease in sorted(leases, key=lambda lease: lease["left"] or 0)[:shown]
        ],
        "leases": _by_role(leases, causes),
    }  # fmt: skip


def _by_role(leases: list[Values], causes: list[list[Values]]) -> dict[str, list[Values]]:
    """All leases, without what ten thousand of them would repeat: the path, and the error but for the user in it."""
    found: dict[str, list[Values]] = {}
    cause_of = {lease["lease_id"]: number for number, those in enumerate(causes) for lease in those}
    for lease in leases:
        row = {
            "id": lease["lease_id"].rpartition("/")[2],
            **{word: lease[word] for word in ("issued_at", "expires_at")},
        }
        if lease["error"]:
            user = user_in(lease["error"])
            row |= {"cause": cause_of[lease["lease_id"]], **({"user": user} if user else {})}
        found.setdefault(lease["role"], []).append(row)
    return found


def _worst(orphan: Values) -> tuple[int, str]:
    return ["leaseless", "expired_and_leaseless", "unknown"].index(orphan["certainty"]), orphan["username"]


def _roles(gathered: Values, leases: list[Values]) -> list[Values]:
    """The roles of the mount, and those that are gone and still have leases; the fullest first."""
    found: dict[str, Values] = {
        role["name"]: {"role": role["name"], "connection": role["db_name"], "deleted": False,
                       "default_ttl": role.get("default_ttl") or 0, "max_ttl": role.get("max_ttl") or 0}
        for role in gathered.get("roles") or []
    }  # fmt: skip
    empty = {"connection": "", "deleted": bool(found), "default_ttl": 0, "max_ttl": 0}
    for lease in leases:
        row = found.setdefault(lease["role"], {"role": lease["role"], **empty})
        row["leases"] = row.get("leases", 0) + 1
        row["overdue"] = row.get("overdue", 0) + lease["overdue"]
        row["irrevocable"] = row.get("irrevocable", 0) + lease["irrevocable"]
        row["oldest"] = min(row.get("oldest") or lease["issued_at"], lease["issued_at"])
        if not lease["overdue"]:
            row["first_end"] = min(row.get("first_end") or lease["expires_at"], lease["expires_at"])
    for row in found.values():
        for word, nothing in (("leases", 0), ("overdue", 0), ("irrevocable", 0), ("oldest", ""), ("first_end", "")):
            row.setdefault(word, nothing)
    return sorted(found.values(), key=lambda row: (-row["leases"], row["role"]))


def _timeline(left: list[float], moment: datetime.datetime) -> Values:
    """How many leases end in each of some equal spans from now on; what should have ended is counted apart."""
    ahead = [seconds for seconds in left if seconds >= 0]
    longest = max(ahead, default=0)
    step = next((step for step in _STEPS if longest < step * BARS), 0) or int(longest // BARS) + 1
    counts = [0] * (int(longest // step) + 1)
    for seconds in ahead:
        counts[int(seconds // step)] += 1
    bars = [
        {"from": timestamp(moment + datetime.timedelta(seconds=number * step)), "leases": count}
        for number, count in enumerate(counts)
    ]
    return {"step": step, "most": max(counts), "overdue": len(left) - len(ahead), "bars": bars}


def _causes(leases: list[Values]) -> list[list[Values]]:
    """The leases that cannot be revoked, by role and cause: a thousand of them have one error, but for the names in it."""
    found: dict[tuple[str, str], list[Values]] = {}
    for lease in leases:
        if lease["error"]:
            found.setdefault((lease["role"], _NAMES.sub("…", lease["error"])), []).append(lease)
    return sorted(found.values(), key=len, reverse=True)


def _irrevocable(those: list[Values]) -> Values:
    return {
        "role": those[0]["role"],
        "leases": len(those),
        "error": those[0]["error"],
        "cure": cure(those[0]["error"]),
        "lease_ids": [lease["lease_id"] for lease in those[:20]],
    }


def cure(error: str) -> str:
    found = next(
        (given for pattern, given in _CURES if re.search(pattern, error, re.IGNORECASE)),
        "Read the error, and fix its cause.",
    )
    return found + _AFTERWARDS


def _age(given: str, moment: datetime.datetime) -> int | None:
    return int((moment - time_of(given.removeprefix(BEGUN))).total_seconds()) if given else None


def _root(name: str, given: str, moment: datetime.datetime, late: int) -> Values:
    """``late`` is the number of seconds after which a rotation on a schedule is late; 0 if there is none."""
    age = _age(given, moment)
    return {
        "name": name,
        "rotated_at": given.removeprefix(BEGUN),
        "begun": given.startswith(BEGUN),
        "age": age,
        "late": bool(late and (age is None or age > late)),
    }


def _static(role: Values, moment: datetime.datetime) -> Values:
    age, period = _age(role.get("last_vault_rotation") or "", moment), role.get("rotation_period") or 0
    return {
        "name": role["name"],
        "username": role["username"],
        "rotated_at": role.get("last_vault_rotation") or "",
        "age": age,
        "period": period,
        "late": bool(age is not None and period and age > period + 60),
    }


# -- logins that end before what they issue ---------------------------------------------------------------------------------


def _mismatches(gathered: Values, roles: list[Values]) -> list[Values] | None:
    """A lease ends with the token it was issued under.  None when logins or policies could not be read."""
    logins, policies = gathered.get("auth_roles"), gathered.get("policies")
    if logins is None or policies is None:
        return None
    default = gathered.get("default_lease_ttl") or 2764800
    rules = {policy["name"]: _rules(policy.get("policy") or "") for policy in policies}
    found = []
    for login in logins:
        life = _life(login)
        those = [rule for policy in login.get("token_policies") or [] for rule in rules.get(policy, [])]
        for role in roles:
            needs = role["default_ttl"] or default
            if life and life < needs and _may_read(those, f"{gathered['mount']}/creds/{role['role']}"):
                batch = "batch" in (login.get("token_type") or "")
                found.append({
                    "login": f"{login.get('type', '')}/{login.get('mount', '')}/{login['name']}".strip("/"), "role": role["role"],
                    "token": life, "lease": needs, "leases": role["leases"], "batch": batch,
                })  # fmt: skip
    return found


def _life(login: Values) -> int:
    """Seconds that a token of this login lives if nobody renews it; 0 if unknown, or if it is a periodic token."""
    if login.get("token_period"):
        return 0
    given = [login.get(f"token_{word}") or 0 for word in ("ttl", "max_ttl", "explicit_max_ttl")]
    return min((seconds for seconds in given if seconds), default=0)


def _rules(policy: str) -> list[tuple[str, list[str]]]:
    try:
        return [(path, list(given.get("capabilities") or ())) for path, given in policy_language.read(policy)]
    except ValueError:
        return []


def _may_read(rules: t.Iterable[tuple[str, list[str]]], path: str) -> bool:
    current = {word for pattern, words in rules if _matches(pattern, path) for word in words}
    return "read" in current and "deny" not in current


def _matches(pattern: str, path: str) -> bool:
    body, open_end = (pattern[:-1], ".*") if pattern.endswith("*") else (pattern, "")
    return bool(
        re.fullmatch("/".join("[^/]+" if part == "+" else re.escape(part) for part in body.split("/")) + open_end, path)
    )
