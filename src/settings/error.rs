//! Turns each fault of a set-up into one sentence that tells the administrator what to do.

use std::path::PathBuf;

use crate::database::{AddressError, DatabaseError};
use crate::server::listen::ListenError;

/// Why a set-up cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No address to listen at was given.
    #[error(
        "no address to listen on given: say --listen unix:/run/piwigo-gate/gate.sock, or another address"
    )]
    NoListen,
    /// No gallery was named, and the program does not lie in one.
    #[error("no gallery given: say --gallery DIR, the directory that holds Piwigo's index.php and local/")]
    NoGallery,
    /// The directory is no Piwigo.
    #[error("{0} is no installed Piwigo: it has no local/config/database.inc.php; check --gallery")]
    NotAGallery(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {path}: {error}; {}", remedy(error))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A settings file is too large.
    #[error("{0} is too large for a settings file")]
    TooLarge(PathBuf),
    /// `gate.toml` cannot be parsed.
    #[error("{path}, line {line}: {message}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A setting has an invalid value.
    #[error("{setting} is {value:?}: {expected}")]
    Value {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        expected: &'static str,
    },
    /// PHP code that only PHP can evaluate sets one of Piwigo's keys.
    #[error(
        "{file}, line {line}: {key} is set by code that only PHP can run; put its value into gate.toml: \
         [piwigo] {toml_key} = …"
    )]
    NotUnderstood {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u32,
        /// The key as Piwigo spells it.
        key: String,
        /// The key to set in `gate.toml`.
        toml_key: String,
    },
    /// One of Piwigo's settings files includes another file.
    #[error(
        "{file}, line {line}: settings of included files are not read; put those that Piwigo needs into gate.toml, \
         [piwigo], and say ignore_includes = true there (above [piwigo])"
    )]
    Included {
        /// The including file.
        file: String,
        /// The line, from 1.
        line: u32,
    },
    /// One of Piwigo's keys has a type that the gate cannot use.
    #[error("Piwigo's setting {key} is not {expected}; correct it, or set [piwigo] {key} in gate.toml")]
    PiwigoType {
        /// The key.
        key: String,
        /// The type it must have.
        expected: &'static str,
    },
    /// A key in `[piwigo]` is unknown to the gate, most likely misspelt.
    #[error("[piwigo] {key} in gate.toml is no setting of Piwigo's that the gate uses; {known}")]
    PiwigoUnknown {
        /// The key.
        key: String,
        /// The nearest known name, or all known names, as a phrase.
        known: String,
    },
    /// A key that every gallery needs is missing.
    #[error(
        "Piwigo's setting {0} is missing from local/config/database.inc.php: is the installation finished?"
    )]
    PiwigoMissing(String),
    /// Piwigo does not keep its sessions in the database.
    #[error(
        "session_save_handler is {0:?}: PHP keeps the sessions itself; if it keeps them in files, set session_files in \
         gate.toml to their directory (session.save_path of the gallery's PHP), else remove that line from \
         local/config/config.inc.php (Piwigo's default is 'db')"
    )]
    SessionsElsewhere(String),
    /// The system does not let this process receive signals.
    #[error("cannot listen to signals: {0}; raise the limits of the gate's user")]
    Signal(std::io::Error),
    /// The database's address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The listening address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The database itself refuses.
    #[error("the database ({address}) refuses: {error}; {advice}")]
    Database {
        /// Where it is.
        address: String,
        /// What it said.
        error: DatabaseError,
        /// What to do.
        advice: &'static str,
    },
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => "run the gate as PHP's user, or let its user read that file",
        std::io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "check its path",
    }
}
