#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Enable and configure an auth method."""

from __future__ import annotations

DOCUMENTATION = r"""
module: auth_mount
short_description: Enable and configure an auth method
description:
  - Makes sure that an auth method (C(sys/auth/<mount>)) is enabled, tuned and, for Kubernetes and JWT, configured (C(auth/<mount>/config)) as
    asked, or absent.
  - The server replaces the whole configuration of a method with each write. Here, an option that is left out keeps its value.
  - Disabling a method ends every token it gave, and with them the database users issued under them. While there are any, this is refused,
    unless O(revoke_leases=true).
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  type:
    description: Which method.
    type: str
    choices: [approle, kubernetes, jwt]
    required: true
  mount:
    description: Where it is mounted, without C(auth/) in front; the name of its O(type) if left out.
    type: str
  description:
    description: What people read about it.
    type: str
  default_lease_ttl:
    description: Life of a token whose role says nothing. Seconds, or V(90m), V(1h30m), V(2d); V(0) is the system's default.
    type: str
  max_lease_ttl:
    description: The most a token of this method can live. Forms as in O(default_lease_ttl).
    type: str
  token_type:
    description: Type of the tokens, where a role does not choose.
    type: str
    choices: [default-service, default-batch, service, batch]
  listing_visibility:
    description: Whether the method is shown to those who have not logged in.
    type: str
    choices: [hidden, unauth]
  audit_non_hmac_request_keys:
    description: Keys of requests that the audit log shows in clear.
    type: list
    elements: str
  audit_non_hmac_response_keys:
    description: Keys of answers that the audit log shows in clear.
    type: list
    elements: str
  passthrough_request_headers:
    description: Headers of requests that reach the method.
    type: list
    elements: str
  allowed_response_headers:
    description: Headers of answers that the method may set.
    type: list
    elements: str
  local:
    description: Do not replicate. Chosen when it is made.
    type: bool
  kubernetes_host:
    description: For O(type=kubernetes), the address of the cluster's API as Vault sees it. Needed to configure the method.
    type: str
  kubernetes_ca_cert:
    description: Certificates of the authority of the cluster's API, PEM. Left out, the server reads those of the pod it runs in.
    type: str
  token_reviewer_jwt:
    description:
      - Token with which Vault asks the cluster about others (it needs C(system:auth-delegator)). Left out, Vault uses its own pod's token, or the
        one that logs in.
      - The server never shows it. It is sent when the method is configured, when the server says that it has none, and whenever
        something else of the configuration changes, which the server would otherwise do without it.
      - HashiCorp Vault does not even say whether it has one, so that it is needed there for each change of the configuration. Empty means that
        there is none.
    type: str
  disable_local_ca_jwt:
    description: Do not fall back on the certificate and the token of the pod Vault runs in.
    type: bool
  pem_keys:
    description: Public keys, PEM, that verify a token's signature beside the review.
    type: list
    elements: str
  issuer:
    description: Issuer a token must have, where O(disable_iss_validation=false).
    type: str
  disable_iss_validation:
    description: Leave the issuer to the review of the cluster, which is the server's default.
    type: bool
  use_annotations_as_alias_metadata:
    description: Take over C(vault.hashicorp.com/alias-metadata-*) annotations of the service account. HashiCorp Vault 1.16 or newer; refused where it
      would be ignored.
    type: bool
  update_password:
    description: Whether O(token_reviewer_jwt) is sent when it may be needed (see there), or in every run.
    type: str
    choices: [on_create, always]
    default: on_create
  jwks_url:
    description: For O(type=jwt), where the keys that verify tokens are published. One of this, O(jwt_validation_pubkeys) and O(oidc_discovery_url).
    type: str
  jwks_ca_pem:
    description: Certificates to trust there, PEM; the server's system authorities if left out.
    type: str
  jwt_validation_pubkeys:
    description: For O(type=jwt), the public keys that verify tokens, PEM.
    type: list
    elements: str
  oidc_discovery_url:
    description: For O(type=jwt), the issuer's address without C(/.well-known), where Vault finds the keys.
    type: str
  oidc_discovery_ca_pem:
    description: Certificates to trust there, PEM.
    type: str
  bound_issuer:
    description: Issuer that a token must have.
    type: str
  jwt_supported_algs:
    description: Signing algorithms to accept, for instance V(RS256). Empty is the server's default.
    type: list
    elements: str
  default_role:
    description: The role of a login that names none.
    type: str
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state
  - leasehold.vault.state.leases
  - leasehold.vault.attributes
seealso:
  - module: leasehold.vault.auth_role
"""

EXAMPLES = r"""
- name: Let applications log in by AppRole
  leasehold.vault.auth_mount:
    type: approle

- name: Let pods log in with their service accounts
  leasehold.vault.auth_mount:
    type: kubernetes
    kubernetes_host: https://kubernetes.default.svc
    kubernetes_ca_cert: "{{ lookup('ansible.builtin.file', 'cluster-ca.pem') }}"
    token_reviewer_jwt: "{{ lookup('ansible.builtin.env', 'REVIEWER_JWT') }}"

- name: Let pipelines log in with their own tokens
  leasehold.vault.auth_mount:
    type: jwt
    mount: ci
    jwt_validation_pubkeys: ["{{ lookup('ansible.builtin.file', 'ci-public-key.pem') }}"]
    bound_issuer: https://ci.example.com
"""

RETURN = r"""
auth_mount:
  description: The mount with its configuration, as it now is (in a check run, as it would be); empty when absent. TTLs are seconds.
  returned: success
  type: dict
  sample:
    mount: kubernetes
    type: kubernetes
    description: ""
    default_lease_ttl: 0
    max_lease_ttl: 0
    token_type: default-service
    accessor: auth_kubernetes_6aa097aa
    kubernetes_host: https://kubernetes.default.svc
    token_reviewer_jwt_set: true
revoked_leases:
  description: How many tokens were revoked before the method was disabled.
  returned: when there were any
  type: int
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.auth_mounts import auth_mount

TASK = auth_mount()


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
