# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused of an entry because of the server that it is for."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.catalog import Role, Server
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.desired import Entry, Group, User
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.refusals import CHECKS

SERVER = Server(
    version=180000, identity="1", me="dba", superuser=False, createrole=True, createdb=True, initial="postgres", roles={},
    memberships=(), databases={}, elsewhere={},
)  # fmt: skip
ENTRY = Entry("sales", "appdb", "app_owner", "vault_admin", "first", groups=(Group("app_rw", ("public",), {}),))


def refusals(server=SERVER, entry=ENTRY, create_database=True):
    return [problem for check in CHECKS for problem in check(entry, server, {"create_database": create_database})]


def test_entry_that_the_login_can_make_is_not_refused():
    assert refusals() == []


@pytest.mark.parametrize(
    ("server", "entry", "sentence"),
    [
        ({"createdb": False}, {}, "the login dba lacks CREATEDB"),
        ({"createrole": False}, {}, "the login dba lacks CREATEROLE"),
        ({}, {"password": ""}, "Give it its first password"),
        ({}, {"creators": ("nobody",), "guests": ("app_rw",)}, "creators and connect name nobody, but"),
        ({"version": 160000}, {"groups": (Group("g", ("public",), {"tables": frozenset({"MAINTAIN"})}),)}, "maintain, which PostgreSQL"),
        ({"version": 150000}, {"users": (User("reports"),)}, "users needs the line functions: none"),
        ({"version": 150000}, {"users_act_as_owner": True}, "migrations needs the line functions: none"),
        ({"within": {"app_owner": ("pg_read_all_data",)}}, {"heirs": ("app_owner",), "users_act_as_owner": True}, "is a member of pg_read_all_data"),
        ({"roles": {"app_owner": Role(beyond=("CREATEROLE",))}}, {"users_act_as_owner": True}, "the owner app_owner has CREATEROLE"),
    ],
)  # fmt: skip
def test_entry_that_the_server_cannot_have_is_refused(server, entry, sentence):
    (problem,) = refusals(dataclasses.replace(SERVER, **server), dataclasses.replace(ENTRY, **entry))
    assert sentence in problem


def test_owner_that_nobody_acts_as_may_be_more():
    there = {"within": {"app_owner": ("pg_read_all_data",)}, "roles": {"app_owner": Role(beyond=("CREATEROLE",))}}
    assert refusals(dataclasses.replace(SERVER, **there), dataclasses.replace(ENTRY, heirs=("app_owner",))) == []
    functions = dataclasses.replace(ENTRY, functions="none", users_act_as_owner=True)
    assert refusals(dataclasses.replace(SERVER, version=150000), functions) == []


def test_superuser_lacks_nothing():
    assert refusals(dataclasses.replace(SERVER, superuser=True, createrole=False, createdb=False)) == []


def test_database_that_nobody_makes_is_refused():
    (problem,) = refusals(create_database=False)
    assert "create_database is false" in problem
