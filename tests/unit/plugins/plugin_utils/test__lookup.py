# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookups without a play around them: what a mention costs at each age of a lease and of a login.

Time does not pass here: a record of the ledger is made older by hand.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib
import os
import re
import resource
import signal
import subprocess
import sys

import pytest
from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem
from ansible_collections.leasehold.vault.plugins.module_utils._operations.standbys import NotReplayed
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in
from ansible_collections.leasehold.vault.plugins.module_utils._vault.options import login_identity
from ansible_collections.leasehold.vault.plugins.plugin_utils import _lookup
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import end
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import issue as _issue
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import ledger as _ledger
from ansible_collections.leasehold.vault.plugins.plugin_utils._run import session as _session
from ansible_collections.leasehold.vault.plugins.plugin_utils._run.ledger import LeaseRecord, LoginRecord, StaticRecord

from ...test_every_module import options_of

try:
    from ansible.template import trust_as_template as template
except ImportError:  # ansible-core before 2.19 trusts every text
    template = str


@pytest.fixture
def issuing(real_vault):
    return real_vault.add_mount().add_connection().add_role(default_ttl="1h", max_ttl="2h")


@pytest.fixture
def warned(monkeypatch):
    result = []
    monkeypatch.setattr(_session.display, "warning", result.append)
    return result


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A run of its own."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return _ledger.of_this_run()


@pytest.fixture
def look_up(ledger, monkeypatch):
    """Mention a lookup: look_up("database_credentials", "app", scope="run", …)."""
    monkeypatch.setattr(constants.config, "_plugins", {**constants.config._plugins, "lookup": {}})

    def mention(plugin, *roles, variables=(), **options):
        module = importlib.import_module(f"ansible_collections.leasehold.vault.plugins.lookup.{plugin}")
        name = f"leasehold.vault.{plugin}"
        constants.config.initialize_plugin_configuration_definitions("lookup", name, options_of(module))
        lookup = module.LookupModule(DataLoader(), Templar(DataLoader(), dict(variables)))
        lookup._load_name = name
        return lookup.run(list(roles), dict(variables), **options)

    return mention


@pytest.fixture
def app(look_up, issuing):
    """Mention the role `app`: app(scope="run", …)."""

    def mention(variables=(), **options):
        given = {"mount": issuing.mount, **issuing.options, **options}
        return look_up("database_credentials", "app", variables=variables, **given)[0]

    return mention


def make_older(ledger, kind, **values):
    """Let the only record of a kind be as it will be."""
    for path in ledger.directory.iterdir():
        current = ledger.record_in(path.read_bytes())
        if isinstance(current, kind):
            path.write_bytes(ledger.encrypted(_ledger._written(dataclasses.replace(current, **values))))


# -- what a mention loads ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plugin", ["database_credentials", "database_static_credentials"])
def test_declared_options_are_those_of_the_documentation(plugin):
    module = importlib.import_module(f"ansible_collections.leasehold.vault.plugins.lookup.{plugin}")
    _lookup.config._plugins["lookup"].pop(module.__name__, None)
    importlib.reload(module)
    declared = _lookup.config.get_configuration_definitions("lookup", module.__name__)
    documented = {
        option: {key: value for key, value in says.items() if key not in ("description", "version_added")}
        for option, says in options_of(module).items()
    }
    assert declared == documented


@pytest.fixture
def loaded_by(tmp_path, monkeypatch):
    """What is loaded with a file of the collection."""
    monkeypatch.setenv("HOME", str(tmp_path))  # Ansible's configuration wants one

    def load(name):
        what = f"ansible_collections.leasehold.vault.plugins.{name}"
        code = f"import sys; sys.path[:] = {sys.path!r}; import {what}; print(*sys.modules)"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    return load


def test_mention_that_finds_its_credentials_loads_neither_client_nor_http_library(loaded_by):
    """Ansible compiles each file of a collection in each worker, and a mention is a worker."""
    loaded = loaded_by("lookup.database_credentials")
    ours = {module.rpartition("plugins.")[2] for module in loaded if module.startswith("ansible_collections.leasehold")}
    utils = {module for module in ours if "_utils." in module}
    assert utils == {
        *(f"module_utils._core{file}" for file in ("", ".errors", ".names", ".process", ".times")),
        *(f"module_utils._vault{file}" for file in ("", ".options")),
        *(f"plugin_utils.{file}" for file in ("_lookup", "_run", "_run.ledger")),
    }
    assert not {"urllib3", "hvac", "requests", "psycopg2"} & set(loaded)


@pytest.mark.parametrize(
    "name",
    [
        "module_utils._operations.credentials",
        "plugin_utils._run.issue",
        "modules.database_credentials",
        "modules.lease",
        "modules.lease_info",
    ],
)
def test_without_standbys_nothing_is_loaded_that_talks_to_postgresql(loaded_by, name):
    """Check runs, static passwords, leases: most have none."""
    loaded = loaded_by(name)
    assert not {"psycopg2", "concurrent.futures"} & set(loaded)
    used = {module.rpartition(".")[2] for module in loaded if "module_utils._postgresql." in module}
    assert used == {"addresses"}


# -- leases ----------------------------------------------------------------------------------------------------------------


def test_each_host_has_one_user_however_often_it_is_mentioned(app, issuing):
    hosts = [{"inventory_hostname": name} for name in ("a", "b", "a")]
    first, other, again = (app(host) for host in hosts)
    assert first["username"] == again["username"] != other["username"]
    assert app(hosts[0], scope="run")["username"] not in (first["username"], other["username"])
    assert app(hosts[0], name="second")["username"] != first["username"]
    assert len({app(hosts[0], scope="none")["username"] for _mention in range(2)}) == 2
    assert len(issuing.leases()) == 6


def test_past_half_of_its_life_a_lease_is_renewed(app, ledger):
    first = app()
    make_older(ledger, LeaseRecord, expires=_ledger.clock() + 1000)
    renewed = app()
    assert renewed["username"] == first["username"]
    assert renewed["expires_in"] > 3500
    assert renewed["lease_duration"] == 3600


def test_a_lease_that_can_be_renewed_no_more_is_replaced_and_lives_on(app, ledger, issuing):
    first = app()
    issuing.client.ask("put", "sys/leases/revoke", {"lease_id": first["lease_id"], "sync": True})
    make_older(ledger, LeaseRecord, expires=_ledger.clock() + 1000)
    assert app()["username"] != first["username"]
    assert ledger.records()[0].replaced == [first["lease_id"]]


def test_a_lease_that_has_ended_is_replaced_without_asking_for_its_renewal(app, ledger):
    first = app()
    make_older(ledger, LeaseRecord, expires=_ledger.clock() - 1)
    assert app()["username"] != first["username"]


def test_each_replaced_user_is_remembered(app, ledger):
    replaced = []
    for _round in range(2):
        replaced.append(app()["lease_id"])
        make_older(ledger, LeaseRecord, expires=_ledger.clock() - 1)
    app()
    assert ledger.records()[0].replaced == replaced


def test_a_replaced_user_is_revoked_when_that_is_asked_for(app, ledger, issuing):
    first = app()
    make_older(ledger, LeaseRecord, expires=_ledger.clock() - 1)
    assert app(revoke_replaced=True)["username"] != first["username"]
    assert not issuing.database.has(first["username"])
    assert ledger.records()[0].replaced == []


def test_a_replaced_user_that_cannot_be_revoked_is_named(app, ledger, issuing, warned):
    issuing.write("roles/app", revocation_statements=["SELECT no_such_function()"])
    first = app()
    make_older(ledger, LeaseRecord, expires=_ledger.clock() - 1)
    app(revoke_replaced=True)
    assert f"The replaced lease {first['lease_id']} could not be revoked" in warned[-1]
    assert ledger.records()[0].replaced == [first["lease_id"]]


def test_who_asks_for_a_longer_life_gets_it_by_renewal(app, warned):
    first = app()
    longer = app(valid_for="90m")
    assert longer["username"] == first["username"]
    assert longer["lease_duration"] == 5400
    assert app(valid_for="80m")["lease_duration"] == 5400
    assert warned == []


def test_who_asks_for_a_longer_life_than_there_is_is_told_once(app, warned):
    first = app(valid_for="5h")
    (warning,) = [each for each in warned if "valid_for asks for 18000 s" in each]
    lives = int(re.search(r"a new user lives (\d+) s at the most", warning)[1])
    assert 7100 <= lives <= 7200  # it counts from when the user was issued
    result = len(warned)
    assert app(valid_for="5h")["username"] == first["username"]
    assert len(warned) == result


def test_a_user_for_the_run_only_stays_one(app, ledger, warned):
    app()
    app(revoke="at_end")
    assert "needs the callback leasehold.vault.revoke_leases, which is not enabled" in warned[0]
    make_older(ledger, LeaseRecord, expires=_ledger.clock() - 1)
    app()
    assert ledger.records()[0].revoke_at_end


def test_check_runs_make_nothing(app, issuing, look_up):
    for plugin in ("database_credentials", "database_static_credentials"):
        given = {"mount": issuing.mount, **issuing.options}
        found = look_up(plugin, "app", variables={"ansible_check_mode": True}, **given)
        assert found[0]["username"] == "check-mode-app"
    assert issuing.leases() == []
    assert app({"ansible_check_mode": True}, issue_in_check_mode=True)["lease_id"]


def test_without_a_place_for_the_ledger_nothing_is_issued(app, issuing, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "missing"))
    with pytest.raises(AnsibleLookupError, match=r"Nothing was issued.*No such file.*ANSIBLE_LOCAL_TEMP"):
        app()
    assert issuing.leases() == []


@contextlib.contextmanager
def room(size):
    """No file of this process may grow beyond so many bytes: a disk that is full, for whoever writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_sixty_hosts_on_a_full_disk_leave_no_user(app, issuing, login, monkeypatch):
    monkeypatch.setattr(end, "run_has_end", lambda: False)
    sentences = set()
    with room(4096):
        for number in range(60):
            with pytest.raises(AnsibleLookupError) as caught:
                app({"inventory_hostname": f"h{number}"}, **login)
            sentences.add(str(caught.value))
    (sentence,) = sentences
    assert "Nothing was issued" in sentence
    assert "File too large" in sentence
    assert issuing.leases() == []
    assert tokens_of(issuing) == []


def test_user_that_cannot_be_noted_is_revoked_at_once(app, issuing, monkeypatch):
    """The room that was kept is gone by then."""
    original = _ledger._FileEntry.note

    def note(entry, record, keep_room=False):
        with room(512) if getattr(record, "credentials", None) else contextlib.nullcontext():
            original(entry, record, keep_room)

    monkeypatch.setattr(_ledger._FileEntry, "note", note)
    with pytest.raises(AnsibleLookupError, match=r"could not be noted.*File too large, and was revoked at once"):
        app()
    assert issuing.leases() == []


def test_user_of_a_killed_worker_is_remembered_as_unconfirmed(app, ledger, issuing):
    """Killed between the answer of the server and the note."""
    child = os.fork()
    if child == 0:
        _issue.issue = lambda *_arguments: os.kill(os.getpid(), signal.SIGKILL)
        try:
            app()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    (record,) = ledger.records()
    assert record.issuing
    assert app()["lease_id"]
    (record,) = ledger.records()
    assert not record.issuing
    assert record.unconfirmed == 1


def test_worker_that_is_terminated_notes_first_what_it_issues(app, ledger, issuing):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a module that ran in this process has left its own
        issue = _issue.issue

        def interrupted(client, mount, role, note):
            os.kill(os.getpid(), signal.SIGTERM)
            return issue(client, mount, role, note)

        _issue.issue = interrupted
        try:
            app()
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
    (record,) = ledger.records()
    assert [record.lease_id] == issuing.leases()


def tokens_of(world):
    """The logins that live: the display name of each is that of its mount."""
    accessors = world.client.list("auth/token/accessors")
    found = []
    for accessor in accessors:
        with contextlib.suppress(Problem):
            token = world.client.ask("post", "auth/token/lookup-accessor", {"accessor": accessor})["data"]
            found += [token] if token["path"].startswith(f"auth/{world.mount}/") else []
    return found


def test_lookup_that_fails_leaves_no_login(app, issuing, login, look_up, monkeypatch):
    monkeypatch.setattr(end, "run_has_end", lambda: False)
    given = {**login, "mount": issuing.mount}
    with pytest.raises(AnsibleLookupError, match="Not allowed"):
        look_up("database_credentials", "app", **given)
    with pytest.raises(AnsibleLookupError):
        look_up("database_static_credentials", "app", **given)
    assert tokens_of(issuing) == []


def test_a_static_password_is_read_once_until_it_is_rotated(reports, look_up, ledger):
    reports.write(
        "static-roles/reports", db_name="db", username=f"{reports.database.name}_reports", rotation_period=86400
    )

    def mention():
        return look_up("database_static_credentials", "reports", mount=reports.mount, **reports.options)[0]

    first = mention()
    reports.client.ask("post", f"{reports.mount}/rotate-role/reports")
    assert mention()["password"] == first["password"]
    make_older(ledger, StaticRecord, expires=_ledger.clock() - 1)
    assert mention()["password"] != first["password"]
    assert reports.database.opens(mention()["password"], mention()["username"])


def test_options_come_from_variables_with_templates_in_them(look_up, issuing):
    words = {"url": "leasehold_url", "token": "leasehold_token", "ca_cert": "leasehold_ca_cert"}
    variables = {name: issuing.options[option] for option, name in words.items()}
    variables |= {"where": issuing.mount, "leasehold_mount": template("{{ where }}")}
    assert look_up("database_credentials", "app", variables=variables)[0]["lease_id"].startswith(issuing.mount)


def test_empty_environment_variable_counts_as_unset(look_up, issuing, monkeypatch):
    empty = (
        "VAULT_TOKEN",
        "VAULT_AUTH_METHOD",
        "VAULT_SKIP_VERIFY",
        "VAULT_MAX_RETRIES",
        "VAULT_NAMESPACE",
        "VAULT_ADDR",
    )
    for variable in empty:
        monkeypatch.setenv(variable, "")
    for variable, option in {"BAO_TOKEN": "token", "BAO_ADDR": "url", "BAO_CACERT": "ca_cert"}.items():
        monkeypatch.setenv(variable, issuing.options[option])
    assert look_up("database_credentials", "app", mount=issuing.mount)[0]["lease_id"]


def test_options_of_one_meaning_share_a_user(app, issuing):
    url = issuing.options["url"]
    spellings = [{}, {"timeout": 30}, {"timeout": "30s"}, {"url": f"{url}/"}, {"namespace": "root"}, {"retries": 2}]
    assert len({app(**spelling)["username"] for spelling in spellings}) == 1
    assert len(issuing.leases()) == 1


def test_refusals_are_sentences(look_up, issuing):
    given = {"mount": issuing.mount, **issuing.options}
    for role, options, words in [
        ("a/b", {}, "The role: 'a/b' cannot be a name in Vault"),
        ("app", {"valid_for": "soon"}, "valid_for: 'soon' is not a duration"),
        ("app", {"mount": "sys"}, "belongs to Vault itself"),
        ("nobody", {}, "unknown role"),
    ]:
        with pytest.raises(AnsibleLookupError) as caught:
            look_up("database_credentials", role, **{**given, **options})
        assert words in str(caught.value)


# -- the login of a run ----------------------------------------------------------------------------------------------------


@pytest.fixture
def login(real_vault):
    """The options of a login by AppRole, whose token lives for an hour."""
    client, mount = real_vault.client, real_vault.mount
    client.write(f"sys/auth/{mount}", {"type": "approle"})
    client.write(
        f"auth/{mount}/role/app",
        {"token_ttl": "1h", "token_max_ttl": "2h", "bind_secret_id": False, "token_bound_cidrs": "127.0.0.1/32"},
    )
    role_id = client.read(f"auth/{mount}/role/app/role-id")["role_id"]
    where = {key: real_vault.options[key] for key in ("url", "ca_cert")}
    return {**where, "auth_method": "approle", "auth_mount": mount, "role_id": role_id}


def session(ledger, login):
    return _session.session_of_run(ledger, login_identity(login), login).client


def test_a_run_logs_in_once(ledger, login):
    first = session(ledger, login)
    assert session(ledger, login).token == first.token
    (record,) = ledger.records()
    assert record.own
    assert 3500 < record.life <= 3600


@pytest.mark.parametrize(("left", "used"), [(1900, "token"), (1700, "approle")])
def test_login_is_used_as_it_is_until_half_of_its_life(ledger, monkeypatch, left, used):
    options = {"url": "https://vault.example", "auth_method": "approle", "role_id": "app"}
    with ledger.entry(LoginRecord, "app") as entry:
        entry.record = LoginRecord("app", options, token="t", life=3600, expires=_ledger.clock() + left)
    asked = []

    def log_in(given):
        asked.append(given["auth_method"])
        raise Problem("asked")

    monkeypatch.setattr(_session, "log_in", log_in)
    with pytest.raises(Problem, match="asked"):
        _session.session_of_run(ledger, "app", options)
    assert asked == [used]


def test_past_half_of_its_life_a_login_is_renewed(ledger, login):
    first = session(ledger, login)
    make_older(ledger, LoginRecord, expires=_ledger.clock() + 1000)
    assert session(ledger, login).token == first.token
    assert ledger.records()[0].expires > _ledger.clock() + 3000


@pytest.mark.parametrize("left", [1000, -1], ids=["cannot be renewed", "has ended"])
def test_a_login_that_goes_on_no_more_is_replaced_and_remembered(ledger, login, real_vault, left):
    first = session(ledger, login)
    real_vault.client.ask("put", "auth/token/revoke", {"token": first.token})
    make_older(ledger, LoginRecord, expires=_ledger.clock() + left)
    assert session(ledger, login).token != first.token
    assert ledger.records()[0].earlier == [first.token]


def test_a_token_that_was_given_is_not_written_down(ledger, real_vault):
    assert session(ledger, dict(real_vault.options)).token == real_vault.options["token"]
    assert ledger.records() == []


def test_login_that_is_good_for_some_requests_is_not_shared(ledger, login, real_vault):
    real_vault.client.write(f"auth/{real_vault.mount}/role/app", {"token_num_uses": 9})
    first, second = session(ledger, login), session(ledger, login)
    assert first.token != second.token
    assert ledger.records()[0].earlier == [first.token]


def test_login_that_cannot_be_noted_ends_at_once(ledger, login, real_vault, monkeypatch):
    original = _ledger._FileEntry.note

    def note(entry, record, keep_room=False):
        with room(512) if record and record.token else contextlib.nullcontext():
            original(entry, record, keep_room)

    monkeypatch.setattr(_ledger._FileEntry, "note", note)
    with pytest.raises(_ledger.CannotNote):
        session(ledger, login)
    assert tokens_of(real_vault) == []


def test_what_a_login_says_of_the_environment_is_shown(ledger, login, warned, monkeypatch):
    monkeypatch.setattr(_session, "log_in", lambda options: log_in(options)._replace(warnings=["mind the gap"]))
    session(ledger, login)
    assert warned == ["mind the gap"]


# -- standbys ---------------------------------------------------------------------------------------------------------------

AWAY = {
    "nodes": [{"name": "db", "host": "127.0.0.1", "port": "1", "database": "app"}],
    "wait_for_replay": "1s",
}


@pytest.mark.full
def test_user_that_a_standby_does_not_know_is_none_that_a_later_mention_finds(app, ledger, issuing, warned):
    with pytest.raises(AnsibleLookupError, match="It was revoked"):
        app(**AWAY)
    assert issuing.leases() == []
    first = app(**AWAY, not_replayed="warn")
    assert any("could not log in on each server" in warning for warning in warned)
    assert app(**AWAY) == first, "it is waited for when it is issued, and not again"
    (record,) = ledger.records()
    assert record.lease_ids == issuing.leases() == [first["lease_id"]]


def test_user_that_can_be_neither_handed_out_nor_revoked_is_remembered_for_the_end(app, ledger, issuing, monkeypatch):
    def lost(_client, _credentials, _standbys):
        raise Problem("could not be revoked either")

    monkeypatch.setattr(_issue, "require_replay", lost)
    with pytest.raises(AnsibleLookupError, match="could not be revoked either"):
        app(**AWAY)
    (record,) = ledger.records()
    assert (record.credentials, record.lease_ids) == (None, issuing.leases())
    monkeypatch.undo()


def test_user_that_was_revoked_is_said_also_where_that_cannot_be_noted(app, monkeypatch):
    def full(*_given):
        raise OSError(errno.ENOSPC, "No space left on device")

    def not_replayed(_client, _credentials, _standbys):
        monkeypatch.setattr(_ledger.os, "pwrite", full)
        raise NotReplayed("It was revoked")

    monkeypatch.setattr(_issue, "require_replay", not_replayed)
    with pytest.raises(AnsibleLookupError, match="It was revoked"):
        app(**AWAY)
    monkeypatch.undo()


def test_who_ends_sessions_on_standbys_is_noted_with_the_lease(app, ledger):
    app(nodes=AWAY["nodes"], login_user="sweeper", login_password="sweeps")
    (record,) = ledger.records()
    assert record.standbys == {"nodes": AWAY["nodes"], "login_user": "sweeper", "login_password": "sweeps"}
    assert not any(b"sweeps" in path.read_bytes() for path in ledger.directory.iterdir())


def test_who_ends_sessions_is_noted_also_by_a_later_mention_and_stays(app, ledger):
    app()
    app(nodes=AWAY["nodes"], login_user="sweeper")
    (record,) = ledger.records()
    assert record.standbys == {"nodes": AWAY["nodes"], "login_user": "sweeper"}
    app()
    make_older(ledger, LeaseRecord, expires=0)
    app()
    assert ledger.records()[0].standbys == record.standbys


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [([{"host": "a@b", "database": "app"}], "has an @"), (["db1"], "each is a dictionary with host and database")],
)
@pytest.mark.parametrize("more", [{"wait_for_replay": "1s"}, {"login_user": "sweeper"}])
def test_nodes_that_cannot_be_read_are_refused_before_a_user_is_issued(app, issuing, nodes, sentence, more):
    with pytest.raises(AnsibleLookupError, match=sentence):
        app(nodes=nodes, **more)
    assert issuing.leases() == []
