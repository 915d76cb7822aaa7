#!/usr/bin/env bash
# Prints the files in nginx/, apache/ and so on again after a change of their templates
# (src/commands/server_files/templates).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --locked --quiet
gate=${CARGO_TARGET_DIR:-target}/debug/piwigo-gate
"$gate" config --list | sed -n 's/^  \([a-z0-9-]*\) .*/\1/p' | while read -r kind; do
    file=$(sed -n "/\"$kind\",/,/include_str/s|^ *\"\([a-z0-9.-]*/.*\)\",$|\1|p" src/commands/server_files/kinds.rs | head -n 1)
    mkdir -p "$(dirname "$file")"
    "$gate" config "$kind" --example >"$file"
    echo "$file"
done
