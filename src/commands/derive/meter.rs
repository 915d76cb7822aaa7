//! Shows the progress of `derive` on standard error: a bar on a terminal, otherwise a line a second, and a
//! line for each file that failed or is left to Piwigo.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Progress;

/// Time between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Shows the progress.
pub struct Meter {
    bar: Option<ProgressBar>,
    said_at: Instant,
}

impl Meter {
    /// `on_terminal`: a bar can be drawn.
    pub fn new(on_terminal: bool) -> Self {
        let style =
            ProgressStyle::with_template("{bar:30} {pos} of {len} images, {per_sec}, {eta} left, {msg}");
        let bar =
            || ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Meter { bar: on_terminal.then(bar), said_at: Instant::now() }
    }

    /// Shows one more step.
    pub fn hear(&mut self, progress: Progress<'_>) {
        match (progress, &self.bar) {
            (Progress::Failed(file, why), _) => self.say(&format!("{file}: {why}")),
            (Progress::Left(file, why), _) => self.say(&format!("{file}: left to Piwigo's i.php: {why}")),
            (Progress::Image(summary), Some(bar)) => {
                bar.set_length(summary.total);
                bar.set_position(summary.images);
                bar.set_message(format!("{} made", summary.made));
            }
            (Progress::Image(summary), None) if self.said_at.elapsed() >= PAUSE => {
                self.said_at = Instant::now();
                eprintln!("{} of {} images, {} made", summary.images, summary.total, summary.made);
            }
            (Progress::Image(_), None) => {}
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Removes the bar.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
