//! `harness completions` and `harness man`, from the same types that parse the command line.

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::{desk::Failure, out};
use clap::CommandFactory;

pub(super) fn completions(args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "harness", &mut text);
    out::exact(&String::from_utf8_lossy(&text));
    Ok(0)
}

pub(super) fn man(args: &ManArgs) -> Result<u8, Failure> {
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
            .map_err(|error| {
                let text = format!("cannot write man pages to {}", dir.display());
                anyhow::Error::new(error).context(text)
            })?;
        return Ok(0);
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut text)
        .map_err(anyhow::Error::new)?;
    out::exact(&String::from_utf8_lossy(&text));
    Ok(0)
}
