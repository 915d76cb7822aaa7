//! The verb `serve`: from the settings to the listening sockets, until a signal ends it.

#[cfg(feature = "demo")]
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::command_line::Serve;
use crate::gate::{Gate, Replaceable};
use crate::server::listen::{self, Listen, Peers};
use crate::server::{notify, serve};
#[cfg(feature = "demo")]
use crate::settings::Options;
use crate::settings::{LogFormat, LogLevel, Settings, SettingsError};

/// The demo's gate, in this process. It ends when the returned value is dropped.
#[cfg(feature = "demo")]
pub(super) async fn serve_sample(
    gallery: &Path,
    socket: &Path,
) -> Result<watch::Sender<bool>, SettingsError> {
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

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(
    serve: &Serve,
    by_server: bool,
    log_at: &impl Fn(LogLevel, LogFormat),
) -> Result<(), SettingsError> {
    // Signals come first: one without a handler ends the process at once.
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
        // The web server that started this process may have a request waiting on the socket; answer that
        // one first.
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
            // A database that does not answer must not delay the end.
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

/// Reloads at SIGHUP. If the new configuration cannot work, the old one stays in force. The address, the
/// allowed peers, the number of connections and the timeouts do not change.
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
