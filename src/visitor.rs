//! The session cookie and the client's address in, a [`Visitor`] out: who Piwigo would say is asking
//! (PIWIGO.md §1.8). Anything that is not certain is the guest, or nobody.

use crate::database::UserRow;
use crate::piwigo::session;

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

    /// Whether this status reaches Piwigo's access level GUEST (PIWIGO.md §1.9).
    pub fn may_enter(self, guest_access: bool) -> bool {
        match self {
            Status::Guest => guest_access,
            Status::Unknown => false,
            _ => true,
        }
    }
}

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
}

impl Visitor {
    /// Who may see nothing: the account's rows are incomplete.
    pub fn nobody(id: u32) -> Self {
        Visitor { id, status: Status::Unknown, level: 0, enabled_high: false }
    }

    /// Picks the visitor out of the rows of `signed_in` (from the session, if any) and of the guest.
    ///
    /// A deleted account is the guest. An account whose status is `guest` is Piwigo's deactivated account: judged
    /// as the guest, not by the grants it still has. A missing `user_infos` row is nobody.
    pub fn choose(rows: &[UserRow], signed_in: Option<u32>, guest_id: u32) -> Self {
        let row = |id: u32| rows.iter().find(|row| row.id == id);
        if let Some(id) = signed_in.filter(|&id| id != guest_id)
            && let Some(account) = row(id)
        {
            let Some(infos) = &account.infos else { return Visitor::nobody(id) };
            let status = Status::from_column(&infos.status);
            if status != Status::Guest {
                return Visitor { id, status, level: infos.level, enabled_high: infos.enabled_high };
            }
        }
        match row(guest_id).and_then(|guest| guest.infos.as_ref()) {
            Some(infos) => Visitor {
                id: guest_id,
                status: Status::Guest,
                level: infos.level,
                enabled_high: infos.enabled_high,
            },
            None => Visitor::nobody(guest_id),
        }
    }
}

/// The id of the row of `sessions` that a request's cookie names, if it names one.
pub fn session_row_id(
    cookies: &[u8],
    cookie_name: &str,
    use_ip_address: bool,
    remote_addr: &str,
) -> Option<String> {
    let id = session::session_id(cookies, cookie_name)?;
    session::session_row_id(use_ip_address, remote_addr, &id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::UserInfos;

    fn row(id: u32, status: &str, level: u32, enabled_high: bool) -> UserRow {
        UserRow { id, infos: Some(UserInfos { status: status.into(), level, enabled_high }) }
    }

    #[test]
    fn who_is_asking() {
        let rows = [
            row(1, "webmaster", 8, true),
            row(2, "admin", 8, true),
            row(5, "normal", 4, false),
            row(6, "guest", 8, true),
            row(8, "superhero", 8, true),
            UserRow { id: 7, infos: None },
        ];
        let guest = Visitor { id: 2, status: Status::Guest, level: 8, enabled_high: true };
        let table = [
            (None, guest.clone(), "no session"),
            (Some(2), guest.clone(), "the guest's own id is forced to status guest"),
            (
                Some(1),
                Visitor { id: 1, status: Status::Webmaster, level: 8, enabled_high: true },
                "webmaster",
            ),
            (Some(5), Visitor { id: 5, status: Status::Normal, level: 4, enabled_high: false }, "normal"),
            (Some(6), guest.clone(), "a deactivated account is the guest"),
            (Some(99), guest, "a deleted account is the guest"),
            (Some(7), Visitor::nobody(7), "no user_infos row"),
            (Some(8), Visitor { id: 8, status: Status::Unknown, level: 8, enabled_high: true }, "status"),
        ];
        for (signed_in, expected, why) in table {
            assert_eq!(Visitor::choose(&rows, signed_in, 2), expected, "{why}");
        }
        assert_eq!(Visitor::choose(&[], None, 2), Visitor::nobody(2), "no guest account");
    }

    #[test]
    fn guests_enter_only_where_guest_access_is_on() {
        assert!(Status::Guest.may_enter(true) && !Status::Guest.may_enter(false));
        assert!(Status::Generic.may_enter(false) && !Status::Unknown.may_enter(true));
    }
}
