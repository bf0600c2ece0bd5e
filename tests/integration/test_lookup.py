# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookups in plays: issued once, kept alive, issued anew at the limit; and the filters."""

from __future__ import annotations

import contextlib
import json
import re
import typing as t

import psycopg2
import psycopg2.extensions
import pytest

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import servers

    from .conftest import Ground, Play

FIVE = [f"h{number}" for number in range(5)]


@pytest.fixture(scope="module")
def here(ground: Callable[..., Ground], postgres: servers.PostgreSQL) -> Ground:
    return ground(postgres, "lookup")


@pytest.fixture
def play(play: Play, here: Ground) -> Play:
    """Plays on five hosts that know the mount and where the database is."""
    play.inventory = FIVE
    play.environment["VAULT_RETRIES"] = "1"
    play.write(
        "all.json",
        json.dumps({"leasehold_mount": here.mount, "pg_port": here.server.port, "pg_database": here.database}),
    )
    vars_file = str(play.directory / "all.json")
    start = play.start
    play.start = lambda what, *arguments, env=None: start(what, "-e", f"@{vars_file}", *arguments, env=env)  # type: ignore[method-assign]
    return play


def lookup(role: str, **options: str | int) -> str:
    """The text of a lookup, without braces around it."""
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"lookup('leasehold.vault.database_credentials', '{role}'{given})"


def a_play(*tasks: str, hosts: str = "all", **keywords: str | int) -> str:
    given = "".join(f"  {name}: {value}\n" for name, value in keywords.items())
    listed = "".join("    " + line + "\n" for task in tasks for line in task.strip("\n").splitlines())
    return f"- hosts: {hosts}\n  gather_facts: false\n{given}  tasks:\n{listed}"


def say(name: str, expression: str, **keywords: str) -> str:
    given = "".join(f"\n  {key}: {value}" for key, value in keywords.items())
    return f'- name: {name}\n  ansible.builtin.debug:\n    msg: "{{{{ {expression} }}}}"{given}'


# ------------------------------------------------------------------------------------------- one lease for many mentions


def test_ten_mentions_on_five_hosts(play: Play, here: Ground) -> None:
    """5 leases with scope host, under every strategy; 1 with scope run, 50 with scope none."""
    plays, expected = "", {}
    for strategy in ("linear", "free", "host_pinned"):
        expected[here.role(f"h-{strategy}")] = 5
        mentions = [f"{lookup(f'h-{strategy}')}.username"] * 5
        tasks = [say(f"{strategy} {number}", f"[{', '.join(mentions)}]") for number in range(2)]
        plays += a_play(*tasks, strategy=strategy)
    for scope, count in {"run": 1, "none": 50}.items():
        expected[here.role(f"s-{scope}")] = count
        plays += a_play(say(scope, f"[{', '.join([lookup(f's-{scope}', scope=scope) + '.username'] * 10)}]"), serial=3)
    run = play(plays, "--forks", "50")
    assert {role: len(here.leases(role)) for role in expected} == expected
    for strategy in ("linear", "free", "host_pinned"):
        users = {
            (event["host"], name)
            for n in range(2)
            for event in run.of(f"{strategy} {n}")
            for name in event["result"]["msg"]
        }
        assert sorted(host for host, _name in users) == FIVE
    assert len({name for names in run.messages("run") for name in names}) == 1
    assert len({name for names in run.messages("none") for name in names}) == 50


def test_wherever_it_is_mentioned(play: Play, here: Ground) -> None:
    """One host, one user: in vars, vars_files, templates, facts, delegated and asynchronous tasks, seen from another host."""
    me = f"{lookup(here.role('where'))}"
    play.write("group_vars/all.yml", f'db: "{{{{ {me} }}}}"\n')
    play.write("from_file.yml", f'from_file: "{{{{ {me} }}}}"\n')
    play.write("user.j2", f"{{{{ {me}.username }}}}")
    document = a_play(
        say("group vars", "db.username"),
        say("play vars", "of_play.username"),
        say("vars file", "from_file.username"),
        say("task vars", "mine.username", vars=f'{{mine: "{{{{ {me} }}}}"}}'),
        f'- ansible.builtin.set_fact:\n    fact: "{{{{ {me} }}}}"',
        say("fact", "fact.username"),
        say("template", "lookup('ansible.builtin.template', playbook_dir ~ '/user.j2')"),
        say("delegated", f"{me}.username", delegate_to="h1"),
        say("of the other", "hostvars['h1' if inventory_hostname == 'h0' else 'h0'].db.username"),
        say("fact of the other", "hostvars['h1' if inventory_hostname == 'h0' else 'h0'].fact.username"),
        f'- name: async\n  ansible.builtin.command: echo "{{{{ {me}.username }}}}"\n  async: 30\n  poll: 1\n  changed_when: false',
        hosts="h0,h1",
        vars_files="[from_file.yml]",
        vars=f'{{of_play: "{{{{ {me} }}}}"}}',
    )  # fmt: skip
    run = play(document)
    users = {event["host"]: event["result"]["msg"] for event in run.of("play vars")}
    others = {"h0": users["h1"], "h1": users["h0"]}
    assert sorted(here.users("where")) == sorted(users.values())
    for event in run.results:
        answer = event["result"].get("msg") or event["result"].get("stdout")
        if answer:
            assert answer == (others if "other" in event["task"] else users)[event["host"]], event["task"]


@pytest.mark.full
def test_twenty_workers_at_once_share_one_lease(play: Play, here: Ground) -> None:
    play.inventory = [f"w{number}" for number in range(20)]
    me = lookup(here.role("twenty"), scope="run")
    run = play(
        a_play(say("who", f"{me} | logs_in(pg_port, pg_database)"), say("where", "1 | process"), strategy="free"),
        "--forks",
        "20",
    )
    assert set(run.messages("who")) == set(here.users("twenty"))
    assert len(here.leases("twenty")) == 1
    assert len(set(run.messages("where"))) > 20 // 2, "there were no workers at once"


def test_scope_separates_users_of_one_role_and_runs(play: Play, here: Ground) -> None:
    me, second = lookup(here.role("names")), lookup("names", name="second")
    document = a_play(say("who", f"[{me}.username, {second}.username, {me}.username, {second}.username]"), hosts="h0")
    first = play(document).messages("who")[0]
    assert first[0] == first[2] != first[1] == first[3]
    assert not set(first) & set(play(document).messages("who")[0])


def test_options_are_found_in_variables_with_templates_in_them(play: Play, here: Ground) -> None:
    play.write(
        "group_vars/all.yml",
        "leasehold_token: \"{{ lookup('ansible.builtin.env', 'TOKEN') }}\"\nleasehold_scope: \"{{ shared }}\"\n",
    )
    here.role("variable")
    run = play(
        a_play(say("who", f"{lookup('variable')}.username"), hosts="h0,h1", vars="{shared: run}"),
        env={"VAULT_TOKEN": "", "TOKEN": here.bao.token},
    )
    assert run.messages("who") == here.users("variable") * 2


# --------------------------------------------------------------------------------------------------------- one login


def test_one_login_and_one_static_read_for_a_whole_run(play: Play, here: Ground) -> None:
    login = here.approle("once", token_ttl="1h")
    here.write("static-roles/fixed", {"db_name": "db", "username": here.user("lookup_fixed"), "rotation_period": "24h"})
    static = "lookup('leasehold.vault.database_static_credentials', 'fixed')"
    mention = f"[{lookup(here.role('login'))}.username, {lookup('login', scope='none')}.username, {static}.username]"
    mark = here.mark()
    run = play(
        a_play(say("one", mention), say("two", mention), say("opens", f"{static} | logs_in(pg_port, pg_database)")),
        env=login,
    )
    asked = here.asked(mark)
    assert asked[f"update auth/approle-{here.mount}/login"] == 1
    assert asked[f"read {here.mount}/static-creds/fixed"] == 1
    assert asked[f"read {here.mount}/creds/login"] == 5 + 10
    assert set(run.messages("opens")) == {"lookup_fixed"}


# ------------------------------------------------------------------------------------------------------ life and renewal


@pytest.mark.full
def test_play_longer_than_leases_is_never_refused(play: Play, here: Ground) -> None:
    kept, replaced = here.role("kept", 4, 8), here.role("replaced", 4, 8)
    mark = here.mark()
    step = f"[{lookup(kept)} | logs_in(pg_port, pg_database), {lookup(replaced, revoke_replaced=True)} | logs_in(pg_port, pg_database)]"
    loop = '\n  loop: "{{ range(10) | list }}"\n  loop_control: {pause: 1.2}'
    run = play(a_play(say("step", step) + loop, hosts="h0"))
    names = run.messages("step")
    assert len(names) == 10
    for number in (0, 1):
        in_order = list(dict.fromkeys(pair[number] for pair in names))
        assert all(name.startswith("v-") for name in in_order), in_order
        assert 2 <= len(in_order) <= 4, in_order
        assert in_order == sorted(in_order, key=[pair[number] for pair in names].index)
    assert here.users(replaced) == [names[-1][1]], "the replaced ones were to go at once"
    assert here.asked(mark)["update sys/leases/renew"] >= 2
    # At the limit the renewed life is too short: the old one lives on beside the new one.
    assert here.asked(mark)[f"read {here.mount}/creds/{kept}"] <= 4


def test_valid_for_renews_and_says_when_it_asks_too_much(play: Play, here: Ground) -> None:
    here.role("valid", 60, 600)
    run = play(
        a_play(
            say("first", lookup("valid")),
            say("enough", lookup("valid", valid_for="30s")),
            say("longer", lookup("valid", valid_for="5m")),
            say("as long", lookup("valid", valid_for=200)),
            say("new", lookup("valid", name="new", valid_for="5m")),
            say("too long", lookup("valid", name="much", valid_for="1h")),
            say("bad", lookup("valid", valid_for="soon"), ignore_errors="true"),
            hosts="h0",
        )
    )
    first, enough, longer, as_long, new, too_long = (
        run.messages(task)[0] for task in ("first", "enough", "longer", "as long", "new", "too long")
    )
    assert set(first) == {"username", "password", "lease_id", "lease_duration", "expires_in", "expires_at", "renewable"}
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["expires_at"])
    assert first["username"] == enough["username"] == longer["username"] == as_long["username"]
    assert enough["lease_duration"] == 60
    assert longer["lease_duration"] == as_long["lease_duration"] == 300
    assert longer["expires_in"] > 290
    assert new["expires_in"] > 290
    assert 590 < too_long["expires_in"] <= 600
    (warning,) = run.warned("valid_for asks for 3600 s", " s at the most")
    assert re.search(r" (600|59\d) s at the most", warning), warning  # its life counts from when it was issued
    assert len(here.leases("valid")) == 3
    assert "valid_for:" in run.result("bad")["msg"]
    assert "soon" in run.result("bad")["msg"]


def test_token_ending_before_lease_warns(play: Play, here: Ground) -> None:
    login = here.approle("short", token_ttl=100, token_max_ttl=100)
    run = play(a_play(say("who", lookup(here.role("token", 600, 6000))), hosts="h0"), env=login)
    assert run.messages("who")[0]["lease_duration"] == 600
    assert 90 < run.messages("who")[0]["expires_in"] <= 100
    (warning,) = run.warned("600 s", "token_period")
    assert re.search(r"\b(100|9\d) s\b", warning), warning


# ---------------------------------------------------------------------------------------------- check mode, hard values


def test_check_mode_issues_nothing(play: Play, here: Ground) -> None:
    fixed = "lookup('leasehold.vault.database_static_credentials', 'not-there-yet')"
    run = play(
        a_play(
            say("dynamic", lookup(here.role("checked"))),
            say("static", fixed),
            say("asked for", lookup("checked", issue_in_check_mode=True)),
            hosts="h0",
        ),
        check=True,
    )
    dynamic, static, issued = (set(run.messages(task)[0]) for task in ("dynamic", "static", "asked for"))
    assert dynamic == issued == static - {"last_vault_rotation"}
    assert run.messages("dynamic")[0]["username"] == "check-mode-checked"
    assert run.messages("dynamic")[0]["lease_id"] == ""
    assert here.users("checked") == [run.messages("asked for")[0]["username"]]


def test_a_password_that_looks_like_a_template_survives(play: Play, here: Ground) -> None:
    policy = 'length = 30\nrule "charset" { charset = "{%" }'
    here.bao.request("PUT", "sys/policies/password/braces", {"policy": policy})
    here.connection("braces", password_policy="braces")
    here.role("braces", db_name="braces")
    here.write(
        "static-roles/fixed-braces",
        {"db_name": "braces", "username": here.user("lookup_braces"), "rotation_period": "24h"},
    )
    static = "lookup('leasehold.vault.database_static_credentials', 'fixed-braces')"
    note = play.directory / "seen"
    play.write("password.j2", "{{ db.password }}")
    play.write("group_vars/all.yml", f'db: "{{{{ {lookup("braces")} }}}}"\n')
    run = play(
        a_play(
            say("dynamic", f"(db | noted('{note}')) | logs_in(pg_port, pg_database)"),
            say("static", f"{static} | logs_in(pg_port, pg_database)"),
            '- ansible.builtin.set_fact:\n    fact: "{{ db }}"\n    only_password: "{{ db.password }}"',
            say("fact", "fact | logs_in(pg_port, pg_database)"),
            say("combined", "{'username': db.username, 'password': only_password} | logs_in(pg_port, pg_database)"),
            say("other", "hostvars['h0'].db | logs_in(pg_port, pg_database)"),
            say("template", "{'username': db.username, 'password': lookup('ansible.builtin.template', 'password.j2')} | logs_in(pg_port, pg_database)"),
            say("module", "{'username': db.username, 'password': echoed.stdout} | logs_in(pg_port, pg_database)",).replace(
                "- name: module",
                "- ansible.builtin.command: {argv: [printf, '%s', \"{{ db.password }}\"]}\n  register: echoed\n  changed_when: false\n- name: module",
            ),
            hosts="h0",
        )
    )  # fmt: skip
    password = json.loads(note.read_text().splitlines()[0])["password"]
    assert "{{" in password or "{%" in password
    user = here.users("braces")[0]
    assert {task: run.messages(task) for task in ("dynamic", "fact", "combined", "other", "template", "module")} == {
        task: [user] for task in ("dynamic", "fact", "combined", "other", "template", "module")
    }
    assert run.messages("static") == ["lookup_braces"]


# ------------------------------------------------------------------------------------------------ what is left on disk


def places_of(secret: str, *directories: Path) -> list[Path]:
    """The files that hold this text, in clear or as the usual encodings write it."""
    found = []
    for directory in directories:
        for path in (path for path in directory.rglob("*") if path.is_file()):
            if secret.encode() in path.read_bytes():
                found.append(path)
    return found


def test_killed_run_leaves_no_readable_secret(play: Play, here: Ground) -> None:
    note = play.directory / "seen"
    login = here.approle("killed", token_ttl="1h")
    document = a_play(
        say("issue", f"(db | noted('{note}')).username"),
        say("tmp", "1 | local_tmp"),
        "- ansible.builtin.pause: {seconds: 60}",
        hosts="h0",
        vars=f'{{db: "{{{{ {lookup(here.role("killed"), revoke="at_end")} }}}}"}}',
    )
    started = play.start(document, env=login)
    started.wait_for(lambda: "TASK [ansible.builtin.pause]" in started.log.read_text())
    started.kill()
    run = started.finish()
    credentials = json.loads(note.read_text().splitlines()[0])
    tmp = run.messages("tmp")[0]
    ledger = [path for path in (run.home / ".ansible").rglob("*") if path.is_file() and str(path).startswith(tmp)]
    assert len(ledger) == 2, "the lease and the login are to be there, or nothing was looked at"
    assert {path.stat().st_mode & 0o777 for path in ledger} == {0o600}
    for secret in (credentials["password"], credentials["username"], credentials["lease_id"], login["VAULT_SECRET_ID"]):
        assert places_of(secret, run.home) == []
    (run.home / "planted").write_text(f"... {credentials['password']} ...")
    assert places_of(credentials["password"], run.home) == [run.home / "planted"]


def test_without_a_place_for_the_ledger_no_user_is_issued_and_static_passwords_are_read_anew(
    play: Play, here: Ground
) -> None:
    me = f"{lookup(here.role('noplace'))} | logs_in(pg_port, pg_database)"
    user = here.user("lookup_noplace")
    here.write("static-roles/noplace-fixed", {"db_name": "db", "username": user, "rotation_period": "24h"})
    static = "lookup('leasehold.vault.database_static_credentials', 'noplace-fixed') | logs_in(pg_port, pg_database)"
    mark = here.mark()
    run = play(
        a_play(
            say("in the way", "'leasehold' | in_the_way"),
            say("dynamic", me, ignore_errors="true"),
            say("static", static),
            say("static again", static),
            hosts="h0,h1",
        )
    )
    refused = [event["result"]["msg"] for event in run.of("dynamic")]
    assert len(refused) == 2
    assert all("Nothing was issued" in sentence and "ANSIBLE_LOCAL_TEMP" in sentence for sentence in refused)
    assert here.users("noplace") == here.leases("noplace") == []
    assert here.asked(mark)[f"read {here.mount}/creds/noplace"] == 0
    assert run.messages("static") + run.messages("static again") == [user] * 4
    assert here.asked(mark)[f"read {here.mount}/static-creds/noplace-fixed"] == 4
    assert len(run.warned("Passwords are not remembered")) == 1


# ------------------------------------------------------------------------------------------------------------ bad input


def test_refusals_are_sentences(play: Play, here: Ground) -> None:
    here.role("refused")
    static = "lookup('leasehold.vault.database_static_credentials', 'no-such')"
    cases = {
        "no role": (lookup("no-such"), "no-such"),
        "bad name": (lookup("../x"), "The role:"),
        "no static role": (static, "static-creds/no-such"),
        "no mount": (lookup("refused", mount="nowhere"), "nothing is mounted"),
        "bad token": (lookup("refused", token="wrong"), "Not allowed to read"),
        "bad option": (lookup("refused", scope="nobody"), "scope"),
        "not there": (lookup("refused", url="https://127.0.0.1:9", retries=0), "could not be reached"),
        "no address": (lookup("refused", url=""), "The address of Vault is missing"),
        "no secret_id": (lookup("refused", auth_method="userpass", auth_username="x"), "auth_password"),
    }
    run = play(
        a_play(
            *(say(name, f"{what}.username", ignore_errors="true") for name, (what, _words) in cases.items()), hosts="h0"
        )
    )
    for name, (_what, words) in cases.items():
        result = run.result(name)
        assert words in result["msg"], result["msg"]
        assert "Traceback" not in result["msg"]
    assert here.leases("refused") == []


# -------------------------------------------------------------------------------------------------------------- filters

SPECIAL = [
    "plain", "a:b@c'd", "space in it", " begins and ends ", "back\\slash\\\\", "quote'\"`", "/?#[]@!$&()*+,;=", "%41%2F%%", "{{ x }}{% y %}{#",
    "ümläut ß ☃", "tab\tin", "'", "\\'", "=host=evil", "a b='c' sslmode=disable", "-", "$HOME ${x} `id`", "<>|^~", ":::", "\\:",
]  # fmt: skip


def test_filters_escape_every_character(play: Play, here: Ground) -> None:
    """libpq reads back what went in: parsed, and by real logins through each of the three forms."""
    entries = [{"username": f"u{number} {word}", "password": word} for number, word in enumerate(SPECIAL)]
    for entry in entries:
        with contextlib.closing(here.server.connect(here.database)) as session, session.cursor() as cursor:
            name = psycopg2.extensions.quote_ident(entry["username"], session)
            cursor.execute(f"CREATE ROLE {name.replace('%', '%%')} LOGIN PASSWORD %s", (entry["password"],))
    play.write("entries.json", json.dumps(entries))
    forms = {
        "url": "postgresql_url('127.0.0.1', database=db, port=pg_port, sslmode='disable', application_name=db)",
        "conninfo": "postgresql_conninfo('127.0.0.1', database=db, port=pg_port, sslmode='disable', application_name=db)",
        "pgpass": "postgresql_pgpass('127.0.0.1', database=pg_database, port=pg_port)",
    }
    read = f"(lookup('ansible.builtin.file', '{play.directory}/entries.json') | from_json)"
    tasks = [
        say(form, f"item | leasehold.vault.{call}", loop=f'"{{{{ {read} }}}}"', vars='{db: "{{ item.username }}"}')
        for form, call in forms.items()
    ]
    plain = "{'username': 'u', 'password': 'p'} | leasehold.vault."
    run = play(
        a_play(
            *tasks,
            say("bare url", f"{plain}postgresql_url('db.example.com')"),
            say("ipv6", f"{plain}postgresql_url('::1', database='d')"),
            say("bare pgpass", f"{plain}postgresql_pgpass"),
            say("no credentials", "{'username': 'u'} | leasehold.vault.postgresql_url('h')", ignore_errors="true"),
            hosts="h0",
        )
    )
    for entry, url, conninfo, line in zip(entries, *(run.messages(form) for form in forms)):
        for dsn in (url, conninfo):
            parsed = psycopg2.extensions.parse_dsn(dsn)
            assert {word: parsed[word] for word in ("user", "password", "dbname", "host", "sslmode", "application_name")} == {
                "user": entry["username"], "password": entry["password"], "dbname": entry["username"], "host": "127.0.0.1",
                "sslmode": "disable", "application_name": entry["username"],
            }  # fmt: skip
            psycopg2.connect(dsn, dbname=here.database).close()
        pgpass = play.directory / "pgpass"
        pgpass.write_text(f"{line}\n")
        pgpass.chmod(0o600)
        login = {"host": "127.0.0.1", "port": here.server.port, "user": entry["username"], "dbname": here.database}
        psycopg2.connect(passfile=str(pgpass), **login).close()
        pgpass.write_text(f"{line}x\n")
        with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
            psycopg2.connect(passfile=str(pgpass), **login)
    assert psycopg2.extensions.parse_dsn(run.messages("bare url")[0]) == {
        "user": "u",
        "password": "p",
        "host": "db.example.com",
        "port": "5432",
    }
    assert psycopg2.extensions.parse_dsn(run.messages("ipv6")[0])["host"] == "::1"
    assert run.messages("bare pgpass") == ["*:*:*:u:p"]
    assert "username and password" in run.result("no credentials")["msg"]
