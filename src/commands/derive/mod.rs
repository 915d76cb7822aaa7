//! Makes all missing and stale derivatives of a gallery or an album in advance: `piwigo-gate derive`. It
//! reads the table of images page by page and uses the same [`Maker`] as a request. It skips fresh
//! derivatives, so an interrupted run can be started again.

mod meter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

pub use meter::Meter;

use crate::database::{DatabaseError, PictureRow, Which};
use crate::derivative::maker::Maker;
use crate::derivative::order::{MakeError, Order};
use crate::derivative::plan::{self, Picture};
use crate::derivative::stored::{self, Stored};
use crate::gate::snapshot::{Readiness, Ready};
use crate::piwigo::records::Ownership;
use crate::piwigo::sizes::name::Kind;
use crate::settings::{Settings, SettingsError};
use crate::verdict::access;

/// Longest time for one derivative. No visitor waits, so the largest picture may take long.
const PATIENCE: Duration = Duration::from_hours(1);

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of which pictures.
    pub which: Which,
    /// Which sizes, by token (`th`) or name (`thumb`); empty: every enabled one.
    pub types: Vec<String>,
    /// How many at the same time.
    pub jobs: usize,
    /// Only count.
    pub dry_run: bool,
}

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// The set-up cannot work.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The database did not answer.
    #[error("the database did not answer: {0}")]
    Database(#[from] DatabaseError),
    /// There is no such album.
    #[error("there is no album {0}: the number is in its address, index.php?/category/NUMBER")]
    NoAlbum(u32),
    /// There is no such size.
    #[error("the gallery has no size {0}: it has {1}")]
    NoType(String, String),
}

/// The results of a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Images in all.
    pub total: u64,
    /// Images that were looked at.
    pub images: u64,
    /// Derivatives that were made, or with `dry_run` would be made.
    pub made: u64,
    /// Derivatives that exist, or are not needed because pages show the picture itself.
    pub fresh: u64,
    /// Images of which the gate makes no derivative: they have no picture, or a format that is left to
    /// Piwigo.
    pub others: u64,
    /// Images whose file the gate cannot decode, or not with the memory that it may have: Piwigo's `i.php` is
    /// asked for their sizes.
    pub left: u64,
    /// Images with a derivative that could not be made, by reason.
    pub failed: BTreeMap<&'static str, u64>,
    /// Why the run stopped early.
    pub stopped: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All wanted derivatives exist.
    Complete,
    /// All wanted derivatives exist, except for images that the gate cannot decode.
    LeftToPiwigo,
    /// Something failed, or the run ended early.
    Incomplete,
}

impl Summary {
    /// How the run ended.
    pub fn outcome(&self) -> Outcome {
        if !self.failed.is_empty() || self.stopped.is_some() {
            Outcome::Incomplete
        } else if self.left > 0 {
            Outcome::LeftToPiwigo
        } else {
            Outcome::Complete
        }
    }

    /// The same in one line.
    pub fn told(&self, dry_run: bool) -> String {
        let Summary { total, images, made, fresh, others, left, failed, stopped } = self;
        let verb = if dry_run { "to make" } else { "made" };
        let count: u64 = failed.values().sum();
        let reasons: Vec<_> = failed.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let failures = (count > 0).then(|| format!("; {count} images failed ({})", reasons.join(", ")));
        let left = (*left > 0).then(|| format!(", {left} images left to Piwigo"));
        let early = stopped.as_ref().map(|why| format!("; ended early: {why}"));
        format!(
            "{images} of {total} images: {made} resized pictures {verb}, {fresh} there, {others} images without{}{}{}",
            left.unwrap_or_default(),
            failures.unwrap_or_default(),
            early.unwrap_or_default()
        )
    }
}

/// A step of a run, for `progress`.
pub enum Progress<'a> {
    /// One more image is done.
    Image(&'a Summary),
    /// Something could not be made of this file.
    Failed(&'a str, &'a MakeError),
    /// The gate cannot decode this file, and Piwigo is asked for its sizes.
    Left(&'a str, &'a MakeError),
}

/// Makes the missing derivatives. Ends early, without unfinished files, when `stop` becomes true.
///
/// # Errors
/// When nothing can be made at all.
pub async fn run(
    settings: Settings,
    wanted: &Wanted,
    mut stop: watch::Receiver<bool>,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Summary, DeriveError> {
    let settings = Arc::new(settings);
    let readiness = Readiness::open(settings.clone()).await?;
    let ready = readiness.ready().await?;
    let kinds = kinds(&wanted.types, &ready)?;
    if let Which::Album(id) | Which::AlbumAndBelow(id) = wanted.which
        && !ready.database.has_album(id).await?
    {
        return Err(DeriveError::NoAlbum(id));
    }
    let maker = Maker::new(wanted.jobs, wanted.jobs, PATIENCE);
    let mut summary =
        Summary { total: ready.database.count_pictures(wanted.which).await?, ..Summary::default() };
    let (mut rows, mut all_read) = (Rows::default(), false);
    let mut running = FuturesUnordered::new();
    loop {
        while !all_read && summary.stopped.is_none() && running.len() < wanted.jobs {
            match next(&readiness, wanted.which, &mut rows).await {
                Ok(Some((row, ready))) => {
                    let one = OneImage { settings: &settings, ready, maker: &maker, kinds: &kinds };
                    running.push(one.make(row, wanted.dry_run));
                }
                Ok(None) => all_read = true,
                Err(error) => summary.stopped = Some(DeriveError::from(error).to_string()),
            }
        }
        if running.is_empty() {
            break;
        }
        let done = tokio::select! {
            Some(done) = running.next() => done,
            // Derivatives that are being made are finished, so that nothing unfinished is left.
            Ok(_) = stop.wait_for(|stop| *stop), if summary.stopped.is_none() => {
                summary.stopped = Some("interrupted".into());
                continue;
            }
            else => break,
        };
        summary.images += 1;
        summary.made += done.made;
        summary.fresh += done.fresh;
        summary.others += u64::from(done.other);
        match done.failed {
            Some(why @ (MakeError::Source(_) | MakeError::Memory(_))) => {
                summary.left += 1;
                progress(Progress::Left(&done.file, &why));
            }
            Some(why) => {
                *summary.failed.entry(class(&why)).or_default() += 1;
                progress(Progress::Failed(&done.file, &why));
                // All other derivatives would fail in the same way.
                if matches!(why, MakeError::Disk(_) | MakeError::Denied(_)) {
                    summary.stopped.get_or_insert_with(|| why.to_string());
                }
            }
            None => {}
        }
        progress(Progress::Image(&summary));
    }
    Ok(summary)
}

/// Rows that were read and not yet examined, and the last one that was.
#[derive(Default)]
struct Rows {
    rows: VecDeque<PictureRow>,
    after: u32,
}

/// The next row, with the settings as they are now: a run may take hours.
async fn next(
    readiness: &Readiness,
    which: Which,
    rows: &mut Rows,
) -> Result<Option<(PictureRow, Arc<Ready>)>, DatabaseError> {
    let ready = readiness.ready().await?;
    if rows.rows.is_empty() {
        rows.rows = ready.database.pictures_after(which, rows.after).await?.into();
    }
    let Some(row) = rows.rows.pop_front() else { return Ok(None) };
    rows.after = row.image.id;
    Ok(Some((row, ready)))
}

/// The wanted sizes, the largest first, because a smaller one is made from it.
fn kinds(types: &[String], ready: &Ready) -> Result<Vec<Kind>, DeriveError> {
    let config = &ready.gallery.derivatives;
    let mut kinds = Vec::new();
    for word in types {
        let kind = Kind::from_token(word.as_bytes()).or_else(|| Kind::from_type_name(word));
        let Some(kind) = kind.filter(|&kind| config.params(kind).is_some()) else {
            let all = config.enabled.iter().map(|params| params.kind.token());
            let customs = config.customs.iter().map(|&size| Kind::Custom(size).token());
            let all: Vec<String> = all.chain(customs).collect();
            return Err(DeriveError::NoType(word.clone(), all.join(", ")));
        };
        kinds.push(kind);
    }
    if types.is_empty() {
        kinds = config.enabled.iter().map(|params| params.kind).collect();
    }
    let area = |kind: &Kind| {
        let (width, height) = config.params(*kind).map_or((0, 0), |params| params.sizing.ideal_size);
        u64::from(width) * u64::from(height)
    };
    kinds.sort_by_key(|kind| std::cmp::Reverse(area(kind)));
    kinds.dedup();
    Ok(kinds)
}

fn class(why: &MakeError) -> &'static str {
    match why {
        MakeError::NoSource(_) => "file missing",
        MakeError::Source(_) | MakeError::Memory(_) => "left to Piwigo",
        MakeError::Settings(_) => "watermark or format",
        MakeError::Place(_) => "no place for it below the derivatives' directory",
        MakeError::Denied(_) => "not allowed to write",
        MakeError::Disk(_) => "disk full or failing",
        MakeError::Busy => "took too long",
    }
}

/// The result for one image.
#[derive(Default)]
struct Done {
    file: String,
    made: u64,
    fresh: u64,
    other: bool,
    failed: Option<MakeError>,
}

struct OneImage<'a> {
    settings: &'a Settings,
    ready: Arc<Ready>,
    maker: &'a Arc<Maker>,
    kinds: &'a [Kind],
}

impl OneImage<'_> {
    /// Makes the image's derivatives one after another, up to the first that fails.
    async fn make(self, row: PictureRow, dry_run: bool) -> Done {
        let gallery = &self.ready.gallery;
        let mut done = Done { file: row.image.path.clone(), ..Done::default() };
        let Some(claim) = row.image.source_picture(gallery).filter(|claim| plan::can_make(&claim.file))
        else {
            done.other = true;
            return done;
        };
        done.file.clone_from(&claim.file);
        let image = &claim.image;
        let picture = if claim.ownership == Ownership::Original {
            Picture::original(claim.file.clone(), (image.width, image.height), image.rotation, row.coi)
        } else {
            Picture::stand_in(claim.file.clone())
        };
        let state = gallery.state(false);
        for &kind in self.kinds {
            let Some(params) = gallery.derivatives.params(kind) else { continue };
            let ordered = SystemTime::now();
            match self.look(&claim.file, kind, params.last_mod_time).await {
                Some(Stored::Fresh) => done.fresh += 1,
                Some(Stored::NoSource | Stored::Refused) => {
                    done.failed = Some(MakeError::NoSource(claim.file.clone()));
                    return done;
                }
                _ if access::is_same_as_source(kind, image, &state) => done.fresh += 1,
                _ if dry_run => done.made += 1,
                _ => {
                    let (tree, gallery) = (self.ready.tree.clone(), gallery.clone());
                    let keep_animation = self.settings.gif_animation;
                    let quality = self.settings.derivative_quality;
                    let picture = picture.clone();
                    // `derive` does not know whether the web server can send requests on to Piwigo.
                    let refuse_animated_webp = true;
                    let commission = Order {
                        tree,
                        gallery,
                        picture,
                        params,
                        keep_animation,
                        refuse_animated_webp,
                        quality,
                        ordered,
                    };
                    match self.maker.make(commission).await {
                        Ok(()) => done.made += 1,
                        Err(why) => {
                            done.failed = Some(why);
                            return done;
                        }
                    }
                }
            }
        }
        done
    }

    async fn look(&self, source: &str, kind: Kind, since: i64) -> Option<Stored> {
        let derivative = self.ready.gallery.layout.derivative(source, kind)?;
        let (tree, source) = (self.ready.tree.clone(), source.to_owned());
        let look = move || stored::look(&tree, &derivative, &source, since);
        tokio::task::spawn_blocking(look).await.ok()
    }
}
