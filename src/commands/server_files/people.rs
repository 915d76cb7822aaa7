//! Finds the accounts of PHP and of the web server for a printed service, if the administrator names none.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::ConfigError;
use crate::commands::accounts::{self, Account};

/// The usual account of PHP and of web servers on Debian.
const USUAL: &str = "www-data";

/// The account that the gate runs as, and the group that may write to its socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct People {
    /// The account of PHP and of the gate.
    pub(super) user: String,
    /// The group of the web server, if its account could not reach the socket otherwise.
    pub(super) socket_group: Option<String>,
    /// What the program guessed, in sentences; empty if nothing.
    pub(super) told: String,
}

impl People {
    /// The accounts that the administrator named, or else those that the gallery's files and the machine's
    /// accounts suggest: PHP owns Piwigo's data directory (`data`, or else `root`) because it writes there.
    /// `has_socket`: the gate has a socket that belongs to a group.
    pub(super) fn find(
        user: Option<&str>,
        group: Option<&str>,
        has_socket: bool,
        root: &Path,
        data: &Path,
    ) -> Self {
        let mut told = Vec::new();
        let user = user.map_or_else(
            || {
                let owner = [data, root].into_iter().find_map(|place| Some((owner(place)?, place)));
                let (user, why) = match owner {
                    Some((owner, place)) => (owner, format!("which owns {}", place.display())),
                    None => (USUAL.to_owned(), "as usual".to_owned()),
                };
                told.push(format!("PHP is taken to run as {user}, {why}: if not, say --user"));
                user
            },
            str::to_owned,
        );
        let socket_group = group.map(str::to_owned).or_else(|| {
            has_socket.then_some(())?;
            let (web, group) = other_group(&Account::named(&user)?, &Account::of_web_server(None)?)?;
            told.push(format!(
                "the web server is taken to run as {web}, whose group {group} may write to the gate's socket: if not, say \
                 --socket-group"
            ));
            Some(group)
        });
        People { user, socket_group, told: told.join(". ") }
    }
}

/// Refuses an account that this machine does not have: systemd would not start the service.
pub(super) fn verify(user: &str) -> Result<(), ConfigError> {
    if Account::named(user).is_some() || is_known_elsewhere(user) {
        return Ok(());
    }
    Err(ConfigError::NoAccount(user.to_owned()))
}

/// Whether a directory service may know the account: its accounts are in no file of this machine.
fn is_known_elsewhere(user: &str) -> bool {
    let mut getent = std::process::Command::new("getent");
    getent
        .args(["passwd", "--", user])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    getent.status().is_ok_and(|status| status.success())
}

/// The owner of a directory, if that account has a name and is not root: root owns the files of an unpacked
/// archive.
fn owner(place: &Path) -> Option<String> {
    let uid = fs::metadata(place).ok()?.uid();
    let name = accounts::name_of(uid);
    (uid != 0 && name != uid.to_string()).then_some(name)
}

/// The web server's account and its group, if that account cannot reach a socket of PHP's group.
fn other_group(php: &Account, web: &Account) -> Option<(String, String)> {
    let reaches_it = web.uid == php.uid || php.own_group().is_some_and(|group| web.is_in(group));
    (!reaches_it).then_some(())?;
    Some((web.name.clone(), accounts::group_name_of(web.own_group()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> Account {
        const USERS: &str = "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nphotos:x:1001:1001::/:/bin/sh\nalbum:x:1002:1002::/:/bin/sh\n";
        Account::find(name, USERS, "www-data:x:33:\nphotos:x:1001:www-data\nalbum:x:1002:\n").unwrap()
    }

    #[test]
    fn the_web_servers_group_is_taken_where_it_would_not_get_to_the_socket() {
        for (php, is_other) in [("www-data", false), ("photos", false), ("album", true)] {
            let found = other_group(&account(php), &account("www-data"));
            // The group's name is this machine's.
            let has_group = accounts::group_name_of(33).is_some();
            assert_eq!(found.is_some(), is_other && has_group, "{php}: {found:?}");
        }
    }

    #[test]
    fn what_is_said_is_not_guessed() {
        let here = Path::new("/");
        let people = People::find(Some("photos"), Some("web"), true, here, here);
        let expected =
            People { user: "photos".into(), socket_group: Some("web".into()), told: String::new() };
        assert_eq!(people, expected);
        // What belongs to root tells nothing about PHP.
        let people = People::find(None, Some("web"), true, here, &here.join("none"));
        assert_eq!(people.user, USUAL);
        assert!(people.told.contains("PHP is taken to run as www-data, as usual"), "{}", people.told);
    }

    #[test]
    fn only_accounts_that_are_there_are_taken() {
        assert!(verify("root").is_ok());
        let error = verify("nobody-has-this-name").unwrap_err().to_string();
        assert!(error.contains("nobody-has-this-name") && error.contains("--user"), "{error}");
    }
}
