//! `Plan` -> one HTML page for each visitor: every picture as this visitor gets it, and why. A page is
//! complete in itself; without JavaScript it shows what should be, and a picture that does not arrive leaves
//! its plate bare.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use super::contents::ALBUMS;
use super::plan::{Album, DemoKind, DemoPicture, DemoVisitor, File, Plan};
use super::situation::{self, Situation};

/// Writes `NAME.html` for each visitor into `directory`, which is made. A page that is there is replaced as a
/// whole, so that a visitor who asks for it meanwhile gets the old one or the new one.
///
/// # Errors
/// When a page cannot be written.
pub(super) fn write(plan: &Plan, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (column, visitor) in plan.visitors.iter().enumerate() {
        let written = directory.join(format!("{}.new", visitor.name));
        fs::write(&written, page(plan, column))?;
        fs::rename(written, directory.join(format!("{}.html", visitor.name)))?;
    }
    Ok(())
}

/// The page for the visitor in this column of the plan's table.
pub(super) fn page(plan: &Plan, column: usize) -> String {
    let Some(visitor) = plan.visitors.get(column) else { return String::new() };
    let mut sections: String = ALBUMS.iter().map(|album| section(plan, album, column)).collect();
    let orphans: Vec<_> = plan.pictures.iter().filter(|picture| picture.albums.is_empty()).collect();
    let about = "Pictures without an album belong to nobody but the administrators.";
    sections += &titled("In no album", "", about, orphans.len() == 1, &cards(&orphans, visitor, column));
    if !plan.doors.is_empty() {
        sections += &doors(plan, visitor, column);
    }
    let is_guarded = plan.situation != Situation::Unguarded;
    let behind = if is_guarded { "behind" } else { "without" };
    let allowed = plan.files().filter(|(_, file)| file.row[column].status() == 200).count();
    format!(
        "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<link rel=\"icon\" href=\"data:,\">
<title>{name} – sample gallery {behind} piwigo-gate</title>
<style>
{css}</style>
<header><div>
<h1>Sample gallery <small>{behind} piwigo-gate</small></h1>
<nav aria-label=\"Visitor\"><span>Look at it as</span>{buttons}</nav>
<nav aria-label=\"Gate\"><span>Gate</span>{switch}</nav>
</div></header>
<main>
<p class=\"who\">You are <b>{name}</b>, who {note}.
<small>{allowed} of {all} addresses give you a file. <span id=\"checked\"></span></small></p>
{change}<div class=\"albums\">
{sections}</div>
</main>
<footer>{footer} The number on a label is the answer’s HTTP status: 200 is the file, 403 is a refusal, 404 says that there
is no such file.</footer>
<script>
{js}</script>
</html>
",
        name = visitor.name,
        note = escape(&who(visitor)),
        css = include_str!("page.css"),
        js = include_str!("page.js"),
        buttons = plan.visitors.iter().map(|other| button(other, visitor)).collect::<String>(),
        switch = switch(is_guarded),
        change = change(plan.situation, visitor),
        footer = if is_guarded {
            "Every picture is asked for at its own address, and the gate decides each time."
        } else {
            "Every picture is asked for at its own address, the same as behind the gate."
        },
        all = plan.files().count(),
    )
}

/// The visitor's note as the end of “You are NAME, who …”.
fn who(visitor: &DemoVisitor) -> String {
    if visitor.cookie.is_some() { visitor.note.to_owned() } else { format!("is {}", visitor.note) }
}

fn button(to: &DemoVisitor, now: &DemoVisitor) -> String {
    let current = if to == now { " aria-current=\"page\"" } else { "" };
    format!("<a href=\"/as/{name}\"{current}>{name}</a>", name = to.name)
}

/// The two links that switch the gate on and off for this browser.
fn switch(is_guarded: bool) -> String {
    let link = |name: &str, is_current: bool| {
        let current = if is_current { " aria-current=\"true\"" } else { "" };
        format!("<a href=\"/gate/{name}\"{current}>{name}</a>")
    };
    link("on", is_guarded) + &link("off", !is_guarded)
}

/// What can be changed in this situation: alice's right, on her own page. Without the gate, what its absence
/// means.
fn change(situation: Situation, visitor: &DemoVisitor) -> String {
    let (action, label, note) = match situation {
        Situation::Unguarded => {
            return "<p class=\"change open\">The gate is off. The addresses are the same, and the web server gives their files \
                    to everybody, whatever Piwigo’s pages hide.</p>\n"
                .to_owned();
        }
        _ if visitor.user_id != situation::USER => return String::new(),
        Situation::Guarded => {
            ("take", "Take the right to “Family” away", "The next request for each of its files is refused.")
        }
        Situation::Revoked => {
            ("give", "Give the right to “Family” back", "The next request for each of its files is allowed.")
        }
    };
    format!(
        "<form class=\"change\" method=\"post\" action=\"/right/{action}\"><button>{label}</button> <span>{note}</span></form>\n"
    )
}

fn section(plan: &Plan, album: &Album, column: usize) -> String {
    let Some(visitor) = plan.visitors.get(column) else { return String::new() };
    let pictures: Vec<_> =
        plan.pictures.iter().filter(|picture| picture.albums.contains(&album.id)).collect();
    let kind = match (album.private, album.locked) {
        (_, true) => "locked",
        (true, _) => "private",
        (false, _) => "public",
    };
    titled(album.name, kind, album.about, pictures.len() == 1, &cards(&pictures, visitor, column))
}

/// A section with its headline; a `narrow` one holds a single card and stands beside others.
fn titled(title: &str, kind: &str, about: &str, narrow: bool, content: &str) -> String {
    let kind = if kind.is_empty() { String::new() } else { format!(" <span class=\"kind\">{kind}</span>") };
    let class = if narrow { " class=\"narrow\"" } else { "" };
    format!(
        "<section{class}>\n<h2>{}{kind}</h2>\n<p>{}</p>\n{content}</section>\n",
        escape(title),
        escape(about)
    )
}

fn cards(pictures: &[&DemoPicture], visitor: &DemoVisitor, column: usize) -> String {
    let cards: String = pictures.iter().map(|picture| card(picture, visitor, column)).collect();
    format!("<div class=\"grid\">\n{cards}</div>\n")
}

fn card(picture: &DemoPicture, visitor: &DemoVisitor, column: usize) -> String {
    let Some(shown) = picture.files.first() else { return String::new() };
    format!(
        "<article>\n<div class=\"frame\">{plate}{element}</div>\n<div class=\"text\">\n<h3>{title}</h3>\n<p>{about}</p>\n\
         {reasons}<details open><summary>{count} addresses</summary><ul>{files}</ul></details>\n</div>\n</article>\n",
        plate = plate(if shown.row[column].status() == 200 { "" } else { "refused" }),
        count = picture.files.len(),
        element = element(picture, shown, column),
        title = escape(picture.title),
        about = escape(picture.about),
        reasons = reasons(picture, visitor, column),
        files = picture.files.iter().map(|file| item(file, visitor, column)).collect::<String>(),
    )
}

fn item(file: &File, visitor: &DemoVisitor, column: usize) -> String {
    format!("<li>{}</li>", link(file, &file.label, visitor, column))
}

/// Stands behind every picture and is seen when none comes. Its word is there only where the picture is to be
/// refused, so that no reader of the page's text meets it before a picture that is shown.
fn plate(word: &str) -> String {
    format!(
        "<div class=\"plate\" aria-hidden=\"true\"><svg viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" \
         stroke-width=\"1.6\"><rect x=\"5\" y=\"10.5\" width=\"14\" height=\"10\" rx=\"2\"/>\
         <path d=\"M8 10.5V7a4 4 0 0 1 8 0v3.5M12 14.5v2.5\"/></svg>{word}</div>"
    )
}

/// The picture, which leads to its original, or the player for a visitor who may have the video. A picture
/// that is refused is hidden together with its broken icon: the plate behind it is seen instead.
fn element(picture: &DemoPicture, shown: &File, column: usize) -> String {
    let (width, height) = shown.size.unwrap_or(picture.size);
    let upright = if height > width { " class=\"upright\"" } else { "" };
    let original = picture.files.iter().find(|file| file.kind == DemoKind::Original).unwrap_or(shown);
    let (shown, target) = (escape(&shown.url), escape(&original.url));
    if picture.is_video() && original.row[column].status() == 200 {
        return format!(
            "<video controls loop muted playsinline preload=\"metadata\" poster=\"{shown}\" src=\"{target}\"></video>"
        );
    }
    format!(
        "<a class=\"photo\" href=\"{target}\" aria-label=\"Original of {}\"><img{upright} src=\"{shown}\" alt=\"\" onerror=\"this.hidden = true\"></a>",
        escape(picture.title)
    )
}

/// A sentence for what the page shows, and one more where another file gets another answer.
fn reasons(picture: &DemoPicture, visitor: &DemoVisitor, column: usize) -> String {
    let mut sentences = String::new();
    let mut said = Vec::new();
    for file in &picture.files {
        let why = file.row[column];
        if said.contains(&why.status()) {
            continue;
        }
        let name = if said.is_empty() { "" } else { file.label.split(',').next().unwrap_or_default() };
        let colon = if name.is_empty() { "" } else { ": " };
        let class = if why.status() == 200 { "why" } else { "why no" };
        let sentence = why.sentence(named(visitor));
        // Writing to a string cannot fail.
        let _ = writeln!(sentences, "<p class=\"{class}\">{}{colon}{}</p>", capital(name), escape(&sentence));
        said.push(why.status());
    }
    sentences
}

fn named(visitor: &DemoVisitor) -> &str {
    if visitor.cookie.is_some() { visitor.name } else { "a guest" }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// A label that leads to the file and tells the status.
fn link(file: &File, label: &str, visitor: &DemoVisitor, column: usize) -> String {
    let why = file.row[column];
    let status = why.status();
    format!(
        "<a class=\"file{no}\" href=\"{url}\"{download} title=\"{sentence}\">{label}<b>{status}</b></a>",
        no = match status {
            200 => "",
            404 => " no none",
            _ => " no",
        },
        url = escape(&file.url),
        download = if file.kind == DemoKind::Format && status == 200 { " download" } else { "" },
        sentence = escape(&why.sentence(named(visitor))),
        label = escape(&label.replace(" × ", "×")),
    )
}

fn doors(plan: &Plan, visitor: &DemoVisitor, column: usize) -> String {
    let rows: String = plan.doors.iter().map(|file| door(file, visitor, column)).collect();
    let about = "The same files by Piwigo’s scripts, and addresses where there is nothing to get.";
    titled("Other doors", "", about, false, &format!("<table class=\"doors\">\n{rows}</table>\n"))
}

fn door(file: &File, visitor: &DemoVisitor, column: usize) -> String {
    format!(
        "<tr><td>{label}<code>{url}</code></td><td>{link}</td><td>{sentence}</td></tr>\n",
        label = escape(&file.label),
        url = escape(&file.url),
        link = link(file, "", visitor, column),
        sentence = escape(&file.row[column].sentence(named(visitor))),
    )
}

/// For text and for attributes in double quotes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::sample;
    use super::*;

    #[test]
    fn a_page_asks_nobody_else_for_anything() {
        for column in 0..5 {
            let page = page(&sample(), column);
            assert!(!page.contains("://"), "column {column}");
            for attribute in ["src=\"", "href=\"", "poster=\""] {
                for rest in page.split(attribute).skip(1) {
                    assert!(
                        rest.starts_with('/') || rest.starts_with("data:,"),
                        "{attribute}{}",
                        &rest[..40]
                    );
                }
            }
        }
    }

    #[test]
    fn every_picture_is_on_every_page_in_all_its_albums() {
        let plan = sample();
        for column in 0..plan.visitors.len() {
            let page = page(&plan, column);
            for picture in &plan.pictures {
                let shown = escape(&picture.files[0].url);
                let times = page.matches(&format!(" src=\"{shown}\" alt=")).count()
                    + page.matches(&format!("poster=\"{shown}\"")).count();
                assert_eq!(times, picture.albums.len().max(1), "{} in column {column}", picture.title);
            }
        }
    }

    #[test]
    fn carol_reads_why_the_large_original_is_refused() {
        let page = page(&sample(), 3);
        assert!(page.contains(
            "<p class=\"why no\">Original: carol may see the picture, but not in high definition.</p>"
        ));
        assert!(page.contains("<a href=\"/as/carol\" aria-current=\"page\">carol</a>"));
        assert!(page.contains(
            "You are <b>carol</b>, who was granted “Family”, but has no right to high definition."
        ));
    }

    #[test]
    fn only_who_may_have_the_video_gets_a_player() {
        let players: Vec<bool> = (0..5).map(|column| page(&sample(), column).contains("<video ")).collect();
        assert_eq!(players, [false, true, true, true, true]);
    }

    #[test]
    fn only_a_refused_picture_has_the_word_refused_and_only_a_missing_file_is_grey() {
        let (guest, admin) = (page(&sample(), 0), page(&sample(), 4));
        assert!(guest.contains("</svg>refused</div>") && !admin.contains("</svg>refused</div>"));
        for page in [guest, admin] {
            for link in page.split("<a class=\"file").skip(1) {
                let link = &link[..link.find("</a>").unwrap()];
                assert_eq!(link.starts_with(" no none\""), link.contains("<b>404</b>"), "{link}");
            }
        }
    }

    #[test]
    fn the_right_is_taken_on_alices_page_and_given_back_there() {
        let has = |plan: &Plan, action: &str| {
            (0..5)
                .map(|column| page(plan, column).contains(&format!("action=\"/right/{action}\"")))
                .collect::<Vec<_>>()
        };
        let (alice, nobody) = ([false, true, false, false, false], [false; 5]);
        assert_eq!(has(&sample(), "take"), alice);
        assert_eq!(has(&sample().revoked(), "give"), alice);
        assert_eq!(has(&sample().revoked(), "take"), nobody);
        assert_eq!(has(&sample().unguarded(), "take"), nobody);
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href=\"?x&y\">"), "&lt;a href=&quot;?x&amp;y&quot;&gt;");
    }
}
