#!/bin/sh
# Make .venv with the locked development environment in it. Called by the Makefile, from the repository's root.
#
# UV      uv's command (default: uv); an empty value leaves it out
# PYTHON  the interpreter to use (default: the newest of those below that is at least 3.11)

set -eu

say() { printf '%s\n' "$*" >&2; }

# A shim on the PATH proves nothing: each candidate is run.
new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        if new_enough "$PYTHON"; then
            printf '%s\n' "$PYTHON"
            return
        fi
        say "PYTHON=$PYTHON is not a Python of version 3.11 or later."
        return 1
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    say 'twoway needs Python 3.11 or later, and none was found on the PATH.'
    say '  Debian 12 and later, Ubuntu 24.04 and later:  sudo apt install python3 python3-venv'
    say '  Fedora:                                       sudo dnf install python3.12'
    say '  macOS:                                        brew install python@3.12'
    say 'An interpreter elsewhere is named by:  make PYTHON=/path/to/python3.12'
    return 1
}

by_uv() {
    say 'Setting up .venv with uv.'
    env -u VIRTUAL_ENV UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv \
        "$UV" sync --frozen --quiet --python "$1"
}

by_pip() {
    if ! "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "$("$1" --version) lacks the venv module, which Debian and Ubuntu package apart:"
        say "  sudo apt install python$version-venv"
        return 1
    fi
    say "Setting up .venv with pip and $("$1" --version); this takes about half a minute, once."
    "$1" -m venv --clear .venv
    pip='.venv/bin/python -m pip --disable-pip-version-check --quiet'
    $pip install --require-hashes -r requirements-dev.txt -r requirements-build.txt
    $pip install --no-deps --no-build-isolation --editable .
}

python=$(find_python)
UV=${UV-uv}
if [ -n "$UV" ] && command -v "$UV" >/dev/null 2>&1; then
    by_uv "$python" && exit 0
    say 'uv could not set it up (see above); trying venv and pip.'
fi
by_pip "$python"
