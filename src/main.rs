//! The command line: which command, with which options, and the exit code (0 yes, 1 no, 2 usage or set-up error).

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use piwigo_gate::demo;
use piwigo_gate::gate::{Gate, Replaceable};
use piwigo_gate::listen::{self, Listen};
use piwigo_gate::serve;
use piwigo_gate::settings::{LogLevel, Options, Settings, SettingsError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

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

/// Exit code for a usage or set-up error.
const SETUP_ERROR: u8 = 2;

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
    let log = match &command {
        Command::Serve(serve) => serve.options.log.unwrap_or_default(),
        Command::Demo { .. } => LogLevel::Error,
    };
    let log_at = start_logging(log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return setup_error(&error),
    };
    let code = match command {
        Command::Serve(serve) => match runtime.block_on(run(&serve, by_server, &log_at)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => setup_error(&error),
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

/// Serves until SIGTERM or SIGINT.
async fn run(serve: &Serve, by_server: bool, log_at: &impl Fn(LogLevel)) -> Result<(), SettingsError> {
    let resolve = || Settings::resolve(serve.options.clone(), serve.config.as_deref());
    let settings = resolve()?;
    log_at(settings.log);
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
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&gate, resolve(), log_at).await,
        }
    }
    tracing::info!("stopping: what is under way is finished");
    let _ = stop.send(true);
    let _ = serving.await;
    Ok(())
}

/// SIGHUP: a configuration that cannot work leaves the old one in force. Where it listens, how many connections it
/// takes and its timeouts stay what they are.
async fn reload(gate: &Replaceable, settings: Result<Settings, SettingsError>, log_at: &impl Fn(LogLevel)) {
    let renewed = match settings {
        Ok(settings) => Gate::open(settings).await,
        Err(error) => Err(error),
    };
    match renewed {
        Ok(renewed) => {
            log_at(renewed.settings().log);
            gate.replace(renewed);
            tracing::info!("the configuration was read again");
        }
        Err(error) => {
            tracing::error!(%error, "the configuration was read again and cannot work; the old one stays");
        }
    }
}

/// Starts to log to standard error (systemd's journal, or the web server's error log), and returns what changes the
/// level: `gate.toml` may name another than the command line, and another one at SIGHUP.
fn start_logging(level: LogLevel) -> impl Fn(LogLevel) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(log_filter(level))
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_filter_reloading();
    let handle = builder.reload_handle();
    builder.init();
    move |level| {
        let _ = handle.reload(log_filter(level));
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
