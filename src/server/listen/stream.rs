//! A connection from the web server, over either kind of socket.

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
    /// Reads what is there, or waits for it; 0 at the end.
    ///
    /// # Errors
    /// What the system says.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use tokio::io::AsyncReadExt as _;
        match self {
            Stream::Unix(stream) => stream.read(buffer).await,
            Stream::Tcp(stream) => stream.read(buffer).await,
        }
    }

    /// Writes all of it, in one system call if the socket takes it.
    ///
    /// # Errors
    /// What the system says.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        use tokio::io::AsyncWriteExt as _;
        match self {
            Stream::Unix(stream) => stream.write_all(bytes).await,
            Stream::Tcp(stream) => stream.write_all(bytes).await,
        }
    }

    /// Tells the peer that nothing more will be written; reading goes on.
    ///
    /// # Errors
    /// What the system says.
    pub async fn end_writing(&mut self) -> io::Result<()> {
        use tokio::io::AsyncWriteExt as _;
        match self {
            Stream::Unix(stream) => stream.shutdown().await,
            Stream::Tcp(stream) => stream.shutdown().await,
        }
    }

    /// Writes as much as the socket takes, and says how much that was.
    ///
    /// # Errors
    /// What the system says.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use tokio::io::AsyncWriteExt as _;
        match self {
            Stream::Unix(stream) => stream.write(bytes).await,
            Stream::Tcp(stream) => stream.write(bytes).await,
        }
    }
}
