# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""F. PostgreSQL's side: databases with roles and privileges, on an empty server and once more; and one database with many tables."""

from __future__ import annotations

import time

from ground import Ground, Size, Values, say, summary

TABLES = ["select", "insert", "update", "delete"]
SEQUENCES = ["usage", "select"]
PEER = "community.postgresql.postgresql_"


def entries(ground: Ground, count: int, prefix: str, groups: int = 2) -> list[Values]:
    """Databases of a document, each with groups of its own."""
    rights = {"schemas": ["public"], "tables": TABLES, "sequences": SEQUENCES}
    return [
        {
            "name": name, "host": ground.postgres.host, "port": ground.postgres.port, "sslmode": "disable", "database": name,
            "owner": f"{name}_owner", "admin": {"username": f"{name}_admin", "password": "first-password"},
            "groups": {f"{name}_g{group}": rights for group in range(groups)},
        }
        for name in (f"{prefix}{number}" for number in range(count))
    ]  # fmt: skip


def ours(ground: Ground, databases: list[Values]) -> list[Values]:
    arguments = {
        "databases": databases, "login_password": ground.postgres.password, "close_databases": [],
        "login_user": ground.postgres.user,
    }  # fmt: skip
    return [{"leasehold.vault.postgresql_sync": arguments}]


def peers(ground: Ground, databases: list[Values]) -> list[Values]:
    """The same with the modules of community.postgresql, without looking beforehand whether there is anything to do."""
    login = {
        "login_host": ground.postgres.host, "login_port": ground.postgres.port, "login_user": ground.postgres.user,
        "login_password": ground.postgres.password,
    }  # fmt: skip

    def task(module: str, **arguments: str | bool) -> Values:
        return {f"{PEER}{module}": {**login, **arguments}}

    tasks: list[Values] = []
    for each in databases:
        name, owner, admin, groups = each["database"], each["owner"], each["admin"]["username"], list(each["groups"])
        inside = {"login_db": name, "schema": "public"}
        tasks += [task("user", name=role, role_attr_flags="NOLOGIN") for role in (owner, *groups)]
        tasks += [
            task(
                "user",
                name=admin,
                password="first-password",
                role_attr_flags="LOGIN,CREATEROLE",
                no_password_changes=True,
            ),
            task("privs", type="group", objs=",".join(groups), roles=admin, admin_option=True, login_db="postgres"),
            task("db", name=name, owner=owner),
            task("privs", type="database", login_db=name, privs="CONNECT", roles="PUBLIC", state="absent"),
            task("privs", type="database", login_db=name, privs="CONNECT", roles=",".join([*groups, admin])),
            task("privs", type="schema", login_db=name, objs="public", privs="USAGE,CREATE", roles=owner),
            task("privs", type="schema", login_db=name, objs="public", privs="USAGE", roles=",".join(groups)),
        ]
        for kind, privileges in (("table", TABLES), ("sequence", SEQUENCES)):
            rights = {"privs": ",".join(privileges), "roles": ",".join(groups)}
            tasks += [
                task("privs", type=kind, objs="ALL_IN_SCHEMA", **inside, **rights),
                task("privs", type="default_privs", objs=f"{kind.upper()}S", target_roles=owner, **inside, **rights),
            ]
    return tasks


def measure(ground: Ground, size: Size) -> Values:
    many, few = (4, 1) if size.name == "quick" else (40, 4)
    tables, groups = (200, 3) if size.name == "quick" else (5000, 30)
    empty = summary([ground.play([]).seconds for _round in range(size.repeats)])
    rows = []
    for way, write, count in (("ours", ours, many), ("peer", peers, few)):
        say(f"F  {count} databases, {way}")
        tasks = write(ground, entries(ground, count, f"{way}_{int(time.time())}_"))
        first = ground.play(tasks).seconds
        again = [ground.play(tasks) for _round in range(1 if way == "peer" else size.repeats)]
        rows.append(
            {
                "way": way,
                "databases": count,
                "first": first,
                "again": summary([run.seconds for run in again]),
                "changed": again[-1].changed,
            }
        )
    say(f"F  one database of {tables} tables and {groups} groups")
    one = entries(ground, 1, f"large_{int(time.time())}_", groups)
    ground.play(ours(ground, one))
    ground.sql(
        f"SET ROLE {one[0]['owner']}; DO $$ BEGIN FOR i IN 1..{tables} LOOP EXECUTE format('CREATE TABLE t%s (n int)', i); END LOOP; END $$",
        one[0]["database"],
    )
    large = summary([ground.play(ours(ground, one)).seconds for _round in range(size.repeats)])
    return {"empty": empty, "rows": rows, "tables": tables, "groups": groups, "large": large}
