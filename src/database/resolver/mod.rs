//! A host name in, its addresses out: from `/etc/hosts`, else from the name servers of `/etc/resolv.conf`.
//! Not by the C library, which loads parts of itself for that: a static program must do without, and one way
//! is enough for all.

mod ask;
mod dns;
mod hosts;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ask::{Servers, Silence};
use dns::FoundAddresses;

/// Longest search for one name, all servers and all attempts together. Whoever wants to connect waits for it.
const PATIENCE: Duration = Duration::from_millis(1500);

/// An answer of the name servers counts no longer than this, whatever they say.
const MAX_AGE: Duration = Duration::from_mins(1);

/// Addresses of one name, at most: each of them may have to be tried.
const MAX_ADDRESSES: usize = 8;

/// Longest name, in bytes (RFC 1035 §2.3.4, without the dot at its end).
const MAX_NAME: usize = 253;

/// Where this machine says what its names mean.
#[derive(Clone, Debug)]
pub struct Sources {
    /// `/etc/hosts`.
    pub hosts: PathBuf,
    /// `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// The name servers' port: 53.
    pub port: u16,
}

impl Default for Sources {
    fn default() -> Self {
        Sources { hosts: "/etc/hosts".into(), resolv_conf: "/etc/resolv.conf".into(), port: 53 }
    }
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It can be no name of a host.
    #[error("{0:?} is neither an address nor a host name of ASCII letters, digits, dots and hyphens")]
    Form(String),
    /// Everybody who was asked says that there is no such host.
    #[error(
        "there is no host {name:?}, say /etc/hosts and the name server {servers}: correct the name, or write the host's \
         address instead"
    )]
    Unknown {
        /// The name.
        name: String,
        /// Who was asked.
        servers: String,
    },
    /// No name server gave an answer that could be used.
    #[error(
        "the address of host {name:?} is not known: {why} (name server {servers}, from /etc/resolv.conf); write the \
         host's address instead, or add it to /etc/hosts"
    )]
    NoAnswer {
        /// The name.
        name: String,
        /// Who was asked.
        servers: String,
        /// What came of it.
        why: String,
    },
}

/// Looks names up, and remembers what the name servers said for as long as they allow.
#[derive(Debug, Default)]
pub struct Resolver {
    sources: Sources,
    /// The names are those of settings: a few.
    known: Mutex<HashMap<String, CachedHost>>,
}

#[derive(Debug)]
struct CachedHost {
    addresses: Vec<IpAddr>,
    until: Instant,
}

impl Resolver {
    /// A resolver with its own sources.
    pub fn new(sources: Sources) -> Self {
        Resolver { sources, known: Mutex::default() }
    }

    /// This machine's resolver.
    pub fn system() -> &'static Self {
        static SYSTEM: LazyLock<Resolver> = LazyLock::new(Resolver::default);
        &SYSTEM
    }

    /// The addresses of a host, in the order in which to try them; at least one.
    ///
    /// # Errors
    /// [`NameError`]; within two seconds.
    pub async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, NameError> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        if !is_host_name(host) {
            return Err(NameError::Form(host.to_owned()));
        }
        let mut addresses = match self.in_files(host).or_else(|| self.remembered(host)) {
            Some(addresses) => return Ok(addresses),
            None => self.by_servers(host).await?,
        };
        in_order(&mut addresses.found);
        self.remember(host, &addresses);
        Ok(addresses.found)
    }

    /// Hears that this address of the host answered: it is tried first, for as long as the answer counts.
    pub fn answered(&self, host: &str, address: IpAddr) {
        if let Some(known) = self.known().get_mut(host)
            && let Some(at) = known.addresses.iter().position(|known| *known == address)
        {
            known.addresses[..=at].rotate_right(1);
        }
    }

    /// Hears that none of the host's addresses answered: it may have moved.
    pub fn forget(&self, host: &str) {
        self.known().remove(host);
    }

    /// Read anew each time: whoever connects to a database does so seldom.
    fn in_files(&self, host: &str) -> Option<Vec<IpAddr>> {
        let text = std::fs::read(&self.sources.hosts).unwrap_or_default();
        let mut addresses = hosts::addresses(&String::from_utf8_lossy(&text), host);
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        // No name server is asked for these (RFC 6761 §6.3).
        if addresses.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
            addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        addresses.truncate(MAX_ADDRESSES);
        (!addresses.is_empty()).then_some(addresses)
    }

    fn remembered(&self, host: &str) -> Option<Vec<IpAddr>> {
        let known = self.known();
        let known = known.get(host).filter(|known| Instant::now() < known.until)?;
        Some(known.addresses.clone())
    }

    fn remember(&self, host: &str, addresses: &Addresses) {
        let known = CachedHost { addresses: addresses.found.clone(), until: addresses.until };
        self.known().insert(host.to_owned(), known);
    }

    async fn by_servers(&self, host: &str) -> Result<Addresses, NameError> {
        let text = std::fs::read(&self.sources.resolv_conf).unwrap_or_default();
        let (config, _) = resolv_conf::Config::parse_with_errors(&text);
        let servers = Servers::new(&config, self.sources.port, PATIENCE);
        let asked_at = Instant::now();
        let search = async {
            let mut trouble = None;
            for name in candidates(host, &config) {
                match servers.addresses(&name).await {
                    Ok(FoundAddresses { addresses, .. }) if addresses.is_empty() => {}
                    Ok(found) => return Ok(found),
                    Err(silence) => trouble = trouble.or(Some(silence)),
                }
            }
            Err(trouble)
        };
        let (name, servers) = (host.to_owned(), servers.to_string());
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(Ok(FoundAddresses { mut addresses, ttl })) => {
                addresses.truncate(MAX_ADDRESSES);
                Ok(Addresses { found: addresses, until: asked_at + ttl.min(MAX_AGE) })
            }
            Ok(Err(None)) => Err(NameError::Unknown { name, servers }),
            Ok(Err(Some(silence))) => Err(NameError::NoAnswer { name, servers, why: silence.to_string() }),
            Err(_) => Err(NameError::NoAnswer { name, servers, why: Silence::Late.to_string() }),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, CachedHost>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Addresses {
    found: Vec<IpAddr>,
    until: Instant,
}

/// Labels of at most 63 bytes with dots between them, and perhaps one at the end.
fn is_host_name(name: &str) -> bool {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    bare.len() <= MAX_NAME
        && bare.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(is_plain))
}

/// The names to ask for, in order: with enough dots first as it is, else first in the domains of the search
/// list; with a dot at its end only as it is (resolv.conf(5)).
fn candidates(host: &str, config: &resolv_conf::Config) -> Vec<String> {
    if let Some(bare) = host.strip_suffix('.') {
        return vec![bare.to_owned()];
    }
    // `.` is a domain, too: that of the name as it is.
    let domains = config.get_last_search_or_domain().map(|domain| domain.trim_matches('.'));
    let within = domains.filter(|domain| !domain.is_empty()).map(|domain| format!("{host}.{domain}"));
    let mut names: Vec<_> = within.filter(|name| is_host_name(name)).collect();
    let dots = host.bytes().filter(|&byte| byte == b'.').count();
    let first = if dots >= config.ndots as usize { 0 } else { names.len() };
    names.insert(first, host.to_owned());
    names
}

/// IPv6 first, as others do; but what this machine has no way to comes last.
fn in_order(addresses: &mut [IpAddr]) {
    addresses.sort_by_cached_key(|address| (!has_route(*address), address.is_ipv4()));
}

/// Connecting a datagram socket sends nothing: the system only looks for the way.
fn has_route(address: IpAddr) -> bool {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind(SocketAddr::new(any, 0))
        .and_then(|socket| socket.connect(SocketAddr::new(address, 53)))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_host_name() {
        let label = "a".repeat(63);
        let long = [label.as_str(); 4].join(".");
        let table = [
            ("db", true),
            ("db.example.org", true),
            ("db.example.org.", true),
            ("db-1.my_net.internal", true),
            (label.as_str(), true),
            ("", false),
            (".", false),
            ("..", false),
            ("db..org", false),
            (".db", false),
            ("db example", false),
            ("bücher.example", false),
            ("fe80::1%eth0", false),
            ("a\\.b", false),
            (&long, false),
            (&format!("{label}a"), false),
        ];
        for (name, expected) in table {
            assert_eq!(is_host_name(name), expected, "{name:?}");
        }
    }

    #[test]
    fn the_search_list_and_the_number_of_dots_say_what_is_asked_for() {
        let table: [(&str, &str, &[&str]); 8] = [
            ("", "db", &["db"]),
            ("search a.org b.org", "db", &["db.a.org", "db.b.org", "db"]),
            ("search a.org b.org", "db.lan", &["db.lan", "db.lan.a.org", "db.lan.b.org"]),
            ("search a.org\noptions ndots:2", "db.lan", &["db.lan.a.org", "db.lan"]),
            ("domain a.org", "db", &["db.a.org", "db"]),
            ("search a.org", "db.", &["db"]),
            ("search .", "db", &["db"]),
            // The last of the two counts.
            ("search a.org\ndomain b.org", "db", &["db.b.org", "db"]),
        ];
        for (text, host, expected) in table {
            let (config, _) = resolv_conf::Config::parse_with_errors(text.as_bytes());
            assert_eq!(candidates(host, &config), expected, "{text:?} {host}");
        }
    }
}
