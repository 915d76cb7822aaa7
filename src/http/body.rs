//! Turns an open file into pieces of its bytes, read on threads that may block. It sends exactly the
//! announced number of bytes: a file that has become shorter is an error, and appended bytes are not sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::fastcgi::{HEADER_LEN, stdout_header};

/// The size in bytes of one piece with its record header. A slow visitor costs this much memory, however long
/// the file is.
const PIECE: usize = 64 * 1024;

/// The bytes that are still to be sent.
#[derive(Debug)]
pub struct Body {
    file: Arc<File>,
    next: u64,
    end: u64,
}

impl Body {
    /// Sends the bytes from `first` up to, but not including, `end`.
    pub fn new(file: Arc<File>, first: u64, end: u64) -> Self {
        Body { file, next: first, end }
    }

    /// The number of bytes that are still to be sent.
    pub fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }

    /// Reads the next piece into `piece` as one STDOUT record of the request `id`; at the end, leaves `piece`
    /// empty.
    ///
    /// # Errors
    /// An error of the system; `UnexpectedEof` if the file has become shorter.
    pub async fn next_record(&mut self, id: u16, piece: &mut Vec<u8>) -> io::Result<()> {
        let length = usize::try_from(self.remaining()).unwrap_or(usize::MAX).min(PIECE - HEADER_LEN);
        if length == 0 {
            piece.clear();
            return Ok(());
        }
        let mut buffer = std::mem::take(piece);
        let (file, at) = (self.file.clone(), self.next);
        let read = move || {
            buffer.resize(HEADER_LEN + length, 0);
            buffer[..HEADER_LEN].copy_from_slice(&stdout_header(id, length as u16));
            file.read_exact_at(&mut buffer[HEADER_LEN..], at).map(|()| buffer)
        };
        *piece = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        self.next += length as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(body: &mut Body) -> io::Result<Vec<u8>> {
        let (mut content, mut piece) = (Vec::new(), Vec::new());
        loop {
            body.next_record(7, &mut piece).await?;
            let Some((header, bytes)) = piece.split_first_chunk::<HEADER_LEN>() else { return Ok(content) };
            assert_eq!(*header, stdout_header(7, bytes.len() as u16));
            assert!(!bytes.is_empty() && piece.len() <= PIECE);
            content.extend_from_slice(bytes);
        }
    }

    #[tokio::test]
    async fn exactly_the_bytes_that_were_announced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let part = PIECE - HEADER_LEN;
        for (first, end) in [(0, 200_000), (5, 6), (5, 5 + part), (5, 6 + part), (199_999, 200_000), (7, 7)] {
            let mut body = Body::new(file.clone(), first as u64, end as u64);
            assert_eq!(all(&mut body).await.unwrap(), bytes[first..end], "{first} to {end}");
        }
        let mut body = Body::new(file, 0, 200_000);
        std::fs::File::options().write(true).open(&path).unwrap().set_len(100_000).unwrap();
        assert_eq!(all(&mut body).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
