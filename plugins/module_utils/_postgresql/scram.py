# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""What PostgreSQL stores for a password (SCRAM-SHA-256), so that the password itself never travels; also as a filter, from stdin to stdout."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stringprep
import sys
import unicodedata

ITERATIONS = 4096


def prepared(password: str) -> str:
    """The normal form of a password outside ASCII (RFC 4013), which the client will use at login."""
    if password.isascii():
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in password if not stringprep.in_table_b1(char)
    )
    return unicodedata.normalize("NFKC", mapped)


def verifier(password: str) -> str:
    """``SCRAM-SHA-256$…``, with a salt of its own each time."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password).encode(), salt, ITERATIONS)
    stored_key = hashlib.sha256(hmac.new(salted, b"Client Key", hashlib.sha256).digest()).digest()
    server_key = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${ITERATIONS}:{salt64}${stored64}:{server64}"


if __name__ == "__main__":
    sys.stdout.write(verifier(sys.stdin.buffer.read().decode()))
