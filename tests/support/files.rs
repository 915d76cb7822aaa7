//! The files of the small gallery; the text of each says which file it is.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::mariadb;
use super::world::World;

/// The kinds of derivative that [`World::write_files`] makes, by their letters in a file's name.
pub const DERIVATIVES: [&str; 2] = ["th", "me"];

/// Sources are older and derivatives newer than the rows' `last_mod_time` (in seconds since 1970).
pub(super) const SOURCE_TIME: u64 = 1_795_280_000;
pub(super) const DERIVATIVE_TIME: u64 = 1_795_290_000;

impl World {
    /// Makes the gallery's files below `gallery`; the text of each says which file it is.
    pub fn write_files(&self, gallery: &Path) {
        for image in &self.images {
            write(gallery, image.original(), &original_text(image.id), SOURCE_TIME);
            if let Some(path) = image.representative() {
                write(gallery, &path, &representative_text(image.id), SOURCE_TIME);
            }
            for token in DERIVATIVES {
                if let Some(path) = image.derivative(token) {
                    write(gallery, &path, &derivative_text(image.id, token), DERIVATIVE_TIME);
                }
            }
        }
        for format in &self.image_format {
            let image = self.image(format.image_id);
            write(gallery, &image.format(&format.ext), &format_text(image.id, &format.ext), SOURCE_TIME);
        }
        for name in ["pdf", "txt", "unknown"] {
            let icon = format!("themes/default/icon/mimetypes/{name}");
            write(gallery, &format!("{icon}.png"), &format!("icon {name}\n"), SOURCE_TIME);
            for token in DERIVATIVES {
                let text = format!("icon {name} {token}\n");
                write(gallery, &format!("_data/i/{icon}-{token}.png"), &text, DERIVATIVE_TIME);
            }
        }
    }
}

/// Makes Piwigo's `local/config` for a MariaDB behind this socket; the gate reads with the account
/// [`mariadb::GATE`].
pub fn write_config(gallery: &Path, socket: &Path) {
    let directory = gallery.join("local/config");
    fs::create_dir_all(&directory).expect("local/config");
    fs::write(directory.join("database.inc.php"), mariadb::database_inc_php(socket, mariadb::GATE))
        .expect("database.inc.php");
    fs::write(directory.join("config.inc.php"), "<?php\n$conf['enable_formats'] = true;\n?>\n")
        .expect("config.inc.php");
}

/// The text of an image's original.
pub fn original_text(id: u32) -> String {
    format!("original {id}\n")
}

/// The text of an image's representative.
pub fn representative_text(id: u32) -> String {
    format!("representative {id}\n")
}

/// The text of an image's derivative.
pub fn derivative_text(id: u32, token: &str) -> String {
    format!("derivative {id} {token}\n")
}

/// The text of an image's format.
pub fn format_text(id: u32, extension: &str) -> String {
    format!("format {id} {extension}\n")
}

pub(super) fn write(gallery: &Path, path: &str, content: &(impl AsRef<[u8]> + ?Sized), seconds: u64) {
    let path = gallery.join(path);
    fs::create_dir_all(path.parent().expect("inside the gallery")).expect("directory of the gallery");
    fs::write(&path, content).expect("file of the gallery");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::options().append(true).open(&path).and_then(|file| file.set_modified(time)).expect("its time");
}
