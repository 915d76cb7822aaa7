//! What an administrator may set, each by a flag, an environment variable `PIWIGO_GATE_*` or a line of
//! `gate.toml`; one struct for all three, so that their names cannot drift apart. Not the configuration: that
//! is [`super::Settings`], in which every value is resolved and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{ActionPhp, SettingsError, nearest};
use crate::derivative::order::DerivativeQuality;
use crate::http::reply::SendMode;
use crate::verdict::access::Admins;
use crate::verdict::identity::SessionAddress;

/// Largest `gate.toml`, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Options as given; `None` is "not said".
#[derive(Clone, Debug, Default, clap::Args, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Settings")]
pub struct Options {
    /// The web server starts several of this program, each for one request at a time (`mod_fcgid`). Nobody
    /// says so: it shows by the way in which the program is started, and changes defaults only.
    #[arg(skip)]
    #[serde(skip)]
    pub one_of_several: bool,
    /// Piwigo's directory, where its index.php is
    #[arg(long, env = "PIWIGO_GATE_GALLERY", value_name = "DIR", help_heading = None)]
    pub gallery: Option<PathBuf>,
    /// Where to listen: unix:PATH, tcp:ADDR:PORT, fd:0 or systemd
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
    /// How the web server is told to send a file [default: what the server itself says]
    #[arg(long, env = "PIWIGO_GATE_DELIVER")]
    pub deliver: Option<SendMode>,
    /// Which symbolic links are followed: same-owner, inside, all, or a directory [default: same-owner]
    #[arg(
        long_help = "Which symbolic links of the gallery are followed: same-owner (those that belong to the owner of what \
                     they lead to), inside (those that do not lead out of the gallery), all, or a directory: those \
                     that lead into the gallery or below it. Given again: another directory. In the environment, white \
                     space stands between several [default: same-owner]",
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
    /// Address of the database, instead of Piwigo's own; given again: of a read replica
    #[arg(
        long_help = "Address of the database, instead of Piwigo's own: mysql://user:password@host/name or \
                     sqlite:///file. Given again: of a read replica (see --max-replica-lag), where the first may be \
                     the word piwigo for Piwigo's own. In the environment, white space stands between several",
        long,
        env = "PIWIGO_GATE_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    #[serde(deserialize_with = "one_or_more")]
    pub database: Option<Vec<String>>,
    /// How long ago a change may have been made that a read replica does not know yet, such as 2s
    #[arg(long, env = "PIWIGO_GATE_MAX_REPLICA_LAG", value_name = "TIME")]
    pub max_replica_lag: Option<String>,
    /// Connections to the database [default: 8]
    #[arg(long, env = "PIWIGO_GATE_DATABASE_CONNECTIONS", value_name = "N")]
    pub database_connections: Option<u32>,
    /// For how long an answer of the database may be used again, such as 1s or 500ms [default: 0, never]
    #[arg(long, env = "PIWIGO_GATE_FRESHNESS", value_name = "TIME")]
    pub freshness: Option<String>,
    /// Go on although a settings file of Piwigo's includes another one, which is not read
    #[arg(long, env = "PIWIGO_GATE_IGNORE_INCLUDES", num_args = 0..=1, default_missing_value = "true")]
    pub ignore_includes: Option<bool>,
    /// Whether ?auth= keys count on every address, not on action.php only [default: false]
    #[arg(long, env = "PIWIGO_GATE_AUTH_KEY_EVERYWHERE", value_name = "BOOL")]
    pub auth_key_everywhere: Option<bool>,
    /// Whether the header X-PIWIGO-API signs a visitor in (Piwigo 16 honours it in ws.php only) [default:
    /// false]
    #[arg(long, env = "PIWIGO_GATE_API_KEY_HEADER", value_name = "BOOL")]
    pub api_key_header: Option<bool>,
    /// Who answers action.php: the gate, or Piwigo's own script with what plugins add to it [default: gate,
    /// or piwigo where an active plugin demands it]
    #[arg(long, env = "PIWIGO_GATE_ACTION_PHP")]
    pub action_php: Option<ActionPhp>,
    /// Write the history rows that Piwigo writes for downloads (the database user needs INSERT on that table)
    #[arg(long, env = "PIWIGO_GATE_HISTORY", value_name = "BOOL")]
    pub history: Option<bool>,
    /// What admins may see: every file that has a record, or what Piwigo's permissions give them [default:
    /// all]
    #[arg(long, env = "PIWIGO_GATE_ADMINS")]
    pub admins: Option<Admins>,
    /// Status of every refusal: 403, 401 or 404 [default: 403]
    #[arg(long, env = "PIWIGO_GATE_DENY_STATUS", value_name = "CODE")]
    pub deny_status: Option<u16>,
    /// Whether RAW and other formats need the right to originals [default: true]
    #[arg(long, env = "PIWIGO_GATE_FORMATS_NEED_HIGH", value_name = "BOOL")]
    pub formats_need_high: Option<bool>,
    /// How a refusal looks to people: the bare status, a small picture, or the sign-in page [default: status]
    #[arg(long, env = "PIWIGO_GATE_DENY")]
    pub deny: Option<DenyWith>,
    /// Whether who may see an album may see the resized pictures of its cover [default: false]
    #[arg(long, env = "PIWIGO_GATE_COVERS", num_args = 0..=1, default_missing_value = "true")]
    pub covers: Option<bool>,
    /// Which address Piwigo binds sessions to: what the web server says, or (for a changed Piwigo) the first
    /// one of the header X-Forwarded-For [default: remote-addr]
    #[arg(long, env = "PIWIGO_GATE_SESSION_ADDRESS")]
    pub session_address: Option<SessionAddress>,
    /// Seconds after its last use at which a session counts no more [default: as Piwigo, while its row
    /// exists]
    #[arg(long, env = "PIWIGO_GATE_SESSION_MAX_AGE", value_name = "SECONDS")]
    pub session_max_age: Option<u64>,
    /// Directory in which PHP keeps its sessions, where Piwigo does not keep them in its database
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
    /// What happens when a resized picture is missing or stale [default: generate]
    #[arg(long, env = "PIWIGO_GATE_DERIVATIVES")]
    pub derivatives: Option<Derivatives>,
    /// How fine resized JPEG and WebP files are [default: source]
    #[arg(long, env = "PIWIGO_GATE_DERIVATIVE_QUALITY")]
    pub derivative_quality: Option<DerivativeQuality>,
    /// Resized pictures that are made at the same time, at most [default: as many as there are processor
    /// cores]
    #[arg(long, env = "PIWIGO_GATE_DERIVATIVE_JOBS", value_name = "N")]
    pub derivative_jobs: Option<usize>,
    /// Whether resized animations move, as Piwigo's do not: only their first frame is kept [default: false]
    #[arg(long, env = "PIWIGO_GATE_GIF_ANIMATION", num_args = 0..=1, default_missing_value = "true")]
    pub gif_animation: Option<bool>,
    /// Open connections from the web server, at most [default: 512]
    #[arg(long, env = "PIWIGO_GATE_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,
    /// Seconds in which a request must have arrived whole [default: 10]
    #[arg(long, env = "PIWIGO_GATE_HEADER_TIMEOUT", value_name = "SECONDS")]
    pub header_timeout: Option<u64>,
    /// Seconds after which a connection without a request is closed [default: 60]
    #[arg(long, env = "PIWIGO_GATE_IDLE_TIMEOUT", value_name = "SECONDS")]
    pub idle_timeout: Option<u64>,
    /// Seconds in which an answer, or the next piece of a file that the gate sends itself, must have been
    /// taken [default: 10]
    #[arg(long, env = "PIWIGO_GATE_WRITE_TIMEOUT", value_name = "SECONDS")]
    pub write_timeout: Option<u64>,
    /// Seconds in which requests under way are finished when the gate is stopped [default: 30]
    #[arg(
        long_help = "Seconds in which requests under way are finished when the gate is stopped. A file that the gate sends \
                     itself gets 5 of them at most: its reader goes on by a range request [default: 30]",
        long,
        env = "PIWIGO_GATE_DRAIN_TIMEOUT",
        value_name = "SECONDS"
    )]
    pub drain_timeout: Option<u64>,
    /// What to log [default: info]
    #[arg(long, env = "PIWIGO_GATE_LOG", value_name = "LEVEL")]
    pub log: Option<LogLevel>,
    /// How log lines are written [default: text]
    #[arg(long, env = "PIWIGO_GATE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Files without a row that are judged as the video beside them: patterns such as `{stem}.vtt`, or
    /// `videojs` (only in gate.toml)
    #[arg(skip)]
    #[serde(deserialize_with = "one_or_more")]
    pub companions: Option<Vec<String>>,
    /// Settings of Piwigo's own, where they cannot be read from its files (only in gate.toml, table `piwigo`)
    #[arg(skip)]
    pub piwigo: BTreeMap<String, toml::Value>,
}

/// A text, or a list of texts.
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

/// The `derivatives` setting: what an allowed but missing or stale resized picture leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Derivatives {
    /// The gate makes it.
    Generate,
    /// An internal hand-over to Piwigo's `i.php`, which makes it.
    Piwigo,
    /// Only what exists is served.
    Existing,
}

/// The `deny` setting: what a refusal looks like, beside its status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenyWith {
    /// The status with a word of text.
    #[default]
    Status,
    /// The status with a small picture, the same for every refusal.
    Image,
    /// Who is not signed in and opens the address itself goes to Piwigo's sign-in page; all else gets the
    /// status.
    Login,
}

/// The `log_format` setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for people and fail2ban.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The `log` setting: how important a message must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// What keeps the gate from answering.
    Error,
    /// What is odd.
    Warn,
    /// Each refusal, start and end.
    #[default]
    Info,
    /// Each answer.
    Debug,
    /// Everything.
    Trace,
}

impl Options {
    /// Reads the `gate.toml` that counts.
    ///
    /// # Errors
    /// When a file that was named or found cannot be read or understood.
    pub fn from_file(config: Option<&Path>, gallery: Option<&Path>) -> Result<Self, SettingsError> {
        Self::file(config, gallery)?.map_or_else(|| Ok(Options::default()), |path| Self::read(&path))
    }

    /// The `gate.toml` that counts: `config` if given, else the gallery's own, else the machine's; `None`:
    /// there is none.
    ///
    /// # Errors
    /// When it cannot be seen whether there is one.
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
            // The whole error quotes the line, which may hold a password.
            message: nearest::unknown_key(error.message()).unwrap_or_else(|| error.message().to_owned()),
            line: error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1),
        })
    }

    /// These options where they say something, `weaker` where they do not.
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
