//! A sample gallery on `SQLite` with pictures that are drawn here, behind a private nginx: to see what each
//! visitor gets, or to check it (`--once`). The gate itself is started by who calls `run`.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;

use self::directory::{Directory, letters};
use self::grant::Grants;
use self::nginx::Nginx;
use self::plan::Plan;
use self::table::Table;

mod contents;
mod database;
mod directory;
mod gallery;
mod grant;
mod nginx;
mod page;
mod pictures;
mod plan;
mod right;
mod scenes;
mod situation;
mod table;

/// What the command line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Print the table and end, instead of waiting for visitors.
    pub once: bool,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No program of that name.
    #[error(
        "nginx is not installed: the demo runs one of its own (Debian, Ubuntu: apt-get install nginx-light; \
             Fedora: dnf install nginx; Alpine: apk add nginx; macOS: brew install nginx)"
    )]
    NoNginx,
    /// Somebody else listens there.
    #[error("cannot listen on 127.0.0.1:{port} ({source}): choose another port with --port")]
    Port {
        /// The port that was asked for.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// Writing the gallery, the pages or nginx's files.
    #[error("cannot write the sample gallery: {0}")]
    Files(#[source] io::Error),
    /// Writing the database.
    #[error("cannot write the sample database: {0}")]
    Database(#[from] sqlx::Error),
    /// The gate did not start.
    #[error("the gate does not start: {0}")]
    Gate(String),
    /// nginx did not start, or ended.
    #[error("{0}")]
    Nginx(String),
    /// An address gave no answer.
    #[error("cannot fetch a file through nginx: {0}")]
    Fetch(#[source] io::Error),
    /// Signals cannot be caught.
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(#[source] io::Error),
}

/// The name of the database in the demo's directory.
const DATABASE: &str = "piwigo.sqlite";

/// Of free ports, which others look for, too.
const PORTS_TRIED: usize = 5;

/// Makes the gallery, starts the gate and nginx, and then either prints the table and ends (`once`), or waits
/// for Ctrl-C or SIGTERM. Nothing is left behind on any way out, unless this process is killed.
///
/// `start_gate` gets the gallery's directory and the path of the unix socket to listen on, and returns when
/// the gate listens there; what it returns keeps the gate alive and must end it when dropped.
///
/// Returns false if `once` found an answer that is not what it should be.
///
/// # Errors
/// See `Error`.
pub async fn run<G, E: Display>(
    options: Options,
    start_gate: impl AsyncFnOnce(&Path, &Path) -> Result<G, E>,
) -> Result<bool, Error> {
    let program = nginx::find()?;
    // Before the pictures are drawn, which takes a while.
    nginx::free_port(options.port)?;
    let mut stop = Stop::new().map_err(Error::Signal)?;
    let directory = Directory::new().map_err(Error::Files)?;
    let gallery = directory.path().join("gallery");
    let plan = prepare(directory.path()).await?;
    let database = directory.path().join(DATABASE);
    let grants = Grants::open(&plan, directory.path(), database, directory.path().join(nginx::PAGES[0]))?;
    let work = async {
        let socket = directory.path().join(nginx::SOCKET);
        let gate = start_gate(&gallery, &socket).await.map_err(|error| Error::Gate(error.to_string()))?;
        let (mut nginx, port) = start_nginx(&program, &plan, directory.path(), options.port).await?;
        let right = if options.once {
            let table = Table::fetched(&plan, &gallery, port).await.map_err(Error::Fetch)?;
            say(&table);
            table.wrong() == 0
        } else {
            say(&format_args!(
                "The sample gallery is at http://127.0.0.1:{port}/ (its files: {}).\n\
                 Choose on the page whom you want to be. Ctrl-C ends the demo and removes everything.",
                gallery.display()
            ));
            return Err(tokio::select! {
                ended = nginx.ended() => ended,
                failed = grants.serve() => failed,
            });
        };
        drop(nginx);
        drop(gate);
        Ok(right)
    };
    // On a signal `work` is dropped, and with it nginx and the gate; the directory goes last.
    tokio::select! {
        result = work => result,
        () = stop.asked() => Ok(!options.once),
    }
}

/// Starts nginx on `port`, or where that is 0 on a free one, which is returned: and on another one if
/// somebody takes it before nginx does.
async fn start_nginx(
    program: &Path,
    plan: &Plan,
    directory: &Path,
    port: u16,
) -> Result<(Nginx, u16), Error> {
    let mut tries = 1;
    loop {
        let chosen = nginx::free_port(port)?;
        let configuration = nginx::configuration(plan, chosen);
        match Nginx::start(program, &configuration, directory, chosen).await {
            Err(Error::Nginx(log)) if port == 0 && tries < PORTS_TRIED && log.contains("in use") => {
                tries += 1;
            }
            nginx => return Ok((nginx?, chosen)),
        }
    }
}

/// Writes everything that does not depend on the gate. It is not interrupted half-way: a thread that still
/// draws would put files back into a directory that is being removed.
async fn prepare(directory: &Path) -> Result<Plan, Error> {
    let cookie = || letters(26).map_err(Error::Files);
    let plan = Plan::new([cookie()?, cookie()?, cookie()?, cookie()?]);
    // On the other stream: what is printed on the first one is the table, or the address.
    let pictures = plan.pictures.len();
    let _ = writeln!(
        io::stderr(),
        "Drawing {pictures} sample pictures in all their sizes; this takes some seconds."
    );
    let database = directory.join(DATABASE);
    database::write(&plan, &database, &letters(40).map_err(Error::Files)?).await?;
    let directory = directory.to_owned();
    spawn_blocking(move || {
        gallery::write(&plan, &directory.join("gallery"), &database)?;
        for (plan, pages) in [plan.clone(), plan.clone().unguarded()].iter().zip(nginx::PAGES) {
            page::write(plan, &directory.join(pages))?;
        }
        Ok(plan)
    })
    .await
    .map_err(|panic| Error::Files(io::Error::other(panic)))?
    .map_err(Error::Files)
}

/// Prints a line, or not: whoever closed the pipe does not want it.
fn say(text: &dyn Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// The signals that end the demo.
struct Stop {
    signals: [Signal; 3],
}

impl Stop {
    fn new() -> io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    /// Waits for one of them.
    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
