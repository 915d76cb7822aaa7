//! The limit for every wait in the tests.

use std::time::Duration;

/// Far longer than anything takes, even unoptimised on a slow machine beside other tests. A test that reaches
/// it fails.
pub const PATIENCE: Duration = Duration::from_mins(1);
