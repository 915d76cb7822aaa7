//! Examines the database: whether it answers, whether the gate's user has the rights that it needs and no
//! more, whether Piwigo's tables are complete, and whether its clock agrees with this machine's. Whether
//! the gate can work with it is decided by the gate's own code.

use std::time::SystemTime;

use super::findings::{Findings, shown, some};
use super::prefixes::Guarded;
use super::{charset, grants};
use crate::commands::server_files::{self, Values};
use crate::database::{Address, Clock, Database, DatabaseError, Inspection, Trouble};
use crate::gate::Gate;
use crate::gate::snapshot::{Ready, refused};
use crate::http::request::Request;
use crate::settings::{Settings, SettingsError};

/// Largest difference between the clocks, in seconds. With more, sessions and keys end at the wrong time.
const MAX_SKEW: i64 = 60;

/// With this many rows an index is worth having (docs/speed.md, Large galleries).
const MANY: u64 = 2_000;

/// With this many groups that have grants an index by user is worth having, because each request probes
/// every group.
const MANY_GROUPS: u64 = 24;

/// Examines the database itself. The [`Inspection`] that it returns answers further questions.
pub(super) async fn reach(settings: &Settings, findings: &mut Findings) -> Option<Inspection> {
    let address = &settings.database;
    if let Err(error) = Database::probe(address).await {
        findings.problem(
            "database",
            format!("{address:?}: {}", shown(&error.to_string())),
            remedy(&error, settings.database_is_piwigos),
        );
        return None;
    }
    let inspection = Inspection::new(address, &settings.tables);
    let facts = match inspection.server().await {
        Ok(facts) => facts,
        Err(error) => {
            findings.problem(
                "database",
                format!("{address:?}: {}", shown(&error.to_string())),
                remedy(&error, settings.database_is_piwigos),
            );
            return None;
        }
    };
    let charset = facts.charset.map(|charset| format!(", character set {charset}")).unwrap_or_default();
    findings.ok("database", format!("{address:?} answers: {}{charset}", shown(&facts.version)));
    charset::look(&inspection, findings).await;
    rights(&inspection, settings, facts.database.as_deref(), findings).await;
    match inspection.clock().await {
        Ok(Some(clock)) => judge_clock(now(), clock, findings),
        Ok(None) => findings.ok("clock", "the database has this machine's clock"),
        Err(error) => findings.not_examined("clock", &error.to_string()),
    }
    for address in &settings.replicas.addresses {
        replica(address, settings, findings).await;
    }
    Some(inspection)
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// `piwigos`: the address comes from Piwigo's own files.
fn remedy(error: &DatabaseError, piwigos: bool) -> &'static str {
    match error.trouble() {
        Trouble::Refused => refused(piwigos),
        Trouble::Schema => "check the table prefix, and grant the user SELECT on Piwigo's tables",
        _ if !piwigos => {
            "start it, or correct the setting database (@localhost is the server's socket, another one is ?socket=/path); until \
             then every request is answered 503"
        }
        _ => {
            "start it, or correct db_host in local/config/database.inc.php; until then every request is answered 503"
        }
    }
}

async fn rights(
    inspection: &Inspection,
    settings: &Settings,
    database: Option<&str>,
    findings: &mut Findings,
) {
    let id = "database-rights";
    let lines = match inspection.grants().await {
        Ok(Some(lines)) => lines,
        Ok(None) => return findings.ok(id, "SQLite is opened read-only"),
        Err(error) => return findings.not_examined(id, &error.to_string()),
    };
    let database = database.unwrap_or_default();
    let rights = grants::rights(&lines, database, &settings.tables.history);
    if settings.history && !rights.adds_history && !rights.by_role {
        findings.warn(
            id,
            "history = true, but this user may not write there: no download is recorded",
            format!(
                "as the database's administrator: GRANT INSERT ON {} TO the gate's user",
                full_name(database, &settings.tables.history)
            ),
        );
    }
    let allowed = |right: &String| settings.history && right == "INSERT";
    let writes: Vec<String> = rights.writes.iter().filter(|right| !allowed(right)).cloned().collect();
    if writes.is_empty() {
        let roles = if rights.by_role { " (what roles give was not examined)" } else { "" };
        findings.ok(id, format!("this user may read and nothing else{roles}"));
    } else {
        let history = if settings.history {
            format!(
                " GRANT INSERT ON {} TO 'piwigo_gate'@'localhost';",
                full_name(database, &settings.tables.history)
            )
        } else {
            String::new()
        };
        findings.advise(
            id,
            format!("this user may do more than the gate ever does: {}", some(&writes)),
            format!(
                "a user of its own that may only read: CREATE USER 'piwigo_gate'@'localhost' IDENTIFIED BY '…'; \
                 GRANT SELECT ON `{database}`.* TO 'piwigo_gate'@'localhost';{history} then \
                 database = \"mysql://piwigo_gate:…@localhost/{database}\" in gate.toml"
            ),
        );
    }
}

/// The name of a table with its database. Piwigo's settings may name the database already.
fn full_name(database: &str, table: &str) -> String {
    let (database, table) = table.split_once('.').unwrap_or((database, table));
    format!("`{database}`.`{table}`")
}

fn judge_clock(ours: i64, theirs: Clock, findings: &mut Findings) {
    let skew = theirs.now - ours;
    let zone = format!("its time zone is UTC{:+03}:{:02}", theirs.zone / 3600, theirs.zone.abs() % 3600 / 60);
    if skew.abs() <= MAX_SKEW {
        findings.ok("clock", format!("the database's clock agrees with this machine's; {zone}"));
    } else {
        let direction = if skew > 0 { "ahead of" } else { "behind" };
        findings.warn(
            "clock",
            format!("the database's clock is {} s {direction} this machine's; {zone}", skew.abs()),
            "set both by NTP: keys and sessions end by the one, remember-me cookies by the other",
        );
    }
}

async fn replica(address: &Address, settings: &Settings, findings: &mut Findings) {
    let id = "replicas";
    if let Err(error) = Database::probe(address).await {
        return findings.warn(
            id,
            format!("{address:?}: {}", shown(&error.to_string())),
            remedy(&error, false),
        );
    }
    match Inspection::new(address, &settings.tables).replica_position().await {
        Ok(Some(_)) => findings.ok(id, format!("{address:?} answers and says how far it is")),
        Ok(None) => findings.warn(
            id,
            format!("{address:?} says no position: it is no replica by GTID, and never asked"),
            "set it up with MASTER_USE_GTID (docs/replicas.md), or take it out of database",
        ),
        Err(error) => {
            findings.warn(id, format!("{address:?}: {}", shown(&error.to_string())), remedy(&error, false));
        }
    }
}

/// Opens the gate as `serve` does and reports what stopped it.
pub(super) async fn open(
    settings: Settings,
    findings: &mut Findings,
) -> Option<(Gate, std::sync::Arc<Ready>)> {
    let piwigos = settings.database_is_piwigos;
    let gate = match Gate::open(settings).await {
        Ok(gate) => gate,
        Err(error) => {
            let text = shown(&error.to_string());
            match error {
                SettingsError::SessionsElsewhere(_) => {
                    findings.problem(
                        "sessions",
                        text,
                        "correct that first: serve would not start, because nobody could be signed in",
                    );
                }
                SettingsError::Database { error, .. } => {
                    findings.problem("schema", text, remedy(&error, piwigos));
                }
                _ => findings.problem("configuration", text, "correct that first: serve would not start"),
            }
            return None;
        }
    };
    // This address names no file. Considering it makes the database and its settings ready.
    match gate.consider(&Request::new(b"/", "127.0.0.1"), None).await {
        Ok(considered) => Some((gate, considered.ready)),
        Err(error) => {
            findings.problem("database", shown(&error.to_string()), remedy(&error, piwigos));
            None
        }
    }
}

/// Examines Piwigo's tables and what they say about the gallery.
pub(super) async fn tables(
    settings: &Settings,
    ready: &Ready,
    inspection: &Inspection,
    findings: &mut Findings,
) {
    let (schema, tables) = (ready.database.schema(), &settings.tables);
    let number = inspection.piwigo_version().await.ok().flatten();
    let number =
        number.map(|number| format!(", which call themselves {}", shown(&number))).unwrap_or_default();
    let lacks =
        [(schema.formats, "other formats"), (schema.auth_keys, "mailed keys"), (schema.api_keys, "API keys")];
    let lacks: Vec<&str> = lacks.into_iter().filter(|(has, _)| !has).map(|(_, what)| what).collect();
    let version = schema.version;
    if lacks.is_empty() {
        findings.ok("schema", format!("complete: the tables of Piwigo {version}{number}"));
    } else {
        findings.note(
            "schema",
            format!(
                "the tables of Piwigo {version}{number}: without {}, or this user may not read them",
                lacks.join(", ")
            ),
        );
    }
    if schema.path_index {
        findings.ok("index-path", format!("{}.path has an index", tables.images));
    } else {
        findings.warn(
            "index-path",
            format!(
                "{}.path has no index (Piwigo before 11 made none): each request reads the whole table",
                tables.images
            ),
            format!("CREATE INDEX gate_path ON {} (path);", tables.images),
        );
    }
    optional_indexes(settings, ready, inspection, findings).await;
    sessions(settings, ready, findings).await;
    doors(ready, findings).await;
}

async fn optional_indexes(
    settings: &Settings,
    ready: &Ready,
    inspection: &Inspection,
    findings: &mut Findings,
) {
    let (schema, tables) = (ready.database.schema(), &settings.tables);
    let wanted = [
        (schema.auth_keys, &tables.user_auth_keys, "auth_key", "gate_key"),
        (schema.formats, &tables.image_format, "image_id", "gate_image"),
        (settings.policy.covers, &tables.categories, "representative_picture_id", "gate_cover"),
    ];
    for (applies, table, column, index) in wanted {
        if !applies || inspection.is_indexed(table, column).await.unwrap_or(true) {
            continue;
        }
        if let Ok(rows) = inspection.count(table).await
            && rows >= MANY
        {
            findings.advise(
                "index-optional",
                format!("{table} has {rows} rows and no index by {column}: what needs it takes longer"),
                format!("CREATE INDEX {index} ON {table} ({column}); Piwigo does not mind"),
            );
        }
    }
    if !schema.groups_by_user
        && let Ok(groups) = inspection.groups_with_grants().await
        && groups >= MANY_GROUPS
    {
        findings.advise(
            "index-optional",
            format!(
                "{groups} groups have grants, and {} no index by user_id: each request probes them all",
                tables.user_group
            ),
            format!("CREATE INDEX gate_user ON {} (user_id); and reload the gate", tables.user_group),
        );
    }
}

async fn sessions(settings: &Settings, ready: &Ready, findings: &mut Findings) {
    if ready.gallery.foreign_sessions.is_none()
        && let Ok(Some(error)) = ready.database.unreadable_sessions().await
    {
        findings.problem(
            "sessions",
            format!("in Piwigo's database, and those looked at cannot be read: {error}"),
            "session.serialize_handler = php in the php.ini of the gallery's PHP; php_serialize and php_binary are read, too",
        );
        return;
    }
    match (&ready.gallery.foreign_sessions, &settings.session_files) {
        (None, None) => findings.ok("sessions", "in Piwigo's database"),
        (None, Some(_)) => findings.warn(
            "sessions",
            "in Piwigo's database (session_save_handler is 'db'), and session_files is set",
            "take session_files out of the gate's settings: it means nothing here",
        ),
        (Some(handler), Some(files)) => match std::fs::read_dir(&files.directory) {
            // The gate may be able to enter PHP's directory but not to list it.
            Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => findings.problem(
                "sessions",
                format!("PHP's own ({}), but {}: {error}", shown(handler), files.directory.display()),
                "set session_files to session.save_path of the gallery's PHP",
            ),
            _ => findings.ok(
                "sessions",
                format!("PHP's own ({}), read in {}", shown(handler), files.directory.display()),
            ),
        },
        (Some(handler), None) => findings.problem(
            "sessions",
            format!("kept by PHP itself ({})", shown(handler)),
            "set session_files in gate.toml to session.save_path of the gallery's PHP",
        ),
    }
}

async fn doors(ready: &Ready, findings: &mut Findings) {
    match ready.database.door_and_session("", true).await {
        Ok(door) => {
            if door.gallery_locked {
                findings
                    .note("gallery-locked", "the gallery is locked: everybody but administrators gets 503");
            }
            if door.secret_key.is_some_and(|key| !key.is_empty()) {
                findings.ok("secret-key", "is there: remember-me cookies can be judged");
            } else {
                findings.warn(
                    "secret-key",
                    "the config table has no secret_key: no remember-me cookie signs anybody in",
                    "Piwigo makes one by itself when a page is opened; look whether its config table can be written",
                );
            }
        }
        Err(error) => findings.not_examined("secret-key", &error.to_string()),
    }
    if !ready.gallery.guest_access {
        findings.note("guest-access", "guest_access is off: who is not signed in gets nothing");
    }
}

/// The directories that must be guarded. Reports pictures that lie elsewhere.
pub(super) async fn prefixes(
    settings: &Settings,
    ready: &Ready,
    inspection: &Inspection,
    findings: &mut Findings,
) -> Guarded {
    let id = "prefixes";
    if ready.gallery.upload_dir.is_none() {
        findings.warn(
            id,
            "Piwigo's upload_dir is not below its directory, or made by code",
            "guard it by a line of your own in the server's file",
        );
    }
    let sites = inspection.sites().await.map_err(|error| {
        findings.not_examined(id, &format!("the directories that Piwigo synchronises with: {error}"));
    });
    let sites = sites.ok();
    // The files that `config` prints guard the same directories.
    let action_php = ready.action_php(settings);
    let asked = server_files::Asked::default();
    let values = Values::of(settings, &ready.gallery, sites.as_deref(), action_php, &asked);
    let guarded = Guarded::of(&values, &sites.unwrap_or_default());
    findings.ok(id, format!("to be guarded: {}, i.php, action.php", guarded.directories().join(", ")));
    if !guarded.beside.is_empty() && !settings.parent_sites {
        findings.warn(
            id,
            format!("photos beside the gallery's directory are not served: {}", some(&guarded.beside)),
            "set parent_sites = true and url_prefix, and guard them (the #../ block of the server's file); or see to it that \
             the server does not show that directory at all",
        );
    }
    if !guarded.elsewhere.is_empty() {
        findings.advise(
            id,
            format!("sites that the gate cannot guard: {}", some(&guarded.elsewhere)),
            "their files lie outside of the gallery: whoever serves them must guard them",
        );
    }
    let directories: Vec<String> = guarded.originals.iter().map(|name| format!("{name}/")).collect();
    match inspection.paths_outside(&directories).await {
        Ok(paths) if paths.is_empty() => {}
        Ok(paths) => findings.problem(
            id,
            format!("pictures outside of every guarded directory: {}", some(&paths)),
            "guard these directories too in the server's file: without that the server shows them to everybody",
        ),
        Err(error) => findings.not_examined(id, &error.to_string()),
    }
    guarded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::findings::Level;

    #[test]
    fn a_clock_may_be_a_minute_off_and_in_any_time_zone() {
        let table = [
            (0, 0, Level::Ok, "UTC+00:00"),
            (60, 19_800, Level::Ok, "UTC+05:30"),
            (-60, -12_600, Level::Ok, "UTC-03:30"),
            (61, 3600, Level::Warning, "61 s ahead of"),
            (-7200, 0, Level::Warning, "7200 s behind"),
        ];
        for (skew, zone, level, words) in table {
            let mut findings = Findings::default();
            judge_clock(1_000_000, Clock { now: 1_000_000 + skew, zone }, &mut findings);
            let [finding] = &findings.0[..] else { panic!("one finding") };
            assert!(finding.level == level && finding.what.contains(words), "{finding:?}");
        }
    }
}
