//! The one limit of what must not take for ever.

use std::time::Duration;

/// Far longer than anything takes, also unoptimised on a slow machine beside other tests; reaching it is a
/// failure.
pub const PATIENCE: Duration = Duration::from_mins(1);
