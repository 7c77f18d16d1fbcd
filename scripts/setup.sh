#!/bin/sh
# Puts everything into the virtual environment VENV: sh scripts/setup.sh VENV [PYTHON]
#
# System packages are installed only by root and only where apt-get is; anyone else is told which
# are missing. Works without ensurepip (python3-venv), as on a bare Debian, where pip is there.
set -eu

venv=$1
python=${2:-python3}

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null ||
    fail "'$python' is no Python 3.10, 3.11 or 3.12. Name one: make PYTHON=/path/to/python3.11"

# What the machine must have, each with the Debian package that has it.
has_compiler() { command -v g++ >/dev/null; }
has_headers() {
    "$python" -c 'import os, sysconfig as s, sys; sys.exit(
        not os.path.isfile(os.path.join(s.get_path("include"), "Python.h")))'
}
has_library() { "$python" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" 2>/dev/null; }
has_pip() { "$python" -m pip --python "$(command -v "$python")" --version >/dev/null 2>&1; } # pip 22.3 or newer
has_installer() { has_pip || "$python" -m ensurepip --version >/dev/null 2>&1; }
missing_packages() {
    has_compiler || echo g++
    has_headers || echo python3-dev
    has_installer || echo python3-venv
    has_library libGL.so.1 || echo libgl1
    has_library libgthread-2.0.so.0 || echo libglib2.0-0
    has_library libportaudio.so.2 || echo libportaudio2
}

missing=$(missing_packages | tr '\n' ' ')
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing the system packages $missing"
    apt-get update -qq </dev/null &&
        # shellcheck disable=SC2086 # they are words
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing \
            </dev/null >/dev/null ||
        say "apt-get could not install them"
    missing=$(missing_packages | tr '\n' ' ')
fi
[ -z "$missing" ] || say "not on this machine: $missing(Debian's names; root installs them with: apt-get install $missing)"
has_compiler || fail "without a C++ compiler (g++) no model can run: Jittor compiles its kernels here."
has_headers || fail "without Python's C headers (python3-dev) no model can run: Jittor compiles against them."
has_installer || fail "neither pip 22.3 nor ensurepip is there: install python3-pip or python3-venv."
has_library libportaudio.so.2 || say "going on without PortAudio: no microphone will be found."

if has_pip; then
    [ -x "$venv/bin/python" ] || "$python" -m venv --without-pip "$venv"
    "$python" -m pip --python "$venv/bin/python" install -q --disable-pip-version-check 'uv>=0.5'
else
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check 'uv>=0.5'
fi

set -- --python "$venv/bin/python" -e '.[train]' --group test --group lint -c constraints.txt
if ! has_library libGL.so.1 || ! has_library libgthread-2.0.so.0; then
    say "taking opencv-python-headless in place of opencv-python, which would need libGL and GLib."
    version=$(sed -n 's/^opencv-python==\([0-9.]*\).*/\1/p' constraints.txt)
    printf "opencv-python ; sys_platform == 'never'\n" >"$venv/without-libgl.txt"
    set -- "$@" --overrides "$venv/without-libgl.txt" "opencv-python-headless==$version"
fi
# Compiled to bytecode at once: whoever may not write here, as a service, would do it at each start.
"$venv/bin/uv" pip install -q --compile-bytecode "$@"
say "everything is in $venv"
