//! Pictures to try the doors with: some that a guest or an account must not have, some that they may have.
//! Which is which, the gate's own verdict says; a file counts only if it lies on disk, so that its bytes can
//! be recognised.

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
use crate::piwigo::sizes::{geometry, name};
use crate::piwigo::visitor::Identity;
use crate::settings::Derivatives;
use crate::verdict::access::Verdict;

/// Bytes by which a file is recognised.
const START: u64 = 64 * 1024;

/// What somebody must not have.
pub(super) struct Closed {
    pub(super) image: u32,
    pub(super) original: Sample,
    /// A resized picture that lies on disk.
    pub(super) derivative: Option<Sample>,
    /// The URL's path of one that does not.
    pub(super) missing: Option<String>,
}

/// What an account may have and a guest must not; not both are missing.
pub(super) struct Granted {
    pub(super) original: Option<Sample>,
    /// A resized picture that lies on disk.
    pub(super) derivative: Option<Sample>,
}

/// What a guest may have.
pub(super) struct Open {
    pub(super) file: Sample,
    /// The URL's path of a resized picture of it, and that one as a sample, if it lies on disk.
    pub(super) resized: Option<(String, Option<Sample>)>,
}

/// Chooses, by the gate's verdict on a guest, or on an account (`None`: a guest).
pub(super) struct Chooser<'a> {
    pub(super) root: &'a Path,
    pub(super) gate: &'a Gate,
    pub(super) ready: &'a Ready,
    pub(super) inspection: &'a Inspection,
}

impl Chooser<'_> {
    /// Rows to choose from. A path with a percent sign comes late: whether those are sent is another question
    /// ([`Chooser::with_percent`]).
    async fn candidates(&self, sort: Sort, directory: &str) -> Result<Vec<database::Sample>, DatabaseError> {
        let mut candidates = self.inspection.samples(sort, directory).await?;
        candidates.sort_by_key(|candidate| candidate.image.path.contains('%'));
        Ok(candidates)
    }

    /// A picture below `directory` (`upload/`) that `account` must not have in any size; the first with a
    /// resized picture on disk, or else the first.
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
            // Without the right to originals, the picture itself may be open.
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

    /// A picture that `account` may have and a guest must not; the first with original and resized picture,
    /// or else the first.
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

    /// Whom the gate would take the sender of these cookies for, if it were told this address; `None`: a
    /// guest.
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

    /// A representative that a guest must not have, with the number of its row.
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
            // The original may need a right that guests have not.
            let original = self.judged(&candidate.image.path, None, true).await?;
            let file = original.or_else(|| resized.as_ref().and_then(|(_, sample)| sample.clone()));
            if let Some(file) = file {
                return Ok(Some(Open { file, resized }));
            }
        }
        Ok(None)
    }

    /// The URL's paths of up to `most` resized pictures that do not exist, that a guest may see and that the
    /// gate leaves to Piwigo: all, by its settings, or those of a picture that it cannot read.
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
            // In the place of such a size the picture itself is sent.
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

    /// The URL's path of a wanted size of `source` that does not lie on disk.
    fn missing(&self, source: &str, is_wanted: impl Fn(&DerivativeParams) -> bool) -> Option<String> {
        let gallery: &Gallery = &self.ready.gallery;
        let wanted = gallery.derivatives.enabled.iter().filter(|params| is_wanted(params));
        let mut paths = wanted.filter_map(|params| {
            let path = String::from_utf8(name::derivative_path(source.as_bytes(), params.kind)?).ok()?;
            Some(format!("{}{path}", gallery.layout.derivative_dir))
        });
        let path = paths.find(|path| on_disk(self.root, path).is_none())?;
        Some(format!("/{}", encode_path(&path)))
    }

    /// Up to `most` files with a percent sign in their paths that `account` may have: originals, or else
    /// resized pictures. First those whose decoded path is another file's.
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
            // A picture of two albums comes twice.
            found.extend(sample.filter(|sample| found.iter().all(|known: &Sample| known.uri != sample.uri)));
        }
        Ok(found)
    }

    /// The file, if it lies on disk and the verdict on `account` is this one.
    async fn judged(
        &self,
        path: &str,
        account: Option<u32>,
        open: bool,
    ) -> Result<Option<Sample>, DatabaseError> {
        let Some(sample) = on_disk(self.root, path) else { return Ok(None) };
        Ok((self.is_open(&sample.uri, account).await? == Some(open)).then_some(sample))
    }

    /// Whether `account` may have what is at this path of the gallery; `None`: it names nothing.
    async fn is_open(&self, uri: &str, account: Option<u32>) -> Result<Option<bool>, DatabaseError> {
        let uri = format!("{}{uri}", self.gate.settings().url_prefix);
        let considered = self.gate.consider(&Request::new(uri.as_bytes(), "127.0.0.1"), account).await?;
        Ok(considered.judgement.map(|judgement| matches!(judgement.verdict, Verdict::Allow { .. })))
    }

    /// A resized picture that lies on disk, and the URL's path of one that does not.
    fn derivatives(&self, image: &Image) -> (Option<Sample>, Option<String>) {
        let gallery: &Gallery = &self.ready.gallery;
        let (mut found, mut missing) = (None, None);
        let Some(source) = image.clone().source_picture(gallery) else { return (None, None) };
        for params in &gallery.derivatives.enabled {
            let path = name::derivative_path(source.file.as_bytes(), params.kind);
            let Some(path) = path.and_then(|path| String::from_utf8(path).ok()) else { continue };
            let path = format!("{}{path}", gallery.layout.derivative_dir);
            match on_disk(self.root, &path) {
                Some(sample) => found = found.or(Some(sample)),
                None => missing = missing.or(Some(format!("/{}", encode_path(&path)))),
            }
        }
        (found, missing)
    }
}

/// How little a path tells about a server that decodes it once more: with 0 the server would send another
/// file, with 1 none.
fn dullness(root: &Path, path: &str) -> u8 {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    if decoded == path { 2 } else { u8::from(on_disk(root, &decoded).is_none()) }
}

/// A file below the gallery as a sample; `None` if there is none that can be read and recognised.
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
