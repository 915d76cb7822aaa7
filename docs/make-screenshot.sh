#!/usr/bin/env bash
# Makes docs/demo.png, the picture in the README: headless Chromium shows the demo's page as alice sees it. At
# most 256 colours keep the file small. On Debian the script installs chromium and pngquant if they are
# missing.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
. tests/packages.sh

need_programs nginx:nginx-light chromium pngquant
need_cargo
cargo build --locked

place=$(mktemp -d)
demo=
ended() { # the demo first: it removes its own directory
    [ -z "$demo" ] || { kill "$demo" && wait "$demo"; } || true
    rm -rf "$place"
}
trap ended EXIT

"${CARGO_TARGET_DIR:-target}/debug/piwigo-gate" demo --port 0 >"$place/said" &
demo=$!
# The demo draws its pictures first, which takes a while in a program that is not optimized.
until url=$(grep -o 'http://127[0-9.:]*' "$place/said"); do
    kill -0 "$demo" || exit 1
    sleep 0.2
done

# The budget is the page's own time, and is enough for its check of every URL. The sandbox needs rights that a
# container does not have, and the browser opens only the demo's page.
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$place/profile" \
    --window-size=1240,1336 --virtual-time-budget=20000 --screenshot="$place/demo.png" "$url/as/alice" \
    2>"$place/errors" || { cat "$place/errors" >&2; exit 1; }
pngquant --force --strip --speed 1 --quality 60-95 --output docs/demo.png "$place/demo.png"
ls -l docs/demo.png
