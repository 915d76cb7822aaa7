//! Asks name servers, one after another until one answers: by datagram, and by TCP where an answer does not
//! fit into one.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use resolv_conf::ScopedIp;
use simple_dns::RCODE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::dns::{DnsAnswer, Family, FoundAddresses, Query};

/// Servers that are asked, at most, as by the C library.
const MAX_SERVERS: usize = 3;

/// Rounds through the servers, at most.
const MAX_ATTEMPTS: u32 = 3;

/// Where one family's addresses are known, the other's are waited for so long: some servers never say that
/// there are none (RFC 8305 §3).
const GRACE: Duration = Duration::from_millis(50);

/// A datagram's answer, at most: nobody was told that there is room for more.
const MAX_DATAGRAM: usize = 1232;

/// The name servers of `/etc/resolv.conf` and how to ask them.
#[derive(Debug)]
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    attempts: u32,
    /// For one server, each time.
    patience: Duration,
    only_tcp: bool,
    only_v4: bool,
}

/// Why no name server answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    #[error("there was no answer in time")]
    Late,
    #[error("the answer was {0:?}")]
    Failed(RCODE),
    #[error("the server asks no others, and the name is not its own")]
    Referred,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a question could not be written")]
    Query,
}

impl Servers {
    /// As `config` says, but with all attempts together no longer than `patience`; without a server, this
    /// machine itself is asked (resolv.conf(5)).
    pub(super) fn new(config: &resolv_conf::Config, port: u16, patience: Duration) -> Self {
        let address = |server: &ScopedIp| match server {
            ScopedIp::V4(address) => Some(IpAddr::V4(*address)),
            // Only the kernel knows the number of an interface's name.
            ScopedIp::V6(address, None) => Some(IpAddr::V6(*address)),
            ScopedIp::V6(_, Some(_)) => None,
        };
        let mut addresses: Vec<_> = config
            .nameservers
            .iter()
            .filter_map(address)
            .take(MAX_SERVERS)
            .map(|address| SocketAddr::new(address, port))
            .collect();
        if addresses.is_empty() {
            addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        }
        let attempts = config.attempts.clamp(1, MAX_ATTEMPTS);
        let share = patience / (attempts * addresses.len() as u32);
        let asked_for = Duration::from_secs(config.timeout.max(1).into());
        Servers {
            addresses,
            attempts,
            patience: share.min(asked_for),
            only_tcp: config.use_vc,
            only_v4: config.no_aaaa,
        }
    }

    /// All addresses of this name, of both families; none if there is no such name.
    pub(super) async fn addresses(&self, name: &str) -> Result<FoundAddresses, Silence> {
        if self.only_v4 {
            return self.family(name, Family::V4).await;
        }
        let v6 = self.family(name, Family::V6);
        let v4 = self.family(name, Family::V4);
        tokio::pin!(v6, v4);
        let (first, second) = tokio::select! {
            first = &mut v6 => (first, other(v4)),
            first = &mut v4 => (first, other(v6)),
        };
        match first {
            Ok(mut found) if !found.addresses.is_empty() => {
                if let Ok(Ok(more)) = timeout(GRACE, second).await
                    && !more.addresses.is_empty()
                {
                    found.ttl = found.ttl.min(more.ttl);
                    found.addresses.extend(more.addresses);
                }
                Ok(found)
            }
            Ok(nothing) => match second.await {
                // The name may have no address of this family; whether it has one of the other is not known.
                Err(silence) => Err(silence),
                Ok(more) if more.addresses.is_empty() => Ok(nothing),
                found => found,
            },
            Err(silence) => second.await.ok().filter(|found| !found.addresses.is_empty()).ok_or(silence),
        }
    }

    async fn family(&self, name: &str, family: Family) -> Result<FoundAddresses, Silence> {
        let mut silence = Silence::Late;
        for _ in 0..self.attempts {
            for &server in &self.addresses {
                // Anew each time: together with the port it is what a stranger would have to guess.
                let query = Query::new(random_id()?, name, family).ok_or(Silence::Query)?;
                silence = match timeout(self.patience, self.exchange(server, &query)).await {
                    Ok(Ok(DnsAnswer::Found(found))) => return Ok(found),
                    Ok(Ok(DnsAnswer::Failed(code))) => Silence::Failed(code),
                    Ok(Ok(DnsAnswer::Referred)) => Silence::Referred,
                    Ok(Ok(DnsAnswer::Truncated)) => Silence::Failed(RCODE::FormatError),
                    Ok(Err(error)) => error,
                    Err(_) => Silence::Late,
                };
            }
        }
        Err(silence)
    }

    async fn exchange(&self, server: SocketAddr, query: &Query<'_>) -> Result<DnsAnswer, Silence> {
        let bytes = query.bytes().ok_or(Silence::Query)?;
        if self.only_tcp {
            return by_tcp(server, query, &bytes).await;
        }
        match by_datagram(server, query, &bytes).await? {
            DnsAnswer::Truncated => by_tcp(server, query, &bytes).await,
            answer => Ok(answer),
        }
    }
}

/// By the system call itself: a static program in a jail has neither a C library to ask for it nor
/// `/dev/urandom`.
fn random_id() -> io::Result<u16> {
    let mut bytes = [0; 2];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u16::from_ne_bytes(bytes))
}

/// A future by another name: the two families' are of one type.
fn other<F: Future>(future: F) -> F {
    future
}

async fn by_datagram(server: SocketAddr, query: &Query<'_>, bytes: &[u8]) -> Result<DnsAnswer, Silence> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    // Connected: the system drops what comes from elsewhere, and says if nobody is there.
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut message = [0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut message).await?;
        if let Some(answer) = query.read(&message[..length]) {
            return Ok(answer);
        }
    }
}

/// Each message with its length before it (RFC 1035 §4.2.2).
async fn by_tcp(server: SocketAddr, query: &Query<'_>, bytes: &[u8]) -> Result<DnsAnswer, Silence> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(|_| Silence::Query)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    loop {
        let mut message = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut message).await?;
        if let Some(answer) = query.read(&message) {
            return Ok(answer);
        }
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.addresses.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}{}", server.ip())?;
        }
        Ok(())
    }
}
