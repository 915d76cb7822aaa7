//! Why an address cannot be listened at, each in one sentence that says what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address that cannot be used, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not one of the four forms.
    #[error("listen is {0:?}: it must be unix:/absolute/path, tcp:ADDRESS:PORT, fd:0 or systemd")]
    Form(String),
    /// TCP beyond this machine without the flag.
    #[error(
        "listen is tcp:{0}, which other machines can reach and then claim any identity; use a loopback address or a \
         unix socket, or say --allow-remote if a firewall keeps everybody but your web server out"
    )]
    Remote(SocketAddr),
    /// `socket_mode` is not octal.
    #[error("socket_mode is {0:?}: it must be octal, such as 0660")]
    Mode(String),
    /// `socket_group` does not exist.
    #[error("socket_group is {0:?}: there is no such group on this machine")]
    Group(String),
    /// Another process answers there.
    #[error("{0} is in use: another program listens there; stop it first, or choose another path")]
    InUse(PathBuf),
    /// Something that is no socket has that name.
    #[error("{0} exists and is no socket; choose another path")]
    NotASocket(PathBuf),
    /// systemd passed nothing.
    #[error("listen is systemd, but systemd passed no socket: start piwigo-gate.socket, not the program")]
    NoSystemdSocket,
    /// Descriptor 0 is no listening socket.
    #[error("listen is fd:0, but file descriptor 0 is no listening socket")]
    NotListening,
    /// The system refused.
    #[error("cannot listen on {place}: {error}; {}", remedy(error))]
    System {
        /// The address.
        place: String,
        /// What the system said.
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
