//! Tries resized pictures that only Piwigo can make, to see whether the server reaches the PHP that makes
//! them.

use super::curl::Method;
use super::samples::Chooser;
use super::{Tries, shown};
use crate::database::DatabaseError;
use crate::settings::Derivatives;

const ID: &str = "outside-php";

/// Most pictures that are tried until one comes: from a damaged picture Piwigo makes nothing either.
const MOST: usize = 3;

/// The worst answer to a size that only Piwigo can make.
enum Trouble {
    /// The server or PHP failed.
    Failure(String, u16),
    /// The server refused a picture that the gate allows.
    Refusal(String, u16),
}

impl Tries<'_> {
    /// Asks for sizes that a page would request as well. Piwigo makes and keeps them.
    pub(super) async fn made_by_piwigo(&mut self, chooser: &Chooser<'_>) -> Result<(), DatabaseError> {
        // In both cases the answers would say nothing about PHP.
        if self.trouble.is_some() || self.nothing_comes {
            return Ok(());
        }
        let makes = chooser.gate.settings().derivatives == Derivatives::Generate;
        let mut trouble = None;
        for uri in chooser.left_to_piwigo(MOST).await? {
            let target = format!("{}{uri}", self.visitor.base.prefix);
            let Some(answer) = self.ask(Method::Get, &target, &[]).await else { continue };
            match answer.status {
                200..=399 => {
                    self.findings
                        .ok(ID, format!("a resized picture that only Piwigo can make comes: {target}"));
                    return Ok(());
                }
                status @ 500.. => trouble = Some(Trouble::Failure(target, status)),
                status if trouble.is_none() => trouble = Some(Trouble::Refusal(target, status)),
                _ => {}
            }
        }
        match trouble {
            Some(Trouble::Failure(target, status)) => self.findings.problem(
                ID,
                format!(
                    "the server answers {status} to {}, a resized picture that only Piwigo can make: the server does not reach \
                     PHP, or PHP fails",
                    shown(&target)
                ),
                "let the gate's file name the same PHP socket or address as the site's own lines (piwigo-gate config … --php-socket) \
                 and see that this pool runs; the error logs of the server and of PHP say more",
            ),
            Some(Trouble::Refusal(target, status)) => {
                let what = format!(
                    "the server answers {status} to {}, a resized picture that only Piwigo can make and that a guest may see",
                    shown(&target)
                );
                let pool = "where the server can send requests on to i.php (nginx, Caddy, Apache with mod_fcgid), let the gate's file \
                            name the PHP pool of this gallery (piwigo-gate config … --php-socket)";
                if makes {
                    self.findings.advise(ID, what, format!("{pool}; elsewhere pictures that the gate cannot read have no sizes"));
                } else {
                    let generate = "elsewhere let the gate make them (derivatives = \"generate\")";
                    self.findings.warn(ID, what, format!("{pool}; {generate}"));
                }
            }
            None => {}
        }
        Ok(())
    }
}
