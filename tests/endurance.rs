//! One long run: memory, descriptors, threads, dead children and the processor time of an iteration stay what they
//! were. `scripts/endurance` runs it and prints the table.
//!
//! `HARNESS_ENDURANCE_ITERATIONS=n` says how many; `HARNESS_ENDURANCE_SLOTS=n` how many at once.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and says what it saw"
)]

#[path = "support/processes.rs"]
mod processes;
mod support;

use processes::{Process, everybody};
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::Site;

/// Iterations of each feature.
const EACH: u64 = 10;
/// Samples in a run.
const SAMPLES: u64 = 20;
/// Looks that make a sample: what comes and goes is seen in its middle.
const LOOKS: usize = 9;

/// A number from the environment.
fn asked(name: &str, usual: u64) -> u64 {
    let name = format!("HARNESS_ENDURANCE_{name}");
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// One of the values of a sample.
type Value = fn(&Sample) -> u64;

/// What harness uses at a moment.
#[derive(Clone, Copy, Default)]
struct Sample {
    iterations: u64,
    memory_kb: u64,
    files: u64,
    threads: u64,
    zombies: u64,
    own_ticks: u64,
    children_ticks: u64,
}

impl Sample {
    fn of(pid: u32, iterations: u64) -> Option<Self> {
        let process = Process::of(i32::try_from(pid).unwrap())?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let memory = memory.trim().strip_suffix(" kB")?;
        let dead = |one: &&Process| one.parent == process.pid && !one.is_running();
        Some(Self {
            iterations,
            memory_kb: memory.parse().ok()?,
            files: u64::try_from(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count()).ok()?,
            threads: process.threads,
            zombies: u64::try_from(everybody().iter().filter(dead).count()).ok()?,
            own_ticks: process.ticks.0,
            children_ticks: process.ticks.1,
        })
    }

    /// The middle of several looks, each value for itself.
    fn settled(pid: u32, iterations: u64) -> Option<Self> {
        let mut looks = Vec::new();
        for _ in 0..LOOKS {
            looks.push(Self::of(pid, iterations)?);
            std::thread::sleep(Duration::from_millis(10));
        }
        let middle = |value: Value| {
            let mut values: Vec<u64> = looks.iter().map(value).collect();
            values.sort_unstable();
            values[LOOKS / 2]
        };
        Some(Self {
            memory_kb: middle(|look| look.memory_kb),
            files: middle(|look| look.files),
            threads: middle(|look| look.threads),
            zombies: middle(|look| look.zombies),
            ..looks[LOOKS - 1]
        })
    }
}

/// Counts iterations that have ended, reading only what is new of the journal.
struct Counter {
    path: PathBuf,
    read: u64,
    count: u64,
}

impl Counter {
    fn count(&mut self) -> u64 {
        let Ok(mut file) = fs::File::open(&self.path) else {
            return 0;
        };
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut text = Vec::new();
        file.read_to_end(&mut text).unwrap();
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let text = String::from_utf8_lossy(&text[..whole]);
        self.read += u64::try_from(whole).unwrap();
        let ended = text.matches("\"event\":\"iteration_ended\"").count();
        self.count += u64::try_from(ended).unwrap();
        self.count
    }
}

#[test]
#[ignore = "takes minutes: scripts/endurance"]
fn the_table() {
    let iterations = asked("ITERATIONS", 10_000);
    let slots = asked("SLOTS", 8).to_string();
    let features = iterations.div_ceil(EACH);
    let site = Site::new();
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents/endurance.sh");
    site.write(
        "harness.yaml",
        &format!(
            "version: 1\nagent: instant\nagents:\n  instant:\n    kind: command\n    command: [sh, {agent:?}, '{EACH}']\n\
             verify: {{commands: ['test -d work']}}\nrun: {{max_iterations: 1000000, max_iterations_per_feature: 100000}}\n"
        ),
    );
    // All files are there from the beginning: what goes on is the work, and what grows is history, not the project.
    for n in 0..features {
        site.spec(&format!("f{n:05}"), "");
        site.write(&format!("work/f{n:05}"), "what the agents write\n");
    }
    site.commit("specs");

    let began = Instant::now();
    let printed = site.path("printed");
    let mut harness = site.start_into(&["run", "--parallel", &slots], &printed);
    let journal = site.repo.join(".harness/journal.jsonl");
    let mut counter = Counter {
        path: journal,
        read: 0,
        count: 0,
    };
    println!(
        "{:>10}{:>9}{:>10}{:>8}{:>9}{:>9}{:>16}{:>16}",
        "iterations",
        "after",
        "memory",
        "files",
        "threads",
        "zombies",
        "own CPU/iter",
        "children's"
    );
    let mut samples = vec![Sample::default()];
    while harness.try_wait().unwrap().is_none() {
        let last = samples[samples.len() - 1];
        let count = counter.count();
        if count >= last.iterations + (iterations / SAMPLES).max(1)
            && let Some(sample) = Sample::settled(harness.id(), count)
        {
            print(&last, &sample, began.elapsed());
            samples.push(sample);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = harness.wait().unwrap();
    let text = fs::read_to_string(&printed).unwrap();
    assert_eq!(ended.code(), Some(0), "{text}");
    assert!(counter.count() >= iterations);
    assert_eq!(site.landed().len(), usize::try_from(features).unwrap());
    judge(&samples);
}

/// Milliseconds of processor time an iteration took between two samples.
fn cpu_ms(before: &Sample, after: &Sample, ticks: Value) -> f64 {
    let count = after.iterations.saturating_sub(before.iterations).max(1);
    // A tick is a hundredth of a second on every Linux.
    ratio((ticks(after) - ticks(before)) * 10, count)
}

fn ratio(above: u64, below: u64) -> f64 {
    f64::from(u32::try_from(above).unwrap()) / f64::from(u32::try_from(below.max(1)).unwrap())
}

fn print(before: &Sample, sample: &Sample, after: Duration) {
    println!(
        "{:>10}{:>7} s{:>7} MB{:>8}{:>9}{:>9}{:>13.2} ms{:>13.2} ms",
        sample.iterations,
        after.as_secs(),
        sample.memory_kb / 1024,
        sample.files,
        sample.threads,
        sample.zombies,
        cpu_ms(before, sample, |one| one.own_ticks),
        cpu_ms(before, sample, |one| one.children_ticks),
    );
    let _ = std::io::stdout().flush();
}

/// The last third of the run beside its first.
fn judge(samples: &[Sample]) {
    let third = (samples.len() - 1) / 3;
    assert!(third > 0, "too few samples");
    let (first, last) = (&samples[1..=third], &samples[samples.len() - third..]);
    let mean = |of: &[Sample], value: Value| {
        ratio(of.iter().map(value).sum(), u64::try_from(of.len()).unwrap())
    };
    let mut grown = Vec::new();
    let mut compare = |what: &str, before: f64, after: f64, slack: f64| {
        println!("{what:<30}{before:>12.2} ->{after:>12.2}");
        if after > before * 1.25 + slack {
            grown.push(what.to_owned());
        }
    };
    let resources: [(&str, Value, f64); 4] = [
        ("memory (kB)", |one| one.memory_kb, 4_096.0),
        ("open files", |one| one.files, 10.0),
        ("threads", |one| one.threads, 10.0),
        ("zombies", |one| one.zombies, 2.0),
    ];
    for (what, value, slack) in resources {
        compare(what, mean(first, value), mean(last, value), slack);
    }
    let times: [(&str, Value); 2] = [
        ("own CPU an iteration (ms)", |one| one.own_ticks),
        ("children's (ms)", |one| one.children_ticks),
    ];
    let ends = (
        &samples[samples.len() - 1 - third],
        &samples[samples.len() - 1],
    );
    for (what, ticks) in times {
        let before = cpu_ms(&samples[0], &samples[third], ticks);
        compare(what, before, cpu_ms(ends.0, ends.1, ticks), 0.0);
    }
    assert!(
        grown.is_empty(),
        "more in the last third than in the first: {grown:?}"
    );
}
