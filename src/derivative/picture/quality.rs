//! How fine a JPEG is: from a file's quantization tables, and into those of a file to be written.
//!
//! By default a derivative is as fine as the picture it is made from, and not finer than the gallery's
//! setting: that is what Piwigo 16 gets from `ImageMagick`, because its `i.php` sets no quality. A number for
//! a file that was written with the tables of the standard (JPEG Annex K) is exact; for other tables it is
//! the one of the same sum.

/// What Piwigo's libraries write where the source is no JPEG.
const OF_OTHERS: u8 = 92;

/// The quality of a WebP where the source does not say.
const OF_WEBP: u8 = 75;

/// Pixels of a result from which on it is written at its source's whole quality.
const SMALL: u32 = 250_000;

/// The tables of the standard for luma and chroma, row by row.
const LUMA: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMA: [u16; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// How fine a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// 1 to 100.
    number: u8,
    /// For a JPEG: half a step less, which the number cannot say.
    half_less: bool,
}

impl Quality {
    /// This quality, 1 to 100.
    pub fn exactly(number: u8) -> Self {
        Quality { number: number.clamp(1, 100), half_less: false }
    }

    /// That of a JPEG's source, if the source has one, but no more than `most`.
    ///
    /// Where it is the source's and the result has fewer than 250,000 pixels, it is less by half a step: a
    /// small picture scaled by the gate's filter is at this quality as near to the original as one by
    /// `ImageMagick` at the whole, and has no more bytes.
    pub fn of_source(source: Option<u8>, most: u8, (width, height): (u32, u32)) -> Self {
        let number = source.unwrap_or(OF_OTHERS).min(most).clamp(1, 100);
        Quality { number, half_less: source == Some(number) && width.saturating_mul(height) < SMALL }
    }

    /// That of a WebP for which `most` is set.
    pub fn of_webp(most: u8) -> Self {
        Quality::exactly(most.min(OF_WEBP))
    }

    /// 1 to 100.
    pub fn number(self) -> u8 {
        self.number
    }

    /// The quantization tables for luma and chroma, row by row.
    pub fn tables(self) -> [[u16; 64]; 2] {
        let percent = percent(self.number) + u32::from(self.half_less);
        [LUMA, CHROMA].map(|table| table.map(|value| scaled(value, percent)))
    }
}

/// The factor of the standard's tables for a quality, in per cent, as libjpeg has it.
fn percent(quality: u8) -> u32 {
    let quality = u32::from(quality.clamp(1, 100));
    if quality < 50 { 5000 / quality } else { 200 - 2 * quality }
}

fn scaled(value: u16, percent: u32) -> u16 {
    ((u32::from(value) * percent + 50) / 100).clamp(1, 255) as u16
}

/// The quality with which a JPEG was written, by the sum of its table for luma.
pub fn of_table(sum: u32) -> u8 {
    let sum_at = |quality: u8| -> u32 {
        let percent = percent(quality);
        LUMA.iter().map(|&value| u32::from(scaled(value, percent))).sum()
    };
    (1..100).find(|&quality| sum_at(quality) <= sum).unwrap_or(100)
}

/// The sum of the table 0 in a segment of tables (`DQT`).
pub fn sum_of_first(mut segment: &[u8]) -> Option<u32> {
    while let [head, rest @ ..] = segment {
        let bytes = if head >> 4 == 0 { 64 } else { 128 };
        let (table, rest) = rest.split_at_checked(bytes)?;
        if head % 16 == 0 {
            let (pairs, _) = table.as_chunks::<2>();
            return Some(if bytes == 64 {
                table.iter().map(|&value| u32::from(value)).sum()
            } else {
                pairs.iter().map(|&pair| u32::from(u16::from_be_bytes(pair))).sum()
            });
        }
        segment = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(quality: Quality) -> u32 {
        quality.tables()[0].iter().map(|&value| u32::from(value)).sum()
    }

    #[test]
    fn a_quality_is_found_in_its_table_again_also_if_it_is_half_a_step_less() {
        for number in 5..=100 {
            assert_eq!(of_table(sum(Quality::exactly(number))), number);
        }
        for number in 50..=97 {
            let less = Quality::of_source(Some(number), 100, (144, 96));
            assert!(less.half_less && sum(less) >= sum(Quality::exactly(number)), "{number}");
            assert_eq!(of_table(sum(less)), number);
        }
    }

    #[test]
    fn the_gallerys_setting_is_the_most() {
        let table =
            [(Some(80), 95, 80), (Some(98), 95, 95), (None, 95, 92), (None, 75, 75), (Some(0), 95, 1)];
        for (source, most, number) in table {
            assert_eq!(Quality::of_source(source, most, (144, 96)).number(), number, "{source:?} {most}");
        }
        for (source, size) in [(Some(98), (144, 96)), (None, (144, 96)), (Some(80), (792, 594))] {
            assert!(!Quality::of_source(source, 95, size).half_less, "{source:?} {size:?}");
        }
        assert_eq!((Quality::of_webp(95).number(), Quality::of_webp(60).number()), (75, 60));
    }

    #[test]
    fn a_segment_holds_several_tables_of_either_width() {
        let narrow = |id: u8, value: u8| [&[id][..], &[value; 64]].concat();
        let wide = |id: u8| [&[0x10 | id][..], &[0, 3].repeat(64)].concat();
        let table = [
            (narrow(0, 2), Some(128)),
            ([narrow(1, 9), narrow(0, 1)].concat(), Some(64)),
            ([wide(1), wide(0)].concat(), Some(192)),
            (narrow(1, 9), None),
            (narrow(0, 2)[..60].to_vec(), None),
        ];
        for (segment, sum) in table {
            assert_eq!(sum_of_first(&segment), sum);
        }
    }
}
