# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that is not who it says it is gets no token: from no module, wherever it runs, and from no lookup.

One OpenBao listens on several ports, each wrong in one way, and on one that is right.
"""

from __future__ import annotations

import json
import subprocess
import typing as t

import jinja2
import pytest
import servers

from .conftest import ROOT, as_yaml

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Play, Run

REFUSALS = {
    "another name": "its certificate is for another name",
    "expired": "its certificate has expired",
    "not yet valid": "its certificate is not valid yet",
    "another authority": "its certificate does not verify. Set ca_cert to the certificate of the authority that signed it",
    "old TLS": "it offers only TLS 1.1 or older",
    "plain HTTP": "it does not use TLS on this port",
}
WAYS = ("module in the controller", "module", "lookup")


class Listening(servers.OpenBao):
    """Right on its own port, wrong in each of these ways on a port more."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong = {name: servers.free_port() for name in REFUSALS}

    def prepare(self) -> None:
        good = (self.authority.issue(), "")
        for name, ((certificate, key), more) in {
            "another name": (self.authority.issue(names=["vault.example.com"]), ""),
            "expired": (self.authority.issue(begins=-2, ends=-1), ""),
            "not yet valid": (self.authority.issue(begins=1), ""),
            "another authority": (servers.Authority("another").issue(), ""),
            "old TLS": (good[0], 'tls_min_version = "tls10"\n  tls_max_version = "tls11"'),
            "plain HTTP": (good[0], "tls_disable = true"),
        }.items():
            files = [self.directory / f"{name}.{kind}".replace(" ", "-") for kind in ("pem", "key")]
            files[0].write_bytes(certificate)
            servers.write_private(files[1], key)
            self.extra_config += f"""
listener "tcp" {{
  address = "{servers.HOST}:{self.wrong[name]}"
  cluster_address = "{servers.HOST}:{servers.free_port()}"
  tls_cert_file = "{files[0]}"
  tls_key_file = "{files[1]}"
  {more}
}}
"""
        super().prepare()

    def address(self, name: str) -> str:
        return f"https://{servers.HOST}:{self.wrong[name]}"


@pytest.fixture(scope="module")
def bao() -> Iterator[Listening]:
    with Listening() as server:
        yield server


def asking(way: str, name: str, **options: t.Any) -> dict[str, t.Any]:
    if way == "lookup":
        given = "".join(f", {option}={value!r}" for option, value in options.items())
        task = {
            "ansible.builtin.debug": {"msg": f"{{{{ lookup('leasehold.vault.database_credentials', 'app'{given}) }}}}"}
        }
    else:
        task = {
            "leasehold.vault.database_role_info": {"name": "app", **options},
            "vars": {"leasehold_run_in_controller": way != "module"},
        }
    return {"name": f"{way}: {name}", **task, "ignore_errors": True}


def tasks(*listed: dict[str, t.Any]) -> str:
    return as_yaml([{"hosts": "all", "gather_facts": False, "tasks": list(listed)}])


def message(run: Run, task: str) -> str:
    (event,) = run.of(task)
    assert event["status"] == "failed"
    return str(event["result"]["msg"])


def test_token_is_not_sent_to_untrusted_server(play: Play, bao: Listening) -> None:
    mark = bao.audit_path.stat().st_size
    document = tasks(*(asking(way, name, url=bao.address(name)) for name in REFUSALS for way in WAYS))
    run = play(document, "-vvv")
    for name, why in REFUSALS.items():
        for way in WAYS:
            sentence = message(run, f"{way}: {name}")
            assert f"Could not trust {bao.address(name)}: {why}" in sentence
            assert "\n" not in sentence
    assert "/app" not in bao.audit_path.read_text()[mark:], "something was asked"


def test_requests_succeed_with_trusted_certificate(play: Play, bao: Listening) -> None:
    run = play(tasks(*(asking(way, "right", retries=0) for way in WAYS)))
    for way in WAYS:
        assert "Could not" in message(run, f"{way}: right") or "nothing is mounted" in message(run, f"{way}: right")
        assert "trust" not in message(run, f"{way}: right")


def test_without_ca_cert_system_authorities_are_used(play: Play) -> None:
    document = tasks(*(asking(way, "nobody named") for way in WAYS))
    run = play(document, env={"VAULT_CACERT": ""})
    for way in WAYS:
        assert "Set ca_cert to the certificate of the authority that signed it" in message(run, f"{way}: nobody named")


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
def test_who_turns_the_verification_off_is_warned(play: Play, bao: Listening, way: str) -> None:
    url = bao.address("expired")
    run = play(tasks(asking(way, "unverified", url=url, validate_certs=False)))
    assert "trust" not in message(run, f"{way}: unverified")
    assert run.warned(url, "is not verified", "anyone on the network path can read the credentials")


# ---------------------------------------------------------------------------------------------------------- the agent


@pytest.fixture
def configuration(bao: Listening, tmp_path: Path) -> Callable[[str], Path]:
    """The agent's file, from the template of the role."""

    def written(url: str) -> Path:
        for name in ("role_id", "secret_id"):
            (tmp_path / name).write_text(name)
        login = {
            "role_id_file_path": str(tmp_path / "role_id"),
            "secret_id_file_path": str(tmp_path / "secret_id"),
            "remove_secret_id_file_after_reading": False,
        }
        environment = jinja2.Environment(trim_blocks=True)  # noqa: S701 (no HTML)
        environment.filters["to_json"] = lambda value, **_how: json.dumps(value)
        template = environment.from_string((ROOT / "roles/vault_agent/templates/agent.hcl.j2").read_text())
        path = tmp_path / "agent.hcl"
        path.write_text(
            template.render(
                vault_agent_url=url, vault_agent_ca_cert=str(bao.ca_cert), vault_agent_namespace="",
                item={
                    "login": {"type": "approle", "mount_path": "auth/approle", "config": login},
                    "runtime": str(tmp_path), "exec": None, "files": [],
                },
            )
        )  # fmt: skip
        return path

    return written


@pytest.mark.full
@pytest.mark.parametrize("name", [*REFUSALS, "right"])
def test_agent_logs_in_to_trusted_server_only(
    bao: Listening, configuration: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    """As the role configures it."""
    mark = bao.audit_path.stat().st_size
    path, log = configuration(bao.url if name == "right" else bao.address(name)), tmp_path / "log"
    with log.open("w") as stream:
        agent = subprocess.Popen(
            [servers.program().path, "agent", f"-config={path}"],
            stdout=stream,
            stderr=stream,
            env={"HOME": str(tmp_path)},
            cwd=tmp_path,
        )
    try:
        servers.wait_for("the agent's login", lambda: "error authenticating" in log.read_text())
    finally:
        agent.terminate()
        agent.wait(30)
    asked = bao.audit_path.stat().st_size > mark
    assert asked == (name == "right"), log.read_text()
