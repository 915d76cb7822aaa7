//! Compares the character set of the connections, which Piwigo's `DB_CHARSET` names, with that of the
//! column that contains the paths.

use super::findings::{Findings, shown};
use crate::database::{Inspection, Paths};

/// Reports which character sets are in use, and how many paths cannot be expressed in that of the
/// connections.
pub(super) async fn look(inspection: &Inspection, findings: &mut Findings) {
    let id = "charset";
    match inspection.paths().await {
        Ok(Some(paths)) => judge(&paths, findings),
        Ok(None) => {}
        Err(error) => findings.not_examined(id, &shown(&error.to_string())),
    }
}

fn judge(paths: &Paths, findings: &mut Findings) {
    let Paths { connection, column, unreadable } = paths;
    let in_force = format!("connections speak {connection} (Piwigo's DB_CHARSET), images.path is {column}");
    if *unreadable == 0 {
        return findings.ok("charset", in_force);
    }
    findings.problem(
        "charset",
        format!(
            "{in_force}: the paths of {unreadable} photos cannot be expressed in {connection}, so that nobody gets their files, \
             and Piwigo shows question marks in their place"
        ),
        "set DB_CHARSET in local/config/database.inc.php to the character set in which these rows were written (utf8, most \
         likely)",
    );
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    #[test]
    fn paths_that_do_not_come_through_are_a_problem() {
        for (unreadable, level) in [(0, Level::Ok), (3, Level::Problem)] {
            let mut findings = Findings::default();
            let paths = Paths { connection: "latin1".into(), column: "utf8mb3".into(), unreadable };
            judge(&paths, &mut findings);
            assert_eq!(findings.0[0].level, level);
            assert!(findings.0[0].what.contains("latin1") && findings.0[0].what.contains("utf8mb3"));
        }
    }
}
