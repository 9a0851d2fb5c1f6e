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
//! | `refs/harness/candidates/undo-<oid>` | a commit that takes back a landed one |
//! | `refs/harness/candidates/rebuild-<tree>` | a merge whose generated files are to be made anew |
//! | `refs/harness/integration/<target>` | what has landed |
//! | `refs/harness/onto/<slug>` | what was last laid into the worktree to be merged; also its name in markers |

mod audit;
mod changes;
mod child;
mod claim;
mod cli;
mod differ;
mod earlier;
mod error;
mod filters;
mod forward;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod ground;
mod guarded;
mod handback;
mod handles;
mod home;
mod ignored;
mod import;
mod include;
mod land;
mod landed;
mod ledger;
mod lend;
mod litter;
mod loan;
mod loose;
mod mend;
mod merge;
mod near;
mod patch;
mod pins;
mod planted;
mod prepare;
mod put_back;
mod radar;
mod read;
mod recover;
mod regenerate;
mod register;
mod repo;
mod scratch;
mod sealed;
mod sides;
mod snapshot;
mod stage;
mod stamp;
mod submodules;
mod tidy;
mod tree;
mod tripwire;
mod undo;
mod worktrees;

#[cfg(test)]
mod tests;

pub use changes::Changes;
pub use earlier::GivenUp;
pub use error::GitError;
pub use filters::BrokenFilter;
pub use forward::CutOff;
#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::fuzz;
pub use ground::integration_ref;
pub use guarded::MovedRef;
pub use handback::Laid;
pub use landed::Landed;
pub use lend::Lent;
pub use litter::Litter;
pub use merge::{Chained, Link, Reconciled, Remake, Strategy};
pub use patch::{Patch, PatchLine, Whereabouts};
pub use planted::Planted;
pub use prepare::Prepared;
pub use put_back::PutBack;
pub use radar::Clash;
pub use read::{Commit, DiffStat};
pub use recover::{Kept, KeptKind, Traces};
pub use regenerate::{Generated, Rebuild, Regenerated};
pub use repo::{Repo, Target};
pub use snapshot::{Iterated, Snapshot};
pub use tidy::Cleaned;
pub use tripwire::{Touched, Tripwire};
pub use undo::Reverted;
pub use worktrees::{Listed, Worktrees};
