//! FastCGI, the connections of the gate, and files that the gate sends itself.

mod fastcgi_allocations;
mod fastcgi_any_bytes;
mod fastcgi_captures;
mod fastcgi_protocol;
mod scripted;
mod serving;
mod serving_streams;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod webserver;
