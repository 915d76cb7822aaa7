//! Tries pictures with a percent sign in their paths: a server that decodes such a path once more sends
//! another file, or none. Apache's `mod_xsendfile` in Debian 13 does, unless the configuration forbids it.

use super::curl::{Cookies, Method};
use super::samples::Chooser;
use super::{Tries, some};
use crate::database::DatabaseError;

/// Most pictures that are tried.
const MAX_PICTURES: usize = 3;

impl Tries<'_> {
    /// Asks for pictures that a guest may have, or that `account` may have, with its cookies. Reports
    /// nothing if there are none, or if no open picture comes.
    pub(super) async fn percent_signs(
        &mut self,
        chooser: &Chooser<'_>,
        account: Option<(u32, &Cookies)>,
    ) -> Result<(), DatabaseError> {
        const ID: &str = "outside-percent";
        if self.nothing_comes {
            return Ok(());
        }
        let samples = chooser.with_percent(account.map(|(id, _)| id), MAX_PICTURES).await?;
        let (mut came, mut others, mut none) = (Vec::new(), Vec::new(), Vec::new());
        for sample in samples {
            let target = format!("{}{}", self.visitor.base.prefix, sample.uri);
            let answer = match account {
                Some((_, cookies)) => self.ask_with(cookies, &target).await,
                None => self.ask(Method::Get, &target, &[]).await,
            };
            match answer {
                Some(answer) if sample.is_in(&answer.body) => came.push(target),
                Some(answer) if matches!(answer.status, 200 | 206) => others.push(target),
                Some(answer) => none.push(format!("{target} ({})", answer.status)),
                None => {}
            }
        }
        if !others.is_empty() {
            self.findings.problem(
                ID,
                format!("another file comes in the place of an allowed one, perhaps a private one: {}", some(&others)),
                "the server decodes the path that the gate gives it once more: with mod_xsendfile say XSendFileUnescape Off, as the \
                 shipped file does: print it anew (piwigo-gate config)",
            );
        } else if !none.is_empty() {
            self.findings.problem(
                ID,
                format!("a picture with a % in its path does not come to who may have it: {}", some(&none)),
                "print the server's file anew (piwigo-gate config): it tells the gate by GATE_XSENDFILE how the server reads such a \
                 path; Apache before 2.4.34 cannot tell that, and sends no such file",
            );
        } else if !came.is_empty() {
            self.findings
                .ok(ID, format!("pictures with a % in their paths come as themselves: {}", some(&came)));
        }
        Ok(())
    }
}
