#!/usr/bin/python

# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a file where no other user can replace it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: private_file
short_description: Write a file where no other user can replace it
description:
  - Writes a file with credentials or configuration, or makes a directory. Asks no Vault and needs nothing but Python (3.7 or newer) on the host.
  - Nothing is written through a symbolic or hard link, or into a directory (all the way up) that anybody but root, the owner of the file and the
    user who runs this can write. A group that has no other users than these may.
  - The file gets its name after owner, group and mode are set, on the file that was opened, so the owner cannot put another one in its place
    meanwhile.
  - The roles of this collection write all their files with it.
author:
  - The leasehold.vault authors (@leasehold)
version_added: 1.1.0
options:
  path:
    description: Path of the file or directory.
    type: path
    required: true
  content:
    description:
      - What is in the file. Without it, the file has to be there and keeps what it holds.
      - It is shown in differences (C(--diff)), unless the task says C(diff=false), and neither logged nor shown among the arguments (C(-vvv)).
    type: str
  state:
    description:
      - Whether it is a file or a directory. Directories above a directory are made, too, with the mode C(0755).
    type: str
    choices: [file, directory]
    default: file
  owner:
    description: Name of the user who owns it; left out, whoever runs this.
    type: str
  group:
    description: Name of its group; left out, a new file gets that of its owner or directory, another one keeps its own.
    type: str
  mode:
    description: Octal mode, quoted, or with its leading zero; left out, C(0600), of a directory C(0755).
    type: raw
  validate:
    description: A command that must succeed before the file gets its name, with C(%s) in the place of the path of the draft.
    type: str
attributes:
  check_mode:
    description: Says what would differ, and refuses the same.
    support: full
  diff_mode:
    description: Shows content, owner, group and mode before and after.
    support: full
"""

EXAMPLES = r"""
- name: A directory for what the application reads
  leasehold.vault.private_file:
    path: ~/.config/billing
    state: directory

- name: Where its database is
  leasehold.vault.private_file:
    path: ~/.config/billing/database.ini
    content: |
      host = db.example.com
      port = 5432
"""

RETURN = r"""
path:
  description: The path.
  returned: success
  type: str
"""

import shlex
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.leasehold.vault.plugins.module_utils._core.safe_files import (
    NotWritten,
    make_directory,
    write_file,
)


def shown(differences: dict[str, tuple[t.Any, t.Any]]) -> list[dict[str, t.Any]]:
    """As Ansible prints them: the content apart from what belongs to the file."""
    of_file = dict(differences)
    content = of_file.pop("content", None)
    parts: list[list[t.Any]] = []
    if content:
        parts.append([(side or b"").decode(errors="replace") for side in content])
    if of_file:
        parts.append([{what: sides[number] for what, sides in of_file.items()} for number in (0, 1)])
    return [{"before": before, "after": after} for before, after in parts]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "state": {"type": "str", "choices": ["file", "directory"], "default": "file"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw"},
            "validate": {"type": "str"},
        },
        supports_check_mode=True,
        no_log=True,  # the content may be a secret: it is neither logged nor shown among the arguments
    )
    invocation = {"module_args": {name: value for name, value in module.params.items() if name != "content"}}

    def validate(draft: str) -> None:
        code, output, errors = module.run_command(
            [part.replace("%s", draft) for part in shlex.split(asked["validate"])]
        )
        if code:
            raise ValueError(
                f"{asked['path']} was not written, because {asked['validate']} failed: {(errors or output).strip()}"
            )

    asked = module.params
    order = {**asked, "check": module.check_mode, "validate": validate if asked["validate"] else None}
    try:
        differences = (
            make_directory(asked["path"], order)
            if asked["state"] == "directory"
            else write_file(asked["path"], asked["content"], order)
        )
    except (NotWritten, OSError, ValueError) as refusal:
        module.fail_json(msg=str(refusal), invocation=invocation)
    difference = {"diff": shown(differences)} if module._diff else {}
    module.exit_json(changed=bool(differences), path=asked["path"], invocation=invocation, **difference)


if __name__ == "__main__":
    main()
