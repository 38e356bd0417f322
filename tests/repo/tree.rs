//! The files of the repository, without what is built or installed into it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A text file.
pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = [
    ".git",
    ".tools",
    "target",
    "node_modules",
    "proptest-regressions",
];

/// Every text file.
pub(crate) fn texts() -> Vec<File> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(files.len() > 100, "only {} files were found", files.len());
    files
}

/// Every Rust file.
pub(crate) fn rust_files() -> Vec<File> {
    only(|path| has_extension(path, "rs"))
}

/// The sources of both packages, without their tests.
pub(crate) fn sources() -> Vec<File> {
    only(|path| {
        (path.starts_with("src/") || path.starts_with("actors/src/"))
            && has_extension(path, "rs")
            && !is_test_file(path)
    })
}

/// The pages that people read.
pub(crate) fn pages() -> Vec<File> {
    only(|path| {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let read_by_people = folder.is_empty()
            || ["docs", "config", "benches"]
                .iter()
                .any(|known| folder == *known || folder.starts_with(&format!("{known}/")));
        has_extension(path, "md") && read_by_people
    })
}

/// Whether a path names a file that only tests compile.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The names of the folders in a folder.
pub(crate) fn folders_in(folder: &str) -> Vec<String> {
    entries(&root().join(folder))
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect()
}

/// A file that must be there.
pub(crate) fn read(path: &str) -> String {
    try_read(path).unwrap_or_else(|| panic!("`{path}` cannot be read"))
}

/// A file that may be missing.
pub(crate) fn try_read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

/// Whether there is a file or folder of this path.
pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn only(wanted: impl Fn(&str) -> bool) -> Vec<File> {
    let files: Vec<File> = texts()
        .into_iter()
        .filter(|file| wanted(&file.path))
        .collect();
    assert!(!files.is_empty(), "no file was found");
    files
}

fn has_extension(path: &str, wanted: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == wanted)
}

fn walk(folder: &Path, files: &mut Vec<File>) {
    for path in entries(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if SKIPPED.contains(&name.as_ref()) {
            continue;
        }
        if path.is_dir() {
            walk(&path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let relative = path.strip_prefix(root()).unwrap_or(&path);
            files.push(File {
                path: relative.to_string_lossy().into_owned(),
                text,
            });
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}
