# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C. A play in which each host mentions its credentials many times."""

from __future__ import annotations

import converge
from ground import CannotRunError, Ground, Size, Values, repeated, say, summary


def contenders(mount: str) -> dict[str, tuple[str | Values, str]]:
    """What the variable is, and how the user's name is read from it."""
    ours = f"{{{{ lookup('leasehold.vault.database_credentials', 'role-0000', mount='{mount}') }}}}"
    peer = f"{{{{ lookup('community.hashi_vault.vault_read', '{mount}/creds/role-0000') }}}}"
    return {
        "literal": ({"username": "nobody"}, "db.username"),
        "ours": (ours, "db.username"),
        "ours_with_callback": (ours, "db.username"),
        "peer": (peer, "db.data.username"),
    }


def measure(ground: Ground, size: Size) -> Values:
    doc = converge.make(ground, 1)
    mount = doc["mount"]
    results: Values = {"hosts": size.hosts, "mentions": size.mentions}
    for name, (variable, username) in contenders(mount).items():
        say(f"C  {name}: {size.mentions} mentions on {size.hosts} hosts")
        tasks = [{"ansible.builtin.debug": {"msg": f"{{{{ {username} }}}}"}}] * size.mentions
        leases, callbacks = 0, "leasehold.vault.revoke_leases" if name == "ours_with_callback" else ""

        def once(tasks: list[Values] = tasks, variable: str | Values = variable, callbacks: str = callbacks) -> float:
            nonlocal leases
            seconds = ground.play(tasks, hosts=size.hosts, callbacks=callbacks, vars={"db": variable}).seconds
            with ground.raw() as raw:
                leases = len(raw.names(f"sys/leases/lookup/{mount}/creds/role-0000/"))
                raw.must("PUT", f"sys/leases/revoke-prefix/{mount}", {"sync": True})
            return seconds

        try:
            samples = repeated(once, size.repeats, size.patience)
        except CannotRunError as reason:
            if name != "peer":
                raise
            results[name] = {"cannot_run": str(reason)}
            continue
        results[name] = {**summary(samples), "leases": leases}
    ground.forget(mount)
    return results
