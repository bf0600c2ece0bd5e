#!/usr/bin/env python3
# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that lives on short-lived credentials: the smallest complete one, with hvac and psycopg2.

It gets a user from Vault, works, renews past half of the lease, notices the hard limit by a renewal that comes back *shorter* than
asked for (Vault answers no error), moves over to a new user without failing a query, and revokes its user when it is told to stop.

    VAULT_ADDR, VAULT_CACERT      where Vault is
    VAULT_TOKEN                   a token; or
    VAULT_ROLE_ID, VAULT_SECRET_ID   an AppRole; or, with neither, the pod's service account:
    VAULT_AUTH_ROLE               its role at auth/kubernetes
    DATABASE_ROLE                 the role of the database secrets engine (app-role), DATABASE_MOUNT its mount (database)
    DATABASE_DSN                  host, port, dbname, sslmode: "host=postgres.production.svc dbname=appdb sslmode=verify-full"
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import typing as t
from pathlib import Path

import hvac
import psycopg2

log = logging.getLogger("app")
SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 (a path)


def vault_client() -> tuple[hvac.Client, bool]:
    """A logged-in client, and whether the login is ours to end."""
    client = hvac.Client(url=os.environ["VAULT_ADDR"], verify=os.environ.get("VAULT_CACERT") or True, timeout=30)
    if os.environ.get("VAULT_TOKEN"):
        client.token = os.environ["VAULT_TOKEN"]
        return client, False
    if os.environ.get("VAULT_ROLE_ID"):
        client.auth.approle.login(os.environ["VAULT_ROLE_ID"], os.environ.get("VAULT_SECRET_ID"))
    else:
        client.auth.kubernetes.login(os.environ["VAULT_AUTH_ROLE"], Path(SERVICE_ACCOUNT_TOKEN).read_text())
    return client, True


class Credentials:
    """A database user that is kept alive, and replaced at its hard limit, by a thread of its own."""

    def __init__(self, client: hvac.Client, mount: str, role: str) -> None:
        self._client, self._mount, self._role = client, mount, role
        self._stopping = threading.Event()
        self._retired: list[str] = []
        self.issued = 0
        self._issue()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _issue(self) -> None:
        answer = self._client.secrets.database.generate_credentials(self._role, mount_point=self._mount)
        self.lease_id, self.life = answer["lease_id"], answer["lease_duration"]
        self.expires = time.monotonic() + self.life
        # One assignment: a reader sees the old user or the new one, never half of each.
        self.user = (answer["data"]["username"], answer["data"]["password"])
        self.issued += 1
        log.info("issued %s for %s s", self.user[0], self.life)

    def _keep(self) -> None:
        while not self._stopping.wait(max((self.expires - time.monotonic()) - self.life / 2, 0.5)):
            try:
                self._renew_token()
                if not self._renew():
                    self._retired.append(self.lease_id)
                    self._issue()
            except (hvac.exceptions.VaultError, OSError) as error:
                # Half of the life is left: enough for another try, and for a leader to be elected.
                log.warning("could not renew, trying again: %s", type(error).__name__)
                self._stopping.wait(1)

    def _renew(self) -> bool:
        """Renew; False at the hard limit, where Vault grants less than was asked for instead of refusing."""
        granted = self._client.sys.renew_lease(self.lease_id, increment=self.life)["lease_duration"]
        self.expires = time.monotonic() + granted
        log.info("renewed for %s s", granted)
        return bool(granted >= self.life)

    def _renew_token(self) -> None:
        """The lease ends with the token it was issued under."""
        token = self._client.auth.token.lookup_self()["data"]
        if token.get("renewable") and token["ttl"] < 3 * self.life:
            self._client.auth.token.renew_self()

    def revoke_retired(self) -> None:
        """Called when nobody uses the old users any more."""
        while self._retired:
            self._client.sys.revoke_lease(self._retired.pop())

    def stop(self, end_login: bool) -> None:
        self._stopping.set()
        self._keeper.join()
        self.revoke_retired()
        self._client.sys.revoke_lease(self.lease_id)
        if end_login:
            self._client.auth.token.revoke_self()
        log.info("revoked %s", self.user[0])


class Database:
    """A connection that always belongs to living credentials."""

    def __init__(self, credentials: Credentials, dsn: str) -> None:
        self._credentials, self._dsn = credentials, dsn
        self._connection: t.Any = None
        self._user: tuple[str, str] | None = None

    def query(self, sql: str) -> t.Any:
        user = self._credentials.user
        if user != self._user:
            self._move_over(user)
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()

    def _move_over(self, user: tuple[str, str]) -> None:
        """Open the new connection before the old one is closed, and only then let go of the old user."""
        new = psycopg2.connect(self._dsn, user=user[0], password=user[1], connect_timeout=10)
        self.close()
        self._connection, self._user = new, user
        self._credentials.revoke_retired()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *dummy: stopping.set())
    client, own_login = vault_client()
    mount, role = os.environ.get("DATABASE_MOUNT", "database"), os.environ.get("DATABASE_ROLE", "app-role")
    credentials = Credentials(client, mount, role)
    database = Database(credentials, os.environ["DATABASE_DSN"])
    queries = 0
    try:
        while not stopping.wait(0.05):
            database.query("SELECT current_user")  # the application's work
            queries += 1
    finally:
        database.close()
        credentials.stop(own_login)
        log.info("stopped after %s queries and %s users", queries, credentials.issued)


if __name__ == "__main__":
    main()
