# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What conditions, loops and contents of the roles' and playbooks' tasks are for given facts; plays show the same, much later."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.leasehold.vault import plugins
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.access import access_document

from .test_roles import ROOT, tasks

if t.TYPE_CHECKING:
    from collections.abc import Iterator

Values = dict[str, t.Any]
TREE = Path(next(iter(plugins.__path__))).parents[3]


class Evaluate:
    """The value of a text with the variables of a role, and with others as given."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __call__(self, text: t.Any, role: str = "", templates: Values | None = None, **given: t.Any) -> t.Any:
        files = [str(ROOT / "roles" / role / kind / "main.yml") for kind in ("defaults", "vars")] if role else []
        question = {
            "files": [file for file in files if Path(file).exists()],
            "templates": templates or {},
            "given": given,
            "text": text,
        }
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer
        return answer["value"]

    def condition(self, where: str, word: str, **given: t.Any) -> bool:
        """Whether all of `when`, or of what `that` demands, hold in a task."""
        task = tasks()[where]
        conditions = task["ansible.builtin.assert"]["that"] if word == "that" else task[word]
        conditions = conditions if isinstance(conditions, list) else [conditions]
        return all(
            self(f"{{{{ true if ({each}) else false }}}}", *self._of(where, given), **given) for each in conditions
        )

    def part(self, where: str, *path: str, **given: t.Any) -> t.Any:
        """The value of what stands in a task under these keys."""
        value: t.Any = tasks()[where]
        for key in path:
            value = value[key]
        return self(value, *self._of(where, given), **given)

    @staticmethod
    def _of(where: str, given: Values) -> tuple[str, Values]:
        """The role of a task, and the task's own variables, unless they are given."""
        own = {name: text for name, text in tasks()[where].get("vars", {}).items() if name not in given}
        return (where.split("/")[1] if where.startswith("roles/") else ""), own


@pytest.fixture(scope="module")
def evaluate() -> Iterator[Evaluate]:
    words = [sys.executable, str(Path(__file__).with_name("expressions.py")), str(TREE)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}
    ) as process:
        yield Evaluate(process)
        process.terminate()


# ----------------------------------------------------------------------------------------------------------- app_access

PRESENT = "roles/app_access/tasks/present.yml: "
DELIVERY = {
    "application": "shop", "host": "web1", "become": False, "owner": "shop", "group": "shops", "directories": ["/etc/shop"],
    "role_id": "/etc/shop/role_id", "secret_id": "/etc/shop/secret_id", "accessor": "/etc/shop/secret_id_accessor",
}  # fmt: skip


@pytest.mark.parametrize(
    ("codes", "missing"), [((0, 0), []), ((2, 0), ["the user shop"]), ((2, 2), ["the user shop", "the group shops"])]
)
def test_owner_that_getent_does_not_know_stops_the_delivery(
    evaluate: Evaluate, codes: tuple[int, int], missing: list[str]
) -> None:
    items = [["passwd", "shop"], ["group", "shops"]]
    names = {"results": [{"rc": code, "item": item} for code, item in zip(codes, items, strict=True)]}
    where = f"{PRESENT}Require the owner and the group before a secret id is issued"
    given = {"__app_access_names": names, "__app_access_delivery": DELIVERY}
    assert evaluate.condition(where, "that", **given) is not bool(missing)
    sentence = evaluate.part(where, "ansible.builtin.assert", "fail_msg", **given)
    assert all(word in sentence for word in missing)


@pytest.mark.parametrize(
    ("unwrapped", "arrived"), [({"rc": 0}, True), ({"rc": 1, "stderr": "no"}, False), ({"skipped": True}, True)]
)
def test_what_did_not_arrive_on_the_host_is_a_failure(evaluate: Evaluate, unwrapped: Values, arrived: bool) -> None:
    given = {"__app_access_unwrapped": unwrapped, "__app_access_delivery": DELIVERY}
    assert evaluate.condition(f"{PRESENT}Check that the secret id was delivered", "that", **given) is arrived


@pytest.mark.parametrize(("changed", "had", "ends"), [(True, True, True), (False, True, False), (True, False, False)])
def test_secret_id_that_was_replaced_is_ended(evaluate: Evaluate, changed: bool, had: bool, ends: bool) -> None:
    given = {
        "__app_access_issued": {"changed": changed},
        "__app_access_accessor": {"content": "eA=="} if had else {"skipped": True},
    }
    assert evaluate.condition(f"{PRESENT}Destroy the replaced secret id", "when", **given) is ends


def test_application_that_is_gone_loses_its_policy_and_its_files(evaluate: Evaluate) -> None:
    document = [{"name": name, "state": state} for name, state in (("shop", "present"), ("old", "absent"))]
    loops = ("Manage the policies of the applications", "Remove the policies of absent applications")
    for loop, name in zip(loops, ("shop", "old"), strict=True):
        found = evaluate.part(f"roles/app_access/tasks/main.yml: {loop}", "loop", __app_access_document=document)
        assert [each["name"] for each in found] == [name]
    files = evaluate.part(
        "roles/app_access/tasks/absent.yml: Remove the ids from the host", "loop", __app_access_delivery=DELIVERY
    )
    assert files == [DELIVERY[word] for word in ("role_id", "secret_id", "accessor")]


def test_each_word_of_a_delivery_is_handed_on() -> None:
    login = {"approle": {"secret_id_ttl": "30d"}}
    (entry,) = access_document([{"name": "shop", "roles": ["app"], "auth": login, "deliver": {"hosts": ["web1"]}}])
    text = "".join(str(task) for where, task in tasks().items() if where.startswith(PRESENT))
    unused = {word for word in entry["deliveries"][0] if f"__app_access_delivery.{word}" not in text}
    assert unused == {"state"}, "by which its tasks are chosen"


# ------------------------------------------------------------------------------------------------------ database_secrets

DATABASE = {
    "name": "db",
    "host": "db",
    "database": "app",
    "admin": {"username": "admin", "password": "first"},
    "roles": {"app": {}},
}


@pytest.mark.parametrize(
    ("asked", "password", "rotates"), [(True, "first", True), (False, "first", False), (True, "", False)]
)
def test_first_password_is_rotated_where_it_is_asked_for_and_known(
    evaluate: Evaluate, asked: bool, password: str, rotates: bool
) -> None:
    database = {**DATABASE, "admin": {"username": "admin", "password": password}}
    given = {"database_secrets_rotate_root": asked, "__database_secrets_database": database}
    assert (
        evaluate.condition("roles/database_secrets/tasks/main.yml: Rotate the initial root passwords", "when", **given)
        is rotates
    )


OWNED = [{**DATABASE, "owner": "owner"}, {**DATABASE, "name": "bare"}]


@pytest.mark.parametrize(
    ("asked", "known", "found"), [({}, True, ["db"]), ("db", True, ["db"]), ("bare", False, []), ("dbb", False, [])]
)
def test_hand_over_takes_entries_with_an_owner_and_names_the_others(
    evaluate: Evaluate, asked: t.Any, known: bool, found: list[str]
) -> None:
    where = "roles/postgresql_access/tasks/hand_over.yml: "
    given = {"postgresql_access_databases": OWNED, **({"leasehold_hand_over_database": asked} if asked else {})}
    assert evaluate.condition(f"{where}Require an entry that is there and has an owner", "that", **given) is known
    taken = evaluate.part(f"{where}Hand over what ended users, or roles that are named, own", "loop", **given)
    assert [each["name"] for each in taken] == found
    shown = evaluate.condition(f"{where}Entries without an owner, which are not looked at", "when", **given)
    assert shown is not bool(asked)
    assert evaluate("{{ __postgresql_access_unowned }}", "postgresql_access", **given) == ["bare"]


@pytest.mark.parametrize(
    ("given", "item", "login"),
    [
        ({}, {}, {}),
        ({}, {"host": "a:1,b", "sslmode": "require"}, {"login_host": "a:1,b", "login_ssl_mode": "require"}),
        ({"login_host": "c", "login_port": 6000}, {"host": "a", "port": "1"}, {"login_host": "c", "login_port": "6000"}),
        ({"login_password": "['1'] \""}, {"ca_cert": "/ca"}, {"login_password": "['1'] \"", "login_ca_cert": "/ca"}),
        ({"login_user": ""}, {"port": "1"}, {"login_user": "", "login_port": "1"}),
    ],
)  # fmt: skip
def test_login_that_replaces_the_present_ones_is_that_of_the_variables_or_of_the_entry(
    evaluate: Evaluate, given: Values, item: Values, login: Values
) -> None:
    empty = dict.fromkeys(("host", "port", "sslmode", "ca_cert", "client_cert", "client_key"), "")
    variables = {f"postgresql_access_{name}": value for name, value in given.items()}
    text = "{{ __postgresql_access_login_at_item }}"
    found = evaluate(text, "postgresql_access", item={**empty, **item}, **variables)
    assert {name: str(value) for name, value in found.items()} == {"login_user": "postgres", **login}


HANDS_OVER = "roles/postgresql_access/tasks/cutover.yml: Hand over what the logins own"


@pytest.mark.parametrize(
    ("step", "result", "failed"),
    [
        ("look", {"failed": True, "obstacles": [{"object": "table a", "detail": "busy"}]}, False),
        ("look", {"failed": True, "msg": "Logging in failed"}, True),
        ("hand_over", {"failed": True, "obstacles": [{"object": "table a", "detail": "busy"}]}, True),
        ("hand_over", {"changed": True, "obstacles": []}, False),
    ],
)
def test_look_of_cutover_fails_for_all_but_objects_that_would_stay(
    evaluate: Evaluate, step: str, result: Values, failed: bool
) -> None:
    given = {"leasehold_cutover_step": step, "postgresql_access_handed_over": result}
    assert evaluate.condition(HANDS_OVER, "failed_when", **given) is failed


@pytest.mark.parametrize(
    ("given", "check", "only_looks"),
    [
        ({}, False, True),
        ({"leasehold_cutover_step": "look"}, False, True),
        ({"leasehold_cutover_step": "hand_over"}, False, False),
        ({"leasehold_cutover_step": "hand_over"}, True, True),
    ],
)
def test_only_the_step_that_hands_over_does_so(
    evaluate: Evaluate, given: Values, check: bool, only_looks: bool
) -> None:
    assert evaluate.part(HANDS_OVER, "check_mode", ansible_check_mode=check, **given) is only_looks


@pytest.mark.parametrize("role", ["database_secrets", "postgresql_access"])
def test_document_with_problems_is_refused(evaluate: Evaluate, role: str) -> None:
    where = f"roles/{role}/tasks/main.yml: Refuse a document with problems, before anything is written"
    for database, good in ((DATABASE, True), ({**DATABASE, "sslmod": "require"}, False)):
        if role == "postgresql_access":
            database = {**database, "owner": "owner", "groups": {"app_rw": {"schemas": ["public"]}}}
        assert evaluate.condition(where, "that", **{f"{role}_databases": [database]}) is good


def test_only_users_whose_end_is_certain_are_removed_unasked(evaluate: Evaluate) -> None:
    removal = [{"username": name, "certainty": name} for name in ("leaseless", "expired_and_leaseless")]
    health = {"results": [{"item": "db", "removal": removal}]}
    found = evaluate("{{ __database_secrets_certain }}", "database_secrets", database_secrets_health=health)
    assert [step["username"] for _answer, step in found] == ["expired_and_leaseless"]


@pytest.mark.parametrize(
    ("rotated_at", "noted"), [("2026-01-01T00:00:00Z", "1767225600"), ("begun 2026-01-01T00:00:00Z", "0"), ("", "0")]
)
def test_rotation_without_a_noted_end_is_as_old_as_can_be(evaluate: Evaluate, rotated_at: str, noted: str) -> None:
    where = "roles/database_secrets/tasks/note_rotations.yml: Write the metrics for the node exporter"
    connections = {"connections": [{"name": "db", "root_rotated_at": rotated_at}]}
    given = {"__database_secrets_connections": connections, "database_secrets_databases": [DATABASE]}
    text = evaluate.part(where, "leasehold.vault.private_file", "content", **given)
    assert text.split()[-1] == noted


REFUSED = 'connection to server at "db" failed: FATAL:  password authentication failed for user "v-app"'


@pytest.mark.parametrize(
    ("after", "gone"),
    [
        ({"msg": REFUSED}, True),
        ({"msg": "could not translate host name"}, False),
        ({"query_result": [], "msg": REFUSED}, False),
    ],
)
def test_only_a_refusal_of_the_login_proves_that_it_has_ended(evaluate: Evaluate, after: Values, gone: bool) -> None:
    for where, word in (
        ("roles/database_secrets/tasks/verify_role.yml: The user is gone", "__database_secrets_after"),
        ("roles/database_secrets/tasks/verify_role.yml: The user is gone on each replica", "item"),
        (
            "roles/database_secrets/tasks/verify_connection.yml: Check that the initial root password is refused",
            "__database_secrets_first",
        ),
    ):
        given = {word: after, "__database_secrets_node_label": "db at db2:5432", "__database_secrets_issued": {}}
        assert evaluate.condition(where, "that", **given) is gone, where


def test_refusal_of_a_user_that_a_standby_never_knew_proves_nothing(evaluate: Evaluate) -> None:
    where = "roles/database_secrets/tasks/verify_role.yml: The user is gone on each replica"
    for label, proves in (("db at db2:5432", False), ("db at db2:543", True)):
        issued = {"warnings": ["The user v-app could not log in on each server within 15 s. db at db2:5432: FATAL."]}
        given = {"item": {"msg": REFUSED}, "__database_secrets_node_label": label, "__database_secrets_issued": issued}
        assert evaluate.condition(where, "that", **given) is proves


SECRETS = "roles/database_secrets/tasks/"


@pytest.mark.parametrize(
    "where",
    [
        "clean_orphans.yml: End the sessions of users that are gone",
        "remove_orphans.yml: Remove users, with what they own in each database",
        "revoke.yml: End sessions that outlived their users",
        "revoke.yml: Look for users that could not be dropped",
        "revoke.yml: Drop the users that could not be dropped before",
    ],
)
def test_check_run_ends_no_session_and_drops_no_user(evaluate: Evaluate, where: str) -> None:
    for check in (True, False):
        given = {"__database_secrets_dba": True, "ansible_check_mode": check}
        assert evaluate.condition(SECRETS + where, "when", **given) is not check


@pytest.mark.parametrize(
    ("looked_at", "kinds", "replicas", "looks"),
    [
        (True, [], [], False),
        (True, ["sessions"], [], True),
        (True, [], [{"host": "db2"}], True),
        (False, ["sessions"], [{"host": "db2"}], False),
    ],
)
def test_repair_ends_sessions_where_some_were_found_and_on_standbys_always(
    evaluate: Evaluate, looked_at: bool, kinds: list[str], replicas: list[Values], looks: bool
) -> None:
    given = {
        "__database_secrets_looked_at": looked_at,
        "__database_secrets_kinds": kinds,
        "database_secrets_databases": [{**DATABASE, "replicas": replicas}],
    }
    where = f"{SECRETS}repair_users.yml: End sessions that outlived their users"
    assert evaluate.condition(where, "when", **given) is looks


@pytest.mark.parametrize(
    "where", ["revoke.yml: Check that sessions ended on every server", "clean_orphans.yml: Report"]
)
def test_sessions_that_may_go_on_fail_the_run_and_are_named(evaluate: Evaluate, where: str) -> None:
    problem = "db at db2:5432: Logging in failed."
    for given, ended in (({}, True), ({"problems": []}, True), ({"problems": [problem]}, False)):
        known = {"database_secrets_sessions": given, "__database_secrets_removals": []}
        assert evaluate.condition(SECRETS + where, "that", **known) is ended
    assert problem in evaluate.part(SECRETS + where, "ansible.builtin.assert", "fail_msg", **known)


# ------------------------------------------------------------------------------------------------------------- playbooks


def drift(evaluate: Evaluate, **more: t.Any) -> Values:
    host = {"inventory_hostname": "localhost", "leasehold_drift_postgresql_compared": True}
    given = {
        "groups": {"all": ["localhost"]},
        "hostvars": {"localhost": host},
        "inventory_hostname": "localhost",
        "database_secrets_held": {},
    }
    where = "playbooks/drift.yml: Compile the drift report"
    return t.cast("Values", evaluate.part(where, "ansible.builtin.set_fact", "leasehold_drift", **given, **more))


def test_part_that_could_not_be_compared_is_no_part_that_does_not_differ(evaluate: Evaluate) -> None:
    whole = "playbooks/drift.yml: Fail if anything differs"
    same = drift(evaluate)
    assert (same["lines"], evaluate.condition(whole, "that", leasehold_drift=same)) == ([], True)
    for part in ("vault", "applications"):
        failed = {f"leasehold_drift_{part}_failed": {"part": part, "result": {"msg": "permission denied"}}}
        found = drift(evaluate, **failed)
        assert found["unknown"] == [f"{part}/all"]
        assert not evaluate.condition(whole, "that", leasehold_drift=found)


@pytest.mark.parametrize(("named", "expected"), [("database", True), ("other", False), (None, False)])
def test_teardown_is_of_the_mount_that_is_named(evaluate: Evaluate, named: str | None, expected: bool) -> None:
    given = {"__teardown_mount": "database", **({"leasehold_teardown": named} if named else {})}
    assert evaluate.condition("playbooks/teardown.yml: Require the mount to be named", "that", **given) is expected


# ------------------------------------------------------------------------------------------------------ lease_monitoring

MONITORING = "roles/lease_monitoring/"


def test_files_of_the_timers_hold_no_password(evaluate: Evaluate) -> None:
    found = evaluate(
        ["{{ __lease_monitoring_heartbeat_variables }}", "{{ __lease_monitoring_rotation_document }}"],
        "lease_monitoring", lease_monitoring_heartbeat_database=DATABASE, lease_monitoring_rotation_databases=[DATABASE],
    )  # fmt: skip
    assert found[0]["lease_monitoring_heartbeat_database"] == {"name": "db", "host": "db", "database": "app"}
    assert found[1]["vault_databases"] == [{"name": "db", "roles": {"app": {}}}]


def test_timer_has_a_role_to_try_a_connection_with_which_is_for_migrations_alone(evaluate: Evaluate) -> None:
    entry = {"name": "db", "roles": None, "migrations": {"role": "migrate", "max_ttl": "2h"}}
    document = evaluate(
        "{{ __lease_monitoring_rotation_document }}", "lease_monitoring", lease_monitoring_rotation_databases=[entry]
    )
    assert document["vault_databases"] == [{"name": "db", "roles": {"migrate": {}}}]


def test_longest_life_of_a_lease_is_that_of_roles_and_migrations(evaluate: Evaluate) -> None:
    entries = [
        {"roles": None, "migrations": {"role": "migrate", "max_ttl": "2h"}},
        {"roles": {"app": {"max_ttl": "1h"}, "plain": None}, "migrations": None},
    ]
    assert evaluate("{{ __lease_monitoring_max_ttls }}", "lease_monitoring", vault_databases=entries) == ["1h", "2h"]


def test_timer_rotates_only_what_is_old_enough(evaluate: Evaluate) -> None:
    template = (ROOT / MONITORING / "templates" / "leasehold-rotation.service.j2").read_text(encoding="utf-8")
    text = evaluate(
        template, "lease_monitoring", lease_monitoring_heartbeat_playbook="ansible-playbook", ansible_managed=""
    )
    assert "-e leasehold_rotate_older_than=30d" in text


def test_heartbeat_notes_when_the_user_ends_and_not_only_its_lease(evaluate: Evaluate) -> None:
    issued = {"credentials": {"expires_in": 60, "lease_duration": 3600}}
    given = {"__lease_monitoring_issued": issued, "__lease_monitoring_looked": {"skipped": True}}
    text = evaluate.part(
        f"{MONITORING}tasks/beat.yml: Record success", "leasehold.vault.private_file", "content", **given
    )
    assert "leasehold_heartbeat_expires_in_seconds 60\n" in text
    assert "leasehold_heartbeat_lease_duration_seconds 3600\n" in text


@pytest.mark.parametrize(("swept", "lines"), [(True, ["h1:1 0"]), (False, ["h1:1 0", "h3:3 2"])])
def test_heartbeat_gives_no_number_of_sessions_for_a_server_that_could_not_be_asked(
    evaluate: Evaluate, swept: bool, lines: list[str]
) -> None:
    nodes = [
        {"host": "h1", "port": "1", "ended": 0, "problem": ""},
        {"host": "h2", "port": "2", "ended": 0, "problem": "is away"},
        {"host": "h3", "port": "3", "ended": 2, "problem": "is behind"},
    ]
    asked, skipped = {"nodes": nodes}, {"skipped": True}
    given = {
        "__lease_monitoring_issued": {"credentials": {"expires_in": 60, "lease_duration": 3600}},
        "__lease_monitoring_looked": {"query_result": [{"parked": 0, "sessions": 0}]},
        "__lease_monitoring_swept": asked if swept else skipped,
        "__lease_monitoring_seen": skipped if swept else asked,
    }
    where = f"{MONITORING}tasks/beat.yml: Record success"
    text = evaluate.part(where, "leasehold.vault.private_file", "content", **given)
    assert re.findall(r'^leasehold_sessions_without_user{server="(.*)"} (\d+)$', text, re.MULTILINE) == [
        tuple(line.split()) for line in lines
    ]
    assert re.findall(r"^leasehold_server_unknown{.*} (\d)$", text, re.MULTILINE) == ["0", "1", "1"]


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({}, True),
        ({"lease_monitoring_audit_file": "/elsewhere.log"}, False),
        ({"lease_monitoring_audit_mode": "0640"}, False),
        ({"lease_monitoring_audit_file": "/elsewhere.log", "lease_monitoring_audit_device": "other"}, True),
    ],
    ids=str,
)
def test_audit_device_of_a_name_is_not_changed(evaluate: Evaluate, settings: Values, taken: bool) -> None:
    """OpenBao would not start any more."""
    there = 'audit "file" "main" {\n options {\n file_path = "/var/log/openbao/audit.log"\n mode = "0600"'
    where = f"{MONITORING}tasks/server.yml: Refuse to change an audit device, after which OpenBao would not start"
    assert evaluate.condition(where, "that", __text=there, **settings) is taken


@pytest.mark.parametrize(("token", "nodes", "taken"), [("", 2, True), ("a-token", 1, True), ("a-token", 2, False)])
def test_standby_is_not_scraped_with_a_token(evaluate: Evaluate, token: str, nodes: int, taken: bool) -> None:
    given = {
        "lease_monitoring_token": token,
        "lease_monitoring_targets": [f"vault{number}:8200" for number in range(nodes)],
    }
    assert (
        evaluate.condition(
            f"{MONITORING}tasks/prometheus.yml: Refuse a metrics token with several targets", "that", **given
        )
        is taken
    )


# ------------------------------------------------------------------------------------------ vault_agent and lease_report


@pytest.mark.parametrize(
    ("found", "taken"),
    [
        ({"exists": False}, True),
        ({"mode": "0750"}, True),
        ({"mode": "0755"}, True),
        ({"mode": "0770"}, False),
        ({"mode": "0757"}, False),
        ({"mode": "0750", "islnk": True}, False),
        ({"mode": "0750", "pw_name": "somebody"}, False),
    ],
    ids=str,
)
def test_directory_that_others_can_write_is_none_for_an_agent(evaluate: Evaluate, found: Values, taken: bool) -> None:
    item = {
        "stat": {"exists": True, "islnk": False, "pw_name": "shop", **found},
        "item": [{"name": "shop", "user": "shop"}, {"directory": "/run/shop"}],
    }
    where = "roles/vault_agent/tasks/present.yml: Check who can write to the directories of the files"
    assert evaluate.condition(where, "that", item=item) is taken


@pytest.mark.parametrize(("has", "taken"), [(True, True), (False, False), (None, True)])
def test_server_without_namespaces_is_refused(evaluate: Evaluate, has: bool | None, taken: bool) -> None:
    """None: it is not known, which the task before refuses."""
    where = "roles/vault_agent/tasks/namespace.yml: Refuse a server without namespaces"
    assert evaluate.condition(where, "that", server={"name": "a server", "namespaces": has}) is taken


def test_each_answer_that_could_not_be_had_is_told_in_the_report(evaluate: Evaluate) -> None:
    names = ("engine", "connections", "roles", "static_roles", "leases", "auth_mounts", "policies")
    given: Values = {f"__lease_report_{name}": {"msg": name} for name in names}
    given["__lease_report_auth_roles"] = {"results": [{"msg": "auth_roles"}]}
    given["database_secrets_orphans"] = {"results": [{"msg": "orphans"}]}
    given["database_secrets_result"] = {"msg": "document"}
    found = evaluate("{{ __lease_report_gathered.unread }}", "lease_report", **given)
    assert set(found) == {*names, "auth_roles", "orphans", "document"}


def test_nothing_that_others_wrote_is_markup_in_the_report(evaluate: Evaluate) -> None:
    """Names of roles and users, and what databases and servers said."""
    lease = {
        "lease_id": "database/creds/<b>/1", "role": "<b>", "ttl": 60, "issued_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T01:00:00Z",
        "overdue": False, "irrevocable": True, "error": "<b>",
    }  # fmt: skip
    orphan = {"username": "<b>", "certainty": "unknown", "why": "<b>", "valid_until": "", "sessions": 0}
    gathered = {
        "mount": "<b>", "url": "<b>", "leases": [lease], "roles": [{"name": "<b>", "db_name": "<b>", "default_ttl": 60, "max_ttl": 60}],
        "connections": [{"name": "<b>"}], "static_roles": [{"name": "<b>", "username": "<b>"}], "orphans": [orphan], "open_databases": ["<b>"],
        "sessions_without_user": 0, "auth_roles": None, "policies": None, "drift": [{"action": "<b>", "kind": "<b>", "name": "<b>"}], "unread": ["<b>"],
    }  # fmt: skip
    template = (ROOT / "roles" / "lease_report" / "templates" / "report.html.j2").read_text(encoding="utf-8")
    report = "{{ gathered | leasehold.vault.lease_report('2026-01-01T00:30:00Z') }}"
    text = evaluate(template, "lease_report", {"report": report}, gathered=gathered)
    head, _head, body = text.partition("</style>")
    assert "<b>" not in head
    assert body.count("&lt;b&gt;") > 15
    assert not [line for line in body.splitlines() if "<b>" in line.replace("<b>0</b>", "").replace("<b>1</b>", "")]


@pytest.mark.parametrize("changed", [True, False])
def test_changed_pg_hba_is_read_by_the_server(evaluate: Evaluate, changed: bool) -> None:
    where = "roles/postgresql_access/tasks/pg_hba.yml: Reload PostgreSQL"
    assert evaluate.condition(where, "when", __postgresql_access_pg_hba={"changed": changed}) is changed
