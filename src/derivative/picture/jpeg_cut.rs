//! A JPEG whose end is missing: the same file, completed so that a decoder takes it, and how much of the
//! picture is in it. Cameras that were switched off, uploads that were interrupted and some optimisers leave
//! such files.
//!
//! libjpeg shows what is there and leaves the rest gray. So does the gate: it completes the file here, and
//! paints the rest over after decoding ([`Whole::paint_rest`]).

use std::io::{self, Read};

use memchr::memchr;

use super::Picture;

/// What a missing sample is in a decoded picture: the middle, as libjpeg leaves it.
const GRAY: u8 = 128;

/// A file's bytes and what completes them, read one after the other.
pub(super) struct Completed<'a> {
    file: &'a [u8],
    /// The number of the first restart marker that is missing, and how many are.
    restarts: (u64, u64),
    /// Bytes behind the file that were read, and how many there are: two for each marker.
    end: (u64, u64),
}

impl<'a> Completed<'a> {
    /// A file that needs nothing.
    pub(super) fn as_it_is(file: &'a [u8]) -> Self {
        Completed { file, restarts: (0, 0), end: (0, 0) }
    }

    /// A file that needs the end mark, and restart markers before it. Between two of these a decoder takes
    /// data for zeros.
    fn with(file: &'a [u8], restarts: (u64, u64)) -> Self {
        Completed { file, restarts, end: (0, restarts.1 * 2 + 2) }
    }

    fn next_of_end(&mut self) -> Option<u8> {
        let (at, length) = self.end;
        if at == length {
            return None;
        }
        self.end.0 += 1;
        let (first, count) = self.restarts;
        Some(match at % 2 {
            0 => 0xFF,
            _ if at / 2 < count => 0xD0 + ((first + at / 2) % 8) as u8,
            _ => 0xD9,
        })
    }
}

impl Read for Completed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.file.is_empty() {
            return self.file.read(buffer);
        }
        let bytes = buffer.iter_mut().map_while(|byte| self.next_of_end().map(|next| *byte = next));
        Ok(bytes.count())
    }

    // The decoder reads single bytes.
    #[inline]
    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if self.file.len() >= buffer.len() {
            return self.file.read_exact(buffer);
        }
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }
}

/// The part of a cut picture that is in the file: this many units, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    units: u64,
    across: u64,
    /// Pixels of a unit.
    unit: (u32, u32),
}

impl Whole {
    /// Paints everything behind the last unit gray in a picture that was decoded smaller by `shrink`.
    pub(super) fn paint_rest(self, picture: &mut Picture, shrink: u32) {
        let (width, height) =
            ((self.unit.0 / shrink).max(1) as usize, (self.unit.1 / shrink).max(1) as usize);
        let row = (self.units / self.across) as usize * height;
        let left = (self.units % self.across) as usize * width;
        let count = picture.channels.count();
        let bytes = (picture.width as usize * count).max(1);
        for (y, pixels) in picture.pixels.chunks_exact_mut(bytes).enumerate().skip(row) {
            let from = if y < row + height { (left * count).min(bytes) } else { 0 };
            pixels[from..].fill(GRAY);
        }
    }
}

/// Completes a JPEG that has no end mark. `None`: too little is there to show anything of it, or it is a kind
/// of which the gate cannot tell how much is there.
pub(super) fn complete(file: &[u8]) -> Option<(Completed<'_>, Option<Whole>)> {
    let parsed = Parsed::of(file)?;
    if parsed.is_progressive {
        // A scan refines the whole picture: without the one that is cut, the picture is there, less fine.
        return (parsed.scans > 1).then(|| (Completed::with(&file[..parsed.last_scan], (0, 0)), None));
    }
    let frame = parsed.frame.as_ref()?;
    let scan = Scan::of(file, &parsed)?;
    let (units, restarts) = scan.count_units(file.get(scan.data..)?, frame.units(&scan));
    let all = frame.units(&scan);
    if units == all {
        return Some((Completed::with(file, (0, 0)), None));
    }
    // A component of its own that is cut would be painted over together with those that are whole.
    if units == 0 || scan.components.len() != frame.components.len() {
        return None;
    }
    let missing = all.div_ceil(scan.restart_interval.unwrap_or(all)).saturating_sub(restarts + 1);
    let whole = Whole { units, across: frame.units_across(&scan), unit: frame.unit(&scan) };
    Some((Completed::with(file, (restarts, missing)), Some(whole)))
}

#[derive(Clone, Copy)]
struct Component {
    id: u8,
    across: u8,
    down: u8,
}

struct Frame {
    width: u32,
    height: u32,
    components: Vec<Component>,
}

impl Frame {
    fn of(segment: &[u8]) -> Option<Self> {
        let (head, components) = segment.split_at_checked(6)?;
        let side = |at: usize| u32::from(u16::from_be_bytes([head[at], head[at + 1]]));
        let (components, _) = components.as_chunks::<3>();
        let components: Vec<_> = components
            .iter()
            .take(usize::from(head[5]))
            .map(|&[id, sampling, _]| Component { id, across: sampling >> 4, down: sampling & 15 })
            .collect();
        let sane = components.iter().all(|one| (1..=4).contains(&one.across) && (1..=4).contains(&one.down));
        let (height, width) = (side(1), side(3));
        let is_whole = components.len() == usize::from(head[5]) && !components.is_empty();
        (head[0] == 8 && sane && is_whole && width > 0 && height > 0).then_some(Frame {
            width,
            height,
            components,
        })
    }

    /// The largest sampling factors.
    fn finest(&self) -> (u32, u32) {
        let most = |factor: fn(&Component) -> u8| self.components.iter().map(factor).max().unwrap_or(1);
        (u32::from(most(|one| one.across)), u32::from(most(|one| one.down)))
    }

    /// Pixels of a unit of this scan (an MCU): a block of its only component, or some of each.
    fn unit(&self, scan: &Scan) -> (u32, u32) {
        let (across, down) = self.finest();
        match scan.components[..] {
            [(only, _, _)] => (8 * across / u32::from(only.across), 8 * down / u32::from(only.down)),
            _ => (8 * across, 8 * down),
        }
    }

    fn units_across(&self, scan: &Scan) -> u64 {
        u64::from(self.width.div_ceil(self.unit(scan).0.max(1)))
    }

    fn units(&self, scan: &Scan) -> u64 {
        self.units_across(scan) * u64::from(self.height.div_ceil(self.unit(scan).1.max(1)))
    }
}

/// What the segments before the last scan say.
#[derive(Default)]
struct Parsed {
    is_progressive: bool,
    frame: Option<Frame>,
    scans: usize,
    /// Where the marker of the last scan begins.
    last_scan: usize,
    restart_interval: u64,
    /// DC tables, then AC tables.
    tables: [Option<Table>; 8],
}

impl Parsed {
    fn of(file: &[u8]) -> Option<Self> {
        let mut parsed = Parsed::default();
        let mut at = 2;
        while let Some(found) = memchr(0xFF, file.get(at..)?) {
            at += found + 1;
            let Some(&marker) = file.get(at) else { break };
            match marker {
                0x00 | 0x01 | 0xD0..=0xD9 => at += 1,
                0xFF => {}
                _ => {
                    let Some(&[high, low]) = file.get(at + 1..at + 3) else { break };
                    let length = usize::from(u16::from_be_bytes([high, low]));
                    let Some(segment) = file.get(at + 3..at + 1 + length) else { break };
                    parsed.read(marker, segment, at - 1)?;
                    at += 1 + length;
                }
            }
        }
        (parsed.scans > 0).then_some(parsed)
    }

    fn read(&mut self, marker: u8, segment: &[u8], begins: usize) -> Option<()> {
        match marker {
            0xC0 | 0xC1 => self.frame = Some(Frame::of(segment)?),
            0xC2 => self.is_progressive = true,
            // Lossless, hierarchical, arithmetic.
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCF => return None,
            0xC4 => self.read_tables(segment)?,
            0xDD => self.restart_interval = u64::from(u16::from_be_bytes(segment.try_into().ok()?)),
            0xDA => {
                self.scans += 1;
                self.last_scan = begins;
            }
            _ => {}
        }
        Some(())
    }

    fn read_tables(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [head, rest @ ..] = segment {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let length = counts.iter().map(|&count| usize::from(count)).sum();
            let (values, rest) = rest.split_at_checked(length)?;
            let slot = usize::from(head >> 4) * 4 + usize::from(head & 15);
            *self.tables.get_mut(slot)? = Some(Table::new(counts, values));
            segment = rest;
        }
        Some(())
    }
}

/// A Huffman table (ITU-T T.81 §F.2.2.3).
#[derive(Clone)]
struct Table {
    values: Vec<u8>,
    /// For each length: the first code, the number of codes, and the place of the first's value.
    lengths: [(u32, u32, u32); 16],
}

impl Table {
    fn new(counts: &[u8; 16], values: &[u8]) -> Self {
        let (mut code, mut place) = (0, 0);
        let lengths = counts.map(|count| {
            let count = u32::from(count);
            let this = (code, count, place);
            code = (code + count) << 1;
            place += count;
            this
        });
        Table { values: values.to_vec(), lengths }
    }

    fn read(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let mut code = 0;
        for (first, count, place) in self.lengths {
            code = code << 1 | bits.next()?;
            if let Some(offset) = code.checked_sub(first).filter(|offset| *offset < count) {
                return self.values.get((place + offset) as usize).copied();
            }
        }
        None
    }
}

/// The last scan of a sequential picture.
struct Scan {
    components: Vec<(Component, Table, Table)>,
    restart_interval: Option<u64>,
    /// Where its data begin.
    data: usize,
}

impl Scan {
    fn of(file: &[u8], parsed: &Parsed) -> Option<Self> {
        let frame = parsed.frame.as_ref()?;
        let rest = file.get(parsed.last_scan + 2..)?;
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let segment = rest.get(2..length)?;
        let (&count, selectors) = segment.split_first()?;
        let (selectors, _) = selectors.as_chunks::<2>();
        let mut components = Vec::new();
        for &[id, tables] in selectors.get(..usize::from(count))? {
            let component = *frame.components.iter().find(|component| component.id == id)?;
            let table = |slot: u8| parsed.tables.get(usize::from(slot))?.clone();
            components.push((component, table((tables >> 4).min(3))?, table(4 + (tables & 3))?));
        }
        let restart_interval = (parsed.restart_interval > 0).then_some(parsed.restart_interval);
        (!components.is_empty()).then_some(Scan {
            components,
            restart_interval,
            data: parsed.last_scan + 2 + length,
        })
    }

    /// How many of `all` units are whole in `data`, and how many restart markers were passed.
    fn count_units(&self, data: &[u8], all: u64) -> (u64, u64) {
        let mut bits = Bits { data, at: 0, byte: 0, left: 0 };
        let mut restarts = 0;
        for unit in 0..all {
            if unit > 0 && self.restart_interval.is_some_and(|interval| unit % interval == 0) {
                if !bits.pass_restart_marker() {
                    return (unit, restarts);
                }
                restarts += 1;
            }
            if self.read_unit(&mut bits).is_none() {
                return (unit, restarts);
            }
        }
        (all, restarts)
    }

    fn read_unit(&self, bits: &mut Bits<'_>) -> Option<()> {
        for (component, dc, ac) in &self.components {
            let is_alone = self.components.len() == 1;
            let blocks = if is_alone { 1 } else { component.across * component.down };
            for _ in 0..blocks {
                let size = dc.read(bits)?;
                bits.skip(size)?;
                let mut place = 1;
                while place < 64 {
                    let symbol = ac.read(bits)?;
                    match (symbol >> 4, symbol & 15) {
                        (15, 0) => place += 16,
                        (_, 0) => break,
                        (zeros, size) => {
                            place += usize::from(zeros) + 1;
                            bits.skip(size)?;
                        }
                    }
                }
            }
        }
        Some(())
    }
}

/// The bits of a scan, without the zeros that are stuffed into it; they end at the file's end or at a marker.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    byte: u8,
    left: u8,
}

impl Bits<'_> {
    fn next(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.byte = *self.data.get(self.at)?;
            self.at += 1;
            if self.byte == 0xFF {
                if self.data.get(self.at) != Some(&0) {
                    self.at -= 1;
                    return None;
                }
                self.at += 1;
            }
            self.left = 8;
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left & 1))
    }

    fn skip(&mut self, count: u8) -> Option<()> {
        (0..count).try_for_each(|_| self.next().map(drop))
    }

    fn pass_restart_marker(&mut self) -> bool {
        self.left = 0;
        let is_one = matches!(self.data.get(self.at..self.at + 2), Some([0xFF, 0xD0..=0xD7]));
        self.at += 2;
        is_one
    }
}

#[cfg(test)]
mod tests {
    use super::super::Channels;
    use super::*;
    use crate::derivative::picture::jpeg::OpenedJpeg;
    use crate::derivative::picture::limits::PictureLimits;

    fn noise(width: u16, height: u16, channels: Channels) -> Vec<u8> {
        let count = usize::from(width) * usize::from(height) * channels.count();
        (0..count as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    /// A sequential JPEG of noise.
    fn jpeg(width: u16, height: u16, color: bool, restart: Option<u16>) -> Vec<u8> {
        let (channels, kind) = if color {
            (Channels::Rgb, jpeg_encoder::ColorType::Rgb)
        } else {
            (Channels::Gray, jpeg_encoder::ColorType::Luma)
        };
        let mut file = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut file, 80);
        encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
        if let Some(interval) = restart {
            encoder.set_restart_interval(interval);
        }
        encoder.encode(&noise(width, height, channels), width, height, kind).unwrap();
        file
    }

    fn decode(file: &[u8], shrink: u32) -> Option<Picture> {
        Some(OpenedJpeg::open(file, &PictureLimits::default()).ok()?.decode(shrink).ok()?.picture)
    }

    #[test]
    fn what_is_there_is_shown_and_the_rest_is_gray() {
        for (color, restart) in
            [(false, None), (true, None), (false, Some(5)), (true, Some(3)), (true, Some(100))]
        {
            let file = jpeg(201, 151, color, restart);
            let whole = decode(&file, 1).unwrap();
            let start = file.windows(2).position(|marker| marker == [0xFF, 0xDA]).unwrap();
            let mut painted = Vec::new();
            for tenth in 1..10 {
                let length = start + (file.len() - start) * tenth / 10;
                let cut = decode(&file[..length], 1).unwrap();
                assert_eq!(cut.size(), whole.size());
                let bytes = cut.width as usize * cut.channels.count();
                let rows = cut.pixels.chunks_exact(bytes);
                let gray = rows.clone().filter(|row| row.iter().all(|&value| value == GRAY)).count();
                let same = rows.zip(whole.pixels.chunks_exact(bytes)).filter(|(a, b)| a == b).count();
                // All rows are one or the other, but for a row of units and a line of colours between them.
                assert!(gray + same + 18 >= 151, "{color} {restart:?} {tenth}: {gray} gray, {same} the same");
                painted.push(gray);
                let small = decode(&file[..length], 4).unwrap();
                let last = small.pixels.last_chunk::<26>().unwrap();
                assert!(gray == 0 || last.iter().all(|&value| value == GRAY), "{last:?}");
            }
            assert!(painted.is_sorted_by(|a, b| a >= b) && painted[0] > 100, "{painted:?}");
        }
    }

    #[test]
    fn a_file_that_lacks_nothing_but_its_end_mark_is_whole() {
        for (color, restart) in [(false, None), (true, Some(3))] {
            let file = jpeg(64, 48, color, restart);
            let whole = decode(&file, 1);
            let body = &file[..file.len() - 2];
            for end in [&b""[..], b"\xFF", b"\0\0", b"\0\0\0\0\0\0\0\0\0\0\0\0"] {
                assert!(whole.is_some() && decode(&[body, end].concat(), 1) == whole, "{end:?}");
            }
        }
    }

    #[test]
    fn no_length_of_a_file_is_too_much_for_the_walk() {
        for file in [jpeg(40, 30, true, None), jpeg(40, 30, true, Some(2)), jpeg(40, 30, false, None)] {
            for length in 0..file.len() {
                let _ = complete(&file[..length]);
                let mut damaged = file[..length].to_vec();
                if let Some(byte) = damaged.get_mut(length * 7 % file.len()) {
                    *byte ^= 0x55;
                }
                let _ = complete(&damaged);
            }
        }
    }
}
