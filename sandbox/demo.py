# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story that `./demo` tells: from two empty servers to a password that is refused."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import servers
from fetched import WORK

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = Path(os.environ.get("LEASEHOLD_SANDBOX") or WORK / "sandbox")
"""What `up` writes down, for `env` and `down`."""
INVENTORY = Path(__file__).with_name("inventory.yml")
DATABASE = "appdb"


# ------------------------------------------------------------------------------------------------------------ story


def play() -> None:
    with contextlib.ExitStack() as stack:
        with step(f"{servers.program().product} (raft, TLS, audit log) and PostgreSQL 18 start:") as result:
            # Its own, whatever `./demo up` or another run has started.
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="play-", dir=WORK)))
            bao, postgres = stack.enter_context(servers.running(directory))
            result("both are up")

        print("\nOne document (sandbox/group_vars/all.yml), one playbook:")
        run_playbook(directory, "site", "leasehold.vault.site sets everything up")
        run_playbook(directory, "site", "leasehold.vault.site runs again", may_change=False)
        prepare_table(postgres)
        run_playbook(directory, "verify", "leasehold.vault.verify proves it")

        print("\nAn application asks Vault for a user of its own:")
        lease = bao.request("GET", "database/creds/app-role")
        user, password = lease["data"]["username"], lease["data"]["password"]
        print(f"  user {user}, password {masked(password)}, for {lease['lease_duration'] // 60} minutes")
        line = write_line(postgres, user, password)
        print(f"  INSERT INTO guestbook … RETURNING line: {line!r}")
        bao.request("PUT", "sys/leases/revoke", {"lease_id": lease["lease_id"], "sync": True})
        print(f"  after the lease was revoked: {refusal(postgres, user, password)}")

        print("\nThe password that everything began with:")
        first_password = (directory / "first_password").read_text()
        print(f"  user vault_admin, password {masked(first_password)}")
        print(f"  after the playbook: {refusal(postgres, 'vault_admin', first_password)}")

        with step("\nThe servers stop, their files go:") as result:
            stack.close()
            result(f"nothing is left but {left()} (./demo clean removes it)")

    print("\nNext: ./demo up starts servers that stay, and docs/quickstart.md does the same by hand.")


def left() -> str:
    """The cache, in a checkout by its short name."""
    return f"{WORK.name}/" if WORK.parent == ROOT else str(WORK)


def prepare_table(postgres: servers.PostgreSQL) -> None:
    """A table of the owner's, made after the playbook: default privileges let the application in."""
    with contextlib.closing(postgres.connect(DATABASE)) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE app_owner")
        cursor.execute("CREATE TABLE public.guestbook (line text)")


def write_line(postgres: servers.PostgreSQL, user: str, password: str) -> str:
    connection = postgres.connect(DATABASE, user=user, password=password)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("INSERT INTO public.guestbook VALUES ('I was here') RETURNING line")
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def refusal(postgres: servers.PostgreSQL, user: str, password: str) -> str:
    """What PostgreSQL says to this user. That it lets the user in would be the end of the story."""
    import psycopg2  # `down` does without

    try:
        postgres.connect(DATABASE, user=user, password=password).close()
    except psycopg2.OperationalError as error:
        given = str(error).strip().partition("FATAL:")[2].strip()
        if not given.startswith("password authentication failed"):
            raise servers.ServerError(f"whether PostgreSQL lets {user} in could not be asked: {error}") from None
        return given
    raise servers.ServerError(f"PostgreSQL still lets {user} in")


# ------------------------------------------------------------------------------------------------------- how to tell


@contextlib.contextmanager
def step(title: str) -> Iterator[t.Callable[[str], None]]:
    """Say what begins, then how it ended and how long it took."""
    began, results = time.monotonic(), list[str]()
    print(f"{title} ", end="", flush=True)
    try:
        yield results.append
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {', '.join(results)} ({time.monotonic() - began:.0f} s)", flush=True)


def masked(secret: str) -> str:
    return f"{secret[:2]}{'•' * (len(secret) - 2)}"


def run_playbook(directory: Path, name: str, title: str, may_change: bool = True) -> None:
    """Run one of our playbooks, a dot for each task, and say how much it changed; show all it said if it fails."""
    with step(f"  {title}") as result:
        command = ["ansible-playbook", "--inventory", str(INVENTORY), f"leasehold.vault.{name}"]
        code, output = follow(command, environment(directory))
        changed = sum(int(number) for number in re.findall(r"\bok=\d+ +changed=(\d+)", output))
        if code != 0 or (changed and not may_change):
            raise servers.ServerError(hide_secrets(directory, f"{output}\n{name}: {changed} changed, exit code {code}"))
        result(f"{changed} changed")


def follow(command: list[str], variables: Mapping[str, str]) -> tuple[int, str]:
    lines = []
    with subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            for line in process.stdout or ():
                lines.append(line)
                if line.startswith("TASK ["):
                    print(".", end="", flush=True)
        except BaseException:
            process.terminate()
            raise
    return process.returncode, "".join(lines)


def environment(directory: Path) -> dict[str, str]:
    """How the playbooks are told about the servers, read from what sandbox/servers.py wrote down."""
    openbao = servers.recorded(directory)["openbao"]
    return {
        "VAULT_ADDR": openbao["url"],
        "VAULT_CACERT": openbao["ca_cert"],
        "VAULT_TOKEN": Path(openbao["token_file"]).read_text(),
        "SANDBOX_DIRECTORY": str(directory),
        "ANSIBLE_NOCOLOR": "true",
    }


def hide_secrets(directory: Path, text: str) -> str:
    record = servers.recorded(directory)
    files = [record["openbao"]["token_file"], record["postgresql"]["password_file"], directory / "first_password"]
    for secret in (Path(file).read_text() for file in files):
        text = text.replace(secret, masked(secret))
    return text


# ----------------------------------------------------------------------------------------------------- the other uses


def up() -> None:
    servers.up(DIRECTORY)
    print('To play with them:\n    eval "$(./demo env)"')
    print("    ansible-playbook -i sandbox/inventory.yml leasehold.vault.site")


def down() -> None:
    servers.down(DIRECTORY)
    shutil.rmtree(DIRECTORY, ignore_errors=True)


def env() -> None:
    """What a shell needs to talk to the servers as the demo does. Nothing but shell code is printed."""
    if not servers.all_running(DIRECTORY):
        raise servers.ServerError("no servers are up: ./demo up starts them")
    here = {
        name: os.environ[name]
        for name in ("PATH", "ANSIBLE_HOME", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_REMOTE_TEMP", "LC_ALL")
    }
    values: Mapping[str, str] = here | environment(DIRECTORY)
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends like any other, with everything stopped
    action = {"play": play, "up": up, "down": down, "env": env}[sys.argv[1]]
    try:
        action()
    except servers.ServerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
