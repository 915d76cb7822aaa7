//! Connects the command line with each verb except `serve`, and prints the verb's result.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::LEFT_TO_PIWIGO;
#[cfg(feature = "manuals")]
use super::command_line::CommandLine;
use super::command_line::{Check, Config, Derive, Doctor};
use crate::commands::check::{self, Colour, Who};
use crate::commands::derive::{self, Meter, Outcome, Wanted};
use crate::commands::{doctor, server_files};
use crate::database::Which;
use crate::gate::Gate;
use crate::http::request::MAX_COOKIES;
use crate::settings::{self, Options, Settings};

/// Prints the reports of `check`; false if a URL is denied.
pub(super) async fn explain(asked: Check) -> Result<bool, Box<dyn std::error::Error>> {
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
pub(super) fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    let mut words = <CommandLine as clap::CommandFactory>::command();
    clap_complete::generate(shell, &mut words, "piwigo-gate", &mut text);
    // For bash, clap_complete 4.6 writes the hyphen of a program's name in two ways, and bash then
    // completes nothing after a verb (its issue 6421).
    String::from_utf8_lossy(&text).replace("piwigo__subcmd__gate", "piwigo__gate")
}

/// Prints a server's file.
pub(super) async fn server_file(asked: Config) -> Result<(), Box<dyn std::error::Error>> {
    if asked.list {
        std::io::stdout().write_all(server_files::list().as_bytes())?;
        return Ok(());
    }
    let name = asked.kind.ok_or(server_files::ConfigError::NoKindGiven)?;
    let kind = server_files::ServerFile::find(&name).ok_or(server_files::ConfigError::NoKind(name))?;
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
        // A server that includes half a file or an empty one would serve guarded files.
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
pub(super) async fn examine(asked: Doctor) -> Result<bool, Box<dyn std::error::Error>> {
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

/// Makes derivatives until all exist or a signal ends the run. The exit code tells whether all exist.
pub(super) async fn derivatives(asked: Derive) -> Result<ExitCode, Box<dyn std::error::Error>> {
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

/// The value of `--cookie`; `-` reads it from standard input, which keeps it out of the list of processes.
fn cookies(given: String) -> std::io::Result<String> {
    if given != "-" {
        return Ok(given);
    }
    let mut line = String::new();
    std::io::stdin().lock().take(MAX_COOKIES as u64 + 2).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
