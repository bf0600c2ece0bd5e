# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of the README and of docs/, run as printed on one pair of real servers."""

from __future__ import annotations

import contextlib
import getpass
import json
import re
import typing as t
import urllib.error
from pathlib import Path

import fetched
import pages
import pytest
import servers

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_PASSWORD = "first-p@ss:word/%"

REPOSITORY = "https://github.com/leasehold/vault/blob/main/"
"""Automation Hub shows the README away from its repository, so its links are whole."""

# The guides stand on what docs/setup.md has set up; the last one ends with taking it down.
QUICK_START, SETUP, LAST = "docs/quickstart.md", "docs/setup.md", "docs/leases.md"
GUIDES = [
    "docs/deploy.md",
    "docs/schema_migrations.md",
    "docs/rotate.md",
    "docs/break_glass.md",
    "docs/sql.md",
    "docs/orphans.md",
    "docs/report.md",
    "docs/migration.md",
    "docs/cutover.md",
    "docs/environments.md",
    LAST,
]
# Pages whose commands another test runs, in the circumstances that they are about, and by which words in it.
ELSEWHERE = {
    "docs/monitoring.md": ("tests/integration/test_monitoring.py", "runbook in docs/monitoring.md are run"),
    "docs/poolers.md": ("tests/integration/test_poolers.py", '"docs" / "poolers.md"'),
    "docs/private_ca.md": ("tests/integration/test_private_ca.py", "the entry of docs/private_ca.md"),
    "docs/kubernetes.md": ("tests/unit/plugins/filter/test_access_document.py", '"docs" / "kubernetes.md"'),
    "docs/pipelines.md": ("tests/unit/plugins/filter/test_access_document.py", '"docs" / "pipelines.md"'),
    "docs/agent.md": ("tests/integration/test_vault_agent.py", 'self.script("health")'),
}
# Commands that are not for these servers, and who runs them.
NOT_HERE = {
    "./demo",  # the part `demo` of the tests
    "./test",  # CI
    "ansible-galaxy collection install leasehold.vault",
    "pip install hvac psycopg2-binary",
}


def commands(page: str) -> list[str]:
    return [line for block in pages.blocks(page) if block.language == "console" for line in block.commands]


COMMANDS = commands("README.md")
SITE = "ansible-playbook leasehold.vault.site -e @databases.yml"
VERIFY = "ansible-playbook leasehold.vault.verify -e @databases.yml"
LET_IN = "ansible-playbook -i inventory.yml leasehold.vault.site -e @databases.yml -e @applications.yml -e leasehold_agent_hosts=app_servers"
JOB = "ANSIBLE_CALLBACKS_ENABLED=leasehold.vault.revoke_leases ansible-playbook job.yml -e @databases.yml"


@pytest.fixture(scope="module")
def shell(
    bao: servers.OpenBao, postgres_tls: servers.PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> pages.Shell:
    """Only places differ from what is printed: the sandbox's PostgreSQL is not in your production, and no system trusts its authority."""
    directory = tmp_path_factory.mktemp("pages")
    postgres, ca_cert = postgres_tls, postgres_tls.ca_cert
    shell = pages.Shell(
        directory,
        {
            "VAULT_ADDR": bao.url,
            "VAULT_CACERT": str(bao.ca_cert),
            "VAULT_TOKEN": bao.token,
            "FIRST_PASSWORD": FIRST_PASSWORD,
            "DBA_PASSWORD": postgres.password,
            "KUBERNETES_CA": Path(bao.ca_cert).read_text(),
        },
        {
            "        host: postgres.production.svc": f"        host: {postgres.host}\n        port: {postgres.port}",
            "login_host: postgres.production.svc": f"login_host: {postgres.host}\n        login_port: {postgres.port}",
            "host: postgres.production.svc": f"host: {postgres.host}\n    port: {postgres.port}",
            "@postgres.production.svc:5432/": f"@{postgres.host}:{postgres.port}/",
            "'postgres.production.svc', database": f"'{postgres.host}', port={postgres.port}, database",
            "/etc/ssl/production-ca.pem": f"{ca_cert}",
            " sslmode: verify-full": f" sslmode: verify-full\n    ca_cert: {ca_cert}",
            "ssl_mode: verify-full": f"ssl_mode: verify-full\n        ca_cert: {ca_cert}",
            "sslmode=verify-full": f"sslmode=verify-full&sslrootcert={ca_cert}",
            "sslmode='verify-full'": f"sslmode='verify-full', sslrootcert='{ca_cert}'",
            "https://vault.example.com:8200": bao.url,
            "/etc/app/": f"{directory}/",
            "/etc/billing/": f"{directory}/billing/",
            "owner: billing": f"owner: {getpass.getuser()}",
            "user: billing": f"user: {getpass.getuser()}",
        },
    )
    for page in ("README.md", "docs/articles.md"):
        for block in pages.blocks(page):
            if block.file:
                shell.write(block)
    (directory / "inventory.yml").write_text(
        "all: {children: {app_servers: {hosts: {app1: {}, app2: {}}}},"
        " vars: {ansible_connection: local, ansible_python_interpreter: '{{ ansible_playbook_python }}'}}\n"
    )
    return shell


@pytest.fixture(scope="module")
def run(shell: pages.Shell) -> t.Callable[[str], str]:
    def run(command: str) -> str:
        code, output = shell.run(command)
        assert code == 0, output
        assert FIRST_PASSWORD not in output
        return output

    return run


def changed(output: str) -> int:
    return sum(map(int, re.findall(r"changed=(\d+)", output)))


# ----------------------------------------------------------------------------------------------------- what is printed


@pytest.mark.parametrize(
    ("shown", "missing"),
    [("a: …\nb:  2", ""), ("b: …", ""), ("a: 2", "a: 2"), ("b: 2\na: 1", "a: 1"), ("a: … 2", "a: … 2")],
)
def test_what_is_shown_and_not_said_is_found(shown: str, missing: str) -> None:
    assert pages.unlike("a: 1\nb: 2\n", shown) == missing


def test_every_block_is_carried_out_or_marked_as_not_ours() -> None:
    guides = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")}
    result = {page: {block.language for block in pages.blocks(page)} for page in guides}
    unmarked = {page: languages - pages.DONE - pages.SHOWN for page, languages in result.items()}
    assert not any(unmarked.values()), unmarked
    known = {SETUP, QUICK_START, *GUIDES, *ELSEWHERE, "docs/articles.md"}
    assert {page for page, languages in result.items() if languages & pages.DONE} == known
    for test, words in ELSEWHERE.values():
        assert words in (ROOT / test).read_text(encoding="utf-8")


def test_the_variables_of_the_roles_that_are_set_elsewhere_exist() -> None:
    roles = {path.name: path for path in (ROOT / "roles").iterdir()}
    for page in ELSEWHERE:
        text = "".join(block.text for block in pages.blocks(page) if block.language == "yaml")
        for name in re.findall(rf"\b((?:{'|'.join(roles)})_\w+):", text):
            role = next(role for role in roles if name.startswith(role))
            assert f"{name}:" in (roles[role] / "meta" / "argument_specs.yml").read_text(encoding="utf-8"), name


def test_every_file_has_a_name() -> None:
    for page in ("README.md", "docs/articles.md", SETUP, QUICK_START, *GUIDES):
        nameless = [str(block) for block in pages.blocks(page) if block.language in ("yaml", "ini") and not block.file]
        assert not nameless


def test_the_readme_s_blocks_and_commands_are_known_to_this_test() -> None:
    files = [block.file for block in pages.blocks("README.md") if block.language == "yaml"]
    assert files == ["databases.yml", "applications.yml", "job.yml"]
    assert [command for command in COMMANDS if command not in NOT_HERE] == [SITE, VERIFY, LET_IN, JOB]
    assert len(README.splitlines()) <= 160
    assert not re.search(r"\]\((?!https://)", README), "Automation Hub shows the README without the files beside it"


def test_the_measured_numbers_are_those_of_the_benchmarks() -> None:
    results = (ROOT / "benchmarks" / "results" / "results.md").read_text(encoding="utf-8")
    sql = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    alone, together = (results.split(f"\n## D. {title}")[1].split("\n## ")[0] for title in ("Issue and", "16 clients"))
    for way in ("in_role", "rights per table"):
        costs = re.findall(rf"^\| `?{way}`? \| \d+ \| ([\d.]+) ms \| ([\d.]+) ms", alone, re.MULTILINE)
        row = " | ".join(f"{float(issue):.0f} + {float(revoke):.0f}" for issue, revoke in costs)
        assert len(costs) == 3
        assert re.search(rf"^\| `?{way}.* \| {re.escape(row)} \|$", sql, re.MULTILINE), row
        found = re.search(rf"^\| `?{way}`? \| ([\d.]+) \| (\d+ of \d+ \| \d+ of \d+) \|", together, re.MULTILINE)
        assert found
        assert re.search(rf"^\| `?{way}`? \| {float(found[1]):.0f} \| {re.escape(found[2])} \|$", sql, re.MULTILINE)


# ------------------------------------------------------------------------------------------------------------ README


def test_the_readme_s_example_is_set_up_and_verified_and_its_job_leaves_no_user(
    run: t.Callable[[str], str], bao: servers.OpenBao
) -> None:
    assert changed(run(f"{SITE} --check --diff")) > 0
    assert changed(run(SITE)) > 0  # that it is 0 the next time, docs/setup.md says and sees
    assert "the first password is refused" in run(VERIFY)
    assert "revoked 1 " in run(JOB)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        bao.request("LIST", "sys/leases/lookup/database/creds/analytics-role")


@pytest.mark.full
def test_the_application_can_log_in_and_read_its_credentials_and_its_agent_is_ready(
    run: t.Callable[[str], str], shell: pages.Shell, bao: servers.OpenBao
) -> None:
    place = shell.directory
    # Without systemd; the tests of the role run the unit's own commands.
    here = {f"vault_agent_{what}_directory": str(place / what) for what in ("runtime", "unit")}
    here |= {"vault_agent_directory": str(place / "agents"), "vault_agent_binary": str(servers.program().path)}
    site = f"{LET_IN} -e '{json.dumps({**here, 'vault_agent_service': False})}'"
    (place / "unit").mkdir()
    run(site)
    assert changed(run(site)) == 0
    ids = {word: place / "billing" / word for word in ("role_id", "secret_id")}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in ids.values())
    login = bao.request("POST", "auth/approle/login", {word: path.read_text().strip() for word, path in ids.items()})
    assert bao.request("GET", "database/creds/app-role", token=login["auth"]["client_token"])["data"]["username"]
    assert (place / "unit" / "vault-agent-billing.service").exists()
    assert str(place / "billing" / "database.env") in (place / "agents" / "billing" / "agent.hcl").read_text()


@pytest.mark.full
def test_the_articles_document_is_set_up_and_verified_and_lets_its_application_in(
    run: t.Callable[[str], str], bao: servers.OpenBao
) -> None:
    site, verify = commands("docs/articles.md")
    run(site)
    assert changed(run(site)) == 0
    assert "the first password is refused" in run(verify)
    role = bao.request("GET", "auth/kubernetes/role/app")["data"]
    assert role["bound_service_account_names"] == ["app"]
    assert role["bound_service_account_namespaces"] == ["production"]
    assert role["token_period"] > 24 * 3600
    for policy in role["token_policies"]:
        assert "database/creds/app-role" in bao.request("GET", f"sys/policies/acl/{policy}")["data"]["policy"]


# ------------------------------------------------------------------------------------------------------------ guides


def follow(page: str, shell: pages.Shell, postgres: servers.PostgreSQL | None = None) -> None:
    """Do what the page says, from its first line to its last."""
    for block, shown in pages.steps(page):
        if block.file:
            shell.write(block)
        elif block.language == "sql":
            assert postgres
            with contextlib.closing(postgres.connect("appdb")) as connection, connection.cursor() as cursor:
                cursor.execute(block.text)
        else:
            outcomes = [shell.run(command) for command in block.commands if command not in NOT_HERE]
            output = "".join(given for _code, given in outcomes)
            failed = any(code for code, _output in outcomes)
            assert failed == ("fatal:" in shown), f"{block}\n{output}"
            assert not pages.unlike(output, shown), f"{block}: {pages.unlike(output, shown)!r} is not in\n{output}"
            assert FIRST_PASSWORD not in output


@pytest.fixture(scope="module")
def set_up(shell: pages.Shell, postgres_tls: servers.PostgreSQL) -> None:
    follow(SETUP, shell, postgres_tls)


@pytest.mark.full
@pytest.mark.usefixtures("set_up")
@pytest.mark.parametrize("page", GUIDES)
def test_the_guide_does_what_it_says(page: str, shell: pages.Shell, postgres_tls: servers.PostgreSQL) -> None:
    follow(page, shell, postgres_tls)


@pytest.mark.full
def test_the_quick_start_is_one(tmp_path: Path) -> None:
    # In a sandbox of its own: whoever runs the tests may have servers up.
    own = {"LEASEHOLD_SANDBOX": str(tmp_path / "sandbox")}
    shell = pages.Shell(fetched.WORK.parent, own, {}, state=tmp_path / "environment")
    try:
        follow(QUICK_START, shell)
    finally:
        shell.run("./demo down")


# ------------------------------------------------------------------------------------------------------------- links


def test_the_pages_link_to_what_is_there() -> None:
    patterns = ("*.md", "docs/*.md", "roles/*/README.md", "docs/docsite/rst/*.rst")
    for page in (page for pattern in patterns for page in ROOT.glob(pattern)):
        link = r"`[^`<]+ <([^>]+)>`__" if page.suffix == ".rst" else r"\]\(([^)#\s]+)[^)]*\)"
        for target in re.findall(link, page.read_text(encoding="utf-8")):
            place = ROOT / target.removeprefix(REPOSITORY) if target.startswith(REPOSITORY) else page.parent / target
            assert "://" in target.removeprefix(REPOSITORY) or place.exists(), f"{page.name}: {target}"


def test_the_tables_name_every_plugin_and_role() -> None:
    contents = (ROOT / "docs" / "contents.md").read_text(encoding="utf-8")
    for kind, files in (("modules", "*.py"), ("lookup", "*.py"), ("callback", "*.py"), ("filter", "*.yml")):
        for path in (ROOT / "plugins" / kind).glob(files):
            assert f"`{path.stem}`" in contents, f"{kind}: {path.stem}"
    for path in (ROOT / "roles").iterdir():
        assert f"`{path.name}`" in contents
    for path in (ROOT / "playbooks").glob("*.yml"):
        assert f"`{path.stem}`" in contents
