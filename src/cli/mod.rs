//! Runs one command and returns an exit code (0 yes, 1 no, 2 usage or set-up error): sets up logging and
//! the runtime.

#[cfg(feature = "manuals")]
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use self::command_line::{Command, CommandLine};
#[cfg(feature = "demo")]
use crate::commands::demo;
use crate::server::listen;
use crate::settings::{LogFormat, LogLevel};

mod command_line;
mod logging;
#[cfg(feature = "manuals")]
mod manual;
mod memory;
mod serving;
mod verbs;

/// Exit code for a usage or set-up error.
const SETUP_ERROR: u8 = 2;

/// Exit code of `derive` if nothing failed and some images are left to Piwigo. Whether visitors get these
/// depends on the web server, which `derive` does not know.
const LEFT_TO_PIWIGO: u8 = 3;

/// Threads that answer requests. One would use a fifth less processor time per request; the second
/// continues while the first waits for a disk.
const MAX_THREADS: usize = 2;

/// Whether a web server has started the program for a single request (CGI) with the visitor's query as its
/// arguments (RFC 3875 §4.4). A visitor could then make it listen for every machine.
fn is_started_as_cgi() -> bool {
    ["GATEWAY_INTERFACE", "REQUEST_METHOD"].iter().all(|name| std::env::var_os(name).is_some())
}

/// The command for a start without arguments and with a socket on descriptor 0: `mod_fcgid` starts as many
/// processes as it needs. Environment variables apply, because `FcgidInitialEnv` sets them.
fn serve_for_a_server() -> Command {
    let command = CommandLine::parse_from(["piwigo-gate", "serve"]).command;
    let mut serve = match command {
        Some(Command::Serve(serve)) => serve,
        _ => Box::default(),
    };
    serve.options.one_of_several = true;
    Command::Serve(serve)
}

/// Runs the command that the command line names.
pub fn run() -> ExitCode {
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
        memory::give_memory_back();
    }
    let (log, format) = match &command {
        Command::Serve(serve) => {
            (serve.options.log.unwrap_or_default(), serve.options.log_format.unwrap_or_default())
        }
        _ => (LogLevel::Error, LogFormat::Text),
    };
    let log_at = logging::start_logging(log, format);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = cores.min(MAX_THREADS);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return setup_error(&error),
        };
    let code = match command {
        Command::Serve(serve) => match runtime.block_on(serving::run(&serve, by_server, &log_at)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => setup_error(&error),
        },
        Command::Check(asked) => match runtime.block_on(verbs::explain(*asked)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => setup_error(&*error),
        },
        Command::Doctor(asked) => match runtime.block_on(verbs::examine(*asked)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => setup_error(&*error),
        },
        Command::Derive(asked) => match runtime.block_on(verbs::derivatives(*asked)) {
            Ok(code) => code,
            Err(error) => setup_error(&*error),
        },
        #[cfg(feature = "manuals")]
        Command::Completions { shell } => {
            match std::io::stdout().write_all(verbs::completions(shell).as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        #[cfg(feature = "manuals")]
        Command::Man { verb } => match manual::page(verb.as_deref()) {
            Some(page) if std::io::stdout().write_all(&page).is_ok() => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
            None => setup_error(&"there is no such verb; piwigo-gate --help names them"),
        },
        Command::Config(asked) => match runtime.block_on(verbs::server_file(*asked)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => setup_error(&*error),
        },
        #[cfg(feature = "demo")]
        Command::Demo { port, once } => {
            let options = demo::Options { port, once };
            match runtime.block_on(demo::run(options, serving::serve_sample)) {
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
