//! Puts a different marker into every private file of the gallery, and knows which visitor may get which
//! marker.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use super::files::{self, DERIVATIVE_TIME, DERIVATIVES, SOURCE_TIME};
use super::scene::Scene;
use super::world::{Image, World};

/// The texts around a marker.
const BEGIN: &str = "<<";
const END: &str = ">>";

/// A PHP script among the pictures. No server may run it, and none may send its text.
pub const SHELL: &str = "upload/2026/11/21/shell.php";

/// Files below the gallery's directory that no visitor may read. Each path begins with a directory or a name
/// that the shipped server files close.
pub const SECRETS: [&str; 5] = [
    "local/config/gate.toml",
    "local/config/database.inc.php",
    "gate.toml",
    "_data/logs/log.txt",
    ".git/config",
];

/// A file among the originals whose name is not UTF-8, as a camera's card or an old disk has them. No row can
/// name it.
pub const LATIN_1: &[u8] = b"galleries/caf\xe9.jpg";

/// The content of that file.
pub const LATIN_1_MARKER: &str = "a name in Latin-1";

/// The line of `gate.toml` that holds that file's marker, for [`super::setup::Setup::start`].
pub const SETTING: &str = "# <<secret local/config/gate.toml>>";

/// A visitor, and the markers that this visitor may get.
pub struct Visitor {
    pub name: &'static str,
    /// The value of the `Cookie` header; empty for a guest.
    pub cookie: String,
    may_have: BTreeSet<String>,
}

/// Puts the markers into the files of `scene`, before its servers start.
pub fn write(scene: &Scene) {
    let (world, sandbox) = (&scene.world, &scene.sandbox);
    let gallery = sandbox.gallery();
    for image in &world.images {
        files::write(&gallery, image.original(), &text(&original(image)), SOURCE_TIME);
        if let Some(path) = image.representative() {
            files::write(&gallery, &path, &text(&representative(image)), SOURCE_TIME);
        }
        for token in DERIVATIVES {
            if let Some(path) = image.derivative(token) {
                files::write(&gallery, &path, &text(&derivative(image, token)), DERIVATIVE_TIME);
            }
        }
    }
    for row in &world.image_format {
        let image = world.image(row.image_id);
        files::write(&gallery, &image.format(&row.ext), &text(&format(image, &row.ext)), SOURCE_TIME);
    }
    for path in SECRETS {
        let file = gallery.join(path);
        let before = fs::read_to_string(&file).unwrap_or_default();
        let comment = if before.starts_with("<?php") { "<?php // " } else { "# " };
        let rest = before.strip_prefix("<?php").unwrap_or(&before);
        sandbox
            .write(&format!("gallery/{path}"), format!("{comment}{}{rest}", text(&format!("secret {path}"))));
    }
    fs::write(gallery.join(OsStr::from_bytes(LATIN_1)), text(LATIN_1_MARKER)).expect("a file");
    // The script's text and its output are different markers.
    let shell = "<?php // <<text of shell.php>>\necho '<', '<shell.php has run>', '>';\n";
    sandbox.write(&format!("gallery/{SHELL}"), shell);
    sandbox.hand_over_tree(&gallery);
}

/// Writes an `i.php` that no visitor may reach, because it would make any size of any picture.
pub fn write_i_php(scene: &Scene) {
    scene.sandbox.write("gallery/i.php", "<?php\necho '<', '<i.php has run>', '>';\n");
}

/// The content of a file with this marker, as [`write`] writes it.
pub fn text(marker: &str) -> String {
    format!("{BEGIN}{marker}{END}\n")
}

pub fn original(image: &Image) -> String {
    format!("original {}", image.id)
}

pub fn representative(image: &Image) -> String {
    format!("representative {}", image.id)
}

pub fn derivative(image: &Image, token: &str) -> String {
    format!("size {token} of {}", image.id)
}

pub fn format(image: &Image, extension: &str) -> String {
    format!("format {extension} of {}", image.id)
}

impl Visitor {
    /// A visitor without a cookie.
    pub fn guest(world: &World) -> Self {
        Visitor { name: "guest", cookie: String::new(), may_have: allowed(world, "guest") }
    }

    /// A visitor who is signed in to this account.
    pub fn signed_in(world: &World, name: &'static str) -> Self {
        Visitor { name, cookie: world.session(name).cookie_header(), may_have: allowed(world, name) }
    }

    /// Allows these markers, too.
    #[must_use]
    pub fn and(mut self, markers: impl IntoIterator<Item = String>) -> Self {
        self.may_have.extend(markers);
        self
    }

    /// The first marker in `answer`, from its status line to its end, that this visitor may not get.
    pub fn leak(&self, answer: &[u8]) -> Option<String> {
        let mut rest = answer;
        while let Some(begin) = find(rest, BEGIN.as_bytes()) {
            rest = &rest[begin + BEGIN.len()..];
            // A part of the file may come without the end of its marker.
            let end = find(rest, END.as_bytes()).unwrap_or(rest.len().min(40));
            let marker = String::from_utf8_lossy(&rest[..end]).into_owned();
            if !self.may_have.contains(&marker) {
                return Some(marker);
            }
        }
        None
    }
}

/// The markers that Piwigo's own verdicts allow to an account that is no administrator's.
fn allowed(world: &World, name: &str) -> BTreeSet<String> {
    let user = world.user(name);
    let mut all = BTreeSet::new();
    for image in &world.images {
        let (may_see, may_have_original) = world.verdict(user.id, image.id);
        if may_see {
            all.insert(representative(image));
            all.extend(DERIVATIVES.map(|token| derivative(image, token)));
        }
        if may_have_original {
            all.insert(original(image));
        }
    }
    let formats = world.image_format.iter().map(|row| (world.image(row.image_id), &row.ext));
    for (image, extension) in formats.filter(|_| user.enabled_high == "true") {
        if world.verdict(user.id, image.id).0 {
            all.insert(format(image, extension));
        }
    }
    all
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
