# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of a controller, GitHub and GitLab log in by the token of their platform, and jobs of others do not.

The issuer is an OpenID provider of the tests (discovery and keys over TLS) that puts the published claims into its tokens.
"""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading
import time
import typing as t
import urllib.error

import pytest
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.access import access_document
from cluster import signed_token
from cryptography.hazmat.primitives.asymmetric import rsa
from servers import HOST, Authority, write_private

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import servers

MOUNT, AUDIENCE = "automation-jwt", "https://vault.example.com:8200"
APPLICATIONS = {
    "controller": {"organization": "Default", "job_template": "Deploy"},
    "github": {"repository": "example/databases", "branch": "main"},
    "gitlab": {"project": "example/databases", "branch": "main", "protected": "true"},
}
CLAIMS = {
    "controller": {
        "sub": "workload_type:aap_controller_automation_job:organization:Default:job_template:Deploy",
        "aap_controller_job_id": "42",
        "aap_controller_launched_by_name": "alice",
        "aap_controller_organization_name": "Default",
        "aap_controller_job_template_name": "Deploy",
    },
    "github": {
        "sub": "repo:example/databases:ref:refs/heads/main",
        "repository": "example/databases",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "run_id": "42",
        "workflow": "Deploy",
        "actor": "alice",
    },
    "gitlab": {
        "sub": "project_path:example/databases:ref_type:branch:ref:main",
        "project_path": "example/databases",
        "ref": "main",
        "ref_type": "branch",
        "ref_protected": "true",
        "job_id": "42",
        "user_login": "alice",
    },
}


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


class Issuer:
    def __init__(self, directory: Path) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.authority = Authority("automation's authority")
        numbers, issuer = self.key.public_key().public_numbers(), self
        jwk = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": _number(numbers.n), "e": _number(numbers.e)}

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = issuer.url
                answers = {
                    "/o/.well-known/openid-configuration": {"issuer": url, "jwks_uri": f"{url}/keys"},
                    "/o/keys": {"keys": [jwk]},
                }
                self.send_response(200 if self.path in answers else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answers.get(self.path, {})).encode())

            def log_message(self, *_words: t.Any) -> None:
                pass

        certificate, key = self.authority.issue(names=(HOST,))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(write_private(directory / "crt", certificate), write_private(directory / "key", key))
        self.server = http.server.ThreadingHTTPServer((HOST, 0), Answer)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://{HOST}:{self.server.server_port}/o"

    def token(self, platform: str, key: t.Any = None, **claims: t.Any) -> str:
        now = int(time.time())
        body = {"iss": self.url, "aud": AUDIENCE, "iat": now - 10, "nbf": now - 10, "exp": now + 300}
        return signed_token(key or self.key, {**body, **CLAIMS[platform], **claims})


@pytest.fixture(scope="module")
def issuer(bao: servers.OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """With an application for each platform, as the filter of the role app_access writes them."""
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    threading.Thread(target=issuer.server.serve_forever, daemon=True).start()
    bao.request("POST", f"sys/auth/{MOUNT}", {"type": "jwt"})
    ca_pem = issuer.authority.certificate.decode()
    # Without bound_issuer OpenBao takes a token with another iss, as long as the key is the issuer's.
    config = {"oidc_discovery_url": issuer.url, "oidc_discovery_ca_pem": ca_pem, "bound_issuer": issuer.url}
    bao.request("POST", f"auth/{MOUNT}/config", config)
    entries = [
        {
            "name": platform,
            "roles": ["app-role"],
            "auth": {"automation": {"platform": platform, "mount": MOUNT, "audience": AUDIENCE, **words}},
        }
        for platform, words in APPLICATIONS.items()
    ]
    for answer in access_document(entries, [{"name": "db", "roles": {"app-role": {"max_ttl": "1h"}}}]):
        (role,) = answer["auth_roles"]
        options = {
            "role_type": "jwt",
            **{key: value for key, value in role.items() if key not in ("mount", "name", "type")},
        }
        bao.request("POST", f"auth/{MOUNT}/role/{role['name']}", options)
        bao.request("POST", f"sys/policies/acl/{answer['policy']['name']}", {"policy": answer["policy"]["policy"]})
    yield issuer
    bao.request("DELETE", f"sys/auth/{MOUNT}")
    issuer.server.shutdown()


def log_in(bao: servers.OpenBao, platform: str, jwt: str) -> str:
    answer = bao.request("POST", f"auth/{MOUNT}/login", {"role": platform, "jwt": jwt}, token="")
    return str(answer["auth"]["client_token"])


def refusal(bao: servers.OpenBao, platform: str, jwt: str) -> str:
    with pytest.raises(urllib.error.HTTPError) as caught:
        log_in(bao, platform, jwt)
    assert caught.value.code in (400, 403)
    return caught.value.read().decode()


@pytest.mark.parametrize("platform", APPLICATIONS)
def test_job_logs_in_and_is_known_by_its_number_and_who_started_it(
    platform: str, bao: servers.OpenBao, issuer: Issuer
) -> None:
    token = log_in(bao, platform, issuer.token(platform))
    known = bao.request("GET", "auth/token/lookup-self", token=token)["data"]
    assert (known["meta"]["job"], known["meta"]["started_by"]) == ("42", "alice")
    assert known["policies"] == [platform]
    assert known["id"] == token, "what a controller's lookup of auth/token/lookup-self, key id, hands to the job"


@pytest.mark.parametrize(
    ("platform", "claims", "words"),
    [
        ("controller", {"aap_controller_job_template_name": "Other"}, "aap_controller_job_template_name"),
        ("controller", {"aap_controller_organization_name": "Other"}, "aap_controller_organization_name"),
        ("controller", {"aud": "https://other.example.com"}, "aud"),
        ("controller", {"exp": 1700000000, "iat": 1699999000, "nbf": 1699999000}, "exp"),
        ("controller", {"iss": "https://other.example.com/o"}, "iss"),
        ("github", {"ref": "refs/heads/other"}, "ref"),
        ("github", {"ref": "refs/pull/1/merge"}, "ref"),
        ("github", {"repository": "example/fork"}, "repository"),
        ("github", {"aud": "https://github.com/example"}, "aud"),
        ("gitlab", {"ref": "other"}, "ref"),
        ("gitlab", {"ref_type": "tag"}, "ref_type"),
        ("gitlab", {"ref_protected": "false"}, "ref_protected"),
        ("gitlab", {"project_path": "example/fork"}, "project_path"),
    ],
)
def test_job_of_others_is_refused(
    platform: str, claims: dict[str, t.Any], words: str, bao: servers.OpenBao, issuer: Issuer
) -> None:
    assert words in refusal(bao, platform, issuer.token(platform, **claims))


def test_token_of_another_platform_or_key_is_refused(bao: servers.OpenBao, issuer: Issuer) -> None:
    assert "claim" in refusal(bao, "controller", issuer.token("github"))
    forged = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "signature" in refusal(bao, "controller", issuer.token("controller", key=forged))
