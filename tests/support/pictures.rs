//! Pictures for the small gallery: some can be decoded, some cannot.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::sandbox::Sandbox;
use super::world::Image;

/// A JPEG of this size with so much detail that its derivatives are not small. Another `seed` makes another
/// picture.
pub fn jpeg(width: u16, height: u16, seed: u32) -> Vec<u8> {
    let pixel = |at: u32| (at.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 16) as u8;
    let pixels: Vec<u8> = (0..u32::from(width) * u32::from(height)).map(pixel).collect();
    let mut bytes = Vec::new();
    jpeg_encoder::Encoder::new(&mut bytes, 80)
        .encode(&pixels, width, height, jpeg_encoder::ColorType::Luma)
        .expect("a JPEG");
    bytes
}

/// A JPEG that claims to have 50,000 × 50,000 pixels.
pub fn bomb() -> Vec<u8> {
    let mut bytes = jpeg(64, 64, 0);
    let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).expect("a frame header");
    let side = 50_000_u16.to_be_bytes();
    bytes[frame + 5..frame + 9].copy_from_slice(&[side, side].concat());
    bytes
}

/// Replaces an image's original by a picture of its row's size that is older than the derivatives' settings.
pub fn write_original(sandbox: &Sandbox, image: &Image) -> PathBuf {
    let side = |side: Option<u32>| u16::try_from(side.expect("a known size")).expect("a small one");
    write(sandbox, image.original(), &jpeg(side(image.width), side(image.height), image.id))
}

/// Writes a file of the gallery that the servers own and that is an hour old.
pub fn write(sandbox: &Sandbox, path: &str, bytes: &[u8]) -> PathBuf {
    let path = sandbox.write(&format!("gallery/{path}"), bytes);
    sandbox.hand_over(&path);
    date(&path, SystemTime::now() - Duration::from_hours(1));
    path
}

/// Sets a file's modification time.
pub fn date(path: &std::path::Path, time: SystemTime) {
    File::options().append(true).open(path).and_then(|file| file.set_modified(time)).expect("its time");
}

/// All files below a directory, by their names relative to it.
pub fn files_below(directory: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return found };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a UTF-8 name").to_owned();
        if path.is_dir() {
            found.extend(files_below(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}
