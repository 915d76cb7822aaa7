//! An order for one derivative, and the reasons why one cannot be made.

use std::sync::Arc;
use std::time::SystemTime;

use super::plan::Picture;
use super::store::StoreError;
use crate::files::{Tree, Unsendable};
use crate::piwigo::gallery::Gallery;
use crate::piwigo::sizes::definition::DerivativeParams;
use crate::piwigo::sizes::name;

/// An order for one derivative.
#[derive(Clone, Debug)]
pub struct Order {
    /// The gallery's files.
    pub tree: Arc<Tree>,
    /// Its settings, at most a second old.
    pub gallery: Arc<Gallery>,
    /// What it is made from.
    pub picture: Picture,
    /// Which size, as the settings have it.
    pub params: DerivativeParams,
    /// Keep the frames of an animated GIF; else its first is taken, as Piwigo does.
    pub keep_animation: bool,
    /// Refuse an animated WebP, which Piwigo can keep moving; else its first frame is taken.
    pub refuse_animated_webp: bool,
    /// How fine JPEG and WebP files are written.
    pub quality: DerivativeQuality,
    /// When this was ordered: settings and row were read a moment before.
    pub ordered: SystemTime,
}

impl Order {
    /// Its path below the derivatives' directory.
    pub(super) fn derivative(&self) -> Option<String> {
        name::derivative_name(&self.picture.file, self.params.kind)
    }
}

/// Why there is no derivative.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakeError {
    /// The source is missing, or reached through a link that is not followed.
    #[error("the source is missing: {0}")]
    NoSource(String),
    /// The gate's decoders cannot read the source, or it is beyond the gate's fixed limits. Piwigo may be
    /// able to use it.
    #[error("the source cannot be used: {0}")]
    Source(String),
    /// Making it needs more memory than this process may have. Piwigo may have more.
    #[error("there is not enough memory: {0}")]
    Memory(String),
    /// The settings name a watermark that cannot be used, or ask for what the format does not have.
    #[error("it cannot be made: {0}")]
    Settings(String),
    /// Where it belongs is no directory of the gallery's own, or its name is too long for a file.
    #[error("it cannot be kept: {0}")]
    Place(String),
    /// This user may not write there.
    #[error("this user may not write derivatives: {0}")]
    Denied(String),
    /// The disk is full, or fails.
    #[error("it cannot be written: {0}")]
    Disk(String),
    /// Too many are being made, this one took too long, or the machine is short of something now.
    #[error("too many derivatives are being made")]
    Busy,
}

impl From<Unsendable> for MakeError {
    fn from(error: Unsendable) -> Self {
        MakeError::NoSource(error.to_string())
    }
}

impl From<StoreError> for MakeError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Denied { .. } => MakeError::Denied(text),
            StoreError::Link(_) | StoreError::Name => MakeError::Place(text),
            StoreError::Disk { .. } => MakeError::Disk(text),
        }
    }
}

/// The `derivative_quality` setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DerivativeQuality {
    /// As fine as the picture itself and no finer than Piwigo's setting; a WebP 75 at most.
    Source,
    /// By Piwigo's setting.
    Configured,
}
