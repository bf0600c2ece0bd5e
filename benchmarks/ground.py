# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every measurement stands on: the servers, plain requests to them, playbooks run to their end, and the clock."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sandbox"))
import servers

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Values = dict[str, t.Any]
CREATION = (
    "CREATE ROLE \"{{{{name}}}}\" LOGIN PASSWORD '{{{{password}}}}' VALID UNTIL '{{{{expiration}}}}' IN ROLE {group}"
)


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured."""

    name: str
    roles: tuple[int, int, int]
    """The last one is what the targets speak of. What costs a process per role is measured with the first two only."""
    loop: int
    """Roles beside a mount and a connection; the issue speaks of 52 resources."""
    tasks: int
    hosts: int
    mentions: int
    tables: tuple[int, int, int]
    issues: int
    """Credentials per measurement."""
    live: int
    concurrent_tables: int
    concurrent_seconds: float
    repeats: int
    patience: float
    """Seconds after which a measurement is not repeated any more."""
    per_task_at_last: bool = False
    """Whether the costly ones are measured with the last number of roles as well."""


QUICK = Size("quick", (2, 4, 12), 4, 2, 3, 3, (10, 100, 300), 3, 20, 20, 2, 1, 0)
DEFAULT = Size("default", (10, 100, 1000), 50, 20, 50, 10, (10, 1000, 5000), 40, 1000, 100, 10, 3, 45)
FULL = dataclasses.replace(DEFAULT, name="full", repeats=5, patience=120, per_task_at_last=True)


class CannotRunError(Exception):
    """A playbook that failed, with the end of what it said."""


# -------------------------------------------------------------------------------------------------------- the clock


def repeated(measure: Callable[[], float], repeats: int, patience: float) -> list[float]:
    """Measure several times, but do not begin again once this many seconds have been spent."""
    began, samples = time.monotonic(), [measure()]
    while len(samples) < repeats and time.monotonic() - began < patience:
        samples.append(measure())
    return samples


def summary(samples: list[float]) -> Values:
    """Seconds, as they are kept in results.json."""
    return {"median": statistics.median(samples), "samples": [round(sample, 5) for sample in samples]}


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


# ---------------------------------------------------------------------------------------------------- plain requests


class Raw:
    """The least a client can do: one connection that is kept, one request after the other."""

    def __init__(self, bao: servers.OpenBao) -> None:
        context = ssl.create_default_context(cafile=str(bao.ca_cert))
        self._connection = http.client.HTTPSConnection(servers.HOST, bao.port, context=context, timeout=300)
        self._headers = {"X-Vault-Token": bao.token, "X-Vault-Request": "true", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Mapping[str, t.Any] | None = None) -> tuple[int, Values]:
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, f"/v1/{path}", content, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}

    def must(self, method: str, path: str, body: Mapping[str, t.Any] | None = None) -> Values:
        status, answer = self.ask(method, path, body)
        if status >= 400:
            raise servers.ServerError(f"{method} {path}: {status} {answer}")
        return answer

    def names(self, path: str) -> list[str]:
        status, answer = self.ask("LIST", path)
        return list(answer["data"]["keys"]) if status < 400 else []

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        self._connection.close()


# ---------------------------------------------------------------------------------------------------------- playbooks


class Unsafe(str):
    """Text that Ansible is to leave alone: `!unsafe` in YAML."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: t.Any) -> bool:
        return True


_Dumper.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


def as_yaml(values: t.Any) -> str:
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=1000))


@dataclasses.dataclass(frozen=True)
class Run:
    seconds: float
    changed: int
    output: str


class Ground:
    """Both servers, and a directory for playbooks."""

    def __init__(self, bao: servers.OpenBao, postgres: servers.PostgreSQL, directory: Path) -> None:
        self.bao, self.postgres, self.directory = bao, postgres, directory
        self._count = 0

    def raw(self) -> Raw:
        return Raw(self.bao)

    def name(self, prefix: str) -> str:
        """A new name, for a mount or a directory."""
        self._count += 1
        return f"{prefix}{self._count}"

    def sql(self, text: str, database: str = "postgres") -> list[t.Any]:
        with contextlib.closing(self.postgres.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall() if cursor.description else []

    def url(self, database: str) -> str:
        """As a connection of the engine has it."""
        place = f"{self.postgres.host}:{self.postgres.port}/{database}"
        return f"postgresql://{{{{username}}}}:{{{{password}}}}@{place}?sslmode=disable"

    def requests(self, since: int = 0) -> int:
        """How many requests the server has noted from there on; the audit log is where it notes them."""
        with self.bao.audit_path.open("rb") as log:
            log.seek(since)
            return sum(b'"type":"request"' in line for line in log)

    def mark(self) -> int:
        return self.bao.audit_path.stat().st_size

    def forget(self, mount: str) -> None:
        """Remove a mount with everything in it."""
        with self.raw() as raw:
            raw.must("PUT", f"sys/leases/revoke-force/{mount}")
            raw.must("DELETE", f"sys/mounts/{mount}")

    def play(
        self,
        tasks: list[Values],
        variables: Values | None = None,
        hosts: int = 1,
        callbacks: str = "",
        **play: t.Any,
    ) -> Run:
        """Run one playbook; its variables are in group_vars, where people have them."""
        here = self.directory / self.name("play")
        (here / "group_vars").mkdir(parents=True)
        everyone = {f"host{number}": None for number in range(1, hosts + 1)}
        (here / "inventory.yml").write_text(as_yaml({"all": {"hosts": everyone}}))
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        (here / "group_vars" / "all.yml").write_text(as_yaml({**local, **(variables or {})}))
        (here / "play.yml").write_text(as_yaml([{"hosts": "all", "gather_facts": False, **play, "tasks": tasks}]))
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory.yml", "play.yml"]
        began = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=here,
            env={**self._environment(), **({"ANSIBLE_CALLBACKS_ENABLED": callbacks} if callbacks else {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
        shutil.rmtree(here)
        if done.returncode:
            raise CannotRunError((done.stdout + done.stderr)[-2000:])
        return Run(seconds, sum(map(int, re.findall(r"\bchanged=(\d+)", done.stdout))), done.stdout)

    def _environment(self) -> dict[str, str]:
        """Nothing of whoever calls, but the way to the programs and to the collections."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        paths = [os.environ["ANSIBLE_COLLECTIONS_PATH"], os.environ.get("LEASEHOLD_PEERS", "")]
        home = self.directory / "home"
        return {
            **kept, **self.bao.environment, "LC_ALL": "C.UTF-8", "HOME": str(home),
            "no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost",
            "ANSIBLE_HOME": str(home / ".ansible"), "ANSIBLE_REMOTE_TEMP": str(home / ".ansible" / "tmp"),
            "ANSIBLE_COLLECTIONS_PATH": ":".join(filter(None, paths)), "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_NOCOLOR": "true", "ANSIBLE_LOCALHOST_WARNING": "false",
        }  # fmt: skip


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    settings = {"max_locks_per_transaction": 1024}  # DROP OWNED locks each table the user has rights on
    with contextlib.ExitStack() as stack:
        bao = stack.enter_context(servers.OpenBao())
        postgres = stack.enter_context(servers.PostgreSQL(settings=settings))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leasehold-benchmarks-")))
        (directory / "home").mkdir()
        yield Ground(bao, postgres, directory)
