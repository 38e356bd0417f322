use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
};

use super::*;
use postroom_actors::ports::InboxFile;

struct Inbox {
    root: tempfile::TempDir,
    store: InboxFiles,
}

impl Inbox {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = InboxFiles::open(&root.path().join("inbox")).unwrap();
        Self { root, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("inbox").join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn name(number: usize) -> String {
    format!("20260105100000-{number:032x}.json")
}

fn file(name: &str, content: &str, marks: Option<&str>) -> RenderFile {
    let file = InboxFile {
        name: name.to_owned(),
        marks: marks.map(ContextId::new),
        content: content.to_owned(),
    };
    RenderFile {
        render: Box::new(move || file),
    }
}

#[tokio::test]
async fn files_and_marks_are_there_when_the_call_resolves() {
    let inbox = Inbox::new();
    let context = ContextId::new("telegram:1");
    assert!(!inbox.store.is_context_seen(&context));
    let files = (0..200).map(|number| {
        let marks = (number < 2).then_some("telegram:1");
        file(&name(number), &"x".repeat(number), marks)
    });
    let written = inbox.store.write(files.collect()).await.unwrap();
    assert_eq!(written.len(), 200);
    for (number, file) in written.iter().enumerate() {
        assert_eq!(file.path, inbox.path(&name(number)).canonicalize().unwrap());
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "x".repeat(number));
        assert_eq!(usize::try_from(file.size_bytes).unwrap(), number);
    }
    assert_eq!(inbox.names().len(), 200, "no temporary files");
    assert!(inbox.store.is_context_seen(&context));
    let marks: Vec<_> = fs::read_dir(inbox.root.path().join(".context_ids"))
        .unwrap()
        .collect();
    let [Ok(mark)] = marks.as_slice() else {
        panic!("one mark: {marks:?}")
    };
    assert_eq!(mark.file_name(), mark_name(&context).as_str());
    assert_eq!(fs::read_to_string(mark.path()).unwrap(), "telegram:1\n");
}

#[tokio::test]
async fn modes_are_those_that_the_predecessors_users_know() {
    let inbox = Inbox::new();
    let written = inbox
        .store
        .write(vec![file(&name(1), "x", None)])
        .await
        .unwrap();
    let mode = fs::metadata(&written[0].path).unwrap().permissions().mode();
    assert_eq!(mode & 0o133, 0, "0644 at most: {mode:o}");
    assert_eq!(mode & 0o600, 0o600);
    assert_eq!(fs::metadata(inbox.path("")).unwrap().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_repeat_replaces_the_file_and_keeps_the_mark() {
    let inbox = Inbox::new();
    for content in ["old", "new"] {
        inbox
            .store
            .write(vec![file(&name(1), content, Some("c"))])
            .await
            .unwrap();
    }
    assert_eq!(fs::read_to_string(inbox.path(&name(1))).unwrap(), "new");
    assert_eq!(inbox.names(), [name(1)]);
}

#[tokio::test]
async fn links_at_our_names_are_replaced_and_never_followed() {
    let inbox = Inbox::new();
    let victim = inbox.root.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, inbox.path(&name(1))).unwrap();
    symlink(&victim, inbox.path(&format!(".{}.tmp", name(1)))).unwrap();
    fs::create_dir(inbox.path(&format!(".{}.tmp", name(2)))).unwrap();
    let files = vec![file(&name(1), "one", None), file(&name(2), "two", None)];
    inbox.store.write(files).await.unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(
        fs::symlink_metadata(inbox.path(&name(1)))
            .unwrap()
            .is_file()
    );
    assert_eq!(inbox.names(), [name(1), name(2)]);
}

#[tokio::test]
async fn a_folder_at_a_final_name_is_an_error_that_leaves_nothing_behind() {
    let inbox = Inbox::new();
    fs::create_dir(inbox.path(&name(2))).unwrap();
    let files = (1..=3).map(|number| file(&name(number), "x", Some("c")));
    let error = inbox.store.write(files.collect()).await.unwrap_err();
    assert!(error.path.ends_with(name(2)), "{error}");
    assert_eq!(inbox.names(), [name(1), name(2)], "the third stays hidden");
    assert!(!inbox.store.is_context_seen(&ContextId::new("c")));
}

#[tokio::test]
async fn names_that_leave_the_folder_are_refused_and_hide_the_whole_call() {
    let inbox = Inbox::new();
    for bad in ["../x.json", "a/b", "", "a\0b"] {
        let files = vec![file(&name(1), "x", None), file(bad, "x", None)];
        inbox.store.write(files).await.unwrap_err();
        assert!(inbox.names().is_empty(), "{bad}");
    }
}

#[tokio::test]
async fn a_deleted_folder_is_created_again() {
    let inbox = Inbox::new();
    fs::remove_dir(inbox.path("")).unwrap();
    fs::remove_dir(inbox.root.path().join(".context_ids")).unwrap();
    inbox
        .store
        .write(vec![file(&name(1), "x", Some("c"))])
        .await
        .unwrap();
    assert_eq!(inbox.names(), [name(1)]);
    assert!(inbox.store.is_context_seen(&ContextId::new("c")));
}

#[tokio::test]
async fn a_folder_moved_aside_gets_no_more_files() {
    let inbox = Inbox::new();
    fs::rename(inbox.path(""), inbox.root.path().join("old")).unwrap();
    inbox
        .store
        .write(vec![file(&name(1), "x", None)])
        .await
        .unwrap();
    assert_eq!(inbox.names(), [name(1)]);
}

#[tokio::test]
async fn a_link_in_place_of_the_folder_is_not_followed() {
    let inbox = Inbox::new();
    let elsewhere = inbox.root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::remove_dir(inbox.path("")).unwrap();
    symlink(&elsewhere, inbox.root.path().join("inbox")).unwrap();
    inbox
        .store
        .write(vec![file(&name(1), "x", None)])
        .await
        .unwrap_err();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn half_written_files_of_an_earlier_run_are_removed_and_others_kept() {
    let root = tempfile::tempdir().unwrap();
    let left = format!(".{}.tmp", name(1));
    for name in [left.as_str(), ".notes.tmp", ".x.json.tmp", "a.json"] {
        fs::write(root.path().join(name), "x").unwrap();
    }
    let store = InboxFiles::open(root.path()).unwrap();
    assert!(!store.path().join(left).exists());
    assert_eq!(
        fs::read_dir(store.path())
            .unwrap()
            .filter(|entry| { entry.as_ref().is_ok_and(|entry| entry.path().is_file()) })
            .count(),
        3
    );
}

#[tokio::test]
async fn a_content_that_cannot_be_made_fails_its_call_only() {
    let inbox = Inbox::new();
    let broken = RenderFile {
        render: Box::new(|| panic!("a rendering bug")),
    };
    inbox
        .store
        .write(vec![file(&name(1), "x", None), broken])
        .await
        .unwrap_err();
    inbox
        .store
        .write(vec![file(&name(2), "x", None)])
        .await
        .unwrap();
    assert_eq!(inbox.names(), [name(2)]);
}

#[tokio::test]
async fn calls_larger_than_the_queue_go_through() {
    let inbox = Inbox::new();
    let files = (0..1100).map(|number| file(&name(number), "x", None));
    assert_eq!(
        inbox.store.write(files.collect()).await.unwrap().len(),
        1100
    );
    assert!(inbox.store.write(Vec::new()).await.unwrap().is_empty());
}
