//! Examines how the web server reads a path with a percent sign in the header `X-Sendfile`, from its
//! configuration and the installed module. Versions of Apache's `mod_xsendfile` after 0.12 (Debian 13 has
//! one) percent-decode the header by default: the header for `100%25.jpg` sends another file, `100%.jpg`.
//! Version 0.12 of Debian 12 does not decode it and does not know the directive `XSendFileUnescape`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::findings::Findings;
use super::prefixes::without_comments;

/// Where distributions put Apache's modules.
const MODULES: [&str; 3] = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"];

/// Largest part of a module that is read, in bytes; `mod_xsendfile` has some 20 KiB.
const MAX_MODULE: u64 = 1024 * 1024;

const ID: &str = "x-sendfile";

const PRINT_ANEW: &str = "print the server's file anew (piwigo-gate config), and restart the server";

/// What a configuration says about the header. Like Apache, this ignores the case of directives.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// The gate names files by `X-Sendfile`.
    used: bool,
    /// The configuration tells the gate that the server uses the header without decoding it.
    raw: bool,
    /// The configuration tells `mod_xsendfile` not to decode the header.
    off: bool,
    /// The configuration tells `mod_xsendfile` to decode the header.
    on: bool,
    /// The configuration is Apache's.
    apache: bool,
}

impl Said {
    fn read(text: &str) -> Self {
        let mut said = Said::default();
        for line in without_comments(text).lines() {
            let words: Vec<String> = line
                .split_whitespace()
                .map(|word| word.trim_matches(['"', '\'', ';', ',']).to_ascii_lowercase())
                .collect();
            let follows =
                |name: &str, value: &str| words.windows(2).any(|pair| pair[0] == name && pair[1] == value);
            said.used |= follows("gate_deliver", "x-sendfile");
            said.raw |= follows("gate_xsendfile", "raw");
            said.off |= follows("xsendfileunescape", "off");
            said.on |= follows("xsendfileunescape", "on");
            said.apache |= follows("xsendfile", "on");
        }
        said
    }
}

/// Reports how a server with the configuration `text` reads the header. `decodes`: whether the installed
/// module decodes it by default, if there is one.
fn judge(text: &str, decodes: Option<bool>, findings: &mut Findings) {
    let said = Said::read(text);
    if !said.used {
        return;
    }
    let other_file = "a picture with a % in its path is sent as another file, perhaps a private one";
    if said.on {
        findings.problem(ID, format!("XSendFileUnescape is On: {other_file}"), PRINT_ANEW);
    } else if said.raw && said.apache && !said.off && decodes == Some(true) {
        findings.problem(
            ID,
            format!(
                "the installed mod_xsendfile decodes the header, the configuration does not say XSendFileUnescape Off, and it tells \
                 the gate by GATE_XSENDFILE that the header is taken as it stands: {other_file}"
            ),
            PRINT_ANEW,
        );
    } else if !said.raw {
        let module = match decodes {
            Some(true) if said.apache => "; the installed mod_xsendfile would decode it",
            Some(false) if said.apache => "; the installed mod_xsendfile does not decode it",
            _ => "",
        };
        findings.warn(
            ID,
            format!(
                "the configuration does not say how a path in X-Sendfile is read{module}: the gate sends no picture with a % in \
                 its path"
            ),
            PRINT_ANEW,
        );
    } else {
        findings.ok(ID, "a path in X-Sendfile is taken as it stands");
    }
}

/// Examines the web server's configuration `text`.
pub(super) fn examine(text: &str, findings: &mut Findings) {
    let mut installed = MODULES.iter().map(|directory| Path::new(directory).join("mod_xsendfile.so"));
    judge(text, installed.find_map(|path| decodes(&path)), findings);
}

/// Whether this `mod_xsendfile` decodes the header by default: it does if it knows the directive that
/// prevents it. `None`: the module cannot be read.
fn decodes(module: &Path) -> Option<bool> {
    let mut bytes = Vec::new();
    File::open(module).ok()?.take(MAX_MODULE).read_to_end(&mut bytes).ok()?;
    let directive = b"XSendFileUnescape";
    Some(bytes.windows(directive.len()).any(|window| window == directive))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::findings::Level;
    use crate::commands::doctor::findings::Level::{Ok, Problem, Warning};
    use crate::commands::server_files;
    use crate::commands::server_files::Values;

    #[test]
    fn what_a_configuration_says_about_the_header() {
        const USED: &str = "XSendFile on\nSetEnv GATE_DELIVER x-sendfile\n";
        type Row<'a> = (&'a str, Option<bool>, Option<Level>);
        let table: [Row; 14] = [
            ("SetEnv GATE_DELIVER location\n", Some(true), None),
            ("\"GATE_DELIVER\" => \"x-sendfile-encoded\"", Some(true), None),
            ("# SetEnv GATE_DELIVER x-sendfile\n", Some(true), None),
            (USED, Some(true), Some(Warning)),
            (USED, Some(false), Some(Warning)),
            (USED, None, Some(Warning)),
            (
                "XSendFile on\nSetEnv GATE_DELIVER x-sendfile\n# SetEnv GATE_XSENDFILE raw\n",
                None,
                Some(Warning),
            ),
            (
                "XSENDFILE ON\nsetenv GATE_DELIVER \"x-sendfile\"\nsetenv GATE_XSENDFILE raw",
                Some(true),
                Some(Problem),
            ),
            (
                "XSendFile on\nSetEnv GATE_DELIVER x-sendfile\nSetEnv GATE_XSENDFILE raw",
                Some(false),
                Some(Ok),
            ),
            ("XSendFile on\nSetEnv GATE_DELIVER x-sendfile\nSetEnv GATE_XSENDFILE raw", None, Some(Ok)),
            (
                "XSendFile on\nXSendFileUnescape Off\nSetEnv GATE_DELIVER x-sendfile\nSetEnv GATE_XSENDFILE raw",
                Some(true),
                Some(Ok),
            ),
            (
                "XSendFile on\nXSendFileUnescape Off\nSetEnv GATE_DELIVER x-sendfile\nSetEnv GATE_XSENDFILE raw\n\
                 XSendFileUnescape On",
                Some(true),
                Some(Problem),
            ),
            // Caddy takes it as it stands.
            ("env GATE_DELIVER x-sendfile\nenv GATE_XSENDFILE raw\n", Some(true), Some(Ok)),
            ("env GATE_DELIVER x-sendfile\n", Some(true), Some(Warning)),
        ];
        for (text, decodes, expected) in table {
            let mut findings = Findings::default();
            judge(text, decodes, &mut findings);
            let found = findings.0.first().map(|finding| finding.level);
            assert_eq!(found, expected, "{text} {decodes:?}");
        }
    }

    #[test]
    fn the_printed_files_say_it() {
        for kind in server_files::KINDS {
            let values = Values { gate: kind.example_gate(), ..Values::example() };
            let text = server_files::print(kind, &values).unwrap();
            for decodes in [Some(true), Some(false), None] {
                let mut findings = Findings::default();
                judge(&text, decodes, &mut findings);
                assert!(findings.0.iter().all(|finding| finding.level == Ok), "{}", kind.name);
                let by_header = ["apache-xsendfile", "apache-proxy", "caddy"].contains(&kind.name);
                assert_eq!(findings.0.len(), usize::from(by_header), "{}", kind.name);
            }
        }
    }
}
