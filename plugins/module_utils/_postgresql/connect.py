# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.
"""Sessions of the DBA: how to log in, and what went wrong as a sentence."""

from __future__ import annotations

import contextlib
import sys
import typing as t

from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import (
    FILE,
    KEY,
    libpq_parameters,
    parse_addresses,
    redirected,
)

try:
    import psycopg2
    import psycopg2.sql
except ImportError:
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.plan import Statement

Values = dict[str, t.Any]
LOGIN_OPTIONS: Values = {
    "login_user": {"type": "str", "default": "postgres"},
    "login_password": {"type": "str", "no_log": True},
    "login_host": {"type": "str"},
    "login_port": {"type": "int"},
    "login_unix_socket": FILE,
    "login_ssl_mode": {"type": "str"},
    "login_ca_cert": FILE,
    "login_client_cert": FILE,
    "login_client_key": KEY,
    "connect_timeout": {"type": "int", "default": 10},
}
"""How the DBA logs in: the options that every module has that talks to PostgreSQL only."""
DATABASE_OPTIONS: Values = {"database": {"type": "str", "required": True}, **LOGIN_OPTIONS}
"""The same with the database that :func:`database_session` is in."""
TIMEOUTS = "-c lock_timeout=30s -c search_path=pg_catalog -c client_min_messages=warning"
KEEPALIVE: Values = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60000}
"""A server that vanishes within a session is noticed within a minute."""
RETRIED = ("40001", "40P01", "XX000", "42P01", "42883", "42710", "42P04", "42P06", "23505")
"""Somebody else was changing the same at the same moment: look again."""
LOGIN = ". Correct login_user and login_password (of the playbooks and the role: postgresql_access_login_user and postgresql_access_login_password)."


def login_parameters(given: Mapping[str, t.Any], options: Mapping[str, t.Any]) -> Values:
    """libpq's connection parameters for the server of an entry; the options of the task win over the entry."""
    address, port = options.get("login_host") or options.get("login_unix_socket"), options.get("login_port")
    try:
        addresses = redirected(parse_addresses(given.get("host") or "", given.get("port")), address, port)
    except ValueError as error:
        raise Refused(f"{given['name']}: {error}.") from None
    ca_cert = options.get("login_ca_cert") or given.get("ca_cert")
    parameters = {
        **libpq_parameters(addresses),
        "user": options.get("login_user"),
        "password": options.get("login_password"),
        "sslmode": options.get("login_ssl_mode") or given.get("sslmode") or ("verify-full" if ca_cert else "prefer"),
        "sslrootcert": ca_cert,
        "sslcert": options.get("login_client_cert") or given.get("client_cert"),
        "sslkey": options.get("login_client_key") or given.get("client_key"),
        "target_session_attrs": given.get("target_session_attrs") or ("read-write" if len(addresses) > 1 else None),
        "connect_timeout": options.get("connect_timeout") or 10,
    }
    return {key: value for key, value in parameters.items() if value}


def server_label(parameters: Mapping[str, t.Any]) -> str:
    """The server as it is named in sentences."""
    return f"{parameters.get('host') or 'the local socket'}:{parameters.get('port', 5432)}"


class Session:
    """A session in one database; autocommit, except inside `transaction()`."""

    def __init__(self, parameters: Mapping[str, t.Any], database: str) -> None:
        self.where = f"{database} at {server_label(parameters)}"
        try:
            self._connection = psycopg2.connect(
                **parameters,
                **KEEPALIVE,
                dbname=database,
                options=TIMEOUTS,
                application_name="leasehold.vault postgresql_sync",
            )
        except psycopg2.Error as error:
            cure = LOGIN if "password" in str(error) else ""
            raise Problem(
                f"Logging in to {self.where} as {parameters.get('user')} failed: {_flat(str(error))}{cure}"
            ) from None
        self._connection.autocommit = True

    @property
    def lost(self) -> bool:
        """Whether the connection is gone, as the last statement has found."""
        return bool(self._connection.closed)

    def query(self, text: str, values: Mapping[str, t.Any] | None = None) -> list[tuple[t.Any, ...]]:
        """All rows of a query."""
        with self._sentence(), self._connection.cursor() as cursor:
            cursor.execute(text, values)
            return t.cast("list[tuple[t.Any, ...]]", cursor.fetchall())

    def execute(self, statement: Statement) -> None:
        """Run one statement, its identifiers quoted."""
        text: t.Any = statement.text
        if statement.names:
            # With values, a percent sign in a name would be taken for a placeholder.
            names = [name.replace("%", "%%") if statement.values else name for name in statement.names]
            text = psycopg2.sql.SQL(text).format(*map(psycopg2.sql.Identifier, names))
        with self._sentence(), self._connection.cursor() as cursor:
            cursor.execute(text, statement.values or None)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is executed in it, or nothing."""
        self.execute_text("BEGIN")
        try:
            yield
        except Problem:
            with contextlib.suppress(Problem):
                self.execute_text("ROLLBACK")
            raise
        self.execute_text("COMMIT")

    def execute_text(self, text: str) -> None:
        """Run SQL as it is."""
        with self._sentence(), self._connection.cursor() as cursor:
            cursor.execute(text)

    def take_warnings(self) -> list[str]:
        """What the server warned about since this was asked last."""
        notices = [_flat(notice.partition(":")[2]) for notice in self._connection.notices]
        del self._connection.notices[:]
        return notices

    def close(self) -> None:
        """End the session."""
        with contextlib.suppress(psycopg2.Error):
            self._connection.close()

    @contextlib.contextmanager
    def _sentence(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            raise DatabaseProblem(self.where, error) from None


def database_session(options: Mapping[str, t.Any]) -> contextlib.closing[Session]:
    """A session in the database of a task, for ``with``."""
    require_psycopg2()
    parameters = login_parameters({"name": options["database"]}, options)
    return contextlib.closing(Session(parameters, options["database"]))


class DatabaseProblem(Problem):
    """PostgreSQL refused something.  The statement is not shown, a password may be in it."""

    def __init__(self, where: str, error: t.Any) -> None:
        parts = (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)
        given = ". ".join(part.rstrip(".") for part in parts if part) or _flat(str(error)) or "the connection was lost"
        super().__init__(f"{given} ({error.pgcode or 'no code'}, {where})")
        self.code: str = error.pgcode or ""
        self.retried = self.code in RETRIED


def require_psycopg2() -> None:
    """Say what is missing, and where."""
    if not HAS_PSYCOPG2:
        raise Refused(
            f"The Python library psycopg2 is missing for {sys.executable}. Install it there (psycopg2-binary, or python3-psycopg2 of the "
            "distribution), or let ansible_python_interpreter name a Python that has it."
        )


def _flat(text: str) -> str:
    return " ".join(text.split())
