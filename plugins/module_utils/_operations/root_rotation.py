# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""Root rotation that tests whether the database still accepts the bootstrap password.

Nothing a server shows tells whether a root password was rotated.  A second connection with the same URL and the bootstrap
password does: Vault makes it only if the database lets it in.  That probe needs no way to the database from here, and is
removed in every case; what a killed run leaves is removed by the next.

A rotation that is cut off between the database's commit and its answer leaves a password that nobody knows: OpenBao forgets the new one
with the failed request.  HashiCorp Vault has written it down before, and sets the old one again within two minutes (``rollback_pending``);
the bootstrap password may work again then, so its state is reported only after it was tried again.  Both are found out, at once or by the next run.
"""

from __future__ import annotations

import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import (
    Forbidden,
    MountMissing,
    Problem,
    Refused,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core.fields import MOUNT, password
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Values, carry_out
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds_of, time_of, timestamp
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import holds_credentials
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import CONNECTION, ROTATED_AT
from ansible_collections.leasehold.vault.plugins.module_utils._resources.dependents import PROBE
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError

if t.TYPE_CHECKING:
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
    from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client

BEGUN = "begun "  # before the time: a rotation that may not have come to its end
PASSWORD = password("password")
AGAIN = "run this again when it can be tried"
PENDING = 300  # seconds after its begin in which a rotation that was cut off may be rolled back; 60 to 125 were seen


def rotate_root(session: Session, desired: Values, check_mode: bool) -> Values:
    client, path = session.client, CONNECTION.at(desired)
    PASSWORD.desired_value(desired)
    try:
        current = client.read(path)
    except MountMissing:
        current = None
    once = desired["rotate"] == "once"
    noted = _recorded_rotation(current)
    rotated = once and noted != "" and not noted.startswith(BEGUN)
    if not once and desired.get("older_than") is not None and not noted.startswith(BEGUN):
        rotated = _seconds_since(client, noted) < seconds_of("older_than", desired["older_than"])
    foreseen: Values = {"changed": not rotated, "rotated": not rotated}
    if current is None:
        foreseen["warnings"] = [f"There is no connection {path} yet; it is rotated once it is made."]
    elif once and not rotated:
        foreseen["warnings"] = [
            f"Whether the bootstrap password of {path} still works is not known without a probe, which a check run does not write. A run "
            "rotates only if it does."
        ]

    def change() -> Values:
        if current is None:
            raise Refused(
                f"There is no connection {path} at {client.url}, so there is nothing to rotate. Make it first."
            )
        if holds_credentials(current.get("connection_details", {}).get("connection_url") or ""):
            raise Refused(
                f"Nothing was rotated: the connection_url of {path} holds a name or a password itself, so Vault would go on logging in with "
                "that one. Write it as postgresql://{{username}}:{{password}}@host:5432/database, with username and password beside it."
            )
        if once:
            return _rotate_once(client, desired, current)
        return foreseen if rotated else _rotate_always(client, desired, noted)

    return carry_out(change, foreseen, check_mode)


def _rotate_once(client: Client, desired: Values, current: Values) -> Values:
    if not _accepts_bootstrap_password(client, desired, current):
        return _found_rotated(client, desired, _recorded_rotation(current))
    # Vault may hold another password than the one that was just accepted: it gets this one, and can rotate it.
    known = {} if desired.get("username") else {"password": desired["password"]}
    try:
        result = _rotate(client, desired, _recorded_rotation(current), known)
    except VaultError as error:
        # No answer is no news, nor is an error: only the database knows whether the password was changed.
        if _accepts_bootstrap_password(client, desired, current, AGAIN):
            raise Problem(f"Nothing was rotated, and the bootstrap password still works. {error}") from None
        warnings = _note(client, desired, begun=_begun(client))
        if warnings and _rolls_back(client):
            raise Problem(
                f"The database refuses the bootstrap password now, and it is unknown whether Vault can log in: it may roll the rotation back within "
                f"two minutes, so run this again then. {error}",
                rollback_pending=True,
            ) from None
        result = {"changed": True, "rotated": True, "warnings": warnings}
        if not error.unanswered:
            result["warnings"].append(f"The root password is rotated, although Vault answered: {error}")
    if _accepts_bootstrap_password(client, desired, current, AGAIN):
        raise Problem(
            f"The root password of {CONNECTION.at(desired)} was rotated, and the database still lets the bootstrap password in: it does "
            "not check passwords for Vault's address. Look for trust in pg_hba.conf."
        )
    return result


def _found_rotated(client: Client, desired: Values, noted: str) -> Values:
    if noted.startswith(BEGUN):  # by a run of ours that was killed before it could note the end
        return {"changed": True, "rotated": False, "warnings": _note(client, desired, begun=noted)}
    if noted:
        _require_login(client, desired, noted)
    if noted or desired.get("assume_rotated"):
        return {"changed": False, "rotated": False}
    raise Problem(
        f"The database refuses the bootstrap password of {CONNECTION.at(desired)}, and it is not noted there that this collection rotated it. If "
        "nobody else did, the password in the task is mistyped, and the real one still works. If somebody did, set assume_rotated: true, or leave "
        "the password out of the document."
    )


def _require_login(client: Client, desired: Values, noted: str) -> None:
    """A server that was restored, or that lost the last rotation in a fail-over, has another password than Vault."""
    try:
        reset(client, desired)
    except VaultError as error:
        if error.refused_by_database:
            raise _lost(client, desired, noted, error) from None
        raise
    except Forbidden:
        pass  # reset is optional; the playbook drift says that it could not ask


def reset(client: Client, desired: Values) -> None:
    """Let Vault close its connections to the database and log in anew, which changes no object; raises the database's error."""
    client.ask("post", f"{MOUNT.desired_value(desired)}/reset/{desired['name']}")


def _rotate_always(client: Client, desired: Values, noted: str) -> Values:
    try:
        return _rotate(client, desired, noted)
    except VaultError:
        _note(client, desired, BEGUN, begun=_begun(client))  # fails if it is lost
        raise


def _rotate(client: Client, desired: Values, noted: str, known: Values | None = None) -> Values:
    # Where this fails for another reason than a right that is missing, the note of the end is tried all the same.
    _note(client, desired, BEGUN, known, noted)
    client.ask("put", f"{MOUNT.desired_value(desired)}/rotate-root/{desired['name']}", kind="rotate")
    return {"changed": True, "rotated": True, "warnings": _note(client, desired)}


def _accepts_bootstrap_password(
    client: Client, desired: Values, current: Values, therefore: str = "nothing was rotated"
) -> bool:
    """Let Vault try the password in a connection of its own.  Anything but a clear yes or no is an error."""
    details = {key: value for key, value in current.get("connection_details", {}).items() if key != ROTATED_AT}
    probe = f"{MOUNT.desired_value(desired)}/config/{PROBE}{desired['name']}"
    body = {
        **details,
        "plugin_name": current.get("plugin_name"),
        "username": desired.get("username") or details.get("username"),
        "password": desired["password"],
        "allowed_roles": [],
        "verify_connection": True,
    }
    try:
        client.delete(probe)  # of a run that was killed
        client.write(probe, body)
    except VaultError as error:
        if error.wrong_password:
            return False
        raise Problem(
            f"It is unknown whether the bootstrap password of {CONNECTION.at(desired)} still works, so {therefore}. {error}"
        ) from None
    finally:
        client.delete(probe)
    return True


def _recorded_rotation(current: Values | None) -> str:
    return str((current or {}).get("connection_details", {}).get(ROTATED_AT) or "")


def _begun(client: Client) -> str:
    return f"{BEGUN}{timestamp(client.now())}"


def _note(client: Client, desired: Values, prefix: str = "", known: Values | None = None, begun: str = "") -> list[str]:
    """Leave the time beside the connection: Vault keeps no record, and check mode may not probe.  Vault logs in when it is told.

    ``begun`` is the note of the rotation that may have been cut off, if there was one.
    """
    path = CONNECTION.at(desired)
    try:
        client.write(
            path, {ROTATED_AT: f"{prefix}{timestamp(client.now())}", **(known or {}), "verify_connection": True}
        )
    except Problem as problem:
        if isinstance(problem, Forbidden) and prefix and _next_run_needs_note(desired):
            raise Forbidden(
                f"Nothing was rotated: a rotation is noted in the connection, or the next run could not tell that there was one. {problem}"
            ) from None
        if isinstance(problem, VaultError) and problem.wrong_password and not known:
            raise _lost(client, desired, begun, problem) from None
        return [
            f"That the root password is rotated could not be noted in the connection, so check mode will not know. {problem}"
        ]
    return []


def _next_run_needs_note(desired: Values) -> bool:
    """Without it, a password that was rotated looks like one that is mistyped, and the rotation has no age."""
    if desired["rotate"] == "once":
        return not desired.get("assume_rotated")
    return desired.get("older_than") is not None


def _lost(client: Client, desired: Values, begun: str, problem: Problem) -> Problem:
    refuses = f"The database refuses the password that Vault holds for {CONNECTION.at(desired)}"
    cut_off = begun.startswith(BEGUN) or not begun
    if begun.startswith(BEGUN) and _seconds_since(client, begun) < PENDING and _rolls_back(client):
        return Problem(
            f"{refuses}: a rotation was cut off before its answer came. Vault rolls such a rotation back by itself, within two minutes, and the "
            f"password that worked before it works again then: run this again in two minutes. {problem}",
            lost=True,
            rollback_pending=True,
        )
    why = (
        "a rotation was cut off before its answer came, or somebody else changed it"
        if cut_off
        else "one of the two servers was restored, a fail-over lost the last rotation, or somebody else changed it"
    )
    return Problem(
        f"{refuses}: {why}, so nobody knows it. As the DBA, give the PostgreSQL user a new password, and run this again "
        f"with it in password; leasehold.vault.vault and leasehold.vault.site do both when they know the DBA's password. {problem}",
        lost=True,
    )


def _seconds_since(client: Client, begun: str) -> float:
    try:
        return (client.now() - time_of(begun.removeprefix(BEGUN))).total_seconds()
    except ValueError:
        return float("inf")


def _rolls_back(client: Client) -> bool:
    """Whether the server may set the old password again: Vault does, OpenBao does not, and of others it is not known."""
    return client.identity.product != "openbao"
