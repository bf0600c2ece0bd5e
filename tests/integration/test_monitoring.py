# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role `lease_monitoring` on a real OpenBao, watched by a real Prometheus: what is broken raises its alert, and fixed ends it.

The commands of an alert's runbook in docs/monitoring.md are run while it fires.
"""

from __future__ import annotations

import contextlib
import getpass
import grp
import http.server
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import prometheus
import pytest
import servers
import yaml

from .conftest import ROOT, Play, extra

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.full

ROLE = ROOT / "roles" / "lease_monitoring"
RUNBOOKS = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
ME = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getegid()).gr_name}
WINDOW = 12

Values = dict[str, t.Any]


class BareOpenBao(servers.OpenBao):
    """Without telemetry and audit log of its own; it reads the files in `conf.d` as well, as a packaged one does.

    It takes audit devices over its API, as Vault does, and lets its storage be written.
    """

    audited = False

    @property
    def conf(self) -> Path:
        return self.directory / "conf.d"

    def prepare(self) -> None:
        super().prepare()
        self.conf.mkdir()
        (self.conf / "ours.hcl").write_text("disable_mlock = true\n")

    def command(self) -> t.Sequence[str | Path]:
        return [*super().command(), f"-config={self.conf}"]

    def _config(self) -> str:
        ours = "raw_storage_endpoint = true\nunsafe_allow_api_audit_creation = true\n"
        return ours + super()._config().partition("telemetry ")[0]


class Watched:
    """OpenBao, a database as the document says, Prometheus, and what they need of each other."""

    def __init__(self, play: Play, bao: BareOpenBao, postgres: servers.PostgreSQL) -> None:
        self.play, self.bao, self.postgres, self.directory = play, bao, postgres, play.directory
        self.metrics = f"{servers.HOST}:{servers.free_port()}"
        self.textfile = self.directory / "textfile" / "leasehold.prom"
        self.audit_file = self.directory / "audit.log"
        self.document = {
            "vault_databases": [{
                "name": "production-db", "host": postgres.host, "port": postgres.port, "database": "watched", "sslmode": "disable",
                "admin": {"username": "watched_admin", "password": f"first-{secrets.token_hex(8)}"}, "owner": "watched_owner",
                "groups": {"watched_rw": {"schemas": ["public"], "tables": ["select", "insert"]}},
                "roles": {
                    # Strict, so that a revocation can fail.
                    "app-role": {"in_role": "watched_rw", "default_ttl": "1h", "max_ttl": "24h", "revocation": "strict"},
                    "parking-role": {"in_role": "watched_rw", "default_ttl": "1h", "max_ttl": "24h"},
                },
                "static_roles": {"reports": {"username": "watched_reports", "rotation_period": "5s"}},
            }],
            "postgresql_access_login_user": postgres.user, "postgresql_access_login_password": postgres.password,
            "postgresql_access_close_databases": [],
        }  # fmt: skip
        play.secrets += [postgres.password, self.document["vault_databases"][0]["admin"]["password"]]
        play.write("databases.yml", yaml.safe_dump(self.document))
        self.prometheus: prometheus.Prometheus

    @property
    def settings(self) -> Values:
        """Everything quick, in directories of the test."""
        tools = prometheus.programs()
        return {
            "lease_monitoring_parts": ["server", "prometheus"],
            "lease_monitoring_targets": [self.metrics], "lease_monitoring_scheme": "http",
            "lease_monitoring_metrics_listener": self.metrics, "lease_monitoring_server_directory": str(self.bao.conf),
            "lease_monitoring_server_owner": ME["owner"], "lease_monitoring_server_group": ME["group"],
            "lease_monitoring_server_reload": ["kill", "-HUP", str(self.bao.pid)],
            "lease_monitoring_audit_file": str(self.audit_file), "lease_monitoring_usage_gauge_period": "1s",
            "lease_monitoring_prometheus_directory": str(self.directory / "prometheus"),
            "lease_monitoring_prometheus_owner": ME["owner"], "lease_monitoring_prometheus_group": ME["group"],
            "lease_monitoring_prometheus_reload": [], "lease_monitoring_promtool": str(tools / "promtool"),
            "lease_monitoring_scrape_interval": "1s", "lease_monitoring_window": f"{WINDOW}s", "lease_monitoring_down_for": "5s",
            "lease_monitoring_baseline": "1m", "lease_monitoring_issue_rate_for": "1s", "lease_monitoring_issue_rate_floor": 0.5,
            "lease_monitoring_lease_growth_for": "1s", "lease_monitoring_lease_growth_floor": 20,
            "lease_monitoring_heartbeat_missing": 5,
        }  # fmt: skip

    def request(self, method: str, path: str, body: Values | None = None) -> Values:
        try:
            return self.bao.request(method, path, body)
        except urllib.error.HTTPError as error:
            return {"errors": error.read().decode()}

    def issue(self, role: str) -> Values:
        answer = self.request("GET", f"database/creds/{role}")
        return {**answer["data"], "lease_id": answer["lease_id"]} if "data" in answer else answer

    def revoke(self, user: Values) -> Values:
        return self.request("PUT", "sys/leases/revoke", {"lease_id": user["lease_id"]})

    def let_end(self, user: Values) -> None:
        """As if its time were over: the server ends the lease by itself."""
        self.request("PUT", "sys/leases/revoke", {"lease_id": user["lease_id"], "sync": False})
        self.waits_for("it is overdue", lambda: self.lease(user)["ttl"] < 0)

    def lease(self, user: Values) -> Values:
        return t.cast("Values", self.request("PUT", "sys/leases/lookup", {"lease_id": user["lease_id"]})["data"])

    def owns_something_elsewhere(self, user: Values) -> None:
        """In a database where the role's statements do not clean up."""
        table = f"kept_{secrets.token_hex(4)}"
        self.sql(f'CREATE TABLE {table} (); ALTER TABLE {table} OWNER TO "{user["username"]}"', "postgres")

    def sql(self, text: str, database: str = "watched") -> None:
        self.postgres.sql(text, database)

    def waits_for(self, what: str, so: Callable[[], t.Any], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not so():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s; firing: {self.prometheus.firing()}"
            time.sleep(0.2)

    def fires(self, *names: str, meanwhile: Callable[[], t.Any] = lambda: None) -> Values:
        """Wait until each of these alerts has fired; the first of them."""
        fired: Values = {}

        def all_have() -> bool:
            meanwhile()
            fired.update(self.prometheus.firing())
            return set(names) <= set(fired)

        self.waits_for(f"{names} fire", all_have)
        return t.cast("Values", fired[names[0]])

    def is_quiet(self, *names: str) -> None:
        self.waits_for(f"{names} end", lambda: not set(names) & set(self.prometheus.firing()))

    def cure(self, alert: str, error: str, user: str) -> str:
        """The SQL that the runbook of an alert has for an error, with the names of the test."""
        row = next(row for row in section(alert).splitlines() if row.startswith("|") and error in row)
        (found,) = re.findall(r"`([A-Z]+ [^`]*)`", row)
        for printed, instead in {"v-…": user, "app_owner": "watched_owner", "vault_admin": "watched_admin"}.items():
            found = found.replace(printed, instead)
        return t.cast("str", found)

    def runbook(self, alert: str, ends: t.Sequence[int] = (0,)) -> list[str]:
        """Run what the runbook of an alert says; what each command printed."""
        commands = commands_of(alert)
        assert len(commands) == len(ends)
        return [self.run(command, end) for command, end in zip(commands, ends)]

    def run(self, command: str, ends: int = 0) -> str:
        here = {
            "/var/log/openbao/audit.log": str(self.audit_file), "/var/log/openbao": str(self.audit_file.parent),
        }  # fmt: skip
        for printed, instead in here.items():
            command = command.replace(printed, instead)
        home = self.directory / "home"
        home.mkdir(exist_ok=True, mode=0o700)
        environment = {**self.play._environment(self.directory, home), **self.play.bao.environment}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", servers.program().typed(command)], cwd=self.directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == ends, f"{command}\n{done.stdout}"
        return done.stdout


def section(heading: str) -> str:
    """What the documentation has below a heading."""
    found = re.search(rf"^##+ {heading}\n(.*?)(?=^##|\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def commands_of(heading: str) -> list[str]:
    """The commands there, one a line."""
    blocks = re.findall(r"```console\n(.*?)```", section(heading), re.DOTALL)
    return [line for block in blocks for line in block.strip().splitlines()]


@contextlib.contextmanager
def served(directory: Path) -> Iterator[str]:
    """The `*.prom` of a directory over HTTP, as node_exporter serves those of its textfile collector."""

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b"".join(file.read_bytes() for file in sorted(directory.glob("*.prom"))))

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer((servers.HOST, 0), Metrics)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"{servers.HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def watched(
    postgres: servers.PostgreSQL, tmp_path_factory: pytest.TempPathFactory, _collection_tree: None
) -> Iterator[Watched]:
    directory = tmp_path_factory.mktemp("watched")
    with BareOpenBao() as bao, served(directory / "textfile") as files:
        world = Watched(Play(directory, bao), bao, postgres)
        world.textfile.parent.mkdir()
        world.sql("CREATE ROLE watched_reports LOGIN", "postgres")
        (directory / "prometheus").mkdir()
        config = directory / "prometheus" / "prometheus.yml"
        config.write_text(
            "# ours\nglobal: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files:\n  # - first.yml\n\n"
            "scrape_configs:\n- job_name: node # as node_exporter\n"
            f"  basic_auth: {{username: other, password: theirs-alone}}\n  static_configs: [{{targets: ['{files}']}}]\n"
        )
        config.chmod(0o640)
        world.play.secrets.append("theirs-alone")
        shutil.copy(config, directory / "before.yml")
        world.prometheus = prometheus.Prometheus(config)
        try:
            yield world
        finally:
            world.prometheus.stop()
            world.sql("DROP DATABASE IF EXISTS watched WITH (FORCE)", "postgres")


# -- files ------------------------------------------------------------------------------------------------------------------


def test_role_matches_its_check_run_and_is_idempotent(watched: Watched) -> None:
    play, prepared = watched.play, watched.directory / "prometheus"
    play("leasehold.vault.postgresql", "-e", "@databases.yml")
    watched.sql("GRANT watched_reports TO watched_admin WITH ADMIN OPTION", "postgres")
    play("leasehold.vault.vault", "-e", "@databases.yml")

    foreseen = play("leasehold.vault.monitoring", *extra(**watched.settings), check=True)
    assert foreseen.changes > 0
    assert sorted(path.name for path in prepared.iterdir()) == ["prometheus.yml"]
    assert [path.name for path in watched.bao.conf.iterdir()] == ["ours.hcl"]

    done = play("leasehold.vault.monitoring", *extra(**watched.settings), "-vvv", "--diff")
    assert set(done.changed) >= set(foreseen.changed)
    assert "Nothing was restarted" in done.output
    assert play("leasehold.vault.monitoring", *extra(**watched.settings)).changes == 0

    text = (prepared / "prometheus.yml").read_text()
    ours = re.compile(r"^ *# BEGIN leasehold.vault\n.*\n *# END leasehold.vault\n", re.MULTILINE)
    assert ours.sub("", text) == (watched.directory / "before.yml").read_text(), "what others wrote is left alone"
    assert (prepared / "prometheus.yml").stat().st_mode & 0o777 == 0o640
    current = yaml.safe_load(text)
    assert current["rule_files"] == [str(prepared / "leasehold.rules.yml")]
    assert [job["job_name"] for job in current["scrape_configs"]] == ["vault", "node"]


def test_another_setting_replaces_only_our_part(watched: Watched, tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    shutil.copy(watched.directory / "prometheus" / "prometheus.yml", config)
    settings = {
        **watched.settings, "lease_monitoring_parts": ["prometheus"], "lease_monitoring_job": "other",
        "lease_monitoring_prometheus_directory": str(tmp_path),
    }  # fmt: skip
    watched.play("leasehold.vault.monitoring", *extra(**settings))
    current = yaml.safe_load(config.read_text())
    assert [job["job_name"] for job in current["scrape_configs"]] == ["other", "node"]
    assert current["rule_files"] == [str(tmp_path / "leasehold.rules.yml")]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lease_monitoring_parts": []}, "Set lease_monitoring_parts"),
        ({"lease_monitoring_token": "x", "lease_monitoring_targets": ["a:1", "b:1"]}, "a standby shows its metrics only"),
        ({"lease_monitoring_server": "vault"}, "only OpenBao has listeners for metrics alone"),
        ({"lease_monitoring_prometheus_config": "/nowhere.yml"}, "There is no /nowhere.yml: install Prometheus first"),
        ({"lease_monitoring_parts": ["collector"]}, "lease_monitoring_oneuptime_token is empty"),
        ({"lease_monitoring_parts": ["oneuptime"]}, "lease_monitoring_oneuptime_ids needs the ids"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(watched: Watched, settings: Values, sentence: str) -> None:
    run = watched.play("leasehold.vault.monitoring", *extra(**watched.settings | settings), ok=False)
    assert sentence in " ".join(run.output.split())
    assert run.changes == 0


def test_audit_device_is_enabled_over_api(watched: Watched, tmp_path: Path) -> None:
    settings = watched.settings | {
        "lease_monitoring_parts": ["server"], "lease_monitoring_server": "vault", "lease_monitoring_metrics_listener": "",
        "lease_monitoring_server_directory": str(tmp_path), "lease_monitoring_audit_device": "api",
        "lease_monitoring_audit_file": str(tmp_path / "audit.log"),
    }  # fmt: skip
    watched.play("leasehold.vault.monitoring", *extra(**settings))
    assert watched.play("leasehold.vault.monitoring", *extra(**settings)).changes == 0
    assert [path.name for path in tmp_path.glob("*.hcl")] == ["leasehold-telemetry.hcl"]
    device = watched.request("GET", "sys/audit")["data"]["api/"]
    assert (device["type"], device["options"]["file_path"]) == ("file", str(tmp_path / "audit.log"))
    watched.request("DELETE", "sys/audit/api")


def test_a_configuration_on_one_line_is_refused(watched: Watched, tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text("rule_files: []\nscrape_configs: [{job_name: node}]\n")
    settings = {
        **watched.settings,
        "lease_monitoring_parts": ["prometheus"],
        "lease_monitoring_prometheus_config": str(config),
    }
    run = watched.play("leasehold.vault.monitoring", *extra(**settings), ok=False)
    assert "is written on one line" in run.output
    config.write_text("rule_files: []\n")
    watched.play("leasehold.vault.monitoring", *extra(**settings))
    assert list(yaml.safe_load(config.read_text())) == ["rule_files", "scrape_configs"]


@pytest.mark.parametrize("tests", ["rules_test.yml", "rules_days_test.yml"])
def test_the_rules_as_they_are_by_default(watched: Watched, tmp_path: Path, tests: str) -> None:
    settings = {
        name: value
        for name, value in watched.settings.items()
        if not re.search("window|_for$|floor|baseline|missing|interval", name)
    }
    settings |= {
        "lease_monitoring_parts": ["prometheus"], "lease_monitoring_prometheus_directory": str(tmp_path),
        # This one has series for all of them.
        "lease_monitoring_server": "vault", "lease_monitoring_server_version": "1.20.4",
    }  # fmt: skip
    (tmp_path / "prometheus.yml").write_text("scrape_configs:\n")
    watched.play("leasehold.vault.monitoring", *extra(**settings))
    shutil.copy(Path(__file__).with_name("prometheus") / tests, tmp_path)
    done = subprocess.run(
        [prometheus.programs() / "promtool", "test", "rules", tmp_path / tests], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_runbook(watched: Watched) -> None:
    rules = yaml.safe_load((watched.directory / "prometheus" / "leasehold.rules.yml").read_text())["groups"][0]["rules"]
    alerts = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule}
    headings = re.findall(r"^### (\w+)$", RUNBOOKS, re.MULTILINE)
    unseen = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__lease_monitoring_unseen"]
    assert list(alerts) == [name for name in headings if name in alerts]
    assert set(headings) - set(alerts) <= {one["alert"] for one in unseen}
    for alert, url in alerts.items():
        assert url.endswith(f"docs/monitoring.md#{alert.lower()}")
        assert commands_of(alert)


# -- on the real servers ----------------------------------------------------------------------------------------------------


def test_nothing_fires_while_all_is_well(watched: Watched) -> None:
    assert watched.request("GET", "sys/audit")["data"]["main/"]["type"] == "file"
    watched.bao.restart()  # for telemetry and the listener
    watched.prometheus.start()
    watched.waits_for("Vault is scraped", lambda: watched.prometheus.query('up{job="vault"} == 1'))
    watched.request("PUT", "sys/leases/revoke", {"lease_id": watched.issue("app-role")["lease_id"]})
    # From here on, what is born is known to be new.
    watched.waits_for(
        "a window has passed", lambda: watched.prometheus.query(f'up{{job="vault"}} offset {WINDOW}s == 1')
    )
    assert watched.prometheus.firing() == {}
    assert dict_of(watched.prometheus.query("leasehold:unsealed")) == {"vault": 1}
    assert dict_of(watched.prometheus.query("leasehold:active")) == {"vault": 1}


def dict_of(series: list[tuple[Values, float]]) -> Values:
    return {labels["job"]: value for labels, value in series}


def test_failed_revocation_alerts_at_first_attempt(watched: Watched) -> None:
    user = watched.issue("app-role")
    watched.owns_something_elsewhere(user)
    assert "2BP01" in watched.revoke(user)["errors"]
    alert = watched.fires("VaultRevocationFails")
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["runbook_url"].endswith("#vaultrevocationfails")
    (attempts,) = watched.prometheus.query("vault_database_DeleteUser_error")
    assert attempts[1] == 1, "nobody tries again what was revoked by hand"

    overdue = watched.issue("app-role")
    watched.sql(f'REVOKE ADMIN OPTION FOR "{overdue["username"]}" FROM watched_admin', "postgres")
    watched.let_end(overdue)
    assert "42501" in watched.revoke(overdue)["errors"]
    shown, _ended = watched.runbook("VaultRevocationFails", (0, 2))
    assert overdue["lease_id"] in shown
    assert '"overdue": true' in shown
    watched.sql(watched.cure("VaultRevocationFails", "42501", overdue["username"]))
    watched.sql(watched.cure("VaultRevocationFails", "2BP01", user["username"]), "postgres")
    _shown, ended = watched.runbook("VaultRevocationFails", (0, 0))
    assert "left are none" in ended
    watched.is_quiet("VaultRevocationFails")


def test_a_lease_without_its_connection(watched: Watched) -> None:
    connection = {
        "plugin_name": "postgresql-database-plugin", "allowed_roles": ["lost"], "username": watched.postgres.user,
        "password": watched.postgres.password,
        "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@{watched.postgres.host}:{watched.postgres.port}/postgres?sslmode=disable",
    }  # fmt: skip
    statements = ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'"]
    watched.request("POST", "database/config/lost", connection)
    watched.request("POST", "database/roles/lost", {"db_name": "lost", "creation_statements": statements})
    user = watched.issue("lost")
    watched.request("DELETE", "database/config/lost")
    watched.let_end(user)
    watched.fires("VaultRevocationFails")
    error = "failed to find entry for connection"
    assert error in watched.revoke(user)["errors"]
    assert error in section("VaultRevocationFails")
    watched.request("POST", "database/config/lost", connection)
    assert watched.revoke(user) == {}
    watched.request("DELETE", "database/config/lost")
    watched.is_quiet("VaultRevocationFails")


def test_users_that_cannot_be_made(watched: Watched) -> None:
    watched.sql("ALTER ROLE watched_rw RENAME TO watched_gone")
    assert "does not exist" in watched.issue("app-role")["errors"]
    watched.fires("VaultIssueFails")
    look, *_fix = commands_of("VaultIssueFails")
    assert "watched_rw" in watched.run(look, ends=2)
    watched.sql("ALTER ROLE watched_gone RENAME TO watched_rw")
    watched.runbook("VaultIssueFails", (0, 0, 0))
    watched.is_quiet("VaultIssueFails")


def test_the_question_to_the_audit_log_as_printed(watched: Watched) -> None:
    ask, _hash, tune = commands_of("Questions to the audit log")
    watched.run(tune)
    user = watched.issue("app-role")
    then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    watched.revoke(user)
    answer = watched.run(ask.replace("14:05", then))
    (line,) = [line for line in answer.splitlines() if user["lease_id"] in line]
    assert "ended " in answer.partition(line)[2].partition("}")[0], "the revocation names the lease in clear"


def test_a_password_that_cannot_be_rotated(watched: Watched) -> None:
    watched.sql("ALTER ROLE watched_reports RENAME TO watched_moved")
    watched.fires("VaultPasswordChangeFails")
    watched.sql("ALTER ROLE watched_moved RENAME TO watched_reports")
    look, _rotate = watched.runbook("VaultPasswordChangeFails", (0, 0))
    assert '"reports"' in look
    watched.is_quiet("VaultPasswordChangeFails")


def test_more_users_than_ever(watched: Watched) -> None:
    watched.issue("app-role")
    past = f"leasehold:issue:rate offset {WINDOW}s"
    watched.waits_for("there is a past to compare with", lambda: watched.prometheus.query(past))
    watched.fires(
        "VaultIssueRateUnusual",
        "VaultLeasesGrow",
        meanwhile=lambda: [watched.issue("app-role") for _number in range(5)],
    )
    (asked, ended) = watched.runbook("VaultIssueRateUnusual", (0, 0))
    assert "root held" in asked
    revoked = re.search(r"revoked (\d+) lease", ended)
    assert revoked
    assert int(revoked[1]) > 20
    _shown, asked = watched.runbook("VaultLeasesGrow", (0, 0))
    assert "root held" in asked
    watched.is_quiet("VaultIssueRateUnusual", "VaultLeasesGrow")


def test_an_audit_log_that_cannot_be_written(watched: Watched) -> None:
    elsewhere = extra(**watched.settings | {"lease_monitoring_audit_file": str(watched.directory / "other.log")})
    refused = watched.play("leasehold.vault.monitoring", *elsewhere, ok=False)
    assert "does not start when the audit device of a name has changed" in " ".join(refused.output.split())

    # A log rotation that went wrong.
    kept = watched.audit_file.rename(watched.directory / "audit.log.1")
    watched.audit_file.mkdir()
    os.kill(watched.bao.pid or 0, signal.SIGHUP)
    watched.fires("VaultAuditFails", meanwhile=lambda: watched.request("GET", "sys/mounts"))
    assert "errors" in watched.request("GET", "sys/mounts"), "no request is answered"
    watched.runbook("VaultAuditFails")
    watched.audit_file.rmdir()
    kept.rename(watched.audit_file)
    os.kill(watched.bao.pid or 0, signal.SIGHUP)
    watched.waits_for("requests are answered", lambda: "errors" not in watched.request("GET", "sys/mounts"))
    watched.is_quiet("VaultAuditFails")


def test_a_heartbeat_that_stops_and_a_token_that_ends_first(watched: Watched) -> None:
    settings = extra(lease_monitoring_heartbeat_textfile=str(watched.textfile))
    watched.play("leasehold.vault.heartbeat", "-e", "@databases.yml", *settings)
    watched.waits_for("it is known", lambda: watched.prometheus.query("leasehold_heartbeat_success_timestamp_seconds"))
    watched.fires("VaultHeartbeatMissing")
    assert "VaultTokenEndsFirst" not in watched.prometheus.firing()
    watched.runbook("VaultHeartbeatMissing")

    login = approle(watched, token_ttl="60s")
    watched.play("leasehold.vault.heartbeat", "-e", "@databases.yml", *settings, env=login)
    watched.fires("VaultTokenEndsFirst")
    watched.runbook("VaultTokenEndsFirst")
    watched.play("leasehold.vault.heartbeat", "-e", "@databases.yml", *settings, env=login)
    watched.is_quiet("VaultTokenEndsFirst")


def test_users_that_could_not_be_dropped_are_counted_and_removed(watched: Watched) -> None:
    settings = extra(
        lease_monitoring_heartbeat_textfile=str(watched.textfile),
        lease_monitoring_heartbeat_database=watched.document["vault_databases"][0],
        lease_monitoring_heartbeat_sweep_user="postgres",
        lease_monitoring_heartbeat_sweep_password=watched.document["postgresql_access_login_password"],
    )
    user = watched.issue("parking-role")
    watched.owns_something_elsewhere(user)
    assert watched.revoke(user) == {}
    watched.play("leasehold.vault.heartbeat", "-e", "@databases.yml", *settings)
    watched.fires("VaultUsersParked")
    login = {word: value for word, value in watched.document.items() if word.startswith("postgresql_access_login")}
    watched.play.write("dba.yml", yaml.safe_dump(login))
    assert user["username"] in watched.runbook("VaultUsersParked")[0]
    watched.play("leasehold.vault.clean_orphans", "-e", "@databases.yml", "-e", "@dba.yml")
    watched.play("leasehold.vault.heartbeat", "-e", "@databases.yml", *settings)
    watched.is_quiet("VaultUsersParked")
    watched.runbook("VaultSessionsWithoutUser")
    watched.runbook("VaultServerUnknown")


def test_a_root_password_that_is_not_rotated(watched: Watched) -> None:
    rotate = ("leasehold.vault.rotate_root", "-e", "@databases.yml")
    noting = extra(leasehold_rotate_textfile=str(watched.textfile.with_name("rotation.prom")))
    watched.play(*rotate, *noting)
    watched.waits_for("it is known", lambda: watched.prometheus.query("leasehold_root_rotated_timestamp_seconds"))
    assert "VaultRootRotationLate" not in watched.prometheus.firing()

    long_ago = {"leasehold_root_rotated_at": "2020-01-01T00:00:00Z"}
    assert "errors" not in watched.request("POST", "database/config/production-db", long_ago)
    watched.play(*rotate, *noting, *extra(leasehold_rotate_older_than="36500d"))
    alert = watched.fires("VaultRootRotationLate")
    assert alert["labels"]["connection"] == "production-db"
    watched.runbook("VaultRootRotationLate")
    watched.play(*rotate, *noting, *extra(leasehold_rotate_older_than="30d"))
    watched.is_quiet("VaultRootRotationLate")


def approle(watched: Watched, **settings: t.Any) -> dict[str, str]:
    watched.request("POST", "sys/auth/approle", {"type": "approle"})
    rules = (
        'path "database/creds/*" { capabilities = ["read"] }\npath "sys/leases/revoke" { capabilities = ["update"] }'
    )
    watched.request("POST", "sys/policies/acl/app", {"policy": rules})
    watched.request("POST", "auth/approle/role/app", {"token_policies": ["app"], **settings})
    role_id = watched.request("GET", "auth/approle/role/app/role-id")["data"]["role_id"]
    secret_id = watched.request("POST", "auth/approle/role/app/secret-id")["data"]["secret_id"]
    watched.play.secrets.append(secret_id)
    return {"VAULT_TOKEN": "", "VAULT_AUTH_METHOD": "approle", "VAULT_ROLE_ID": role_id, "VAULT_SECRET_ID": secret_id}


def test_rules_and_dashboard_use_existing_metrics(watched: Watched) -> None:
    known = set(watched.prometheus.ask("label/__name__/values"))
    rules = (watched.directory / "prometheus" / "leasehold.rules.yml").read_text()
    dashboard = (ROLE / "files" / "dashboard.json").read_text()
    asked = set(re.findall(r"\b(?:vault|leasehold)[_:][\w:]+", rules + dashboard)) | {"up"}
    assert {"vault_database_DeleteUser_error", "leasehold:issue:rate"} <= asked
    assert asked - known - {"vault_down"} == set()
    written = set(re.findall(r"`(vault_\w+?)`", RUNBOOKS.replace("{", "`")))
    elsewhere = {"vault_audit_sink_failure"}  # not on every server, as the page says
    variables = {"vault_databases"}
    assert {name for name in written if not name.endswith("User")} - elsewhere - variables <= known

    for panel in json.loads(dashboard)["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$job", "vault").replace("$__rate_interval", "1m")
            assert isinstance(watched.prometheus.query(expression), list), target["expr"]
            if panel["type"] == "stat":
                assert watched.prometheus.query(expression), target["expr"]


def test_leases_that_the_server_has_given_up(watched: Watched) -> None:
    """Six attempts take ten minutes; what they leave behind is written into the server's storage here."""
    fixed, lost = watched.issue("app-role"), watched.issue("app-role")
    for user in (fixed, lost):
        watched.owns_something_elsewhere(user)
        stored = f"sys/raw/sys/expire/id/{user['lease_id']}"
        entry = json.loads(watched.request("GET", stored)["data"]["value"])
        watched.request("PUT", stored, {"value": json.dumps(entry | {"revokeErr": "out of retries: 2BP01"})})
    watched.bao.restart()
    assert watched.fires("VaultLeasesIrrevocable")["labels"]["severity"] == "critical"
    look, force = commands_of("VaultLeasesIrrevocable")
    shown = watched.run(look)
    assert fixed["lease_id"] in shown
    assert lost["lease_id"] in shown
    assert "out of retries" in shown

    watched.sql(watched.cure("VaultRevocationFails", "2BP01", fixed["username"]), "postgres")
    assert watched.revoke(fixed) == {}
    watched.run(commands_of("VaultRevocationFails")[1], ends=2)
    assert lost["username"] in watched.run(force)
    watched.is_quiet("VaultLeasesIrrevocable")
    watched.sql(watched.cure("VaultRevocationFails", "2BP01", lost["username"]), "postgres")


def test_a_sealed_server_and_one_that_is_away(watched: Watched) -> None:
    watched.bao.seal()
    alert = watched.fires("VaultSealed", "VaultNoActiveNode")
    assert "is sealed" in alert["annotations"]["summary"]
    assert re.search(r"Sealed\s+true", watched.run(commands_of("VaultSealed")[0], ends=2))
    watched.bao.halt()
    watched.fires("VaultDown")
    watched.run(commands_of("VaultDown")[0], ends=1)
    watched.bao.start()
    watched.is_quiet("VaultSealed", "VaultNoActiveNode", "VaultDown")
    assert "leader" in watched.runbook("VaultNoActiveNode")[0]


# -- with a token -----------------------------------------------------------------------------------------------------------


def test_a_single_node_is_scraped_with_a_token_that_nobody_else_can_read(bao: servers.OpenBao, play: Play) -> None:
    bao.request("POST", "sys/policies/acl/metrics", {"policy": 'path "sys/metrics" { capabilities = ["read"] }'})
    token = bao.request("POST", "auth/token/create-orphan", {"policies": ["metrics"], "period": "1h"})["auth"][
        "client_token"
    ]
    play.secrets.append(token)
    config = play.directory / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1s}\n")
    play(
        "leasehold.vault.monitoring", "-vvv",
        *extra(
            lease_monitoring_parts=["prometheus"], lease_monitoring_token=token, lease_monitoring_ca_cert=str(bao.ca_cert),
            lease_monitoring_prometheus_directory=str(play.directory), lease_monitoring_prometheus_owner=ME["owner"],
            lease_monitoring_prometheus_group=ME["group"], lease_monitoring_prometheus_reload=[], lease_monitoring_scrape_interval="1s",
            lease_monitoring_promtool=str(prometheus.programs() / "promtool"),
        ),
    )  # fmt: skip
    assert token not in config.read_text()
    assert (play.directory / "leasehold.token").stat().st_mode & 0o777 == 0o400
    with prometheus.Prometheus(config) as server:
        servers.wait_for("Vault is scraped", lambda: bool(server.query('vault_core_active{job="vault"}')))
