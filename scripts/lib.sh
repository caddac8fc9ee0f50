# lib.sh: what the scripts share. Sourced by bash with `set -euo pipefail`, not run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
JOBS=$(nproc 2>/dev/null || echo 2)

# Colours only for a person at a terminal.
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
    BOLD='' RED='' GREEN='' PLAIN=''
fi

have() { command -v "$1" >/dev/null 2>&1; }

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "${RED}$*${PLAIN}" >&2
    exit 1
}

# Node 18 has the test runner that the end-to-end tests use.
have_node() {
    have node && [[ $(node --version | sed -E 's/^v([0-9]+).*/\1/') -ge 18 ]]
}

# build PRESET [TARGET...]: configures when needed, then builds.
build() {
    local preset=$1
    shift
    (cd "$ROOT" && cmake --preset "$preset" && cmake --build "build/$preset" -j"$JOBS" \
        ${1:+--target "$@"})
}
