#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manage auth method roles."""

from __future__ import annotations

DOCUMENTATION = r"""
module: auth_role
short_description: Manage auth method roles
description:
  - Makes sure that a role of an auth method (C(auth/<mount>/role/<name>)) is as asked, or absent.
  - An option of another O(type) is refused; Vault would take and ignore it. So is what contradicts itself and would silently be cut when
    somebody logs in.
  - Everything that is issued under a token ends with it. A token that shall read database credentials must outlive them; give it a
    O(token_period) as long as the longest lease.
  - Tokens that were given before a role is deleted live to their end; they can no longer be renewed. The secret ids of an AppRole end with
    it.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.0.0
options:
  type:
    description: The type of the auth method.
    type: str
    choices: [approle, kubernetes, jwt]
    required: true
  mount:
    description: Where the method is mounted, without C(auth/) in front; the name of its O(type) if left out.
    type: str
  name:
    description: Name of the role. Vault keeps it in lower case.
    type: str
    required: true
    aliases: [role_name]
  token_policies:
    description: Policies of the token.
    type: list
    elements: str
    aliases: [policies]
  token_no_default_policy:
    description: Leave out the policy V(default), which every token has otherwise.
    type: bool
  token_ttl:
    description: How long a token lives before it has to be renewed. Seconds, or V(90m), V(1h30m), V(2d); V(0) is the mount's default.
    type: str
  token_max_ttl:
    description: The most a token can live, renewals included. Forms as in O(token_ttl).
    type: str
  token_explicit_max_ttl:
    description: A hard end, which also stops a periodic token. Forms as in O(token_ttl).
    type: str
  token_period:
    description: Makes the token periodic. It lives that long after each renewal, without end. Takes the place of O(token_ttl). Forms as in O(token_ttl).
    type: str
  token_type:
    description: V(batch) tokens are not stored, cannot be renewed or revoked, and cut every lease to their own rest.
    type: str
    choices: [default, service, batch, default-service, default-batch]
  token_num_uses:
    description: How often a token can be used; V(0) is without limit. When the uses are over, what was issued under it ends.
    type: int
  token_bound_cidrs:
    description: Addresses and networks from which the token can be got and used.
    type: list
    elements: str
  token_strictly_bind_ip:
    description: The token can be used only from the address that logged in. OpenBao; refused where it would be ignored.
    type: bool
  bind_secret_id:
    description: For O(type=approle), whether the login needs a secret id beside the role id, which is the default.
    type: bool
  secret_id_ttl:
    description: For O(type=approle), how long a secret id is good; V(0) is without end. Forms as in O(token_ttl).
    type: str
  secret_id_num_uses:
    description: For O(type=approle), how many logins a secret id is good for; V(0) is without limit.
    type: int
  secret_id_bound_cidrs:
    description: For O(type=approle), addresses and networks from which a secret id can be used.
    type: list
    elements: str
  local_secret_ids:
    description: For O(type=approle), keep secret ids to this cluster. Chosen when the role is made.
    type: bool
  bound_service_account_names:
    description: For O(type=kubernetes), the service accounts that may log in; V(*) is any. Needed when the role is made.
    type: list
    elements: str
  bound_service_account_namespaces:
    description: For O(type=kubernetes), their namespaces; V(*) is any.
    type: list
    elements: str
  bound_service_account_namespace_selector:
    description:
      - For O(type=kubernetes), a label selector for namespaces, as JSON or YAML text. OpenBao and HashiCorp Vault 1.16 or newer; refused where it would be
        ignored.
    type: str
  audience:
    description:
      - For O(type=kubernetes), the audience the service account's token must have. Give one to every role - HashiCorp Vault 1.20 and newer warns where it is
        missing, and means to require it.
    type: str
  alias_name_source:
    description: For O(type=kubernetes), what identifies the one who logs in.
    type: str
    choices: [serviceaccount_uid, serviceaccount_name]
  user_claim:
    description: For O(type=jwt), the claim that identifies the one who logs in. Needed when the role is made.
    type: str
  user_claim_json_pointer:
    description: For O(type=jwt), whether O(user_claim) is a JSON pointer.
    type: bool
  groups_claim:
    description: For O(type=jwt), the claim that lists groups.
    type: str
  bound_audiences:
    description: For O(type=jwt), the audiences of which the token must have one.
    type: list
    elements: str
  bound_subject:
    description: For O(type=jwt), the C(sub) the token must have.
    type: str
  bound_claims:
    description: For O(type=jwt), claims and the values of which each must have one.
    type: dict
  bound_claims_type:
    description: For O(type=jwt), whether the values in O(bound_claims) may hold C(*).
    type: str
    choices: [string, glob]
  claim_mappings:
    description: For O(type=jwt), claims to keep as metadata of the token, and under which names.
    type: dict
  clock_skew_leeway:
    description: For O(type=jwt), seconds by which clocks may differ; V(0) is the server's default, V(-1) none.
    type: str
  expiration_leeway:
    description: For O(type=jwt), seconds that a token may be over its end. Forms as in O(clock_skew_leeway).
    type: str
  not_before_leeway:
    description: For O(type=jwt), seconds that a token may be before its time. Forms as in O(clock_skew_leeway).
    type: str
extends_documentation_fragment:
  - leasehold.vault.connection
  - leasehold.vault.auth
  - leasehold.vault.state
  - leasehold.vault.state.validated
  - leasehold.vault.attributes
seealso:
  - module: leasehold.vault.auth_mount
  - module: leasehold.vault.acl_policy
  - module: leasehold.vault.approle_secret_id
"""

EXAMPLES = r"""
- name: Let the application log in by AppRole
  leasehold.vault.auth_role:
    type: approle
    name: app
    token_policies: [app]
    token_period: 25h
    secret_id_ttl: 30d

- name: Let its pods log in with their service account
  leasehold.vault.auth_role:
    type: kubernetes
    name: app
    bound_service_account_names: [app]
    bound_service_account_namespaces: [production]
    audience: vault # as the pods' projected token has it
    token_policies: [app]
    token_period: 25h

- name: Let its pipeline log in with the pipeline's token
  leasehold.vault.auth_role:
    type: jwt
    mount: ci
    name: app-deploy
    user_claim: sub
    bound_audiences: [vault]
    bound_claims: {ref: refs/heads/main}
    token_policies: [app]
    token_type: batch
    token_ttl: 15m
"""

RETURN = r"""
auth_role:
  description:
    - The role as it now is (in a check run, as it would be); empty when absent. TTLs are seconds.
    - For O(type=approle) with its C(role_id), the half of the login that is no secret.
  returned: success
  type: dict
  sample:
    type: approle
    mount: approle
    name: app
    role_id: 6ec184ff-419a-48b2-7f83-76773a8db046
    bind_secret_id: true
    secret_id_ttl: 2592000
    secret_id_num_uses: 0
    token_policies: [app]
    token_period: 90000
    token_ttl: 0
    token_max_ttl: 0
    token_type: default
"""

from ansible_collections.leasehold.vault.plugins.module_utils._operations.auth_roles import auth_role

TASK = auth_role()


def main() -> None:
    TASK.as_module()


if __name__ == "__main__":
    main()
