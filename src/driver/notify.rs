//! Tells a person what happens while they are not looking: by a command, at an address, on the desktop.
//!
//! One after the other, beside the run and never in its way: each has a time limit, and a failure is said once. Up to
//! which record all was told stands in a file, so that what a killed run did not come to tell is told by the next. This
//! file never says what is worth telling.

use super::crew::Crew;
use super::error::DriverError;
use super::place::mark;
use super::world::Message;
use crate::agent;
use crate::config::{Notices, Occasion};
use crate::core::{State, view};
use crate::fault::{self, Point};
use crate::model::{Ending, Event, Problem, Record, Stamp};
use crate::process::{self, Builds, Job};
use crate::report::{Notification, occasion};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// The longest that the person's command may take.
const COMMAND: Duration = Duration::from_secs(30);
/// The longest that a request or a note on the desktop may take.
const REQUEST: Duration = Duration::from_secs(10);
/// How long the end of a run waits for what is still to be told.
const LAST: Duration = Duration::from_secs(35);
/// Output that is kept, of the last one.
const OUTPUT_BYTES: u64 = 64 << 10;
/// What a desktop is reached by.
const DESKTOP: [&str; 4] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
];
/// Two variables hold the words, so that none of them is code.
const MAC_NOTE: &str = "display notification (system attribute \"HARNESS_TEXT\") with title (system attribute \"HARNESS_TITLE\")";

type Environment = BTreeMap<OsString, OsString>;

/// What is told, in the forms that it is told in.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// All records up to this one are told of with it.
    seq: u64,
    json: String,
    title: String,
    text: String,
}

impl Notice {
    /// One line.
    pub(super) fn line(&self) -> String {
        match self.text.as_str() {
            "" => self.title.clone(),
            text => format!("{}: {text}", self.title),
        }
    }
}

/// Tells of one run.
pub(super) struct Notifier {
    crew: Rc<Crew>,
    queue: UnboundedSender<Notice>,
    task: JoinHandle<()>,
    /// Accounts that were told of, and until when they are closed.
    accounts: BTreeSet<(String, Option<Stamp>)>,
}

impl Notifier {
    /// `None`: nobody wants to be told anything. `records` is the journal as the run found it.
    pub(super) fn begin(
        crew: &Rc<Crew>,
        records: &[Record],
        state: &State,
        out: &UnboundedSender<Message>,
    ) -> Option<Self> {
        let notices = &crew.config.notify;
        let any = notices.command.is_some() || notices.webhook.is_some();
        if notices.on.is_empty() || !(any || notices.desktop || notices.terminal) {
            return None;
        }
        let (queue, told) = unbounded_channel();
        let task = tokio::task::spawn_local(tell_all(Rc::clone(crew), told, out.clone()));
        let mut notifier = Self {
            crew: Rc::clone(crew),
            queue,
            task,
            accounts: BTreeSet::new(),
        };
        let last = records.last().map_or(0, |record| record.seq);
        match told_through(crew) {
            Some(seq) => notifier.catch_up(records, seq, state),
            None => remember(crew, last),
        }
        Some(notifier)
    }

    /// What the last run recorded, was killed before it told, and is still so.
    fn catch_up(&mut self, records: &[Record], seq: u64, state: &State) {
        let is_start = |record: &Record| matches!(record.event, Event::RunStarted { .. });
        let start = records.iter().rposition(is_start).unwrap_or(0);
        let late = records[start..].iter().filter(|record| record.seq > seq);
        let late: Vec<Record> = late.cloned().collect();
        self.notices(&late, state);
    }

    /// Takes in what a turn has recorded; gives what is to be said on the terminal.
    pub(super) fn hear(&mut self, records: &[Record], state: &State, now: Stamp) -> Vec<Notice> {
        let mut told = self.notices(records, state);
        let failed = |record: &Record| match &record.event {
            Event::IterationEnded { report, .. } => {
                report.failure.is_some() || !report.quota.is_empty()
            }
            _ => false,
        };
        if self.wants(Occasion::Limit) && records.iter().any(failed) {
            told.extend(self.of_accounts(state, now));
        }
        told
    }

    fn wants(&self, occasion: Occasion) -> bool {
        self.crew.config.notify.on.contains(&occasion)
    }

    fn notices(&mut self, records: &[Record], state: &State) -> Vec<Notice> {
        let wanted =
            |record: &&Record| occasion(&record.event).is_some_and(|what| self.wants(what));
        let records: Vec<&Record> = records.iter().filter(wanted).collect();
        if records.is_empty() {
            return Vec::new();
        }
        let now = view(state, state.wall_time(state.last_at()));
        let told = records.into_iter().filter_map(|record| {
            let note = Notification::of(record, &now, state.wall_time(record.at))?;
            Some(self.send(record.seq, &note))
        });
        told.collect()
    }

    fn of_accounts(&mut self, state: &State, now: Stamp) -> Vec<Notice> {
        let now = state.wall_time(now);
        let run = view(state, now).run;
        let accounts = run.into_iter().flat_map(|run| run.accounts);
        let mut told = Vec::new();
        for account in accounts.filter(|account| account.closed) {
            if self.accounts.insert((account.name.clone(), account.until)) {
                let note = Notification::of_account(&account, &self.crew.run.0, now);
                told.push(self.send(state.seq(), &note));
            }
        }
        told
    }

    fn send(&self, seq: u64, note: &Notification) -> Notice {
        let secrets = &self.crew.secrets;
        let json = note.json(self.crew.place.repo.root(), &self.crew.run.0);
        let notice = Notice {
            seq,
            json: secrets.hide(&json.to_string()).into_owned(),
            title: secrets.hide(&note.title).into_owned(),
            text: secrets.hide(&note.text).into_owned(),
        };
        // Gone is who panicked; the run is told of that already.
        let _ = self.queue.send(notice.clone());
        notice
    }

    /// Tells what is left, for a bounded time. What is not told then is told by the next run, if it is still so.
    pub(super) async fn finish(self, seq: u64) {
        drop(self.queue);
        let mut task = self.task;
        tokio::select! {
            ended = &mut task => if ended.is_ok() {
                remember(&self.crew, seq);
            },
            () = tokio::time::sleep(LAST) => task.abort(),
        }
    }
}

async fn tell_all(
    crew: Rc<Crew>,
    mut notices: UnboundedReceiver<Notice>,
    out: UnboundedSender<Message>,
) {
    let mut failed = BTreeSet::new();
    while let Some(notice) = notices.recv().await {
        for (way, told) in tell(&crew, &notice).await {
            if let Err(why) = told
                && failed.insert(way)
            {
                let text = format!("{way}: {why}; of further failures nothing is said in this run");
                let _ = out.send(Message::Warning(text));
            }
        }
        remember(&crew, notice.seq);
    }
}

/// Tells it in every way that is asked for; how that went.
async fn tell(crew: &Crew, notice: &Notice) -> Vec<(&'static str, Result<(), String>)> {
    let notices = &crew.config.notify;
    let mut told = Vec::new();
    if let Some(command) = &notices.command {
        let env = agent::base_env(&crew.env, &notices.env_pass);
        let args = ["-c", command].map(OsString::from);
        let stdin = format!("{}\n", notice.json);
        let job = job(crew, "/bin/sh", &args, env, (stdin, COMMAND));
        // It may change the user's files, as commands of the project may.
        let _at_work = crew.vigil.commands("notify.command".to_owned());
        told.push(("notify.command", done(job).await));
    }
    if let Some(url) = &notices.webhook {
        let sent = match request(url, &notices.headers, &crew.env, &notice.json) {
            Ok(order) => done(curl(crew, order)).await,
            Err(why) => Err(why),
        };
        told.push(("notify.webhook", sent));
    }
    if notices.desktop {
        told.push(("notify.desktop", done(on_desktop(crew, notice)).await));
    }
    told
}

/// Address, headers and body are no arguments: those can be read by everybody on the machine.
fn curl(crew: &Crew, order: String) -> Job {
    let args = ["-q", "-sS", "--fail", "--max-time", "9", "-K", "-"].map(OsString::from);
    let env = agent::base_env(&crew.env, &[]);
    job(crew, "curl", &args, env, (order, REQUEST))
}

fn on_desktop(crew: &Crew, notice: &Notice) -> Job {
    let mut env = agent::base_env(&crew.env, &DESKTOP.map(str::to_owned));
    if cfg!(target_os = "macos") {
        env.insert("HARNESS_TITLE".into(), (&notice.title).into());
        env.insert("HARNESS_TEXT".into(), (&notice.text).into());
        let args = ["-e", MAC_NOTE].map(OsString::from);
        return job(crew, "osascript", &args, env, (String::new(), REQUEST));
    }
    // Its body is markup.
    let text = notice.text.replace('&', "&amp;").replace('<', "&lt;");
    let text = text.replace('>', "&gt;");
    let args = ["--app-name=harness", "--", &notice.title, &text].map(OsString::from);
    job(crew, "notify-send", &args, env, (String::new(), REQUEST))
}

/// As every other command is run, but in no sandbox: these are the person's own hands.
fn job(
    crew: &Crew,
    program: &str,
    args: &[OsString],
    env: Environment,
    (stdin, timeout): (String, Duration),
) -> Job {
    Job {
        program: program.into(),
        args: args.to_vec(),
        cwd: crew.place.repo.root().to_owned(),
        env,
        stdin: stdin.into_bytes(),
        output: crew.place.state_dir.join("notify.log"),
        output_cap: OUTPUT_BYTES,
        timeout,
        idle_timeout: None,
        grace: Duration::from_secs(1),
        token: mark(&crew.place.state_dir, "notify"),
        keeper: crew.keeper.clone(),
        limits: crew.limits,
        sandbox: None,
        builds: Builds::Free,
        secrets: crew.secrets.clone(),
    }
}

async fn done(job: Job) -> Result<(), String> {
    let seconds = job.timeout.as_secs();
    let mut said = String::new();
    let run = process::run(job, std::future::pending(), |_, line| {
        if !line.trim().is_empty() {
            line.clone_into(&mut said);
        }
    });
    let ending = run.await.ending;
    let said = said.trim();
    Err(match ending {
        Ending::Exited { code: 0 } => return Ok(()),
        Ending::Exited { code } if said.is_empty() => format!("it ended with exit code {code}"),
        Ending::Exited { code } => format!("it ended with exit code {code}: {said}"),
        Ending::TimedOut => format!("it did not end within {seconds} s"),
        Ending::NotStarted { why } => why,
        Ending::Signalled { signal } => format!("it was ended by signal {signal}"),
        other => format!("it was stopped ({other:?})"),
    })
}

/// What curl is to do, in the words of its configuration files.
fn request(
    url: &str,
    headers: &BTreeMap<String, String>,
    env: &Environment,
    json: &str,
) -> Result<String, String> {
    let url = filled(url, env)?;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err("the address does not begin with https://".to_owned());
    }
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut order = format!("url = \"{}\"\nproto = \"=http,https\"\n", quoted(&url));
    order += "header = \"Content-Type: application/json\"\n";
    for (name, text) in headers {
        let text = filled(text, env)?;
        order += &format!("header = \"{name}: {}\"\n", quoted(&text));
    }
    order += &format!("data-binary = \"{}\"\n", quoted(json));
    Ok(order)
}

/// The text with `${NAME}` replaced by what the variable holds.
fn filled(text: &str, env: &Environment) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err("`${` without `}`".to_owned());
        };
        let value = env.get(OsStr::new(name)).and_then(|value| value.to_str());
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Err(format!("the variable {} is not set", name.escape_debug()));
        };
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    if out.contains(char::is_control) {
        return Err("it holds a line end or another control character".to_owned());
    }
    Ok(out)
}

/// Whether all variables are there that address and headers name.
///
/// # Errors
/// One is not.
pub(super) fn check(notices: &Notices, env: &Environment) -> Result<(), DriverError> {
    let Some(url) = &notices.webhook else {
        return Ok(());
    };
    match request(url, &notices.headers, env, "") {
        Ok(_) => Ok(()),
        Err(why) => {
            let problem = Problem::error(format!("notify.webhook: {why}"));
            let help = "set it where harness is started, or take the key out of harness.yaml";
            Err(DriverError::problem(problem.help(help)))
        }
    }
}

fn file(crew: &Crew) -> PathBuf {
    crew.place.state_dir.join("notified")
}

/// Up to which record all was told; `None`: nobody was ever to be told anything.
fn told_through(crew: &Crew) -> Option<u64> {
    std::fs::read_to_string(file(crew))
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn remember(crew: &Crew, seq: u64) {
    let (file, draft) = (file(crew), crew.place.state_dir.join(".notified.tmp"));
    // Should that fail, the same may be told twice; its id says so.
    let _ = fault::at(Point::StateCreate)
        .and_then(|()| std::fs::write(&draft, format!("{seq}\n")))
        .and_then(|()| std::fs::rename(&draft, &file));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn what_curl_is_told_holds_what_was_meant() {
        let env = env(&[("HOOK", "https://x.example/a\"b\\c"), ("T", "s3cret")]);
        let headers = [("Authorization".to_owned(), "Bearer ${T}!".to_owned())].into();
        let order = request("${HOOK}?q", &headers, &env, "{\"a\":\"\\n\"}").unwrap();
        let lines: Vec<&str> = order.lines().collect();
        assert_eq!(
            lines,
            [
                "url = \"https://x.example/a\\\"b\\\\c?q\"",
                "proto = \"=http,https\"",
                "header = \"Content-Type: application/json\"",
                "header = \"Authorization: Bearer s3cret!\"",
                "data-binary = \"{\\\"a\\\":\\\"\\\\n\\\"}\"",
            ]
        );
    }

    #[test]
    fn a_request_that_cannot_be_meant_is_refused() {
        let env = env(&[
            ("EMPTY", ""),
            ("LINES", "a\nurl = evil"),
            ("FILE", "file:///etc"),
        ]);
        for (url, why) in [
            ("https://${MISSING}", "the variable MISSING is not set"),
            ("https://${EMPTY}", "the variable EMPTY is not set"),
            ("https://${LINES}", "control character"),
            ("https://${OPEN", "without `}`"),
            ("${FILE}/passwd", "does not begin with https://"),
        ] {
            let refused = request(url, &BTreeMap::new(), &env, "").unwrap_err();
            assert!(refused.contains(why), "{url}: {refused}");
        }
    }
}
