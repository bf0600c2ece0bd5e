# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem

NASTY_PASSWORD = """p@ss/w:rd#%?& '"\\ü+{}$!*()[]<>|^~`=,;€{{x}}%20%s"""


@pytest.fixture
def mounted(vault):
    return vault.add_mount()


def changed_keys(result):
    before, after = (yaml.safe_load(result["diff"][side]) or {} for side in ("before", "after"))
    return {key: (before.get(key), after.get(key)) for key in after if before.get(key) != after.get(key)}


@pytest.mark.both
def test_lifecycle_of_connection(mounted, run):
    desired = {"name": "db", **mounted.connection(), "allowed_roles": ["b", "a"]}
    made = run.changes("database_connection", **desired)
    assert made["connection"]["allowed_roles"] == ["a", "b"]
    assert made["connection"]["plugin_name"] == "postgresql-database-plugin"
    assert made["connection"]["password_authentication"] == "scram-sha-256"
    assert "DisplayName" not in made["connection"]["username_template"]

    run.nothing("database_connection", name="db")
    run.nothing("database_connection", **{**desired, "allowed_roles": "a,b"})
    run.nothing(
        "database_connection", name="db", max_open_connections=4, disable_escaping=False, max_connection_lifetime="0"
    )

    changed = run.changes(
        "database_connection", **{**desired, "max_open_connections": 2, "max_connection_lifetime": "1h"}
    )
    assert changed_keys(changed) == {"max_open_connections": (4, 2), "max_connection_lifetime": (0, 3600)}
    run.nothing("database_connection", name="db", max_connection_lifetime="60m")

    run.changes("database_connection", name="db", allowed_roles=[])
    assert run.changes("database_connection", name="db", state="absent")["connection"] == {}
    run.nothing("database_connection", name="db", state="absent")


def test_change_made_elsewhere_is_reported_and_reverted(mounted, run):
    desired = {"name": "db", **mounted.connection(), "allowed_roles": ["app"]}
    run("database_connection", **desired)
    mounted.write("config/db", allowed_roles=["app", "intruder"], max_open_connections=7)
    result = run.changes("database_connection", **desired)
    assert changed_keys(result) == {"allowed_roles": (["app", "intruder"], ["app"])}
    assert result["connection"]["max_open_connections"] == 7


def test_password_is_sent_on_create_only_and_never_shown(fake_vault, run):
    fake_vault.add_mount()
    desired = {"name": "db", **fake_vault.connection()}
    made = run("database_connection", **desired)
    changed = run("database_connection", **{**desired, "allowed_roles": ["app"]})
    assert [
        body.get("password") for _method, path, body in fake_vault.server.writes if path.endswith("/config/db")
    ] == [
        fake_vault.database.admin_password,
        None,
    ]
    assert fake_vault.database.admin_password not in json.dumps([made, changed])
    assert "password: (sent)" in made["diff"]["after"]


def test_update_sends_differences_and_verify_connection(fake_vault, run):
    fake_vault.add_mount().add_connection()
    fake_vault.server.writes.clear()
    run("database_connection", name="db", **{**fake_vault.connection(), "max_open_connections": "3"})
    assert fake_vault.server.writes == [
        ("POST", f"{fake_vault.mount}/config/db", {"max_open_connections": 3, "verify_connection": True})
    ]


def test_update_password_always_is_changed_in_every_run(mounted, run):
    desired = {"name": "db", **mounted.connection(), "update_password": "always"}
    for _run in range(3):
        assert run("database_connection", check=True, **desired)["changed"]
        assert run("database_connection", **desired)["changed"]


def test_wrong_password_on_create_stores_nothing(mounted, run):
    sentence = run.refused("database_connection", name="db", **{**mounted.connection(), "password": "wrong-password"})
    assert "28P01" in sentence
    assert "wrong-password" not in sentence


@pytest.mark.both
def test_wrong_new_password_keeps_old_one(mounted, run):
    mounted.add_connection().add_role()
    desired = {**mounted.connection(), "password": "wrong-password", "update_password": "always"}
    assert "28P01" in run.refused("database_connection", name="db", **desired)
    mounted.issue("app")


def test_password_with_special_characters_works(real_vault, run):
    real_vault.add_mount()
    real_vault.database.sql(f"ALTER ROLE {real_vault.database.admin} PASSWORD %s", NASTY_PASSWORD)
    run.changes("database_connection", name="db", **{**real_vault.connection(), "password": NASTY_PASSWORD})
    user = real_vault.add_role().issue("app")
    assert real_vault.database.opens(user["password"], user["username"])


@pytest.mark.parametrize("statements", ["ALTER ROLE \"{{name}}\" PASSWORD '{{password}}'", ["A", "B"]])
def test_root_rotation_statements_compare_equal_after_read(mounted, run, statements):
    result = run.changes("database_connection", name="db", **mounted.connection(), root_rotation_statements=statements)
    assert result["connection"]["root_rotation_statements"] == (
        [statements] if isinstance(statements, str) else statements
    )


def test_numbers_and_durations_stored_as_text_compare_equal(mounted, run):
    mounted.add_connection(max_open_connections="7", max_connection_lifetime="1h", disable_escaping="false")
    options = {"max_open_connections": 7, "max_connection_lifetime": "3600s", "disable_escaping": False}
    run.nothing("database_connection", name="db", **options)


def test_plugin_options_are_equivalent_to_options(mounted, run):
    details = mounted.connection()
    beside = {key: details.pop(key) for key in ("allowed_roles", "password")}
    run.changes("database_connection", connection_name="db", plugin_options=details, name=None, **beside)
    run.nothing("database_connection", name="db", **details)


def test_secret_in_plugin_options_is_refused(mounted, run):
    """Ansible knows at the top level only what it must not log."""
    sentence = run.refused("database_connection", name="db", plugin_options={"password": "secret-word"})
    assert "password must be given beside it" in sentence


# -- bad input -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a/b", "..", "../x", "a b", "früh", "", "-a", "a-", ".a", "a\n", "a?x=1", "a%2fb", "{{x}}"]
)
def test_invalid_name_is_refused_before_any_request(mounted, run, name):
    assert "cannot be a name" in run.refused("database_connection", name=name, **mounted.connection())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://vault_admin:secret-word@127.0.0.1:5432/app", "stored and shown in clear"),
        ("postgresql://{{username}}:secret-word@127.0.0.1:5432/app", "stored and shown in clear"),
        ("postgresql://{{username}}@127.0.0.1:5432/app?password=secret-word", "shown in clear"),
        ("postgresql://{{username}}:{{password}}@127.0.0.1/app?password=secret-word", "among its parameters"),
        (
            "postgresql://{{username}}:{{password}}@127.0.0.1/app?sslmode=require&PassWord=secret-word",
            "among its parameters",
        ),
        ("postgresql://{{ username }}:{{ password }}@127.0.0.1/app", "without blanks inside the braces"),
        ("postgresql://:@127.0.0.1:5432/app", "!unsafe"),
        ("host=127.0.0.1 user={{username}} password={{password}} dbname=app", "keyword form"),
        ("mysql://{{username}}:{{password}}@127.0.0.1/app", "must be a URL"),
        ("", "must be a URL"),
    ],
)
def test_url_exposing_password_is_refused(mounted, run, url, words):
    sentence = run.refused("database_connection", name="db", **{**mounted.connection(), "connection_url": url})
    assert words in sentence
    assert "secret-word" not in sentence


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:secret-word@127.0.0.1/app",
        "root:secret-word@tcp(127.0.0.1:3306)/",
        "{{username}}:secret-word@tcp(h)/",
    ],
)
def test_url_of_other_plugin_exposing_password_is_refused(mounted, run, url):
    options = {**mounted.connection(), "plugin_name": "mysql-database-plugin", "verify_connection": False}
    sentence = run.refused("database_connection", name="db", **{**options, "connection_url": url})
    assert "holds a password" in sentence
    assert "secret-word" not in sentence


def test_unknown_key_in_plugin_options_is_refused(mounted, run):
    sentence = run.refused("database_connection", name="db", **mounted.connection(), plugin_options={"max_open": 3})
    assert "'max_open' is not an option" in sentence
    assert "max_open_connections" in sentence
    assert "unknown_options: pass" in sentence


def test_option_given_twice_with_different_values_is_refused(mounted, run):
    sentence = run.refused("database_connection", name="db", username="a", plugin_options={"username": "b"})
    assert "username is given twice" in sentence


@pytest.mark.parametrize("lifetime", ["abc", "-1", "1w"])
def test_invalid_duration_is_refused(mounted, run, lifetime):
    sentence = run.refused("database_connection", name="db", **mounted.connection(), max_connection_lifetime=lifetime)
    assert "max_connection_lifetime" in sentence
    assert repr(lifetime) in sentence


@pytest.mark.both
@pytest.mark.parametrize("option", ["tls_ca", "tls_certificate"])
def test_tls_options_ignored_by_server_are_refused(mounted, run, option):
    sentence = run.refused("database_connection", name="db", **mounted.connection(), **{option: "PEM"})
    there = mounted.client.identity
    if there.product == "vault" and there.version >= (1, 18):
        assert "answered 400" in sentence, "it is not ignored there, and makes no sense"
        return
    assert sentence.startswith(
        f"{there} does not know {option} and would ignore it: the connection would not be protected"
    )
    assert "sslrootcert" in sentence


CLOUD = {"auth_type": "gcp_iam", "service_account_json": '{"k": 1}', "use_private_ip": True, "use_psc": True}
ROTATED = {"rotation_schedule": "0 3 * * *", "rotation_window": "1h", "disable_automated_rotation": True}
ENTERPRISE = {"self_managed": True, "rotation_period": "24h", **ROTATED, "skip_static_role_import_rotation": True}


@pytest.mark.both
def test_option_of_other_server_is_refused_naming_servers_that_have_it(mounted, run):
    there = mounted.client.identity
    for option, value in {**CLOUD, **ENTERPRISE}.items():
        if there.product == "vault" and option in CLOUD:
            continue  # it would look for the cloud
        sentence = run.refused("database_connection", name="db", **mounted.connection(), **{option: value})
        assert f"does not know {option} and would ignore it" in sentence
        assert "Needed is HashiCorp Vault 1." in sentence
        assert ("Enterprise edition" in sentence.partition("Needed is")[2]) == (option in ENTERPRISE)


def test_enterprise_options_are_sent_to_enterprise(fake_vault, run):
    fake_vault.server.play_vault("1.21.0")
    fake_vault.server.health["enterprise"] = True
    fake_vault.add_mount()
    desired = {"name": "db", **fake_vault.connection(), "self_managed": True, "rotation_period": "24h"}
    run.changes("database_connection", **desired, skip_static_role_import_rotation=True)
    current = fake_vault.read("config/db")
    assert (current["rotation_period"], current["connection_details"]["self_managed"]) == (86400, True)
    run.changes("database_connection", name="db", rotation_period=0, **ROTATED)


def test_gcp_iam_url_needs_no_password(fake_vault, run):
    fake_vault.server.play_vault("1.21.0")
    fake_vault.add_mount()
    url = "host=project:region:instance user=vault@project.iam dbname=app sslmode=disable"
    desired = {"name": "db", "connection_url": url, "verify_connection": False, "validate": False, **CLOUD}
    made = run("database_connection", **desired)
    assert made["connection"]["auth_type"] == "gcp_iam"
    assert CLOUD["service_account_json"] not in str(made) + str(fake_vault.read("config/db"))
    desired["connection_url"] = f"{url} password=secret-word"
    assert "must be a URL" in run.refused("database_connection", **desired)


def test_unknown_options_pass_sends_them(mounted, run):
    desired = {"name": "db", **mounted.connection(), "unknown_options": "pass"}
    run.changes("database_connection", **desired, plugin_options={"new_option": 3})
    assert mounted.read("config/db")["connection_details"]["new_option"] == 3
    changed = run.changes(
        "database_connection", **desired, plugin_options={"new_option": "4", "max_open_connections": 5}
    )
    assert yaml.safe_load(changed["diff"]["after"])["new_option"] == "4"
    assert run("database_connection_info", name="db")["connections"][0]["unknown_options_set"] == ["new_option"]
    for key, words in (("New Option", "cannot be the name"), ("service_account_json", "must be given beside it")):
        assert words in run.refused("database_connection", **desired, plugin_options={key: "x"})


def test_username_change_without_password_is_refused(fake_vault, run):
    mounted = fake_vault.add_mount().add_connection()
    other = {"name": "db", **mounted.connection(), "username": "another"}
    sentence = run.refused("database_connection", **other)
    assert f"another instead of {mounted.database.admin}" in sentence
    assert "update_password: always" in sentence


def test_missing_plugin_shows_server_error(real_vault, run):
    real_vault.add_mount()
    sentence = run.refused("database_connection", name="db", **real_vault.connection(), plugin_name="nosuch")
    assert "plugin not found in the catalog" in sentence


# -- verify_connection: false ----------------------------------------------------------------------------------------------


def test_broken_unverified_connection_warns_in_every_run(mounted, run):
    dead = {**mounted.connection(), "connection_url": mounted.database.url.replace(f":{mounted.database.port}/", ":9/")}
    desired = {"name": "db", **dead, "verify_connection": False}
    first = run("database_connection", **desired)
    assert first["changed"]
    assert any("Vault cannot use it" in warning for warning in first["warnings"])
    again = run.nothing("database_connection", **desired)
    assert any("does not know whether Vault can log in" in warning for warning in again["warnings"])


def test_working_unverified_connection_has_no_warning(mounted, run):
    assert run("database_connection", name="db", **mounted.connection(), verify_connection=False)["warnings"] == []


def test_stored_verify_connection_false_is_reset(fake_vault, run):
    fake_vault.server.play_vault("1.20.0")
    fake_vault.add_mount().add_connection(password_authentication="scram-sha-256", verify_connection=False)
    desired = {"name": "db", **fake_vault.connection()}
    changed = run.changes("database_connection", **desired)
    assert yaml.safe_load(changed["diff"]["before"])["verify_connection"] is False
    assert fake_vault.read("config/db")["verify_connection"] is True


def test_unverified_connection_is_tried_after_write(fake_vault, run):
    fake_vault.server.play_vault("1.20.0")
    fake_vault.add_mount()
    dead = {**fake_vault.connection(), "connection_url": fake_vault.database.url.replace(":5432/", ":9/")}
    (warning,) = run("database_connection", name="db", **dead, verify_connection=False)["warnings"]
    assert "Vault cannot use it" in warning
    alive = {**fake_vault.connection(), "verify_connection": False}
    run.changes("database_connection", name="db", **alive)
    assert fake_vault.read("config/db")["verify_connection"] is True, "it was tried, and works"


def test_scram_default_without_effect_warns(fake_vault, run):
    fake_vault.server.play_vault("1.13.0")
    fake_vault.add_mount()
    desired = {"name": "db", **fake_vault.connection()}
    made = run.changes("database_connection", **desired)
    for result in (made, run("database_connection", **desired), run("database_connection", check=True, **desired)):
        (warning,) = result["warnings"]
        assert "does not know password_authentication: passwords reach PostgreSQL" in warning
    assert "password_authentication: scram-sha-256 and would" in run.refused(
        "database_connection", **desired, password_authentication="scram-sha-256"
    )


@pytest.mark.parametrize("check", [True, False])
def test_password_for_existing_connection_without_verification_is_refused(mounted, run, check):
    mounted.add_connection()
    desired = {**mounted.connection(), "update_password": "always", "verify_connection": False}
    assert "lose the only password" in run.refused("database_connection", name="db", check=check, **desired)


# -- after root rotation ---------------------------------------------------------------------------------------------------


@pytest.fixture
def rotated(mounted, run):
    desired = {"name": "db", **mounted.connection()}
    run("database_connection", **desired)
    run("database_root_rotation", name="db", password=desired["password"])
    mounted.add_role()
    return desired


@pytest.mark.both
@pytest.mark.parametrize(
    "change",
    [
        {"allowed_roles": ["app", "reports"]},
        {"max_open_connections": 2},
        {"connection_url": "localhost"},
        {"password_policy": ""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_update_after_root_rotation_keeps_login(mounted, run, rotated, change):
    if "connection_url" in change:
        change = {"connection_url": mounted.database.url.replace("127.0.0.1", "localhost")}
    run.nothing("database_connection", **rotated)
    if change != {"password_policy": ""}:
        run.changes("database_connection", **{**rotated, **change})
    run.nothing("database_connection", **{**rotated, **change})
    mounted.issue("app")
    assert not mounted.database.opens(rotated["password"])


@pytest.mark.parametrize("check", [True, False])
def test_update_password_always_after_root_rotation_is_refused(mounted, run, rotated, check):
    sentence = run.refused("database_connection", check=check, **rotated, update_password="always")
    assert "was rotated at" in sentence
    mounted.issue("app")


def test_force_with_invalid_password_fails_and_keeps_login(mounted, run, rotated):
    assert "28P01" in run.refused("database_connection", **rotated, update_password="always", force=True)
    mounted.issue("app")


def test_force_accepts_password_reset_in_database(real_vault, run):
    real_vault.add_mount()
    desired = {"name": "db", **real_vault.connection()}
    run("database_connection", **desired)
    run("database_root_rotation", name="db", password=desired["password"])
    real_vault.database.sql(f"ALTER ROLE {real_vault.database.admin} PASSWORD 'reset-by-hand'")
    fixed = {**desired, "password": "reset-by-hand", "update_password": "always", "force": True}
    assert run("database_connection", **fixed)["changed"]
    real_vault.add_role().issue("app")
    assert run("database_root_rotation", name="db", password="reset-by-hand")["rotated"]


# -- deleting --------------------------------------------------------------------------------------------------------------


@pytest.mark.both
def test_delete_with_live_leases_is_refused_or_revokes_first(mounted, run):
    mounted.add_connection("db").add_connection("other")
    mounted.add_role("app").add_role("reports").add_role("elsewhere", db_name="other")
    users = [mounted.issue(role) for role in ("app", "reports", "app", "elsewhere")]
    for check in (True, False):
        sentence = run.refused("database_connection", name="db", state="absent", check=check)
        assert "3 live lease(s)" in sentence
        assert f"2 under {mounted.mount}/creds/app" in sentence
    assert run.changes("database_connection", name="db", state="absent", revoke_leases=True)["revoked_leases"] == 3
    assert mounted.leases() == [users[3]["lease_id"]]


def test_delete_with_failing_revocation_keeps_connection_and_fails(real_vault, run):
    real_vault.add_mount().add_connection().add_role(revocation_statements=["SELECT no_such_function()"])
    real_vault.issue("app")
    with pytest.raises(Problem, match="42883"):
        run("database_connection", name="db", state="absent", revoke_leases=True)
    assert real_vault.names("config") == ["db"]
    assert len(real_vault.leases()) == 1


def test_check_mode_without_mount_predicts_and_warns(vault, run):
    foreseen = run("database_connection", check=True, name="db", **vault.connection())
    assert foreseen["changed"]
    assert "nothing is mounted there" in foreseen["warnings"][0]
    assert "nothing is mounted there" in run.refused("database_connection", name="db", **vault.connection())


# -- names of users --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "{{.DisplayName}}-{{random 20}}",
        '{{ printf "v-%s-%s" (.DisplayName | lowercase) (random 20) }}',
        "{{ .DisplayName | replace `a` `b` }}",
        "{{ if .DisplayName }}x{{ end }}",
        "{{ printf `%v` . }}",
    ],
)
def test_username_template_with_full_display_name_is_refused(mounted, run, template):
    sentence = run.refused("database_connection", name="db", **mounted.connection(), username_template=template)
    assert sentence.startswith("username_template")
    mounted.add_connection(username_template=template)
    refused = run.refused("database_role", name="app", db_name="db", in_role=mounted.database.group)
    assert refused.startswith("The connection cannot be used with in_role. username_template")


@pytest.mark.parametrize(
    ("template", "most"),
    [
        ("", 8),
        ("{{.DisplayName | truncate 12}}-{{random 20}}", 12),
        ('{{ printf "%s-%s" .DisplayName (random 20) | truncate 50 }}', 50),
        ("{{.DisplayName | truncate_sha256 16}}", 16),
    ],
)
def test_username_template_with_truncated_display_name_warns(mounted, run, template, most):
    (warning,) = run("database_connection", name="db", **mounted.connection(), username_template=template)["warnings"]
    assert f"lets {most} characters of a login's display name" in warning
    assert run("database_role", name="app", db_name="db", in_role=mounted.database.group)["warnings"] == []


@pytest.mark.parametrize(
    "template", ["v-{{.RoleName}}-{{random 20}}", "v-{{.DisplayName | sha256}}", "{{ if .RoleName }}x{{ end }}"]
)
def test_username_template_without_display_name_is_accepted(mounted, run, template):
    made = run("database_connection", name="db", **mounted.connection(), username_template=template)
    assert made["warnings"] == []
