# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import importlib

import pytest
import yaml
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Refused
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import (
    OPTIONS,
    auth_mount,
    client_arguments,
    drop_empty_variables,
)
from ansible_collections.leasehold.vault.plugins.plugin_utils._action import with_variables

from ...conftest import validated

each_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)


@functools.cache
def fragments(part):
    merged = {}
    for name in ("connection", "auth"):
        module = importlib.import_module(f"ansible_collections.leasehold.vault.plugins.doc_fragments.{name}")
        merged |= yaml.safe_load(getattr(module.ModuleDocFragment, part))["options"]
    return merged


def found(arguments=None, variables=None):
    """The options as a task has them in the end: through the action plugin, then through the module."""
    completed = with_variables(arguments or {}, variables or {}, lambda value: value)
    return validated("database_engine", completed)


# -- where options are found -----------------------------------------------------------------------------------------------


def test_option_precedence_is_task_variable_environment(monkeypatch):
    monkeypatch.setenv("VAULT_ADDR", "https://environment")
    assert found()["url"] == "https://environment"
    assert found({}, {"leasehold_url": "https://variable"})["url"] == "https://variable"
    assert found({"url": "https://task"}, {"leasehold_url": "https://variable"})["url"] == "https://task"


def test_an_alias_in_the_task_wins_too(monkeypatch):
    monkeypatch.setenv("VAULT_ADDR", "https://environment")
    assert found({"vault_address": "https://task"}, {"leasehold_url": "https://variable"})["url"] == "https://task"


def test_our_variable_wins_over_those_of_community_hashi_vault():
    variables = {"ansible_hashi_vault_addr": "https://2", "ansible_hashi_vault_url": "https://1"}
    assert found({}, variables)["url"] == "https://1"
    assert found({}, {**variables, "leasehold_url": "https://0"})["url"] == "https://0"


def test_a_variable_is_templated():
    assert with_variables({}, {"leasehold_url": "{{ x }}"}, str.upper)["url"] == "{{ X }}"


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.env], ids=lambda option: option.name)
def test_the_first_environment_variable_wins(option, monkeypatch):
    sample = {"bool": ("true", True, "false"), "int": ("7", 7, "8")}.get(option.type, ("userpass", "userpass", "ldap"))
    for name in option.env:
        monkeypatch.setenv(name, sample[2])
    monkeypatch.setenv(option.env[0], sample[0])
    assert found()[option.name] == sample[1]


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.env], ids=lambda option: option.name)
def test_empty_environment_variable_counts_as_unset(option, monkeypatch):
    sample = {"bool": ("true", True), "int": ("7", 7)}.get(option.type, ("userpass", "userpass"))
    for name in option.env:
        monkeypatch.setenv(name, "")
    drop_empty_variables()
    assert found()[option.name] == option.default
    for name in option.env:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv(option.env[-1], sample[0])
    drop_empty_variables()
    assert found()[option.name] == sample[1]


@each_option
def test_every_alias_is_the_option(option):
    for alias in option.aliases:
        assert found({alias: "x"})[option.name] == "x"


@each_option
def test_every_variable_is_the_option(option):
    sample = {"bool": True, "int": 7}.get(option.type, "userpass")
    for variable in option.variables:
        assert found({}, {variable: sample})[option.name] == sample


# -- what is documented ----------------------------------------------------------------------------------------------------


def test_the_documentation_has_exactly_these_options():
    assert set(fragments("DOCUMENTATION")) == {option.name for option in OPTIONS} == set(fragments("PLUGINS"))


@each_option
def test_the_documentation_of_an_option_is_its_declaration(option):
    documented = fragments("DOCUMENTATION")[option.name]
    text = " ".join(documented["description"])
    assert documented["type"] == option.type
    assert tuple(documented.get("aliases", ())) == option.aliases
    assert tuple(documented.get("choices", ())) == option.choices
    assert documented.get("default") == option.default
    assert all(f"E({name})" in text for name in option.env)
    assert text.count("E(") == len(option.env)
    assert all(f"C({name})" in text for name in option.variables)


@each_option
def test_plugins_find_an_option_in_the_same_places(option):
    documented = fragments("PLUGINS")[option.name]
    # The last one that is set wins in plugins, the first one in modules.
    assert [entry["name"] for entry in reversed(documented.get("env", []))] == list(option.env)
    assert [entry["name"] for entry in reversed(documented["vars"])] == list(option.variables)
    assert ("ini" in documented) is not option.secret


def test_every_secret_option_is_no_log():
    assert {option.name for option in OPTIONS if option.secret} == {"token", "secret_id", "jwt", "auth_password"}


# -- what the client gets --------------------------------------------------------------------------------------------------


def arguments(**options):
    return client_arguments({"url": "https://vault", **options})


@pytest.mark.parametrize(
    ("options", "verify", "warned"),
    [
        ({}, True, False),
        ({"ca_cert": "/ca.pem"}, "/ca.pem", False),
        ({"validate_certs": False}, False, True),
        ({"validate_certs": False, "ca_cert": "/ca.pem"}, False, True),
        ({"tls_skip_verify": True}, False, True),
        ({"tls_skip_verify": True, "validate_certs": True}, True, False),
        ({"tls_skip_verify": False}, True, False),
    ],
)
def test_disabled_certificate_verification_warns(options, verify, warned):
    made, warnings = arguments(**options)
    assert made["verify"] == verify
    assert bool(warnings) is warned


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://vault:8200", True),
        ("http://127.0.0.1:8200", False),
        ("http://localhost", False),
        ("https://vault", False),
    ],
)
def test_http_to_other_host_warns(url, warned):
    assert bool(client_arguments({"url": url})[1]) is warned


@pytest.mark.parametrize(("value", "expected"), [(None, ""), ("root", ""), ("team-a/", "team-a"), ("/a/b/", "a/b")])
def test_namespaces(value, expected):
    assert arguments(namespace=value)[0]["namespace"] == expected


@pytest.mark.parametrize(
    "value",
    ["https://vault", "https://vault/", "https://VAULT:443/", "HTTPS://vault ", "https://vault:443"],
)
def test_addresses_of_one_server_are_one_text(value):
    assert client_arguments({"url": value})[0]["url"] == "https://vault"


@pytest.mark.parametrize("value", ["https://h:8200/v1", "https://h:8200/v1/"])
def test_address_with_path_of_api_is_refused_with_the_right_one(value):
    with pytest.raises(Refused, match=r"ends in /v1.*Give https://h:8200 instead"):
        client_arguments({"url": value})


def test_address_below_a_path_is_kept():
    assert client_arguments({"url": "https://h/secrets/"})[0]["url"] == "https://h/secrets"


@pytest.mark.parametrize(("value", "expected"), [(None, 60), ("2m", 120), ("60s", 60), (5, 5)])
def test_timeouts(value, expected):
    assert arguments(timeout=value)[0]["timeout"] == expected


def test_invalid_timeout_is_refused():
    with pytest.raises(Refused, match="timeout: 'soon'"):
        arguments(timeout="soon")


def test_no_retries_is_not_the_default():
    assert arguments(retries=0)[0]["retries"] == 0
    assert arguments()[0]["retries"] == 8


def test_a_client_certificate_may_hold_its_key():
    assert arguments(client_cert="/c", client_key="/k")[0]["certificate"] == ("/c", "/k")
    assert arguments(client_cert="/c")[0]["certificate"] == ("/c", "/c")


@pytest.mark.parametrize(
    "value",
    [
        "http://proxy:3128",
        {"http": "http://proxy:3128", "https": "http://proxy:3128"},
        '{"http": "http://proxy:3128", "https": "http://proxy:3128"}',
    ],
)
def test_proxies_are_one_address_or_one_for_each_scheme(value):
    assert arguments(proxies=value)[0]["proxies"] == {"http": "http://proxy:3128", "https": "http://proxy:3128"}


def test_missing_address_names_ways_to_give_one():
    with pytest.raises(Refused, match=r"VAULT_ADDR.*leasehold_url"):
        client_arguments({})


def test_auth_mount_defaults_to_method():
    assert auth_mount({"auth_method": "approle"}) == "approle"
    assert auth_mount({"auth_method": "approle", "auth_mount": "/team/approle/"}) == "team/approle"
    with pytest.raises(Refused, match="auth_mount"):
        auth_mount({"auth_method": "approle", "auth_mount": "../sys"})
