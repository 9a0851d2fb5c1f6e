//! The programs under test: where `scripts/real-agents` has put them, and how they are made to ask a model on loopback.
//!
//! Each gets keys that are none and is told to ask nobody else.

use serde_json::{Value, json};
use std::path::PathBuf;

/// One version of a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cli {
    /// Name and version, as the directory that it is installed in.
    pub(crate) name: &'static str,
    /// Its kind in harness.yaml.
    pub(crate) kind: &'static str,
    /// In that directory.
    program: &'static str,
}

pub(crate) const CLAUDE: Cli = Cli {
    name: "claude-2.1.330",
    kind: "claude",
    program: "node_modules/.bin/claude",
};
pub(crate) const CLAUDE_OLD: Cli = Cli {
    name: "claude-2.1.197",
    ..CLAUDE
};
pub(crate) const CODEX: Cli = Cli {
    name: "codex-0.169.0",
    kind: "codex",
    program: "node_modules/.bin/codex",
};
pub(crate) const GOOSE: Cli = Cli {
    name: "goose-0.20.1",
    kind: "goose",
    // What the package calls `goose` is another program, for terminals.
    program: "node_modules/@aaif/goose-binary-linux-x64/bin/goose",
};
pub(crate) const OPENCODE: Cli = Cli {
    name: "opencode-1.18.33",
    kind: "opencode",
    program: "node_modules/.bin/opencode",
};

/// How Claude Code pays: with a key, or with a subscription, which is what has limits that are reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pays {
    Key,
    Plan,
}

impl Cli {
    /// Where it is; says so and gives `None` if it is not installed.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        let dir = std::env::var_os("HARNESS_REAL_AGENTS");
        let dir = dir.expect("HARNESS_REAL_AGENTS says where they are: use scripts/real-agents");
        let program = PathBuf::from(dir).join(self.name).join(self.program);
        let is_there = program.exists();
        if !is_there {
            println!("SKIPPED: {} is not installed", self.name);
        }
        is_there.then_some(program)
    }

    /// Its profile in harness.yaml, with more variables.
    pub(crate) fn profile(&self, port: u16, pays: Pays, more: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://127.0.0.1:{port}");
        let (args, mut env) = match self.kind {
            "claude" => (json!([]), claude(&url, pays)),
            "codex" => codex(&url),
            "goose" => (json!([]), goose(&url)),
            _ => (json!([]), opencode(&url)),
        };
        for (name, value) in more {
            env[name] = json!(value);
        }
        let command = [self.program()?];
        Some(json!({"kind": self.kind, "command": command, "args": args, "env": env}))
    }
}

fn claude(url: &str, pays: Pays) -> Value {
    let pays = match pays {
        Pays::Key => "ANTHROPIC_API_KEY",
        Pays::Plan => "CLAUDE_CODE_OAUTH_TOKEN",
    };
    json!({
        pays: "dummy",
        "ANTHROPIC_BASE_URL": url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    })
}

fn codex(url: &str) -> (Value, Value) {
    // What fails is told at once: harness is under test, not for how long each program tries by itself.
    let provider = format!(
        "model_providers.fake={{name=\"fake\",base_url=\"{url}/v1\",env_key=\"FAKE_KEY\",wire_api=\"responses\",\
         request_max_retries=0,stream_max_retries=0}}"
    );
    let args = json!([
        "--disable",
        "plugins",
        "-c",
        "model_provider=\"fake\"",
        "-c",
        "model=\"fake-model\"",
        "-c",
        provider,
        "-c",
        "check_for_update_on_startup=false",
        "-c",
        "analytics.enabled=false",
    ]);
    (args, json!({"FAKE_KEY": "dummy"}))
}

fn goose(url: &str) -> Value {
    json!({
        "GOOSE_PROVIDER": "openai",
        "GOOSE_MODEL": "fake-model",
        "OPENAI_API_KEY": "dummy",
        "OPENAI_HOST": url,
        "GOOSE_DISABLE_KEYRING": "1",
        "GOOSE_TELEMETRY_ENABLED": "false",
    })
}

fn opencode(url: &str) -> Value {
    let config = json!({
        "provider": {"fake": {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": format!("{url}/v1"), "apiKey": "dummy"},
            "models": {"fake-model": {"name": "fake", "limit": {"context": 200_000, "output": 8000}}},
        }},
        "model": "fake/fake-model",
        "share": "disabled",
    });
    json!({
        "OPENCODE_CONFIG_CONTENT": config.to_string(),
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    })
}
