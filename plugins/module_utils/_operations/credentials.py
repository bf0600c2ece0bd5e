# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Credentials as modules and lookups return them: one dictionary with Vault's answer and the effective expiration."""

from __future__ import annotations

import contextlib
import datetime
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import name
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values, carry_out
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import now, timestamp
from ansible_collections.leasehold.vault.plugins.module_utils._operations.standbys import replay_seconds, require_replay
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import duplicate_warning

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client


def issue_credentials(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``database_credentials``."""
    client, mount = session.client, MOUNT.desired_value(desired)
    dynamic = desired.get("role") is not None
    option = "role" if dynamic else "static_role"
    try:
        chosen = name(desired[option])
    except ValueError as error:
        raise Refused(f"{option}: {error}") from None

    replay_seconds(desired)

    def change() -> Values:
        credentials, warnings = issue(client, mount, chosen) if dynamic else read_static(client, mount, chosen)
        if dynamic:
            warnings += require_replay(client, credentials, desired)
        return {"changed": dynamic, "credentials": credentials, "warnings": warnings}

    return carry_out(change, {"changed": dynamic, "credentials": placeholder(chosen, static=not dynamic)}, check_mode)


def issued_lease(result: Values) -> str:
    """The id of the lease in a result of ``database_credentials``; empty if there is none, as for a static role."""
    lease_id: str = result["credentials"]["lease_id"]
    return lease_id


USER = ("username", "password")
ROTATED = "last_vault_rotation"
ROUNDING = 2  # seconds between a login and a lease of equal length


class Issued(t.NamedTuple):
    credentials: Values
    warnings: list[str]


def issue(
    client: Client, mount: str, role: str, note: t.Callable[[Values], None] = lambda _credentials: None
) -> Issued:
    """Make a database user.  Warns when a second one may have been created by a repeated request.

    ``note`` is called with the credentials as soon as there are any.
    """
    token = look_up_token(client, f"Issuing a user of {mount}/creds/{role}")
    answer = client.ask("get", f"{mount}/creds/{role}", kind="issue", needs=(*USER, "lease_id", "lease_duration"))
    user, lease_duration = answer["data"], answer["lease_duration"]
    expires_in, warnings = effective_life(token, lease_duration)
    credentials = {
        "username": user["username"],
        "password": user["password"],
        "lease_id": answer["lease_id"],
        "lease_duration": lease_duration,
        "renewable": bool(answer.get("renewable")),
        **expiry(expires_in, client.now()),
    }
    note(credentials)
    if client.uses_left:
        warnings.append(
            f"The token is good for {client.uses_left} more request(s) (num_uses), and the last one ends the user. Give the login a token "
            "without num_uses."
        )
    warnings += [f"{doubt} The module database_orphans_info tells." for doubt in duplicate_warning(answer, "user")]
    return Issued(credentials, [*warnings, *(answer.get("warnings") or [])])


def read_static(client: Client, mount: str, role: str) -> Issued:
    """The current password of a user that stays; it lives until Vault rotates it."""
    user = client.ask("get", f"{mount}/static-creds/{role}", needs=(*USER, "ttl"))["data"]
    credentials = {
        "username": user["username"],
        "password": user["password"],
        "lease_id": "",
        "lease_duration": user["ttl"],
        "renewable": False,
        **expiry(user["ttl"], client.now()),
        **({ROTATED: user[ROTATED]} if user.get(ROTATED) else {}),
    }
    return Issued(credentials, [])


def placeholder(role: str, static: bool = False) -> Values:
    """What a check run answers: the right shape, and nothing that opens a door."""
    return {
        "username": f"check-mode-{role}",
        "password": "check-mode",
        "lease_id": "",
        "lease_duration": 0,
        "renewable": False,
        **expiry(0, now()),
        **({ROTATED: timestamp(now())} if static else {}),
    }


def look_up_token(client: Client, what: str, requests: int = 1) -> Values:
    """What the server says of the token; to be asked before ``what`` is done with so many requests, never after.

    A question takes a use of a token that is good for some (num_uses); with the last one all ends that was issued under it.
    Empty where only the lease is known: not allowed to ask, or an agent's listener.
    """
    token: Values = {}
    if client.uses_left is not None:
        token = {"expire_time": True, "ttl": client.token_ttl} if client.token_ttl else {}
    else:
        with contextlib.suppress(Problem):
            token = client.ask("get", "auth/token/lookup-self", needs=("ttl",))["data"]
            if token.get("num_uses"):
                client.uses_left = max(token["num_uses"], 0)
    if client.uses_left is not None and client.uses_left <= requests:
        raise Refused(
            f"{what} was not tried: the token is good for {client.uses_left} more request(s) (num_uses), and with the last one Vault ends all that "
            "was issued under it. Give the login a token without num_uses, or with more."
        )
    return token


def effective_life(token: Values, lease_duration: int) -> tuple[int, list[str]]:
    """A lease ends with the token it was issued under, whatever its own duration says."""
    if not token.get("expire_time") or token["ttl"] >= lease_duration or token.get("period"):
        return lease_duration, []
    if lease_duration - token["ttl"] <= ROUNDING:
        return token["ttl"], []
    return token["ttl"], [
        f"The lease says {lease_duration} s, but the token it was issued under ends in {token['ttl']} s and the user is revoked with it. Give "
        "the login a token that lives longer: token_period or token_ttl of its auth role, or token_type=batch."
    ]


def expiry(expires_in: int, now: datetime.datetime) -> Values:
    """Seconds, and the moment; ``now`` is the server's time."""
    return {"expires_in": expires_in, "expires_at": timestamp(now + datetime.timedelta(seconds=expires_in))}
