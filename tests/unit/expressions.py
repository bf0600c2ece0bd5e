# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluates what stands in roles and playbooks as Ansible does, without a play: one question and one answer a line, as JSON.

A question has ``files`` (variables of a role, later ones win), ``given`` (variables; those in ``templates`` may hold templates themselves)
and ``text``.  The answer has ``value``, or ``error``.  A process of its own, because it installs Ansible's way of importing collections.
"""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

try:
    from ansible.template import trust_as_template as template
except ImportError:  # ansible-core before 2.19 trusts every text
    template = str


def trusted(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: trusted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [trusted(one) for one in value]
    return template(value) if isinstance(value, str) else value


def plain(value: t.Any) -> t.Any:
    return json.loads(json.dumps(value, default=str))


def answer(question: dict[str, t.Any]) -> dict[str, t.Any]:
    variables: dict[str, t.Any] = {}
    for file in question["files"]:
        variables.update(trusted(yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}))
    variables.update(trusted(question["templates"]), **question["given"])
    templar = Templar(DataLoader(), variables)
    try:
        return {"value": plain(templar.template(trusted(question["text"])))}
    except AnsibleError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    init_plugin_loader(sys.argv[1:])
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
