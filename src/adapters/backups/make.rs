//! Making a backup.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use postroom_actors::domain::{agent::RESERVED_NAMES, ids::AgentId};

use super::{
    CONFIG, CONTROL, HOME, KEYS, MANIFEST, Manifest, Origin, TEMPLATES,
    manifest::{BackedUpFile, FORMAT},
    tree::{self, Copier},
};
use crate::adapters::{
    disk,
    store_sqlite::upkeep::{self, DATABASE, Progress, UpkeepError},
};

/// What is to be backed up, and where to.
#[derive(Debug, Clone)]
pub struct BackupPlan {
    /// Where it all lies.
    pub from: Origin,
    /// The folder that gets the backup; made if missing.
    pub target: PathBuf,
    /// The backup's name there.
    pub name: String,
    /// The agents' workspaces too, not only what they are.
    pub with_workspaces: bool,
    /// Bytes that must be left on the store's disk, where the backup goes to the same.
    pub min_free: u64,
    /// Now.
    pub at: DateTime<Utc>,
    /// Our version.
    pub version: &'static str,
}

/// A backup that was made.
#[derive(Debug, Clone)]
pub struct MadeBackup {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
    /// The bytes of its files.
    pub bytes: u64,
}

/// Makes a backup, also while a service writes to the store. What has the backup's name in the end is
/// whole and synced; what came to nothing is removed, at the latest by the next backup to the same
/// folder.
///
/// # Errors
/// [`UpkeepError`]: no store, no room, a backup of that name, or a disk that refuses.
pub fn make(plan: &BackupPlan, progress: &mut Progress<'_>) -> Result<MadeBackup, UpkeepError> {
    let path = plan.target.join(&plan.name);
    if path.symlink_metadata().is_ok() {
        return Err(UpkeepError::Exists(path));
    }
    if !plan.from.store.join(DATABASE).is_file() {
        return Err(UpkeepError::NoStore(plan.from.store.clone()));
    }
    let failed = UpkeepError::files(&plan.target);
    private_folder(&plan.target, true).map_err(&failed)?;
    remove_leftovers(&plan.target).map_err(&failed)?;
    check_room(plan)?;
    let begun = plan.target.join(format!(".{}.partial", plan.name));
    private_folder(&begun, false).map_err(UpkeepError::files(&begun))?;
    // Tells others that somebody is at it.
    let claim = File::open(&begun).and_then(|folder| folder.lock().map(|()| folder));
    let claim = claim.map_err(UpkeepError::files(&begun))?;
    let made = fill(plan, &begun, progress).and_then(|manifest| {
        let finish = || {
            tree::sync(&begun)?;
            fail::fail_point!("backup::synced");
            // A folder that is there already is not replaced unless it is empty.
            fs::rename(&begun, &path)?;
            File::open(&plan.target)?.sync_all()
        };
        finish().map_err(UpkeepError::files(&path))?;
        Ok(manifest)
    });
    drop(claim);
    let manifest = made.inspect_err(|_failed| drop(fs::remove_dir_all(&begun)))?;
    let bytes = manifest.files.iter().map(|file| file.bytes).sum();
    Ok(MadeBackup {
        path,
        manifest,
        bytes,
    })
}

fn fill(
    plan: &BackupPlan,
    begun: &Path,
    progress: &mut Progress<'_>,
) -> Result<Manifest, UpkeepError> {
    let database = begun.join(DATABASE);
    upkeep::copy(&plan.from.store, &database, progress)?;
    let store = upkeep::facts(&database)?;
    let mut copier = Copier::new(begun.to_owned());
    let (bytes, sha256) = File::open(&database)
        .and_then(|file| tree::digest(file, None))
        .map_err(UpkeepError::files(&database))?;
    copier.files.push(BackedUpFile {
        path: DATABASE.to_owned(),
        bytes,
        sha256,
    });
    copy_files(plan, &mut copier).map_err(UpkeepError::files(&plan.from.home))?;
    let manifest = Manifest {
        format: FORMAT,
        version: plan.version.to_owned(),
        created_at: plan.at,
        from: plan.from.clone(),
        store,
        with_workspaces: plan.with_workspaces,
        files: copier.files,
        skipped: copier.skipped,
    };
    write_manifest(&begun.join(MANIFEST), &manifest)
        .map_err(UpkeepError::files(&begun.join(MANIFEST)))?;
    Ok(manifest)
}

fn copy_files(plan: &BackupPlan, copier: &mut Copier) -> io::Result<()> {
    let home = &plan.from.home;
    if let Some(config) = &plan.from.config_file
        && let Some(name) = config.file_name().and_then(|name| name.to_str())
    {
        copier.file(config, &format!("{CONFIG}/{name}"))?;
    }
    if home.join(KEYS).is_file() {
        copier.file(&home.join(KEYS), &format!("{HOME}/{KEYS}"))?;
    }
    if is_folder(&home.join(TEMPLATES)) {
        copier.folder(&home.join(TEMPLATES), &format!("{HOME}/{TEMPLATES}"))?;
    }
    for agent in workspaces(home)? {
        let (workspace, place) = (home.join(&agent), format!("{HOME}/{agent}"));
        if plan.with_workspaces {
            copier.folder(&workspace, &place)?;
        } else if is_folder(&workspace.join(CONTROL)) {
            copier.folder(&workspace.join(CONTROL), &format!("{place}/{CONTROL}"))?;
        }
    }
    Ok(())
}

/// The folders of agents in a home folder, by name.
fn workspaces(home: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(home) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut agents: Vec<String> = names
        .filter(|name| AgentId::parse(name).is_ok() && !RESERVED_NAMES.contains(&name.as_str()))
        .filter(|name| {
            let folder = home.join(name);
            let is_workspace = folder.join("SOUL.md").exists() || folder.join(CONTROL).exists();
            is_workspace && is_folder(&folder)
        })
        .collect();
    agents.sort();
    Ok(agents)
}

/// A folder itself, not a link to one.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|facts| facts.is_dir())
}

fn write_manifest(path: &Path, manifest: &Manifest) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut text = serde_json::to_vec_pretty(manifest)?;
    text.push(b'\n');
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&text)
}

/// The backup itself, and what the service wants left where it is the service's disk.
fn check_room(plan: &BackupPlan) -> Result<(), UpkeepError> {
    let store = plan.from.store.join(DATABASE);
    let log = plan.from.store.join("postroom.db-wal");
    let file = |path: &Path| fs::metadata(path).map_or(0, |facts| facts.len());
    let workspaces = if plan.with_workspaces {
        let agents = workspaces(&plan.from.home).unwrap_or_default();
        let sizes = agents
            .iter()
            .map(|agent| tree::size(&plan.from.home.join(agent)));
        sizes.fold(0, u64::saturating_add)
    } else {
        0
    };
    let is_same_disk = match (fs::metadata(&plan.target), fs::metadata(&plan.from.store)) {
        (Ok(target), Ok(store)) => target.dev() == store.dev(),
        _ => false,
    };
    let kept = if is_same_disk { plan.min_free } else { 0 };
    let needed = [file(&store), file(&log), workspaces, 1 << 20, kept]
        .into_iter()
        .fold(0, u64::saturating_add);
    let space = disk::space(&plan.target).map_err(UpkeepError::files(&plan.target))?;
    let (path, free) = (plan.target.clone(), space.free_bytes);
    if free < needed {
        return Err(UpkeepError::NoRoom { path, free, needed });
    }
    Ok(())
}

/// Removes what backups left behind that were killed; one that is under way holds its lock.
fn remove_leftovers(target: &Path) -> io::Result<()> {
    for entry in fs::read_dir(target)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy());
        let is_ours = name.is_some_and(|name| {
            name.starts_with(".postroom-backup-") && name.ends_with(".partial")
        });
        if is_ours && is_folder(&path) && File::open(&path)?.try_lock().is_ok() {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn private_folder(path: &Path, recursive: bool) -> io::Result<()> {
    DirBuilder::new()
        .recursive(recursive)
        .mode(0o700)
        .create(path)
}
