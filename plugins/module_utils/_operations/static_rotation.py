# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Rotating the password of a static role, now or only when it is old."""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import MountMissing, NotConverged, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values, carry_out
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of, time_of
from ansible_collections.leasehold.vault.plugins.module_utils._resources.static_role import STATIC_ROLE
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError

if t.TYPE_CHECKING:
    import datetime

    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session


def rotate_static_role(session: Session, desired: Values, check_mode: bool) -> Values:
    """The module ``database_static_role_rotation``."""
    client, path = session.client, STATIC_ROLE.at(desired)
    rotation = path.replace("/static-roles/", "/rotate-role/")
    try:
        current = client.read(path)
    except MountMissing as error:
        current, missing = None, str(error)
    else:
        missing = f"There is no static role {path} at {client.url}, so there is nothing to rotate. Make it first."
    due = (
        current is None
        or desired.get("older_than") is None
        or _age(client.now(), current) >= seconds_of("older_than", desired["older_than"])
    )
    described = STATIC_ROLE.describe(desired, current)
    foreseen: Values = {"changed": due, "static_role": described, "warnings": [missing] if current is None else []}

    def change() -> Values:
        if current is None:
            raise Refused(missing)
        if not due:
            return foreseen
        try:
            client.ask("put", rotation, kind="rotate")
        except VaultError as error:
            # The server tries a rotation that failed again by itself, and both came at once: which password holds is unknown.
            if "duplicate item" not in error.message:
                raise
            client.ask("put", rotation, kind="rotate")
        rotated = STATIC_ROLE.describe(desired, client.read(path))
        if rotated.get("last_vault_rotation") == described.get("last_vault_rotation"):
            raise NotConverged(f"Vault accepted the rotation of {path} and does not show it.")
        return {"changed": True, "static_role": rotated}

    return carry_out(change, foreseen, check_mode)


def _age(now: datetime.datetime, current: Values) -> float:
    """Seconds, by the server's clock, whose answers are dated to the second."""
    return max((now - time_of(current["last_vault_rotation"])).total_seconds(), 0)
