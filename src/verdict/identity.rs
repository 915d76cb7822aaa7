//! Turns cookies, keys, the client's address and the web server's own user into the [`Visitor`] that Piwigo
//! would see (docs/spec/piwigo.md §2.7). Evidence that is not certain makes the visitor a guest, or an
//! account without any right.
//!
//! It takes three steps, so that two rounds of database queries are enough: [`Evidence`] is what a request
//! brings, [`Named`] holds the accounts that the evidence names, and [`Named::choose`] picks the one that
//! counts.

use crate::database::{IDS, UserInfos, UserRow};
use crate::http::request::Request;
use crate::piwigo::auth_key::{self, AuthKey};
use crate::piwigo::gallery::Gallery;
use crate::piwigo::remember_me::RememberMe;
use crate::piwigo::session::BoundTo;
use crate::piwigo::visitor::{Identity, Status, Visitor};
use crate::piwigo::{cookie, session};

/// What a request brings to identify its visitor. Nothing in it is verified yet.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The id of the `sessions` row that the session cookie names.
    pub session_row_id: Option<String>,
    /// The remember-me cookie, unless it is too old or dated in the future.
    pub remember_me: Option<RememberMe>,
    /// The user name that the web server has verified, if Piwigo is configured to trust it.
    pub remote_user: Option<String>,
    /// A key from the query or the header.
    pub key: Option<AuthKey>,
}

/// Which address Piwigo binds a session to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionAddress {
    /// The client's address from the web server (`REMOTE_ADDR`), as in every release of Piwigo.
    #[default]
    RemoteAddr,
    /// The first address of the header X-Forwarded-For, if there is one: for a Piwigo whose code (Piwigo:
    /// pull request 2116) or `config.inc.php` was changed to use it.
    XForwardedFor,
}

/// Where the gate looks for keys in a request.
#[derive(Clone, Copy, Debug)]
pub struct KeysFrom {
    /// The parameter `auth` of the query.
    pub query: bool,
    /// The header `X-PIWIGO-API`.
    pub header: bool,
}

impl Evidence {
    /// Reads the cookies, the query and the server's parameters; `now` is in seconds since 1970. The clock is
    /// PHP's, not the database's, because Piwigo compares the remember-me cookie's time with it.
    ///
    /// An X-Forwarded-For header that is not UTF-8 matches no session.
    pub fn read(
        request: &Request<'_>,
        gallery: &Gallery,
        keys: KeysFrom,
        address: SessionAddress,
        now: u64,
    ) -> Self {
        let bound_to = match (address, request.forwarded_for) {
            (SessionAddress::XForwardedFor, Some(value)) => {
                BoundTo::ForwardedFor(std::str::from_utf8(value).unwrap_or_default())
            }
            _ => BoundTo::RemoteAddr(request.remote_addr),
        };
        let session_row_id = session::session_id(&request.cookies, &gallery.session_name)
            .and_then(|id| session::session_row_id(gallery.session_use_ip_address, bound_to, &id));
        let remember_me = cookie::cookie_value(&request.cookies, &gallery.remember_me_name)
            .and_then(|value| RememberMe::parse(&value))
            .filter(|cookie| cookie.is_current(now, gallery.remember_me_length));
        let remote_user = request
            .remote_user
            .filter(|_| gallery.apache_authentication)
            // A name that is not UTF-8 belongs to no account. Replacing its bad bytes could produce another
            // user's name.
            .map(|name| String::from_utf8(name.to_vec()).unwrap_or_default());
        let query = request.uri.splitn(2, |&byte| byte == b'?').nth(1).filter(|_| keys.query);
        let by_query = query.and_then(auth_key::parameter).and_then(|key| AuthKey::parse(&key));
        let by_header = || request.api_key.filter(|_| keys.header).and_then(AuthKey::parse);
        let only_api = |key: &AuthKey| matches!(key, AuthKey::Api { .. });
        let key = by_query.or_else(|| by_header().filter(only_api));
        Evidence { session_row_id, remember_me, remote_user, key }
    }
}

/// The accounts that the evidence names, known after the first round of queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The session's user.
    pub session: Option<u32>,
    /// The session has not passed its second factor yet.
    pub is_unfinished: bool,
    /// The remember-me cookie's user; the cookie's signature is not verified yet.
    pub remember_me: Option<u32>,
    /// The user that the web server has verified; `Some(None)` if Piwigo has no such account, which makes the
    /// visitor a guest.
    pub remote_user: Option<Option<u32>>,
    /// The user of a valid key (secret, expiry and revocation are checked), and the kind of key.
    pub key: Option<(u32, Identity)>,
}

impl Named {
    /// The ids of all accounts that [`Named::choose`] needs, with the guest's id in each unused place.
    pub fn ids(&self, gallery: &Gallery) -> [u32; IDS] {
        let guest = gallery.guest_id;
        [
            self.session.unwrap_or(guest),
            self.remember_me.unwrap_or(guest),
            self.remote_user.flatten().unwrap_or(guest),
            self.key.map_or(guest, |(id, _)| id),
            guest,
            gallery.default_user_id,
        ]
    }

    /// Picks the visitor from `rows`, in Piwigo's order. `remembers` returns whether the remember-me cookie
    /// is signed for this account.
    ///
    /// A session without its second factor makes the visitor a guest, whatever else the request brings:
    /// Piwigo checks the session after it has identified the account by any method (Piwigo: `two_factor`,
    /// `tf_init`).
    ///
    /// A deleted account is the guest. An account with status `guest` is one that Piwigo has deactivated; it
    /// gets the guest's rights, not its own grants. An account without a `user_infos` row gets no rights,
    /// unless the gallery uses an external user table.
    pub fn choose(
        &self,
        rows: &[UserRow],
        gallery: &Gallery,
        remembers: impl Fn(&UserRow) -> bool,
    ) -> Visitor {
        let accounts = Accounts { rows, gallery };
        if self.is_unfinished {
            return Visitor { identity: Identity::Unfinished, ..accounts.guest() };
        }
        if let Some((id, identity)) = self.key
            && let Some(visitor) = accounts.visitor(id, identity)
        {
            // A mailed key is valid only for ordinary accounts.
            let ordinary = matches!(visitor.status, Status::Normal | Status::Generic);
            if identity == Identity::ApiKey || ordinary {
                return visitor;
            }
        }
        if let Some(user) = self.remote_user {
            return user
                .and_then(|id| accounts.visitor(id, Identity::RemoteUser))
                .unwrap_or_else(|| accounts.guest());
        }
        if let Some(id) = self.session.filter(|&id| id != gallery.guest_id) {
            return accounts.visitor(id, Identity::Session).unwrap_or_else(|| accounts.guest());
        }
        if let Some(id) = self.remember_me
            && accounts.row(id).is_some_and(remembers)
            && let Some(visitor) = accounts.visitor(id, Identity::RememberMe)
        {
            return visitor;
        }
        accounts.guest()
    }
}

/// The rows of the accounts that [`Named::ids`] lists.
struct Accounts<'a> {
    rows: &'a [UserRow],
    gallery: &'a Gallery,
}

impl<'a> Accounts<'a> {
    fn row(&self, id: u32) -> Option<&'a UserRow> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// The visitor for account `id`; `None` if there is no such account.
    fn visitor(&self, id: u32, identity: Identity) -> Option<Visitor> {
        if id == self.gallery.guest_id {
            return Some(self.guest());
        }
        let row = self.row(id)?;
        let Some(infos) = row.infos.clone().or_else(|| self.new_infos(id)) else {
            return Some(Visitor::nobody(id, identity));
        };
        let status = Status::from_column(&infos.status);
        if status == Status::Guest {
            return Some(self.guest());
        }
        Some(Visitor { id, status, level: infos.level, enabled_high: infos.enabled_high, identity })
    }

    /// The `user_infos` row that Piwigo would create for an account of an external user table that has none
    /// yet.
    fn new_infos(&self, id: u32) -> Option<UserInfos> {
        if !self.gallery.external_authentification {
            return None;
        }
        let model = self.row(self.gallery.default_user_id)?.infos.as_ref()?;
        let status = match id {
            _ if id == self.gallery.webmaster_id => "webmaster",
            _ if id == self.gallery.default_user_id => "guest",
            _ => "normal",
        };
        Some(UserInfos { status: status.into(), ..model.clone() })
    }

    fn guest(&self) -> Visitor {
        let id = self.gallery.guest_id;
        match self.row(id).and_then(|row| row.infos.clone().or_else(|| self.new_infos(id))) {
            Some(infos) => Visitor {
                id,
                status: Status::Guest,
                level: infos.level,
                enabled_high: infos.enabled_high,
                identity: Identity::Guest,
            },
            None => Visitor::nobody(id, Identity::Guest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::PiwigoFiles;

    fn row(id: u32, status: &str, level: u32, enabled_high: bool) -> UserRow {
        UserRow {
            id,
            infos: Some(UserInfos { status: status.into(), level, enabled_high }),
            credentials: None,
        }
    }

    fn gallery(config: &str) -> Gallery {
        Gallery::resolve(&PiwigoFiles::from_text(config, "<?php"), &[], "").unwrap()
    }

    fn rows() -> Vec<UserRow> {
        vec![
            row(1, "webmaster", 8, true),
            row(2, "admin", 3, true),
            row(5, "normal", 4, false),
            row(6, "guest", 8, true),
            UserRow { id: 7, infos: None, credentials: None },
            row(8, "superhero", 8, true),
            row(9, "generic", 0, true),
        ]
    }

    fn visitor(id: u32, status: Status, level: u32, enabled_high: bool, identity: Identity) -> Visitor {
        Visitor { id, status, level, enabled_high, identity }
    }

    #[test]
    fn what_a_session_makes_of_a_visitor() {
        let guest = visitor(2, Status::Guest, 3, true, Identity::Guest);
        let session = Identity::Session;
        let table = [
            (None, guest.clone(), "no session"),
            (Some(2), guest.clone(), "the guest's own id is forced to status guest"),
            (Some(1), visitor(1, Status::Webmaster, 8, true, session), "webmaster"),
            (Some(5), visitor(5, Status::Normal, 4, false, session), "normal"),
            (Some(6), guest.clone(), "a deactivated account is the guest"),
            (Some(99), guest, "a deleted account is the guest"),
            (Some(7), Visitor::nobody(7, session), "no user_infos row"),
            (Some(8), visitor(8, Status::Unknown, 8, true, session), "an unknown status"),
        ];
        let gallery = gallery("<?php");
        for (session, expected, why) in table {
            let named = Named { session, ..Named::default() };
            assert_eq!(named.choose(&rows(), &gallery, |_| false), expected, "{why}");
        }
        let nobody = Named::default().choose(&[], &gallery, |_| false);
        assert_eq!(nobody, Visitor::nobody(2, Identity::Guest), "no guest account");
    }

    /// The second factor counts more than any other evidence in the request.
    #[test]
    fn a_session_without_its_second_factor_is_a_guests() {
        let gallery = gallery("<?php");
        let guest = visitor(2, Status::Guest, 3, true, Identity::Unfinished);
        let named = Named { is_unfinished: true, ..Named::default() };
        for named in [
            named,
            Named { session: Some(1), ..named },
            Named { session: Some(5), remember_me: Some(1), ..named },
            Named { remember_me: Some(1), ..named },
            Named { remote_user: Some(Some(5)), ..named },
            Named { key: Some((5, Identity::MailedKey)), ..named },
            Named { key: Some((1, Identity::ApiKey)), ..named },
        ] {
            assert_eq!(named.choose(&rows(), &gallery, |_| true), guest, "{named:?}");
        }
    }

    /// docs/spec/piwigo.md §2.7: the order in which identities count.
    #[test]
    fn whose_word_counts() {
        let gallery = gallery("<?php");
        let mailed = |id| Some((id, Identity::MailedKey));
        let api = |id| Some((id, Identity::ApiKey));
        let named = Named::default();
        let table = [
            (Named { session: Some(5), remember_me: Some(1), ..named }, (5, Identity::Session)),
            (Named { remember_me: Some(1), ..named }, (1, Identity::RememberMe)),
            (Named { session: Some(2), remember_me: Some(1), ..named }, (1, Identity::RememberMe)),
            (Named { session: Some(99), remember_me: Some(1), ..named }, (2, Identity::Guest)),
            (Named { remember_me: Some(5), ..named }, (2, Identity::Guest)),
            (Named { session: Some(1), remote_user: Some(Some(5)), ..named }, (5, Identity::RemoteUser)),
            (Named { session: Some(1), remote_user: Some(None), ..named }, (2, Identity::Guest)),
            (Named { session: Some(1), key: mailed(5), ..named }, (5, Identity::MailedKey)),
            (Named { remote_user: Some(Some(1)), key: mailed(9), ..named }, (9, Identity::MailedKey)),
            (Named { session: Some(5), key: mailed(1), ..named }, (5, Identity::Session)),
            (Named { session: Some(5), key: mailed(6), ..named }, (5, Identity::Session)),
            (Named { session: Some(5), key: api(1), ..named }, (1, Identity::ApiKey)),
        ];
        for (named, expected) in table {
            // Only the webmaster's cookie has a valid signature.
            let visitor = named.choose(&rows(), &gallery, |row| row.id == 1);
            assert_eq!((visitor.id, visitor.identity), expected, "{named:?}");
        }
    }

    #[test]
    fn accounts_from_elsewhere_get_the_values_of_the_default_account() {
        let gallery = gallery("<?php $conf['external_authentification'] = true; $conf['webmaster_id'] = 7;");
        let named = Named { session: Some(7), ..Named::default() };
        let webmaster = visitor(7, Status::Webmaster, 3, true, Identity::Session);
        assert_eq!(named.choose(&rows(), &gallery, |_| false), webmaster);
        let other = Gallery { webmaster_id: 1, ..gallery };
        let normal = Visitor { status: Status::Normal, ..webmaster };
        assert_eq!(named.choose(&rows(), &other, |_| false), normal);
    }

    #[test]
    fn what_a_request_brings() {
        let plain = gallery("<?php");
        let apache = gallery("<?php $conf['apache_authentication'] = true;");
        let all = KeysFrom { query: true, header: true };
        let none = KeysFrom { query: false, header: false };
        let key = "abcdefghijabcdefghijabcdefghi0";
        let api = "pkid-20260102-abcdefghij0123456789:abcdefghijabcdefghijabcdefghijabcdefghij";
        let uri = format!("/action.php?id=1&auth={key}");
        let request = Request {
            cookies: b"pwg_id=jtovfh7e4j5ba84nc25hca04tj; pwg_remember=5-1000-k".as_slice().into(),
            remote_user: Some(b"bob"),
            api_key: Some(api.as_bytes()),
            ..Request::new(uri.as_bytes(), "127.0.0.1")
        };
        let evidence = Evidence::read(&request, &plain, all, SessionAddress::RemoteAddr, 1000);
        assert_eq!(evidence.session_row_id.as_deref(), Some("7F00jtovfh7e4j5ba84nc25hca04tj"));
        assert_eq!(evidence.remember_me.map(|cookie| cookie.user), Some(5));
        assert_eq!(evidence.remote_user, None, "Piwigo does not go by it");
        assert_eq!(evidence.key, AuthKey::parse(key.as_bytes()));
        let evidence = Evidence::read(
            &request,
            &apache,
            KeysFrom { query: false, header: true },
            SessionAddress::RemoteAddr,
            999,
        );
        assert_eq!(evidence.remember_me, None, "from the future");
        assert_eq!(evidence.remote_user.as_deref(), Some("bob"));
        assert_eq!(evidence.key, AuthKey::parse(api.as_bytes()));
        assert_eq!(Evidence::read(&request, &apache, none, SessionAddress::RemoteAddr, 999).key, None);
        let unnamed = Request { remote_user: Some(b"bob\xff"), ..Request::new(b"/", "127.0.0.1") };
        assert_eq!(
            Evidence::read(&unnamed, &apache, none, SessionAddress::RemoteAddr, 999).remote_user.as_deref(),
            Some("")
        );
        let request =
            Request { api_key: Some(key.as_bytes()), ..Request::new(b"/upload/a.jpg", "127.0.0.1") };
        assert_eq!(
            Evidence::read(&request, &plain, all, SessionAddress::RemoteAddr, 0).key,
            None,
            "the header is for API keys"
        );
    }

    #[test]
    fn guests_enter_only_where_guest_access_is_on() {
        assert!(Status::Guest.may_enter(true) && !Status::Guest.may_enter(false));
        assert!(Status::Generic.may_enter(false) && !Status::Unknown.may_enter(true));
    }
}
