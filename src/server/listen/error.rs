//! Turns each reason why the gate cannot listen at an address into one sentence that tells the administrator
//! what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the gate cannot listen at an address.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not one of the four forms.
    #[error("listen is {0:?}: it must be unix:/absolute/path, tcp:ADDRESS:PORT, fd:0 or systemd")]
    Form(String),
    /// A TCP address that other machines can reach, without `--allow-remote`.
    #[error(
        "listen is tcp:{0}, which other machines can reach and then claim any identity; use a loopback address or a \
         unix socket, or say --allow-remote and --allow-from with the addresses of your web servers"
    )]
    Remote(SocketAddr),
    /// A TCP address that other machines can reach, without `--allow-from`.
    #[error(
        "listen is tcp:{0}, which other machines can reach and then claim any identity: --allow-remote needs \
         --allow-from with the addresses from which your web servers connect, such as --allow-from 192.0.2.10"
    )]
    FromAnywhere(SocketAddr),
    /// An inherited TCP socket that other machines can reach, without a list of web servers.
    #[error(
        "the inherited socket listens at tcp:{0}, which other machines can reach and then claim any identity: say \
         --allow-from (or set FCGI_WEB_SERVER_ADDRS) with the addresses from which your web servers connect"
    )]
    InheritedFromAnywhere(SocketAddr),
    /// `allow_from` is no list of addresses and networks.
    #[error(
        "allow_from holds {0:?}: it must be addresses or networks of web servers with commas between them, such as \
         192.0.2.10,2001:db8::/64"
    )]
    AllowFrom(String),
    /// `FCGI_WEB_SERVER_ADDRS` is no list of addresses.
    #[error(
        "FCGI_WEB_SERVER_ADDRS is {0:?}: it must be addresses of web servers with commas between them, such as \
         192.0.2.10,192.0.2.11; take it out of the environment if every peer may connect"
    )]
    WebServerAddrs(String),
    /// `FCGI_WEB_SERVER_ADDRS` is set, but the socket is no TCP socket.
    #[error(
        "FCGI_WEB_SERVER_ADDRS is set and {0} is a unix socket, of which FastCGI §3.2 has every connection closed: take \
         the variable out of the environment, or listen at a tcp: address"
    )]
    NotTcp(String),
    /// `socket_mode` is not octal.
    #[error("socket_mode is {0:?}: it must be octal, such as 0660")]
    Mode(String),
    /// `socket_group` does not exist.
    #[error("socket_group is {0:?}: there is no such group on this machine")]
    Group(String),
    /// Another process listens there.
    #[error("{0} is in use: another program listens there; stop it first, or choose another path")]
    InUse(PathBuf),
    /// A file that is no socket has that name.
    #[error("{0} exists and is no socket; choose another path")]
    NotASocket(PathBuf),
    /// systemd passed no socket.
    #[error("listen is systemd, but systemd passed no socket: start piwigo-gate.socket, not the program")]
    NoSystemdSocket,
    /// Descriptor 0 is no listening socket.
    #[error(
        "listen is fd:0, but file descriptor 0 is no listening socket: that address is for a gate that mod_fcgid, spawn-fcgi or \
         lighttpd's bin-path starts; a gate that you start yourself listens at unix:/absolute/path or tcp:ADDRESS:PORT"
    )]
    NotListening,
    /// systemd, or a program in its place, passed a descriptor that is no listening stream socket; the number
    /// is its index.
    #[error(
        "listen is systemd, but file descriptor {}, which systemd passed, is no listening socket: the .socket file may name \
         only ListenStream=, without Accept=yes (piwigo-gate config systemd-socket prints one)",
        .0 + 3
    )]
    PassedNoListener(usize),
    /// The operating system refused.
    #[error("cannot listen on {place}: {error}; {}", remedy(error))]
    System {
        /// The address.
        place: String,
        /// The operating system's error.
        error: io::Error,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "make its directory first",
        io::ErrorKind::PermissionDenied => {
            "choose a place where the gate's user may write, and a group that it belongs to"
        }
        io::ErrorKind::AddrInUse => "stop what listens there, or choose another port",
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
        io::ErrorKind::InvalidInput => "choose a path of at most 107 bytes",
        _ => "choose another address",
    }
}
