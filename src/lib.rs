//! harness burns down a backlog of feature specs with headless coding agents, several at once,
//! each in its own git worktree, and merges what survives verification.
//!
//! The rooms, from the bottom up; imports point down only (`tests/tidy.rs` holds the table):
//!
//! | layer | rooms |
//! |---|---|
//! | 0 | [`model`], [`fault`] |
//! | 1 | [`core`] |
//! | 2 | [`config`], [`spec`], [`journal`], [`git`], [`process`], [`learnings`] |
//! | 3 | [`agent`], [`gate`], [`report`] |
//! | 4 | [`driver`], `ui` (with the feature of that name) |
//! | 5 | [`cli`] |
//!
//! ARCHITECTURE.md is the map.

pub mod agent;
pub mod cli;
pub mod config;
pub mod core;
pub mod driver;
pub mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod gate;
pub mod git;
pub mod journal;
pub mod learnings;
pub mod model;
pub mod process;
pub mod report;
pub mod spec;
#[cfg(feature = "ui")]
pub mod ui;
