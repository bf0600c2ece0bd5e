# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`adopt` writes down an engine that others made; `drift` tells what is not as written."""

from __future__ import annotations

import re
import shlex
import typing as t

import pytest
import yaml

from .conftest import extra

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import servers

    from .conftest import Ground, Play


@pytest.fixture(scope="module")
def engine(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    """An engine as it comes from a command line: odd spellings, statements in one string, a static role."""
    made = ground(postgres, "adopted")
    made.connection("db", allowed_roles="*", max_open_connections="7", max_connection_lifetime="1h")
    made.role("by-hand", ttl="90m", renew_statements="ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}';")
    made.role(
        "one-string",
        creation_statements='CREATE ROLE "{{name}}" LOGIN PASSWORD \'{{password}}\';\n GRANT SELECT, INSERT ON items TO "{{name}}";',
    )
    made.write(
        "static-roles/reports", {"db_name": "db", "username": made.user("adopted_reports"), "rotation_period": "24h"}
    )
    return made


def test_the_adopted_document_reproduces_the_engine_and_holds_no_secret(engine: Ground, play: Play) -> None:
    play(
        f"""
        - hosts: localhost
          gather_facts: false
          tasks:
            - leasehold.vault.database_role:
                {{mount: {engine.mount}, name: ours, db_name: db, in_role: {engine.group}, default_ttl: 1h}}
        """
    )
    document = play.directory / "adopted.yml"
    play("leasehold.vault.adopt", *extra(vault_database_mount=engine.mount))
    text = document.read_text()
    assert engine.admin_password not in text
    assert "# password: needed" in text
    assert "ours:\n        in_role: adopted_rw" in text
    yaml.SafeLoader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
    (database,) = yaml.safe_load(text)["vault_databases"]
    assert set(database["roles"]) == {"by-hand", "one-string", "ours"}
    assert database["static_roles"]["reports"]["rotation_period"] == 86400

    run = play("leasehold.vault.vault", "-e", f"@{document}")
    assert run.changes == 0
    run = play("leasehold.vault.vault", "-e", f"@{document}", check=True)
    assert run.changes == 0


def test_drift_ends_with_0_when_nothing_differs_and_with_2_and_the_names_when_something_does(
    engine: Ground, play: Play, tmp_path: Path
) -> None:
    document = tmp_path / "document.yml"
    vault_only = ["-e", f"@{document}", "-e", "leasehold_drift_postgresql=false"]
    play("leasehold.vault.adopt", *extra(vault_database_mount=engine.mount, leasehold_adopt_to=str(document)))
    run = play("leasehold.vault.drift", *vault_only)
    assert run.code == 0
    assert "Nothing differs" in run.output

    engine.write("roles/by-hand", {"default_ttl": 77})
    before = engine.read("roles/by-hand")
    run = play("leasehold.vault.drift", *vault_only, ok=False)
    assert run.code == 2
    assert "Drift: roles/by-hand" in run.output
    assert "one-string" not in run.output.partition("Drift:")[2]
    assert engine.read("roles/by-hand") == before, "it only looks"


@pytest.mark.full
def test_unadopted_objects_are_listed_with_commands(
    ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL, play: Play, tmp_path: Path
) -> None:
    """The commands are run as they are written; then everything is adopted, and nothing differs."""
    made = ground(postgres, "unmanaged")
    made.bao.request("DELETE", f"{made.mount}/config/db")
    at = f"{postgres.host}:{postgres.port}/{made.database}?sslmode=disable"
    common = {"plugin_name": "postgresql-database-plugin", "allowed_roles": ["*"]}
    made.write(
        "config/first",
        {**common, "connection_url": f"postgresql://{made.admin}:{made.admin_password}@{at}", "new": "x"},
    )
    made.write("roles/app", {"db_name": "first", "creation_statements": ['CREATE ROLE "{{name}}"'], "default_ttl": 60})
    made.write("roles/orphan", {"db_name": "gone", "creation_statements": ['CREATE ROLE "{{name}}"']})
    made.write(
        "roles/long",
        {"db_name": "first", "creation_statements": ['CREATE ROLE "{{name}}"'], "default_ttl": 90, "max_ttl": 60},
    )
    document = tmp_path / "adopted.yml"
    adopt = ("leasehold.vault.adopt", *extra(vault_database_mount=made.mount, leasehold_adopt_to=str(document)))

    run = play(*adopt)
    assert made.admin_password not in document.read_text() + run.output
    assert "orphan: its connection gone does not exist" in re.sub(r"\s+", " ", run.output)
    for _round in range(2):  # what is said of a role of a connection that was not adopted comes in the second
        for line in re.findall(r"^#   bao write (.*)$", document.read_text(), re.MULTILINE):
            path, *words = shlex.split(line.replace("db_name=CONNECTION", "db_name=first"))
            body = dict(word.split("=", 1) for word in words)
            if "password" in body:
                body["password"] = made.admin_password
            made.bao.request("POST", path, body)
        play(*adopt)
    text = document.read_text()
    assert "bao write" not in text
    assert "options that are not known here (new)" in text
    yaml.SafeLoader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
    (database,) = yaml.safe_load(text)["vault_databases"]
    assert set(database["roles"]) == {"app", "orphan", "long"}
    run = play("leasehold.vault.drift", "-e", f"@{document}", "-e", "leasehold_drift_postgresql=false")
    assert "Nothing differs" in run.output
