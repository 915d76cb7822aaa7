//! Measures how long a derivative of a 12-megapixel photo takes, and how much memory: with the gate, with
//! `vipsthumbnail`, and with PHP's GD and Imagick called as Piwigo calls them, in one run. The output names
//! programs that are not installed.
//!
//! `cargo bench --bench pictures [-- FILE...]`; without files the benchmark draws photos. The time of a
//! process runs from its start to its end and includes writing the file; "in process" is `render` alone. The
//! last rows start from a larger derivative, as the gate does if there is one.

#![allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use piwigo_gate::derivative::render::{RenderOptions, render};
use piwigo_gate::piwigo::sizes::definition::DerivativeParams;
use piwigo_gate::piwigo::sizes::geometry::SizingParams;
use piwigo_gate::piwigo::sizes::name::Kind;

const ROUNDS: usize = 9;
const SIZES: [(&str, u32, u32); 3] = [("thumb", 144, 144), ("medium", 792, 594), ("xlarge", 1224, 918)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [one, file, width, height, out] = &arguments[..]
        && one == "--one"
    {
        let made = make(&std::fs::read(file).expect(file), width.parse().unwrap(), height.parse().unwrap());
        std::fs::write(out, made).expect(out);
        println!("{}", peak_memory());
        return;
    }
    let dir = std::env::temp_dir().join(format!("pictures-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let files =
        if arguments.is_empty() { draw_photos(&dir) } else { arguments.iter().map(PathBuf::from).collect() };
    for file in &files {
        measure(file, &dir);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

fn measure(file: &Path, dir: &Path) {
    let bytes = std::fs::read(file).unwrap();
    println!(
        "\n{} ({:.1} MB), medians of {ROUNDS} in ms",
        file.file_name().unwrap().display(),
        bytes.len() as f64 / 1e6
    );
    println!(
        "{:8} {:>10} {:>10} {:>8} {:>12} {:>6} {:>8} {:>8} {:>9} {:>6}",
        "size",
        "in process",
        "process",
        "peak MB",
        "vips process",
        "ratio",
        "GD",
        "ratio",
        "Imagick",
        "ratio"
    );
    for (name, width, height) in SIZES {
        let inside = median(|| {
            make(&bytes, width, height);
        });
        let out = dir.join("out.jpg");
        let mut peak = String::new();
        let process = median(|| peak = one_process(file, width, height, &out));
        let box_size = format!("{width}x{height}>");
        let vips = installed("vipsthumbnail").then(|| {
            median(|| {
                run(Command::new("vipsthumbnail")
                    .arg(file)
                    .args(["-s", &box_size, "-o"])
                    .arg(dir.join("v.jpg[Q=95,interlace]")));
            })
        });
        let gd = php(file, dir, width, height, GD);
        let imagick = php(file, dir, width, height, IMAGICK);
        let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        let ratio = |value: Option<f64>, ours: f64| {
            value.map_or("-".to_owned(), |value| format!("{:.1}x", value / ours))
        };
        println!(
            "{name:8} {inside:10.1} {process:10.1} {peak:>8} {:>12} {:>6} {:>8} {:>8} {:>9} {:>6}",
            figure(vips),
            ratio(vips, process),
            figure(gd),
            ratio(gd, inside),
            figure(imagick),
            ratio(imagick, inside)
        );
    }
    from_larger(&bytes);
}

/// Prints the milliseconds for the two smallest sizes, made from the derivative `xlarge`.
fn from_larger(source: &[u8]) {
    let (_, width, height) = SIZES[2];
    let larger = make(source, width, height);
    for (name, sizing) in
        [("square", SizingParams::square(120)), ("thumb", SizingParams::classic(SIZES[0].1, SIZES[0].2))]
    {
        let taken = median(|| {
            render_as(&larger, sizing);
        });
        println!("{name:8} {taken:10.1}    from xlarge ({:.1} MB)", larger.len() as f64 / 1e6);
    }
}

fn make(file: &[u8], width: u32, height: u32) -> Vec<u8> {
    render_as(file, SizingParams::classic(width, height))
}

fn render_as(file: &[u8], sizing: SizingParams) -> Vec<u8> {
    let params = DerivativeParams { kind: Kind::Medium, last_mod_time: 0, sizing, sharpen: 0 };
    render(file, &RenderOptions::plain(&params, "jpg")).unwrap()
}

/// Runs this program for one picture; returns its peak memory in MB.
fn one_process(file: &Path, width: u32, height: u32, out: &Path) -> String {
    let this = std::env::current_exe().unwrap();
    let sides = [width.to_string(), height.to_string()];
    let output = Command::new(this).arg("--one").arg(file).args(sides).arg(out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kilobytes.map_or("-".to_owned(), |kilobytes| format!("{:.0}", kilobytes / 1000.0))
}

fn median(mut work: impl FnMut()) -> f64 {
    let mut taken: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    taken.sort();
    taken[ROUNDS / 2].as_secs_f64() * 1e3
}

fn run(command: &mut Command) {
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(), "{command:?}");
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

const GD: &str = "if (!function_exists('imagecreatefromjpeg')) exit('-');
$work = function ($file, $w, $h, $out) {
    $in = imagecreatefromjpeg($file);
    $to = imagecreatetruecolor($w, $h);
    imagecopyresampled($to, $in, 0, 0, 0, 0, $w, $h, imagesx($in), imagesy($in));
    imagejpeg($to, $out, 95);
};";

const IMAGICK: &str = "if (!class_exists('Imagick')) exit('-');
$work = function ($file, $w, $h, $out) {
    $image = new Imagick($file);
    $image->setInterlaceScheme(Imagick::INTERLACE_LINE);
    [$from, $high] = [$image->getImageWidth(), $image->getImageHeight()];
    if ($from % 2 == 0 && $high % 2 == 0 && $from > 3 * $w) $image->scaleImage($from / 2, $high / 2);
    $image->resizeImage($w, $h, Imagick::FILTER_LANCZOS, 0.9);
    $image->setImageCompressionQuality(95);
    $image->writeImage($out);
};";

const TIMED: &str = "$taken = [];
for ($i = 0; $i < 5; $i++) {
    $start = microtime(true);
    $work(getenv('FILE'), (int) getenv('W'), (int) getenv('H'), getenv('OUT'));
    $taken[] = (microtime(true) - $start) * 1000;
}
sort($taken);
echo $taken[2];";

/// Milliseconds that PHP needs, without its start; `None` if the extension is missing.
fn php(file: &Path, dir: &Path, width: u32, height: u32, work: &str) -> Option<f64> {
    let script = dir.join("work.php");
    std::fs::write(&script, format!("<?php\n{work}\n{TIMED}\n")).unwrap();
    let output = Command::new("php-cgi")
        .args(["-q", "-d", "memory_limit=512M"])
        .arg(&script)
        .env("FILE", file)
        .env("OUT", dir.join("php.jpg"))
        .envs([("W", width.to_string()), ("H", height.to_string())])
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

/// Draws three photos of 4000 x 3000 pixels: with halved chroma, with full chroma, and progressive.
fn draw_photos(dir: &Path) -> Vec<PathBuf> {
    let pixels = draw(4000, 3000);
    let kinds = [
        ("photo-420.jpg", 94, SamplingFactor::F_2_2, false),
        ("photo-444.jpg", 93, SamplingFactor::F_1_1, false),
        ("photo-progressive.jpg", 94, SamplingFactor::F_2_2, true),
    ];
    let write = |(name, quality, sampling, is_progressive): (&str, u8, SamplingFactor, bool)| {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, quality);
        encoder.set_sampling_factor(sampling);
        encoder.set_progressive(is_progressive);
        encoder.encode(&pixels, 4000, 3000, ColorType::Rgb).unwrap();
        std::fs::write(dir.join(name), file).unwrap();
        dir.join(name)
    };
    kinds.into_iter().map(write).collect()
}

/// Draws something like a photo: shapes of every size, areas of texture, and grain.
fn draw(width: u32, height: u32) -> Vec<u8> {
    let octaves = [(900.0, 120.0), (300.0, 80.0), (90.0, 60.0), (30.0, 40.0), (9.0, 24.0), (3.5, 18.0)];
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let (fx, fy) = (x as f32, y as f32);
        let shapes = octaves
            .iter()
            .zip(0..)
            .map(|((size, depth), seed)| (noise(fx / size, fy / size, seed) - 0.5) * depth);
        let mut light: f32 = shapes.sum();
        if noise(fx / 140.0, fy / 140.0, 77) > 0.55 {
            light += 40.0 * (noise(fx / 14.0, fy / 6.0, 9) - 0.5);
        }
        light += (dice(x, y, 99) - 0.5) * 16.0;
        let (warm, cold) = (
            (noise(fx / 400.0, fy / 400.0, 21) - 0.5) * 90.0,
            (noise(fx / 120.0, fy / 200.0, 23) - 0.5) * 50.0,
        );
        for value in [120.0 + light + warm, 118.0 + light + cold * 0.3, 110.0 + light - warm + cold] {
            pixels.push(value.clamp(0.0, 255.0) as u8);
        }
    }
    pixels
}

fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - left), smooth(y - top));
    let at = |dx, dy| dice(left as u32 + dx, top as u32 + dy, seed);
    (at(0, 0) * (1.0 - u) + at(1, 0) * u) * (1.0 - v) + (at(0, 1) * (1.0 - u) + at(1, 1) * u) * v
}

/// A number from 0 to 1 that depends only on the arguments.
fn dice(x: u32, y: u32, seed: u32) -> f32 {
    let mixed = x.wrapping_mul(374_761_393) ^ y.wrapping_mul(668_265_263) ^ seed.wrapping_mul(2_246_822_519);
    let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(1_274_126_177);
    ((mixed ^ (mixed >> 16)) & 0xFFFF) as f32 / 65535.0
}
