//! Turns the setting `action_php` and Piwigo's active plugins into which program answers Piwigo's script for
//! downloads.

/// Which program answers `action.php`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionPhp {
    /// The gate, instead of the script.
    Gate,
    /// Piwigo's own script, with the rules that plugins add to it. The gate judges no request for it.
    Piwigo,
}

impl ActionPhp {
    /// The value in force. The administrator's setting wins. Without one, Piwigo's script answers if an
    /// active plugin changes by its own code who may download (`plugins_demand_piwigo`), and otherwise the
    /// gate.
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
