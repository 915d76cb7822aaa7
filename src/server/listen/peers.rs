//! Turns the addresses of web servers into whether a peer may stay connected. Only TCP peers have addresses;
//! the permissions of a unix socket decide which processes may connect to it.
//!
//! Two lists can restrict the peers, and a peer must be on each list that is given: the setting `allow_from`,
//! and the environment variable `FCGI_WEB_SERVER_ADDRS` of the FastCGI specification.

use std::ffi::OsStr;
use std::fmt;
use std::net::IpAddr;

use super::ListenError;
use crate::throttle::Throttle;

/// The environment variable in which the parent of a FastCGI program names the web servers (FastCGI §3.2).
pub const WEB_SERVER_ADDRS: &str = "FCGI_WEB_SERVER_ADDRS";

/// Most entries in a list; a longer list is a mistake.
const MAX_NETWORKS: usize = 1_000;

/// An address, or all addresses that begin with the same bits. IPv4-mapped IPv6 addresses are stored as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many leading bits count: 32 or 128 for a single address.
    length: u32,
}

impl Network {
    /// Reads `192.0.2.10`, `192.0.2.0/24` or `2001:db8::/64`; `None` for anything else. A network with bits
    /// set after its length (`192.0.2.10/24`) is refused, because it may be meant as an address or as a
    /// network.
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) if !length.starts_with('+') => (address, Some(length.parse().ok()?)),
            Some(_) => return None,
            None => (text, None),
        };
        let given: IpAddr = address.parse().ok()?;
        let address = given.to_canonical();
        // `::ffff:192.0.2.0/120` is 192.0.2.0/24.
        let mapped_by = bits(given) - bits(address);
        let length = length.unwrap_or(bits(given)).checked_sub(mapped_by)?;
        let network = Network { address, length };
        (length <= bits(address) && network.prefix(address) == number(address)).then_some(network)
    }

    /// Whether `peer` is this address, or one of this network.
    fn holds(self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_ipv4() == self.address.is_ipv4() && self.prefix(peer) == number(self.address)
    }

    /// The leading bits of an address that count, all others zero.
    fn prefix(self, address: IpAddr) -> u128 {
        let rest = bits(address).saturating_sub(self.length);
        // `checked_shr` and `checked_shl` return `None` for a shift by all 128 bits.
        number(address).checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == bits(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A list of addresses and networks that is not empty: the setting `allow_from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Reads texts that hold addresses and networks, separated by commas or white space.
    ///
    /// # Errors
    /// The first entry that is neither, or the list's length if it is empty or too long.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut networks = Vec::new();
        let is_separator = |c: char| c == ',' || c.is_ascii_whitespace();
        for entry in texts.into_iter().flat_map(|text| text.split(is_separator)) {
            if !entry.is_empty() {
                networks.push(Network::parse(entry).ok_or_else(|| entry.to_owned())?);
            }
        }
        if networks.is_empty() || networks.len() > MAX_NETWORKS {
            return Err(format!("a list of {}", networks.len()));
        }
        Ok(Networks(networks))
    }

    /// Whether an address is on the list.
    pub fn hold(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(peer))
    }

    /// The first network that holds every address of its family (`0.0.0.0/0`).
    pub fn everybody(&self) -> Option<Network> {
        self.0.iter().copied().find(|network| network.length == 0)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{network}")?;
        }
        Ok(())
    }
}

/// The peers that may connect over TCP.
#[derive(Debug, Default)]
pub struct Peers {
    allow_from: Option<Networks>,
    web_server_addrs: Option<Networks>,
    refusals: Throttle,
}

impl Peers {
    /// Joins the setting and the value of [`WEB_SERVER_ADDRS`] in this process's environment (`None` if it is
    /// not set).
    ///
    /// # Errors
    /// [`ListenError::WebServerAddrs`] if the variable is set and is no list of addresses. FastCGI §3.2
    /// requires the program to close every connection of a peer that is not on the list; an empty list would
    /// close all of them.
    pub fn new(allow_from: Option<Networks>, web_server_addrs: Option<&OsStr>) -> Result<Self, ListenError> {
        let web_server_addrs = web_server_addrs
            .map(|value| {
                let text = value.to_str().unwrap_or("no UTF-8");
                Networks::parse([text]).map_err(|_| ListenError::WebServerAddrs(text.to_owned()))
            })
            .transpose()?;
        Ok(Peers { allow_from, web_server_addrs, refusals: Throttle::default() })
    }

    /// Whether a list restricts the peers.
    pub(super) fn are_restricted(&self) -> bool {
        self.allow_from.is_some() || self.web_server_addrs.is_some()
    }

    /// Whether only TCP may be used: with [`WEB_SERVER_ADDRS`] set, FastCGI §3.2 requires the program to
    /// close a connection that did not use TCP/IP.
    pub(super) fn demand_tcp(&self) -> bool {
        self.web_server_addrs.is_some()
    }

    /// Whether a peer may stay connected. Logs the first refused peer, and then once a minute how many there
    /// were.
    pub(super) fn admit(&self, peer: IpAddr) -> bool {
        let lists = self.allow_from.iter().chain(&self.web_server_addrs);
        if lists.into_iter().all(|list| list.hold(peer)) {
            return true;
        }
        if let Some(count) = self.refusals.count() {
            tracing::warn!(
                peer = %peer.to_canonical(),
                count,
                "disconnected: this peer is no web server that may connect (allow_from, FCGI_WEB_SERVER_ADDRS); said once a minute"
            );
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks() {
        let table = [
            ("192.0.2.10", Some("192.0.2.10")),
            ("192.0.2.0/24", Some("192.0.2.0/24")),
            ("192.0.2.10/32", Some("192.0.2.10")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::/0", Some("::/0")),
            ("::ffff:192.0.2.10", Some("192.0.2.10")),
            ("::ffff:192.0.2.0/120", Some("192.0.2.0/24")),
            ("::ffff:0.0.0.0/96", Some("0.0.0.0/0")),
            ("192.0.2.10/24", None),
            ("192.0.2.0/33", None),
            ("192.0.2.0/-1", None),
            ("192.0.2.0/+24", None),
            ("192.0.2.0/", None),
            ("192.0.2", None),
            ("192.0.2.010", None),
            ("2001:db8::1/64", None),
            ("2001:db8::/129", None),
            ("::ffff:192.0.2.0/24", None),
            ("fe80::1%eth0", None),
            ("localhost", None),
            ("", None),
        ];
        for (text, expected) in table {
            let read = Network::parse(text).map(|network| network.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn who_is_on_a_list() {
        let table = [
            ("192.0.2.10", "192.0.2.10", true),
            ("192.0.2.10", "192.0.2.11", false),
            ("192.0.2.10", "::ffff:192.0.2.10", true),
            ("::ffff:192.0.2.10", "192.0.2.10", true),
            ("192.0.2.8/29", "192.0.2.15", true),
            ("192.0.2.8/29", "192.0.2.16", false),
            ("192.0.2.8/29", "::ffff:192.0.2.9", true),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "::ffff:192.0.2.10", false),
            ("::/0", "192.0.2.10", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("::1", "127.0.0.1", false),
            ("203.0.113.1,192.0.2.10", "192.0.2.10", true),
            (" 203.0.113.1 , 192.0.2.10 ", "192.0.2.10", true),
            ("203.0.113.1 192.0.2.10", "192.0.2.10", true),
        ];
        for (list, peer, expected) in table {
            let networks = Networks::parse([list]).unwrap();
            assert_eq!(networks.hold(peer.parse().unwrap()), expected, "{peer} on {list}");
        }
    }

    #[test]
    fn what_is_no_list() {
        for text in ["", " ", ",", "192.0.2.10,web", "192.0.2.10;192.0.2.11", "192.0.2.10/24"] {
            assert!(Networks::parse([text]).is_err(), "{text:?}");
            assert!(Peers::new(None, Some(OsStr::new(text))).is_err(), "{text:?}");
        }
        assert!(Networks::parse(vec!["192.0.2.1"; MAX_NETWORKS + 1]).is_err());
    }

    #[test]
    fn a_peer_must_be_on_each_list_that_is_given() {
        let lists = |setting: Option<&str>, variable: Option<&str>| {
            let setting = setting.map(|text| Networks::parse([text]).unwrap());
            Peers::new(setting, variable.map(OsStr::new)).unwrap()
        };
        let (here, there) = (Some("192.0.2.10"), Some("192.0.2.11"));
        let table = [
            (None, None, true),
            (here, None, true),
            (there, None, false),
            (None, here, true),
            (None, there, false),
            (here, here, true),
            (here, there, false),
            (there, here, false),
        ];
        for (setting, variable, expected) in table {
            let peers = lists(setting, variable);
            assert_eq!(peers.admit("192.0.2.10".parse().unwrap()), expected, "{setting:?} {variable:?}");
            assert_eq!(peers.are_restricted(), setting.is_some() || variable.is_some());
            assert_eq!(peers.demand_tcp(), variable.is_some());
        }
    }
}
