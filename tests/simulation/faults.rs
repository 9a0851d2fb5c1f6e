//! What goes wrong in a night. Each seed draws its own kinds and rates (swarm testing: Groce et al. 2012), so that
//! no kind hides another by ending every night before it matters.

use super::dice::Dice;
use std::fmt;

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident: $most:literal,)*) => {
        /// Each kind's rate, in percent of the occasions it has; 0: it does not happen this night.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Faults {
            $($(#[doc = $doc])* pub(super) $name: u64,)*
        }

        impl Faults {
            /// Half of the kinds, each at a rate up to its highest.
            pub(super) fn swarm(dice: &mut Dice) -> Self {
                Self { $($name: if dice.chance(50) { 1 + dice.roll($most) } else { 0 },)* }
            }
        }

        impl fmt::Display for Faults {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut shown = vec![];
                $(if self.$name > 0 { shown.push(format!("{} {}%", stringify!($name), self.$name)); })*
                f.write_str(&shown.join(", "))
            }
        }
    };
}

faults! {
    /// The process dies: in the middle of a batch of records, or between two turns.
    crash: 100,
    /// It dies again in the first moments of the life that follows.
    crash_again: 60,
    /// The journal cannot be written: nothing or part of a batch is in it, and the run stops.
    refused: 30,
    /// A completion is seen twice, the second time later.
    doubled: 15,
    /// What an earlier life began is reported to a later one.
    late: 60,
    /// An effect takes hours.
    slow: 10,
    /// The machine sleeps for hours while effects are under way.
    suspend: 4,
    /// Between two lives the wall clock is set a year ahead or back.
    clock: 50,
    /// A person makes or removes HALT.
    halt: 30,
    /// A person edits, removes and adds specs.
    edits: 60,
    /// A person makes or deletes `.done` markers.
    markers: 30,
    /// A person retries and unblocks.
    commands: 60,
    /// A person takes back what has landed.
    undo: 50,
    /// A person asks the run to stop.
    stops: 15,
    /// A person commits to the target.
    commits: 40,
    /// A person rewrites the target's history, goes back in it, or merges what has landed.
    rewrites: 10,
    /// A person drops a feature's branch.
    drops: 20,
    /// The target's checkout is in the way of publishing.
    dirty: 40,
    /// The machine is short of something.
    strain: 40,
    /// Making a worktree ready fails.
    setup: 25,
    /// An agent cannot be started.
    spawn: 15,
    /// No snapshot can be taken of what an agent left.
    snapshot: 8,
    /// git or the disk fail while merging.
    git: 12,
    /// A gate fails though nothing is wrong.
    flaky: 12,
    /// Features that fail.
    bad: 30,
    /// Pairs of features that conflict.
    textual: 25,
    /// Pairs of features that fail together.
    semantic: 12,
    /// The target fails from the beginning, until one of the features repairs it.
    broken_base: 40,
    /// Agents are killed at a limit, say nothing, change nothing, or report failures.
    weak: 30,
    /// Agents ask, leave things half done, or reach into what is not theirs.
    odd: 12,
    /// The agents' account cannot be used.
    account: 8,
}
