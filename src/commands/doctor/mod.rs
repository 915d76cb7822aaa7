//! Examines a set-up and reports findings: what is right, what is wrong and what to do about it. It uses
//! the code that serves requests, and with `--url` asks the web server as a visitor does. It only reads. No
//! finding contains a password, a key or a session.

mod address;
mod charset;
mod closed;
mod confinement;
mod consequences;
mod database;
mod dump;
mod findings;
mod grants;
mod includes;
mod outside;
mod own_lines;
mod plugins;
mod prefixes;
mod program_names;
mod sendfile;
mod server_links;
mod setup;
mod shared_host;
mod socket;
mod text;
mod tree;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use findings::{Finding, Level};
pub use outside::{Cookies, CookiesError, Outside};
pub use text::write;

use super::accounts::Account;
use crate::files::{Tree, links};
use crate::settings::{self, Options, Settings, SettingsError};
use findings::{Findings, Without, some};
use prefixes::Guarded;

/// Largest part of one configuration file of a web server that `doctor` reads, in bytes.
const MAX_SERVER_FILE: u64 = 4 * 1024 * 1024;

/// Largest configuration that `doctor` reads as one text (`nginx -T`), in bytes.
const MAX_DUMP: u64 = 16 * 1024 * 1024;

/// The file name that means standard input.
pub const STANDARD_INPUT: &str = "-";

/// What `doctor` examines.
#[derive(Debug, Default)]
pub struct Asked {
    /// The gate's settings as given by flags and environment.
    pub options: Options,
    /// A `gate.toml` other than the usual ones.
    pub config: Option<PathBuf>,
    /// The web server's user.
    pub web_user: Option<String>,
    /// The web server's configuration.
    pub server_files: Vec<PathBuf>,
    /// How to ask the web server as a visitor; `None`: do not.
    pub outside: Option<Outside>,
}

/// The report of one examination.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of this program.
    pub version: &'static str,
    /// Piwigo's directory.
    pub gallery: String,
    /// The findings, in the order of the examination.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The level of the worst finding.
    pub fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    /// Whether nothing leaks and everything works. Warnings are allowed.
    pub fn is_sound(&self) -> bool {
        self.worst() < Level::Problem
    }
}

/// Examines a set-up.
///
/// # Errors
/// When no directory of a gallery is given. Everything else that is wrong is a finding.
pub async fn examine(asked: Asked) -> Result<Report, SettingsError> {
    let Asked { options, config, web_user, server_files, outside } = asked;
    let root = settings::gallery_directory(&options, config.as_deref())?;
    let resolve = || Settings::resolve(options.clone(), config.as_deref());
    let mut findings = Findings::default();

    setup::gallery(&root, &mut findings);
    let settings = resolve();
    let file = settings::config_file(&options, config.as_deref());
    setup::configuration(file.as_deref(), &settings, &mut findings);
    let settings = settings.ok();

    let mut guarded = Guarded::default();
    let mut inspection = None;
    let mut opened = None;
    match &settings {
        None => findings.not_examined_without(
            Without::Configuration,
            "database",
            "the configuration must be understood first",
        ),
        Some(settings) => inspection = database::reach(settings, &mut findings).await,
    }
    if let (Some(settings), Some(inspection)) = (&settings, &inspection) {
        // `Gate::open` consumes the settings, so they are resolved a second time.
        if let Ok(again) = resolve() {
            opened = Box::pin(database::open(again, &mut findings)).await;
        }
        if let Some((_, ready)) = &opened {
            database::tables(settings, ready, inspection, &mut findings).await;
            guarded = database::prefixes(settings, ready, inspection, &mut findings).await;
            program_names::examine(inspection, &mut findings).await;
            let downloads =
                plugins::Downloads { in_force: ready.action_php(settings), said: settings.action_php };
            plugins::active(&root, &ready.plugins, downloads, &mut findings);
            let mut known = ready.plugins.known().into_iter();
            if known.any(|(_, known)| known.id == plugins::BATCH_DOWNLOADER)
                && let Ok(Some(options)) = inspection.batch_downloader().await
            {
                plugins::batch_downloader(&options, &mut findings);
            }
        }
    } else if settings.is_some() {
        findings.not_examined_without(Without::Database, "schema", "the database must answer first");
    }

    let listen = settings.as_ref().and_then(|settings| settings.listen.as_ref());
    let gallery = opened.as_ref().map(|(_, ready)| &*ready.gallery);
    let socket = socket::path(listen);
    setup::user(&root, settings.as_ref(), gallery, socket.as_deref(), &mut findings);
    let web = Account::of_web_server(web_user.as_deref());
    if let (Some(name), None) = (&web_user, &web) {
        findings.warn("web-user", format!("there is no user {name:?} on this machine"), "correct --web-user");
    }
    // If no address is set, the web server starts the gate under its own account.
    let reader = web.as_ref().filter(|_| settings.is_some() && listen.is_none());
    setup::secrets(&root, file.as_deref(), reader, &mut findings);
    let allow_from = settings.as_ref().and_then(|settings| settings.allow_from.as_ref());
    socket::examine(listen, allow_from, web.as_ref(), &mut findings);
    confinement::examine(&mut findings);
    let symlinks = settings.as_ref().map(|settings| settings.symlinks.clone()).unwrap_or_default();
    let sites = gallery.map_or(&[][..], |gallery| &gallery.layout.parent_sites);
    let tree = Tree::new(&root, symlinks, sites);
    // Root may do everything, and the gate does not run as root.
    let gate = Some(setup::gate_account(socket.as_deref())).filter(|gate| gate.uid != 0);
    let seen = tree::examine(&tree, &guarded, outside.is_some(), gate.as_ref(), &mut findings);
    shared_host::examine(&root, &guarded, &mut findings);
    plugins::doors(&root, &guarded.originals, &mut findings);
    let server_text = server_file(&guarded, &server_files, &mut findings);
    let public = public_links(&tree, &guarded.data);
    let own = read_start(&root.join(".htaccess"), tree::MAX_HTACCESS).unwrap_or_default() + &seen.htaccess;
    let links = server_links::Links {
        guarded: &seen.beyond_servers,
        public: &public,
        directories: &guarded.directories(),
    };
    server_links::examine(links, &server_text, &own, &mut findings);
    let prefix = settings.as_ref().map_or("", |settings| &*settings.url_prefix);
    own_lines::examine(
        &server_text,
        &own_lines::Place { root: &root, prefix, guarded: &guarded },
        &mut findings,
    );
    let is_bound = gallery.is_none_or(|gallery| gallery.session_use_ip_address);
    let session_address = settings.as_ref().map(|settings| settings.session_address).unwrap_or_default();
    address::examine(&root, is_bound, session_address, &server_text, &mut findings);
    match &outside {
        Some(outside) => {
            let known = outside::Known {
                root: &root,
                guarded: &guarded,
                settings: settings.as_ref(),
                gate: opened.as_ref().map(|(gate, ready)| (gate, &**ready)),
                inspection: inspection.as_ref(),
                server_text: &server_text,
            };
            outside::examine(outside, &known, &mut findings).await;
        }
        None => findings.advise(
            "outside",
            "not examined: what a visitor gets",
            "say --url with the gallery's address, such as --url https://photos.example.org/",
        ),
    }
    consequences::mark(&mut findings.0);
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        gallery: root.display().to_string(),
        findings: findings.0,
    })
}

/// Reports what the web server's configuration must guard and never mentions. Returns the configuration's
/// text.
fn server_file(guarded: &Guarded, files: &[PathBuf], findings: &mut Findings) -> String {
    let mut text = String::new();
    for path in files {
        match configuration(path) {
            Ok(part) => {
                text.push_str(&part);
                text.push('\n');
            }
            Err(error) => {
                findings.warn("server-file", format!("{}: {error}", path.display()), "correct --server-file");
                return text;
            }
        }
    }
    if files.is_empty() {
        findings.advise(
            "server-file",
            "not examined: what the web server's configuration guards",
            "nginx: sudo nginx -T | piwigo-gate doctor --server-file - …; Apache: apache2ctl -t -D DUMP_INCLUDES in the place of \
             nginx -T; Caddy: --server-file /etc/caddy/Caddyfile; lighttpd: --server-file /etc/lighttpd/lighttpd.conf",
        );
        return text;
    }
    sendfile::examine(&text, findings);
    let missing = guarded.missing_from(&text);
    if missing.is_empty() {
        findings.ok("server-file", "mentions everything that must be guarded or closed");
    } else {
        findings.problem(
            "server-file",
            format!("the server's configuration never mentions {}", some(&missing)),
            "guard them as the shipped file does; where they stand in a file that this one includes, give the whole configuration \
             (sudo nginx -T | piwigo-gate doctor --server-file - …)",
        );
    }
    if has_templates(&text) {
        findings.problem(
            "server-file-templates",
            "`templates` is switched on: what a visitor writes into a page can read private files by it (`{{include}}`)",
            "take it out of the site in which the gallery lies, or give it a matcher that Piwigo's addresses do not match",
        );
    }
    text
}

/// The names of links on the way to public folders that a web server refuses because the owners of link and
/// target differ.
fn public_links(tree: &Tree, data: &str) -> Vec<String> {
    let folders = crate::commands::server_files::public_folders(data);
    let links = folders.iter().flat_map(|folder| links::on_the_way(tree, tree.root(), folder));
    let name =
        |link: links::Link| link.path.strip_prefix(tree.root()).unwrap_or(&link.path).display().to_string();
    let mut names: Vec<String> = links.filter(links::Link::is_refused_by_servers).map(name).collect();
    names.dedup();
    names
}

/// The configuration in the file at `path`, with the files that it includes; `-` is standard input. The
/// file may also hold the output of `nginx -T` or `apache2ctl -t -D DUMP_INCLUDES`.
fn configuration(path: &Path) -> std::io::Result<String> {
    let text = if path == Path::new(STANDARD_INPUT) {
        from_start(std::io::stdin().lock(), MAX_DUMP)?
    } else {
        read_start(path, MAX_DUMP)?
    };
    if let Some(files) = dump::Files::of_nginx(&text) {
        return Ok(files.whole());
    }
    match dump::first_of_apache(&text) {
        Some(first) => Ok(includes::with_included(&read_start(&first, MAX_SERVER_FILE)?, &first)),
        None => Ok(includes::with_included(&text, path)),
    }
}

/// Whether `text` contains Caddy's directive `templates` without a matcher.
fn has_templates(text: &str) -> bool {
    prefixes::without_comments(text).lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("templates") && matches!(words.next(), None | Some("*" | "{"))
    })
}

/// The first `limit` bytes of a regular file. Devices and pipes are refused: reading one may never end.
fn read_start(path: &Path, limit: u64) -> std::io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a file"));
    }
    from_start(std::fs::File::open(path)?, limit)
}

fn from_start(from: impl std::io::Read, limit: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    from.take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_without_a_matcher_are_noticed() {
        for (text, expected) in [
            ("root * /srv\n    templates\n", true),
            ("templates {\n mime text/html\n}", true),
            ("templates * {", true),
            ("templates /docs/*", false),
            ("# templates\nroot * /templates", false),
        ] {
            assert_eq!(has_templates(text), expected, "{text}");
        }
    }
}
