//! The table of Piwigo plugins that serve, lock or move files: what each plugin does and what the gate does
//! about it. Every row was read from the plugin's own source; `docs/plugins.md` is the same table for
//! administrators.

use super::{KnownPlugin, Stance};

/// Builds the row of a plugin that needs no advice.
const fn row(id: &'static str, stance: Stance, files: &'static str) -> KnownPlugin {
    KnownPlugin {
        id,
        stance,
        files,
        advice: "",
        locks_action_php: false,
        scripts: &[],
        scripts_are_guarded: false,
    }
}

const fn advised(id: &'static str, stance: Stance, files: &'static str, advice: &'static str) -> KnownPlugin {
    KnownPlugin { advice, ..row(id, stance, files) }
}

/// All known plugins, grouped by stance.
pub const KNOWN: &[KnownPlugin] = &[
    // The gate judges these.
    row(
        "download_permissions",
        Stance::Handled,
        "keeps action.php from giving originals of albums whose column `downloadable` is not true",
    ),
    row(
        "two_factor",
        Stance::Handled,
        "keeps a visitor out who has given the password and still owes the code",
    ),
    row(
        "community",
        Stance::Handled,
        "gives uploaded photos the level 16 until an administrator accepts them",
    ),
    row(
        "ShareAlbum",
        Stance::Handled,
        "signs a visitor who has the link in to an account that was made for one album",
    ),
    row(
        "modern_formats",
        Stance::Handled,
        "replaces originals by WebP files and keeps the old ones below _data/modern_formats_backup",
    ),
    row("piwigo-openstreetmap", Stance::Handled, "shows thumbnails and GPX tracks on maps"),
    KnownPlugin {
        scripts: &["get.php"],
        scripts_are_guarded: true,
        ..advised(
            "piwigo_privacy",
            Stance::Handled,
            "makes pages link to its own get.php; the gate answers these links in its place",
            "deactivate it: the gate does its work",
        )
    },
    advised(
        "piwigo-videojs",
        Stance::Handled,
        "shows videos, with other encodings, subtitles and pictures of the time line that have no record of their own, and an HD \
         version (the format hd.mp4), which the gate gives to each visitor who may see the video",
        "set companions = \"videojs\" in gate.toml. The HD version needs no right to originals, as the video itself needs none; other \
         formats do (formats_need_high)",
    ),
    advised(
        "UserCollections",
        Stance::Handled,
        "shows a collection to a visitor who has its link, private photos included",
        "the gate refuses a picture to a visitor who may not see the photo, whatever page shows it",
    ),
    advised(
        "piwigo_ai",
        Stance::Handled,
        "sends originals from the disk to another company's server, or that server their address",
        "where it sends addresses only, the gate refuses private photos to that server",
    ),
    advised(
        "LocalFilesEditor",
        Stance::Handled,
        "lets a webmaster edit local/config/config.inc.php",
        "the gate reads that file at its start and on SIGHUP: reload it after a change",
    ),
    advised(
        "AdminTools",
        Stance::Handled,
        "shows an administrator the pages of another account",
        "the gate goes on judging the session's own account, an administrator's",
    ),
    advised(
        "Password_Policy",
        Stance::Handled,
        "signs a locked account out at its next page, and demands new passwords",
        "until that next page the session opens what the account may see: a lock counts at once if its row in sessions is deleted",
    ),
    advised(
        "UserAdvManager",
        Stance::Handled,
        "signs an account out at its next page that has not confirmed its address",
        "give accounts that are not confirmed a group or a level that opens nothing: until that next page the session \
         opens what the account may see",
    ),
    // The gate leaves `action.php` to PHP for these.
    KnownPlugin {
        locks_action_php: true,
        ..advised(
            "prepaid_credits",
            Stance::LeftToPhp,
            "takes originals away from action.php for everybody, and sells them by an action.php of its own",
            "take the right to originals (enabled_high) from the accounts of buyers: by the file's own address an account \
             with that right gets the original without credits; what was bought comes without it",
        )
    },
    KnownPlugin {
        locks_action_php: true,
        ..advised(
            "lac",
            Stance::LeftToPhp,
            "keeps a visitor from all pages and action.php until they say that they are of age",
            "files of public albums are open by their own address: make the albums private if that matters",
        )
    },
    KnownPlugin {
        locks_action_php: true,
        ..advised(
            "family_access",
            Stance::NotJudged,
            "keeps a visitor from all pages and action.php until they answer a question",
            "files of public albums are open by their own address without the answer: make the albums private and give \
             out accounts, or links of ShareAlbum",
        )
    },
    // These work differently behind the gate.
    advised(
        "TFA",
        Stance::NotJudged,
        "calls a visitor who owes the second factor a guest, whose albums stay the account's: Piwigo's pages show them as well",
        "files come after the password alone: use the plugin two_factor in its place",
    ),
    advised(
        "BatchDownloader",
        Stance::Advice,
        "puts originals or sizes into zips below _data/download_archives, which its download.php sends to their owner",
        "switch its option \"direct\" off, because _data is closed; set its photo size below the original if some accounts \
         have no right to originals, because it does not ask for that right; a zip outlives a right by its time-out (48 hours)",
    ),
    advised(
        "download_by_size",
        Stance::Advice,
        "sends sizes by an action.php of its own, which asks Piwigo's own rules, and makes a missing size by asking for it \
         as a stranger",
        "a size of a private photo that is not there yet is not sent: make them beforehand with piwigo-gate derive",
    ),
    advised(
        "private_share",
        Stance::Advice,
        "sends one photo's original to everybody who has the link, by PHP and until it expires",
        "the link's page shows no preview of a private photo, and the download does not ask the gate: the link \
         opens the original until it expires",
    ),
    advised(
        "download_counter",
        Stance::Advice,
        "counts the downloads that PHP's action.php answers",
        "the counter stands still while the gate answers action.php: set action_php = \"piwigo\" if it matters",
    ),
    advised(
        "download_limits",
        Stance::Advice,
        "counts the rows of history that action.php writes, and shows a notice",
        "set history = true, so that the gate writes these rows; it is a notice and no lock",
    ),
    advised(
        "cdnplus",
        Stance::Advice,
        "makes pages link to pictures on other hosts, which get no session cookie",
        "guard those hosts by the gate too, or exclude pictures from it: what a cache of another company has got is open",
    ),
    advised(
        "OpenIdConnect",
        Stance::Advice,
        "signs a visitor out at the next page when the provider's token has ended",
        "until that next page the session opens files: set session_max_age",
    ),
    // These let visitors around the gate.
    KnownPlugin {
        scripts: &["protect.php", "serve_original.php"],
        ..advised(
            "private_derivative_protection",
            Stance::SecondDoor,
            "sends sizes to everybody who has a link of its protect.php, and originals by serve_original.php without the \
             right to them; writes .htaccess files into upload/ and galleries/ over the gate's",
            "deactivate it and delete its directory below plugins/, then put the gate's .htaccess files back: the gate \
             does its work",
        )
    },
    KnownPlugin {
        scripts: &["watermark.php"],
        ..advised(
            "bratonien_tools",
            Stance::SecondDoor,
            "sends sizes to everybody who has a signed link of its watermark.php, which never ends and which caches may keep",
            "switch its watermark off (Piwigo has one, which the gate makes too), and delete watermark.php",
        )
    },
    // These need nothing.
    row(
        "export_formats",
        Stance::Nothing,
        "sends a converted original by ws.php, after asking for the right to originals",
    ),
    row("download_formats_buttons", Stance::Nothing, "shows buttons for the formats of action.php"),
    row("custom_download_link", Stance::Nothing, "shows another button for action.php"),
    row("gvideo", Stance::Nothing, "shows videos of other sites; their thumbnails are photos like others"),
    row("rotateImage", Stance::Nothing, "rewrites originals in their place and deletes their sizes"),
    row("Crop_Image", Stance::Nothing, "rewrites originals in their place and deletes their sizes"),
    row("photo_update", Stance::Nothing, "replaces originals and deletes their sizes"),
    row("write_metadata", Stance::Nothing, "writes titles and keywords into originals"),
    row("physical_photo_move", Stance::Nothing, "moves originals and changes their paths in the database"),
    row("virtualize", Stance::Nothing, "moves originals to upload/ and changes their paths in the database"),
    row(
        "expiry_date",
        Stance::Nothing,
        "deletes or archives photos after a date, when somebody opens a page",
    ),
    row("SmartAlbums", Stance::Nothing, "puts photos into albums by rules, as rows of the database"),
    row("Fotorama", Stance::Nothing, "shows sizes as a slide show"),
    row("GThumb", Stance::Nothing, "shows sizes of its own among the thumbnails"),
    row("PhotoSphere", Stance::Nothing, "shows sizes as spheres"),
    row("piwigo-panorama", Stance::Nothing, "shows originals as panoramas"),
    row("rightClick", Stance::Nothing, "hides the browser's menu"),
    row("oAuth", Stance::Nothing, "signs visitors in by other sites; the session is Piwigo's"),
    row("casusers", Stance::Nothing, "signs visitors in by CAS; the session is Piwigo's"),
];
