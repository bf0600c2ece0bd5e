# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of the stories: a server (in memory, then a real one), and a way to run modules on it.

run("database_role", name="app", …)          the result of one run; check=True for a check run
run.changes("database_role", …)              predicted by a check run, done, and then nothing more to do
run.nothing("database_role", …)              neither kind of run changes anything
run.refused("database_role", …)              the sentence of the refusal; nothing was written
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import functools
import http.server
import importlib
import json
import os
import secrets
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import typing as t
from pathlib import Path

import policies
import pytest

ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Do without pytest-ansible: it would lay a tree of links into the checkout and import the collection from there."""
    if pluginmanager.has_plugin("pytest-ansible"):
        pluginmanager.unregister(name="pytest-ansible")


def _make_importable() -> None:
    """Let ``ansible_collections.leasehold.vault`` be this checkout, wherever it lies."""
    if ROOT.parts[-3:] == ("ansible_collections", "leasehold", "vault"):
        sys.path.insert(0, str(ROOT.parents[2]))
        return
    tree = Path(tempfile.mkdtemp(prefix="leasehold-tree-"))
    atexit.register(shutil.rmtree, tree, ignore_errors=True)
    (tree / "ansible_collections" / "leasehold").mkdir(parents=True)
    (tree / "ansible_collections" / "leasehold" / "vault").symlink_to(ROOT)
    sys.path.insert(0, str(tree))


_make_importable()

import ansible.constants  # noqa: F401  # pylint: disable=unused-import  # reads its configuration while there is a home
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session, log_in
from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import OPTIONS
from fake_vault import FakeVault
from rotation_queue import wait_for_rotation_queue

if t.TYPE_CHECKING:
    import types
    from collections.abc import Iterator

    import servers

Values = dict[str, t.Any]


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No server, token or home directory of whoever runs the tests."""
    for variable in {name for option in OPTIONS for name in option.env} | {"HTTPS_PROXY", "https_proxy"}:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", os.devnull)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture(params=[-2, 2], ids=["two hours slow", "two hours fast"])
def clock_off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> datetime.timedelta:
    """The clock of this machine is wrong by so much, for the collection."""
    off = datetime.timedelta(hours=request.param)
    for name, module in list(sys.modules.items()):
        if name.startswith("ansible_collections.leasehold.vault.plugins.") and hasattr(module, "now"):
            monkeypatch.setattr(module, "now", lambda: datetime.datetime.now(datetime.timezone.utc) + off)
    return off


# -- databases -------------------------------------------------------------------------------------------------------------


class Database:
    """A database of its own on a shared PostgreSQL: an owner, a table, a group with rights on it, and Vault's admin.

    The admin is the one the documentation asks for: CREATEROLE, and ADMIN on the group where PostgreSQL wants that.
    """

    def __init__(self, server: servers.PostgreSQL) -> None:
        self.server, self.host, self.port = server, server.host, server.port
        number = secrets.token_hex(4)
        self.name, self.owner = f"app_{number}", f"app_owner_{number}"
        self.group, self.admin = f"app_rw_{number}", f"vault_admin_{number}"
        self.admin_password = f"bootstrap-{number}"
        with self.session("postgres") as sql:
            sql(f"CREATE ROLE {self.owner}")
            sql(f"CREATE DATABASE {self.name} OWNER {self.owner}")
            sql(f"CREATE ROLE {self.group}")
            sql(f"CREATE ROLE {self.admin} LOGIN CREATEROLE PASSWORD '{self.admin_password}'")
            how = "ADMIN TRUE, INHERIT FALSE, SET FALSE" if server.major >= 16 else "ADMIN OPTION"
            sql(f"GRANT {self.group} TO {self.admin} WITH {how}")
        with self.session() as sql:
            sql(f"SET ROLE {self.owner}")
            sql("CREATE TABLE items (id serial PRIMARY KEY, name text)")
            sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON items TO {self.group}")
            sql(f"GRANT USAGE, SELECT ON SEQUENCE items_id_seq TO {self.group}")
            sql("RESET ROLE")
            sql(f"GRANT CREATE, USAGE ON SCHEMA public TO {self.group}")

    @property
    def url(self) -> str:
        return f"postgresql://{{{{username}}}}:{{{{password}}}}@{self.host}:{self.port}/{self.name}?sslmode=disable"

    @contextlib.contextmanager
    def session(self, dbname: str = "", **login: str) -> Iterator[t.Callable[..., t.Any]]:
        """A function that runs SQL and returns its rows; as the superuser unless it is said otherwise."""
        connection = self.server.connect(dbname or self.name, **login)
        cursor = connection.cursor()

        def sql(text: str, *values: t.Any) -> t.Any:
            cursor.execute(text, values or None)
            return cursor.fetchall() if cursor.description is not None else None

        try:
            yield sql
        finally:
            connection.close()

    def sql(self, text: str, *values: t.Any) -> t.Any:
        with self.session() as sql:
            return sql(text, *values)

    def opens(self, password: str, user: str = "") -> bool:
        """Whether this password logs in, by default as Vault's admin."""
        import psycopg2

        try:
            with self.session(user=user or self.admin, password=password):
                return True
        except psycopg2.OperationalError as error:
            if "authentication failed" not in str(error):
                raise
            return False

    def has(self, user: str) -> bool:
        return bool(self.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", user))

    def refuse_all(self) -> None:
        """Be there, and let nobody in, for a reason that is not the password."""
        with self.session("postgres") as sql:
            sql(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
            sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", self.name)

    def let_in_again(self) -> None:
        with self.session("postgres") as sql:
            sql(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")


# -- servers ---------------------------------------------------------------------------------------------------------------


class World:
    """A Vault, a mount for one test, and what the test does there without the modules."""

    options: Values
    client: Client

    def __init__(self) -> None:
        self.mount = f"database-{secrets.token_hex(4)}"

    @property
    def database(self) -> t.Any:
        raise NotImplementedError

    def connect(self, options: Values) -> Session:
        raise NotImplementedError

    def login_for(self, module_name: str, mount: str) -> Values:
        """The options with which a module logs in."""
        return {}

    @contextlib.contextmanager
    def same_afterwards(self) -> Iterator[None]:
        """The server shows the same afterwards, whatever was sent."""
        before = self.snapshot()
        yield
        assert self.snapshot() == before

    def unchanged(self) -> contextlib.AbstractContextManager[None]:
        """Nothing is written."""
        return self.same_afterwards()

    # out of band

    def read(self, path: str) -> t.Any:
        return self.client.read(f"{self.mount}/{path}")

    def names(self, path: str) -> list[str]:
        return self.client.list(f"{self.mount}/{path}")

    def write(self, path: str, **body: t.Any) -> None:
        self.client.write(f"{self.mount}/{path}", body)

    def issue(self, role: str) -> Values:
        answer = self.client.ask("get", f"{self.mount}/creds/{role}", kind="issue")
        return {**answer["data"], "lease_id": answer["lease_id"]}

    def leases(self) -> list[str]:
        return self.client.leases(f"{self.mount}/creds")

    def add_mount(self, path: str = "", **body: t.Any) -> World:
        self.client.write(f"sys/mounts/{path or self.mount}", {"type": "database", **body})
        return self

    def add_connection(self, name: str = "db", **more: t.Any) -> World:
        self.write(f"config/{name}", **{**self.connection(), "plugin_name": "postgresql-database-plugin", **more})
        return self

    def add_role(self, name: str = "app", **more: t.Any) -> World:
        creation = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
        revocation = 'DROP ROLE IF EXISTS "{{name}}"'
        body = {"db_name": "db", "creation_statements": [creation], "revocation_statements": [revocation], **more}
        self.write(f"roles/{name}", **body)
        return self

    def connection(self) -> Values:
        """The options of a connection that works and allows every role."""
        database = self.database
        return {
            "connection_url": database.url,
            "username": database.admin,
            "password": database.admin_password,
            "allowed_roles": ["*"],
        }

    def snapshot(self) -> Values:
        """Everything the server shows of this test's mount, and which mounts there are."""
        mounts = self.client.read("sys/mounts") or {}
        found: Values = {"mounts": sorted(mounts), "mount": mounts.get(f"{self.mount}/")}
        if found["mount"] and found["mount"]["type"] == "database":
            for kind in ("config", "roles", "static-roles"):
                for name in self.names(kind):
                    found[f"{kind}/{name}"] = self.read(f"{kind}/{name}")
            found["leases"] = self.leases()
        return {**found, **self._access()}

    def _access(self) -> Values:
        """The policies of this test, and what there is at an auth mount of its name."""
        found: Values = {path: self.client.read(path) for path in self._policies()}
        auth = found["auth"] = self.client.read(f"sys/auth/{self.mount}")
        if auth:
            paths = [f"auth/{self.mount}/role/{name}" for name in self.client.list(f"auth/{self.mount}/role")]
            found |= {
                path: self.client.read(path)
                for path in [*paths, *([f"auth/{self.mount}/config"] if auth["type"] != "approle" else [])]
            }
        return found

    def _policies(self) -> list[str]:
        """The paths of those, and of quotas, that have the name of this test's mount in theirs."""
        kinds = ("sys/policies/acl", "sys/policies/password", "sys/quotas/rate-limit")
        return [f"{kind}/{name}" for kind in kinds for name in self.client.list(kind) if self.mount in name]


class FakeWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self.server = FakeVault()
        self.options = {"url": "http://127.0.0.1:8200", "token": "root"}
        self.client = self._client()

    @property
    def database(self) -> t.Any:
        return self.server.database

    def connect(self, options: Values) -> Session:
        return Session(self._client(), False, [])

    def _client(self) -> Client:
        client = Client("http://127.0.0.1:8200", retries=0)
        client.wire = self.server  # type: ignore[assignment]
        client.token = "root"
        return client

    def unchanged(self) -> contextlib.AbstractContextManager[None]:
        return self.server.freeze()


class RealWorld(World):
    def __init__(self, server: servers.OpenBao, postgres: servers.PostgreSQL) -> None:
        super().__init__()
        self.server, self._postgres = server, postgres
        self.options = {"url": server.url, "ca_cert": str(server.ca_cert), "token": server.token}
        self.client = Client(server.url, verify=str(server.ca_cert), retries=1)
        self.client.token = server.token

    @functools.cached_property
    def database(self) -> t.Any:
        return Database(self._postgres)

    def connect(self, options: Values) -> Session:
        return log_in(options)

    def add_mount(self, path: str = "", **body: t.Any) -> World:
        super().add_mount(path, **body)
        wait_for_rotation_queue(self.server, self.client.read(f"sys/mounts/{path or self.mount}")["accessor"])
        return self

    def login_for(self, module_name: str, mount: str) -> Values:
        """A token that may do exactly what the documentation says is enough for this module."""
        documented = policies.documented()
        rules = [*documented[policies.EVERY_LOGIN], *documented[f"module {module_name}"]]
        usable = (
            mount if "\n" not in mount else self.mount
        )  # what is no mount is refused before anybody asks for rights
        return {"token": policies.token(self.server, (rule.at(usable) for rule in rules))}

    def clean_up(self) -> None:
        for mount, current in (self.client.read("sys/mounts") or {}).items():
            if current["type"] == "database":
                wait_for_rotation_queue(self.server, current["accessor"])
                self.client.ask("put", f"sys/leases/revoke-force/{mount.strip('/')}")
                self.client.delete(f"sys/mounts/{mount.strip('/')}")
        self.client.delete(f"sys/auth/{self.mount}")
        for path in self._policies():
            self.client.delete(path)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.real)])
def vault(request: pytest.FixtureRequest) -> Iterator[World]:
    """The server of a story: every story is told on the fake and on the real one."""
    if request.param == "fake":
        yield FakeWorld()
    else:
        yield from _real(request, "postgres")


@pytest.fixture
def real_vault(request: pytest.FixtureRequest, bao: t.Any, postgres: t.Any) -> Iterator[World]:
    """For what only a database can answer."""
    yield from _real(request, "postgres")


@pytest.fixture
def tls_vault(request: pytest.FixtureRequest, bao: t.Any, postgres_tls: t.Any) -> Iterator[World]:
    """On a PostgreSQL with TLS under an authority of its own, which takes nothing else over the network."""
    yield from _real(request, "postgres_tls")


@pytest.fixture(params=["postgres", pytest.param("postgres15", marks=pytest.mark.full)])
def any_postgres(request: pytest.FixtureRequest, bao: t.Any) -> Iterator[World]:
    """The same on PostgreSQL 18 and 15."""
    yield from _real(request, request.param)


@pytest.fixture
def fake_vault() -> FakeWorld:
    """For what only a server that can be looked into answers."""
    return FakeWorld()


def _real(request: pytest.FixtureRequest, postgres: str) -> Iterator[World]:
    world = RealWorld(request.getfixturevalue("bao"), request.getfixturevalue(postgres))
    yield world
    world.clean_up()


# -- modules ---------------------------------------------------------------------------------------------------------------


def module_named(name: str) -> types.ModuleType:
    return importlib.import_module(f"ansible_collections.leasehold.vault.plugins.modules.{name}")


@functools.cache
def specification_of(module_name: str) -> Values:
    return t.cast("Values", module_named(module_name).TASK.specification)


@functools.cache
def _validator(module_name: str) -> ArgumentSpecValidator:
    specification = dict(specification_of(module_name))
    specification.pop("supports_check_mode")
    return ArgumentSpecValidator(**specification)


def validated(module_name: str, given: Values) -> Values:
    """The options as the module receives them: aliases, types and defaults as AnsibleModule has them."""
    result = _validator(module_name).validate(given)
    if result.error_messages:
        raise Problem("; ".join(result.error_messages))
    return t.cast("Values", result.validated_parameters)


MOUNTS = ("mount", "database_mount_path", "mount_path", "engine_mount_point")


class Runner:
    """Runs modules on one server."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.watching = True
        """Whether each check run is proved not to write; turned off by tests that prove it for many runs at once."""

    def __call__(self, module_name: str, check: bool = False, **options: t.Any) -> Values:
        task, known = module_named(module_name).TASK, specification_of(module_name)["argument_spec"]
        mount = next((options[word] for word in MOUNTS if options.get(word)), self.world.mount)
        login = {} if {"auth_method", "token"} & options.keys() else self.world.login_for(module_name, mount)
        given = {"mount": self.world.mount, **self.world.options, **login, **options}
        named = {word for key, spec in known.items() for word in (key, *spec.get("aliases", ()))}
        if any(alias in options for alias in known.get("mount", {}).get("aliases", ())):
            del given["mount"]
        desired = validated(module_name, {key: value for key, value in given.items() if value is not None})
        assert {key for key in given if given[key] is not None} <= named
        with self.world.unchanged() if check and self.watching else contextlib.nullcontext():
            return t.cast("Values", task.perform(desired, check, connect=self.world.connect))

    def changes(self, module_name: str, **options: t.Any) -> Values:
        """Would change; changes, exactly so; and again: nothing."""
        foreseen = self(module_name, check=True, **options)
        assert foreseen["changed"]
        done = self(module_name, **options)
        assert done["changed"]
        assert done["diff"] == foreseen["diff"]
        self.nothing(module_name, **options)
        return done

    def nothing(self, module_name: str, **options: t.Any) -> Values:
        foreseen = self(module_name, check=True, **options)
        assert not foreseen["changed"], foreseen["diff"]
        with self.world.unchanged():
            done = self(module_name, **options)
        assert not done["changed"]
        if "diff" in done:
            assert done["diff"]["before"] == done["diff"]["after"]
        return done

    def refused(self, module_name: str, **options: t.Any) -> str:
        """The sentence with which a run fails; nothing is written by it."""
        with self.world.same_afterwards(), pytest.raises(Problem) as caught:
            self(module_name, **options)
        sentence = str(caught.value)
        assert "\n" not in sentence
        return sentence


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Runner:
    used = next(
        name
        for name in ("vault", "real_vault", "tls_vault", "any_postgres", "fake_vault", "reports")
        if name in request.fixturenames
    )
    return Runner(request.getfixturevalue(used))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retries do not wait; the answer collects how long they would have."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


# -- a server of few words ---------------------------------------------------------------------------------------------------


class Stub:
    """An HTTP server that gives the answers it was told to, in order, and remembers what it was asked.

    An answer is (status, body) or (status, body, headers), or None to hang up without one, or a function that gives one of these.
    """

    def __init__(self, certificate: str = "", key: str = "") -> None:
        self.answers: list[t.Any] = []
        self.health: t.Any = (404, {})
        """What a client that has not met it before is answered; not among what it was asked."""
        self.asked: list[tuple[str, str, t.Any, dict[str, str]]] = []
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = (
                True  # head and body are two packets, and the second one is not to wait for an answer
            )

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/v1/sys/health":
                    self.say(*stub.health)
                    return
                stub.asked.append((self.command, self.path, json.loads(body) if body else None, dict(self.headers)))
                given = stub.answers.pop(0) if stub.answers else (200, {})
                given = given() if callable(given) else given
                if given is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.say(*given)

            def say(self, status: int, content: t.Any, *headers: dict[str, str]) -> None:
                payload = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for key, value in (headers[0] if headers else {}).items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_arguments: t.Any) -> None:
                pass

        for method in ("GET", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.stop()


@pytest.fixture
def tls_stub(tmp_path: Path) -> Iterator[t.Callable[..., Stub]]:
    """Stubs behind TLS: tls_stub(authority, name, …) with a certificate for these names."""
    started = []

    def start(authority: t.Any, *names: str) -> Stub:
        files = [tmp_path / f"stub-{len(started)}.{kind}" for kind in ("pem", "key")]
        for file, content in zip(files, authority.issue(names or ("127.0.0.1",)), strict=True):
            file.write_bytes(content)
        started.append(Stub(*(str(file) for file in files)))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def reports(real_vault: World) -> World:
    """A mounted engine with a connection, and a PostgreSQL user `…_reports` whose password Vault may change."""
    user = f"{real_vault.database.name}_reports"
    real_vault.database.sql(f"CREATE ROLE {user} LOGIN PASSWORD 'first-password'")
    real_vault.database.sql(f"GRANT {user} TO {real_vault.database.admin} WITH ADMIN OPTION")
    return real_vault.add_mount().add_connection()
