//! Makes derivatives: an order for one in, a finished file (or why there is none) out. Each is made once
//! however many ask for it at the same time; so many are made at once as `derivative_jobs` says, on threads
//! of their own; and what cannot be made is remembered, so that it is not tried for each visitor.
//!
//! Memory is bounded by what one making may take: ordinary ones share the turns, and what needs more than an
//! ordinary share waits until it has all of them. What the process's own limits leave is regarded, too: an
//! allocation beyond them would end the process.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::making::{Attempt, Share, at, from_any, mark_file, whole_seconds};
use super::memory;
use super::order::{MakeError, Order};
use super::store::{self, Place, Stamp};
use super::stored::{self, Stored};
use crate::files::Tree;

/// What an ordinary making may take: 60 megapixels, about.
const ORDINARY: Share = Share { source_bytes: 64 << 20, decoded_bytes: 192 << 20, memory: u64::MAX };

/// What one that has all turns may take.
const ALL: Share = Share { source_bytes: 256 << 20, decoded_bytes: 1 << 30, memory: u64::MAX };

/// How long a picture that needed more memory than the process may have is not tried again.
const SHORT_OF_MEMORY: Duration = Duration::from_mins(10);

/// Derivatives that are being made or wait for their turn, at most: more are refused until some are done.
const MAX_UNDER_WAY: usize = 256;

/// Longest wait of a visitor; the making goes on without them.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Failures that are remembered; the oldest goes.
const MAX_FAILURES: usize = 1024;

/// Directories of which it is known that nothing lies there unfinished, and for how long that is believed.
const MAX_SWEPT: usize = 256;
const SWEPT_FOR: Duration = Duration::from_mins(10);

/// A derivative is dated so long before it was ordered: the settings that it is made by may be a second old.
/// What changes while it waits and is made is then newer than it.
pub(crate) const LOOKED_BEFORE: Duration = Duration::from_secs(2);

type Outcome = Result<(), MakeError>;

/// Makes derivatives, a few at a time.
pub struct Maker {
    /// All turns there are.
    jobs: u32,
    turns: Semaphore,
    /// Places for those who wait.
    waiting: Semaphore,
    patience: Duration,
    under_way: Mutex<HashMap<String, watch::Receiver<Option<Outcome>>>>,
    failures: Mutex<VecDeque<Failure>>,
    swept: Mutex<HashMap<PathBuf, Instant>>,
    /// It was said that nothing can be written, and not yet that it can again.
    trouble: AtomicBool,
}

/// Something that is not tried again as long as its files stay as they are.
struct Failure {
    /// The source's path, or the derivative's where the source is not to blame.
    of: String,
    files: Files,
    why: MakeError,
    /// When it is tried again even so.
    until: Option<Instant>,
}

/// The files that a derivative is made from.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Files {
    source: Stamp,
    mark: Option<Stamp>,
}

impl Maker {
    /// `jobs` derivatives are made at the same time; `waiting`: so many may wait for one, each for `patience`
    /// at most.
    pub fn new(jobs: usize, waiting: usize, patience: Duration) -> Arc<Self> {
        let jobs = u32::try_from(jobs).unwrap_or(1).max(1);
        Arc::new(Maker {
            jobs,
            turns: Semaphore::new(jobs as usize),
            waiting: Semaphore::new(waiting.max(1)),
            patience,
            under_way: Mutex::default(),
            failures: Mutex::default(),
            swept: Mutex::default(),
            trouble: AtomicBool::new(false),
        })
    }

    /// Makes a derivative that is missing or stale; one that is fresh by now is left as it is.
    ///
    /// # Errors
    /// [`MakeError`].
    pub async fn make(self: &Arc<Self>, commission: Order) -> Result<(), MakeError> {
        let Some(derivative) = commission.derivative() else {
            return Err(MakeError::Source("its name has no extension".into()));
        };
        let Ok(_place) = self.waiting.try_acquire() else { return Err(MakeError::Busy) };
        let mut outcome = self.join_or_start(derivative, commission)?;
        match timeout(self.patience, outcome.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or(Err(MakeError::Busy)),
            Ok(Err(_)) | Err(_) => Err(MakeError::Busy),
        }
    }

    fn join_or_start(
        self: &Arc<Self>,
        derivative: String,
        commission: Order,
    ) -> Result<watch::Receiver<Option<Outcome>>, MakeError> {
        let mut under_way = locked(&self.under_way);
        // One whose task is gone has no outcome.
        if let Some(outcome) = under_way.get(&derivative).filter(|outcome| outcome.has_changed().is_ok()) {
            return Ok(outcome.clone());
        }
        if under_way.len() >= MAX_UNDER_WAY {
            return Err(MakeError::Busy);
        }
        let (done, outcome) = watch::channel(None);
        under_way.insert(derivative.clone(), outcome.clone());
        let maker = self.clone();
        // Of its own: who asked may go away, and others may have come.
        tokio::spawn(async move {
            let made = maker.carry_out(&derivative, Arc::new(commission)).await;
            maker.tell(&derivative, &made);
            locked(&maker.under_way).remove(&derivative);
            done.send_replace(Some(made));
        });
        Ok(outcome)
    }

    async fn carry_out(self: &Arc<Self>, derivative: &str, commission: Arc<Order>) -> Outcome {
        let looked_at = {
            let commission = commission.clone();
            blocking(move || files(&commission)).await?
        };
        if let Some(why) = self.known_failure(derivative, &commission.picture.file, looked_at) {
            return Err(why);
        }
        let mut made = {
            let _turn = self.turns.acquire().await;
            self.make_with(ORDINARY, self.jobs, derivative, &commission).await
        };
        if let Err(Attempt::TooLarge(_) | Attempt::Memory(_)) = made {
            let _all = self.turns.acquire_many(self.jobs).await;
            made = self.make_with(ALL, 1, derivative, &commission).await;
        }
        let why = match made {
            Ok(()) => return Ok(()),
            Err(Attempt::TooLarge(why)) => MakeError::Source(format!("too large: {why}")),
            Err(Attempt::Memory(why)) => MakeError::Memory(why),
            Err(Attempt::Failed(why)) => why,
        };
        let of = match &why {
            MakeError::Source(_) | MakeError::Memory(_) => commission.picture.file.clone(),
            MakeError::Settings(_) => derivative.to_owned(),
            _ => return Err(why),
        };
        tracing::warn!(
            derivative,
            file = commission.picture.file,
            reason = why.to_string(),
            "the gate cannot make this resized picture: it is left to Piwigo. This is said once until the file changes"
        );
        let mut failures = locked(&self.failures);
        if failures.len() >= MAX_FAILURES {
            failures.pop_front();
        }
        let until = matches!(why, MakeError::Memory(_)).then(|| Instant::now() + SHORT_OF_MEMORY);
        failures.push_back(Failure { of, files: looked_at, why: why.clone(), until });
        Err(why)
    }

    async fn make_with(
        self: &Arc<Self>,
        share: Share,
        parts: u32,
        derivative: &str,
        commission: &Arc<Order>,
    ) -> Result<(), Attempt> {
        let (maker, derivative, commission) = (self.clone(), derivative.to_owned(), commission.clone());
        blocking(move || {
            let share = share.within(memory::room(), parts);
            Ok(maker.make_now(share, &derivative, &commission))
        })
        .await
        .unwrap_or_else(|why| Err(Attempt::Failed(why)))
    }

    /// Blocks, for as long as reading, decoding and writing take.
    fn make_now(&self, share: Share, derivative: &str, commission: &Order) -> Result<(), Attempt> {
        let Order { tree, gallery, picture, params, ordered, .. } = commission;
        let base = &gallery.layout.derivative_dir;
        let began = SystemTime::now();
        let path = gallery.layout.in_derivative_dir(derivative);
        // Somebody else may have made it meanwhile.
        match stored::look(tree, &path, &picture.file, params.last_mod_time) {
            Stored::Fresh => return Ok(()),
            Stored::NoSource | Stored::Refused => {
                return Err(MakeError::NoSource(picture.file.clone()).into());
            }
            Stored::Absent => {}
        }
        let source = store::stamp(tree, &picture.file).map_err(MakeError::from)?;
        let place = Place::make(tree, base, derivative).map_err(MakeError::from)?;
        self.sweep(tree, &place, began);

        let (bytes, from) = from_any(share, commission, &place, source)?;
        let dated = [
            ordered.checked_sub(LOOKED_BEFORE),
            // A source of the future would be newer for ever, and a derivative of it be made for each
            // visitor.
            whole_seconds(source.modified),
            at(params.last_mod_time),
        ];
        let dated = dated.into_iter().flatten().max().unwrap_or(*ordered);
        place.write(&bytes, dated).map_err(MakeError::from)?;
        let took = began.elapsed().unwrap_or_default().as_millis();
        tracing::debug!(derivative, from, bytes = bytes.len(), milliseconds = %took, "made");
        Ok(())
    }

    /// Removes a killed process's files, in each directory now and then.
    fn sweep(&self, tree: &Tree, place: &Place, now: SystemTime) {
        let directory = tree.root().join(place.path());
        {
            let mut swept = locked(&self.swept);
            if swept.get(&directory).is_some_and(|at| at.elapsed() < SWEPT_FOR) {
                return;
            }
            if swept.len() >= MAX_SWEPT {
                swept.clear();
            }
            swept.insert(directory, Instant::now());
        }
        place.sweep(now);
    }

    fn known_failure(&self, derivative: &str, source: &str, files: Files) -> Option<MakeError> {
        let mut failures = locked(&self.failures);
        let at = failures.iter().position(|failure| failure.of == source || failure.of == derivative)?;
        let failure = &failures[at];
        // The mark is no part of what is wrong with a source.
        let unchanged = match failure.why {
            MakeError::Source(_) | MakeError::Memory(_) => failure.files.source == files.source,
            _ => failure.files == files,
        };
        if unchanged && failure.until.is_none_or(|until| Instant::now() < until) {
            return Some(failure.why.clone());
        }
        failures.remove(at);
        None
    }

    /// The log line of what was made in vain: one for a disk, until it is written to again.
    fn tell(&self, derivative: &str, outcome: &Outcome) {
        match outcome {
            Ok(()) => {
                if self.trouble.swap(false, Ordering::Relaxed) {
                    tracing::warn!("derivatives can be written again");
                }
            }
            Err(why @ (MakeError::Disk(_) | MakeError::Denied(_) | MakeError::Place(_))) => {
                if !self.trouble.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        derivative,
                        reason = why.to_string(),
                        "a derivative is not made; others may follow"
                    );
                }
            }
            Err(why) => tracing::debug!(derivative, reason = why.to_string(), "not made"),
        }
    }
}

/// What a derivative is made from, as it is now.
fn files(commission: &Order) -> Result<Files, MakeError> {
    let source = store::stamp(&commission.tree, &commission.picture.file)?;
    let mark = match mark_file(commission) {
        Some(path) => store::stamp(&commission.tree, &path).ok(),
        None => None,
    };
    Ok(Files { source, mark })
}

/// Runs what takes its time where that is no harm.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MakeError> + Send + 'static,
) -> Result<T, MakeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(MakeError::Busy),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::derivative::order::DerivativeQuality;
    use crate::derivative::plan::Picture;
    use crate::files::Symlinks;
    use crate::piwigo::gallery::Gallery;
    use crate::piwigo::sizes::definition::Watermark;
    use crate::piwigo::sizes::name::Kind;
    use crate::settings::PiwigoFiles;

    /// A gallery with one picture of 400 × 300, `u/a.jpg`, as old as the epoch.
    struct Scene {
        directory: tempfile::TempDir,
        gallery: Arc<Gallery>,
    }

    impl Scene {
        fn new() -> Self {
            let files = PiwigoFiles::from_text("<?php", "<?php $prefixeTable = 'piwigo_';");
            let gallery = Arc::new(Gallery::resolve(&files, &[], "").unwrap());
            let scene = Scene { directory: tempfile::tempdir().unwrap(), gallery };
            scene.write("u/a.jpg", &jpeg(), 0);
            scene
        }

        fn root(&self) -> &Path {
            self.directory.path()
        }

        fn write(&self, path: &str, bytes: &[u8], seconds: u64) {
            let path = self.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
        }

        fn order(&self, kind: Kind) -> Order {
            Order {
                tree: Arc::new(Tree::new(self.root(), Symlinks::SameOwner, &[])),
                gallery: self.gallery.clone(),
                picture: Picture::original("u/a.jpg".into(), (Some(400), Some(300)), Some(0), None),
                params: self.gallery.derivatives.params(kind).unwrap(),
                keep_animation: false,
                refuse_animated_webp: false,
                quality: DerivativeQuality::Source,
                ordered: SystemTime::now(),
            }
        }

        fn has(&self, name: &str) -> bool {
            self.root().join("_data/i/u").join(name).exists()
        }
    }

    fn jpeg() -> Vec<u8> {
        let pixels: Vec<u8> = (0..400_u32 * 300).map(|at| (at % 251) as u8).collect();
        let mut bytes = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, 80);
        encoder.encode(&pixels, 400, 300, jpeg_encoder::ColorType::Luma).unwrap();
        bytes
    }

    fn maker() -> Arc<Maker> {
        Maker::new(2, 8, PATIENCE)
    }

    #[tokio::test]
    async fn a_larger_derivative_takes_the_place_of_the_source_if_it_is_of_use() {
        let scene = Scene::new();
        maker().make(scene.order(Kind::TwoSmall)).await.unwrap();
        // The source could not be decoded any more: it is not even read.
        scene.write("u/a.jpg", b"no picture", 0);
        maker().make(scene.order(Kind::Thumb)).await.unwrap();
        // A newer source makes the larger one stale.
        scene.write("u/a.jpg", b"no picture", 4_000_000_000);
        let failed = maker().make(scene.order(Kind::Thumb)).await;
        assert!(matches!(failed, Err(MakeError::Source(_))), "{failed:?}");
        // Half a larger one is none.
        let scene = Scene::new();
        scene.write("_data/i/u/a-2s.jpg", &jpeg()[..100], 1000);
        maker().make(scene.order(Kind::Thumb)).await.unwrap();
        assert!(scene.has("a-th.jpg"));
    }

    #[tokio::test]
    async fn an_animation_moves_only_where_that_is_wanted() {
        let scene = Scene::new();
        let mut film = Vec::new();
        let mut encoder = gif::Encoder::new(&mut film, 400, 300, &[0, 0, 0, 255, 255, 255]).unwrap();
        for colour in [0, 1] {
            let frame = gif::Frame {
                width: 400,
                height: 300,
                buffer: vec![colour; 400 * 300].into(),
                ..Default::default()
            };
            encoder.write_frame(&frame).unwrap();
        }
        drop(encoder);
        scene.write("u/a.gif", &film, 0);
        for (keep_animation, frames) in [(false, 1), (true, 2)] {
            let picture = Picture::original("u/a.gif".into(), (Some(400), Some(300)), Some(0), None);
            maker().make(Order { picture, keep_animation, ..scene.order(Kind::Thumb) }).await.unwrap();
            let path = scene.root().join("_data/i/u/a-th.gif");
            let made = fs::read(&path).unwrap();
            fs::remove_file(path).unwrap();
            let mut decoder = gif::DecodeOptions::new().read_info(&*made).unwrap();
            let mut count = 0;
            while decoder.read_next_frame().unwrap().is_some() {
                count += 1;
            }
            assert_eq!(count, frames);
        }
    }

    #[tokio::test]
    async fn a_failure_is_forgotten_when_the_file_to_blame_has_changed() {
        let scene = Scene::new();
        let maker = maker();
        scene.write("u/a.jpg", b"no picture", 1);
        let first = maker.make(scene.order(Kind::Thumb)).await.unwrap_err();
        assert_eq!(maker.make(scene.order(Kind::Square)).await.unwrap_err(), first, "of every size");
        assert_eq!(locked(&maker.failures).len(), 1);
        scene.write("u/a.jpg", &jpeg(), 2);
        maker.make(scene.order(Kind::Thumb)).await.unwrap();
        assert_eq!(locked(&maker.failures).len(), 0);
    }

    #[tokio::test]
    async fn a_watermark_that_cannot_be_read_stops_the_sizes_that_carry_it() {
        let mut scene = Scene::new();
        let maker = maker();
        for file in ["local/watermarks/none.png", "../outside.png", "/etc/passwd", ".hidden.png"] {
            let mark = Watermark { file: file.into(), min_size: (200, 200), ..Watermark::default() };
            Arc::get_mut(&mut scene.gallery).unwrap().derivatives.watermark = mark;
            for _ in 0..2 {
                let failed = maker.make(scene.order(Kind::XSmall)).await;
                assert!(matches!(failed, Err(MakeError::Settings(_))), "{file}: {failed:?}");
            }
            locked(&maker.failures).clear();
        }
        maker.make(scene.order(Kind::Thumb)).await.unwrap();
        assert!(scene.has("a-th.jpg") && !scene.has("a-xs.jpg"));
    }

    #[tokio::test]
    async fn no_more_wait_than_there_are_places_and_none_for_ever() {
        let scene = Scene::new();
        let maker = Maker::new(1, 1, Duration::from_millis(50));
        let turn = maker.turns.acquire().await.unwrap();
        let (first, second) =
            tokio::join!(maker.make(scene.order(Kind::Thumb)), maker.make(scene.order(Kind::Square)));
        assert_eq!((first, second), (Err(MakeError::Busy), Err(MakeError::Busy)));
        drop(turn);
        // Who waited has gone; what they asked for is made all the same.
        let start = Instant::now();
        while !scene.has("a-th.jpg") {
            assert!(start.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!scene.has("a-sq.jpg"), "the second found no place");
    }

    #[tokio::test]
    async fn a_derivative_is_dated_before_its_order_and_never_before_its_source() {
        let scene = Scene::new();
        for (source, expected) in [(0, None), (4_000_000_000, Some(4_000_000_000))] {
            scene.write("u/a.jpg", &jpeg(), source);
            let order = scene.order(Kind::Square);
            let ordered = order.ordered;
            maker().make(order).await.unwrap();
            let made = fs::metadata(scene.root().join("_data/i/u/a-sq.jpg")).unwrap().modified().unwrap();
            match expected {
                None => assert_eq!(ordered.duration_since(made).unwrap(), LOOKED_BEFORE),
                Some(seconds) => {
                    assert_eq!(made, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
                }
            }
        }
    }
}
