//! The published schemas of what commands print for programs, and of what a run leaves for them.
//!
//! One file each in `schemas`, JSON Schema of draft 2020-12. Fields are added to them, never renamed.

/// A schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// What `schema` says in the output, without `harness.`.
    pub name: &'static str,
    /// The schema, as JSON.
    pub text: &'static str,
}

macro_rules! schemas {
    ($($name:literal,)+) => {
        /// All of them.
        pub const SCHEMAS: &[Schema] = &[
            $(Schema {
                name: $name,
                text: include_str!(concat!("schemas/", $name, ".json")),
            },)+
        ];
    };
}

schemas! {
    "config",
    "conflicts",
    "doctor",
    "graph",
    "journal",
    "kept",
    "logs",
    "notification",
    "plan",
    "prompt",
    "queue",
    "report",
    "report-diff",
    "result",
    "runs",
    "stats",
    "status",
    "why",
}
