//! The statements and connections: batches, replicas, host names, plans and the mapping of paths to rows.

mod batching;
mod database_connections;
mod few_connections;
mod names;
mod replicas;
mod reverse_mapping;
mod statement_plans;
#[path = "../support/mod.rs"]
mod support;
