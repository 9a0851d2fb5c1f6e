//! A repository of its own for each test, cut off from the machine's configuration, and the binary to
//! run in it.

#![expect(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file includes this one and uses its part"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest a test waits for something that must happen. It bounds a failure, never a success.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a program left.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A temporary repository with a scripted agent.
pub struct Site {
    dir: tempfile::TempDir,
    pub repo: PathBuf,
    env: Vec<(String, String)>,
}

impl Site {
    /// A repository on `main` with one commit and no specs.
    pub fn new() -> Self {
        let site = Self::bare_dir();
        site.git(&["init", "-q", "-b", "main", "."]);
        site.write("README", "a project\n");
        site.commit("init");
        site
    }

    /// The directory, and no repository in it.
    pub fn bare_dir() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("the repo");
        for sub in ["home", "scripts", "bin", "the repo"] {
            std::fs::create_dir_all(dir.path().join(sub)).unwrap();
        }
        Self {
            repo,
            dir,
            env: Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sets a variable for everything that is run here.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.into(), value.into()));
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.repo.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.repo.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    pub fn spec(&self, slug: &str, front: &str) {
        let front = match front {
            "" => String::new(),
            front => format!("---\n{front}\n---\n"),
        };
        self.write(
            &format!("specs/{slug}/spec.md"),
            &format!("{front}# Feature {slug}\n\nWrite {slug}.txt.\n"),
        );
    }

    /// What the scripted agent does on a feature (`default` for all others).
    pub fn script(&self, slug: &str, text: &str) {
        let path = self.path("scripts").join(format!("{slug}.script"));
        std::fs::write(path, text).unwrap();
    }

    /// harness.yaml with the scripted agent and more keys.
    pub fn config(&self, more: &str) {
        let agent = env!("CARGO_BIN_EXE_fake-agent");
        let scripts = self.path("scripts");
        self.write(
            "harness.yaml",
            &format!(
                "version: 1\nagent: scripted\nagents:\n  scripted:\n    kind: command\n    command: [{agent:?}, {scripts:?}]\n{more}\n"
            ),
        );
    }

    /// harness.yaml with agents that are shell scripts, see [`Site::shell`], and more keys.
    pub fn shell_config(&self, more: &str) {
        let agent = self.path("scripts").join("agent.sh");
        let text = "cat > \"$HARNESS_OUTBOX/../.prompt\"; mv .prompt \"$HARNESS_OUTBOX/prompt\"\n\
            echo 'did what this feature is about' > \"$HARNESS_OUTBOX/note.md\"\n\
            set -e\n. \"${0%/*}/$HARNESS_FEATURE.sh\"\n\
            echo finished > \"$HARNESS_OUTBOX/done\"\n";
        std::fs::write(&agent, text).unwrap();
        self.write(
            "harness.yaml",
            &format!(
                "version: 1\nagent: shell\nagents:\n  shell:\n    kind: command\n    command: [sh, {agent:?}]\n{more}\n"
            ),
        );
    }

    /// A feature and what its agent does, in `sh`; a command that fails ends it without a claim.
    pub fn shell(&self, slug: &str, text: &str) {
        self.spec(slug, "");
        let path = self.path("scripts").join(format!("{slug}.sh"));
        std::fs::write(path, text).unwrap();
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    fn command(&self, program: &str) -> Command {
        let mut path = std::ffi::OsString::from(self.path("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut command = Command::new(program);
        command
            .current_dir(&self.repo)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Tess")
            .env("GIT_AUTHOR_EMAIL", "tess@example.org")
            .env("GIT_COMMITTER_NAME", "Tess")
            .env("GIT_COMMITTER_EMAIL", "tess@example.org")
            .env("TMPDIR", self.dir.path())
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Runs git here; must succeed.
    pub fn git(&self, args: &[&str]) -> String {
        let ran = finish(self.command("git").args(args));
        assert_eq!(ran.code, Some(0), "git {args:?}: {}", ran.err);
        ran.out
    }

    /// A git command here, not yet started.
    pub fn git_command(&self, args: &[&str]) -> Command {
        let mut command = self.command("git");
        command.args(args);
        command
    }

    /// Runs harness here, to its end.
    pub fn harness(&self, args: &[&str]) -> Ran {
        finish(self.command(env!("CARGO_BIN_EXE_harness")).args(args))
    }

    /// Runs harness here, with more variables; it must come to an end.
    pub fn harness_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ran {
        let mut command = self.command(env!("CARGO_BIN_EXE_harness"));
        let child = start(command.args(args).envs(env.iter().copied()));
        let pid = child.id().to_string();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send(end(child)));
        told.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            // Nobody has waited for it, so the number is still its own.
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
            panic!("harness {args:?} with {env:?} does not come to an end")
        })
    }

    /// Runs harness in another directory.
    pub fn harness_in(&self, dir: &Path, args: &[&str]) -> Ran {
        finish(
            self.command(env!("CARGO_BIN_EXE_harness"))
                .args(args)
                .current_dir(dir),
        )
    }

    /// Has a shell do what somebody types in a directory.
    pub fn sh(&self, dir: &Path, typed: &str) -> Ran {
        finish(self.command("sh").args(["-euc", typed]).current_dir(dir))
    }

    /// Starts harness here.
    pub fn start(&self, args: &[&str]) -> Child {
        start(self.command(env!("CARGO_BIN_EXE_harness")).args(args))
    }

    /// Starts harness here, with what it prints added to a file: however much that is, nobody has to read it.
    pub fn start_into(&self, args: &[&str], file: &Path) -> Child {
        let open = || {
            let mut options = std::fs::OpenOptions::new();
            options.create(true).append(true).open(file).unwrap()
        };
        self.command(env!("CARGO_BIN_EXE_harness"))
            .args(args)
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap()
    }

    /// Runs harness here under `strace` with these options, the last of which names where it writes, to its end.
    pub fn traced(&self, options: &[&str], log: &Path, args: &[&str]) -> Ran {
        let mut command = self.command("strace");
        command.args(options).arg(log);
        finish(command.arg(env!("CARGO_BIN_EXE_harness")).args(args))
    }

    /// Slugs in the order in which they landed.
    pub fn landed(&self) -> Vec<String> {
        let log = self.git(&[
            "log",
            "--reverse",
            "--first-parent",
            "--format=%(trailers:key=Harness-Feature,valueonly,separator=%x20)",
            "main",
        ]);
        log.lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Event names and features of the journal.
    pub fn journal(&self) -> Vec<serde_json::Value> {
        self.read(".harness/journal.jsonl")
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone())
            .collect()
    }

    /// Waits until something is so.
    pub fn await_that(&self, what: &str, is_so: impl Fn() -> bool) {
        await_at(Duration::from_millis(5), what, is_so);
    }

    /// The same for what takes long to find out.
    pub fn await_rarely(&self, what: &str, is_so: impl Fn() -> bool) {
        await_at(Duration::from_millis(50), what, is_so);
    }

    /// Waits until a file exists.
    pub fn await_file(&self, path: &Path) {
        self.await_that(&path.to_string_lossy(), || path.exists());
    }

    /// Waits until the journal mentions a word.
    pub fn await_journal(&self, word: &str) {
        let journal = self.repo.join(".harness/journal.jsonl");
        let text = || std::fs::read_to_string(&journal).unwrap_or_default();
        self.await_that(word, || text().contains(word));
    }

    /// No worktree, branch or uncommitted change is left behind.
    pub fn assert_no_litter(&self) {
        assert_eq!(self.git(&["worktree", "list"]).lines().count(), 1);
        assert_eq!(
            self.git(&["branch", "--format=%(refname:short)"]).trim(),
            "main"
        );
        assert_eq!(self.git(&["status", "--porcelain"]), "");
        assert!(!self.path("the repo.harness").exists(), "the pool is gone");
    }
}

fn await_at(pace: Duration, what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never came: {what}");
        std::thread::sleep(pace);
    }
}

/// Sends a signal to a child by name.
pub fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(child.id() > 1);
    let status = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(status.unwrap().success());
}

/// Waits for a started program and collects what it said.
pub fn end(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn finish(command: &mut Command) -> Ran {
    end(start(command))
}

fn start(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}
