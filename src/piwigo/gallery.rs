//! A gallery's own settings, resolved: what Piwigo's files and its config table say, as values.

use super::layout::Layout;
use super::sizes::stored::DerivativeConfig;
use super::visitor::Status;

/// A gallery's settings.
#[derive(Debug)]
pub struct Gallery {
    /// Where its files are.
    pub layout: Layout,
    /// `upload_dir`, relative and with its trailing slash; `None` if it is not below the gallery's root, or
    /// made by code.
    pub upload_dir: Option<String>,
    /// Its enabled sizes.
    pub derivatives: DerivativeConfig,
    /// `session_save_handler` if it is not `db`: PHP keeps the sessions itself.
    pub foreign_sessions: Option<String>,
    /// The session cookie's name, of sessions in the database.
    pub session_name: String,
    /// Whether a session is bound to the visitor's address.
    pub session_use_ip_address: bool,
    /// The guest's user id.
    pub guest_id: u32,
    /// Whose values an account gets that has none of its own (external authentication).
    pub default_user_id: u32,
    /// The gallery's owner.
    pub webmaster_id: u32,
    /// The remember-me cookie's name.
    pub remember_me_name: String,
    /// How long a remember-me cookie counts, in seconds.
    pub remember_me_length: u64,
    /// Whether the web server's own user is a Piwigo user of that name.
    pub apache_authentication: bool,
    /// Whether accounts come from elsewhere and may lack their row of `user_infos`.
    pub external_authentification: bool,
    /// Derivatives of fewer pixels carry no metadata.
    pub strip_metadata_below: u32,
    /// Whose downloads go into Piwigo's history.
    pub history: History,
    /// Whether guests may see anything at all.
    pub guest_access: bool,
    /// What Piwigo shows as a picture, lower case.
    pub picture_extensions: Vec<String>,
    /// Whether other formats of a photo are offered.
    pub formats: bool,
    /// How Piwigo's pages link to a resized picture: 0: by its path if it exists, else by `i.php`, 1: by its
    /// path, 2: by `i.php`; `None` if code makes it. The gate judges all of them; `doctor` looks whether the
    /// web server lets them through.
    pub derivative_url_style: Option<u32>,
}

/// Under this name the directories of the table `sites` stand among the rows of the config table, where no
/// setting has it.
pub const SITE: &str = "sites.galleries_url";

/// Whose downloads go into Piwigo's history (Piwigo: `do_log`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// `log`: anybody's.
    pub users: bool,
    /// `history_admin`: admins' too.
    pub admins: bool,
    /// `history_guest`: guests' too.
    pub guests: bool,
}

impl History {
    /// Whether a visitor of this status is recorded.
    pub fn records(self, status: Status) -> bool {
        match status {
            Status::Webmaster | Status::Admin => self.users && self.admins,
            Status::Guest => self.users && self.guests,
            _ => self.users,
        }
    }
}

/// Rows of the config table: param and value.
pub type ConfigRows = [(String, Vec<u8>)];
