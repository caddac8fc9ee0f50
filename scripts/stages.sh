# stages.sh: runs checks one after the other and adds up what passed and failed. Sourced.
#
# A stage is a function stage_<name>. It runs in a subshell of its own, so a failing one hides none
# that follows; it reports by `count PASSED FAILED` (as often as it likes), and one that ends badly
# without having counted a failure counts as one. Its output goes to build/logs/<name>.log.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LOGS=$ROOT/build/logs
TOTAL_PASSED=0
TOTAL_FAILED=0

count() { printf '%s %s\n' "$1" "$2" >>"$LOGS/$STAGE.count"; }

# check NAME COMMAND...: counts one check by how its command ends.
check() {
    local name=$1
    shift
    if "$@"; then
        count 1 0
    else
        say "FAILED: $name"
        count 0 1
    fi
}

run_stage() {
    STAGE=$1
    local what=$2 start=$SECONDS status=0 passed failed
    mkdir -p "$LOGS"
    : >"$LOGS/$STAGE.count"
    printf '%s%-8s%s %s ...\n' "$BOLD" "$STAGE" "$PLAIN" "$what"
    (
        set -e
        "stage_$STAGE"
    ) >"$LOGS/$STAGE.log" 2>&1 </dev/null &
    wait $! || status=$?
    read -r passed failed < <(awk '{p += $1; f += $2} END {print p + 0, f + 0}' "$LOGS/$STAGE.count")
    [[ $status -eq 0 || $failed -gt 0 ]] || failed=1
    TOTAL_PASSED=$((TOTAL_PASSED + passed))
    TOTAL_FAILED=$((TOTAL_FAILED + failed))
    local colour=$GREEN
    if [[ $failed -gt 0 ]]; then
        colour=$RED
        show_log "$LOGS/$STAGE.log"
    fi
    printf '%-8s %s%d passed, %d failed%s (%d s)\n' "$STAGE" "$colour" "$passed" "$failed" \
        "$PLAIN" $((SECONDS - start))
}

# The whole of a short log, the end of a long one.
show_log() {
    sed 's/^/    /' < <(tail -n 60 "$1")
    say "    the whole log: ${1#"$ROOT/"}"
}

# Prints the closing line and gives the script's exit code.
close_stages() {
    printf '%d passed, %d failed\n' "$TOTAL_PASSED" "$TOTAL_FAILED"
    [[ $TOTAL_FAILED -eq 0 && $TOTAL_PASSED -gt 0 ]]
}

stage_tidy() {
    local summary
    "$ROOT/scripts/tidy" | tee "$LOGS/tidy.out" || true
    summary=$(sed -nE 's/^tidy: ([0-9]+) rules hold, ([0-9]+) are broken$/\1 \2/p' "$LOGS/tidy.out")
    # shellcheck disable=SC2086  # two numbers
    count ${summary:-0 1}
    python_tests "$ROOT/tests/tidy"
    python_tests "$ROOT/tests/bench"
}

# Runs a folder of Python unit tests and counts each test.
python_tests() {
    local out=$LOGS/python.out status=0 ran broken
    python3 -B -m unittest discover -s "$1" >"$out" 2>&1 || status=$?
    cat "$out"
    ran=$(sed -nE 's/^Ran ([0-9]+) tests?.*/\1/p' "$out")
    broken=$(grep -cE '^(FAIL|ERROR): ' "$out" || true)
    [[ $status -eq 0 || $broken -gt 0 ]] || broken=1
    count $((${ran:-0} - broken > 0 ? ${ran:-0} - broken : 0)) "$broken"
}

# c_tests PRESET [CTEST OPTION...]: builds everything of the preset and runs its tests.
c_tests() {
    local preset=$1 junit=$LOGS/$STAGE.xml status=0 total bad
    shift
    build "$preset"
    rm -f "$junit"
    (cd "$ROOT" && ctest --test-dir "build/$preset" -j"$JOBS" --output-on-failure \
        --output-junit "$junit" "$@") || status=$?
    total=$(sed -nE 's/^[[:space:]]*tests="([0-9]+)".*/\1/p' "$junit" | head -1)
    bad=$(sed -nE 's/^[[:space:]]*failures="([0-9]+)".*/\1/p' "$junit" | head -1)
    [[ $status -eq 0 || ${bad:-0} -gt 0 ]] || bad=1
    count $((${total:-0} - ${bad:-0})) "${bad:-0}"
}

stage_unit() { c_tests dev; }

stage_tsan() { c_tests tsan; }

# Each target replays its corpus and then looks for more during FUZZ_SECONDS.
stage_fuzz() {
    [[ -f $ROOT/tests/fuzz/CMakeLists.txt ]] || return 0
    build fuzz
    export LOGS STAGE ROOT FUZZ_SECONDS=${FUZZ_SECONDS:-10}
    export -f count fuzz_one say
    find "$ROOT/build/fuzz/tests/fuzz" -maxdepth 1 -type f -name 'fuzz_*' -executable -print0 |
        sort -z | xargs -0 -r -n1 -P"$JOBS" bash -c 'fuzz_one "$1"' fuzz
}

# What a run finds goes to a scratch corpus, so that the tree stays as it was.
fuzz_one() {
    local binary=$1 name corpus dictionary scratch status=0 log
    name=$(basename "$binary")
    corpus=$ROOT/tests/fuzz/corpus/$name
    [[ -d $corpus ]] || corpus=$ROOT/tests/fuzz/corpus/${name#fuzz_}
    dictionary=$ROOT/tests/fuzz/$name.dict
    scratch=$(mktemp -d)
    log=$LOGS/$name.log
    "$binary" -max_total_time="$FUZZ_SECONDS" -timeout=5 -rss_limit_mb=2048 \
        -artifact_prefix="$ROOT/build/logs/$name." -print_final_stats=1 \
        $([[ -f $dictionary ]] && printf -- '-dict=%s' "$dictionary") \
        "$scratch" $([[ -d $corpus ]] && printf '%s' "$corpus") >"$log" 2>&1 || status=$?
    rm -rf "$scratch"
    if [[ $status -eq 0 ]]; then
        say "$name: $(sed -nE 's/^stat::number_of_executed_units: *//p' "$log") runs"
        count 1 0
    else
        say "FAILED: $name"
        tail -n 40 "$log"
        count 0 1
    fi
}

# Node's test runner over the end-to-end tests; each test counts.
stage_e2e() {
    build dev
    build release
    local tap=$LOGS/e2e.tap status=0 passed failed
    local files=("$ROOT"/tests/e2e/*.test.mjs)
    (cd "$ROOT" && PLIMSOLL_BIN=${PLIMSOLL_BIN:-$ROOT/build/dev/plimsoll} \
        PLIMSOLL_RELEASE_BIN=${PLIMSOLL_RELEASE_BIN:-$ROOT/build/release/plimsoll} \
        node --test --test-reporter=spec --test-reporter-destination=stdout \
        --test-reporter=tap --test-reporter-destination="$tap" "${files[@]}") || status=$?
    passed=$(sed -nE 's/^# pass ([0-9]+)/\1/p' "$tap" | tail -1)
    failed=$(awk '/^# (fail|cancelled) / {n += $3} END {print n + 0}' "$tap")
    [[ $status -eq 0 || $failed -gt 0 ]] || failed=1
    count "${passed:-0}" "$failed"
}

# The pages that the binary writes from its tables are the ones in docs/.
stage_docs() {
    build dev plimsoll
    local fresh page
    fresh=$(mktemp -d)
    "$ROOT/build/dev/plimsoll" docs --output "$fresh"
    for page in "$fresh"/*; do
        check "docs/$(basename "$page")" diff -u "$ROOT/docs/$(basename "$page")" "$page"
    done
    rm -rf "$fresh"
}

# What the finished release binary carries of the hardening that was asked for.
stage_release() {
    build release
    python_tests "$ROOT/tests/release"
}

stage_format() {
    local files
    mapfile -t files < <(c_sources)
    check clang-format clang-format-14 --dry-run --Werror "${files[@]}"
}

c_sources() {
    find "$ROOT/src" "$ROOT/tests" "$ROOT/bench" \( -name '*.c' -o -name '*.h' \) -print 2>/dev/null |
        sort
}

# clang-tidy reads a clang build: gcc's own flags are errors to it. clang also has to build it all,
# with its own warnings as errors.
stage_lint() {
    check "build with clang" build lint
    export LOGS STAGE ROOT
    export -f count say lint_one
    find "$ROOT/src" -name '*.c' -print0 | sort -z |
        xargs -0 -n1 -P"$JOBS" bash -c 'lint_one "$1"' lint
}

lint_one() {
    if clang-tidy-14 --quiet -p "$ROOT/build/lint" "$1" 2>/dev/null; then
        count 1 0
    else
        say "FAILED: ${1#"$ROOT/"}"
        count 0 1
    fi
}
