//! Sends requests that a web server refuses before it chooses the part of its configuration for their URL.
//! An error page of the site, such as nginx's `error_page 400 = @name`, may answer them with the file
//! itself.

use super::Tries;
use super::curl::Method;
use super::leak::Sample;

/// Bytes of a header that is too long for any usual server.
const LONG: usize = 70_000;

impl Tries<'_> {
    /// Reports whether a private original comes as the answer to such a request. A server that closes the
    /// connection has refused it, too.
    pub(super) async fn early_errors(&mut self, original: &Sample) {
        const ID: &str = "outside-early-errors";
        let target = format!("{}{}", self.visitor.base.prefix, original.uri);
        let long = format!("X-Piwigo-Gate-Doctor: {}", "x".repeat(LONG));
        for (header, what) in [
            (&*long, "with a header that is too long"),
            ("Host: piwigo gate", "with a host's name that is none"),
            ("Transfer-Encoding: piwigo-gate", "with a transfer encoding that is none"),
        ] {
            let answer = self.visitor.ask(Method::Get, &target, &[header]).await;
            if answer.is_ok_and(|answer| original.is_in(&answer.body)) {
                return self.findings.problem(
                    ID,
                    format!("a private original comes to everybody who asks {what}: {target}"),
                    "an error page of the site's own serves the file by its address (nginx: error_page 400 = @name): let it answer by \
                     a page that is always the same",
                );
            }
        }
        self.findings.ok(ID, "no private original comes as the answer to a request that is wrong in itself");
    }
}
