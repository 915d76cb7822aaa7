//! `piwigo-gate derive`: what it makes, counts and leaves alone, and its exit codes.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::gate;
use crate::support::pictures;
use crate::support::process;
use crate::support::sandbox::Sandbox;
use crate::support::scene;
use crate::support::world::World;

/// The world on SQLite, with pictures instead of the texts that are named like JPEGs; without derivatives.
struct Gallery {
    sandbox: Sandbox,
    database: String,
    world: World,
    /// Images whose file is now a picture.
    pictures: Vec<u32>,
}

impl Gallery {
    async fn new() -> Self {
        let sandbox = Sandbox::new();
        let mut world = World::load();
        // The rest of the world are texts that are named like pictures.
        world.images.retain(|image| image.id == 37 || image.path.to_ascii_lowercase().ends_with(".jpg"));
        world.image_category.retain(|row| world.images.iter().any(|image| image.id == row.image_id));
        world.image_format.clear();
        let database = scene::sqlite(&sandbox, &world).await;
        sandbox.hand_over(&sandbox.path().join("piwigo.sqlite"));
        let mut pictures = Vec::new();
        // Small ones: it is not their size that counts here.
        let picture = pictures::jpeg(200, 150, 0);
        for image in world.images.iter().filter(|image| image.width.is_some()) {
            pictures::write(&sandbox, image.original(), &picture);
            pictures.push(image.id);
        }
        fs::remove_dir_all(sandbox.gallery().join("_data/i")).expect("it was there");
        Gallery { sandbox, database, world, pictures }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(gate::program_for(&self.sandbox));
        command
            .args(["derive", "--gallery", self.sandbox.gallery().to_str().expect("UTF-8"), "--database"])
            .arg(&self.database)
            .args(arguments)
            .env_clear()
            .current_dir(self.sandbox.path())
            .stdin(Stdio::null());
        command
    }

    /// Exit code and last words; none of them holds an escape sequence, because this is no terminal.
    fn derive(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("it runs");
        let (said, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(!said.contains('\x1b') && !errors.contains('\x1b'), "{said}{errors}");
        (status.code(), format!("{said}{errors}"))
    }

    fn made(&self) -> Vec<String> {
        let mut names = pictures::files_below(&self.sandbox.gallery().join("_data/i"));
        names.retain(|name| !name.ends_with("index.htm"));
        names
    }
}

#[tokio::test]
async fn what_is_missing_is_made_and_what_is_there_is_left_alone() {
    let gallery = Gallery::new().await;
    let count = gallery.pictures.len();
    let total = gallery.world.images.len();

    let (code, said) = gallery.derive(&["--dry-run", "--types", "sq,thumb"]);
    let expected =
        format!("{total} of {total} images: {} resized pictures to make, 0 there, 1 images", 2 * count);
    assert!(code == Some(0) && said.contains(&expected), "{said}");
    assert!(gallery.made().is_empty());

    let (code, said) = gallery.derive(&["--types", "sq,thumb"]);
    let expected =
        format!("{total} of {total} images: {} resized pictures made, 0 there, 1 images", 2 * count);
    assert!(code == Some(0) && said.contains(&expected), "{said}");
    let made = gallery.made();
    assert_eq!(made.len(), 2 * count);
    for id in &gallery.pictures {
        for token in ["sq", "th"] {
            let path = gallery.world.image(*id).derivative(token).expect("a picture");
            let path = gallery.sandbox.gallery().join(path);
            let data = fs::metadata(gallery.sandbox.gallery().join("_data")).expect("_data");
            let metadata = fs::metadata(&path).expect("it was made");
            assert_eq!((metadata.uid(), metadata.gid()), (data.uid(), data.gid()), "{path:?}");
        }
    }

    // One removed, one stale: these two are made, and nothing else.
    let gone = gallery.sandbox.gallery().join("_data/i").join(&made[0]);
    fs::remove_file(&gone).expect("it was there");
    let stale = gallery.sandbox.gallery().join("_data/i").join(&made[3]);
    pictures::date(&stale, std::time::SystemTime::UNIX_EPOCH);
    let (code, said) = gallery.derive(&["--types", "th,sq,th", "--jobs", "3"]);
    assert!(code == Some(0) && said.contains("images: 2 resized pictures made"), "{said}");
    let (code, said) = gallery.derive(&["--types", "th,sq"]);
    assert!(code == Some(0) && said.contains("images: 0 resized pictures made"), "{said}");
}

#[tokio::test]
async fn one_album_with_or_without_what_is_in_it() {
    let gallery = Gallery::new().await;
    let images = |albums: &[u32]| {
        let rows = gallery.world.image_category.iter().filter(|row| albums.contains(&row.category_id));
        let mut ids: Vec<u32> = rows.map(|row| row.image_id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    };
    // Album 5 is in album 4; 14 and 45 only look like it.
    assert!(images(&[4]) > 0 && images(&[4, 5]) > images(&[4]));
    for (arguments, expected) in [
        (&["--album", "4"][..], images(&[4])),
        (&["--album", "4", "--recursive"], images(&[4, 5])),
        (&["--album", "5"], images(&[5])),
    ] {
        let (code, said) = gallery.derive(&[arguments, &["--dry-run", "--types", "sq"]].concat());
        let expected = format!("{expected} of {expected} images: ");
        assert!(code == Some(0) && said.contains(&expected), "{arguments:?}: {said} lacks {expected}");
    }
}

#[tokio::test]
async fn failures_are_told_by_reason_and_the_exit_code_is_1() {
    let gallery = Gallery::new().await;
    let original = |id: u32| gallery.world.image(id).original().to_owned();
    pictures::write(&gallery.sandbox, &original(gallery.pictures[0]), b"no picture");
    fs::remove_file(gallery.sandbox.gallery().join(original(gallery.pictures[1]))).expect("it was there");
    let (code, said) = gallery.derive(&["--types", "sq"]);
    assert_eq!(code, Some(1), "{said}");
    let made = format!(": {} resized pictures made", gallery.pictures.len() - 2);
    for part in [&*made, "1 images left to Piwigo; 1 images failed (1 file missing)"] {
        assert!(said.contains(part), "{said} lacks {part}");
    }
    for id in &gallery.pictures[..2] {
        assert!(said.lines().any(|line| line.starts_with(&original(*id))), "{said}");
    }
    // What is left to Piwigo is no failure, and has an exit code of its own.
    pictures::write(&gallery.sandbox, &original(gallery.pictures[1]), &pictures::jpeg(200, 150, 0));
    let (code, said) = gallery.derive(&["--types", "sq"]);
    assert!(code == Some(3) && said.contains("1 images left to Piwigo"), "{said}");
    assert!(said.contains("left to Piwigo's i.php: the source cannot be used"), "{said}");
}

#[tokio::test]
async fn what_cannot_work_has_exit_code_2() {
    let gallery = Gallery::new().await;
    for (arguments, part) in [
        (&["--album", "4711"][..], "there is no album 4711"),
        (&["--types", "sq,zz"], "no size zz: it has sq, th, 2s"),
        (&["--types", "3x"], "no size 3x"),
        (&["--recursive"], "--album"),
        (&["--jobs", "0"], "--jobs"),
        (&["--gallery", "/nonexistent"], ""),
        (&["--database", "sqlite:///nonexistent/x"], "database"),
    ] {
        // A later --gallery or --database is one too many.
        let (code, said) = gallery.derive(arguments);
        assert!(code == Some(2) && said.contains(part), "{arguments:?}: {code:?} {said}");
    }
}

#[tokio::test]
async fn it_ends_cleanly_when_it_is_told_to() {
    let gallery = Gallery::new().await;
    for name in ["TERM", "INT"] {
        let child = gallery
            .command(&["--jobs", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let start = Instant::now();
        while gallery.made().is_empty() && start.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        process::signal(name, child.id());
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        // A fast machine may have made all of them before the signal came.
        match output.status.code() {
            Some(1) => assert!(said.contains("; ended early: interrupted"), "{said}"),
            code => assert!(code == Some(0) && !said.contains("ended"), "{code:?} {said}"),
        }
        for name in gallery.made() {
            assert!(!name.contains(".gate-"), "{name}");
        }
        fs::remove_dir_all(gallery.sandbox.gallery().join("_data/i")).expect("it was there");
    }
}
