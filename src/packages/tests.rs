//! The store on a real disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::files::{Folder, perform};
use super::*;

const BOUNDS: Bounds = Bounds {
    bytes: 10_000,
    largest: 6_000,
    count: 5,
    age_ms: 1_000,
    free_space: 0,
};

fn open(folder: &Path) -> Store {
    Store::open(folder, BOUNDS).unwrap()
}

fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| seed.wrapping_add((at * 7 % 251) as u8))
        .collect()
}

fn details(name: &str, submitted: u64) -> Details {
    Details {
        name: name.into(),
        filename: format!("{name}.zip"),
        submitted,
        ..Details::of(Hash::of(b""))
    }
}

fn add(store: &Store, content: &[u8], submitted: u64) -> Result<Details, StoreError> {
    let mut receiving = store.receive(Some(Hash::of(content)), Some(content.len() as u64))?;
    for piece in content.chunks(1000) {
        receiving.write(piece)?;
    }
    receiving.finish(details("plan", submitted))
}

fn read(store: &Store, hash: &Hash) -> Vec<u8> {
    let reading = store.read(hash).unwrap();
    let mut all = vec![0; reading.size() as usize];
    let mut at = 0;
    while at < all.len() {
        let count = reading.read_at(at as u64, &mut all[at..]).unwrap();
        assert!(count > 0);
        at += count;
    }
    all
}

/// What lies in the folder, without parts: two files for each package and nothing else.
fn is_tidy(store: &Store, folder: &Path) -> bool {
    let names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".part"))
        .collect();
    names.len() == 2 * store.hashes().len()
}

#[test]
fn what_is_kept_is_there_after_a_restart_and_private() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("packages"));
    let heard = Arc::new(Mutex::new(Vec::new()));
    store.on_arrival(Box::new({
        let heard = Arc::clone(&heard);
        move |details| heard.lock().unwrap().push(details.hash)
    }));
    let content = bytes(1, 5_000);
    let kept = add(&store, &content, 7).unwrap();
    assert_eq!(*heard.lock().unwrap(), [kept.hash]);
    assert_eq!((kept.size, kept.filename.as_str()), (5_000, "plan.zip"));
    assert_eq!(add(&store, &content, 8), Err(StoreError::Kept(kept.hash)));
    drop(store);
    let store = open(&folder.path().join("packages"));
    assert_eq!(store.find(&kept.hash), Some(kept.clone()));
    assert_eq!(read(&store, &kept.hash), content);
    for entry in fs::read_dir(folder.path().join("packages")).unwrap() {
        assert_eq!(
            entry.unwrap().metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let amended = store.amend(&kept.hash, |details| details.tool = "private".into());
    assert_eq!(amended.unwrap().unwrap().tool, "private");
    assert_eq!(store.peek(&kept.hash).unwrap().submitted, 7);
    assert_eq!(store.remove(&kept.hash), Ok(true));
    assert_eq!(store.remove(&kept.hash), Ok(false));
    assert!(store.list().is_empty() && is_tidy(&store, &folder.path().join("packages")));
}

#[test]
fn wrong_bytes_leave_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let content = bytes(1, 2_000);
    let mut receiving = store.receive(Some(Hash::of(b"else")), None).unwrap();
    receiving.write(&content).unwrap();
    assert!(matches!(
        receiving.finish(details("x", 1)),
        Err(StoreError::WrongHash { .. })
    ));
    let mut receiving = store.receive(None, Some(1_999)).unwrap();
    assert!(matches!(
        receiving.write(&content),
        Err(StoreError::WrongSize { .. })
    ));
    drop(receiving);
    let mut receiving = store.receive(None, Some(2_001)).unwrap();
    receiving.write(&content).unwrap();
    assert!(matches!(
        receiving.finish(details("x", 1)),
        Err(StoreError::WrongSize { .. })
    ));
    assert!(matches!(
        store.receive(None, Some(6_001)),
        Err(StoreError::TooLarge { .. })
    ));
    let mut receiving = store.receive(None, None).unwrap();
    receiving.write(&bytes(1, 6_000)).unwrap();
    assert!(matches!(
        receiving.write(b"x"),
        Err(StoreError::TooLarge { .. })
    ));
    drop(receiving);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let standing = store.standing();
    assert_eq!(
        (
            standing.packages,
            standing.bytes,
            standing.coming_in,
            standing.refused
        ),
        (0, 0, 0, 5)
    );
}

#[test]
fn what_was_used_longest_ago_makes_room_and_what_is_read_stays() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let one = add(&store, &bytes(1, 3_000), 1).unwrap().hash;
    let two = add(&store, &bytes(2, 3_000), 2).unwrap().hash;
    let three = add(&store, &bytes(3, 3_000), 3).unwrap().hash;
    store.find(&one);
    let reading = store.read(&two).unwrap();
    let four = add(&store, &bytes(4, 3_000), 4).unwrap().hash;
    let mut left = [one, two, four];
    left.sort();
    assert_eq!(
        store.hashes(),
        left,
        "three was used longest ago, for two is being read"
    );
    drop(reading);
    assert!(store.find(&three).is_none());
    for seed in 10..15 {
        add(&store, &bytes(seed, 10), 1).unwrap();
    }
    assert_eq!(store.hashes().len(), BOUNDS.count);
    assert!(is_tidy(&store, folder.path()));
    store.tidy(5, Some(1_002));
    assert_eq!(store.hashes().len(), 0, "older than a second");
}

#[test]
fn a_part_is_gone_on_with_even_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let content = bytes(9, 5_000);
    let hash = Hash::of(&content);
    let mut receiving = store.resume(hash, 5_000).unwrap();
    receiving.write(&content[..2_000]).unwrap();
    assert!(matches!(
        store.resume(hash, 5_000),
        Err(StoreError::Busy(_))
    ));
    drop(receiving);
    assert_eq!(store.standing().part_bytes, 2_000);
    let mut receiving = store.resume(hash, 5_000).unwrap();
    assert_eq!(receiving.at(), 2_000);
    receiving.write(&content[2_000..3_000]).unwrap();
    assert!(matches!(
        receiving.finish(details("x", 1)),
        Err(StoreError::WrongSize { .. })
    ));
    drop(store);
    let store = open(folder.path());
    let mut receiving = store.resume(hash, 5_000).unwrap();
    assert_eq!(receiving.at(), 3_000);
    receiving.write(&content[3_000..]).unwrap();
    receiving.finish(details("x", 1)).unwrap();
    assert_eq!(read(&store, &hash), content);
    assert_eq!(store.standing().part_bytes, 0);
    drop(
        store
            .resume(Hash::of(b"part"), 4)
            .and_then(|mut part| part.write(b"par")),
    );
    store.tidy(24 * 3600 * 1000, None);
    assert_eq!(store.standing().part_bytes, 3);
    store.tidy(24 * 3600 * 1000 + 1, None);
    assert_eq!(
        store.standing().part_bytes,
        0,
        "nobody went on with it for a day"
    );
    // Of other bytes nothing is kept to be gone on with.
    let mut receiving = store.resume(Hash::of(b"else"), 4).unwrap();
    receiving.write(b"else"[..3].as_ref()).unwrap();
    receiving.write(b"x").unwrap();
    assert!(matches!(
        receiving.finish(details("x", 1)),
        Err(StoreError::WrongHash { .. })
    ));
    assert_eq!(store.standing().part_bytes, 0);
    assert!(is_tidy(&store, folder.path()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// The power goes after any number of steps, and the bytes on their way in are torn anywhere.
#[test]
fn a_cut_at_any_step_leaves_a_whole_package_or_none() {
    let content = bytes(5, 3_000);
    let hash = Hash::of(&content);
    let about = Details {
        size: 3_000,
        ..details("plan", 1)
    };
    let about = Details { hash, ..about }.bounded();
    for cut in 0..=3 {
        for torn in [0, 1, 1_500, 3_000] {
            let place = TempDir::new().unwrap();
            let other = add(&open(place.path()), &bytes(6, 100), 1).unwrap().hash;
            let folder = Folder::new(place.path());
            let coming = folder.coming(0);
            // Steps begin only after the bytes were synced: before that they may be torn.
            let length = if cut == 0 { torn } else { 3_000 };
            fs::write(&coming, &content[..length]).unwrap();
            perform(&folder.steps_of_keeping(&coming, &about)[..cut]).unwrap();
            let store = open(place.path());
            assert_eq!(store.find(&hash).is_some(), cut >= 2, "{cut}");
            if cut >= 2 {
                assert_eq!(read(&store, &hash), content);
            }
            assert!(store.find(&other).is_some());
            assert_eq!(store.standing().bytes, if cut >= 2 { 3_100 } else { 100 });
            assert!(is_tidy(&store, place.path()), "{cut}");
        }
    }
    for cut in 0..=2 {
        let place = TempDir::new().unwrap();
        let hash = add(&open(place.path()), &content, 1).unwrap().hash;
        perform(&Folder::new(place.path()).steps_of_removing(&hash)[..cut]).unwrap();
        let store = open(place.path());
        assert_eq!(store.find(&hash).is_some(), cut == 0, "{cut}");
        assert!(is_tidy(&store, place.path()), "{cut}");
    }
}

/// What a broken card may do: halves without the other half, and sizes that do not fit.
#[test]
fn halves_are_settled_at_the_start() {
    let place = TempDir::new().unwrap();
    let store = open(place.path());
    let hashes: Vec<Hash> = (0..4)
        .map(|seed| add(&store, &bytes(seed, 50), 1).unwrap().hash)
        .collect();
    let folder = Folder::new(place.path());
    fs::remove_file(folder.bytes(&hashes[0])).unwrap();
    fs::remove_file(folder.about(&hashes[1])).unwrap();
    fs::write(folder.bytes(&hashes[2]), b"short").unwrap();
    fs::write(place.path().join("notes.txt"), b"not ours").unwrap();
    let store = open(place.path());
    assert_eq!(store.hashes(), [hashes[3]]);
    assert_eq!(store.standing().settled, 4);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3);
}

/// Needs root: a disk of 64 KiB.
#[test]
fn a_full_disk_is_an_error_and_what_is_there_stays() {
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    let place = TempDir::new().unwrap();
    let mounted = mount(
        Some("tmpfs"),
        place.path(),
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=64k"),
    );
    if mounted.is_err() {
        println!("skipped: this user may not mount");
        return;
    }
    let bounds = Bounds {
        bytes: 1 << 20,
        largest: 1 << 20,
        ..BOUNDS
    };
    let store = Store::open(place.path(), bounds).unwrap();
    let kept = add(&store, &bytes(1, 20_000), 1).unwrap().hash;
    let mut receiving = store.receive(None, None).unwrap();
    let refused = loop {
        if let Err(error) = receiving.write(&[7; 4096]) {
            break error;
        }
    };
    // The room asked for is a mebibyte: the store sees that it is not there.
    assert!(
        matches!(
            refused,
            StoreError::LowSpace { .. } | StoreError::Disk { .. }
        ),
        "{refused}"
    );
    drop(receiving);
    assert!(store.find(&kept).is_some());
    let read_only = mount(
        None::<&str>,
        place.path(),
        None::<&str>,
        MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
        None::<&str>,
    );
    if read_only.is_ok() {
        let refused = store.receive(None, Some(1)).unwrap_err();
        assert!(refused.to_string().contains("read-only"), "{refused}");
        assert!(store.remove(&kept).is_err());
        assert_eq!(read(&store, &kept).len(), 20_000);
        let again = Store::open(place.path(), bounds).unwrap();
        assert_eq!(again.hashes(), [kept]);
        assert_eq!(store.standing().disk_errors, 2);
    }
    drop(store);
    let _ = umount2(place.path(), MntFlags::MNT_DETACH);
}
