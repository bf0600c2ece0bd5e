# shellcheck shell=bash
# Copyright (c) 2026 The leasehold.vault authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Everything `./demo` and `./test` need, made once, inside this checkout (an installed collection is left as it is: there,
# the demo uses the cache of whoever plays it):
#
#     . sandbox/bootstrap.sh
#     bootstrap runtime        # or: bootstrap dev
#
# Afterwards PATH begins with the venv, ANSIBLE_COLLECTIONS_PATH has this collection and those it builds on, STAGE is
# the staged copy of this collection. All of it lies under $CACHE; nothing else is written to the home directory.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
INSTALLED=
CACHE=$ROOT/.cache
if [ -e "$ROOT/MANIFEST.json" ]; then  # by ansible-galaxy, perhaps where nobody may write
    INSTALLED=${ROOT%/ansible_collections/*}
    CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/leasehold.vault
fi
TREE=$CACHE/tree
STAGE=$TREE/ansible_collections/leasehold/vault

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

bootstrap() {
    mkdir -p "$CACHE/home" || die "cannot write to $CACHE"
    clean_environment
    find_python
    find_server
    exec 9>"$CACHE/lock" && flock 9  # one at a time
    make_venv "$1"
    add_collections
    exec 9>&-
    export PATH="${PROGRAMS:+$PROGRAMS:}$VENV/bin:$PATH" VIRTUAL_ENV=$VENV HOME=$CACHE/home
    [ -n "$INSTALLED" ] || python "$ROOT/sandbox/stage.py" "$ROOT" "$STAGE"
}

# Only what we say counts: no server, token or setting of the person who calls, no other Python.
clean_environment() {
    local name
    for name in ${!VAULT_@} ${!BAO_@} ${!ANSIBLE_@} ${!PG@} ${!GIT_@} ${!MOLECULE_@} PYTHONPATH PYTHONHOME; do
        unset "$name"
    done
    export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
    export no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}"
    # pip may have been told where its packages come from; that is to stay so with another home.
    local pip_config=${XDG_CONFIG_HOME:-${HOME:-/nonexistent}/.config}/pip/pip.conf
    if [ -z "${PIP_CONFIG_FILE:-}" ] && [ -r "$pip_config" ]; then export PIP_CONFIG_FILE=$pip_config; fi
    export PIP_CACHE_DIR=$CACHE/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    export XDG_CACHE_HOME=$CACHE/home/.cache XDG_CONFIG_HOME=$CACHE/home/.config
    export LEASEHOLD_CACHE=$CACHE
    export ANSIBLE_HOME=$CACHE/home/.ansible ANSIBLE_COLLECTIONS_PATH=${INSTALLED:+$INSTALLED:}$TREE
    # Ansible would ask the system for the home of the user, whatever HOME says.
    export ANSIBLE_REMOTE_TEMP=$CACHE/home/.ansible/tmp
    export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false
}

# PYTHON becomes a real interpreter that can make a venv: no pyenv shim, which is found but may not run, and not that of
# a venv which is active here.
find_python() {
    local candidate ask='import ensurepip, sys, venv; print(sys._base_executable); sys.exit(sys.version_info < (3, 11))'
    PATH=$(printf %s "$PATH" | tr ':' '\n' | grep -v '/shims/*$' | paste -sd: -)
    for candidate in "${LEASEHOLD_PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14; do
        PYTHON=$("$candidate" -c "$ask" 2>/dev/null) && return
    done
    die "found no Python 3.11 or newer with the venv module (on Debian: apt-get install python3-venv)"
}

# LEASEHOLD_VAULT, if it is set, becomes the whole path of a program that is a `vault` or a `bao`, and PROGRAMS a directory
# where it lies under that name; if not, the servers are of the OpenBao that is pinned.
find_server() {
    PROGRAMS=
    [ -n "${LEASEHOLD_VAULT:-}" ] || return 0
    local found
    found=$("$PYTHON" "$ROOT/sandbox/servers.py" program) || exit 1
    export LEASEHOLD_VAULT=${found#* }
    PROGRAMS=$CACHE/programs/$(printf %s "$found" | sha256sum | cut -c1-12)
    mkdir -p "$PROGRAMS"
    ln -sfn "$LEASEHOLD_VAULT" "$PROGRAMS/${found%% *}"
}

# VENV becomes a venv with what requirements/$1.txt pins; a changed lock, Python or place makes a new one.
make_venv() {
    local lock=$ROOT/requirements/$1.txt version key
    version=$("$PYTHON" -c 'import platform; print(platform.python_version())')
    key=$(printf '%s\n' "$ROOT" "$PYTHON" | cat - "$lock" | sha256sum | cut -c1-12)
    VENV=$CACHE/venv-$1-$version-$key
    [ -e "$VENV/complete" ] && return
    rm -rf "$CACHE/venv-$1-$version-"*
    say "Python $version: installing what requirements/$1.txt pins (once; about half a minute)"
    logged "$PYTHON" -m venv "$VENV"
    # Of reuse there is a wheel for one Python and newer systems only; it is built in ten seconds.
    logged "$VENV/bin/python" -m pip install --require-hashes --only-binary :all: --no-binary reuse --requirement "$lock"
    touch "$VENV/complete"
}

# The collections that galaxy.yml depends on, out of the Python package that carries them.
add_collections() {
    local lock=$ROOT/requirements/collections.txt key wheels=$CACHE/wheels
    [ -n "$INSTALLED" ] && [ -e "$INSTALLED/ansible_collections/community/postgresql" ] && return
    key=$(sha256sum <"$lock" | cut -c1-12)
    [ -e "$TREE/complete-$key" ] && return
    say "fetching community.postgresql (once)"
    rm -rf "$wheels" "$TREE/ansible_collections/community" "$TREE"/complete-*
    mkdir -p "$TREE"
    logged "$VENV/bin/python" -m pip download --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        --requirement "$lock" --dest "$wheels"
    "$PYTHON" - "$wheels" "$TREE" <<'PYTHON'
import pathlib, sys, zipfile

wheel = next(pathlib.Path(sys.argv[1]).glob("ansible-*.whl"))
with zipfile.ZipFile(wheel) as archive:
    wanted = [name for name in archive.namelist() if name.startswith("ansible_collections/community/postgresql/")]
    archive.extractall(sys.argv[2], wanted)
PYTHON
    rm -rf "$wheels"
    touch "$TREE/complete-$key"
}

# Run quietly; show what was said only when it fails.
logged() {
    "$@" >"$CACHE/bootstrap.log" 2>&1 || { tail -n 15 "$CACHE/bootstrap.log" >&2; die "this failed: $*"; }
}
