//! The command line: which command, with which options, and the exit code (0 yes, 1 no, 2 usage or set-up error).

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsString;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use piwigo_gate::check::{self, Colour, Who};
use piwigo_gate::config;
use piwigo_gate::database::Which;
use piwigo_gate::demo;
use piwigo_gate::derive::{self, Meter, Wanted};
use piwigo_gate::gate::{Gate, Replaceable};
use piwigo_gate::listen::{self, Listen};
use piwigo_gate::notify;
use piwigo_gate::request::MAX_COOKIES;
use piwigo_gate::serve;
use piwigo_gate::settings::{self, LogFormat, LogLevel, Options, Settings, SettingsError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Guards the files of a Piwigo photo gallery.
///
/// Started by a web server (a listening socket on file descriptor 0) and without arguments, it serves on that socket.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = false)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer the web server's requests
    Serve(Box<Serve>),
    /// Say why a visitor may or may not see a file (exit code: 0 all allowed, 1 one denied, 2 no verdict)
    ///
    /// Asks the same code and database as `serve`, and changes nothing. Without --user and --cookie: as a guest.
    Check(Box<Check>),
    /// Make the resized pictures that are missing or stale (exit code: 0 all there, 1 some failed, 2 nothing possible)
    ///
    /// What is fresh is left alone: it can be ended at any time and started again. Run it as PHP's user, or as root: what
    /// root makes gets the owner of the directory that it is made in, so that Piwigo can delete it.
    Derive(Box<Derive>),
    /// Print a web server's file, filled in for this gallery (`--list` names the kinds)
    ///
    /// The directories that are guarded come from Piwigo's settings and the sites that it synchronises with.
    #[command(after_help = "Example: piwigo-gate config nginx --gallery /var/www/piwigo > piwigo-gate.conf")]
    Config(Box<Config>),
    /// Show a sample gallery behind a private nginx, as each visitor sees it
    Demo {
        /// Port on 127.0.0.1
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Print who gets what and whether that is right, instead of waiting for visitors (exit code 0 or 1)
        #[arg(long)]
        once: bool,
    },
}

#[derive(Args, Default)]
struct Serve {
    /// A gate.toml to read instead of <gallery>/local/config/gate.toml or /etc/piwigo-gate/gate.toml
    #[arg(long, env = "PIWIGO_GATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Check {
    /// Addresses as in the browser, with or without scheme and host
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// Judge as a session of this account would be: its name, or else its number
    #[arg(long, value_name = "NAME|ID", conflicts_with_all = ["cookie", "ip"])]
    user: Option<String>,
    /// Judge as who sends these cookies: `pwg_id=…`, or - to read them from standard input
    #[arg(long, value_name = "COOKIES", requires = "ip")]
    cookie: Option<String>,
    /// The address that the cookies come from, as PHP sees it
    #[arg(long, value_name = "ADDRESS", requires = "cookie")]
    ip: Option<std::net::IpAddr>,
    /// Print JSON: a list with one object for each URL
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Args)]
struct Config {
    /// Which file
    kind: Option<String>,
    /// List the kinds
    #[arg(long, exclusive = true)]
    list: bool,
    /// For a gallery in /var/www/piwigo, whatever there is on this machine
    #[arg(long)]
    example: bool,
    /// PHP-FPM's socket [default: the newest in /run/php]
    #[arg(long, value_name = "PATH")]
    php_socket: Option<PathBuf>,
    /// The gate's program [default: /usr/local/bin/piwigo-gate, or as the file says]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// The account that PHP runs as [default: www-data]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Args)]
struct Derive {
    /// Sizes, by token or name: th,me or thumb,medium [default: every enabled one]
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// Only the pictures of this album: the number in its address
    #[arg(long, value_name = "ID")]
    album: Option<u32>,
    /// And those of the albums in it
    #[arg(long, requires = "album")]
    recursive: bool,
    /// How many at the same time [default: half as many as there are processor cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Only count what is missing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    serve: Serve,
}

/// Exit code for a usage or set-up error.
const SETUP_ERROR: u8 = 2;

/// Threads that answer requests. One would do, and takes a fifth less processor time per request; the second goes on when
/// a disk lets the first one wait.
const MAX_THREADS: usize = 2;

/// Pictures come and go by tens of megabytes, and glibc's allocator keeps what was freed: after each large piece it raises
/// the size from which memory goes back to the system, up to 32 MB, for each of its arenas. Measured after 45 pictures:
/// 138 MB resident, with this 18, in the same time.
///
/// The threshold is set by the environment when a program starts, or by a call that is not memory-safe; so the program puts
/// itself in its own place, once, with the same arguments, number and descriptors. Where it cannot, and where somebody has
/// set anything of the kind, all stays as it is.
fn give_memory_back() {
    const THRESHOLD: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "1048576");
    /// The allocator's variables are taken away from programs with special rights: this one stays.
    const DONE: &str = "PIWIGO_GATE_RESTARTED";
    let is_set = |(name, _): (OsString, OsString)| {
        let name = name.as_encoded_bytes();
        name.starts_with(b"MALLOC_") || name == b"GLIBC_TUNABLES" || name == DONE.as_bytes()
    };
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || std::env::vars_os().any(is_set) {
        return;
    }
    let (Ok(program), mut arguments) = (std::env::current_exe(), std::env::args_os()) else { return };
    let Some(name) = arguments.next() else { return };
    // Returns only if it failed.
    let _ = process::Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(THRESHOLD.0, THRESHOLD.1)
        .env(DONE, "1")
        .exec();
}

fn main() -> ExitCode {
    let by_server = listen::started_by_a_server();
    let command = match CommandLine::parse().command {
        Some(command) => command,
        // The environment counts here too: mod_fcgid passes what FcgidInitialEnv says.
        None if by_server => CommandLine::parse_from(["piwigo-gate", "serve"])
            .command
            .unwrap_or_else(|| Command::Serve(Box::default())),
        None => {
            let _ = <CommandLine as clap::CommandFactory>::command().print_help();
            return ExitCode::from(SETUP_ERROR);
        }
    };
    if matches!(command, Command::Serve(_) | Command::Derive(_)) {
        give_memory_back();
    }
    let (log, format) = match &command {
        Command::Serve(serve) => {
            (serve.options.log.unwrap_or_default(), serve.options.log_format.unwrap_or_default())
        }
        Command::Demo { .. } | Command::Check(_) | Command::Config(_) | Command::Derive(_) => {
            (LogLevel::Error, LogFormat::Text)
        }
    };
    let log_at = start_logging(log, format);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = cores.min(MAX_THREADS);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return setup_error(&error),
        };
    let code = match command {
        Command::Serve(serve) => match runtime.block_on(run(&serve, by_server, &log_at)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => setup_error(&error),
        },
        Command::Check(asked) => match runtime.block_on(explain(*asked)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => setup_error(&*error),
        },
        Command::Derive(asked) => match runtime.block_on(derivatives(*asked)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => setup_error(&*error),
        },
        Command::Config(asked) => match runtime.block_on(server_file(*asked)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => setup_error(&*error),
        },
        Command::Demo { port, once } => {
            let options = demo::Options { port, once };
            match runtime.block_on(demo::run(options, serve_sample)) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(error) => setup_error(&error),
            }
        }
    };
    runtime.shutdown_background();
    code
}

fn setup_error(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("piwigo-gate: {error}");
    ExitCode::from(SETUP_ERROR)
}

/// The gate of the demo, in this process: it ends when what is returned is dropped.
async fn serve_sample(gallery: &Path, socket: &Path) -> Result<watch::Sender<bool>, SettingsError> {
    let options = Options {
        gallery: Some(gallery.to_owned()),
        listen: Some(format!("unix:{}", socket.display())),
        ..Options::default()
    };
    let settings = Settings::resolve(options, None)?;
    let limits = settings.limits;
    let listeners = match &settings.listen {
        Some(listen) => listen.open()?,
        None => Vec::new(),
    };
    let gate = Arc::new(Replaceable::new(Gate::open(settings).await?));
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(serve::serve(listeners, gate, limits, stopping));
    Ok(stop)
}

/// Prints the reports of `check`; false if a URL is denied.
async fn explain(asked: Check) -> Result<bool, Box<dyn std::error::Error>> {
    let who = match (asked.user, asked.cookie, asked.ip) {
        (Some(user), ..) => Who::User(user),
        (None, Some(cookie), Some(ip)) => Who::Cookies { cookies: cookies(cookie)?, ip },
        _ => Who::Guest,
    };
    let gate = Gate::open(Settings::resolve(asked.serve.options, asked.serve.config.as_deref())?).await?;
    let reports = check::reports(&gate, &who, &asked.urls).await?;
    let mut text = String::new();
    if asked.json {
        text = serde_json::to_string_pretty(&reports)?;
        text.push('\n');
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        for (index, report) in reports.iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            check::write(report, if colour { Colour::On } else { Colour::Off }, &mut text)?;
        }
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(reports.iter().all(|report| report.allowed))
}

/// Prints a server's file.
async fn server_file(asked: Config) -> Result<(), Box<dyn std::error::Error>> {
    if asked.list {
        std::io::stdout().write_all(config::list().as_bytes())?;
        return Ok(());
    }
    let name = asked.kind.ok_or(config::ConfigError::NoKindGiven)?;
    let kind = config::Kind::find(&name).ok_or_else(|| config::ConfigError::no_kind(name))?;
    let values = if asked.example {
        config::Values::example()
    } else {
        let settings = Settings::resolve(asked.serve.options, asked.serve.config.as_deref())?;
        let settings_file = asked.serve.config.as_deref().map(std::path::absolute).transpose()?;
        let found = config::Asked {
            php_socket: asked.php_socket,
            program: asked.program,
            user: asked.user,
            settings_file,
        };
        let (values, warnings) = config::values(settings, &found).await?;
        for warning in warnings {
            eprintln!("piwigo-gate: {warning}");
        }
        values
    };
    std::io::stdout().write_all(config::print(kind, &values)?.as_bytes())?;
    Ok(())
}

/// Makes derivatives until all are there or somebody ends it; false if some are not.
async fn derivatives(asked: Derive) -> Result<bool, Box<dyn std::error::Error>> {
    let which = match asked.album {
        None => Which::All,
        Some(id) if asked.recursive => Which::AlbumAndBelow(id),
        Some(id) => Which::Album(id),
    };
    let jobs = asked.jobs.map_or_else(|| (settings::cores() / 2).max(1), usize::from);
    let wanted = Wanted { which, types: asked.types, jobs, dry_run: asked.dry_run };
    let settings = Settings::resolve(asked.serve.options, asked.serve.config.as_deref())?;
    let (stop, stopping) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        std::future::pending::<()>().await;
    });
    let mut meter = Meter::new(std::io::stderr().is_terminal());
    let summary = derive::run(settings, &wanted, stopping, |progress| meter.hear(progress)).await?;
    meter.end();
    println!("{}", summary.told(wanted.dry_run));
    Ok(summary.is_complete())
}

/// What `--cookie` says; `-` keeps it out of the list of processes.
fn cookies(given: String) -> std::io::Result<String> {
    if given != "-" {
        return Ok(given);
    }
    let mut line = String::new();
    std::io::stdin().lock().take(MAX_COOKIES as u64 + 2).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Serves until SIGTERM or SIGINT.
async fn run(
    serve: &Serve,
    by_server: bool,
    log_at: &impl Fn(LogLevel, LogFormat),
) -> Result<(), SettingsError> {
    let resolve = || Settings::resolve(serve.options.clone(), serve.config.as_deref());
    let settings = resolve()?;
    log_at(settings.log, settings.log_format);
    let listen = match &settings.listen {
        Some(listen) => listen.clone(),
        None if by_server => Listen::Fd0,
        None => return Err(SettingsError::NoListen),
    };
    let limits = settings.limits;
    let (gallery, database) = (settings.gallery.clone(), format!("{:?}", settings.database));
    // Before the first signal can come: what is not listened to ends the process at once.
    let listen_to = |kind| signal(kind).map_err(SettingsError::Signal);
    let mut terminate = listen_to(SignalKind::terminate())?;
    let mut interrupt = listen_to(SignalKind::interrupt())?;
    let mut hangup = listen_to(SignalKind::hangup())?;
    let gate = tokio::select! {
        gate = Gate::open(settings) => Arc::new(Replaceable::new(gate?)),
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let listeners = listen.open()?;
    tracing::info!(?listen, ?gallery, %database, "serving");

    let (stop, stopping) = watch::channel(false);
    let serving = tokio::spawn(serve::serve(listeners, gate.clone(), limits, stopping));
    notify::tell(notify::READY);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&gate, resolve(), log_at).await,
        }
    }
    tracing::info!("stopping: what is under way is finished");
    notify::tell(notify::STOPPING);
    let _ = stop.send(true);
    let _ = serving.await;
    Ok(())
}

/// SIGHUP: a configuration that cannot work leaves the old one in force. Where it listens, how many connections it
/// takes and its timeouts stay what they are.
async fn reload(
    gate: &Replaceable,
    settings: Result<Settings, SettingsError>,
    log_at: &impl Fn(LogLevel, LogFormat),
) {
    let renewed = match settings {
        Ok(settings) => Gate::open(settings).await,
        Err(error) => Err(error),
    };
    match renewed {
        Ok(renewed) => {
            log_at(renewed.settings().log, renewed.settings().log_format);
            gate.replace(renewed);
            tracing::info!("the configuration was read again");
        }
        Err(error) => {
            tracing::error!(%error, "the configuration was read again and cannot work; the old one stays");
        }
    }
}

/// Starts to log to standard error (systemd's journal, or the web server's error log), and returns what changes the
/// level and form: `gate.toml` may name others than the command line, and others again at SIGHUP.
fn start_logging(level: LogLevel, format: LogFormat) -> impl Fn(LogLevel, LogFormat) {
    let (lines, line_format) = reload::Layer::new(log_lines(format));
    let (filter, log_level) = reload::Layer::new(log_filter(level));
    tracing_subscriber::registry().with(lines).with(filter).init();
    move |level, format| {
        let _ = line_format.reload(log_lines(format));
        let _ = log_level.reload(log_filter(level));
    }
}

/// How a line is written (docs/logs.md).
fn log_lines(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    }
}

/// The level is the gate's own; of the database driver only warnings are of interest.
fn log_filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "warn,piwigo_gate=info",
        LogLevel::Debug => "warn,piwigo_gate=debug",
        LogLevel::Trace => "trace",
    })
}
