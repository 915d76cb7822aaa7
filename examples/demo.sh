#!/usr/bin/env bash
# Builds piwigo-gate and shows it at work: a sample gallery, a private nginx in front of it, and a page that
# shows what each visitor gets. Everything of the demo lies in a temporary directory and is gone afterwards.
#
#   examples/demo.sh                  http://127.0.0.1:8080/ until Ctrl-C
#   examples/demo.sh --port 9000      another port
#   examples/demo.sh --once           prints what each visitor gets and whether it is right (exit code 0 or 1)
#
# On Debian and Ubuntu it installs nginx and a C compiler if they are missing (with sudo unless root);
# elsewhere it says what to install. It starts no service and stops none.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
. tests/packages.sh

need_programs nginx:nginx-light
need_cargo

cargo build --release --locked
exec "${CARGO_TARGET_DIR:-target}/release/piwigo-gate" demo "$@"
