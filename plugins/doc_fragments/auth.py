# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to log in."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  auth_method:
    description:
      - 'How to log in. V(none) sends no token, for an agent''s listener that adds one.'
      - 'Environment: E(VAULT_AUTH_METHOD).'
      - 'Variable: C(leasehold_auth_method), C(ansible_hashi_vault_auth_method).'
    type: str
    choices: [token, approle, kubernetes, jwt, userpass, ldap, cert, none]
    default: token
  auth_mount:
    description:
      - 'Where the auth method is mounted; the name of O(auth_method) if left out.'
      - 'Environment: E(VAULT_AUTH_MOUNT), E(VAULT_APPROLE_PATH).'
      - 'Variable: C(leasehold_auth_mount), C(ansible_hashi_vault_mount_point).'
    type: str
    aliases: [vault_approle_path, mount_point]
  token:
    description:
      - 'Token for O(auth_method=token).'
      - 'Environment: E(VAULT_TOKEN), E(BAO_TOKEN).'
      - 'Variable: C(leasehold_token), C(ansible_hashi_vault_token).'
    type: str
  token_path:
    description:
      - 'File to read the token from when O(token) is not given; C(~/.vault-token) if left out.'
      - 'Environment: E(VAULT_TOKEN_PATH).'
      - 'Variable: C(leasehold_token_path).'
    type: path
  role_id:
    description:
      - 'Role id for O(auth_method=approle).'
      - 'Environment: E(VAULT_APPROLE_ROLE_ID), E(VAULT_ROLE_ID).'
      - 'Variable: C(leasehold_role_id), C(ansible_hashi_vault_role_id).'
    type: str
    aliases: [approle_role_id]
  secret_id:
    description:
      - 'Secret id for O(auth_method=approle).'
      - 'Environment: E(VAULT_APPROLE_SECRET_ID), E(VAULT_SECRET_ID).'
      - 'Variable: C(leasehold_secret_id), C(ansible_hashi_vault_secret_id).'
    type: str
    aliases: [approle_secret_id]
  auth_role:
    description:
      - 'Name of the auth role, for O(auth_method=kubernetes), O(auth_method=jwt) and optionally O(auth_method=cert).'
      - 'Environment: E(VAULT_AUTH_ROLE).'
      - 'Variable: C(leasehold_auth_role).'
    type: str
  jwt:
    description:
      - 'JSON web token for O(auth_method=jwt) and O(auth_method=kubernetes).'
      - 'Environment: E(VAULT_JWT).'
      - 'Variable: C(leasehold_jwt), C(ansible_hashi_vault_jwt).'
    type: str
  jwt_path:
    description:
      - 'File with the JSON web token; for O(auth_method=kubernetes) the pod''s own service account token if left out.'
      - 'Environment: E(VAULT_JWT_PATH).'
      - 'Variable: C(leasehold_jwt_path).'
    type: path
    aliases: [kubernetes_token_path]
  auth_username:
    description:
      - 'User name for O(auth_method=userpass) and O(auth_method=ldap).'
      - 'Environment: E(VAULT_AUTH_USERNAME).'
      - 'Variable: C(leasehold_auth_username), C(ansible_hashi_vault_username).'
    type: str
  auth_password:
    description:
      - 'Password for O(auth_method=userpass) and O(auth_method=ldap).'
      - 'Environment: E(VAULT_AUTH_PASSWORD).'
      - 'Variable: C(leasehold_auth_password), C(ansible_hashi_vault_password).'
    type: str
notes:
  - 'A token needs no more rights than C(docs/policies.md) of this collection lists for the plugin.'
"""

    PLUGINS = r"""
options:
  auth_method:
    env:
      - name: VAULT_AUTH_METHOD
    ini:
      - section: leasehold_vault
        key: auth_method
    vars:
      - name: ansible_hashi_vault_auth_method
      - name: leasehold_auth_method
  auth_mount:
    env:
      - name: VAULT_APPROLE_PATH
      - name: VAULT_AUTH_MOUNT
    ini:
      - section: leasehold_vault
        key: auth_mount
    vars:
      - name: ansible_hashi_vault_mount_point
      - name: leasehold_auth_mount
  token:
    env:
      - name: BAO_TOKEN
      - name: VAULT_TOKEN
    vars:
      - name: ansible_hashi_vault_token
      - name: leasehold_token
  token_path:
    env:
      - name: VAULT_TOKEN_PATH
    ini:
      - section: leasehold_vault
        key: token_path
    vars:
      - name: leasehold_token_path
  role_id:
    env:
      - name: VAULT_ROLE_ID
      - name: VAULT_APPROLE_ROLE_ID
    ini:
      - section: leasehold_vault
        key: role_id
    vars:
      - name: ansible_hashi_vault_role_id
      - name: leasehold_role_id
  secret_id:
    env:
      - name: VAULT_SECRET_ID
      - name: VAULT_APPROLE_SECRET_ID
    vars:
      - name: ansible_hashi_vault_secret_id
      - name: leasehold_secret_id
  auth_role:
    env:
      - name: VAULT_AUTH_ROLE
    ini:
      - section: leasehold_vault
        key: auth_role
    vars:
      - name: leasehold_auth_role
  jwt:
    env:
      - name: VAULT_JWT
    vars:
      - name: ansible_hashi_vault_jwt
      - name: leasehold_jwt
  jwt_path:
    env:
      - name: VAULT_JWT_PATH
    ini:
      - section: leasehold_vault
        key: jwt_path
    vars:
      - name: leasehold_jwt_path
  auth_username:
    env:
      - name: VAULT_AUTH_USERNAME
    ini:
      - section: leasehold_vault
        key: auth_username
    vars:
      - name: ansible_hashi_vault_username
      - name: leasehold_auth_username
  auth_password:
    env:
      - name: VAULT_AUTH_PASSWORD
    vars:
      - name: ansible_hashi_vault_password
      - name: leasehold_auth_password
"""
