//! Rows of Piwigo's tables `images` and `categories`, with the columns that a verdict needs, and the file
//! that a row owns (docs/spec/piwigo.md, "Files and their rows"). Values only: the queries are in `database`.

/// A row of `images`, with the columns that a verdict needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `images.id`.
    pub id: u32,
    /// `images.path` without its leading `./`. Begins with `../` if the gallery's files are outside the root.
    pub path: String,
    /// `images.level`.
    pub level: u32,
    /// `images.representative_ext`.
    pub representative_ext: Option<String>,
    /// `images.width`, in pixels.
    pub width: Option<u32>,
    /// `images.height`, in pixels.
    pub height: Option<u32>,
    /// `images.rotation`.
    pub rotation: Option<u32>,
    /// The albums of the image. Rows of albums that no longer exist are left out.
    pub albums: Vec<Album>,
}

impl Image {
    /// Whether Piwigo shows the file itself as a picture (docs/spec/piwigo.md §4.4): its extension, in lower
    /// case, is one of `picture_extensions`.
    pub fn is_picture(&self, picture_extensions: &[String]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| {
            picture_extensions.iter().any(|picture| picture.eq_ignore_ascii_case(extension))
        })
    }

    /// Returns the path, relative to the root, of a file that belongs to this row's file (docs/spec/piwigo.md
    /// §4.4); `None` if the row's file name has no extension.
    pub(crate) fn belonging(&self, folder: Folder, extension: &str) -> Option<String> {
        let (directory, file_name) = match self.path.rsplit_once('/') {
            Some((directory, file_name)) => (format!("{directory}/"), file_name),
            None => (String::new(), &*self.path),
        };
        let (stem, _) = file_name.rsplit_once('.')?;
        Some(format!("{directory}{}/{stem}.{extension}", folder.name()))
    }
}

/// An album (a category) of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Album {
    /// `categories.id`.
    pub id: u32,
    /// `status = 'private'`.
    pub private: bool,
    /// `visible = 'false'`.
    pub locked: bool,
    /// Whether the visitor holds a grant for it, personally or through a group.
    pub granted: bool,
    /// `downloadable = 'true'`, a column of the plugin Download Permissions; `true` if the column does not
    /// exist.
    pub downloadable: bool,
}

/// How a row owns the requested file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The file is the one in `images.path`.
    Original,
    /// The file is the picture that represents the row's file.
    Representative,
    /// The file is the same photo in another format.
    Format,
    /// The file has no row. It lies beside the row's file, which is not a picture, and the setting
    /// `companions` names it.
    Companion,
}

/// One row with the file that it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The row.
    pub image: Image,
    /// How it owns the file.
    pub ownership: Ownership,
    /// The file's path, built from the row, relative to the root and without `./`.
    pub file: String,
    /// `images.file`, the name that the owner gave the file; only if the request names the row and not the
    /// file.
    pub name: Option<String>,
    /// The albums that use the image as their cover. Looked up only if the policy `covers` needs it.
    pub cover_of: Vec<Album>,
}

/// Piwigo's folders for files that belong to another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// `pwg_representative/`: the picture that stands for a video or document.
    Representative,
    /// `pwg_format/`: the same photo as RAW, TIFF and so on.
    Format,
}

impl Folder {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Folder::Representative => "pwg_representative",
            Folder::Format => "pwg_format",
        }
    }
}
