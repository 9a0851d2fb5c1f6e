//! The state as of some record, kept beside the journal for whoever only looks.
//!
//! A run leaves it there, since it has the state at hand, and so does whoever looked at much. A run never reads it, and whoever
//! looks believes it only for exactly the journal that it was made of.

use super::place::Place;
use crate::core::State;
use crate::journal::{self, Mark};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

/// After so many records the state is kept again: whoever looks has no more than that to read.
pub(super) const MANY: u64 = 2_000;

/// Keeps the state for the next who looks; without it, they read what stands before the mark.
pub(super) fn keep(place: &Place, mark: Mark, state: &State) {
    let text = serde_json::to_vec(state);
    if let (Ok(text), Some(maker)) = (text, maker())
        && let Err(error) = journal::keep(&place.state_dir, maker, mark, &text)
    {
        tracing::debug!(%error, "the state is not kept");
    }
}

/// What is kept, if it holds for the journal as it stands now.
pub(super) fn kept(place: &Place) -> Option<(Mark, State)> {
    let (mark, text) = journal::kept(&place.state_dir, maker()?)?;
    Some((mark, serde_json::from_slice(&text).ok()?))
}

/// This very program: another one may make another state of the same records. That its file is the same is told by all that
/// the system knows of it. Asked once, and by a run at its beginning: another program may have its place later.
pub(super) fn maker() -> Option<&'static str> {
    static MAKER: OnceLock<Option<String>> = OnceLock::new();
    MAKER.get_or_init(this_program).as_deref()
}

fn this_program() -> Option<String> {
    let file = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
    let (dev, ino, size) = (file.dev(), file.ino(), file.size());
    let (s, ns) = (file.mtime(), file.mtime_nsec());
    let version = env!("CARGO_PKG_VERSION");
    Some(format!("{version} {dev:x}-{ino:x}-{size:x}-{s:x}.{ns:x}"))
}
