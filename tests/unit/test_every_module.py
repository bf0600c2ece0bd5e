# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository tests itself: what every module and every file has to have."""

from __future__ import annotations

import ast
import functools
import importlib
import json
import runpy

import generate
import pytest
import yaml
from ansible.module_utils import basic

from .conftest import ROOT, module_named, specification_of

PLUGINS = ROOT / "plugins"
LOCAL = ["private_file"]
"""Modules that ask no Vault: without its options, its action group and an action plugin."""
MODULES = sorted({file.stem for file in (PLUGINS / "modules").glob("*.py")} - {"__init__", *LOCAL})
FILES = sorted(file for file in PLUGINS.rglob("*.py") if "__pycache__" not in file.parts)

VAULT_MODULES = [name for name in MODULES if "url" in specification_of(name)["argument_spec"]]
"""Those that talk to Vault; the others have none of the options by which it is reached."""

each_module = pytest.mark.parametrize("name", MODULES)
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PLUGINS)))


@functools.cache
def read_yaml(text):
    return yaml.load(text, yaml.CSafeLoader)


class AnyTag(yaml.CSafeLoader):
    """YAML as Ansible reads it: `!unsafe` is text."""


AnyTag.add_constructor("!unsafe", lambda loader, node: node.value)


@functools.cache
def documented(name):
    """The text of a module, and its options."""
    return read_yaml(module_named(name).DOCUMENTATION), options_of(module_named(name))


def options_of(plugin):
    """The options of a module or plugin with those of its fragments, as ansible-doc puts them together."""
    text = read_yaml(plugin.DOCUMENTATION)
    options = dict(text.get("options") or {})
    for fragment in text.get("extends_documentation_fragment", ()):
        file, _dot, part = fragment.removeprefix("leasehold.vault.").partition(".")
        module = importlib.import_module(f"ansible_collections.leasehold.vault.plugins.doc_fragments.{file}")
        found = read_yaml(getattr(module.ModuleDocFragment, (part or "DOCUMENTATION").upper()))
        for option, says in (found.get("options") or {}).items():
            options[option] = {**says, **options.get(option, {})}
    return options


@functools.cache
def tree(file):
    return ast.parse(file.read_text(encoding="utf-8"))


def test_there_are_modules():
    assert len(MODULES) >= 8


@each_module
def test_a_module_is_one_task(name):
    module = module_named(name)
    specification = module.TASK.specification
    assert specification["supports_check_mode"] is True
    assert callable(module.main)


@each_module
def test_a_module_is_a_program_that_says_what_is_missing(name, monkeypatch, capsys):
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", b'{"ANSIBLE_MODULE_ARGS": {}}')
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)  # ansible-core 2.19 and newer ask for it
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(module_named(name).__file__, run_name="__main__")
    assert caught.value.code == 1
    given = json.loads(capsys.readouterr().out)
    assert given["failed"]
    needed = [option for option, spec in specification_of(name)["argument_spec"].items() if spec.get("required")]
    needed += [option for group in specification_of(name).get("required_one_of", ()) for option in group]
    assert all(word in given["msg"] for word in needed or ["VAULT_ADDR"])


@each_module
def test_the_documented_options_are_the_modules_options(name):
    specification = specification_of(name)["argument_spec"]
    _text, options = documented(name)
    assert set(options) == set(specification)
    for option, spec in specification.items():
        says = options[option]
        assert says["type"] == spec.get("type", "str"), option
        assert sorted(says.get("aliases", ())) == sorted(spec.get("aliases", ())), option
        assert list(says.get("choices", ())) == list(spec.get("choices", ())), option
        assert says.get("default") == spec.get("default"), option
        assert says.get("required", False) == spec.get("required", False), option
        assert says.get("elements") == spec.get("elements"), option
        assert says["description"], option


@each_module
def test_a_module_is_documented(name):
    text, _options = documented(name)
    assert text["module"] == name
    assert text["author"]
    assert text["version_added"]
    assert text["short_description"]
    assert module_named(name).__doc__


@each_module
def test_the_examples_are_tasks_with_options_that_exist(name):
    specification = specification_of(name)["argument_spec"]
    words = {word for option, spec in specification.items() for word in (option, *spec.get("aliases", ()))}
    tasks = yaml.load(module_named(name).EXAMPLES, AnyTag)  # noqa: S506 (a safe loader that knows one more tag)
    assert tasks
    ours = [task[f"leasehold.vault.{name}"] for task in tasks if f"leasehold.vault.{name}" in task]
    assert ours
    for task in tasks:
        assert task["name"]
    for options in ours:
        assert set(options or {}) <= words


@each_module
def test_what_a_module_returns_is_documented(name):
    returned = read_yaml(module_named(name).RETURN)
    assert all(value["description"] and value["type"] and value["returned"] for value in returned.values())


@each_module
def test_a_module_has_a_story(name):
    assert (ROOT / "tests" / "unit" / "plugins" / "modules" / f"test_{name}.py").is_file()


def test_every_util_is_private_by_name_and_says_so():
    utils = [file for kind in ("module_utils", "plugin_utils") for file in FILES if file.is_relative_to(PLUGINS / kind)]
    assert utils
    for file in utils:
        assert any(part.startswith("_") for part in file.relative_to(PLUGINS).with_suffix("").parts), file
        assert "PRIVATE to the collection" in file.read_text(encoding="utf-8"), file


def test_package_imports_only_from_packages_before_it():
    packages = [name.rpartition("/")[2] for name in generate.PACKAGES if name.startswith("module_utils/")]
    ours = "ansible_collections.leasehold.vault.plugins."
    for file in (PLUGINS / "module_utils").rglob("*.py"):
        imported = [node.module or "" for node in ast.walk(tree(file)) if isinstance(node, ast.ImportFrom)]
        for kind, package in (name.removeprefix(ours).split(".")[:2] for name in imported if name.startswith(ours)):
            assert kind == "module_utils", file
            assert packages.index(package) <= packages.index(file.parent.name), file


@each_file
def test_nothing_catches_everything(file):
    caught = [node.type for node in ast.walk(tree(file)) if isinstance(node, ast.ExceptHandler)]
    names = {name.id for kind in caught if kind for name in ast.walk(kind) if isinstance(name, ast.Name)}
    assert None not in caught
    assert not names & {"Exception", "BaseException"}


@each_file
def test_a_file_says_whose_it_is(file):
    head = file.read_text(encoding="utf-8")[:400]
    # REUSE-IgnoreStart
    assert "SPDX-License-Identifier: GPL-3.0-or-later" in head
    # REUSE-IgnoreEnd
    assert "from __future__ import annotations" in file.read_text(encoding="utf-8")


def decides(node):
    """Whether a condition asks if this is a check run."""
    asked = {part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in ast.walk(node)}
    return bool(asked & {"dry_run", "check_mode"})


def test_check_mode_is_decided_in_one_place():
    places = []
    for file in FILES:
        if "lookup" in str(file.relative_to(PLUGINS)):
            continue  # a lookup has no second half to leave out; it answers with placeholders
        for function in ast.walk(tree(file)):
            if isinstance(function, ast.FunctionDef):
                tests = [node.test for node in ast.walk(function) if isinstance(node, (ast.If, ast.IfExp, ast.While))]
                places += [f"{file.stem}.{function.name}" for test in tests if decides(test)]
    assert places == ["reconcile.carry_out"]


def test_only_transport_and_auth_import_http_libraries():
    knowing = set()
    for file in FILES:
        for node in ast.walk(tree(file)):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] in ("hvac", "requests", "urllib3") for name in named):
                knowing.add(file.stem)
    assert knowing == {"transport", "auth"}


def test_core_imports_no_ansible_or_network():
    imported = [
        node.module or ""
        for node in ast.walk(tree(PLUGINS / "module_utils" / "_core" / "reconcile.py"))
        if isinstance(node, ast.ImportFrom)
    ]
    ours = "ansible_collections.leasehold.vault.plugins.module_utils._core."
    assert {name.removeprefix(ours) for name in imported} <= {"__future__", "errors"}
