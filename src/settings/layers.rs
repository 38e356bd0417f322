//! The values of all sources, one above the other, each with the place it came from.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Where a key stands: `["server", "port"]`.
pub(super) type KeyPath = Vec<String>;

/// Which kind of source; a later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// Built in.
    Default,
    /// The configuration file.
    File,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

/// Where one value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) layer: Layer,
    /// `FILE:LINE:COLUMN`, `$VARIABLE`, `--flag` or `default`.
    pub(super) place: String,
}

impl Source {
    pub(super) fn default_layer() -> Self {
        Self {
            layer: Layer::Default,
            place: "default".to_owned(),
        }
    }
}

/// One value that is no table. Has no `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) value: Value,
    pub(super) source: Source,
    /// Not to be shown.
    pub(super) secret: bool,
}

impl Leaf {
    fn is_empty_table(&self) -> bool {
        self.value.as_table().is_some_and(Table::is_empty)
    }
}

/// All values in effect.
#[derive(Clone, Default)]
pub(super) struct Layers {
    leaves: BTreeMap<KeyPath, Leaf>,
}

impl Layers {
    /// Sets a value unless a higher layer has set it; of one layer, the last wins. What stands in
    /// a table takes the place of the same table without anything in it.
    pub(super) fn set(&mut self, path: KeyPath, leaf: Leaf) {
        let kept = self
            .leaves
            .get(&path)
            .is_some_and(|old| old.source.layer > leaf.source.layer);
        if !kept {
            for end in 1..path.len() {
                let table = path.get(..end).unwrap_or_default();
                if self.leaves.get(table).is_some_and(Leaf::is_empty_table) {
                    self.leaves.remove(table);
                }
            }
            self.leaves.insert(path, leaf);
        }
    }

    /// Sets a built-in value.
    pub(super) fn set_default(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        let leaf = Leaf {
            value: value.into(),
            source: Source::default_layer(),
            secret: false,
        };
        self.set(vec![section.to_owned(), key.to_owned()], leaf);
    }

    /// Replaces what was found by what it comes down to, keeping its source.
    pub(super) fn resolve(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        let path = vec![section.to_owned(), key.to_owned()];
        let source = self.source(&format!("{section}.{key}"));
        self.leaves.insert(
            path,
            Leaf {
                value: value.into(),
                source,
                secret: false,
            },
        );
    }

    pub(super) fn get(&self, path: &KeyPath) -> Option<&Leaf> {
        self.leaves.get(path)
    }

    /// All values by path, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&KeyPath, &Leaf)> {
        self.leaves.iter()
    }

    /// Where a key, or else the first key of its table, was set.
    pub(super) fn source(&self, dotted: &str) -> Source {
        let path: KeyPath = dotted.split('.').map(str::to_owned).collect();
        let exact = self.leaves.get(&path);
        let inside = || {
            let parent = path.get(..path.len().saturating_sub(1)).unwrap_or_default();
            let mut set = self.leaves.iter().filter(|(other, leaf)| {
                leaf.source.layer > Layer::Default
                    && (other.starts_with(&path) || (parent.len() > 1 && other.starts_with(parent)))
            });
            set.next().map(|(_, leaf)| leaf)
        };
        exact
            .or_else(inside)
            .map_or_else(Source::default_layer, |leaf| leaf.source.clone())
    }

    /// Whether somebody has set the key.
    pub(super) fn is_told(&self, dotted: &str) -> bool {
        let path: KeyPath = dotted.split('.').map(str::to_owned).collect();
        self.leaves
            .get(&path)
            .is_some_and(|leaf| leaf.source.layer > Layer::Default)
    }

    /// The values as one TOML table.
    pub(super) fn to_table(&self) -> Table {
        let mut root = Table::new();
        for (path, leaf) in &self.leaves {
            insert(&mut root, path, leaf.value.clone());
        }
        root
    }
}

/// Puts a value under its path.
pub(super) fn insert(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = table
                .entry(key.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
