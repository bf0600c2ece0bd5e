# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed at `-vvv --diff` holds none of the secrets handled, not even when something fails.

`Play.secrets` makes every run search its own output; test_site.py does so for the playbooks.
"""

from __future__ import annotations

import json
import typing as t

import pytest

from .conftest import CALLBACK, Unsafe, as_yaml, forms, leaks

if t.TYPE_CHECKING:
    from collections.abc import Callable

    import servers

    from .conftest import Ground, Play

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


def test_the_search_finds_what_a_play_prints(play: Play, here: Ground) -> None:
    play.secrets += [FIRST_PASSWORD]
    for said in (FIRST_PASSWORD, FIRST_PASSWORD.encode().hex()):
        document = as_yaml(
            [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": Unsafe(said)}}]}]
        )
        with pytest.raises(AssertionError, match="printed"):
            play(document)


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
        task("database_connection", **{**connection, "name": "bad", "password": "{{ wrong }}"}, goes_wrong=True),
        task("database_connection", name="literal", connection_url=literal, username="u", password="{{ wrong }}", goes_wrong=True),
        task("database_connection", **{**connection, "update_password": "always", "password": "{{ wrong }}"}, goes_wrong=True),
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


@pytest.mark.parametrize("where", ["in the controller", "as modules"])
def test_nothing_that_modules_and_lookups_print_is_secret(play: Play, here: Ground, where: str) -> None:
    login = here.approle(
        "secret",
        token_ttl="2h",
        policy='path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }',
    )
    secret_id = login.pop("VAULT_SECRET_ID")
    here.sql("ALTER ROLE secret_boot PASSWORD %s", values=[FIRST_PASSWORD])
    play.environment |= {"ANSIBLE_CALLBACKS_ENABLED": CALLBACK, "OUR_SECRET_ID": secret_id, **login}
    play.secrets += [FIRST_PASSWORD, WRONG_PASSWORD, secret_id, here.bao.token, here.server.password]
    play.write("secrets.yml", as_yaml({"first_password": Unsafe(FIRST_PASSWORD), "wrong": WRONG_PASSWORD}))
    note = play.directory / "seen"
    in_controller = json.dumps({"leasehold_run_in_controller": where == "in the controller"})
    mark = here.mark()
    modules = (
        ()
        if where == "in the controller"
        else ("database_connection", "database_root_rotation", "database_static_role", "database_credentials")
    )
    run = play(document(here, str(note), modules), "-vvv", "--diff", "-e", in_controller)
    noted = [json.loads(line) for line in note.read_text().splitlines()] if note.exists() else []
    issued = {one["password"] for one in noted}
    assert len(issued) == (0 if modules else 3), "one of the module, one of the static role, one of the lookup"
    assert not leaks(run.output, issued)
    assert not leaks(json.dumps(run.results), [*issued, *play.secrets])
    for event in run.results:
        wrong = event["task"].startswith("wrong")
        assert event["status"] == ("failed" if wrong else "ok"), event
    assert here.asked(mark)[f"update auth/approle-{here.mount}/login"] >= 1
    for kind in ("config/boot", "roles/made", "roles/broken", "static-roles/fixed"):
        here.bao.request("DELETE", f"{here.mount}/{kind}")
