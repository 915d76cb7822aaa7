//! The visitor whose rights the gate judges: account, status, level, and how the gate recognised the account.

/// The account, or guest, that a request acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// `users.id`; the key of the visitor's grants.
    pub id: u32,
    /// The effective status. It is always guest for the guest's own id.
    pub status: Status,
    /// `user_infos.level`.
    pub level: u32,
    /// `user_infos.enabled_high`: the right to originals.
    pub enabled_high: bool,
    /// How the gate recognised the account.
    pub identity: Identity,
}

impl Visitor {
    /// Returns a visitor who may see nothing, for an account whose rows are incomplete.
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
    /// A visitor who is not signed in.
    Guest,
    /// No usable status: the visitor may see nothing.
    Unknown,
}

impl Status {
    /// Parses the column.
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

/// How the gate recognised a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Not at all: the guest.
    Guest,
    /// By a session whose second factor is missing; the visitor counts as the guest.
    Unfinished,
    /// By the session cookie.
    Session,
    /// By the remember-me cookie.
    RememberMe,
    /// By the web server's own user.
    RemoteUser,
    /// By a key that Piwigo mailed.
    MailedKey,
    /// By an API key.
    ApiKey,
}

impl Identity {
    /// The reason, for the log and for `check`, why a visitor who named an account still counts as a guest.
    pub fn why_guest(self) -> Option<&'static str> {
        (self == Identity::Unfinished).then_some(
            "the second factor of the session's sign-in is missing (tf_tries_validated of the plugin two_factor)",
        )
    }
}
