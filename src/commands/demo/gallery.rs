//! `Plan` -> the files of a Piwigo gallery: originals, posters, formats, derivatives and the settings. The
//! database is in `database`.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;
use std::{io, thread};

use percent_encoding::utf8_percent_encode;

use super::pictures::draw;
use super::plan::{DemoKind, PLAIN, Plan};
use super::scenes::Scene;

/// Two and a half seconds of sun over the sea, without sound (H.264 baseline, yuv420p, index in front). Made
/// by ffmpeg alone: a `geq` filter computes each pixel from sines and exponentials, `libx264 -crf 31` packs
/// it.
const CLIP: &[u8] = include_bytes!("clip.mp4");

/// The settings that differ from Piwigo's defaults: RAW files are on, and videos may be uploaded.
const CONFIG_INC_PHP: &str = "<?php
// Settings of the sample gallery; everything else is as Piwigo has it.
$conf['enable_formats'] = true;
$conf['file_ext'] = array_merge($conf['picture_ext'], array('mp4', 'cr2'));
";

/// What Piwigo puts into its directories; it has no record and must not be served.
const INDEX_HTM: &str = "Not allowed!";

/// Writes the gallery below `root`, which must exist. `database` is the `SQLite` file that the settings name.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write(plan: &Plan, root: &Path, database: &Path) -> io::Result<()> {
    let mut drawings = Vec::new();
    for picture in &plan.pictures {
        for file in &picture.files {
            let Some(path) = &file.path else { continue };
            let path = root.join(path);
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory)?;
            }
            match (file.size, file.kind) {
                (Some(size), _) => drawings.push((path, picture.scene, size)),
                (None, DemoKind::Format) => fs::write(path, raw())?,
                (None, _) => fs::write(path, CLIP)?,
            }
        }
        fs::write(root.join(picture.directory).join("index.htm"), INDEX_HTM)?;
    }
    draw_all(&drawings)?;
    let settings = root.join("local/config");
    fs::create_dir_all(&settings)?;
    fs::write(settings.join("config.inc.php"), CONFIG_INC_PHP)?;
    fs::write(settings.join("gate.toml"), gate_toml(database))
}

/// Draws on as many threads as the machine has.
fn draw_all(drawings: &[(std::path::PathBuf, Scene, (u16, u16))]) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let drawn = SystemTime::now();
    let draw_some = || {
        while let Some((path, scene, (width, height))) = drawings.get(next.fetch_add(1, Ordering::Relaxed)) {
            fs::write(path, draw(*scene, *width, *height).map_err(io::Error::other)?)?;
            // A derivative must not be older than its source, whichever of them was drawn first.
            fs::File::options().append(true).open(path)?.set_modified(drawn)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
            .map(|_| scope.spawn(draw_some))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread that draws pictures panicked")))
        })
    })
}

/// The start of a Canon RAW file (a TIFF header and `CR`, version 2) without a photo in it.
fn raw() -> Vec<u8> {
    let mut bytes = b"II\x2a\x00\x10\x00\x00\x00CR\x02\x00\x00\x00\x00\x00\x00\x00".to_vec();
    bytes.extend_from_slice(
        b"This is a sample of piwigo-gate's demo. It has the first bytes of a RAW file and no photo.\n",
    );
    bytes.resize(16 * 1024, 0);
    bytes
}

/// The gate's own settings. `no-cache`: whoever changes the visitor must not see pictures out of the
/// browser's memory.
fn gate_toml(database: &Path) -> String {
    let path = database.to_string_lossy();
    let url = format!("sqlite://{}", utf8_percent_encode(&path, PLAIN));
    format!("database = \"{url}\"\nderivatives = \"existing\"\nbrowser_cache = \"private, no-cache\"\n")
}

#[cfg(test)]
mod tests {
    use super::super::directory::Directory;
    use super::super::plan::tests::sample;
    use super::*;

    #[test]
    fn every_file_that_somebody_is_to_get_is_there() {
        let mut plan = sample();
        // Small, because drawing is slow in a test's build.
        plan.pictures.iter_mut().flat_map(|picture| &mut picture.files).for_each(|file| {
            file.size = file.size.map(|_| (30, 20));
        });
        let directory = Directory::new().unwrap();
        write(&plan, directory.path(), Path::new("/tmp/x/piwigo.sqlite")).unwrap();
        for (title, file) in plan.files() {
            let some_get_it = file.row.iter().any(|why| why.status() == 200);
            assert_eq!(file.path.is_some(), some_get_it, "{title}: {}", file.label);
            if let Some(path) = &file.path {
                assert!(fs::metadata(directory.path().join(path)).unwrap().len() > 100, "{path}");
            }
        }
        assert!(directory.path().join("upload/2026/05/02/index.htm").exists());
        assert!(!directory.path().join("_data/i/upload/2026/05/02/20260502074102-5d19ab44-xx.jpg").exists());
        let settings = fs::read_to_string(directory.path().join("local/config/gate.toml")).unwrap();
        let settings: toml::Table = settings.parse().unwrap();
        assert_eq!(settings["database"].as_str(), Some("sqlite:///tmp/x/piwigo.sqlite"));
    }

    #[test]
    fn a_strange_temporary_directory_does_not_break_the_settings() {
        let settings: toml::Table = gate_toml(Path::new("/tmp/a \"b\"?\\é/p.sqlite")).parse().unwrap();
        assert_eq!(settings["database"].as_str(), Some("sqlite:///tmp/a%20%22b%22%3F%5C%C3%A9/p.sqlite"));
    }

    #[test]
    fn the_video_can_start_before_it_is_there_in_full() {
        let at = |name: &[u8]| CLIP.windows(4).position(|window| window == name).unwrap();
        assert_eq!(&CLIP[4..8], b"ftyp");
        assert!(at(b"moov") < at(b"mdat"));
        assert!(CLIP.len() < 40 * 1024);
    }
}
