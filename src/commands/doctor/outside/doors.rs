//! Tries the gallery by the other scheme and under another host name. A web server chooses a site by these,
//! and the gallery may be in one without a guard: Debian's default site on port 80 beside the guarded one
//! on port 443.

use super::curl::Method;
use super::leak::Sample;
use super::{Tries, some};

/// A name that no site has (RFC 2606 §2): the server's default site answers.
const NO_SITE: &str = "Host: piwigo-gate-doctor.invalid";

impl Tries<'_> {
    /// Reports whether another site of the server sends a private original.
    pub(super) async fn doors(&mut self, original: &Sample) {
        let target = format!("{}{}", self.visitor.base.prefix, original.uri);
        let origin = &self.visitor.base.origin;
        let mut open = Vec::new();
        // The answer of another site matters only if it is this file; without an answer there is no such
        // site.
        let answer = self.visitor.ask(Method::Get, &target, &[NO_SITE]).await;
        if answer.is_ok_and(|answer| original.is_in(&answer.body)) {
            open.push(format!("{origin}{target} with the header \"{NO_SITE}\""));
        }
        if let Some(origin) = other_scheme(origin) {
            let answer = self.visitor.ask_at(&origin, &target).await;
            if answer.is_ok_and(|answer| original.is_in(&answer.body)) {
                open.push(format!("{origin}{target}"));
            }
        }
        if open.is_empty() {
            self.findings
                .ok("outside-doors", "no private original by another scheme or under another host's name");
        } else {
            self.findings.problem(
                "outside-doors",
                format!("a private original comes to everybody by another site of this server: {}", some(&open)),
                "put the shipped file into every server block (<VirtualHost>) in which the gallery lies, on port 80 as well as \
                 443 and in the default one, or let the others do nothing but redirect",
            );
        }
    }
}

/// `http://host` for `https://host` and the reverse; `None` if a port is named, because a port has one
/// scheme.
fn other_scheme(origin: &str) -> Option<String> {
    let (scheme, host) = origin.split_once("://")?;
    let is_bare = host.rsplit_once(':').is_none_or(|(_, port)| port.ends_with(']'));
    let other = if scheme == "https" { "http" } else { "https" };
    is_bare.then(|| format!("{other}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_another_scheme_unless_its_port_is_named() {
        for (origin, expected) in [
            ("https://photos.example.org", Some("http://photos.example.org")),
            ("http://photos.example.org", Some("https://photos.example.org")),
            ("https://[2001:db8::1]", Some("http://[2001:db8::1]")),
            ("https://[2001:db8::1]:8443", None),
            ("http://127.0.0.1:8080", None),
        ] {
            assert_eq!(other_scheme(origin).as_deref(), expected, "{origin}");
        }
    }
}
