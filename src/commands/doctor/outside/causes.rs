//! Names the likely causes, in order, if PHP knows a visitor and the gate does not, and what to do about
//! them. Pure.

/// The network from which a session was opened, as far as the id of its row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// The first two parts of an IPv4 address.
    V4(u8, u8),
    /// An IPv6 address: Piwigo does not bind sessions to these.
    V6,
    /// Sessions are bound to no address.
    Any,
}

impl Network {
    /// Reads the part before the session's id in the id of its row; `None`: Piwigo would not have written
    /// it.
    pub(super) fn parse(prefix: &str, is_bound: bool) -> Option<Self> {
        match (prefix, is_bound) {
            ("", true) => Some(Network::V6),
            ("", false) => Some(Network::Any),
            // PHP writes four digits in upper case; `from_str_radix` would also accept a sign and lower
            // case.
            (prefix, true)
                if prefix.len() == 4
                    && prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')) =>
            {
                let [first, second] = u16::from_str_radix(prefix, 16).ok()?.to_be_bytes();
                Some(Network::V4(first, second))
            }
            _ => None,
        }
    }

    /// An address in this network.
    pub(super) fn address(self) -> String {
        match self {
            Network::V4(first, second) => format!("{first}.{second}.0.1"),
            Network::V6 => "::1".to_owned(),
            Network::Any => "127.0.0.1".to_owned(),
        }
    }

    /// The network in words, as they follow "from".
    pub(super) fn words(self) -> String {
        match self {
            Network::V4(first, second) => format!("an address that begins with {first}.{second}"),
            Network::V6 => "an IPv6 address".to_owned(),
            Network::Any => "any address".to_owned(),
        }
    }
}

/// What the gate finds for a session if it is told the address that the session was opened from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) network: Network,
    /// The account that is signed in; `None`: for the gate the session is a guest's.
    pub(super) account: Option<u32>,
}

/// How sessions are found, by the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup<'a> {
    /// The cookie's name.
    pub(super) cookie: &'a str,
    /// There is a cookie of that name, and its value is one that PHP would make.
    pub(super) is_named: bool,
    /// `session_save_handler`, if it is not Piwigo's own.
    pub(super) handler: Option<&'a str>,
}

const SETTINGS: &str = "what local/config (or [piwigo] in gate.toml) says of session_save_handler and session_name must be what PHP \
                        goes by";

/// What is wrong and what to do, if PHP knows the visitor as `account` and for the gate the visitor is a
/// guest.
pub(super) fn causes(setup: Setup<'_>, views: &[View], account: u32) -> (String, String) {
    let Setup { cookie, handler, .. } = setup;
    let restart = format!("restart the gate, so that it reads the settings that were read here; {SETTINGS}");
    if let Some(view) = views.iter().find(|view| view.account == Some(account)) {
        let seen = view.network.words();
        return match view.network {
            Network::Any => (
                "likely causes: session handler or cookie name (the gate that runs goes by other settings than those read \
                 here), or the web server does not pass the cookies on"
                    .to_owned(),
                format!("{restart}; pass HTTP_COOKIE to the gate"),
            ),
            _ => (
                format!(
                    "likely causes: the address (PHP sees {seen}, and the gate is told another one); session handler or cookie \
                     name (the gate that runs goes by other settings than those read here)"
                ),
                format!(
                    "compare with the address in the gate's log (client=…), and pass the same REMOTE_ADDR to both: behind a \
                     proxy by set_real_ip_from (nginx) or mod_remoteip (Apache) for all of the site, and by no fastcgi_param or \
                     SetEnv for PHP alone. If it is the same one, {restart}"
                ),
            ),
        };
    }
    if let Some(handler) = handler {
        return (
            format!(
                "likely causes: session handler (PHP keeps sessions by {handler:?}, and none is found for this cookie where \
                 session_files says); cookie name ({cookie:?} here)"
            ),
            "set session_files to session.save_path of the gallery's PHP, session_files_depth and session_files_cookie to what \
             PHP says, and run the gate (and doctor) as PHP's user"
                .to_owned(),
        );
    }
    if !setup.is_named {
        return (
            format!("likely cause: cookie name (there is no session's id in a cookie called {cookie:?})"),
            format!(
                "set session_name = \"…\" under [piwigo] in gate.toml to the name that PHP uses; {SETTINGS}"
            ),
        );
    }
    if views.is_empty() {
        return (
            "likely causes: session handler (there is no such session in Piwigo's database: PHP keeps it elsewhere, or in \
             another database); cookie name (PHP goes by another cookie)"
                .to_owned(),
            format!("{SETTINGS}; and the database must be PHP's own"),
        );
    }
    (
        "likely causes: the session's row is there, but it is older than session_max_age, or not written as PHP's own handler \
         writes it"
            .to_owned(),
        "set session.serialize_handler of the gallery's PHP to php; leave session_max_age away, or set it to session_length"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rows_id_tells_the_network() {
        let table = [
            ("7F00", true, Some(Network::V4(127, 0))),
            ("CB00", true, Some(Network::V4(203, 0))),
            ("", true, Some(Network::V6)),
            ("", false, Some(Network::Any)),
            ("7F00", false, None),
            ("7F0", true, None),
            ("7F00A", true, None),
            ("zzzz", true, None),
            ("+7F0", true, None),
            ("7f00", true, None),
        ];
        for (prefix, is_bound, network) in table {
            assert_eq!(Network::parse(prefix, is_bound), network, "{prefix} {is_bound}");
        }
        assert_eq!(Network::V4(203, 7).address(), "203.7.0.1");
    }

    #[test]
    fn the_likeliest_cause_comes_first() {
        let setup = Setup { cookie: "pwg_id", is_named: true, handler: None };
        let view = |network, account| View { network, account };
        let known = Some(7);
        let lan = Network::V4(192, 168);
        let table: [(Setup<'_>, &[View], &str); 9] = [
            (setup, &[view(lan, known)], "the address (PHP sees an address that begins with 192.168,"),
            (
                setup,
                &[view(lan, Some(3)), view(Network::V6, known)],
                "the address (PHP sees an IPv6 address,",
            ),
            (setup, &[view(Network::Any, known)], "session handler or cookie name (the gate that runs"),
            (
                Setup { handler: Some("files"), ..setup },
                &[view(Network::Any, None)],
                "session handler (PHP keeps",
            ),
            (
                Setup { handler: Some("files"), ..setup },
                &[view(Network::Any, known)],
                "session handler or cookie",
            ),
            (Setup { is_named: false, ..setup }, &[], "cookie name (there is no"),
            (setup, &[], "session handler (there is no such session"),
            (setup, &[view(lan, None)], "the session's row is there"),
            (setup, &[view(lan, Some(3))], "the session's row is there"),
        ];
        for (setup, views, first) in table {
            let (what, remedy) = causes(setup, views, 7);
            let (_, order) = what.split_once(": ").unwrap();
            assert!(order.starts_with(first) || what.contains(&format!("cause: {first}")), "{what}");
            assert!(!remedy.is_empty());
        }
    }
}
