# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which login an application leaves behind, which group replaces it, and where."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.filter.cutover_document import cutover_document, database_servers
from ansible_collections.leasehold.vault.plugins.filter.postgresql_document import postgresql_document
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.databases import database_document
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.problems import problems_of

DATABASE = {
    "name": "db",
    "host": "pg.svc",
    "database": "app",
    "owner": "app_owner",
    "admin": {"username": "admin"},
    "groups": {"app_rw": {"schemas": ["public"]}},
    "roles": {"app-role": {"in_role": "app_rw"}, "odd": {"creation_statements": ["x"]}},
    "migrations": {"role": "migrate", "max_ttl": "2h"},
}
BILLING = {"name": "billing", "roles": ["app-role"], "cutover": {"login": "billing", "accept": ["x"]}}


def test_application_names_the_login_and_its_role_the_group():
    (found,) = cutover_document([BILLING, {"name": "other", "roles": ["app-role"]}], [DATABASE])
    assert found == {
        "name": "billing", "login": "billing", "group": "app_rw", "accept": ["x"], "owner": "app_owner", "entry": "db", "database": "app", "host": "pg.svc",
        "port": "5432", "sslmode": "", "ca_cert": "", "client_cert": "", "client_key": "",
    }  # fmt: skip
    assert not problems_of([DATABASE], [BILLING])


@pytest.mark.parametrize(
    ("more", "name", "sentence"),
    [
        ({"cutover": None}, "", "There are no applications with cutover"),
        ({}, "biling", "There is no application biling with cutover"),
        ({"roles": ["app-role", "odd"]}, "", "billing: cutover.role has to name one of the roles of the application"),
        ({"roles": ["nowhere"]}, "", "no entry of vault_databases has the role nowhere"),
        ({"roles": ["odd"]}, "", "the role odd has statements of its own and no in_role"),
    ],
)
def test_what_is_missing_is_named(more, name, sentence):
    with pytest.raises(AnsibleFilterError, match=sentence):
        cutover_document([{**BILLING, **more}], [DATABASE], name)


def test_several_hosts_keep_their_ports():
    (found,) = database_servers([{**DATABASE, "host": "a:1,::1", "port": "5,6"}])
    assert (found["host"], found["port"]) == ("a:1,[::1]:6", "")


def test_migrations_are_a_role_that_acts_as_the_owner_which_the_admin_hands_out():
    roles = {role["name"]: role for role in database_document([DATABASE])["roles"]}
    assert roles["migrate"] == {
        "in_role": "app_owner", "set_role": True, "max_ttl": "2h", "name": "migrate", "db_name": "db", "verify": "none",
    }  # fmt: skip
    assert "migrate" in database_document([DATABASE])["connections"][0]["allowed_roles"]
    (entry,) = postgresql_document([DATABASE])
    assert (entry["heirs"], entry["users_act_as_owner"]) == (["app_owner"], True)
