//! The bytes of one derivative: from a larger one if there is one of use, else from the source itself, with
//! the watermark where the size carries it. Blocks, for as long as reading and decoding take.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use super::order::{DerivativeQuality, MakeError, Order};
use super::picture::limits::{PictureError, PictureLimits};
use super::plan::{self, Step};
use super::render::{self, RenderOptions};
use super::store::{self, Place, Stamp};
use crate::files::Tree;
use crate::piwigo::sizes::name;

/// Largest watermark file, in bytes.
const MAX_MARK: u64 = 16 << 20;

/// Pixels of an animation's canvas, at most; its frames together may have twice so many, which takes a second
/// or two.
const MAX_MOVING_PIXELS: u64 = 25_000_000;

/// What one making may take.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) source_bytes: u64,
    pub(super) decoded_bytes: u64,
    /// What the process's own limits leave for it.
    pub(super) memory: u64,
}

impl Share {
    /// Reduces this share to one of `parts` shares of the `room` bytes that are free in the process. A
    /// quarter of the room stays free. Of each share the file takes a quarter at most and decoding a half at
    /// most; the rest is for the steps that follow.
    pub(super) fn within(self, room: u64, parts: u32) -> Self {
        let part = (room - room / 4) / u64::from(parts.max(1));
        Share {
            source_bytes: self.source_bytes.min(part / 4),
            decoded_bytes: self.decoded_bytes,
            memory: self.memory.min(part / 2),
        }
    }
}

/// Why one attempt came to nothing.
pub(super) enum Attempt {
    /// It needs more than its share.
    TooLarge(String),
    /// It needs more memory than the process may have now.
    Memory(String),
    Failed(MakeError),
}

impl From<MakeError> for Attempt {
    fn from(why: MakeError) -> Self {
        Attempt::Failed(why)
    }
}

/// Makes the derivative's bytes in the first way that works; the second part names what it was made from.
pub(super) fn from_any(
    share: Share,
    commission: &Order,
    place: &Place,
    source: Stamp,
) -> Result<(Vec<u8>, String), Attempt> {
    let Order { tree, gallery, picture, params, .. } = commission;
    let steps = plan::steps(params, &gallery.derivatives, picture);
    for step in &steps {
        let Some((kind, since)) = step.from else { continue };
        let Some(bytes) = larger(commission, place, kind, since, source, share) else { continue };
        if let Ok(made) = rendered(share, commission, step, &bytes, None) {
            return Ok((made, kind.token()));
        }
        // Piwigo's own files are there before they are whole.
        tracing::debug!(size = kind.token(), file = picture.file, "a larger derivative is of no use");
    }
    let Some(last) = steps.last() else { return Err(MakeError::Busy.into()) };
    let mark = match mark_file(commission).filter(|_| last.watermark) {
        Some(file) => Some(mark(tree, &file)?),
        None => None,
    };
    let bytes = match store::read(tree, &picture.file, share.source_bytes) {
        Ok(Some(bytes)) => bytes,
        Ok(None) if share.memory < source.length.saturating_mul(2) => {
            return Err(Attempt::Memory(format!("a file of {} bytes", source.length)));
        }
        Ok(None) => return Err(Attempt::TooLarge(format!("more than {} bytes", share.source_bytes))),
        Err(error) => return Err(MakeError::from(error).into()),
    };
    let made = rendered(share, commission, last, &bytes, mark.as_deref())?;
    Ok((made, "source".to_owned()))
}

/// A larger derivative of the same picture, if it is fresh.
fn larger(
    commission: &Order,
    place: &Place,
    kind: name::Kind,
    since: i64,
    source: Stamp,
    share: Share,
) -> Option<Vec<u8>> {
    let path = name::derivative_name(&commission.picture.file, kind)?;
    let name = path.rsplit_once('/').map_or(&*path, |(_, name)| name);
    let (bytes, modified) = place.neighbour(name, share.source_bytes)?;
    let needed = whole_seconds(source.modified).max(at(since));
    (Some(modified) >= needed).then_some(bytes)
}

fn mark(tree: &Tree, file: &str) -> Result<Vec<u8>, MakeError> {
    let unusable = |why: String| MakeError::Settings(format!("the watermark {file} cannot be used: {why}"));
    let plain = |segment: &str| !segment.is_empty() && !segment.starts_with('.');
    if !file.split('/').all(plain) {
        return Err(unusable("it is not below the gallery's root".into()));
    }
    match store::read(tree, file, MAX_MARK) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(unusable(format!("it has more than {MAX_MARK} bytes"))),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// One rendering; what a decoder does to itself stays in here.
fn rendered(
    share: Share,
    commission: &Order,
    step: &Step,
    source: &[u8],
    mark: Option<&[u8]>,
) -> Result<Vec<u8>, Attempt> {
    let Order { gallery, picture, params, keep_animation, quality, .. } = commission;
    let config = &gallery.derivatives;
    let extension = plan::extension(&picture.file).unwrap_or_default();
    let moves = *keep_animation && extension == "gif";
    let pixels = if moves { MAX_MOVING_PIXELS } else { PictureLimits::default().pixels };
    let order = RenderOptions {
        params,
        quality: match quality {
            DerivativeQuality::Source => config.quality,
            DerivativeQuality::Configured => plan::quality(params.kind, config.quality),
        },
        quality_of_source: *quality == DerivativeQuality::Source,
        sharpen: step.sharpen,
        coi: picture.coi,
        rotation: step.rotation,
        watermark: mark.map(|bytes| (&config.watermark, bytes)),
        strip_below: gallery.strip_metadata_below,
        extension: &extension,
        keep_animation: *keep_animation,
        refuse_animated_webp: commission.refuse_animated_webp,
        limits: PictureLimits { pixels, decoded_bytes: share.decoded_bytes, memory: share.memory },
    };
    let made = catch_unwind(AssertUnwindSafe(|| render::render(source, &order)));
    match made {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(PictureError::TooLarge(why))) => Err(Attempt::TooLarge(why)),
        Ok(Err(error @ PictureError::Memory(..))) => Err(Attempt::Memory(error.to_string())),
        Ok(Err(PictureError::Resources(_))) => Err(MakeError::Busy.into()),
        Ok(Err(error @ (PictureError::Watermark(_) | PictureError::Encode(_)))) => {
            Err(MakeError::Settings(error.to_string()).into())
        }
        Ok(Err(error @ (PictureError::UnknownFormat | PictureError::Broken(_)))) => {
            Err(MakeError::Source(error.to_string()).into())
        }
        Err(_) => Err(MakeError::Source("the decoder failed".into()).into()),
    }
}

/// The whole second in which this was: what Piwigo compares.
pub(super) fn whole_seconds(time: SystemTime) -> Option<SystemTime> {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since.as_secs())),
        Err(before) => SystemTime::UNIX_EPOCH.checked_sub(before.duration()),
    }
}

/// A time of Piwigo's, in seconds since 1970.
pub(super) fn at(seconds: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// Where the watermark's file is, if this size is meant to carry it: relative to the root, as Piwigo stores
/// it.
pub(super) fn mark_file(commission: &Order) -> Option<String> {
    let watermark = &commission.gallery.derivatives.watermark;
    watermark.is_used_by(&commission.params).then(|| {
        let file = String::from_utf8_lossy(&watermark.file).into_owned();
        file.strip_prefix("./").map(str::to_owned).unwrap_or(file)
    })
}
