//! Files made to cost much or to confuse: each is refused in time, before anything large is allocated.

use std::time::Instant;

use piwigo_gate::derivative::picture::encode::encode;
use piwigo_gate::derivative::picture::format::Format;
use piwigo_gate::derivative::picture::limits::{PictureError, PictureLimits};
use piwigo_gate::derivative::picture::opened::Opened;
use piwigo_gate::derivative::picture::{Channels, Picture};
use piwigo_gate::derivative::render::{RenderOptions, render};
use piwigo_gate::piwigo::sizes::definition::{DerivativeParams, Watermark};
use piwigo_gate::piwigo::sizes::geometry::SizingParams;
use piwigo_gate::piwigo::sizes::name::Kind;

use crate::support::patience::PATIENCE;

const PARAMS: DerivativeParams = DerivativeParams {
    kind: Kind::Thumb,
    last_mod_time: 0,
    sizing: SizingParams { ideal_size: (144, 144), max_crop: 0.0, min_size: (0, 0) },
    sharpen: 0,
};

fn order(extension: &str) -> RenderOptions<'_> {
    RenderOptions { keep_animation: true, ..RenderOptions::plain(&PARAMS, extension) }
}

/// Renders, and fails the test if that takes too long.
fn quickly(file: &[u8], order: &RenderOptions<'_>) -> Result<Vec<u8>, PictureError> {
    let start = Instant::now();
    let result = render(file, order);
    let taken = start.elapsed();
    assert!(taken < PATIENCE, "{taken:?} for {result:?}");
    result
}

fn picture(width: u32, height: u32) -> Picture {
    let pixels = (0..width * height * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    Picture { pixels, width, height, channels: Channels::Rgb }
}

fn file(format: Format) -> Vec<u8> {
    encode(picture(200, 150), None, format, 90).unwrap()
}

fn find(file: &[u8], bytes: &[u8]) -> usize {
    file.windows(bytes.len()).position(|window| window == bytes).unwrap()
}

/// A file whose header claims other dimensions than it has.
fn claiming(format: Format, width: u16, height: u16) -> Vec<u8> {
    let mut file = file(format);
    let (at, wide) = match format {
        // Height first, after length and precision.
        Format::Jpeg => {
            (find(&file, &[0xFF, 0xC2]) + 5, [height.to_be_bytes(), width.to_be_bytes()].concat())
        }
        Format::Png => (16, [[0, 0], width.to_be_bytes(), [0, 0], height.to_be_bytes()].concat()),
        Format::Gif => (6, [width.to_le_bytes(), height.to_le_bytes()].concat()),
        Format::WebP => {
            // 14 bits each.
            let at = find(&file, &[0x9D, 0x01, 0x2A]) + 3;
            (at, [(width & 0x3FFF).to_le_bytes(), (height & 0x3FFF).to_le_bytes()].concat())
        }
    };
    file[at..at + wide.len()].copy_from_slice(&wide);
    if format == Format::Png {
        let crc = png_crc(&file[12..29]);
        file[29..33].copy_from_slice(&crc.to_be_bytes());
    }
    file
}

fn png_crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

/// A PNG with one more chunk behind its header.
fn png_with(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let file = file(Format::Png);
    let named = [&name, data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [&file[..33], &length, &named, &png_crc(&named).to_be_bytes(), &file[33..]].concat()
}

/// `length` zeros as zlib stores them, compressed a thousandfold: runs of one repeated code.
fn zlib_zeros(length: usize) -> Vec<u8> {
    // A PNG encoder is the compressor: one row of zeros without a filter byte's choice.
    let row = Picture { pixels: vec![0; length], width: length as u32, height: 1, channels: Channels::Gray };
    let png = encode(row, None, Format::Png, 0).unwrap();
    let mut data = Vec::new();
    let mut rest = &png[8..];
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        if &head[4..] == b"IDAT" {
            data.extend_from_slice(&tail[..length]);
        }
        rest = &tail[length + 4..];
    }
    data
}

#[test]
fn what_is_no_picture_is_unknown() {
    for file in
        [&b""[..], b"\xFF\xD8", b"GIF", b"<svg/>", b"RIFF\0\0\0\0WAVE", b"<?php", b"%PDF-1.7", &[0; 100]]
    {
        assert_eq!(quickly(file, &order("jpg")), Err(PictureError::UnknownFormat), "{file:?}");
    }
}

#[test]
fn dimensions_beyond_the_limits_are_refused_by_the_header() {
    for format in [Format::Jpeg, Format::Png, Format::Gif] {
        let result = quickly(&claiming(format, 50_000, 50_000), &order("jpg"));
        assert!(matches!(result, Err(PictureError::TooLarge(_))), "{format:?} {result:?}");
    }
    let limits = PictureLimits { pixels: 29_999, ..PictureLimits::default() };
    for format in [Format::Jpeg, Format::Png, Format::Gif, Format::WebP] {
        let result = quickly(&file(format), &RenderOptions { limits, ..order("jpg") });
        assert!(matches!(result, Err(PictureError::TooLarge(_))), "{format:?} {result:?}");
        let limits = PictureLimits { pixels: 30_000, ..PictureLimits::default() };
        assert!(quickly(&file(format), &RenderOptions { limits, ..order("jpg") }).is_ok(), "{format:?}");
        let limits = PictureLimits { decoded_bytes: 20_000, ..PictureLimits::default() };
        let result = quickly(&file(format), &RenderOptions { limits, ..order("jpg") });
        assert!(
            matches!(result, Err(PictureError::TooLarge(_) | PictureError::Broken(_))),
            "{format:?} {result:?}"
        );
    }
}

#[test]
fn dimensions_that_the_file_cannot_fill_are_refused() {
    for (format, width, height) in [
        (Format::Jpeg, 14_000, 14_000),
        (Format::Jpeg, 0, 100),
        (Format::Png, 14_000, 14_000),
        (Format::Png, 0, 100),
        (Format::Gif, 0, 0),
        (Format::WebP, 14_000, 14_000),
    ] {
        let start = Instant::now();
        let result = render(&claiming(format, width, height), &order("jpg"));
        assert!(result.is_err(), "{format:?} {width}x{height}");
        assert!(start.elapsed() < PATIENCE, "{format:?} {:?}", start.elapsed());
    }
}

#[test]
fn a_png_or_webp_that_ends_too_early_is_refused() {
    for format in [Format::Png, Format::WebP] {
        let whole = file(format);
        for length in [whole.len() / 20, whole.len() / 2, whole.len() * 9 / 10, whole.len() - 40] {
            let result = quickly(&whole[..length], &order("jpg"));
            let refused = matches!(result, Err(PictureError::Broken(_) | PictureError::UnknownFormat));
            assert!(refused, "{format:?} {length} {result:?}");
        }
    }
}

#[test]
fn a_jpeg_or_gif_of_which_nothing_is_there_is_refused() {
    for format in [Format::Jpeg, Format::Gif] {
        let whole = file(format);
        for length in [4, 20, 200] {
            let result = quickly(&whole[..length], &order("jpg"));
            assert!(
                matches!(result, Err(PictureError::Broken(_) | PictureError::UnknownFormat)),
                "{format:?} {length} {result:?}"
            );
        }
    }
    // Large, with hardly any data, and a restart marker expected behind each block.
    let mut baseline = include_bytes!("../derivatives/sources/08_gray_2000x1500.jpg").to_vec();
    let (frame, scan) = (find(&baseline, &[0xFF, 0xC0]), find(&baseline, &[0xFF, 0xDA]));
    baseline[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    let bomb = [&baseline[..scan], b"\xFF\xDD\0\x04\0\x01", &baseline[scan..scan + 60]].concat();
    assert!(quickly(&bomb, &order("jpg")).is_err());
}

#[test]
fn a_jpeg_of_280_megapixels_is_decoded_smaller() {
    let mut file = include_bytes!("../derivatives/sources/08_gray_2000x1500.jpg").to_vec();
    let frame = find(&file, &[0xFF, 0xC0]);
    let sides = [14_000u16.to_be_bytes(), 20_000u16.to_be_bytes()].concat();
    file[frame + 5..frame + 9].copy_from_slice(&sides);
    file.resize(600_000, 0);
    let limits = PictureLimits { decoded_bytes: 64 << 20, ..PictureLimits::default() };
    let made = quickly(&file, &RenderOptions { limits, ..order("jpg") }).unwrap();
    assert_eq!(Opened::open(&made, &PictureLimits::default()).unwrap().size(), (144, 100));
}

#[test]
fn bytes_behind_the_end_do_no_harm() {
    for format in [Format::Jpeg, Format::Png, Format::Gif] {
        let padded = [file(format), vec![0xAB; 5000]].concat();
        assert!(quickly(&padded, &order("jpg")).is_ok(), "{format:?}");
    }
}

#[test]
fn a_jpeg_of_a_thousand_scans_is_refused() {
    let whole = file(Format::Jpeg);
    let scan = find(&whole, &[0xFF, 0xDA]);
    let end = whole.len() - 2;
    let last = whole[..end].windows(2).rposition(|window| window == [0xFF, 0xDA]).unwrap();
    let bomb = [&whole[..scan], &whole[last..end].repeat(1000), &whole[scan..]].concat();
    assert!(matches!(quickly(&bomb, &order("jpg")), Err(PictureError::TooLarge(_))));
    // Baseline: as often as there are components.
    let whole = include_bytes!("../derivatives/sources/08_gray_2000x1500.jpg");
    let (scan, end) = (find(whole, &[0xFF, 0xDA]), whole.len() - 2);
    for (scans, is_refused) in [(4, false), (5, true)] {
        let repeated = [&whole[..scan], &whole[scan..end].repeat(scans), &whole[end..]].concat();
        assert_eq!(quickly(&repeated, &order("jpg")).is_err(), is_refused, "{scans}");
    }
}

#[test]
fn compressed_text_and_profiles_that_grow_without_end_are_not_unpacked() {
    let zeros = zlib_zeros(100_000_000);
    assert!(zeros.len() < 500_000, "{}", zeros.len());
    let text = png_with(*b"zTXt", &[b"Comment\0\0", &zeros[..]].concat());
    assert!(quickly(&text, &order("png")).is_ok(), "text is not read");
    let profile = png_with(*b"iCCP", &[b"icc\0\0", &zeros[..]].concat());
    let made = quickly(&profile, &RenderOptions { strip_below: 0, ..order("png") });
    assert!(made.as_ref().is_ok_and(|file| file.len() < 100_000) || made.is_err());
}

#[test]
fn a_gif_of_many_frames_is_cut_off_by_the_limit() {
    // A canvas of 500 x 500, and 10000 frames of one pixel.
    let frame = b"\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    let head = b"GIF89a\xF4\x01\xF4\x01\x80\0\0\0\0\0\xFF\xFF\xFF";
    let bomb = [&head[..], &frame.repeat(10_000), b";"].concat();
    let limits = PictureLimits { pixels: 600_000, ..PictureLimits::default() };
    let result = quickly(&bomb, &RenderOptions { limits, ..order("gif") });
    assert!(matches!(result, Err(PictureError::TooLarge(_))), "{result:?}");
    let small = [&b"GIF89a\x0A\0\x0A\0\x80\0\0\0\0\0\xFF\xFF\xFF"[..], &frame.repeat(3), b";"].concat();
    assert!(quickly(&small, &order("gif")).is_ok());
    assert!(quickly(b"GIF89a\x0A\0\x0A\0\x80\0\0\0\0\0\xFF\xFF\xFF;", &order("gif")).is_err(), "no frame");
}

#[test]
fn a_gifs_frame_beyond_its_canvas_is_within_the_limits_too() {
    // A canvas of one pixel, and a frame of 20000 x 10000: 800 MB of RGBA, said in a few bytes.
    let frame = b"\x2C\0\0\0\0\x20\x4E\x10\x27\0\x02\x02\x44\x01\0";
    let bomb = [&b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF"[..], frame, b";"].concat();
    for keep_animation in [false, true] {
        let limits = PictureLimits { decoded_bytes: 192 << 20, ..PictureLimits::default() };
        let result = quickly(&bomb, &RenderOptions { keep_animation, limits, ..order("gif") });
        assert!(matches!(result, Err(PictureError::TooLarge(_))), "{result:?}");
    }
}

#[test]
fn a_gifs_frames_are_kept_or_the_first_is_taken() {
    let frame = |x: u8| {
        [b"\x21\xF9\x04\x04\x07\0\0\0\x2C", &[x, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0][..]].concat()
    };
    let head = b"GIF89a\x0A\0\x0A\0\x80\0\0\0\0\0\xFF\xFF\xFF";
    let gif = [&head[..], &frame(0), &frame(1), &frame(250), b";"].concat();
    let frames = |file: &[u8]| file.windows(4).filter(|window| *window == b"\x21\xF9\x04\x09").count();
    let kept = quickly(&gif, &order("gif")).unwrap();
    let first = quickly(&gif, &RenderOptions { keep_animation: false, ..order("gif") }).unwrap();
    assert_eq!((frames(&kept), frames(&first)), (3, 1));
}

#[test]
fn a_watermark_that_is_no_picture_is_told_apart() {
    let watermark = Watermark { file: b"wm.png".to_vec(), min_size: (1, 1), ..Watermark::default() };
    let order = RenderOptions { watermark: Some((&watermark, b"no picture")), ..order("jpg") };
    assert!(matches!(quickly(&file(Format::Png), &order), Err(PictureError::Watermark(_))));
}

#[test]
fn damaged_files_never_panic() {
    for format in [Format::Jpeg, Format::Png, Format::Gif, Format::WebP] {
        let whole = encode(picture(40, 30), None, format, 80).unwrap();
        let mut seed = 1u32;
        for round in 0..100 {
            let mut damaged = whole.clone();
            for _ in 0..=round % 4 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = seed as usize % damaged.len();
                damaged[at] = (seed >> 16) as u8;
            }
            let _ = render(
                &damaged,
                &RenderOptions {
                    limits: PictureLimits { pixels: 1_000_000, ..PictureLimits::default() },
                    ..order("gif")
                },
            );
        }
    }
}

#[test]
fn ink_without_adobes_mark_is_not_inverted() {
    let ink =
        Picture { pixels: [250, 10, 20, 5].repeat(64 * 64), width: 64, height: 64, channels: Channels::Cmyk };
    let adobe = encode(ink, None, Format::Jpeg, 95).unwrap();
    let color = |file: &[u8]| {
        let out = quickly(file, &order("png")).unwrap();
        let picture = Opened::open(&out, &PictureLimits::default()).unwrap().decode(1).unwrap().picture;
        (picture.channels, [picture.pixels[0], picture.pixels[1], picture.pixels[2]])
    };
    let segment = find(&adobe, b"\xFF\xEE\x00\x0EAdobe");
    let plain = [&adobe[..segment], &adobe[segment + 16..]].concat();
    // The same bytes are the opposite ink: little cyan, much of the rest.
    for (file, expected) in [(&adobe, [5, 240, 230]), (&plain, [5, 0, 0])] {
        let (channels, color) = color(file);
        let near = color.iter().zip(expected).all(|(&a, b): (&u8, u8)| a.abs_diff(b) < 4);
        assert!(channels == Channels::Rgb && near, "{color:?} {expected:?}");
    }
}
