# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils import _statements
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Refused


def as_the_server_cuts(element):
    """Naively at each semicolon, as the server does unless an element is base64 or JSON of a list."""
    try:
        return json.loads(base64.b64decode(element, validate=True))
    except ValueError:
        return [part.strip() for part in element.split(";") if part.strip()]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'a;b'",
        'SELECT "a;b"',
        "SELECT 1 -- a;b",
        "SELECT /* a;b */ 1",
        "do $$ begin perform 1; end $$",
        "DO $tag$ BEGIN PERFORM 1; END $tag$;",
        "SELECT 'it''s; fine'",
    ],
)
def test_a_statement_that_would_be_cut_in_the_middle_is_encoded(statement):
    (sent,) = _statements.sendable([statement])
    assert as_the_server_cuts(sent) == [statement]
    assert _statements.readable([sent]) == [statement]


@pytest.mark.parametrize(
    "statement", ["SELECT 1", "SELECT 1;", "SELECT 1; SELECT 'x'; SELECT 2", "DO $$ BEGIN NULL END $$"]
)
def test_a_statement_that_is_cut_rightly_is_sent_as_it_is(statement):
    assert _statements.sendable([statement]) == [statement]


@pytest.mark.parametrize(
    ("held", "read"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ([" SELECT 1 ", "", "SELECT 2"], ["SELECT 1", "SELECT 2"]),
        (['["SELECT 1", "SELECT 2"]'], ["SELECT 1", "SELECT 2"]),
        ([base64.b64encode(b"SELECT 1").decode()], ["U0VMRUNUIDE="]),
        ([base64.b64encode(b'["SELECT 1"]').decode()], ["SELECT 1"]),
        (["COMMITCOMMIT"], ["COMMITCOMMIT"]),
        (["[not json"], ["[not json"]),
        ([], []),
        ("", []),
    ],
)
def test_statements_are_read_as_people_write_them(held, read):
    assert _statements.readable(held) == read


@pytest.mark.parametrize("nonsense", [7, {"a": 1}, [1], None, [["a"]]])
def test_what_is_no_sql_is_refused(nonsense):
    with pytest.raises(ValueError, match="one string of SQL or a list of strings"):
        _statements.readable(nonsense)


def test_a_group_writes_all_four_lists():
    written = _statements.expand({"in_role": "app_rw"})
    assert written["creation_statements"] == [
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE \"app_rw\""
    ]
    (block,) = written["revocation_statements"]
    for words in (
        'REASSIGN OWNED BY "{{name}}" TO "app_rw"',
        'DROP OWNED BY "{{name}}"',
        "pg_terminate_backend",
        "IF NOT EXISTS",
    ):
        assert words in block
    assert written["renew_statements"] == written["rollback_statements"] == []


def test_objects_go_to_whom_the_task_names():
    (block,) = _statements.expand({"in_role": "app_rw", "reassign_owned_to": "app_owner"})["revocation_statements"]
    assert 'TO "app_owner";' in block
    assert "app_rw" not in block


def test_migration_users_act_as_the_group():
    assert _statements.expand({"in_role": "app_rw", "set_role": True})["creation_statements"][1:] == [
        'ALTER ROLE "{{name}}" SET role TO "app_rw"'
    ]


def test_definer_functions_are_called_instead():
    written = _statements.expand({"in_role": "it's", "functions": "leasehold"})
    assert written["creation_statements"] == [
        "SELECT leasehold.issue('{{name}}', '{{password}}', '{{expiration}}', 'it''s')"
    ]
    assert written["revocation_statements"] == ["SELECT leasehold.revoke('{{name}}', 'it''s')"]
    assert written["renew_statements"] == ["SELECT leasehold.renew('{{name}}', '{{expiration}}')"]


@pytest.mark.parametrize("wanted", [{"set_role": True}, {"revocation": "parking"}])
def test_definer_functions_do_not_go_with_what_they_cannot_do(wanted):
    with pytest.raises(Refused, match="functions: leasehold"):
        _statements.expand({"in_role": "app_rw", "functions": "leasehold", **wanted})


def test_parking_ends_access_where_a_user_cannot_be_dropped():
    (block,) = _statements.expand({"in_role": "app_rw", "revocation": "parking"})["revocation_statements"]
    assert "EXCEPTION WHEN dependent_objects_still_exist" in block
    assert 'REVOKE "app_rw" FROM "{{name}}"' in block
    assert "%" not in block


@pytest.mark.parametrize("group", ["$do$", 'a"b', "a$do$b$do_$"])
def test_a_group_cannot_break_out_of_the_block(group):
    (block,) = _statements.expand({"in_role": group})["revocation_statements"]
    tag = block.split()[1]
    assert block.count(tag) == 2
    assert block.endswith(tag)


@pytest.mark.parametrize("group", ["", "x" * 64, "é" * 32, "a\\b", "a{{b", "a\x00", "a\nb"])
def test_what_cannot_be_a_role_in_postgresql_is_refused(group):
    with pytest.raises(Refused, match="PostgreSQL role"):
        _statements.expand({"in_role": group})


def test_own_statements_pass_as_they_are():
    wanted = {"creation_statements": "CREATE ROLE x", "set_role": False}
    assert _statements.expand(wanted) == wanted


@pytest.mark.parametrize(
    "option", ["creation_statements", "revocation_statements", "renew_statements", "rollback_statements"]
)
def test_a_group_and_own_statements_are_refused(option):
    with pytest.raises(Refused, match=f"in_role writes {option} itself"):
        _statements.expand({"in_role": "app_rw", option: "SELECT 1"})
