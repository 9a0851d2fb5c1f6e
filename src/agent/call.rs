//! One call of an agent, from an empty outbox to what was read of it.
//!
//! Starts exactly one process tree and returns when that is dead. Never decides what an outcome is worth.

use super::cli::{Cli, Invocation};
use super::outbox::{self, blocked_line};
use super::reader::{End, Stage, Verdict};
use super::{AgentError, Profile, env};
use crate::config::price;
use crate::fault::{self, Point};
use crate::model::{AgentFailure, Ending, FailureKind, Price, Quota, RunId, Session, Slug, Usage};
use crate::process::{self, Builds, Finished, Job, Keeper, Limits, PrivateTemp, Sandbox, Secrets};
use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// How long an agent that has told its result may still wait for what it left running in the background: a test, or a
/// server that never ends.
const BACKGROUND_PATIENCE: Duration = Duration::from_mins(5);

/// One call to make.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Which agent.
    pub profile: &'a Profile,
    /// Its program, as [`preflight`](super::preflight) found it.
    pub program: PathBuf,
    /// On which feature.
    pub slug: &'a Slug,
    /// Which iteration.
    pub iteration: u32,
    /// In which run.
    pub run: &'a RunId,
    /// Where; absolute.
    pub worktree: PathBuf,
    /// Where the agent sees that.
    pub seen_worktree: PathBuf,
    /// Where the agent sees the feature's spec; absolute.
    pub spec_path: PathBuf,
    /// What to say.
    pub prompt: String,
    /// Directory of this iteration's records, absolute, made if missing: `prompt.md`, `output.log`,
    /// `result.json`.
    pub records: PathBuf,
    /// Wall time.
    pub timeout: Duration,
    /// Time without output.
    pub idle_timeout: Option<Duration>,
    /// From TERM to KILL. Who has told its result and does not end gets as long before that.
    pub grace: Duration,
    /// harness's own environment, of which the agent inherits what is allowed.
    pub parent_env: &'a BTreeMap<OsString, OsString>,
    /// Unique to this call; see [`Job::token`].
    pub token: String,
    /// Who sees to it that nothing outlives the call.
    pub keeper: Keeper,
    /// What it may use.
    pub limits: Limits,
    /// What it may write and see, but for its temporary directory, which is made here.
    pub sandbox: Option<Sandbox>,
    /// How its builds share the processors with others.
    pub builds: Builds,
    /// What nothing that it leaves may hold.
    pub secrets: Secrets,
    /// The most bytes of its raw output that are kept on disk.
    pub output_cap: u64,
    /// Model, if not the profile's.
    pub model: Option<String>,
    /// What models cost by the user's own word.
    pub prices: &'a BTreeMap<String, Price>,
    /// What the program calls its version, where [`depends_on_version`](super::depends_on_version) says that it matters.
    pub version: Option<String>,
    /// The conversation to go on with; only for kinds that can.
    pub session: Option<Session>,
}

/// What a call left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Called {
    /// How the process ended.
    pub ending: Ending,
    /// Wall time of the process in milliseconds.
    pub elapsed_ms: u64,
    /// The final message; at most 64 KiB, control characters escaped.
    pub message: String,
    /// The progress note.
    pub note: String,
    /// Lessons for other features.
    pub lessons: Vec<String>,
    /// The done claim; none when harness killed the agent.
    pub done: Option<String>,
    /// What it is blocked on, by the outbox or by a `BLOCKED:` line in note or message.
    pub blocked: Option<String>,
    /// Why a side of a merge had to go.
    pub dropped: Option<String>,
    /// Its own word that the call failed, or its exit status if there is no such word.
    pub failure: Option<AgentFailure>,
    /// Tokens and money, where it reports them. Of a call without a result: what was seen so far.
    pub usage: Option<Usage>,
    /// Answers of the model, where it reports them.
    pub turns: Option<u64>,
    /// Why the model stopped, in the agent's own word.
    pub stop_reason: Option<String>,
    /// What the agent calls this conversation.
    pub session: Option<String>,
    /// How much of its account's limits is used, where it reports that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quota: Vec<Quota>,
    /// What was strange; a sentence each, for people.
    pub oddities: Vec<String>,
}

/// A glimpse of a running call. May be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its last words: one line, at most 200 characters, control characters escaped.
    Line(String),
    /// Tokens so far.
    Tokens(Usage),
}

impl Called {
    /// A call that never ran.
    #[must_use]
    pub fn not_started(why: String) -> Self {
        Self {
            ending: Ending::NotStarted { why },
            elapsed_ms: 0,
            message: String::new(),
            note: String::new(),
            lessons: Vec::new(),
            done: None,
            blocked: None,
            dropped: None,
            failure: None,
            usage: None,
            turns: None,
            stop_reason: None,
            session: None,
            quota: Vec::new(),
            oddities: Vec::new(),
        }
    }
}

/// Calls an agent once and returns when its process tree is dead. `stop` ends it early, with the ending to
/// record. What cannot be
/// started comes back as [`Ending::NotStarted`].
pub async fn call(
    call: Call<'_>,
    stop: impl Future<Output = Ending>,
    mut on_progress: impl FnMut(Progress),
) -> Called {
    let (temporary, job) = match prepare(&call) {
        Ok(prepared) => prepared,
        Err(error) => return Called::not_started(error.to_string()),
    };
    let cli = Cli::of(call.profile.kind);
    let mut reader = (cli.reader)();
    let mut tell = |progress| {
        on_progress(match progress {
            Progress::Line(line) => Progress::Line(call.secrets.hide(&line).into_owned()),
            tokens @ Progress::Tokens(_) => tokens,
        });
    };
    let (stage, seen) = watch::channel(Stage::UnderWay);
    let on_line = |stream, line: &str| {
        reader.line(stream, line, &mut tell);
        // What it merely prints after its result, or repeats, wins it no time.
        stage.send_if_modified(|last| std::mem::replace(last, reader.stage()) != reader.stage());
    };
    let mut outstayed = false;
    let stop = async {
        tokio::select! {
            ending = stop => ending,
            ending = outstays(seen, call.grace) => {
                outstayed = true;
                ending
            }
        }
    };
    let finished = process::run(job, stop, on_line).await;
    let at = clock(&call);
    let end = End {
        ending: &finished.ending,
        at: &at,
    };
    let mut verdict = reader.finish(end);
    if outstayed {
        let odd = "it had told its result and did not end; harness ended it";
        verdict.oddities.push(odd.to_owned());
    }
    verdict.hide(&call.secrets);
    let context = Spent {
        prices: call.prices,
        asked: call.model.as_deref().or(call.profile.model.as_deref()),
        session: call.session.as_ref(),
        cli,
    };
    verdict.usage = spent(&verdict, &context);
    clear_litter(&call.worktree, cli.litter);
    let outbox = outbox::read(&call.worktree, &call.secrets);
    let mut called = assemble(finished, verdict, outbox);
    // Big caches may lie in there; nobody else should wait for their removal.
    if let Ok(Err(why)) = tokio::task::spawn_blocking(move || temporary.remove()).await {
        called.oddities.push(why);
    }
    if let Err(error) = write_result(&call.records, &called) {
        called.oddities.push(error.to_string());
    }
    called
}

/// What it takes to say what a call has used.
pub(super) struct Spent<'a> {
    /// What models cost by the user's own word.
    pub(super) prices: &'a BTreeMap<String, Price>,
    /// The model that was asked for.
    pub(super) asked: Option<&'a str>,
    /// The conversation that it went on with.
    pub(super) session: Option<&'a Session>,
    pub(super) cli: &'a Cli,
}

/// What a call alone has used: without what the conversation had used before, and with what the model's tokens cost where the
/// agent tells no money.
pub(super) fn spent(verdict: &Verdict, context: &Spent<'_>) -> Option<Usage> {
    let usage = priced(verdict.usage?, context, verdict.model.as_deref());
    let resume = context.cli.resume.as_ref();
    let before = context.session.filter(|session| {
        resume.is_some_and(|resume| resume.tells_all)
            && verdict.session.as_ref() == Some(&session.id)
    });
    Some(before.map_or(usage, |session| usage.minus(session.used)))
}

fn priced(usage: Usage, context: &Spent<'_>, model: Option<&str>) -> Usage {
    if usage.micro_usd > 0 || usage.tokens() == 0 {
        return usage;
    }
    let model = model.or(context.asked);
    let price = model.and_then(|model| price(context.prices, model));
    price.map_or(usage, |price| Usage {
        micro_usd: price.of(&usage),
        estimated: true,
        ..usage
    })
}

/// Resolves when an agent has told its result and then neither ends nor goes on. Such a call has ended by itself: its
/// result is what counts.
async fn outstays(mut seen: watch::Receiver<Stage>, grace: Duration) -> Ending {
    loop {
        let patience = match *seen.borrow_and_update() {
            Stage::UnderWay => Duration::MAX,
            Stage::InBackground => BACKGROUND_PATIENCE.max(grace),
            Stage::Over => grace,
        };
        match tokio::time::timeout(patience, seen.changed()).await {
            Err(_) => return Ending::Exited { code: 0 },
            // Nobody reads it any more.
            Ok(Err(_)) => std::future::pending().await,
            Ok(Ok(())) => {}
        }
    }
}

/// The time, on the clock that the agent goes by.
fn clock(call: &Call<'_>) -> ZonedDateTime {
    let now = ZonedDateTime::now();
    let own = call
        .profile
        .env
        .get("TZ")
        .map(|name| name.trim_start_matches(':'));
    let zone = own.and_then(|name| TimeZone::get(name).ok());
    zone.map_or_else(|| now.clone(), |zone| now.with_time_zone(zone))
}

/// Removes the caches that an agent leaves at the top of its worktree: they would be committed.
fn clear_litter(worktree: &Path, beginning: Option<&str>) {
    let Some(beginning) = beginning else { return };
    let entries = fs::read_dir(worktree).into_iter().flatten().flatten();
    for entry in entries {
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(beginning.as_bytes())
        {
            // What cannot be removed is seen in the diff.
            let _ = process::remove(&entry.path());
        }
    }
}

/// Everything that can fail before the agent exists.
fn prepare(call: &Call<'_>) -> Result<(PrivateTemp, Job), AgentError> {
    let dir = &call.records;
    fault::at(Point::RecordsCreate)
        .and_then(|()| fs::create_dir_all(dir))
        .map_err(failed("create", dir))?;
    let prompt = dir.join("prompt.md");
    write_new(&prompt, call.prompt.as_bytes())?;
    outbox::reset(&call.worktree)?;
    let base = call.parent_env.get(OsStr::new("TMPDIR")).map(Path::new);
    let temporary = PrivateTemp::create(base, call.slug.as_str())
        .map_err(|(dir, error)| failed("create", &dir)(error))?;
    let model = call.model.as_deref().or(call.profile.model.as_deref());

    let mut env = env::agent_env(call.parent_env, call.profile, is_root(call.parent_env));
    let sandbox = call.sandbox.clone().map(|mut sandbox| {
        sandbox.policy.temporary = Some(temporary.path().to_owned());
        sandbox
    });
    let seen = sandbox
        .as_ref()
        .map(|s| s.backend.seen_temporary(temporary.path()));
    let seen = seen.unwrap_or(temporary.path()).to_owned();
    let cli = Cli::of(call.profile.kind);
    let apart = cli
        .apart
        .iter()
        .map(|(name, path)| (*name, seen.join(path)));
    for (name, path) in apart.chain([("TMPDIR", seen.clone())]) {
        if !call.profile.env.contains_key(name) {
            env.insert(name.into(), path.into());
        }
    }
    env.extend(contract(call, &prompt).map(|(name, value)| (name.into(), value)));
    if let Some(model) = model {
        env.insert("HARNESS_MODEL".into(), model.into());
    }

    let invocation = Invocation {
        model,
        session: call.session.as_ref().map(|session| session.id.as_str()),
        version: call.version.as_deref(),
        prompt: &prompt,
        scratch: &seen,
        own: &call.profile.args,
    };
    let args = cli.command_line(&call.profile.command, &invocation);
    let job = Job {
        program: call.program.clone().into(),
        args: args.into_iter().map(Into::into).collect(),
        cwd: call.worktree.clone(),
        env,
        // Never as an argument: those have a limit, and everybody on the machine can read them.
        stdin: if cli.is_fed {
            call.prompt.clone().into_bytes()
        } else {
            Vec::new()
        },
        output: dir.join("output.log"),
        needs_output: true,
        output_cap: call.output_cap,
        timeout: call.timeout,
        idle_timeout: call.idle_timeout,
        grace: call.grace,
        awaits_all: false,
        token: call.token.clone(),
        keeper: call.keeper.clone(),
        limits: call.limits,
        sandbox,
        builds: call.builds.clone(),
        secrets: call.secrets.clone(),
    };
    Ok((temporary, job))
}

/// The variables that tell an agent what it is called for.
fn contract(call: &Call<'_>, prompt: &Path) -> [(&'static str, OsString); 7] {
    let outbox = call.seen_worktree.join(outbox::DIRECTORY);
    [
        ("HARNESS", "1".into()),
        ("HARNESS_RUN_ID", call.run.to_string().into()),
        ("HARNESS_FEATURE", call.slug.to_string().into()),
        ("HARNESS_ITERATION", call.iteration.to_string().into()),
        ("HARNESS_SPEC", call.spec_path.clone().into()),
        ("HARNESS_PROMPT", prompt.into()),
        ("HARNESS_OUTBOX", outbox.into()),
    ]
}

fn assemble(finished: Finished, verdict: Verdict, outbox: outbox::Outbox) -> Called {
    let mut oddities = verdict.oddities;
    oddities.extend(outbox.oddities);
    if finished.leftovers > 0 {
        let count = finished.leftovers;
        oddities.push(format!(
            "it left {count} processes running; they were killed"
        ));
    }
    if let Some(why) = finished.output_error {
        oddities.push(format!("output.log is incomplete: {why}"));
    }
    let mut done = outbox.done;
    if done.is_some() && finished.ending.killed_by_us() {
        oddities.push("its done claim does not count: harness had to stop it".to_owned());
        done = None;
    }
    let blocked = outbox
        .blocked
        .or_else(|| blocked_line(&outbox.note))
        .or_else(|| blocked_line(&verdict.message));
    let mut failure = verdict.failure;
    if let Some(failure) = &mut failure
        && finished.starved
        && matches!(finished.ending, Ending::Exited { .. })
    {
        failure.kind = FailureKind::Machine;
        failure.text = format!("the machine refused new processes ({})", failure.text);
    }
    Called {
        elapsed_ms: u64::try_from(finished.elapsed.as_millis()).unwrap_or(u64::MAX),
        ending: finished.ending,
        message: verdict.message,
        note: outbox.note,
        lessons: outbox.lessons,
        done,
        blocked,
        dropped: outbox.dropped,
        failure,
        usage: verdict.usage,
        turns: verdict.turns,
        stop_reason: verdict.stop_reason,
        session: verdict.session,
        quota: verdict.quota,
        oddities,
    }
}

/// `result.json`, for people and scripts: fields are added, never renamed. harness itself never reads it.
#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    version: u32,
    #[serde(flatten)]
    called: &'a Called,
}

fn write_result(records: &Path, called: &Called) -> Result<(), AgentError> {
    let path = records.join("result.json");
    let json = serde_json::to_vec_pretty(&Written {
        schema: "harness.result",
        version: 1,
        called,
    })
    .map_err(io::Error::from)
    .map_err(failed("write", &path))?;
    write_new(&path, &json)
}

/// Writes a file where nothing, or something to be replaced, stands; never through a link.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), AgentError> {
    let written = || -> io::Result<()> {
        fault::at(Point::RecordCreate)?;
        process::remove(path)?;
        fault::write(Point::RecordWrite, &mut File::create_new(path)?, bytes)
    };
    written().map_err(failed("write", path))
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AgentError {
    let path = path.to_owned();
    move |source| AgentError::Io { act, path, source }
}

/// Whether harness runs as root.
fn is_root(parent_env: &BTreeMap<OsString, OsString>) -> bool {
    match fs::metadata("/proc/self") {
        Ok(meta) => meta.uid() == 0,
        Err(_) => parent_env
            .get(&OsString::from("USER"))
            .is_some_and(|user| user == "root"),
    }
}
