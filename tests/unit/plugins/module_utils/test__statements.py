# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import re

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core import statements, user_sql
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.functions import FUNCTIONS


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
def test_statement_with_inner_semicolon_is_encoded(statement):
    (sent,) = statements.sendable([statement])
    assert as_the_server_cuts(sent) == [statement]
    assert statements.readable([sent]) == [statement]


@pytest.mark.parametrize(
    "statement", ["SELECT 1", "SELECT 1;", "SELECT 1; SELECT 'x'; SELECT 2", "DO $$ BEGIN NULL END $$"]
)
def test_plain_statement_is_sent_unchanged(statement):
    assert statements.sendable([statement]) == [statement]


@pytest.mark.parametrize(
    ("current", "read"),
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
def test_statements_are_read_as_people_write_them(current, read):
    assert statements.readable(current) == read


@pytest.mark.parametrize("nonsense", [7, {"a": 1}, [1], None, [["a"]]])
def test_what_is_no_sql_is_refused(nonsense):
    with pytest.raises(ValueError, match="one string of SQL or a list of strings"):
        statements.readable(nonsense)


def test_in_role_writes_all_statement_lists():
    written = statements.expand({"in_role": "app_rw"})
    (creation,), (renewal,) = written["creation_statements"], written["renew_statements"]
    assert "in_role name := 'app_rw';" in creation
    assert "format('CREATE ROLE %I LOGIN PASSWORD %L VALID UNTIL %L', u, secret, until)" in creation
    assert "format('ALTER ROLE %I VALID UNTIL %L', u, until)" in renewal
    access, commit, removal = written["revocation_statements"]
    assert "NOLOGIN" in access
    assert commit == "COMMIT AND CHAIN"
    for words in ("REASSIGN OWNED BY %I TO %I", "DROP OWNED BY %I", "DROP ROLE %I", "pg_terminate_backend"):
        assert words in removal
    assert written["rollback_statements"] == []


@pytest.mark.parametrize("functions", ["none", "leasehold"])
def test_reassign_owned_to_sets_new_owner(functions):
    written = statements.expand({"in_role": "app_rw", "reassign_owned_to": "app_owner", "functions": functions})
    assert statements.heirs_in(written["revocation_statements"]) == ["app_owner"]
    assert "app_rw" not in str(written["revocation_statements"])


def test_migration_users_act_as_the_group():
    (creation,) = statements.expand({"in_role": "app_rw", "set_role": True})["creation_statements"]
    assert "ALTER ROLE %I SET role TO %I" in creation
    assert "acts boolean := true;" in creation


def test_definer_functions_are_called_instead():
    written = statements.expand({"in_role": "it's", "functions": "leasehold"})
    ((creation,), (renewal,)) = written["creation_statements"], written["renew_statements"]
    assert creation.startswith("SELECT leasehold.issue($")
    assert creation.endswith("$, '{{expiration}}', 'it''s')")
    assert renewal.startswith("SELECT leasehold.renew($")
    access, _commit, removal = written["revocation_statements"]
    assert "leasehold.end_access($" in access
    assert removal.endswith("$, 'it''s')")
    assert statements.expand({"in_role": "g", "functions": "leasehold", "revocation": "strict"})[
        "revocation_statements"
    ][2].endswith("$, 'g', true)")


def test_definer_functions_do_not_go_with_set_role():
    with pytest.raises(Refused, match="functions: leasehold"):
        statements.expand({"in_role": "app_rw", "functions": "leasehold", "set_role": True})


@pytest.mark.parametrize("body", [user_sql.CREATE, user_sql.RENEW, user_sql.END_ACCESS, user_sql.REMOVE])
def test_functions_do_what_blocks_do(body):
    assert body in FUNCTIONS


@pytest.mark.parametrize("tag", re.findall(r"\$\w+\$", str(statements.expand({"in_role": "g"}))))
def test_dollar_quote_tag_exceeds_name_length(tag):
    assert len(tag.strip("$")) > 63


@pytest.mark.parametrize("group", ["", "x" * 64, "é" * 32, "a\\b", "a{{b", "a\x00", "a\nb"])
def test_what_cannot_be_a_role_in_postgresql_is_refused(group):
    with pytest.raises(Refused, match="PostgreSQL role"):
        statements.expand({"in_role": group})


def test_own_statements_pass_as_they_are():
    desired = {"creation_statements": "CREATE ROLE x", "set_role": False}
    assert statements.expand(desired) == desired


@pytest.mark.parametrize(
    "option", ["creation_statements", "revocation_statements", "renew_statements", "rollback_statements"]
)
def test_a_group_and_own_statements_are_refused(option):
    with pytest.raises(Refused, match=f"in_role writes {option} itself"):
        statements.expand({"in_role": "app_rw", option: "SELECT 1"})
