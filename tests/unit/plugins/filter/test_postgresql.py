# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters alone. That PostgreSQL reads what they write, tests/integration/test_lookup.py shows."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.filter.postgresql import FilterModule

FILTERS = FilterModule().filters()
USER = {"username": "v-app 1", "password": "a:b/c\\d'e@"}


def test_a_url_escapes_every_part() -> None:
    url = FILTERS["postgresql_url"](USER, "db.svc", database="app db", sslmode="verify-full")
    assert url == "postgresql://v-app%201:a%3Ab%2Fc%5Cd%27e%40@db.svc:5432/app%20db?sslmode=verify-full"
    assert "@[::1]:5433/" in FILTERS["postgresql_url"](USER, "::1", port=5433)


def test_a_conninfo_quotes_every_value_and_leaves_out_what_is_empty() -> None:
    given = FILTERS["postgresql_conninfo"](USER, "db.svc")
    assert given == "host='db.svc' port='5432' user='v-app 1' password='a:b/c\\\\d\\'e@'"


def test_a_line_of_pgpass_escapes_its_separators() -> None:
    assert FILTERS["postgresql_pgpass"](USER, "db.svc") == "db.svc:*:*:v-app 1:a\\:b/c\\\\d'e@"
    with pytest.raises(AnsibleFilterError, match="cannot hold a line break"):
        FILTERS["postgresql_pgpass"]({**USER, "password": "a\nb"})


@pytest.mark.parametrize("credentials", [{}, {"username": "app"}, "app", None])
@pytest.mark.parametrize("name", FILTERS)
def test_invalid_credentials_are_refused(name, credentials) -> None:
    with pytest.raises(AnsibleFilterError, match="a dictionary with username and password"):
        FILTERS[name](credentials, "db.svc")
