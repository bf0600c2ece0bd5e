# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Forbidden, MountMissing, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Plan
from ansible_collections.leasehold.vault.plugins.module_utils._vault.servers import (
    FEATURES,
    Identity,
    identify,
    known_to_server,
)

OPENBAO = Identity("openbao", (2, 7, 2))
ENTERPRISE = Identity("vault", (1, 20, 1), enterprise=True)


def vault(*version):
    return Identity("vault", version)


# -- which server --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "identity"),
    [
        ({"version": "1.13.0"}, vault(1, 13, 0)),
        ({"version": "1.13.0+ent"}, Identity("vault", (1, 13, 0), enterprise=True)),
        ({"version": "1.16.0-beta1", "enterprise": False}, vault(1, 16, 0)),
        ({"version": "1.20.1+ent.hsm", "enterprise": True}, ENTERPRISE),
        ({"version": "", "enterprise": True}, Identity("vault", (), enterprise=True)),
        ({"version": "", "enterprise": False}, Identity("vault")),
        ({"version": "2.1.0", "enterprise": False}, vault(2, 1, 0)),
        ({"version": "2.1.0", "enterprise": True}, Identity("vault", (2, 1, 0), enterprise=True)),
        ({"version": "2.7.2"}, OPENBAO),
        ({"version": ""}, Identity()),
        ({"status": "up"}, Identity()),
        ("up", Identity()),
        (None, Identity()),
    ],
)
def test_server_is_known_by_its_health(health, identity):
    assert identify(health) == identity


@pytest.mark.parametrize(
    ("identity", "text"),
    [
        (OPENBAO, "OpenBao 2.7.2"),
        (ENTERPRISE, "HashiCorp Vault 1.20.1 (Enterprise edition)"),
        (vault(), "HashiCorp Vault (Community edition)"),
        (Identity(), "This server"),
    ],
)
def test_server_is_named(identity, text):
    assert str(identity) == text


# -- which options -------------------------------------------------------------------------------------------------------


class Server:
    """A server that says what it is, and has these fields in its help."""

    def __init__(self, identity, help=(), mount=None):
        self.identity, self.fields, self.mount, self.asked = identity, help, mount, []

    def ask(self, method, path, params=None):
        self.asked.append(path)
        if self.fields is None:
            raise MountMissing("nothing is mounted there")
        return {
            "openapi": {"components": {"schemas": {"A": {"properties": {key: {} for key in self.fields}}, "B": {}}}}
        }

    def read(self, path):
        self.asked.append(path)
        if self.mount is None:
            raise Forbidden("no")
        return {"running_plugin_version": self.mount}


def findings(kind, server, action="create", after=None, **desired):
    server_check = known_to_server(kind, lambda desired: "path")
    plan = Plan(action, {}, {**desired, **(after or {})}, {})
    return [finding.text for finding in server_check(server, {"mount": "database", **desired}, plan)]


def refusal(*arguments, **more):
    with pytest.raises(Refused) as caught:
        findings(*arguments, **more)
    return str(caught.value)


@pytest.mark.parametrize("option", ["tls_ca", "tls_certificate", "private_key"])
@pytest.mark.parametrize("action", ["create", "update", "none"])
def test_tls_option_is_refused_where_it_is_ignored(option, action):
    for server in (vault(1, 13, 0), vault(1, 17, 9), OPENBAO):
        sentence = refusal("connection", Server(server), action, **{option: "PEM"})
        assert sentence.startswith(
            f"{server} does not know {option} and would ignore it: the connection would not be protected"
        )
        assert sentence.endswith("Needed is HashiCorp Vault 1.18 or newer.")
    assert findings("connection", Server(vault(1, 18, 0)), action, **{option: "PEM"}) == []


def test_scram_that_was_asked_for_is_refused_where_it_is_ignored():
    asked = {"password_authentication": "scram-sha-256"}
    sentence = refusal("connection", Server(vault(1, 13, 0)), **asked)
    assert "password_authentication: scram-sha-256 and would ignore it: passwords reach PostgreSQL" in sentence
    assert sentence.endswith("Needed is HashiCorp Vault 1.14 or newer or OpenBao.")
    assert (
        findings("connection", Server(vault(1, 14, 0)), **asked)
        == findings("connection", Server(OPENBAO), **asked)
        == []
    )
    assert findings("connection", Server(vault(1, 13, 0)), password_authentication="password") == []


@pytest.mark.parametrize("action", ["create", "update", "none"])
def test_ignored_scram_default_warns(action):
    after = {"password_authentication": "scram-sha-256"}
    (warning,) = findings("connection", Server(vault(1, 13, 0)), action, after)
    assert warning.startswith(
        "HashiCorp Vault 1.13.0 (Community edition) does not know password_authentication: passwords reach"
    )
    assert findings("connection", Server(vault(1, 14, 0)), action, after) == []


@pytest.mark.parametrize("plugin", [{"plugin_version": "v0.1.0"}, {"plugin_name": "my-postgresql"}])
def test_options_of_an_external_plugin_are_not_known(plugin):
    (warning,) = findings("connection", Server(OPENBAO), tls_ca="PEM", **plugin)
    assert warning.startswith("Whether the plugin ")
    assert "knows tls_ca is not known here" in warning
    assert (
        findings("connection", Server(vault(1, 13, 0)), after={"password_authentication": "scram-sha-256"}, **plugin)
        == []
    )


def test_untested_newer_server_is_not_judged():
    (warning,) = findings("connection", Server(Identity("openbao", (2, 9, 0))), tls_ca="PEM")
    assert warning.startswith(
        "Whether OpenBao 2.9.0 knows tls_ca is not known here. If it does not: the connection would not be"
    )


def test_version_that_health_hides_is_that_of_the_mount():
    for identity in (Identity(), Identity("vault")):
        sentence = refusal("connection", Server(identity, mount="v1.16.0+builtin.vault"), tls_ca="PEM")
        assert sentence.startswith("HashiCorp Vault 1.16.0 ")
        assert findings("connection", Server(identity, mount="v1.18.0+builtin.vault"), tls_ca="PEM") == []
    assert refusal("connection", Server(Identity(), mount="v2.7.2+builtin.bao"), tls_ca="PEM").startswith(
        "OpenBao 2.7.2 "
    )
    for mount in (None, "v0.1.0"):
        (warning,) = findings("connection", Server(Identity("vault"), mount=mount), tls_ca="PEM")
        assert warning.startswith("Whether HashiCorp Vault (Community edition) knows tls_ca is not known here")


@pytest.mark.parametrize("option", ["skip_import_rotation", "self_managed_password", "password"])
def test_option_that_locks_out_is_refused_despite_help(option):
    for identity, mount in ((vault(1, 20, 0), None), (Identity(), None), (Identity(), "v1.20.0+builtin.vault")):
        for action in ("create", "update"):
            server = Server(identity, help=[option], mount=mount)
            assert "whoever uses it would be locked out" in refusal("static_role", server, action, **{option: "x"})
    assert "Enterprise edition" in refusal("static_role", Server(vault(1, 20, 0)), **{option: "x"})
    assert findings("static_role", Server(ENTERPRISE, help=[option]), **{option: "x"}) == []
    assert option in refusal("static_role", Server(ENTERPRISE, help=[]), **{option: "x"})


def test_server_help_overrides_feature_table():
    schedule = {"rotation_schedule": "0 3 * * *"}
    assert findings("static_role", Server(OPENBAO, help=["rotation_schedule"]), **schedule) == []
    assert "use rotation_period instead" in refusal("static_role", Server(vault(1, 20, 0), help=[]), **schedule)
    assert "Needed is HashiCorp Vault 1.15 or newer." in refusal("static_role", Server(vault(1, 14, 0)), **schedule)
    assert "use rotation_period instead" in refusal("static_role", Server(OPENBAO, help=None), **schedule)


def test_features_not_used_need_no_request():
    server = Server(OPENBAO)
    quiet = {
        "rotation_schedule": "",
        "rotation_window": None,
        "skip_import_rotation": False,
        "credential_type": "password",
    }
    assert findings("static_role", server, **quiet) == []
    assert server.asked == []


@pytest.mark.parametrize("kind", FEATURES)
def test_every_feature_is_known_to_some_server_and_says_which(kind):
    for feature in FEATURES[kind]:
        assert feature.vault or feature.openbao
        assert ("HashiCorp Vault" in feature.who, "OpenBao" in feature.who) == (bool(feature.vault), feature.openbao)


def test_features_are_options_of_their_resources():
    from ansible_collections.leasehold.vault.plugins.module_utils._resources import (
        auth_mount,
        auth_role,
        connection,
        role,
        static_role,
    )

    resources = [
        connection.CONNECTION,
        role.ROLE,
        static_role.STATIC_ROLE,
        auth_mount.KUBERNETES,
        *auth_role.ROLES.values(),
    ]
    options = {(resource.kind, field.option) for resource in resources for field in resource.fields}
    assert {(kind, feature.option) for kind in FEATURES for feature in FEATURES[kind]} <= options
