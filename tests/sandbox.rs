//! In a sandbox an agent can do its work, and write and read nothing else: a list of attacks, with every sandbox that
//! this system has.
//!
//! What an attack achieved is looked for where it would be seen, not asked of the attacker.
#![cfg(all(feature = "fake-agent", target_os = "linux"))]
#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it cannot test"
)]

#[path = "support/hostile.rs"]
mod hostile;
mod support;

use harness::model::Ending;
use harness::process::sandbox::{find_bwrap, find_landlock};
use harness::process::{Backend, Builds, Job, Keeper, Limits, Policy, Sandbox, Secrets, run};
use hostile::{on_runtime, readiness, working_in};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::Site;

/// What each line tries to write, by `sh`. `@` is the main checkout, `%` the other feature's worktree, `~` the user's home.
const WRITES: &[&str] = &[
    "echo breach >> @/README",
    "echo breach > @/breach",
    "rm -f @/README",
    "mv @/README @/README.breach",
    "echo breach > @/specs/victim/spec.md",
    "echo breach > @/.harness/HALT",
    "echo breach >> @/.harness/journal.jsonl",
    "echo breach >> @/.harness/learnings.md",
    "echo breach > @/.harness/victim.done",
    "mkdir -p @/.harness/inbox && echo '\"Pause\"' > @/.harness/inbox/1.json",
    // The repository.
    "printf '[core]\\n\\tfsmonitor = breach\\n' >> @/.git/config",
    "git config core.hooksPath /breach",
    "git config --global alias.breach breach",
    "git config --worktree core.fsmonitor breach; true",
    "echo breach > @/.git/hooks/pre-commit",
    "mkdir -p @/.git/info && echo breach > @/.git/info/attributes",
    "echo breach > @/.git/HEAD",
    "rm -f @/.git/index",
    "echo breach > @/.git/packed-refs",
    "echo $(git rev-parse HEAD) > @/.git/refs/heads/main",
    "git update-ref refs/heads/main HEAD",
    "git push -q . HEAD:main",
    "git branch breach",
    "git tag breach",
    "git update-ref -d refs/harness/integration/main",
    "git stash push -q",
    "git worktree add -q ../breach",
    "git worktree prune",
    "git gc -q --prune=now",
    "echo breach > @/.git/worktrees/w9/HEAD",
    "for tree in @/.git/worktrees/*; do case $tree in \"$(git rev-parse --git-dir)\") ;; *) echo breach > $tree/HEAD ;; esac; done",
    // Another feature's worktree, and what is beside them.
    "echo breach > %/breach",
    "for dir in ../w*; do [ \"$dir\" -ef . ] || echo breach > $dir/breach; done",
    // The user's home and the system.
    "echo breach >> ~/.bashrc",
    "echo breach >> ~/.ssh/authorized_keys",
    "mkdir -p ~/.config/autostart && echo breach > ~/.config/autostart/breach",
    "echo breach > ~/.claude/settings.json",
    "echo breach > /etc/breach",
    "echo breach > /usr/local/bin/breach",
    "echo breach > /breach",
    // Ways around.
    "ln -s @ out && echo breach > out/breach; rm -f out",
    "ln @/README linked && echo breach >> linked; rm -f linked",
    "ln ~/.bashrc linked && echo breach >> linked; rm -f linked",
    "echo breach > /proc/1/root@/breach",
    "echo breach > /proc/$PPID/root@/breach",
    "echo breach > /proc/$PPID/cwd/../../breach",
    "mount -o remount,rw / && echo breach > /etc/breach",
    "mount -o remount,rw @ && echo breach > @/breach",
    "mount --bind . @ && echo breach > @/breach; umount @",
    "unshare -Urm sh -c 'mount -o remount,rw @; mount -o remount,rw /; echo breach > @/breach'",
    "unshare -Urm sh -c 'umount -l @/.. ; umount -l %; echo breach > @/breach'",
    "chroot /proc/1/root sh -c 'echo breach > @/breach'",
    "chmod -R a+w @/.git; echo breach >> @/.git/config",
    "nsenter -t 1 -m sh -c 'echo breach > @/breach'",
    // Whoever is above it.
    "[ $ABOVE -gt 1 ] && kill -9 $ABOVE",
    "[ $ABOVE -gt 1 ] && kill -STOP $ABOVE",
];

/// What nobody may read; the file says `secret`.
const READS: &[&str] = &[
    "cat ~/.ssh/id_ed25519",
    "cat ~/.netrc",
    "cat ~/.claude/.credentials.json",
    "ls -R ~ | xargs -n1 cat; cat ~/*/*",
    "ln -s ~/.ssh keys; cat keys/id_ed25519; rm -f keys",
    "cat %/secret",
    "cat ../w*/secret",
    "for p in /proc/[0-9]*; do cat $p/environ 2>/dev/null | tr '\\0' '\\n' | grep ^AMBIENT && { cat $p/cmdline | tr '\\0' ' '; ls -l $p/exe; cat $p/status | head -9; }; done",
    "cat /proc/1/root$HOME/.netrc",
    "tar cf - -C ~ .ssh | tar xOf -",
    "unshare -Urm sh -c 'umount -l ~/.ssh; umount -R ~; cat ~/.ssh/id_ed25519'",
];

/// Every sandbox that works here.
fn each_backend() -> Vec<Backend> {
    // Tells the library that there is a supervisor, which for a test is another program.
    assert_eq!(harness::process::supervise(std::iter::empty()), None);
    let path = std::env::var_os("PATH");
    let found = [
        ("bwrap", find_bwrap(path.as_deref())),
        ("landlock", find_landlock(&Keeper::find())),
    ];
    let works = |(name, found): (&str, Result<Backend, String>)| {
        found
            .inspect_err(|why| eprintln!("SKIPPED with {name}: {why}"))
            .ok()
    };
    found.into_iter().filter_map(works).collect()
}

fn backends() -> Vec<&'static str> {
    let name = |backend: Backend| {
        if backend.mounts() {
            "bwrap"
        } else {
            "landlock"
        }
    };
    each_backend().into_iter().map(name).collect()
}

/// Every file below `dir` with its content, but for what `skip` names.
fn contents(dir: &Path, skip: &dyn Fn(&Path) -> bool) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if skip(&path) {
            } else if meta.is_dir() {
                pending.push(path);
            } else if meta.is_file() {
                let text = std::fs::read(&path).unwrap();
                found.insert(path, text);
            }
        }
    }
    found
}

/// A site with a victim, whose agent waits until the attacker is done, and the attacker.
fn site(backend: &str, attack: &str) -> Site {
    let mut site = Site::new();
    site.set("AMBIENT_SECRET", "secret");
    let scripts = site.path("scripts");
    site.shell_config(&format!(
        "sandbox: {backend}\nconfine: {{read: [{scripts:?}, {done:?}], write: [{rendezvous:?}]}}\n\
         verify: {{commands: ['test -e README']}}\nrun: {{parallel: 2, grace: 200ms, max_iterations_per_feature: 2}}",
        done = site.path("bin"),
        rendezvous = site.path("meet"),
    ));
    std::fs::create_dir(site.path("meet")).unwrap();
    let home = site.path("home");
    for (name, text) in [
        (".bashrc", "# mine\n"),
        (".ssh/id_ed25519", "secret\n"),
        (".ssh/authorized_keys", "# mine\n"),
        (".netrc", "secret\n"),
        (".claude/.credentials.json", "secret\n"),
        (".claude/settings.json", "{}\n"),
        (".config/mine", "mine\n"),
    ] {
        let file = home.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let meet = site.path("meet").display().to_string();
    site.shell(
        "victim",
        &format!(
            "echo secret > secret; echo victim > victim.txt; git add victim.txt; git commit -qm 'by the victim'\n\
             pwd > '{meet}/victim'; while [ ! -e '{meet}/attacked' ]; do sleep 0.01; done; rm secret"
        ),
    );
    site.shell(
        "attacker",
        &format!(
            "export ABOVE=$PPID; while [ ! -s '{meet}/victim' ]; do sleep 0.01; done\n{attack}\n\
             touch '{meet}/attacked'; echo mine > attacker.txt; git add attacker.txt; git commit -qm 'by the attacker'\n\
             test \"$(cat \"$HARNESS_PROMPT\" | wc -c)\" -gt 100; test -f \"$HARNESS_SPEC\"\n\
             echo temp > \"$TMPDIR/x\"; test \"$(git log -1 --format=%s)\" = 'by the attacker'"
        ),
    );
    site.commit("specs");
    site.git(&["pack-refs", "--all"]);
    site
}

/// Each line on its own, so that one that ends its shell does not spare us the next.
fn script(site_of: &dyn Fn(&str) -> String, lines: &[&str]) -> String {
    let each = |line: &&str| {
        let line = site_of(line).replace('\'', "'\\''");
        format!("sh -c '{line}' >> \"$TMPDIR/said\" 2>&1 || true\n")
    };
    lines.iter().map(each).collect()
}

/// A site whose attacker runs these lines, `%` being the victim's worktree and `@` the main checkout.
fn armed(backend: &str, lines: &[&str], then: &str) -> Site {
    let site = site(backend, ". '@ATTACK@'");
    let shown = |path: &Path| path.display().to_string().replace(' ', "\\ ");
    let (root, victim) = (shown(&site.repo), shown(&site.path("the repo.harness/w2")));
    let fill = |line: &str| line.replace('@', &root).replace('%', &victim);
    let attack = site.path("scripts").join("attack.sh");
    std::fs::write(&attack, script(&fill, lines) + then).unwrap();
    let own = site.path("scripts").join("attacker.sh");
    let text = std::fs::read_to_string(&own).unwrap();
    let text = text.replace("@ATTACK@", &attack.display().to_string());
    std::fs::write(&own, text).unwrap();
    site
}

#[test]
fn nothing_outside_is_written() {
    for backend in backends() {
        let site = armed(backend, WRITES, "");
        let repo = site.repo.clone();
        // harness itself writes these while it works; what stands there is judged below.
        let skip = |path: &Path| {
            let path = path.strip_prefix(&repo).unwrap_or(path);
            let ours = [
                ".harness",
                ".git/objects",
                ".git/worktrees",
                ".git/refs",
                ".git/logs",
                ".git/index",
            ];
            ours.iter().any(|ours| path.starts_with(ours)) || path.ends_with("ORIG_HEAD")
        };
        let before = contents(&site.repo, &skip);
        let home = contents(&site.path("home"), &|_| false);
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(0), "{backend}: {}", ran.err);
        assert!(
            ran.err.contains(&format!("sandbox: {backend}")),
            "{}",
            ran.err
        );
        let mut after = contents(&site.repo, &skip);
        for landed in ["victim.txt", "attacker.txt"] {
            assert!(
                after.remove(&site.repo.join(landed)).is_some(),
                "{backend}: {landed}: {}",
                ran.err
            );
        }
        assert_eq!(before, after, "{backend}");
        assert_eq!(home, contents(&site.path("home"), &|_| false), "{backend}");
        for place in ["/etc/breach", "/usr/local/bin/breach", "/breach"] {
            assert!(!Path::new(place).exists(), "{backend}: {place}");
        }
        let state = contents(&site.repo.join(".harness"), &|path| {
            path.ends_with("iterations")
        });
        for (path, text) in &state {
            let text = String::from_utf8_lossy(text);
            assert!(
                !text.contains("breach"),
                "{backend}: {}: {text}",
                path.display()
            );
        }
        let refs = site.git(&["for-each-ref", "--format=%(refname)"]);
        let strange = refs
            .lines()
            .find(|name| name.contains("breach") || *name == "refs/stash");
        assert_eq!(strange, None, "{backend}");
        assert_eq!(site.landed().len(), 2, "{backend}");
        // Where it can be, every agent's worktree is at the same place.
        let pool = site.repo.canonicalize().unwrap();
        let pool = pool.with_file_name("the repo.harness");
        let seen = std::fs::read_to_string(site.path("meet/victim")).unwrap();
        let own = if backend == "bwrap" { "work" } else { "w2" };
        assert_eq!(Path::new(seen.trim()), pool.join(own), "{backend}");
        site.git(&["fsck", "--strict", "--no-dangling"]);
        let status = site.git(&["status", "--porcelain"]);
        assert_eq!(status, "", "{backend}");
    }
}

#[test]
fn nothing_hidden_is_read() {
    for backend in backends() {
        let site = armed(backend, READS, "cp \"$TMPDIR/said\" said.txt\n");
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(0), "{backend}: {}", ran.err);
        let tip = site.git(&["rev-parse", "main"]);
        let said = site.git(&["show", &format!("{}:said.txt", tip.trim())]);
        let told: Vec<&str> = said
            .lines()
            .filter(|line| *line == "secret" || line.contains("=secret"))
            .collect();
        assert_eq!(told, [""; 0], "{backend}: {said}");
    }
}

/// A job in a directory of its own, which is all that it may write.
fn job(dir: &Path, backend: &Backend, script: &str) -> Job {
    Job {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        cwd: dir.to_owned(),
        env: [("PATH".into(), std::env::var_os("PATH").unwrap())].into(),
        stdin: Vec::new(),
        output: dir.join("output.log"),
        needs_output: true,
        output_cap: 1 << 20,
        timeout: Duration::from_secs(60),
        idle_timeout: None,
        grace: Duration::from_secs(20),
        awaits_all: false,
        token: String::new(),
        keeper: Keeper::Supervisor {
            program: env!("CARGO_BIN_EXE_harness").into(),
            cgroup: None,
        },
        limits: Limits::default(),
        builds: Builds::default(),
        secrets: Secrets::default(),
        sandbox: Some(Sandbox {
            backend: backend.clone(),
            policy: Policy {
                write: vec![dir.to_owned()],
                cwd: dir.to_owned(),
                network: true,
                ..Policy::default()
            },
        }),
    }
}

/// Runs it; stops it once it says `ready`. Gives how it ended and what it said.
fn end_of(job: Job) -> (Ending, String) {
    let output = job.output.clone();
    let (on_line, ready) = readiness();
    let finished = on_runtime(run(job, ready, on_line));
    let said = std::fs::read_to_string(output).unwrap();
    (finished.ending, said)
}

#[test]
fn a_job_in_a_sandbox_ends_as_any_other() {
    for backend in each_backend() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let run = |script: &str| end_of(job(&dir, &backend, script));
        let (ending, said) = run("echo out; echo err >&2; exit 7");
        assert_eq!(ending, Ending::Exited { code: 7 }, "{backend:?}: {said}");
        assert!(said.contains("out\n") && said.contains("err\n"), "{said}");
        // It is asked to end, and has the time to say goodbye; so have those below it.
        let (ending, said) =
            run("trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
        assert_eq!(ending, Ending::Stopped, "{backend:?}: {said}");
        assert!(said.contains("goodbye"), "{backend:?}: {said}");
        // Who does not listen is killed, with all below it.
        let deaf = Job {
            grace: Duration::from_millis(100),
            ..job(
                &dir,
                &backend,
                "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 1000' &); echo ready; sleep 1000; sleep 1000",
            )
        };
        assert_eq!(end_of(deaf).0, Ending::Stopped, "{backend:?}");
        assert_eq!(working_in(&dir), [""; 0], "{backend:?}");
        // What is left of one that ends by itself is ended, too.
        let (ending, _) = run("env -i setsid sleep 1000 & exit 0");
        assert_eq!(ending, Ending::Exited { code: 0 }, "{backend:?}");
        assert_eq!(working_in(&dir), [""; 0], "{backend:?}");
    }
}

#[test]
fn a_limit_holds_in_a_sandbox() {
    for backend in each_backend() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let mut many = job(
            &dir,
            &backend,
            "n=0; while [ $n -lt 30 ]; do sleep 1000 & n=$((n + 1)); done; wait",
        );
        many.limits.processes = Some(20);
        let (ending, said) = end_of(many);
        let Ending::OverLimit { what } = &ending else {
            panic!("{backend:?}: {ending:?}: {said}");
        };
        assert!(what.contains("20 allowed"), "{what}");
        assert_eq!(working_in(&dir), [""; 0], "{backend:?}");
    }
}

#[test]
fn an_agent_that_sandboxes_its_own_commands_still_can() {
    let Some(backend) = each_backend().into_iter().find(Backend::mounts) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let script = "bwrap --unshare-user --ro-bind / / --dev /dev --bind $PWD $PWD sh -c 'echo inside > nested; ! echo x > /x' && cat nested";
    let (ending, said) = end_of(job(&dir, &backend, script));
    assert_eq!(ending, Ending::Exited { code: 0 }, "{said}");
    assert!(said.contains("inside"), "{said}");
}

#[test]
fn the_network_can_be_taken_away() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for backend in each_backend() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        for network in [true, false] {
            let mut job = job(
                &dir,
                &backend,
                &format!("bash -c ': >/dev/tcp/127.0.0.1/{port}'"),
            );
            job.sandbox.as_mut().unwrap().policy.network = network;
            if !network && !backend.mounts() {
                continue; // Refused before a run begins.
            }
            let (ending, said) = end_of(job);
            let code = i32::from(!network);
            assert_eq!(ending, Ending::Exited { code }, "{backend:?}: {said}");
        }
    }
}

#[test]
fn what_cannot_be_had_is_refused_before_anything_begins() {
    let site = Site::new();
    site.spec("one", "");
    site.script("one", "write one.txt ok\ndone\n");
    site.config("sandbox: landlock\nconfine: {network: none}");
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(
        ran.err.contains("landlock") || ran.err.contains("Landlock"),
        "{}",
        ran.err
    );
    // No bwrap on the path.
    let mut site = Site::new();
    let bin = site.path("bin");
    for tool in ["git", "sh"] {
        let at = harness::process::which(
            tool.as_ref(),
            std::env::var_os("PATH").as_deref(),
            Path::new("/"),
        )
        .unwrap();
        std::os::unix::fs::symlink(at, bin.join(tool)).unwrap();
    }
    site.set("PATH", bin.to_str().unwrap());
    site.spec("one", "");
    site.config("sandbox: bwrap");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(
        ran.err
            .contains("bwrap (package bubblewrap) is not installed"),
        "{}",
        ran.err
    );
}

#[test]
fn git_has_nothing_to_complain_of_in_a_worktree() {
    for backend in backends() {
        let site = site(backend, "true");
        site.shell(
            "victim",
            "exec 3>&1 >\"$TMPDIR/said\" 2>&1; for n in 1 2; do echo $n > victim.txt; git add -A; git commit -m \"step $n\"; done\n\
             git commit --amend -m amended; git status; git log --oneline main..; git diff main --stat; git rebase main\n\
             git reset --hard -q; git worktree list; git commit-tree -p HEAD -m x HEAD^{tree}; cp \"$TMPDIR/said\" said.txt",
        );
        site.shell("attacker", "echo a > attacker.txt");
        let ran = site.harness(&["run", "--parallel", "1"]);
        assert_eq!(ran.code, Some(0), "{backend}: {}", ran.err);
        let said = site.git(&["show", "main:said.txt"]);
        assert!(said.contains("amended"), "{backend}: {said}");
        let odd = |line: &&str| {
            line.starts_with("error") || line.starts_with("fatal") || line.starts_with("warning")
        };
        assert_eq!(said.lines().find(odd), None, "{backend}: {said}");
    }
}
