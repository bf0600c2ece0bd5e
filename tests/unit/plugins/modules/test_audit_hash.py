# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest


@pytest.mark.both
def test_hashes_keep_input_order_and_are_stable(vault, run):
    first = run.nothing("audit_hash", mount=None, device="main", inputs=["v-approle-app", "database/creds/app/x"])
    assert all(re.fullmatch(r"hmac-sha256:[0-9a-f]{64}", one) for one in first["hashes"])
    assert len(set(first["hashes"])) == 2
    again = run("audit_hash", mount=None, device="main/", inputs=["database/creds/app/x", "v-approle-app"])
    assert again["hashes"] == first["hashes"][::-1]


def test_unknown_device_fails_without_showing_input(vault, run):
    sentence = run.refused("audit_hash", mount=None, device="other", inputs=["a-token-of-somebody"])
    assert "sys/audit-hash/other" in sentence
    assert "unknown audit backend" in sentence
    assert "a-token-of-somebody" not in sentence
