# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OneUptime, the heartbeat, Grafana's files and the questions to the audit log."""

from __future__ import annotations

import contextlib
import getpass
import grp
import http.server
import json
import os
import re
import shlex
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import prometheus
import pytest
import servers
import yaml

from .conftest import collections_path, extra

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Ground, Play

Values = dict[str, t.Any]
OWNER, GROUP = getpass.getuser(), grp.getgrgid(os.getegid()).gr_name
TOKEN = "9c8806e0-a4aa-11ee-be95-010d5967b068"
IDS = {"operational": "id-up", "offline": "id-down", "severity": "id-critical"}


class Endpoint:
    """In the place of OneUptime: takes everything, and remembers it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Values]] = []
        self.status = 200
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                endpoint.taken.append((self.path, json.loads(body)))
                self.send_response(endpoint.status)
                self.end_headers()

            def log_message(self, *_arguments: t.Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/heartbeat/very-secret-key"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def oneuptime() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()


@pytest.fixture(scope="module")
def engine(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    made = ground(postgres, "beating")
    made.role("app")
    return made


# -- heartbeat --------------------------------------------------------------------------------------------------------------


def test_the_heartbeat_reports_what_came_of_it(engine: Ground, play: Play, oneuptime: Endpoint) -> None:
    play.secrets.append("very-secret-key")
    settings = extra(lease_monitoring_heartbeat_mount=engine.mount, lease_monitoring_heartbeat_role="app")
    environment = {"ONEUPTIME_HEARTBEAT_URL": oneuptime.url, "TZ": "America/New_York"}
    textfile = play.directory / "leasehold.prom"
    database = {
        "name": "db", "host": engine.server.host, "port": engine.server.port, "database": engine.database, "sslmode": "disable",
    }  # fmt: skip
    looks = extra(lease_monitoring_heartbeat_textfile=str(textfile), lease_monitoring_heartbeat_database=database)
    engine.sql("CREATE ROLE beating_parked; COMMENT ON ROLE beating_parked IS 'leasehold: parked, it owns something'")
    assert play("leasehold.vault.heartbeat", *settings, *looks, "-vvv", env=environment).changes == 0
    engine.sql("DROP ROLE beating_parked")
    assert re.search(r"^leasehold_parked_users [1-9]\d*$", textfile.read_text(), re.MULTILINE)
    assert re.search(r"^leasehold_sessions_without_user \d+$", textfile.read_text(), re.MULTILINE)
    (then,) = re.findall(r"^leasehold_heartbeat_success_timestamp_seconds (\d+)$", textfile.read_text(), re.MULTILINE)
    assert abs(time.time() - int(then)) < 600, "in whatever time zone"
    ((path, report),) = oneuptime.taken
    assert path == "/heartbeat/very-secret-key"
    assert report["status"] == "ok"
    assert report["role"] == f"{engine.mount}/app"
    assert report["lease_duration"] == 3600
    assert engine.leases("app") == [], "the user is gone again"

    engine.role("app", creation_statements=["SELECT 1/0"])
    failed = play("leasehold.vault.heartbeat", *settings, "-vvv", env=environment, ok=False)
    engine.role("app")
    assert failed.code == 2
    report = oneuptime.taken[1][1]
    assert report["status"] == "failed"
    assert "division by zero" in report["error"]
    assert "division by zero" in failed.output

    oneuptime.status = 404
    failed = play("leasehold.vault.heartbeat", *settings, "-vvv", env=environment, ok=False)
    assert failed.code == 2
    assert "Report: Status code was 404" in failed.output


@pytest.mark.full
def test_the_timers_command_does_the_same(
    engine: Ground, play: Play, oneuptime: Endpoint, bao: servers.OpenBao
) -> None:
    play.secrets += ["very-secret-key", bao.token]
    units, etc = play.directory / "units", play.directory / "etc"
    units.mkdir()
    settings = {
        "lease_monitoring_parts": ["heartbeat"], "lease_monitoring_heartbeat_url": oneuptime.url,
        "lease_monitoring_heartbeat_environment": bao.environment, "lease_monitoring_heartbeat_user": OWNER,
        "lease_monitoring_heartbeat_directory": str(etc), "lease_monitoring_heartbeat_mount": engine.mount,
        "lease_monitoring_heartbeat_role": "app", "lease_monitoring_units": str(units), "lease_monitoring_units_start": False,
        "lease_monitoring_heartbeat_textfile": str(units / "leasehold.prom"),
        "lease_monitoring_heartbeat_database": {
            "name": "db", "host": engine.server.host, "port": engine.server.port, "database": engine.database, "sslmode": "disable",
            "admin": {"password": "not-to-be-handed-on"},
        },
    }  # fmt: skip
    # The environment is given in a file: what stands in a command line is seen by others.
    variables = play.write("settings.yml", yaml.safe_dump(settings))
    play("leasehold.vault.monitoring", "-e", f"@{variables}", "-vvv", "--diff")
    assert play("leasehold.vault.monitoring", "-e", f"@{variables}").changes == 0
    assert (etc / "heartbeat.env").stat().st_mode & 0o777 == 0o600
    assert etc.stat().st_mode & 0o777 == 0o700

    service = (units / "leasehold-heartbeat.service").read_text()
    assert "very-secret-key" not in service
    assert f"EnvironmentFile={etc}/heartbeat.env" in service
    assert "OnUnitActiveSec=5min" in (units / "leasehold-heartbeat.timer").read_text()
    # What systemd would run, with what it would read from the file.
    lines = [shlex.split(line)[0] for line in (etc / "heartbeat.env").read_text().splitlines()]
    environment = dict(line.split("=", 1) for line in lines)
    home = play.directory / "home"
    home.mkdir(mode=0o700)
    command = shlex.split(re.findall(r"^ExecStart=(.*)$", service, re.MULTILINE)[0])
    # No locale, no terminal: what systemd gives, and where the collection is.
    kept = {"HOME": str(home), "PATH": os.environ["PATH"], "ANSIBLE_COLLECTIONS_PATH": collections_path()}
    done = subprocess.run(command, env=kept | environment, cwd=etc, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert oneuptime.taken[0][1]["status"] == "ok"
    assert "leasehold_parked_users" in (units / "leasehold.prom").read_text()
    assert "not-to-be-handed-on" not in (etc / "heartbeat.json").read_text()


@pytest.mark.full
def test_rotation_timer_rotates_what_is_due_and_notes_when(engine: Ground, play: Play, bao: servers.OpenBao) -> None:
    play.secrets += [bao.token, engine.admin_password]
    units, etc, textfile = (play.directory / name for name in ("units", "etc", "rotation.prom"))
    units.mkdir()
    settings = {
        "vault_databases": [{"name": "db", "admin": {"username": engine.admin, "password": engine.admin_password}, "roles": {"app": {}}}],
        "lease_monitoring_parts": ["rotation"], "lease_monitoring_rotation_mount": engine.mount, "lease_monitoring_rotation_user": OWNER,
        "lease_monitoring_rotation_environment": bao.environment, "lease_monitoring_rotation_directory": str(etc),
        "lease_monitoring_rotation_textfile": str(textfile), "lease_monitoring_units": str(units), "lease_monitoring_units_start": False,
    }  # fmt: skip
    variables = play.write("settings.yml", yaml.safe_dump(settings))
    play("leasehold.vault.monitoring", "-e", f"@{variables}", "-vvv", "--diff")
    assert play("leasehold.vault.monitoring", "-e", f"@{variables}").changes == 0
    assert engine.admin_password not in (etc / "rotation.json").read_text()
    assert "OnCalendar=*-*-* 02:00:00" in (units / "leasehold-rotation.timer").read_text()
    service = (units / "leasehold-rotation.service").read_text()
    arguments = shlex.split(re.findall(r"^ExecStart=\S+ (.*)$", service, re.MULTILINE)[0])
    rotate = "Rotate the root password"
    assert play(*arguments).changed == [rotate]
    assert play(*arguments).changed == []
    (noted,) = re.findall(r'connection="db"} (\d+)', textfile.read_text())
    assert abs(int(noted) - time.time()) < 300
    engine.write("config/db", {"leasehold_root_rotated_at": "2026-01-01T00:00:00Z"})
    assert play(*arguments).changed == [rotate]


# -- OneUptime --------------------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_the_collector_scrapes_as_prometheus_does_and_sends_with_its_token(play: Play, bao: servers.OpenBao) -> None:
    play.secrets += [TOKEN, bao.token]
    directory = play.directory / "otelcol"
    directory.mkdir()
    settings = {
        "lease_monitoring_parts": ["collector"], "lease_monitoring_oneuptime_token": TOKEN, "lease_monitoring_token": bao.token,
        "lease_monitoring_ca_cert": str(bao.ca_cert), "lease_monitoring_collector_directory": str(directory),
        "lease_monitoring_collector_owner": OWNER, "lease_monitoring_collector_group": GROUP, "lease_monitoring_collector_reload": [],
        "lease_monitoring_collector_audit_file": "/var/log/openbao/audit.log", "lease_monitoring_scrape_interval": "1s",
    }  # fmt: skip
    variables = play.write("settings.yml", yaml.safe_dump(settings))
    play("leasehold.vault.monitoring", "-e", f"@{variables}", "-vvv", "--diff")
    assert play("leasehold.vault.monitoring", "-e", f"@{variables}").changes == 0
    for name in ("oneuptime", "vault"):
        assert (directory / f"{name}.token").stat().st_mode & 0o777 == 0o400
    text = (directory / "config.yaml").read_text()
    assert TOKEN not in text
    assert bao.token not in text

    config = yaml.safe_load(text)
    exporter = config["exporters"]["otlphttp"]
    assert exporter["endpoint"] == "https://oneuptime.com/otlp"
    (file,) = re.fullmatch(r"\$\{file:(.*)\}", exporter["headers"]["x-oneuptime-token"]).groups()
    assert Path(file).read_text() == TOKEN, "and no line end, which no header may have"
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(config[kind])
    assert set(config["service"]["pipelines"]) == {"metrics", "logs"}

    # The receiver takes Prometheus' own configuration, so Prometheus can tell whether it works.
    scraping = play.directory / "prometheus.yml"
    scraping.write_text(yaml.safe_dump(config["receivers"]["prometheus"]["config"]))
    with prometheus.Prometheus(scraping) as server:
        servers.wait_for("Vault is scraped", lambda: bool(server.query('vault_core_active{job="vault"}')))


def test_the_monitors_find_leaked_users(engine: Ground, play: Play) -> None:
    database = {
        "name": "production-db", "host": "db", "port": 5433, "database": "appdb", "sslmode": "verify-full",
        "admin": {"username": "vault_admin", "password": "never-to-be-seen"},
    }  # fmt: skip
    play.secrets.append("never-to-be-seen")
    run = play(
        "leasehold.vault.monitoring", "--diff",
        *extra(lease_monitoring_parts=["oneuptime"], lease_monitoring_oneuptime_ids=IDS, vault_databases=[database]),
    )  # fmt: skip
    assert run.changes == 1
    text = (play.directory / "oneuptime-monitors.json").read_text()
    assert "never-to-be-seen" not in text
    heartbeat, leaked = (monitor["data"] for monitor in json.loads(text))
    assert (heartbeat["monitorType"], leaked["monitorType"]) == ("Incoming Request", "SQL Query")

    query = step_of(leaked)["sqlMonitor"]
    assert query["password"] == "{{monitorSecrets.leasehold}}"
    assert (query["host"], query["port"], query["databaseName"], query["useSsl"]) == ("db", 5433, "appdb", True)
    bad, good = criteria_of(leaked)
    assert [bad["monitorStatusId"], good["monitorStatusId"]] == ["id-down", "id-up"]
    assert bad["incidents"][0]["incidentSeverityId"] == "id-critical"
    assert [one["checkOn"] for one in bad["filters"]] == ["SQL Query Scalar Value", "SQL Query Error", "SQL Is Online"]
    leaks = [(one["filters"][0]["filterType"], one["filters"][0]["value"]) for one in (bad, good)]
    assert leaks == [("Greater Than", "0"), ("Equal To", "0")]
    failed, stopped, _beats = criteria_of(heartbeat)
    assert failed["filters"][0]["value"] == '"status": "failed"', "as the report says it"
    assert stopped["filters"][0] == {
        "checkOn": "Incoming Request",
        "filterType": "Not Recieved In Minutes",
        "value": "15",
    }

    # The query, on a real database, as a user without any right.
    engine.sql("CREATE ROLE beating_monitor LOGIN PASSWORD 'monitor'")

    def leaked_users() -> int:
        login = {"user": "beating_monitor", "password": "monitor"}
        with (
            contextlib.closing(engine.server.connect(engine.database, **login)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query["query"])
            return t.cast("int", cursor.fetchone()[0])

    before = leaked_users()
    user = engine.issue("app")["username"]
    assert leaked_users() == before, "one that is held is not leaked"
    engine.sql(
        f"""ALTER ROLE "{user}" VALID UNTIL '{time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(time.time() - 1200))}'"""
    )
    assert leaked_users() == before + 1


def step_of(monitor: Values) -> Values:
    (step,) = monitor["monitorSteps"]["value"]["monitorStepsInstanceArray"]
    return t.cast("Values", step["value"])


def criteria_of(monitor: Values) -> list[Values]:
    criteria = step_of(monitor)["monitorCriteria"]["value"]["monitorCriteriaInstanceArray"]
    return [criterion["value"] for criterion in criteria]


# -- the files of all parts ---------------------------------------------------------------------------------------------------

JOB = '{job="vault"}'
# What promtool and a real Prometheus try in the full run: from which value on each alert fires.
CONDITIONS = {
    "VaultDown": f"up{JOB} == 0",
    "VaultSealed": f"leasehold:unsealed{JOB} == 0",
    "VaultNoActiveNode": f"max by (job) (leasehold:active{JOB}) == 0",
    "VaultIssueFails": f"leasehold:issue_failures:increase{JOB} > 0",
    "VaultRevocationFails": f"leasehold:revocation_failures:increase{JOB} > 0",
    "VaultLeasesIrrevocable": f"vault_expire_num_irrevocable_leases{JOB} > 0 and on (job, instance) leasehold:active == 1",
    "VaultPasswordChangeFails": f"leasehold:update_failures:increase{JOB} > 0",
    "VaultLeasesGrow": f"vault_expire_num_leases{JOB} > 100 and on (job, instance) leasehold:active == 1 and vault_expire_num_leases{JOB} "
    f"> 2 * avg_over_time(vault_expire_num_leases{JOB}[1d] offset 10m)",
    "VaultIssueRateUnusual": f"leasehold:issue:rate{JOB} > 0.05 and leasehold:issue:rate{JOB} > avg_over_time(leasehold:issue:rate{JOB}[1d] "
    f"offset 10m) + 4 * stddev_over_time(leasehold:issue:rate{JOB}[1d] offset 10m)",
    "VaultAuditFails": f"increase(vault_audit_log_request_failure{JOB}[10m]) > 0 or increase(vault_audit_log_response_failure{JOB}[10m]) > 0",
    "VaultHeartbeatMissing": "time() - leasehold_heartbeat_success_timestamp_seconds > 900",
    "VaultRootRotationLate": "time() - leasehold_root_rotated_timestamp_seconds > 2764800",
    "VaultTokenEndsFirst": "leasehold_heartbeat_expires_in_seconds < leasehold_heartbeat_lease_duration_seconds - 5",
    "VaultUsersParked": "leasehold_parked_users > 0",
    "VaultSessionsWithoutUser": "leasehold_sessions_without_user > 0",
    "VaultServerUnknown": "leasehold_server_unknown > 0",
}
AFTER = {
    **dict.fromkeys(("VaultDown", "VaultSealed", "VaultNoActiveNode"), "2m"), "VaultLeasesGrow": "15m",
    **dict.fromkeys(("VaultIssueRateUnusual", "VaultSessionsWithoutUser", "VaultServerUnknown"), "10m"),
}  # fmt: skip
"""How long a condition must hold; the others fire at once."""
WARNINGS = {
    "VaultPasswordChangeFails", "VaultLeasesGrow", "VaultIssueRateUnusual", "VaultRootRotationLate", "VaultTokenEndsFirst", "VaultUsersParked",
    "VaultServerUnknown",
}  # fmt: skip
"""The others are critical."""
COUNTERS = {
    "issue_failures": ["database_NewUser_error"],
    "update_failures": ["database_UpdateUser_error"],
    "revocation_failures": ["database_DeleteUser_error", "expire_lease_expiration_error"],
}


def grew(counter: str) -> str:
    series = f"vault_{counter}{JOB}"
    born = f"({series} > 0 unless {series} offset 10m) and on (job, instance) (up{JOB} offset 10m)"
    return f"sum by (job, instance) (increase({series}[10m]) > 0 or {born})"


def test_files_of_server_prometheus_collector_and_heartbeat(play: Play) -> None:
    """Written into directories of the test by one run, and found as they are by the next; nothing reads them here."""
    here = play.directory
    for name in ("server", "prometheus", "otelcol", "units"):
        (here / name).mkdir()
    theirs = "# ours\nglobal: {}\nscrape_configs:\n- job_name: node # as node_exporter\n"
    config = here / "prometheus" / "prometheus.yml"
    config.write_text(theirs)
    config.chmod(0o640)
    play.secrets += [TOKEN, "vault-token", "very-secret-key"]
    settings = {
        "lease_monitoring_parts": ["server", "prometheus", "collector", "heartbeat"], "lease_monitoring_token": "vault-token",
        "lease_monitoring_server_version": "2.7.2",
        "lease_monitoring_targets": ["vault1:8200"], "lease_monitoring_scheme": "https", "lease_monitoring_server_reload": [],
        "lease_monitoring_metrics_listener": "0.0.0.0:9200", "lease_monitoring_server_directory": str(here / "server"),
        "lease_monitoring_server_owner": OWNER, "lease_monitoring_server_group": GROUP,
        "lease_monitoring_prometheus_directory": str(here / "prometheus"), "lease_monitoring_prometheus_owner": OWNER,
        "lease_monitoring_prometheus_group": GROUP, "lease_monitoring_prometheus_reload": [], "lease_monitoring_promtool": "",
        "lease_monitoring_collector_directory": str(here / "otelcol"), "lease_monitoring_collector_owner": OWNER,
        "lease_monitoring_collector_group": GROUP, "lease_monitoring_collector_reload": [], "lease_monitoring_oneuptime_token": TOKEN,
        "lease_monitoring_heartbeat_directory": str(here / "etc"), "lease_monitoring_heartbeat_user": OWNER,
        "lease_monitoring_heartbeat_url": "https://oneuptime/heartbeat/very-secret-key", "lease_monitoring_heartbeat_role": "app",
        "lease_monitoring_heartbeat_environment": {"VAULT_TOKEN": 'a"b\\c'},
        "lease_monitoring_units": str(here / "units"), "lease_monitoring_units_start": False,
    }  # fmt: skip
    variables = play.write("settings.yml", yaml.safe_dump(settings))
    assert "Nothing was restarted" in play("leasehold.vault.monitoring", "-e", f"@{variables}", "-vvv", "--diff").output
    assert play("leasehold.vault.monitoring", "-e", f"@{variables}").changes == 0

    modes = {
        "prometheus/leasehold.token": 0o400, "prometheus/prometheus.yml": 0o640, "otelcol/oneuptime.token": 0o400, "otelcol/vault.token": 0o400,
        "etc": 0o700, "etc/heartbeat.env": 0o600,
    }  # fmt: skip
    assert {path: (here / path).stat().st_mode & 0o777 for path in modes} == modes
    assert shlex.split((here / "etc" / "heartbeat.env").read_text()) == [
        "ONEUPTIME_HEARTBEAT_URL=https://oneuptime/heartbeat/very-secret-key",
        'VAULT_TOKEN=a"b\\c',
    ]

    text = config.read_text()
    ours = re.compile(r"^ *# BEGIN leasehold.vault\n.*\n *# END leasehold.vault\n", re.MULTILINE)
    assert ours.sub("", text) == f"{theirs}\nrule_files:\n", "what others wrote is left alone"
    current = yaml.safe_load(text)
    assert current["rule_files"] == [str(here / "prometheus" / "leasehold.rules.yml")]
    assert [job["job_name"] for job in current["scrape_configs"]] == ["vault", "node"]
    assert current["scrape_configs"][0]["authorization"] == {
        "credentials_file": str(here / "prometheus" / "leasehold.token")
    }

    rules = yaml.safe_load((here / "prometheus" / "leasehold.rules.yml").read_text())["groups"][0]["rules"]
    exprs = {rule.get("alert") or rule["record"]: " ".join(rule["expr"].split()) for rule in rules}
    assert {name: expr for name, expr in exprs.items() if not name.startswith("leasehold:")} == CONDITIONS
    alerts = [rule for rule in rules if "alert" in rule]
    assert {rule["alert"]: rule["for"] for rule in alerts if "for" in rule} == AFTER
    assert {rule["alert"] for rule in alerts if rule["labels"]["severity"] == "warning"} == WARNINGS
    for record, counters in COUNTERS.items():
        assert exprs[f"leasehold:{record}:increase"] == " or ".join(grew(counter) for counter in counters)

    telemetry = " ".join((here / "server" / "leasehold-telemetry.hcl").read_text().split())
    assert "telemetry { metrics_only = true unauthenticated_metrics_access = true }" in telemetry
    assert 'listener "tcp" { address = "0.0.0.0:9200" tls_disable = true' in telemetry
    assert 'mode = "0600"' in (here / "server" / "leasehold-audit.hcl").read_text()


# -- Grafana ----------------------------------------------------------------------------------------------------------------


def test_dashboard_is_provisioned_in_grafana(play: Play) -> None:
    (play.directory / "provisioning").mkdir()
    settings = extra(
        lease_monitoring_parts=["grafana"], lease_monitoring_grafana_dashboards=str(play.directory / "dashboards"),
        lease_monitoring_grafana_provisioning=str(play.directory / "provisioning"), lease_monitoring_grafana_group=GROUP,
    )  # fmt: skip
    play("leasehold.vault.monitoring", *settings)
    assert play("leasehold.vault.monitoring", *settings).changes == 0
    provider = yaml.safe_load((play.directory / "provisioning" / "leasehold.yml").read_text())["providers"][0]
    assert json.loads((play.directory / "dashboards" / "leasehold.json").read_text())["uid"] == "leasehold"
    assert provider["options"]["path"] == str(play.directory / "dashboards")


# -- audit ------------------------------------------------------------------------------------------------------------------


def asked(play: Play, log: Path | str, settings: Values | None = None, **question: str) -> tuple[list[Values], str]:
    variables = {f"leasehold_audit_{name}": value for name, value in {"log": str(log), **question}.items()}
    variables |= settings or {}
    run = play("leasehold.vault.audit", *extra(**variables))
    assert run.changes == 0
    return run.result("Set the result of the audit search")["ansible_facts"]["lease_monitoring_held"], " ".join(
        run.messages("What the log does not tell")[0]
    )


def moment(offset: float = 0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset))


@pytest.mark.full
def test_which_application_held_which_user(engine: Ground, play: Play, bao: servers.OpenBao) -> None:
    login = engine.approle("shop")
    auth = bao.request(
        "POST", f"auth/{login['VAULT_AUTH_MOUNT']}/login",
        {"role_id": login["VAULT_ROLE_ID"], "secret_id": login["VAULT_SECRET_ID"]},
    )["auth"]  # fmt: skip
    token = auth["client_token"]
    answer = bao.request("GET", f"{engine.mount}/creds/app", token=token)
    user = answer["data"]["username"]
    time.sleep(2.1)
    then = moment()
    engine.issue("app")
    # A password of a static role has no lease that could be revoked with others.
    engine.write(
        "static-roles/beating", {"db_name": "db", "username": engine.user("beating_fixed"), "rotation_period": "24h"}
    )
    bao.request("GET", f"{engine.mount}/static-creds/beating", token=token)
    bao.request("PUT", f"sys/leases/revoke-prefix/{engine.mount}/creds/nothing")
    by_itself = engine.issue("app")
    bao.request("PUT", "sys/leases/renew", {"lease_id": by_itself["lease_id"]})
    bao.request("PUT", "sys/leases/revoke", {"lease_id": by_itself["lease_id"]})
    time.sleep(1.1)

    # Hashed, as it is by default: found by what the name itself tells.
    current, missing = asked(play, bao.audit_path, user=user)
    assert [(one["application"], one["lease_id"]) for one in current] == [("shop", answer["lease_id"])]
    assert "user names as hashes only" in missing
    # A lease that was revoked is in the log as a hash only, for which Vault is asked.
    (ended,), missing = asked(play, bao.audit_path, user=by_itself["username"])
    assert ended["renewed"]
    assert ended["ended"]
    assert "hash only" not in missing
    away = {"leasehold_url": "http://127.0.0.1:9", "leasehold_retries": 0}
    others, missing = asked(play, bao.audit_path, role="app", settings=away)
    assert [one["ended"] for one in others if one["lease_id"] == by_itself["lease_id"]] == [None]
    assert "name their lease as a hash only" in missing
    assert "could not be reached" in missing
    hashed = bao.request("POST", "sys/audit-hash/main", {"input": user})["data"]["hash"]
    assert asked(play, bao.audit_path, user=hashed)[0] == current
    current, missing = asked(play, bao.audit_path, at=then, application="shop")
    assert [one["lease_id"] for one in current] == [answer["lease_id"]]
    fixed = asked(play, bao.audit_path, role="beating")[0]
    assert [(one["application"], one["kind"], one["lease_id"]) for one in fixed] == [("shop", "static", "")]
    assert "max_ttl" in missing
    current, missing = asked(play, bao.audit_path, at=moment(-86400), role="app", max_ttl="1h")
    assert current == []
    assert "cannot tell all about" in missing

    # In clear, once the mount says so; and the end is known when it comes with the token's.
    play("leasehold.vault.vault", *extra(
        vault_database_mount=engine.mount, database_secrets_engine={"audit_non_hmac_response_keys": ["username"]}, vault_databases=[],
    ))  # fmt: skip
    clear = bao.request("GET", f"{engine.mount}/creds/app", token=token)
    bao.request("POST", "auth/token/revoke-accessor", {"accessor": auth["accessor"]})
    (one,), missing = asked(play, bao.audit_path, user=clear["data"]["username"])
    assert "hashes only" not in missing
    assert (one["application"], one["lease_id"]) == ("shop", clear["lease_id"])
    assert one["ended"] is not None
    current, _missing = asked(play, bao.audit_path, at=moment(3), application="shop", max_ttl="1h")
    assert current == []


def line(time: str, path: str, **more: t.Any) -> str:
    """One line of an audit log, as the server writes it."""
    request = {"operation": "read", "path": path, "mount_type": "database", "mount_point": "database/", **more}
    auth = {"client_token": "hmac-sha256:a", "accessor": "hmac-sha256:b", "metadata": {"role_name": "shop"}}
    secret = {"lease_id": f"{path}/one"} if "/creds/" in path else {}
    entry = {"time": f"2026-03-01T{time}.123456789Z", "type": "response", "auth": auth, "request": request,
             "response": {"secret": secret, "data": {"username": "v-app-1"}}}  # fmt: skip
    return json.dumps(entry, separators=(",", ":")) + "\n"


def test_a_moment_of_the_logs_last_day_and_a_token_that_gives_everything_back(play: Play, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    revoked = {"operation": "update", "mount_type": "token"}
    log.write_text(
        line("14:00:00", "database/creds/app")
        + line("14:10:00", "auth/token/revoke-self", **revoked)
        + line("14:20:00", "database/static-creds/beating")
    )
    (current,), _missing = asked(play, log, at="14:05")
    assert (current["application"], current["user"], current["ended"]) == ("shop", "v-app-1", "2026-03-01T14:10:00Z")
    assert asked(play, log, at="14:15")[0] == []
    assert asked(play, log, at="13:00")[0] == []


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ({"leasehold_audit_log": "nowhere.log"}, "/nowhere.log: No such file or directory."),
        ({"leasehold_audit_at": "5 past 2"}, "'5 past 2' is no moment: write 14:05"),
        ({"leasehold_audit_max_ttl": "a day"}, "'a day' is no duration: write 3600"),
    ],
)
def test_a_question_that_cannot_be_answered(
    play: Play, tmp_path: Path, question: dict[str, str], sentence: str
) -> None:
    (tmp_path / "audit.log").write_text(line("14:00:00", "database/creds/app"))
    variables = {"leasehold_audit_log": str(tmp_path / "audit.log"), **question}
    run = play("leasehold.vault.audit", *extra(**variables), ok=False)
    assert sentence in run.output
    assert "Traceback" not in run.output


def test_a_log_that_cannot_tell_says_so(play: Play, tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_text("")
    current, missing = asked(play, tmp_path / "empty.log", at="14:05")
    assert current == []
    assert "There is no answer of a server" in missing
    assert "Nobody is found" in missing
