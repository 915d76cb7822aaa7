//! The setting `session_address`: by which of a request's addresses Piwigo finds a session.

/// Where the address comes from to which Piwigo binds a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionAddress {
    /// What the web server says (`REMOTE_ADDR`), as in every release of Piwigo.
    #[default]
    RemoteAddr,
    /// The first address of the header X-Forwarded-For, if there is one: for a Piwigo that was changed so
    /// (Piwigo: pull request 2116), or whose `config.inc.php` does it.
    XForwardedFor,
}
