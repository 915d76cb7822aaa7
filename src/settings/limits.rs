//! Checks the settings that bound what a peer can use up.

use std::time::Duration;

use super::{Options, SettingsError, within};
use crate::server::limits::Limits;

impl Limits {
    pub(super) fn resolve(options: &Options) -> Result<Self, SettingsError> {
        let default = Limits::default();
        let seconds = |setting, value: Option<u64>, default: Duration| {
            within(
                setting,
                value,
                default.as_secs(),
                1..=86_400,
                "a number of seconds from 1 to 86400 (a day)",
            )
            .map(Duration::from_secs)
        };
        Ok(Limits {
            max_connections: within(
                "max_connections",
                options.max_connections,
                default.max_connections,
                1..=65_536,
                "a number from 1 to 65536",
            )?,
            header_timeout: seconds("header_timeout", options.header_timeout, default.header_timeout)?,
            idle_timeout: seconds("idle_timeout", options.idle_timeout, default.idle_timeout)?,
            write_timeout: seconds("write_timeout", options.write_timeout, default.write_timeout)?,
            drain_timeout: seconds("drain_timeout", options.drain_timeout, default.drain_timeout)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_nothing_or_of_more_than_a_machine_has_is_an_error() {
        let table = [
            ("", true),
            ("max_connections = 1\nheader_timeout = 1", true),
            ("max_connections = 65536\nidle_timeout = 86400", true),
            ("max_connections = 0", false),
            ("max_connections = 1000000000000", false),
            ("header_timeout = 0", false),
            ("idle_timeout = 9223372036854775807", false),
            ("write_timeout = 86401", false),
            ("drain_timeout = 1", true),
            ("drain_timeout = 0", false),
        ];
        for (text, good) in table {
            let options: Options = toml::from_str(text).unwrap();
            assert_eq!(Limits::resolve(&options).is_ok(), good, "{text}");
        }
    }
}
