# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of everything, failures included, with every setting that writes more down: no secret is in any place they leave or show.

The places: the output at `-vvvvv --diff`, the log, what callbacks write, the fact cache, retry files, command lines as `ps` shows them, core
files, temporary files. One secret planted in each is found. (`Play.secrets` makes every other run search its own output, too.)
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import resource
import secrets
import stat
import time
import typing as t

import policies
import pytest

from .conftest import CALLBACK, Unsafe, as_yaml, forms, leaks, short_directory
from .test_site import Site

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import servers

    from .conftest import Ground, Play, Run

FIRST_PASSWORD = "First \"one\" 'secret' %s {# äß #}"
WRONG_PASSWORD = "Wr0ng-and-nobodys-business"


@pytest.fixture(scope="module")
def here(ground: Callable[..., Ground], postgres: servers.PostgreSQL) -> Ground:
    here = ground(postgres, "secret")
    here.role("app")
    here.role("stuck", revocation_statements=["SELECT 1/0"])
    here.sql("CREATE ROLE secret_boot LOGIN CREATEROLE PASSWORD %s", values=[FIRST_PASSWORD])
    here.user("secret_fixed")
    return here


@pytest.mark.parametrize("form", sorted(forms(FIRST_PASSWORD)))
def test_the_search_finds_a_secret_in_every_form(form: str) -> None:
    assert leaks(f"x{form}x", [FIRST_PASSWORD, "other"]) == [FIRST_PASSWORD]


@pytest.mark.full
def test_the_search_finds_what_a_play_prints(play: Play, here: Ground) -> None:
    play.secrets += [FIRST_PASSWORD]
    for given in (FIRST_PASSWORD, FIRST_PASSWORD.encode().hex()):
        document = as_yaml(
            [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": Unsafe(given)}}]}]
        )
        with pytest.raises(AssertionError, match="printed"):
            play(document)


def everything(mount: str) -> str:
    """The policy of all plugins, on this mount."""
    rules = policies.merged(rule.at(mount) for rules in policies.documented().values() for rule in rules)
    return "\n".join(map(str, rules))


def document(here: Ground, note: str, modules: tuple[str, ...]) -> str:
    """These modules (none: all), with secrets in their options and in their answers, going well and going wrong."""
    url = Unsafe(
        f"postgresql://{{{{username}}}}:{{{{password}}}}@{here.server.host}:{here.server.port}/{here.database}?sslmode=disable"
    )
    connection = {
        "name": "boot",
        "connection_url": url,
        "username": "secret_boot",
        "password": "{{ first_password }}",
        "allowed_roles": ["*"],
    }
    literal = f"postgresql://u:{{{{ wrong }}}}@{here.server.host}/x"
    lookup = "lookup('leasehold.vault.database_credentials', 'app', mount='secret')"
    refused = lookup.replace(")", ", auth_method='token', token=wrong)")
    static = "lookup('leasehold.vault.database_static_credentials', 'fixed', mount='secret')"

    def task(
        module: str, *, goes_wrong: bool = False, keywords: dict[str, t.Any] | None = None, **options: t.Any
    ) -> dict[str, t.Any]:
        name = f"leasehold.vault.{module}" if "." not in module else module
        wrong = {"ignore_errors": True} if goes_wrong else {}
        if module.startswith("database_"):
            options.setdefault("mount", "secret")
        return {"name": f"{'wrong' if goes_wrong else 'right'} {module}", name: options, **wrong, **(keywords or {})}

    tasks = [
        task("database_engine", mount="secret", description="secrets"),
        task("database_connection", **connection),
        task("database_connection", **{**connection, "name": "bad", "password": "{{ wrong }}", "validate": False}, goes_wrong=True),
        task("database_connection", name="literal", connection_url=literal, username="u", password="{{ wrong }}", goes_wrong=True),
        task("database_connection", **{**connection, "update_password": "always", "password": "{{ wrong }}"}, goes_wrong=True),
        task("database_connection", **{**connection, "name": "keyed", "private_key": "{{ private_key }}", "validate": False}, goes_wrong=True),
        task("database_connection", name="boot", plugin_options={"password": "{{ first_password }}", "nonsense": 1}, goes_wrong=True),
        task("database_root_rotation", name="boot", password="{{ first_password }}"),
        task("database_root_rotation", name="nowhere", password="{{ first_password }}", goes_wrong=True),
        task("database_connection", **{**connection, "max_open_connections": 3}),
        task("database_role", name="made", db_name="boot", creation_statements=[Unsafe("CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'")],
             revocation_statements=[Unsafe('DROP ROLE IF EXISTS "{{name}}"')], verify="issue"),
        task("database_role", name="broken", db_name="boot", verify="issue", goes_wrong=True,
             creation_statements=[Unsafe("CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' SYNTAX ERROR '{{password}}'")]),
        task("database_credentials", role="app", keywords={"no_log": True, "register": "issued"}),
        task("ansible.builtin.set_fact", seen=f"{{{{ issued.credentials | noted('{note}') }}}}", keywords={"no_log": True}),
        task("lease", lease_id="{{ issued.credentials.lease_id }}", valid_for="90m"),
        task("lease_info", prefix="secret/creds"),
        task("lease", lease_id="{{ issued.credentials.lease_id }}", state="absent"),
        task("database_static_role", name="fixed", db_name="db", username="secret_fixed", rotation_period="24h"),
        task("database_static_role_rotation", name="fixed"),
        task("database_credentials", static_role="fixed", keywords={"no_log": True, "register": "static"}),
        task("ansible.builtin.set_fact", seen=f"{{{{ static.credentials | noted('{note}') }}}}", keywords={"no_log": True}),
        task("ansible.builtin.debug", msg=f"{{{{ {lookup} | noted('{note}') }}}}", keywords={"no_log": True}),
        task("ansible.builtin.debug", msg=f"{{{{ {static} | noted('{note}') }}}}", keywords={"no_log": True}),
        task("ansible.builtin.debug", msg=f"{{{{ {lookup}.password | hash('sha256') }}}}"),
        task("ansible.builtin.debug", msg=f"{{{{ ({lookup} | noted('{note}')).no_such_key }}}}", goes_wrong=True),
        task("ansible.builtin.debug", msg=f"{{{{ {refused} }}}}", goes_wrong=True),
        task("database_credentials", role="app", auth_method="token", token="{{ wrong }}", goes_wrong=True),
        task("database_credentials", role="app", auth_method="userpass", auth_username="u", auth_password="{{ wrong }}", goes_wrong=True),
        task("database_credentials", role="app", auth_method="approle", role_id="x", secret_id="{{ wrong }}", goes_wrong=True),
        task("database_credentials", role="app", auth_method="jwt", auth_role="x", jwt="{{ wrong }}", goes_wrong=True),
        task("database_connection", name="boot", token="{{ wrong }}", no_such_option=1, password="{{ first_password }}", goes_wrong=True),
        task("database_connection_info"),
        task("database_role_info"),
        task("database_static_role_info"),
    ]  # fmt: skip
    chosen = [one for one in tasks if not modules or one["name"].split()[1] in modules]
    return as_yaml([{
        "hosts": "all", "gather_facts": False, "tasks": chosen,
        # Not in the playbook itself: of that, Ansible prints the lines around an error.
        "vars_files": ["secrets.yml"],
        "vars": {"leasehold_secret_id": "{{ lookup('ansible.builtin.env', 'OUR_SECRET_ID') }}"},
    }])  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- places


class Places:
    """A run with everything on that writes results down, and all places where they may be afterwards."""

    def __init__(self, play: Play) -> None:
        self.play, self.directory = play, play.directory
        self.inputs = {"secrets.yml", "seen", "document.yml"}
        self.temporary = short_directory()
        play.environment |= {
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_LOG_PATH": str(self.directory / "log"),
            # The callbacks that ansible-core has and that write results down; and ours of the tests, which writes all of them.
            "ANSIBLE_CALLBACKS_ENABLED": f"{CALLBACK},ansible.builtin.tree,ansible.builtin.junit",
            "ANSIBLE_CALLBACK_TREE_DIR": str(self.directory / "tree"),
            "JUNIT_OUTPUT_DIR": str(self.directory / "junit"),
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.directory / "facts"),
            "ANSIBLE_RETRY_FILES_ENABLED": "1",
            "ANSIBLE_RETRY_FILES_SAVE_PATH": str(self.directory / "retry"),
            "TMPDIR": str(self.temporary),
        }
        self._command_lines: set[str] = set()

    def run(self, what: str, *arguments: str, env: Mapping[str, str] | None = None) -> Run:
        """With core files allowed."""
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        try:
            started = self.play.start(what, "-vvvvv", "--diff", *arguments, env=env)
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
        while started.process.poll() is None:
            self._look_at_processes()
            time.sleep(0.01)
        return started.finish()

    def _look_at_processes(self) -> None:
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                self._command_lines.add(path.read_text(errors="replace").replace("\0", " "))

    def holding(self, secrets: t.Collection[str]) -> dict[str, set[str]]:
        """Which of the secrets are where."""
        found: dict[str, set[str]] = {}
        for place, text in self._texts():
            found.setdefault(place, set()).update(leaks(text, secrets))
        return {place: current for place, current in found.items() if current}

    def _texts(self) -> Iterator[tuple[str, str]]:
        yield "command lines", "\n".join(self._command_lines)
        for path in self.directory.rglob("*"):
            if path.is_file() and path.name not in self.inputs and not re.fullmatch(r"play\d+\.yml", path.name):
                yield self._place(path), path.read_text(errors="replace")
        for path in self.temporary.rglob("*"):
            if path.is_file():
                yield "tmp", path.read_text(errors="replace")

    def _place(self, path: pathlib.Path) -> str:
        first, *rest = path.relative_to(self.directory).parts
        if path.name.startswith("AnsiballZ_"):
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            return "kept modules"
        if first.startswith("core"):
            return "core files"
        return rest[0] if first.startswith("run") else first


@pytest.fixture
def places(play: Play) -> Places:
    return Places(play)


def writes_cores() -> bool:
    """Whether this machine writes a core file beside what crashed; others hand them to a program, which the tests do not look into."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    return "/" not in pattern and "|" not in pattern and resource.getrlimit(resource.RLIMIT_CORE)[1] != 0


@pytest.mark.full
def test_one_secret_planted_in_each_place_is_found_there(play: Play, places: Places) -> None:
    planted = {
        place: f"planted-{secrets.token_hex(8)}"
        for place in ("output", "facts", "retry", "command lines", "tmp", "kept modules", "core files")
    }
    play.inventory = [planted["retry"]]
    tasks = [
        {"ansible.builtin.debug": {"msg": planted["output"]}},
        {"ansible.builtin.set_fact": {"one": planted["facts"], "cacheable": True}, "no_log": True},
        {"ansible.builtin.command": {"argv": ["sh", "-c", f"sleep 1; : {planted['command lines']}"]}, "no_log": True},
        {"ansible.builtin.shell": f"echo {planted['tmp']} > $TMPDIR/left", "no_log": True},
        {"ansible.builtin.ping": {"data": planted["kept modules"]}, "no_log": True},
        {"ansible.builtin.fail": {"msg": planted["output"]}},  # the callback tree keeps the last result of a host
    ]
    run = places.run(as_yaml([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    assert run.code == 2
    # In a run without a plugin of ours, which would see to it that there is no core file.
    dying = {"ansible.builtin.debug": {"msg": f"{{{{ '{planted['core files']}' | crash }}}}"}}
    without_ours = {"ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.tree"}
    assert not places.run(as_yaml([{"hosts": "all", "gather_facts": False, "tasks": [dying]}]), env=without_ours).ok
    found = places.holding(planted.values())
    for place in ("output", "log", "record", "tree", "junit"):
        assert planted["output"] in found[place]
    for place, secret in planted.items():
        assert secret in found.get(place, ()) or (place == "core files" and not writes_cores()), place


# --------------------------------------------------------------------------------------------------------------- runs


@pytest.fixture
def handled(play: Play, here: Ground) -> list[str]:
    """All secrets that the runs are given, and those that the servers live on."""
    keys = [line for name in ("server.key", "seal.key") for line in (here.bao.directory / name).read_text().split("\n")]
    lines = [line for line in keys if len(line) > 20 and not line.startswith("-----")]
    return [FIRST_PASSWORD, WRONG_PASSWORD, here.bao.token, here.server.password, *lines]


@pytest.mark.parametrize("where", ["in the controller", pytest.param("as modules", marks=pytest.mark.full)])
def test_nothing_that_modules_and_lookups_leave_or_show_is_secret(
    play: Play, here: Ground, places: Places, handled: list[str], where: str
) -> None:
    # What some of the tasks have not the right to do fails as others do for their own reasons.
    login = here.approle("secret", policy=everything(here.mount), token_ttl="2h")
    secret_id = login.pop("VAULT_SECRET_ID")
    here.sql("ALTER ROLE secret_boot PASSWORD %s", values=[FIRST_PASSWORD])
    play.environment |= {"OUR_SECRET_ID": secret_id, **login}
    play.secrets += [*handled, secret_id]
    private_key = (here.bao.directory / "server.key").read_text()
    play.write(
        "secrets.yml",
        as_yaml({"first_password": Unsafe(FIRST_PASSWORD), "wrong": WRONG_PASSWORD, "private_key": private_key}),
    )
    note = play.directory / "seen"
    in_controller = json.dumps({"leasehold_run_in_controller": where == "in the controller"})
    mark = here.mark()
    modules = (
        ()
        if where == "in the controller"
        else ("database_connection", "database_root_rotation", "database_static_role", "database_credentials")
    )
    run = places.run(document(here, str(note), modules), "-e", in_controller)
    assert run.ok, run.output
    noted = [json.loads(line) for line in note.read_text().splitlines()] if note.exists() else []
    issued = {one["password"] for one in noted}
    assert len(issued) == (0 if modules else 3), "one of the module, one of the static role, one of the lookup"
    for event in run.results:
        wrong = event["task"].startswith("wrong")
        assert event["status"] == ("failed" if wrong else "ok"), event
    assert here.asked(mark)[f"update auth/approle-{here.mount}/login"] >= 1
    for kind in ("config/boot", "roles/made", "roles/broken", "static-roles/fixed"):
        here.bao.request("DELETE", f"{here.mount}/{kind}")

    found = places.holding([*play.secrets, *issued])
    # Ansible keeps the files of modules where it is told to, and their arguments are in them: for their owner only, and with a warning.
    kept = found.pop("kept modules", set())
    assert not found
    assert bool(kept) == bool(run.warned("keep_remote_files")) == (where == "as modules")
    if kept:
        assert {WRONG_PASSWORD, secret_id} <= kept


@pytest.mark.full
def test_nothing_that_the_site_playbook_leaves_or_shows_is_secret(
    play: Play, bao: servers.OpenBao, postgres: servers.PostgreSQL, places: Places, handled: list[str]
) -> None:
    """Roles and the callback, once well and once against the wall: the second time nobody can log in to PostgreSQL."""
    site = Site(bao, postgres, play)
    try:
        play.secrets += handled
        path = play.write("document.yml", as_yaml(site.document))
        for arguments, ok in (((), True), (("-e", "postgresql_access_login_user=nobody"), False)):
            run = places.run("leasehold.vault.site", "-e", f"@{path}", *arguments)
            assert run.ok == ok, run.output
        assert not places.holding(play.secrets)
    finally:
        site.remove()


@pytest.mark.full
def test_a_crash_leaves_no_core_file(play: Play, here: Ground, places: Places) -> None:
    note = play.directory / "seen"
    lookup = f"lookup('leasehold.vault.database_credentials', 'app', mount='secret') | noted('{note}') | crash"
    dying = {"ansible.builtin.debug": {"msg": f"{{{{ {lookup} }}}}"}, "no_log": True}
    run = places.run(as_yaml([{"hosts": "all", "gather_facts": False, "tasks": [dying]}]))
    assert not run.ok
    assert note.exists(), run.output
    assert not places.holding([json.loads(note.read_text())["password"]])
    assert not list(play.directory.glob("core*"))
