//! What a person asks of a run.
//!
//! This file never says whether it applies.

use super::{Event, Oid, Slug};
use serde::{Deserialize, Serialize};

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Put a tripped, failed, parked or blocked feature back in the queue with fresh breakers.
    Retry {
        /// Which.
        slug: Slug,
    },
    /// Answer a blocked feature, or say what is to be changed of one that waits for a review.
    Unblock {
        /// Which.
        slug: Slug,
        /// The answer; it stands in the next prompt.
        answer: String,
    },
    /// Leave a feature out until a person has it tried again.
    Skip {
        /// Which.
        slug: Slug,
        /// The person's reason; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// Let a feature land that waits for a person's review.
    Approve {
        /// Which.
        slug: Slug,
        /// The commit of its branch that was found to be ready and that the person has seen: no other lands by this.
        tip: Oid,
    },
}

impl Command {
    /// What a person types for it, and of which feature it is.
    #[must_use]
    pub fn typed(&self) -> (&'static str, &Slug) {
        match self {
            Self::Retry { slug } => ("retry", slug),
            Self::Unblock { slug, .. } => ("unblock", slug),
            Self::Skip { slug, .. } => ("skip", slug),
            Self::Approve { slug, .. } => ("approve", slug),
        }
    }

    /// Whether this fact is what it asked for.
    #[must_use]
    pub fn is_done_by(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::Retry { slug }, Event::Retried { slug: whose })
            | (Self::Unblock { slug, .. }, Event::Unblocked { slug: whose, .. })
            | (Self::Skip { slug, .. }, Event::Skipped { slug: whose, .. })
            | (Self::Approve { slug, .. }, Event::Approved { slug: whose, .. }) => slug == whose,
            _ => false,
        }
    }
}
