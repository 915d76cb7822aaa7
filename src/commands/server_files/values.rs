//! The values of a server's file: directories, addresses and the guarded parts of the site of this gallery.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use upon::Value;

use super::expressions::{alternatives, escaped, spelled, spelled_with_slashes, spellings, with_a_letter};
use super::links::BeyondServers;
use super::people::People;
use super::{ConfigError, php, public};
use crate::files::{Symlinks, Tree};
use crate::piwigo::gallery::Gallery;
use crate::server::listen::Listen;
use crate::settings::{ActionPhp, Settings};

/// Values from the command line, which the gallery does not tell.
#[derive(Debug, Default)]
pub struct Asked {
    /// PHP-FPM's socket.
    pub php_socket: Option<PathBuf>,
    /// The gate's program.
    pub program: Option<PathBuf>,
    /// The account that PHP runs as.
    pub user: Option<String>,
    /// The settings file that was named, absolute.
    pub settings_file: Option<PathBuf>,
    /// The group that may write to the gate's socket, if not its user's.
    pub socket_group: Option<String>,
    /// The server behind a front end: `127.0.0.1:8080`.
    pub backend: Option<String>,
    /// Whether the gate may listen for other machines, as the command line says.
    pub allow_remote: bool,
    /// Whether the command line, and not `gate.toml`, names the peers that may connect over TCP.
    pub allow_from: bool,
}

/// All values that are filled into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// Piwigo's directory, absolute.
    pub root: String,
    /// The path in the site at which the gallery is: empty, or `/piwigo`.
    pub prefix: String,
    /// Where the gate listens.
    pub gate: Listening,
    /// PHP-FPM's socket: its path, or `127.0.0.1:9000`.
    pub php_socket: String,
    /// How the program found it, and the alternatives, in a sentence; empty if the administrator named it.
    pub php_told: String,
    /// The gate's program, if not in the usual place.
    pub program: Option<String>,
    /// The account that PHP and the gate run as.
    pub user: String,
    /// What the program guessed about the accounts, in sentences; empty if the administrator named them.
    pub people_told: String,
    /// Directories of originals, relative to the root, without a slash at the end: `upload`, `galleries`.
    pub originals: Vec<String>,
    /// The directory of resized pictures: `_data/i`.
    pub derivatives: String,
    /// Piwigo's data directory: `_data`.
    pub data: String,
    /// Directories of originals beside the root (`../` sites), relative to the root's parent.
    pub beside: Vec<String>,
    /// Whether systemd opens the gate's socket.
    pub socket_activated: bool,
    /// The settings file, if not in one of the usual places.
    pub settings_file: Option<String>,
    /// The group that may write to the gate's socket, if not its user's.
    pub socket_group: Option<String>,
    /// The server behind a front end that holds the files: `127.0.0.1:8080`.
    pub backend: String,
    /// Whether the gate may listen for other machines; `gate.toml` need not say so then.
    pub allow_remote: bool,
    /// The peers that may connect over TCP, where `gate.toml` does not name them.
    pub allow_from: Option<String>,
    /// Which of `/home` and `/tmp`, which a service should not see, this gallery needs.
    pub needs: Needs,
    /// What the server may do with symbolic links: follow those of the target's own owner only.
    pub same_owner_links: bool,
    /// A link in a guarded directory, or on the way to one, that the gate follows and that the server would
    /// refuse because of `same_owner_links`: then only the gate checks links. The name is relative to the
    /// root, for a comment.
    pub links_beyond: Option<String>,
    /// The same for the public folders, whose files no gate judges.
    pub public_links_beyond: Option<String>,
    /// Whether Piwigo's own `action.php` answers downloads, and not the gate.
    pub downloads_by_piwigo: bool,
}

/// Which directories that a service should not see contain parts of the gallery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// In a home directory, as systemd's `ProtectHome` understands it.
    pub home: bool,
    /// In a directory for temporary files (`PrivateTmp`).
    pub tmp: bool,
}

impl Needs {
    /// Where these files and directories are, after links are resolved.
    fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut needs = Needs::default();
        for path in paths {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let below = |places: &[&str]| places.iter().any(|place| real.starts_with(place));
            needs.home |= below(&["/home", "/root", "/run/user"]);
            needs.tmp |= below(&["/tmp", "/var/tmp"]);
        }
        needs
    }
}

/// An address of the gate, as a server's file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listening {
    /// A unix socket's path.
    Unix(String),
    /// Host and port.
    Tcp(String, u16),
}

impl Listening {
    /// As `--listen` takes it.
    fn word(&self) -> String {
        match self {
            Listening::Unix(path) => format!("unix:{path}"),
            Listening::Tcp(host, port) if host.contains(':') => format!("tcp:[{host}]:{port}"),
            Listening::Tcp(host, port) => format!("tcp:{host}:{port}"),
        }
    }
}

/// Words for a shell, quoted. [`Values::verify`] refuses characters that have a meaning between quotation
/// marks.
fn in_a_shell(words: &[String]) -> String {
    let word = |word: &String| if word.contains([' ', '~']) { format!("\"{word}\"") } else { word.clone() };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

const SOCKET: &str = "/run/piwigo-gate/gate.sock";
const BACKEND: &str = "127.0.0.1:8080";
const PHP_SOCKET: &str = "/run/php/php-fpm.sock";

impl Values {
    /// The values of the example files in this project: a gallery in `/var/www/piwigo`, at the root of its
    /// site.
    pub fn example() -> Self {
        Values {
            root: "/var/www/piwigo".into(),
            prefix: String::new(),
            gate: Listening::Unix(SOCKET.into()),
            php_socket: PHP_SOCKET.into(),
            php_told: String::new(),
            program: None,
            user: "www-data".into(),
            people_told: String::new(),
            originals: vec!["upload".into(), "galleries".into()],
            derivatives: "_data/i".into(),
            data: "_data".into(),
            beside: Vec::new(),
            socket_activated: false,
            settings_file: None,
            socket_group: None,
            backend: BACKEND.into(),
            allow_remote: false,
            allow_from: None,
            needs: Needs::default(),
            same_owner_links: true,
            links_beyond: None,
            public_links_beyond: None,
            downloads_by_piwigo: false,
        }
    }

    /// The same gallery at another place in its site.
    pub fn example_at(url_prefix: &str) -> Option<Self> {
        Some(Values { prefix: crate::piwigo::layout::url_prefix(url_prefix)?.to_owned(), ..Self::example() })
    }

    /// The values of a gallery. `sites`: the directories that Piwigo synchronises with, as its table has
    /// them; `None`: they are not known, and the usual one is used. `action_php`: whether Piwigo or the
    /// gate answers downloads.
    pub fn of(
        settings: &Settings,
        gallery: &Gallery,
        sites: Option<&[String]>,
        action_php: ActionPhp,
        asked: &Asked,
    ) -> Self {
        let example = Self::example();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let bare = |directory: &str| directory.trim_end_matches('/').to_owned();
        let mut originals: Vec<String> = gallery.upload_dir.iter().map(|directory| bare(directory)).collect();
        match sites {
            Some(sites) => originals.extend(sites.iter().filter_map(|site| below_the_root(site))),
            None => originals.push("galleries".into()),
        }
        // Stock Piwigo lets an administrator synchronise `galleries/` at any time; and rows may still lie in
        // `upload/` after `upload_dir` was changed.
        let usual = ["upload", "galleries"].into_iter();
        originals.extend(usual.filter(|name| settings.gallery.join(name).is_dir()).map(str::to_owned));
        let mut seen = std::collections::BTreeSet::new();
        originals.retain(|directory| seen.insert(directory.clone()));
        let gate = match &settings.listen {
            Some(Listen::Unix { path, .. }) => Listening::Unix(text(path)),
            Some(Listen::Tcp(address)) => Listening::Tcp(address.ip().to_string(), address.port()),
            Some(Listen::Fd0 | Listen::Systemd) | None => example.gate,
        };
        let at = match &gate {
            Listening::Unix(path) => path.clone(),
            Listening::Tcp(host, port) => format!("{host}:{port}"),
        };
        let given = asked.php_socket.as_deref().map(|place| php::FoundPool::given(text(place)));
        let found = || php::find(&settings.gallery, &at, Path::new("/etc"), Path::new("/run"));
        let php = given.unwrap_or_else(found);
        let derivatives = bare(&gallery.layout.derivative_dir);
        let data = bare(&gallery.layout.data_dir);
        let (root, data_directory) = (&settings.gallery, settings.gallery.join(&data));
        let has_socket = matches!(gate, Listening::Unix(_));
        let group = asked.socket_group.as_deref();
        let people = People::find(asked.user.as_deref(), group, has_socket, root, &data_directory);
        let beside: Vec<String> = gallery.layout.parent_sites.iter().map(|site| bare(site)).collect();
        let below = |directory: &String| settings.gallery.join(directory);
        let used: Vec<PathBuf> = (originals.iter().chain([&derivatives, &data]).map(below))
            .chain(beside.iter().map(|site| settings.gallery.join("..").join(site)))
            .chain([settings.gallery.clone()])
            .chain(settings.session_files.iter().map(|files| files.directory.clone()))
            .chain(settings.database.path().map(Path::to_owned))
            .chain(asked.settings_file.clone())
            .collect();
        let tree = Tree::new(root, settings.symlinks.clone(), &gallery.layout.parent_sites);
        let beyond = BeyondServers { tree: &tree };
        let links_beyond = beyond.in_guarded(originals.iter().chain([&derivatives]), &beside);
        let public_links_beyond = beyond.in_public(&data);
        Values {
            root: text(&settings.gallery),
            prefix: settings.url_prefix.clone(),
            gate,
            php_socket: php.place,
            php_told: php.told,
            program: asked.program.as_deref().map(text),
            user: people.user,
            people_told: people.told,
            originals,
            derivatives,
            data,
            beside,
            socket_activated: settings.listen == Some(Listen::Systemd),
            settings_file: asked.settings_file.as_deref().map(text),
            socket_group: people.socket_group,
            backend: asked.backend.clone().unwrap_or(example.backend),
            allow_remote: asked.allow_remote,
            allow_from: settings.allow_from.as_ref().filter(|_| asked.allow_from).map(ToString::to_string),
            needs: Needs::of(used.iter().map(PathBuf::as_path)),
            same_owner_links: settings.symlinks == Symlinks::SameOwner,
            links_beyond,
            public_links_beyond,
            downloads_by_piwigo: action_php == ActionPhp::Piwigo,
        }
    }

    /// Whether the gate is reached over TCP.
    pub fn is_tcp(&self) -> bool {
        matches!(self.gate, Listening::Tcp(..))
    }

    /// Refuses what a server's file cannot hold: every value is written between quotation marks, where only
    /// these characters mean themselves in all of the languages.
    pub(super) fn verify(&self) -> Result<(), ConfigError> {
        let plain = |c: char| c.is_alphanumeric() || " ._-~+@:,=/".contains(c);
        let gate = match &self.gate {
            Listening::Unix(path) => path,
            Listening::Tcp(host, _) => host,
        };
        [
            &self.root,
            &self.prefix,
            gate,
            &self.backend,
            &self.php_socket,
            &self.user,
            &self.derivatives,
            &self.data,
        ]
        .into_iter()
        .chain(&self.program)
        .chain(&self.settings_file)
        .chain(&self.socket_group)
        .chain(&self.allow_from)
        .chain(&self.originals)
        .chain(&self.beside)
        .find(|text| !text.chars().all(plain))
        .map_or(Ok(()), |text| Err(ConfigError::Name(text.clone())))?;
        let port = self.php_socket.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !self.php_socket.starts_with('/') && !matches!(port, Some(Ok(_))) {
            return Err(ConfigError::Php(self.php_socket.clone()));
        }
        let port = self.backend.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if self.backend.contains(['/', ' ', ',', '=', '@']) || !matches!(port, Some(Ok(_))) {
            return Err(ConfigError::Backend(self.backend.clone()));
        }
        Ok(())
    }

    /// The options with which the file was printed, for its own first lines.
    fn options(&self) -> String {
        let listen = match &self.gate {
            _ if self.socket_activated => Some("systemd".to_owned()),
            gate if *gate == Self::example().gate => None,
            gate => Some(gate.word()),
        };
        self.options_listening(listen)
    }

    /// The same with another `--listen`.
    fn options_listening(&self, listen: Option<String>) -> String {
        let example = Self::example();
        let mut words = self.common_options();
        words.extend(listen.into_iter().flat_map(|listen| ["--listen".to_owned(), listen]));
        words.extend(self.peers());
        if self.php_socket != example.php_socket {
            words.extend(["--php-socket".into(), self.php_socket.clone()]);
        }
        for (option, value) in [("--program", &self.program), ("--socket-group", &self.socket_group)] {
            words.extend(value.iter().flat_map(|value| [option.to_owned(), value.clone()]));
        }
        if self.backend != example.backend {
            words.extend(["--backend".into(), self.backend.clone()]);
        }
        if self.user != example.user {
            words.extend(["--user".into(), self.user.clone()]);
        }
        in_a_shell(&words)
    }

    /// The options with which other verbs are told of the gallery and its gate.
    fn place(&self, kind: &str) -> String {
        let mut words = self.common_options();
        let by_apache = ["apache-xsendfile", "apache-access-checker"].contains(&kind);
        if !by_apache && !self.socket_activated {
            words.extend(["--listen".into(), self.gate.word()]);
            words.extend(self.peers());
        }
        in_a_shell(&words)
    }

    /// The options that say which peers may connect over TCP.
    fn peers(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.allow_remote {
            words.push("--allow-remote".to_owned());
        }
        words.extend(self.allow_from.iter().flat_map(|list| ["--allow-from".to_owned(), list.clone()]));
        words
    }

    fn common_options(&self) -> Vec<String> {
        let mut words = vec!["--gallery".to_owned(), self.root.clone()];
        if !self.prefix.is_empty() {
            words.extend(["--url-prefix".into(), self.prefix.clone()]);
        }
        if !self.beside.is_empty() {
            words.push("--parent-sites".into());
        }
        words.extend(self.settings_file.iter().flat_map(|file| ["--config".to_owned(), file.clone()]));
        words
    }

    /// The number of slashes in the longest guarded name, without the first one: 1 for `/local/config`.
    fn name_depth(&self) -> usize {
        let slashes = |path: &String| path.matches('/').count();
        let names = self.originals.iter().chain([&self.derivatives, &self.data]).chain(&self.beside);
        names.map(slashes).fold(1, usize::max) + slashes(&self.prefix)
    }

    /// The names that templates know.
    pub(super) fn to_map(&self, kind: &str) -> Value {
        let guarded: Vec<String> = self.originals.iter().chain([&self.derivatives]).cloned().collect();
        let parent = Path::new(&self.root).parent().unwrap_or(Path::new("/"));
        let program = self.program.as_deref().unwrap_or("/usr/local/bin/piwigo-gate");
        // mod_fcgid needs a directory that contains nothing else.
        let fcgi = self.program.as_deref().unwrap_or("/usr/local/lib/piwigo-gate/gate.fcgi");
        // The URL above the gallery's own: `/photos` beside `/piwigo`.
        let above = self.prefix.rsplit_once('/').map_or("", |(above, _)| above);
        let (unix, tcp) = match &self.gate {
            Listening::Unix(path) => (path.clone(), String::new()),
            Listening::Tcp(host, port) if host.contains(':') => (String::new(), format!("[{host}]:{port}")),
            Listening::Tcp(host, port) => (String::new(), format!("{host}:{port}")),
        };
        let (host, port) = match &self.gate {
            Listening::Unix(_) => (String::new(), String::new()),
            Listening::Tcp(host, port) => (host.clone(), port.to_string()),
        };
        let beyond =
            if kind == "haproxy-files" { &self.public_links_beyond } else { &self.links_beyond }.as_ref();
        let listen = if self.socket_activated { "systemd".to_owned() } else { self.gate.word() };
        // systemd creates the directory of a socket that has its own directory in /run.
        let runtime = match Path::new(&unix).strip_prefix("/run").map(Path::parent) {
            Ok(Some(parent)) if !self.socket_activated => parent.to_string_lossy(),
            _ => "".into(),
        };
        // A socket's path as the server writes it, or an address unchanged: `127.0.0.1:9000`.
        let php = |unix: &str| {
            let is_path = self.php_socket.starts_with('/');
            format!("{}{}", if is_path { unix } else { "" }, self.php_socket)
        };
        let gate_word = if self.is_tcp() { tcp.clone() } else { format!("\"unix@{unix}\"") };
        let text = |text: &str| Value::String(text.to_owned());
        let list = |items: &[String]| Value::List(items.iter().cloned().map(Value::String).collect());
        let map: BTreeMap<String, Value> = [
            ("kind", text(kind)),
            ("root", text(&self.root)),
            ("parent", text(parent.to_string_lossy().trim_end_matches('/'))),
            ("prefix", text(&self.prefix)),
            ("above", text(above)),
            ("gate_unix", text(&unix)),
            ("gate_tcp", text(&tcp)),
            ("caddy_gate", text(&if self.is_tcp() { tcp.clone() } else { format!("\"unix/{unix}\"") })),
            ("haproxy_gate", text(&gate_word)),
            ("haproxy_php", text(&format!("\"{}\"", php("unix@")))),
            ("needs_socket_group", Value::Bool(self.socket_group.is_none() && !self.is_tcp())),
            ("backend", text(&self.backend)),
            // mod_rewrite takes the value of a flag as small letters, up to a comma.
            ("fits_a_flag", Value::Bool(!unix.contains(|c: char| c == ',' || c.is_ascii_uppercase()))),
            ("gate_host", text(&host)),
            ("gate_port", text(&port)),
            ("php_socket", text(&self.php_socket)),
            ("php_pass", text(&php("unix:"))),
            ("php_dial", text(&php("unix/"))),
            ("program", text(program)),
            ("fcgi", text(fcgi)),
            ("fcgi_dir", text(&Path::new(fcgi).parent().unwrap_or(Path::new("/")).to_string_lossy())),
            ("user", text(&self.user)),
            ("listen", text(&listen)),
            ("runtime_dir", text(&runtime)),
            ("has_runtime_dir", Value::Bool(!runtime.is_empty())),
            ("socket_activated", Value::Bool(self.socket_activated)),
            ("settings_file", text(self.settings_file.as_deref().unwrap_or_default())),
            ("has_settings_file", Value::Bool(self.settings_file.is_some())),
            ("socket_group", text(self.socket_group.as_deref().unwrap_or_default())),
            ("has_socket_group", Value::Bool(self.socket_group.is_some())),
            ("peers", text(&in_a_shell(&self.peers()))),
            ("has_peers", Value::Bool(!self.peers().is_empty())),
            ("options", text(&self.options())),
            ("options_by_systemd", text(&self.options_listening(Some("systemd".to_owned())))),
            ("place", text(&self.place(kind))),
            ("web_user", text(if kind.starts_with("caddy") { "caddy" } else { "" })),
            ("needs_home", Value::Bool(self.needs.home)),
            ("needs_tmp", Value::Bool(self.needs.tmp)),
            ("originals", list(&self.originals)),
            ("derivatives", text(&self.derivatives)),
            ("guarded", list(&guarded)),
            ("data", text(&self.data)),
            ("beside", list(&self.beside)),
            ("same_owner_links", Value::Bool(self.same_owner_links && beyond.is_none())),
            ("link_beyond", text(beyond.map_or("", String::as_str))),
            ("has_link_beyond", Value::Bool(self.same_owner_links && beyond.is_some())),
            ("judges_urls_only", Value::Bool(kind == "caddy-forward-auth")),
            // If the server only asks the gate, PHP always answers `action.php`.
            ("downloads_by_piwigo", Value::Bool(self.downloads_by_piwigo || kind == "caddy-forward-auth")),
            ("cached", Value::Bool(kind == "nginx-auth-cache")),
            ("is_tcp", Value::Bool(self.is_tcp())),
            ("has_beside", Value::Bool(!self.beside.is_empty())),
            ("has_prefix", Value::Bool(!self.prefix.is_empty())),
            // Regular expressions.
            ("re_root", text(&escaped(&self.root))),
            ("re_prefix", text(&escaped(&self.prefix))),
            ("re_originals", text(&alternatives(&self.originals))),
            ("re_guarded", text(&alternatives(&guarded))),
            ("re_beside", text(&alternatives(&self.beside))),
            ("re_derivatives", text(&escaped(&self.derivatives))),
            ("re_data", text(&escaped(&self.data))),
            // The part of the derivatives' directory that is below the data directory: `i`.
            (
                "re_derivatives_in_data",
                text(&escaped(self.derivatives.strip_prefix(&format!("{}/", self.data)).unwrap_or("i"))),
            ),
            ("re_spellings", text(&spellings(&guarded, &self.data))),
            ("re_prefix_spelled", text(&spelled(&self.prefix))),
            ("re_prefix_with_slashes", text(&spelled_with_slashes(&self.prefix))),
            ("re_above_with_slashes", text(&spelled_with_slashes(above))),
            ("re_prefix_letters", text(&with_a_letter(&self.prefix))),
            // Matches from the beginning of a URL into any part that can belong to a guarded name.
            ("re_first_parts", text(&format!("^(/[^/]*){{0,{}}}/[^/]*", self.name_depth()))),
            ("re_above", text(&escaped(above))),
            ("re_above_spelled", text(&spelled(above))),
            (
                "re_beside_spellings",
                text(&self.beside.iter().map(|path| spelled(path)).collect::<Vec<_>>().join("|")),
            ),
        ]
        .into_iter()
        .chain(public::values(&self.prefix, &self.data, &guarded))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        Value::Map(map)
    }
}

/// The sites of this machine whose files the printed file does not guard.
pub(super) fn unguarded<'a>(sites: &'a [String], beside: &[String]) -> Vec<&'a str> {
    let is_served = |site: &str| {
        let beside_the_root = site.strip_prefix("../").map(|site| site.trim_end_matches('/'));
        beside_the_root.is_some_and(|site| beside.iter().any(|known| known == site))
    };
    sites
        .iter()
        .map(String::as_str)
        .filter(|site| !site.contains("://") && below_the_root(site).is_none() && !is_served(site))
        .collect()
}

/// `./galleries/` as `galleries`; `None` for a site of another machine, beside the root, or the root itself.
pub(crate) fn below_the_root(site: &str) -> Option<String> {
    let path = site.strip_prefix("./").unwrap_or(site).trim_end_matches('/');
    let plain = |segment: &str| !segment.is_empty() && !segment.starts_with('.') && !segment.ends_with(':');
    path.split('/').all(plain).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_below_the_root() {
        let table = [
            ("./galleries/", Some("galleries")),
            ("galleries/", Some("galleries")),
            ("./photos/2024/", Some("photos/2024")),
            ("../ext/", None),
            ("./", None),
            ("http://elsewhere.example/photos/", None),
            ("./.hidden/", None),
        ];
        for (site, expected) in table {
            assert_eq!(below_the_root(site).as_deref(), expected, "{site}");
        }
    }

    #[test]
    fn php_is_at_a_path_or_an_address() {
        for (socket, expected) in [
            ("/run/php/php-fpm.sock", Some("fastcgi_pass \"unix:/run/php/php-fpm.sock\";")),
            ("127.0.0.1:9000", Some("fastcgi_pass \"127.0.0.1:9000\";")),
            ("php-fpm.sock", None),
            ("unix:/run/php/php-fpm.sock", None),
        ] {
            let values = Values { php_socket: socket.into(), ..Values::example() };
            for kind in ["nginx", "nginx-auth-request"] {
                let text = crate::commands::server_files::print(
                    crate::commands::server_files::ServerFile::find(kind).unwrap(),
                    &values,
                );
                assert_eq!(
                    text.ok().map(|text| text.contains(expected.unwrap_or_default())),
                    expected.map(|_| true)
                );
            }
        }
    }

    #[test]
    fn what_no_server_file_can_hold_is_refused() {
        for name in ["a\"b", "a$b", "a\\b", "a\nb", "a;b", "a{b", "a#b", "a%b", "a'b", "a<b", "a`b"] {
            let values = Values { root: format!("/srv/{name}"), ..Values::example() };
            assert!(matches!(values.verify(), Err(ConfigError::Name(_))), "{name:?}");
        }
        let values = Values { root: "/srv/Meine Fotos, Été".into(), ..Values::example() };
        assert!(values.verify().is_ok());
    }

    #[test]
    fn what_lies_where_a_service_is_kept_from_is_noticed() {
        let table = [
            (&["/var/www/piwigo", "/srv/homes/x"] as &[&str], false, false),
            (&["/var/www/piwigo", "/home/bob/photos"], true, false),
            (&["/root/piwigo"], true, false),
            (&["/srv/piwigo", "/tmp/mysql.sock"], false, true),
            (&["/var/tmp/piwigo/upload", "/run/user/1000/x"], true, true),
        ];
        for (paths, home, tmp) in table {
            assert_eq!(Needs::of(paths.iter().map(Path::new)), Needs { home, tmp }, "{paths:?}");
        }
    }
}
