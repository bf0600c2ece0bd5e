# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`report` writes one page; a real browser looks at it."""

from __future__ import annotations

import datetime
import html
import json
import re
import typing as t

import pytest
import servers
from browser import Browser

from .conftest import Ground, extra

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Play

pytestmark = pytest.mark.full

SECTIONS = ["roles", "timeline", "irrevocable", "orphans", "mismatches", "rotations", "drift", "next"]
BROKEN = ["SELECT no_such_function()"]
DEPENDS = "cannot be dropped because some objects depend on it (SQLSTATE 2BP01) <script>alert(1)</script>"
MEASURE = """<script>document.title = JSON.stringify({
  wider: document.documentElement.scrollWidth > innerWidth, page: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.body).color, sections: [...document.querySelectorAll("section")].map(each => each.id),
  bars: [...document.querySelectorAll("#timeline rect")].filter(each => each.getBBox().height > 0).length,
  texts: Object.fromEntries([...document.querySelectorAll("section")].map(each => [each.id, each.innerText])),
  scripts: document.scripts.length, links: document.querySelectorAll("[src], [href]").length })</script>"""


@pytest.fixture(scope="module")
def browser() -> Browser:
    return Browser()


def measured(browser: Browser, page: Path, **look: t.Any) -> dict[str, t.Any]:
    """What the browser makes of the page."""
    copy = page.with_name("measured.html")
    copy.write_text(page.read_text() + MEASURE)
    title = re.search("<title>(.*?)</title>", browser.dom(copy, **look), re.DOTALL)
    assert title
    found: dict[str, t.Any] = json.loads(html.unescape(title[1]))
    found["texts"] = {part: " ".join(text.split()) for part, text in found["texts"].items()}
    return found


def looks_right(browser: Browser, page: Path) -> dict[str, t.Any]:
    """It does on any screen and on paper; what there is to see."""
    text = page.read_text()
    assert not re.search(r"<script|<link|<img|@import|url\(|(src|href)=", text), "it needs nothing else"
    light, dark = (measured(browser, page, dark=dark) for dark in (False, True))
    phone = measured(browser, page, width=360, height=740)
    assert light["page"] == "rgb(255, 255, 255)"
    assert dark["page"] != light["page"]
    assert dark["ink"] != light["ink"]
    assert [light["wider"], phone["wider"]] == [False, False]
    assert [light["scripts"], light["links"]] == [1, 0], "the one script is the one that measures"
    assert light["bars"] >= 1
    assert light["sections"] == SECTIONS
    paper, picture = page.with_suffix(".pdf"), page.with_suffix(".png")
    browser.paper(page, paper)
    assert paper.read_bytes().startswith(b"%PDF")
    browser.picture(page, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    return light


def read(page: Path) -> dict[str, t.Any]:
    """The data beside the page."""
    return t.cast("dict[str, t.Any]", json.loads(page.with_suffix(".json").read_text()))


@pytest.fixture(scope="module")
def engine(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    made = ground(postgres, "reported")
    made.role("app-role")
    made.role("left-behind", revocation_statements=BROKEN)
    made.role("failing", revocation_statements=BROKEN, ttl="2s", max_ttl="2s")
    made.write(
        "static-roles/reports", {"db_name": "db", "username": made.user("reported_reports"), "rotation_period": "24h"}
    )
    made.approle(
        "hasty", f'path "{made.mount}/creds/app-*" {{ capabilities = ["read"] }}', token_ttl="20m", token_max_ttl="30m"
    )
    return made


def test_the_page_of_a_real_mount(engine: Ground, play: Play, browser: Browser) -> None:
    current = [engine.issue("app-role") for _user in range(3)]
    failing = engine.issue("failing")
    orphan = engine.stranded("left-behind", 200_000, "-2 days")
    servers.wait_for(
        "the end of the lease",
        lambda: engine.bao.request("PUT", "sys/leases/lookup", {"lease_id": failing["lease_id"]})["data"]["ttl"] < 0,
    )
    page = play.directory / "lease_report.html"
    login = {
        "postgresql_access_login_user": engine.server.user,
        "postgresql_access_login_password": engine.server.password,
    }
    play.secrets = [engine.server.password, engine.admin_password, *(user["password"] for user in current)]

    def look() -> dict[str, t.Any]:
        play("leasehold.vault.report", *extra(vault_database_mount=engine.mount, **login))
        return read(page)

    data = look()
    assert {written.stat().st_mode & 0o777 for written in (page, page.with_suffix(".json"))} == {0o640}
    assert [(row["username"], row["certainty"]) for row in data["orphans"]] == [(orphan, "expired_and_leaseless")]
    assert data["counts"] == {"leases": 4, "overdue": 1, "irrevocable": 0, "orphans": 1}
    rows = [(row["role"], row["leases"], row["overdue"]) for row in data["roles"]]
    assert rows == [("app-role", 3, 0), ("failing", 1, 1), ("left-behind", 0, 0)]
    assert {f"{engine.mount}/creds/app-role/{row['id']}" for row in data["leases"]["app-role"]} == {
        user["lease_id"] for user in current
    }
    assert sum(span["leases"] for span in data["timeline"]["bars"]) == 3
    hasty = f"approle/approle-{engine.mount}/hasty"
    (mismatch,) = [row for row in data["mismatches"] if row["login"] == hasty]
    assert (mismatch["role"], mismatch["token"], mismatch["lease"]) == ("app-role", 1200, 3600)
    assert [(row["name"], row["age"]) for row in data["connections"]] == [("db", None)]
    assert [(row["name"], row["late"]) for row in data["static_roles"]] == [("reports", False)]
    assert data["drift"] is None
    assert data["unread"] == []

    says = looks_right(browser, page)["texts"]
    assert "app-role db 3 0 0 1 h / 24 h" in says["roles"]
    assert "1 should have ended already." in says["timeline"]
    assert "None." in says["irrevocable"]
    assert f"{orphan} expired and leaseless" in says["orphans"]
    assert f"{hasty} 20 min unless it is renewed app-role 1 h 3" in says["mismatches"]
    assert "root of db not noted not known" in says["rotations"]
    assert re.search(r"static role reports \(reported_reports\) [-\d]+ [:\d]+ \d+ (s|min) 24 h", says["rotations"])
    assert "Not compared" in says["drift"]
    assert "4 of 4" in says["next"]

    play(f"""
        - hosts: localhost
          gather_facts: false
          tasks:
            - leasehold.vault.database_root_rotation: {{mount: {engine.mount}, name: db, rotate: always}}
    """)
    (root,) = look()["connections"]
    assert isinstance(root["age"], int), "now it is known"


def test_report_lists_unreadable_parts(engine: Ground, play: Play, browser: Browser) -> None:
    page = play.directory / "page.html"
    login = engine.approle("narrow", f'path "{engine.mount}/*" {{ capabilities = ["read", "list"] }}')
    play("leasehold.vault.report", *extra(vault_database_mount=engine.mount, lease_report_dest=str(page)), env=login)
    data = read(page)
    assert [row["role"] for row in data["roles"]] == ["app-role", "failing", "left-behind"]
    assert any("sys/leases/lookup" in sentence for sentence in data["unread"])
    assert data["mismatches"] is None
    says = measured(browser, page)["texts"]
    assert "sys/leases/lookup" in says["unread"]
    assert "Not known" in says["mismatches"]
    assert "Not looked for" in says["orphans"]


def test_with_the_document_it_says_what_differs(engine: Ground, play: Play, browser: Browser) -> None:
    page, document = play.directory / "page.html", play.directory / "adopted.yml"
    mount = {"vault_database_mount": engine.mount}
    play("leasehold.vault.adopt", *extra(**mount, leasehold_adopt_to=str(document)))
    options = ["-e", f"@{document}", *extra(lease_report_dest=str(page))]
    play("leasehold.vault.report", *options)
    assert read(page)["drift"] == []
    assert "Nothing" in measured(browser, page)["texts"]["drift"]
    engine.write("roles/app-role", {"default_ttl": 77})
    play("leasehold.vault.report", *options)
    (differing,) = read(page)["drift"]
    assert (differing["name"], differing["action"]) == ("app-role", "update")
    assert "update roles/app-role" in measured(browser, page)["texts"]["drift"]
    assert engine.read("roles/app-role")["default_ttl"] == 77, "it only looks"


def many(number: int, irrevocable: int) -> dict[str, t.Any]:
    """What the info modules would read of a mount with so many leases, of which one in some cannot be revoked."""
    now = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)
    leases = []
    for count in range(number):
        failed, ends = count % irrevocable == 0, now + datetime.timedelta(seconds=count * 7 % 86400)
        role, user = f"reporting-role-{count % 12}", f"v-jwt-prod-reportin-{count:020}-1769860000"
        error = f'out of retries: failed to revoke entry: resp: (*logical.Response)(nil) err: ERROR: role "{user}" {DEPENDS}'
        leases.append({
            "lease_id": f"databases/production/creds/{role}/{count:024}.h8Jq2x", "role": role, "ttl": 1, "age": 1,
            "issued_at": "2026-01-31T11:00:00Z", "expires_at": ends.isoformat().replace("+00:00", "Z"), "renewable": True,
            "overdue": failed, "irrevocable": failed, "error": error if failed else "",
        })  # fmt: skip
    static = {"username": "reports", "rotation_period": 3600}
    return {
        "mount": "databases/production", "leases": leases,
        "roles": [{"name": f"reporting-role-{count}", "db_name": "db", "default_ttl": 3600, "max_ttl": 86400} for count in range(12)],
        "connections": [
            {"name": "noted", "root_rotated_at": "2026-01-01T12:00:00Z"},
            {"name": "interrupted", "root_rotated_at": "begun 2026-01-31T10:00:00Z"},
        ],
        "static_roles": [
            {"name": "punctual", "last_vault_rotation": "2026-01-31T11:30:00Z", **static},
            {"name": "behind", "last_vault_rotation": "2026-01-31T08:00:00Z", **static},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("irrevocable", [49, 1], ids=["some irrevocable", "all irrevocable"])
def test_ten_thousand_leases_stay_small(irrevocable: int, play: Play, browser: Browser) -> None:
    source, page = play.directory / "many.json", play.directory / "page.html"
    source.write_text(json.dumps({"__lease_report_gathered": many(10_000, irrevocable)}))
    play(
        """
        - hosts: localhost
          gather_facts: false
          tasks:
            - ansible.builtin.include_role: {name: leasehold.vault.lease_report, tasks_from: write}
        """,
        "-e",
        f"@{source}",
        *extra(lease_report_dest=str(page), __lease_report_moment="2026-01-31T12:00:00Z"),
    )
    assert page.stat().st_size < 2_000_000
    assert page.with_suffix(".json").stat().st_size < 2_000_000
    data = read(page)
    assert sum(map(len, data["leases"].values())) == data["counts"]["leases"] == 10_000
    last = data["leases"]["reporting-role-0"][0]
    assert last == {
        "id": f"{0:024}.h8Jq2x", "issued_at": "2026-01-31T11:00:00Z", "expires_at": "2026-01-31T12:00:00Z",
        "cause": last["cause"], "user": f"v-jwt-prod-reportin-{0:020}-1769860000",
    }  # fmt: skip
    assert data["irrevocable"][last["cause"]]["role"] == "reporting-role-0"

    seen = looks_right(browser, page)
    assert seen["bars"] > 30
    says = seen["texts"]
    assert says["irrevocable"].count("2BP01") == 12, "one error for each role, not for each lease"
    assert says["irrevocable"].count("Let the role use in_role") == 12
    assert "root of noted 2026-01-01 12:00 30 d" in says["rotations"]
    assert "root of interrupted 2026-01-31 10:00 2 h (begun, and not noted as done)" in says["rotations"]
    assert "static role punctual (reports) 2026-01-31 11:30 30 min 1 h" in says["rotations"]
    assert "static role behind (reports) 2026-01-31 08:00 4 h (late) 1 h" in says["rotations"]
