//! Examines the gallery and its configuration: which files exist, which accounts may read them, and whether
//! the gate understands the settings.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::findings::{Findings, shown, some};
use super::read_start;
use crate::commands::accounts::{Account, Right, group_name_of, name_of};
use crate::piwigo::gallery::Gallery;
use crate::settings::{Derivatives, Settings, SettingsError};

/// Largest part of `constants.php` that is read, in bytes.
const MAX_CONSTANTS: u64 = 64 * 1024;

/// Largest settings file, in bytes.
const MAX_SETTINGS: u64 = 1024 * 1024;

/// Files that only the gate's user and PHP should read.
const SECRETS: [&str; 3] =
    ["local/config/database.inc.php", "local/config/gate.toml", "local/config/config.inc.php"];

/// Reports whether the directory contains Piwigo.
pub(super) fn gallery(root: &Path, findings: &mut Findings) {
    let shown = root.display();
    if !["include", "local", "index.php", "i.php"].iter().any(|name| root.join(name).exists()) {
        return findings.problem(
            "gallery",
            format!("{shown} is no Piwigo: it has neither index.php nor include/ nor local/"),
            "say --gallery DIR, the directory that holds Piwigo's index.php and local/",
        );
    }
    match version(root) {
        Some(version) => findings.ok("gallery", format!("{shown} holds Piwigo {version}")),
        None => findings.ok("gallery", format!("{shown} holds a Piwigo (its version cannot be read)")),
    }
}

/// `PHPWG_VERSION` of `include/constants.php`.
fn version(root: &Path) -> Option<String> {
    let text = read_start(&root.join("include/constants.php"), MAX_CONSTANTS).ok()?;
    let (_, rest) = text.split_once("PHPWG_VERSION")?;
    let (_, rest) = rest.split_once(',')?;
    let version = rest.split(['\'', '"']).nth(1)?;
    let plain = |character: char| character.is_ascii_alphanumeric() || ".-_".contains(character);
    (!version.is_empty() && version.len() < 20 && version.chars().all(plain)).then(|| version.to_owned())
}

/// Reports whether the gate understands the settings. `file`: the `gate.toml` in use.
pub(super) fn configuration(
    file: Option<&Path>,
    settings: &Result<Settings, SettingsError>,
    findings: &mut Findings,
) {
    let from = match file {
        Some(path) => format!("{} and Piwigo's own files", path.display()),
        None => "Piwigo's own files (there is no gate.toml)".to_owned(),
    };
    match settings {
        Ok(_) => findings.ok("configuration", format!("understood: {from}")),
        // The error's text says what to correct.
        Err(error) => findings.problem(
            "configuration",
            shown(&error.to_string()),
            "correct that first: serve would not start",
        ),
    }
}

/// Reports files with passwords that every user of the machine may read. `toml`: the `gate.toml` in use;
/// `reader`: the web server's account, if the gate runs as that and must read these files, too.
pub(super) fn secrets(root: &Path, toml: Option<&Path>, reader: Option<&Account>, findings: &mut Findings) {
    let files: BTreeSet<PathBuf> =
        SECRETS.iter().map(|name| root.join(name)).chain(toml.map(Path::to_owned)).collect();
    let (mut open, mut needs_group) = (Vec::new(), None);
    for path in files {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let is_open = metadata.mode() & 0o004 != 0 && metadata.len() < MAX_SETTINGS && is_reachable(&path);
        if is_open && fs::read(&path).is_ok_and(|bytes| holds_password(&String::from_utf8_lossy(&bytes))) {
            open.push(path.strip_prefix(root).unwrap_or(&path).display().to_string());
            let reads_as_other =
                |account: &&Account| account.uid != metadata.uid() && !account.is_in(metadata.gid());
            needs_group = needs_group.or(reader.filter(reads_as_other));
        }
    }
    if open.is_empty() {
        findings.ok("permissions", "files with passwords are kept from other users of this machine");
    } else {
        findings.warn(
            "permissions",
            format!("every user of this machine can read the database's password in {}", some(&open)),
            match needs_group.and_then(|account| Some((account, group_name_of(account.own_group()?)?))) {
                // PHP's pool has an account of its own, and Apache starts the gate under Apache's account.
                Some((account, group)) => format!(
                    "chgrp {group} {files} && chmod 640 {files}: the gate runs as {name} and must read them, so chmod o-r alone would make every \
                     picture an error",
                    files = open.join(" "),
                    name = account.name
                ),
                None => format!("chmod o-r {}", open.join(" ")),
            },
        );
    }
}

/// Whether the text contains Piwigo's key for the password or an address with a password:
/// `mysql://user:password@host/name`.
fn holds_password(text: &str) -> bool {
    let in_address = |address: &str| {
        address
            .split(['/', '"', '\'', ' ', '\n'])
            .next()
            .is_some_and(|user| user.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')))
    };
    text.contains("db_password") || text.split("://").skip(1).any(in_address)
}

/// Whether every user may enter all directories above.
fn is_reachable(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors()
        .skip(1)
        .all(|place| fs::metadata(place).is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

/// The owner of the gate's socket. The gate's account created the socket, whichever account runs `doctor`.
fn socket_owner(socket: Option<&Path>) -> Option<u32> {
    socket.and_then(|path| fs::metadata(path).ok()).map(|metadata| metadata.uid())
}

/// The account that the gate runs as: the owner of its socket, or else the account that runs `doctor`.
pub(super) fn gate_account(socket: Option<&Path>) -> Account {
    let mine = Account::mine();
    match socket_owner(socket) {
        Some(uid) if uid != mine.uid => Account::numbered(uid),
        _ => mine,
    }
}

/// Compares the gate's user with PHP's, and reports whether the gate's user can read and write what it
/// must.
pub(super) fn user(
    root: &Path,
    settings: Option<&Settings>,
    gallery: Option<&Gallery>,
    socket: Option<&Path>,
    findings: &mut Findings,
) {
    let by_socket = socket_owner(socket);
    let gate = gate_account(socket);
    let data = gallery.map_or_else(|| "_data/".to_owned(), |gallery| gallery.layout.data_dir.clone());
    let php = [data.as_str(), "local/config/database.inc.php", "upload"]
        .iter()
        .find_map(|name| fs::metadata(root.join(name)).ok())
        .map(|metadata| metadata.uid());
    if by_socket == Some(0) && gate.uid == 0 {
        return findings.advise(
            "user",
            "not examined: the gate's socket belongs to root, because systemd opened it, or because the gate runs as root",
            "let it run as PHP's user (systemd: User=), and run doctor as that user, with --listen systemd",
        );
    }
    let from = if by_socket.is_some() {
        "the gate's user (its socket's owner)"
    } else {
        "this user, as whom the gate is supposed to run,"
    };
    match php {
        None => {
            findings.not_examined("user", "there is no _data/ and no database.inc.php to tell PHP's user by");
        }
        Some(php) if php == gate.uid => findings.ok("user", format!("{from} is {}, as PHP's", gate.name)),
        Some(_) if gate.uid == 0 && by_socket.is_none() => findings.advise(
            "user",
            "doctor runs as root, who may do everything: rights of the gate's user were not examined",
            "run it as the gate's user: sudo -u www-data piwigo-gate doctor …",
        ),
        Some(php) => findings.warn(
            "user",
            format!("{from} is {}, and PHP's files belong to {}", gate.name, name_of(php)),
            format!(
                "run the gate as {0} (systemd: User={0}): both delete and make resized pictures",
                name_of(php)
            ),
        ),
    }
    let generates = settings.is_none_or(|settings| settings.derivatives == Derivatives::Generate);
    if gate.uid == 0 {
        return;
    }
    let unreadable: Vec<String> = ["local/config/database.inc.php", "local/config/config.inc.php"]
        .into_iter()
        .filter(|name| root.join(name).exists())
        .filter(|name| gate.may(Right::Read, &root.join(name)).is_err())
        .map(str::to_owned)
        .collect();
    if !unreadable.is_empty() {
        findings.problem(
            "readable",
            format!("{} may not read {}", gate.name, some(&unreadable)),
            "run the gate as PHP's user, or let its group read these files",
        );
    }
    let derivatives = root.join(gallery.map_or("_data/i/", |gallery| &gallery.layout.derivative_dir));
    // If the directory does not exist yet, the gate makes it in the first directory above that exists.
    let place = derivatives.ancestors().find(|place| place.exists()).unwrap_or(root);
    match gate.may(Right::Write, place) {
        _ if !generates => {}
        // `closed` reports this together with the guarded directories.
        Err(_) if gate.may(Right::Enter, place).is_err() => {}
        Ok(()) => findings.ok("derivatives", format!("{} may write below {}", gate.name, place.display())),
        Err(stop) => findings.warn(
            "derivatives",
            format!("{} may not write below {} ({})", gate.name, place.display(), stop.display()),
            "missing resized pictures are left to Piwigo's i.php, which is slower: run the gate as PHP's user; under \
             systemd add ReadWritePaths; or say derivatives = \"piwigo\" if that is meant",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_password() {
        let table = [
            ("$conf['db_password'] = 'x';", true),
            ("database = \"mysql://gate:p@ss@localhost/piwigo\"", true),
            ("database = [\"piwigo\", \"mysql://u:p@b/x\"]", true),
            ("database = \"mysql://gate@localhost/piwigo\"", false),
            ("database = \"sqlite:///a@b:c\"", false),
            ("# see https://example.org/ and write to me@example.org: thanks", false),
            ("", false),
        ];
        for (text, expected) in table {
            assert_eq!(holds_password(text), expected, "{text}");
        }
    }

    #[test]
    fn the_version_is_read_off_piwigos_own_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("include/constants.php");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let table = [
            ("<?php\ndefine('PHPWG_VERSION', '16.4.0');\n", Some("16.4.0")),
            ("define(\"PHPWG_VERSION\",\"17.0.0beta1\");", Some("17.0.0beta1")),
            ("define('PHPWG_VERSION', $x);", None),
            ("define('PHPWG_VERSION', '1\x1b[2J');", None),
            ("", None),
        ];
        for (text, expected) in table {
            fs::write(&path, text).unwrap();
            assert_eq!(version(directory.path()).as_deref(), expected, "{text:?}");
        }
    }
}
