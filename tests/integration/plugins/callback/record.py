# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: record
type: notification
short_description: Write down, one JSON line each, what every task answered and how the run ended
description:
  - For the tests; what it writes is censored as everything that callbacks receive.
author:
  - The leasehold.vault authors (@leasehold)
"""

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"

    def _write(self, **event: t.Any) -> None:
        path = os.environ.get("LEASEHOLD_TEST_RECORD")
        if path:
            with open(path, "a", encoding="utf-8") as record:  # noqa: PTH123
                record.write(json.dumps(event, default=str) + "\n")

    def _note(self, status: str, result: t.Any) -> None:
        modern = hasattr(type(result), "result")
        task, host = (result.task, result.host) if modern else (result._task, result._host)
        given = dict(result.result if modern else result._result)
        if "results" not in given:  # the items of a loop have come one by one
            self._write(task=task.name, host=host.name, status=status, result=given)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._note("ok", result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._note("failed", result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._note("skipped", result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._note("unreachable", result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        self._note("ok", result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        self._note("failed", result)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._write(stats={host: stats.summarize(host) for host in stats.processed})
