# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down which series a server shows once everything that an alert is about has happened to it.

    python tests/metrics/record.py                                  # in the venv of ./test
    LEASEHOLD_VAULT=/path/to/vault python tests/metrics/record.py

The server is the pinned OpenBao, or what LEASEHOLD_VAULT names; the file is `tests/metrics/<product>-<minor version>.yml`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sandbox"))

import servers

HERE = Path(__file__).parent
CREATE = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"


class _Dumper(yaml.SafeDumper):
    """With the items of a list indented, as everywhere here."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


class Recorder:
    """A server with a database, and a listener on which it shows its metrics whatever happens to its audit devices."""

    def __init__(self, server: servers.OpenBao, postgres: servers.PostgreSQL, metrics: str) -> None:
        self.server, self.postgres, self.metrics = server, postgres, metrics
        self.seen: set[str] = set()
        self.counted: dict[str, list[str]] = {}
        """Of what was done: which counters of failures rose."""

    def ask(self, method: str, path: str, body: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Ask, and take a refusal for an answer."""
        try:
            return self.server.request(method, path, body)
        except urllib.error.HTTPError as error:
            error.close()
            return {}

    def look(self) -> dict[str, float]:
        """The series there are, with the sum of their values."""
        with urllib.request.urlopen(f"http://{self.metrics}/v1/sys/metrics?format=prometheus", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        now: dict[str, float] = {}
        for line in lines:
            if found := re.match(r"(vault_\w+).* (\S+)$", line):
                now[found[1]] = now.get(found[1], 0) + float(found[2])
        self.seen |= set(now)
        return now

    def run(self) -> None:
        for what in (self.statements_fail, self.one_audit_device_of_two_fails, self.every_audit_device_fails):
            before = self.look()
            what()
            self.counted[what.__name__] = sorted(
                name
                for name, value in self.look().items()
                if re.search("_(error|failure)$", name) and value > before.get(name, 0)
            )

    def statements_fail(self) -> None:
        """Issue, renew, revoke and rotate; then the same with statements that fail."""
        postgres, ask = self.postgres, self.ask
        url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{postgres.host}:{postgres.port}/postgres?sslmode=disable"
        ask("POST", "sys/mounts/database", {"type": "database"})
        ask("POST", "database/config/db", {
            "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": url,
            "username": postgres.user, "password": postgres.password,
        })  # fmt: skip
        good = {"db_name": "db", "creation_statements": [CREATE], "default_ttl": "1h", "max_ttl": "2h"}
        ask("POST", "database/roles/good", good)
        ask(
            "POST",
            "database/roles/stays",
            {**good, "revocation_statements": ["SELECT 1/0"], "renew_statements": ["SELECT 1/0"]},
        )
        ask("POST", "database/roles/short", {**good, "default_ttl": "2s", "revocation_statements": ["SELECT 1/0"]})
        ask("POST", "database/roles/never", {**good, "creation_statements": ["SELECT 1/0"]})
        self.look()
        for role in ("good", "stays", "short", "never"):
            lease = ask("GET", f"database/creds/{role}").get("lease_id")
            if lease:
                ask("PUT", "sys/leases/renew", {"lease_id": lease})
            if lease and role != "short":
                ask("PUT", "sys/leases/revoke", {"lease_id": lease})
        servers.wait_for("a lease that cannot be ended", lambda: "vault_expire_lease_expiration_error" in self.look())

    def one_audit_device_of_two_fails(self) -> None:
        """A rotation of its log that went wrong."""
        self.ask("PUT", "sys/audit/second", {"type": "file", "options": {"file_path": str(self.second)}})
        with self.broken(self.second):
            self.requests()

    def every_audit_device_fails(self) -> None:
        self.ask("DELETE", "sys/audit/second")
        with self.broken(self.server.audit_path):
            self.requests()
        self.requests()

    @property
    def second(self) -> Path:
        return self.server.directory / "second.log"

    @contextlib.contextmanager
    def broken(self, log: Path) -> t.Iterator[None]:
        """There is a directory in the place of the log, and the server is told to open it again."""
        kept = log.with_suffix(".kept")
        log.rename(kept)
        log.mkdir()
        os.kill(self.server.pid or 0, signal.SIGHUP)
        yield
        log.rmdir()
        kept.rename(log)
        os.kill(self.server.pid or 0, signal.SIGHUP)

    def requests(self) -> None:
        for _time in range(20):
            self.ask("GET", "sys/mounts")
            self.look()


def main() -> None:
    program = servers.program()
    metrics, cluster = (f"{servers.HOST}:{servers.free_port()}" for _number in range(2))
    config = f"""
listener "tcp" {{
  address = "{metrics}"
  cluster_address = "{cluster}"
  tls_disable = true
  telemetry {{
    unauthenticated_metrics_access = true
  }}
}}
"""
    if not program.is_vault:
        config += "unsafe_allow_api_audit_creation = true\n"
    with servers.OpenBao(extra_config=config) as server, servers.PostgreSQL() as postgres:
        recorder = Recorder(server, postgres, metrics)
        recorder.run()
    file = HERE / f"{program.product.lower()}-{'.'.join(program.version.split('.')[:2])}.yml"
    head = "".join(f"{line}\n" for line in Path(__file__).read_text().splitlines()[:3])
    content = {
        "server": program.product.lower(), "version": program.version.rstrip(","), "recorded": True, "counted": recorder.counted,
        "series": sorted(recorder.seen),
    }  # fmt: skip
    file.write_text(head + "---\n" + yaml.dump(content, Dumper=_Dumper, sort_keys=False))
    print(file)


if __name__ == "__main__":
    main()
