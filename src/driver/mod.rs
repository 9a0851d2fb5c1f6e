//! The hands: turns decisions into doings.
//!
//! [`turn`] is the synchronous heart, [`run`] the only select loop, `world` performs effects, `watch`
//! tells when files changed. This room must never decide what happens to a feature; it asks `core`.

mod apart;
mod awake;
mod builds;
mod cache;
mod clock;
mod command;
mod confine;
mod costs;
mod crew;
mod damage;
mod doctor;
mod error;
mod evidence;
mod follow;
mod integrate;
mod iterate;
mod leftovers;
mod lookout;
mod machine;
mod notify;
mod place;
mod preflight;
mod prepare;
mod radar;
mod recover;
mod rehearse;
mod reports;
mod run;
mod signals;
mod tamper;
mod tell;
pub mod turn;
mod undo;
mod until;
mod watch;
mod work;
mod world;

pub use apart::{Apart, Begun, begin_apart, is_run, stop};
pub use clock::wall_clock;
pub use command::{Given, branch_tip, clean_up, give};
pub use costs::charges;
pub use crew::prompt_for;
pub use damage::{forgotten, mend_journal};
pub use doctor::{agents, examine, mend};
pub use error::DriverError;
pub use follow::Watch;
pub use place::{Place, Reading};
pub use preflight::{Ready, Survey, preflight, survey};
pub use radar::conflicts;
pub use recover::{branch_at, kept, restore_to};
pub use rehearse::{rehearse, try_base};
pub use reports::{living_run, local_zone, named_run, report_on, runs, shown_directory};
pub use run::{Audience, Outcome, run};
pub use signals::{continued, suspend};
pub use undo::{Undone, undo};
pub use work::{work_of, worktree_of};
