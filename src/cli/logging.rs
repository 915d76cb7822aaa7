//! The log: levels and forms of its lines, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::settings::{LogFormat, LogLevel};

/// Starts to log to standard error (systemd's journal, or the web server's error log), and returns what
/// changes the level and form: `gate.toml` may name others than the command line, and others again at SIGHUP.
pub(super) fn start_logging(level: LogLevel, format: LogFormat) -> impl Fn(LogLevel, LogFormat) {
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

/// The level applies to the gate; of the database driver only warnings are logged. (`EnvFilter` does the
/// same with regular expressions, which add a third of a megabyte.)
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
