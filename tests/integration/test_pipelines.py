# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/pipelines and examples/controller at work, on servers of their own: one story, whose tests follow each other.

The steps of the workflows are run as printed, by a shell, with what the forge would put into the environment. A job of the controller is run
by ansible-runner, with what the credential types inject.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jinja2
import jinja2.sandbox
import pytest
import servers
import yaml
from cluster import Cluster, signed_token
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .conftest import CALLBACK, ROOT, Play, as_yaml, extra, interpreter, leaks

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PIPELINES, CONTROLLER = ROOT / "examples" / "pipelines", ROOT / "examples" / "controller"
FIRST_PASSWORD = "first-p@ss:word/%"
NO_DRIFT, DRIFT = 0, 2
BY_NETWORK = {"pip", "ansible-galaxy"}
"""What the steps call and these tests do not: there is no network, and what they install is here."""


class ReadAsText(yaml.SafeLoader):
    """YAML as Ansible reads it: `!unsafe` is text. `on` is a word, as the forges see it."""


ReadAsText.add_constructor("!unsafe", lambda _loader, node: node.value)


def read(path: Path) -> t.Any:
    document = yaml.load(path.read_text(), ReadAsText)  # noqa: S506 (a safe loader that knows one more tag)
    return {"on" if key is True else key: value for key, value in document.items()}


# ----------------------------------------------------------------------------------------------------------- the place


class Forge:
    """Issues a token for each job, as forges do: through an API, to those who have the job's own secret."""

    secret = "job-secret-9f2c"
    claims: t.ClassVar[dict[str, str]] = {"repository": "example/databases", "ref": "refs/heads/main"}

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        forge = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers["Authorization"] == f"Bearer {forge.secret}"
                self.send_response(200 if known else 401)
                self.end_headers()
                if known:
                    self.wfile.write(json.dumps({"value": forge.token(self.path.partition("audience=")[2])}).encode())

            def log_message(self, *_words: t.Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token?version=2.0"

    @property
    def public_key(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def token(self, audience: str, **claims: str) -> str:
        now = int(time.time())
        body = {
            "sub": "job",
            "aud": audience,
            "iat": now - 10,
            "nbf": now - 10,
            "exp": now + 900,
            **self.claims,
            **claims,
        }
        return signed_token(self._key, body)


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    forge = Forge()
    threading.Thread(target=forge.server.serve_forever, daemon=True).start()
    yield forge
    forge.server.shutdown()


@pytest.fixture(scope="module")
def bao() -> Iterator[servers.OpenBao]:
    with servers.OpenBao() as server:
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[servers.PostgreSQL]:
    with servers.PostgreSQL() as server:
        yield server


class Repository:
    """What a team has in its repository, checked out; only the address of the database is that of this PostgreSQL."""

    def __init__(self, directory: Path, bao: servers.OpenBao, postgres: servers.PostgreSQL) -> None:
        self.directory, self.bao, self.postgres = directory, bao, postgres
        shutil.copytree(PIPELINES, directory, dirs_exist_ok=True)
        self.edit(
            ("postgres.production.svc", postgres.host),
            ("port: 5432", f"port: {postgres.port}"),
            ("verify-full", "disable"),
        )
        self.secrets = [FIRST_PASSWORD, postgres.password, bao.token]
        home = directory / ".home"
        home.mkdir()
        self.surroundings = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(home), "LC_ALL": "C.UTF-8",
            "VAULT_CACERT": str(bao.ca_cert), "NO_PROXY": "127.0.0.1,localhost", "ANSIBLE_LOCALHOST_WARNING": "false",
            **{name: value for name, value in Play(directory, bao)._environment(directory, home).items() if name.startswith("ANSIBLE_")},
        }  # fmt: skip

    def edit(self, *changes: tuple[str, str]) -> None:
        path = self.directory / "databases.yml"
        text = path.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path.write_text(text)

    def shell(self, script: str, environment: Mapping[str, str]) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script], cwd=self.directory, env={**self.surroundings, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        masked = [
            line.removeprefix("::add-mask::") for line in done.stdout.splitlines() if line.startswith("::add-mask::")
        ]
        output = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("::add-mask::"))
        assert not leaks(output, [*self.secrets, *masked]), output
        return done.returncode, output

    def users(self) -> list[str]:
        """Those that Vault has made and not ended."""
        return [
            name for (name,) in self.postgres.sql("SELECT rolname FROM pg_roles WHERE rolname ~ '^v-' AND rolcanlogin")
        ]


@pytest.fixture(scope="module")
def repository(
    bao: servers.OpenBao, postgres: servers.PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Repository:
    return Repository(tmp_path_factory.mktemp("repository"), bao, postgres)


# ----------------------------------------------------------------------------------------------------------- pipelines


class GitHub:
    """The workflow of GitHub Actions, its steps run one after the other."""

    def __init__(self, repository: Repository, forge: Forge) -> None:
        self.repository, self.forge = repository, forge
        self.workflow = read(PIPELINES / "github.yml")
        self.known = {
            "vars.VAULT_ADDR": repository.bao.url, "secrets.DBA_USER": repository.postgres.user,
            "secrets.DBA_PASSWORD": repository.postgres.password, "secrets.FIRST_PASSWORD": FIRST_PASSWORD,
        }  # fmt: skip

    def evaluated(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {
            name: re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: self.known[found[1]], value)
            for name, value in environment.items()
        }

    def run(self, event: str) -> dict[str, int]:
        """The exit code of each step that is run on this event; the first that fails is the last."""
        assert event in self.workflow["on"]
        (job,) = self.workflow["jobs"].values()
        assert self.workflow["permissions"]["id-token"] == "write"
        exported = self.repository.directory / ".github_env"
        exported.write_text("")
        environment = self.evaluated(self.workflow["env"]) | {
            "ACTIONS_ID_TOKEN_REQUEST_URL": self.forge.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.forge.secret, "GITHUB_ENV": str(exported),
        }  # fmt: skip
        codes = {}
        for step in job["steps"]:
            desired = re.fullmatch(r"github\.event_name == '(\w+)'", step.get("if", f"github.event_name == '{event}'"))
            assert desired
            if (
                "run" not in step
                or desired[1] != event
                or {line.split()[0] for line in step["run"].splitlines()} == BY_NETWORK
            ):
                continue
            given = dict(line.split("=", 1) for line in exported.read_text().splitlines())
            code, self.output = self.repository.shell(
                step["run"], {**environment, **given, **self.evaluated(step.get("env", {}))}
            )
            codes[step["name"]] = code
            if code != 0:
                break
        return codes


class GitLab:
    """The same for GitLab CI: what is in `id_tokens` is in the environment of each job."""

    def __init__(self, repository: Repository, forge: Forge) -> None:
        self.repository, self.forge = repository, forge
        self.pipeline = read(PIPELINES / "gitlab.yml")
        self.jobs = {name: job for name, job in self.pipeline.items() if isinstance(job, dict) and "script" in job}

    def run(self, source: str, *only: str) -> dict[str, int]:
        default = self.pipeline["default"]
        assert {command.split()[0] for command in default["before_script"]} == BY_NETWORK
        ((name, token),) = default["id_tokens"].items()
        codes = {}
        for stage in self.pipeline["stages"]:
            for job in (job for job in only or self.jobs if self.jobs[job]["stage"] == stage):
                (rule,) = self.jobs[job]["rules"]
                if f'$CI_PIPELINE_SOURCE == "{source}"' in rule["if"]:
                    environment = {
                        **self.pipeline["variables"], **self.jobs[job].get("variables", {}), name: self.forge.token(token["aud"]),
                        "VAULT_ADDR": self.repository.bao.url, "DBA_USER": self.repository.postgres.user,
                        "DBA_PASSWORD": self.repository.postgres.password, "FIRST_PASSWORD": FIRST_PASSWORD,
                    }  # fmt: skip
                    codes[job], self.output = self.repository.shell("\n".join(self.jobs[job]["script"]), environment)
        return codes


@pytest.fixture(scope="module")
def let_in(repository: Repository, forge: Forge) -> None:
    """What access.yml does; only the keys come from the test's forge."""
    trust = extra(ci_issuer={"jwt_validation_pubkeys": [forge.public_key]}, ci_claims=forge.claims)
    login = {"VAULT_ADDR": repository.bao.url, "VAULT_TOKEN": repository.bao.token, "TRUST": trust[1]}
    command = 'ansible-playbook access.yml -e "$TRUST"'
    assert repository.shell(command, login)[0] == 0
    code, again = repository.shell(command, login)
    assert code == 0
    assert "changed=0" in again


@pytest.fixture(scope="module")
def github(repository: Repository, forge: Forge, let_in: None) -> GitHub:
    return GitHub(repository, forge)


@pytest.fixture(scope="module")
def gitlab(repository: Repository, forge: Forge, let_in: None) -> GitLab:
    return GitLab(repository, forge)


PUSH = {"Get the token of this job": 0, "Set up the databases": 0, "Migrate, with a user that is gone afterwards": 0}


@pytest.mark.full
def test_push_job_migrates_with_user_revoked_afterwards(github: GitHub, repository: Repository) -> None:
    assert github.run("push") == PUSH, github.output
    assert "revoked" in github.output
    assert repository.postgres.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'guestbook'", "appdb") == [
        ("app_migrations",)
    ]
    assert repository.postgres.sql("SELECT has_table_privilege('app_rw', 'guestbook', 'INSERT')", "appdb") == [(True,)]
    assert not repository.users()


@pytest.mark.full
def test_only_scheduled_job_finds_drift(github: GitHub, repository: Repository) -> None:
    steps = ("Get the token of this job", "Find drift")
    assert github.run("schedule") == dict(zip(steps, (0, NO_DRIFT), strict=True)), github.output
    repository.bao.request("POST", "database/roles/app-role", {"max_ttl": "48h"})
    assert github.run("schedule") == dict(zip(steps, (0, DRIFT), strict=True))
    assert "Drift: roles/app-role" in github.output


@pytest.mark.full
def test_every_step_of_the_workflow_was_one_of_these(github: GitHub) -> None:
    (job,) = github.workflow["jobs"].values()
    assert {step["name"] for step in job["steps"] if "run" in step} == {"Install", "Find drift", *PUSH}
    assert set(github.workflow["on"]) == {"push", "schedule"}


@pytest.mark.full
def test_the_same_pipeline_in_gitlab(gitlab: GitLab, repository: Repository) -> None:
    assert gitlab.run("push") == {"site": 0, "migrate": 0}, gitlab.output
    assert gitlab.run("schedule") == {"drift": NO_DRIFT}, gitlab.output
    assert set(gitlab.jobs) == {"drift", "site", "migrate"}
    assert not repository.users()


@pytest.mark.full
def test_a_job_of_another_branch_is_not_let_in(gitlab: GitLab, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forge, "claims", {**forge.claims, "ref": "refs/heads/other"})
    assert gitlab.run("push", "migrate") != {"migrate": 0}
    assert 'claim "ref" does not match' in gitlab.output


@pytest.mark.full
def test_a_migration_that_fails_leaves_no_user(gitlab: GitLab, repository: Repository) -> None:
    script = repository.directory / "migration.sql"
    good = script.read_text()
    script.write_text("SELECT 1 / 0;")
    assert gitlab.run("push", "migrate") == {"migrate": 2}
    assert "division by zero" in gitlab.output
    assert not repository.users()
    script.write_text(good)


# ---------------------------------------------------------------------------------------------------------- controller


def injected(kind: str, inputs: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The environment that the controller makes of a credential: its templates get what was filled in, and the names of its files."""
    types = {each["name"]: each for each in read(CONTROLLER / "controller.yml")["controller_credential_types"]}
    fields = {field["id"] for field in types[kind]["inputs"]["fields"]}
    assert set(types[kind]["inputs"]["required"]) <= set(inputs) <= fields
    templates, injectors = (
        jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined),
        types[kind]["injectors"],
    )
    files = {}
    for label, template in injectors.get("file", {}).items():
        path = directory / label.removeprefix("template.")
        path.write_text(templates.from_string(template).render(inputs))
        files[path.name] = str(path)
    values = {**inputs, "tower": {"filename": files}}
    assert not [name for name in injectors["env"] if name.startswith("ANSIBLE_")], "the controller refuses these"
    return {name: templates.from_string(template).render(values) for name, template in injectors["env"].items()}


@pytest.fixture(scope="module")
def approle(repository: Repository, let_in: None) -> dict[str, str]:
    """A login for the controller, with the rights of the pipeline."""
    bao = repository.bao
    bao.request("POST", "sys/auth/approle", {"type": "approle"})
    bao.request("POST", "auth/approle/role/controller", {"token_policies": ["databases-pipeline"], "token_ttl": "1h"})
    role_id = bao.request("GET", "auth/approle/role/controller/role-id")["data"]["role_id"]
    secret_id = bao.request("POST", "auth/approle/role/controller/secret-id", {})["data"]["secret_id"]
    repository.secrets.append(secret_id)
    return {
        "url": bao.url, "ca_cert": bao.ca_cert.read_text(), "auth_method": "approle", "role_id": role_id, "secret_id": secret_id,
    }  # fmt: skip


def logins(
    approle: Mapping[str, str], bao: servers.OpenBao, forge: Forge, cluster: Cluster
) -> dict[str, dict[str, str]]:
    where = {name: approle[name] for name in ("url", "ca_cert")}
    bao.request("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
    bao.request("POST", "auth/kubernetes/config", {
        "kubernetes_host": cluster.url, "kubernetes_ca_cert": cluster.ca_cert, "token_reviewer_jwt": cluster.reviewer,
    })  # fmt: skip
    bao.request("POST", "auth/kubernetes/role/job", {
        "bound_service_account_names": ["jobs"], "bound_service_account_namespaces": ["awx"],
        "token_policies": "databases-pipeline",
    })  # fmt: skip
    pod = cluster.token("awx", "jobs")
    bao.request("POST", "sys/auth/userpass", {"type": "userpass"})
    bao.request("POST", "auth/userpass/users/job", {"password": "job-password", "token_policies": "databases-pipeline"})
    return {
        "approle": {**approle, "auth_mount": "approle"},
        "jwt": {**where, "auth_method": "jwt", "auth_role": "databases-pipeline", "jwt": forge.token("vault")},
        "kubernetes": {**where, "auth_method": "kubernetes", "auth_role": "job", "jwt": pod},
        "userpass": {**where, "auth_method": "userpass", "username": "job", "password": "job-password"},
        "token": {**where, "auth_method": "token", "token": bao.token},
    }  # fmt: skip


@pytest.mark.full
def test_what_the_credential_type_injects_logs_in(
    approle: dict[str, str], bao: servers.OpenBao, forge: Forge, repository: Repository, tmp_path: Path
) -> None:
    """Whatever is left empty does not matter, neither to modules nor to lookups."""
    task = "leasehold.vault.database_role_info: {name: app-role}"
    lookup = "lookup('leasehold.vault.database_credentials', 'migration-role', revoke='at_end')"
    mention = f"ansible.builtin.assert: {{that: \"{lookup}.username is match('v-')\"}}"
    (repository.directory / "login.yml").write_text(
        f"- hosts: localhost\n  gather_facts: false\n  tasks:\n    - {task}\n    - {mention}\n"
    )
    with Cluster() as cluster:
        for method, inputs in logins(approle, bao, forge, cluster).items():
            environment = injected("Vault login", inputs, tmp_path)
            environment["ANSIBLE_CALLBACKS_ENABLED"] = CALLBACK
            code, output = repository.shell("ansible-playbook login.yml", environment)
            assert code == 0, f"{method}: {output}"
    without = {**approle, "secret_id": "00000000-0000-0000-0000-000000000000"}
    code, output = repository.shell("ansible-playbook login.yml", injected("Vault login", without, tmp_path))
    assert code != 0
    assert "invalid" in output
    assert not repository.users()


def test_the_objects_of_the_controller_speak_of_each_other() -> None:
    objects = read(CONTROLLER / "controller.yml")
    environments = {each["name"] for each in objects["controller_execution_environments"]}
    projects = {each["name"] for each in objects["controller_projects"]}
    templates = {each["name"]: each for each in objects["controller_templates"]}
    playbooks = {path.name for path in [*(CONTROLLER / "project").glob("[!i]*.yml"), PIPELINES / "migrate.yml"]}
    assert {each["playbook"] for each in templates.values()} == playbooks
    assert {each["execution_environment"] for each in templates.values()} == environments
    assert {each["project"] for each in templates.values()} == projects
    assert {each["inventory"] for each in templates.values()} == {
        each["name"] for each in objects["controller_inventories"]
    }
    (source,) = objects["controller_inventory_sources"]
    assert (CONTROLLER / "project" / source["source_path"]).is_file()
    assert {each["unified_job_template"] for each in objects["controller_schedules"]} <= set(templates)
    kinds = {each["name"] for each in objects["controller_credential_types"]}
    assert {each["credential_type"] for each in objects["controller_credentials"]} == kinds
    named = {each["name"] for each in objects["controller_credentials"]}
    assert {name for each in templates.values() for name in each["credentials"]} == named


@pytest.mark.full
def test_a_builder_takes_the_execution_environment(tmp_path: Path) -> None:
    definition = CONTROLLER / "execution-environment.yml"
    done = subprocess.run(
        ["ansible-builder", "create", "--file", definition, "--context", tmp_path, "--output-filename", "Containerfile"],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert yaml.safe_load((tmp_path / "_build" / "requirements.yml").read_text())["collections"] == ["leasehold.vault"]
    assert read(definition)["images"]["base_image"]["name"] in (tmp_path / "Containerfile").read_text()


class Runner:
    """A job of the controller, as ansible-runner runs it: the project, the credentials, and what is kept of the run."""

    def __init__(self, directory: Path, repository: Repository, environment: Mapping[str, str]) -> None:
        self.directory, self.repository = directory, repository
        project = directory / "project"
        shutil.copytree(CONTROLLER / "project", project)
        (project / "group_vars").mkdir()
        shutil.copy(repository.directory / "databases.yml", project / "group_vars" / "all.yml")
        for name in ("migrate.yml", "migration.sql"):
            shutil.copy(repository.directory / name, project)
        # The controller reads the inventory of the project, and hands it to its jobs as a script that prints it.
        code, inventory = repository.shell(f"ansible-inventory -i '{project}/inventory.yml' --list --export", {})
        assert code == 0, inventory
        (directory / "inventory").mkdir()
        script = directory / "inventory" / "hosts"
        script.write_text(f"#!{interpreter()}\nprint({inventory!r})\n")
        script.chmod(0o700)
        self.environment = {
            name: value for name, value in repository.surroundings.items() if name != "VAULT_CACERT"
        } | dict(environment)

    def run(self, playbook: str, code: int = 0) -> str:
        """The events and the output that the controller would keep and show; none of them may hold a secret that is known."""
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-runner"), "run", self.directory, "--playbook", playbook, "--ident", playbook, "-vvv"],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        artifacts = self.directory / "artifacts" / playbook
        events = [path.read_text() for path in (artifacts / "job_events").glob("*.json")]
        assert len(events) > 5, done.stdout
        kept = "\n".join([done.stdout, (artifacts / "stdout").read_text(), *events])
        assert not leaks(kept, self.repository.secrets)
        assert done.returncode == code, done.stdout
        return kept


@pytest.fixture(scope="module")
def runner(repository: Repository, approle: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Runner:
    directory = tmp_path_factory.mktemp("runner")
    dba = {
        "username": repository.postgres.user,
        "password": repository.postgres.password,
        "first_password": FIRST_PASSWORD,
    }
    environment = injected("Vault login", approle, directory) | injected("DBA of the databases", dba, directory)
    return Runner(directory, repository, environment)


def lookup_play(show: str, note: Path) -> str:
    lookup = "lookup('leasehold.vault.database_credentials', 'migration-role', revoke='at_end')"
    query = {
        "login_host": "{{ vault_databases[0].host }}", "login_port": "{{ vault_databases[0].port }}", "login_db": "appdb",
        "ssl_mode": "disable", "login_user": "{{ user.username }}", "login_password": "{{ user.password }}", "query": "SELECT 1",
    }  # fmt: skip
    tasks = [{"community.postgresql.postgresql_query": query}, {"ansible.builtin.debug": {"msg": f"{{{{ {show} }}}}"}}]
    user = f"{{{{ {lookup} | noted('{note}') }}}}"
    return as_yaml([{"hosts": "all", "gather_facts": False, "vars": {"user": user}, "tasks": tasks}])


@pytest.mark.full
def test_a_job_of_the_controller_sets_up_and_its_events_hold_no_secret(runner: Runner, repository: Repository) -> None:
    repository.bao.request("DELETE", "database/roles/app-role")
    assert "Drift: roles/app-role" in runner.run("drift.yml", DRIFT)
    runner.run("site.yml")
    assert repository.bao.request("GET", "database/roles/app-role")["data"]["max_ttl"] == 24 * 3600
    assert "revoked" in runner.run("migrate.yml")
    assert not repository.users()


@pytest.mark.full
def test_a_lookup_in_a_job_leaves_no_secret_in_its_events_and_no_user(
    runner: Runner, repository: Repository, tmp_path: Path
) -> None:
    (runner.directory / "project" / "lookup.yml").write_text(lookup_play("user.username", tmp_path / "noted"))
    kept = runner.run("lookup.yml")
    (issued,) = {json.loads(line)["password"] for line in (tmp_path / "noted").read_text().splitlines()}
    assert not leaks(kept, [issued])
    assert not repository.users()


@pytest.mark.full
def test_a_secret_in_the_events_would_be_found(runner: Runner, tmp_path: Path) -> None:
    (runner.directory / "project" / "shown.yml").write_text(lookup_play("user.password", tmp_path / "noted"))
    kept = runner.run("shown.yml")
    (issued,) = {json.loads(line)["password"] for line in (tmp_path / "noted").read_text().splitlines()}
    assert leaks(kept, [issued]) == [issued]
