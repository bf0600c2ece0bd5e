# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import ReconcileOptions, plan
from ansible_collections.leasehold.vault.plugins.module_utils._resources import connection, engine, role, static_role

ALL = [engine.ENGINE, connection.CONNECTION, role.ROLE, static_role.STATIC_ROLE]
URL = "postgresql://{{username}}:{{password}}@db:5432/app"


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.kind)
def test_no_option_has_a_default_that_is_also_a_server_setting(resource):
    assert [field.option for field in resource.identity + resource.fields if "default" in field.spec] == ["mount"]


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.kind)
def test_every_secret_is_hidden(resource):
    secrets = {field.option for field in resource.fields if field.storage == "write_only"}
    named = {
        field.option
        for field in resource.fields
        if field.option in ("password", "private_key", "self_managed_password")
    }
    assert named <= secrets
    assert all(field.spec.get("no_log") for field in resource.fields if field.option in secrets)


def refusals(resource, desired, answer=None):
    desired = resource.derive({"mount": "database", "name": "x", **desired})
    step = plan(resource, desired, answer, ReconcileOptions())
    findings = []
    for rule in resource.validators:
        findings.extend(finding.text for finding in rule(desired, step))
    return findings


@pytest.mark.parametrize(
    "url",
    [
        URL,
        URL + "?sslmode=verify-full&sslrootcert=/etc/ca.pem&connect_timeout=3",
        "postgres://{{username}}:{{password}}@a:1,b:2/app",
        "postgresql://{{username}}:{{password}}@[::1]:5432/app",
    ],
)
def test_a_url_in_the_templated_form_passes(url):
    assert refusals(connection.CONNECTION, {"connection_url": url}) == []


def test_a_url_of_another_kind_of_database_is_not_judged():
    assert (
        refusals(
            connection.CONNECTION, {"plugin_name": "mysql-database-plugin", "connection_url": "{{username}}@tcp(x)"}
        )
        == []
    )


GRANT = 'CREATE ROLE "{{name}}"; GRANT SELECT ON t TO "{{name}}"'


@pytest.mark.parametrize(
    ("creation", "revocation", "words"),
    [
        (GRANT, 'DROP ROLE "{{name}}"', "2BP01"),
        (
            'CREATE ROLE "{{name}}"; grant all on all tables in schema public to "{{name}}"',
            'DROP ROLE "{{name}}"',
            "2BP01",
        ),
        ('CREATE ROLE "{{name}}"; GRANT ON_something TO "{{name}}"', 'DROP ROLE "{{name}}"', None),
        ('CREATE ROLE "{{name}}"; GRANT USAGE ON SCHEMA public TO "{{name}}"', 'DROP ROLE "{{name}}"', None),
        ('CREATE ROLE "{{name}}" -- GRANT SELECT ON t', 'DROP ROLE "{{name}}"', None),
        (GRANT, 'DROP OWNED BY "{{name}}"; DROP ROLE "{{name}}"', None),
        (GRANT, 'REVOKE SELECT ON t FROM "{{name}}"; DROP ROLE "{{name}}"', None),
        (GRANT, None, "no revocation_statements"),
        ('CREATE ROLE "{{name}}"', None, "no revocation_statements"),
        ('CREATE ROLE "{{name}}" IN ROLE g', 'DROP ROLE "{{name}}"', None),
    ],
)
def test_own_statements_that_will_strand_leases_get_a_warning(creation, revocation, words):
    desired = {"db_name": "db", "creation_statements": creation, "revocation_statements": revocation}
    findings = refusals(role.ROLE, desired)
    assert findings == [] if words is None else words in findings[0]


def test_a_group_gets_no_warning():
    assert (
        refusals(role.ROLE, role.ROLE.derive({"name": "x", "db_name": "db", "in_role": "g"}) | {"in_role": None}) == []
    )


@pytest.mark.parametrize(
    ("allowed", "role", "matches"),
    [
        ("*", "a", True),
        ("a*", "ab", True),
        ("a*", "ba", False),
        ("a?", "ab", False),
        ("a.b", "axb", False),
        ("A", "a", False),
        ("", "a", False),
        ("*b", "ab", True),
    ],
)
def test_allowances_match_as_the_server_matches_them(allowed, role, matches):
    assert connection.is_allowed(role, [allowed]) is matches


def test_a_connection_that_was_rotated_keeps_its_password():
    answer = {"connection_details": {"connection_url": URL, connection.ROTATED_AT: "2026-01-31T12:00:00Z"}}
    desired = connection.CONNECTION.derive(
        {"mount": "database", "name": "x", "password": "old", "update_password": "always"}
    )
    step = plan(connection.CONNECTION, desired, answer, ReconcileOptions(secrets="always"))
    with pytest.raises(Refused, match="2026-01-31"):
        [list(rule(desired, step)) for rule in connection.CONNECTION.validators]
