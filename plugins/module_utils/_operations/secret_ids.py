# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The secret half of an AppRole login: issued, kept as long as it is good, and ended.  Vault stores no secret id, and neither do we."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import duration, number
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field, Values, carry_out
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of, time_of
from ansible_collections.leasehold.vault.plugins.module_utils._operations.module import STATE, Task
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_mount import PATH, TYPES
from ansible_collections.leasehold.vault.plugins.module_utils._resources.auth_role import ROLES, cidrs
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import duplicate_warning

if t.TYPE_CHECKING:
    import datetime

    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client

OPTIONS = (
    duration("ttl"),
    number("num_uses"),
    cidrs("cidr_list"),
    cidrs("token_bound_cidrs"),
    Field("metadata", type="dict", encode=json.dumps),
)
"""What the server takes for one secret id; none of it may be more than the role allows."""


def renew_or_revoke(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``approle_secret_id``."""
    client, path = session.client, ROLES[TYPES[0]].at(desired)
    accessor = desired.get("secret_id_accessor")
    current = _look_up(client, path, accessor) if accessor else {}
    if desired["state"] == "absent":
        if not accessor:
            raise Refused("state: absent needs secret_id_accessor, the secret id to destroy.")

        def end() -> Values:
            if current:
                client.ask("put", f"{path}/secret-id-accessor/destroy", {"secret_id_accessor": accessor})
            return {"changed": bool(current)}

        return carry_out(end, {"changed": bool(current)}, check_mode)

    if current and _good_for(client.now(), current) >= _seconds("valid_for", desired):
        return {"changed": False, "secret_id": _shown(current)}
    body = {f.option: f.encode(f.desired_value(desired)) for f in OPTIONS if f.desired_value(desired) is not None}
    wrap_ttl = _seconds("wrap_ttl", desired)

    def issue() -> Values:
        return {"changed": True, **_issue(client, path, body, wrap_ttl)}

    return carry_out(issue, {"changed": True, "secret_id": {}}, check_mode)


def _seconds(option: str, desired: Values) -> int:
    return 0 if desired.get(option) is None else seconds_of(option, desired[option])


def _look_up(client: Client, path: str, accessor: str) -> Values:
    """What the server knows of a secret id; empty when it has ended."""
    answer = client.ask("put", f"{path}/secret-id-accessor/lookup", {"secret_id_accessor": accessor}, absent_ok=True)
    return (answer or {}).get("data") or {}


def _good_for(now: datetime.datetime, current: Values) -> float:
    """Seconds until it ends by itself."""
    until = str(current.get("expiration_time") or "")
    if not until or until.startswith("0001"):
        return float("inf")
    return (time_of(until) - now).total_seconds()


def _issue(client: Client, path: str, body: Values, wrap_ttl: int) -> Values:
    headers = {"X-Vault-Wrap-TTL": str(wrap_ttl)} if wrap_ttl else {}
    answer = client.ask("put", f"{path}/secret-id", body, kind="issue", headers=headers)
    warnings = duplicate_warning(answer, "secret id")
    wrapped = answer.get("wrap_info")
    if wrapped:
        shown = {key: wrapped.get(key) for key in ("token", "accessor", "ttl", "creation_time", "creation_path")}
        shown_id = {"secret_id_accessor": wrapped.get("wrapped_accessor", "")}
        return {"wrap_info": shown, "secret_id": shown_id, "warnings": warnings}
    return {"secret_id": answer.get("data") or {}, "warnings": warnings}


def _shown(current: Values) -> Values:
    return {
        key: current[key]
        for key in ("secret_id_accessor", "secret_id_ttl", "secret_id_num_uses", "expiration_time")
        if key in current
    }


def secret_id() -> Task:
    (_mount, role), spec = ROLES[TYPES[0]].identity, {"no_log": False}
    options = {
        "mount": {**PATH.argument(), "default": "approle"},
        "name": role.argument(),
        "state": STATE["state"],
        "secret_id_accessor": {"type": "str", **spec},
        "valid_for": {"type": "str"},
        "wrap_ttl": {"type": "str"},
        **{f.option: f.argument() for f in OPTIONS},
    }
    return Task(options, renew_or_revoke, returns_secrets=True)
