//! Turns the setting `database`, one address or several, into the primary and its read replicas.

use std::time::Duration;

use super::{SettingsError, time};
use crate::database::{Address, Replicas};

/// Names the address in Piwigo's own files.
const PIWIGOS_OWN: &str = "piwigo";

/// The prefixes of an address.
const SCHEMES: [&str; 3] = ["mysql://", "mariadb://", "sqlite:"];

/// With a shorter `max_replica_lag` a replica could hardly ever answer, because the gate asks for positions
/// at most every 50 ms; see `follow_primary`.
const LEAST_LAG: Duration = Duration::from_millis(200);
const GREATEST_LAG: Duration = Duration::from_mins(1);

/// The addresses as given, the primary's first; empty if none is given.
pub(super) struct Databases(Vec<String>);

impl Databases {
    /// Splits texts that hold several addresses, as the environment variable may. White space before the
    /// prefix of an address starts a new one, so a password may contain spaces and commas.
    pub(super) fn split(texts: Option<&[String]>) -> Self {
        let mut addresses: Vec<String> = Vec::new();
        for text in texts.unwrap_or_default() {
            let mut begins = true;
            for piece in text.trim().split_inclusive(char::is_whitespace) {
                let is_scheme = SCHEMES.iter().any(|scheme| piece.starts_with(scheme));
                match addresses.last_mut() {
                    Some(address) if !begins && !is_scheme => address.push_str(piece),
                    _ => addresses.push(piece.to_owned()),
                }
                begins = false;
            }
        }
        Databases(addresses.iter().map(|address| address.trim().to_owned()).collect())
    }

    /// Whether the setting itself gives the primary's address, so that Piwigo's files need not name the
    /// database.
    pub(super) fn is_primary_given(&self) -> bool {
        self.0.first().is_some_and(|address| address != PIWIGOS_OWN)
    }

    /// The primary and its replicas. `piwigos` reads the address from Piwigo's files; `charset` is their
    /// constant `DB_CHARSET`, which holds for all addresses.
    pub(super) fn resolve(
        &self,
        max_lag: Option<&str>,
        charset: &str,
        piwigos: impl FnOnce() -> Result<Address, SettingsError>,
    ) -> Result<(Address, Replicas), SettingsError> {
        let primary = match self.0.first() {
            Some(address) if address != PIWIGOS_OWN => Address::from_url(address)?,
            _ => piwigos()?,
        };
        let primary = primary.speaking(charset)?;
        let addresses = self
            .0
            .iter()
            .skip(1)
            .map(|url| Address::from_url(url)?.speaking(charset))
            .collect::<Result<Vec<_>, _>>()?;
        let max_lag = max_lag.map(replica_lag).transpose()?;
        if addresses.is_empty() {
            return Ok((primary, Replicas::default()));
        }
        // The error does not show the addresses, because they hold passwords.
        let wrong = |expected| SettingsError::Value {
            setting: "database",
            value: format!("{} addresses", self.0.len()),
            expected,
        };
        if [&primary].into_iter().chain(&addresses).any(|address| !matches!(address, Address::MySql(_))) {
            return Err(wrong("only MariaDB has read replicas; name one address"));
        }
        let max_lag = max_lag.ok_or_else(|| {
            wrong(
                "the second and further ones are read replicas, whose answers are older than the primary's; say how old \
                 they may be: max_replica_lag = \"2s\"",
            )
        })?;
        Ok((primary, Replicas { addresses, max_lag }))
    }
}

fn replica_lag(text: &str) -> Result<Duration, SettingsError> {
    time(text).filter(|time| (LEAST_LAG..=GREATEST_LAG).contains(time)).ok_or_else(|| SettingsError::Value {
        setting: "max_replica_lag",
        value: text.to_owned(),
        expected: "a time such as 2s or 500ms, from 200ms to 60s",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "mysql://u:p@a/x";
    const REPLICA: &str = "mysql://u:p,q r@b/x";

    fn split(texts: &[&str]) -> Vec<String> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        Databases::split(Some(&texts)).0
    }

    #[test]
    fn several_addresses_in_one_text_or_in_several() {
        let both = format!("{PRIMARY} {REPLICA}");
        let lines = format!("\n{PRIMARY}\n\t{REPLICA}\n");
        let own = format!("piwigo {REPLICA}");
        let table: [(&[&str], &[&str]); 7] = [
            (&[], &[]),
            (&[PRIMARY], &[PRIMARY]),
            (&[PRIMARY, REPLICA], &[PRIMARY, REPLICA]),
            (&[&both], &[PRIMARY, REPLICA]),
            (&[&lines], &[PRIMARY, REPLICA]),
            (&[&own], &["piwigo", REPLICA]),
            (&["piwigo", REPLICA], &["piwigo", REPLICA]),
        ];
        for (texts, expected) in table {
            assert_eq!(split(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn replicas_need_a_bound_and_a_primary_that_can_have_some() {
        let sqlite = "sqlite:///x";
        // Addresses, `max_replica_lag`, number of replicas (`None`: an error).
        let table: [(&[&str], Option<&str>, Option<usize>); 12] = [
            (&[], None, Some(0)),
            (&[], Some("2s"), Some(0)),
            (&[PRIMARY], None, Some(0)),
            (&[sqlite], None, Some(0)),
            (&[PRIMARY, REPLICA], Some("2s"), Some(1)),
            (&["piwigo", REPLICA, REPLICA], Some("200ms"), Some(2)),
            (&[PRIMARY, REPLICA], None, None),
            (&[PRIMARY, REPLICA], Some("100ms"), None),
            (&[PRIMARY, REPLICA], Some("61s"), None),
            (&[PRIMARY, sqlite], Some("2s"), None),
            (&[sqlite, REPLICA], Some("2s"), None),
            (&[PRIMARY, "piwigo"], Some("2s"), None),
        ];
        for (addresses, max_lag, expected) in table {
            let texts: Vec<String> = addresses.iter().map(|&text| text.to_owned()).collect();
            let resolved = Databases::split(Some(&texts))
                .resolve(max_lag, "", || Ok(Address::from_url("mysql://own/x")?));
            let replicas = resolved.ok().map(|(_, replicas)| replicas.addresses.len());
            assert_eq!(replicas, expected, "{addresses:?} {max_lag:?}");
        }
    }

    #[test]
    fn piwigos_own_database_stands_first() {
        let texts = ["piwigo".to_owned(), REPLICA.to_owned()];
        let databases = Databases::split(Some(&texts));
        assert!(!databases.is_primary_given());
        let (primary, replicas) =
            databases.resolve(Some("2s"), "latin1", || Ok(Address::from_url("mysql://own/x")?)).unwrap();
        assert_eq!(format!("{primary:?}"), "MySQL at own:3306");
        let charsets = [&primary].into_iter().chain(&replicas.addresses).map(Address::charset);
        assert!(charsets.eq([Some("latin1"), Some("latin1")]));
    }
}
