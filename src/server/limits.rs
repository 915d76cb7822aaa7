//! The defaults of the numbers and times that bound what a peer can use up.

use std::time::Duration;

/// Numbers and times that bound what a peer can use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most open connections.
    pub max_connections: usize,
    /// Longest time from a request's first byte to its last.
    pub header_timeout: Duration,
    /// Longest time that a connection may wait for its next request.
    pub idle_timeout: Duration,
    /// Longest time for the peer to take one answer; for a file that the gate sends itself, its next piece.
    pub write_timeout: Duration,
    /// Longest time for the requests under way to finish after the signal to stop; a file that the gate sends
    /// itself gets less.
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
