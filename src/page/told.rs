//! News as text of an event stream (`text/event-stream`).

use serde_json::{Value, json};

use super::feed::{Cost, Feed, News, Seen};
use super::health;
use crate::frame::{PipelineName, rfc3339};

/// A result that is longer is told in words only: masks and maps are on the picture.
const MOST_BYTES: usize = 16 << 10;

/// News since `seen`; empty where there are none.
pub fn news(feed: &Feed, seen: &mut Seen) -> String {
    let mut text = String::new();
    let News { status, results, events } = feed.news(seen);
    let backend = feed.backend();
    if status.is_some() {
        event(&mut text, "status", &self::status(feed));
    }
    for (number, output) in results {
        let mut value = backend.result(&output);
        let is_long = value.to_string().len() > MOST_BYTES;
        if let Some(object) = value.as_object_mut() {
            if is_long {
                object.retain(|key, _| matches!(key.as_str(), "seq" | "time" | "task" | "words" | "infer_ms" | "rung"));
            }
            object.insert("pipeline".into(), output.pipeline.as_str().into());
            object.insert("results".into(), number.into());
        }
        event(&mut text, "result", &value);
    }
    for told in events {
        let mut value = backend.event(&told.pipeline, &told.event);
        if let Some(object) = value.as_object_mut() {
            object.insert("pipeline".into(), told.pipeline.as_str().into());
            object.insert("number".into(), told.number.into());
            object.insert("time".into(), rfc3339(told.time).into());
        }
        event(&mut text, "event", &value);
    }
    text
}

/// A picture that was drawn.
pub fn picture(pipeline: &str, number: u64) -> String {
    let mut text = String::new();
    event(&mut text, "picture", &json!({ "pipeline": pipeline, "number": number }));
    text
}

/// The status with what the page adds to it: the pipelines with pictures, whether it works, and the cost of looking.
pub fn status(feed: &Feed) -> Value {
    let now = std::time::Instant::now();
    let status = feed.status();
    let faults = health::faults(status.as_ref().map(|(status, _)| &**status), feed.stopped(), now);
    let Cost { viewers, listeners, pictures, draw, refused } = feed.cost();
    let page = json!({
        "viewers": viewers, "listeners": listeners, "pictures": pictures, "draw_ms": draw.as_secs_f64() * 1e3,
        "refused_connections": refused,
    });
    let Some((status, fps)) = status else {
        return json!({ "working": false, "faults": faults, "page": page });
    };
    let mut value = feed.backend().status(&status, &fps);
    let pictures = |name: &PipelineName| feed.backend().layout(name).is_some_and(|layout| layout.pictures);
    let pipelines: Vec<Value> =
        status.pipelines.iter().map(|p| json!({ "name": p.name.as_str(), "pictures": pictures(&p.name) })).collect();
    if let Some(object) = value.as_object_mut() {
        object.insert("node".into(), status.node.name.as_str().into());
        object.insert("working".into(), faults.is_empty().into());
        object.insert("faults".into(), faults.into());
        object.insert("pipelines".into(), pipelines.into());
        object.insert("page".into(), page);
    }
    value
}

fn event(text: &mut String, name: &str, value: &Value) {
    for part in ["event: ", name, "\ndata: ", &value.to_string(), "\n\n"] {
        text.push_str(part);
    }
}
