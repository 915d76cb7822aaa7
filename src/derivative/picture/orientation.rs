//! Quarter turns counter-clockwise, 0 to 3: what a camera's EXIF orientation asks for, of a rectangle, of
//! pixels. Mirroring is ignored, as in Piwigo (docs/spec/piwigo.md §6.6).

use super::Picture;
use crate::piwigo::sizes::geometry::Crop;

/// The turns that an EXIF block (a TIFF file, without the leading `Exif\0\0`) asks for; 0 where it is broken
/// or says nothing. Only its first directory is read.
pub fn quarter_turns_of_exif(exif: &[u8]) -> u8 {
    match orientation_tag(exif) {
        Some(3 | 4) => 2,
        Some(5 | 6) => 3,
        Some(7 | 8) => 1,
        _ => 0,
    }
}

fn orientation_tag(exif: &[u8]) -> Option<u16> {
    let big_endian = match exif.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes = exif.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let entries = usize::from(short(directory)?);
    // An entry is tag, type, count, value: 12 bytes; 0x0112 is the orientation, a short stored in the value.
    (0..entries)
        .map(|entry| directory + 2 + 12 * entry)
        .find(|&at| short(at) == Some(0x0112))
        .and_then(|at| short(at + 8))
}

/// A size after `turns`.
pub fn turned_size((width, height): (u32, u32), turns: u8) -> (u32, u32) {
    if turns % 2 == 1 { (height, width) } else { (width, height) }
}

/// Where a rectangle of the turned picture lies in the picture as stored, which is of `size`.
pub fn before_turning(crop: Crop, (width, height): (u32, u32), turns: u8) -> Crop {
    let Crop { left, top, width: w, height: h } = crop;
    match turns % 4 {
        1 => Crop { left: width - top - h, top: left, width: h, height: w },
        2 => Crop { left: width - left - w, top: height - top - h, width: w, height: h },
        3 => Crop { left: top, top: height - left - w, width: h, height: w },
        _ => crop,
    }
}

/// Turns a picture counter-clockwise.
#[must_use]
pub fn turn(picture: Picture, turns: u8) -> Picture {
    match picture.channels.count() {
        1 => turn_pixels::<1>(picture, turns),
        3 => turn_pixels::<3>(picture, turns),
        _ => turn_pixels::<4>(picture, turns),
    }
}

fn turn_pixels<const N: usize>(mut picture: Picture, turns: u8) -> Picture {
    let (pixels, _) = picture.pixels.as_chunks::<N>();
    let (width, height) = (picture.width as usize, picture.height as usize);
    // Each row of the result is a column or a reversed row of the source.
    let pixels: Vec<[u8; N]> = match turns % 4 {
        1 => (0..width).rev().flat_map(|x| (0..height).map(move |y| pixels[y * width + x])).collect(),
        2 => pixels.iter().rev().copied().collect(),
        3 => (0..width).flat_map(|x| (0..height).rev().map(move |y| pixels[y * width + x])).collect(),
        _ => return picture,
    };
    (picture.width, picture.height) = turned_size(picture.size(), turns);
    Picture { pixels: pixels.into_flattened(), ..picture }
}

#[cfg(test)]
mod tests {
    use super::super::Channels;
    use super::*;

    /// A 3x2 picture whose pixels are numbered.
    fn numbered() -> Picture {
        Picture { pixels: vec![1, 2, 3, 4, 5, 6], width: 3, height: 2, channels: Channels::Gray }
    }

    #[test]
    fn a_picture_is_turned_counter_clockwise() {
        let table: [(u8, (u32, u32), [u8; 6]); 4] = [
            (0, (3, 2), [1, 2, 3, 4, 5, 6]),
            (1, (2, 3), [3, 6, 2, 5, 1, 4]),
            (2, (3, 2), [6, 5, 4, 3, 2, 1]),
            (3, (2, 3), [4, 1, 5, 2, 6, 3]),
        ];
        for (turns, size, pixels) in table {
            let turned = turn(numbered(), turns);
            assert_eq!((turned.size(), &turned.pixels[..]), (size, &pixels[..]), "{turns}");
        }
    }

    #[test]
    fn a_rectangle_of_the_turned_picture_is_found_in_the_stored_one() {
        // The pixel that is shown in the second column of the first row.
        for (turns, pixel) in [(0, 2), (1, 6), (2, 5), (3, 1)] {
            let crop = before_turning(Crop { left: 1, top: 0, width: 1, height: 1 }, (3, 2), turns);
            assert_eq!(numbered().pixels[(crop.top * 3 + crop.left) as usize], pixel, "{turns}");
        }
        let wide = Crop { left: 0, top: 1, width: 2, height: 1 };
        let stored = before_turning(wide, (3, 2), 1);
        assert_eq!(stored, Crop { left: 1, top: 0, width: 1, height: 2 });
    }

    /// An EXIF block with one entry.
    fn exif(big_endian: bool, orientation: u16) -> Vec<u8> {
        let two = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let four = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let mark = if big_endian { b"MM\0*" } else { b"II*\0" };
        [&mark[..], &four(8), &two(1), &two(0x0112), &two(3), &four(1), &two(orientation), &[0, 0]].concat()
    }

    #[test]
    fn exif_orientation_gives_the_turns_and_mirroring_is_ignored() {
        for (orientation, turns) in
            [(0, 0), (1, 0), (2, 0), (3, 2), (4, 2), (5, 3), (6, 3), (7, 1), (8, 1), (9, 0)]
        {
            for big_endian in [false, true] {
                assert_eq!(quarter_turns_of_exif(&exif(big_endian, orientation)), turns, "{orientation}");
            }
        }
    }

    #[test]
    fn broken_exif_asks_for_nothing() {
        let whole = exif(true, 6);
        for length in 0..whole.len() - 3 {
            assert_eq!(quarter_turns_of_exif(&whole[..length]), 0, "{length}");
        }
        let far = [b"II*\0".as_slice(), &[0xFF; 4]].concat();
        assert_eq!(quarter_turns_of_exif(&far), 0);
    }
}
