//! Asks the web server as a visitor does. A guest without cookies tries to get files that the gate's
//! verdict denies to guests and files that must be closed to everybody, and examines how an open picture is
//! sent. With a visitor's cookies it compares whom Piwigo and the gate take that visitor for.
//!
//! These requests change only what a visitor's requests may change: Piwigo or the gate may make an open
//! resized picture, or a private one if no gate guards `i.php`; and Piwigo notes the time in the session of
//! the given cookies, or opens a session.

mod aliases;
mod causes;
mod closed;
mod curl;
mod doors;
mod early;
mod kept;
mod leak;
mod open;
mod percent;
mod php;
mod samples;
mod session;
mod shut;
mod split;
mod tries;

use std::collections::BTreeSet;
use std::path::Path;

use super::findings::{Findings, Without, shown, some};
use super::prefixes::Guarded;
use crate::database::Inspection;
use crate::gate::Gate;
use crate::gate::snapshot::Ready;
use crate::settings::Settings;
use curl::{Base, HttpVisitor, Method};
pub use curl::{Cookies, CookiesError};
use leak::{Fetched, Gist, Sample};
use samples::Chooser;

/// The address to ask, and how.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// The gallery's address, as in the browser.
    pub url: String,
    /// Believe any certificate.
    pub insecure: bool,
    /// As curl's `--resolve`: `HOST:PORT:ADDRESS`.
    pub resolve: Option<String>,
    /// The cookies of a visitor, for requests in that visitor's name.
    pub cookies: Option<Cookies>,
}

/// What the examination already knows.
pub(super) struct Known<'a> {
    pub(super) root: &'a Path,
    pub(super) guarded: &'a Guarded,
    pub(super) settings: Option<&'a Settings>,
    pub(super) gate: Option<(&'a Gate, &'a Ready)>,
    pub(super) inspection: Option<&'a Inspection>,
    /// The text of `--server-file`.
    pub(super) server_text: &'a str,
}

/// After this many failures of curl no further request is made: each may have taken ten seconds.
const MAX_FAILURES: usize = 3;

/// The tries and their results so far.
struct Tries<'a> {
    visitor: &'a HttpVisitor,
    known: &'a Known<'a>,
    findings: &'a mut Findings,
    /// Targets that the server should have refused and did not.
    came: BTreeSet<String>,
    /// Targets whose answers contain a header that only the server should see, with that header.
    redirects: Vec<String>,
    /// Targets whose answers contain the path of the gallery on this machine.
    paths: Vec<String>,
    /// The first answer that shows a failure of the server (500, 502, 503 or 504).
    trouble: Option<(String, u16)>,
    /// The error messages of curl.
    complaints: Vec<String>,
    /// The server did not answer a plain request for a private original.
    silent: bool,
    /// Not even an open picture comes. Refusals to an account then say nothing about the account.
    nothing_comes: bool,
    /// The gallery is locked: 503 is then the gate's answer.
    locked: bool,
    /// The body that the server sends for a picture that does not exist.
    placeholder: Option<Vec<u8>>,
}

/// Runs all tries from outside.
pub(super) async fn examine(outside: &Outside, known: &Known<'_>, findings: &mut Findings) {
    let Some(base) = Base::parse(&outside.url) else {
        return findings.problem(
            "outside",
            "--url is no address of a gallery",
            "give it as in the browser, without user and password: https://photos.example.org/",
        );
    };
    let expected = known.settings.map_or(&*base.prefix, |settings| &settings.url_prefix);
    if base.prefix != expected {
        findings.problem(
            "outside-url",
            format!("--url says that the gallery is at {:?}, url_prefix says {expected:?}", base.prefix),
            "make both the same: judged by a wrong prefix, every file is unknown",
        );
    }
    let Some(visitor) = HttpVisitor::new(base, outside.insecure, outside.resolve.clone()) else {
        return findings.warn(
            "outside",
            "not examined: the program curl is not installed",
            "apt install curl",
        );
    };
    if !is_there(&visitor, findings).await {
        return;
    }
    let locked = match known.gate {
        Some((_, ready)) => {
            ready.database.door_and_session("", false).await.is_ok_and(|door| door.gallery_locked)
        }
        None => false,
    };
    let mut tries = Tries {
        visitor: &visitor,
        known,
        findings,
        came: BTreeSet::new(),
        redirects: Vec::new(),
        paths: Vec::new(),
        trouble: None,
        complaints: Vec::new(),
        silent: false,
        nothing_comes: false,
        locked,
        placeholder: None,
    };
    // This comes first because it needs few requests, while each site of the gallery uses a share of the
    // limit.
    tries.shut().await;
    if let (Some((gate, ready)), Some(inspection)) = (known.gate, known.inspection) {
        let chooser = Chooser { root: known.root, gate, ready, inspection };
        if let Err(error) = tries.pictures(&chooser).await {
            tries.findings.not_examined("outside-original", &error.to_string());
        }
        if let Some(cookies) = &outside.cookies
            && let Err(error) = tries.session(&chooser, cookies).await
        {
            tries.findings.not_examined("outside-session", &error.to_string());
        }
    } else {
        let why = "which picture is private is known only when configuration and database are in order";
        tries.findings.not_examined_without(Without::Database, "outside-original", why);
        if outside.cookies.is_some() {
            tries.findings.not_examined_without(Without::Database, "outside-session", why);
        }
    }
    tries.conclude();
    let with_cookies = match visitor.asked_with_cookies() {
        0 => String::new(),
        count => format!(", {count} of them with the cookies"),
    };
    let count = visitor.asked();
    findings.note(
        "outside",
        format!("{count} requests were made, as a guest{with_cookies}; refused ones are in the gate's log"),
    );
}

/// Whether a web server answers at the address without a redirect to another one.
async fn is_there(visitor: &HttpVisitor, findings: &mut Findings) -> bool {
    let Base { origin, prefix } = &visitor.base;
    let answer = match visitor.ask(Method::Get, &format!("{prefix}/"), &[]).await {
        Ok(answer) => answer,
        Err(complaint) => {
            findings.problem(
                "outside",
                format!("no answer from {origin}: {}", shown(&complaint)),
                "check --url; for a certificate of your own say --insecure, for a name that is not known here \
                 --resolve HOST:PORT:ADDRESS",
            );
            return false;
        }
    };
    let elsewhere = answer
        .header("location")
        .and_then(Base::parse)
        .filter(|base| (300..400).contains(&answer.status) && base.origin != *origin);
    if let Some(base) = elsewhere {
        findings.problem(
            "outside",
            format!("{origin} redirects to {}", shown(&base.origin)),
            format!("say --url {}{prefix}/", shown(&base.origin)),
        );
        return false;
    }
    match answer.status {
        401 => {
            findings.warn(
                "outside",
                format!(
                    "{origin}{prefix}/ asks for a password of its own: behind it nothing can be examined"
                ),
                "run doctor against an address that does not, or trust that password",
            );
            false
        }
        status @ 500.. => {
            findings.warn(
                "outside",
                format!("{origin}{prefix}/ answers {status}: PHP does not run, or Piwigo fails"),
                "look into the web server's error log",
            );
            true
        }
        404 => {
            findings.warn(
                "outside",
                format!("{origin}{prefix}/ answers 404: is that the gallery?"),
                "give the address under which the gallery's first page opens",
            );
            true
        }
        status => {
            findings.ok("outside", format!("{origin}{prefix}/ answers {status}"));
            true
        }
    }
}

impl Tries<'_> {
    /// Sends one request and notes what its answer reveals besides the file; `None`: curl failed.
    async fn ask(&mut self, method: Method, target: &str, headers: &[&str]) -> Option<Fetched> {
        if self.complaints.len() >= MAX_FAILURES {
            return None;
        }
        let answer = self.visitor.ask(method, target, headers).await;
        self.noted(target, answer)
    }

    /// Sends a GET request with cookies.
    async fn ask_with(&mut self, cookies: &Cookies, target: &str) -> Option<Fetched> {
        if self.complaints.len() >= MAX_FAILURES {
            return None;
        }
        let answer = self.visitor.ask_with(cookies, target).await;
        self.noted(target, answer)
    }

    fn noted(&mut self, target: &str, answer: Result<Fetched, String>) -> Option<Fetched> {
        match answer {
            Ok(answer) => {
                if let Some(name) = answer.redirect_header() {
                    self.redirects.push(format!("{target} ({name})"));
                }
                if answer.betrays(&self.known.root.to_string_lossy()) {
                    self.paths.push(target.to_owned());
                }
                Some(answer)
            }
            Err(complaint) => {
                self.complaints.push(format!("{target}: {complaint}"));
                None
            }
        }
    }

    /// What an answer means, given the gallery's other answers.
    fn gist(&self, answer: &Fetched, sample: Option<&Sample>) -> Gist {
        let is_placeholder =
            !answer.body.is_empty() && self.placeholder.as_ref().is_some_and(|body| *body == answer.body);
        match answer.gist(sample) {
            Gist::Leak if is_placeholder => Gist::Closed,
            Gist::Trouble if self.locked && answer.status == 503 => Gist::Closed,
            gist => gist,
        }
    }

    /// Tries `targets` for a file that must not come, and reports the result. `what` names the file.
    async fn must_not_come(
        &mut self,
        id: &'static str,
        what: &str,
        targets: &[(Method, String)],
        sample: Option<&Sample>,
        remedy: &str,
    ) {
        let (mut leaks, mut closed, mut trouble) = (Vec::new(), 0, None);
        for (method, target) in targets {
            let Some(answer) = self.ask(*method, target, &[]).await else { continue };
            match self.gist(&answer, sample) {
                Gist::Leak => {
                    self.came.insert(target.clone());
                    leaks.push(match method {
                        Method::Get => target.clone(),
                        Method::Head => format!("HEAD {target}"),
                        Method::Post => format!("POST {target}"),
                    });
                }
                Gist::Closed => closed += 1,
                Gist::Trouble => trouble = Some((target.clone(), answer.status)),
            }
        }
        if !leaks.is_empty() {
            self.findings.problem(id, format!("{what} comes to everybody: {}", some(&leaks)), remedy);
        } else if closed > 0 {
            let forms = match targets {
                [(_, only)] => format!(": {only}"),
                many => format!(", asked for in {} ways", many.len()),
            };
            self.findings.ok(id, format!("{what} is refused to a guest{forms}"));
        } else if let Some(trouble) = trouble {
            // Some servers fail on an odd spelling. The gate is away only if no other target gets an
            // answer.
            self.trouble.get_or_insert(trouble);
            let why = format!("{what}: the server was in trouble");
            self.findings.not_examined_without(Without::Answer, id, &why);
        } else {
            self.silent |= id == "outside-original";
            let why = format!("{what}: there was no answer");
            self.findings.not_examined_without(Without::Answer, id, &why);
        }
    }

    /// Reports what is known only after all answers.
    fn conclude(&mut self) {
        if let Some((target, status)) = &self.trouble {
            self.findings.problem(
                "outside-gate",
                format!("the server answers {status} to {}: the gate does not run, or the server does not reach it", shown(target)),
                "start the gate; see that the web server's user may write to its socket (socket, above); a gate without its \
                 database, or a locked gallery, answers 503 too; if it is action.php alone, correct PHP's socket (config --php-socket)",
            );
        }
        if self.redirects.is_empty() {
            self.findings
                .ok("outside-redirect-header", "no header that is meant for the server reaches the visitor");
        } else {
            self.findings.problem(
                "outside-redirect-header",
                format!("a header that is meant for the server reaches the visitor: {}", some(&self.redirects)),
                "this server does not understand it: set GATE_DELIVER in its file (or deliver in gate.toml) to what it does: \
                 x-accel-redirect for nginx, x-sendfile for Apache with mod_xsendfile, location for .htaccess",
            );
        }
        if self.paths.is_empty() {
            self.findings.ok("outside-paths", "no answer tells where the gallery lies on this machine");
        } else {
            self.findings.problem(
                "outside-paths",
                format!("answers tell where the gallery lies on this machine: {}", some(&self.paths)),
                "set display_errors = Off for PHP, and take such headers out of the server's configuration",
            );
        }
        let rest = if self.complaints.len() < MAX_FAILURES { "" } else { "; no more was asked" };
        if self.silent && !self.complaints.is_empty() {
            self.findings.problem(
                "outside-requests",
                format!("the server answers, but not for pictures: {}{rest}", some(&self.complaints)),
                "look into the server's error log: a gate that the server cannot start (gate.fcgi must be executable, and for this kind \
                 of processor), or that hangs, makes it wait",
            );
        } else if !self.complaints.is_empty() {
            self.findings.warn(
                "outside-requests",
                format!("{}{rest}", some(&self.complaints)),
                "try again; if it stays, look into the server's log",
            );
        }
    }
}
