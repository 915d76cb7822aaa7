//! The side towards the web server: sockets, connections, their number and their times.

pub mod limits;
