# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided before the first byte: whom to trust, as whom to come, and which way to go."""

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils import _wire
from ansible_collections.leasehold.vault.plugins.module_utils._errors import Problem, Refused
from servers import Authority


@pytest.fixture
def made():
    return Authority("ours")


@pytest.fixture
def authority(tmp_path, made):
    """A directory with ca.pem, and with server.pem and server.key that it has signed."""
    certificate, key = made.issue("127.0.0.1")
    for name, content in {"ca.pem": made.certificate, "server.pem": certificate, "server.key": key}.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def trust(verify, certificate=None):
    return _wire._trust(verify, certificate)


def test_the_authorities_of_a_file_a_directory_or_the_environment_are_trusted(authority, monkeypatch):
    (one,) = trust(str(authority / "ca.pem")).get_ca_certs()
    assert "ours" in str(one["subject"])
    assert one in trust(str(authority)).get_ca_certs()  # whatever else lies there
    variables = ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
    for variable in variables:
        monkeypatch.delenv(variable, raising=False)
    for variable in variables:
        monkeypatch.setenv(variable, str(authority / "ca.pem"))
        assert trust(True).get_ca_certs() == [one]
        monkeypatch.delenv(variable)
    assert len(trust(True).get_ca_certs()) > 20


def test_files_that_cannot_be_read_are_named(authority):
    missing, ca = str(authority / "missing.pem"), str(authority / "ca.pem")
    with pytest.raises(Refused, match=r"to trust could not be read from .*missing\.pem: No such file"):
        trust(missing)
    with pytest.raises(Refused, match=r"client certificate could not be read from .*missing\.pem and .*ca\.pem"):
        trust(ca, (missing, ca))
    trust(ca, (str(authority / "server.pem"), str(authority / "server.key")))


@pytest.mark.parametrize(
    ("proxies", "environment", "proxy"),
    [
        ({}, {}, ""),
        ({}, {"no_proxy": "*"}, ""),
        ({"https": "http://a:3128"}, {}, "http://a:3128"),
        ({"https": "a:3128"}, {}, "http://a:3128"),
        ({}, {"https_proxy": "http://b:3128"}, "http://b:3128"),
        ({}, {"https_proxy": "http://b:3128", "no_proxy": "vault.svc"}, ""),
        ({"https": "http://a:3128"}, {"https_proxy": "http://b:3128"}, "http://a:3128"),
    ],
    ids=str,
)
def test_the_proxy_is_the_one_that_was_asked_for(proxies, environment, proxy, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _wire._proxy_for("https://vault.svc", proxies) == proxy


def test_a_request_goes_through_the_proxy(stub):
    wire = _wire.Wire("http://vault.svc:8200", True, None, [("http", stub.url)], 5)
    assert wire.send("put", "/v1/database/roles/app", {}, {"db_name": "db"}).ok
    assert [request[:3] for request in stub.asked] == [
        ("PUT", "http://vault.svc:8200/v1/database/roles/app", {"db_name": "db"})
    ]


def test_a_proxy_that_is_not_there_is_not_the_server():
    wire = _wire.Wire("http://vault.svc", True, None, [("http", "http://127.0.0.1:9")], 5)
    with pytest.raises(_wire.WireError) as caught:
        wire.send("get", "/v1/sys/health", {})
    assert caught.value.never_sent
    assert not caught.value.untrusted


def test_without_hvac_and_what_comes_with_it_the_cure_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "urllib3", None)
    with pytest.raises(Problem, match="hvac is needed and could not be imported"):
        _wire.Wire("http://vault.svc", True, None, [], 5)


def test_server_name_is_the_one_the_certificate_must_hold(authority, tls_stub, made):
    stub = tls_stub(made, "vault.example")

    def send(server_name):
        wire = _wire.Wire(stub.url, str(authority / "ca.pem"), None, [], 5, server_name)
        return wire.send("get", "/v1/x", {})

    assert send("vault.example").ok
    for name in ("", "other.example"):
        with pytest.raises(_wire.WireError) as caught:
            send(name)
        assert caught.value.untrusted


@pytest.mark.parametrize("url", ["https://vault:70000", "https://[::1", "ftp://vault", "https://", "vault:8200"])
def test_what_is_no_address(url):
    assert not _wire.is_address(url)
