//! ICC profiles: whether one belongs to a picture, and from its colours to those of sRGB, which is what a
//! picture without a profile is taken for.

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::{Channels, Picture};

/// A profile that is larger than this is not kept with a derivative; its colours are converted instead.
pub const LARGEST_KEPT: usize = 1 << 20;

/// Whether a profile describes a picture of these channels, as its header says.
pub fn describes(profile: &[u8], channels: Channels) -> bool {
    let space = match channels {
        Channels::Gray => b"GRAY",
        Channels::Rgb | Channels::Rgba => b"RGB ",
        Channels::Cmyk => b"CMYK",
    };
    profile.get(16..20) == Some(space)
}

/// The same colours in sRGB. Ink becomes RGB in any case; other pictures stay as they are without a profile
/// that can be used.
#[must_use]
pub fn to_srgb(picture: Picture, profile: Option<&[u8]>) -> Picture {
    let converted = profile
        .filter(|profile| describes(profile, picture.channels))
        .and_then(|profile| ColorProfile::new_from_slice(profile).ok())
        .and_then(|profile| convert(&picture, &profile));
    match converted {
        Some(converted) => converted,
        None if picture.channels == Channels::Cmyk => without_profile(&picture),
        None => picture,
    }
}

fn convert(picture: &Picture, profile: &ColorProfile) -> Option<Picture> {
    let (from, to, channels) = match picture.channels {
        Channels::Gray => (Layout::Gray, Layout::Rgb, Channels::Rgb),
        Channels::Rgb => (Layout::Rgb, Layout::Rgb, Channels::Rgb),
        Channels::Rgba => (Layout::Rgba, Layout::Rgba, Channels::Rgba),
        // Four channels are four channels to the converter; the profile says that they are ink.
        Channels::Cmyk => (Layout::Rgba, Layout::Rgb, Channels::Rgb),
    };
    debug_assert!(picture.channels != Channels::Cmyk || profile.color_space == DataColorSpace::Cmyk);
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(from, &srgb, to, TransformOptions::default()).ok()?;
    let pixels = picture.pixels.len() / picture.channels.count();
    let mut converted = vec![0; pixels * channels.count()];
    transform.transform(&picture.pixels, &mut converted).ok()?;
    let (pixels, channels) = if picture.channels == Channels::Gray {
        // Gray stays gray: all three are the same.
        (converted.into_iter().step_by(3).collect(), Channels::Gray)
    } else {
        (converted, channels)
    };
    Some(Picture { pixels, channels, width: picture.width, height: picture.height })
}

/// Ink on white paper, for want of anything better.
fn without_profile(picture: &Picture) -> Picture {
    let light = |ink: u8, black: u8| {
        let light = u32::from(255 - ink) * u32::from(255 - black);
        ((light + 127) / 255) as u8
    };
    let (pixels, _) = picture.pixels.as_chunks::<4>();
    let pixels = pixels.iter().flat_map(|&[c, m, y, k]| [light(c, k), light(m, k), light(y, k)]).collect();
    Picture { pixels, channels: Channels::Rgb, width: picture.width, height: picture.height }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(pixel: &[u8], channels: Channels) -> Picture {
        Picture { pixels: pixel.to_vec(), width: 1, height: 1, channels }
    }

    #[test]
    fn colours_of_a_wider_space_become_stronger_in_srgb_and_gray_stays() {
        let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
        assert!(describes(&adobe, Channels::Rgb) && describes(&adobe, Channels::Rgba));
        assert!(!describes(&adobe, Channels::Gray) && !describes(b"", Channels::Rgb));
        let red = to_srgb(dot(&[150, 80, 80], Channels::Rgb), Some(&adobe)).pixels;
        assert!(red[0] > 158 && red[1].abs_diff(80) < 4, "{red:?}");
        let gray = to_srgb(dot(&[128, 128, 128, 77], Channels::Rgba), Some(&adobe)).pixels;
        assert!(gray[..3].iter().all(|value| value.abs_diff(128) < 3) && gray[3] == 77, "{gray:?}");
    }

    #[test]
    fn srgb_and_what_is_no_profile_change_nothing() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        for profile in [None, Some(&srgb[..]), Some(&b"no profile at all, but long enough"[..])] {
            let same = to_srgb(dot(&[200, 100, 50], Channels::Rgb), profile).pixels;
            assert!(same.iter().zip([200u8, 100, 50]).all(|(a, b)| a.abs_diff(b) < 2), "{same:?}");
        }
    }

    #[test]
    fn ink_becomes_light() {
        let table = [([0, 0, 0, 0], [255; 3]), ([0, 0, 0, 255], [0; 3]), ([255, 0, 0, 0], [0, 255, 255])];
        for (ink, light) in table {
            let picture = to_srgb(dot(&ink, Channels::Cmyk), None);
            assert_eq!((picture.channels, &picture.pixels[..]), (Channels::Rgb, &light[..]), "{ink:?}");
        }
    }

    #[test]
    fn gray_with_a_profile_stays_gray() {
        let profile = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let picture = to_srgb(dot(&[55], Channels::Gray), Some(&profile));
        assert!(picture.channels == Channels::Gray && picture.pixels[0] > 100, "{picture:?}");
    }
}
