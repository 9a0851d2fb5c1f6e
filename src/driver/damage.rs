//! A journal that is damaged, empty or gone where harness has worked: what stands in its place, and the way on.
//!
//! Work is in git, the journal says what became of it. Nothing here changes anything but when a person asks for it.

use super::error::DriverError;
use super::place::Place;
use crate::journal::{self, JournalError, Lock, Mended};
use crate::model::{Code, Problem};

/// Refuses a journal that is there without a record where harness has worked: somebody has emptied it.
///
/// # Errors
/// It is so, or the repository cannot be read.
pub(super) fn not_emptied(place: &Place, is_empty: bool) -> Result<(), DriverError> {
    let path = place.journal_file();
    // A run that was killed before its first record leaves it empty, but no iteration.
    if !is_empty || !path.exists() || place.repo.traces()?.iterations == 0 {
        return Ok(());
    }
    Err(JournalError::Damaged {
        path,
        line: 1,
        why: "it holds no record, and harness has worked in this repository".to_owned(),
    }
    .into())
}

/// What is to be told where there is no journal, though harness has worked in this repository.
///
/// # Errors
/// The repository cannot be read.
pub fn forgotten(place: &Place) -> Result<Option<Problem>, DriverError> {
    let path = place.journal_file();
    if path.exists() {
        return Ok(None);
    }
    let traces = place.repo.traces()?;
    if traces.iterations == 0 {
        return Ok(None);
    }
    let text = format!(
        "there is no journal, {}, but harness has worked in this repository: there are {} kept iterations and {} \
         branches harness/<feature>",
        path.display(),
        traces.iterations,
        traces.branches
    );
    let help = "if it was moved or deleted by mistake, put it back before the next run; without it, what has a `.done` \
                marker counts as landed, the rest is worked on from where its branch stands, and iterations are \
                counted from 1";
    Ok(Some(
        Problem::warning(text).code(Code::JournalMissing).help(help),
    ))
}

/// Goes on without what is damaged in the journal: see [`journal::mend`]. `None`: it is not damaged.
///
/// # Errors
/// Somebody is at work, or the file system refuses; nothing has changed then.
pub fn mend_journal(place: &Place) -> Result<Option<Mended>, DriverError> {
    if !place.state_dir.is_dir() {
        return Ok(None);
    }
    let _lock = Lock::take(&place.state_dir, &Place::this_process("recover"))?;
    match place.read() {
        Err(DriverError::Journal(JournalError::Damaged { .. })) => {
            Ok(journal::mend(&place.state_dir)?)
        }
        read => read.map(|_| None),
    }
}
