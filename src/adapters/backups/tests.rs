use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use super::tree::{Copier, digest, size};

#[test]
fn a_folder_is_copied_without_following_links_or_waiting_for_pipes() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    fs::create_dir_all(from.join("deep/er")).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(from.join("deep/er/file"), "content").unwrap();
    fs::write(from.join("program"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(from.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(root.path().join("secret"), "not to be seen").unwrap();
    symlink(root.path().join("secret"), from.join("link")).unwrap();
    symlink(root.path(), from.join("deep/folder")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        from.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let mut copier = Copier::new(to.clone());
    copier.folder(&from, "home/alice").unwrap();
    let mut files: Vec<&str> = copier.files.iter().map(|file| file.path.as_str()).collect();
    files.sort_unstable();
    assert_eq!(files, ["home/alice/deep/er/file", "home/alice/program"]);
    copier.skipped.sort();
    let skipped = [
        "home/alice/deep/folder",
        "home/alice/link",
        "home/alice/pipe",
    ];
    assert_eq!(copier.skipped, skipped);
    let mode = |name: &str| fs::metadata(to.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("home/alice/program"), 0o700);
    assert_eq!(mode("home/alice/deep/er/file"), 0o600);
    assert_eq!(mode("home/alice/deep"), 0o700);
    assert_eq!(size(&from), 17);
}

#[test]
fn a_link_in_the_place_of_the_folder_is_not_followed_either() {
    let root = tempfile::tempdir().unwrap();
    let link = root.path().join("link");
    symlink("/etc", &link).unwrap();
    let mut copier = Copier::new(root.path().to_owned());
    assert!(copier.folder(&link, "home/alice").is_err());
    assert!(copier.files.is_empty());
}

#[test]
fn a_digest_is_that_of_the_content() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "abc").unwrap();
    let (bytes, sha256) = digest(fs::File::open(Path::new(&path)).unwrap(), None).unwrap();
    assert_eq!(bytes, 3);
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256, known);
}
