# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every YAML block and every command of the README, run as printed on real servers."""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import subprocess
import typing as t
from pathlib import Path

import pytest
import servers

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARTICLES = (ROOT / "docs" / "articles.md").read_text(encoding="utf-8")


def blocks(text: str) -> dict[str, str]:
    return dict(re.findall(r"```yaml\n# (\S+\.yml)\n(.*?)```", text, re.DOTALL))


def commands(text: str) -> list[str]:
    found = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line for block in found for line in block.strip().splitlines()]


BLOCKS, COMMANDS = blocks(README), commands(README)
FIRST_PASSWORD = "first-p@ss:word/%"


@pytest.fixture(scope="module")
def place(bao: servers.OpenBao, postgres: servers.PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the README's files.  Only the address differs: the sandbox's PostgreSQL is not in your production."""
    directory = tmp_path_factory.mktemp("readme")
    instead = {
        "host: postgres.production.svc": f"host: {postgres.host}\n    port: {postgres.port}",
        "@postgres.production.svc:5432/": f"@{postgres.host}:{postgres.port}/",
        "'postgres.production.svc', database": f"'{postgres.host}', port={postgres.port}, database",
        "sslmode: verify-full": "sslmode: disable",
        "sslmode=verify-full": "sslmode=disable",
        "sslmode='verify-full'": "sslmode='disable'",
        "dest: /etc/app/database.env": f"dest: {directory}/database.env",
        "/etc/billing/": f"{directory}/billing/",
        "owner: billing": f"owner: {getpass.getuser()}",
        "user: billing": f"user: {getpass.getuser()}",
    }
    for name, text in {**BLOCKS, **blocks(ARTICLES)}.items():
        for printed, here in instead.items():
            text = text.replace(printed, here)
        (directory / name).write_text(text, encoding="utf-8")
    (directory / "inventory.yml").write_text(
        "all: {children: {app_servers: {hosts: {app1: {}}}},"
        " vars: {ansible_connection: local, ansible_python_interpreter: '{{ ansible_playbook_python }}'}}\n"
    )
    return directory


@pytest.fixture(scope="module")
def run(bao: servers.OpenBao, postgres: servers.PostgreSQL, place: Path) -> t.Callable[[str], str]:
    def run(command: str) -> str:
        dba = f"-e postgresql_access_login_user={postgres.user} -e postgresql_access_login_password={postgres.password}"
        done = subprocess.run(
            shlex.split(f"{command} {dba}"),
            cwd=place,
            env=os.environ
            | {
                "VAULT_ADDR": bao.url,
                "VAULT_CACERT": str(bao.ca_cert),
                "VAULT_TOKEN": bao.token,
                "FIRST_PASSWORD": FIRST_PASSWORD,
                "KUBERNETES_CA": Path(bao.ca_cert).read_text(),
                "ANSIBLE_NOCOLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert FIRST_PASSWORD not in done.stdout
        return done.stdout

    return run


def changed(output: str) -> int:
    return sum(map(int, re.findall(r"changed=(\d+)", output)))


def test_every_block_and_command_is_known_to_this_test() -> None:
    assert README.count("```yaml") == len(BLOCKS)
    assert set(BLOCKS) == {"databases.yml", "deploy.yml", "applications.yml", "by_hand.yml"}
    assert COMMANDS == [
        "./demo",  # the part `demo` of the tests runs it
        "./test",  # CI runs it
        "ansible-galaxy collection install leasehold.vault",
        "pip install hvac psycopg2-binary",
        "ansible-playbook leasehold.vault.site -e @databases.yml",
        "ansible-playbook leasehold.vault.verify -e @databases.yml",
        "ansible-playbook -i inventory.yml leasehold.vault.site -e @databases.yml -e @applications.yml -e leasehold_agent_hosts=app_servers",
    ]


def test_the_example_sets_up_a_database_deploys_and_verifies(
    run: t.Callable[[str], str], place: Path, postgres: servers.PostgreSQL
) -> None:
    site, verify = COMMANDS[4:6]
    assert changed(run(f"{site} --check --diff")) > 0
    assert changed(run(site)) > 0
    assert changed(run(site)) == 0
    assert changed(run(f"{site} --check --diff")) == 0
    assert "the first password is refused" in run(verify)

    run("ansible-playbook -i inventory.yml deploy.yml")
    url = (place / "database.env").read_text().strip().partition("=")[2]
    import psycopg2

    session = psycopg2.connect(url)
    session.close()

    assert changed(run("ansible-playbook by_hand.yml")) <= 2, (
        "the modules find what the roles made (but for the mount's TTL)"
    )
    assert changed(run("ansible-playbook by_hand.yml")) == 0


def test_the_application_can_log_in_and_read_its_credentials_and_its_agent_is_ready(
    run: t.Callable[[str], str], place: Path, bao: servers.OpenBao
) -> None:
    # Without systemd; the tests of the role run the unit's own commands.
    here = {f"vault_agent_{what}_directory": str(place / what) for what in ("runtime", "unit")}
    here |= {"vault_agent_directory": str(place / "agents"), "vault_agent_binary": str(servers.openbao_binary())}
    site = f"{COMMANDS[6]} -e '{json.dumps({**here, 'vault_agent_service': False})}'"
    (place / "unit").mkdir()
    run(site)
    assert changed(run(site)) == 0
    ids = {word: place / "billing" / word for word in ("role_id", "secret_id")}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in ids.values())
    login = bao.request("POST", "auth/approle/login", {word: path.read_text().strip() for word, path in ids.items()})
    assert bao.request("GET", "database/creds/app-role", token=login["auth"]["client_token"])["data"]["username"]
    assert (place / "unit" / "vault-agent-billing.service").exists()
    assert str(place / "billing" / "database.env") in (place / "agents" / "billing" / "agent.hcl").read_text()


def test_the_articles_document_is_set_up_and_verified_and_lets_its_application_in(
    run: t.Callable[[str], str], bao: servers.OpenBao
) -> None:
    assert ARTICLES.count("```yaml") == len(blocks(ARTICLES)) == 1
    site, verify = commands(ARTICLES)
    run(site)
    assert changed(run(site)) == 0
    assert "the first password is refused" in run(verify)
    role = bao.request("GET", "auth/kubernetes/role/app")["data"]
    assert role["bound_service_account_names"] == ["app"]
    assert role["bound_service_account_namespaces"] == ["production"]
    assert role["token_period"] > 24 * 3600
    for policy in role["token_policies"]:
        assert "database/creds/app-role" in bao.request("GET", f"sys/policies/acl/{policy}")["data"]["policy"]


def test_the_pages_link_to_what_is_there() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_tables_name_every_plugin_and_role() -> None:
    for kind in ("modules", "lookup", "callback"):
        for path in (ROOT / "plugins" / kind).glob("*.py"):
            assert f"`{path.stem}`" in README, f"{kind}: {path.stem}"
    for path in (ROOT / "roles").iterdir():
        assert f"`{path.name}`" in README
    for path in (ROOT / "playbooks").glob("*.yml"):
        assert f"`{path.stem}`" in README
