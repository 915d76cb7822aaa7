#!/usr/bin/env bash
# Runs tests/run.sh, or another command, with the programs of another release of Debian:
#     sudo bash tests/on-debian.sh trixie [COMMAND [ARGUMENT ...]]
# debootstrap makes a root directory for the release (3 GB at the end) in PIWIGO_GATE_ROOT or in
# /var/tmp/piwigo-gate-SUITE, and the next run uses it again. The kernel, rustup's Rust and the project's
# directory are the machine's own; what is built stays in the root directory. All mounts and processes end
# with the script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/packages.sh

suite=${1:?"say which release of Debian, such as trixie"}
shift
[ "$#" -gt 0 ] || set -- bash tests/run.sh
root=${PIWIGO_GATE_ROOT:-/var/tmp/piwigo-gate-$suite}
rustup=${RUSTUP_HOME:-$HOME/.rustup} cargo=${CARGO_HOME:-$HOME/.cargo}
[ "$(id -u)" -eq 0 ] || { say "This needs root."; exit 2; }
[ -x "$cargo/bin/cargo" ] && [ -d "$rustup" ] || { say "This needs the Rust of rustup (CARGO_HOME, RUSTUP_HOME)."; exit 2; }

if [ ! -e "$root/etc/piwigo-gate-tests" ]; then
    need_programs debootstrap
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$root"
    # The same archives as this machine's, with the security updates; unstable has none.
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    own=/etc/apt/sources.list.d/debian.sources
    if [ -n "$codename" ] && [ -e "$own" ] && [ "$suite" != unstable ] && [ "$suite" != sid ]; then
        sed "s/$codename/$suite/g" "$own" >"$root$own"
        rm -f "$root/etc/apt/sources.list"
    fi
    touch "$root/etc/piwigo-gate-tests"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/rust/rustup" "$root/rust/cargo" "$root/project"

export root rustup cargo
exec unshare --mount --pid --fork --kill-child bash -euc '
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    for place in dev sys; do mount --rbind "/$place" "$root/$place"; done
    mount --bind "$rustup" "$root/rust/rustup"
    mount --bind "$cargo" "$root/rust/cargo"
    mount --bind . "$root/project"
    exec chroot "$root" env -i PATH=/rust/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LANG=C.UTF-8 RUSTUP_HOME=/rust/rustup CARGO_HOME=/rust/cargo CARGO_TARGET_DIR=/var/tmp/target \
        sh -c "cd /project && \"\$@\"" sh "$@"
' bash "$@"
