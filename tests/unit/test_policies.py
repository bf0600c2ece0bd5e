# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/policies.md is enough, and none of it is superfluous.

That it is enough is shown by all stories: on real servers every module runs with its documented policy (`RealWorld.login_for`). Here each
module does, once, everything that asks for a right; with each capability taken away in turn, the server must refuse something, and the
sentence must say what is missing.
"""

from __future__ import annotations

import functools
import json
import re
import typing as t

import policies
import pytest
import servers
from ansible_collections.leasehold.vault.plugins.module_utils._core.errors import Problem

from .conftest import ROOT, RealWorld, Runner, specification_of
from .test_every_module import VAULT_MODULES

NOTHING = 'path "nothing" { capabilities = ["read"] }'
PASSWORDS = 'length = 20\nrule "charset" { charset = "abc" }'


# -- what each module does with its rights -----------------------------------------------------------------------------------


def acl_policy(do, world):
    do(name=f"{world.mount}-made", policy=NOTHING)
    do(name=f"{world.mount}-made", policy=NOTHING.replace("read", "list"))
    do(name=f"{world.mount}-made", state="absent")


def acl_policy_info(do, world):
    do()
    do(name="default")


def approle_secret_id(do, world):
    app_role(world)
    one = do(name="app")["secret_id"]["secret_id_accessor"]
    do(name="app", secret_id_accessor=one, state="absent")


def audit_device(do, world):
    try:
        do(name="second", options={"file_path": str(world.server.directory / "second.log")})
        do(name="second", state="absent")
    finally:
        world.client.delete("sys/audit/second")


def audit_hash(do, world):
    do(device="main", inputs=["v-approle-app"])


def auth_mount(do, world):
    do(type="kubernetes", **cluster(world))
    do(type="kubernetes", **cluster(world), description="Changed")
    do(type="kubernetes", **{**cluster(world), "kubernetes_host": "https://127.0.0.1:8"})
    do(type="kubernetes", state="absent")
    app_role(world)
    path = f"auth/{world.mount}"
    login = {
        "role_id": world.client.read(f"{path}/role/app/role-id")["role_id"],
        "secret_id": world.client.ask("post", f"{path}/role/app/secret-id")["data"]["secret_id"],
    }
    world.client.ask("post", f"{path}/login", login)
    do(type="approle", state="absent", revoke_leases=True)


def auth_mount_info(do, world):
    world.client.write(f"sys/auth/{world.mount}", {"type": "kubernetes"})
    world.client.write(f"auth/{world.mount}/config", cluster(world))
    do()
    do(mount=world.mount)


def auth_role(do, world):
    app_role(world)
    for ttl in ("1h", "2h"):
        do(type="approle", name="made", token_ttl=ttl)
    do(type="approle", name="made", state="absent")


def auth_role_info(do, world):
    app_role(world)
    do(type="approle")
    do(type="approle", name="app")


def database_connection(do, world):
    with_static_role(world).add_role("elsewhere")
    admin = f"{world.mount}-second"
    world.database.sql(f"CREATE ROLE \"{admin}\" LOGIN CREATEROLE PASSWORD 'second-password'")
    second = {**world.connection(), "username": admin, "password": "second-password"}
    do(name="second", **second, password_policy=own_password_policy(world))
    do(name="second", max_open_connections=3, verify_connection=False)
    world.add_role(db_name="second").issue("app")
    do(name="second", state="absent", revoke_leases=True)


def database_connection_info(do, world):
    world.add_mount().add_connection()
    do()
    do(name="db")


def database_credentials(do, world):
    with_static_role(world).add_role()
    do(role="app")
    do(static_role="reports")
    with pytest.raises(Problem):  # a standby that is away
        do(role="app", wait_for_replay="1s", nodes=[{"host": "127.0.0.1:1", "database": "postgres"}])


def database_engine(do, world):
    do(description="Made")
    do(description="Changed")
    world.add_connection().add_role().issue("app")
    do(state="absent", revoke_leases=True)


def database_engine_info(do, world):
    world.add_mount()
    do()
    do(mount=world.mount)


def database_health_info(do, world):
    world.add_mount().add_connection().add_role()
    world.issue("app")
    dba = {"login_user": world.database.server.user, "login_password": world.database.server.password}
    world.add_mount(f"{world.mount}-other")
    do(name="db", **dba)


def database_orphans_info(do, world):
    world.add_mount().add_connection().add_role()
    world.issue("app")
    dba = {"login_user": world.database.server.user, "login_password": world.database.server.password}
    world.add_mount(f"{world.mount}-other")
    do(name="db", **dba)


def database_role(do, world):
    world.add_mount().add_connection()
    own = {"password_policy": own_password_policy(world)}
    do(name="app", db_name="db", in_role=world.database.group, verify="issue", credential_config=own)
    do(name="app", default_ttl="1h")
    world.issue("app")
    do(name="app", state="absent", revoke_leases=True)


def database_role_info(do, world):
    world.add_mount().add_connection().add_role()
    do()
    do(name="app")


def database_root_rotation(do, world):
    world.add_mount().add_connection()
    do(name="db", password=world.database.admin_password)
    do(name="db", password=world.database.admin_password)


def database_static_role(do, world):
    user = with_static_role(world)
    own = {"password_policy": own_password_policy(world)}
    do(name="made", db_name="db", username=user.spare, rotation_period="24h", credential_config=own)
    do(name="made", rotation_period="48h")
    do(name="made", state="absent")


def database_static_role_info(do, world):
    with_static_role(world)
    do()
    do(name="reports")


def database_static_role_rotation(do, world):
    with_static_role(world)
    do(name="reports")


def database_sync(do, world):
    fixed = static_user(world)
    role = {"name": "app", "db_name": "db", "in_role": world.database.group}
    static = {"name": "fixed", "db_name": "db", "username": fixed, "rotation_period": "24h"}
    connection = {"name": "db", **world.connection(), "password_policy": own_password_policy(world)}
    kinds = ["connections", "roles", "static_roles"]
    do(engine={}, connections=[connection], roles=[role], static_roles=[static])
    world.issue("app")
    connection.update(max_open_connections=3, verify_connection=False)
    role["default_ttl"], static["rotation_period"] = "1h", "48h"
    do(engine={"description": "Changed"}, connections=[connection], roles=[role], static_roles=[static])
    do(prune=kinds, revoke_leases=True)


def lease(do, world):
    world.add_mount().add_connection().add_role(default_ttl="1h", max_ttl="24h")
    first, second = (world.issue("app")["lease_id"] for _number in range(2))
    do(lease_id=first, valid_for="2h")
    do(lease_id=first, state="absent")
    do(prefix=second.rpartition("/")[0], state="absent")
    world.add_role(revocation_statements=["SELECT 1/0"])
    do(lease_id=world.issue("app")["lease_id"], state="absent", force=True)


def lease_info(do, world):
    world.add_mount().add_connection().add_role().issue("app")
    do(prefix=f"{world.mount}/creds")


def password_policy(do, world):
    with_static_role(world).add_role()
    do(name=f"{world.mount}-made", policy=PASSWORDS)
    do(name=f"{world.mount}-made", policy=PASSWORDS.replace("abc", "abcd"))
    do(name=f"{world.mount}-made", state="absent")


def password_policy_info(do, world):
    world.client.write(f"sys/policies/password/{world.mount}-made", {"policy": PASSWORDS})
    do()
    do(name=f"{world.mount}-made")


def rate_limit_quota(do, world):
    world.add_mount()
    quota = {"name": f"{world.mount}-made", "path": f"{world.mount}/creds/app"}
    do(**quota, rate=5)
    do(**quota, rate=6)
    do(name=quota["name"], state="absent")


def rate_limit_quota_info(do, world):
    world.add_mount()
    world.client.write(f"sys/quotas/rate-limit/{world.mount}-made", {"rate": 5000, "path": world.mount})
    do()
    do(name=f"{world.mount}-made")


# -- what they find there ----------------------------------------------------------------------------------------------------


def cluster(world):
    ca_cert = world.server.ca_cert.read_text()
    return {"kubernetes_host": "https://127.0.0.1:9", "disable_local_ca_jwt": True, "kubernetes_ca_cert": ca_cert}


def app_role(world):
    world.client.write(f"sys/auth/{world.mount}", {"type": "approle"})
    world.client.write(f"auth/{world.mount}/role/app", {"token_ttl": "1h"})


def own_password_policy(world):
    name = f"{world.mount}-own"
    world.client.write(f"sys/policies/password/{name}", {"policy": PASSWORDS})
    return name


def static_user(world):
    user = f"{world.mount}-fixed"
    world.database.sql(f'CREATE ROLE "{user}" LOGIN; GRANT "{user}" TO {world.database.admin} WITH ADMIN OPTION')
    return user


def with_static_role(world):
    world.add_mount().add_connection()
    world.spare = static_user(world)
    user = f"{world.mount}-reports"
    world.database.sql(f'CREATE ROLE "{user}" LOGIN; GRANT "{user}" TO {world.database.admin} WITH ADMIN OPTION')
    world.write("static-roles/reports", db_name="db", username=user, rotation_period="24h")
    return world


# -- the tests ---------------------------------------------------------------------------------------------------------------

STORIES = {name: globals().get(name) for name in VAULT_MODULES}
DOCUMENTED = policies.documented()
SAYS_ITS_MOUNT = {"auth_mount_info", "database_engine_info"}


@pytest.fixture(scope="module")
def open_to_devices():
    """OpenBao takes audit devices over its API only when it is told to; Vault always does."""
    with servers.OpenBao(extra_config="unsafe_allow_api_audit_creation = true") as server:
        yield server


class Told(t.NamedTuple):
    sentence: str
    """With which it failed."""
    denied: list[str]
    """The paths on which the server refused something, as its audit log has it."""
    mount: str


def tell(name, rules, bao, postgres):
    """A module's story with these rights, on a mount of its own."""
    world = RealWorld(bao, postgres)
    token = policies.token(bao, (rule.at(world.mount) for rule in rules))
    has_mount = "mount" in specification_of(name)["argument_spec"] and name not in SAYS_ITS_MOUNT
    do = functools.partial(Runner(world), name, token=token, **({} if has_mount else {"mount": None}))
    since, sentence = bao.audit_path.stat().st_size, ""
    try:
        STORIES[name](do, world)
    except Problem as problem:
        sentence = str(problem)
    denied = refusals(bao, since)
    world.clean_up()
    return Told(sentence, denied, world.mount)


def refusals(bao, since):
    with bao.audit_path.open() as log:
        log.seek(since)
        entries = [json.loads(line) for line in log.read().splitlines() if '"type":"response"' in line]
    return [entry["request"]["path"] for entry in entries if "permission denied" in entry.get("error", "")]


def names(sentence, capability, path):
    """Whether it says what is missing where, and what there is.  Without either, nobody knows which of two it is."""
    given = "create or update" if f"{capability} or" in sentence or f"or {capability}" in sentence else capability
    return re.search(f"the capability {given} on {re.escape(path.rstrip('/'))}/? and has ", sentence)


def without(rules, rule, capability):
    less = rule._replace(capabilities=tuple(one for one in rule.capabilities if one != capability))
    return [less if each is rule else each for each in rules if each is not rule or less.capabilities]


def test_every_module_and_lookup_has_its_policy():
    lookups = sorted(file.stem for file in (ROOT / "plugins" / "lookup").glob("*.py"))
    assert set(DOCUMENTED) == {
        policies.EVERY_LOGIN, *(f"module {name}" for name in VAULT_MODULES), *(f"lookup {name}" for name in lookups),
    }  # fmt: skip


@pytest.mark.full  # that its policy is enough, every story on real servers shows
@pytest.mark.parametrize("name", VAULT_MODULES)
def test_module_needs_exactly_its_documented_policy(name, bao, postgres, open_to_devices):
    server = open_to_devices if name == "audit_device" else bao
    rules = [*DOCUMENTED[policies.EVERY_LOGIN], *DOCUMENTED[f"module {name}"]]
    assert tell(name, rules, server, postgres)[:2] == ("", [])
    wrong = []
    for rule in DOCUMENTED[f"module {name}"]:
        for capability in rule.capabilities:
            result = tell(name, without(rules, rule, capability), server, postgres)
            missed = [path for path in result.denied if rule.at(result.mount).covers(path)]
            named = any(names(result.sentence, capability, path) for path in missed)
            if not missed or (rule.optional and result.sentence) or not (rule.optional or named):
                wrong.append((capability, rule.path, result))
    assert not wrong
