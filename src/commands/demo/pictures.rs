//! A list of layers -> a small landscape, painted in memory and written as JPEG. It replaces sample photos:
//! nothing has to be shipped or licensed, and every run draws the same pictures. Which layers make which
//! picture stands in `scenes`.
//!
//! Coordinates are in picture heights: `y` goes from 0 (top) to 1 (bottom), `x` is 0 in the middle. A scene
//! therefore looks the same at every size, and a square of it is the middle of the wide picture.

use jpeg_encoder::{ColorType, Encoder, EncodingError};

use super::scenes::Scene;

/// Quality of the JPEG files that are written, 1 to 100.
const QUALITY: u8 = 86;

/// Small pictures are painted this many pixels wide at least and then averaged, so that ridges stay smooth.
const PAINTED_WIDTH: u32 = 960;

/// One thing to paint, over what was painted before. Colours are `0xRRGGBB`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layer {
    /// Fills everything: `top` at the upper edge, `low` from `horizon` downwards.
    Sky { top: u32, low: u32, horizon: f32 },
    /// A soft light around a point; `radius` is where it has faded away.
    Glow { x: f32, y: f32, radius: f32, colour: u32 },
    /// Sun or moon.
    Disc { x: f32, y: f32, radius: f32, colour: u32 },
    /// Points of light above `horizon`; `share` of all cells of a fine grid have one.
    Stars { horizon: f32, share: f32 },
    /// Streaks of cloud between two heights; `cover` from 0 (none) to 1 (grey day).
    Clouds { from: f32, to: f32, cover: f32, colour: u32, seed: u32 },
    /// Bands of light that hang from the sky, brightest at their lower edge.
    Aurora { y: f32, colour: u32, seed: u32 },
    /// Hills or mountains: the crest is at a height and wanders so far up and down; `wave` is the number of
    /// hills per picture height; `rough` from 0 (dunes) to 1 (rock). Colour goes from `top` at the crest to
    /// `foot` below, with spots of light and shade as strong as `grain`.
    Ridge { crest: (f32, f32), wave: f32, rough: f32, grain: f32, top: u32, foot: u32, seed: u32 },
    /// Water below `horizon`: what is above, upside down, mixed with `colour`.
    Water { horizon: f32, colour: u32, clear: f32, seed: u32 },
    /// Birch trunks that stand in front.
    Trunks { count: u32, foot: f32, bark: u32, seed: u32 },
    /// Dots that grow towards the viewer, below `horizon`.
    Flowers { horizon: f32, count: u32, colour: u32, seed: u32 },
    /// An iron tower on four legs.
    Tower { x: f32, foot: f32, height: f32, colour: u32 },
    /// A row of houses with some windows lit.
    City { foot: f32, colour: u32, window: u32, seed: u32 },
}

/// Draws `scene` as a JPEG file of exactly `width` × `height` pixels (a side of 0 is taken as 1).
///
/// # Errors
/// What the JPEG encoder says; it cannot fail on a buffer that this function filled itself.
pub(super) fn draw(scene: Scene, width: u16, height: u16) -> Result<Vec<u8>, EncodingError> {
    let (width, height) = (width.max(1), height.max(1));
    let times = (PAINTED_WIDTH / u32::from(width.max(height))).clamp(1, 3);
    let mut canvas = Canvas::new(u32::from(width) * times, u32::from(height) * times);
    for layer in scene.layers() {
        canvas.paint(*layer);
    }
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, QUALITY).encode(&canvas.averaged(times), width, height, ColorType::Rgb)?;
    Ok(jpeg)
}

/// Red, green, blue from 0 to 1; light may exceed 1 until the picture is written.
type Colour = [f32; 3];

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
}

// Pixel counts are far below 2^23, where f32 still tells neighbouring integers apart; negative and too large
// values saturate in `as`, which is what clipping at the edge needs.
#[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
impl Canvas {
    fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self { width, height, pixels: vec![[0.0; 3]; width * height] }
    }

    fn paint(&mut self, layer: Layer) {
        match layer {
            Layer::Sky { top, low, horizon } => {
                let (top, low) = (rgb(top), rgb(low));
                self.each(0.0, 1.0, |_, y, _| mix(top, low, smooth(y / horizon)));
            }
            Layer::Glow { x, y, radius, colour } => {
                let colour = rgb(colour);
                self.each(0.0, 1.0, |px, py, under| {
                    let distance = (px - x).hypot(py - y) / radius;
                    add(under, colour, (1.0 - distance).max(0.0).powi(2))
                });
            }
            Layer::Disc { x, y, radius, colour } => {
                let (colour, pixel) = (rgb(colour), self.pixel());
                self.each(y - radius - pixel, y + radius + pixel, |px, py, under| {
                    let inside = (radius - (px - x).hypot(py - y)) / pixel + 0.5;
                    mix(under, colour, inside)
                });
            }
            Layer::Stars { horizon, share } => {
                let size = 0.008;
                self.each(0.0, horizon, |x, y, under| {
                    let (column, row) = ((x / size).floor(), (y / size).floor());
                    let (a, b, c) = (cell(column, row, 11), cell(column, row, 12), cell(column, row, 13));
                    if a > share {
                        return under;
                    }
                    let away = (x / size - column - 0.3 - 0.4 * b).hypot(y / size - row - 0.3 - 0.4 * c);
                    add(
                        under,
                        [1.0, 0.97, 0.92],
                        (1.0 - 3.5 * away).max(0.0) * (0.3 + c) * (1.0 - y / horizon),
                    )
                });
            }
            Layer::Clouds { from, to, cover, colour, seed } => {
                let colour = rgb(colour);
                self.each(from, to, |x, y, under| {
                    let height = (y - from) / (to - from);
                    let thick = fractal(x * 3.0, y * 11.0, 4, seed) + 0.5 * (cover - 1.0);
                    let fade = (4.0 * height * (1.0 - height)).clamp(0.0, 1.0);
                    mix(under, colour, smooth(thick * 3.0 - 0.5) * fade * (0.35 + 0.65 * cover))
                });
            }
            Layer::Aurora { y, colour, seed } => {
                let colour = rgb(colour);
                self.each(0.0, 1.0, |px, py, under| {
                    let edge = y + 0.16 * (fractal(px * 1.6, 0.0, 3, seed) - 0.5);
                    let above = edge - py;
                    let rays = 0.35 + 0.65 * fractal(px * 22.0, py * 0.8, 2, seed + 1);
                    let light =
                        if above < 0.0 { (1.0 + above * 30.0).max(0.0) } else { (-above * 5.0).exp() };
                    add(under, colour, light * rays)
                });
            }
            Layer::Ridge { crest: (crest, height), wave, rough, grain, top, foot, seed } => {
                let (top, foot, pixel) = (rgb(top), rgb(foot), self.pixel());
                let crests: Vec<f32> = self
                    .columns()
                    .map(|x| crest + height * (0.5 - ridge(x * wave, rough, seed)) * 2.0)
                    .collect();
                self.each_at(crest - height, 1.0, |column, x, y, under| {
                    let below = y - crests[column];
                    if below < -pixel {
                        return under;
                    }
                    let light =
                        1.0 + grain * if rough > 0.75 { rock(x, y, seed) } else { meadow(x, y, seed) };
                    let colour = mix(top, foot, below / (1.0 - crest).max(0.05) * 1.4);
                    mix(under, scale(colour, light), below / pixel + 0.5)
                });
            }
            Layer::Water { horizon, colour, clear, seed } => self.water(horizon, rgb(colour), clear, seed),
            Layer::Trunks { count, foot, bark, seed } => {
                for tree in 0..count {
                    self.trunk(tree, count, foot, rgb(bark), seed);
                }
            }
            Layer::Flowers { horizon, count, colour, seed } => {
                for flower in 0..count {
                    self.flower(flower as f32 / count as f32, horizon, rgb(colour), seed + flower);
                }
            }
            Layer::Tower { x, foot, height, colour } => self.tower(x, foot, height, rgb(colour)),
            Layer::City { foot, colour, window, seed } => self.city(foot, rgb(colour), rgb(window), seed),
        }
    }

    /// The upper part upside down; waves shift it sideways and break it into streaks, more so towards the
    /// viewer.
    fn water(&mut self, horizon: f32, colour: Colour, clear: f32, seed: u32) {
        let (width, height) = (self.width, self.height as f32);
        let first = ((horizon * height) as usize).min(self.height);
        let above = self.pixels[..first * self.width].to_vec();
        if first == 0 {
            return;
        }
        self.each_at(horizon, 1.0, |column, x, y, _| {
            let depth = y - horizon;
            let wave = fractal(x * 7.0 / (0.12 + depth), 9.0 / (0.06 + depth), 2, seed) - 0.5;
            let row = first as f32 - 1.0 - (depth + wave * depth * 0.55) * height * 0.94;
            let row = (row.max(0.0) as usize).min(first - 1);
            let shift = (wave * depth * 0.12 * height) as isize;
            let column = column.saturating_add_signed(shift).min(width - 1);
            let mirrored = above[row * width + column];
            let streak = 1.0 + wave * (0.25 + depth * 0.7);
            scale(mix(colour, mirrored, clear * (1.0 - 0.35 * depth)), streak)
        });
    }

    fn trunk(&mut self, tree: u32, count: u32, foot: f32, bark: Colour, seed: u32) {
        let (a, b) = (cell(tree as f32, 0.0, seed), cell(tree as f32, 1.0, seed));
        let near = tree as f32 / count as f32;
        let middle = (a - 0.5) * 1.7;
        let half = 0.006 + 0.022 * near * (0.6 + 0.4 * b);
        let bottom = foot + 0.16 * near;
        let (lean, pixel) = ((b - 0.5) * 0.08, self.pixel());
        let wanted = scale(bark, 0.35 + 0.65 * near);
        self.each(0.0, bottom, |x, y, under| {
            let across = (x - middle - lean * (bottom - y)) / (half * (1.0 + 0.25 * y));
            let inside = (1.0 - across.abs()) * half / pixel + 0.5;
            if inside <= 0.0 {
                return under;
            }
            let scar = fractal(across * 1.5, y * 46.0, 2, seed + tree) > 0.66;
            let light = (1.0 - 0.45 * (across + 0.35).abs()) * if scar { 0.32 } else { 1.0 };
            mix(under, scale(wanted, light), inside)
        });
    }

    fn flower(&mut self, near: f32, horizon: f32, colour: Colour, seed: u32) {
        let depth = near * near;
        let (x, y) = ((cell(1.0, 1.0, seed) - 0.5) * 2.0, horizon + depth * (1.02 - horizon));
        let radius = 0.0025 + 0.014 * depth * (0.6 + 0.8 * cell(1.0, 2.0, seed));
        let shade = 0.7 + 0.5 * cell(1.0, 3.0, seed);
        let (centre, pixel) = ((x / pixel_of(self.height) + self.width as f32 / 2.0), self.pixel());
        let reach = radius * 1.3 / pixel + 1.0;
        let columns = (centre - reach) as usize..((centre + reach) as usize).min(self.width);
        self.each_in(columns, y - radius, y + radius, |_, px, py, under| {
            let away = ((px - x) / 1.25).hypot((py - y) / 0.85);
            mix(under, scale(colour, shade * (1.15 - 25.0 * (py - y))), (radius - away) / pixel + 0.5)
        });
    }

    fn tower(&mut self, middle: f32, foot: f32, height: f32, colour: Colour) {
        let pixel = self.pixel();
        let width_at = |up: f32| 0.012 * (1.0 - up) + 0.19 * (1.0 - up).powi(4) * height.max(0.1);
        self.each(foot - height, foot, |x, y, under| {
            let up = (foot - y) / height;
            let (half, across) = (width_at(up).max(0.0022) * height * 1.6, (x - middle).abs());
            let leg = (half * 0.36).max(0.0022);
            let floor =
                [0.17, 0.36, 0.9].iter().any(|level| (up - level).abs() < 0.012) && across < half * 1.12;
            let arch = up < 0.15 && across < half * (1.0 - 0.36) && up < 0.135 - 2.4 * across * across;
            let solid = up > 0.52 || across > half - leg || (up > 0.15 && up < 0.165);
            let lattice = !solid
                && ((y * 90.0 + across * 130.0).fract() < 0.3
                    || (y * 90.0 - across * 130.0).rem_euclid(1.0) < 0.3);
            let inside = if floor {
                1.0
            } else if arch || !(solid || lattice) {
                0.0
            } else {
                (half - across) / pixel + 0.5
            };
            mix(under, scale(colour, 1.0 + 0.5 * (x - middle) / half.max(0.01) * 0.4), inside)
        });
    }

    fn city(&mut self, foot: f32, colour: Colour, window: Colour, seed: u32) {
        let house = |x: f32| {
            let number = (x * 9.0 + 0.4 * (x * 23.0).sin()).floor();
            (number, 0.05 + 0.10 * cell(number, 0.0, seed))
        };
        let pixel = self.pixel();
        self.each(foot - 0.17, foot, |x, y, under| {
            let (number, height) = house(x);
            let roof = height
                + 0.012 * cell(number, 3.0, seed) * (1.0 - ((x * 9.0).fract().abs() - 0.5).abs() * 2.0);
            let inside = (roof - (foot - y)) / pixel + 0.5;
            let (column, row) = ((x * 95.0).floor(), ((foot - y) * 62.0).floor());
            let (u, v) = ((x * 95.0) - column, ((foot - y) * 62.0) - row);
            let pane = u > 0.3 && u < 0.75 && v > 0.25 && v < 0.75 && foot - y < height - 0.012;
            let lit = pane && cell(column, row, seed + 5) > 0.6;
            let wall = scale(colour, 0.75 + 0.5 * cell(number, 9.0, seed));
            mix(
                under,
                if lit { scale(window, 0.6 + 0.6 * cell(column, row, seed + 6)) } else { wall },
                inside,
            )
        });
    }

    /// One pixel, in picture heights.
    fn pixel(&self) -> f32 {
        pixel_of(self.height)
    }

    fn columns(&self) -> impl Iterator<Item = f32> + use<> {
        let (half, pixel) = (self.width as f32 / 2.0, self.pixel());
        (0..self.width).map(move |column| (column as f32 + 0.5 - half) * pixel)
    }

    /// Repaints the rows between two heights; `paint` gets x, y and what is there.
    fn each(&mut self, from: f32, to: f32, paint: impl Fn(f32, f32, Colour) -> Colour) {
        self.each_at(from, to, |_, x, y, under| paint(x, y, under));
    }

    /// Like `each`; `paint` also gets the column's number.
    fn each_at(&mut self, from: f32, to: f32, paint: impl Fn(usize, f32, f32, Colour) -> Colour) {
        self.each_in(0..self.width, from, to, paint);
    }

    fn each_in(
        &mut self,
        columns: std::ops::Range<usize>,
        from: f32,
        to: f32,
        paint: impl Fn(usize, f32, f32, Colour) -> Colour,
    ) {
        let (half, pixel) = (self.width as f32 / 2.0, self.pixel());
        let rows =
            ((from / pixel) as usize).min(self.height)..((to / pixel).ceil() as usize).min(self.height);
        for row in rows {
            let y = (row as f32 + 0.5) * pixel;
            let line = &mut self.pixels[row * self.width..(row + 1) * self.width];
            for column in columns.clone() {
                let x = (column as f32 + 0.5 - half) * pixel;
                line[column] = paint(column, x, y, line[column]);
            }
        }
    }

    /// Red, green and blue bytes of the picture, every `times` × `times` pixels made one.
    fn averaged(&self, times: u32) -> Vec<u8> {
        let times = times as usize;
        let share = 1.0 / (times * times) as f32;
        let mut bytes = Vec::with_capacity(self.pixels.len() / (times * times) * 3);
        for row in 0..self.height / times {
            for column in 0..self.width / times {
                let mut sum = [0.0; 3];
                for line in row * times..(row + 1) * times {
                    for pixel in &self.pixels[line * self.width + column * times..][..times] {
                        sum = add(sum, *pixel, share);
                    }
                }
                bytes.extend(sum.map(|part| (part.clamp(0.0, 1.0) * 255.0 + 0.5) as u8));
            }
        }
        bytes
    }
}

#[allow(clippy::cast_precision_loss)]
fn pixel_of(height: usize) -> f32 {
    1.0 / height as f32
}

fn rgb(hex: u32) -> Colour {
    [hex >> 16, hex >> 8, hex].map(|part| f32::from((part & 0xff) as u8) / 255.0)
}

/// `a` at 0, `b` at 1, nothing beyond.
fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|part| a[part] + (b[part] - a[part]) * share)
}

fn add(a: Colour, b: Colour, times: f32) -> Colour {
    [0, 1, 2].map(|part| a[part] + b[part] * times)
}

fn scale(colour: Colour, times: f32) -> Colour {
    colour.map(|part| part * times)
}

fn smooth(share: f32) -> f32 {
    let share = share.clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// A number from 0 to 1 that looks random but is always the same for this place.
fn cell(x: f32, y: f32, seed: u32) -> f32 {
    let mut bits = (x as i32).cast_unsigned().wrapping_mul(0x9e37_79b1)
        ^ (y as i32).cast_unsigned().wrapping_mul(0x85eb_ca77)
        ^ seed.wrapping_mul(0xc2b2_ae3d);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2c1b_3c6d);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297a_2d39);
    f32::from(((bits ^ (bits >> 15)) >> 16) as u16) / f32::from(u16::MAX)
}

/// Random values on a grid with smooth slopes between them, 0 to 1.
fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (right, down) = (smooth(x - left), smooth(y - top));
    let corner = |dx: f32, dy: f32| cell(left + dx, top + dy, seed);
    let upper = corner(0.0, 0.0) + (corner(1.0, 0.0) - corner(0.0, 0.0)) * right;
    let lower = corner(0.0, 1.0) + (corner(1.0, 1.0) - corner(0.0, 1.0)) * right;
    upper + (lower - upper) * down
}

/// Several noises on top of each other, each twice as fine and half as strong; 0 to 1.
fn fractal(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut total, mut fine) = (0.0, 1.0, 0.0, 1.0);
    for octave in 0..octaves {
        sum += weight * noise(x * fine, y * fine, seed.wrapping_add(octave * 101));
        total += weight;
        (weight, fine) = (weight * 0.5, fine * 2.0);
    }
    sum / total
}

/// Slopes lit from the left, -1 to 1: the difference of two heights side by side.
fn rock(x: f32, y: f32, seed: u32) -> f32 {
    let height = |x: f32, y: f32| 1.0 - (2.0 * fractal(x * 9.0, y * 7.0, 4, seed + 7) - 1.0).abs();
    ((height(x + 0.006, y + 0.003) - height(x, y)) * 9.0).clamp(-1.0, 1.0)
}

/// Spots of grass or leaves, finer with the distance, -1 to 1.
fn meadow(x: f32, y: f32, seed: u32) -> f32 {
    2.0 * fractal(x * 60.0, y * 90.0, 2, seed + 7) - 1.0
}

/// The outline of hills: smooth when `rough` is 0, with sharp peaks when it is 1; 0 to 1.
fn ridge(x: f32, rough: f32, seed: u32) -> f32 {
    let soft = fractal(x, 0.5, 2, seed);
    let sharp = 1.0 - (2.0 * fractal(x, 0.5, 6, seed + 31) - 1.0).abs() * 1.6;
    soft + (sharp - soft) * rough
}

#[cfg(test)]
mod tests {
    use super::super::scenes::Scene;
    use super::*;

    /// Width and height as the file itself says: the frame header (SOF0 or SOF2) of a JPEG.
    fn size(jpeg: &[u8]) -> Option<(u16, u16)> {
        let mut at = 2;
        while let [0xff, marker, high, low, ..] = *jpeg.get(at..)? {
            if matches!(marker, 0xc0 | 0xc2) {
                let word = |from: usize| u16::from_be_bytes([jpeg[at + from], jpeg[at + from + 1]]);
                return Some((word(7), word(5)));
            }
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
        }
        None
    }

    #[test]
    fn a_picture_is_a_jpeg_of_exactly_the_size_asked_for() {
        for (width, height) in [(144, 96), (120, 120), (96, 144), (301, 7), (1, 1)] {
            let jpeg = draw(Scene::Lake, width, height).unwrap();
            assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
            assert_eq!(size(&jpeg), Some((width, height)));
        }
        assert!(!draw(Scene::Lake, 0, 0).unwrap().is_empty());
    }

    #[test]
    fn a_scene_is_always_drawn_the_same_and_no_two_scenes_alike() {
        let mut seen = std::collections::HashSet::new();
        for scene in Scene::ALL {
            let jpeg = draw(scene, 96, 64).unwrap();
            assert_eq!(jpeg, draw(scene, 96, 64).unwrap(), "{scene:?}");
            assert!(seen.insert(jpeg), "{scene:?} looks like another scene");
        }
    }
}
