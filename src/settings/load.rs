//! Puts the sources together: default, file, environment, flags.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{
    Flags, Origin, Settings, environment,
    layers::{Layer, Layers, Leaf},
    legacy_conf,
    locate::{self, Found},
    problem::{ConfigError, Problem},
    raw::RawConfig,
    secret_files,
    shape::TableShape,
    toml_file, validate,
};

/// The reference file: every key with its default. It is the lowest layer.
pub(super) const REFERENCE: &str = include_str!("../../config/postroom.toml");

/// Everything that a configuration comes from. Nothing else is read but the files named here.
#[derive(Clone)]
pub struct Sources {
    /// The command line.
    pub flags: Flags,
    /// All variables of the environment.
    pub environment: Vec<(String, String)>,
    /// Where relative paths begin.
    pub working_dir: PathBuf,
    /// What `~` stands for.
    pub home_dir: Option<PathBuf>,
    /// The file name that we were started under.
    pub program_name: String,
}

/// Settings, and where each value came from.
pub struct Loaded {
    /// What the service works with.
    pub settings: Settings,
    pub(super) layers: Layers,
}

impl Loaded {
    /// The files of this configuration that hold secrets, its own one included where it does.
    pub fn files_with_secrets(&self, sources: &Sources) -> Vec<PathBuf> {
        let named = secret_files::files(&TableShape::of_config(), &self.layers);
        let mut files: Vec<PathBuf> = named
            .iter()
            .filter_map(|name| locate::expand(sources, Path::new(name)).ok())
            .collect();
        let mut leaves = self.layers.iter();
        let is_written = |path: &[String], leaf: &Leaf| {
            leaf.secret && leaf.source.layer == Layer::File && !self.is_from_file(path, leaf)
        };
        let has_secret = leaves.any(|(path, leaf)| is_written(path, leaf));
        files.extend(self.settings.config_file.clone().filter(|_| has_secret));
        files.extend(self.settings.server.tls.iter().map(|tls| tls.key.clone()));
        files.sort();
        files.dedup();
        files
    }

    /// Whether a secret was read from the file that a key beside it names.
    fn is_from_file(&self, path: &[String], leaf: &Leaf) -> bool {
        let mut beside = path.to_vec();
        if let Some(name) = beside.last_mut() {
            name.push_str("_file");
        }
        let named = self.layers.get(&beside);
        named.is_some_and(|named| named.source == leaf.source)
    }
}

/// Reads and checks the configuration.
///
/// # Errors
/// Everything that is wrong with it, with the place of each problem. Exit code 78 (`EX_CONFIG`).
pub fn load(sources: Sources) -> Result<Settings, ConfigError> {
    load_with_sources(sources).map(|loaded| loaded.settings)
}

/// As [`load`], and keeps where each value came from.
///
/// # Errors
/// As [`load`].
#[expect(clippy::needless_pass_by_value, reason = "same signature as `load`")]
pub fn load_with_sources(sources: Sources) -> Result<Loaded, ConfigError> {
    let home = locate::home(&sources)?;
    let found = locate::find(&sources, &home)?;
    let shape = TableShape::of_config();
    let mut gathered = Gathered::default();
    gathered.defaults(&shape, found.origin);
    if let Some(file) = &found.file {
        gathered.file(file, found.origin, &shape)?;
    }
    let problems = environment::read(&sources.environment, &shape, &mut gathered.layers);
    gathered.note((problems, Vec::new()));
    let flags = sources.flags.read(&shape, &mut gathered.layers);
    gathered.note(flags);
    let path_of = |name: &str| locate::expand(&sources, Path::new(name));
    let secrets = secret_files::read(&shape, &mut gathered.layers, path_of);
    gathered.note(secrets);
    gathered.finish(&sources, home, found)
}

#[derive(Default)]
struct Gathered {
    layers: Layers,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Gathered {
    fn note(&mut self, (problems, warnings): (Vec<Problem>, Vec<String>)) {
        self.problems.extend(problems);
        self.warnings.extend(warnings);
    }

    fn defaults(&mut self, shape: &TableShape, origin: Origin) {
        let problems = toml_file::read(
            REFERENCE,
            "default",
            Layer::Default,
            shape,
            &mut self.layers,
        );
        self.problems.extend(problems);
        if origin == Origin::Predecessor {
            legacy_conf::set_defaults(&mut self.layers);
        }
    }

    fn file(&mut self, file: &Path, origin: Origin, shape: &TableShape) -> Result<(), ConfigError> {
        let name = file.display().to_string();
        let text = locate::read_text(file)?;
        let notes = match origin {
            Origin::Native => {
                let problems = toml_file::read(&text, &name, Layer::File, shape, &mut self.layers);
                (problems, Vec::new())
            }
            Origin::Predecessor => legacy_conf::read(&text, &name, shape, &mut self.layers),
        };
        let silent = notes.0.is_empty() && notes.1.is_empty();
        self.note(notes);
        let from_file: Vec<_> = self
            .layers
            .iter()
            .filter(|(_, leaf)| leaf.source.layer == Layer::File)
            .collect();
        if from_file.is_empty() && silent {
            self.warnings
                .push(format!("`{name}` sets nothing; the defaults hold"));
        } else if from_file.iter().any(|(_, leaf)| leaf.secret) {
            self.warnings.extend(secret_files::open_to_others(file));
        }
        Ok(())
    }

    fn finish(
        mut self,
        sources: &Sources,
        home: PathBuf,
        found: Found,
    ) -> Result<Loaded, ConfigError> {
        if !self.problems.is_empty() {
            return Err(ConfigError::Refused(self.problems));
        }
        let raw = RawConfig::deserialize(self.layers.to_table())
            .map_err(|error| ConfigError::one("configuration", error.message()))?;
        let mut settings = validate::settings(&raw, &mut self.layers, sources, home, found)?;
        self.warnings.append(&mut settings.warnings);
        settings.warnings = self.warnings;
        Ok(Loaded {
            settings,
            layers: self.layers,
        })
    }
}
