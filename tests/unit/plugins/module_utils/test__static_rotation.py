# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.leasehold.vault.plugins.module_utils._operations.static_rotation import rotate_static_role
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import Session
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import VaultError

EARLIER, NOW = "2026-03-01T12:00:00Z", "2026-03-01T12:00:10Z"


class Client:
    """A server that refuses with these words, one after the other, and then rotates."""

    url = "https://vault"

    def __init__(self, *refusals):
        self.refusals, self.shown, self.asked = list(refusals), EARLIER, 0

    def read(self, path):
        return {"db_name": "db", "username": "u", "last_vault_rotation": self.shown}

    def ask(self, method, path, kind):
        self.asked += 1
        if self.refusals:
            given = self.refusals.pop(0)
            raise VaultError(f"Vault answered 500: {given}.", 500, given)
        self.shown = NOW


def rotate(client):
    return rotate_static_role(Session(client, False, []), {"mount": "database", "name": "fixed"}, False)


def test_concurrent_retry_of_server_is_followed_by_rotation():
    client = Client("duplicate item")
    assert rotate(client)["changed"]
    assert client.asked == 2


@pytest.mark.parametrize(("refusals", "asked"), [(["duplicate item"] * 2, 2), (["no connection"], 1)])
def test_what_did_not_rotate_is_an_error(refusals, asked):
    client = Client(*refusals)
    with pytest.raises(VaultError, match=refusals[0]):
        rotate(client)
    assert client.asked == asked
