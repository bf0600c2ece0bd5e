# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of a Kubernetes cluster as Vault's auth method asks: it issues service account tokens, and reviews them over TLS.

with Cluster() as cluster:
    jwt = cluster.token("production", "app")        # what a pod finds in its file
    cluster.url, cluster.ca_cert, cluster.reviewer  # what Vault is told
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import secrets
import ssl
import tempfile
import threading
import time
import typing as t
from pathlib import Path

from servers import HOST, Authority, write_private

if t.TYPE_CHECKING:
    from collections.abc import Sequence

REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"
DEFAULT_AUDIENCE = "https://kubernetes.default.svc.cluster.local"
Values = dict[str, t.Any]


class Cluster:
    """The API server.  Whom it does not know it refuses, as the real one does."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._authority = Authority("leasehold sandbox cluster CA")
        self.reviewer = self.token("vault", "vault-reviewer")
        self.may_review = ["system:serviceaccount:vault:vault-reviewer"]
        self.deleted: set[str] = set()
        """Service accounts that are gone; their tokens are, too."""
        self.reviews: list[Values] = []
        """What was asked, and answered."""

    @property
    def ca_cert(self) -> str:
        return self._authority.certificate.decode()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self._server.server_address[1]}"

    def token(
        self, namespace: str, account: str, audiences: Sequence[str] = (DEFAULT_AUDIENCE,), lives: int = 600
    ) -> str:
        """A service account token; `lives` may be over."""
        began = int(time.time()) - 10 + min(lives, 0)
        uid = f"uid-of-{namespace}-{account}"
        claims = {
            "iss": DEFAULT_AUDIENCE, "sub": f"system:serviceaccount:{namespace}:{account}", "aud": list(audiences),
            "iat": began, "nbf": began, "exp": int(time.time()) + lives, "jti": secrets.token_hex(8),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}},
        }  # fmt: skip
        return signed_token(self._key, claims)

    def __enter__(self) -> t.Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self._authority.issue()
        with tempfile.TemporaryDirectory() as place:
            context.load_cert_chain(
                write_private(Path(place) / "cert.pem", certificate), write_private(Path(place) / "key.pem", key)
            )
        self._server = http.server.ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_reason: object) -> None:
        self.go_down()

    def go_down(self) -> None:
        """Nobody answers any more."""
        self._server.shutdown()
        self._server.server_close()

    # -- what it answers -----------------------------------------------------------------------------------------------------

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        cluster = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                status, answer = cluster._answer(self.path, self.headers.get("Authorization") or "", asked)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: t.Any) -> None:
                pass

        return Handler

    def _answer(self, path: str, authorization: str, asked: Values) -> tuple[int, Values]:
        who, _why = self._known(authorization.removeprefix("Bearer "), ())
        if who is None:
            return _failure(401, "Unauthorized", "Unauthorized")
        if path != REVIEW:
            return _failure(404, "NotFound", "the server could not find the requested resource")
        if who["sub"] not in self.may_review:
            return _failure(403, "Forbidden", f'tokenreviews is forbidden: User "{who["sub"]}" cannot create resource')
        spec = asked["spec"]
        claims, why = self._known(spec["token"], spec.get("audiences") or ())
        review: Values = {**asked, "status": {"authenticated": False, "error": why, "user": {}}}
        if claims is not None:
            account = claims["kubernetes.io"]["serviceaccount"]
            user = {
                "username": claims["sub"],
                "uid": account["uid"],
                "groups": ["system:serviceaccounts", "system:authenticated"],
            }
            review["status"] = {
                "authenticated": True,
                "user": user,
                "audiences": spec.get("audiences") or claims["aud"],
            }
        self.reviews.append(review)
        return 201, review

    def _known(self, jwt: str, audiences: Sequence[str]) -> tuple[Values | None, str]:
        """The claims of a token of ours that is still good, or why it is none."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        signed, _dot, signature = jwt.rpartition(".")
        try:
            self._key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return None, "[invalid bearer token, square/go-jose: error in cryptographic primitive]"
        claims = json.loads(_decoded(signed.partition(".")[2]))
        if claims["exp"] < time.time():
            return None, "[invalid bearer token, service account token has expired]"
        if claims["sub"] in self.deleted:
            return None, "[invalid bearer token, Token has been invalidated]"
        if not set(claims["aud"]) & set(audiences or [DEFAULT_AUDIENCE]):
            return None, f"[invalid bearer token, token audiences {claims['aud']} is invalid for the target audiences]"
        return claims, ""


def signed_token(key: t.Any, claims: Values) -> str:
    """A JSON web token, signed with an RSA key."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    signed = b".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return (signed + b"." + _encoded(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


def _failure(code: int, reason: str, message: str) -> tuple[int, Values]:
    return code, {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code,
    }  # fmt: skip


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(text: str) -> bytes:
    with contextlib.suppress(ValueError):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return b""
