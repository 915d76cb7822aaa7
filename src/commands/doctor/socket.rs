//! Examines the gate's socket: which accounts may connect to it, and whether a gate answers there.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::findings::Findings;
use crate::commands::accounts::{Account, Right, name_of};
use crate::server::listen::{Listen, Networks, connect_at_once, is_local};

/// Where the printed service listens by default. Examined if no address is given.
const USUAL: &str = "/run/piwigo-gate/gate.sock";

/// Longest wait for one read or write.
const PATIENCE: Duration = Duration::from_secs(5);

/// `FCGI_GET_VALUES` for `FCGI_MPXS_CONNS` (FastCGI 1.0 §4.1): a management record that is no request and
/// appears in no log.
const QUESTION: [u8; 26] = *b"\x01\x09\x00\x00\x00\x11\x01\x00\x0f\x00FCGI_MPXS_CONNS\x00";

/// The path of the unix socket, whether the socket exists or not.
pub(super) fn path(listen: Option<&Listen>) -> Option<PathBuf> {
    match listen {
        Some(Listen::Unix { path, .. }) => Some(path.clone()),
        None => Some(PathBuf::from(USUAL)).filter(|path| path.exists()),
        Some(_) => None,
    }
}

/// Examines the socket. `allow_from`: the peers that may connect over TCP; `None`: any.
pub(super) fn examine(
    listen: Option<&Listen>,
    allow_from: Option<&Networks>,
    web: Option<&Account>,
    findings: &mut Findings,
) {
    if let Some(path) = path(listen) {
        return unix(&path, web, findings);
    }
    match listen {
        Some(Listen::Tcp(address)) => tcp(address, allow_from, findings),
        Some(Listen::Fd0 | Listen::Systemd) => {
            findings.advise(
                "socket",
                "not examined: whoever starts the gate opens its socket",
                "say --listen unix:PATH with the path that the server's file names",
            );
        }
        Some(Listen::Unix { .. }) | None => findings.advise(
            "socket",
            "not examined: no address is set, which is right where the web server starts the gate itself",
            "otherwise say --listen as serve has it, such as --listen unix:/run/piwigo-gate/gate.sock",
        ),
    }
}

fn unix(path: &Path, web: Option<&Account>, findings: &mut Findings) {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => metadata,
        Ok(_) => {
            return findings.problem(
                "socket",
                format!("{shown} is no socket"),
                "let serve listen at another path",
            );
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return findings.advise(
                "socket",
                format!("not examined: {shown}: {error}"),
                "run doctor as the gate's user or as root",
            );
        }
        Err(_) => {
            return findings.problem(
                "socket",
                format!("there is no {shown}: the gate does not run, or listens elsewhere"),
                "start it (systemctl start piwigo-gate, journalctl -u piwigo-gate), or say --listen as it has it",
            );
        }
    };
    let facts =
        format!("{shown} is {:04o} and belongs to {}", metadata.mode() & 0o7777, name_of(metadata.uid()));
    match web.map(|web| (web, web.may(Right::Write, path))) {
        None => findings.advise(
            "socket",
            format!("{facts}; not examined whether the web server may connect: its user is not known"),
            "say --web-user NAME",
        ),
        Some((web, Ok(()))) => findings.ok("socket", format!("{facts}; the web server's user {} may connect", web.name)),
        Some((web, Err(place))) => findings.problem(
            "socket",
            format!("{facts}; the web server's user {} may not connect: {} stops it", web.name, place.display()),
            "serve with --socket-group and the web server's group (the gate's user must belong to it); the directories \
             above must be open to it, too; if its user is another one, say --web-user NAME",
        ),
    }
    if metadata.mode() & 0o002 != 0 {
        findings.warn(
            "socket-open",
            format!("every user of this machine may write to {shown}, and so claim to be any visitor"),
            "serve with --socket-mode 0660 and --socket-group of the web server",
        );
    }
    let connected = connect_at_once(path).and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    });
    answers(&format!("unix:{shown}"), connected, findings);
}

fn tcp(address: &SocketAddr, allow_from: Option<&Networks>, findings: &mut Findings) {
    peers(address, allow_from, findings);
    let connected = TcpStream::connect_timeout(address, PATIENCE).and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let own = stream.local_addr()?.ip();
        Ok((stream, own))
    });
    match (connected, allow_from) {
        (Ok((stream, own)), Some(list)) if !list.hold(own) => match ask(stream) {
            Ok(true) => findings.problem(
                "gate",
                format!("the gate at tcp:{address} answers {own}, which allow_from does not name"),
                "start it again (systemctl restart piwigo-gate): allow_from counts from its start on",
            ),
            _ => findings.advise(
                "gate",
                format!(
                    "not examined: what listens at tcp:{address} disconnects {own}, as allow_from demands"
                ),
                "add this machine's address to allow_from if doctor is to examine the gate",
            ),
        },
        (connected, _) => answers(&format!("tcp:{address}"), connected.map(|(stream, _)| stream), findings),
    }
}

/// Reports which peers may connect to a TCP address.
fn peers(address: &SocketAddr, allow_from: Option<&Networks>, findings: &mut Findings) {
    match allow_from.map(|list| (list, list.everybody())) {
        Some((_, Some(all))) => findings.warn(
            "socket-peers",
            format!("allow_from holds {all}: every machine that can reach tcp:{address} may claim to be any visitor"),
            "name the addresses of the web servers",
        ),
        Some((list, None)) => {
            findings.ok("socket-peers", format!("only {list} may connect to tcp:{address} (allow_from)"));
        }
        None if is_local(*address) => findings.advise(
            "socket-peers",
            format!("every program of this machine may connect to tcp:{address}, and so claim to be any visitor"),
            "a unix socket is open to the web server alone, where the web server knows it",
        ),
        // Then the configuration is not valid, which is a finding of its own.
        None => {}
    }
}

/// Whether a FastCGI program answers on this connection.
fn answers(place: &str, connected: io::Result<impl Read + Write>, findings: &mut Findings) {
    match connected.and_then(ask) {
        Ok(true) => findings.ok("gate", format!("a FastCGI program answers at {place}")),
        Ok(false) => findings.problem(
            "gate",
            format!("what listens at {place} is no gate"),
            "give gate and PHP sockets of their own, and name the gate's with --listen",
        ),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            findings.not_examined(
                "gate",
                "this user may not connect to the socket; run doctor as the gate's user",
            );
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => findings.problem(
            "gate",
            format!("what listens at {place} answers nobody: it hangs, or has more visitors than it can serve"),
            "see what the gate says (journalctl -u piwigo-gate), and start it again (systemctl restart piwigo-gate)",
        ),
        Err(error) => findings.problem(
            "gate",
            format!("nobody answers at {place}: {error}"),
            "start the gate (systemctl start piwigo-gate) and see what it says (journalctl -u piwigo-gate)",
        ),
    }
}

fn ask(mut stream: impl Read + Write) -> io::Result<bool> {
    stream.write_all(&QUESTION)?;
    let mut header = [0; 8];
    match stream.read_exact(&mut header) {
        // FCGI_GET_VALUES_RESULT
        Ok(()) => Ok(header[0] == 1 && header[1] == 10),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, SockAddr, Socket, Type};

    use super::*;
    use crate::commands::doctor::findings::Level;
    use crate::fastcgi::{Decoder, Event};

    #[test]
    fn the_question_is_one_that_the_gate_answers() {
        let (mut decoder, mut out) = (Decoder::new(7), Vec::new());
        let (consumed, event) = decoder.decode(&QUESTION, &mut out);
        assert!(matches!(event, Event::Answer { .. }), "{event:?}");
        assert_eq!((consumed, out[0], out[1]), (QUESTION.len(), 1, 10));
    }

    #[test]
    fn what_does_not_listen_or_is_no_socket_is_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let stale = directory.path().join("stale.sock");
        let listener = || Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener().bind(&SockAddr::unix(&stale).unwrap()).unwrap();
        let hanging = directory.path().join("hanging.sock");
        let full = listener();
        full.bind(&SockAddr::unix(&hanging).unwrap()).unwrap();
        full.listen(0).unwrap();
        let _queue = connect_at_once(&hanging).unwrap();
        let worst = |path: &Path| {
            let listen = Listen::Unix { path: path.to_owned(), mode: 0o660, group: None };
            let mut findings = Findings::default();
            examine(Some(&listen), None, Some(&Account::mine()), &mut findings);
            let worst = findings.0.into_iter().max_by_key(|finding| finding.level).unwrap();
            (worst.id, worst.level)
        };
        assert_eq!(worst(&file), ("socket", Level::Problem));
        assert_eq!(worst(&directory.path().join("none")), ("socket", Level::Problem));
        assert_eq!(worst(&stale), ("gate", Level::Problem));
        assert_eq!(worst(&hanging), ("gate", Level::Problem));
    }

    /// Listens at loopback, and answers the one connection of an examination as a gate does, or closes it.
    fn examined(allow_from: Option<&str>, answers: bool) -> Vec<(&'static str, Level)> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = Listen::Tcp(listener.local_addr().unwrap());
        let gate = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            if answers {
                stream.read_exact(&mut [0; QUESTION.len()]).unwrap();
                stream.write_all(b"\x01\x0a\x00\x00\x00\x00\x00\x00").unwrap();
            }
        });
        let allow_from = allow_from.map(|text| Networks::parse([text]).unwrap());
        let mut findings = Findings::default();
        examine(Some(&listen), allow_from.as_ref(), None, &mut findings);
        gate.join().unwrap();
        findings.0.into_iter().map(|finding| (finding.id, finding.level)).collect()
    }

    #[test]
    fn the_peers_of_a_tcp_address() {
        let table = [
            (None, true, ("socket-peers", Level::Note), ("gate", Level::Ok)),
            (None, false, ("socket-peers", Level::Note), ("gate", Level::Problem)),
            (Some("127.0.0.0/8"), true, ("socket-peers", Level::Ok), ("gate", Level::Ok)),
            (Some("127.0.0.1"), false, ("socket-peers", Level::Ok), ("gate", Level::Problem)),
            (Some("0.0.0.0/0"), true, ("socket-peers", Level::Warning), ("gate", Level::Ok)),
            (Some("192.0.2.10"), false, ("socket-peers", Level::Ok), ("gate", Level::Note)),
            (Some("192.0.2.10"), true, ("socket-peers", Level::Ok), ("gate", Level::Problem)),
        ];
        for (allow_from, answers, peers, gate) in table {
            assert_eq!(examined(allow_from, answers), [peers, gate], "{allow_from:?} {answers}");
        }
    }
}
