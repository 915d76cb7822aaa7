//! Turns the URL of a photo's page into the photo's id and the URLs of its files: an administrator's
//! browser shows the URL of a page, not of a file.

use crate::database::DatabaseError;
use crate::gate::Gate;
use crate::http::reply::encode_path;
use crate::http::request::Request;
use crate::piwigo::records::Folder;
use crate::verdict::owners;
use crate::verdict::uri::{Part, Record, Target};

/// The photo's id, if this path and query (without scheme and host) are the URL of its page:
/// `picture.php?/62/…`, `picture/62-name/…` or `admin.php?page=photo-62…`. `prefix`: the URL path of the
/// gallery.
///
/// Source of the forms: `make_picture_url` and `section_init.inc.php` of Piwigo. With `picture_url_style =
/// 'file'` the URL contains a name instead of the id, which this function does not understand.
pub(super) fn photo(uri: &str, prefix: &str) -> Option<u32> {
    let below = uri.strip_prefix(prefix)?.strip_prefix('/')?;
    let (path, query) = below.split_once('?').unwrap_or((below, ""));
    if path == "admin.php" {
        let page = query.split('&').find_map(|pair| pair.strip_prefix("page=photo-"))?;
        return leading_number(page);
    }
    let behind = ["picture.php", "picture"].iter().find_map(|script| path.strip_prefix(script))?;
    let token = match behind.strip_prefix('/') {
        Some(info) => info,
        None if behind.is_empty() => query.trim_start_matches('/'),
        None => return None,
    };
    leading_number(token.split(['/', '&']).next().unwrap_or_default())
}

/// `62` of `62` and of `62-name`; `None` for any other text.
fn leading_number(token: &str) -> Option<u32> {
    let number = token.split('-').next()?;
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|&number| is_plain && number > 0)
}

/// The URLs of a photo's files, as in Piwigo's pages: the original, the representative if the file is no
/// picture, and one resized picture, because all are judged alike. Empty if there is no such photo or its
/// file is never served.
///
/// # Errors
/// When the database cannot be asked.
pub(super) async fn files(gate: &Gate, photo: u32) -> Result<Vec<String>, DatabaseError> {
    let prefix = &gate.settings().url_prefix;
    let ready = gate.consider(&Request::new(b"/", "127.0.0.1"), None).await?.ready;
    let record = Target::Record(Record { part: Part::Element(photo), download: false });
    let claims = owners::of_target(&ready.database, &record, &ready.gallery, &[]).await?;
    let Some(image) = claims.into_iter().next().map(|claim| claim.image) else { return Ok(Vec::new()) };
    let mut paths = vec![image.path.clone()];
    if !image.is_picture(&ready.gallery.picture_extensions)
        && let Some(extension) = &image.representative_ext
    {
        paths.extend(image.belonging(Folder::Representative, extension));
    }
    // The size that the page shows by default.
    let sizes = &ready.gallery.derivatives.enabled;
    let size = sizes.iter().find(|size| size.kind.token() == "me").or(sizes.last());
    if let (Some(source), Some(size)) = (image.source_picture(&ready.gallery), size)
        && let Some(path) = ready.gallery.layout.derivative(&source.file, size.kind)
    {
        paths.push(path);
    }
    Ok(paths.into_iter().map(|path| format!("{prefix}/{}", encode_path(&path))).collect())
}

#[cfg(test)]
mod tests {
    use super::photo;

    #[test]
    fn addresses_of_a_photos_page() {
        let table = [
            ("/picture.php?/62/category/3", Some(62)),
            ("/picture.php?/62", Some(62)),
            ("/picture.php?/62-evening-at-sea/category/3-sea/start-15", Some(62)),
            ("/picture.php?/62&slideshow=", Some(62)),
            ("/picture.php/62/category/3", Some(62)),
            ("/picture?/62", Some(62)),
            ("/picture/62-evening", Some(62)),
            ("/admin.php?page=photo-62", Some(62)),
            ("/admin.php?page=photo-62-properties&cat_id=3", Some(62)),
            ("/picture.php?/evening-at-sea/category/3", None),
            ("/picture.php?/0", None),
            ("/picture.php?/99999999999", None),
            ("/picture.php?/+62", None),
            ("/pictures.php?/62", None),
            ("/index.php?/category/3", None),
            ("/admin.php?page=album-62", None),
            ("/upload/62.jpg", None),
            ("/picture.php", None),
        ];
        for (uri, expected) in table {
            assert_eq!(photo(uri, ""), expected, "{uri}");
            assert_eq!(photo(&format!("/piwigo{uri}"), "/piwigo"), expected, "{uri}");
            assert_eq!(photo(uri, "/piwigo"), None, "{uri}");
        }
    }
}
