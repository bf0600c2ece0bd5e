# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""D. What a credential costs the servers: members of a group (`in_role`) against rights on each table."""

from __future__ import annotations

import collections
import re
import threading
import time

from ground import Ground, Raw, Size, Unsafe, Values, say, summary

CLIENTS, CONNECTIONS = 16, 4
METHODS = ("in_role", "direct")
DIRECT: Values = {
    "creation_statements": [
        Unsafe("CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"),
        Unsafe('GRANT USAGE ON SCHEMA public TO "{{name}}"'),
        Unsafe('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{{name}}"'),
    ],
    "revocation_statements": [
        Unsafe('REASSIGN OWNED BY "{{name}}" TO credentials_owner'),
        Unsafe('DROP OWNED BY "{{name}}"'),
        Unsafe('DROP ROLE IF EXISTS "{{name}}"'),
    ],
}
"""The usual statements, with a revocation that works. It takes a superuser."""


def measure(ground: Ground, size: Size) -> Values:
    databases = {f"tables{number}": number for number in (*size.tables, size.concurrent_tables)}
    say(f"D  databases with {', '.join(map(str, databases.values()))} tables")
    mount = ground.name("bench")
    prepare(ground, mount, databases, size)
    with ground.raw() as raw:
        results: Values = {"tables": [], "live": []}
        for method in METHODS:
            say(f"D  {method}: {', '.join(map(str, size.tables))} tables")
            roles = [f"{method}-tables{tables}" for tables in size.tables]
            costs = issue_and_revoke(raw, mount, roles, size.issues)
            for tables, cost in zip(size.tables, costs, strict=True):
                results["tables"].append({"method": method, "tables": tables, **cost})
            say(f"D  {method}: {size.live} live users, {size.tables[0]} tables")
            results["live"].append({"method": method, **with_live_users(raw, mount, method, size)})
    results["concurrent"] = {
        "clients": CLIENTS, "connections": CONNECTIONS, "tables": size.concurrent_tables,
        "rows": [{"method": method, **concurrently(ground, mount, method, size)} for method in METHODS],
    }  # fmt: skip
    ground.forget(mount)
    return results


# -------------------------------------------------------------------------------------------------------- preparation


def prepare(ground: Ground, mount: str, databases: dict[str, int], size: Size) -> None:
    ground.sql("CREATE ROLE credentials_rw; CREATE ROLE credentials_owner")
    for database, tables in databases.items():
        make_database(ground, database, tables)
    several = f"tables{size.concurrent_tables}"
    names = {f"{method}-tables{tables}": (method, f"tables{tables}") for tables in size.tables for method in METHODS}
    names |= {f"{method}-{number}": (method, several) for number in range(CONNECTIONS) for method in METHODS}
    for name, (method, _database) in names.items():
        rights = "CREATEROLE" if method == "in_role" else "SUPERUSER"
        ground.sql(f"CREATE ROLE \"admin-{name}\" LOGIN {rights} PASSWORD 'bench'")
        ground.sql(f'GRANT credentials_rw TO "admin-{name}" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE')
    connections = [
        {
            "name": name, "connection_url": Unsafe(ground.url(database)), "allowed_roles": ["*"],
            "username": f"admin-{name}", "password": "bench",
        }
        for name, (_method, database) in names.items()
    ]  # fmt: skip
    roles = [
        {
            "name": name, "db_name": name, "default_ttl": "1h", "max_ttl": "24h",
            **({"in_role": "credentials_rw"} if method == "in_role" else DIRECT),
        }
        for name, (method, _database) in names.items()
    ]  # fmt: skip
    ground.play([
        {"leasehold.vault.database_sync": {"mount": mount, "connections": connections, "roles": roles}}
    ])  # fmt: skip


def make_database(ground: Ground, database: str, tables: int) -> None:
    ground.sql(f"CREATE DATABASE {database} OWNER credentials_owner")
    ground.sql(
        f"""DO $$ BEGIN
          FOR number IN 1..{tables} LOOP
            EXECUTE format('CREATE TABLE public.t%s (a int, b int)', number);
            IF number % 200 = 0 THEN COMMIT; END IF;
          END LOOP;
        END $$""",
        database,
    )
    ground.sql(
        "GRANT USAGE ON SCHEMA public TO credentials_rw;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO credentials_rw",
        database,
    )
    ground.sql("VACUUM ANALYZE", database)


# ---------------------------------------------------------------------------------------------------------- measuring


def issue_and_revoke(raw: Raw, mount: str, roles: list[str], times: int) -> list[Values]:
    """Medians for each role. The roles take turns, so that what disturbs the machine disturbs all of them; the first
    round, which opens the connections, does not count."""
    issues: dict[str, list[float]] = {role: [] for role in roles}
    revocations: dict[str, list[float]] = {role: [] for role in roles}
    for _number in range(times + 1):
        for role in roles:
            began = time.perf_counter()
            lease = raw.must("GET", f"{mount}/creds/{role}")["lease_id"]
            issued = time.perf_counter()
            raw.must("PUT", "sys/leases/revoke", {"lease_id": lease, "sync": True})
            revocations[role].append(time.perf_counter() - issued)
            issues[role].append(issued - began)
    return [{"issue": summary(issues[role][1:]), "revoke": summary(revocations[role][1:])} for role in roles]


def with_live_users(raw: Raw, mount: str, method: str, size: Size) -> Values:
    """The same, while many users of the role live."""
    role = f"{method}-tables{size.tables[0]}"
    errors: collections.Counter[str] = collections.Counter()
    for _number in range(size.live):
        status, answer = raw.ask("GET", f"{mount}/creds/{role}")
        if status >= 400:
            errors[kind_of_error(answer)] += 1
    (cost,) = issue_and_revoke(raw, mount, [role], size.issues)
    raw.must("PUT", f"sys/leases/revoke-prefix/{mount}/creds/{role}", {"sync": True})
    return {"tables": size.tables[0], "live": size.live - errors.total(), "errors": dict(errors), **cost}


def concurrently(ground: Ground, mount: str, method: str, size: Size) -> Values:
    """Many clients over several connections to one database."""
    say(f"D  {method}: {CLIENTS} clients over {CONNECTIONS} connections, {size.concurrent_tables} tables")
    counts: collections.Counter[str] = collections.Counter()
    errors: collections.Counter[str] = collections.Counter()
    lock = threading.Lock()
    began = time.monotonic()

    def client(number: int) -> None:
        role = f"{method}-{number % CONNECTIONS}"
        with ground.raw() as raw:
            while time.monotonic() - began < size.concurrent_seconds:
                status, answer = raw.ask("GET", f"{mount}/creds/{role}")
                note("issue", status, answer)
                if status < 400:
                    lease = {"lease_id": answer["lease_id"], "sync": True}
                    note("revoke", *raw.ask("PUT", "sys/leases/revoke", lease))

    def note(what: str, status: int, answer: Values) -> None:
        with lock:
            counts[f"{what}_{'failed' if status >= 400 else 'done'}"] += 1
            if status >= 400:
                errors[kind_of_error(answer)] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    for number in range(CONNECTIONS):
        ground.bao.request("PUT", f"sys/leases/revoke-force/{mount}/creds/{method}-{number}")
    keys = ("issue_done", "issue_failed", "revoke_done", "revoke_failed")
    return {"seconds": seconds, **{key: counts[key] for key in keys}, "errors": dict(errors)}


def kind_of_error(answer: Values) -> str:
    """PostgreSQL's own sentence, without what differs from user to user."""
    text = " ".join(answer.get("errors") or ["no reason given"])
    found = re.search(r"ERROR: (.*?) \(SQLSTATE (\w{5})\)", text)
    given = f"{found[1]} ({found[2]})" if found else text.strip()[-120:]
    return re.sub(r'"?v-[\w-]+"?|\d{4,}', "…", given)
