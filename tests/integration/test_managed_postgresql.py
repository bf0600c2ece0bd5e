# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DBA as managed services give one: CREATEROLE and CREATEDB, and no superuser."""

from __future__ import annotations

import typing as t

import pytest

from .test_site import ACCESS, Site

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    import servers

    from .conftest import Play

PASSWORD = "of-the-dba-without-superuser"


@pytest.fixture(params=["postgres", "postgres15", "postgres16"])
def site(request: pytest.FixtureRequest, bao: servers.OpenBao, play: Play) -> Iterator[Site]:
    site = Site(bao, request.getfixturevalue(request.param), play)
    site.sql(f"CREATE ROLE site_dba LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'", "postgres")
    site.sql("GRANT CONNECT ON DATABASE postgres TO site_dba; GRANT pg_signal_backend TO site_dba", "postgres")
    site.document |= {
        "postgresql_access_login_user": "site_dba",
        "postgresql_access_login_password": PASSWORD,
        "postgresql_access_close_databases": ["template1"],
    }
    del site.entry["roles"]["own-role"]  # before 16 its own statements for the revocation are written by hand
    play.secrets.append(PASSWORD)
    yield site
    site.sql("DROP OWNED BY site_dba", "postgres")
    site.remove()


@pytest.mark.full
def test_site_again_verify_and_drift_without_superuser(site: Site) -> None:
    predicted, first, again = site.run("site", "--check"), site.run("site"), site.run("site")
    assert predicted.result(ACCESS)["changes"] == first.result(ACCESS)["changes"]
    assert again.changed == []
    closing = (
        "template1: - CONNECT of PUBLIC is not done: the database belongs to postgres, who or a superuser has to do it."
    )
    assert [warning.partition(": ")[2] for warning in again.result(ACCESS)["warnings"] if "template1" in warning] == [
        closing
    ]
    assert site.works("app-role")
    site.run("verify")
    drift = site.run("drift", ok=False).output
    assert "Drift: postgresql/" in drift
    assert "Could not be looked at" not in drift
    assert closing.removesuffix(".") in drift
