#!/usr/bin/env bash
# Runs every check: format, lints, documentation and all tests. On Debian and Ubuntu it first installs what is
# missing (nginx, Apache with mod_fcgid and mod_xsendfile, lighttpd, Caddy, HAProxy, MariaDB, php-cgi,
# fail2ban, ntfs-3g, systemd's tools, curl, Chromium) and starts none of these services. Every server of the
# tests runs in a temporary directory, on a unix socket or a free port of the loopback interface, and the test
# that started it ends it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/packages.sh

modules=/usr/lib/apache2/modules
need_programs nginx:nginx-light apache2 $modules/mod_fcgid.so:libapache2-mod-fcgid \
    $modules/mod_xsendfile.so:libapache2-mod-xsendfile lighttpd caddy haproxy mariadbd:mariadb-server mariadb:mariadb-client \
    php-cgi fail2ban-regex:fail2ban lowntfs-3g:ntfs-3g curl \
    systemd-analyze:systemd systemd-socket-activate:systemd setpriv:util-linux
# Ubuntu's chromium is a snap, which cannot read the tests' directories; Google's package works as well.
have google-chrome || need_programs chromium
need_cargo

step() { printf '\n== %s\n' "$*"; }

step "format"
cargo fmt --check
step "lints"
cargo clippy --locked --all-targets -- -D warnings
step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
step "tests, as $(id -un)"
cargo test --locked --no-fail-fast

# The program must answer if it is linked statically and alone in a directory. (packaging/static.sh makes the
# small one.)
if [ "$(id -u)" -eq 0 ] && [ "$(cc -print-file-name=libc.a)" != libc.a ]; then
    step "the static program, alone in a directory"
    alone=$(mktemp -d)
    cargo rustc --locked --quiet --bin piwigo-gate -- -C target-feature=+crt-static
    cp "${CARGO_TARGET_DIR:-target}/debug/piwigo-gate" "$alone/piwigo-gate"
    PIWIGO_GATE_STATIC_BINARY=$alone/piwigo-gate cargo test --locked --test operation static_binary:: -- --include-ignored
    rm -rf "$alone"
else
    step "the static program is not tested: that needs root, and libc.a (Debian: libc6-dev)"
fi

# Servers that root starts change their user; servers of another user cannot. So these tests also run as
# nobody.
if [ "$(id -u)" -eq 0 ] && id nobody >/dev/null 2>&1 && have setpriv; then
    step "tests that start servers, as nobody"
    # The name has no capitals, which mktemp would put into it, because Apache's mod_rewrite cannot name a
    # socket there (tests/servers/site_lines).
    place=${TMPDIR:-/tmp}/piwigo-gate-tests.$$
    mkdir -m 755 "$place"
    trap 'rm -rf "$place"' EXIT
    mkdir -m 1777 "$place/tmp"
    built=$(cargo test --locked --no-run --message-format=json 2>/dev/null)
    executable() { # executable KIND NAME: the path cargo gives for it
        printf '%s\n' "$built" | grep "\"kind\":\[\"$1\"\]" | grep "\"name\":\"$2\"" |
            sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
    }
    cp "$(cargo build --locked --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*piwigo-gate\)".*/\1/p' | tail -n 1)" "$place/piwigo-gate"
    as_nobody() { # as_nobody BINARY MODULE:: ...: the tests of these modules of a test program
        local name=$1
        shift
        cp "$(executable test "$name")" "$place/$name"
        (cd "$place" && env -i PATH="$PATH" HOME="$place" TMPDIR="$place/tmp" RUST_BACKTRACE=0 \
            PIWIGO_GATE_TEST_BINARY="$place/piwigo-gate" \
            setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups "$place/$name" "$@")
    }
    as_nobody servers servers_smoke:: servers_nginx:: servers_nginx_cache:: servers_apache:: \
        servers_lighttpd:: servers_caddy:: servers_fronts:: shared_hosting:: refusals:: action_php:: \
        printed_files:: attacks:: site_lines:: percent_names:: every_server:: http2::
    as_nobody operation operation:: service:: wrong_settings:: addresses:: peers::
    as_nobody verdicts verdicts:: identities:: history:: charsets::
    as_nobody database database_connections:: batching:: few_connections::
    as_nobody doctor check:: doctor:: doctor_lines:: doctor_session::
    as_nobody derivatives derivatives_made:: derive::
fi
