//! The database, once it has been reached and verified, with Piwigo's settings as its config table has them now: never
//! older than a second, and asked for by one request at a time while the database is away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::database::{Database, DatabaseError, Trouble};
use crate::settings::gallery::{Gallery, SITE};
use crate::settings::{Settings, SettingsError};

/// Age at which Piwigo's settings in the config table are read again (DESIGN.md, Database access).
const SETTINGS_AGE: Duration = Duration::from_secs(1);

/// After the database was found away, nobody tries again before this.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A database that was verified, and Piwigo's settings as they were at `read_at`.
pub struct Ready {
    /// The open database.
    pub database: Arc<Database>,
    /// Piwigo's settings.
    pub gallery: Arc<Gallery>,
    config: Vec<(String, Vec<u8>)>,
    read_at: Instant,
}

/// Keeps a [`Ready`] up to date.
pub struct Readiness {
    settings: Arc<Settings>,
    ready: RwLock<Option<Arc<Ready>>>,
    /// The database did not answer lately: the next request looks whether it is there before it asks.
    suspect: AtomicBool,
    refresh: tokio::sync::Mutex<Refresh>,
}

#[derive(Default)]
struct Refresh {
    failed_at: Option<Instant>,
}

impl Readiness {
    /// Looks for the database. One that is away is no error: it is looked for again when a request needs it.
    ///
    /// # Errors
    /// When the settings cannot work, or the database refuses this user or lacks a table, column or right: waiting
    /// would not help.
    pub async fn open(settings: Arc<Settings>) -> Result<Self, SettingsError> {
        // What the files say must make sense now, not when the database comes.
        Gallery::resolve(&settings.piwigo, &[], &settings.url_prefix)?;
        let readiness = Readiness {
            settings,
            ready: RwLock::default(),
            suspect: AtomicBool::new(false),
            refresh: tokio::sync::Mutex::default(),
        };
        match readiness.connect().await {
            Ok(ready) => readiness.keep(Some(Arc::new(ready))),
            Err(Opening::Settings(error)) => return Err(error),
            Err(Opening::Database(error)) => {
                let address = &readiness.settings.database;
                if let Some(advice) = advice(error.trouble()) {
                    let address = format!("{address:?}");
                    return Err(SettingsError::Database { address, error, advice });
                }
                tracing::warn!(database = ?address, %error,
                    "the database is away; every request is answered 503 until it is back");
            }
        }
        Ok(readiness)
    }

    /// Hears of a question that the database did not answer.
    pub fn failed(&self, error: &DatabaseError) {
        match error.trouble() {
            // Piwigo may have been upgraded under us: look at its tables anew.
            Trouble::Schema => self.keep(None),
            _ => self.suspect.store(true, Ordering::Relaxed),
        }
    }

    /// The database and Piwigo's settings, at most [`SETTINGS_AGE`] old.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn ready(&self) -> Result<Arc<Ready>, DatabaseError> {
        if let Some(ready) = self.usable() {
            return Ok(ready);
        }
        let asked_at = Instant::now();
        let mut refresh = self.refresh.lock().await;
        // What was read while this request waited is news to it, however long the reading took: or else all who
        // wait would read one after another as soon as that takes longer than SETTINGS_AGE.
        let is_news = |ready: &Arc<Ready>| ready.read_at >= asked_at && !self.suspect.load(Ordering::Relaxed);
        if let Some(ready) = self.usable().or_else(|| self.current().filter(is_news)) {
            return Ok(ready);
        }
        if refresh.failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return Err(DatabaseError::still_away());
        }
        let renewed = match self.current() {
            Some(ready) => self.renew(&ready).await,
            None => self.connect().await,
        };
        match renewed {
            Ok(ready) => {
                refresh.failed_at = None;
                self.suspect.store(false, Ordering::Relaxed);
                let ready = Arc::new(ready);
                self.keep(Some(ready.clone()));
                Ok(ready)
            }
            Err(error) => {
                refresh.failed_at = Some(Instant::now());
                Err(match error {
                    Opening::Database(error) => error,
                    Opening::Settings(error) => DatabaseError::settings(&error),
                })
            }
        }
    }

    async fn connect(&self) -> Result<Ready, Opening> {
        let Settings { database, tables, database_connections, .. } = &*self.settings;
        Database::probe(database).await?;
        let mut database = Database::new(database, tables, *database_connections)?;
        database.verify().await?;
        let config = self.config(&database).await?;
        let gallery = Gallery::resolve(&self.settings.piwigo, &config, &self.settings.url_prefix)?;
        if gallery.formats {
            database.verify_formats().await?;
        }
        Ok(Ready {
            database: Arc::new(database),
            gallery: Arc::new(gallery),
            config,
            read_at: Instant::now(),
        })
    }

    async fn renew(&self, ready: &Ready) -> Result<Ready, Opening> {
        if self.suspect.load(Ordering::Relaxed) {
            Database::probe(&self.settings.database).await?;
        }
        let read_at = Instant::now();
        let config = self.config(&ready.database).await?;
        let gallery = if config == ready.config {
            ready.gallery.clone()
        } else {
            Arc::new(Gallery::resolve(&self.settings.piwigo, &config, &self.settings.url_prefix)?)
        };
        Ok(Ready { database: ready.database.clone(), gallery, config, read_at })
    }

    /// The config table's settings and, if they are asked for, the sites as rows of it: both are Piwigo's settings.
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

    fn keep(&self, ready: Option<Arc<Ready>>) {
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = ready;
    }
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

/// What an administrator can do about a database that refuses; `None` where waiting is the answer.
fn advice(trouble: Trouble) -> Option<&'static str> {
    match trouble {
        Trouble::Away | Trouble::Conversion => None,
        Trouble::Refused => Some(
            "check user, password and database name in local/config/database.inc.php, or set database in gate.toml",
        ),
        Trouble::Schema => Some(
            "check the table prefix and that this is a Piwigo 2.8 or later, and grant the user SELECT on its tables",
        ),
    }
}
