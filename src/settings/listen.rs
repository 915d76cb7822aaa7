//! Turns the settings that say where to listen into a checked address.

use std::fs;
use std::net::SocketAddr;

use super::Options;
use crate::server::listen::{Listen, ListenError, is_local};

impl Listen {
    /// Reads `listen`, `socket_mode`, `socket_group`, `allow_remote` and whether `allow_from` is given;
    /// `None` if no address was given.
    pub(super) fn resolve(options: &Options) -> Result<Option<Self>, ListenError> {
        let Some(address) = &options.listen else { return Ok(None) };
        let form = || ListenError::Form(address.clone());
        let listen = match address.split_once(':') {
            None if address == "systemd" => Listen::Systemd,
            Some(("fd", "0")) => Listen::Fd0,
            Some(("unix", path)) if path.starts_with('/') => Listen::Unix {
                path: path.into(),
                mode: mode(options.socket_mode.as_deref())?,
                group: options.socket_group.as_deref().map(group).transpose()?,
            },
            Some(("tcp", text)) => {
                let address: SocketAddr = text.parse().map_err(|_| form())?;
                if !is_local(address) && options.allow_remote != Some(true) {
                    return Err(ListenError::Remote(address));
                }
                if !is_local(address) && options.allow_from.is_none() {
                    return Err(ListenError::FromAnywhere(address));
                }
                Listen::Tcp(address)
            }
            _ => return Err(form()),
        };
        Ok(Some(listen))
    }
}

fn mode(text: Option<&str>) -> Result<u32, ListenError> {
    let Some(text) = text else { return Ok(0o660) };
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err(ListenError::Mode(text.to_owned())),
    }
}

/// Returns a group's number. Names are looked up in `/etc/group`, so that a static binary needs no name
/// service.
fn group(name: &str) -> Result<u32, ListenError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    groups
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
        })
        .ok_or_else(|| ListenError::Group(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(listen: &str) -> Options {
        Options { listen: Some(listen.into()), ..Options::default() }
    }

    #[test]
    fn addresses() {
        let table = [
            ("unix:/run/gate.sock", true),
            ("unix:gate.sock", false),
            ("tcp:127.0.0.1:9000", true),
            ("tcp:[::1]:9000", true),
            ("tcp:[::ffff:127.0.0.1]:9000", true),
            ("tcp:0.0.0.0:9000", false),
            ("tcp:[::]:9000", false),
            ("tcp:192.0.2.1:9000", false),
            ("tcp:localhost", false),
            ("fd:0", true),
            ("fd:3", false),
            ("systemd", true),
            ("/run/gate.sock", false),
        ];
        for (text, good) in table {
            assert_eq!(Listen::resolve(&options(text)).is_ok(), good, "{text}");
        }
    }

    /// Other machines may connect only if the settings allow it and name them.
    #[test]
    fn beyond_loopback_both_words_are_needed() {
        let table = [
            ("tcp:127.0.0.1:9000", None, false, true),
            ("tcp:127.0.0.1:9000", Some(true), false, true),
            ("tcp:0.0.0.0:9000", None, false, false),
            ("tcp:0.0.0.0:9000", None, true, false),
            ("tcp:0.0.0.0:9000", Some(false), true, false),
            ("tcp:0.0.0.0:9000", Some(true), false, false),
            ("tcp:0.0.0.0:9000", Some(true), true, true),
        ];
        for (address, allow_remote, has_list, good) in table {
            let allow_from = has_list.then(|| vec!["192.0.2.10".to_owned()]);
            let options = Options { allow_remote, allow_from, ..options(address) };
            assert_eq!(Listen::resolve(&options).is_ok(), good, "{address} {allow_remote:?} {has_list}");
        }
    }

    #[test]
    fn socket_modes_are_octal() {
        for (text, expected) in [("0660", Some(0o660)), ("600", Some(0o600)), ("0999", None), ("7777", None)]
        {
            assert_eq!(mode(Some(text)).ok(), expected, "{text}");
        }
    }
}
