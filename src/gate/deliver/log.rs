//! Turns allowed files that cannot be sent into lines of the log: the first of each kind, then one line a
//! minute with the number of all, because a visitor can ask for the same file any number of times. At level
//! `debug` each gets a line.

use std::path::Path;

use crate::files::{LinksTold, Unsendable};
use crate::throttle::Throttle;

/// Counts the files that are not sent, by kind, for all requests.
#[derive(Debug, Default)]
pub struct Log {
    links: LinksTold,
    unreachable: Throttle,
    beside: Throttle,
    program: Throttle,
    blank: Throttle,
    percent: Throttle,
    left_to_piwigo: Throttle,
    strange_source: Throttle,
}

/// Writes a line if `$throttle` allows it; `$level` is the macro that writes it, and the last literal is its
/// text.
macro_rules! tell {
    ($throttle:expr, $level:ident, $($field:tt)*) => {
        match $throttle.count() {
            Some(count) => tracing::$level!(count, $($field)*),
            None => tracing::debug!($($field)*),
        }
    };
}

impl Log {
    /// The file is missing or cannot be reached. A link that is not followed is logged once, whatever the
    /// number of files behind it.
    pub(super) fn unsendable(&self, reason: &Unsendable) {
        match reason {
            Unsendable::Link { link, .. } if self.links.is_new(link) => {
                tracing::warn!(%reason, "an allowed file is not sent; this is said once for each link");
            }
            Unsendable::Link { .. } => tracing::debug!(%reason, "an allowed file is not sent"),
            _ => tell!(self.unreachable, info, %reason, "an allowed file cannot be sent"),
        }
    }

    pub(super) fn beside(&self, file: &str) {
        tell!(
            self.beside,
            info,
            file,
            "a file beside the gallery's directory cannot be sent in this way: refused"
        );
    }

    pub(super) fn program(&self, file: &str) {
        tell!(
            self.program,
            info,
            file,
            "refused: a part of the file's name is an extension of programs, and the web server could run it (AddHandler)"
        );
    }

    pub(super) fn blank(&self, file: &str) {
        tell!(self.blank, info, file, "an allowed file cannot be sent: its name begins or ends with a blank");
    }

    pub(super) fn percent(&self, file: &str) {
        tell!(
            self.percent,
            warn,
            file,
            "an allowed file is not sent: its path holds a %, and the web server's file does not say by GATE_XSENDFILE that the \
             server takes X-Sendfile as it stands. Print that file anew (piwigo-gate config)"
        );
    }

    pub(super) fn left_to_piwigo(&self, file: &str, derivative: &str) {
        tell!(
            self.left_to_piwigo,
            info,
            derivative,
            file,
            "not found: this resized picture is left to Piwigo, and the web server cannot ask its i.php"
        );
    }

    pub(super) fn strange_source(&self, path: &Path) {
        tell!(
            self.strange_source,
            warn,
            ?path,
            "Piwigo would make a derivative from this file of another picture: not made"
        );
    }
}
