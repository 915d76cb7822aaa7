//! A gallery's own settings as typed values, taken from Piwigo's files and its config table.

use super::layout::Layout;
use super::sizes::stored::DerivativeConfig;
use super::visitor::Status;

/// A gallery's settings.
#[derive(Debug)]
pub struct Gallery {
    /// Where the gallery's directories are.
    pub layout: Layout,
    /// `upload_dir`, relative and with its trailing slash; `None` if it is outside the gallery's root or if
    /// PHP code computes it.
    pub upload_dir: Option<String>,
    /// The enabled sizes.
    pub derivatives: DerivativeConfig,
    /// `session_save_handler` if it is not `db`. PHP then stores the sessions outside the database.
    pub foreign_sessions: Option<String>,
    /// The name of the session cookie, for sessions in the database.
    pub session_name: String,
    /// Whether a session is bound to the visitor's address.
    pub session_use_ip_address: bool,
    /// The user id of the guest account.
    pub guest_id: u32,
    /// The user id whose values apply to an account that has none of its own (external authentication).
    pub default_user_id: u32,
    /// The user id of the gallery's owner.
    pub webmaster_id: u32,
    /// The name of the remember-me cookie.
    pub remember_me_name: String,
    /// How long a remember-me cookie is valid, in seconds.
    pub remember_me_length: u64,
    /// Whether Piwigo signs the web server's user in as the Piwigo account of that name.
    pub apache_authentication: bool,
    /// Whether accounts come from another program and may lack a row in `user_infos`.
    pub external_authentification: bool,
    /// A derivative with fewer pixels than this carries no metadata.
    pub strip_metadata_below: u32,
    /// Which downloads Piwigo records in its history.
    pub history: History,
    /// Whether guests may see anything.
    pub guest_access: bool,
    /// The extensions that Piwigo shows as pictures, in lower case.
    pub picture_extensions: Vec<String>,
    /// Whether Piwigo offers other formats of a photo.
    pub formats: bool,
    /// How Piwigo's pages link to a resized picture. 0: by its path if the file exists, else by `i.php`; 1:
    /// by its path; 2: by `i.php`; `None` if PHP code computes it. The gate judges all of them; `doctor`
    /// checks that the web server lets them through.
    pub derivative_url_style: Option<u32>,
}

/// The key under which [`ConfigRows`] holds the directories of the table `sites`. No setting of Piwigo has
/// this name.
pub const SITE: &str = "sites.galleries_url";

/// Which downloads go into Piwigo's history (Piwigo: `do_log`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// `log`: downloads are recorded at all.
    pub users: bool,
    /// `history_admin`: also those of administrators.
    pub admins: bool,
    /// `history_guest`: also those of guests.
    pub guests: bool,
}

impl History {
    /// Whether Piwigo records a download by a visitor of this status.
    pub fn records(self, status: Status) -> bool {
        match status {
            Status::Webmaster | Status::Admin => self.users && self.admins,
            Status::Guest => self.users && self.guests,
            _ => self.users,
        }
    }
}

/// Rows of the config table: `param` and `value`.
pub type ConfigRows = [(String, Vec<u8>)];
