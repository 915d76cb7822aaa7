#!/bin/sh
# Runs every fuzz target, or the named ones, for a while. Needs a nightly toolchain and a C++ compiler, not
# cargo-fuzz.
#     fuzz/run.sh [SECONDS [TARGET...]]         SECONDS for each target, default 10
# Exit code 0: no target failed, or nothing ran because there is no nightly Rust (the script says so). Exit
# code 1: a target failed. Its input is in fuzz/artifacts/TARGET/, and
# `fuzz/target/x86_64-unknown-linux-gnu/release/TARGET FILE` runs it again.
set -eu
cd "$(dirname "$0")"

seconds=${1:-10}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- $(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' Cargo.toml)

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "fuzz: SKIPPED, nothing was fuzzed: no nightly toolchain here (rustup toolchain install nightly)" >&2
    exit 0
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')

# The flags of `cargo fuzz build`: coverage counters and compared values for libFuzzer, and AddressSanitizer.
# With --target they do not apply to build scripts and procedural macros.
RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Ccodegen-units=1 -Cpasses=sancov-module
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
-Cllvm-args=-simplifycfg-branch-fold-threshold=0"
RUSTFLAGS=$(echo "$RUSTFLAGS" | tr '\n' ' ')
export RUSTFLAGS CARGO_TARGET_DIR="$PWD/target"
for target in "$@"; do
    cargo +nightly build --quiet --release --target "$host" --bin "$target"
done

failed=0
for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    # The tests' real input is a good start.
    seeds=
    [ ! -d "seeds/$target" ] || seeds="seeds/$target"
    log="artifacts/$target/last-run.log"
    if "target/$host/release/$target" "corpus/$target" $seeds -max_total_time="$seconds" -max_len=80000 \
        -artifact_prefix="artifacts/$target/" -rss_limit_mb=2048 -timeout=60 -print_final_stats=1 \
        >"$log" 2>&1; then
        echo "fuzz: $target: nothing found in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
    else
        failed=1
        grep -v '^#' "$log" | tail -n 40 >&2
        echo "fuzz: $target FAILED: fuzz/$log" >&2
    fi
done
exit "$failed"
