# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core import fields, names
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0), ("0", 0), (5400, 5400), ("5400", 5400), (" 5400 ", 5400), ("90m", 5400), ("1h30m", 5400),
        ("1.5h", 5400), ("5400s", 5400), ("2d", 172800), ("0s", 0), ("0.5m", 30),
    ],
)  # fmt: skip
def test_equivalent_durations_compare_equal(value, expected):
    assert fields.seconds(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "abc", "-1", -1, "-1h", "1w", "1y", "1.0001s", 1.5, "1h 30m", "h", "1H", "system", "１h", "²", None, True],
)
def test_what_is_no_duration_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"duration|whole number"):
        fields.seconds(value)


@pytest.mark.parametrize("value", ["a", "A1", "_", "app-role", "app.role", "a--b", "a_", 7, "x" * 200])
def test_what_can_be_a_name(value):
    assert names.name(value) == str(value)


@pytest.mark.parametrize(
    "value",
    ["", "-a", "a-", ".a", "a.", "..", "a/b", "a b", "a\n", "\na", "é", "а", "a?b", "a#b", "a%2fb", "{{a}}", "a\x00"],
)
def test_what_cannot_be_a_name(value):
    with pytest.raises(ValueError, match="cannot be a name in Vault"):
        names.name(value)


@pytest.mark.parametrize(
    ("value", "expected"), [("database", "database"), ("/team-a/db/", "team-a/db"), ("a/b/c", "a/b/c")]
)
def test_what_can_be_a_mount(value, expected):
    assert fields.mount_path(value) == expected


@pytest.mark.parametrize(
    "value", ["", "/", "a//b", "../a", "a/..", "a b", ".a", "é", "sys", "auth/x", "identity", "cubbyhole"]
)
def test_what_cannot_be_a_mount(value):
    with pytest.raises(ValueError, match="cannot be a mount"):
        fields.mount_path(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a,b", ["a", "b"]), ([" b ", "a", "b"], ["a", "b"]), ("", []), ([], []), ([""], []), ("*", ["*"])],
)
def test_names_are_a_set(value, expected):
    assert fields.names("friends").desired_value({"friends": value}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        ("true", True),
        ("1", True),
        ("yes", True),
        (False, False),
        ("false", False),
        ("0", False),
        ("", False),
    ],
)
def test_flag_values_are_parsed(value, expected):
    assert fields.flag("on").desired_value({"on": value}) is expected


def test_a_flag_that_is_neither_is_refused():
    with pytest.raises(Refused, match="on: 'perhaps' is neither true nor false"):
        fields.flag("on").desired_value({"on": "perhaps"})


def test_statements_are_compared_stripped_and_decoded():
    field = fields.statements("sql")
    assert field.desired_value({"sql": "  SELECT 1  "}) == ["SELECT 1"]
    assert field.current_value({"sql": ["SELECT 1"]}) == ["SELECT 1"]
    assert field.current_value({}) == []


def test_the_mount_has_the_names_other_collections_give_it():
    assert fields.MOUNT.argument()["default"] == "database"
    assert {"database_mount_path", "mount_path", "engine_mount_point"} <= set(fields.MOUNT.argument()["aliases"])


@pytest.mark.parametrize(
    "value",
    [
        "plain ASCII, \x07 too",
        "gr\u00fc\u00dfe",
        "gru\u0308n",
        "\u043f\u0430\u0440\u043e\u043b\u044c",
        "\u5bc6\u7801",
        "\U0001f511",
    ],
)
def test_password_of_one_normal_form_is_taken_as_it_is(value):
    assert fields.postgresql_password(value) == value


@pytest.mark.parametrize(
    "password",
    [
        "\u00bd-price",
        "o\ufb03ce",
        "zero\u200bwidth",
        "soft\u00adhyphen",
        "\uff21-wide",
        "x\u00b2",
        "\u2122",
        "bell\x07-gru\u0308n",
    ],
)
def test_password_that_two_normal_forms_treat_differently_is_refused_without_it(password):
    with pytest.raises(ValueError, match="PostgreSQL and Vault would not agree") as caught:
        fields.postgresql_password(password)
    assert password not in str(caught.value)
