//! Numbers and times that bound what a peer can use up.

use std::time::Duration;

/// Numbers and times that bound what a peer can use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections.
    pub max_connections: usize,
    /// From a request's first byte to its last.
    pub header_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// For one answer to be taken; of a file that the gate sends itself, for the next piece of it.
    pub write_timeout: Duration,
    /// For requests under way when the process is asked to end; a file that the gate sends itself gets less.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 512,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
        }
    }
}
