//! Turns a database and its config table into a verified snapshot of Piwigo's settings, at most a second old.
//! While the database is away, one request at a time tries to reach it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::deliver;
use crate::database::{Database, DatabaseError, Trouble};
use crate::derivative::maker::LOOKED_BEFORE;
use crate::files::{Symlinks, Tree};
use crate::piwigo::gallery::{ConfigRows, Gallery, SITE};
use crate::piwigo::plugins::{self, Plugins};
use crate::settings::{ActionPhp, Settings, SettingsError};
use crate::verdict::identity::SessionAddress;

/// Age at which the gate reads Piwigo's settings in the config table again (docs/design.md §6).
const SETTINGS_AGE: Duration = Duration::from_secs(1);
const _: () = assert!(
    SETTINGS_AGE.as_millis() < LOOKED_BEFORE.as_millis(),
    "a derivative must be dated before the settings that it is made by"
);

/// How long the gate does not try again after it found the database away.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A verified database, and Piwigo's settings as they were at `read_at`.
pub struct Ready {
    /// The open database.
    pub database: Arc<Database>,
    /// Piwigo's settings.
    pub gallery: Arc<Gallery>,
    /// The gallery's files, reached by the rule of the setting `symlinks`.
    pub tree: Arc<Tree>,
    /// The same files without that rule, for a web server that checks links itself.
    pub unchecked: Arc<Tree>,
    /// Piwigo's active plugins.
    pub plugins: Plugins,
    /// Limits the log lines on allowed files that are not sent.
    pub unsent: Arc<deliver::Log>,
    config: Vec<(String, Vec<u8>)>,
    read_at: Instant,
}

impl Ready {
    /// Which program answers `action.php` in this gallery.
    pub fn action_php(&self, settings: &Settings) -> ActionPhp {
        ActionPhp::in_force(settings.action_php, self.plugins.demand_piwigo())
    }
}

/// Keeps a [`Ready`] up to date.
pub struct Readiness {
    settings: Arc<Settings>,
    ready: RwLock<Option<Arc<Ready>>>,
    /// The last query got no answer; the next request checks the connection before it queries.
    suspect: AtomicBool,
    /// The log says that the gate gives no verdicts, and does not say yet that the database answers again.
    outage: AtomicBool,
    refresh: tokio::sync::Mutex<Refresh>,
    /// When the gate last read the tables again because a statement did not fit them.
    looked_anew_at: Mutex<Option<Instant>>,
    /// The plugins that the log has already named.
    told: Mutex<Option<Plugins>>,
}

#[derive(Default)]
struct Refresh {
    failed_at: Option<Instant>,
}

impl Readiness {
    /// Connects to the database. A database that is away is no error: the gate tries again when a request
    /// needs it.
    ///
    /// # Errors
    /// If the settings cannot be used, or the database refuses this user or lacks a table, column or right:
    /// waiting would not help.
    pub async fn open(settings: Arc<Settings>) -> Result<Self, SettingsError> {
        // Wrong settings in files are an error at the start, even while the database is away.
        tell_of_address(&settings, &resolve(&settings, &[])?);
        let readiness = Readiness {
            settings,
            ready: RwLock::default(),
            suspect: AtomicBool::new(false),
            outage: AtomicBool::new(false),
            refresh: tokio::sync::Mutex::default(),
            looked_anew_at: Mutex::default(),
            told: Mutex::default(),
        };
        match readiness.connect().await {
            Ok(ready) => readiness.keep(Some(Arc::new(ready))),
            Err(Opening::Settings(error)) => return Err(error),
            Err(Opening::Database(error)) => {
                let address = &readiness.settings.database;
                if let Some(advice) = advice(error.trouble(), &readiness.settings) {
                    let address = format!("{address:?}");
                    return Err(SettingsError::Database { address, error, advice });
                }
                readiness.outage.store(true, Ordering::Relaxed);
                tracing::error!(database = ?address, %error,
                    "the database is away; every request is answered 503 until it is back");
            }
        }
        Ok(readiness)
    }

    /// The database and Piwigo's settings, read again because a statement met a missing table or column:
    /// Piwigo may have been upgraded while the gate runs. If many requests find this at once, only the first
    /// one reads; the gate does so at most twice a second.
    ///
    /// # Errors
    /// If the database is away, or still lacks a table or column.
    pub async fn anew(&self, stale: &Ready, why: &DatabaseError) -> Result<Arc<Ready>, DatabaseError> {
        self.forget(stale, why);
        self.ready().await
    }

    /// Records that the database did not answer a query. Logs this once until it answers again, because a
    /// page of thumbnails would otherwise cause a hundred lines.
    pub fn failed(&self, error: &DatabaseError) {
        // A client that asks for too much causes no outage for other clients.
        if error.trouble() == Trouble::Busy {
            tracing::debug!(%error, "one request is answered 503");
            return;
        }
        if !self.outage.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "no verdict: requests are answered 503 until the database answers again");
        }
        // A database whose tables do not fit is there.
        if error.trouble() != Trouble::Schema {
            self.suspect.store(true, Ordering::Relaxed);
        }
    }

    /// The database and Piwigo's settings, at most a second old.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn ready(&self) -> Result<Arc<Ready>, DatabaseError> {
        if let Some(ready) = self.usable() {
            return Ok(ready);
        }
        let asked_at = Instant::now();
        let mut refresh = self.refresh.lock().await;
        // Settings that another request has read while this one waited are new enough, however long the read
        // took. Otherwise all waiting requests would read one after another as soon as a read takes longer
        // than SETTINGS_AGE.
        let is_news = |ready: &Arc<Ready>| ready.read_at >= asked_at && !self.suspect.load(Ordering::Relaxed);
        if let Some(ready) = self.usable().or_else(|| self.current().filter(is_news)) {
            return Ok(ready);
        }
        if refresh.failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return Err(DatabaseError::still_away());
        }
        let renewed = match self.current() {
            Some(ready) => match self.renew(&ready).await {
                // In the meantime a statement did not fit the tables.
                Ok(_) if self.current().is_none() => self.connect().await,
                renewed => renewed,
            },
            None => self.connect().await,
        };
        match renewed {
            Ok(ready) => {
                refresh.failed_at = None;
                self.suspect.store(false, Ordering::Relaxed);
                let ready = Arc::new(ready);
                self.keep(Some(ready.clone()));
                if self.outage.swap(false, Ordering::Relaxed) {
                    tracing::warn!("the database answers again");
                }
                Ok(ready)
            }
            Err(error) => {
                refresh.failed_at = Some(Instant::now());
                Err(match error {
                    Opening::Database(error) => error,
                    Opening::Settings(error) => DatabaseError::settings(error.to_string()),
                })
            }
        }
    }

    async fn connect(&self) -> Result<Ready, Opening> {
        let Settings { database, replicas, tables, database_connections, freshness, .. } = &*self.settings;
        Database::probe(database).await?;
        let mut database =
            Database::with_replicas(database, replicas, tables, *database_connections, *freshness)?;
        database.verify().await?;
        let read_at = Instant::now();
        let config = self.config(&database).await?;
        // A table that stays locked for long must not keep the gate from answering.
        let plugins = database.plugins().await.unwrap_or(Plugins::Unreadable);
        let gallery = self.gallery(&database, &config)?;
        if self.settings.policy.covers {
            database.covers(&[0], 0).await?;
        }
        database.schema().tell(tables);
        if let Some(charset) = database.narrow_charset() {
            tracing::info!("texts go to and from the database in {charset}, as Piwigo's DB_CHARSET says");
        }
        if gallery.foreign_sessions.is_none()
            && let Some(error) = database.unreadable_sessions().await?
        {
            tracing::warn!(%error, "visitors who sign in count as guests");
        }
        if gallery.foreign_sessions.is_none() && self.settings.session_files.is_some() {
            tracing::warn!(
                "session_files means nothing to this Piwigo, which keeps its sessions in its database \
                 (session_save_handler is 'db')"
            );
        }
        let (tree, unchecked) = self.trees(&gallery);
        let gallery = Arc::new(gallery);
        let database = Arc::new(database);
        let unsent = Arc::default();
        let ready = Ready { database, gallery, tree, unchecked, plugins, unsent, config, read_at };
        self.tell_plugins(&ready);
        Ok(ready)
    }

    async fn renew(&self, ready: &Ready) -> Result<Ready, Opening> {
        if self.suspect.load(Ordering::Relaxed) {
            Database::probe(&self.settings.database).await?;
        }
        let read_at = Instant::now();
        let config = self.config(&ready.database).await?;
        // While the table does not answer, the earlier answer counts, so that the program that answers
        // action.php does not change.
        let plugins = ready.database.plugins().await.unwrap_or_else(|_| ready.plugins.clone());
        let version = |config: &ConfigRows| {
            config.iter().find(|(param, _)| param == "piwigo_db_version").map(|(_, value)| value.clone())
        };
        // A plugin may have added a column or a table.
        if version(&config) != version(&ready.config) || plugins != ready.plugins {
            return self.connect().await;
        }
        let (gallery, tree, unchecked) = if config == ready.config {
            (ready.gallery.clone(), ready.tree.clone(), ready.unchecked.clone())
        } else {
            let gallery = self.gallery(&ready.database, &config)?;
            let (tree, unchecked) = self.trees(&gallery);
            (Arc::new(gallery), tree, unchecked)
        };
        let database = ready.database.clone();
        let unsent = ready.unsent.clone();
        Ok(Ready { database, gallery, tree, unchecked, plugins, unsent, config, read_at })
    }

    /// Logs what the active plugins mean for files, once for each plugin.
    fn tell_plugins(&self, ready: &Ready) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let said = self.settings.action_php;
        let is_piwigo = ready.action_php(&self.settings) == ActionPhp::Piwigo;
        for (is_warning, line) in plugins::lines(told.as_ref(), &ready.plugins, is_piwigo, said.is_some()) {
            if is_warning {
                tracing::warn!("{line}");
            } else {
                tracing::info!("{line}");
            }
        }
        *told = Some(ready.plugins.clone());
    }

    fn gallery(&self, database: &Database, config: &[(String, Vec<u8>)]) -> Result<Gallery, SettingsError> {
        let gallery = resolve(&self.settings, config)?;
        Ok(Gallery { formats: gallery.formats && database.schema().formats, ..gallery })
    }

    fn trees(&self, gallery: &Gallery) -> (Arc<Tree>, Arc<Tree>) {
        let by =
            |symlinks| Arc::new(Tree::new(&self.settings.gallery, symlinks, &gallery.layout.parent_sites));
        (by(self.settings.symlinks.clone()), by(Symlinks::All))
    }

    /// The rows of the config table and, with `parent_sites`, one row for each site.
    async fn config(&self, database: &Database) -> Result<Vec<(String, Vec<u8>)>, DatabaseError> {
        let mut config = database.config().await?;
        if self.settings.parent_sites {
            let sites = database.sites().await?;
            config.extend(sites.into_iter().map(|site| (SITE.to_owned(), site.into_bytes())));
        }
        Ok(config)
    }

    fn usable(&self) -> Option<Arc<Ready>> {
        let fresh = |ready: &Arc<Ready>| ready.read_at.elapsed() < SETTINGS_AGE;
        self.current().filter(|ready| fresh(ready) && !self.suspect.load(Ordering::Relaxed))
    }

    fn current(&self) -> Option<Arc<Ready>> {
        self.ready.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self, stale: &Ready, why: &DatabaseError) {
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        let mut looked_at = self.looked_anew_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stale = ready.as_ref().is_some_and(|ready| Arc::ptr_eq(&ready.database, &stale.database));
        if is_stale && looked_at.is_none_or(|at| at.elapsed() >= RETRY_AFTER) {
            tracing::warn!(error = %why, "a statement does not fit the tables; looking at them anew");
            *looked_at = Some(Instant::now());
            *ready = None;
        }
    }

    fn keep(&self, ready: Option<Arc<Ready>>) {
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = ready;
    }
}

/// Piwigo's settings, without sites that lead into the gallery. An error if Piwigo keeps its sessions outside
/// the database and the setting `session_files` is missing.
fn resolve(settings: &Settings, rows: &ConfigRows) -> Result<Gallery, SettingsError> {
    let mut gallery = Gallery::resolve(&settings.piwigo, rows, &settings.url_prefix)?;
    gallery.layout.parent_sites.retain(|site| is_beside(&settings.gallery, site));
    match &gallery.foreign_sessions {
        Some(handler) if settings.session_files.is_none() => {
            Err(SettingsError::SessionsElsewhere(handler.clone()))
        }
        _ => Ok(gallery),
    }
}

/// Logs at the start what `doctor` says of settings files that change the visitor's address for PHP alone.
fn tell_of_address(settings: &Settings, gallery: &Gallery) {
    let is_followed = settings.session_address == SessionAddress::XForwardedFor;
    if let Some((file, line)) = settings.piwigo.address_changed_at()
        && gallery.session_use_ip_address
        && !is_followed
    {
        tracing::warn!(
            "{file}, line {line}, changes $_SERVER['REMOTE_ADDR'] for PHP alone, and Piwigo binds sessions to it: visitors who have \
             signed in may be guests here. Let the web server find the address for both (docs/servers.md) and take that line out"
        );
    }
}

/// Whether the directory `site` of the root's parent is outside the root, whatever its name or links.
/// Otherwise a visitor could ask for the gallery's private files as files beside it.
fn is_beside(root: &Path, site: &str) -> bool {
    root.parent().is_some_and(|parent| {
        let directory = parent.join(site);
        let directory = directory.canonicalize().unwrap_or(directory);
        !directory.starts_with(root) && !root.starts_with(&directory)
    })
}

/// Why the gate could not be made ready.
enum Opening {
    Database(DatabaseError),
    Settings(SettingsError),
}

impl From<DatabaseError> for Opening {
    fn from(error: DatabaseError) -> Self {
        Opening::Database(error)
    }
}

impl From<SettingsError> for Opening {
    fn from(error: SettingsError) -> Self {
        Opening::Settings(error)
    }
}

/// What an administrator can do about a database that refuses; `None` if it is enough to wait.
fn advice(trouble: Trouble, settings: &Settings) -> Option<&'static str> {
    match trouble {
        Trouble::Away | Trouble::Conversion | Trouble::Busy => None,
        Trouble::Refused => Some(refused(settings.database_is_piwigos)),
        Trouble::Schema => Some(
            "check the table prefix and that this is a Piwigo 2.7 or later, and grant the user SELECT on its tables",
        ),
    }
}

/// What to do about a database that refuses this user. `piwigos`: the address comes from Piwigo's files.
pub(crate) fn refused(piwigos: bool) -> &'static str {
    if piwigos {
        "check user, password and database name in local/config/database.inc.php, or set database in gate.toml"
    } else {
        "check user, password and database name in the setting database (gate.toml, --database or PIWIGO_GATE_DATABASE), where \
         % @ : / ? # in a password are written %25 %40 %3A %2F %3F %23"
    }
}
