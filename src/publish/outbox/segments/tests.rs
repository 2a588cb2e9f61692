use std::io::Write;

use super::*;

const NEVER: Duration = Duration::from_secs(1 << 40);

fn log(dir: &Path, most_bytes: u64) -> Segments {
    Segments::new(dir, "leptond", "attic", most_bytes, NEVER)
}

fn records(ids: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    let payload: std::sync::Arc<[u8]> = vec![b'x'; 300].into();
    ids.map(|id| Record { id, wall_s: 1, uptime_s: 2, topic: "t".into(), payload: payload.clone() }).collect()
}

fn first(first: u64) -> Checkpoint {
    Checkpoint { first, ..Checkpoint::default() }
}

/// Ids of everything above `after`, in reads of `most`.
fn ids(log: &mut Segments, mut after: u64, most: usize) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        let batch = log.read(after, most, usize::MAX).unwrap();
        let Some(last) = batch.last() else { return all };
        after = last.id;
        all.extend(batch.iter().map(|record| record.id));
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some());
    files.sort();
    files
}

#[test]
fn what_was_committed_is_there_in_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = log(dir.path(), 64 << 20);
    assert_eq!(one.open().unwrap(), Opened::default());
    one.commit(&records(1..=10), Checkpoint::default(), 0).unwrap();
    let committed = one.commit(&records(11..=20), Checkpoint { first: 5, day: 9, written_bytes: 77 }, 0).unwrap();
    assert_eq!(committed.removed, 0);
    assert!((4096..=3 * 4096).contains(&committed.page_bytes), "{committed:?}");
    assert!(matches!(log(dir.path(), 64 << 20).open(), Err(StorageError::Locked { .. })));
    drop(one);
    let mut two = log(dir.path(), 64 << 20);
    let opened = two.open().unwrap();
    assert_eq!((opened.last, opened.waiting, opened.damaged_bytes), (20, 16, 0));
    assert_eq!(opened.checkpoint, Checkpoint { first: 5, day: 9, written_bytes: 77 });
    assert_eq!(ids(&mut two, 4, 3), (5..=20).collect::<Vec<_>>());
    two.commit(&records(21..=22), first(5), 20).unwrap();
    assert_eq!(ids(&mut two, 4, 100), (5..=22).collect::<Vec<_>>(), "the reader sees what was added");
    two.commit(&records(23..=24), first(5), 20).unwrap();
    assert_eq!(ids(&mut two, 22, 100), [23, 24], "also in the file that it read to its end");
    assert_eq!(files(dir.path()).len(), 2, "a run has a file of its own");
    two.commit(&[], first(25), 20).unwrap();
    assert_eq!(files(dir.path()).len(), 1, "what is done with is removed, and the checkpoint stays");
    drop(two);
    assert_eq!(log(dir.path(), 64 << 20).open().unwrap().waiting, 0);
    let mut other = Segments::new(dir.path(), "leptond", "cellar", 64 << 20, NEVER);
    assert_eq!(other.open().unwrap(), Opened::default(), "another node's events are not sent");
    drop(other);
    let mut later = Segments::new(dir.path(), "leptond", "cellar", 64 << 20, Duration::ZERO);
    later.open().unwrap();
    assert_eq!(files(dir.path()).len(), 0, "and are removed when they are old");
}

#[test]
fn space_is_bounded_and_the_newest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = log(dir.path(), 1 << 20);
    log.open().unwrap();
    let mut removed = 0;
    for batch in 0..200 {
        let committed = log.commit(&records(batch * 50 + 1..=batch * 50 + 50), first(1), 100).unwrap();
        removed += committed.removed;
        assert!(committed.bytes <= 1 << 20);
        let size: u64 = files(dir.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
        assert_eq!(size, committed.bytes);
    }
    let left = ids(&mut log, 100, 1000);
    assert_eq!(left.last(), Some(&10_000));
    assert_eq!(removed + left.len() as u64, 9_900, "the first hundred are in memory");
}

#[test]
fn torn_and_damaged_files_cost_what_is_damaged_and_no_more() {
    for cut in [1, 5, 200] {
        let dir = tempfile::tempdir().unwrap();
        let mut one = log(dir.path(), 64 << 20);
        one.open().unwrap();
        one.commit(&records(1..=5), first(1), 0).unwrap();
        one.commit(&records(6..=6), first(1), 0).unwrap();
        drop(one);
        let file = files(dir.path()).remove(0);
        let length = file.metadata().unwrap().len();
        OpenOptions::new().write(true).open(&file).unwrap().set_len(length - cut).unwrap();
        let mut two = log(dir.path(), 64 << 20);
        let opened = two.open().unwrap();
        let whole = if cut < 30 { 6 } else { 5 };
        assert_eq!((opened.waiting, opened.damaged_bytes > 0), (whole, true), "cut {cut}");
        two.commit(&records(7..=8), first(1), 0).unwrap();
        assert_eq!(ids(&mut two, 0, 100), (1..=whole).chain(7..=8).collect::<Vec<_>>());
        drop(two);
        std::fs::File::create(&file).unwrap().write_all(&[0; 64]).unwrap();
        let mut three = log(dir.path(), 64 << 20);
        assert_eq!(three.open().unwrap().waiting, 2, "a file full of zeros, as a power cut leaves it");
        assert_eq!(ids(&mut three, 0, 100), [7, 8]);
    }
}

#[test]
fn a_commit_that_failed_leaves_nothing_and_its_ids_may_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = log(dir.path(), 64 << 20);
    log.open().unwrap();
    log.commit(&records(1..=2), first(1), 0).unwrap();
    // A file that cannot be written: as the disk fails, so does this one.
    log.current = Some(File::open(&log.segments.back().unwrap().path).unwrap());
    assert!(log.commit(&records(3..=4), first(1), 0).is_err());
    log.commit(&records(3..=5), first(1), 0).unwrap();
    assert_eq!(ids(&mut log, 0, 100), [1, 2, 3, 4, 5]);
    log.segments.back_mut().unwrap().last = 3;
    log.current = None;
    log.commit(&records(4..=6), first(1), 0).unwrap();
    assert_eq!(ids(&mut log, 0, 2), [1, 2, 3, 4, 5, 6], "each id once");
    std::fs::remove_dir_all(dir.path()).unwrap();
    log.current = None;
    assert!(log.commit(&records(7..=7), first(1), 0).is_err(), "without its directory");
}
