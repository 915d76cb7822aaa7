//! Turns a file's length and time into the validators that tell one version of it from another (RFC 9110
//! §8.8).

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// The time from 1970 to the year 10000. An HTTP date cannot express a later time, or one before 1970
/// (`httpdate` panics there).
const END_OF_HTTP_DATES: Duration = Duration::from_hours(70_389_528);

/// The validators of one version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// A strong entity tag, with its quotation marks.
    pub etag: String,
    /// The time of the last change in whole seconds, if an HTTP date can express it.
    pub modified: Option<SystemTime>,
}

impl Validators {
    /// Computes the validators of a file of `length` bytes, last changed at `modified`.
    pub fn of(length: u64, modified: SystemTime) -> Self {
        let (etag, modified) = match modified.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => {
                let second = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
                let date = (since < END_OF_HTTP_DATES).then_some(second);
                (format!("\"{:x}-{length:x}\"", since.as_micros()), date)
            }
            // A scan of an old photo may bear the date of the photo.
            Err(before) => (format!("\"b{:x}-{length:x}\"", before.duration().as_micros()), None),
        };
        Validators { etag, modified }
    }

    /// Appends the header lines.
    pub fn write(&self, text: &mut String) {
        let _ = write!(text, "ETag: {}\r\n", self.etag);
        if let Some(modified) = self.modified {
            let _ = write!(text, "Last-Modified: {}\r\n", httpdate::fmt_http_date(modified));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_date_has_a_tag() {
        let epoch = SystemTime::UNIX_EPOCH;
        for (modified, etag, date) in [
            (epoch, "\"0-5\"", Some(epoch)),
            (epoch + Duration::from_millis(1500), "\"16e360-5\"", Some(epoch + Duration::from_secs(1))),
            (epoch - Duration::from_micros(255), "\"bff-5\"", None),
            (epoch + Duration::from_hours(70_389_528), "\"384440ccc736000-5\"", None),
        ] {
            let validators = Validators::of(5, modified);
            assert_eq!((validators.etag.as_str(), validators.modified), (etag, date), "{modified:?}");
            let mut text = String::new();
            validators.write(&mut text);
            assert_eq!(text.contains("Last-Modified: "), date.is_some(), "{text}");
        }
    }
}
