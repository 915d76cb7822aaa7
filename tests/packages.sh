# shellcheck shell=bash
# Functions for the project's scripts (sourced, not run): programs and a Rust that is new enough.
#
# On Debian and Ubuntu they install missing packages (with sudo unless root) and start none of their services;
# elsewhere they name the packages. They never touch a service that ran before.

say() { printf '%s\n' "$*" >&2; }
have() { PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin:/opt/homebrew/bin" command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        say "This needs root, and there is no sudo. As root, run: $*"
        exit 2
    fi
}

# need_programs PROGRAM[:PACKAGE] | /PATH:PACKAGE ...: installs the packages whose program or file is missing.
need_programs() {
    local missing=() wanted program
    for wanted in "$@"; do
        program=${wanted%%:*}
        case $program in
            /*) [ -e "$program" ] || missing+=("${wanted##*:}") ;;
            *) have "$program" || missing+=("${wanted##*:}") ;;
        esac
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    if have apt-get; then
        say "Installing: ${missing[*]}"
        as_root apt-get update -qq
        without_starting_services as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
        return
    fi
    say "Please install first (Debian's names): ${missing[*]}"
    if have dnf; then say "  sudo dnf install ${missing[*]}"
    elif have pacman; then say "  sudo pacman -S ${missing[*]}"
    elif have zypper; then say "  sudo zypper install ${missing[*]}"
    elif have apk; then say "  apk add ${missing[*]/gcc/gcc musl-dev}"
    elif have brew; then say "  brew install ${missing[*]/gcc/}   (the compiler: xcode-select --install)"
    fi
    exit 2
}

# Debian starts a service as soon as it is installed, unless policy-rc.d says no (exit code 101), so this
# writes a policy-rc.d for the time of the installation. An existing one stays as it is. New services are not
# enabled at the next boot either.
without_starting_services() {
    local policy=/usr/sbin/policy-rc.d wrote='' status=0 before service
    before=$(enabled_services)
    if [ ! -e "$policy" ]; then
        wrote=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    "$@" || status=$?
    [ -z "$wrote" ] || as_root rm -f "$policy"
    for service in $(enabled_services); do
        case " $(echo $before) " in *" $service "*) continue ;; esac
        say "$service was installed, and neither started nor enabled."
        as_root systemctl --quiet disable "$service" || true
    done
    return "$status"
}

enabled_services() {
    [ -d /run/systemd/system ] || return 0
    local service
    for service in nginx apache2 lighttpd caddy haproxy mariadb fail2ban; do
        systemctl --quiet is-enabled "$service" 2>/dev/null && echo "$service"
    done
    return 0
}

# Checks that Rust is as new as Cargo.toml says, and installs the C compiler that SQLite needs if it is
# missing. Run it in the project's root.
need_cargo() {
    have cc || need_programs gcc /usr/include/stdlib.h:libc6-dev
    command -v cargo >/dev/null 2>&1 || PATH="$PATH:$HOME/.cargo/bin"
    local wanted found
    wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)
    if ! command -v cargo >/dev/null 2>&1; then
        say "Rust is missing ($wanted or newer is needed). From https://rustup.rs:"
        say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
        say "Then open a new terminal and run this again."
        exit 2
    fi
    found=$(rustc --version | cut -d ' ' -f 2)
    if [ "$(printf '%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)" != "$wanted" ]; then
        say "Rust $found is too old: $wanted or newer is needed."
        if command -v rustup >/dev/null 2>&1; then
            say "  rustup update stable"
        else
            say "The system's own Rust can stay; rustup puts a newer one into your home directory:"
            say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
        fi
        exit 2
    fi
}
