//! Samples of MLPerf Tiny's as the tables that `leptond infer` reads.

/// A sample of MLPerf Tiny's, int8 `[49, 10]`, as the readings that it was quantised from.
pub fn keyword(sample: &[u8]) -> String {
    let mut text = (0..10).map(|i| format!("mfcc_{i}")).collect::<Vec<_>>().join(",");
    for row in sample.chunks(10) {
        let values = row.iter().map(|b| ((f32::from(*b as i8) - 83.0) * 0.584_702_9).to_string());
        text.push('\n');
        text.push_str(&values.collect::<Vec<_>>().join(","));
    }
    text + "\n"
}

/// The first window of log-mel values, f32 `[5, 128]`.
pub fn hum(samples: &[u8]) -> String {
    let values: Vec<f32> = samples.chunks(4).take(640).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let mut text = (0..128).map(|i| format!("mel_{i}")).collect::<Vec<_>>().join(",");
    for row in values.chunks(128) {
        text.push('\n');
        text.push_str(&row.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
    }
    text + "\n"
}
