//! Turns the path of an allowed picture into the answer for a script that requests only the picture's address
//! (`ajaxload=true`, docs/spec/piwigo.md §5.3, step 7).

use std::fmt::Write as _;

use super::reply::encode_path;

/// The `Cache-Control` value of such an answer: the size may have another address a minute later.
pub const NOT_KEPT: &str = "no-store";

/// The address at which a browser finds a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureAddress(String);

impl PictureAddress {
    /// Builds the address of a file of the gallery. `prefix`: empty or `/piwigo`; `path`: relative to the
    /// gallery's root, without a leading slash.
    ///
    /// The address begins with the site's path `/`. Piwigo puts scheme and host before it. The gate does not,
    /// because it cannot see them behind a proxy.
    pub fn of(prefix: &str, path: &str) -> Self {
        PictureAddress(format!("{}/{}", encode_path(prefix), encode_path(path)))
    }

    /// Appends a key as Piwigo writes it (`?auth=KEY`). `key`: letters, digits, `-` and `:`.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        PictureAddress(format!("{}?auth={key}", self.0))
    }

    /// Returns `{"url":"…"}` with escaped slashes, as PHP's `json_encode` writes it. An encoded path holds no
    /// other character that JSON escapes.
    pub fn json(&self) -> String {
        format!("{{\"url\":\"{}\"}}", self.0.replace('/', "\\/"))
    }

    /// Appends the headers that are specific to this answer.
    pub(crate) fn write_headers(&self, text: &mut String) {
        let length = self.json().len();
        let _ = write!(text, "Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_json_whatever_the_name_is() {
        for (prefix, path, expected) in [
            ("", "_data/i/upload/a-th.jpg", r#"{"url":"\/_data\/i\/upload\/a-th.jpg"}"#),
            ("/my photos", "upload/a.jpg", r#"{"url":"\/my%20photos\/upload\/a.jpg"}"#),
            (
                "",
                "upload/a\"b\\<c>&'?#%é.jpg",
                r#"{"url":"\/upload\/a%22b%5C%3Cc%3E%26%27%3F%23%25%C3%A9.jpg"}"#,
            ),
        ] {
            let json = PictureAddress::of(prefix, path).json();
            assert_eq!(json, expected);
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(read["url"], format!("{}/{}", encode_path(prefix), encode_path(path)));
        }
        let with_key = PictureAddress::of("", "upload/a.jpg").with_key("pkid-20260102-abc:def").json();
        assert_eq!(with_key, r#"{"url":"\/upload\/a.jpg?auth=pkid-20260102-abc:def"}"#);
    }
}
