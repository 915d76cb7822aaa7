//! Alice's right to the private album, taken away and given back while the gate runs. nginx passes the page's
//! button on as an HTTP request to a socket of the demo; the row of the database changes, and with it the
//! page that says what is right.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::situation::{ALBUM, USER};
use super::{Error, page, plan::Plan};

/// The name of the socket in the demo's directory.
pub(super) const SOCKET: &str = "grant.sock";

/// nginx sends no header of the visitor's, so that a request fits easily.
const LONGEST_REQUEST: usize = 1024;

/// How long nginx may take to send one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers the page's button.
#[derive(Debug)]
pub(super) struct Grants {
    listener: UnixListener,
    database: PathBuf,
    pages: PathBuf,
    granted: Plan,
    revoked: Plan,
}

impl Grants {
    /// Listens in `directory` for the buttons of `plan`'s pages, which lie in `pages`; `database` is the
    /// gallery's.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(super) fn open(
        plan: &Plan,
        directory: &Path,
        database: PathBuf,
        pages: PathBuf,
    ) -> Result<Self, Error> {
        let listener = UnixListener::bind(directory.join(SOCKET)).map_err(Error::Files)?;
        Ok(Self { listener, database, pages, granted: plan.clone(), revoked: plan.clone().revoked() })
    }

    /// Serves one request after the other, without end.
    ///
    /// # Errors
    /// When the socket fails. A single request that fails is logged, and nginx tells the visitor.
    pub(super) async fn serve(&self) -> Error {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => match timeout(PATIENCE, self.answer(stream)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "the right was not changed"),
                    Err(_) => {
                        tracing::warn!("the right was not changed: nginx did not send its request in time");
                    }
                },
                Err(error) => return Error::Files(error),
            }
        }
    }

    async fn answer(&self, mut stream: UnixStream) -> Result<(), Error> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && request.len() < LONGEST_REQUEST {
            if stream.read_buf(&mut request).await.map_err(Error::Files)? == 0 {
                break;
            }
        }
        let is_for = |path: &str| request.starts_with(format!("POST {path} HTTP/1.").as_bytes());
        let status = if is_for("/take") {
            self.change(false).await?;
            "303 See Other"
        } else if is_for("/give") {
            self.change(true).await?;
            "303 See Other"
        } else {
            "404 Not Found"
        };
        let answer = format!(
            "HTTP/1.0 {status}\r\nLocation: /\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.map_err(Error::Files)
    }

    /// The row first, then the page: where the second fails, the page marks the answers that it did not
    /// expect.
    async fn change(&self, granted: bool) -> Result<(), Error> {
        set(&self.database, granted).await?;
        let plan = if granted { &self.granted } else { &self.revoked };
        page::write(plan, &self.pages).map_err(Error::Files)
    }
}

/// Writes or removes the row of `user_access` that grants [`ALBUM`] to [`USER`].
///
/// # Errors
/// Those of the database.
pub(super) async fn set(database: &Path, granted: bool) -> Result<(), sqlx::Error> {
    let statement = if granted {
        "INSERT OR IGNORE INTO piwigo_user_access (user_id, cat_id) VALUES (?, ?)"
    } else {
        "DELETE FROM piwigo_user_access WHERE user_id = ? AND cat_id = ?"
    };
    let mut connection = SqliteConnectOptions::new().filename(database).connect().await?;
    sqlx::query(statement).bind(USER).bind(ALBUM).execute(&mut connection).await?;
    connection.close().await
}
