# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host that needs a secret id, with nothing but Python: redeems the wrapping token that came on standard input, and writes
the secret id and its accessor into files that only their owner can read.  `place` is that of place.py, which comes before it in one program."""

import json
import ssl
import sys
import urllib.error
import urllib.request


def main():
    order = json.load(sys.stdin)
    for path in (order["secret_id"], order["accessor"]):  # while the wrapping token can still be used
        place(path, "", {**order, "check": True})  # noqa: F821 # pylint: disable=undefined-variable
    made_at = ask(order, "sys/wrapping/lookup", {"token": order["token"]})["creation_path"]
    if made_at.lower() != order["path"].lower():
        sys.exit(
            f"The wrapping token is not for a secret id of this role but for {made_at}: somebody has exchanged it."
        )
    issued = ask(order, "sys/wrapping/unwrap", {}, token=order["token"])
    place(order["secret_id"], issued["secret_id"], order)  # noqa: F821 # pylint: disable=undefined-variable
    place(order["accessor"], issued["secret_id_accessor"], order)  # noqa: F821 # pylint: disable=undefined-variable


def ask(order, path, body, token=""):
    headers = {"X-Vault-Request": "true", "X-Vault-Token": token, "X-Vault-Namespace": order["namespace"]}
    url = f"{order['url'].rstrip('/')}/v1/{path}"
    try:
        request = urllib.request.Request(  # noqa: S310 (the operator's own address)
            url, json.dumps(body).encode(), {name: value for name, value in headers.items() if value}
        )
        context = ssl.create_default_context(cafile=order["ca_cert"] or None)
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:  # noqa: S310
            return json.loads(answer.read().decode())["data"]
    except urllib.error.HTTPError as error:
        if error.code == 400:
            sys.exit(
                "The wrapping token is used up or over. If none of yours used it, somebody else has the secret id: end it, and run this again."
            )
        sys.exit(f"Vault answered {error.code} to {url}.")
    except OSError as error:
        sys.exit(f"Vault could not be asked from this host ({url}): {error}.")


main()
