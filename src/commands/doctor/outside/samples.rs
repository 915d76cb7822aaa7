//! Chooses pictures for the tries: some that a guest or an account must not have, some that they may have.
//! The gate's verdict decides which; only files on disk are chosen, so that their bytes can be recognised.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use percent_encoding::percent_decode_str;

use super::curl::Cookies;
use super::leak::Sample;
use crate::database::{self, DatabaseError, Inspection, Sort};
use crate::derivative::picture::format::Format;
use crate::derivative::plan;
use crate::gate::Gate;
use crate::gate::snapshot::Ready;
use crate::http::reply::encode_path;
use crate::http::request::Request;
use crate::piwigo::gallery::Gallery;
use crate::piwigo::records::{Folder, Image};
use crate::piwigo::sizes::definition::DerivativeParams;
use crate::piwigo::sizes::geometry;
use crate::piwigo::visitor::Identity;
use crate::settings::Derivatives;
use crate::verdict::access::Verdict;

/// Bytes at a file's start by which it is recognised.
const START: u64 = 64 * 1024;

/// A picture that the visitor must not have.
pub(super) struct Closed {
    pub(super) image: u32,
    pub(super) original: Sample,
    /// A resized picture that lies on disk.
    pub(super) derivative: Option<Sample>,
    /// The URL path of a resized picture that does not exist.
    pub(super) missing: Option<String>,
}

/// A picture that an account may have and a guest must not; at least one of the two files is there.
pub(super) struct Granted {
    pub(super) original: Option<Sample>,
    /// A resized picture that lies on disk.
    pub(super) derivative: Option<Sample>,
}

/// A picture that a guest may have.
pub(super) struct Open {
    pub(super) file: Sample,
    /// The URL path of a resized picture of it, and the sample if it lies on disk.
    pub(super) resized: Option<(String, Option<Sample>)>,
}

/// Chooses by the gate's verdict on an account; `None`: on a guest.
pub(super) struct Chooser<'a> {
    pub(super) root: &'a Path,
    pub(super) gate: &'a Gate,
    pub(super) ready: &'a Ready,
    pub(super) inspection: &'a Inspection,
}

impl Chooser<'_> {
    /// Rows to choose from. Paths with a percent sign come last: whether the server sends those is a
    /// question of its own ([`Chooser::with_percent`]).
    async fn candidates(&self, sort: Sort, directory: &str) -> Result<Vec<database::Sample>, DatabaseError> {
        let mut candidates = self.inspection.samples(sort, directory).await?;
        candidates.sort_by_key(|candidate| candidate.image.path.contains('%'));
        Ok(candidates)
    }

    /// A picture below `directory` (`upload/`) that `account` must not have in any size: the first that has
    /// a resized picture on disk, or else the first.
    pub(super) async fn closed(
        &self,
        directory: &str,
        account: Option<u32>,
    ) -> Result<Option<Closed>, DatabaseError> {
        let mut second_best = None;
        'candidates: for candidate in self.candidates(Sort::Closed, directory).await? {
            let image = candidate.image;
            let Some(original) = self.judged(&image.path, account, false).await? else { continue };
            let (derivative, missing) = self.derivatives(&image);
            // A visitor without the right to originals may still have the resized pictures.
            for uri in derivative.iter().map(|sample| &sample.uri).chain(&missing) {
                if self.is_open(uri, account).await? == Some(true) {
                    continue 'candidates;
                }
            }
            let closed = Closed { image: image.id, original, derivative, missing };
            if closed.derivative.is_some() {
                return Ok(Some(closed));
            }
            second_best.get_or_insert(closed);
        }
        Ok(second_best)
    }

    /// A picture that `account` may have and a guest must not: the first that has original and resized
    /// picture, or else the first.
    pub(super) async fn granted(&self, account: u32) -> Result<Option<Granted>, DatabaseError> {
        let mut second_best = None;
        for sort in [Sort::ClosedButGranted(account), Sort::Closed] {
            for candidate in self.candidates(sort, "").await? {
                let original = self.judged(&candidate.image.path, Some(account), true).await?;
                let original = self.private(original).await?;
                let derivative = self.derivatives(&candidate.image).0;
                let mut derivative = self.private(derivative).await?;
                if let Some(sample) = &derivative
                    && self.is_open(&sample.uri, Some(account)).await? != Some(true)
                {
                    derivative = None;
                }
                let count = usize::from(original.is_some()) + usize::from(derivative.is_some());
                let granted = Granted { original, derivative };
                match count {
                    0 => {}
                    1 => drop(second_best.get_or_insert(granted)),
                    _ => return Ok(Some(granted)),
                }
            }
        }
        Ok(second_best)
    }

    /// The account that the gate finds for these cookies and this address; `None`: a guest.
    pub(super) async fn account(
        &self,
        cookies: &Cookies,
        address: &str,
    ) -> Result<Option<u32>, DatabaseError> {
        let uri = format!("{}/upload/a.jpg", self.gate.settings().url_prefix);
        let cookies = cookies.value().as_bytes().into();
        let request = Request { cookies, ..Request::new(uri.as_bytes(), address) };
        let judgement = self.gate.consider(&request, None).await?.judgement;
        Ok(judgement
            .map(|judgement| judgement.visitor)
            .and_then(|visitor| (visitor.identity != Identity::Guest).then_some(visitor.id)))
    }

    /// The sample, if a guest must not have it.
    async fn private(&self, sample: Option<Sample>) -> Result<Option<Sample>, DatabaseError> {
        let Some(sample) = sample else { return Ok(None) };
        Ok((self.is_open(&sample.uri, None).await? == Some(false)).then_some(sample))
    }

    /// A representative that a guest must not have, with the id of its row.
    pub(super) async fn representative(&self) -> Result<Option<(u32, Sample)>, DatabaseError> {
        for candidate in self.candidates(Sort::ClosedWithRepresentative, "").await? {
            let image = candidate.image;
            let Some(extension) = &image.representative_ext else { continue };
            if let Some(path) = image.belonging(Folder::Representative, extension)
                && let Some(sample) = self.judged(&path, None, false).await?
            {
                return Ok(Some((image.id, sample)));
            }
        }
        Ok(None)
    }

    /// Another format of a photo that a guest must not have.
    pub(super) async fn format(&self) -> Result<Option<Sample>, DatabaseError> {
        if !self.ready.gallery.formats {
            return Ok(None);
        }
        for candidate in self.candidates(Sort::ClosedWithFormat, "").await? {
            let Some(extension) = &candidate.format else { continue };
            if let Some(path) = candidate.image.belonging(Folder::Format, extension)
                && let Some(sample) = self.judged(&path, None, false).await?
            {
                return Ok(Some(sample));
            }
        }
        Ok(None)
    }

    /// A file that a guest may have.
    pub(super) async fn open(&self) -> Result<Option<Open>, DatabaseError> {
        for candidate in self.candidates(Sort::Open, "").await? {
            let (derivative, missing) = self.derivatives(&candidate.image);
            let mut resized = None;
            if let Some(uri) = derivative.as_ref().map(|sample| sample.uri.clone()).or(missing)
                && self.is_open(&uri, None).await? == Some(true)
            {
                resized = Some((uri, derivative));
            }
            // The original may need a right that guests do not have.
            let original = self.judged(&candidate.image.path, None, true).await?;
            let file = original.or_else(|| resized.as_ref().and_then(|(_, sample)| sample.clone()));
            if let Some(file) = file {
                return Ok(Some(Open { file, resized }));
            }
        }
        Ok(None)
    }

    /// URL paths of up to `most` missing resized pictures that a guest may see and that the gate leaves to
    /// Piwigo: every one, depending on the settings, or those of a picture that the gate cannot read.
    pub(super) async fn left_to_piwigo(&self, most: usize) -> Result<Vec<String>, DatabaseError> {
        let mut found = Vec::new();
        let makes = match self.gate.settings().derivatives {
            Derivatives::Existing => return Ok(found),
            Derivatives::Piwigo => false,
            Derivatives::Generate => true,
        };
        let watermark = &self.ready.gallery.derivatives.watermark;
        for candidate in self.candidates(Sort::Open, "").await? {
            let image = candidate.image;
            let Some(source) = image.clone().source_picture(&self.ready.gallery) else { continue };
            let Some(file) = on_disk(self.root, &source.file) else { continue };
            if makes && plan::can_make(&source.file) && Format::of(&file.start).is_some() {
                continue;
            }
            // The picture itself is sent instead of such a size.
            let is_source = |params: &DerivativeParams| {
                geometry::same_as_source(params, watermark, image.width, image.height, image.rotation)
            };
            if found.len() < most
                && let Some(uri) = self.missing(&source.file, |params| !is_source(params))
                && self.is_open(&uri, None).await? == Some(true)
            {
                found.push(uri);
            }
        }
        Ok(found)
    }

    /// The URL path of a wanted size of `source` that does not lie on disk.
    fn missing(&self, source: &str, is_wanted: impl Fn(&DerivativeParams) -> bool) -> Option<String> {
        let gallery: &Gallery = &self.ready.gallery;
        let wanted = gallery.derivatives.enabled.iter().filter(|params| is_wanted(params));
        let mut paths = wanted.filter_map(|params| gallery.layout.derivative(source, params.kind));
        let path = paths.find(|path| on_disk(self.root, path).is_none())?;
        Some(format!("/{}", encode_path(&path)))
    }

    /// Up to `most` files with a percent sign in their paths that `account` may have: originals, or else
    /// resized pictures. Files whose decoded path is another file come first.
    pub(super) async fn with_percent(
        &self,
        account: Option<u32>,
        most: usize,
    ) -> Result<Vec<Sample>, DatabaseError> {
        let mut found = Vec::new();
        let mut candidates = self.inspection.samples(Sort::WithPercent, "").await?;
        candidates.sort_by_cached_key(|candidate| dullness(self.root, &candidate.image.path));
        for candidate in candidates {
            if found.len() == most {
                break;
            }
            let mut sample = self.judged(&candidate.image.path, account, true).await?;
            if sample.is_none()
                && let Some(derivative) = self.derivatives(&candidate.image).0
                && self.is_open(&derivative.uri, account).await? == Some(true)
            {
                sample = Some(derivative);
            }
            // A picture that is in two albums has two rows.
            found.extend(sample.filter(|sample| found.iter().all(|known: &Sample| known.uri != sample.uri)));
        }
        Ok(found)
    }

    /// The file, if it lies on disk and the verdict on `account` is `open`.
    async fn judged(
        &self,
        path: &str,
        account: Option<u32>,
        open: bool,
    ) -> Result<Option<Sample>, DatabaseError> {
        let Some(sample) = on_disk(self.root, path) else { return Ok(None) };
        Ok((self.is_open(&sample.uri, account).await? == Some(open)).then_some(sample))
    }

    /// Whether `account` may have the file at this path of the gallery; `None`: the path names nothing.
    async fn is_open(&self, uri: &str, account: Option<u32>) -> Result<Option<bool>, DatabaseError> {
        let uri = format!("{}{uri}", self.gate.settings().url_prefix);
        let considered = self.gate.consider(&Request::new(uri.as_bytes(), "127.0.0.1"), account).await?;
        Ok(considered.judgement.map(|judgement| matches!(judgement.verdict, Verdict::Allow { .. })))
    }

    /// A resized picture that lies on disk, and the URL path of one that does not.
    fn derivatives(&self, image: &Image) -> (Option<Sample>, Option<String>) {
        let gallery: &Gallery = &self.ready.gallery;
        let (mut found, mut missing) = (None, None);
        let Some(source) = image.clone().source_picture(gallery) else { return (None, None) };
        for params in &gallery.derivatives.enabled {
            let Some(path) = gallery.layout.derivative(&source.file, params.kind) else { continue };
            match on_disk(self.root, &path) {
                Some(sample) => found = found.or(Some(sample)),
                None => missing = missing.or(Some(format!("/{}", encode_path(&path)))),
            }
        }
        (found, missing)
    }
}

/// Sort key: how little a path tells about a server that decodes it once more. With 0 such a server sends
/// another file, with 1 none.
fn dullness(root: &Path, path: &str) -> u8 {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    if decoded == path { 2 } else { u8::from(on_disk(root, &decoded).is_none()) }
}

/// A file below the gallery as a sample; `None`: it cannot be read or is empty.
pub(super) fn on_disk(root: &Path, path: &str) -> Option<Sample> {
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    let file = File::open(root.join(path)).ok()?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut start = Vec::new();
    file.take(START).read_to_end(&mut start).ok()?;
    (!start.is_empty()).then(|| Sample {
        uri: format!("/{}", encode_path(path)),
        start,
        length: metadata.len(),
    })
}
