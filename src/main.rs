//! The program: does what the command line says, and ends with an exit code (0 yes, 1 no, 2 usage or set-up error).

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsString;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
#[cfg(feature = "demo")]
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::Arc;

use self::command_line::{Check, Command, CommandLine, Config, Derive, Doctor, Serve};
use clap::Parser as _;
use piwigo_gate::commands::check;
use piwigo_gate::commands::check::{Colour, Who};
#[cfg(feature = "demo")]
use piwigo_gate::commands::demo;
use piwigo_gate::commands::derive;
use piwigo_gate::commands::derive::{Meter, Outcome, Wanted};
use piwigo_gate::commands::doctor;
use piwigo_gate::commands::server_files;
use piwigo_gate::database::Which;
use piwigo_gate::gate::{Gate, Replaceable};
use piwigo_gate::http::request::MAX_COOKIES;
use piwigo_gate::server::listen::{self, Listen, Peers};
use piwigo_gate::server::{notify, serve};
use piwigo_gate::settings::{self, LogFormat, LogLevel, Options, Settings, SettingsError};
#[cfg(feature = "demo")]
use rustix::process::{Resource, getrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

mod command_line;
#[cfg(feature = "manuals")]
mod manual;

/// Exit code for a usage or set-up error.
const SETUP_ERROR: u8 = 2;

/// Exit code of `derive` where nothing failed and some images are Piwigo's to make: whether visitors get them
/// depends on the web server, which `derive` does not know.
const LEFT_TO_PIWIGO: u8 = 3;

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
    // Each thread's arena reserves 64 MB of addresses, which count where those are limited.
    let is_limited = getrlimit(Resource::As).current.is_some();
    let arenas = is_limited.then_some(("MALLOC_ARENA_MAX", "1"));
    // Returns only if it failed.
    let _ = process::Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(THRESHOLD.0, THRESHOLD.1)
        .envs(arenas)
        .env(DONE, "1")
        .exec();
}

/// Whether a web server has started the program for a single request (CGI), and means the visitor's query to be its
/// arguments (RFC 3875 §4.4): a visitor could have it listen for everybody.
fn is_started_as_cgi() -> bool {
    ["GATEWAY_INTERFACE", "REQUEST_METHOD"].iter().all(|name| std::env::var_os(name).is_some())
}

/// What was asked for by no arguments at all, with a socket on descriptor 0: `mod_fcgid` starts so many of them as it
/// needs. The environment counts here too, since it passes what `FcgidInitialEnv` says.
fn serve_for_a_server() -> Command {
    let command = CommandLine::parse_from(["piwigo-gate", "serve"]).command;
    let mut serve = match command {
        Some(Command::Serve(serve)) => serve,
        _ => Box::default(),
    };
    serve.options.one_of_several = true;
    Command::Serve(serve)
}

fn main() -> ExitCode {
    let by_server = listen::started_by_a_server();
    if !by_server && is_started_as_cgi() {
        eprintln!(
            "piwigo-gate: the web server has started this as a CGI program; it needs mod_fcgid (fcgid-script)"
        );
        print!("Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
        return ExitCode::from(SETUP_ERROR);
    }
    let command = match CommandLine::given().command {
        Some(command) => command,
        None if by_server => serve_for_a_server(),
        None => {
            let _ = CommandLine::for_readers().print_help();
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
        _ => (LogLevel::Error, LogFormat::Text),
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
        Command::Doctor(asked) => match runtime.block_on(examine(*asked)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => setup_error(&*error),
        },
        Command::Derive(asked) => match runtime.block_on(derivatives(*asked)) {
            Ok(code) => code,
            Err(error) => setup_error(&*error),
        },
        #[cfg(feature = "manuals")]
        Command::Completions { shell } => match std::io::stdout().write_all(completions(shell).as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        #[cfg(feature = "manuals")]
        Command::Man { verb } => match manual::page(verb.as_deref()) {
            Some(page) if std::io::stdout().write_all(&page).is_ok() => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
            None => setup_error(&"there is no such verb; piwigo-gate --help names them"),
        },
        Command::Config(asked) => match runtime.block_on(server_file(*asked)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => setup_error(&*error),
        },
        #[cfg(feature = "demo")]
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
#[cfg(feature = "demo")]
async fn serve_sample(gallery: &Path, socket: &Path) -> Result<watch::Sender<bool>, SettingsError> {
    let options = Options {
        gallery: Some(gallery.to_owned()),
        listen: Some(format!("unix:{}", socket.display())),
        ..Options::default()
    };
    let settings = Settings::resolve(options, None)?;
    let limits = settings.limits;
    let listeners = match &settings.listen {
        Some(listen) => listen.open(&Arc::default())?,
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

/// The completions of a shell.
#[cfg(feature = "manuals")]
fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    let mut words = <CommandLine as clap::CommandFactory>::command();
    clap_complete::generate(shell, &mut words, "piwigo-gate", &mut text);
    // For bash, clap_complete 4.6 writes the hyphen of a program's name in two ways, so that nothing after a verb is
    // completed (its issue 6421).
    String::from_utf8_lossy(&text).replace("piwigo__subcmd__gate", "piwigo__gate")
}

/// Prints a server's file.
async fn server_file(asked: Config) -> Result<(), Box<dyn std::error::Error>> {
    if asked.list {
        std::io::stdout().write_all(server_files::list().as_bytes())?;
        return Ok(());
    }
    let name = asked.kind.ok_or(server_files::ConfigError::NoKindGiven)?;
    let kind = server_files::Kind::find(&name).ok_or(server_files::ConfigError::NoKind(name))?;
    let values = if asked.example || !kind.is_about_a_gallery() {
        let prefix = asked.url_prefix.unwrap_or_default();
        let example =
            server_files::Values::example_at(&prefix).ok_or("--url-prefix must be a path such as /piwigo")?;
        server_files::Values { gate: kind.example_gate(), ..example }
    } else {
        let options = Options {
            gallery: asked.gallery,
            listen: asked.listen,
            allow_remote: asked.allow_remote,
            allow_from: asked.allow_from.clone().map(|list| vec![list]),
            url_prefix: asked.url_prefix,
            parent_sites: asked.parent_sites,
            ..Options::default()
        };
        server_files::verify_user(asked.user.as_deref())?;
        let settings = Settings::resolve(options, asked.settings_file.as_deref())?;
        let found = server_files::Asked {
            php_socket: asked.php_socket,
            program: asked.program,
            user: asked.user,
            settings_file: asked.settings_file.as_deref().map(std::path::absolute).transpose()?,
            socket_group: asked.socket_group,
            backend: asked.backend,
            allow_remote: asked.allow_remote == Some(true),
            allow_from: asked.allow_from.is_some(),
        };
        let (values, warnings) = server_files::values(settings, &found).await?;
        for warning in warnings {
            eprintln!("piwigo-gate: {warning}");
        }
        values
    };
    let text = server_files::print(kind, &values)?;
    if !values.people_told.is_empty() && kind.name.starts_with("systemd") {
        eprintln!("piwigo-gate: {}", values.people_told);
    }
    if !values.php_told.is_empty() && text.contains(&values.php_socket) {
        eprintln!("piwigo-gate: {}", values.php_told);
    }
    match asked.output {
        // A server that included half a file, or an empty one, would serve what it guards.
        Some(file) => {
            server_files::replace(&file, &text).map_err(|error| unwritten(&file, &error))?;
            eprintln!("piwigo-gate: {} is written; its first lines say what comes next", file.display());
        }
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(())
}

/// Why a file could not be written, and what to do if its directory is missing.
fn unwritten(file: &std::path::Path, error: &std::io::Error) -> String {
    let missing = file.parent().filter(|directory| !directory.as_os_str().is_empty() && !directory.exists());
    match missing {
        Some(directory) => format!("{}: {error}: sudo mkdir -p {}", file.display(), directory.display()),
        None => format!("{}: {error}", file.display()),
    }
}

/// Prints the report of `doctor`; false if there is a problem.
async fn examine(asked: Doctor) -> Result<bool, Box<dyn std::error::Error>> {
    let (insecure, resolve) = (asked.insecure, asked.resolve);
    let is_dash = |file: &std::path::PathBuf| file.as_os_str() == doctor::STANDARD_INPUT;
    if asked.cookie.as_deref() == Some("-") && asked.server_file.iter().any(is_dash) {
        return Err(
            "standard input holds either the cookies or the configuration: write one of them to a file"
                .into(),
        );
    }
    let given = asked.cookie.map(cookies).transpose()?;
    let cookies = given.map(doctor::Cookies::new).transpose()?;
    let report = Box::pin(doctor::examine(doctor::Asked {
        options: asked.serve.options,
        config: asked.serve.config,
        web_user: asked.web_user,
        server_files: asked.server_file,
        outside: asked.url.map(|url| doctor::Outside { url, insecure, resolve, cookies }),
    }))
    .await?;
    let mut text = String::new();
    if asked.json {
        text = serde_json::to_string_pretty(&report)?;
        text.push('\n');
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        doctor::write(&report, if colour { Colour::On } else { Colour::Off }, &mut text)?;
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(report.is_sound())
}

/// Makes derivatives until all are there or somebody ends it; false if some are not.
async fn derivatives(asked: Derive) -> Result<ExitCode, Box<dyn std::error::Error>> {
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
    writeln!(std::io::stdout(), "{}", summary.told(wanted.dry_run))?;
    Ok(match summary.outcome() {
        Outcome::Complete => ExitCode::SUCCESS,
        Outcome::Incomplete => ExitCode::FAILURE,
        Outcome::LeftToPiwigo => ExitCode::from(LEFT_TO_PIWIGO),
    })
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
    // Before all else: what is not listened to ends the process at once.
    let listen_to = |kind| signal(kind).map_err(SettingsError::Signal);
    let mut terminate = listen_to(SignalKind::terminate())?;
    let mut interrupt = listen_to(SignalKind::interrupt())?;
    let mut hangup = listen_to(SignalKind::hangup())?;
    let resolve = || Settings::resolve(serve.options.clone(), serve.config.as_deref());
    let settings = resolve()?;
    log_at(settings.log, settings.log_format);
    let listen = match &settings.listen {
        Some(listen) => listen.clone(),
        None if by_server => Listen::Fd0,
        None => return Err(SettingsError::NoListen),
    };
    let limits = settings.limits;
    let web_server_addrs = std::env::var_os(listen::WEB_SERVER_ADDRS);
    let peers = Arc::new(Peers::new(settings.allow_from.clone(), web_server_addrs.as_deref())?);
    let (gallery, database) = (settings.gallery.clone(), format!("{:?}", settings.database));
    let mut opening = std::pin::pin!(Gate::open(settings));
    let mut ends = false;
    let gate = loop {
        tokio::select! {
            gate = &mut opening => break Arc::new(Replaceable::new(gate?)),
            _ = terminate.recv(), if !ends => ends = true,
            _ = interrupt.recv(), if !ends => ends = true,
        }
        // Whoever started this with a socket may have a request waiting there: that one is still answered.
        if listen != Listen::Fd0 {
            return Ok(());
        }
    };
    let listeners = listen.open(&peers)?;
    tracing::info!(%listen, gallery = %gallery.display(), %database, "serving");

    let (stop, stopping) = watch::channel(ends);
    let serving = tokio::spawn(serve::serve(listeners, gate.clone(), limits, stopping));
    notify::tell(notify::READY);
    while !ends {
        tokio::select! {
            _ = terminate.recv() => ends = true,
            _ = interrupt.recv() => ends = true,
            // A database that is silent must not keep the end waiting.
            _ = hangup.recv() => tokio::select! {
                () = reload(&gate, resolve(), log_at) => {}
                _ = terminate.recv() => ends = true,
                _ = interrupt.recv() => ends = true,
            },
        }
    }
    tracing::info!("stopping: what is under way is finished");
    notify::tell(notify::STOPPING);
    let _ = stop.send(true);
    let _ = serving.await;
    Ok(())
}

/// SIGHUP: a configuration that cannot work leaves the old one in force. Where it listens, for whom, how many connections it
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

/// The level is the gate's own; of the database driver only warnings are of interest. (`EnvFilter` would do the same by
/// regular expressions, which take a third of a megabyte.)
fn log_filter(level: LogLevel) -> Targets {
    let (everybody, gate) = match level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::WARN, LevelFilter::INFO),
        LogLevel::Debug => (LevelFilter::WARN, LevelFilter::DEBUG),
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    Targets::new().with_default(everybody).with_target("piwigo_gate", gate)
}
