use super::super::json;
use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Rows, or what is wrong, of JSON texts under `configured` channels and those that a model names.
#[track_caller]
fn check_for(configured: &[&str], model: &[&str], texts: &[&str], expected: &[&str]) {
    let mut chooser = Chooser::new(&names(configured), &names(model));
    let found: Vec<String> = texts
        .iter()
        .map(|text| match json::read(text.as_bytes()).map(|values| chooser.choose(&values).map(<[f32]>::to_vec)) {
            Ok(Ok(row)) => format!("{row:?}"),
            Ok(Err(fault)) => fault.into_reason(),
            Err(reason) => reason,
        })
        .collect();
    assert_eq!(found, expected, "{texts:?}");
}

#[track_caller]
fn check(configured: &[&str], texts: &[&str], expected: &[&str]) {
    check_for(configured, &[], texts, expected);
}

#[test]
fn objects_arrays_and_numbers() {
    check(&[], &[r#"{"b":1,"a":"2.5","t":"12:00","on":true,"x":null}"#], &["[1.0, 2.5, 1.0, NaN]"]);
    check(
        &[],
        &[r#"{"b":1,"a":2}"#, r#"{"a":3,"b":4,"c":5}"#, r#"{"b":6}"#],
        &["[1.0, 2.0]", "[4.0, 3.0]", "[6.0, NaN]"],
    );
    check(&["a"], &[r#"{"b":1,"a":2}"#], &["[2.0]"]);
    check(&[], &["[1, \"2\", null]", " [3,4,5] "], &["[1.0, 2.0, NaN]", "[3.0, 4.0, 5.0]"]);
    check(&[], &["21.5", "\"22\"", "-3", "true", "4e2"], &["[21.5]", "[22.0]", "[-3.0]", "[1.0]", "[400.0]"]);
    check(&["x"], &["18446744073709551616"], &["[1.8446744e19]"]);
}

#[test]
fn faults_say_what_is_wrong() {
    check(&["a"], &[r#"{"b":1,"c":2}"#], &["none of a among its values: b, c"]);
    check(
        &["a"],
        &[r#"{"a":"warm"}"#, r#"{"a":[1]}"#, r#"{"a":{}}"#, r#"{"a":"21,5"}"#],
        &[
            "channel \"a\": \"warm\" is not a number",
            "channel \"a\": \"an array\" is not a number",
            "channel \"a\": \"an object\" is not a number",
            "channel \"a\": \"21,5\" is not a number (a decimal comma, or thousands?)",
        ],
    );
    check(&[], &["{}", "[]", r#"{"t":"noon"}"#], &["no number in it", "no number in it", "no number in it"]);
    check(&["a", "b"], &["[1]"], &["1 values, where 2 are wanted: a, b"]);
    check(
        &["a"],
        &["1e39", "\"inf\""],
        &["channel \"a\": \"1e39\" is not a number in single precision", "channel \"a\": \"inf\" is not a number"],
    );
}

const TASMOTA: &str = r#"{"Time":"2024-07-27T10:51:55","ENERGY":{"Total":79.788,"Power":143,"Voltage":230}}"#;

#[test]
fn nested_values_are_taken_by_their_paths() {
    check(&["ENERGY.Power", "ENERGY.Voltage"], &[TASMOTA], &["[143.0, 230.0]"]);
    check(&[], &[TASMOTA], &["[79.788, 143.0, 230.0]"]);
    check(
        &["Power"],
        &[TASMOTA],
        &["none of Power among its values: Time, ENERGY.Total, ENERGY.Power, ENERGY.Voltage"],
    );
    let phases = r#"{"phases":[{"volts":230},{"volts":231}],"list":[1,[2,3]]}"#;
    check(&["phases[1].volts", "phases.0.volts", "list[1][0]"], &[phases], &["[231.0, 230.0, 2.0]"]);
    check(&["ENERGY"], &[TASMOTA], &["channel \"ENERGY\": \"an object\" is not a number"]);
}

#[test]
fn a_key_with_a_dot_is_no_path_and_two_that_look_alike_are_refused() {
    let literal = r#"{"a.b":1}"#;
    let both = r#"{"a.b":1,"a":{"b":2}}"#;
    check(&["a.b"], &[literal], &["[1.0]"]);
    check(&["a\\.b"], &[both], &["[1.0]"]);
    check(&["a.b"], &[both], &["channel \"a.b\" could be a\\.b or a.b"]);
    check(&[], &[both], &["two values of one name: a\\.b and a.b"]);
    // Once it was the one, it is not the other.
    check(
        &["a.b", "c"],
        &[r#"{"a.b":1,"c":5}"#, r#"{"a":{"b":2},"c":6}"#, both],
        &["[1.0, 5.0]", "[NaN, 6.0]", "channel \"a.b\" could be a\\.b or a.b"],
    );
}

#[test]
fn a_model_s_name_is_the_last_key_of_one_path() {
    check_for(&[], &["Power", "Voltage"], &[TASMOTA], &["[143.0, 230.0]"]);
    check_for(&["ENERGY.Power", "ENERGY.Voltage"], &["Voltage", "Power"], &[TASMOTA], &["[143.0, 230.0]"]);
    let two = r#"{"in":{"temp":1},"out":{"temp":2}}"#;
    check_for(&[], &["temp"], &[two], &["channel \"temp\" could be in.temp or out.temp"]);
    check_for(&[], &["temp"], &[r#"{"temp":3,"out":{"temp":2}}"#], &["[3.0]"]);
    check_for(&[], &["temp"], &[r#"{"temp":{"temp":4}}"#], &["[4.0]"]);
    // The sensor that was found first is not replaced by another one, nor does it stay if it can be doubted.
    check_for(
        &[],
        &["temp", "x"],
        &[r#"{"in":{"temp":1},"x":0}"#, r#"{"out":{"temp":2},"x":0}"#, r#"{"out":{"temp":2},"in":{"temp":3},"x":0}"#],
        &["[1.0, 0.0]", "[NaN, 0.0]", "channel \"temp\" could be in.temp or out.temp"],
    );
    let mut chooser = Chooser::new(&names(&["x", "ENERGY.Power"]), &names(&["Power"]));
    assert_eq!(**chooser.channels(), ["x", "Power"]);
    let values = json::read(br#"{"x":1,"ENERGY":{"Power":2}}"#).unwrap();
    assert_eq!(chooser.choose(&values).unwrap(), [1.0, 2.0]);
}

#[test]
fn names_of_a_model_among_configured_paths() {
    let matched = |model: &[&str], given: &[&str]| match_names(&names(model), &names(given));
    assert_eq!(matched(&["b", "a"], &["a", "x", "b"]), Ok(vec![2, 0]));
    assert_eq!(matched(&["Power"], &["ENERGY.Power"]), Ok(vec![0]));
    assert_eq!(matched(&["b"], &["a.b", "b"]), Ok(vec![1]));
    assert_eq!(matched(&["a.b"], &["x.a\\.b"]), Ok(vec![0]));
    assert_eq!(matched(&["b"], &["a.b", "c.b"]), Err(names(&["b"])));
    assert_eq!(matched(&["a", "b"], &["a"]), Err(names(&["b"])));
}

#[test]
fn values_without_names_are_no_model_s_channels() {
    check_for(
        &[],
        &["a", "b"],
        &["[1,2]"],
        &["values without names, where a, b are wanted; `channels` says which they are"],
    );
    check_for(&["b", "a"], &["a", "b"], &["[1,2]"], &["[1.0, 2.0]"]);
    check(
        &[],
        &[r#"{"t":1}"#, "[2]", "3"],
        &[
            "[1.0]",
            "values without names, where t are wanted; `channels` says which they are",
            "values without names, where t are wanted; `channels` says which they are",
        ],
    );
    check(&[], &["[1]", r#"{"t":1}"#], &["[1.0]", "values with names, where a list of 1 was read before"]);
}

#[test]
fn times_and_texts_are_no_channels() {
    check(&[], &[r#"{"ts":1722077515,"time":"12:00","temp":21.5,"state":"ok"}"#], &["[21.5]"]);
    check(&["ts"], &[r#"{"ts":5,"temp":21.5}"#], &["[5.0]"]);
    check(
        &[],
        &[r#"{"a":1,"state":"ok"}"#, r#"{"a":2,"state":3}"#, r#"{"a":4,"state":"off"}"#],
        &["[1.0]", "state was no number before and is one now; `channels` says whether it is wanted", "[4.0]"],
    );
}

#[test]
fn a_reading_without_any_number_decides_nothing() {
    check(
        &[],
        &[r#"{"a":null,"b":null}"#, r#"{"a":null,"b":2}"#, r#"{"a":3,"b":4}"#],
        &["no number in it", "[NaN, 2.0]", "[3.0, 4.0]"],
    );
}
