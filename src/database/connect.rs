//! Opens one connection: a MySQL server is found by the gate's own look-up of names, and its addresses are
//! tried one after another.

use std::future::Future;
use std::io;
use std::time::Instant;

use sqlx::Connection;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::sqlite::SqliteConnection;
use tokio::time::timeout;

use super::pool::CONNECT_TIMEOUT;
use super::resolver::Resolver;

/// How a connection of this kind is opened.
pub(super) trait Open: Connection + Sized {
    /// Opens one; whoever waits for it says for how long.
    fn open(options: &Self::Options) -> impl Future<Output = Result<Self, sqlx::Error>> + Send;
}

impl Open for SqliteConnection {
    async fn open(options: &Self::Options) -> Result<Self, sqlx::Error> {
        Self::connect_with(options).await
    }
}

impl Open for MySqlConnection {
    async fn open(options: &MySqlConnectOptions) -> Result<Self, sqlx::Error> {
        if options.get_socket().is_some() {
            return Self::connect_with(options).await;
        }
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let (names, host) = (Resolver::system(), options.get_host());
        let addresses = names.lookup(host).await.map_err(io::Error::other)?;
        let mut last = None;
        for (index, address) in addresses.iter().enumerate() {
            // The driver looks nothing up where it is given an address.
            let options = options.clone().host(&address.to_string());
            // An address that swallows everything must leave time for the next one.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / (addresses.len() - index) as u32;
            match timeout(share, Self::connect_with(&options)).await {
                Ok(Err(error @ sqlx::Error::Io(_))) => last = Some(error),
                Err(late) => last = Some(sqlx::Error::Io(late.into())),
                Ok(answer) => {
                    names.answered(host, *address);
                    return answer;
                }
            }
        }
        names.forget(host);
        Err(last.unwrap_or_else(|| sqlx::Error::Io(io::ErrorKind::NotFound.into())))
    }
}
