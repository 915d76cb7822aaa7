//! Piwigo binds sessions to the visitor's address. This module looks in the configuration files for signs
//! that PHP and the gate are told different addresses; `outside` tries it with requests.

use std::path::Path;

use super::findings::Findings;
use super::read_start;
use crate::piwigo::php::remote_addr::assignment_of_remote_addr;
use crate::verdict::identity::SessionAddress;

/// Largest settings file of Piwigo that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

const FILES: [&str; 2] = ["local/config/config.inc.php", "local/config/database.inc.php"];

/// Directives by which a web server finds the visitor's address behind a proxy.
const BY_THE_SERVER: [&str; 4] = ["set_real_ip_from", "RemoteIPHeader", "extforward.", "trusted_proxies"];

/// `is_bound`: Piwigo binds sessions to the address (`session_use_ip_address`). `session_address`: the
/// address that the gate uses for this. `server_text`: the web server's configuration, as far as it is
/// known.
pub(super) fn examine(
    root: &Path,
    is_bound: bool,
    session_address: SessionAddress,
    server_text: &str,
    findings: &mut Findings,
) {
    let is_forwarded = session_address == SessionAddress::XForwardedFor;
    for name in FILES {
        let Ok(text) = read_start(&root.join(name), MAX_FILE) else { continue };
        if let Some(line) = assignment_of_remote_addr(text.as_bytes()) {
            let is_agreed = !is_bound || is_forwarded;
            by_php_alone(name, line, is_agreed, server_text, findings);
        }
    }
    if is_forwarded && is_bound {
        findings.advise(
            "address",
            "session_address = \"x-forwarded-for\": the gate binds sessions to the first address of that header, which is right only \
             where Piwigo was changed to do so",
            "let the front end overwrite the header: otherwise a client writes what it likes into it",
        );
    }
    if is_unix_without_real_ip(server_text) {
        findings.warn(
            "address",
            "nginx listens on a unix socket and tells PHP and the gate the address unix: for every visitor: sessions are bound to \
             none, and neither log nor fail2ban knows who asked",
            "in that server block: set_real_ip_from unix:; real_ip_header X-Forwarded-For; (the front end must set that header)",
        );
    }
}

/// `is_agreed`: the gate finds sessions in spite of the changed address.
fn by_php_alone(file: &str, line: u32, is_agreed: bool, server_text: &str, findings: &mut Findings) {
    let what = format!("{file}, line {line}, changes $_SERVER['REMOTE_ADDR'] for PHP alone");
    let remedy = "let the web server find the address, for PHP and for the gate, and take that line out: nginx: set_real_ip_from \
                  ADDRESS-OF-THE-PROXY; real_ip_header X-Forwarded-For; Apache: RemoteIPHeader X-Forwarded-For and \
                  RemoteIPInternalProxy ADDRESS-OF-THE-PROXY (docs/servers.md)";
    if is_agreed {
        findings.advise(
            "address",
            format!("{what}; the gate does not bind sessions to REMOTE_ADDR (session_use_ip_address, session_address)"),
            remedy,
        );
    } else if BY_THE_SERVER.iter().any(|word| server_text.contains(word)) {
        let both = "the web server's configuration finds the address, too: where the two differ, the gate knows no session";
        findings.warn("address", format!("{what}; {both}"), remedy);
    } else {
        findings.problem(
            "address",
            format!(
                "{what}, and Piwigo binds sessions to it: visitors who have signed in are guests for the gate"
            ),
            remedy,
        );
    }
}

/// Whether this nginx configuration listens on a unix socket and has no line that finds the visitor's
/// address there.
fn is_unix_without_real_ip(text: &str) -> bool {
    let directive = |line: &str, name: &str| {
        let line = line.split('#').next().unwrap_or_default();
        line.split([';', '{', '}']).any(|part| {
            let mut words = part.split_whitespace();
            words.next() == Some(name) && words.next().is_some_and(|word| word.starts_with("unix:"))
        })
    };
    text.lines().any(|line| directive(line, "listen"))
        && !text.lines().any(|line| directive(line, "set_real_ip_from"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_socket_needs_a_line_of_its_own() {
        let table = [
            ("server { listen unix:/run/nginx.sock; root /x; }", true),
            (
                "server {\n  listen\tunix:/run/nginx.sock proxy_protocol;\n  set_real_ip_from 192.0.2.1;\n}",
                true,
            ),
            ("server {\n  listen unix:/run/nginx.sock;\n  set_real_ip_from unix:;\n}", false),
            ("server {\n  # listen unix:/run/nginx.sock;\n  listen 80;\n}", false),
            ("#  --listen unix:/run/piwigo-gate/gate.sock\nfastcgi_pass unix:/run/x.sock;", false),
        ];
        for (text, expected) in table {
            assert_eq!(is_unix_without_real_ip(text), expected, "{text}");
        }
    }
}
