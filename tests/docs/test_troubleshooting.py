# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each sentence that docs/troubleshooting.md explains is in the collection's code, or is said by the servers when they are given cause."""

from __future__ import annotations

import ast
import contextlib
import functools
import re
import typing as t
from pathlib import Path

import pages
import pytest
import servers

PAGE = "docs/troubleshooting.md"
SENTENCES = re.findall(r"^\| `([^|]+)` \|", (pages.ROOT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)
CAUSES = Path(__file__).with_name("causes.yml")


def occurs_in(sentence: str, text: str) -> bool:
    """Whether the text has it, or one of several wordings of servers."""
    wordings = sentence.split("`, `")
    return any(re.search(".*".join(map(re.escape, wording.split("…"))), text) for wording in wordings)


@functools.cache
def code() -> str:
    """Every text in the plugins, roles and playbooks on a line of its own, what is put into it as `…`."""
    lines = []
    for file in [*(pages.ROOT / "roles").glob("*/tasks/*.yml"), *(pages.ROOT / "playbooks").glob("*.yml")]:
        text = re.sub(r"{{.*?}}", "…", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        lines.append(" ".join(text.split()))
    for file in (pages.ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                lines.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                lines.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
    return "\n".join(lines)


@pytest.fixture(scope="module")
def servers_say(
    bao: servers.OpenBao,
    postgres: servers.PostgreSQL,
    postgres_tls: servers.PostgreSQL,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """What comes of the tasks of causes.yml, none of which can succeed."""
    with contextlib.closing(postgres.connect()) as connection, connection.cursor() as cursor:
        for statement in (
            "CREATE DATABASE causes",
            "CREATE ROLE causes_admin LOGIN CREATEROLE PASSWORD 'first'",
            "CREATE ROLE causes_resting NOLOGIN PASSWORD 'first'",
            "CREATE ROLE causes_full LOGIN PASSWORD 'first' CONNECTION LIMIT 0",
            "CREATE ROLE causes_reports LOGIN",
            "CREATE ROLE causes_group",
        ):
            cursor.execute(statement)
    with contextlib.closing(postgres.connect("causes")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.kept (line text)")
    shell = pages.Shell(
        tmp_path_factory.mktemp("causes"),
        {"VAULT_ADDR": bao.url, "VAULT_CACERT": str(bao.ca_cert), "VAULT_TOKEN": bao.token},
        {},
    )
    weak_token = bao.request("POST", "auth/token/create", {"policies": ["default"]})["auth"]["client_token"]
    about = " ".join(
        f"-e {name}={value}"
        for name, value in {
            "weak_token": weak_token,
            "host": postgres.host,
            "port": postgres.port,
            "closed": servers.free_port(),
            "dba_password": postgres.password,
            "tls_port": postgres_tls.port,
        }.items()
    )
    code, output = shell.run(f"ansible-playbook {CAUSES} {about}")
    assert code == 0, output
    assert re.search(r"ok=(\d+) .* ignored=(?!0)", output), output
    return re.sub(r"\\+\"", '"', output)


def test_there_are_sentences_and_made_up_ones_are_noticed(servers_say: str) -> None:
    assert len(SENTENCES) > 40
    assert not occurs_in("The moon is … full.", code() + servers_say)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_sentence_is_said(sentence: str, request: pytest.FixtureRequest) -> None:
    if not occurs_in(sentence, code()):
        assert occurs_in(sentence, t.cast("str", request.getfixturevalue("servers_say")))
