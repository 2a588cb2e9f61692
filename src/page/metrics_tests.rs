//! Tests of the format that Prometheus reads.

use std::time::Instant;

use super::*;
use crate::page::testing::{name, status};

#[test]
fn every_line_is_a_metric_of_the_format() {
    let status = status(7, Instant::now());
    let numbers = BTreeMap::from([(name("meter"), 42.5)]);
    let text = text(Snapshot { status: Some(status), numbers, cost: Cost::default() });
    for line in [
        "leptond_pipeline_inferences_total{pipeline=\"meter\"} 7.0",
        "leptond_soc_celsius 61.5",
        "leptond_forecast_celsius{horizon=\"steady\"} 70.0",
        "leptond_pipeline_latency_seconds{pipeline=\"meter\",quantile=\"0.95\"} 0.02",
        "leptond_pipeline_steps_total{pipeline=\"meter\",direction=\"down\"} 2.0",
        "leptond_pipeline_value{pipeline=\"meter\"} 42.5",
        "leptond_build_info{node=\"attic\",version=\"0.1.0\",board=\"a \\\"board\\\"\"} 1.0",
        "# TYPE leptond_page_draw_seconds counter",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let mut typed = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["#", "TYPE", name, kind] => {
                assert!(matches!(kind, "counter" | "gauge") && !typed.contains(&name), "{line}");
                typed.push(name);
            }
            ["#", "HELP", name, ..] => assert!(!typed.contains(&name), "{line}"),
            ["#", "EOF"] => {}
            _ => {
                let (point, value) = line.rsplit_once(' ').unwrap();
                let of = point.split('{').next().unwrap();
                assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
                assert!(typed.last().is_some_and(|name| of.strip_suffix("_total").unwrap_or(of) == *name), "{line}");
            }
        }
    }
    assert!(!text.contains("under_voltage"), "what the board cannot tell is left out");
}

#[test]
fn before_the_first_status_there_are_the_page_s_own() {
    let text = text(Snapshot { status: None, numbers: BTreeMap::new(), cost: Cost::default() });
    assert!(text.contains("leptond_page_viewers 0.0\n") && text.ends_with("# EOF\n"), "{text}");
}
