#!/usr/bin/env bash
# Builds the program as one file that needs nothing of the machine it runs on: no interpreter, no library, no name service.
# It is the one to upload to a shared host (docs/shared-hosting.md).
#
#   bash packaging/static.sh            builds it, checks it, and prints its path
#   bash packaging/static.sh --check F  only checks the file F
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

most=8000000
host=$(rustc -vV | sed -n 's/^host: //p')

say() { printf '%s\n' "$*" >&2; }

check() { # check FILE
    local size needs
    # Without its signature: readelf says the same of a file with and without symbols.
    needs=$(LC_ALL=C readelf --program-headers --dynamic --wide "$1" | grep -E 'INTERP|NEEDED' || true)
    if [ -n "$needs" ]; then
        say "$1 is not static; it asks for:" "$needs"
        return 1
    fi
    size=$(wc -c <"$1")
    if [ "$size" -gt "$most" ]; then
        say "$1 has $size bytes; $most are allowed"
        return 1
    fi
    if ! "$1" --version >&2; then
        say "$1 does not run on the machine that it was built on"
        return 1
    fi
    say "$1: static, $size bytes of at most $most"
}

if [ "${1:-}" = --check ]; then
    check "$2"
    exit
fi

case $host in
*-linux-gnu)
    # The C library as an archive: without it the linker says only "cannot find -lc".
    if [ "$(cc -print-file-name=libc.a)" = libc.a ]; then
        say "The C library cannot be linked statically, because libc.a is missing. Install it:"
        say "  Debian, Ubuntu: libc6-dev      Fedora, RHEL: glibc-static      Arch: glibc has it      openSUSE: glibc-devel-static"
        exit 2
    fi
    # A table of relocations of a tenth of the size; the program applies it by itself (glibc 2.36).
    relocations='-C link-arg=-Wl,-z,pack-relative-relocs'
    ;;
*-linux-musl) relocations= ;;
*)
    say "A static program can be built on Linux; this is $host."
    exit 2
    ;;
esac

# What nobody asks SQLite for here: full text, boxes, extensions.
without="-USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS -USQLITE_ENABLE_FTS5 -USQLITE_ENABLE_RTREE"
without="$without -USQLITE_ENABLE_DBSTAT_VTAB -USQLITE_ENABLE_LOAD_EXTENSION"

# Random numbers come from the system call: a static program cannot look for it in the C library, and a jail may have no
# /dev/urandom. With a target named, the flags are for the program and not for what runs while it is built.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static $relocations --cfg getrandom_backend=\"linux_getrandom\"" \
    LIBSQLITE3_FLAGS="${LIBSQLITE3_FLAGS:-} $without" \
    CFLAGS="${CFLAGS:-} -fno-asynchronous-unwind-tables" \
    cargo build --locked --profile static --no-default-features --target "$host" --bin piwigo-gate

program="${CARGO_TARGET_DIR:-target}/$host/static/piwigo-gate"
check "$program"
printf '%s\n' "$program"
