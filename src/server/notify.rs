//! Turns a state of the gate into a message to systemd (`Type=notify`, `sd_notify(3)`). `systemctl start`
//! then returns when the gate accepts requests, and fails if the set-up does not work.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The gate accepts requests.
pub const READY: &str = "READY=1";
/// The gate accepts no more requests and finishes those under way.
pub const STOPPING: &str = "STOPPING=1";

/// Sends `state` to systemd. Does nothing without `NOTIFY_SOCKET`; logs an error.
pub fn tell(state: &str) {
    if let Some(address) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&address, state)
    {
        tracing::warn!(%error, state, "systemd cannot be told");
    }
}

fn send(address: &OsStr, state: &str) -> io::Result<()> {
    let address = match address.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), READY).unwrap();
        assert_eq!(heard(&listener), "READY=1");
        #[cfg(target_os = "linux")]
        {
            let name = format!("piwigo-gate-{}", std::process::id());
            let address =
                <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name).unwrap();
            let listener = UnixDatagram::bind_addr(&address).unwrap();
            send(OsStr::new(&format!("@{name}")), STOPPING).unwrap();
            assert_eq!(heard(&listener), "STOPPING=1");
        }
        assert!(send(OsStr::new("/nonexistent/notify"), READY).is_err());
    }
}
