# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection: it may change without notice.

"""Jobs that log in with a token of their platform (a JWT for each job): what the document says of them, as a JWT auth role.

Claims as published: Automation Platform 2.7, "Claims for workload identity"; GitHub, "OpenID Connect"; GitLab, "ID token authentication".
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Values = dict[str, t.Any]


@dataclass(frozen=True)
class Platform:
    claims: t.Mapping[str, str]
    """Word of the document to claim."""
    required: t.Sequence[t.Sequence[str]]
    """Of each group of words the document has to say one: a role without it would let in jobs of others."""
    user_claim: str
    metadata: t.Mapping[str, str]
    """Claim to the name under which it stands in the audit log."""
    branch: t.Callable[[str], Values]
    """The claims of a job on this branch."""


PLATFORMS = {
    "controller": Platform(
        claims={
            "organization": "aap_controller_organization_name",
            "organization_id": "aap_controller_organization_id",
            "job_template": "aap_controller_job_template_name",
            "job_template_id": "aap_controller_job_template_id",
            "inventory": "aap_controller_inventory_name",
            "project": "aap_controller_project_name",
            "launched_by": "aap_controller_launched_by_name",
            "launch_type": "aap_controller_launch_type",
        },
        required=(("organization", "organization_id"), ("job_template", "job_template_id")),
        user_claim="sub",
        metadata={
            "aap_controller_job_id": "job",
            "aap_controller_job_template_name": "job_template",
            "aap_controller_launched_by_name": "started_by",
        },
        branch=lambda _branch: {},
    ),
    "github": Platform(
        claims={
            "repository": "repository",
            "repository_id": "repository_id",
            "environment": "environment",
            "workflow": "job_workflow_ref",
        },
        required=(("repository", "repository_id"), ("branch", "environment")),
        user_claim="repository",
        metadata={"run_id": "job", "workflow": "job_template", "actor": "started_by"},
        branch=lambda branch: {"ref": f"refs/heads/{branch}", "ref_type": "branch"},
    ),
    "gitlab": Platform(
        claims={
            "project": "project_path",
            "project_id": "project_id",
            "environment": "environment",
            "protected": "ref_protected",
        },
        required=(("project", "project_id"), ("branch", "environment")),
        user_claim="project_path",
        metadata={"job_id": "job", "ref": "job_template", "user_login": "started_by"},
        branch=lambda branch: {"ref": branch, "ref_type": "branch"},
    ),
}
OWN = {"platform", "audience", "branch"}


def words(settings: Values) -> set[str]:
    """What the entry may say beside the options of a JWT role."""
    platform = PLATFORMS.get(str(settings.get("platform")))
    return OWN | set(platform.claims if platform else ())


def jwt_role(settings: Values) -> Values:
    """The options of the auth role; ``ValueError`` with what is missing."""
    platform = PLATFORMS.get(str(settings.get("platform")))
    if platform is None:
        raise ValueError(f"platform is one of {', '.join(PLATFORMS)}, not {settings.get('platform')!r}")
    for group in platform.required:
        if not any(settings.get(word) for word in group):
            raise ValueError(f"say {' or '.join(group)}, or the jobs of others log in as well")
    if not settings.get("audience"):
        raise ValueError(
            "set audience to what the platform puts into its tokens (aud); a token that was issued for another server must not log in"
        )
    claims = {claim: settings[word] for word, claim in platform.claims.items() if settings.get(word)}
    if settings.get("branch"):
        claims |= platform.branch(str(settings["branch"]))
    audience = settings["audience"]
    return {
        "user_claim": platform.user_claim,
        "bound_audiences": audience if isinstance(audience, list) else [audience],
        "bound_claims": {**claims, **(settings.get("bound_claims") or {})},
        "claim_mappings": {**platform.metadata, **(settings.get("claim_mappings") or {})},
    }
