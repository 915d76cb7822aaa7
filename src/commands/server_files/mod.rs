//! Prints a web server's file for a gallery's settings: `piwigo-gate config`. The file is complete, its
//! first lines say how to install it, and the tests run it. The files in `nginx/`, `apache/` and so on are
//! printed for a gallery in `/var/www/piwigo`.

mod expressions;
mod kinds;
mod links;
mod people;
mod php;
mod public;
mod values;

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::database::DatabaseError;
use crate::gate::snapshot::Readiness;
use crate::piwigo::gallery::Gallery;
use crate::settings::{ActionPhp, Settings, SettingsError};

pub use kinds::{KINDS, ServerFile};
pub(crate) use public::folders as public_folders;
pub(crate) use values::below_the_root;
pub use values::{Asked, Listening, Values};

/// Why a file cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No kind was named.
    #[error("which file? piwigo-gate config KIND prints one of these:\n{}", list())]
    NoKindGiven,
    /// There is no such kind.
    #[error("there is no kind {0:?}; piwigo-gate config --list names all of them")]
    NoKind(String),
    /// A name that would end a quoted word of a server's file or begin a variable in it.
    #[error(
        "{0:?} holds a character that means something else in a server's file: only letters, digits, blanks and \
         . _ - ~ + @ : , = / can be written there"
    )]
    Name(String),
    /// PHP's socket is neither a path nor an address.
    #[error(
        "{0:?} is no place of PHP-FPM: say --php-socket /run/php/php-fpm.sock, or --php-socket 127.0.0.1:9000"
    )]
    Php(String),
    /// This machine does not have the named account.
    #[error("there is no account {0:?} on this machine: say --user with the account that PHP runs as")]
    NoAccount(String),
    /// The server behind a front end is not given as address and port.
    #[error("{0:?} is no address of a server behind this one: say --backend 127.0.0.1:8080")]
    Backend(String),
    /// This kind of server can reach the gate only over TCP.
    #[error("{kind} can only reach the gate over TCP: say --listen tcp:127.0.0.1:9800")]
    NeedsTcp {
        /// The kind.
        kind: &'static str,
    },
    /// The name of the program or of Piwigo's directory is not UTF-8.
    #[error("the name of {0} is not UTF-8")]
    NotUtf8(PathBuf),
    /// A template needs a value that is missing: a defect of this program.
    #[error("this file cannot be filled in: {0}")]
    Template(String),
}

/// Prints the file of `kind` with `values` in it.
///
/// # Errors
/// When a value cannot be written in a server's file, or this server cannot reach the gate in that way.
pub fn print(kind: &ServerFile, values: &Values) -> Result<String, ConfigError> {
    values.verify()?;
    if kind.needs_tcp && !values.is_tcp() {
        return Err(ConfigError::NeedsTcp { kind: kind.name });
    }
    let defect = |error: upon::Error| ConfigError::Template(format!("{error:#}"));
    let mut engine = upon::Engine::new();
    for (name, text) in kinds::PARTS {
        // The line with the `include` already ends with a line feed.
        engine.add_template(*name, text.trim_end()).map_err(defect)?;
    }
    engine.add_template(kind.name, kind.template).map_err(defect)?;
    let text =
        engine.template(kind.name).render_from(&values.to_map(kind.name)).to_string().map_err(defect)?;
    Ok(format!("{}\n", text.trim_end()))
}

/// Refuses an account that this machine does not have.
///
/// # Errors
/// [`ConfigError::NoAccount`].
pub fn verify_user(user: Option<&str>) -> Result<(), ConfigError> {
    user.map_or(Ok(()), people::verify)
}

/// Replaces `file` by `text`, completely or not at all. Every user may read the new file.
///
/// # Errors
/// When the directory is not there, or may not be written to.
pub fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let name = file.file_name().ok_or(std::io::ErrorKind::IsADirectory)?;
    // The name begins with a dot, so that no server includes it by `*`.
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    let beside = file.with_file_name(hidden);
    let mut options = std::fs::OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|mut new| {
            new.write_all(text.as_bytes())?;
            // Set the mode independent of the umask.
            new.set_permissions(std::fs::Permissions::from_mode(0o644))?;
            new.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// All kinds, one line each, grouped by purpose.
pub fn list() -> String {
    let mut text = String::new();
    for (heading, belongs) in GROUPS {
        text.push_str(heading);
        for kind in KINDS.iter().filter(|kind| belongs(kind.name)) {
            let _ = writeln!(text, "  {:<22} {}", kind.name, kind.purpose);
        }
    }
    text.push_str("\nEach says at its top how to install it. Nothing is needed for logrotate: the log is systemd's or the server's.\n");
    text
}

/// A heading, and whether a kind belongs below it.
type Group = (&'static str, fn(&str) -> bool);

const GROUPS: [Group; 3] = [
    ("For the web server, one of these set-ups (what to choose first comes first):\n", |name| {
        !is_service(name) && !is_ban(name)
    }),
    (
        "\nTo let the gate run; not where Apache's mod_fcgid starts it (the .fcgi of apache-… and htaccess):\n",
        is_service,
    ),
    ("\nAgainst those who try out addresses:\n", is_ban),
];

fn is_service(name: &str) -> bool {
    name.starts_with("systemd")
}

fn is_ban(name: &str) -> bool {
    name.starts_with("fail2ban")
}

/// The values of the gallery with these settings, and sentences about what could not be found out. If the
/// database does not answer, the values come from Piwigo's files.
///
/// # Errors
/// When Piwigo's own files cannot be understood.
pub async fn values(settings: Settings, asked: &Asked) -> Result<(Values, Vec<String>), SettingsError> {
    let mut warnings = Vec::new();
    let settings = Arc::new(settings);
    let (gallery, sites, action_php) = match from_database(settings.clone()).await {
        Ok((gallery, sites, action_php)) => (gallery, Some(sites), action_php),
        Err(error) => {
            warnings.push(format!(
                "{error}; so the directories that Piwigo synchronises with are not known, and galleries/ is guarded: \
                 print this again when the database answers"
            ));
            let gallery = Gallery::resolve(&settings.piwigo, &[], &settings.url_prefix)?;
            (Arc::new(gallery), None, ActionPhp::in_force(settings.action_php, false))
        }
    };
    if gallery.upload_dir.is_none() {
        warnings.push(
            "Piwigo's upload_dir is not below its directory, or cannot be read: guard it by a line of your own".into(),
        );
    }
    let values = Values::of(&settings, &gallery, sites.as_deref(), action_php, asked);
    for site in values::unguarded(sites.as_deref().unwrap_or_default(), &values.beside) {
        warnings.push(format!(
            "Piwigo synchronises with {site:?}, which this file does not guard: a site beside Piwigo's directory needs \
             --parent-sites and --url-prefix; any other, a plain name below it"
        ));
    }
    Ok((values, warnings))
}

async fn from_database(settings: Arc<Settings>) -> Result<(Arc<Gallery>, Vec<String>, ActionPhp), Unknown> {
    let ready = Readiness::open(settings.clone()).await?.ready().await?;
    let sites = ready.database.sites().await?;
    Ok((ready.gallery.clone(), sites, ready.action_php(&settings)))
}

/// Why the database could not be asked.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the database does not answer: {0}")]
    Database(#[from] DatabaseError),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed anew by `tests/print-examples.sh`.
    #[test]
    fn the_files_in_this_project_are_what_is_printed_for_the_example() {
        let mut stale = Vec::new();
        for kind in KINDS {
            let values = Values { gate: kind.example_gate(), ..Values::example() };
            let printed = print(kind, &values).unwrap();
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(kind.example);
            if std::fs::read_to_string(&file).ok().as_deref() != Some(&printed) {
                stale.push(kind.example);
            }
        }
        assert!(stale.is_empty(), "run tests/print-examples.sh: {stale:?}");
    }

    #[test]
    fn every_kind_is_listed_once() {
        for kind in KINDS {
            assert_eq!(list().matches(&format!("\n  {} ", kind.name)).count(), 1, "{}", kind.name);
        }
    }

    /// A file for a link that the server's own check would refuse has no such check, and says why.
    #[test]
    fn a_link_that_the_server_would_refuse_leaves_the_look_to_the_gate() {
        let link = Some("galleries/nas".to_owned());
        for kind in KINDS {
            let example = || Values { gate: kind.example_gate(), ..Values::example() };
            let strict = print(kind, &example()).unwrap();
            let looks =
                ["disable_symlinks if_not_owner", "-FollowSymLinks +SymLinksIfOwnerMatch", "GATE_SYMLINKS"];
            // A comment proposes it, for an administrator to decide.
            let has_look = |text: &str| {
                let mut lines = text.lines().filter(|line| !line.starts_with('#'));
                lines.any(|line| looks.iter().any(|look| line.contains(look)))
            };
            let values = match kind.name {
                "haproxy-files" => Values { public_links_beyond: link.clone(), ..example() },
                _ => Values { links_beyond: link.clone(), ..example() },
            };
            let loose = print(kind, &values).unwrap();
            assert!(!has_look(&loose), "{}", kind.name);
            assert_eq!(loose.contains("would refuse `galleries/nas`"), has_look(&strict), "{}", kind.name);
            // With another setting the gate looks in any case, and no comment names a link.
            let other = print(kind, &Values { same_owner_links: false, ..values }).unwrap();
            assert!(!has_look(&other) && !other.contains("galleries/nas"), "{}", kind.name);
            // Apache knows no comment at the end of a line.
            let mut options =
                other.lines().chain(loose.lines()).filter(|line| line.trim().starts_with("Options"));
            assert!(options.all(|line| !line.contains('#')), "{}", kind.name);
        }
    }

    #[test]
    fn every_template_fits_every_set_of_values() {
        let all = Values {
            prefix: "/my piwigo".into(),
            originals: vec!["files/my uploads".into()],
            beside: vec!["photos".into()],
            same_owner_links: false,
            settings_file: Some("/etc/my settings.toml".into()),
            socket_activated: true,
            needs: values::Needs { home: true, tmp: true },
            ..Values::example()
        };
        for kind in KINDS {
            for gate in [kind.example_gate(), Listening::Tcp("::1".into(), 9800)] {
                let printed = print(kind, &Values { gate, ..all.clone() }).unwrap();
                assert!(!printed.contains("{{") && !printed.contains("{%"), "{}", kind.name);
            }
        }
    }
}
