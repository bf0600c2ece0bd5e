# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._auth import Session
from ansible_collections.leasehold.vault.plugins.module_utils._client import VaultError
from ansible_collections.leasehold.vault.plugins.module_utils._static import rotate_static_role

EARLIER, NOW = "2026-03-01T12:00:00Z", "2026-03-01T12:00:10Z"


class Client:
    """A server that refuses, and shows these times of rotation one after the other."""

    url = "https://vault"

    def __init__(self, said, *shown):
        self.said, self.shown = said, list(shown)

    def read(self, path):
        return {"db_name": "db", "username": "u", "last_vault_rotation": self.shown.pop(0)}

    def ask(self, method, path, kind):
        raise VaultError(f"Vault answered 500: {self.said}.", 500, self.said)


def rotate(client):
    return rotate_static_role(Session(client, False, []), {"mount": "database", "name": "fixed"}, False)


def test_a_retry_of_the_server_at_the_same_moment_is_a_rotation():
    assert rotate(Client("duplicate item", EARLIER, NOW))["changed"]


@pytest.mark.parametrize(("said", "shown"), [("duplicate item", EARLIER), ("no connection", NOW)])
def test_what_did_not_rotate_is_an_error(said, shown):
    with pytest.raises(VaultError, match=said):
        rotate(Client(said, EARLIER, shown))
