use std::path::Path;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::folders::Folders;
use super::model::Model;
use super::provision::{Provisioner, read_providers};
use super::*;
use crate::interpolate::test_env;

fn save(value: Value) -> Save {
    Save {
        model: Model::read(value).unwrap(),
        folder_uid: None,
        message: String::new(),
        overwrite: false,
        by: "me".into(),
        restored_from: 0,
        origin: None,
    }
}

fn json_of(entry: &Entry) -> Value {
    serde_json::from_str(&entry.text).unwrap()
}

#[tokio::test]
async fn versions_are_kept_and_conflicts_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 3).unwrap();
    let first = store.save(save(json!({"title": "A", "uid": "a"})), 1).await.unwrap().entry;
    assert_eq!(json_of(&first), json!({"title": "A", "uid": "a", "id": 1, "version": 1}));
    let stale = store.save(save(json!({"title": "B", "uid": "a"})), 2).await.unwrap_err();
    assert_eq!(
        (stale.status, stale.fields["status"].as_str()),
        (StatusCode::PRECONDITION_FAILED, Some("version-mismatch"))
    );
    for version in 1..=4 {
        let saved =
            store.save(save(json!({"title": "A", "uid": "a", "version": version, "n": version})), 2).await.unwrap();
        assert_eq!(saved.entry.version(), version + 1);
    }
    let entry = store.get("a").unwrap();
    assert_eq!(entry.versions().iter().map(|v| v.version).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(std::fs::read_dir(dir.path().join("a")).unwrap().count(), 3);
    assert_eq!(store.version_text("a", 1).await.unwrap_err().status, StatusCode::NOT_FOUND);
    let old: Value = serde_json::from_str(&store.version_text("a", 4).await.unwrap()).unwrap();
    assert_eq!(old["n"], 3);

    let forced = Save { overwrite: true, ..save(json!({"title": "A", "uid": "a", "version": 1})) };
    assert_eq!(store.save(forced, 3).await.unwrap().entry.version(), 6);
    let same = store.save(save(json!({"title": "a"})), 3).await.unwrap_err();
    assert_eq!(same.fields["status"], "name-exists");
    let taken_over = Save { overwrite: true, ..save(json!({"title": "a"})) };
    assert_eq!(store.save(taken_over, 3).await.unwrap().entry.uid, "a");
    let unknown = store.save(save(json!({"title": "x", "id": 77})), 3).await.unwrap_err();
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let by_id = store.save(save(json!({"title": "x", "id": 1, "version": 7})), 3).await.unwrap();
    assert_eq!(by_id.entry.uid, "a");
    let fresh = store.save(save(json!({"title": "new", "id": null})), 3).await.unwrap();
    assert_eq!((fresh.entry.id(), fresh.entry.uid.len()), (2, 14));
    let beside = Save { overwrite: true, ..save(json!({"title": "new", "uid": "b"})) };
    assert_eq!(store.save(beside, 3).await.unwrap().entry.uid, "b", "a uid of its own makes it another dashboard");

    let again = Store::open(dir.path(), 3).unwrap();
    let entry = again.get("a").unwrap();
    assert_eq!((entry.version(), entry.facts.title.as_str()), (8, "x"));
    assert_eq!(entry.text, store.get("a").unwrap().text);
    again.delete("a", false).await.unwrap();
    assert!(again.get("a").is_none() && !dir.path().join("a").exists() && !dir.path().join("a.json").exists());
}

#[tokio::test]
async fn a_damaged_version_gives_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 5).unwrap();
    store.save(save(json!({"title": "A", "uid": "a"})), 1).await.unwrap();
    store.save(save(json!({"title": "A2", "uid": "a", "version": 1})), 1).await.unwrap();
    store.save(save(json!({"title": "B", "uid": "b"})), 1).await.unwrap();
    std::fs::write(dir.path().join("a/2.json"), "{\"title\":").unwrap();
    std::fs::write(dir.path().join("b.json"), "rubbish").unwrap();
    let store = Store::open(dir.path(), 5).unwrap();
    assert_eq!(store.get("a").unwrap().facts.title, "A");
    assert!(store.get("b").is_none(), "it is left out, the rest goes on");
}

struct Files {
    dir: tempfile::TempDir,
    store: Store,
    folders: Folders,
    provisioner: Provisioner,
}

impl Files {
    fn new(options: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["provisioning/dashboards", "files/sub", "data", "data/dashboards"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let path = dir.path().join("files");
        let yaml = format!(
            "apiVersion: 1\nproviders:\n  - name: p\n    type: file\n{options}\n    options: {{path: '{}'}}\n",
            path.display()
        );
        std::fs::write(dir.path().join("provisioning/dashboards/p.yaml"), yaml).unwrap();
        let (providers, errors) = read_providers(&dir.path().join("provisioning"), &test_env(&[("TITLE", "From env")]));
        assert_eq!(errors, []);
        let provisioner = Provisioner::default();
        provisioner.set_providers(providers);
        let store = Store::open(&dir.path().join("data/dashboards"), 20).unwrap();
        let folders = Folders::open(&dir.path().join("data")).unwrap();
        Self { dir, store, folders, provisioner }
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.dir.path().join("files").join(file), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    async fn scan(&self) -> (usize, usize, Vec<String>) {
        let report = self.provisioner.scan(&self.store, &self.folders, 5).await;
        let prefix = format!("{}/", self.path().join("files").display());
        (report.saved, report.deleted, report.errors.iter().map(|e| e.replace(&prefix, "")).collect())
    }
}

#[tokio::test]
async fn files_become_dashboards_and_follow_their_changes() {
    let files = Files::new("    folder: $TITLE\n    allowUiUpdates: true");
    files.write("a.json", r#"{"uid": "a", "title": "A", "id": 99, "version": 7}"#);
    files.write("sub/b.json", r#"{"title": "B"}"#);
    files.write("broken.json", "{\n  \"title\": \"x\",\n}");
    files.write("empty.json", "{}");
    files.write("note.txt", "not a dashboard");
    let errors =
        vec!["broken.json:3:1: trailing comma".to_owned(), "empty.json: Dashboard title cannot be empty".to_owned()];
    assert_eq!(files.scan().await, (2, 0, errors.clone()));
    assert_eq!(files.scan().await, (0, 0, errors.clone()), "nothing changed, the errors stay");
    let a = files.store.get("a").unwrap();
    assert_eq!((a.version(), a.folder_uid()), (1, "from-env"));
    let b = files.store.all().into_iter().find(|entry| entry.facts.title == "B").unwrap();

    // A restart takes nothing twice.
    let store = Store::open(&files.path().join("data/dashboards"), 20).unwrap();
    let files = Files { store, ..files };
    files.provisioner.seen_clear();
    assert_eq!(files.scan().await.0, 0);

    // Changed in the browser, then in the file.
    files.store.save(save(json!({"uid": "a", "title": "A changed", "version": 1})), 6).await.unwrap();
    files.provisioner.seen_clear();
    assert_eq!(files.scan().await.0, 0, "the file did not change");
    assert_eq!(files.store.get("a").unwrap().facts.title, "A changed");
    files.write("a.json", r#"{"uid": "a", "title": "A from file"}"#);
    files.write("sub/b.json", r#"{"title": "B changed"}"#);
    files.write("twin.json", r#"{"uid": "a", "title": "Twin"}"#);
    let (saved, _, now) = files.scan().await;
    assert_eq!(saved, 2);
    assert!(now.contains(&"twin.json: uid \"a\" is taken by a.json of provider \"p\"".to_owned()), "{now:?}");
    let a = files.store.get("a").unwrap();
    assert_eq!((a.version(), a.facts.title.as_str()), (3, "A from file"));
    assert_eq!(files.store.get(&b.uid).unwrap().facts.title, "B changed", "a file without uid keeps the one it got");

    std::fs::remove_file(files.path().join("files/a.json")).unwrap();
    std::fs::remove_file(files.path().join("files/twin.json")).unwrap();
    assert_eq!(files.scan().await.1, 1);
    assert!(files.store.get("a").is_none());
    // A vanished folder deletes nothing.
    std::fs::rename(files.path().join("files"), files.path().join("gone")).unwrap();
    let (_, deleted, errors) = files.scan().await;
    assert_eq!((deleted, errors.len()), (0, 1));
    assert!(files.store.get(&b.uid).is_some());
}

#[tokio::test]
async fn providers_say_what_may_be_done() {
    let files = Files::new("    disableDeletion: true");
    files.write("a.json", r#"{"uid": "a", "title": "A"}"#);
    files.scan().await;
    assert_eq!(files.store.get("a").unwrap().folder_uid(), "");
    let refused = files.store.save(save(json!({"uid": "a", "title": "A", "version": 1})), 6).await.unwrap_err();
    assert_eq!(refused.message, "Cannot save provisioned dashboard");
    assert_eq!(files.store.delete("a", false).await.unwrap_err().message, "provisioned dashboard cannot be deleted");
    std::fs::remove_file(files.path().join("files/a.json")).unwrap();
    assert_eq!(files.scan().await.1, 0);
    assert!(files.store.get("a").unwrap().origin().is_none(), "it stays as an ordinary one");
}

#[test]
fn broken_providers_name_their_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("dashboards")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join("dashboards").join(name), text).unwrap();
    write("1.yaml", "apiVersion: 1\nproviders:\n  - name: a\n    type: web\n  - name: b\n    options: {path: /x}\n");
    write("2.yaml", "apiVersion: 2\n");
    write("3.yaml", "providers: [\n");
    write("4.yaml", "- name: old\n  type: file\n  options:\n    folder: /y\n");
    let (providers, errors) = read_providers(dir.path(), &test_env(&[]));
    assert_eq!(providers.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["b", "old"]);
    let errors: Vec<String> =
        errors.iter().map(|e| e.to_string().replace(&format!("{}/dashboards/", dir.path().display()), "")).collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().any(|e| e.starts_with("1.yaml:4:11: type: \"web\" is not \"file\"")), "{errors:?}");
    assert!(errors.iter().any(|e| e.starts_with("2.yaml:1:13: apiVersion: 2 is not 1")), "{errors:?}");
    assert!(errors.iter().any(|e| e.starts_with("3.yaml:")), "{errors:?}");
}
