# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""B. What one more task costs, when there is nothing to do for it."""

from __future__ import annotations

import statistics

import converge
from ground import CannotRunError, Ground, Size, Values, say, summary

OURS, PEER = converge.OURS, converge.PEER


def contenders(doc: Values) -> dict[str, tuple[Values, Values]]:
    """The task, and the variables it is run with."""
    role = doc["roles"][0]
    ours = {"mount": doc["mount"], **role}
    peer = {
        "engine_mount_point": doc["mount"], "role_name": role["name"], "connection_name": role["db_name"],
        **{name: role[name] for name in ("creation_statements", "revocation_statements", "default_ttl", "max_ttl")},
    }  # fmt: skip
    read = {"mount": doc["mount"], "name": role["name"]}
    peer_read = {"engine_mount_point": doc["mount"], "role_name": role["name"]}
    as_module = {"leasehold_run_in_controller": False}
    return {
        "debug": ({"ansible.builtin.debug": {"msg": "nothing"}}, {}),
        "ping": ({"ansible.builtin.ping": {}}, {}),
        "ours": ({f"{OURS}.database_role": ours}, {}),
        "ours_as_module": ({f"{OURS}.database_role": ours}, as_module),
        "peer": ({f"{PEER}.vault_database_role_create": peer}, {}),
        "ours_read": ({f"{OURS}.database_role_info": read}, {}),
        "ours_read_as_module": ({f"{OURS}.database_role_info": read}, as_module),
        "peer_read": ({f"{PEER}.vault_database_role_read": peer_read}, {}),
    }


def measure(ground: Ground, size: Size) -> Values:
    doc = converge.make(ground, 1)
    results: Values = {"tasks": size.tasks, "marginal": {}}
    samples: dict[str, list[float]] = {}
    for number in range(1, size.repeats + 1):  # in turns: what disturbs the machine disturbs all of them
        for name, (task, variables) in contenders(doc).items():
            say(f"B  {name}: {size.tasks} tasks, round {number} of {size.repeats}")
            try:
                few = ground.play([task], variables).seconds
                many = ground.play([task] * (size.tasks + 1), variables).seconds
            except CannotRunError as reason:
                if not name.startswith("peer"):
                    raise
                results["marginal"][name] = {"cannot_run": str(reason)}
                continue
            samples.setdefault(name, []).append((many - few) / size.tasks)
    ground.forget(doc["mount"])
    results["marginal"].update({name: summary(each) for name, each in samples.items()})
    results["fastest"] = min(samples, key=lambda name: statistics.median(samples[name]))
    return results
