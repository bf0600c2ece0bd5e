# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""E. The page of the role lease_report and its data: how long writing takes, and how big they are."""

from __future__ import annotations

import json

from ground import Ground, Size, Values, say, summary


def gathered(leases: int) -> Values:
    """What the info modules would read of a mount with so many leases; each fiftieth cannot be revoked."""
    return {
        "mount": "database", "connections": [], "static_roles": [],
        "roles": [{"name": f"role-{number}", "db_name": "db", "default_ttl": 3600, "max_ttl": 86400} for number in range(12)],
        "leases": [
            {
                "lease_id": f"database/creds/role-{number % 12}/{number:024}", "role": f"role-{number % 12}", "ttl": 1, "age": 1,
                "issued_at": "2026-01-31T11:00:00Z", "expires_at": f"2026-01-31T{12 + number % 12}:{number % 60:02}:00Z",
                "renewable": True, "overdue": number % 50 == 0, "irrevocable": number % 50 == 0,
                "error": f'role "v-token-role-{number:020}-1795304493" cannot be dropped (SQLSTATE 2BP01)' if number % 50 == 0 else "",
            }
            for number in range(leases)
        ],
    }  # fmt: skip


def measure(ground: Ground, size: Size) -> Values:
    rows = []
    for leases in (100, 10_000):
        source, page, data = (ground.directory / f"{leases}.{ending}" for ending in ("source", "html", "json"))
        source.write_text(json.dumps(gathered(leases)))
        read = {
            "__lease_report_gathered": f"{{{{ lookup('ansible.builtin.file', '{source}') | from_json }}}}",
            "lease_report_dest": str(page),
        }
        write = {
            "ansible.builtin.include_role": {"name": "leasehold.vault.lease_report", "tasks_from": "write"},
            "vars": read,
        }
        count = {"ansible.builtin.debug": {"msg": "{{ __lease_report_gathered.leases | length }}"}, "vars": read}
        samples = []
        for number in range(1, size.repeats + 1):
            say(f"E  the page of {leases} leases, round {number} of {size.repeats}")
            page.unlink(missing_ok=True)
            data.unlink(missing_ok=True)
            samples.append(ground.play([write]).seconds - ground.play([count]).seconds)
        sizes = {"bytes": page.stat().st_size, "data": data.stat().st_size}
        rows.append({"leases": leases, "write": summary(samples), **sizes})
    return {"pages": rows}
