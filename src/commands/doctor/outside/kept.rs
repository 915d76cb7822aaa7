//! Finds caches between the visitor and the gate that ignore cookies: they keep an answer for one visitor
//! and give it to others.

use std::time::{SystemTime, UNIX_EPOCH};

use super::curl::{Cookies, Method};
use super::leak::{Fetched, Gist, Sample};
use super::{Tries, some};

/// The name of the finding.
const KEPT: &str = "outside-kept";

/// Headers by which a cache names itself or says that an answer is from its store.
const TRACES: [&str; 9] = [
    "age",
    "x-cache",
    "x-cache-status",
    "x-proxy-cache",
    "cf-cache-status",
    "x-varnish",
    "x-served-by",
    "via",
    "server",
];

impl Tries<'_> {
    /// Asks for a private picture with the cookies, and immediately afterwards without them. The URL gets a
    /// unique query, so that a faulty cache does not store the picture under its own URL.
    ///
    /// Returns whether the picture came without the cookies, which is then a finding. `None`: this tells
    /// nothing about a cache, because every visitor gets the picture.
    pub(super) async fn is_kept(&mut self, cookies: &Cookies, target: &str, sample: &Sample) -> Option<bool> {
        let sign = if target.contains('?') { '&' } else { '?' };
        let probe = || format!("{target}{sign}piwigo-gate-doctor={}", unlikely());
        let before = self.ask(Method::Get, &probe(), &[]).await?;
        if self.gist(&before, Some(sample)) == Gist::Leak {
            return None;
        }
        let probe = probe();
        let mine = self.ask_with(cookies, &probe).await?;
        Some(self.gist(&mine, Some(sample)) == Gist::Leak && self.comes_to_a_stranger(&probe, sample).await)
    }

    /// Asks without the cookies for a file that has just come with them.
    pub(super) async fn comes_to_a_stranger(&mut self, target: &str, sample: &Sample) -> bool {
        let Some(answer) = self.ask(Method::Get, target, &[]).await else { return false };
        if self.gist(&answer, Some(sample)) != Gist::Leak {
            return false;
        }
        let traces = traces(&answer);
        let traces =
            if traces.is_empty() { String::new() } else { format!("; its answer says {}", some(&traces)) };
        self.findings.problem(
            KEPT,
            format!("a private picture that came with the cookies comes without them afterwards: {target}{traces}"),
            "a cache (proxy_cache or fastcgi_cache in nginx, mod_cache, Varnish, a CDN) keeps what is for one visitor: let it \
             obey Cache-Control and Vary (no proxy_ignore_headers for these, no \"cache everything\"), or exclude the \
             gallery's files; then empty it",
        );
        self.came.insert(target.to_owned());
        true
    }

    /// Reports that no cache keeps anything.
    pub(super) fn nothing_is_kept(&mut self) {
        self.findings.ok(
            KEPT,
            "what came with the cookies is refused without them afterwards: no cache gives it to others",
        );
    }
}

/// The headers of an answer that indicate a cache.
fn traces(answer: &Fetched) -> Vec<String> {
    let told = |name: &&str| answer.header(name).map(|value| format!("{name}: {value}"));
    TRACES.iter().filter_map(told).collect()
}

/// A number that no other request is likely to have.
fn unlikely() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_named_by_what_it_says() {
        let answer = Fetched::parse(
            b"HTTP/1.1 200 OK\r\nX-Cache: HIT from edge\r\nAge: 12\r\nContent-Type: x\r\n\r\n",
        )
        .unwrap();
        assert_eq!(traces(&answer), ["age: 12", "x-cache: HIT from edge"]);
        assert_eq!(traces(&Fetched::default()), Vec::<String>::new());
    }
}
