# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided before the first byte: whom to trust, as whom to come, and which way to go."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import warnings

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._vault import transport
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
    return transport._trust(verify, certificate)


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
    assert transport._proxy_for("https://vault.svc", proxies) == proxy


def test_a_request_goes_through_the_proxy(stub):
    wire = transport.Wire("http://vault.svc:8200", True, None, [("http", stub.url)], 5)
    assert wire.send("put", "/v1/database/roles/app", {}, {"db_name": "db"}).ok
    assert [request[:3] for request in stub.asked] == [
        ("PUT", "http://vault.svc:8200/v1/database/roles/app", {"db_name": "db"})
    ]


def test_a_proxy_that_is_not_there_is_not_the_server():
    wire = transport.Wire("http://vault.svc", True, None, [("http", "http://127.0.0.1:9")], 5)
    with pytest.raises(transport.WireError) as caught:
        wire.send("get", "/v1/sys/health", {})
    assert caught.value.never_sent
    assert not caught.value.untrusted


def test_without_hvac_and_what_comes_with_it_the_cure_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "urllib3", None)
    with pytest.raises(Problem, match="hvac is needed and could not be imported"):
        transport.Wire("http://vault.svc", True, None, [], 5)


def test_server_name_is_the_one_the_certificate_must_hold(authority, tls_stub, made):
    stub = tls_stub(made, "vault.example")

    def send(server_name):
        wire = transport.Wire(stub.url, str(authority / "ca.pem"), None, [], 5, server_name)
        return wire.send("get", "/v1/x", {})

    assert send("vault.example").ok
    for name in ("", "other.example"):
        with pytest.raises(transport.WireError) as caught:
            send(name)
        assert caught.value.untrusted


# -- answers that do not end ------------------------------------------------------------------------------------------------


@pytest.fixture
def answering():
    """A server that sends these pieces, one after the other, to whoever asks: answering(pieces, pause)."""
    listeners = []

    def start(pieces, pause=0.0):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            with contextlib.suppress(OSError):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(65536)
                    for piece in pieces:
                        connection.sendall(piece)
                        time.sleep(pause)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [OK, *([b"X: y\r\n"] * 20), b"\r\n{}"],
        [OK + b"\r\n", *([b" "] * 20), b"{}"],
        [bytes([byte]) for byte in OK[:20]],
    ],
    ids=["headers", "body", "status"],
)
def test_timeout_is_that_of_the_whole_answer(answering, pieces):
    """Each read is quick, all together are not."""
    wire = transport.Wire(answering(pieces, pause=0.1), True, None, [], 0.7)
    with pytest.raises(transport.WireError) as caught:
        wire.send("get", "/v1/x", {})
    assert not caught.value.never_sent


@pytest.mark.parametrize("packed", [False, True])
def test_endless_answer_is_not_read_to_its_end(answering, monkeypatch, packed):
    monkeypatch.setattr(transport, "LIMIT", 2**20)
    if packed:
        content = gzip.compress(b"x" * 2**21)
        pieces = [OK + b"Content-Encoding: gzip\r\n\r\n" + content]
    else:
        pieces = [OK + b"\r\n", *([b"x" * 2**16] * 40)]
    with pytest.raises(transport.UnacceptableError, match="more than 1 MiB"):
        transport.Wire(answering(pieces), True, None, [], 20).send("get", "/v1/x", {})


def test_packed_answer_is_unpacked(answering):
    pieces = [OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b'{"data": {}}')]
    assert transport.Wire(answering(pieces), True, None, [], 20).send("get", "/v1/x", {}).json() == {"data": {}}


def test_connection_is_kept_from_one_answer_to_the_next(stub):
    wire = transport.Wire(stub.url, True, None, [], 20)
    ports = set()
    stub.answers = [(200, b"x" * 2**18), (404, {}), (200, {})]
    handle = stub.server.process_request
    stub.server.process_request = lambda request, address: (ports.add(address), handle(request, address))
    for _time in range(3):
        wire.send("get", "/v1/x", {})
    assert len(ports) == 1


# -- redirects to another host ----------------------------------------------------------------------------------------------


TOKEN = {"X-Vault-Token": "s.secret"}


def redirected(stub, target, **more):
    stub.answers = [(307, {}, {"Location": f"{target}/v1/x"})]
    return transport.Wire(stub.url, more.get("verify", True), None, [], 20).send(
        "post", "/v1/x", TOKEN, {"password": "p"}
    )


def named(stub, name):
    return stub.url.replace("127.0.0.1", name)


def test_redirect_to_another_host_is_followed_where_the_same_authority_vouches(made, tls_stub, authority):
    first, second = tls_stub(made), tls_stub(made, "localhost")
    assert redirected(first, named(second, "localhost"), verify=str(authority / "ca.pem")).ok
    assert len(second.asked) == 1


def test_redirect_to_a_host_of_another_authority_carries_nothing(made, tls_stub, authority):
    first, second = tls_stub(made), tls_stub(Authority("theirs"), "localhost")
    with pytest.raises(transport.WireError) as caught:
        redirected(first, named(second, "localhost"), verify=str(authority / "ca.pem"))
    assert caught.value.untrusted
    assert second.asked == []


def test_redirect_to_another_host_is_not_followed_unverified(made, tls_stub, stub):
    first, second = tls_stub(made), tls_stub(made, "localhost")
    with pytest.raises(transport.UnacceptableError, match="another host, which TLS does not verify; not followed"):
        redirected(first, named(second, "localhost"), verify=False)
    with pytest.raises(transport.UnacceptableError, match="another host"):
        redirected(stub, named(second, "localhost"))
    assert second.asked == []


def test_library_does_not_warn_of_each_unverified_connection(made, tls_stub):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        server = tls_stub(made)
        server.answers = [(200, {})]
        assert transport.Wire(server.url, False, None, [], 20).send("get", "/v1/x", TOKEN).ok
    assert caught == []


@pytest.mark.parametrize("url", ["https://vault:70000", "https://[::1", "ftp://vault", "https://", "vault:8200"])
def test_what_is_no_address(url):
    assert not transport.is_address(url)
