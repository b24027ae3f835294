//! One suite over every implementation of [`Files`].

use super::*;
use crate::{FaultyFiles, MemFiles, RealFiles};

fn all(test: impl Fn(&dyn Files, &Path)) {
    let dir = tempfile::tempdir().expect("temporary directory");
    test(&RealFiles, dir.path());
    test(&MemFiles::new(), Path::new("root"));
    test(&FaultyFiles::new(Arc::new(MemFiles::new())), Path::new("root"));
}

#[test]
fn files_are_appended_and_read_by_position() {
    all(|files, root| {
        files.create_dir_all(&root.join("a/b")).unwrap();
        let path = root.join("a/b/x");
        let mut file = files.create(&path).unwrap();
        file.append(b"hello ").unwrap();
        let reader = files.open(&path).unwrap();
        file.append(b"world").unwrap();
        file.sync().unwrap();
        assert_eq!(file.len(), 11);
        let mut buf = [0; 8];
        assert_eq!(reader.read_at(&mut buf, 6).unwrap(), 5);
        assert_eq!(&buf[..5], b"world");
        assert_eq!(reader.read_at(&mut buf, 99).unwrap(), 0);
        assert_eq!(reader.len().unwrap(), 11);
        assert_eq!(files.create(&path).map(|_| ()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let mut file = files.open_append(&path).unwrap();
        assert_eq!(file.len(), 11);
        file.append(b"!").unwrap();
        assert_eq!(&files.map(&path).unwrap()[..], b"hello world!");
        files.truncate(&path, 5).unwrap();
        assert_eq!(&files.map(&path).unwrap()[..], b"hello");
    });
}

#[test]
fn names_are_listed_renamed_linked_and_removed() {
    all(|files, root| {
        files.create_dir_all(&root.join("d")).unwrap();
        for name in ["d/two", "d/one"] {
            files.create(&root.join(name)).unwrap().append(name.as_bytes()).unwrap();
        }
        let names =
            |dir: &str| files.read_dir(&root.join(dir)).unwrap().into_iter().map(|e| e.name).collect::<Vec<_>>();
        assert_eq!(names("d"), ["one", "two"]);
        files.rename(&root.join("d/one"), &root.join("d/two")).unwrap();
        assert_eq!(&files.map(&root.join("d/two")).unwrap()[..], b"d/one");
        files.hard_link(&root.join("d/two"), &root.join("d/three")).unwrap();
        files.remove_file(&root.join("d/two")).unwrap();
        assert_eq!(&files.map(&root.join("d/three")).unwrap()[..], b"d/one");
        files.rename(&root.join("d"), &root.join("e")).unwrap();
        assert!(!files.exists(&root.join("d")));
        assert_eq!(names("e"), ["three"]);
        assert!(files.read_dir(root).unwrap().iter().any(|e| e.name == "e" && e.is_dir));
        files.remove_dir_all(&root.join("e")).unwrap();
        assert_eq!(files.read_dir(&root.join("e")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(files.open(&root.join("e/x")).map(|_| ()).unwrap_err().kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_lock_is_held_once() {
    all(|files, root| {
        files.create_dir_all(root).unwrap();
        let held = files.lock(&root.join("lock")).unwrap();
        assert_eq!(files.lock(&root.join("lock")).map(|_| ()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        files.lock(&root.join("lock")).unwrap();
    });
}

#[test]
fn write_atomic_replaces_and_survives_a_left_over() {
    all(|files, root| {
        files.create_dir_all(root).unwrap();
        files.create(&root.join("meta.tmp")).unwrap().append(b"half").unwrap();
        write_atomic(files, &root.join("meta"), b"one").unwrap();
        write_atomic(files, &root.join("meta"), b"two").unwrap();
        assert_eq!(&files.map(&root.join("meta")).unwrap()[..], b"two");
        assert!(!files.exists(&root.join("meta.tmp")));
        assert!(files.space(root).unwrap().total > 0);
    });
}
