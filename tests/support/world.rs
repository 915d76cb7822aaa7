//! A small gallery as data: rows, names of files, and what a real Piwigo 16.4 decided about each of them.
//!
//! [`super::rows`] turns it into SQL text, [`super::files`] into files on disk.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::files::{derivative_text, original_text};

#[derive(Debug, Clone, Deserialize)]
pub struct World {
    pub categories: Vec<Category>,
    pub images: Vec<Image>,
    pub image_category: Vec<ImageCategory>,
    pub users: Vec<User>,
    pub user_group: Vec<UserGroup>,
    pub user_access: Vec<UserAccess>,
    pub group_access: Vec<GroupAccess>,
    pub image_format: Vec<ImageFormat>,
    pub sessions: Vec<Session>,
    pub secret_key: String,
    pub derivatives: String,
    pub disabled_derivatives: String,
    /// (user id, image id, may see, may have the original), the last two as 0 or 1.
    pub verdicts: Vec<(u32, u32, u8, u8)>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Category {
    pub id: u32,
    pub id_uppercat: Option<u32>,
    /// A number in the file if the chain has only one link.
    pub uppercats: serde_json::Value,
    pub status: String,
    pub visible: String,
    pub name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Image {
    pub id: u32,
    pub file: String,
    pub path: String,
    pub representative_ext: Option<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub rotation: Option<u8>,
    pub coi: Option<String>,
    pub level: u8,
    pub storage_category_id: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ImageCategory {
    pub image_id: u32,
    pub category_id: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub struct User {
    pub id: u32,
    pub username: String,
    pub password: Option<String>,
    pub status: String,
    pub level: u8,
    pub enabled_high: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct UserGroup {
    pub user_id: u32,
    pub group_id: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub struct UserAccess {
    pub user_id: u32,
    pub cat_id: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub struct GroupAccess {
    pub group_id: u32,
    pub cat_id: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ImageFormat {
    pub format_id: u32,
    pub image_id: u32,
    pub ext: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    pub user: String,
    pub note: Option<String>,
    pub cookies: BTreeMap<String, String>,
    pub client_ip: String,
    /// `None`: the user has signed out.
    #[serde(rename = "session_row")]
    pub row: Option<SessionRow>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct SessionRow {
    pub id: String,
    pub data: String,
    pub expiration: String,
}

/// A request of one visitor for one file.
#[derive(Debug, Clone)]
pub struct Case {
    /// The user whose session's cookie is sent; `None`: no cookie.
    pub cookie_of: Option<String>,
    /// Below the gallery's root, not encoded.
    pub path: String,
    /// The content of the file.
    pub text: String,
    pub allowed: bool,
}

impl Session {
    /// The value of the `Cookie` header.
    pub fn cookie_header(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}

impl Image {
    /// The original's path below the gallery's root, as in a URL before encoding.
    pub fn original(&self) -> &str {
        self.path.strip_prefix("./").unwrap_or(&self.path)
    }

    fn split(&self) -> (&str, &str, &str) {
        let (directory, name) = self.original().rsplit_once('/').expect("paths have a directory");
        let (stem, extension) = name.rsplit_once('.').expect("names have an extension");
        (directory, stem, extension)
    }

    /// The representative's path, if the row has one.
    pub fn representative(&self) -> Option<String> {
        let (directory, stem, _) = self.split();
        self.representative_ext.as_ref().map(|ext| format!("{directory}/pwg_representative/{stem}.{ext}"))
    }

    /// The path of a format of this image.
    pub fn format(&self, extension: &str) -> String {
        let (directory, stem, _) = self.split();
        format!("{directory}/pwg_format/{stem}.{extension}")
    }

    /// Whether the file itself is a picture (Piwigo's `picture_ext`).
    pub fn is_picture(&self) -> bool {
        ["jpg", "jpeg", "png", "gif", "webp"].contains(&self.split().2.to_ascii_lowercase().as_str())
    }

    /// The path of a derivative such as `th`: of the picture or of its representative. `None`: Piwigo shows
    /// an icon.
    pub fn derivative(&self, token: &str) -> Option<String> {
        let source =
            if self.is_picture() { Some(self.original().to_owned()) } else { self.representative() }?;
        let (stem, extension) = source.rsplit_once('.').expect("sources have an extension");
        Some(format!("_data/i/{stem}-{token}.{extension}"))
    }
}

impl World {
    /// Reads the rows, which are part of the test program.
    pub fn load() -> Self {
        serde_json::from_str(include_str!("../data/world.json")).expect("world.json")
    }

    pub fn image(&self, id: u32) -> &Image {
        self.images.iter().find(|image| image.id == id).expect("an image of this world")
    }

    pub fn user(&self, name: &str) -> &User {
        self.users.iter().find(|user| user.username == name).expect("a user of this world")
    }

    /// The first session of this user that has a row.
    pub fn session(&self, user: &str) -> &Session {
        self.sessions
            .iter()
            .find(|session| session.user == user && session.row.is_some())
            .expect("a session of this world")
    }

    /// Piwigo's own verdict: (may see the image, may have its original).
    pub fn verdict(&self, user: u32, image: u32) -> (bool, bool) {
        self.verdicts
            .iter()
            .find(|verdict| verdict.0 == user && verdict.1 == image)
            .map(|verdict| (verdict.2 == 1, verdict.3 == 1))
            .expect("a verdict for every pair")
    }

    /// A picture that this user may have in full and that a guest may not see at all.
    pub fn private_image(&self, user: &str) -> &Image {
        let user = self.user(user).id;
        self.images
            .iter()
            .filter(|image| image.is_picture())
            .find(|image| {
                self.verdict(user, image.id) == (true, true) && self.verdict(2, image.id) == (false, false)
            })
            .expect("a private image")
    }

    /// A case for every user's request for every original and every `th` derivative, by Piwigo's own
    /// verdicts.
    ///
    /// Administrators are left out, because the gate's default policy for them is not Piwigo's.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for user in self.users.iter().filter(|user| !["admin", "webmaster"].contains(&user.status.as_str())) {
            let cookie_of = (user.status != "guest").then(|| user.username.clone());
            for image in &self.images {
                let (see, original) = self.verdict(user.id, image.id);
                let mut add = |path: String, text: String, allowed: bool| {
                    cases.push(Case { cookie_of: cookie_of.clone(), path, text, allowed });
                };
                add(image.original().to_owned(), original_text(image.id), original);
                if let Some(path) = image.derivative("th") {
                    add(path, derivative_text(image.id, "th"), see);
                }
            }
        }
        cases
    }
}
