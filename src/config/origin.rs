//! Where each value came from, and the tree in which one layer of values covers another.
//!
//! This file must never know what a key means.

use super::source::{Place, Source, escaped};
use super::yaml::Node;
use serde_yaml::Value as Yaml;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave one.
    #[default]
    Default,
    /// A line of the configuration file.
    File {
        /// The file, as it is shown.
        file: PathBuf,
        /// Line, from 1.
        line: u32,
    },
    /// A variable of the environment.
    Environment {
        /// Its name.
        name: String,
    },
    /// A flag of the command line.
    Flag {
        /// With its dashes.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Environment { name } => write!(f, "environment: {name}"),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}

/// One key with its value and where that came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOrigin {
    /// The key, dotted: `run.parallel`.
    pub key: String,
    /// Its value as one line of text.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Every key, in the order in which the file format lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(pub Vec<KeyOrigin>);

impl Origins {
    /// The entry of a dotted key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&KeyOrigin> {
        self.0.iter().find(|one| one.key == key)
    }
}

/// Values by key, with their origins. Lists and scalars replace, mappings merge.
pub(super) struct Tree {
    pub values: Yaml,
    origins: BTreeMap<String, Origin>,
}

impl Tree {
    /// A tree of defaults.
    pub(super) fn new(values: Yaml) -> Self {
        Self {
            values,
            origins: BTreeMap::new(),
        }
    }

    /// Covers the tree with what a file says; `node` is the same with places.
    pub(super) fn cover(&mut self, values: Yaml, node: &Node, source: &Source) {
        let origins = &mut self.origins;
        merge(&mut self.values, values, node, "", &mut |key, line| {
            let file = source.file().to_owned();
            let line = line.map_or(1, |place| source.spot(place).line);
            origins.insert(key.to_owned(), Origin::File { file, line });
        });
    }

    /// Sets one dotted key.
    pub(super) fn set(&mut self, key: &str, value: Yaml, origin: Origin) {
        let mut at = &mut self.values;
        for part in key.split('.') {
            let Yaml::Mapping(map) = at else { return };
            at = map.entry(part.into()).or_insert(Yaml::Null);
        }
        *at = value;
        self.origins.insert(key.to_owned(), origin);
    }

    /// Where a dotted key came from.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_default()
    }

    /// All keys, in order.
    pub(super) fn origins(&self) -> Origins {
        let mut list = Vec::new();
        self.collect(&self.values, "", &mut list);
        Origins(list)
    }

    fn collect(&self, value: &Yaml, key: &str, list: &mut Vec<KeyOrigin>) {
        match value {
            Yaml::Mapping(map) if !map.is_empty() => {
                for (name, value) in map {
                    self.collect(value, &dotted(key, name.as_str().unwrap_or_default()), list);
                }
            }
            _ => list.push(KeyOrigin {
                key: key.to_owned(),
                value: one_line(value),
                origin: self.origin(key),
            }),
        }
    }
}

type Note<'a> = dyn FnMut(&str, Option<Place>) + 'a;

fn merge(base: &mut Yaml, over: Yaml, node: &Node, key: &str, note: &mut Note<'_>) {
    let Yaml::Mapping(over) = over else {
        *base = over;
        return;
    };
    if !base.is_mapping() {
        *base = Yaml::Mapping(serde_yaml::Mapping::new());
    }
    let Yaml::Mapping(map) = base else { return };
    for (name, value) in over {
        let text = name.as_str().unwrap_or_default();
        let child = dotted(key, text);
        let Some(entry) = node.entry(text) else {
            continue;
        };
        if !value.is_mapping() {
            note(&child, entry.place);
        }
        let slot = map.entry(name).or_insert(Yaml::Null);
        merge(slot, value, &entry.node, &child, note);
    }
}

fn dotted(parent: &str, child: &str) -> String {
    match parent {
        "" => child.to_owned(),
        _ => format!("{parent}.{child}"),
    }
}

/// A value as it could stand on one line of the file.
fn one_line(value: &Yaml) -> String {
    match value {
        Yaml::Null => "null".into(),
        Yaml::String(text) => escaped(text),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}
