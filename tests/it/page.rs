//! The page, as browsers, Prometheus and others see it.

#[path = "page/client.rs"]
pub mod client;
#[path = "page/editor.rs"]
mod editor;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common;
use crate::daemon::{Daemon, meter};
use crate::mosquitto::{free_port, wait_until};
use client::{connect, get, get_with, raw, watch};

/// A daemon with the synthetic meter and a page on a free port; `more` are further keys of `[page]`.
fn start(more: &str) -> (Daemon, SocketAddr) {
    let config = meter(free_port(), &format!("[page]\nenabled = true\nlisten = \"127.0.0.1:0\"\n{more}"));
    let daemon = Daemon::start(&config);
    let address = address(&daemon, 0);
    (daemon, address)
}

/// The address that the log names, leaving out those named `before`.
fn address(daemon: &Daemon, before: usize) -> SocketAddr {
    let named = || {
        let log = daemon.log();
        let rest = log.split("page: http://").nth(before + 1)?;
        rest.split('/').next()?.parse().ok()
    };
    wait_until("the page listens", || named().is_some());
    named().unwrap()
}

/// Waits until the pipeline has given results.
fn works(address: SocketAddr) {
    wait_until("results come", || inferences(address) > 0.0);
}

/// A metric of `/metrics`; 0 where it is not there.
fn metric(address: SocketAddr, name: &str) -> f64 {
    let text = get(address, "/metrics").text();
    let line = text.lines().find(|line| line.split(['{', ' ']).next() == Some(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

fn inferences(address: SocketAddr) -> f64 {
    metric(address, "leptond_pipeline_inferences_total")
}

/// JPEG pictures of a stream: from SOI to EOI, each with its length in its head.
fn jpegs(bytes: &[u8]) -> usize {
    let starts = bytes.windows(3).filter(|three| three == &[0xff, 0xd8, 0xff]).count();
    let ends = bytes.windows(2).filter(|two| two == &[0xff, 0xd9]).count();
    starts.min(ends)
}

#[test]
fn status_health_metrics_and_files_are_answered() {
    let (_daemon, address) = start("");
    works(address);
    let status = get(address, "/api/status").json();
    assert_eq!((&status["node"], &status["working"]), (&"test".into(), &true.into()), "{status}");
    assert_eq!(status["pipelines"][0]["pictures"], true);
    assert!(status["health"]["pipelines"]["meter"]["latency_ms"]["p50"].as_f64().is_some_and(|ms| ms > 0.0));
    assert_eq!(status["governor"]["mode"], "manual");
    let health = get(address, "/healthz");
    assert_eq!((health.status, health.text().as_str()), (200, "working\n"));
    let metrics = get(address, "/metrics");
    assert!(metrics.head.contains("content-type: application/openmetrics-text"), "{}", metrics.head);
    assert!(metrics.text().ends_with("# EOF\n"));
    wait_until("a reading", || metric(address, "leptond_pipeline_value") > 0.0);
    wait_until("a point of the charts", || {
        let history = get(address, "/api/history?series=meter/rung,meter/value&span=hours").json();
        history["series"]["meter/rung"]["values"] == serde_json::json!([0.0]) && history["every_s"] == 10
    });
    assert_eq!(get(address, "/api/history?span=years").status, 400);
    let page = get(address, "/");
    assert!(page.status == 200 && page.text().contains("<title>leptond</title>"));
    for line in
        ["content-security-policy: default-src 'self';", "x-content-type-options: nosniff", "frame-ancestors 'none'"]
    {
        assert!(page.head.contains(line), "{}", page.head);
    }
    for (path, kind) in [("/page.js", "text/javascript"), ("/page.css", "text/css"), ("/icon.svg", "image/svg+xml")] {
        assert!(get(address, path).head.contains(&format!("content-type: {kind}")), "{path}");
    }
    let models = get(address, "/api/models").json();
    let is_used =
        |model: &Value| model["name"] == "leptonnet-digits" && model["used_by"] == serde_json::json!(["meter"]);
    assert!(models["installed"]["models"].as_array().unwrap().iter().any(is_used), "{models}");
    wait_until("the cost of the model", || {
        let models = get(address, "/api/models").json();
        models["running"]["meter"]["rungs"][0]["infer_ms"].as_f64().is_some_and(|ms| ms > 0.0)
    });
    let log = get(address, "/api/log").json();
    assert!(log.as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains("page: http://")), "{log}");
    let support = get(address, "/api/support");
    assert!(support.head.contains("attachment; filename=\"leptond-support.json\""));
    assert_eq!(support.json()["config"]["node"]["name"], "test");
}

#[test]
fn pictures_and_results_come_while_somebody_looks_and_only_then() {
    let (_daemon, address) = start("");
    works(address);
    let before = inferences(address);
    wait_until("results that nobody looks at", || inferences(address) >= before + 5.0);
    assert_eq!(metric(address, "leptond_page_pictures_total"), 0.0, "nobody looked");
    let bytes = watch(address, "/live/meter.mjpg", |bytes| jpegs(bytes) >= 3);
    let text = String::from_utf8_lossy(&bytes).to_lowercase();
    assert!(text.contains("content-type: multipart/x-mixed-replace; boundary=picture"), "{}", &text[..300]);
    assert!(text.matches("--picture\r\ncontent-type: image/jpeg\r\ncontent-length: ").count() >= 3);
    let drawn = metric(address, "leptond_page_pictures_total");
    assert!(drawn >= 3.0 && metric(address, "leptond_page_draw_seconds_total") > 0.0);
    wait_until("the viewer's leave is seen", || metric(address, "leptond_page_viewers") == 0.0);
    let (drawn, before) = (metric(address, "leptond_page_pictures_total"), inferences(address));
    wait_until("further results", || inferences(address) >= before + 5.0);
    let since = metric(address, "leptond_page_pictures_total") - drawn;
    assert!(since <= 1.0, "nobody looks any more: {since} pictures beside the one that was being drawn");

    let heard = watch(address, "/api/events?live=meter", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        ["event: status\n", "event: result\n", "event: picture\n"].iter().all(|kind| text.matches(kind).count() >= 2)
    });
    let heard = String::from_utf8_lossy(&heard);
    let mut of_kind: Vec<&str> = heard.split("event: result\ndata: ").skip(1).collect();
    // The last one may be cut off.
    of_kind.pop();
    let results: Vec<Value> =
        of_kind.iter().map(|rest| serde_json::from_str(rest.lines().next().unwrap()).unwrap()).collect();
    assert!(results.iter().all(|result| result["pipeline"] == "meter" && result["words"].is_string()), "{results:?}");
    let one = get(address, "/live/meter.jpg");
    assert!(one.status == 200 && one.body.starts_with(&[0xff, 0xd8, 0xff]), "{}", one.head);
    wait_until("nobody looks", || metric(address, "leptond_page_viewers") == 0.0);
    for path in ["/live/nobody.mjpg", "/live/meter", "/live/meter.png", "/live/..%2fmeter.jpg"] {
        assert_eq!(get(address, path).status, 404, "{path}");
    }
}

#[test]
fn strange_requests_are_refused() {
    let (_daemon, address) = start("hosts = [\"camera.example.org\"]");
    for path in ["/../etc/passwd", "/..%2f..%2fetc/passwd", "/page.js/../../x", "/assets/", "/index.html", "//page.js"]
    {
        assert_eq!(get(address, path).status, 404, "{path}");
    }
    let hosted =
        |host: &str| raw(address, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).status;
    for host in ["localhost", "[::1]:80", "board.local", "camera.example.org:8099"] {
        assert_eq!(hosted(host), 200, "{host}");
    }
    for host in ["evil.example", "", "localhost.evil.example"] {
        assert_eq!(hosted(host), 403, "{host}");
    }
    assert_eq!(raw(address, "GET / HTTP/1.0\r\n\r\n").status, 403, "without a host");
    for lines in ["Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", "Origin: http://evil.example\r\n"] {
        let answer = get_with(address, "/api/status", lines);
        assert!(answer.status == 403 && answer.head.contains("cross-origin-resource-policy: same-origin"));
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let head = format!(
            "{method} /api/status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        assert_eq!(raw(address, &head).status, 405, "{method}");
    }
    let many = "x".repeat(1 << 20);
    let head = format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{many}", many.len());
    assert_eq!(raw(address, &head).status, 413);
    assert_eq!(get_with(address, "/", &format!("X-Large: {many}\r\n")).status, 431);
    let lines: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(get_with(address, "/", &lines).status, 431);
    assert_eq!(raw(address, "GARBAGE\r\n\r\n").status, 400);
    wait_until("it goes on", || get(address, "/healthz").status == 200);
}

#[test]
fn everything_needs_the_password_where_there_is_one() {
    let config =
        meter(free_port(), "[page]\nenabled = true\nlisten = \"0.0.0.0:0\"\npassword_file = \"{dir}/page-password\"\n");
    let fill = |dir: &std::path::Path| std::fs::write(dir.join("page-password"), "correct horse\n").unwrap();
    let daemon = Daemon::start_with(&config, fill, |_| {});
    let address = SocketAddr::from(([127, 0, 0, 1], address(&daemon, 0).port()));
    // "me:correct horse", "me:wrong".
    let (right, wrong) = ("Authorization: Basic bWU6Y29ycmVjdCBob3JzZQ==\r\n", "Authorization: Basic bWU6d3Jvbmc=\r\n");
    for path in ["/", "/page.js", "/api/status", "/healthz", "/metrics", "/live/meter.mjpg", "/api/events", "/nothing"]
    {
        let answer = get(address, path);
        assert!(answer.status == 401 && answer.head.contains("www-authenticate: basic realm=\"leptond\""), "{path}");
        assert!(!answer.text().contains("leptond_"), "{path}");
    }
    wait_until("it works", || get_with(address, "/healthz", right).status == 200);
    let config = get_with(address, "/api/config", right).text() + &get_with(address, "/api/support", right).text();
    assert!(!config.contains("correct horse") && config.contains("page-password"), "{config}");
    let answers: Vec<u16> = (0..12).map(|_| get_with(address, "/", wrong).status).collect();
    assert_eq!((answers[0], answers[11]), (401, 429), "{answers:?}");
    assert_eq!(get_with(address, "/", right).status, 429, "this address waits, whatever it says");
    assert!(!daemon.log().contains("correct horse"));
}

#[test]
fn an_open_page_is_a_mistake_and_a_missing_password_opens_none() {
    let config = meter(free_port(), "[page]\nenabled = true\nlisten = \"0.0.0.0:0\"\n");
    let mut daemon = Daemon::start(&config);
    assert_eq!(daemon.wait().0.code(), Some(78));
    assert!(daemon.log().contains("asks for no password"), "{}", daemon.log());
    let config = config.replace("[page]\n", "[page]\npassword_file = \"{dir}/absent\"\n");
    let daemon = Daemon::start(&config);
    daemon.wait_log("the page cannot be served now");
    daemon.wait_log("capturing");
    assert!(!daemon.log().contains("page: http://"));
}

#[test]
fn a_reload_turns_it_on_off_and_elsewhere() {
    let plain = meter(free_port(), "");
    let with = |more: &str| plain.replace("[governor]", &format!("[page]\nenabled = true\n{more}\n[governor]"));
    let port = free_port();
    let daemon = Daemon::start(&plain);
    daemon.wait_log("capturing");
    let reload = |config: &str, times: usize| {
        daemon.replace_config(config);
        daemon.signal("HUP");
        wait_until("it applies", || daemon.log().matches("the new configuration applies").count() >= times);
    };
    reload(&with("listen = \"127.0.0.1:0\""), 1);
    let first = address(&daemon, 0);
    works(first);
    reload(&with(&format!("listen = \"127.0.0.1:{port}\"")), 2);
    let second = address(&daemon, 1);
    assert_eq!(second.port(), port);
    wait_until("the old port is free", || std::net::TcpStream::connect(first).is_err());
    reload(&with(&format!("listen = \"127.0.0.1:{port}\"\npassword = \"correct horse\"")), 3);
    assert_eq!(get(address(&daemon, 2), "/").status, 401, "the same port, with a password");
    reload(&plain, 4);
    wait_until("it is gone", || std::net::TcpStream::connect(second).is_err() && !daemon.has_thread("leptond-page"));
}

#[test]
fn a_taken_port_holds_nothing_up() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let daemon = Daemon::start(&meter(free_port(), &format!("[page]\nenabled = true\nlisten = \"{address}\"\n")));
    daemon.wait_log("the page cannot be served now");
    daemon.wait_log(&format!("cannot listen on {address}"));
    drop(taken);
    wait_until("it is served once the port is free", || daemon.log().contains("page: http://"));
    works(address);
}

/// Clients that take nothing, or say nothing, cost a pipeline nothing and are got rid of.
#[test]
fn a_hundred_slow_clients_cost_a_pipeline_nothing() {
    let (daemon, address) = start("");
    works(address);
    let rate = || {
        let (begun, before) = (Instant::now(), inferences(address));
        std::thread::sleep(common::patiently(Duration::from_secs(3)));
        (inferences(address) - before) / begun.elapsed().as_secs_f64()
    };
    let alone = rate();
    let mut slow = Vec::new();
    for n in 0..100 {
        let mut stream = connect(address);
        use std::io::Write;
        // Some ask for pictures and take none of them, some begin to ask and never end.
        let head = if n % 2 == 0 {
            "GET /live/meter.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n"
        } else {
            "GET /live/meter.mjpg HT"
        };
        let _ = stream.write_all(head.as_bytes());
        slow.push(stream);
    }
    wait_until("there is room again", || get(address, "/metrics").status == 200);
    assert!(metric(address, "leptond_page_refused_connections_total") >= 30.0);
    // Other tests want the processor, too: a pipeline that these clients hold up never comes to its rate while they are there.
    let rounds = std::iter::repeat_with(|| (rate(), metric(address, "leptond_page_viewers"))).take(6);
    let beside = rounds.take_while(|(_, viewers)| *viewers > 0.0).map(|(rate, _)| rate).fold(0.0, f64::max);
    let rss = daemon.rss_bytes();
    assert!(beside > 0.75 * alone, "{beside} results a second beside slow clients, {alone} alone");
    assert_eq!(get(address, "/healthz").status, 200);
    wait_until("they are got rid of", || metric(address, "leptond_page_viewers") == 0.0);
    println!("{alone:.1} results a second alone, {beside:.1} beside 100 slow clients, {:.1} MB", rss as f64 / 1e6);
}
