//! The setting `action_php`, and what counts where the administrator says nothing: who answers Piwigo's
//! script for downloads.

/// Who answers `action.php`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionPhp {
    /// The gate, in the place of the script.
    Gate,
    /// Piwigo's own script, with the locks that plugins put into it. The gate judges no request for it.
    Piwigo,
}

impl ActionPhp {
    /// The value that counts. What the administrator has said wins. Otherwise the script is Piwigo's where an
    /// active plugin changes by its own code who may download (`plugins_demand_piwigo`), and the gate's
    /// everywhere else.
    pub fn in_force(said: Option<Self>, plugins_demand_piwigo: bool) -> Self {
        let default = if plugins_demand_piwigo { ActionPhp::Piwigo } else { ActionPhp::Gate };
        said.unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_wins_over_what_plugins_demand() {
        use ActionPhp::{Gate, Piwigo};
        let table = [
            (None, false, Gate),
            (None, true, Piwigo),
            (Some(Gate), true, Gate),
            (Some(Gate), false, Gate),
            (Some(Piwigo), false, Piwigo),
            (Some(Piwigo), true, Piwigo),
        ];
        for (said, demand, expected) in table {
            assert_eq!(ActionPhp::in_force(said, demand), expected, "{said:?}, {demand}");
        }
    }
}
