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
# the staged copy of this collection. All of it lies under $CACHE; nothing else is written to the home directory. Downloads
# lie there too, unless LEASEHOLD_CACHE names a directory that several checkouts share.
#
# Every message goes to stderr: stdout is for the command itself, as in `eval "$(./demo env)"`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
INSTALLED=
CACHE=$ROOT/.cache
if [ -e "$ROOT/MANIFEST.json" ]; then  # by ansible-galaxy, perhaps where nobody may write
    INSTALLED=${ROOT%/ansible_collections/*}
    CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/leasehold.vault
fi
TREE=$CACHE/tree
STAGE=$TREE/ansible_collections/leasehold/vault
export LEASEHOLD_WORK=$CACHE

# PATH without what is found but may not run (pyenv's shims, unless $1 is shims) and without directories of ours, with which it begins
# after `eval "$(./demo env)"`.
clean_path() {
    local directory cleaned=
    while IFS= read -r -d : directory; do
        case $directory in
            "" | "$CACHE"/venv-* | "$CACHE"/programs/*) continue ;;
            */shims | */shims/) [ "${1:-}" = shims ] || continue ;;
        esac
        cleaned=${cleaned:+$cleaned:}$directory
    done <<<"$PATH:"
    printf %s "$cleaned"
}

CALLER_PATH=$(clean_path shims)

# The newest that is fully supported comes first: it gets the newest ansible-core.
PYTHONS=(python3.13 python3.12 python3.11 python3 python3.14)

say() { if [ -t 2 ]; then printf '\033[1m==>\033[0m %s\n' "$*" >&2; else printf '==> %s\n' "$*" >&2; fi; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

bootstrap() {
    mkdir -p "$CACHE/home" || die "cannot write to $CACHE"
    clean_environment
    if ! find_venv "$1" || ! have_collections; then
        exec 9>"$CACHE/lock"
        flock --nonblock 9 || { say "waiting for another ./demo or ./test, which is installing"; flock 9; }
        find_venv "$1" || make_venv "$1"
        have_collections || add_collections
        exec 9>&-
    fi
    PYTHON=$VENV/bin/python
    find_server
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
    export LEASEHOLD_CACHE=${LEASEHOLD_CACHE:-$CACHE}
    case $LEASEHOLD_CACHE in /*) ;; *) LEASEHOLD_CACHE=$PWD/$LEASEHOLD_CACHE ;; esac
    export PIP_CACHE_DIR=$LEASEHOLD_CACHE/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off
    export XDG_CACHE_HOME=$CACHE/home/.cache XDG_CONFIG_HOME=$CACHE/home/.config
    export ANSIBLE_HOME=$CACHE/home/.ansible ANSIBLE_COLLECTIONS_PATH=${INSTALLED:+$INSTALLED:}$TREE
    # Ansible would ask the system for the home of the user, whatever HOME says.
    export ANSIBLE_REMOTE_TEMP=$CACHE/home/.ansible/tmp
    export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false
    PATH=$(clean_path)
}

# The paths of the interpreters with these names or paths, the preferred first. A shim of pyenv stands for all that pyenv has
# installed, whichever of them it is set to run.
interpreters() {
    local name directory
    for name in "$@"; do
        case $name in */*) printf '%s\n' "$name"; continue ;; esac
        while IFS= read -r -d : directory; do
            case $directory in
                */shims | */shims/) printf '%s\n' "${directory%/shims*}"/versions/*/bin/"$name" | sort -rV ;;
                *) printf '%s\n' "$directory/$name" ;;
            esac
        done <<<"$CALLER_PATH:"
    done
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

# PYTHON becomes an interpreter that can make a venv, itself and not that of another venv; VERSION its version.
find_python() {
    local candidate answer suits seen=
    local ask='import os, sys
try:
    import ensurepip, venv
    suits = "yes" if sys.version_info >= (3, 11) else "old"
except ImportError:
    suits = "no-venv" if sys.version_info >= (3, 11) else "old"
base = getattr(sys, "_base_executable", sys.executable)
print(suits, ".".join(map(str, sys.version_info[:3])), os.path.realpath(base))'
    while IFS= read -r candidate; do
        answer=$("$candidate" -c "$ask" 2>/dev/null </dev/null) || continue
        read -r suits VERSION PYTHON <<<"$answer"
        case $suits in
            yes) return ;;
            no-venv) answer="Python $VERSION without the venv module ($PYTHON; Debian and Ubuntu: apt-get install python${VERSION%.*}-venv)" ;;
            *) answer="Python $VERSION ($PYTHON)" ;;
        esac
        case $seen in *"$answer"*) ;; *) seen="${seen:+$seen, }$answer" ;; esac
    done < <(if [ -n "${LEASEHOLD_PYTHON:-}" ]; then interpreters "$LEASEHOLD_PYTHON"; else interpreters "${PYTHONS[@]}"; fi)
    die "needs Python 3.11 or newer with the venv module${LEASEHOLD_PYTHON:+ (LEASEHOLD_PYTHON is $LEASEHOLD_PYTHON)}; found ${seen:-none}.
  Debian 12 and newer, Ubuntu 24.04 and newer: apt-get install python3-venv
  Ubuntu 22.04: apt-get install python3.11-venv (in universe; Ubuntu's archive has no newer Python for 22.04)
  elsewhere: LEASEHOLD_PYTHON=/path/to/python3.13 names the interpreter"
}

# VENV becomes a complete venv with what requirements/$1.txt pins, whichever Python it was made with; LEASEHOLD_PYTHON insists on one.
find_venv() {
    KEY=$(printf '%s\n' "$CACHE" | cat - "$ROOT/requirements/$1.txt" | sha256sum | cut -c1-12)
    if [ -n "${LEASEHOLD_PYTHON:-}" ]; then
        find_python
        VENV=$(place_of_venv "$1")
        works "$VENV"
        return
    fi
    for VENV in "$CACHE/venv-$1-"3.{13,12,11}.*"-$KEY-"* "$CACHE/venv-$1-"*"-$KEY-"*; do
        works "$VENV" && return
    done
    return 1
}

place_of_venv() { printf %s "$CACHE/venv-$1-$VERSION-$KEY-$(printf %s "$PYTHON" | sha256sum | cut -c1-4)"; }

# Complete, and its interpreter is still the one it was made with.
works() { [ -e "$1/complete" ] && "$1/bin/python" -c 'import ansible' 2>/dev/null </dev/null; }

# VENV becomes a new venv. Those of other locks stay, since a shell may have one in its PATH; `./demo clean` removes them all.
make_venv() {
    local lock=$ROOT/requirements/$1.txt
    find_python
    VENV=$(place_of_venv "$1")
    rm -rf "$VENV"  # what an installation left that did not come to its end
    say "Python $VERSION: installing what requirements/$1.txt pins (once; about half a minute)"
    logged "$PYTHON" -m venv "$VENV"
    # Of reuse there is a wheel for one Python and newer systems only; it is built in ten seconds.
    logged "$VENV/bin/python" -m pip install --require-hashes --only-binary :all: --no-binary reuse --requirement "$lock"
    touch "$VENV/complete"
}

have_collections() {
    [ -n "$INSTALLED" ] && [ -e "$INSTALLED/ansible_collections/community/postgresql" ] && return
    COLLECTIONS=$TREE/complete-$(sha256sum <"$ROOT/requirements/collections.txt" | cut -c1-12)
    [ -e "$COLLECTIONS" ]
}

# The collections that galaxy.yml depends on, out of the Python package that carries them.
add_collections() {
    local wheels=$CACHE/wheels
    say "fetching community.postgresql (once)"
    rm -rf "$wheels"
    logged "$VENV/bin/python" -m pip download --no-deps --require-hashes --only-binary :all: \
        --requirement "$ROOT/requirements/collections.txt" --dest "$wheels"
    "$VENV/bin/python" - "$wheels" <<'PYTHON'
import pathlib, sys, zipfile

wheels = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next(wheels.glob("ansible-*.whl"))) as archive:
    wanted = [name for name in archive.namelist() if name.startswith("ansible_collections/community/postgresql/")]
    archive.extractall(wheels, wanted)
PYTHON
    mkdir -p "$TREE/ansible_collections"
    rm -rf "$TREE/ansible_collections/community" "$TREE"/complete-*
    mv "$wheels/ansible_collections/community" "$TREE/ansible_collections"
    rm -rf "$wheels"
    touch "$COLLECTIONS"
}

# Run quietly and say that it goes on; show what was printed only when it fails.
logged() {
    local log=$CACHE/bootstrap.log code=0 reporter
    : >"$log"
    progress "$log" >/dev/null 9>&- &
    reporter=$!
    PYTHONUNBUFFERED=1 "$@" >"$log" 2>&1 || code=$?
    kill "$reporter" 2>/dev/null || true
    wait "$reporter" 2>/dev/null || true
    [ ! -t 2 ] || printf '\r\033[K' >&2
    [ "$code" = 0 ] || { tail -n 15 "$log" >&2; die "this failed: $*"; }
}

# The seconds and the last line of the log: in a terminal every second in the same place, elsewhere a line now and then.
progress() {
    local seconds=0 line
    while sleep 1 2>/dev/null && kill -0 $$ 2>/dev/null; do
        seconds=$((seconds + 1))
        line=$(tail -n 1 "$1")
        line="$seconds s: ${line:0:70}"
        if [ -t 2 ]; then
            printf '\r\033[K    %s' "$line" >&2
        elif [ $((seconds % 10)) = 0 ]; then
            printf '    %s\n' "$line" >&2
        fi
    done
}
