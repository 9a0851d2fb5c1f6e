//! The git layer: the worktree pool, snapshots, candidates, conflicts handed back, landing, and reading.
//!
//! git2 reads, the git program writes. This room never decides anything: it does not know why a feature is
//! prepared or when a candidate is good enough to land. It never stashes, resets, pushes or forces
//! anything in the user's checkout, and it never removes work that is not on a ref.
//!
//! Refs it owns, all kept until a person removes them except the last two:
//!
//! | ref | holds |
//! |---|---|
//! | `refs/heads/harness/<slug>` | the feature's branch |
//! | `refs/harness/iterations/<slug>/<n>` | the snapshot of iteration n |
//! | `refs/harness/lost/<name>-<oid>` | what would otherwise have been dropped |
//! | `refs/harness/old/<slug>/<oid>` | a branch's tip from before it was started anew |
//! | `refs/harness/candidates/<n>` | the chain of merges that is being verified |
//! | `refs/harness/integration/<target>` | what has landed |
//! | `refs/harness/onto/<slug>` | what was last laid into the worktree to be merged; also its name in markers |

mod audit;
mod claim;
mod cli;
mod error;
mod ground;
mod handback;
mod include;
mod land;
mod merge;
mod prepare;
mod read;
mod register;
mod repo;
mod sides;
mod snapshot;
mod stage;
mod tidy;
mod tree;
mod worktrees;

#[cfg(test)]
mod tests;

pub use error::GitError;
pub use ground::integration_ref;
pub use handback::Laid;
pub use merge::{Chained, Link, Reconciled, Strategy};
pub use prepare::Prepared;
pub use read::{Commit, DiffStat};
pub use repo::{Repo, Target};
pub use snapshot::{Iterated, Snapshot};
pub use tidy::Cleaned;
pub use worktrees::{Listed, Worktrees};
