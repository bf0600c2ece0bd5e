# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host that needs a secret id, with nothing but Python: redeems the wrapping token that came on standard input, and writes
the secret id and its accessor into files that only their owner can read.  `write_file` is that of
plugins/module_utils/_core/safe_files.py, which comes before it in one program."""

import json
import signal
import ssl
import sys
import urllib.error
import urllib.request

SECONDS, LONGEST = 60, 1 << 20  # for a whole request; bytes of an answer


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments):
        """The token goes to nobody else."""


def give_up(_number, _frame):
    raise TimeoutError(f"no whole answer within {SECONDS} s")


def main():
    order = json.load(sys.stdin)
    for path in (order["secret_id"], order["accessor"]):  # while the wrapping token can still be used
        write_file(path, "", {**order, "check": True})  # noqa: F821 # pylint: disable=undefined-variable
    (made_at,) = ask(order, "sys/wrapping/lookup", {"token": order["token"]}, ["creation_path"])
    if made_at.lower() != order["path"].lower():
        sys.exit(
            f"The wrapping token is not for a secret id of this role but for {made_at}: somebody has exchanged it."
        )
    names = ["secret_id", "secret_id_accessor"]
    secret_id, accessor = ask(order, "sys/wrapping/unwrap", {}, names, token=order["token"])
    write_file(order["secret_id"], secret_id, order)  # noqa: F821 # pylint: disable=undefined-variable
    write_file(order["accessor"], accessor, order)  # noqa: F821 # pylint: disable=undefined-variable


def ask(order, path, body, names, token=""):
    """What the answer holds under these names."""
    headers = {"X-Vault-Request": "true", "X-Vault-Token": token, "X-Vault-Namespace": order["namespace"]}
    url = f"{order['url'].rstrip('/')}/v1/{path}"
    try:
        request = urllib.request.Request(  # noqa: S310 (the operator's own address)
            url, json.dumps(body).encode(), {name: value for name, value in headers.items() if value}
        )
        context = ssl.create_default_context(cafile=order["ca_cert"] or None)
        opener = urllib.request.build_opener(NoRedirect, urllib.request.HTTPSHandler(context=context))
        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(SECONDS)
        with opener.open(request, timeout=SECONDS) as answer:
            data = json.loads(answer.read(LONGEST).decode())["data"]
            return [str(data[name]) for name in names]
    except urllib.error.HTTPError as error:
        if error.code == 400:
            sys.exit(
                "The wrapping token is used up or over. If none of yours used it, somebody else has the secret id: end it, and run this again."
            )
        sys.exit(f"Vault answered {error.code} to {url}.")
    except OSError as error:
        sys.exit(f"Vault could not be asked from this host ({url}): {error}.")
    except (ValueError, KeyError, TypeError):
        sys.exit(f"The server at {url} is no Vault.")
    finally:
        signal.alarm(0)


main()
