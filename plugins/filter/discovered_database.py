# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rights of the present logins of a database, as the document that gives them to dynamic users."""

from __future__ import annotations

import textwrap
import typing as t

import yaml
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.adopted import _Dumper, _plain

Values = dict[str, t.Any]
WIDTH = 136


def discovered_database(found: Values, host: str = "", port: t.Any = None, sslmode: str = "") -> str:
    """YAML text with ``vault_databases``; comments at the end say what its groups do not express."""
    entry = {**found["entry"]}
    place = {"host": host, "port": port, "sslmode": sslmode}
    entry = {"name": entry.pop("name"), **{key: value for key, value in place.items() if value}, **entry}
    text = yaml.dump(
        _plain({"vault_databases": [entry]}), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000
    )
    lines = [*found["notes"]]
    for login, differences in found["differences"].items():
        lines.append(f"{login} has, and a user of its role has not: {'; '.join(differences)}.")
    for session in found["sessions"]:
        where = f" from {session['address']}" if session["address"] else ""
        application = f" as {session['application_name']}" if session["application_name"] else ""
        lines.append(f"Connected now: {session['user']}{application}{where} ({session['count']}).")
    return "---\n" + text + "".join(f"\n{_comment(line)}" for line in lines)


def _comment(line: str) -> str:
    """Names in it are somebody else's, and stay within the comment."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in line)
    return "".join(
        f"# {part}\n" for part in textwrap.wrap(plain, WIDTH, break_long_words=False, break_on_hyphens=False)
    )


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"discovered_database": discovered_database}
