//! Reports photos whose names look like those of programs: those that are never served, and those that only
//! some servers serve.

use super::findings::{Findings, some};
use crate::database::Inspection;
use crate::piwigo::program_names;

/// Looks for such photos in the database.
pub(super) async fn examine(inspection: &Inspection, findings: &mut Findings) {
    let id = "program-names";
    match inspection.paths_like_programs().await {
        Ok(paths) => report(id, &paths, findings),
        Err(error) => findings.not_examined(id, &error.to_string()),
    }
}

fn report(id: &'static str, paths: &[String], findings: &mut Findings) {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let (never, others): (Vec<String>, Vec<String>) =
        paths.iter().cloned().partition(|path| program_names::names_a_program(&name(path)));
    if !never.is_empty() {
        findings.warn(
            id,
            format!(
                "never served, because the name ends as a program's does ({}): {}",
                never.len(),
                some(&never)
            ),
            "rename these files, and their rows by Piwigo's synchronisation",
        );
    }
    let some_servers: Vec<String> =
        others.into_iter().filter(|path| program_names::could_be_executed(&name(path))).collect();
    if !some_servers.is_empty() {
        findings.note(
            id,
            format!(
                "an extension of programs stands inside the name ({}): {}. Served, but not with htaccess, \
                 apache-access-checker and apache-authnz, because Apache could run them there",
                some_servers.len(),
                some(&some_servers)
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::findings::Level;

    #[test]
    fn what_is_never_served_is_told_from_what_some_servers_refuse() {
        let paths = [
            "./upload/a.php",
            "./galleries/x.php/a.jpg",
            "./u/allegro.pl.jpg",
            "./u/A.Inc.mp4",
            "./u/a.phpx.jpg",
        ];
        let mut findings = Findings::default();
        report("program-names", &paths.map(str::to_owned), &mut findings);
        let said: Vec<(Level, &str)> =
            findings.0.iter().map(|finding| (finding.level, &*finding.what)).collect();
        let [(Level::Warning, never), (Level::Note, some)] = said[..] else { panic!("{said:?}") };
        assert!(never.ends_with("(1): ./upload/a.php"), "{never}");
        assert!(some.contains("(2): ./u/allegro.pl.jpg, ./u/A.Inc.mp4. "), "{some}");
        let mut findings = Findings::default();
        report("program-names", &["./upload/a.jpg".to_owned()], &mut findings);
        assert!(findings.0.is_empty());
    }
}
