#!/usr/bin/env bash
# Runs every fuzz target for a few seconds: `50-fuzz.sh [SECONDS] [TARGET…]`. Stable Rust is enough: the coverage that libFuzzer
# steers by comes from a pass of LLVM that any rustc has. A finding is left in target/fuzz/TARGET/.
# SEED makes another run of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-8}
shift || true
root=$PWD
export CARGO_TARGET_DIR=$root/target/fuzz
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# Build scripts and macros run on the host and have no libFuzzer to report to, hence a target of their own.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=4 $coverage" \
    cargo build --release --locked --manifest-path fuzz/Cargo.toml --target "$host"
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for file in fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

run_one() {
    local target=$1 dir=$CARGO_TARGET_DIR/$1
    mkdir -p "$dir/corpus"
    if (cd "$dir" && "$CARGO_TARGET_DIR/$host/release/$target" -seed="${SEED:-1}" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
        -max_len=4096 -len_control=0 corpus "$root/fuzz/seeds/$target" >log 2>&1); then
        printf '%-14s %s\n' "$target" "$(grep -a '^Done' "$dir/log")"
    else
        printf '%-14s FAILED\n' "$target"
        grep -av '^#' "$dir/log" | tail -n 30
        return 1
    fi
}
export -f run_one
export CARGO_TARGET_DIR host root seconds
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'run_one {}'
echo "${#targets[@]} targets, $seconds s each"
