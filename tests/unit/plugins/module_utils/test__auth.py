# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import resource
import time

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._core.process import leave_no_core
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import login_identity
from cluster import signed_token
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from directory import Directory

from ...conftest import Runner

LOGGED_IN = (200, {"auth": {"client_token": "s.fresh", "token_type": "service"}})


@pytest.fixture
def at(stub):
    """Options that lead to the stub."""
    return {"url": stub.url, "retries": 0}


# -- what is sent ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "options", "path", "body"),
    [
        ("approle", {"role_id": "r", "secret_id": "secret"}, "approle/login", {"role_id": "r", "secret_id": "secret"}),
        ("kubernetes", {"auth_role": "app", "jwt": "the.jwt"}, "kubernetes/login", {"role": "app", "jwt": "the.jwt"}),
        ("jwt", {"auth_role": "app", "jwt": " the.jwt\n"}, "jwt/login", {"role": "app", "jwt": "the.jwt"}),
        ("userpass", {"auth_username": "me", "auth_password": "secret"}, "userpass/login/me", {"password": "secret"}),
        ("ldap", {"auth_username": "me", "auth_password": "secret"}, "ldap/login/me", {"password": "secret"}),
        ("cert", {"client_cert": None}, "cert/login", {"name": ""}),
        ("cert", {"client_cert": None, "auth_role": "web"}, "cert/login", {"name": "web"}),
    ],
)
@pytest.mark.parametrize("mount", [None, "team-a/auth"])
def test_login_sends_parameters_to_its_mount(stub, at, tmp_path, method, options, path, body, mount):
    if "client_cert" in options:
        (tmp_path / "cert.pem").write_bytes(b"".join(client_certificate()))
        options = {**options, "client_cert": str(tmp_path / "cert.pem")}
    stub.answers = [LOGGED_IN, (204, b"")]
    session = log_in({**at, "auth_method": method, "auth_mount": mount, **options})
    _method, sent_path, sent_body, headers = stub.asked[0]
    assert sent_path == f"/v1/auth/{path.replace(method, mount, 1) if mount else path}"
    assert {key: value for key, value in sent_body.items() if value is not None} == body
    assert "X-Vault-Token" not in headers
    assert session.client.token == "s.fresh"
    assert session.own_token
    assert session.log_out() == []
    assert stub.asked[1][:2] == ("POST", "/v1/auth/token/revoke-self")
    assert stub.asked[1][3]["X-Vault-Token"] == "s.fresh"


def test_given_token_is_used_and_not_revoked(stub, at):
    session = log_in({**at, "auth_method": "token", "token": " s.given\n"})
    session.client.read("x")
    assert session.log_out() == []
    assert [headers["X-Vault-Token"] for *_rest, headers in stub.asked] == ["s.given"]


def test_token_is_read_from_cli_token_file(at, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".vault-token").write_text("s.of-the-file\n")
    assert log_in(at).client.token == "s.of-the-file"
    (tmp_path / "elsewhere").write_text("s.elsewhere")
    assert log_in({**at, "token_path": str(tmp_path / "elsewhere")}).client.token == "s.elsewhere"
    assert log_in({**at, "token": "s.given"}).client.token == "s.given"


def test_missing_token_names_ways_to_give_one(at, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Refused, match=r"VAULT_TOKEN.*auth_method.*\.vault-token"):
        log_in(at)


def test_none_sends_no_token(stub, at):
    session = log_in({**at, "auth_method": "none", "token": "s.given"})
    session.client.read("x")
    assert "X-Vault-Token" not in stub.asked[0][3]
    assert session.log_out() == []


def test_a_batch_token_is_not_revoked(stub, at):
    stub.answers = [(200, {"auth": {"client_token": "b.fresh", "token_type": "batch"}})]
    session = log_in({**at, "auth_method": "userpass", "auth_username": "me", "auth_password": "secret"})
    assert session.log_out() == []
    assert len(stub.asked) == 1


def test_jwt_file_is_read_at_each_login(stub, at, tmp_path):
    (tmp_path / "jwt").write_text("from.the.file\n")
    stub.answers = [LOGGED_IN]
    log_in({**at, "auth_method": "kubernetes", "auth_role": "app", "jwt_path": str(tmp_path / "jwt")})
    assert stub.asked[0][2]["jwt"] == "from.the.file"


# -- refusals --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("approle", "needs role_id"),
        ("kubernetes", "needs auth_role"),
        ("jwt", "needs auth_role"),
        ("userpass", "needs auth_username and auth_password"),
        ("ldap", "needs auth_username and auth_password"),
        ("cert", "needs client_cert"),
    ],
)
def test_missing_login_option_is_refused_before_any_request(stub, at, method, words):
    with pytest.raises(Refused, match=words):
        log_in({**at, "auth_method": method})
    assert stub.asked == []


@pytest.mark.parametrize(("method", "path"), [("kubernetes", "/var/run/secrets"), ("jwt", "jwt or jwt_path")])
def test_missing_jwt_is_refused(at, method, path):
    with pytest.raises(Refused, match=path):
        log_in({**at, "auth_method": method, "auth_role": "app"})


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("approle", {"role_id": "r", "secret_id": "hush-hush"}),
        ("userpass", {"auth_username": "me", "auth_password": "hush-hush"}),
        ("jwt", {"auth_role": "app", "jwt": "hush-hush"}),
    ],
)
@pytest.mark.parametrize("status", [400, 403, 500])
def test_refused_login_error_has_no_secret(stub, at, method, options, status):
    stub.answers = [(status, {"errors": ["no hush-hush here"]})]
    with pytest.raises(VaultError, match=rf"Could not log in to {stub.url} by {method} at auth/{method}") as caught:
        log_in({**at, "auth_method": method, **options})
    assert "hush" not in str(caught.value)
    assert str(status) in str(caught.value)


@pytest.mark.parametrize(("answer", "words"), [(b"<html>Sign in</html>", "is not Vault"), ({}, "without a token")])
def test_login_answer_without_token_fails(stub, at, answer, words):
    stub.answers = [(200, answer)]
    with pytest.raises(Problem, match=words):
        log_in({**at, "auth_method": "userpass", "auth_username": "me", "auth_password": "hush-hush"})


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
@pytest.mark.parametrize("option", ["client_cert", "client_key", "ca_cert"])
def test_invalid_certificate_file_fails(bao, tmp_path, option, content):
    certificate, key = client_certificate()
    files = {"client_cert": certificate, "client_key": key, "ca_cert": bao.authority.certificate, option: content}
    for name, written in files.items():
        if written is not None:
            (tmp_path / name).write_bytes(written)
    paths = {name: str(tmp_path / name) for name in files}
    with pytest.raises(Problem) as caught:
        log_in({"url": bao.url, "retries": 0, "auth_method": "cert", **paths})
    assert any(word in str(caught.value) for word in ("certificate", "TLS key"))
    if content is None:
        assert paths[option] in str(caught.value)


def test_login_to_sealed_server_is_retried(stub, no_waiting):
    stub.answers = [(503, {"errors": ["Vault is sealed"]}), LOGGED_IN]
    options = {"url": stub.url, "auth_method": "approle", "role_id": "r"}
    assert log_in(options).client.token == "s.fresh"
    assert len(stub.asked) == 2


def test_failed_token_revocation_warns(stub, at):
    stub.answers = [LOGGED_IN, (500, {"errors": ["no"]})]
    (warning,) = log_in({**at, "auth_method": "approle", "role_id": "r"}).log_out()
    assert "lives until it expires" in warning
    assert "s.fresh" not in warning


# -- on a real server ------------------------------------------------------------------------------------------------------


@pytest.fixture
def method_mount(bao):
    """A function that mounts an auth method for this test; gone with the tokens it gave when the test is over."""
    mounted = []

    def mount(method):
        path = f"{method}-{time.monotonic_ns()}"
        bao.request("POST", f"sys/auth/{path}", {"type": method})
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        bao.request("DELETE", f"sys/auth/{path}")


@pytest.fixture
def approle(bao, method_mount):
    path = method_mount("approle")
    everything = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
    bao.request("POST", "sys/policies/acl/everything", {"policy": everything})
    bao.request("POST", f"auth/{path}/role/app", {"token_policies": ["everything"], "token_ttl": "1h"})
    role_id = bao.request("GET", f"auth/{path}/role/app/role-id")["data"]["role_id"]
    secret_id = bao.request("POST", f"auth/{path}/role/app/secret-id", {})["data"]["secret_id"]
    return {"auth_method": "approle", "auth_mount": path, "role_id": role_id, "secret_id": secret_id, "token": None}


@pytest.fixture
def encoded_jwt():
    """A function that signs claims with a key of its own, and that key as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(**claims):
        now = int(time.time())
        return signed_token(key, {"iat": now - 10, "nbf": now - 10, "exp": now + 600, **claims})

    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sign, public.decode()


def accessors(bao):
    return set(bao.request("LIST", "auth/token/accessors")["data"]["keys"])


def works(bao, **options):
    """The login is good for a request, and its token is gone after the log-out."""
    before = accessors(bao)
    session = log_in({"url": bao.url, "ca_cert": str(bao.ca_cert), "retries": 0, **options})
    current = session.client.ask("get", "auth/token/lookup-self")["data"]
    assert current["path"].startswith(f"auth/{options['auth_mount']}/login")
    assert session.log_out() == []
    assert accessors(bao) - before == set()


def test_approle(bao, approle):
    works(bao, **approle)
    with pytest.raises(VaultError, match=r"(?i)invalid (role or )?secret id") as caught:
        works(bao, **{**approle, "secret_id": "not-the-secret"})
    assert "not-the-secret" not in str(caught.value)


def test_userpass(bao, method_mount):
    path = method_mount("userpass")
    bao.request("POST", f"auth/{path}/users/me", {"password": "p@ss/w:rd"})
    works(bao, auth_method="userpass", auth_mount=path, auth_username="me", auth_password="p@ss/w:rd")
    with pytest.raises(VaultError, match="invalid username or password"):
        works(bao, auth_method="userpass", auth_mount=path, auth_username="me", auth_password="another")


@pytest.mark.needs("ldap")
def test_ldap(bao, method_mount):
    path = method_mount("ldap")
    with Directory({"cn=me,ou=people,dc=example,dc=com": "p@ss/w:rd"}) as directory:
        where = {"url": directory.url, "userattr": "cn", "userdn": "ou=people,dc=example,dc=com"}
        bao.request("POST", f"auth/{path}/config", where)
        works(bao, auth_method="ldap", auth_mount=path, auth_username="me", auth_password="p@ss/w:rd")
        # Vault 1.13 refuses by an answer with nothing in it.
        with pytest.raises(Problem, match=r"ldap operation failed|without a token") as caught:
            works(bao, auth_method="ldap", auth_mount=path, auth_username="me", auth_password="not-the-password")
        assert "not-the-password" not in str(caught.value)


def test_jwt(bao, method_mount, encoded_jwt):
    sign, public = encoded_jwt
    path = method_mount("jwt")
    bao.request("POST", f"auth/{path}/config", {"jwt_validation_pubkeys": [public]})
    role = {"role_type": "jwt", "bound_audiences": ["vault"], "user_claim": "sub"}
    bao.request("POST", f"auth/{path}/role/app", role)
    works(bao, auth_method="jwt", auth_mount=path, auth_role="app", jwt=sign(sub="ci", aud="vault"))
    with pytest.raises(VaultError, match="audience"):
        works(bao, auth_method="jwt", auth_mount=path, auth_role="app", jwt=sign(sub="ci", aud="another"))


def test_cert(bao, method_mount, tmp_path):
    certificate, key = client_certificate()
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    path = method_mount("cert")
    bao.request("POST", f"auth/{path}/certs/web", {"certificate": certificate.decode()})
    files = {"client_cert": str(tmp_path / "cert.pem"), "client_key": str(tmp_path / "key.pem")}
    works(bao, auth_method="cert", auth_mount=path, **files)
    works(bao, auth_method="cert", auth_mount=path, auth_role="web", **files)
    (tmp_path / "both.pem").write_bytes(certificate + key)
    works(bao, auth_method="cert", auth_mount=path, client_cert=str(tmp_path / "both.pem"))


def client_certificate():
    """A certificate that signs itself, good for a client."""
    from datetime import datetime, timedelta, timezone

    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem), private


def test_login_at_missing_mount_is_explained(bao):
    with pytest.raises(VaultError, match="set auth_mount"):
        works(bao, auth_method="approle", auth_mount="nowhere", role_id="r", secret_id="hush-hush")


def test_task_without_lease_revokes_its_token(bao, real_vault, approle):
    run, before = Runner(real_vault), accessors(bao)
    run("database_engine", **approle)
    run("database_engine", check=True, **approle)
    run("database_engine_info", **approle)
    run("database_credentials", check=True, role="app", **approle)
    with pytest.raises(Problem):
        run("database_credentials", role="nobody", **approle)
    assert accessors(bao) - before == set()


def test_task_with_lease_keeps_its_token(bao, real_vault, approle):
    real_vault.add_mount().add_connection().add_role()
    before = accessors(bao)
    issued = Runner(real_vault)("database_credentials", role="app", **approle)["credentials"]
    assert len(accessors(bao) - before) == 1
    assert real_vault.database.opens(issued["password"], issued["username"])


# -- whose login it is ------------------------------------------------------------------------------------------------------

SAME = [
    ({"timeout": 30}, {"timeout": "30s"}),
    ({"timeout": "2m", "retries": 1}, {}),
    ({"url": "https://vault/"}, {}),
    ({"namespace": "root"}, {"namespace": None}),
    ({"namespace": "team-a/"}, {"namespace": "team-a"}),
    ({"token": " s.one\n"}, {"token": "s.one"}),
    ({"token": "s.one", "token_path": "/a"}, {"token": "s.one"}),
    ({"token_path": None}, {"token_path": "~/.vault-token"}),
    ({"proxies": "http://p:1"}, {"proxies": {"http": "http://p:1", "https": "http://p:1"}}),
    ({"tls_skip_verify": False}, {"validate_certs": True}),
    ({"auth_role": "of-no-meaning"}, {}),
    ({"auth_method": "approle", "role_id": "r"}, {"auth_method": "approle", "role_id": "r", "auth_mount": "/approle/"}),
]
DIFFERENT = [
    ({"url": "https://other"}, {}),
    ({"namespace": "team-a"}, {}),
    ({"token": "s.one"}, {"token": "s.two"}),
    ({"validate_certs": False}, {}),
    ({"auth_method": "approle", "role_id": "r"}, {"auth_method": "approle", "role_id": "s"}),
    ({"auth_method": "approle", "role_id": "r"}, {"auth_method": "approle", "role_id": "r", "auth_mount": "other"}),
]


def identity(options):
    return login_identity({"url": "https://vault", "auth_method": "token", **options})


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equivalent_options_share_a_login(one, other):
    assert identity(one) == identity(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_options_do_not_share_a_login(one, other):
    assert identity(one) != identity(other)


# -- what a crash leaves ---------------------------------------------------------------------------------------------------


def test_process_with_secrets_writes_no_core_file():
    """Only the soft limit: the hard one stays as it was, and may be 0 already."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard:
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    leave_no_core()
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, hard)
