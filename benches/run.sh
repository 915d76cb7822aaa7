#!/usr/bin/env bash
# Prints measurements of the gate on this machine, in one run: its own layers; the system calls of a request;
# requests through nginx beside the unguarded file, a responder that always says yes, and a PHP script; the
# time of a start; the time of derivatives; and a gallery of a million pictures (ten minutes, 4 GB of memory
# and of disk). On Debian and Ubuntu it installs what it needs (nginx, MariaDB, PHP-FPM, wrk, strace) and, if
# there are packages, vipsthumbnail and PHP's GD and Imagick to compare with.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/packages.sh
need_programs nginx mariadbd:mariadb-server php-cgi wrk strace
# Debian's program has its version in its name.
compgen -G '/usr/sbin/php-fpm*' >/dev/null || need_programs php-fpm
php-cgi -m | grep -q mysqli || need_programs /usr/lib/php/mysqli.so:php-mysql
# These are only for comparison; without them the benchmark leaves their columns empty.
(need_programs vipsthumbnail:libvips-tools) || true
for extension in gd imagick; do
    php-cgi -m 2>/dev/null | grep -qix "$extension" || (need_programs "/php/$extension:php-$extension") || true
done
need_cargo

cargo bench --locked --no-run
layers=$(cargo bench --locked --no-run --bench layers --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*layers[^"]*\)".*/\1/p' | tail -n 1)
export LAYERS="$layers"

"$layers"

directory=$(mktemp -d)
server=
ending() { [ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$directory"; }
trap ending EXIT
# Sends 1,000 requests under strace, each on a new connection and then all on one, and counts the system
# calls.
for connections in new one; do
    strace -f -c -o "$directory/calls" "$layers" serve "$directory/s" &
    server=$!
    for _ in $(seq 100); do [ -S "$directory/s" ] && break; sleep 0.05; done
    "$layers" ask "$directory/s" "$connections" 1000
    # The responder gets SIGTERM itself; then strace writes its counts and ends.
    for child in $(cat "/proc/$server/task/$server/children"); do kill "$child"; done
    wait "$server" 2>/dev/null || true
    server=
    echo "system calls of 1,000 requests, connections: $connections"
    awk '$4 ~ /^[0-9]+$/ && $4 >= 100 { printf "  %-14s %6d\n", $NF, $4 }' "$directory/calls"
    rm -f "$directory/s" "$directory/calls"
done

cargo bench --locked --bench through_nginx
PIWIGO_GATE_STATIC_BINARY=$(bash packaging/static.sh) cargo bench --locked --bench start
cargo bench --locked --bench pictures
cargo bench --locked --bench growth
cargo bench --locked --bench growth -- myisam index
