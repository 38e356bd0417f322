//! A backup that is there: whether it is whole, and putting its files back.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use super::{
    CONFIG, HOME, MANIFEST, Manifest,
    manifest::{BackedUpFile, FORMAT},
    tree,
};
use crate::adapters::store_sqlite::{
    OpenError, newest_schema,
    upkeep::{self, DATABASE, UpkeepError},
};

/// The largest manifest that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// A backup that is whole.
#[derive(Debug, Clone)]
pub struct Backup {
    path: PathBuf,
    manifest: Manifest,
}

/// What became of a file of the home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It was missing and is there now.
    New(PathBuf),
    /// It is there already, with the same content.
    Same(PathBuf),
    /// Something else is there, and was left alone.
    Kept(PathBuf),
}

impl Backup {
    /// Reads a backup and checks all of it: each file's digest, the database, its schema.
    ///
    /// # Errors
    /// [`UpkeepError::BadBackup`], or [`OpenError::NewerSchema`].
    pub fn open(path: &Path) -> Result<Self, UpkeepError> {
        let bad = |reason: String| UpkeepError::BadBackup {
            path: path.to_owned(),
            reason,
        };
        let manifest = read_manifest(&path.join(MANIFEST)).map_err(&bad)?;
        for file in &manifest.files {
            check_file(path, file).map_err(&bad)?;
        }
        if !manifest.files.iter().any(|file| file.path == DATABASE) {
            return Err(bad(format!("there is no `{DATABASE}` in its manifest")));
        }
        let checked = upkeep::check(path)?;
        if let Some(reason) = checked.damage.first() {
            return Err(bad(format!("its database is damaged: {reason}")));
        }
        let found = checked.facts.map_or(0, |facts| facts.schema);
        let known = newest_schema();
        if found > known {
            return Err(OpenError::NewerSchema { found, known }.into());
        }
        let path = path.to_owned();
        Ok(Self { path, manifest })
    }

    /// What it says of itself.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its database.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Puts the configuration file into the home folder, where it was in the backup's home folder
    /// and there is none here.
    ///
    /// # Errors
    /// [`UpkeepError::Files`].
    pub fn place_config(&self, home: &Path) -> Result<Option<Placed>, UpkeepError> {
        let from = &self.manifest.from;
        let Some(config) = &from.config_file else {
            return Ok(None);
        };
        let Some(name) = config.file_name() else {
            return Ok(None);
        };
        let place = Path::new(CONFIG).join(name);
        if config.parent() != Some(&*from.home) || !self.path.join(&place).is_file() {
            return Ok(None);
        }
        self.place(&place, &home.join(name)).map(Some)
    }

    /// Puts keys, templates and agents' files into the home folder where they are missing. What is
    /// there stays as it is.
    ///
    /// # Errors
    /// [`UpkeepError::Files`].
    pub fn place_home(&self, home: &Path) -> Result<Vec<Placed>, UpkeepError> {
        let files = self.manifest.files.iter();
        files
            .filter_map(|file| Some((&file.path, Path::new(&file.path).strip_prefix(HOME).ok()?)))
            .map(|(path, below)| self.place(Path::new(path), &home.join(below)))
            .collect()
    }

    fn place(&self, from: &Path, to: &Path) -> Result<Placed, UpkeepError> {
        let place = || {
            if to.symlink_metadata().is_ok() {
                let is_same = fs::read(self.path.join(from))? == fs::read(to).unwrap_or_default();
                let there = if is_same { Placed::Same } else { Placed::Kept };
                return Ok(there(to.to_owned()));
            }
            copy_private(&self.path.join(from), to)?;
            Ok(Placed::New(to.to_owned()))
        };
        place().map_err(UpkeepError::files(to))
    }
}

/// Whole or not at all.
fn copy_private(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(to);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.restore"));
    let mut from = File::open(from)?;
    let mode = from.metadata()?.permissions().mode() & 0o700;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&beside)?;
    io::copy(&mut from, &mut file)?;
    file.sync_all()?;
    fs::rename(&beside, to)?;
    File::open(folder)?.sync_all()
}

fn read_manifest(path: &Path) -> Result<Manifest, String> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut text))
        .map_err(|error| format!("`{MANIFEST}` cannot be read ({error})"))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| format!("`{MANIFEST}` is not understood ({error})"))?;
    if manifest.format != FORMAT {
        let format = manifest.format;
        return Err(format!(
            "its form {format} is not known; use a newer `postroom`"
        ));
    }
    Ok(manifest)
}

fn check_file(backup: &Path, file: &BackedUpFile) -> Result<(), String> {
    let name = &file.path;
    let below = Path::new(name);
    let stays = below
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !stays {
        return Err(format!("`{name}` leads out of it"));
    }
    let path = backup.join(below);
    let (bytes, sha256) = File::open(path)
        .and_then(|file| tree::digest(file, None))
        .map_err(|error| format!("`{name}` cannot be read ({error})"))?;
    if bytes != file.bytes || sha256 != file.sha256 {
        return Err(format!("`{name}` is not what was backed up"));
    }
    Ok(())
}
