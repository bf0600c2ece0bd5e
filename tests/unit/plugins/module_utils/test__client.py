# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading

import capabilities
import pytest
import servers
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import (
    Forbidden,
    MountMissing,
    NotConverged,
    Problem,
    Refused,
)
from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client
from ansible_collections.leasehold.vault.plugins.module_utils._vault.errors import (
    VaultError,
    duplicate_warning,
    worth_repeating,
)

KINDS = ("repeat", "issue", "rotate")
NOT_ACTIVE = "local node not active but active cluster node not found"
NO_START = "unable to start transaction: failed to connect: FATAL: password authentication failed (SQLSTATE 28P01)"

ENTERPRISE = {"version": "1.20.1+ent", "enterprise": True}
IGNORED = "Endpoint ignored these unrecognized parameters: [{}]"


def errors(*texts):
    return {"errors": list(texts)}


@pytest.fixture
def client(stub, no_waiting):
    made = Client(stub.url, retries=2)
    made.token = "s.thetokenofthistest"
    return made


# -- what is sent again ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message", "repeated"),
    [
        (503, "Vault is sealed", KINDS),
        (429, "", KINDS),
        (429, 'request path "database/roles/app": rate limit quota exceeded', KINDS),
        (412, "required index state not present", KINDS),
        (500, NOT_ACTIVE, KINDS),
        (500, "leadership lost while committing log", ("repeat", "issue")),
        (500, "context canceled", ("repeat", "issue")),
        (500, "internal error", ("repeat", "issue")),
        (500, "transaction commit failed", ("repeat", "issue")),
        (500, NO_START, ("repeat", "issue")),
        (500, "FATAL: too many connections (SQLSTATE 53300)", ("repeat",)),
        (500, "the database system is starting up (SQLSTATE 57P03)", ("repeat",)),
        (400, "the database system is starting up (SQLSTATE 57P03)", ("repeat",)),
        (400, "connection failure (SQLSTATE 08006)", ("repeat",)),
        (500, "FATAL: query_wait_timeout (SQLSTATE 08P01)", ()),
        (400, "FATAL: SASL authentication failed (SQLSTATE 08P01)", ()),
        (500, "failed to execute query: ERROR: permission denied (SQLSTATE 42501)", ()),
        (500, "empty creation statements", ()),
        (400, "password authentication failed (SQLSTATE 28P01)", ()),
        (400, "internal error", ()),
        (403, "permission denied", ()),
        (404, "", ()),
        (405, "unsupported operation", ()),
        (502, "bad gateway", ()),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_retry_depends_on_kind_status_and_message(kind, status, message, repeated):
    assert worth_repeating(kind, status, message) is (kind in repeated)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", [(503, errors("Vault is sealed")), (429, errors()), (500, errors(NOT_ACTIVE))])
def test_unavailable_server_is_retried(client, stub, kind, trouble):
    stub.answers = [trouble, trouble, (200, {"data": {"a": 1}})]
    assert client.ask("get", "database/creds/app", kind=kind) == {"data": {"a": 1}}
    assert len(stub.asked) == 3


def test_retries_are_limited_with_increasing_delay(client, stub, no_waiting):
    stub.answers = [(503, errors("Vault is sealed"))] * 5
    with pytest.raises(VaultError, match="503: Vault is sealed") as caught:
        client.read("x/y")
    assert caught.value.status == 503
    assert len(stub.asked) == 3
    assert no_waiting == sorted(no_waiting)
    assert len(no_waiting) == 2


def test_refusal_is_not_retried(client, stub):
    stub.answers = [(400, errors("no"))]
    with pytest.raises(VaultError):
        client.write("x/y", {})
    assert len(stub.asked) == 1


def test_unanswered_request_is_retried_only_if_idempotent(client, stub):
    stub.answers = [None, (200, {"data": {"a": 1}})]
    assert client.read("x/y") == {"a": 1}
    assert len(stub.asked) == 2


@pytest.mark.parametrize("kind", ["issue", "rotate"])
def test_unanswered_issue_or_rotation_is_not_retried_and_reports_doubt(client, stub, kind):
    stub.answers = [None, (200, {})]
    with pytest.raises(VaultError, match="unknown whether the request was carried out") as caught:
        client.ask("post", "database/rotate-root/db", kind=kind)
    assert caught.value.unanswered
    assert len(stub.asked) == 1


@pytest.mark.parametrize("message", ["leadership lost while committing log", "context canceled", "internal error"])
def test_reissued_answer_is_marked(client, stub, message):
    stub.answers = [(500, errors(message)), (200, {}), (200, {})]
    assert duplicate_warning(client.ask("get", "database/creds/app", kind="issue"), "user")
    assert duplicate_warning(client.ask("get", "database/creds/app", kind="issue"), "user") == []


@pytest.mark.parametrize(
    "trouble", [(500, errors(NO_START)), (503, errors("Vault is sealed")), (500, errors(NOT_ACTIVE))]
)
def test_certain_failure_is_reissued_without_doubt(client, stub, trouble):
    stub.answers = [trouble, (200, {})]
    assert duplicate_warning(client.ask("get", "database/creds/app", kind="issue"), "user") == []


DEAD = (307, {}, {"Location": "http://127.0.0.1:9/v1/x"})


def test_redirect_to_dead_leader_leaves_doubt(client, stub):
    stub.answers = [DEAD, (200, {}), DEAD, DEAD, DEAD]
    assert duplicate_warning(client.ask("get", "database/creds/app", kind="issue"), "user")
    with pytest.raises(
        VaultError, match=r"Connection refused\. .* It is unknown whether the request was carried out\.$"
    ):
        client.ask("get", "database/creds/app", kind="issue")


@pytest.mark.parametrize(("status", "doubt"), [(307, True), (302, False), (308, False)])
def test_redirect_by_standby_leaves_doubt_and_by_balancer_does_not(client, stub, status, doubt):
    """A leader that is frozen answers late or never; its standby waits, and redirects to the next one."""
    stub.answers = [(status, {}, {"Location": f"{stub.url}/v1/x"}), (200, {})]
    assert bool(duplicate_warning(client.ask("get", "database/creds/app", kind="issue"), "user")) == doubt


@pytest.mark.parametrize("last", [(500, errors("internal error")), (503, errors("Vault is sealed")), None])
def test_doubt_is_reported_in_every_outcome(client, stub, last):
    stub.answers = [(500, errors("internal error")), last, last, last]
    with pytest.raises(VaultError, match=r"It is unknown whether the request was carried out\.$"):
        client.ask("get", "database/creds/app", kind="issue")


def test_slow_answer_times_out(stub, no_waiting, monkeypatch):
    release = threading.Event()
    original = stub.server.RequestHandlerClass.answer
    met = "/v1/sys/health"
    monkeypatch.setattr(
        stub.server.RequestHandlerClass,
        "do_GET",
        lambda handler: (handler.path == met or release.wait(), original(handler)),
    )
    try:
        with pytest.raises(VaultError, match=r"did not answer: .*[Tt]imed out"):
            Client(stub.url, timeout=0.2, retries=0).read("x/y")
        met = ""
        with pytest.raises(VaultError, match=r"could not be reached: .*[Tt]imed out\.$"):  # nothing was sent: no doubt
            Client(stub.url, timeout=0.2, retries=0).ask("get", "x/y", kind="issue")
    finally:
        release.set()


@pytest.mark.parametrize("kind", KINDS)
def test_refused_connection_is_always_retried(no_waiting, kind):
    with pytest.raises(VaultError, match=r"could not be reached: Connection refused\.$"):
        Client("http://127.0.0.1:9", retries=3).ask("get", "x/y", kind=kind)
    assert len(no_waiting) == 3


# -- redirects, indexes, headers -------------------------------------------------------------------------------------------


def test_a_redirect_to_the_leader_is_followed_with_method_body_and_token(client, stub):
    stub.answers = [(307, {}, {"Location": f"{stub.url}/v1/leader/x"})]
    client.write("x", {"a": 1})
    method, path, body, headers = stub.asked[1]
    assert (method, path, body) == ("POST", "/v1/leader/x", {"a": 1})
    assert headers["X-Vault-Token"] == client.token


def test_redirect_loop_means_no_leader(client, stub):
    stub.answers = [(307, {}, {"Location": f"{stub.url}/v1/x"})] * 50
    with pytest.raises(VaultError, match="no leader"):
        client.read("x")


@pytest.mark.parametrize("kind", KINDS)
def test_redirect_to_dead_leader_fails_with_its_address(client, stub, kind):
    stub.answers = [DEAD] * 9
    with pytest.raises(
        VaultError,
        match=r"redirects to http://127\.0\.0\.1:9, which could not be reached: Connection refused\. .* no leader",
    ):
        client.ask("get", "x/y", kind=kind)
    assert len(stub.asked) == 3


def test_a_redirect_to_a_dead_leader_is_tried_again(client, stub):
    stub.answers = [(307, {}, {"Location": "http://127.0.0.1:9/v1/x"}), (200, {"data": {"a": 1}})]
    assert client.read("x") == {"a": 1}


def test_redirect_from_https_to_http_is_not_followed(stub, no_waiting, tmp_path):
    authority = servers.Authority()
    certificate, key = authority.issue()
    for name, content in (("ca", authority.certificate), ("cert", certificate), ("key", key)):
        (tmp_path / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    stub.server.socket = context.wrap_socket(stub.server.socket, server_side=True)
    stub.answers = [(307, {}, {"Location": "http://127.0.0.1:9/v1/x"})]
    client = Client(stub.url.replace("http:", "https:"), verify=str(tmp_path / "ca"))
    with pytest.raises(VaultError, match="without TLS; not followed"):
        client.read("x")
    assert len(stub.asked) == 1


def test_index_of_last_answer_is_sent_with_next_request(client, stub):
    stub.answers = [(200, {}, {"X-Vault-Index": "first"}), (200, {}, {"X-Vault-Index": "second"}), (200, {}), (200, {})]
    for _time in range(4):
        client.read("x")
    sent = [(headers.get("X-Vault-Index"), headers.get("X-Vault-Inconsistent")) for *_rest, headers in stub.asked]
    forward = "forward-active-node"
    assert sent == [(None, None), ("first", forward), ("second", forward), ("second", forward)]


def test_openbao_standby_forwards_from_first_request(client, stub):
    stub.health = (429, {"standby": True, "cluster_id": "c-1", "version": "2.7.2"})
    stub.answers = [(404, {"errors": []}), (200, {}, {"X-Vault-Index": "the leader's"}), (200, {})]
    for _time in range(3):
        client.read("x")
    first, second, third = (headers.get("X-Vault-Index") for *_rest, headers in stub.asked)
    assert json.loads(base64.b64decode(first)) == {"cluster": "c-1", "value": str(2**63 - 1)}
    assert (second, third) == (first, "the leader's")
    assert {headers["X-Vault-Inconsistent"] for *_rest, headers in stub.asked} == {"forward-active-node"}


def test_openbao_index_is_raised_beyond_any_standby(client, stub):
    given = base64.b64encode(b'{"cluster":"c-1","value":"36"}').decode()
    stub.answers = [(200, {}, {"X-Vault-Index": given}), (200, {})]
    client.read("x")
    client.read("x")
    sent = json.loads(base64.b64decode(stub.asked[1][3]["X-Vault-Index"]))
    assert sent == {"cluster": "c-1", "value": str(2**63 - 1)}


@pytest.mark.parametrize(
    "health",
    [
        (200, {"standby": False, "cluster_id": "c-1"}),
        (429, {"standby": True, "performance_standby": False, "cluster_id": "c-1"}),  # Vault: it asks the leader itself
        (503, {"sealed": True, "standby": True, "performance_standby": False}),
        (403, b"not through this proxy"),
        (200, []),
    ],
)
def test_index_is_sent_to_openbao_standby_only(client, stub, health):
    stub.health = health
    client.read("x")
    assert "X-Vault-Index" not in stub.asked[0][3]


def test_real_server_accepts_its_index(real_vault):
    real_vault.add_mount()
    has_index = capabilities.has(real_vault.server, "standby_reads")
    assert ("X-Vault-Index" in real_vault.client._headers) == has_index
    assert real_vault.names("roles") == []


def test_namespace_header_is_sent(stub):
    stub.health = (200, ENTERPRISE)
    Client(stub.url, namespace="/team-a/").read("x")
    assert stub.asked[0][3]["X-Vault-Namespace"] == "team-a"


@pytest.mark.parametrize(
    "health",
    [
        {"version": "1.13.0"},
        {"version": "1.16.0-beta1", "enterprise": False},
        {"version": "", "enterprise": False},
        {"version": "2.0.0", "enterprise": False},
        {"version": "2.2.1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("namespace_check", [True, False])
def test_namespace_for_server_without_namespaces_is_refused_before_anything_is_sent(stub, health, namespace_check):
    stub.health = (200, health)
    client = Client(stub.url, namespace="team-a", namespace_check=namespace_check)
    for asked in (lambda: client.read("x"), lambda: client.send("post", "/v1/auth/approle/login", {"role_id": "r"})):
        with pytest.raises(Refused, match=r"has no namespaces: it would ignore the namespace 'team-a'.* in its root"):
            asked()
    assert stub.asked == []


@pytest.mark.parametrize(
    "health", [ENTERPRISE, {"version": "1.13.4+ent"}, {"version": "2.3.0"}, {"version": "2.7.2"}], ids=str
)
@pytest.mark.parametrize("status", [200, 429, 473, 503])
def test_namespace_is_sent_to_server_with_namespaces(stub, status, health):
    stub.health = (status, health)
    Client(stub.url, namespace="team-a").read("x")
    assert stub.asked[0][3]["X-Vault-Namespace"] == "team-a"


@pytest.mark.parametrize("hidden", [(403, {}), (404, b"<html>"), (200, {"status": "up"})])
def test_namespace_with_hidden_health_is_refused_unless_check_is_off(stub, hidden):
    stub.health = hidden
    with pytest.raises(
        Refused, match=f"could not be found out, because sys/health was answered {hidden[0]}.*namespace_check: false"
    ):
        Client(stub.url, namespace="team-a").read("x")
    assert stub.asked == []
    Client(stub.url, namespace="team-a", namespace_check=False).read("x")
    assert stub.asked[0][3]["X-Vault-Namespace"] == "team-a"


def test_namespace_behind_gateway_without_server_is_tried_again(stub, no_waiting):
    stub.health = (503, b"no backend")
    with pytest.raises(VaultError, match="could not be reached: sys/health was answered 503, and not by Vault"):
        Client(stub.url, namespace="team-a", retries=2).read("x")
    assert len(no_waiting) == 2


def test_no_namespace_needs_no_health(stub):
    stub.health = (403, {})
    Client(stub.url, namespace="").read("x")
    assert "X-Vault-Namespace" not in stub.asked[0][3]


# -- warnings ----------------------------------------------------------------------------------------------------------------


def test_ignored_parameter_fails_the_write(client, stub):
    stub.health = (200, {"version": "1.16.1", "enterprise": False})
    stub.answers = [(200, {"data": None, "warnings": [IGNORED.format("other colour size")]})]
    with pytest.raises(
        NotConverged,
        match=r"the write of x/y and ignored colour, size: HashiCorp Vault 1\.16\.1 \(Community edition\) does not",
    ):
        client.write("x/y", {"size": 1, "colour": "red", "name": "n"})


def test_ignored_default_is_what_was_asked_for(client, stub):
    stub.answers = [(200, {"warnings": [IGNORED.format("colour size names")]})]
    client.write("x/y", {"size": 0, "colour": "", "names": []})
    assert client.notices() == []


def test_ignored_paging_of_a_list_is_no_warning(client, stub):
    stub.answers = [(200, {"data": {"keys": ["a"]}, "warnings": [IGNORED.format("after limit")]})]
    assert client.list("x") == ["a"]
    assert client.notices() == []


@pytest.mark.parametrize(
    ("path", "fails"),
    [
        ("database/config/db", False),
        ("a/b/config/db", False),
        ("auth/kubernetes/config", True),
        ("auth/a/config/b", True),
    ],
)
def test_what_a_connection_hands_on_to_its_plugin_is_not_ignored(client, stub, path, fails):
    stub.answers = [(200, {"warnings": [IGNORED.format("connection_url")]})]
    with pytest.raises(NotConverged) if fails else contextlib.nullcontext():
        client.write(path, {"connection_url": "postgresql://"})


def test_other_warnings_are_kept_once_each(client, stub):
    client.mask("secret-word")
    stub.answers = [(200, {"warnings": ["policy name was converted to p3", "with secret-word"]})] * 2
    client.write("x", {})
    client.write("x", {})
    assert client.notices() == ["x: policy name was converted to p3", "x: with ********"]
    assert client.notices() == []


# -- paths -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["a//b", "a/../b", "a/./b", "a/..", "a/.", "a\nb", "a\x00"])
def test_unclean_path_is_not_sent(client, stub, path):
    with pytest.raises(Refused, match="is not a path in Vault"):
        client.read(path)
    assert stub.asked == []


def test_one_connection_is_kept_for_all_requests(client, stub):
    ports = set()
    original = stub.server.RequestHandlerClass.answer

    def note(handler):
        ports.add(handler.client_address)
        original(handler)

    stub.server.RequestHandlerClass.do_GET = note
    for _time in range(5):
        client.read("x")
    assert len(ports) == 1


def test_clients_of_a_process_share_the_wire_and_those_of_its_children_have_their_own(stub, monkeypatch):
    """A connection that parent and child both write to would give each the other's answers."""
    first = Client(stub.url).wire
    assert Client(stub.url).wire is first
    assert Client(stub.url, timeout=7).wire is not first
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert Client(stub.url).wire is not first


# -- what answers mean -----------------------------------------------------------------------------------------------------


def test_absent_object_is_none_and_empty_list(client, stub):
    no_policy = "1 error occurred:\n\t* policy does not exist\n\n"
    stub.answers = [
        (404, errors()),
        (404, errors()),
        (400, errors("No secret engine mount at x/")),
        (404, errors(no_policy)),
    ]
    assert client.read("x/y") is None
    assert client.list("x") == []
    assert client.read("sys/mounts/x") is None
    assert client.read("sys/policies/password/x") is None


@pytest.mark.parametrize(
    ("status", "message", "kind", "words"),
    [
        (404, 'no handler for route "x/y". route entry not found.', MountMissing, "nothing is mounted there"),
        (404, "namespace not found", VaultError, "has no namespace"),
        (404, 'no handler for route "x/y". route entry or namespace is tainted.', VaultError, "tainted"),
        (404, "1 error occurred:\n\t* unsupported path\n\n", VaultError, "unsupported path"),
        (403, "permission denied", Forbidden, "expired, revoked or unknown"),
        (400, "error: FATAL (SQLSTATE 28P01)", VaultError, "SQLSTATE 28P01"),
        (503, "Vault is sealed", VaultError, "Unseal it first"),
        (500, "", VaultError, "nothing more"),
    ],
)
def test_error_text_names_action_path_and_cause(client, stub, status, message, kind, words):
    stub.answers = [(status, errors(message) if message else errors())] * 3
    with pytest.raises(Problem) as caught:
        client.read("x/y")
    assert caught.type is kind
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_non_json_error_is_quoted(client, stub):
    stub.answers = [(404, b"<html>not a Vault</html>")]
    with pytest.raises(VaultError, match="not a Vault"):
        client.read("x/y")


def test_missing_capability_is_named_with_path_and_current_ones(client, stub):
    stub.answers = [
        (403, errors("1 error occurred:\n\t* permission denied\n\n")),
        (200, {"data": {"x/y": ["read", "list"]}}),
    ]
    with pytest.raises(Forbidden, match=r"needs the capability create or update on x/y and has read, list there"):
        client.write("x/y", {})


@pytest.mark.parametrize(
    ("path", "granted", "needed"),
    [
        ("x/y", ["update"], "create on x/y and has update"),
        ("x/y", ["create"], "update on x/y and has create"),
        ("sys/mounts/x", ["deny"], "update on sys/mounts/x and has deny"),
        ("sys/auth/x", ["deny"], "update and sudo on sys/auth/x and has deny"),
        ("sys/auth/x", ["update"], "sudo on sys/auth/x and has update"),
        ("sys/auth/x", ["sudo"], "update on sys/auth/x and has sudo"),
    ],
)
def test_only_lacking_capability_is_named(client, stub, path, granted, needed):
    stub.answers = [(403, errors("1 error occurred:\n\t* permission denied\n\n")), (200, {"data": {path: granted}})]
    with pytest.raises(Forbidden, match=f"needs the capability {needed} there"):
        client.write(path, {})


def test_missing_capability_is_named_without_capabilities_self(client, stub):
    stub.answers = [(403, errors("1 error occurred:\n\t* permission denied\n\n"))] * 2
    with pytest.raises(Forbidden, match=r"needs the capability list and sudo on sys/leases/lookup/x"):
        client.list("sys/leases/lookup/x")


def test_missing_token_is_reported(stub):
    stub.answers = [(403, errors("permission denied"))]
    with pytest.raises(Forbidden, match="No token was given"):
        Client(stub.url).read("x")


@pytest.mark.parametrize(
    ("message", "sqlstate", "wrong"),
    [
        ("FATAL: no (SQLSTATE 28P01)", "28P01", True),
        ('pq: password authentication failed for user "x"', "", True),
        ("FATAL: no such database (SQLSTATE 3D000)", "3D000", False),
        ("connect: connection refused", "", False),
        ("failed SASL auth: FATAL: SASL authentication failed (SQLSTATE 08P01)", "08P01", True),
        ("FATAL: no such user: app (SQLSTATE 08P01)", "08P01", True),
        ("FATAL: query_wait_timeout (SQLSTATE 08P01)", "08P01", False),
        ("FATAL: server login has been failing, try again later (SQLSTATE 08P01)", "08P01", False),
        ('FATAL: no pg_hba.conf entry for host "::1" (SQLSTATE 28000)', "28000", False),
    ],
)
def test_sqlstate_is_parsed(message, sqlstate, wrong):
    error = VaultError("sentence", 400, message)
    assert (error.sqlstate, error.wrong_password) == (sqlstate, wrong)


# -- secrets stay out of sentences -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["password", "private_key", "secret_id", "token"])
def test_written_secret_is_masked_in_errors(client, stub, key):
    stub.answers = [(400, errors("bad value hush-hush for x"))]
    with pytest.raises(VaultError) as caught:
        client.write("x", {key: "hush-hush"})
    assert "hush" not in str(caught.value)
    assert "hush" not in caught.value.message


def test_the_token_is_masked(client, stub):
    stub.answers = [(400, errors(f"bad token {client.token}"))]
    with pytest.raises(VaultError) as caught:
        client.read("x")
    assert client.token not in str(caught.value)


def test_a_secret_inside_a_longer_one_is_masked_with_it(client, stub):
    client.mask("hush", "hush-hush")
    stub.answers = [(400, errors("hush-hush"))]
    with pytest.raises(VaultError) as caught:
        client.read("x")
    assert "hush" not in str(caught.value)


def test_sql_fragment_with_possible_password_is_masked(client, stub):
    stub.answers = [(500, errors('syntax error at or near "k3_Rt9" (SQLSTATE 42601)'))]
    with pytest.raises(VaultError) as caught:
        client.read("x")
    assert "k3_Rt9" not in str(caught.value)
    assert "42601" in str(caught.value)


def test_a_word_of_sql_is_shown(client, stub):
    stub.answers = [(500, errors('syntax error at or near "PASSWORT" (SQLSTATE 42601)'))]
    with pytest.raises(VaultError, match="PASSWORT"):
        client.read("x")


# -- requests --------------------------------------------------------------------------------------------------------------


def test_leases_are_found_at_any_depth(client, stub):
    stub.answers = [
        (200, {"data": {"keys": ["app/", "other/"]}}),
        (200, {"data": {"keys": ["1", "2"]}}),
        (200, {"data": {"keys": ["3"]}}),
    ]
    assert client.leases("/database/creds/") == [
        "database/creds/app/1",
        "database/creds/app/2",
        "database/creds/other/3",
    ]


def test_request_is_sent_unchanged(client, stub):
    client.write("database/config/db", {"a": [1]})
    client.delete("database/config/db")
    client.revoke_prefix("database/creds/")
    assert [asked[:3] for asked in stub.asked] == [
        ("POST", "/v1/database/config/db", {"a": [1]}),
        ("DELETE", "/v1/database/config/db", None),
        ("PUT", "/v1/sys/leases/revoke-prefix/database/creds", None),
    ]
    assert json.loads(json.dumps(stub.asked[0][3]))["X-Vault-Request"] == "true"


def test_a_body_is_left_as_it_was_given(client, stub):
    body = {"password": "hush-hush"}
    client.write("x", body)
    assert body == {"password": "hush-hush"}


def test_a_long_list_is_read_page_by_page(fake_vault):
    fake_vault.add_mount().add_connection()
    desired = sorted(f"role-{number:04}" for number in range(2001))
    for name in desired:
        fake_vault.server.objects[f"{fake_vault.mount}/roles/{name}"] = {}
    assert fake_vault.names("roles") == desired


def test_a_server_without_pages_gives_its_list_once(client, stub):
    keys = [f"role-{number:04}" for number in range(1500)]
    stub.answers = [(200, {"data": {"keys": keys}})] * 3
    assert client.list("database/roles") == keys
