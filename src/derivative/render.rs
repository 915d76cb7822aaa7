//! One derivative: a source picture's bytes and an order in, the bytes of the finished file out
//! (docs/spec/piwigo.md §6.5). Pure: no file, no clock, no settings; what it may cost is bounded before it is
//! spent.

use super::picture::encode::encode_as;
use super::picture::format::Format;
use super::picture::gif::{Frames, Writer};
use super::picture::limits::{PictureError, PictureLimits};
use super::picture::opened::{Decoded, Opened};
use super::picture::orientation::{before_turning, turn, turned_size};
use super::picture::profile::{LARGEST_KEPT, describes, to_srgb};
use super::picture::quality::Quality;
use super::picture::resample::{Part, resample};
use super::picture::sharpen::sharpen;
use super::picture::watermark::draw;
use super::picture::{Channels, Picture};
use crate::piwigo::sizes::definition::{DerivativeParams, Watermark};
use crate::piwigo::sizes::geometry::{CenterOfInterest, Crop, Sizing};

/// What is to be made of a source picture.
#[derive(Clone, Copy, Debug)]
pub struct RenderOptions<'a> {
    /// The size.
    pub params: &'a DerivativeParams,
    /// Quality of JPEG and WebP, 1 to 100.
    pub quality: u8,
    /// A JPEG is no finer than its source, and a WebP as its encoder's authors mean it; `quality` is the
    /// most.
    pub quality_of_source: bool,
    /// 0 to 100; 0 is off. That of `params`, or less where the source is itself a derivative.
    pub sharpen: u8,
    /// `images.coi`; used where the size crops.
    pub coi: Option<CenterOfInterest>,
    /// `images.rotation` modulo 4, quarter turns counter-clockwise; `None`: as the source's EXIF orientation
    /// says.
    pub rotation: Option<u8>,
    /// The mark and the bytes of its PNG file, where this size has one; drawn if the result is large enough.
    pub watermark: Option<(&'a Watermark, &'a [u8])>,
    /// Results of fewer pixels carry no metadata (`derivatives_strip_metadata_threshold`).
    pub strip_below: u32,
    /// What the file's name ends with, in lower case without the dot: the format of the result.
    pub extension: &'a str,
    /// Keep the frames of an animated GIF; otherwise the first is taken, as Piwigo does.
    pub keep_animation: bool,
    /// Refuse an animated WebP that is to stay a WebP; otherwise its first frame is taken.
    pub refuse_animated_webp: bool,
    /// Bounds, checked before anything is decoded.
    pub limits: PictureLimits,
}

impl<'a> RenderOptions<'a> {
    /// An order by Piwigo's own defaults: the size's own sharpening, no watermark, turned as EXIF says.
    pub fn plain(params: &'a DerivativeParams, extension: &'a str) -> Self {
        RenderOptions {
            params,
            quality: 95,
            quality_of_source: false,
            sharpen: params.sharpen,
            coi: None,
            rotation: None,
            watermark: None,
            strip_below: 256_000,
            extension,
            keep_animation: false,
            refuse_animated_webp: false,
            limits: PictureLimits::default(),
        }
    }
}

/// Pixels that a JPEG is decoded to for one of the result, in each direction, at least. With 2 the results
/// are hardly nearer to Piwigo's (SSIM 0.9688 against 0.9687), and large ones take half as long again.
const OVERSAMPLING: f64 = 1.5;

/// Makes the derivative. Its dimensions are exactly Piwigo's ([`crate::piwigo::sizes::geometry`]); it is
/// never larger than the source.
///
/// Of the metadata only the ICC profile is kept, from [`RenderOptions::strip_below`] pixels on. Where it is
/// not, the colours are converted to sRGB first. EXIF is never kept: it may say where and by whom a photo was
/// taken, and it holds a small copy of the whole picture; the orientation has been applied.
///
/// # Errors
/// When the source cannot be used, or is larger than the limits allow.
pub fn render(source: &[u8], order: &RenderOptions<'_>) -> Result<Vec<u8>, PictureError> {
    let format = Format::named(order.extension)
        .ok_or_else(|| PictureError::Encode(format!("no format is called {:?}", order.extension)))?;
    let source = Opened::open(source, &order.limits)?;
    if order.refuse_animated_webp && format == Format::WebP && source.is_animated_webp() {
        return Err(PictureError::Broken("it is an animated WebP".to_owned()));
    }
    let job = Job::new(&source, order, format)?;
    let quality = match format {
        _ if !order.quality_of_source => Quality::exactly(order.quality),
        Format::WebP => Quality::of_webp(order.quality),
        _ => Quality::of_source(source.quality(), order.quality, job.scaled),
    };
    match source {
        Opened::Gif(gif) if order.keep_animation && format == Format::Gif => job.animate(gif.frames()),
        source => {
            let Decoded { picture, shrink, profile } = source.decode(job.shrink())?;
            let (picture, profile) = job.finish(picture, shrink, profile)?;
            encode_as(picture, profile.as_deref(), format, quality)
        }
    }
}

/// What is to be done with each frame.
struct Job<'a> {
    /// The part that is kept, in the source as stored.
    part: Crop,
    /// What it is scaled to before it is turned; at most the part's own size.
    scaled: (u32, u32),
    /// Quarter turns counter-clockwise.
    turns: u8,
    /// 0 to 100.
    sharpen: u8,
    /// The mark, if the result is large enough for it.
    mark: Option<(&'a Watermark, Picture)>,
    /// The result carries an ICC profile if the source does.
    keeps_profile: bool,
}

impl<'a> Job<'a> {
    fn new(source: &Opened<'_>, order: &RenderOptions<'a>, format: Format) -> Result<Self, PictureError> {
        let stored = source.size();
        let turns = order.rotation.unwrap_or_else(|| source.quarter_turns()) % 4;
        let size = turned_size(stored, turns);
        let Sizing { crop, scaled } = order.params.sizing.compute(size, order.coi);
        let part = crop.unwrap_or(Crop { left: 0, top: 0, width: size.0, height: size.1 });
        // What Piwigo takes for the size of the result, though a crop alone changes that, too.
        let (width, height) = scaled.unwrap_or(size);
        let keeps_profile = u64::from(width) * u64::from(height) >= u64::from(order.strip_below);
        let mark = match order.watermark {
            Some((watermark, file)) if watermark.applies(order.params, (width, height)) => {
                Some((watermark, decode_mark(file, &order.limits)?))
            }
            _ => None,
        };
        Ok(Job {
            part: before_turning(part, stored, turns),
            scaled: turned_size(scaled.unwrap_or((part.width, part.height)), turns),
            turns,
            sharpen: order.sharpen,
            mark,
            keeps_profile: keeps_profile && format != Format::Gif,
        })
    }

    /// By what factor the source may be decoded smaller.
    fn shrink(&self) -> u32 {
        let across = f64::from(self.part.width) / f64::from(self.scaled.0);
        let down = f64::from(self.part.height) / f64::from(self.scaled.1);
        [8, 4, 2]
            .into_iter()
            .find(|&factor| f64::from(factor) * OVERSAMPLING <= across.min(down))
            .unwrap_or(1)
    }

    /// The finished pixels of a frame that was decoded smaller by `shrink`, and the profile to write with
    /// them.
    fn finish(
        &self,
        picture: Picture,
        shrink: u32,
        profile: Option<Vec<u8>>,
    ) -> Result<(Picture, Option<Vec<u8>>), PictureError> {
        let scale = f64::from(shrink);
        let part = Part {
            left: f64::from(self.part.left) / scale,
            top: f64::from(self.part.top) / scale,
            width: f64::from(self.part.width) / scale,
            height: f64::from(self.part.height) / scale,
        };
        let picture = turn(resample(picture, part, self.scaled)?, self.turns);
        let kept = profile.as_ref().is_some_and(|profile| self.keeps(profile, &picture));
        let (picture, profile) =
            if kept { (picture, profile) } else { (to_srgb(picture, profile.as_deref()), None) };
        let picture = sharpen(picture, self.sharpen);
        match &self.mark {
            Some((params, mark)) => Ok((draw(picture, mark, params)?, profile)),
            None => Ok((picture, profile)),
        }
    }

    /// Whether the profile is still right for the result: ink becomes RGB, and gray gets colours by a mark.
    fn keeps(&self, profile: &[u8], picture: &Picture) -> bool {
        let stays = match picture.channels {
            Channels::Rgb | Channels::Rgba => true,
            Channels::Gray => self.mark.is_none(),
            Channels::Cmyk => false,
        };
        self.keeps_profile && stays && profile.len() <= LARGEST_KEPT && describes(profile, picture.channels)
    }

    /// All frames of an animation, each finished like a picture.
    fn animate(&self, mut frames: Frames<'_>) -> Result<Vec<u8>, PictureError> {
        let mut writer = Writer::new(turned_size(self.scaled, self.turns), Some(frames.repeat()))?;
        let mut is_empty = true;
        while let (Some(frame), delay) = frames.next()? {
            writer.add(self.finish(frame, 1, None)?.0, delay)?;
            is_empty = false;
        }
        if is_empty {
            return Err(PictureError::Broken("it has no frame".to_owned()));
        }
        writer.finish()
    }
}

fn decode_mark(file: &[u8], limits: &PictureLimits) -> Result<Picture, PictureError> {
    let decoded = Opened::open(file, limits).and_then(|opened| opened.decode(1));
    let Decoded { picture, profile, .. } = decoded.map_err(|error| match error {
        PictureError::Memory(..) | PictureError::Resources(_) => error,
        error => PictureError::Watermark(error.to_string()),
    })?;
    Ok(to_srgb(picture, profile.as_deref()))
}
