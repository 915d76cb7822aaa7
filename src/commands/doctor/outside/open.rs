//! Examines how an open picture is sent: its bytes, its ranges, and what its headers allow caches to do.

use super::curl::Method;
use super::leak::{Fetched, Sample};
use super::{Findings, Tries, Without};

impl Tries<'_> {
    pub(super) async fn open_picture(&mut self, sample: &Sample) {
        let target = format!("{}{}", self.visitor.base.prefix, sample.uri);
        let Some(answer) = self.ask(Method::Get, &target, &[]).await else { return };
        if matches!(answer.status, 500 | 502 | 503 | 504) {
            self.trouble.get_or_insert((target, answer.status));
            return self.findings.not_examined_without(
                Without::Answer,
                "outside-allowed",
                "an open picture: the server was in trouble",
            );
        }
        if answer.status != 200 || !sample.is_in(&answer.body) {
            self.nothing_comes = true;
            return self.findings.problem(
                "outside-allowed",
                format!("an open picture does not come: {target} is answered {}", answer.status),
                "see what piwigo-gate check says of it; if that says ALLOWED, the server does not send what the gate allows: \
                 see its error log, and whether its user may read the file",
            );
        }
        self.findings.ok("outside-allowed", format!("an open picture comes: {target}"));
        let configured = self.known.settings.map(|settings| settings.browser_cache.as_str());
        caching(&answer, configured, self.findings);
        kind(&answer, self.findings);

        let part = self.ask(Method::Get, &target, &["Range: bytes=1-3"]).await;
        if let Some(part) = part {
            let expected = sample.start.get(1..4.min(sample.start.len())).unwrap_or_default();
            if part.status == 206 && part.body == expected && part.header("content-range").is_some() {
                self.findings.ok("outside-range", "a part of it comes when a part is asked for");
            } else {
                self.findings.problem(
                    "outside-range",
                    format!("asked for a part of it, the server answers {}: films cannot be wound forward", part.status),
                    "let the server send the file itself (deliver), and take what changes its bytes (gzip, filters) out of the \
                     guarded locations",
                );
            }
        }
        if let Some(head) = self.ask(Method::Head, &target, &[]).await {
            let same = |name| head.header(name) == answer.header(name);
            if head.status == 200 && same("content-length") && same("content-type") {
                self.findings.ok("outside-head", "HEAD says what GET says");
            } else {
                self.findings.problem(
                    "outside-head",
                    format!("HEAD is answered {}, with other headers than GET", head.status),
                    "let the guarded locations answer HEAD as they answer GET",
                );
            }
        }
    }

    /// Whether the links in Piwigo's pages lead to resized pictures. `sample` is the picture at `uri`, if
    /// it exists; `style` is `derivative_url_style`.
    pub(super) async fn links_to_resized(&mut self, uri: &str, sample: Option<&Sample>, style: Option<u32>) {
        const ID: &str = "outside-links";
        const REMEDY: &str = "set $conf['derivative_url_style'] = 1; in local/config/config.inc.php: then they link to the \
                              picture's own path, which a server that only asks the gate can serve";
        let directory = format!("/{}", self.known.guarded.derivatives);
        let Some(short) = uri.strip_prefix(&directory).filter(|_| !self.nothing_comes) else { return };
        let target = format!("{}/i.php?{short}", self.visitor.base.prefix);
        let Some(answer) = self.ask(Method::Get, &target, &[]).await else { return };
        // A picture that does not exist may be one that cannot be made.
        let is_closed = matches!(answer.status, 401 | 403) || answer.status == 404 && sample.is_some();
        let comes = answer.status == 200 && sample.is_none_or(|sample| sample.is_in(&answer.body));
        match style {
            Some(1) if is_closed => {
                self.findings.ok(ID, "i.php is closed, and Piwigo's pages do not link to it");
            }
            Some(_) if is_closed => self.findings.problem(
                ID,
                format!("i.php is closed for an open picture, too, and Piwigo's pages link to it: {target}"),
                REMEDY,
            ),
            None if is_closed => self.findings.warn(
                ID,
                format!("i.php is closed for an open picture, too, and whether Piwigo's pages link to it is made by code: {target}"),
                REMEDY,
            ),
            _ if comes => self.findings.ok(ID, "an open picture comes by i.php, too, as pages may link to it"),
            // Failures of the gate and of the server have findings of their own.
            _ => {}
        }
    }
}

/// Reports what the headers allow caches to do with the picture.
fn caching(answer: &Fetched, configured: Option<&str>, findings: &mut Findings) {
    let said = answer.joined("cache-control");
    let shared = answer.says("cache-control", "public") || said.contains("s-maxage");
    let is_configured = configured.is_none_or(|configured| configured == said);
    if shared || said.is_empty() || !is_configured {
        let expected = configured.map(|configured| format!(" instead of {configured:?}")).unwrap_or_default();
        let danger = if shared { ": shared caches may give one visitor's picture to another" } else { "" };
        findings.problem(
            "outside-cache",
            format!("Cache-Control is {said:?}{expected}{danger}"),
            "take expires, add_header Cache-Control and the like out of what holds for the guarded files: the gate says how \
             long a browser may keep them",
        );
    } else if answer.says("vary", "Cookie") || answer.says("vary", "*") {
        findings.ok("outside-cache", format!("Cache-Control is {said:?}, Vary names Cookie"));
    } else {
        findings.warn(
            "outside-cache",
            "Vary does not name Cookie: after a sign-out the browser still shows what it kept",
            "add it where the file is sent, as the shipped server files do",
        );
    }
}

/// Reports whether a browser may guess another type for the picture.
fn kind(answer: &Fetched, findings: &mut Findings) {
    if answer.says("x-content-type-options", "nosniff") {
        findings.ok("outside-nosniff", "browsers do not guess its type");
    } else {
        findings.warn(
            "outside-nosniff",
            "X-Content-Type-Options: nosniff is missing: a browser may take an uploaded file for a page",
            "add it where the file is sent, as the shipped server files do",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::findings::Level;

    #[test]
    fn what_caches_may_do() {
        let usual = "private, max-age=600";
        let table = [
            (usual, "Cookie", Some(usual), Level::Ok),
            (usual, "Accept-Encoding, cookie", Some(usual), Level::Ok),
            (usual, "", Some(usual), Level::Warning),
            ("public, max-age=600", "Cookie", None, Level::Problem),
            ("max-age=2592000", "Cookie", Some(usual), Level::Problem),
            ("private, max-age=600, max-age=2592000", "Cookie", Some(usual), Level::Problem),
            ("", "Cookie", None, Level::Problem),
            ("no-store", "Cookie", Some("no-store"), Level::Ok),
        ];
        for (control, vary, configured, level) in table {
            let headers =
                [("cache-control", control), ("vary", vary)].map(|(name, value)| (name.into(), value.into()));
            let mut findings = Findings::default();
            caching(&Fetched { headers: headers.into(), ..Fetched::default() }, configured, &mut findings);
            assert_eq!(findings.0[0].level, level, "{control:?} {vary:?} {configured:?}");
        }
    }
}
