# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.usernames import TEMPLATE, issued_at, pattern

ROLE = "a-long-role-name"
TEMPLATES = [
    "",
    TEMPLATE,
    '{{ printf "v-prod1-%s-%s-%s" (.RoleName | truncate 20) (random 12) (unix_time) | truncate 63 }}',
    "app_{{ .RoleName | replace `-` `_` | uppercase }}_{{ random 8 | lowercase }}_{{ unix_time_millis }}",
    '{{.RoleName | truncate_sha256 12}}-{{.DisplayName | truncate 3 | lowercase}}  {{-  "a%" -}}  b{{unix_time}}',
    "{{ .RoleName | sha256 | truncate 10 }}-{{ base64 .RoleName }}-{{ unix_time }}",
    '{{ printf "%v%%%s" (printf "%s" .RoleName) unix_time }}',
]
NO_TIME = [
    "{{ uuid }}",
    '{{ printf "%s-%s-%s" .DisplayName .RoleName (unix_time_millis) | truncate 20 }}',
    '{{ printf "v-a-rather-long-beginning-of-a-name-%s-%s-%s" .RoleName (random 20) (unix_time) }}',
    '{{.RoleName}}_{{timestamp "20060102150405"}}_{{.DisplayName | sha256 | truncate 6}}',
]


def match(template, name, role=ROLE):
    return pattern(template, role).fullmatch(name)


def test_the_name_tells_role_and_time():
    name = "v-root-a-long-r-9l9F9EmTO74d0uUKHUhJ-1795304493"
    assert issued_at(match("", name)) == 1795304493
    assert match("", name, "a-long-runner"), "names have eight letters of the role"
    assert match("", name, None)
    assert not match("", name, "another")
    assert not match("", name[:-1])


def test_a_name_that_was_cut_off_is_recognised_and_tells_no_time():
    template = '{{ printf "%s-%s-%s" .RoleName (random 4) (unix_time) | truncate 20 }}'
    assert issued_at(match(template, "short-abcd-179530449", "short")) is None, "the last digit is not there"
    assert issued_at(match(template, "shor-abcd-1795304493", "shor")) == 1795304493
    assert match(template, "a-long-role-name-abc")
    assert not match(template, "a-long-role-name-ab"), "too short to have been cut off"
    assert not match(template, "a-long-role-name-abcd-1795304493"), "too long"


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{{ if eq .RoleName `x` }}a{{ end }}", "'if' is not understood"),
        ("{{ .Secret }}", "'.Secret' is not understood"),
        ("{{ random }}", "'random' is not used as expected"),
        ("{{ truncate .RoleName 3 }}", "a number is expected"),
        ("{{ (random 3 }}", "a bracket is missing"),
        ("{{ }}", "ends too early"),
        ("{{ $x }}", "'$x' is not understood"),
        ('{{ printf "%5s" .RoleName }}', "'%5s' is not understood"),
        ("{{ random 3 4 ) }}", "not"),
    ],
)
def test_what_is_not_understood_is_named(template, what):
    with pytest.raises(ValueError, match=re.escape(what)):
        pattern(template, ROLE)


@pytest.mark.parametrize("template", [*TEMPLATES, *NO_TIME])
def test_what_vault_makes_is_recognised(real_vault, template):
    real_vault.add_mount().add_connection(username_template=template).add_role(ROLE)
    name = real_vault.issue(ROLE)["username"][:63]  # PostgreSQL cuts off the rest
    assert real_vault.database.has(name)
    for role in (ROLE, None):
        found = match(template, name, role)
        assert found, name
        made = issued_at(found)
        assert made is None if template in NO_TIME else abs(made - time.time()) < 60
    if template in TEMPLATES:
        assert not match(template, name, "x")
