//! The sample pictures as lists of layers: their composition and colours, and nothing else.

// Colours are written as on the web, 0xRRGGBB.
#![allow(clippy::unreadable_literal)]

use super::pictures::Layer::{
    self, Aurora, City, Clouds, Disc, Flowers, Glow, Ridge, Sky, Stars, Tower, Trunks, Water,
};

/// What a sample picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// Blue mountains, mirrored in a lake in the morning.
    Lake,
    /// Birch trunks in front of a green slope; meant for upright pictures.
    Birches,
    /// Red flowers on a meadow.
    Poppies,
    /// Northern lights over snow.
    NorthernLights,
    /// Rolling hills in late summer.
    Orchard,
    /// Snowy mountains, range behind range.
    Peaks,
    /// Sand in the evening.
    Dunes,
    /// The sun over the sea; also the poster of the sample video.
    Sea,
    /// An iron tower before an evening sky.
    IronTower,
    /// A town at night on a river.
    River,
    /// Grey hills in fog.
    Fog,
    /// Autumn hills.
    Autumn,
}

impl Scene {
    /// Every scene once.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 12] = [
        Self::Lake,
        Self::Birches,
        Self::Poppies,
        Self::NorthernLights,
        Self::Orchard,
        Self::Peaks,
        Self::Dunes,
        Self::Sea,
        Self::IronTower,
        Self::River,
        Self::Fog,
        Self::Autumn,
    ];

    /// What to paint, the farthest first.
    pub(super) fn layers(self) -> &'static [Layer] {
        match self {
            Self::Lake => LAKE,
            Self::Birches => BIRCHES,
            Self::Poppies => POPPIES,
            Self::NorthernLights => NORTHERN_LIGHTS,
            Self::Orchard => ORCHARD,
            Self::Peaks => PEAKS,
            Self::Dunes => DUNES,
            Self::Sea => SEA,
            Self::IronTower => IRON_TOWER,
            Self::River => RIVER,
            Self::Fog => FOG,
            Self::Autumn => AUTUMN,
        }
    }
}

const LAKE: &[Layer] = &[
    Sky { top: 0x5b93c9, low: 0xfde3c0, horizon: 0.52 },
    Glow { x: 0.34, y: 0.36, radius: 0.75, colour: 0x664420 },
    Disc { x: 0.34, y: 0.36, radius: 0.035, colour: 0xfff6dc },
    Clouds { from: 0.02, to: 0.34, cover: 0.55, colour: 0xfff1e2, seed: 4 },
    Ridge { crest: (0.38, 0.14), wave: 1.6, rough: 0.8, grain: 0.3, top: 0x8aa2c4, foot: 0xc6cbd6, seed: 21 },
    Ridge { crest: (0.46, 0.09), wave: 2.3, rough: 0.6, grain: 0.3, top: 0x4f6f96, foot: 0x8ca3b8, seed: 8 },
    Ridge { crest: (0.53, 0.05), wave: 3.4, rough: 0.3, grain: 0.3, top: 0x2d4d55, foot: 0x446a62, seed: 33 },
    Water { horizon: 0.58, colour: 0x2c5a78, clear: 0.82, seed: 2 },
    Ridge { crest: (0.97, 0.05), wave: 1.3, rough: 0.2, grain: 0.3, top: 0x1c2f24, foot: 0x101c16, seed: 5 },
];

const BIRCHES: &[Layer] = &[
    Sky { top: 0xb9d8cf, low: 0xf7f2c9, horizon: 0.6 },
    Glow { x: -0.1, y: 0.22, radius: 0.7, colour: 0x504a1c },
    Ridge { crest: (0.42, 0.10), wave: 4.0, rough: 0.7, grain: 0.3, top: 0x9bb98a, foot: 0xc4d09a, seed: 3 },
    Ridge { crest: (0.60, 0.08), wave: 6.0, rough: 0.7, grain: 0.3, top: 0x6a964f, foot: 0x8dae55, seed: 14 },
    Trunks { count: 15, foot: 0.88, bark: 0xf0ece0, seed: 9 },
    Ridge { crest: (0.86, 0.04), wave: 8.0, rough: 0.6, grain: 0.3, top: 0x5b8a35, foot: 0x2e5420, seed: 40 },
    Flowers { horizon: 0.86, count: 90, colour: 0xfff3a8, seed: 600 },
];

const POPPIES: &[Layer] = &[
    Sky { top: 0x4da3de, low: 0xdff0f5, horizon: 0.5 },
    Clouds { from: 0.0, to: 0.42, cover: 0.7, colour: 0xffffff, seed: 77 },
    Ridge { crest: (0.46, 0.05), wave: 1.6, rough: 0.1, grain: 0.2, top: 0x7fa06c, foot: 0x9db96a, seed: 12 },
    Ridge { crest: (0.54, 0.03), wave: 1.1, rough: 0.1, grain: 0.2, top: 0x8db24a, foot: 0x3d6b23, seed: 6 },
    Flowers { horizon: 0.56, count: 900, colour: 0xd92b1c, seed: 3000 },
];

const NORTHERN_LIGHTS: &[Layer] = &[
    Sky { top: 0x060b22, low: 0x1d3358, horizon: 0.7 },
    Stars { horizon: 0.7, share: 0.05 },
    Aurora { y: 0.50, colour: 0x1fb87a, seed: 5 },
    Aurora { y: 0.36, colour: 0x5a2c8c, seed: 17 },
    Ridge { crest: (0.66, 0.10), wave: 1.7, rough: 0.8, grain: 0.4, top: 0x2c3d5c, foot: 0x4a6480, seed: 25 },
    Ridge { crest: (0.84, 0.04), wave: 1.1, rough: 0.1, grain: 0.4, top: 0x9dbccb, foot: 0x4d6d8b, seed: 2 },
];

const ORCHARD: &[Layer] = &[
    Sky { top: 0x86b7d9, low: 0xfbe6b4, horizon: 0.48 },
    Glow { x: -0.45, y: 0.30, radius: 0.8, colour: 0x5a3c10 },
    Clouds { from: 0.04, to: 0.30, cover: 0.5, colour: 0xfffbf0, seed: 15 },
    Ridge { crest: (0.45, 0.06), wave: 1.2, rough: 0.1, grain: 0.2, top: 0xa9b58a, foot: 0xc9c98c, seed: 51 },
    Ridge { crest: (0.56, 0.07), wave: 1.5, rough: 0.1, grain: 0.2, top: 0xb8a84a, foot: 0xd8c463, seed: 52 },
    Ridge { crest: (0.70, 0.07), wave: 1.0, rough: 0.1, grain: 0.2, top: 0x7d8f3a, foot: 0xa8a844, seed: 53 },
    Ridge { crest: (0.86, 0.05), wave: 1.3, rough: 0.1, grain: 0.2, top: 0x556b25, foot: 0x2f3d16, seed: 54 },
    Flowers { horizon: 0.86, count: 70, colour: 0xf6e9c4, seed: 910 },
];

const PEAKS: &[Layer] = &[
    Sky { top: 0x2b5ca8, low: 0xe8c9cf, horizon: 0.6 },
    Glow { x: -0.35, y: 0.45, radius: 0.7, colour: 0x7a4030 },
    Ridge { crest: (0.36, 0.20), wave: 1.3, rough: 1.0, grain: 0.4, top: 0xf8e4e2, foot: 0xb4acc8, seed: 61 },
    Ridge { crest: (0.50, 0.17), wave: 1.7, rough: 0.9, grain: 0.4, top: 0xdedfee, foot: 0x7f8fb4, seed: 62 },
    Ridge { crest: (0.66, 0.13), wave: 2.2, rough: 0.8, grain: 0.4, top: 0x7588ad, foot: 0x445a86, seed: 63 },
    Ridge { crest: (0.82, 0.09), wave: 3.0, rough: 0.6, grain: 0.4, top: 0x2d3f66, foot: 0x162340, seed: 64 },
];

const DUNES: &[Layer] = &[
    Sky { top: 0x6a5a9c, low: 0xffb877, horizon: 0.5 },
    Disc { x: -0.28, y: 0.36, radius: 0.055, colour: 0xffedc2 },
    Glow { x: -0.28, y: 0.36, radius: 0.6, colour: 0x803a10 },
    Ridge { crest: (0.50, 0.05), wave: 0.9, rough: 0.1, grain: 0.1, top: 0xe09a62, foot: 0xc47a4a, seed: 71 },
    Ridge { crest: (0.60, 0.09), wave: 0.8, rough: 0.0, grain: 0.1, top: 0xf0a862, foot: 0x9c5233, seed: 72 },
    Ridge { crest: (0.76, 0.11), wave: 0.7, rough: 0.0, grain: 0.1, top: 0xe28a48, foot: 0x6b3226, seed: 75 },
    Ridge { crest: (0.93, 0.06), wave: 0.6, rough: 0.0, grain: 0.1, top: 0x8a452c, foot: 0x3c1b1c, seed: 74 },
];

const SEA: &[Layer] = &[
    Sky { top: 0x2d4a86, low: 0xffc48a, horizon: 0.52 },
    Glow { x: 0.0, y: 0.42, radius: 0.8, colour: 0x804418 },
    Clouds { from: 0.08, to: 0.44, cover: 0.45, colour: 0xf0a98f, seed: 81 },
    Water { horizon: 0.52, colour: 0x153d63, clear: 0.6, seed: 82 },
    Glow { x: 0.0, y: 0.56, radius: 0.30, colour: 0x805828 },
    Disc { x: 0.0, y: 0.42, radius: 0.05, colour: 0xfff2cf },
];

const IRON_TOWER: &[Layer] = &[
    Sky { top: 0x535f9e, low: 0xffc9a3, horizon: 0.8 },
    Glow { x: 0.3, y: 0.75, radius: 0.8, colour: 0x6a3018 },
    Clouds { from: 0.08, to: 0.62, cover: 0.5, colour: 0xf4b6a8, seed: 91 },
    City { foot: 0.88, colour: 0x705a72, window: 0xffd694, seed: 92 },
    Tower { x: -0.12, foot: 0.90, height: 0.78, colour: 0x3b2f3d },
    Ridge {
        crest: (0.885, 0.02),
        wave: 9.0,
        rough: 0.5,
        grain: 0.3,
        top: 0x2b3a2c,
        foot: 0x1a2a20,
        seed: 93,
    },
];

const RIVER: &[Layer] = &[
    Sky { top: 0x080d24, low: 0x3a3a66, horizon: 0.6 },
    Stars { horizon: 0.5, share: 0.03 },
    Glow { x: 0.42, y: 0.18, radius: 0.4, colour: 0x303850 },
    Disc { x: 0.42, y: 0.18, radius: 0.04, colour: 0xf4f0dc },
    City { foot: 0.57, colour: 0x232745, window: 0xffc860, seed: 101 },
    City { foot: 0.60, colour: 0x14162c, window: 0xffe0a0, seed: 107 },
    Water { horizon: 0.60, colour: 0x0a1430, clear: 0.85, seed: 103 },
];

const FOG: &[Layer] = &[
    Sky { top: 0x9aa5ab, low: 0xd5d9d8, horizon: 0.6 },
    Ridge { crest: (0.42, 0.07), wave: 2.0, rough: 0.5, grain: 0.1, top: 0xb2bcbf, foot: 0xd0d4d3, seed: 11 },
    Ridge { crest: (0.56, 0.08), wave: 2.6, rough: 0.5, grain: 0.1, top: 0x8b9a9e, foot: 0xc4cbca, seed: 12 },
    Ridge { crest: (0.72, 0.08), wave: 3.2, rough: 0.6, grain: 0.1, top: 0x5d7074, foot: 0xa9b4b3, seed: 13 },
    Ridge { crest: (0.90, 0.05), wave: 4.0, rough: 0.7, grain: 0.1, top: 0x334548, foot: 0x4c5f60, seed: 14 },
];

const AUTUMN: &[Layer] = &[
    Sky { top: 0x7da9c9, low: 0xf5e2c4, horizon: 0.5 },
    Clouds { from: 0.02, to: 0.36, cover: 0.6, colour: 0xfff7ea, seed: 41 },
    Ridge { crest: (0.44, 0.08), wave: 1.8, rough: 0.5, grain: 0.5, top: 0x9a7f86, foot: 0xc2a08a, seed: 42 },
    Ridge { crest: (0.58, 0.08), wave: 3.5, rough: 0.7, grain: 0.5, top: 0xb06a32, foot: 0xd08e3c, seed: 43 },
    Ridge { crest: (0.74, 0.07), wave: 5.0, rough: 0.7, grain: 0.5, top: 0x9c3b1e, foot: 0xc96a28, seed: 44 },
    Ridge { crest: (0.90, 0.05), wave: 6.0, rough: 0.7, grain: 0.5, top: 0x5a2a18, foot: 0x341c12, seed: 45 },
    Flowers { horizon: 0.86, count: 120, colour: 0xe0962e, seed: 1260 },
];
