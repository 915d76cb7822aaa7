//! Turns flags, environment, `gate.toml` and Piwigo's own files into one checked configuration. The gate
//! validates it at the start and at SIGHUP, never per request.
//!
//! There are two structs: [`Settings`] needs only files; [`Gallery`](crate::piwigo::gallery::Gallery) needs
//! the config table as well, because that table overrides Piwigo's files (docs/spec/piwigo.md §7.1).

mod action_php;
mod databases;
mod error;
mod limits;
mod links;
mod listen;
mod nearest;
mod options;
mod piwigo_files;
mod piwigo_settings;

use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use action_php::ActionPhp;
use databases::Databases;
pub use error::SettingsError;
pub use options::{DenyWith, Derivatives, LogFormat, LogLevel, Options};
pub use piwigo_files::PiwigoFiles;

use crate::database::{Address, Replicas, Tables};
use crate::derivative::order::DerivativeQuality;
use crate::files::Symlinks;
use crate::http::reply::{DenyStatus, Reply, SendMode};
use crate::piwigo::layout;
use crate::server::limits::Limits;
use crate::server::listen::{Listen, ListenError, Networks};
use crate::verdict::access::{Admins, Policy};
use crate::verdict::companion::{MAX_PATTERNS, Pattern, VIDEOJS, VIDEOJS_WORD};
use crate::verdict::identity::SessionAddress;
use crate::verdict::session_files::{self, SessionFiles};

/// The settings that flags, the environment and files decide.
pub struct Settings {
    /// Piwigo's directory, absolute, symbolic links resolved.
    pub gallery: PathBuf,
    /// The path under which the gallery is mounted, such as `/piwigo`, or empty.
    pub url_prefix: String,
    /// Whether galleries beside Piwigo's directory (`../` sites) are served.
    pub parent_sites: bool,
    /// Patterns of files without a row that the gate judges like the video beside them.
    pub companions: Vec<Pattern>,
    /// Where to listen; `None` if not given.
    pub listen: Option<Listen>,
    /// Which peers may connect over TCP; `None`: any peer.
    pub allow_from: Option<Networks>,
    /// How the gate tells the web server to send a file; `None`: the web server's parameters decide.
    pub deliver: Option<SendMode>,
    /// Which symbolic links lead to files that may be served.
    pub symlinks: Symlinks,
    /// The database; with replicas, the one that Piwigo writes to.
    pub database: Address,
    /// The database's address comes from Piwigo's own files, not from the setting `database`.
    pub database_is_piwigos: bool,
    /// Its read replicas.
    pub replicas: Replicas,
    /// Maximum number of connections to the database.
    pub database_connections: u32,
    /// How long the gate may reuse an answer of the database; zero: never.
    pub freshness: Duration,
    /// Piwigo's tables.
    pub tables: Tables,
    /// The rules that the administrator can choose.
    pub policy: Policy,
    /// Whether `?auth=` counts in every URL.
    pub auth_key_everywhere: bool,
    /// Which address Piwigo binds sessions to.
    pub session_address: SessionAddress,
    /// Whether `X-PIWIGO-API` signs a visitor in.
    pub api_key_header: bool,
    /// Which program answers `action.php`, if the administrator has set it; see [`ActionPhp::in_force`].
    pub action_php: Option<ActionPhp>,
    /// Whether the gate writes downloads to Piwigo's history.
    pub history: bool,
    /// Status of a refusal.
    pub deny_status: DenyStatus,
    /// What a refusal looks like.
    pub deny: DenyWith,
    /// Time since its last use after which a session no longer counts.
    pub session_max_age: Option<Duration>,
    /// Where PHP keeps its sessions, if Piwigo does not keep them in its database.
    pub session_files: Option<SessionFiles>,
    /// `Cache-Control` of allowed files.
    pub browser_cache: String,
    /// What the gate does if a derivative is missing.
    pub derivatives: Derivatives,
    /// Maximum number of derivatives made at the same time.
    pub derivative_jobs: usize,
    /// Whether resized animations keep all frames.
    pub gif_animation: bool,
    /// Quality of JPEG and WebP files.
    pub derivative_quality: DerivativeQuality,
    /// Limits of the serving side.
    pub limits: Limits,
    /// What to log.
    pub log: LogLevel,
    /// Format of log lines.
    pub log_format: LogFormat,
    /// Piwigo's own files as read; the config table still overrides them.
    pub piwigo: PiwigoFiles,
}

/// Longest `freshness`: the time for which a revoked right may still count if an administrator sets it so.
const MAX_FRESHNESS: Duration = Duration::from_mins(1);

impl Settings {
    /// The answer to every denied, unknown or malformed request.
    pub fn refusal(&self) -> Reply {
        match self.deny {
            DenyWith::Image => Reply::RefusedByPicture(self.deny_status),
            DenyWith::Status | DenyWith::Login => Reply::Refused(self.deny_status),
        }
    }

    /// Resolves the options: `given` (flags and environment) over `gate.toml` over Piwigo's files over
    /// defaults.
    ///
    /// # Errors
    /// If a setting has a value that cannot be used; the error names the first one.
    pub fn resolve(given: Options, config: Option<&Path>) -> Result<Self, SettingsError> {
        let guess = || gallery_of_this_program();
        let place = given.gallery.clone().or_else(guess);
        let options = given.or(Options::from_file(config, place.as_deref())?);
        let gallery = options.gallery.clone().or(place).ok_or(SettingsError::NoGallery)?;
        let gallery = gallery
            .canonicalize()
            .map_err(|error| SettingsError::Unreadable { path: gallery.clone(), error })?;
        if gallery.to_str().is_none_or(|text| text.contains(|c: char| c.is_control())) {
            return Err(SettingsError::Value {
                setting: "gallery",
                value: gallery.to_string_lossy().into_owned(),
                expected: "its path must be UTF-8 without control characters",
            });
        }

        let databases = Databases::split(options.database.as_deref());
        let piwigo = PiwigoFiles::read(
            &gallery,
            &options.piwigo,
            databases.is_primary_given(),
            options.ignore_includes == Some(true),
        )?;
        let (database, replicas) =
            databases
                .resolve(options.max_replica_lag.as_deref(), &piwigo.charset()?, || piwigo.database())?;
        let url_prefix = mounted_at(options.url_prefix.as_deref().unwrap_or_default())?;
        // Each of several gate processes has its own connections and jobs, so one process takes fewer.
        let (connections, jobs) = if options.one_of_several { (2, 1) } else { (8, cores()) };
        let parent_sites = options.parent_sites.unwrap_or(false);
        if parent_sites && url_prefix.is_empty() {
            return Err(SettingsError::Value {
                setting: "parent_sites",
                value: "true".into(),
                expected: "a gallery at the root of its site has no URL beside it: only possible with url_prefix",
            });
        }
        Ok(Settings {
            url_prefix,
            parent_sites,
            companions: companions(options.companions.as_deref().unwrap_or_default())?,
            listen: Listen::resolve(&options)?,
            allow_from: allow_from(options.allow_from.as_deref())?,
            deliver: options.deliver,
            symlinks: Symlinks::resolve(options.symlinks.as_deref())?,
            database,
            database_is_piwigos: !databases.is_primary_given(),
            replicas,
            database_connections: within(
                "database_connections",
                options.database_connections,
                connections,
                1..=64,
                "a number from 1 to 64",
            )?,
            freshness: freshness(options.freshness.as_deref().unwrap_or("0"))?,
            tables: piwigo.tables()?,
            policy: Policy {
                admins: options.admins.unwrap_or(Admins::All),
                formats_need_high: options.formats_need_high.unwrap_or(true),
                covers: options.covers.unwrap_or(false),
            },
            auth_key_everywhere: options.auth_key_everywhere.unwrap_or(false),
            api_key_header: options.api_key_header.unwrap_or(false),
            action_php: options.action_php,
            history: options.history.unwrap_or(false),
            deny_status: deny_status(options.deny_status.unwrap_or(403))?,
            deny: options.deny.unwrap_or_default(),
            session_address: options.session_address.unwrap_or_default(),
            session_max_age: options.session_max_age.map(Duration::from_secs),
            session_files: session_files(&options)?,
            browser_cache: browser_cache(options.browser_cache.clone())?,
            derivatives: options.derivatives.unwrap_or(Derivatives::Generate),
            derivative_jobs: within(
                "derivative_jobs",
                options.derivative_jobs,
                jobs,
                1..=256,
                "a number from 1 to 256",
            )?,
            derivative_quality: options.derivative_quality.unwrap_or(DerivativeQuality::Source),
            gif_animation: options.gif_animation.unwrap_or(false),
            limits: Limits::resolve(&options)?,
            log: options.log.unwrap_or_default(),
            log_format: options.log_format.unwrap_or_default(),
            gallery,
            piwigo,
        })
    }
}

/// The gallery that `given` or `gate.toml` names, or that holds this program, with symbolic links resolved.
/// Works even if other settings cannot be used.
///
/// # Errors
/// If neither names a gallery, or if it is no directory.
pub fn gallery_directory(given: &Options, config: Option<&Path>) -> Result<PathBuf, SettingsError> {
    let place = given.gallery.clone().or_else(gallery_of_this_program);
    let by_file = || Options::from_file(config, place.as_deref()).ok().and_then(|options| options.gallery);
    let gallery =
        given.gallery.clone().or_else(by_file).or_else(|| place.clone()).ok_or(SettingsError::NoGallery)?;
    let gallery =
        gallery.canonicalize().map_err(|error| SettingsError::Unreadable { path: gallery, error })?;
    if gallery.is_dir() { Ok(gallery) } else { Err(SettingsError::NotAGallery(gallery)) }
}

/// The `gate.toml` that [`Options::file`] finds, if it can be determined.
pub fn config_file(given: &Options, config: Option<&Path>) -> Option<PathBuf> {
    let place = given.gallery.clone().or_else(gallery_of_this_program);
    Options::file(config, place.as_deref()).ok().flatten()
}

/// The gallery whose root holds this program (a `gate.fcgi` on shared hosting), or the working directory,
/// which `mod_fcgid` sets to the program's. In a jail without `/proc`, the gate only knows the name by which
/// it was started.
fn gallery_of_this_program() -> Option<PathBuf> {
    let name = || std::env::args_os().next().map(PathBuf::from).filter(|name| name.is_absolute());
    let program = std::env::current_exe().ok().or_else(name);
    program
        .and_then(|path| path.parent().map(Path::to_owned))
        .into_iter()
        .chain(std::env::current_dir())
        .find(|directory| directory.join("local/config/database.inc.php").is_file())
}

/// Number of processor cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Reads a settings file of limited size as text.
fn read_text(path: &Path, limit: u64) -> Result<String, SettingsError> {
    let bytes = read_bytes(path, limit)?;
    String::from_utf8(bytes).map_err(|_| SettingsError::Unreadable {
        path: path.to_owned(),
        error: std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8"),
    })
}

fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, SettingsError> {
    let unreadable = |error| SettingsError::Unreadable { path: path.to_owned(), error };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit { Err(SettingsError::TooLarge(path.to_owned())) } else { Ok(bytes) }
}

fn within<N: Copy + PartialOrd + ToString>(
    setting: &'static str,
    value: Option<N>,
    default: N,
    range: RangeInclusive<N>,
    expected: &'static str,
) -> Result<N, SettingsError> {
    match value {
        None => Ok(default),
        Some(number) if range.contains(&number) => Ok(number),
        Some(number) => Err(SettingsError::Value { setting, value: number.to_string(), expected }),
    }
}

/// The list of peers, if one is given.
fn allow_from(texts: Option<&[String]>) -> Result<Option<Networks>, ListenError> {
    let parse = |texts: &[String]| Networks::parse(texts.iter().map(String::as_str));
    texts.map(parse).transpose().map_err(ListenError::AllowFrom)
}

/// Reads a time such as `1s` or `500ms`; `0` means none.
fn time(text: &str) -> Option<Duration> {
    let number = |digits: &str| digits.trim_end().parse::<u64>().ok();
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => number(digits).map(Duration::from_millis),
        (None, Some(digits)) => number(digits).map(Duration::from_secs),
        (None, None) => (text == "0").then_some(Duration::ZERO),
    }
}

/// Reads a time of at most [`MAX_FRESHNESS`].
fn freshness(text: &str) -> Result<Duration, SettingsError> {
    time(text).filter(|&time| time <= MAX_FRESHNESS).ok_or_else(|| SettingsError::Value {
        setting: "freshness",
        value: text.to_owned(),
        expected: "a time such as 1s or 500ms, at most 60s, or 0",
    })
}

fn mounted_at(text: &str) -> Result<String, SettingsError> {
    layout::url_prefix(text).map(str::to_owned).ok_or_else(|| SettingsError::Value {
        setting: "url_prefix",
        value: text.to_owned(),
        expected: "a path such as /piwigo, or nothing",
    })
}

fn companions(patterns: &[String]) -> Result<Vec<Pattern>, SettingsError> {
    let wrong = |value: String, expected| SettingsError::Value { setting: "companions", value, expected };
    if patterns.len() > MAX_PATTERNS {
        return Err(wrong(format!("{} patterns", patterns.len()), "at most 16 of them"));
    }
    let expanded = patterns.iter().flat_map(|text| {
        if text == VIDEOJS_WORD { VIDEOJS.map(str::to_owned).to_vec() } else { vec![text.clone()] }
    });
    expanded.map(|text| Pattern::parse(&text).map_err(|expected| wrong(text, expected))).collect()
}

fn deny_status(code: u16) -> Result<DenyStatus, SettingsError> {
    match code {
        403 => Ok(DenyStatus::Forbidden),
        401 => Ok(DenyStatus::Unauthorized),
        404 => Ok(DenyStatus::NotFound),
        _ => Err(SettingsError::Value {
            setting: "deny_status",
            value: code.to_string(),
            expected: "403, 401 or 404",
        }),
    }
}

fn session_files(options: &Options) -> Result<Option<SessionFiles>, SettingsError> {
    let Some(directory) = options.session_files.clone() else { return Ok(None) };
    let unusable =
        |value: String, expected| SettingsError::Value { setting: "session_files", value, expected };
    let metadata = std::fs::metadata(&directory)
        .map_err(|error| SettingsError::Unreadable { path: directory.clone(), error })?;
    if !directory.is_absolute() || !metadata.is_dir() {
        let value = directory.to_string_lossy().into_owned();
        return Err(unusable(value, "the absolute path of a directory, such as /var/lib/php/sessions"));
    }
    let depth = within(
        "session_files_depth",
        options.session_files_depth,
        0,
        0..=session_files::MAX_DEPTH,
        "a number from 0 to 5",
    )?;
    let cookie =
        options.session_files_cookie.clone().unwrap_or_else(|| session_files::DEFAULT_COOKIE.to_owned());
    // PHP turns dots in a cookie's name into `_`, and does not accept a name of digits only.
    let is_name = cookie.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && !cookie.bytes().all(|byte| byte.is_ascii_digit());
    if !is_name {
        return Err(SettingsError::Value {
            setting: "session_files_cookie",
            value: cookie,
            expected: "a cookie's name of letters, digits, _ and -, as session.name in php.ini",
        });
    }
    let max_age = options.session_max_age.map(Duration::from_secs);
    Ok(Some(SessionFiles::new(directory, depth, cookie, max_age)))
}

fn browser_cache(value: Option<String>) -> Result<String, SettingsError> {
    let value = value.unwrap_or_else(|| "private, max-age=600".into());
    let is_header_text = !value.is_empty() && value.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
    let public = value.split(',').any(|word| word.trim().eq_ignore_ascii_case("public"));
    if is_header_text && !public {
        Ok(value)
    } else {
        Err(SettingsError::Value {
            setting: "browser_cache",
            value,
            expected: "a Cache-Control value such as \"private, max-age=600\", never public: shared caches would \
                       give one visitor's pictures to another",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_value_is_one_header_line_and_never_public() {
        for bad in ["", "public, max-age=9", "private\r\nX: y", "Public"] {
            assert!(browser_cache(Some(bad.into())).is_err(), "{bad:?}");
        }
        assert_eq!(browser_cache(None).unwrap(), "private, max-age=600");
    }

    #[test]
    fn only_three_statuses_refuse() {
        for (code, ok) in [(401, true), (403, true), (404, true), (200, false), (302, false), (500, false)] {
            assert_eq!(deny_status(code).is_ok(), ok, "{code}");
        }
    }
}
