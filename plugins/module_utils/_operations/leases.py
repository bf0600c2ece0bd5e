# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Leases: look at them, keep them alive, end them.  Nothing here believes a lease to be what its duration says."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import mount_path
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values, carry_out
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of, time_of, timestamp
from ansible_collections.leasehold.vault.plugins.module_utils._operations.credentials import (
    ROUNDING,
    effective_life,
    expiry,
    look_up_token,
)
from ansible_collections.leasehold.vault.plugins.module_utils._operations.standbys import (
    end_sessions_on_standbys,
    session_nodes,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError

if t.TYPE_CHECKING:
    import datetime

    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client


def look_up(client: Client, lease_id: str) -> Values | None:
    """What the server knows of a lease: ``ttl``, ``issue_time``, ``expire_time``, ``renewable``; None when it has ended."""
    try:
        return t.cast(
            "Values",
            client.ask("put", "sys/leases/lookup", {"lease_id": lease_id}, needs=("ttl", "issue_time"))["data"],
        )
    except VaultError as error:
        if error.status == 400 and "invalid lease" in error.message:
            return None
        raise


def renew(client: Client, lease_id: str, increment: int) -> int:
    """Seconds the lease lives from now on.  At its hard limit the server answers with fewer than asked for, not with an error."""
    body = {"lease_id": lease_id, "increment": increment}
    return int(client.ask("put", "sys/leases/renew", body, needs=("lease_duration",))["lease_duration"])


def renew_or_revoke(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``lease``."""
    if desired["state"] == "present":
        if desired.get("prefix") is not None:
            raise Refused("A prefix can be revoked, not renewed; give lease_id, or state: absent.")
        return _keep(session.client, _lease_path(desired["lease_id"]), desired, check_mode)
    if desired.get("nodes"):
        session_nodes(desired)
    if desired.get("prefix") is not None:
        result = _end_prefix(session.client, desired, check_mode)
    else:
        result = _end_one(session.client, _lease_path(desired["lease_id"]), desired["force"], check_mode)
    return _with_sessions(result, desired, check_mode)


def _with_sessions(result: Values, desired: Values, check_mode: bool) -> Values:
    """The sessions of users that are gone end on standbys, too; a check run does not know which a revocation would leave."""
    if not desired.get("nodes"):
        return result
    if result["changed"]:
        return carry_out(lambda: _end_sessions(result, desired), result, check_mode)
    return _end_sessions(result, desired, check_mode)


def _end_sessions(result: Values, desired: Values, dry_run: bool = False) -> Values:
    ended, problems = end_sessions_on_standbys(desired, dry_run)
    result = {**result, "changed": result["changed"] or ended > 0, "ended_sessions": ended}
    if problems:
        raise Problem(f"Sessions may go on without their users. {' '.join(problems)}", **result)
    return result


def _keep(client: Client, lease_id: str, desired: Values, check_mode: bool) -> Values:
    needed = seconds_of("valid_for", desired.get("valid_for") or 0)
    token = look_up_token(client, f"Keeping the lease {lease_id}", requests=2)
    current = look_up(client, lease_id)
    if current is None or current["ttl"] <= 0:
        raise Problem(f"The lease {lease_id} has ended, or never was. Issue new credentials.")
    if current["ttl"] >= needed:
        life, warnings = effective_life(token, current["ttl"])
        _long_enough(lease_id, life, needed, warnings)
        return {
            "changed": False,
            "lease": _described(client, lease_id, current["ttl"], life, current),
            "warnings": warnings,
        }
    if not current.get("renewable"):
        raise Problem(f"The lease {lease_id} ends in {current['ttl']} s and cannot be renewed. Issue new credentials.")
    asked = max(needed, seconds_of("increment", desired.get("increment") or 0))

    def change() -> Values:
        lease_duration = renew(client, lease_id, asked)
        life, warnings = effective_life(token, lease_duration)
        _long_enough(lease_id, life, needed, warnings)
        return {
            "changed": True,
            "lease": _described(client, lease_id, lease_duration, life, current),
            "warnings": warnings,
        }

    return carry_out(
        change, {"changed": True, "lease": _described(client, lease_id, asked, asked, current)}, check_mode
    )


def _long_enough(lease_id: str, life: int, needed: int, warnings: t.Sequence[str]) -> None:
    if life < needed - ROUNDING:
        why = warnings[0] if warnings else "It is at the hard limit of its role (max_ttl)."
        raise Problem(
            f"The lease {lease_id} has at most {life} s left, and {needed} s are needed. {why} Issue new credentials."
        )


def _end_one(client: Client, lease_id: str, force: bool, check_mode: bool) -> Values:
    if look_up(client, lease_id) is None:
        return {"changed": False, "revoked": 0, "remaining": 0}

    def change() -> Values:
        warnings = _revoke_each(client, [lease_id], force)
        if look_up(client, lease_id) is not None:
            raise Problem(f"Vault accepted the revocation of {lease_id} and still holds the lease.")
        return {"changed": True, "revoked": 1, "remaining": 0, "warnings": warnings}

    return carry_out(change, {"changed": True, "revoked": 1, "remaining": 0}, check_mode)


def _end_prefix(client: Client, desired: Values, check_mode: bool) -> Values:
    prefix = _lease_path(desired["prefix"])
    before = client.leases(prefix)
    if not before:
        return {"changed": False, "revoked": 0, "remaining": 0}

    def change() -> Values:
        warnings: list[str] = []
        try:
            client.revoke_prefix(prefix)
        except VaultError:
            # Revoking by prefix stops at the first failure; one by one, the others are revoked and each failure is reported.
            warnings = _revoke_each(client, client.leases(prefix), desired["force"])
        after = client.leases(prefix)
        gone = len(set(before) - set(after))
        return {"changed": gone > 0, "revoked": gone, "remaining": len(after), "warnings": warnings}

    return carry_out(change, {"changed": True, "revoked": len(before), "remaining": 0}, check_mode)


def _revoke_each(client: Client, lease_ids: t.Sequence[str], force: bool) -> list[str]:
    """Revoke; forget what cannot be revoked if asked to, and say whose users stay in the database."""
    failed: dict[str, str] = {}
    for lease_id in lease_ids:
        try:
            client.revoke_lease(lease_id)
        except VaultError as error:
            failed[lease_id] = str(error)
    if failed and not force:
        listed = "; ".join(f"{lease_id}: {why}" for lease_id, why in failed.items())
        raise Problem(
            f"{len(failed)} of {len(lease_ids)} lease(s) could not be revoked and are still there, with their users. Fix the cause and "
            f"run again, or forget them with force: true. {listed}"
        )
    warnings = []
    for lease_id, why in failed.items():
        client.ask("put", f"sys/leases/revoke-force/{lease_id}")
        whose = f"its user {user_in(why)}".rstrip()
        warnings.append(f"The lease {lease_id} was forgotten, and {whose} stays in the database. {why}")
    return warnings


def user_in(error: str) -> str:
    """The database user that a failed revocation speaks of; nothing when it names none."""
    found = re.search(r'role "([^"]+)"', error)
    return found[1] if found else ""


def read_leases(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``lease_info``."""
    client, prefix = session.client, _lease_path(desired["prefix"])
    warnings: list[str] = []
    try:
        errors = _irrevocable(client)
    except Forbidden as forbidden:
        errors = {}
        warnings.append(f"Irrevocable leases are not marked as such. {forbidden}")
    leases = []
    for lease_id in client.leases(prefix):
        current = look_up(client, lease_id)
        if current is not None:
            leases.append(
                _row(client.now(), lease_id, current, errors.get(lease_id) or current.get("revoke_error") or "")
            )
    counts: dict[str, int] = {}
    for lease in leases:
        counts[lease["role"]] = counts.get(lease["role"], 0) + 1
    return {
        "changed": False,
        "leases": leases,
        "counts": counts,
        "irrevocable": sum(lease["irrevocable"] for lease in leases),
        "server_time": timestamp(client.now()),
        "warnings": warnings,
    }


def _irrevocable(client: Client) -> dict[str, str]:
    answer = client.ask("get", "sys/leases", absent_ok=True, params={"type": "irrevocable", "limit": "none"}) or {}
    return {lease["lease_id"]: lease.get("error", "") for lease in (answer.get("data") or {}).get("leases") or []}


def _row(now: datetime.datetime, lease_id: str, current: Values, error: str) -> Values:
    issued = time_of(current["issue_time"])
    age = int((now - issued).total_seconds())
    return {
        "lease_id": lease_id,
        "role": lease_id.rpartition("/")[0].rpartition("/")[2],
        "ttl": current["ttl"],
        "issued_at": timestamp(issued),
        "expires_at": timestamp(time_of(current["expire_time"])) if current.get("expire_time") else "",
        "age": max(age, 0),
        "renewable": bool(current.get("renewable")),
        "overdue": current["ttl"] < 0,
        "irrevocable": bool(error),
        "error": error,
    }


def _described(client: Client, lease_id: str, lease_duration: int, life: int, current: Values) -> Values:
    return {
        "lease_id": lease_id,
        "lease_duration": lease_duration,
        "renewable": bool(current.get("renewable")),
        **expiry(life, client.now()),
    }


def _lease_path(value: str) -> str:
    try:
        return mount_path(value)
    except ValueError:
        raise Refused(
            f"{value!r} is not a lease or a prefix of leases; they look like database/creds/app-role/<id>."
        ) from None
