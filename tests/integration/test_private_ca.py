# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database whose certificate an authority of its own signed: the entry of docs/private_ca.md through the playbooks.

The first of its hosts does not answer, and the DBA logs in by a certificate.
"""

from __future__ import annotations

import re
import typing as t

import psycopg2
import pytest
import yaml
from ansible_collections.leasehold.vault.plugins.filter.postgresql import postgresql_url

from .conftest import ROOT, Play, Unsafe, as_yaml

if t.TYPE_CHECKING:
    from pathlib import Path

    import servers

PAGE = ROOT / "docs" / "private_ca.md"
FIRST_PASSWORD = "the-first-of-private-ca"


@pytest.fixture
def entry(postgres_tls: servers.PostgreSQL, tmp_path: Path) -> dict[str, t.Any]:
    certificate, key = postgres_tls.issue_to("by_certificate", tmp_path)
    with postgres_tls.connect() as session, session.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS by_certificate; CREATE ROLE by_certificate LOGIN SUPERUSER")
    session.close()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (printed,) = yaml.safe_load(blocks[0])["vault_databases"]
    return {
        **printed, "host": f"localhost:9,localhost:{postgres_tls.port}",
        "ca_cert": str(postgres_tls.ca_cert), "client_cert": str(certificate), "client_key": str(key),
        "admin": {"username": "vault_admin", "password": Unsafe(FIRST_PASSWORD)},
    }  # fmt: skip


@pytest.mark.full
def test_one_ca_cert_serves_site_twice_verify_and_the_users(
    play: Play, bao: servers.OpenBao, postgres_tls: servers.PostgreSQL, entry: dict[str, t.Any]
) -> None:
    document = {
        "vault_database_mount": "private-ca", "vault_databases": [entry],
        "postgresql_access_login_user": "by_certificate", "postgresql_access_close_databases": [],
    }  # fmt: skip
    path = play.write("document.yml", as_yaml(document))
    play.secrets.append(FIRST_PASSWORD)
    try:
        assert play("leasehold.vault.site", "-e", f"@{path}").changed
        assert play("leasehold.vault.site", "-e", f"@{path}").changed == []
        # Of the host that does not answer it is not known whether the user is gone there.
        run = play("leasehold.vault.verify", "-e", f"@{path}", ok=False)
        assert re.search(r"production-db at localhost:9: whether \S+ can still log in could not be asked", run.output)
        assert f"refused at production-db at localhost:{postgres_tls.port}" in run.output
        assert (
            run.result("Check that the initial root password is refused")["msg"]
            == "production-db: the first password is refused"
        )
        assert "could read 0 and write 0 of 0 tables, and is refused" in run.messages("The user is gone")[0]

        # What could not be asked is not refused.
        elsewhere = play.write(
            "elsewhere.yml", as_yaml({**document, "vault_databases": [{**entry, "login": {"ca_cert": "/none.pem"}}]})
        )
        run = play("leasehold.vault.verify", "-e", f"@{elsewhere}", ok=False)
        assert "whether the first password is refused could not be asked" in run.output
        assert "/none.pem" in run.output
        # Why a user was not issued is said, and not hidden with the credentials.
        bao.request(
            "POST", "private-ca/config/production-db", {"allowed_roles": ["another"], "verify_connection": False}
        )
        run = play("leasehold.vault.rotate_root", "-e", f"@{path}", ok=False)
        assert "is not an allowed role" in run.result("Check that Vault can log in")["msg"]
        bao.request(
            "POST", "private-ca/config/production-db", {"allowed_roles": ["app-role"], "verify_connection": False}
        )

        # Where sessions of ended users may go on is asked of the server that is there.
        login = {"host": "localhost", "port": postgres_tls.port}
        there = play.write("there.yml", as_yaml({**document, "vault_databases": [{**entry, "login": login}]}))
        assert play("leasehold.vault.clean_orphans", "-e", f"@{there}").changed == []
        assert play("leasehold.vault.revoke", "-e", f"@{there}", "-e", "leasehold_revoke_all=true").ok

        user = bao.request("GET", "private-ca/creds/app-role")["data"]
        with postgres_tls.connect("appdb") as owner, owner.cursor() as cursor:
            cursor.execute("SET ROLE app_owner; CREATE TABLE items (name text)")
        owner.close()
        session = psycopg2.connect(postgresql_url(user, entry))
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("VACUUM items")
            assert not session.notices, "MAINTAIN was not granted"
        session.close()
    finally:
        bao.request("PUT", "sys/leases/revoke-force/private-ca")
        bao.request("DELETE", "sys/mounts/private-ca")
