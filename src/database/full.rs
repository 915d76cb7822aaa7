//! A database that has no place for one more connection: how that is told, and which connections are given up
//! for it. Shared hosts allow an account one to three (`max_user_connections`), and one process of the gate
//! may have several pools: the one that serves, one that is being replaced, the one that examines.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use sqlx::mysql::MySqlDatabaseError;

use super::pool::Closable;

/// Whether the database refused a connection only because there are too many already: of this account (1203,
/// 1226) or of all (1040).
pub(super) fn has_no_place(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(reply) = error else { return false };
    match reply.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number) {
        Some(1040 | 1203) => true,
        // The same number stands for limits an hour, for which waiting does not help.
        Some(1226) => reply.message().contains("max_user_connections"),
        _ => false,
    }
}

/// All pools of this process.
static POOLS: Mutex<Vec<Weak<dyn Closable>>> = Mutex::new(Vec::new());

/// Makes the connections that rest in a pool known to the others.
pub(super) fn register(resting: &Arc<dyn Closable>) {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    pools.retain(|pool| pool.strong_count() > 0);
    pools.push(Arc::downgrade(resting));
}

/// Closes what rests in all pools but this one.
pub(super) fn close_resting_of_others(own: &Arc<dyn Closable>) {
    let pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for pool in pools.iter().filter_map(Weak::upgrade).filter(|pool| !Arc::ptr_eq(pool, own)) {
        pool.close_all();
    }
}
