//! What one picture may cost, and the errors of this room.

use super::Channels;

/// What one source may cost.
#[derive(Clone, Copy, Debug)]
pub struct PictureLimits {
    /// Pixels of the source, at most.
    pub pixels: u64,
    /// Bytes that decoding may take, at most.
    pub decoded_bytes: u64,
    /// Bytes that decoding may take as long as the process's own limits are as narrow as they are now.
    pub memory: u64,
}

impl Default for PictureLimits {
    fn default() -> Self {
        PictureLimits { pixels: 1_000_000_000, decoded_bytes: 1 << 30, memory: u64::MAX }
    }
}

/// Why no derivative was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// No format that is known here.
    #[error("not a picture in a format that is known here")]
    UnknownFormat,
    /// Its dimensions or what decoding would take are beyond the limits.
    #[error("too large: {0}")]
    TooLarge(String),
    /// It may be made where this process may have more memory.
    #[error("decoding takes {0} bytes, and this process may have {1} more")]
    Memory(u64, u64),
    /// The file is broken or uses something the decoder does not know.
    #[error("cannot be decoded: {0}")]
    Broken(String),
    /// The machine is short of something: it may work later.
    #[error("not now: {0}")]
    Resources(String),
    /// The watermark's file cannot be used.
    #[error("the watermark cannot be used: {0}")]
    Watermark(String),
    /// The result cannot be written in this format.
    #[error("cannot be encoded: {0}")]
    Encode(String),
}

/// Refuses a picture that has no pixels, too many, or that would take too much memory: `bytes` is what its
/// decoding takes.
pub(super) fn check_limits(
    (width, height): (u32, u32),
    bytes: u64,
    limits: &PictureLimits,
) -> Result<(), PictureError> {
    if width == 0 || height == 0 {
        return Err(PictureError::Broken("it has no pixels".to_owned()));
    }
    if u64::from(width) * u64::from(height) > limits.pixels {
        let most = limits.pixels;
        return Err(PictureError::TooLarge(format!(
            "{width} x {height} pixels, where {most} in all are the limit"
        )));
    }
    if bytes > limits.decoded_bytes {
        let most = limits.decoded_bytes;
        return Err(PictureError::TooLarge(format!(
            "decoding takes {bytes} bytes, where {most} are the limit"
        )));
    }
    check_memory(bytes, limits)
}

/// Refuses a picture for which the process may not have enough memory. An allocation beyond the process's
/// limits would end it.
pub(super) fn check_memory(bytes: u64, limits: &PictureLimits) -> Result<(), PictureError> {
    if bytes > limits.memory {
        return Err(PictureError::Memory(bytes, limits.memory));
    }
    Ok(())
}

/// Bytes of a picture in memory.
pub(super) fn decoded_bytes((width, height): (u32, u32), channels: Channels) -> u64 {
    u64::from(width) * u64::from(height) * channels.count() as u64
}
