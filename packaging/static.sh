#!/usr/bin/env bash
# Builds the program as one file that needs nothing of its machine: no interpreter, no library, no name
# service. It is the program to upload to a shared host (docs/shared-hosting.md).
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
    # readelf reports the same for a file with and without symbols.
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
    # The C library must be there as an archive; without it the linker only says "cannot find -lc".
    if [ "$(cc -print-file-name=libc.a)" = libc.a ]; then
        say "The C library cannot be linked statically, because libc.a is missing. Install it:"
        say "  Debian, Ubuntu: libc6-dev      Fedora, RHEL: glibc-static      Arch: glibc has it      openSUSE: glibc-devel-static"
        exit 2
    fi
    # This makes the table of relocations ten times smaller; the program applies it by itself (glibc 2.36).
    relocations='-C link-arg=-Wl,-z,pack-relative-relocs'
    ;;
*-linux-musl) relocations= ;;
*)
    say "A static program can be built on Linux; this is $host."
    exit 2
    ;;
esac

# Parts of SQLite that the gate does not use: full text, R-trees, extensions.
without="-USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS -USQLITE_ENABLE_FTS5 -USQLITE_ENABLE_RTREE"
without="$without -USQLITE_ENABLE_DBSTAT_VTAB -USQLITE_ENABLE_LOAD_EXTENSION"

# Random numbers come from the system call: a static program cannot look it up in the C library, and a jail
# may have no /dev/urandom. With --target the flags do not apply to build scripts and procedural macros.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static $relocations --cfg getrandom_backend=\"linux_getrandom\"" \
    LIBSQLITE3_FLAGS="${LIBSQLITE3_FLAGS:-} $without" \
    CFLAGS="${CFLAGS:-} -fno-asynchronous-unwind-tables" \
    cargo build --locked --profile static --no-default-features --target "$host" --bin piwigo-gate

program="${CARGO_TARGET_DIR:-target}/$host/static/piwigo-gate"
check "$program"
printf '%s\n' "$program"
