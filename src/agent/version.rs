//! Asks an agent's program which version it is.
//!
//! It never starts a turn, and gives the program nothing of the user's to look at or to change.

use super::cli::Cli;
use super::{Kind, Profile, env};
use crate::model::Ending;
use crate::process::{self, Builds, Job, Keeper, Limits, PrivateTemp, Secrets, Stream};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Programs in Python take some seconds.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest version that is shown, in characters.
const VERSION_CHARS: usize = 60;
/// Of its output.
const OUTPUT_CAP: u64 = 64 << 10;

/// Whether a call goes by the program's version. Only of a program that goes by its kind's own name: of a script around it
/// nobody knows what it would do when it is asked.
#[must_use]
pub fn depends_on_version(profile: &Profile, program: &Path) -> bool {
    let cli = Cli::of(profile.kind);
    cli.later.is_some() && program.file_name() == Some(OsStr::new(cli.program))
}

/// Whether the version that a program told is this one or a later one.
pub(super) fn is_since(told: Option<&str>, least: [u32; 3]) -> bool {
    let told = told.unwrap_or_default();
    let from = told.find(|c: char| c.is_ascii_digit());
    let numbers = &told[from.unwrap_or(told.len())..];
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '.');
    let mut numbers = numbers[..end.unwrap_or(numbers.len())].split('.');
    let version: [Option<u32>; 3] = [(); 3].map(|()| numbers.next()?.parse().ok());
    // Whole, or it is no version at all.
    version.iter().all(Option::is_some) && version >= least.map(Some)
}

/// The version that the program calls itself; `None` when it does not say, and for programs of which nobody knows what
/// they would do when they are asked. It runs in an empty directory, which is its home as well.
pub async fn version(
    profile: &Profile,
    program: PathBuf,
    parent: &BTreeMap<OsString, OsString>,
    keeper: &Keeper,
) -> Option<String> {
    if profile.kind == Kind::Command {
        return None;
    }
    let base = parent.get(OsStr::new("TMPDIR")).map(Path::new);
    let temporary = PrivateTemp::create(base, "version").ok()?;
    let place = temporary.path().to_owned();
    let mut env = env::base_env(parent, &[]);
    env.retain(|name, _| !name.as_encoded_bytes().starts_with(b"XDG_"));
    for name in ["HOME", "TMPDIR"] {
        env.insert(name.into(), place.clone().into());
    }
    env.insert("DISABLE_AUTOUPDATER".into(), "1".into());
    let first = profile.command.iter().skip(1).map(OsString::from);
    let job = Job {
        program: program.into(),
        args: first.chain(["--version".into()]).collect(),
        cwd: place.clone(),
        env,
        stdin: Vec::new(),
        output: place.join("output"),
        needs_output: true,
        output_cap: OUTPUT_CAP,
        timeout: PATIENCE,
        idle_timeout: None,
        grace: Duration::from_millis(500),
        awaits_all: false,
        // As unique as the directory.
        token: place.to_string_lossy().into_owned(),
        keeper: keeper.clone(),
        limits: Limits::default(),
        sandbox: None,
        builds: Builds::Free,
        secrets: Secrets::default(),
    };
    let mut said = None;
    let finished = process::run(job, std::future::pending(), |stream, line| {
        let has_digit = line.chars().any(|c| c.is_ascii_digit());
        if stream == Stream::Out && has_digit && said.is_none() {
            said = Some(super::text::clip(
                &super::text::visible(line.trim()),
                VERSION_CHARS,
            ));
        }
    });
    let ending = finished.await.ending;
    // What stays behind in a temporary directory is found by the next examination.
    let _ = temporary.remove();
    said.filter(|_| ending == Ending::Exited { code: 0 })
}
