//! The run log's lines about the merge queue.
//!
//! As in [`line`](super::line): one line a record, and nothing that is not in it.

use super::line::{NOTE_COLUMNS, REASON_COLUMNS, said};
use super::text::{elapsed, last_said, names, reason, shown};
use super::words::{NOTHING_TO_MERGE, approve, retry};
use crate::model::{Event, Evidence, Ground, ParkReason, Red, Relation, Slug, Trial};

/// About one feature in the queue.
pub(super) fn member(event: &Event, slug: &Slug) -> Option<String> {
    Some(match event {
        Event::Clashed { paths, onto, .. } => format!(
            "conflicts with {} in {}; its agent is to merge it",
            onto.short(),
            listed(paths)
        ),
        Event::Deferred { .. } => {
            "conflicts with another that is landing; tried after it".to_owned()
        }
        Event::GaveWay { to, .. } => {
            format!("waits for {to}, which has clashed often enough and goes first")
        }
        Event::RightOfWayEnded { .. } => "has had its time to go first".to_owned(),
        Event::Rejected { red, merged, .. } => {
            let what = if *merged {
                "gate failed on the merge"
            } else {
                "gate failed"
            };
            format!("{what}: {}", failure(red))
        }
        Event::Held { .. } => {
            "fails as what it would land on does; waits until that is repaired".to_owned()
        }
        Event::MemberFailed { why, .. } => {
            format!("could not be merged: {}", reason(why, REASON_COLUMNS))
        }
        Event::Merged { empty: true, .. } => NOTHING_TO_MERGE.to_owned(),
        Event::Merged { commit, .. } => format!("merged as {}", commit.short()),
        Event::Unlanded { .. } => {
            "no longer in what has landed; queued to be merged again".to_owned()
        }
        Event::Parked { why, .. } => parked(why, slug),
        _ => return None,
    })
}

/// About the queue as a whole.
pub(super) fn queue(event: &Event) -> Option<String> {
    Some(match event {
        Event::AttemptStarted {
            attempt,
            what,
            members,
            onto,
        } => match what {
            Trial::Features => {
                let members = names(members.iter().map(Slug::as_str));
                format!("merge {attempt}: {}", shown(&members, REASON_COLUMNS))
            }
            Trial::Base => format!("merge {attempt}: does {} pass by itself?", onto.short()),
            Trial::Reconcile => format!(
                "merge {attempt}: what has landed, with the commits made on the target meanwhile ({})",
                onto.short()
            ),
        },
        Event::Gated {
            attempt,
            red,
            gate_ms,
            ..
        } => {
            let took = elapsed(*gate_ms);
            match red {
                None => format!("merge {attempt}: gate passed in {took}"),
                Some(red) => format!(
                    "merge {attempt}: gate failed after {took}: {}",
                    failure(red)
                ),
            }
        }
        Event::Split { attempt } => format!("merge {attempt}: tried again in halves"),
        Event::Verified {
            attempt,
            commit,
            how,
        } => {
            let how = match how {
                Evidence::Passed => "",
                Evidence::Known => ", its tree had passed before",
                Evidence::Unchecked => ", unchecked",
                Evidence::Flaky { .. } => ", at the second try: the gate is flaky",
                Evidence::Fixed => ", and repairs what it builds on",
            };
            format!("merge {attempt}: verified as {}{how}", commit.short())
        }
        Event::AttemptPostponed { attempt, why, .. } => {
            format!("merge {attempt}: put off: {}", reason(why, REASON_COLUMNS))
        }
        Event::TipMoved { ground } => moved(ground),
        Event::Reconciled { .. } => "the commits made on the target are merged in".to_owned(),
        Event::ReconcileFailed { why, .. } => format!(
            "the commits made on the target do not go together with what has landed: {}",
            reason(why, REASON_COLUMNS)
        ),
        Event::RolledBack { ground } => format!(
            "what was not published is merged again, on top of {}",
            ground.tip.short()
        ),
        Event::Published { commit } => format!("published {}", commit.short()),
        Event::PublishWaits { why, .. } => {
            format!("not published yet: {}", reason(why, REASON_COLUMNS))
        }
        _ => return None,
    })
}

fn moved(ground: &Ground) -> String {
    let target = ground.target.short();
    match ground.relation {
        Relation::Behind => format!("the target moved to {target}: followed"),
        Relation::Ahead => format!("the target moved to {target} meanwhile: to be merged"),
        Relation::Rewritten => format!(
            "the target's history was rewritten ({target} no longer holds what was published): nothing more is \
             published until you merge {} into it, or drop it with `harness clean --force`",
            ground.tip.short()
        ),
    }
}

/// ``make test`: last line of its output`.
fn failure(red: &Red) -> String {
    let command = shown(&red.command, NOTE_COLUMNS);
    let last = said(last_said(&red.tail), "(no output)", REASON_COLUMNS);
    format!("`{command}`: {last}")
}

fn listed(paths: &[String]) -> String {
    shown(&names(paths.iter().map(String::as_str)), REASON_COLUMNS)
}

fn parked(why: &ParkReason, slug: &Slug) -> String {
    let again = retry(slug);
    match why {
        ParkReason::Conflict { paths } => format!(
            "parked: conflicts in {} (merge the target into harness/{slug}, then: {again})",
            listed(paths)
        ),
        ParkReason::Red { red } => {
            format!(
                "parked: fails on the merge: {} (again: {again})",
                failure(red)
            )
        }
        ParkReason::BaseBroken { red } => {
            format!(
                "parked: what it would land on fails: {} (repair that; the next run merges it)",
                failure(red)
            )
        }
        ParkReason::Dependency { slug } => {
            format!("parked: {slug}, which it depends on, is not merged any more")
        }
        ParkReason::Infra { text } => format!(
            "parked: merging kept failing: {} (again: {again})",
            reason(text, REASON_COLUMNS)
        ),
        ParkReason::Review { tip } => format!(
            "ready for review at {} (it lands after: {})",
            tip.short(),
            approve(slug)
        ),
    }
}
