//! What a person is told while they are not looking: one thing that happened, for a command, an address or a desktop.
//!
//! It says which facts are worth it. Whether somebody asked for them, and how they are told, is known elsewhere.

use super::code::code_meaning;
use super::money;
use super::text::{elapsed, reason, rfc3339, shown, some};
use super::words::{account_words, command, is_active, stage_name};
use crate::config::Occasion;
use crate::core::{AccountView, FeatureView, Stage, View};
use crate::model::{Event, Finding, Record, RunId, Slug, Stamp};
use serde_json::{Value, json};
use std::path::Path;

/// Columns for what a person must read to act.
const TEXT_COLUMNS: usize = 400;
const TITLE_COLUMNS: usize = 120;

/// One thing that a person is told. Its texts are one line each, and escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The same if it should be told twice.
    pub id: String,
    /// What kind of thing.
    pub occasion: Occasion,
    /// When, by the wall clock.
    pub at: Stamp,
    /// What happened, in a few words.
    pub title: String,
    /// The rest.
    pub text: String,
    run: String,
    feature: Option<(Slug, &'static str)>,
    command: Option<String>,
    codes: Vec<u8>,
}

/// What kind of thing a fact is, if it is worth telling.
#[must_use]
pub fn occasion(event: &Event) -> Option<Occasion> {
    Some(match event {
        Event::RunStarted { .. } => Occasion::Started,
        Event::Merged { .. } => Occasion::Merged,
        Event::Blocked { .. }
        | Event::Tripped { .. }
        | Event::Failed { .. }
        | Event::Parked { .. } => Occasion::NeedsHuman,
        Event::Noticed {
            what: Finding::Budget { slug: None, .. },
        } => Occasion::Budget,
        Event::RunEnded { .. } => Occasion::Finished,
        _ => return None,
    })
}

impl Notification {
    /// What is told of a fact of a run, seen in the picture `view`, which may be younger; `None`: it is not worth
    /// telling, or not so any more.
    #[must_use]
    pub fn of(record: &Record, run: &RunId, view: &View, at: Stamp) -> Option<Self> {
        let occasion = occasion(&record.event)?;
        let told = match &record.event {
            Event::RunStarted { .. } => {
                let open = of_the_run(view).filter(|f| f.stage != Stage::Merged);
                let text = format!("{} to do", some(open.count(), "feature"));
                Self::new(occasion, at, "a run began", text)
            }
            Event::Merged { slug, .. } => {
                let feature = of_feature(view, slug, |stage| stage == Stage::Merged)?;
                let title = format!("{slug} is merged");
                Self::new(occasion, at, title, shown(&feature.title, TEXT_COLUMNS)).about(feature)
            }
            Event::Blocked { slug, .. }
            | Event::Tripped { slug, .. }
            | Event::Failed { slug, .. }
            | Event::Parked { slug, .. } => {
                let feature = of_feature(view, slug, |_| true)?;
                // Whoever has been helped meanwhile needs nobody.
                command(feature)?;
                let title = format!("{slug} needs you: {}", stage_name(feature.stage));
                let text = reason(feature.detail.as_deref().unwrap_or_default(), TEXT_COLUMNS);
                Self::new(occasion, at, title, text).about(feature)
            }
            Event::Noticed { what } => {
                Self::new(occasion, at, "the run's budget", money::finding(what))
            }
            Event::RunEnded { codes, .. } => finished(view, codes, at),
            _ => return None,
        };
        Some(told.in_run(run, &record.seq.to_string()))
    }

    /// That a run could not go on, and ends with this code.
    #[must_use]
    pub fn broken_off(run: &RunId, code: u8, why: &str, now: Stamp) -> Self {
        let text = format!("{}; {}", shown(why, TEXT_COLUMNS), code_meaning(code));
        let told = Self::new(Occasion::Finished, now, "the run broke off", text);
        Self {
            codes: vec![code],
            ..told.in_run(run, "broken-off")
        }
    }

    /// That an account cannot be used.
    #[must_use]
    pub fn of_account(account: &AccountView, run: &RunId, now: Stamp) -> Self {
        let (text, _) = account_words(account, now);
        let until = account.until.map_or(0, |until| until.0);
        let name = shown(&account.name, 40);
        let title = format!("the account {name} cannot be used");
        let told = Self::new(Occasion::Limit, now, title, text);
        told.in_run(run, &format!("{name}-{until}"))
    }

    fn new(occasion: Occasion, at: Stamp, title: impl AsRef<str>, text: impl Into<String>) -> Self {
        Self {
            id: String::new(),
            occasion,
            at,
            title: shown(title.as_ref(), TITLE_COLUMNS),
            text: text.into(),
            run: String::new(),
            feature: None,
            command: None,
            codes: Vec::new(),
        }
    }

    fn in_run(self, run: &RunId, what: &str) -> Self {
        Self {
            id: format!("{}-{what}", run.0),
            run: run.0.clone(),
            ..self
        }
    }

    fn about(mut self, feature: &FeatureView) -> Self {
        self.feature = Some((feature.slug.clone(), stage_name(feature.stage)));
        self.command = command(feature);
        self
    }

    /// `{"schema":"harness.notification","version":1,…}`: fields are added, never renamed.
    #[must_use]
    pub fn json(&self, repository: &Path) -> Value {
        let (feature, stage) = self.feature.as_ref().map_or((None, None), |(slug, stage)| {
            (Some(slug.as_str()), Some(*stage))
        });
        json!({
            "schema": "harness.notification",
            "version": 1,
            "id": self.id,
            "kind": self.occasion.name(),
            "at": rfc3339(self.at),
            "at_ms": self.at.0,
            "repository": shown(&repository.display().to_string(), usize::MAX),
            "run": self.run,
            "title": self.title,
            "text": self.text,
            "feature": feature,
            "stage": stage,
            "command": self.command,
            "codes": self.codes,
        })
    }
}

fn of_feature<'a>(
    view: &'a View,
    slug: &Slug,
    fits: impl Fn(Stage) -> bool,
) -> Option<&'a FeatureView> {
    let mut features = view.features.iter();
    features.find(|feature| feature.slug == *slug && fits(feature.stage))
}

/// Those that the run was asked to do, or is at.
fn of_the_run(view: &View) -> impl Iterator<Item = &FeatureView> {
    let features = view.features.iter();
    features.filter(|feature| !feature.unselected || is_active(feature.stage))
}

fn finished(view: &View, codes: &[u8], at: Stamp) -> Notification {
    let started = view.run.as_ref().map_or(at, |run| run.started);
    let features = of_the_run(view);
    let (merged, open): (Vec<&FeatureView>, Vec<&FeatureView>) =
        features.partition(|f| f.stage == Stage::Merged);
    let fresh = merged.iter().filter(|f| f.since >= started).count();
    let (left_out, open): (Vec<&FeatureView>, Vec<&FeatureView>) =
        open.into_iter().partition(|f| f.stage == Stage::LeftOut);
    let needy = open.iter().filter(|f| command(f).is_some()).count();
    let code = codes.first().copied().unwrap_or(0);
    let title = match (code, needy) {
        (0, _) if left_out.is_empty() => "the run has ended: all is merged".to_owned(),
        (0, _) => "the run has ended: all is merged but what is left out".to_owned(),
        (_, 0) => format!("the run has ended with exit code {code}"),
        (_, 1) => "the run has ended: 1 feature needs you".to_owned(),
        (_, needy) => format!("the run has ended: {} need you", some(needy, "feature")),
    };
    let text = format!(
        "{} merged in {}, {} open; {}",
        some(fresh, "feature"),
        elapsed(at.since_ms(started)),
        open.len(),
        code_meaning(code)
    );
    Notification {
        codes: codes.to_vec(),
        ..Notification::new(Occasion::Finished, at, title, text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{feature, slug, view_of};
    use super::*;

    fn record(event: Event) -> Record {
        Record {
            seq: 17,
            at: Stamp(5),
            event,
        }
    }

    fn told(event: Event, view: &View) -> Option<Notification> {
        let run = RunId(view.run.as_ref().unwrap().id.clone());
        Notification::of(&record(event), &run, view, Stamp(1_790_000_000_000))
    }

    #[test]
    fn who_needs_a_person_is_told_of_with_the_command_and_only_as_long_as_it_does() {
        let mut blocked = feature("billing", Stage::Blocked);
        blocked.detail = Some("Which \u{1b}[31mdatabase?\nThere are two.".to_owned());
        let asks = || Event::Blocked {
            slug: slug("billing"),
            question: "Which?".into(),
        };
        let mut view = view_of(vec![blocked]);
        let one = told(asks(), &view).unwrap();
        assert_eq!(one.title, "billing needs you: blocked");
        let json = one.json(Path::new("/home/me/shop"));
        assert_eq!(json["kind"], "needs_human");
        assert_eq!(json["id"], "20261123-221530-4f2a-17");
        assert_eq!(
            (&json["feature"], &json["stage"]),
            (&"billing".into(), &"blocked".into())
        );
        assert_eq!(json["command"], "harness unblock billing -m \"…\"");
        let text = json["text"].as_str().unwrap();
        assert!(text.starts_with("Which \\u{1b}[31mdatabase?"), "{text}");
        assert!(!json.to_string().contains('\u{1b}'));
        view.features[0].stage = Stage::Working;
        assert_eq!(told(asks(), &view), None);
    }

    #[test]
    fn the_end_says_what_is_open_and_who_needs_a_person() {
        let ended = || Event::RunEnded {
            code: 4,
            codes: vec![4],
        };
        let view = view_of(vec![
            feature("a", Stage::Merged),
            feature("b", Stage::Blocked),
            feature("c", Stage::Waiting),
        ]);
        let one = told(ended(), &view).unwrap();
        assert_eq!(one.title, "the run has ended: 1 feature needs you");
        assert!(one.text.contains("2 open; "), "{}", one.text);
        assert_eq!(one.json(Path::new("/x"))["codes"], json!([4]));
    }

    #[test]
    fn what_a_run_was_not_asked_to_do_is_not_counted() {
        let mut asked_before = feature("b", Stage::Blocked);
        asked_before.unselected = true;
        let mut later = feature("c", Stage::Waiting);
        later.unselected = true;
        let view = view_of(vec![feature("a", Stage::Merged), asked_before, later]);
        let ended = Event::RunEnded {
            code: 0,
            codes: vec![0],
        };
        let one = told(ended, &view).unwrap();
        assert_eq!(one.title, "the run has ended: all is merged");
        assert!(one.text.contains("0 open; "), "{}", one.text);
    }

    #[test]
    fn the_published_schema_names_all_fields_and_no_others() {
        let schema: Value =
            serde_json::from_str(include_str!("schemas/notification.json")).unwrap();
        let view = view_of(vec![feature("a", Stage::Merged)]);
        let ended = Event::RunEnded {
            code: 0,
            codes: vec![0],
        };
        let json = told(ended, &view).unwrap().json(Path::new("/x"));
        let names = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&json), names(&schema["properties"]));
        let required = schema["required"].as_array().unwrap();
        assert_eq!(required.len(), names(&json).len());
        assert_eq!(schema["properties"]["schema"]["const"], json["schema"]);
    }
}
