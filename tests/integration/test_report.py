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

from .conftest import ROOT, Ground, extra

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Play

BROKEN = ["SELECT no_such_function()"]
MEASURE = """<script>document.title = JSON.stringify({
  wider: document.documentElement.scrollWidth > innerWidth, page: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.body).color, sections: [...document.querySelectorAll("section")].map(each => each.id),
  bars: [...document.querySelectorAll("#timeline rect")].filter(each => each.getBBox().height > 0).length,
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
    return t.cast("dict[str, t.Any]", json.loads(html.unescape(title[1])))


def looks_right(browser: Browser, page: Path) -> None:
    assert page.stat().st_size < 2_000_000
    text = page.read_text()
    assert not re.search(r"<script|<link|<img|@import|url\(|(src|href)=", text), "it needs nothing else"
    light, dark = (measured(browser, page, dark=dark) for dark in (False, True))
    phone = measured(browser, page, width=360, height=740)
    assert light["page"] == "rgb(255, 255, 255)"
    assert dark["page"] != light["page"]
    assert dark["ink"] != light["ink"]
    assert [light["wider"], phone["wider"]] == [False, False]
    assert light["links"] == 0
    assert light["bars"] >= 1
    paper = page.with_suffix(".pdf")
    browser.paper(page, paper)
    assert paper.read_bytes().startswith(b"%PDF")


@pytest.fixture(scope="module")
def engine(ground: Callable[[servers.PostgreSQL, str], Ground], postgres: servers.PostgreSQL) -> Ground:
    made = ground(postgres, "reported")
    made.role("app-role")
    made.role("failing", revocation_statements=BROKEN, ttl="2s", max_ttl="2s")
    made.write(
        "static-roles/reports", {"db_name": "db", "username": made.user("reported_reports"), "rotation_period": "24h"}
    )
    made.approle(
        "hasty", f'path "{made.mount}/creds/app-*" {{ capabilities = ["read"] }}', token_ttl="20m", token_max_ttl="30m"
    )
    return made


def test_the_page_of_a_real_mount(engine: Ground, play: Play, browser: Browser) -> None:
    for _ in range(3):
        engine.issue("app-role")
    failing = engine.issue("failing")
    left = engine.issue("app-role")
    engine.write("roles/app-role", {"revocation_statements": BROKEN})
    engine.bao.request("PUT", f"sys/leases/revoke-force/{left['lease_id']}")
    servers.wait_for(
        "the end of the lease",
        lambda: engine.bao.request("PUT", "sys/leases/lookup", {"lease_id": failing["lease_id"]})["data"]["ttl"] < 0,
    )

    page = play.directory / "page.html"
    login = {
        "postgresql_access_login_user": engine.server.user,
        "postgresql_access_login_password": engine.server.password,
    }
    play.secrets = [engine.server.password, left["password"], engine.admin_password]
    play("leasehold.vault.report", *extra(vault_database_mount=engine.mount, lease_report_dest=str(page), **login))
    data = json.loads(page.with_suffix(".json").read_text())
    assert data["counts"] == {"leases": 4, "overdue": 1, "irrevocable": 0, "orphans": 1}
    assert [(row["role"], row["leases"]) for row in data["roles"]] == [("app-role", 3), ("failing", 1)]
    assert [row["username"] for row in data["orphans"]] == [left["username"]]
    (mismatch,) = data["mismatches"]
    assert (mismatch["role"], mismatch["token"], mismatch["lease"]) == ("app-role", 1200, 3600)
    assert [row["name"] for row in data["static_roles"]] == ["reports"]
    assert data["drift"] is None
    assert data["unread"] == []

    looks_right(browser, page)
    sections = measured(browser, page)["sections"]
    assert sections == ["roles", "timeline", "irrevocable", "orphans", "mismatches", "rotations", "next"]
    picture = page.with_suffix(".png")
    browser.picture(page, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_may_not_be_read_is_named_and_the_rest_is_there(engine: Ground, play: Play) -> None:
    page = play.directory / "page.html"
    login = engine.approle("narrow", f'path "{engine.mount}/*" {{ capabilities = ["read", "list"] }}')
    play("leasehold.vault.report", *extra(vault_database_mount=engine.mount, lease_report_dest=str(page)), env=login)
    data = json.loads(page.with_suffix(".json").read_text())
    assert [row["role"] for row in data["roles"]] == ["app-role", "failing"]
    assert any("sys/leases/lookup" in sentence for sentence in data["unread"])
    assert "Not known" in page.read_text()
    assert data["mismatches"] is None


def test_with_the_document_it_says_what_differs(engine: Ground, play: Play) -> None:
    page, document = play.directory / "page.html", play.directory / "adopted.yml"
    mount = {"vault_database_mount": engine.mount}
    play("leasehold.vault.adopt", *extra(**mount, leasehold_adopt_to=str(document)))
    options = ["-e", f"@{document}", *extra(lease_report_dest=str(page))]
    play("leasehold.vault.report", *options)
    assert json.loads(page.with_suffix(".json").read_text())["drift"] == []
    engine.write("roles/app-role", {"default_ttl": 77})
    play("leasehold.vault.report", *options)
    (differing,) = json.loads(page.with_suffix(".json").read_text())["drift"]
    assert (differing["name"], differing["action"]) == ("app-role", "update")
    assert engine.read("roles/app-role")["default_ttl"] == 77, "it only looks"


def many(number: int) -> dict[str, t.Any]:
    """What the info modules would read of a mount with so many leases, some of which cannot be revoked."""
    now = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)
    leases = []
    for count in range(number):
        failed, ends = count % 50 == 0, now + datetime.timedelta(seconds=count * 7 % 86400)
        leases.append({
            "lease_id": f"database/creds/role-{count % 12}/{count:024}", "role": f"role-{count % 12}", "ttl": 1, "age": 1,
            "issued_at": "2026-01-31T11:00:00Z", "expires_at": ends.isoformat().replace("+00:00", "Z"), "renewable": True,
            "overdue": failed, "irrevocable": failed,
            "error": f'<script>alert(1)</script> role "v-token-role-{count:020}-1795304493" cannot be dropped (SQLSTATE 2BP01)' if failed else "",
        })  # fmt: skip
    roles = [{"name": f"role-{count}", "db_name": "db", "default_ttl": 3600, "max_ttl": 86400} for count in range(12)]
    return {"mount": "database", "leases": leases, "roles": roles, "connections": [], "static_roles": []}


def test_the_page_of_ten_thousand_leases_stays_small(play: Play, browser: Browser) -> None:
    source, page = play.directory / "many.json", play.directory / "page.html"
    source.write_text(json.dumps({"gathered": many(10_000)}))
    play(
        f"""
        - hosts: localhost
          gather_facts: false
          tasks:
            - ansible.builtin.template:
                src: {ROOT}/roles/lease_report/templates/report.html.j2
                dest: {page}
                mode: "0600"
              vars:
                report: "{{{{ gathered | leasehold.vault.lease_report(now='2026-01-31T12:00:00Z') }}}}"
        """,
        "-e",
        f"@{source}",
    )
    looks_right(browser, page)
    seen = measured(browser, page)
    assert seen["bars"] > 30
    assert seen["scripts"] == 1, "the one that measures"
    assert page.read_text().count("2BP01") == 12, "one error for each role, not for each lease"
