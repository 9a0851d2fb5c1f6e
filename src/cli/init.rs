//! `harness init`: writes a commented harness.yaml. Never overwrites anything.

use super::args::InitArgs;
use super::{Desk, desk::Failure, out};
use crate::driver::DriverError;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

const CONFIG: &str = "\
# harness: every key is optional; `harness config --origin` shows what is in force.
version: 1

run:
  parallel: auto          # agents at once: a number, or auto

# Commands that decide whether a done claim is true, run in a clean checkout of the exact merge.
# Without any, claims are taken on trust.
verify:
  commands: []            # for example: [\"make test\"]

# Another agent than Claude Code: prompt on stdin, paths in HARNESS_*.
# agent: mine
# agents:
#   mine: {kind: command, command: [\"./tools/agent.sh\"], env_pass: [MY_API_KEY]}
";

const SPEC: &str = "\
---
# All keys are optional.
# depends_on: [another-feature]
# priority: 10
---
# Say hello

Add a script `hello.sh` to the root of the repository that prints `hello`.

Done when `sh hello.sh` prints exactly that.
";

pub(super) fn init(desk: &Desk, args: &InitArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let root = place.repo.root();
    write_new(root, "harness.yaml", CONFIG)?;
    if args.example {
        write_new(root, "specs/say-hello/spec.md", SPEC)?;
    }
    out::out(
        "\nNext:\n\
         1. one directory a feature: specs/<name>/spec.md says what is wanted and when it is done\n\
         2. in harness.yaml, verify.commands says how to check it\n\
         3. commit, then `harness plan` and `harness run --parallel 4`\n",
    );
    Ok(0)
}

fn write_new(root: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = root.join(name);
    let failed = |source| DriverError::Io {
        act: "write",
        path: path.clone(),
        source,
    };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).map_err(failed)?;
            out::out(&format!("wrote {name}\n"));
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            out::out(&format!("{name} is there already; left as it is\n"));
        }
        Err(error) => return Err(failed(error).into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::{Sources, load};

    #[test]
    fn the_written_configuration_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("harness.yaml"), super::CONFIG).unwrap();
        let sources = Sources {
            root: dir.path().to_owned(),
            ..Sources::default()
        };
        let loaded = load(&sources).unwrap();
        assert!(loaded.warnings.is_empty());
    }
}
