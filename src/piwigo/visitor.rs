//! The visitor whose rights are judged: account, status and level, and how the account was recognised.

/// The person, or guest, who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// `users.id`; grants are looked up under it.
    pub id: u32,
    /// The status that counts: forced to guest for the guest's own id.
    pub status: Status,
    /// `user_infos.level`.
    pub level: u32,
    /// `user_infos.enabled_high`: the right to originals.
    pub enabled_high: bool,
    /// By what they are known.
    pub identity: Identity,
}

impl Visitor {
    /// Who may see nothing: the account's rows are incomplete.
    pub fn nobody(id: u32, identity: Identity) -> Self {
        Visitor { id, status: Status::Unknown, level: 0, enabled_high: false, identity }
    }
}

/// `user_infos.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The gallery's owner.
    Webmaster,
    /// An administrator.
    Admin,
    /// An ordinary account.
    Normal,
    /// A shared account.
    Generic,
    /// Nobody signed in.
    Guest,
    /// No usable status: may see nothing.
    Unknown,
}

impl Status {
    /// Reads the column.
    pub fn from_column(value: &str) -> Self {
        match value {
            "webmaster" => Status::Webmaster,
            "admin" => Status::Admin,
            "normal" => Status::Normal,
            "generic" => Status::Generic,
            "guest" => Status::Guest,
            _ => Status::Unknown,
        }
    }

    /// Piwigo's `is_admin`.
    pub fn is_admin(self) -> bool {
        matches!(self, Status::Webmaster | Status::Admin)
    }

    /// Whether this status reaches Piwigo's access level GUEST (docs/spec/piwigo.md §2.9).
    pub fn may_enter(self, guest_access: bool) -> bool {
        match self {
            Status::Guest => guest_access,
            Status::Unknown => false,
            _ => true,
        }
    }
}

/// By what a visitor is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By nothing: the guest.
    Guest,
    /// By a session whose second factor is missing, and therefore as the guest.
    Unfinished,
    /// The session cookie.
    Session,
    /// The remember-me cookie.
    RememberMe,
    /// The web server's own user.
    RemoteUser,
    /// A key that Piwigo mailed.
    MailedKey,
    /// An API key.
    ApiKey,
}

impl Identity {
    /// Why a visitor who has named an account counts as a guest all the same, in words for the log and for
    /// `check`.
    pub fn why_guest(self) -> Option<&'static str> {
        (self == Identity::Unfinished).then_some(
            "the second factor of the session's sign-in is missing (tf_tries_validated of the plugin two_factor)",
        )
    }
}
