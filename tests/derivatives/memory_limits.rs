//! A gate that may have little memory (`ulimit -v`, `ulimit -d`), and pictures that would need more: the gate
//! goes on, and these pictures are left to Piwigo. An allocation beyond such a limit ends a process.

#![allow(clippy::expect_used, clippy::doc_markdown)]

use std::time::{Duration, SystemTime};

use crate::support::gate::{self, Gate};
use crate::support::http;
use crate::support::nginx::{self, Nginx};
use crate::support::php::PhpFcgi;
use crate::support::pictures;
use crate::support::scene::Scene;
use piwigo_gate::derivative::picture::encode::encode;
use piwigo_gate::derivative::picture::format::Format;
use piwigo_gate::derivative::picture::{Channels, Picture};

/// 63 megapixels.
const SIDES: (u16, u16) = (9000, 7000);

fn find(file: &[u8], bytes: &[u8]) -> usize {
    file.windows(bytes.len()).position(|window| window == bytes).expect("it is there")
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

/// A small picture whose header says that it has 63 megapixels, with enough bytes behind it to be believed.
fn claiming(format: Format, channels: Channels) -> Vec<u8> {
    let pixels =
        (0..200 * 150 * channels.count() as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
    let picture = Picture { pixels: pixels.collect(), width: 200, height: 150, channels };
    let mut file = encode(picture, None, format, 90).expect("a picture");
    let (width, height) = SIDES;
    let (at, sides) = match format {
        Format::Jpeg => {
            (find(&file, &[0xFF, 0xC2]) + 5, [height.to_be_bytes(), width.to_be_bytes()].concat())
        }
        Format::Png => (16, [[0, 0], width.to_be_bytes(), [0, 0], height.to_be_bytes()].concat()),
        Format::Gif => (6, [width.to_le_bytes(), height.to_le_bytes()].concat()),
        Format::WebP => {
            (find(&file, &[0x9D, 0x01, 0x2A]) + 3, [width.to_le_bytes(), height.to_le_bytes()].concat())
        }
    };
    file[at..at + sides.len()].copy_from_slice(&sides);
    if format == Format::Png {
        let crc = crc(&file[12..29]);
        file[29..33].copy_from_slice(&crc.to_be_bytes());
    }
    [file, vec![0; 200_000]].concat()
}

#[test]
fn a_picture_that_needs_more_memory_than_there_is_is_left_to_piwigo() {
    for limit in ["-v 400000", "-d 150000"] {
        let scene = Scene::start();
        let _php = PhpFcgi::start(&scene.sandbox);
        let public = scene
            .world
            .images
            .iter()
            .filter(|image| image.is_picture() && scene.world.verdict(2, image.id).0);
        let [image, other] = public.take(2).collect::<Vec<_>>()[..] else { panic!("two public pictures") };
        pictures::write_original(&scene.sandbox, other);
        gate::limit(&scene.sandbox, limit);
        let gate = Gate::start(&scene.sandbox, &["--derivative-jobs", "2"], &[]);
        let nginx = Nginx::start_gallery(&scene.sandbox, nginx::ACCEL);
        let get = |path: &str| http::get(nginx.address(), http::url(path));
        let table = [
            (Format::Jpeg, Channels::Rgb),
            (Format::Jpeg, Channels::Gray),
            (Format::Png, Channels::Rgb),
            (Format::Png, Channels::Rgba),
            (Format::Gif, Channels::Rgb),
            (Format::WebP, Channels::Rgb),
        ];
        for (number, (format, channels)) in table.into_iter().enumerate() {
            let source = pictures::write(&scene.sandbox, image.original(), &claiming(format, channels));
            pictures::date(&source, SystemTime::now() - Duration::from_secs(1000 - number as u64));
            for token in ["2s", "xs", "sq"] {
                let answer = get(&image.derivative(token).expect("a picture"));
                let by_piwigo = answer.text().starts_with("made by i.php: ");
                assert!(
                    by_piwigo,
                    "{limit} {format:?} {channels:?} {token}: {} {}",
                    answer.status,
                    gate.log_text()
                );
            }
        }
        assert!(gate.log_text().contains("not enough memory"), "{limit}: {}", gate.log_text());
        // The same process goes on.
        let made = get(&other.derivative("2s").expect("a picture"));
        assert!(made.status == 200 && made.body.starts_with(b"\xff\xd8"), "{limit}: {}", gate.log_text());
        assert_eq!(gate.log_text().matches("serving").count(), 1, "{limit}: {}", gate.log_text());
    }
}
