# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection: it may change without notice.

"""The kinds of field: ``text``, ``duration``, ``statements``, ``secret``, ….  What a kind means for comparing, sending and refusing is decided here."""

from __future__ import annotations

import stringprep
import typing as t
import unicodedata

from ansible_collections.leasehold.vault.plugins.module_utils._core import statements as _statements
from ansible_collections.leasehold.vault.plugins.module_utils._core.names import mount_path
from ansible_collections.leasehold.vault.plugins.module_utils._core.reconcile import Field
from ansible_collections.leasehold.vault.plugins.module_utils._core.times import seconds


def text(option: str, **more: t.Any) -> Field:
    return Field(option, normalize=str, **more)


def number(option: str, **more: t.Any) -> Field:
    return Field(option, type="int", normalize=int, **more)


def flag(option: str, **more: t.Any) -> Field:
    return Field(option, type="bool", normalize=_boolean, **more)


def duration(option: str, **more: t.Any) -> Field:
    """``90m``, ``1h30m``, ``"5400"`` and 5400 are one value; 0 means the server's own default."""
    return Field(option, normalize=seconds, default=0, **more)


def statements(option: str, **more: t.Any) -> Field:
    """SQL, in order.  One string is one statement list of one: Ansible's list type would cut it at its commas."""
    return Field(option, type="raw", normalize=_statements.readable, encode=_statements.sendable, default=[], **more)


def names(option: str, **more: t.Any) -> Field:
    """A set: order and repetition mean nothing."""
    more["spec"] = {"elements": "str", **more.get("spec", {})}
    return Field(option, type="list", normalize=_name_set, default=[], **more)


def secret(option: str, **more: t.Any) -> Field:
    more["spec"] = {"no_log": True, **more.get("spec", {})}
    return Field(option, storage="write_only", **more)


def password(option: str, **more: t.Any) -> Field:
    """A secret that is a password in PostgreSQL."""
    return secret(option, normalize=postgresql_password, **more)


def switch(option: str, **more: t.Any) -> Field:
    """Of one request; ``sign`` is where some servers show the last one."""
    return Field(option, type="bool", storage="transient", **more)


def fact(option: str, *read: str, normalize: t.Callable[[t.Any], t.Any] = str) -> Field:
    return Field(option, storage="read_only", read=read or (option,), normalize=normalize)


def postgresql_password(value: t.Any) -> str:
    """Text that is one password for all who handle it.

    PostgreSQL and libpq bring it into the form of SASLprep (NFKC, RFC 4013), Vault's driver into that of OpaqueString (NFC, RFC 8265), and
    each leaves it as it is where its form does not allow a character.
    """
    given = str(value)
    if given.isascii():
        return given
    spaced = "".join(" " if stringprep.in_table_c12(char) else char for char in given)
    saslprep = unicodedata.normalize("NFKC", "".join(char for char in spaced if not stringprep.in_table_b1(char)))
    forms = {unicodedata.normalize("NFC", spaced), given if any(map(_not_in_saslprep, saslprep)) else saslprep}
    if any(unicodedata.category(char).startswith("C") for char in given):
        forms.add(given)
    if len(forms) > 1:
        raise ValueError(
            "PostgreSQL and Vault would not agree on this password, because the Unicode normal forms that they compare (NFKC and NFC) differ, as "
            "with a half sign, a ligature or a zero-width space. Choose another one; letters, digits and signs of ASCII always work"
        )
    return given


def _not_in_saslprep(char: str) -> bool:
    """Prohibited or unassigned there; texts that mix directions are left out, both forms take them as they are."""
    tables = (stringprep.in_table_a1, stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3)
    more = (stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7)
    return any(within(char) for within in (*tables, *more, stringprep.in_table_c8, stringprep.in_table_c9))


def _boolean(value: t.Any) -> bool:
    given = str(value).strip().lower()
    if given in ("true", "yes", "on", "1"):
        return True
    if given in ("false", "no", "off", "0", ""):
        return False
    raise ValueError(f"{value!r} is neither true nor false")


def _name_set(value: t.Any) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    return sorted({str(item).strip() for item in items} - {""})


MOUNT = Field(
    "mount",
    normalize=mount_path,
    spec={
        "default": "database",
        "aliases": ["database_mount_path", "vault_database_mount_path", "mount_path", "engine_mount_point"],
    },
)
