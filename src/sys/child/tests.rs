use super::*;

fn shell(script: &str) -> Spec {
    Spec {
        stdin: Vec::new(),
        name: "fake".into(),
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        package: "dash",
        mask: Mask::default(),
    }
}

/// Reads until the child closes its output or 10 s are over.
fn read_all(child: &mut Child) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chunk = [0; 4096];
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        match child.read(&mut chunk, Duration::from_millis(100)).unwrap() {
            Read::Data(n) => out.extend(&chunk[..n]),
            Read::Quiet => {}
            Read::Closed => return out,
        }
    }
    panic!("the child did not close its output; so far {} bytes", out.len());
}

fn exists(pid: u32) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).exists()
}

#[test]
fn output_is_read_and_the_end_told_in_words() {
    let mut child = Child::spawn(&shell("printf abc; echo 'the reason' >&2; exit 3")).unwrap();
    assert_eq!(read_all(&mut child), b"abc");
    let exit = child.finish();
    assert_eq!(exit, Exit { success: false, words: "fake ended with status 3: the reason".into() });

    let mut child = Child::spawn(&shell("true")).unwrap();
    read_all(&mut child);
    assert_eq!(child.finish(), Exit { success: true, words: "fake ended with status 0".into() });

    let mut child = Child::spawn(&shell("kill -9 $$")).unwrap();
    read_all(&mut child);
    assert_eq!(child.finish().words, "fake was ended by signal 9 (kill)");
}

#[test]
fn a_quiet_child_does_not_block() {
    let mut child = Child::spawn(&shell("sleep 60")).unwrap();
    let start = Instant::now();
    assert_eq!(child.read(&mut [0; 16], Duration::from_millis(50)).unwrap(), Read::Quiet);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn stopping_ends_the_whole_group_even_when_it_ignores_sigterm_and_leaves_no_zombie() {
    let mut child = Child::spawn(&shell("trap '' TERM; sleep 61 & echo $!; wait; sleep 62")).unwrap();
    let mut line = Vec::new();
    let mut chunk = [0; 64];
    while !line.ends_with(b"\n") {
        if let Read::Data(n) = child.read(&mut chunk, Duration::from_secs(5)).unwrap() {
            line.extend(&chunk[..n]);
        }
    }
    let grandchild: u32 = String::from_utf8(line).unwrap().trim().parse().unwrap();
    let pid = child.id().unwrap();
    assert!(exists(pid) && exists(grandchild));
    let start = Instant::now();
    assert_eq!(child.stop().words, "fake was ended by signal 9 (kill)");
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(!exists(pid), "it was reaped");
    // The grandchild has received the signal, but on a busy machine dies only when it is scheduled; init then reaps it at some
    // later time. It must be dead or gone.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let state = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        if state.is_empty() || state.contains(") Z") || state.contains(") X") {
            break;
        }
        assert!(Instant::now() < deadline, "{state}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn dropping_stops_and_reaps() {
    let child = Child::spawn(&shell("sleep 63")).unwrap();
    let pid = child.id().unwrap();
    drop(child);
    assert!(!exists(pid));
}

#[test]
fn a_flood_on_standard_error_neither_blocks_nor_starves_the_output() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo 'a message that nobody needs, again and again' >&2; i=$((i+1)); done; printf done";
    let mut child = Child::spawn(&shell(script)).unwrap();
    assert_eq!(read_all(&mut child), b"done");
    assert!(child.finish().success);
}

#[test]
fn a_missing_program_names_itself_and_its_package() {
    let mut spec = shell("");
    spec.program = "no-such-program-here".into();
    spec.package = "the Debian package nothing";
    let message = Child::spawn(&spec).unwrap_err().to_string();
    assert!(message.contains("no-such-program-here") && message.contains("the Debian package nothing"), "{message}");
    spec.program = "/etc/passwd".into();
    assert!(matches!(Child::spawn(&spec), Err(SpawnError::Denied { .. })));
}

#[test]
fn no_descriptors_leak_into_the_child_or_stay_behind() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let list = "ls /proc/self/fd | wc -l";
    // Descriptors that the test itself inherited are present in any child.
    let plain = Command::new("/bin/sh").args(["-c", list]).output().unwrap().stdout;
    let mut child = Child::spawn(&shell(list)).unwrap();
    assert_eq!(String::from_utf8(read_all(&mut child)), String::from_utf8(plain));
    // Other tests open files at the same time: the smallest of many counts must not grow with the number of children.
    let smallest = |n: usize| {
        (0..n).fold(usize::MAX, |least, _| {
            drop(Child::spawn(&shell("true")).unwrap());
            least.min(count())
        })
    };
    let before = smallest(20);
    assert!(smallest(20) < before + 10);
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it() {
    let mut child = std::thread::spawn(|| Child::spawn(&shell("sleep 1; printf alive")).unwrap()).join().unwrap();
    assert_eq!(read_all(&mut child), b"alive");
}

#[test]
fn living_children_are_known_until_they_were_waited_for() {
    let child = Child::spawn(&shell("sleep 60")).unwrap();
    let id = child.id().unwrap();
    assert!(running().contains(&id));
    child.stop();
    assert!(!running().contains(&id));
}
