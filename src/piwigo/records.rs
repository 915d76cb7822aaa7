//! Rows of Piwigo's tables `images` and `categories`, as far as a verdict needs them, and the file that a row
//! owns (docs/spec/piwigo.md, "Files and their rows"). Values only: the questions that fetch them are in
//! `database`.

/// A row of `images`, as far as a verdict needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `images.id`.
    pub id: u32,
    /// `images.path` without its leading `./`; begins with `../` for a gallery outside the root.
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
    /// The albums that it is in and that still exist.
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

    /// The path of a file that belongs to this row's (docs/spec/piwigo.md §4.4), relative to the root.
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
    /// Whether the visitor in question holds a grant for it, by hand or by group.
    pub granted: bool,
    /// `downloadable = 'true'`, by the plugin Download Permissions; `true` where its column does not exist.
    pub downloadable: bool,
}

/// How a row owns the requested file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It is the file of `images.path`.
    Original,
    /// It is the picture that stands for that file.
    Representative,
    /// It is the same photo in another format.
    Format,
    /// It has no row; it lies beside that file, which is no picture, and the setting `companions` names it.
    Companion,
}

/// One row with the file that it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The row.
    pub image: Image,
    /// How it owns the file.
    pub ownership: Ownership,
    /// The file's path, built from the row: relative to the root, without `./`.
    pub file: String,
    /// `images.file`, the name that its owner gave it, where the request names the row and not the file.
    pub name: Option<String>,
    /// The albums whose cover the image is; looked up only where the policy `covers` asks for it.
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
