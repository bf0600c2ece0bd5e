# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Sphinx makes of the pages; see build.py beside this file."""

from __future__ import annotations

import re
import typing as t

from pygments.lexers import BashLexer

if t.TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

project = "leasehold.vault"
author = "The leasehold.vault authors"
copyright = f"2026 {author}"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
myst_heading_anchors = 4  # the same anchors as a forge makes
suppress_warnings = ["myst.header"]  # a role's README may begin where it likes

html_theme = "furo"
html_title = "leasehold.vault"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
templates_path: list[str] = []
pygments_style = "ansible"
pygments_dark_style = "monokai"

nitpicky = True

# What the reference says about Ansible itself. Its documentation is elsewhere, and the build asks nobody.
ANSIBLE_S_OWN = {"common_return_values", "action_plugins", "callback_plugins", "ansible_configuration_settings"}

# On a forge a plugin is its file, here it is its page in the reference.
PLUGIN = re.compile(r"\]\(((?:\.\./)*)plugins/(module|lookup|callback|filter)s?/(\w+)\.(?:py|yml)\)")

# The theme shows beside each page what it contains; and whose the plugins are is said everywhere.
CONTENTS = re.compile(r"^\.\. contents::\n( +:.*\n)+", re.MULTILINE)
TITLE = re.compile(r"^leasehold\.vault\.(?=\w+ \w+ -- )", re.MULTILINE)


def adapt(_app: Sphinx, _name: str, source: list[str]) -> None:
    text = PLUGIN.sub(r"](\1reference/\3_\2.rst)", source[0])
    source[0] = TITLE.sub("", CONTENTS.sub("", text))


def ansible_is_elsewhere(_app: Sphinx, _environment: object, node: t.Any, text: nodes.Node) -> nodes.Node | None:
    target = str(node["reftarget"])
    known = (
        target in ANSIBLE_S_OWN
        or (node["reftype"] == "envvar" and target.startswith("ANSIBLE_"))
        or (target.startswith("ansible_collections.") and not target.startswith("ansible_collections.leasehold."))
    )
    return text if known else None


def setup(app: Sphinx) -> None:
    app.add_lexer("hcl", BashLexer)  # near enough for policies, which Pygments cannot read as HCL
    app.connect("source-read", adapt)
    app.connect("missing-reference", ansible_is_elsewhere)
