# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the documentation, made again: `python tests/tools/pictures.py badges|demo|report`, in the environment that `./test` makes.

badges  what the collection runs on, read from the files that say so
demo    a run of ./demo as it is printed
report  the page of ten thousand leases in a real browser; all of it
"""

from __future__ import annotations

import datetime
import html
import json
import random
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import matrix  # and with it the way to sandbox/
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from browser import Browser

DOCS = ROOT / "docs"

# ------------------------------------------------------------------------------------------------------------ badges


def span(versions: t.Sequence[t.Any]) -> str:
    return f"{versions[0]} – {versions[-1]}"


def facts() -> dict[str, str]:
    """What each badge says."""
    galaxy, runtime = (yaml.safe_load((ROOT / name).read_text()) for name in ("galaxy.yml", "meta/runtime.yml"))
    oldest = min(matrix.CORES, key=matrix.version)
    if runtime["requires_ansible"] != f">={oldest}.0":
        raise SystemExit("meta/runtime.yml and tests/tools/matrix.py differ about the oldest ansible-core")
    return {
        "version": galaxy["version"],
        "ansible-core": span(sorted(matrix.CORES, key=matrix.version)),
        "OpenBao": span([found.rpartition(".")[0] for found in matrix.OPENBAOS]),
        "PostgreSQL": span(matrix.POSTGRESQLS),
        "licence": " AND ".join(galaxy["license"]),
    }


def badge(label: str, value: str) -> str:
    left, right = (round(6.4 * len(word)) + 12 for word in (label, value))
    texts = "".join(
        f'<text x="{x}" y="14" textLength="{width - 12}">{html.escape(word)}</text>'
        for x, width, word in ((6, left, label), (left + 6, right, value))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{label}: {value}">'
        f'<rect width="{left + right}" height="20" rx="3" fill="#2a5f9e"/><path fill="#4a4f57" d="M3 0h{left - 3}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z"/>'
        f'<g fill="#fff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11">{texts}</g></svg>\n'
    )


def badges() -> dict[str, str]:
    return {f"{label.lower()}.svg": badge(label, value) for label, value in facts().items()}


# -------------------------------------------------------------------------------------------------------------- demo

GLYPH, LINE, EDGE = 7.8, 20, 20


def terminal(text: str) -> str:
    """What was printed, as a window.  Dark in itself, so that it can be read on a page of any colour."""
    lines = text.rstrip().splitlines()
    width, height = (round(GLYPH * max(map(len, lines))) + 2 * EDGE, LINE * len(lines) + 2 * EDGE + 14)
    rows = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        bare = line.lstrip()
        kind = "prompt" if line.startswith("$ ") else "title" if bare == line else "text"
        rows.append(
            f'<text class="{kind}" x="{EDGE + GLYPH * (len(line) - len(bare)):.1f}" y="{EDGE + 28 + LINE * number}"'
            f' textLength="{GLYPH * len(bare):.1f}" lengthAdjust="spacingAndGlyphs">{html.escape(bare, quote=False)}</text>'
        )
    dots = "".join(f'<circle cx="{x}" cy="16" r="5" fill="#4a4f57"/>' for x in (20, 38, 56))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="A run of ./demo">\n'
        "<style>text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre }"
        " .text { fill: #d5dae1 } .title { fill: #fff; font-weight: 600 } .prompt { fill: #7ee2a0 }</style>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#1b1f27" stroke="#4a4f57"/>{dots}\n'
        + "\n".join(rows)
        + "\n</svg>\n"
    )


def demo() -> str:
    done = subprocess.run([ROOT / "demo"], stdout=subprocess.PIPE, text=True, check=True)
    return terminal(f"$ ./demo\n{done.stdout}")


# ------------------------------------------------------------------------------------------------------------ report

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)
ROLES = {"app-role": 6117, "analytics-role": 2126, "worker": 1210, "migrations": 547}


def timestamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def gathered() -> dict[str, t.Any]:
    """What the info modules would read of a mount in use."""
    chance = random.Random(1)  # noqa: S311
    leases = []
    for role, count in ROLES.items():
        for number in range(count):
            failed = role == "worker" and number < 22
            begun = NOW - datetime.timedelta(minutes=chance.randrange(1440))
            ends = NOW + datetime.timedelta(minutes=-30 if failed else abs(chance.gauss(0, 240)))
            error = (
                f'out of retries: failed to revoke entry: ERROR: role "v-approle-worker-{number:020}-1769860000" cannot be dropped'
                " because some objects depend on it (SQLSTATE 2BP01)"
            )
            leases.append(
                {
                    "lease_id": f"database/creds/{role}/{number:024}", "role": role, "ttl": 1, "age": 1, "renewable": True,
                    "issued_at": timestamp(begun), "expires_at": timestamp(ends), "overdue": failed, "irrevocable": failed, "error": error if failed else "",
                }
            )  # fmt: skip
    return {
        "mount": "database", "url": "https://vault.example.com:8200", "leases": leases,
        "roles": [{"name": role, "db_name": "production-db", "default_ttl": 3600, "max_ttl": 86400} for role in ROLES],
        "connections": [{"name": "production-db", "root_rotated_at": "2026-01-19T12:00:00Z"}],
        "static_roles": [{"name": "reports", "username": "reports_user", "rotation_period": 86400, "last_vault_rotation": "2026-01-31T10:00:00Z"}],
        "orphans": [
            {
                "username": "v-approle-worker-5qg0Zt8kq2mWc1Xb9LrT-1769774400", "certainty": "expired_and_leaseless", "sessions": 0,
                "valid_until": "2026-01-30T13:00:00Z", "why": "It has expired and has no lease.", "role": "worker", "database": "appdb",
            }
        ],
        "auth_roles": [{"type": "approle", "mount": "approle", "name": "worker", "token_policies": ["worker"], "token_ttl": 1200, "token_max_ttl": 3600}],
        "policies": [{"name": "worker", "policy": 'path "database/creds/worker" { capabilities = ["read"] }'}],
        "drift": [{"kind": "roles", "name": "worker", "action": "update"}],
    }  # fmt: skip


def report() -> None:
    with tempfile.TemporaryDirectory(prefix="leasehold-") as name:
        place = Path(name)
        source, play, page = place / "gathered.json", place / "play.yml", place / "report.html"
        source.write_text(json.dumps({"__lease_report_gathered": gathered()}))
        play.write_text(
            "- hosts: localhost\n  gather_facts: false\n  tasks:\n"
            "    - ansible.builtin.include_role: {name: leasehold.vault.lease_report, tasks_from: write}\n"
        )
        options = {"lease_report_dest": str(page), "__lease_report_moment": timestamp(NOW)}
        subprocess.run(["ansible-playbook", play, "-e", f"@{source}", "-e", json.dumps(options)], check=True)
        Browser().picture(page, DOCS / "report.png", width=900, height=1900)


def main() -> None:
    wanted = sys.argv[1:] or ["badges", "demo", "report"]
    if "badges" in wanted:
        (DOCS / "badges").mkdir(exist_ok=True)
        for name, picture in badges().items():
            (DOCS / "badges" / name).write_text(picture, encoding="utf-8")
    if "demo" in wanted:
        (DOCS / "demo.svg").write_text(demo(), encoding="utf-8")
    if "report" in wanted:
        report()


if __name__ == "__main__":
    main()
