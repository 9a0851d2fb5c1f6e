//! A call that goes on with a conversation, if that is still there.
//!
//! An agent's program may have lost or dropped it; then the same is said in a new one, and nobody is the worse for it.

use super::call::{self, Call, Called, Progress};
use crate::model::{Ending, FailureKind, Usage};
use std::pin::pin;

/// Calls an agent once, or twice: a call that goes on with a conversation and gets nowhere is made again without it.
/// Otherwise as [`call`](call::call).
pub async fn converse(
    call: Call<'_>,
    stop: impl Future<Output = Ending>,
    mut on_progress: impl FnMut(Progress),
) -> Called {
    let mut stop = pin!(stop);
    let anew = call.session.as_ref().map(|_| Call {
        session: None,
        ..call.clone()
    });
    let called = call::call(call, &mut stop, &mut on_progress).await;
    let Some(anew) = anew.filter(|_| got_nowhere(&called)) else {
        return called;
    };
    let why = called
        .failure
        .map_or_else(String::new, |failure| failure.text);
    let mut called = call::call(anew, &mut stop, &mut on_progress).await;
    let odd =
        format!("its last conversation could not be gone on with, so it began a new one: {why}");
    called.oddities.push(odd);
    called
}

/// Longest name of a conversation that is kept.
const NAME_BYTES: usize = 128;

/// Whether what an agent calls its conversation can be nothing but a name when it stands among arguments.
#[must_use]
pub fn is_plain_name(id: &str) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=NAME_BYTES).contains(&id.len()) && !id.starts_with('-') && id.as_bytes().iter().all(plain)
}

/// Whether a call ended by itself, with a failure of its own, before the model was asked anything.
fn got_nowhere(called: &Called) -> bool {
    let of_its_own = called.failure.as_ref().is_some_and(|failure| {
        let others = failure.kind.is_the_accounts() || failure.kind.passes();
        !others && failure.kind != FailureKind::Machine
    });
    let said_nothing = called.message.is_empty() && called.note.is_empty();
    let unused = called.usage.unwrap_or_default() == Usage::default();
    let by_itself = matches!(called.ending, Ending::Exited { .. });
    of_its_own && said_nothing && unused && by_itself && called.done.is_none()
}

#[cfg(test)]
mod tests {
    use super::is_plain_name;

    #[test]
    fn a_name_is_no_option_and_no_path() {
        assert!(is_plain_name("ef70b9c6-0000-4d5c-b3fa-0123456789ab"));
        assert!(is_plain_name("ses_12.x"));
        for wrong in [
            "",
            "-c",
            "--model",
            "a b",
            "a/b",
            "é",
            "a\n",
            &"x".repeat(200),
        ] {
            assert!(!is_plain_name(wrong), "{wrong}");
        }
    }
}
