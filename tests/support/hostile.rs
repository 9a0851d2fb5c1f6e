//! Scripts that try to get away, a place to run each in, and the question who is left.
//!
//! Who is left is asked of the kernel, not of the scripts: every process whose working directory is the
//! script's. Nothing here may signal anything but its own parent.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "each test file includes this one and uses its part"
)]

#[path = "processes.rs"]
mod processes;

use crate::support::Site;
use harness::model::Ending;
use harness::process::{Builds, Job, Keeper, Limits, Secrets, Stream};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;

/// Name, and a script that is done with getting away when it says `ready`. `$0` is the shell.
pub const ESCAPES: &[(&str, &str)] = &[
    (
        "a daemon in a session of its own, with a clean environment, deaf to TERM",
        "mkfifo up; env -i PATH=$PATH setsid sh -c 'trap \"\" TERM HUP; echo >up; sleep 1000' &
         read _ <up; echo ready",
    ),
    (
        "a double fork",
        "mkfifo up; (env -i PATH=$PATH setsid sh -c 'echo >up; sleep 1000' &) ; read _ <up; echo ready",
    ),
    (
        "a double fork that closes what it has open",
        "mkfifo up; (env -i PATH=$PATH setsid sh -c 'exec <&- >&- 2>&-; (echo >up; sleep 1000; :) &' &)
         read _ <up; echo ready",
    ),
    (
        "twenty daemons, each the child of another",
        "mkfifo up; cat >nest.sh <<'EOF'
[ $1 = 0 ] && { echo >up; exec sleep 1000; }
setsid sh nest.sh $(($1 - 1)) & wait
EOF
         env -i PATH=$PATH setsid sh nest.sh 20 & read _ <up; echo ready",
    ),
    (
        "one that hops from process to process, each in a session of its own",
        "cat >hop.sh <<'EOF'
[ -e hop.sh ] || exit
setsid sh hop.sh &
EOF
         env -i PATH=$PATH sh hop.sh; echo ready",
    ),
    ("a child that is left behind", "sleep 1000 & echo ready"),
    ("a frozen child", "sleep 1000 & kill -STOP $!; echo ready"),
    (
        "a group of its own that holds the output",
        "set -m; (trap '' TERM; sleep 1000; :) & echo ready",
    ),
    (
        "one that takes a name that reads like an entry of the process list, with a clean environment",
        "mkfifo up; cat >name.sh <<'EOF'
printf 'a) Z 1 1 1 (' >/proc/$$/comm
echo >up
sleep 1000; :
EOF
         env -i PATH=$PATH setsid sh name.sh & read _ <up; echo ready",
    ),
];

/// Scripts after which the supervisor is of no use.
pub const SABOTAGE: &[(&str, &str)] = &[
    (
        "it kills its supervisor",
        "mkfifo up; (env -i PATH=$PATH setsid sh -c 'echo >up; sleep 1000' &); read _ <up
         echo ready; kill -9 $PPID; sleep 1000",
    ),
    (
        "it stops its supervisor",
        "sleep 1000 & kill -STOP $PPID; echo ready; sleep 1000",
    ),
    (
        "it stops its supervisor again and again",
        "cat >stop.sh <<'EOF'
while [ -e stop.sh ] && kill -STOP $1; do :; done
EOF
         env -i PATH=$PATH setsid sh stop.sh $PPID & echo ready; sleep 1000",
    ),
];

/// Hostile to its supervisor as well, and fast enough to use up the numbers of processes if it got away: like
/// [`STORMS`], only for where nobody else lives.
pub const HERD: &[(&str, &str)] = &[(
    "it hops from process to process, six times over, and kills its supervisor",
    "cat >hop.sh <<'EOF'
[ -e hop.sh ] || exit
setsid sh hop.sh &
EOF
         for _ in 1 2 3 4 5 6; do env -i PATH=$PATH sh hop.sh; done
         echo ready; kill -9 $PPID; sleep 1000",
)];

/// Scripts that would hurt the machine if they got away: only for where nobody else lives.
pub const STORMS: &[(&str, &str)] = &[
    (
        "a fork bomb",
        "cat >bomb.sh <<'EOF'
[ -e bomb.sh ] || exit
sh bomb.sh & sh bomb.sh & wait
EOF
         env -i PATH=$PATH setsid sh bomb.sh & echo ready; sleep 1000",
    ),
    (
        "a fork bomb whose parents exit, and it kills its supervisor",
        "cat >bomb.sh <<'EOF'
[ -e bomb.sh ] || exit
setsid sh bomb.sh & setsid sh bomb.sh &
EOF
         env -i PATH=$PATH sh bomb.sh; echo ready; sleep 0.4; kill -9 $PPID; sleep 1000",
    ),
];

/// A directory of its own for each script.
pub struct Bench {
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        // What is orphaned here would otherwise go to init, out of sight.
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn job(&self, script: &str, keeper: Keeper) -> Job {
        Job {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: self.dir.path().to_owned(),
            env: [("PATH".into(), std::env::var_os("PATH").unwrap())].into(),
            stdin: Vec::new(),
            output: self.dir.path().join("output.log"),
            needs_output: true,
            output_cap: 1 << 20,
            timeout: Duration::from_secs(120),
            idle_timeout: None,
            grace: Duration::from_millis(200),
            awaits_all: false,
            token: String::new(),
            keeper,
            limits: Limits::default(),
            sandbox: None,
            builds: Builds::default(),
            secrets: Secrets::default(),
        }
    }
}

/// The supervisor alone, which is the real binary.
pub fn supervisor() -> Keeper {
    Keeper::Supervisor {
        program: env!("CARGO_BIN_EXE_harness").into(),
        cgroup: None,
    }
}

/// Every way of keeping processes that this system has, the supervisor alone first.
pub fn keepers() -> Vec<Keeper> {
    let mut keepers = vec![supervisor()];
    // Tells the library that there is a supervisor, which for a test is another program.
    assert_eq!(harness::process::supervise(std::iter::empty()), None);
    match Keeper::find() {
        Keeper::Supervisor {
            cgroup: Some(parent),
            ..
        } => keepers.push(Keeper::Supervisor {
            program: env!("CARGO_BIN_EXE_harness").into(),
            cgroup: Some(parent),
        }),
        _ => eprintln!("SKIPPED with control groups: none can be made here"),
    }
    keepers
}

/// Command lines of the running processes that work in `dir`.
pub fn working_in(dir: &Path) -> Vec<String> {
    let found = processes::at_work_in(dir).into_iter();
    found.map(|process| process.line).collect()
}

pub fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

/// What to call with every line, and what stops the job when one is `ready`.
pub fn readiness() -> (impl FnMut(Stream, &str), impl Future<Output = Ending>) {
    let (tell, mut told) = unbounded_channel();
    let on_line = move |_: Stream, line: &str| {
        if line == "ready" {
            // Whoever does not listen any more knows.
            let _ = tell.send(());
        }
    };
    (on_line, async move {
        told.recv().await;
        Ending::Stopped
    })
}

/// A site where `good` is done at once, and the agent of `bad` is a hostile script.
pub fn neighbours(script: &str) -> Site {
    let site = Site::new();
    site.spec("good", "");
    site.spec("bad", "agent: hostile");
    site.script("good", "write good.txt ok\ndone it is there\n");
    let script = script.replace("echo ready", ": >ready; exec >&- 2>&-");
    site.write("hostile.sh", &script);
    site.config(
        "  hostile:\n    kind: command\n    command: [sh, hostile.sh]\nrun:\n  parallel: 2\n  grace: 100ms\n  \
         max_iterations_per_feature: 1\n  iteration_timeout: 60s",
    );
    site.commit("specs");
    site
}
