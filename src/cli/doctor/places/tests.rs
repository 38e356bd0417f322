use super::{super::finding::Grade, *};

fn place(folder: Folder, free: u64, kind: Kind) -> Place {
    Place {
        path: PathBuf::from("/data/store"),
        folder,
        disk: Some(Disk {
            free,
            size: 10 << 30,
            files_free: Some(1 << 20),
            kind,
        }),
    }
}

fn graded(findings: &[Finding]) -> Vec<(&'static str, Grade)> {
    findings
        .iter()
        .map(|finding| (finding.check, finding.grade))
        .collect()
}

#[test]
fn a_folder_with_room_is_well() {
    let found = findings(
        Section::Store,
        &place(Folder::Usable, 5 << 30, Kind::Lasting),
        "store.path",
        256 << 20,
    );
    assert_eq!(graded(&found), [("folder", Grade::Ok), ("disk", Grade::Ok)]);
    assert_eq!(found[1].found, "5.0 GiB of 10.0 GiB are free");
}

#[test]
fn a_full_disk_is_one_fault_and_a_nearly_full_one_another() {
    let full = findings(
        Section::Store,
        &place(Folder::Full, 0, Kind::Lasting),
        "store.path",
        256 << 20,
    );
    assert_eq!(graded(&full), [("disk", Grade::Fault)]);
    assert!(full[0].found.contains("full"), "{full:?}");
    let tight = findings(
        Section::Store,
        &place(Folder::Usable, 1 << 20, Kind::Lasting),
        "store.path",
        256 << 20,
    );
    assert_eq!(graded(&tight)[1], ("disk", Grade::Fault));
    assert!(tight[1].found.contains("256 MiB"), "{tight:?}");
}

#[test]
fn a_store_on_another_machine_is_a_fault_and_an_inbox_there_is_none() {
    let nfs = place(Folder::Usable, 5 << 30, Kind::Network("NFS"));
    let store = findings(Section::Store, &nfs, "store.path", 0);
    assert_eq!(graded(&store)[2], ("file_system", Grade::Fault));
    let inbox = findings(Section::Inbox, &nfs, "mailbox.inbox", 0);
    assert_eq!(graded(&inbox)[2], ("file_system", Grade::Note));
    let memory = place(Folder::Usable, 5 << 30, Kind::Memory);
    let store = findings(Section::Store, &memory, "store.path", 0);
    assert_eq!(graded(&store)[2], ("file_system", Grade::Warning));
}

#[test]
fn kinds_of_disks_are_told_apart_by_their_numbers() {
    assert_eq!(kind(0xef53), Kind::Lasting);
    assert_eq!(kind(0x0102_1994), Kind::Memory);
    assert_eq!(kind(0x6969), Kind::Network("NFS"));
    assert_eq!(kind(0xff53_4d42), Kind::Network("SMB"));
}

#[test]
fn a_look_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let here = Place::look(folder.path());
    assert_eq!(here.folder, Folder::Usable);
    assert!(here.disk.is_some());
    let below = Place::look(&folder.path().join("a/b"));
    assert_eq!(below.folder, Folder::ToBeMade);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(Place::look(&file).folder, Folder::SomethingElse);
    assert_eq!(Place::look(&file.join("x")).folder, Folder::SomethingElse);
}

#[test]
fn sizes_are_short() {
    for (bytes, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (256 << 20, "256 MiB"),
        (5 << 30, "5.0 GiB"),
    ] {
        assert_eq!(size(bytes), text);
    }
}

#[test]
fn only_the_owners_own_mode_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let mode = open_mode(&file);
    assert_eq!(mode, Some(0o640));
    let found = private_file(Section::Home, &file, mode).unwrap();
    assert!(found.mend.unwrap().starts_with("chmod 600 "));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(private_file(Section::Home, &file, open_mode(&file)), None);
}
