//! Asks with a visitor's cookies: which account Piwigo finds for them, and whether the gate gives that
//! account what it may see and nothing else. The most common fault is that PHP and the gate are told
//! different addresses of the visitor.

use super::causes::{self, Network, Setup, View};
use super::closed::{face, unknown};
use super::curl::Cookies;
use super::leak::{Fetched, Gist, Sample};
use super::samples::{Chooser, Granted};
use super::{Tries, Without, shown, some};
use crate::database::DatabaseError;
use crate::piwigo::session;
use crate::verdict::session_files::DEFAULT_COOKIE;

/// The request by which Piwigo says which account it finds.
const STATUS: &str = "ws.php?format=json&method=pwg.session.getStatus";

/// The names of the findings on what the account may and must not have.
const ALLOWED: &str = "outside-session-allowed";
const DENIED: &str = "outside-session-denied";

/// The account that PHP finds for the cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// The account's name.
    Account(String),
    Guest,
    /// No usable answer, and why.
    Nothing(String),
}

impl Said {
    /// Reads Piwigo's answer. Only the name is repeated: the answer also contains a token, which is the
    /// visitor's secret.
    fn read(answer: &Fetched) -> Self {
        let nothing = |why: &str| Said::Nothing(format!("answers {}{why}", answer.status));
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&answer.body) else {
            return nothing(", which is not Piwigo's answer");
        };
        let result = &json["result"];
        match (json["stat"].as_str(), result["username"].as_str(), result["status"].as_str()) {
            (Some("ok"), Some(_), Some("guest")) => Said::Guest,
            (Some("ok"), Some(name), Some(_)) if !name.is_empty() => Said::Account(name.to_owned()),
            _ => nothing(" without saying who it is"),
        }
    }
}

/// The results of asking for what the account may see. Both lists are empty if nothing was asked or no
/// answer came.
#[derive(Default)]
struct Taken {
    came: Vec<String>,
    refused: Vec<String>,
}

impl Tries<'_> {
    /// Asks as the visitor who has `cookies`.
    pub(super) async fn session(
        &mut self,
        chooser: &Chooser<'_>,
        cookies: &Cookies,
    ) -> Result<(), DatabaseError> {
        // This comes before PHP is asked: PHP opens an empty session for a visitor without one.
        let (setup, views) = look(chooser, cookies).await?;
        let said = self.status(cookies).await;
        let signed_in = views.iter().find_map(|view| Some((view.network, view.account?)));
        let (account, who) = match (&said, signed_in) {
            (Said::Account(name), _) => {
                let who = shown(name);
                let by_name = chooser.ready.database.user_by_name(name).await?;
                // Piwigo removes backslashes from a name.
                let Some(id) = by_name.or(signed_in.map(|(_, id)| id)) else {
                    self.findings.warn(
                        "outside-session",
                        format!("PHP knows this visitor as {who}, and no account in the database has that name"),
                        "the gate's database must be PHP's own, and users_table and user_fields those of local/config",
                    );
                    return Ok(());
                };
                self.findings.ok("outside-session", format!("PHP knows this visitor as {who}"));
                (id, who)
            }
            (Said::Guest, None) => {
                self.findings.advise(
                    "outside-session",
                    format!("this cookie is no session (any more): {}", no_session(setup)),
                    format!(
                        "sign in, from this machine or its network, and give the cookie {} that the browser has then",
                        setup.cookie
                    ),
                );
                return Ok(());
            }
            (Said::Nothing(why), None) => {
                self.findings.note(
                    "outside-session",
                    format!(
                        "PHP does not say who this visitor is: {STATUS} {why}; and {}",
                        no_session(setup)
                    ),
                );
                return Ok(());
            }
            (Said::Guest, Some((_, id))) => (id, format!("account {id}")),
            (Said::Nothing(why), Some((_, id))) => {
                self.findings
                    .note("outside-session", format!("PHP does not say who this visitor is: {STATUS} {why}"));
                (id, format!("account {id}"))
            }
        };
        let taken = match chooser.granted(account).await? {
            Some(granted) => self.take(cookies, &granted).await,
            None => Taken::default(),
        };
        let Taken { came, refused } = &taken;
        let from = signed_in.map_or(Network::Any, |(network, _)| network).words();
        match said {
            Said::Account(_) if came.is_empty() && self.nothing_comes => {
                self.findings.not_examined(ALLOWED, "not even an open picture comes (outside-allowed)");
            }
            Said::Account(_) if came.is_empty() && !refused.is_empty() => {
                let (what, remedy) = causes::causes(setup, &views, account);
                self.findings.problem(
                    ALLOWED,
                    format!("PHP knows {who}, and the gate refuses what {who} may see: {}; {what}", some(refused)),
                    remedy,
                );
            }
            Said::Guest if came.is_empty() => {
                self.findings.advise(
                    "outside-session",
                    format!("this cookie is a session of {who}, opened from {from}; asked from this machine, PHP takes it for none"),
                    "a session counts only for the network that it was opened from: sign in from this machine (a browser by \
                     ssh -D), and give that cookie",
                );
                return Ok(());
            }
            Said::Guest => self.findings.warn(
                "outside-session",
                format!("the gate knows this visitor as {who}, and PHP as a guest: {} comes", some(came)),
                "pass the same REMOTE_ADDR to PHP and to the gate (client=… in its log)",
            ),
            Said::Nothing(_) if came.is_empty() && !refused.is_empty() => self.findings.note(
                ALLOWED,
                format!("the cookie is a session of {who}, opened from {from}, and asked from this machine the gate takes it for none"),
            ),
            Said::Account(_) | Said::Nothing(_) => self.told(&taken, &who),
        }
        if !taken.came.is_empty() {
            self.percent_signs(chooser, Some((account, cookies))).await?;
        }
        self.withheld(chooser, cookies, account, &who).await
    }

    async fn status(&mut self, cookies: &Cookies) -> Said {
        let target = format!("{}/{STATUS}", self.visitor.base.prefix);
        match self.ask_with(cookies, &target).await {
            Some(answer) => match Said::read(&answer) {
                // The report shows the name.
                Said::Account(name) if cookies.are_in(&name) => {
                    Said::Nothing(format!("answers {} with the cookie in the place of a name", answer.status))
                }
                said => said,
            },
            None => Said::Nothing("gives no answer".to_owned()),
        }
    }

    /// Asks for what the account may see.
    async fn take(&mut self, cookies: &Cookies, granted: &Granted) -> Taken {
        let mut taken = Taken::default();
        // For each picture that came: whether a cache gives it to others, if that could be told.
        let mut kept = Vec::new();
        for sample in [&granted.original, &granted.derivative].into_iter().flatten() {
            let target = format!("{}{}", self.visitor.base.prefix, sample.uri);
            let is_kept = self.is_kept(cookies, &target, sample).await;
            if is_kept == Some(true) {
                kept.push(true);
                taken.came.push(target);
                continue;
            }
            let Some(answer) = self.ask_with(cookies, &target).await else { continue };
            match self.gist(&answer, Some(sample)) {
                Gist::Leak if answer.status == 200 => {
                    if is_kept.is_some() {
                        kept.push(self.comes_to_a_stranger(&target, sample).await);
                    }
                    taken.came.push(target);
                }
                Gist::Trouble => drop(self.trouble.get_or_insert((target, answer.status))),
                _ => taken.refused.push(format!("{target} ({})", answer.status)),
            }
        }
        if !kept.is_empty() && !kept.contains(&true) {
            self.nothing_is_kept();
        }
        taken
    }

    /// Reports the results, except for a gate that does not know the visitor.
    fn told(&mut self, taken: &Taken, who: &str) {
        match taken {
            Taken { came, refused } if came.is_empty() && refused.is_empty() && self.trouble.is_some() => {
                let why = format!("what {who} may see: the server was in trouble");
                self.findings.not_examined_without(Without::Answer, ALLOWED, &why);
            }
            Taken { came, refused } if came.is_empty() && refused.is_empty() => self.findings.not_examined(
                ALLOWED,
                &format!(
                    "there is no picture that {who} may see and a guest may not (or no answer); give the cookie of another \
                     account"
                ),
            ),
            Taken { came, refused } if refused.is_empty() => self.findings.ok(
                ALLOWED,
                format!("what {who} may see, and no guest, comes: {}", some(came)),
            ),
            Taken { refused, .. } => self.findings.problem(
                ALLOWED,
                format!("the gate knows {who}, and not all that this account may see comes: {}", some(refused)),
                "see what piwigo-gate check --user says of it; if that says ALLOWED, the server does not send what the gate \
                 allows: see its error log, and whether its user may read the file",
            ),
        }
    }

    /// Reports whether files that the account must not have are refused and look as if they did not exist.
    async fn withheld(
        &mut self,
        chooser: &Chooser<'_>,
        cookies: &Cookies,
        account: u32,
        who: &str,
    ) -> Result<(), DatabaseError> {
        let Some(closed) = chooser.closed("", Some(account)).await? else {
            self.findings.not_examined(DENIED, &format!("there is no picture that {who} must not see"));
            return Ok(());
        };
        let prefix = self.visitor.base.prefix.clone();
        let (mut leaks, mut different, mut same) = (Vec::new(), Vec::new(), Vec::new());
        for sample in [Some(&closed.original), closed.derivative.as_ref()].into_iter().flatten() {
            let targets = [format!("{prefix}{}", sample.uri), format!("{prefix}{}", unknown(&sample.uri))];
            let Some(denied) = self.ask_with(cookies, &targets[0]).await else { continue };
            let Some(nothing) = self.ask_with(cookies, &targets[1]).await else { continue };
            match self.gist_beside(&denied, sample, &nothing) {
                Gist::Leak => leaks.push(targets[0].clone()),
                Gist::Trouble => drop(self.trouble.get_or_insert((targets[0].clone(), denied.status))),
                Gist::Closed if face(&denied) == face(&nothing) => same.push(targets[0].clone()),
                Gist::Closed => {
                    let [denied_target, unknown_target] = &targets;
                    different.push(format!(
                        "{denied_target} ({}) and {unknown_target} ({})",
                        denied.status, nothing.status
                    ));
                }
            }
        }
        if !leaks.is_empty() {
            self.findings.problem(
                DENIED,
                format!("what {who} must not see comes: {}", some(&leaks)),
                "see what piwigo-gate check --user says of it; if that says DENIED, the server does not ask the gate: put the \
                 shipped file for it first into the gallery's part of its configuration",
            );
        } else if !different.is_empty() {
            self.findings.problem(
                DENIED,
                format!("what {who} must not see looks different from what does not exist: {}", some(&different)),
                "let the gate answer for every file of the guarded directories, and no try_files or error_page of the server's \
                 own before it",
            );
        } else if same.is_empty() {
            let why = "what this visitor must not see: the server was in trouble";
            self.findings.not_examined_without(Without::Answer, DENIED, why);
        } else {
            self.findings.ok(
                DENIED,
                format!("what {who} must not see is refused like what does not exist: {}", some(&same)),
            );
        }
        Ok(())
    }

    /// What an answer means, compared with the answer for a file that does not exist: the same picture for
    /// both is no leak.
    fn gist_beside(&self, answer: &Fetched, sample: &Sample, nothing: &Fetched) -> Gist {
        match self.gist(answer, Some(sample)) {
            Gist::Leak if !sample.is_in(&answer.body) && answer.body == nothing.body => Gist::Closed,
            gist => gist,
        }
    }
}

/// What the gate's own code finds out about the session.
async fn look<'a>(chooser: &Chooser<'a>, cookies: &Cookies) -> Result<(Setup<'a>, Vec<View>), DatabaseError> {
    let (gallery, settings) = (&chooser.ready.gallery, chooser.gate.settings());
    let handler = gallery.foreign_sessions.as_deref();
    let cookie = match (handler, &settings.session_files) {
        (None, _) => gallery.session_name.as_str(),
        (Some(_), Some(files)) => &files.cookie,
        (Some(_), None) => DEFAULT_COOKIE,
    };
    let id = session::session_id(cookies.value().as_bytes(), cookie);
    let setup = Setup { cookie, is_named: id.is_some(), handler };
    let mut networks = Vec::new();
    if let (None, Some(id)) = (handler, &id) {
        let prefixes = chooser.inspection.session_prefixes(id).await?;
        let is_bound = gallery.session_use_ip_address;
        networks.extend(prefixes.iter().filter_map(|prefix| Network::parse(prefix, is_bound)));
    }
    let mut views = Vec::new();
    for &network in &networks {
        views.push(View { network, account: chooser.account(cookies, &network.address()).await? });
    }
    if views.is_empty()
        && let Some(account) = chooser.account(cookies, &Network::Any.address()).await?
    {
        // Found by a session file of PHP, or by the remember-me cookie.
        views.push(View { network: Network::Any, account: Some(account) });
    }
    Ok((setup, views))
}

/// Why nobody is signed in.
fn no_session(setup: Setup<'_>) -> String {
    if setup.is_named {
        "nobody is signed in with it".to_owned()
    } else {
        format!("there is no session's id in a cookie called {}", setup.cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_piwigo_says_of_a_visitor() {
        let account = |name: &str| Said::Account(name.to_owned());
        let other = "answers 200 without saying who it is";
        let table = [
            (
                r#"{"stat":"ok","result":{"username":"erin","status":"normal","pwg_token":"t0ken"}}"#,
                account("erin"),
            ),
            (r#"{"stat":"ok","result":{"username":"Zo\u00eb","status":"webmaster"}}"#, account("Zoë")),
            (r#"{"stat":"ok","result":{"username":"guest","status":"guest"}}"#, Said::Guest),
            (r#"{"stat":"ok","result":{"username":"","status":"normal"}}"#, Said::Nothing(other.to_owned())),
            (r#"{"stat":"fail","err":501,"message":"t0ken"}"#, Said::Nothing(other.to_owned())),
            ("[]", Said::Nothing(other.to_owned())),
            ("<html>t0ken", Said::Nothing("answers 200, which is not Piwigo's answer".to_owned())),
        ];
        for (body, expected) in table {
            let answer = Fetched { status: 200, headers: Vec::new(), body: body.into() };
            assert_eq!(Said::read(&answer), expected, "{body}");
        }
    }
}
