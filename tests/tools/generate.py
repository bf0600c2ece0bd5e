# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what follows from the modules and their documentation: run it after adding a module or an option.

    python tests/tools/generate.py

It writes the action plugins, the action group in meta/runtime.yml, the table of modules in docs/contents.md, the table of files in
CONTRIBUTING.md, the suboptions of database_sync and the JSON schema of the document. tests/unit/test_generated.py compares them.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import re
import sys
import types
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "plugins" / "modules"
KINDS = {
    "engine": ("database_engine", "engine."),
    "connections": ("database_connection", "connections[]."),
    "roles": ("database_role", "roles[]."),
    "static_roles": ("database_static_role", "static_roles[]."),
}
"""The options of database_sync that hold the options of another module, and how documentation refers to one of those."""
OF_THE_TASK = ("mount", "state", "validate", "revoke_leases", "keep_leases")
"""Options that database_sync has once, beside its documents."""
CONNECTION = "leasehold.vault.connection"
"""The fragment of all modules that talk to Vault, which are the action group."""
PACKAGES = (
    *(f"module_utils/{name}" for name in ("_core", "_vault", "_postgresql", "_resources", "_operations")),
    *(f"plugin_utils/{name}" for name in ("_run", "_documents", "_lookup.py", "_action.py")),
)
"""Below plugins; each package imports from itself and from those before it."""
WIDTH = 140
ACTION = """\
# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Written by tests/tools/generate.py. Ansible loads an action plugin in the main process, before its workers fork.

from __future__ import annotations

from ansible_collections.leasehold.vault.plugins.modules.{name} import TASK
from ansible_collections.leasehold.vault.plugins.plugin_utils._action import LeaseholdAction


class ActionModule(LeaseholdAction):
    task = TASK
"""


def generated() -> dict[Path, str]:
    """Each file that is written, with what it has to hold."""
    return {
        **{ROOT / "plugins" / "action" / f"{name}.py": ACTION.format(name=name) for name in tasks()},
        **dict([_action_group(), _contents(), _packages(), _database_sync(), _schema()]),
    }


def modules() -> list[str]:
    return sorted(file.stem for file in MODULES.glob("*.py") if file.stem != "__init__")


def tasks() -> list[str]:
    """The modules that can run in the controller, too."""
    return [name for name in modules() if "\nTASK = " in (MODULES / f"{name}.py").read_text(encoding="utf-8")]


@functools.cache
def documentation(module: str) -> t.Any:
    tree = ast.parse((MODULES / f"{module}.py").read_text(encoding="utf-8"))
    texts = {
        statement.targets[0].id: str(statement.value.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.Constant)
    }
    return yaml.load(texts["DOCUMENTATION"], yaml.CSafeLoader)


def _action_group() -> tuple[Path, str]:
    file = ROOT / "meta" / "runtime.yml"
    head, group, _members = file.read_text(encoding="utf-8").partition("  vault:\n")
    logging_in = [
        name for name in modules() if CONNECTION in documentation(name).get("extends_documentation_fragment", ())
    ]
    return file, head + group + "".join(f"    - {name}\n" for name in logging_in)


def _contents() -> tuple[Path, str]:
    file = ROOT / "docs" / "contents.md"
    rows = [f"| `{name}` | {documentation(name)['short_description']} |" for name in modules()]
    table = "\n".join(["| module | what it does |", "|---|---|", *rows])
    return file, re.sub(
        r"\| module \|.*?(?=\n\n)", lambda _old: table, file.read_text(encoding="utf-8"), flags=re.DOTALL
    )


def _packages() -> tuple[Path, str]:
    """What each file of module_utils and plugin_utils is for: the first sentence of its docstring."""
    file = ROOT / "CONTRIBUTING.md"
    rows = []
    for package in PACKAGES:
        directory = ROOT / "plugins" / package
        if directory.is_dir():
            rows.append(f"| **`{directory.name}`** | {_purpose(directory / '__init__.py')} |")
            sources = sorted(source for source in directory.glob("*.py") if source.stem != "__init__")
        else:
            sources = [directory]
        rows += [f"| `{source.relative_to(directory.parent)}` | {_purpose(source)} |" for source in sources]
    table = "\n".join(["| package, file | what it is for |", "|---|---|", *rows])
    return file, re.sub(
        r"\| package, file \|.*?(?=\n\n)", lambda _old: table, file.read_text(encoding="utf-8"), flags=re.DOTALL
    )


def _purpose(source: Path) -> str:
    text = " ".join((ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").split())
    return re.split(r"(?<=[a-z)`]\.) ", text)[0].removesuffix(".").replace("``", "`").replace("|", "\\|")


# -- the suboptions of database_sync ---------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


class _Inline(list[t.Any]):
    """Short words, written on one line."""


_Dumper.add_representer(
    _Inline, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
)


def _database_sync() -> tuple[Path, str]:
    file = MODULES / "database_sync.py"
    text = file.read_text(encoding="utf-8")
    for kind, (module, prefix) in KINDS.items():
        options = {
            option: _within(says, prefix, documentation(module)["options"])
            for option, says in documentation(module)["options"].items()
            if option not in OF_THE_TASK
        }
        block = yaml.dump(options, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)
        lines = "".join(f"      {line}\n" if line else "\n" for line in block.splitlines())
        pattern = rf"(?<=\n  {kind}:\n)(.*?    suboptions:\n).*?(?=\n  \w|\nextends_|\n\"\"\")"
        found = re.search(pattern, text, re.DOTALL)
        assert found, f"database_sync has no {kind}"
        text = text[: found.end(1)] + lines.rstrip("\n") + text[found.end() :]
    return file, text


def _within(says: dict[str, t.Any], prefix: str, siblings: t.Iterable[str]) -> dict[str, t.Any]:
    """The documentation of an option where it is a suboption: what it refers to is one, too."""
    names = "|".join(name for name in siblings if name not in OF_THE_TASK)

    def referring(text: str) -> str:
        return re.sub(rf"\bO\((?=(?:{names})[=)])", f"O({prefix}", text)

    result = says["description"]
    changed = {"description": referring(result) if isinstance(result, str) else [referring(each) for each in result]}
    changed |= {key: _Inline(value) for key, value in says.items() if isinstance(value, list) and key != "description"}
    return {**says, **changed}


# -- the JSON schema of the document ---------------------------------------------------------------------------------------

DESCRIBED = {
    "vault_databases": ("postgresql_sync", "databases"),
    "vault_databases.admin": ("postgresql_sync", "databases", "admin"),
    "vault_databases.options": ("database_connection",),
    "vault_databases.roles.*": ("database_role",),
    "vault_databases.static_roles.*": ("database_static_role",),
    **{
        f"vault_applications.auth.{method}": ("auth_role",) for method in ("approle", "kubernetes", "jwt", "automation")
    },
}
"""By the path of a dictionary in the document: the module, and the options of it, that describe its keys."""


def _schema() -> tuple[Path, str]:
    _make_importable()
    from ansible_collections.leasehold.vault.plugins.plugin_utils._documents.problems import schema

    document = schema()
    for path, (module, *options) in DESCRIBED.items():
        described = documentation(module)["options"]
        for option in options:
            described = described[option]["suboptions"]
        place = _at(document, path)
        for key, says in described.items():
            if key in place:
                text = says["description"]
                words = _plain(text if isinstance(text, str) else " ".join(text))
                place[key] = {"description": words, **place[key]}
    return ROOT / "docs" / "document.schema.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _make_importable() -> None:
    """The collection is imported by its name wherever it lies."""
    if "ansible_collections" in sys.modules or importlib.util.find_spec("ansible_collections"):
        return
    for name, place in (("", []), (".leasehold", []), (".leasehold.vault", [str(ROOT)])):
        package = types.ModuleType(f"ansible_collections{name}")
        package.__path__ = place
        sys.modules[package.__name__] = package


def _at(document: dict[str, t.Any], path: str) -> dict[str, t.Any]:
    """The properties at a path; lists are stepped into."""
    place = document
    for step in path.split("."):
        place = place["additionalProperties"] if step == "*" else place["properties"][step]
        place = place.get("items", place)
    return t.cast("dict[str, t.Any]", place["properties"])


def _plain(text: str) -> str:
    """Without the markup of Ansible's documentation."""
    without = re.sub(r"\b[A-Z]\(([^()]*)\)", lambda found: re.sub(r"^(databases\[\]\.|.*#\w+:)", "", found[1]), text)
    return " ".join(without.split())


def main() -> None:
    for file, text in generated().items():
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
