//! The options that an administrator can give by flag, by environment variable `PIWIGO_GATE_*` or in
//! `gate.toml`. One struct holds all three, so that their names stay the same. [`super::Settings`] holds the
//! resolved and checked values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{ActionPhp, SettingsError, nearest};
use crate::derivative::order::DerivativeQuality;
use crate::http::reply::SendMode;
use crate::verdict::access::Admins;
use crate::verdict::identity::SessionAddress;

/// Largest `gate.toml`, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Options as given; `None` means not given.
#[derive(Clone, Debug, Default, clap::Args, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Settings")]
pub struct Options {
    /// The web server starts several gate processes that each serve one request at a time (`mod_fcgid`). No
    /// option sets this: the gate sees it from how it was started. It changes defaults only.
    #[arg(skip)]
    #[serde(skip)]
    pub one_of_several: bool,
    /// Piwigo's directory, which holds its index.php
    #[arg(long, env = "PIWIGO_GATE_GALLERY", value_name = "DIR", help_heading = None)]
    pub gallery: Option<PathBuf>,
    /// Address to listen at: unix:PATH, tcp:ADDR:PORT, fd:0 or systemd
    #[arg(long, env = "PIWIGO_GATE_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Permissions of the unix socket, octal [default: 0660]
    #[arg(long, env = "PIWIGO_GATE_SOCKET_MODE", value_name = "MODE")]
    pub socket_mode: Option<String>,
    /// Group of the unix socket: the web server's, by name or number
    #[arg(long, env = "PIWIGO_GATE_SOCKET_GROUP", value_name = "GROUP")]
    pub socket_group: Option<String>,
    /// Allow a tcp: address that other machines can reach (they could then claim any identity); needs
    /// --allow-from
    #[arg(long, env = "PIWIGO_GATE_ALLOW_REMOTE", num_args = 0..=1, default_missing_value = "true")]
    pub allow_remote: Option<bool>,
    /// Addresses and networks from which web servers may connect to a tcp: address [default: any]
    #[arg(
        long_help = "Addresses and networks from which web servers may connect to a tcp: address, or to an inherited TCP \
                     socket, with commas between several: 192.0.2.10,2001:db8::/64. Any other peer is disconnected \
                     before anything is read [default: any]",
        long,
        env = "PIWIGO_GATE_ALLOW_FROM",
        value_name = "ADDR[,ADDR...]"
    )]
    #[serde(deserialize_with = "one_or_more")]
    pub allow_from: Option<Vec<String>>,
    /// How the gate tells the web server to send a file [default: as the web server's parameters say]
    #[arg(long, env = "PIWIGO_GATE_DELIVER")]
    pub deliver: Option<SendMode>,
    /// Symbolic links that the gate follows: same-owner, inside, all, or a directory [default: same-owner]
    #[arg(
        long_help = "Symbolic links of the gallery that the gate follows: same-owner (links whose target has the same owner), \
                     inside (links that do not lead out of the gallery), all, or a directory (links that lead into the \
                     gallery or below this directory). Given again: another directory. In the environment, separate \
                     several with white space [default: same-owner]",
        long,
        env = "PIWIGO_GATE_SYMLINKS",
        value_name = "WHICH"
    )]
    #[serde(deserialize_with = "one_or_more")]
    pub symlinks: Option<Vec<String>>,
    /// Path under which the gallery is mounted, such as /piwigo [default: none]
    #[arg(long, env = "PIWIGO_GATE_URL_PREFIX", value_name = "PATH")]
    pub url_prefix: Option<String>,
    /// Serve galleries beside Piwigo's directory (sites that begin with ../); needs --url-prefix
    #[arg(long, env = "PIWIGO_GATE_PARENT_SITES", num_args = 0..=1, default_missing_value = "true")]
    pub parent_sites: Option<bool>,
    /// Address of the database, instead of the one in Piwigo's files; given again: of a read replica
    #[arg(
        long_help = "Address of the database, instead of the one in Piwigo's files: mysql://user:password@host/name or \
                     sqlite:///file. Given again: of a read replica (see --max-replica-lag), where the first may be \
                     the word piwigo for Piwigo's own. In the environment, separate several with white space",
        long,
        env = "PIWIGO_GATE_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    #[serde(deserialize_with = "one_or_more")]
    pub database: Option<Vec<String>>,
    /// Longest time by which a read replica may be behind, such as 2s
    #[arg(long, env = "PIWIGO_GATE_MAX_REPLICA_LAG", value_name = "TIME")]
    pub max_replica_lag: Option<String>,
    /// Limits the number of database connections [default: 8]
    #[arg(long, env = "PIWIGO_GATE_DATABASE_CONNECTIONS", value_name = "N")]
    pub database_connections: Option<u32>,
    /// How long the gate may reuse an answer of the database, such as 1s or 500ms [default: 0, never]
    #[arg(long, env = "PIWIGO_GATE_FRESHNESS", value_name = "TIME")]
    pub freshness: Option<String>,
    /// Start even if one of Piwigo's settings files includes a file that the gate does not read
    #[arg(long, env = "PIWIGO_GATE_IGNORE_INCLUDES", num_args = 0..=1, default_missing_value = "true")]
    pub ignore_includes: Option<bool>,
    /// Whether ?auth= keys count in every URL, not only in those of action.php [default: false]
    #[arg(long, env = "PIWIGO_GATE_AUTH_KEY_EVERYWHERE", value_name = "BOOL")]
    pub auth_key_everywhere: Option<bool>,
    /// Whether the header X-PIWIGO-API signs a visitor in (Piwigo 16 accepts it in ws.php only) [default:
    /// false]
    #[arg(long, env = "PIWIGO_GATE_API_KEY_HEADER", value_name = "BOOL")]
    pub api_key_header: Option<bool>,
    /// Which program answers action.php: the gate, or Piwigo's own script with what plugins add to it
    /// [default: gate, or piwigo if an active plugin requires it]
    #[arg(long, env = "PIWIGO_GATE_ACTION_PHP")]
    pub action_php: Option<ActionPhp>,
    /// Write the history rows that Piwigo writes for downloads (the database user needs INSERT on that table)
    #[arg(long, env = "PIWIGO_GATE_HISTORY", value_name = "BOOL")]
    pub history: Option<bool>,
    /// Files that admins may see: every file that has a record, or those that Piwigo's permissions allow
    /// [default: all]
    #[arg(long, env = "PIWIGO_GATE_ADMINS")]
    pub admins: Option<Admins>,
    /// Status of every refusal: 403, 401 or 404 [default: 403]
    #[arg(long, env = "PIWIGO_GATE_DENY_STATUS", value_name = "CODE")]
    pub deny_status: Option<u16>,
    /// Whether RAW and other formats need the right to originals [default: true]
    #[arg(long, env = "PIWIGO_GATE_FORMATS_NEED_HIGH", value_name = "BOOL")]
    pub formats_need_high: Option<bool>,
    /// How a refusal looks in a browser: the bare status, a small picture, or the sign-in page [default:
    /// status]
    #[arg(long, env = "PIWIGO_GATE_DENY")]
    pub deny: Option<DenyWith>,
    /// Whether a visitor who may see an album may also see the resized pictures of its cover [default: false]
    #[arg(long, env = "PIWIGO_GATE_COVERS", num_args = 0..=1, default_missing_value = "true")]
    pub covers: Option<bool>,
    /// Address that Piwigo binds sessions to: the client's, as the web server gives it, or (for a changed
    /// Piwigo) the first one of the header X-Forwarded-For [default: remote-addr]
    #[arg(long, env = "PIWIGO_GATE_SESSION_ADDRESS")]
    pub session_address: Option<SessionAddress>,
    /// Seconds after its last use until a session expires [default: none; it counts while its row exists, as
    /// in Piwigo]
    #[arg(long, env = "PIWIGO_GATE_SESSION_MAX_AGE", value_name = "SECONDS")]
    pub session_max_age: Option<u64>,
    /// Directory in which PHP keeps its sessions, if Piwigo does not keep them in its database
    #[arg(long, env = "PIWIGO_GATE_SESSION_FILES", value_name = "DIR")]
    pub session_files: Option<PathBuf>,
    /// Levels of directories below it: the number before the semicolon of the save path in php.ini [default:
    /// 0]
    #[arg(long, env = "PIWIGO_GATE_SESSION_FILES_DEPTH", value_name = "N")]
    pub session_files_depth: Option<usize>,
    /// Name of those sessions' cookie: session.name in php.ini [default: PHPSESSID]
    #[arg(long, env = "PIWIGO_GATE_SESSION_FILES_COOKIE", value_name = "NAME")]
    pub session_files_cookie: Option<String>,
    /// Cache-Control of allowed files [default: private, max-age=600]
    #[arg(long, env = "PIWIGO_GATE_BROWSER_CACHE", value_name = "VALUE")]
    pub browser_cache: Option<String>,
    /// What the gate does if a resized picture is missing or stale [default: generate]
    #[arg(long, env = "PIWIGO_GATE_DERIVATIVES")]
    pub derivatives: Option<Derivatives>,
    /// Quality of resized JPEG and WebP files [default: source]
    #[arg(long, env = "PIWIGO_GATE_DERIVATIVE_QUALITY")]
    pub derivative_quality: Option<DerivativeQuality>,
    /// Limits the number of resized pictures made at the same time [default: number of processor cores]
    #[arg(long, env = "PIWIGO_GATE_DERIVATIVE_JOBS", value_name = "N")]
    pub derivative_jobs: Option<usize>,
    /// Whether resized animations keep all frames; Piwigo keeps only the first [default: false]
    #[arg(long, env = "PIWIGO_GATE_GIF_ANIMATION", num_args = 0..=1, default_missing_value = "true")]
    pub gif_animation: Option<bool>,
    /// Limits the number of connections from the web server [default: 512]
    #[arg(long, env = "PIWIGO_GATE_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,
    /// Seconds within which a complete request must arrive [default: 10]
    #[arg(long, env = "PIWIGO_GATE_HEADER_TIMEOUT", value_name = "SECONDS")]
    pub header_timeout: Option<u64>,
    /// Seconds after which a connection without a request is closed [default: 60]
    #[arg(long, env = "PIWIGO_GATE_IDLE_TIMEOUT", value_name = "SECONDS")]
    pub idle_timeout: Option<u64>,
    /// Seconds within which the web server must take an answer, or the next piece of a file that the gate
    /// sends itself [default: 10]
    #[arg(long, env = "PIWIGO_GATE_WRITE_TIMEOUT", value_name = "SECONDS")]
    pub write_timeout: Option<u64>,
    /// Seconds to finish the requests under way when the gate is stopped [default: 30]
    #[arg(
        long_help = "Seconds to finish the requests under way when the gate is stopped. A file that the gate sends itself \
                     gets at most 5 of them; its client can resume with a range request [default: 30]",
        long,
        env = "PIWIGO_GATE_DRAIN_TIMEOUT",
        value_name = "SECONDS"
    )]
    pub drain_timeout: Option<u64>,
    /// Log messages of this level and above [default: info]
    #[arg(long, env = "PIWIGO_GATE_LOG", value_name = "LEVEL")]
    pub log: Option<LogLevel>,
    /// Format of log lines [default: text]
    #[arg(long, env = "PIWIGO_GATE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Files without a row that the gate judges as the video beside them: patterns such as `{stem}.vtt`, or
    /// `videojs` (only in gate.toml)
    #[arg(skip)]
    #[serde(deserialize_with = "one_or_more")]
    pub companions: Option<Vec<String>>,
    /// Piwigo's own settings, if the gate cannot read them from Piwigo's files (only in gate.toml, table
    /// `piwigo`)
    #[arg(skip)]
    pub piwigo: BTreeMap<String, toml::Value>,
}

/// Reads a text or a list of texts.
fn one_or_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged, expecting = "a text in quotation marks, or a list of them")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    Ok(Some(match serde::Deserialize::deserialize(deserializer)? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(texts) => texts,
    }))
}

/// The `derivatives` setting: what the gate does if an allowed resized picture is missing or stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Derivatives {
    /// The gate makes it.
    Generate,
    /// The web server passes the request on to Piwigo's `i.php`, which makes it.
    Piwigo,
    /// The gate serves only existing files.
    Existing,
}

/// The `deny` setting: what a refusal looks like, apart from its status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenyWith {
    /// The status with a short text.
    #[default]
    Status,
    /// The status with a small picture, the same for every refusal.
    Image,
    /// A visitor who is not signed in and opens the URL in a browser is sent to Piwigo's sign-in page; every
    /// other request gets the status.
    Login,
}

/// The `log_format` setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for humans and fail2ban.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The `log` setting: the level of messages to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Errors that keep the gate from answering.
    Error,
    /// Also warnings.
    Warn,
    /// Also each refusal, start and stop.
    #[default]
    Info,
    /// Also each answer.
    Debug,
    /// Everything.
    Trace,
}

impl Options {
    /// Reads the `gate.toml` that [`Options::file`] finds.
    ///
    /// # Errors
    /// If the file cannot be read or parsed.
    pub fn from_file(config: Option<&Path>, gallery: Option<&Path>) -> Result<Self, SettingsError> {
        Self::file(config, gallery)?.map_or_else(|| Ok(Options::default()), |path| Self::read(&path))
    }

    /// The `gate.toml` to read: `config` if given, else the gallery's own, else `/etc/piwigo-gate/gate.toml`;
    /// `None` if neither exists.
    ///
    /// # Errors
    /// If the system does not tell whether a file exists.
    pub fn file(config: Option<&Path>, gallery: Option<&Path>) -> Result<Option<PathBuf>, SettingsError> {
        if let Some(path) = config {
            return Ok(Some(path.to_owned()));
        }
        let places = gallery
            .map(|gallery| gallery.join("local/config/gate.toml"))
            .into_iter()
            .chain([PathBuf::from("/etc/piwigo-gate/gate.toml")]);
        for path in places {
            match path.try_exists() {
                Ok(true) => return Ok(Some(path)),
                Ok(false) => {}
                Err(error) => return Err(SettingsError::Unreadable { path, error }),
            }
        }
        Ok(None)
    }

    fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = super::read_text(path, MAX_FILE)?;
        toml::from_str(&text).map_err(|error| SettingsError::Toml {
            path: path.to_owned(),
            // The complete error quotes the line, which may hold a password.
            message: nearest::unknown_key(error.message()).unwrap_or_else(|| error.message().to_owned()),
            line: error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1),
        })
    }

    /// Takes each option from `self`, or from `weaker` if `self` does not give it.
    #[must_use]
    pub fn or(self, weaker: Options) -> Options {
        let mut piwigo = weaker.piwigo;
        piwigo.extend(self.piwigo);
        Options {
            one_of_several: self.one_of_several || weaker.one_of_several,
            gallery: self.gallery.or(weaker.gallery),
            listen: self.listen.or(weaker.listen),
            socket_mode: self.socket_mode.or(weaker.socket_mode),
            socket_group: self.socket_group.or(weaker.socket_group),
            allow_remote: self.allow_remote.or(weaker.allow_remote),
            allow_from: self.allow_from.or(weaker.allow_from),
            deliver: self.deliver.or(weaker.deliver),
            symlinks: self.symlinks.or(weaker.symlinks),
            url_prefix: self.url_prefix.or(weaker.url_prefix),
            parent_sites: self.parent_sites.or(weaker.parent_sites),
            database: self.database.or(weaker.database),
            max_replica_lag: self.max_replica_lag.or(weaker.max_replica_lag),
            database_connections: self.database_connections.or(weaker.database_connections),
            freshness: self.freshness.or(weaker.freshness),
            ignore_includes: self.ignore_includes.or(weaker.ignore_includes),
            auth_key_everywhere: self.auth_key_everywhere.or(weaker.auth_key_everywhere),
            session_address: self.session_address.or(weaker.session_address),
            api_key_header: self.api_key_header.or(weaker.api_key_header),
            action_php: self.action_php.or(weaker.action_php),
            history: self.history.or(weaker.history),
            admins: self.admins.or(weaker.admins),
            deny_status: self.deny_status.or(weaker.deny_status),
            formats_need_high: self.formats_need_high.or(weaker.formats_need_high),
            deny: self.deny.or(weaker.deny),
            covers: self.covers.or(weaker.covers),
            session_max_age: self.session_max_age.or(weaker.session_max_age),
            session_files: self.session_files.or(weaker.session_files),
            session_files_depth: self.session_files_depth.or(weaker.session_files_depth),
            session_files_cookie: self.session_files_cookie.or(weaker.session_files_cookie),
            browser_cache: self.browser_cache.or(weaker.browser_cache),
            derivatives: self.derivatives.or(weaker.derivatives),
            derivative_jobs: self.derivative_jobs.or(weaker.derivative_jobs),
            derivative_quality: self.derivative_quality.or(weaker.derivative_quality),
            gif_animation: self.gif_animation.or(weaker.gif_animation),
            max_connections: self.max_connections.or(weaker.max_connections),
            header_timeout: self.header_timeout.or(weaker.header_timeout),
            idle_timeout: self.idle_timeout.or(weaker.idle_timeout),
            write_timeout: self.write_timeout.or(weaker.write_timeout),
            drain_timeout: self.drain_timeout.or(weaker.drain_timeout),
            log: self.log.or(weaker.log),
            log_format: self.log_format.or(weaker.log_format),
            companions: self.companions.or(weaker.companions),
            piwigo,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_and_what_it_must_not_say() {
        let table = [
            ("admins = \"strict\"\ndeny_status = 404\n[piwigo]\nsession_name = \"x\"", true),
            ("derivatives = \"existing\"", true),
            ("derivatives = \"generate\"\nderivative_jobs = 2", true),
            ("derivatives = \"none\"", false),
            ("action_php = \"piwigo\"", true),
            ("action_php = true", false),
            ("one_of_several = true", false),
            ("deny = \"login\"\ncovers = true\nlog_format = \"json\"", true),
            ("database = \"mysql://a/b\"", true),
            ("database = [\"piwigo\", \"mysql://a/b\"]\nmax_replica_lag = \"2s\"", true),
            ("database = 1", false),
            ("symlinks = \"inside\"\ndeliver = \"stream\"", true),
            ("symlinks = [\"/mnt/nas\", \"/srv/photos\"]", true),
            ("symlinks = true", false),
            ("allow_remote = true\nallow_from = \"192.0.2.10\"", true),
            ("allow_from = [\"192.0.2.10\", \"2001:db8::/64\"]", true),
            ("allow_from = 4", false),
            ("deny = \"no\"", false),
            ("admin = \"strict\"", false),
            ("admins = \"some\"", false),
            ("deny_status = \"404\"", false),
            ("log = \"chatty\"", false),
        ];
        for (text, understood) in table {
            assert_eq!(toml::from_str::<Options>(text).is_ok(), understood, "{text}");
        }
    }

    #[test]
    fn the_stronger_word_counts() {
        let weaker: Options = toml::from_str("deny_status = 404\nlog = \"warn\"").unwrap();
        let stronger: Options = toml::from_str("deny_status = 401").unwrap();
        let both = stronger.or(weaker);
        assert_eq!((both.deny_status, both.log), (Some(401), Some(LogLevel::Warn)));
    }

    #[test]
    fn an_error_names_the_line_and_not_its_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gate.toml");
        std::fs::write(&path, "admins = \"all\"\ndatabase = 's3cret' oops\n").unwrap();
        let error = Options::from_file(Some(&path), None).unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("s3cret"), "{error}");
    }
}
