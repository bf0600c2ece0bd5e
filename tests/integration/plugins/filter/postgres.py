# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play of the tests can do in the process in which its templates are evaluated."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import typing as t

import psycopg2
from ansible import constants


def logs_in(credentials: t.Mapping[str, t.Any], port: int, dbname: str) -> str:
    """Who PostgreSQL says has logged in, or why it says no."""
    try:
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=port,
            dbname=dbname,
            user=str(credentials["username"]),
            password=str(credentials["password"]),
        )
    except psycopg2.OperationalError as error:
        return f"REFUSED: {error}"
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            return str(cursor.fetchone()[0])
    finally:
        connection.close()


def noted(value: t.Any, path: str) -> t.Any:
    """The same value, appended to a file that only the test reads."""
    with pathlib.Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(value, default=str) + "\n")
    return value


def in_the_way(name: str) -> str:
    """Put a file where a directory of this name would be made in the run's private directory."""
    path = pathlib.Path(t.cast("t.Any", constants).DEFAULT_LOCAL_TMP, name)
    path.touch()
    return str(path)


def local_tmp(_value: t.Any) -> str:
    return str(t.cast("t.Any", constants).DEFAULT_LOCAL_TMP)


def process(_value: t.Any) -> int:
    return os.getpid()


def crash(_value: t.Any) -> t.NoReturn:
    """End as a process does whose memory is broken."""
    os.kill(os.getpid(), signal.SIGABRT)
    raise AssertionError("that was the end")


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "logs_in": logs_in,
            "noted": noted,
            "in_the_way": in_the_way,
            "local_tmp": local_tmp,
            "process": process,
            "crash": crash,
        }
