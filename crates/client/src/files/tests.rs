//! What can be read of an allocation's directory, and what is kept from view.

use super::*;
use drover_macros::proves;
use drover_rt::TaskScope;

fn alloc() -> (tempfile::TempDir, AllocFiles) {
    let root = tempfile::tempdir().expect("directory");
    for directory in ["alloc/logs", "pen/local", "pen/secrets", "pen/private", "pen/tmp"] {
        std::fs::create_dir_all(root.path().join(directory)).expect("directory");
    }
    std::fs::set_permissions(root.path().join("pen/tmp"), std::fs::Permissions::from_mode(0o1777)).expect("mode");
    let write = |path: &str, text: &str| std::fs::write(root.path().join(path), text).expect("write");
    write("pen/local/page.html", "<p>");
    write("pen/secrets/x", "hush");
    write("alloc/logs/pen.stdout.0", "line 0\nline 1\n");
    write("alloc/logs/pen.stdout.1", "line 2\n");
    write("alloc/logs/pen.stderr.0", "");
    std::os::unix::fs::symlink("/etc/passwd", root.path().join("pen/local/out")).expect("link");
    std::os::unix::fs::symlink("../secrets/x", root.path().join("pen/local/inner")).expect("link");
    let files = AllocFiles::new(root.path().to_owned(), vec!["pen".to_owned()]);
    (root, files)
}

async fn collect(stream: FrameStream) -> Vec<Frame> {
    let (sender, mut receiver) = mpsc::channel(FRAMES_MAX);
    let scope = TaskScope::new();
    scope.spawn("stream", stream.run(sender));
    let mut found = Vec::new();
    while let Some(frame) = receiver.recv().await {
        found.push(frame);
    }
    found
}

fn text(frames: &[Frame]) -> String {
    let bytes: Vec<u8> = frames
        .iter()
        .filter_map(|frame| if let Frame::Data { bytes, .. } = frame { Some(bytes.clone()) } else { None })
        .flatten()
        .collect();
    String::from_utf8(bytes).expect("text")
}

#[test]
fn listings_and_stats_read_as_recorded() {
    let (root, files) = alloc();
    let names: Vec<_> = files.list("/pen").expect("list").into_iter().map(|info| (info.name, info.file_mode)).collect();
    assert_eq!(names[3], ("tmp".to_owned(), "dtrwxrwxrwx".to_owned()));
    assert_eq!(names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["local", "private", "secrets", "tmp"]);
    let page = files.stat("/pen/local/page.html").expect("stat");
    assert_eq!((page.name.as_str(), page.size, page.is_dir), ("page.html", 3, false));
    assert_eq!((page.file_mode.as_str(), page.content_type.as_str()), ("-rw-r--r--", "text/html; charset=utf-8"));
    assert_eq!(files.stat("/pen").expect("stat").content_type, "application/octet-stream");
    let shown = root.path().display();
    let error = files.list("/nope").expect_err("missing");
    assert_eq!((error.kind, error.message), (FilesErrorKind::NotFound, format!("open {shown}/nope: no such file or directory")));
    let error = files.stat("/nope").expect_err("missing");
    assert_eq!(error.message, format!("stat {shown}/nope: no such file or directory"));
    let error = files.list("/pen/local/page.html").expect_err("file");
    assert_eq!(error.message, format!("open {shown}/pen/local/page.html: not a directory"));
}

#[test]
fn nothing_outside_and_nothing_secret_is_read() {
    let (_root, files) = alloc();
    assert_eq!(files.list("../..").expect_err("out").message, "Path escapes the alloc directory");
    for path in ["pen/local/out", "../x", "pen/secrets/x", "/pen/local/../secrets/x"] {
        let error = files.read(path, 0, None).expect_err(path);
        assert_eq!(error.kind, FilesErrorKind::Refused, "{path}: {error}");
    }
    let error = files.read("/pen/local", 0, None).expect_err("directory");
    assert_eq!(error.message, "file \"/pen/local\" is a directory");
    assert_eq!(files.read("", 0, None).expect_err("nothing").message, "must provide a file name");
}

#[test]
fn parts_of_files_are_read() {
    let (_root, files) = alloc();
    let read = |offset, limit| {
        let mut reader = files.read("alloc/logs/pen.stdout.0", offset, limit).expect("read");
        let mut found = Vec::new();
        while let Some(chunk) = reader.next_chunk().expect("chunk") {
            found.extend(chunk);
        }
        String::from_utf8(found).expect("text")
    };
    assert_eq!(read(5, Some(6)), "0\nline");
    assert_eq!(read(12, None), "1\n");
    assert_eq!(read(999, Some(5)), "");
    assert!(files.read("alloc/logs/pen.stdout.0", -5, Some(3)).expect_err("negative").message.starts_with("can't seek to offset -5"));
}

#[proves("CLI-098")]
#[tokio::test]
async fn logs_go_on_in_the_next_file_from_any_place() {
    let (_root, files) = alloc();
    let clock = Clock::system();
    let logs = |origin| files.logs("pen", LogKind::Stdout, origin, false, clock.clone()).expect("logs");
    let table = [
        (Origin::Start(0), "line 0\nline 1\nline 2\n"),
        (Origin::Start(7), "line 1\nline 2\n"),
        (Origin::Start(18), "2\n".trim_start()),
        (Origin::Start(999), ""),
        (Origin::End(0), ""),
        (Origin::End(7), "line 2\n"),
        (Origin::End(10), " 1\nline 2\n"),
        (Origin::End(999), "line 0\nline 1\nline 2\n"),
    ];
    for (origin, expected) in table {
        let found = text(&collect(logs(origin)).await);
        let expected = if origin == Origin::Start(18) { " 2\n" } else { expected };
        assert_eq!(found, expected, "{origin:?}");
    }
    let frames = collect(logs(Origin::Start(0))).await;
    assert_eq!(frames[0], Frame::Data { file: "alloc/logs/pen.stdout.0".to_owned(), offset: 14, bytes: b"line 0\nline 1\n".to_vec() });
    let error = files.logs("zz", LogKind::Stdout, Origin::Start(0), false, clock.clone()).err().expect("not started");
    assert_eq!(error.kind, FilesErrorKind::NotFound);
}

#[proves("CLI-098")]
#[tokio::test]
async fn followed_logs_show_what_is_added_and_rotated() {
    let (root, files) = alloc();
    let clock = Clock::system();
    let stream = files.logs("pen", LogKind::Stdout, Origin::End(7), true, clock).expect("logs");
    let (sender, mut receiver) = mpsc::channel(FRAMES_MAX);
    let scope = TaskScope::new();
    scope.spawn("stream", stream.run(sender));
    let mut found = String::new();
    let mut log =
        drover_driver::shim::logs::RotatingLog::open(root.path().join("alloc/logs"), "pen.stdout".to_owned(), 9, 20).expect("open");
    for number in 3..40 {
        log.write(format!("line {number}\n").as_bytes()).expect("write");
    }
    while !found.ends_with("line 39\n") {
        match receiver.recv().await.expect("frame") {
            Frame::Data { bytes, .. } => found.push_str(&String::from_utf8(bytes).expect("text")),
            Frame::Heartbeat => {}
            other => panic!("{other:?}"),
        }
    }
    let lines: Vec<&str> = found.lines().collect();
    // Files may be removed before they are read; what is shown is in order and whole.
    let numbers: Vec<u32> = lines.iter().map(|line| line.strip_prefix("line ").expect("line").parse().expect("number")).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    drop(receiver);
    assert!(scope.shutdown(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test]
async fn a_followed_file_tells_of_its_end() {
    let (root, files) = alloc();
    let path = root.path().join("pen/local/grow.txt");
    std::fs::write(&path, "one\n").expect("write");
    let stream = files.stream("/pen/local/grow.txt", Origin::Start(0), true, Clock::system()).expect("stream");
    let (sender, mut receiver) = mpsc::channel(FRAMES_MAX);
    let scope = TaskScope::new();
    scope.spawn("stream", stream.run(sender));
    let mut next = async || loop {
        match receiver.recv().await {
            Some(Frame::Heartbeat) => {}
            other => return other,
        }
    };
    assert!(matches!(next().await, Some(Frame::Data { offset: 4, .. })));
    std::fs::write(&path, "").expect("truncate");
    assert!(matches!(next().await, Some(Frame::Event { event: "file truncated", .. })));
    std::fs::remove_file(&path).expect("remove");
    assert!(matches!(next().await, Some(Frame::Event { event: "file deleted", .. })));
    assert_eq!(next().await, None);
}
