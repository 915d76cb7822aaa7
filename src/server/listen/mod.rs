//! Turns an address into a listening socket: the gate's own, or one that a parent process opened.
//!
//! The socket is a trust boundary: a process that can write to it can claim any identity. So a unix socket
//! has mode 0660 from the moment it has its name, and TCP stays on loopback unless the administrator allows
//! more and names the addresses of the web servers.

mod error;
mod peers;
mod stream;

use std::fmt;
use std::fs;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::net::{TcpListener, UnixListener, UnixStream};

pub use error::ListenError;
pub use peers::{Networks, Peers, WEB_SERVER_ADDRS};
pub use stream::Stream;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A unix socket that the gate creates.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Its group, if not the gate's own.
        group: Option<u32>,
    },
    /// A TCP address at which the gate listens.
    Tcp(SocketAddr),
    /// The listening socket on file descriptor 0: `mod_fcgid`, spawn-fcgi, lighttpd's `bin-path`.
    Fd0,
    /// Every listening socket that systemd passes (`LISTEN_FDS`).
    Systemd,
}

/// Prints the address as in the setting, and for a unix socket its mode and its group's number, if that is
/// not the gate's own.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Unix { path, mode, group } => {
                write!(f, "unix:{} {mode:04o}", path.display())?;
                group.map_or(Ok(()), |group| write!(f, " group {group}"))
            }
            Listen::Tcp(address) => write!(f, "tcp:{address}"),
            Listen::Fd0 => f.write_str("fd:0"),
            Listen::Systemd => f.write_str("systemd"),
        }
    }
}

impl Listen {
    /// Opens the socket, or takes over the inherited ones, for these peers. Must run inside the tokio
    /// runtime.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn open(&self, peers: &Arc<Peers>) -> Result<Vec<Listener>, ListenError> {
        match self {
            Listen::Unix { path, .. } if peers.demand_tcp() => {
                Err(ListenError::NotTcp(format!("unix:{}", path.display())))
            }
            Listen::Unix { path, mode, group } => Ok(vec![bind_unix(path, *mode, *group)?]),
            Listen::Tcp(address) => {
                let system = |error| ListenError::System { place: format!("tcp:{address}"), error };
                let listener = bind_tcp(*address).map_err(system)?;
                Ok(vec![Listener::tcp(listener, peers).map_err(system)?])
            }
            Listen::Fd0 => {
                let system = |error| ListenError::System { place: "fd:0".into(), error };
                let descriptor = io::stdin().as_fd().try_clone_to_owned().map_err(system)?;
                let socket = Socket::from(descriptor);
                if !accepts_streams(&SockRef::from(&socket)) {
                    return Err(ListenError::NotListening);
                }
                let is_tcp = socket.domain().map_err(system)? != Domain::UNIX;
                let listener = if is_tcp {
                    Listener::inherited_tcp(socket.into(), peers, system)?
                } else if peers.demand_tcp() {
                    return Err(ListenError::NotTcp("fd:0".into()));
                } else {
                    Listener::inherited_unix(socket).map_err(system)?
                };
                // Closes the original descriptor: while it is open, clients can connect although no process
                // accepts them any more.
                rustix::stdio::dup2_stdin(io::stderr()).map_err(|error| system(error.into()))?;
                Ok(vec![listener])
            }
            Listen::Systemd => {
                let system = |error| ListenError::System { place: "systemd".into(), error };
                let mut passed = listenfd::ListenFd::from_env();
                let mut listeners = Vec::new();
                for index in 0..passed.len() {
                    // A socket of the other kind gives an error and stays in its place.
                    match passed.take_unix_listener(index) {
                        Ok(Some(socket)) if !accepts_streams(&SockRef::from(&socket)) => {
                            return Err(ListenError::PassedNoListener(index));
                        }
                        Ok(Some(_)) if peers.demand_tcp() => {
                            return Err(ListenError::NotTcp("the socket that systemd passed".into()));
                        }
                        Ok(Some(socket)) => listeners.push(Listener::unix(socket).map_err(system)?),
                        Ok(None) => {}
                        Err(_) => match passed.take_tcp_listener(index) {
                            Ok(Some(socket)) if accepts_streams(&SockRef::from(&socket)) => {
                                listeners.push(Listener::inherited_tcp(socket, peers, system)?);
                            }
                            Ok(None) => {}
                            Ok(Some(_)) | Err(_) => return Err(ListenError::PassedNoListener(index)),
                        },
                    }
                }
                if listeners.is_empty() { Err(ListenError::NoSystemdSocket) } else { Ok(listeners) }
            }
        }
    }
}

/// Whether only programs of this machine can connect to an address.
pub(crate) fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Whether a descriptor is a socket from which connections can be accepted.
fn accepts_streams(socket: &SockRef<'_>) -> bool {
    socket.is_listener().unwrap_or(false) && socket.r#type().is_ok_and(|kind| kind == Type::STREAM)
}

/// Whether descriptor 0 is a listening socket, which shows that a web server started the gate.
pub fn started_by_a_server() -> bool {
    io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .is_ok_and(|descriptor| Socket::from(descriptor).is_listener().unwrap_or(false))
}

/// Binds with the longest queue that the system allows (`net.core.somaxconn`), as the standard library does
/// for unix sockets. For TCP the library takes 128, and a connection that finds the queue full waits for a
/// second or more.
fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restarted gate need not wait until the system has forgotten the old one's connections.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::MAX)?;
    Ok(socket.into())
}

/// Binds under a private name and renames it, so that the socket appears with its final permissions or not at
/// all, and replaces a stale one in the same step.
fn bind_unix(path: &Path, mode: u32, group: Option<u32>) -> Result<Listener, ListenError> {
    let system = |error| ListenError::System { place: format!("unix:{}", path.display()), error };
    // `rename` accepts longer names than a client can connect to, so the length is checked first.
    std::os::unix::net::SocketAddr::from_pathname(path).map_err(system)?;
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => match connect_at_once(path) {
            // No process listens under this name any more. Any other error, such as a refused permission,
            // means that one does.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Err(ListenError::InUse(path.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(system(error)),
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    // The private name is no longer than `gate.sock`, because the system takes at most 107 bytes.
    let private = parent.join(format!(".{:x}", std::process::id()));
    let cleanup = || {
        let _ = fs::remove_file(private.join("s"));
        let _ = fs::remove_dir(&private);
    };
    cleanup();
    let bound = (|| {
        fs::create_dir(&private)?;
        fs::set_permissions(&private, fs::Permissions::from_mode(0o700))?;
        let temporary = private.join("s");
        let listener = std::os::unix::net::UnixListener::bind(&temporary)?;
        if group.is_some() {
            std::os::unix::fs::chown(&temporary, None, group)?;
        }
        fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))?;
        fs::rename(&temporary, path)?;
        listener.set_nonblocking(true)?;
        let inode = fs::symlink_metadata(path)?.ino();
        Ok((UnixListener::from_std(listener)?, inode))
    })();
    cleanup();
    let (listener, inode) = bound.map_err(system)?;
    let name = Some(Name { path: path.to_owned(), inode });
    Ok(Listener { socket: Accepting::Unix(listener), name, is_ours_alone: true })
}

/// Connects to a unix socket without waiting. Returns [`io::ErrorKind::WouldBlock`] while the listener's
/// queue is full; an ordinary `connect` would wait, and for ever if the listener hangs (`connect(2)`).
pub(crate) fn connect_at_once(path: &Path) -> io::Result<StdUnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Accepting,
    name: Option<Name>,
    /// No other process accepts from this socket, or will after the gate ends.
    is_ours_alone: bool,
}

#[derive(Debug)]
enum Accepting {
    Unix(UnixListener),
    Tcp(TcpListener, Arc<Peers>),
}

/// The name that the gate gave a socket; removed at the end if it is still that socket's.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    inode: u64,
}

impl Listener {
    fn tcp(listener: std::net::TcpListener, peers: &Arc<Peers>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Listener {
            socket: Accepting::Tcp(TcpListener::from_std(listener)?, peers.clone()),
            name: None,
            is_ours_alone: false,
        })
    }

    /// Takes over a TCP socket. A parent process that listens for other machines must name the web servers.
    fn inherited_tcp(
        listener: std::net::TcpListener,
        peers: &Arc<Peers>,
        system: impl Fn(io::Error) -> ListenError,
    ) -> Result<Self, ListenError> {
        let address = listener.local_addr().map_err(&system)?;
        if !is_local(address) && !peers.are_restricted() {
            return Err(ListenError::InheritedFromAnywhere(address));
        }
        Self::tcp(listener, peers).map_err(system)
    }

    fn unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let socket = Accepting::Unix(UnixListener::from_std(listener)?);
        Ok(Listener { socket, name: None, is_ours_alone: false })
    }

    fn inherited_unix(socket: Socket) -> io::Result<Self> {
        let parent = std::os::unix::process::parent_id();
        let is_ours_alone =
            socket.local_addr()?.as_pathname().is_some_and(|name| is_of_mod_fcgid(name, parent));
        let mut listener = Self::unix(socket.into())?;
        listener.is_ours_alone = is_ours_alone;
        Ok(listener)
    }

    /// Waits for the next connection of a peer that may connect. Closes any other connection at once, without
    /// reading from it.
    ///
    /// # Errors
    /// The system's error; most often the process has no descriptor left.
    pub async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Accepting::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
            Accepting::Tcp(listener, peers) => loop {
                let (stream, peer) = listener.accept().await?;
                if peers.admit(peer.ip()) {
                    stream.set_nodelay(true)?;
                    return Ok(Stream::Tcp(stream));
                }
            },
        }
    }

    /// Stops clients from connecting, if no other process shares the socket, and returns those that have
    /// already connected. A client that connects now is refused at once (`ECONNREFUSED`) and can try another
    /// process, instead of being lost with the gate's queue.
    ///
    /// On Linux, `shutdown(2)` does this to a listening unix socket; on TCP it would drop the queue.
    pub fn refuse_new(&mut self) -> Option<Queue> {
        self.unlink();
        match &self.socket {
            Accepting::Unix(listener) if self.is_ours_alone => {
                // The runtime's own `accept` would wait for another connection after the last one.
                let queue = listener.as_fd().try_clone_to_owned().ok()?;
                SockRef::from(&queue).shutdown(Shutdown::Read).ok()?;
                Some(Queue(queue.into()))
            }
            _ => None,
        }
    }

    /// Removes the socket's name, if it still is this socket's.
    fn unlink(&mut self) {
        if let Some(Name { path, inode }) = self.name.take()
            && fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.ino() == inode)
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// The clients that had connected when [`Listener::refuse_new`] was called.
#[derive(Debug)]
pub struct Queue(std::os::unix::net::UnixListener);

impl Queue {
    /// The next of them, without waiting; `None` after the last.
    ///
    /// # Errors
    /// The system's error; most often the process has no descriptor left.
    pub fn next(&self) -> io::Result<Option<Stream>> {
        match self.0.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                Ok(Some(Stream::Unix(UnixStream::from_std(stream)?)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.unlink();
    }
}

/// Whether a unix socket has a name as `mod_fcgid` gives it (`fcgid_proc_unix.c`), `<number of the
/// manager>.<count>`. Its process manager makes a new socket for each process and shares it with no other.
/// Other spawners let several processes accept from one socket, and start the next one with the same socket.
fn is_of_mod_fcgid(name: &Path, parent: u32) -> bool {
    let parts = name.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('.'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    parts.is_some_and(|(manager, count)| manager == parent.to_string() && is_number(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_as_it_is_given() {
        let unix = |group| Listen::Unix { path: "/run/gate.sock".into(), mode: 0o640, group };
        for (listen, expected) in [
            (unix(None), "unix:/run/gate.sock 0640"),
            (unix(Some(33)), "unix:/run/gate.sock 0640 group 33"),
            (Listen::Tcp("[::1]:9000".parse().unwrap()), "tcp:[::1]:9000"),
            (Listen::Fd0, "fd:0"),
            (Listen::Systemd, "systemd"),
        ] {
            assert_eq!(listen.to_string(), expected);
        }
    }

    fn stream_socket() -> Socket {
        Socket::new(Domain::UNIX, Type::STREAM, None).unwrap()
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_a_live_one_and_a_file_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gate.sock");
        let listen = Listen::Unix { path: path.clone(), mode: 0o640, group: None };

        stream_socket().bind(&SockAddr::unix(&path).unwrap()).unwrap();
        let listener = listen.open(&Arc::default()).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(matches!(listen.open(&Arc::default()), Err(ListenError::InUse(_))));

        drop(listener);
        assert!(!path.exists(), "its name goes with it");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(listen.open(&Arc::default()), Err(ListenError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    /// A listener may use another kind of socket, or not admit the gate.
    #[tokio::test]
    async fn a_socket_of_another_kind_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.sock");
        let listen = Listen::Unix { path: path.clone(), mode: 0o640, group: None };
        let living = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(matches!(listen.open(&Arc::default()), Err(ListenError::InUse(_))));
        let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
        sender.send_to(b"still there", &path).unwrap();
        assert_eq!(living.recv(&mut [0; 20]).unwrap(), 11);
    }

    /// A listener that hangs or is overloaded is still there, and the gate does not wait for it.
    #[tokio::test]
    async fn one_that_takes_no_connection_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gate.sock");
        let hanging = stream_socket();
        hanging.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        hanging.listen(0).unwrap();
        let mut queue = Vec::new();
        let error = loop {
            match connect_at_once(&path) {
                Ok(stream) => queue.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), queue.len()), (io::ErrorKind::WouldBlock, 1));
        let listen = Listen::Unix { path, mode: 0o640, group: None };
        assert!(matches!(listen.open(&Arc::default()), Err(ListenError::InUse(_))));
    }

    #[tokio::test]
    async fn who_has_connected_is_accepted_and_nobody_after_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gate.sock");
        let mut listener = Listen::Unix { path: path.clone(), mode: 0o640, group: None }
            .open(&Arc::default())
            .unwrap()
            .remove(0);
        let other_name = directory.path().join("same.sock");
        fs::hard_link(&path, &other_name).unwrap();
        let queue: Vec<_> = (0..200).map(|_| connect_at_once(&path).unwrap()).collect();
        let waiting = listener.refuse_new().unwrap();
        let refused = connect_at_once(&other_name).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let accepted = std::iter::from_fn(|| waiting.next().unwrap());
        assert_eq!(accepted.count(), queue.len());
        assert!(!path.exists());
    }

    /// Over TCP, the system makes a connection that finds no room in the queue wait for seconds.
    #[tokio::test]
    async fn as_many_connections_may_wait_over_tcp_as_over_a_unix_socket() {
        let limit = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let count = limit.trim().parse::<usize>().unwrap().min(400);
        let listener = Listen::Tcp("127.0.0.1:0".parse().unwrap()).open(&Arc::default()).unwrap().remove(0);
        let Accepting::Tcp(socket, _) = &listener.socket else { panic!("TCP") };
        let address = socket.local_addr().unwrap();
        let limit = std::time::Duration::from_secs(20);
        let connect = |_| std::net::TcpStream::connect_timeout(&address, limit);
        let queue: Vec<_> = (0..count).map(connect).collect::<Result<_, _>>().unwrap();
        assert_eq!(queue.len(), count);
    }

    #[test]
    fn a_socket_of_mod_fcgid_is_known_by_its_name() {
        let table = [
            ("/var/lib/apache2/fcgid/sock/1234.0", true),
            ("/run/fcgid/1234.17", true),
            ("/run/fcgid/1235.17", false),
            ("/run/fcgid/1234.", false),
            ("/run/fcgid/1234", false),
            ("/run/fcgid/1234.sock", false),
            ("/run/gate.sock-0", false),
        ];
        for (name, expected) in table {
            assert_eq!(is_of_mod_fcgid(Path::new(name), 1234), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn what_the_system_refuses_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let unix = |path: PathBuf| Listen::Unix { path, mode: 0o660, group: None };
        let table = [
            (unix(directory.path().join("none/gate.sock")), "make its directory first"),
            (unix(directory.path().join("s".repeat(108))), "at most 107 bytes"),
            (Listen::Tcp(taken.local_addr().unwrap()), "another port"),
            (Listen::Tcp("192.0.2.1:9000".parse().unwrap()), "address of this machine"),
        ];
        for (listen, advice) in table {
            let error = listen.open(&Arc::default()).unwrap_err().to_string();
            assert!(error.contains(advice), "{error}");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
