# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is published: what users need and nothing else, in the order that Galaxy asks for, and at work where it is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

import pytest
import yaml
from environments import output_of, tool

from .conftest import ROOT

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    import servers

TOP = {
    "CHANGELOG.md", "COPYING", "FILES.json", "LICENSES", "MANIFEST.json", "README.md", "REUSE.toml", "SECURITY.md", "changelogs", "demo",
    "docs", "examples", "extensions", "meta", "migrate", "playbooks", "plugins", "requirements", "roles", "sandbox", "tools",
}  # fmt: skip
INSIDE = [
    r"LICENSES/GPL-3\.0-or-later\.txt",
    r"changelogs/changelog\.yaml",
    r"docs/[\w./-]+\.(json|md|rst|yml|png|svg)",
    r"examples/[\w./-]+\.(cfg|md|py|yml|sql)",
    r"extensions/audit/event_query\.yml",
    r"meta/(execution-environment\.yml|ee-requirements\.txt|runtime\.yml)",
    r"playbooks/\w+\.yml",
    r"plugins/module_utils/_\w+/\w+\.py",
    r"plugins/(action|callback|doc_fragments|filter|lookup|module_utils|modules|plugin_utils)/(_\w+/)?\w+\.(py|yml)",
    r"requirements/(runtime|collections)\.txt",
    r"roles/\w+/README\.md",
    r"roles/\w+/(defaults|handlers|meta|tasks|vars)/\w+\.yml",
    r"roles/\w+/files/\w+\.(json|py|sql)",
    r"roles/\w+/templates/[\w.-]+\.j2",
    r"sandbox/(group_vars/)?\w+\.(py|sh|yml)",
    r"tools/migrate/\w+\.(py|yml)",
]
PROGRAMS = {"demo", "migrate"}
NOT_SHIPPED = {
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "MAINTAINERS",
    "RELEASING.md",
    "TESTING.md",
    "benchmarks",
    "tests",
}
"""What the documentation links to and only the repository has."""
DOCUMENT = """
vault_database_mount: alone
vault_databases:
  - name: alone
    host: {host}
    port: {port}
    database: alone
    sslmode: disable
    admin: {{username: alone_admin, password: alone-first}}
    owner: alone_owner
    groups: {{alone_rw: {{schemas: [public], tables: [select]}}}}
    roles: {{alone-role: {{in_role: alone_rw, default_ttl: 1h, max_ttl: 2h}}}}
postgresql_access_login_user: {user}
postgresql_access_login_password: "{{{{ lookup('ansible.builtin.env', 'DBA_PASSWORD') }}}}"
leasehold_teardown: alone
"""
URL = "postgresql://{{username}}:{{password}}@db.example.com:5432/appdb?sslmode=verify-full"
KILOBYTES = 800
"""How large the tarball may be; half of it are pictures."""


@pytest.fixture(scope="module")
def members(tarball: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tarball) as archive:
        return {member.name: member for member in archive.getmembers() if not member.isdir()}


# ------------------------------------------------------------------------------------------------------- what is in it


def test_the_tarball_has_what_users_need_and_nothing_else(members: dict[str, tarfile.TarInfo], tarball: Path) -> None:
    assert {name.split("/")[0] for name in members} == TOP
    assert not [name for name in members if "/" in name and not any(re.fullmatch(rule, name) for rule in INSIDE)]
    unused = [rule for rule in INSIDE if not any(re.fullmatch(rule, name) for name in members)]
    assert not unused, "these describe nothing"
    assert tarball.stat().st_size <= KILOBYTES * 1024


def test_every_plugin_role_and_playbook_is_in_it(members: dict[str, tarfile.TarInfo]) -> None:
    tracked = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "plugins", "roles", "playbooks", "meta"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    there = {name for name in tracked if (ROOT / name).exists()}
    assert there
    assert there <= set(members)


def test_programs_can_be_started_and_nothing_else_can(members: dict[str, tarfile.TarInfo]) -> None:
    assert {name for name, member in members.items() if member.mode & stat.S_IXUSR} - PROGRAMS <= {
        name for name in members if name.startswith("examples/")
    }
    assert all(members[name].mode & stat.S_IXUSR for name in PROGRAMS)
    assert all(member.isfile() for member in members.values())


def test_links_of_the_documentation_lead_to_what_is_in_it(members: dict[str, tarfile.TarInfo]) -> None:
    directories = {str(parent) for name in members for parent in Path(name).parents}
    broken = []
    for name in members:
        if name.endswith(".md"):
            for link in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", (ROOT / name).read_text(encoding="utf-8")):
                target = os.path.normpath(Path(name).parent / link)
                if target not in members and target not in directories and target.split("/")[0] not in NOT_SHIPPED:
                    broken.append(f"{name}: {link}")
    assert not broken


def test_the_changelog_knows_the_version() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    known = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]
    assert version in known, "antsibull-changelog release writes it"
    assert f"## v{version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("\\.", ".")


# --------------------------------------------------------------------------------------------------- what others say to it


@pytest.mark.full
def test_galaxy_imports_it_without_a_warning(tarball: Path, tmp_path: Path) -> None:
    """Without ansible-lint, for which it gives no more than three minutes and which the part `lint` runs with more rules."""
    programs = tool("galaxy-importer")
    output = output_of(
        programs / "python", "-m", "galaxy_importer.main", tarball,
        environment={
            "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path / ".ansible"),
            "GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "false", "GALAXY_IMPORTER_CHECK_REQUIRED_TAGS": "true",
        },
    )  # fmt: skip
    assert "Importer processing completed successfully" in output
    assert not [line for line in output.splitlines() if re.match(r"(WARNING|ERROR)\b|Expected ", line)]


@pytest.mark.full
def test_a_builder_of_execution_environments_finds_what_it_needs(collections: Path) -> None:
    output = output_of("ansible-builder", "introspect", collections)
    python = yaml.safe_load(output.partition("---\n")[2])["python"]
    ours = [line.split("#")[0].strip() for line in python if "from collection leasehold.vault" in line]
    assert ours == [
        line for line in (ROOT / "meta" / "ee-requirements.txt").read_text().splitlines() if line[:1].isalpha()
    ]


def test_queries_of_the_audit_are_for_modules_that_exist() -> None:
    queries = yaml.safe_load((ROOT / "extensions" / "audit" / "event_query.yml").read_text())
    assert queries
    for name, query in queries.items():
        assert list(query) == ["query"]
        assert (ROOT / "plugins" / "modules" / f"{name.removeprefix('leasehold.vault.')}.py").is_file()


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("database_connection", {"connection": {"connection_url": URL}}),
        ("database_connection_info", {"connections": [{"connection_url": URL}]}),
        (
            "database_sync",
            {"invocation": {"module_args": {"connections": [{"connection_url": URL}, {"state": "absent"}]}}},
        ),
    ],
)
def test_automation_platform_counts_the_databases(name: str, result: dict[str, t.Any]) -> None:
    query = yaml.safe_load((ROOT / "extensions" / "audit" / "event_query.yml").read_text())[f"leasehold.vault.{name}"]
    program = "import jq, json, sys; query, *data = json.loads(sys.argv[1]); print(json.dumps([jq.compile(query).input(one).all() for one in data]))"
    output = output_of(
        tool("jq") / "python", "-c", program, json.dumps([query["query"], result, {}, {"connection": {}}])
    )
    (node,), *of_nothing = json.loads(output)
    assert node["name"] == "db.example.com:5432/appdb"
    assert node["canonical_facts"] == {"server": "db.example.com:5432", "database": "appdb"}
    assert of_nothing == [[], []]


# --------------------------------------------------------------------------------------------------- where it is installed


@pytest.fixture
def kept(collections: Path) -> Iterator[Path]:
    """The installed collection, where nobody may write; it is the same afterwards."""
    installed = collections / "ansible_collections" / "leasehold" / "vault"

    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(collections.rglob("*"))}

    before = state()
    directories = [path for path in (collections, *collections.rglob("*")) if path.is_dir()]
    for directory in directories:
        directory.chmod(0o555)
    yield installed
    for directory in directories:
        directory.chmod(0o755)
    assert state() == before


@pytest.mark.full
def test_the_demo_plays_from_where_it_is_installed(kept: Path, tmp_path: Path) -> None:
    ours = tmp_path / "leasehold.vault"
    home = {"XDG_CACHE_HOME": str(tmp_path), "LEASEHOLD_PYTHON": sys.executable}
    output = output_of(kept / "demo", environment=home)
    assert "leasehold.vault.site runs again" in output
    assert re.search(r"after the lease was revoked: .*password authentication failed", output)
    assert f"nothing is left but {ours}" in output
    output_of(kept / "demo", "clean", environment=home)
    assert not ours.exists()


@pytest.mark.full
def test_it_works_with_its_plugins_roles_and_playbooks_alone(
    collections: Path, bao: servers.OpenBao, postgres: servers.PostgreSQL, tmp_path: Path
) -> None:
    """As where a distribution has removed documentation, examples and everything else."""
    whole = collections / "ansible_collections"
    shutil.copytree(whole, tmp_path / "ansible_collections")
    for path in (tmp_path / "ansible_collections" / "leasehold" / "vault").iterdir():
        if path.name not in ("meta", "plugins", "roles", "playbooks"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    document = tmp_path / "document.yml"
    document.write_text(DOCUMENT.format(host=postgres.host, port=postgres.port, user=postgres.user))
    document.with_name("inventory").write_text(
        f"localhost ansible_connection=local ansible_python_interpreter={sys.executable}"
    )
    environment = {
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "VAULT_ADDR": bao.url, "VAULT_CACERT": str(bao.ca_cert), "VAULT_TOKEN": bao.token,
        "DBA_PASSWORD": postgres.password, "HOME": str(tmp_path), "ANSIBLE_CALLBACKS_ENABLED": "leasehold.vault.revoke_leases",
        "ANSIBLE_NOCOLOR": "1",
    }  # fmt: skip
    runs: list[tuple[str, bool]] = []
    for playbook in ("site", "site", "verify", "drift", "teardown"):
        play = ("ansible-playbook", "-i", tmp_path / "inventory", f"leasehold.vault.{playbook}", "-e", f"@{document}")
        output = output_of(*play, environment=environment)
        assert "[WARNING]" not in output
        runs.append((playbook, "changed=0" in output))
    assert runs[:2] == [("site", False), ("site", True)]


@pytest.mark.full
def test_what_is_installed_is_what_was_published(collections: Path) -> None:
    where = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    output = output_of("ansible-galaxy", "collection", "verify", "--offline", "leasehold.vault", environment=where)
    assert "Successfully verified that checksums" in output
