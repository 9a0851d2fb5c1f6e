//! How a person is told: by a command, at an address, on the desktop.
//!
//! Each way has a time limit, and says whether it worked. This file never says what is worth telling, and remembers
//! nothing.

use super::crew::Crew;
use super::error::DriverError;
use super::place::mark;
use crate::agent;
use crate::config::Notices;
use crate::model::{Ending, Problem};
use crate::process::{self, Builds, Job, Stream};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// The longest that the person's command may take, with all that it starts.
const COMMAND: Duration = Duration::from_secs(30);
/// The longest that a request or a note on the desktop may take.
const REQUEST: Duration = Duration::from_secs(10);
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
/// What curl prints last: the status of the answer, on a line of its own.
const STATUS: &str = "\\n%{http_code}\\n";

type Environment = BTreeMap<OsString, OsString>;

/// What is told, in the forms that it is told in.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// All records up to this one are told of with it.
    pub(super) seq: u64,
    pub(super) json: String,
    pub(super) title: String,
    pub(super) text: String,
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

/// Tells it in every way that is asked for; how that went.
pub(super) async fn tell(crew: &Crew, notice: &Notice) -> Vec<(&'static str, Result<(), String>)> {
    let notices = &crew.config.notify;
    let mut told = Vec::new();
    if let Some(command) = &notices.command {
        let env = agent::base_env(&crew.env, &notices.env_pass);
        let args = ["-c", command].map(OsString::from);
        let stdin = format!("{}\n", notice.json);
        let job = Job {
            // Mail is often handed to somebody who sends it when the command has ended.
            awaits_all: true,
            ..job(crew, "/bin/sh", &args, env, (stdin, COMMAND))
        };
        // It may change the user's files, as commands of the project may.
        let _at_work = crew.vigil.commands("notify.command".to_owned());
        told.push(("notify.command", done(job).await));
    }
    if let Some(url) = &notices.webhook {
        let sent = match request(url, &notices.headers, &crew.env, &notice.json) {
            Ok(order) => posted(curl(crew, order)).await,
            Err(why) => Err(why),
        };
        told.push(("notify.webhook", sent));
    }
    if notices.desktop {
        told.push(("notify.desktop", done(on_desktop(crew, notice)).await));
    }
    told
}

/// Address, headers and body are no arguments: those can be read by everybody on the machine. Brackets and braces in the
/// address are no list of addresses.
fn curl(crew: &Crew, order: String) -> Job {
    let args = ["-q", "-sS", "--globoff", "--max-time", "9"];
    let args = args.into_iter().chain(["-w", STATUS, "-K", "-"]);
    let args: Vec<OsString> = args.map(OsString::from).collect();
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
        needs_output: false,
        output_cap: OUTPUT_BYTES,
        timeout,
        idle_timeout: None,
        grace: Duration::from_secs(1),
        awaits_all: false,
        token: mark(&crew.place.state_dir, "notify"),
        keeper: crew.keeper.clone(),
        limits: crew.limits,
        sandbox: None,
        builds: Builds::Free,
        secrets: crew.secrets.clone(),
    }
}

/// The last lines that a command printed, the newest last.
#[derive(Default)]
struct Said {
    out: [String; 2],
    err: String,
}

impl Said {
    fn hear(&mut self, stream: Stream, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        match stream {
            Stream::Out => {
                self.out.rotate_left(1);
                line.clone_into(&mut self.out[1]);
            }
            Stream::Err => line.clone_into(&mut self.err),
        }
    }
}

async fn done(job: Job) -> Result<(), String> {
    let (said, ended) = ended(job).await;
    ended.map_err(|why| {
        let words = [said.err, said.out[1].clone()];
        let words = words.into_iter().find(|words| !words.is_empty());
        words.map_or(why.clone(), |words| format!("{why}: {words}"))
    })
}

/// Whether the address has taken it, by its own words: only a status of success says so.
async fn posted(job: Job) -> Result<(), String> {
    let (said, ended) = ended(job).await;
    match ended {
        Err(why) if said.err.is_empty() => return Err(why),
        Err(why) => return Err(format!("{why}: {}", said.err)),
        Ok(()) => {}
    }
    let [body, status] = said.out;
    match status.parse::<u16>() {
        Ok(200..=299) => Ok(()),
        Ok(status @ 100..) if body.is_empty() => Err(format!("it answered with {status}")),
        Ok(status @ 100..) => Err(format!("it answered with {status}: {body}")),
        _ => Err("it did not answer".to_owned()),
    }
}

/// What was said, and why it failed if it did.
async fn ended(job: Job) -> (Said, Result<(), String>) {
    let seconds = job.timeout.as_secs();
    let mut said = Said::default();
    let run = process::run(job, std::future::pending(), |stream, line| {
        said.hear(stream, line);
    });
    let ending = run.await.ending;
    let why = match ending {
        Ending::Exited { code: 0 } => return (said, Ok(())),
        Ending::Exited { code } => format!("it ended with exit code {code}"),
        Ending::TimedOut => format!("it did not end within {seconds} s"),
        Ending::NotStarted { why } => why,
        Ending::Signalled { signal } => format!("it was ended by signal {signal}"),
        other => format!("it was stopped ({other:?})"),
    };
    (said, Err(why))
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
    let is_own = |name: &String| name.eq_ignore_ascii_case("content-type");
    if !headers.keys().any(is_own) {
        order += "header = \"Content-Type: application/json\"\n";
    }
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
