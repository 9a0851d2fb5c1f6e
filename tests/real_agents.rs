//! Whole runs with the real programs of agents, against a scripted model on loopback. `scripts/real-agents` installs
//! the programs and runs what is ignored here; the model itself is tested with everything else.

#![cfg(feature = "fake-agent")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and says what it skips"
)]

#[path = "real_agents/backlog.rs"]
mod backlog;
#[path = "real_agents/cli.rs"]
mod cli;
#[path = "real_agents/faults.rs"]
mod faults;
#[path = "real_agents/limits.rs"]
mod limits;
#[path = "real_agents/model/mod.rs"]
mod model;
#[path = "real_agents/night.rs"]
mod night;
#[path = "real_agents/quick.rs"]
mod quick;
#[path = "real_agents/serving.rs"]
mod serving;
mod support;
#[path = "real_agents/whole.rs"]
mod whole;
