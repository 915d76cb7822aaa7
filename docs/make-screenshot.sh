#!/usr/bin/env bash
# Takes docs/demo.png: the page of `piwigo-gate demo`, as it looks to one of its visitors, by Chromium without a window.
#
#   docs/make-screenshot.sh           guest: what everybody else gets to see
#   docs/make-screenshot.sh carol     another visitor
#
# The demo runs on a free port, the browser with an empty profile; both end with the script. Needs chromium and
# pngquant, which makes the picture small (both are installed where they are missing).
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
. tests/packages.sh

visitor=${1:-guest}
picture=docs/demo.png
most=250000

need_programs nginx:nginx-light chromium pngquant
need_cargo
cargo build --locked
program=${CARGO_TARGET_DIR:-target}/debug/piwigo-gate

place=$(mktemp -d)
demo=
end() {
    [ -z "$demo" ] || { kill "$demo" && wait "$demo"; } 2>/dev/null || true
    rm -rf "$place"
}
trap end EXIT

"$program" demo --port 0 >"$place/demo.log" &
demo=$!
until url=$(grep -o 'http://127\.0\.0\.1:[0-9]*/' "$place/demo.log"); do
    kill -0 "$demo" 2>/dev/null || { say "The demo did not start."; exit 1; }
    sleep 0.2
done

# The page has a clock of its own (a time budget): the picture is taken when everything has come, not after a guess.
HOME=$place chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync \
    --disable-background-networking --disable-component-update --hide-scrollbars --force-color-profile=srgb \
    --user-data-dir="$place/profile" --virtual-time-budget=20000 --window-size=1200,1330 \
    --screenshot="$place/page.png" "${url}as/$visitor" 2>"$place/browser.log" ||
    { cat "$place/browser.log" >&2; exit 1; }

pngquant --speed 1 --strip 256 --output "$place/small.png" "$place/page.png"
size=$(wc -c <"$place/small.png")
[ "$size" -le "$most" ] || { say "$picture would have $size bytes, more than $most."; exit 1; }
cp "$place/small.png" "$picture"
say "$picture: $size bytes"
