# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example in the documentation of the plugins, executed as it is printed.

Only what is in SUBSTITUTES is not as printed. The surroundings are those that the examples speak of: the database appdb with
the groups app_rw and app_ro, the admin role vault_admin with its first password, the logins reports_user and billing; and two files with public keys.
"""

from __future__ import annotations

import ast
import json
import re
import typing as t

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .conftest import ROOT, Ground, Play

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import servers

    from .conftest import Run

FIRST_PASSWORD = "first-and-soon-worthless"
SUBSTITUTES: dict[str, Callable[[servers.PostgreSQL], str]] = {
    "postgres.production.svc:5432": lambda server: f"{server.host}:{server.port}",
    "login_host: postgres.production.svc": lambda server: f"login_host: {server.host}\n    login_port: {server.port}",
    "sslmode=verify-full": lambda server: "sslmode=disable",
    "sslmode: verify-full": lambda server: "sslmode: disable",
}
# What others build on comes first; what is not named here comes in between, in the order of the alphabet.
FIRST = [
    "modules/database_engine 0", "modules/database_connection", "modules/database_role", "modules/database_root_rotation",
    "modules/database_credentials", "modules/lease", "modules/database_static_role", "modules/database_static_role_rotation",
    "modules/acl_policy", "modules/auth_mount", "modules/auth_role",
]  # fmt: skip
LAST = ["modules/database_sync", "modules/database_engine 1"]


def printed(plugin: Path) -> str:
    """The EXAMPLES of a plugin."""
    if plugin.suffix == ".yml":
        return str(yaml.safe_load(plugin.read_text())["EXAMPLES"])
    for node in ast.parse(plugin.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES":
            return str(ast.literal_eval(node.value))
    return ""


def examples() -> dict[str, str]:
    """`{"modules/lease 0": text of the task}`, in the order in which they can be executed."""
    found = {}
    for kind in ("modules", "lookup", "filter"):
        for plugin in sorted((ROOT / "plugins" / kind).glob("*.*")):
            # An example begins with a dash at the left edge; comments after it belong to it.
            for number, text in enumerate(re.findall(r"^- .*\n(?:(?!- ).*\n?)*", printed(plugin), re.MULTILINE)):
                found[f"{kind}/{plugin.stem} {number}"] = text

    def place(name: str) -> tuple[int, int, str]:
        def index(names: list[str]) -> int:
            return next((number for number, begin in enumerate(names) if re.match(rf"{begin}\b(?!_)", name)), -1)

        first, last = index(FIRST), index(LAST)
        return (0, first, name) if first >= 0 else (2, last, name) if last >= 0 else (1, 0, name)

    return {name: found[name] for name in sorted(found, key=place)}


@pytest.fixture(scope="module")
def surroundings(bao: servers.OpenBao, postgres: servers.PostgreSQL) -> Iterator[servers.PostgreSQL]:
    here = Ground.__new__(Ground)
    here.bao, here.server, here.mount, here.database = bao, postgres, "database", "appdb"
    here.sql(
        "CREATE ROLE app_owner; CREATE ROLE app_rw; CREATE ROLE app_ro;"
        f"CREATE ROLE vault_admin LOGIN CREATEROLE PASSWORD '{FIRST_PASSWORD}'; CREATE ROLE reports_user LOGIN; CREATE ROLE billing LOGIN;"
        "GRANT app_rw, app_ro TO vault_admin WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;"
        "GRANT reports_user TO vault_admin WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
        "postgres",
    )
    here.sql("CREATE DATABASE appdb OWNER app_owner", "postgres")
    here.sql(
        "SET ROLE app_owner; CREATE TABLE items (what text); GRANT SELECT, INSERT ON items TO app_rw; GRANT SELECT ON items TO app_ro, billing"
    )
    yield postgres
    for mount in ("approle", "kubernetes", "ci"):
        bao.request("DELETE", f"sys/auth/{mount}")
    for path in (
        "policies/acl/app",
        "policies/password/typed",
        "quotas/rate-limit/app-logins",
        "quotas/rate-limit/app-credentials",
    ):
        bao.request("DELETE", f"sys/{path}")
    here.sql("DROP DATABASE appdb WITH (FORCE)", "postgres")
    here.sql("DROP ROLE billing", "postgres")


@pytest.fixture(scope="module")
def run(bao: servers.OpenBao, surroundings: servers.PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All of them in one run; none stops the others."""
    play = Play(tmp_path_factory.mktemp("examples"), bao)
    play.write("cluster-ca.pem", bao.authority.certificate.decode())
    play.write("ci-public-key.pem", public_key())
    play.environment["REVIEWER_JWT"] = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZXZpZXdlciJ9.c2ln"
    given = {"first_password": FIRST_PASSWORD, "dba_password": surroundings.password}
    plays = "".join(as_play(name, text, surroundings, bao) for name, text in examples().items())
    return play(plays, "-e", json.dumps(given), ok=False)


def public_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def as_play(name: str, text: str, server: servers.PostgreSQL, bao: servers.OpenBao) -> str:
    for words, substitute in SUBSTITUTES.items():
        text = text.replace(words, substitute(server))
    text = text.replace(
        "/var/log/vault/audit.log", bao.audit_path.name
    )  # the one it has: OpenBao lets its file alone declare them
    task = re.sub(r"^- name: .*$", f"- name: {name}\n  ignore_errors: true", text, count=1, flags=re.MULTILINE)
    indented = "".join(f"    {line}\n" for line in task.splitlines())
    return f"- hosts: all\n  gather_facts: false\n  tasks:\n{indented}"


@pytest.mark.parametrize("name", examples())
def test_example(run: Run, name: str) -> None:
    result = run.result(name)
    assert [event["status"] for event in run.of(name)] == ["ok"], result.get("msg")
    # `# => …` says what comes out.
    for expected in re.findall(r"^# => (.*)$", examples()[name], re.MULTILINE):
        # Some versions of Ansible turn text that looks like a list into one.
        assert result["msg"] == (expected if isinstance(result["msg"], str) else yaml.safe_load(expected))


def test_every_plugin_has_examples() -> None:
    plugins = {
        f"{path.parent.name}/{path.stem}"
        for kind in ("modules", "lookup")
        for path in (ROOT / "plugins" / kind).glob("*.py")
    }
    plugins |= {f"filter/{path.stem}" for path in (ROOT / "plugins" / "filter").glob("*.yml")}
    assert {name.split()[0] for name in examples()} == plugins
