//! A connection from the web server, over a unix socket or TCP.

use std::io;

use tokio::net::{TcpStream, UnixStream};

/// A connection from the web server.
#[derive(Debug)]
pub enum Stream {
    /// Over a unix socket.
    Unix(UnixStream),
    /// Over TCP.
    Tcp(TcpStream),
}

impl Stream {
    /// Reads the bytes that are there, or waits for some; returns 0 at the end.
    ///
    /// # Errors
    /// The system's error.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use tokio::io::AsyncReadExt as _;
        match self {
            Stream::Unix(stream) => stream.read(buffer).await,
            Stream::Tcp(stream) => stream.read(buffer).await,
        }
    }

    /// Writes all bytes, in one system call if the socket takes them.
    ///
    /// # Errors
    /// The system's error.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        use tokio::io::AsyncWriteExt as _;
        match self {
            Stream::Unix(stream) => stream.write_all(bytes).await,
            Stream::Tcp(stream) => stream.write_all(bytes).await,
        }
    }

    /// Tells the peer that no more bytes follow; reading is still possible.
    ///
    /// # Errors
    /// The system's error.
    pub async fn end_writing(&mut self) -> io::Result<()> {
        use tokio::io::AsyncWriteExt as _;
        match self {
            Stream::Unix(stream) => stream.shutdown().await,
            Stream::Tcp(stream) => stream.shutdown().await,
        }
    }

    /// Writes as many bytes as the socket takes, and returns their number.
    ///
    /// # Errors
    /// The system's error.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use tokio::io::AsyncWriteExt as _;
        match self {
            Stream::Unix(stream) => stream.write(bytes).await,
            Stream::Tcp(stream) => stream.write(bytes).await,
        }
    }
}
