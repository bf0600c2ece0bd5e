# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of the integration tests: real `ansible-playbook` processes against real servers.

play(text or name, …)          run a playbook to its end; a `Run` says what came of it
play.start(text or name, …)    the same, in the background, to be interrupted
ground("name")                 a mount and a database of one test file, made without the collection
"""

from __future__ import annotations

import atexit
import base64
import collections
import contextlib
import functools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.error
from pathlib import Path
from urllib.parse import quote, quote_plus

import policies
import psycopg2
import pytest
import yaml
from rotation_queue import wait_for_rotation_queue

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import servers

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = Path(__file__).with_name("plugins")
CALLBACK = "leasehold.vault.revoke_leases"
Values = dict[str, t.Any]


# ----------------------------------------------------------------------------------------------------------- secrets


def leaks(text: str, secrets: t.Iterable[str]) -> list[str]:
    """Which of these secrets a text holds, as they are or in one of the forms in which they could get there."""
    return [secret for secret in secrets if any(form in text for form in forms(secret))]


def forms(secret: str) -> set[str]:
    raw = secret.encode()
    written = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    nested = {write(form)[1:-1] for form in written for write in (json.dumps, repr)}
    nested |= {form.replace("'", "''") for form in written}
    encoded = {quote(secret), quote(secret, safe=""), quote_plus(secret), base64.b64encode(raw).decode(), raw.hex()}
    return written | nested | encoded


# ------------------------------------------------------------------------------------------------------------- plays


class Unsafe(str):
    """Text that Ansible is to leave alone: `!unsafe` in YAML."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


def as_yaml(values: t.Any) -> str:
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))


class Run:
    """The result of a run: its output as people see it, and task by task."""

    def __init__(self, code: int, output: str, record: Path, home: Path, secrets: t.Sequence[str] = ()) -> None:
        self.code, self.output, self.home = code, output, home
        assert not leaks(output, secrets), f"printed: {leaks(output, secrets)}"
        lines = record.read_text().splitlines() if record.exists() else []
        events = [json.loads(line) for line in lines]
        self.results: list[Values] = [event for event in events if "task" in event]
        self.stats: Values = next((event["stats"] for event in events if "stats" in event), {})

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def changed(self) -> list[str]:
        """The tasks that changed something, `task (item)` in a loop."""
        return [
            event["task"] + (f" ({event['result']['_ansible_item_label']})" if _label(event) else "")
            for event in self.results
            if event["status"] == "ok" and event["result"].get("changed")
        ]

    @property
    def changes(self) -> int:
        return sum(host["changed"] for host in self.stats.values())

    @property
    def warnings(self) -> list[str]:
        """Each warning on one line, however it was wrapped."""
        text = re.sub(r"\x1b\[[0-9;]*m", "", self.output)
        found = re.findall(r"^\[WARNING\]: (.*(?:\n(?!\n|\[|[A-Z]+ \[|[a-z]+: \[|PLAY).*)*)", text, re.MULTILINE)
        return [" ".join(warning.split()) for warning in found]

    def warned(self, *words: str) -> list[str]:
        """The warnings that hold all these words."""
        return [warning for warning in self.warnings if all(word in warning for word in words)]

    def result(self, task: str) -> Values:
        """What a task answered, of one host and without a loop."""
        (only,) = self.of(task)
        return t.cast("Values", only["result"])

    def of(self, task: str) -> list[Values]:
        found = [event for event in self.results if event["task"] == task]
        assert found, f"there is no result of {task!r} in:\n{self.output}"
        return found

    def messages(self, task: str) -> list[t.Any]:
        """The `msg` of each host and item."""
        return [event["result"]["msg"] for event in self.of(task)]


def _label(event: Values) -> bool:
    return "_ansible_item_label" in event["result"]


class FirstRuns(t.NamedTuple):
    """What a playbook foresaw on fresh servers, whether it touched them, and what it did then, and when it ran again."""

    predicted: Run
    touched: bool
    first: Run
    again: Run


class Started:
    """A run in the background, in a process group of its own."""

    def __init__(
        self, process: subprocess.Popen[str], log: Path, record: Path, home: Path, secrets: t.Sequence[str] = ()
    ) -> None:
        self.process, self.log, self.record, self.home, self.secrets = process, log, record, home, secrets

    def wait_for(self, what: Callable[[], t.Any], seconds: float = 60, pause: float = 0.1) -> t.Any:
        """Wait until it is so; the run must not end before."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert self.process.poll() is None, f"the run ended too early:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"not within {seconds} s:\n{self.log.read_text()}"
            time.sleep(pause)
        return found

    def signal_group(self, number: signal.Signals) -> None:
        """As Ctrl-C in a terminal does: every process of the run gets it."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL for every process of the run; a worker may be in a session of its own, and would go on alone."""
        parents = dict(_parents())
        family = {self.process.pid}
        while more := {child for child, parent in parents.items() if parent in family} - family:
            family |= more
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(60)

    def finish(self, seconds: float = 90) -> Run:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the run did not end within {seconds} s:\n{self.log.read_text()}")
        return Run(self.process.returncode, self.log.read_text(), self.record, self.home, self.secrets)


def _parents() -> Iterator[tuple[int, int]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            yield int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])


class Play:
    """Runs playbooks in a directory of one test."""

    def __init__(self, directory: Path, bao: servers.OpenBao) -> None:
        self.directory, self.bao = directory, bao
        self.inventory: list[str] = ["localhost"]
        self.environment: dict[str, str] = {}
        self.secrets: list[str] = []
        """What no run may print."""
        # The tests of faults are about something else, often about a server that gives no token at the moment.
        self.as_root = "/faults/" in os.environ.get("PYTEST_CURRENT_TEST", "")
        """Otherwise runs get a token with the rights that docs/policies.md gives to what they use."""
        self._texts: list[str] = []
        self._count = 0

    def __call__(
        self,
        what: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        check: bool = False,
        ok: bool = True,
        seconds: float = 300,
    ) -> Run:
        """Run it to its end, which must be a good one unless `ok` says otherwise, and come within `seconds`."""
        run = self.start(what, *arguments, *(["--check", "--diff"] if check else []), env=env).finish(seconds)
        assert run.ok or not ok, run.output
        return run

    def start(self, what: str, *arguments: str, env: Mapping[str, str] | None = None) -> Started:
        self._count += 1
        here = self.directory / f"run{self._count}"
        here.mkdir()
        playbook = what if re.fullmatch(r"[\w.]+", what) else self.write(f"play{self._count}.yml", what)
        log, record, home = here / "output", here / "record", here / "home"
        home.mkdir(mode=0o700)
        inventory = [word for host in self.inventory for word in ("-i", f"{host},")]
        environment = {**self._environment(here, home), **self.environment, **(env or {})}
        if "VAULT_TOKEN" not in environment:
            environment["VAULT_TOKEN"] = self.bao.token if self.as_root else self._token(what)
        with log.open("w") as stream:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("ansible-playbook"), *inventory, "-c", "local", playbook, *arguments],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, text=True, cwd=self.directory,
                env=environment, start_new_session=True,
            )  # fmt: skip
        return Started(process, log, record, home, [*self.secrets, *filter(None, [environment["VAULT_TOKEN"]])])

    def _token(self, what: str) -> str:
        """Enough for what this run, and what was written for it, may use; on whatever mount."""
        names = used_in(f"import_playbook: {what}", *self._texts)
        documented = policies.documented()
        kinds = [policies.EVERY_LOGIN, *(f"{kind} {name}" for name in names for kind in ("module", "lookup"))]
        try:
            return policies.token(self.bao, (rule.at("+") for kind in kinds for rule in documented.get(kind, ())))
        except urllib.error.URLError:  # the server is away, and that is what the test is about
            return self.bao.token

    def write(self, name: str, text: str) -> str:
        self._texts.append(text)
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    def _environment(self, here: Path, home: Path) -> dict[str, str]:
        """Nothing of whoever runs the tests, but the way to the programs and to the collections."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        return {
            **kept, "VAULT_ADDR": self.bao.url, "VAULT_CACERT": str(self.bao.ca_cert),
            "LC_ALL": "C.UTF-8", "NO_PROXY": "127.0.0.1,localhost",
            "HOME": str(home), "ANSIBLE_HOME": str(home / ".ansible"), "ANSIBLE_ASYNC_DIR": str(home / "async"),
            "ANSIBLE_REMOTE_TEMP": str((unblank() if " " in str(home) else home / ".ansible") / "tmp"),
            "ANSIBLE_COLLECTIONS_PATH": collections_path(), "ANSIBLE_CALLBACK_PLUGINS": str(PLUGINS / "callback"),
            "ANSIBLE_FILTER_PLUGINS": str(PLUGINS / "filter"), "ANSIBLE_PYTHON_INTERPRETER": interpreter(),
            "ANSIBLE_PIPELINING": "true", "ANSIBLE_NOCOLOR": "true", "COLUMNS": "1000",
            "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "LEASEHOLD_TEST_RECORD": str(here / "record"),
        }  # fmt: skip


def used_in(*texts: str) -> set[str]:
    """The modules and lookups of these playbooks, and of the playbooks and roles of ours that they use."""
    names = {name for text in texts for name in re.findall(r"leasehold\.vault\.(\w+)", text)}
    playbooks = {
        name for text in texts for name in re.findall(r"import_playbook: leasehold\.vault\.(\w+)$", text, re.MULTILINE)
    }
    files = [ROOT / "playbooks" / f"{name}.yml" for name in playbooks]
    files += [file for name in names for file in (ROOT / "roles" / name / "tasks").glob("*.yml")]
    inside = [text for text in (file.read_text() for file in files) if text not in texts]
    return used_in(*texts, *inside) if inside else names


def short_directory() -> Path:
    """A temporary directory for TMPDIR: ansible-core 2.21 has a socket below it, whose path is limited to 107 characters."""
    directory = Path(tempfile.mkdtemp(prefix="leasehold-", dir="/tmp"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@functools.cache
def unblank() -> Path:
    """A directory without a blank in its name: Ansible starts modules through a shell and does not always quote."""
    return short_directory()


@functools.cache
def interpreter() -> str:
    """This Python, under a name that a shell takes as one word."""
    if " " not in sys.executable:
        return sys.executable
    program = unblank() / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    return str(program)


def extra(**values: t.Any) -> list[str]:
    """Variables for the command line, whatever is in them: `key=value` would end at the first blank."""
    return ["-e", json.dumps(values)]


_tree: list[str] = []


def collections_path() -> str:
    """Where Ansible finds this checkout as leasehold.vault, and what it depends on."""
    return ":".join([*_tree, *filter(None, [os.environ.get("ANSIBLE_COLLECTIONS_PATH")])])


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What libpq takes from the environment is not for the tests' own sessions."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _collection_tree(tmp_path_factory: pytest.TempPathFactory) -> None:
    if ROOT.parts[-3:] == ("ansible_collections", "leasehold", "vault"):
        _tree.append(str(ROOT.parents[2]))
        return
    tree = tmp_path_factory.mktemp("tree")
    (tree / "ansible_collections" / "leasehold").mkdir(parents=True)
    (tree / "ansible_collections" / "leasehold" / "vault").symlink_to(ROOT)
    _tree.append(str(tree))


@pytest.fixture
def play(bao: servers.OpenBao, tmp_path: Path) -> Play:
    return Play(tmp_path, bao)


# ----------------------------------------------------------------------------------------------------------- servers

CREATION = (
    "CREATE ROLE \"{{{{name}}}}\" LOGIN PASSWORD '{{{{password}}}}' VALID UNTIL '{{{{expiration}}}}' IN ROLE {group}"
)
REVOCATION = 'DROP ROLE IF EXISTS "{{name}}"'


class Ground:
    """A mount, a connection `db` and a database, made through the servers' own interfaces."""

    group = ""
    """The one whose members all its users are, if there is one."""

    def __init__(self, bao: servers.OpenBao, server: servers.PostgreSQL, name: str) -> None:
        self.bao, self.server, self.mount, self.database = bao, server, name, f"{name}_db"
        self.group, self.admin = f"{name}_rw", f"{name}_admin"
        self.admin_password = f"bootstrap-{secrets.token_hex(8)}"
        self.sql(f"CREATE DATABASE {self.database}", "postgres")
        self.sql(
            f"CREATE ROLE {self.group}; CREATE ROLE {self.admin} LOGIN CREATEROLE PASSWORD '{self.admin_password}'"
        )
        self.sql(f"GRANT {self.group} TO {self.admin} WITH ADMIN OPTION")
        self.sql(f"CREATE TABLE items (name text); GRANT SELECT, INSERT ON items TO {self.group}")
        bao.request("POST", f"sys/mounts/{name}", {"type": "database"})
        wait_for_rotation_queue(bao, bao.request("GET", f"sys/mounts/{name}")["data"]["accessor"])
        self.connection()

    def connection(self, name: str = "db", **more: t.Any) -> None:
        self.write(f"config/{name}", {
            "plugin_name": "postgresql-database-plugin", "allowed_roles": ["*"],
            "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@{self.server.host}:{self.server.port}/{self.database}?sslmode=disable",
            "username": self.admin, "password": self.admin_password, "max_open_connections": 10, **more,
        })  # fmt: skip

    def role(self, name: str, ttl: int | str = "1h", max_ttl: int | str = "24h", **more: t.Any) -> str:
        """A dynamic role. Its users carry the first eight letters of its name in theirs."""
        self.write(f"roles/{name}", {
            "db_name": "db", "creation_statements": [CREATION.format(group=self.group)],
            "revocation_statements": [REVOCATION], "default_ttl": ttl, "max_ttl": max_ttl, **more,
        })  # fmt: skip
        return name

    def user(self, name: str, password: str = "first") -> str:
        """A PostgreSQL user that stays, with a password that Vault may change."""
        self.sql(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
        if self.server.major >= 16:
            self.sql(f'GRANT "{name}" TO {self.admin} WITH ADMIN OPTION')
        return name

    def write(self, path: str, body: Values) -> None:
        try:
            self.bao.request("POST", f"{self.mount}/{path}", body)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()}") from None

    def read(self, path: str) -> Values:
        return t.cast("Values", self.bao.request("GET", f"{self.mount}/{path}")["data"])

    def issue(self, role: str) -> Values:
        answer = self.bao.request("GET", f"{self.mount}/creds/{role}")
        return {**answer["data"], "lease_id": answer["lease_id"]}

    def stranded(self, role: str, age: int, until: str) -> str:
        """A user whose lease is forgotten, as if it had been issued some time ago.  Revocation must fail for this role."""
        user = self.issue(role)
        self.bao.request("PUT", f"sys/leases/revoke-force/{user['lease_id']}")
        name = re.sub(r"\d+$", lambda made: str(int(made[0]) - age), user["username"])
        self.sql(f'ALTER ROLE "{user["username"]}" RENAME TO "{name}"')
        self.sql(
            f"DO $$ BEGIN EXECUTE format('ALTER ROLE %I VALID UNTIL %L', '{name}', now() + interval '{until}'); END $$"
        )
        return name

    def leases(self, role: str) -> list[str]:
        prefix = f"{self.mount}/creds/{role}"
        try:
            answer = self.bao.request("LIST", f"sys/leases/lookup/{prefix}/")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return []
        return [f"{prefix}/{key}" for key in answer["data"]["keys"]]

    def users(self, role: str) -> list[str]:
        """The PostgreSQL users of a role that there are."""
        rows = self.sql("SELECT rolname FROM pg_roles WHERE rolname ~ %s ORDER BY 1", values=(f"^v-.*-{role[:8]}",))
        return [name for (name,) in rows]

    def sql(self, text: str, database: str = "", values: t.Sequence[t.Any] = ()) -> list[t.Any]:
        return self.server.sql(text, database or self.database, values or None)

    def opens(self, user: str, password: str) -> bool:
        """Whether this password logs in."""
        try:
            self.server.connect(self.database, user=user, password=password).close()
        except psycopg2.OperationalError as error:
            if "password authentication failed" not in str(error):
                raise
            return False
        return True

    def approle(self, name: str, policy: str = "", **settings: t.Any) -> dict[str, str]:
        """An AppRole that may use this mount; its login as environment variables."""
        mount = f"approle-{self.mount}"
        with contextlib.suppress(urllib.error.HTTPError):  # it is mounted
            self.bao.request("POST", f"sys/auth/{mount}", {"type": "approle"})
        rules = (
            policy
            or f"""
            path "{self.mount}/*" {{ capabilities = ["create", "read", "update", "delete", "list"] }}
            path "sys/leases/*" {{ capabilities = ["create", "read", "update", "list", "sudo"] }}"""
        )
        self.bao.request("POST", f"sys/policies/acl/{self.mount}-{name}", {"policy": rules})
        self.bao.request("POST", f"auth/{mount}/role/{name}", {"token_policies": [f"{self.mount}-{name}"], **settings})
        role_id = self.bao.request("GET", f"auth/{mount}/role/{name}/role-id")["data"]["role_id"]
        secret_id = self.bao.request("POST", f"auth/{mount}/role/{name}/secret-id")["data"]["secret_id"]
        return {
            "VAULT_TOKEN": "", "VAULT_AUTH_METHOD": "approle", "VAULT_AUTH_MOUNT": mount,
            "VAULT_ROLE_ID": role_id, "VAULT_SECRET_ID": secret_id,
        }  # fmt: skip

    def asked(self, since: int = 0) -> collections.Counter[str]:
        """What the audit log has from there on: how often was each `operation path` answered without an error."""
        written, _end, _half_a_line = self.asked_text(since).rpartition("\n")
        answers = [line for line in written.splitlines() if '"type":"response"' in line]
        entries = [json.loads(line) for line in answers]
        return collections.Counter(
            f"{entry['request']['operation']} {entry['request']['path']}" for entry in entries if not entry.get("error")
        )

    def asked_text(self, since: int) -> str:
        with self.bao.audit_path.open() as log:
            log.seek(since)
            return log.read()

    def mark(self) -> int:
        """The end of the audit log as it is now."""
        return self.bao.audit_path.stat().st_size

    def issued(self) -> list[str]:
        """The PostgreSQL users of all roles that there are, also of those whose lease Vault does not know."""
        members = """
            SELECT users.rolname FROM pg_roles users JOIN pg_auth_members ON member = users.oid
            JOIN pg_roles groups ON roleid = groups.oid
            WHERE groups.rolname = %s AND users.rolname LIKE 'v-%%' ORDER BY 1"""
        return [name for (name,) in self.sql(members, "postgres", [self.group])]

    def remove(self) -> None:
        self.bao.request("PUT", f"sys/leases/revoke-force/{self.mount}")
        self.bao.request("DELETE", f"sys/mounts/{self.mount}")
        self.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)", "postgres")
        for name in self.issued():
            self.sql(f'DROP ROLE "{name}"', "postgres")


@pytest.fixture(scope="module")
def ground(bao: servers.OpenBao) -> Iterator[Callable[[servers.PostgreSQL, str], Ground]]:
    """Makes grounds, and removes them when the file is through."""
    made: list[Ground] = []

    def make(server: servers.PostgreSQL, name: str) -> Ground:
        made.append(Ground(bao, server, name))
        return made[-1]

    yield make
    for one in made:
        one.remove()
