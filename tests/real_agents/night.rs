//! A night of harness with real programs: a repository, a model, a gate on the way out, and what there is to see.
//!
//! It looks at what harness prints, at its journal and at what the model has served, and at nothing else.

use crate::backlog;
use crate::cli::{Cli, Pays};
use crate::model::{Model, Usage};
use crate::support::{Ran, Site, end};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The longest a night takes. It bounds a failure, never a success.
const PATIENCE: Duration = Duration::from_secs(420);

/// A profile: its name, its program, how that pays, and more variables.
pub(crate) type Agent<'a> = (&'a str, &'a Cli, Pays, &'a [(&'a str, &'a str)]);

/// One.
pub(crate) struct Night {
    pub(crate) site: Site,
    pub(crate) model: Model,
    wanted_out: Arc<Mutex<Vec<String>>>,
}

impl Night {
    /// With a repository whose specs these are, and everything else on loopback. `agents` are profiles by name, the
    /// first for every feature; `more` are further lines of harness.yaml. `None` where a program is missing.
    pub(crate) fn new(
        model: Model,
        features: &[&str],
        agents: &[Agent<'_>],
        more: &str,
    ) -> Option<Self> {
        let mut site = Site::new();
        let mut config = format!("version: 1\nagent: {}\nagents:\n", agents[0].0);
        for (name, cli, pays, env) in agents {
            let profile = cli.profile(model.port, *pays, env)?;
            config += &format!("  {name}: {profile}\n");
        }
        config += &format!("verify: {{commands: [sh check.sh]}}\n{more}\n");
        site.write("harness.yaml", &config);
        backlog::write(&site, features);
        site.commit("specs");
        let (port, wanted_out) = way_out();
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"] {
            site.set(name, &format!("http://127.0.0.1:{port}"));
        }
        for name in ["NO_PROXY", "no_proxy"] {
            site.set(name, "127.0.0.1,localhost");
        }
        site.set("TZ", "UTC");
        Some(Self {
            site,
            model,
            wanted_out,
        })
    }

    /// Starts `harness run`, three at a time.
    pub(crate) fn start(&self) -> Child {
        self.site.start(&["run", "--parallel", "3"])
    }

    /// Runs harness to its end.
    pub(crate) fn run(&self) -> Ran {
        wait(self.start())
    }

    /// What `status --json` says.
    pub(crate) fn status(&self) -> Value {
        let ran = self.site.harness(&["status", "--json"]);
        serde_json::from_str(&ran.out).unwrap()
    }

    /// Where programs wanted to go instead of loopback, each once. None of them got there.
    pub(crate) fn wanted_out(&self) -> BTreeSet<String> {
        self.wanted_out.lock().unwrap().iter().cloned().collect()
    }

    /// What `status --json` says of a feature's tokens.
    pub(crate) fn told(&self, feature: &str) -> Usage {
        let status = self.status();
        let features = status["features"].as_array().unwrap();
        let shown = features.iter().find(|it| it["slug"] == feature).unwrap();
        let number = |name: &str| shown["usage"][name].as_u64().unwrap();
        Usage {
            input: number("input"),
            output: number("output"),
            cache_read: number("cache_read"),
            cache_write: number("cache_write"),
        }
    }

    /// The journal's events as far as they are written, in order.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let path = self.site.repo.join(".harness/journal.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let events = whole.map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.map(|line| line["event"].clone()).collect()
    }

    /// Those of one kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let journal = self.journal().into_iter();
        journal.filter(|event| event["event"] == kind).collect()
    }
}

/// Waits for harness, and kills it if it does not come to an end.
pub(crate) fn wait(child: Child) -> Ran {
    let pid = child.id();
    assert!(pid > 1);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(end(child)));
    told.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        // Nobody has waited for it, so the number is still its own.
        let kill = std::process::Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status();
        assert!(kill.is_ok());
        let ran = told.recv().unwrap();
        panic!("harness does not come to an end: {}{}", ran.out, ran.err)
    })
}

/// A proxy that lets nobody out and notes where they wanted to go.
fn way_out() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let wanted = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&wanted);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // `CONNECT host:port HTTP/1.1`; who says nothing is noted as well.
            let mut line = String::new();
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = BufReader::new(&stream).read_line(&mut line);
            let target = line.split(' ').nth(1).unwrap_or("somewhere");
            noted.lock().unwrap().push(target.to_owned());
            // An answer, so that nobody tries again.
            let refusal =
                "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = (&stream).write_all(refusal.as_bytes());
        }
    });
    (port, wanted)
}
