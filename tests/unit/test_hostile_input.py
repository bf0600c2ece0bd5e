# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever people write where a name, a duration, a URL or SQL belongs: it is refused in one sentence, or means itself.

Each test takes LEASEHOLD_CASES inputs (200 unless told otherwise); `./test nightly` takes 5000.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from urllib.parse import quote

import psycopg2
import psycopg2.extensions
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.leasehold.vault.plugins.filter.postgresql import (
    postgresql_conninfo,
    postgresql_pgpass,
    postgresql_url,
)
from ansible_collections.leasehold.vault.plugins.module_utils._core import fields as _fields
from ansible_collections.leasehold.vault.plugins.module_utils._core import statements as _statements
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem, Refused
from ansible_collections.leasehold.vault.plugins.module_utils._postgresql.addresses import parse_addresses, parse_url
from ansible_collections.leasehold.vault.plugins.module_utils._resources.connection import CONNECTION
from ansible_collections.leasehold.vault.plugins.module_utils._resources.engine import ENGINE
from ansible_collections.leasehold.vault.plugins.module_utils._resources.role import ROLE
from ansible_collections.leasehold.vault.plugins.module_utils._resources.static_role import STATIC_ROLE
from ansible_collections.leasehold.vault.plugins.module_utils._vault import transport
from ansible_collections.leasehold.vault.plugins.module_utils._vault.auth import log_in
from ansible_collections.leasehold.vault.plugins.module_utils._vault.client import Client
from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.databases import database_document
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from .conftest import FakeWorld, Runner, Values, module_named, specification_of, validated
from .plugins.modules.test_no_answer_is_ok import ALLOWED, TASKS, UNCHECKED

CASES = settings(
    max_examples=int(os.environ.get("LEASEHOLD_CASES", "200")),
    deadline=None,
    derandomize="LEASEHOLD_CASES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
NASTY = st.sampled_from([
    "'", '"', "''", '"; DROP ROLE postgres; --', "' OR '1'='1", "$$", "$do$", "$do_$", "{{name}}", "{{", "}}", "{%", "\\", "/", "..",
    "../config/db", "%2e%2e%2f", "%", "?list=true", "#", ";", ":", "@", "\x00", "\n", "\r\n", "\t", " ", "\u202e", "\ufeff", "é", "🔑", "a" * 64,
    "[", "]", "*", "-", "--", "/*", "*/", "sys", "auth", "0", "-1", "1e9", "NaN", "null", "true", "W10=", "WyJhIl0=",
])  # fmt: skip
TEXTS = st.one_of(st.text(max_size=70), NASTY, st.lists(st.one_of(NASTY, st.text(max_size=8)), max_size=6).map("".join))
PLAIN = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30
)


# -- paths -----------------------------------------------------------------------------------------------------------------


@CASES
@given(mount=TEXTS, name=TEXTS)
@example(mount="database", name="..")
@example(mount="a/../../sys", name="x")
def test_no_name_leads_to_another_path(mount: str, name: str) -> None:
    for resource in (CONNECTION, ROLE, STATIC_ROLE):
        try:
            path = resource.at({"mount": mount, "name": name})
        except Refused as refusal:
            assert_one_sentence(refusal)
            continue
        kind = resource.path.split("/")[1]
        assert path == f"{mount.strip('/')}/{kind}/{name}"
        assert quote(path) == path
        assert not {"", ".", ".."} & set(path.split("/"))
        assert path.split("/")[0] not in ("sys", "auth", "identity", "cubbyhole")


class Recorder:
    """A server in the place of a wire: has nothing, takes everything, and remembers the paths it was asked for."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def send(
        self, method: str, path: str, headers: t.Any, body: t.Any = None, params: t.Any = None
    ) -> transport.Answer:
        if path == "/v1/sys/health":
            return transport.Answer(200, {}, b'{"version": "2.7.2"}')
        self.paths.append(path)
        if path.startswith("/v1/auth/") and "/login" in path:
            return transport.Answer(200, {}, b'{"auth": {"client_token": "a-token", "token_type": "batch"}}')
        if method == "GET" or "/secret-id" in path or path.startswith(("/v1/sys/leases/lookup", "/v1/sys/audit-hash/")):
            return transport.Answer(404, {}, b'{"errors": []}')
        return transport.Answer(204, {}, b"")


NAMES = (
    "mount",
    "name",
    "prefix",
    "lease_id",
    "role",
    "static_role",
    "db_name",
    "secret_id_accessor",
    "auth_mount",
    "auth_username",
)
"""The options that stand in a path, or may come to."""
EACH_TASK = sorted({**TASKS, **UNCHECKED, **ALLOWED}.values(), key=str)


@CASES
@given(
    task=st.sampled_from(EACH_TASK),
    names=st.fixed_dictionaries(dict.fromkeys(NAMES, TEXTS)),
    nasty=st.sets(st.sampled_from(NAMES)),
)
def test_every_path_that_is_sent_is_clean(task: tuple[str, Values], names: Values, nasty: set[str]) -> None:
    """Newer Vaults reject paths with empty segments, dots and control characters; older ones clean them up to another path."""
    module, options = task
    known = specification_of(module)["argument_spec"]
    wire, login = (
        Recorder(),
        {
            "url": "http://127.0.0.1:8200",
            "auth_method": "userpass",
            "auth_username": "me",
            "auth_password": "hush-hush",
        },
    )
    given_names = {
        name: names[name]
        for name in nasty
        if name in known and (name in options or name in ("mount", "auth_mount", "auth_username"))
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "kept", lambda *_arguments: wire)
        patch.setattr("time.sleep", lambda _seconds: None)
        try:
            desired = validated(module, {**login, **options, **given_names})
            module_named(module).TASK.perform(desired, False)
        except Problem as problem:
            assert_one_sentence(problem)
    for path in wire.paths:
        segments = path.removesuffix("/").split("/")[1:]
        assert not {"", ".", ".."} & set(segments), path
        assert not re.search(r"[\x00-\x1f\x7f]", path), path


@pytest.mark.parametrize("user", ["../../sys/mounts/x", "a/../b", "..", "a//b"])
def test_login_name_that_leads_to_another_path_is_not_sent(monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    wire = Recorder()
    monkeypatch.setattr(transport, "kept", lambda *_arguments: wire)
    login = {
        "url": "http://127.0.0.1:8200",
        "auth_method": "userpass",
        "auth_username": user,
        "auth_password": "hush-hush",
    }
    with pytest.raises(Refused, match="is not a path in Vault"):
        log_in(login)
    assert wire.paths == []


@CASES
@given(mount=TEXTS)
def test_no_mount_is_something_else(mount: str) -> None:
    try:
        path = ENGINE.at({"mount": mount})
    except Refused as refusal:
        assert_one_sentence(refusal)
    else:
        assert re.fullmatch(r"sys/mounts/[\w.-]+(/[\w.-]+)*", path, re.ASCII)


# -- durations -------------------------------------------------------------------------------------------------------------


@CASES
@example(2**53 + 1)
@given(st.one_of(TEXTS, st.integers(), st.floats(), st.from_regex(r"(\d{1,4}(\.\d)?[smhd]){1,3}", fullmatch=True)))
def test_a_duration_is_whole_seconds_or_refused(value: t.Any) -> None:
    try:
        found = _fields.seconds(value)
    except ValueError as refusal:
        assert_one_sentence(refusal)
    else:
        assert found >= 0
        assert _fields.seconds(f"{found}s") == _fields.seconds(found) == found


# -- SQL -------------------------------------------------------------------------------------------------------------------


@CASES
@given(group=TEXTS, owner=st.one_of(st.none(), TEXTS), manner=st.sampled_from(["strict", "parking"]))
@example(group='a" IN ROLE "postgres', owner="$do$", manner="strict")
def test_a_group_is_one_quoted_identifier_wherever_it_stands(group: str, owner: str | None, manner: str) -> None:
    text = {"in_role": group, "reassign_owned_to": owner, "revocation": manner}
    try:
        written = _statements.expand(text)
    except Refused as refusal:
        assert_one_sentence(refusal)
        return
    harmless = _statements.expand({**text, "in_role": "g", "reassign_owned_to": "o"})
    for kind in _statements.OWNED:
        for statement, model in zip(written[kind], harmless[kind], strict=True):
            assert skeleton(statement) == skeleton(model)
    assert _statements.groups_in(written["creation_statements"]) == [group]
    assert _statements.heirs_in(written["revocation_statements"]) == [owner or group]


@CASES
@given(name=st.text(min_size=1).filter(lambda name: len(name.encode()) <= 63))
@example(name="$a_tag_of_more_than_63_bytes_which_no_name_of_a_user_can_hold_i")
@example(name="a_tag_of_more_than_63_bytes_which_no_name_of_a_user_can_hold_is")
@example(name="$a_block_is_quoted_with_more_than_63_bytes_too_so_that_no_name_")
@pytest.mark.parametrize("functions", ["none", "leasehold"])
def test_name_of_user_leaves_everything_around_it_as_it_is(name: str, functions: str) -> None:
    """What Vault does with statements: it puts the name into them as text."""
    written = _statements.expand({"in_role": "g", "functions": functions})
    for statement in (statement for kind in _statements.OWNED for statement in written[kind]):
        assert dollar_quoted(statement.replace("{{name}}", name)) == [
            part.replace("{{name}}", name) for part in dollar_quoted(statement)
        ]


def dollar_quoted(statement: str) -> list[str]:
    """The statement in pieces, as PostgreSQL finds them: outside and inside of dollar quotes in turn, blocks taken apart, too."""
    pieces = []
    while opening := re.search(r"(?<![\w$])\$(?:[A-Za-z_]\w*)?\$", statement):
        body, end, rest = statement[opening.end() :].partition(opening[0])
        assert end
        pieces += [statement[: opening.end()], *(dollar_quoted(body) if "a_block" in opening[0] else [body])]
        statement = end + rest
        pieces.append(statement[: len(end)])
        statement = statement[len(end) :]
    return [*pieces, statement]


def skeleton(statement: str) -> str:
    """A statement without what is quoted in it, down into the body of a block."""
    if statement.startswith("DO "):
        return "DO " + skeleton(body_of(statement))
    return re.sub(r"'(?:[^']|'')*'", "<literal>", statement)


def body_of(block: str) -> str:
    """What stands between the tags, as PostgreSQL finds them: the first closing tag ends the block."""
    tag = re.match(r"DO (\$\w*\$)", block)
    assert tag
    body, end, rest = block[tag.end() :].partition(tag[1])
    assert end
    assert not rest
    return body


@CASES
@given(st.lists(TEXTS, max_size=4))
def test_sent_values_are_read_back_equal(statements: list[str]) -> None:
    meant = _statements.readable(statements)
    sent = _statements.sendable(meant)
    assume(all(_statements.readable([statement]) == [statement] for statement in meant))  # not encoded twice
    assert _statements.readable(sent) == meant


# -- what clients read -----------------------------------------------------------------------------------------------------


@CASES
@given(user=PLAIN, password=PLAIN, database=PLAIN)
def test_libpq_reads_from_a_url_and_from_keywords_what_was_put_in(user: str, password: str, database: str) -> None:
    for text in (
        postgresql_url({"username": user, "password": password}, "db.example.com", database=database),
        postgresql_conninfo({"username": user, "password": password}, "db.example.com", database=database),
    ):
        read = psycopg2.extensions.parse_dsn(text)
        assert (read["user"], read["password"], read["dbname"]) == (user, password, database)
        assert (read["host"], read["port"]) == ("db.example.com", "5432")


@CASES
@given(user=PLAIN, password=PLAIN)
def test_a_line_of_pgpass_has_five_fields(user: str, password: str) -> None:
    if "\n" in user + password:
        with pytest.raises(AnsibleFilterError, match="line break"):
            postgresql_pgpass({"username": user, "password": password})
        return
    line = postgresql_pgpass({"username": user, "password": password}, "h", "d", 5432)
    fields = [re.sub(r"\\(.)", r"\1", field) for field in re.findall(r"((?:[^\\:]|\\.)*)(?::|$)", line)][:5]
    assert fields == ["h", "5432", "d", user, password]


NAMES = st.from_regex(r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,20}[a-zA-Z0-9_])?", fullmatch=True)
PATHS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cf", "Co", "Cn", "Z"], exclude_characters=",/"),
    min_size=1,
    max_size=12,
)
PORTS = st.integers(1, 65535).map(str)
HOSTS = st.one_of(
    NAMES,
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map("[{}]".format),
    st.lists(PATHS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)),
)


@CASES
@given(servers=st.lists(st.tuples(HOSTS, PORTS, st.booleans()), min_size=1, max_size=4), user=PLAIN, password=PLAIN, database=PLAIN)  # fmt: skip
@example(servers=[("::1", "5432", False), ("/var/run/postgresql", "1", False)], user="u", password="p", database="d")
def test_what_is_read_back_are_the_hosts_and_ports_that_went_in(
    servers: list[tuple[str, str, bool]], user: str, password: str, database: str
) -> None:
    """By libpq, in the two forms of the filters, and in the URL for Vault also as Vault's driver reads it."""
    assume(not any("@" in host for host, _port, _beside in servers[1:]))  # refused: what is before it may be a password
    hosts = [host if host[0] == "/" else host.strip("[]") for host, _port, _beside in servers]
    ports = [port for _host, port, _beside in servers]
    written = []
    for host, port, beside in servers:
        bare = ":" in host and not host.startswith(("[", "/"))
        written.append((f"[{host}]:{port}" if bare else f"{host}:{port}") if beside and host[0] != "/" else host)
    asked = {"host": ",".join(written), "port": ",".join(ports), "database": database}
    credentials = {"username": user, "password": password}
    for text in (postgresql_url(credentials, **asked), postgresql_conninfo(credentials, **asked)):
        read = psycopg2.extensions.parse_dsn(text)
        assert (read["host"].split(","), read["port"].split(",")) == (hosts, ports)
        assert (read["user"], read["password"], read["dbname"]) == (user, password, database)
    (connection,) = database_document([{"name": "db", **asked, "admin": {"username": "admin"}}])["connections"]
    for_vault = parse_url(connection["connection_url"])
    assert (for_vault.addresses, for_vault.database) == (list(zip(hosts, ports)), database)
    read = psycopg2.extensions.parse_dsn(connection["connection_url"])
    assert (read["host"].split(","), read["port"].split(",")) == (hosts, ports)


@CASES
@given(text=TEXTS, port=st.one_of(TEXTS, st.none(), st.integers()))
def test_what_is_no_host_is_refused_and_what_is_one_means_itself(text: str, port: t.Any) -> None:
    try:
        addresses = parse_addresses(text, port)
    except ValueError as error:
        assert str(error).startswith(("host: ", "port: "))  # noqa: PT017 (most texts are refused, and some are not)
        return
    words = psycopg2.extensions.parse_dsn(postgresql_url({"username": "u", "password": "p"}, text, port=port))
    assert words.get("host", "").split(",") == [address.host for address in addresses]
    assert words["port"].split(",") == [address.port for address in addresses]


# -- answers of something that is no Vault ---------------------------------------------------------------------------------


class Odd:
    """In the place of the wire: answers anything."""

    def __init__(self, status: int, content: bytes) -> None:
        self.answer = transport.Answer(status, {}, content)

    def send(self, *_request: t.Any) -> transport.Answer:
        return self.answer


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["errors", "data", "keys", "x"]), inner)),
    max_leaves=6,
)  # fmt: skip


@CASES
@given(
    status=st.sampled_from([200, 204, 400, 403, 404, 405, 412, 429, 500, 502, 503]),
    content=st.one_of(st.binary(max_size=60), JSON.map(lambda v: json.dumps(v).encode())),
)
def test_any_answer_of_any_server_is_one_sentence(status: int, content: bytes) -> None:
    client = Client("http://127.0.0.1:8200", retries=0)
    client.token = "s.thetokenofthistest"
    client.wire = t.cast("t.Any", Odd(status, content))
    try:
        client.read("database/roles/app")
    except Problem as problem:
        assert_one_sentence(problem)


# -- modules as a whole ----------------------------------------------------------------------------------------------------

OPTIONS = st.fixed_dictionaries(
    {"name": TEXTS},
    optional={
        "db_name": TEXTS, "in_role": TEXTS, "reassign_owned_to": TEXTS, "creation_statements": st.one_of(TEXTS, st.lists(TEXTS, max_size=3), JSON),
        "revocation_statements": st.one_of(TEXTS, JSON), "default_ttl": TEXTS, "max_ttl": TEXTS, "mount": TEXTS,
    },
)  # fmt: skip


@CASES
@given(options=OPTIONS)
def test_any_role_is_made_as_given_or_refused(options: dict[str, t.Any]) -> None:
    world = FakeWorld()
    world.add_mount().add_connection()
    run = Runner(world)
    try:
        done = run("database_role", **options)
    except Problem as problem:
        assert_one_sentence(problem)
        return
    assert done["role"]["name"] == options["name"]
    assert not run("database_role", **options)["changed"]


CONNECTIONS = st.fixed_dictionaries(
    {"name": st.just("odd")},
    optional={
        "connection_url": st.one_of(TEXTS, TEXTS.map(lambda text: "postgresql://{{username}}:{{password}}@" + text)),
        "username": TEXTS,
        "password": TEXTS.map(lambda text: f"{text}unmistakable{text}"), "allowed_roles": st.lists(TEXTS, max_size=3), "username_template": TEXTS,
        "max_connection_lifetime": TEXTS, "plugin_options": st.dictionaries(TEXTS, TEXTS, max_size=2),
    },
)  # fmt: skip


@CASES
@given(options=CONNECTIONS)
@example({"name": "odd", "connection_url": "postgresql://["})
@example({"name": "odd", "plugin_options": {"\n": ""}})
def test_any_connection_is_made_or_refused_without_password_in_text(options: dict[str, t.Any]) -> None:
    world = FakeWorld()
    world.add_mount()
    password = options.get("password")
    try:
        text = json.dumps(Runner(world)("database_connection", **options), ensure_ascii=False)
    except Problem as problem:
        text = str(problem)
        assert_one_sentence(problem)
    if password:
        assert password not in text


def assert_one_sentence(problem: Exception) -> None:
    text = str(problem)
    assert text.strip()
    assert "\n" not in text
    assert "Traceback" not in text
