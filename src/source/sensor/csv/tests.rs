use super::*;
use crate::source::sensor::channels::Chooser;

/// Rows, or what is wrong, of lines as a stream gives them (`survey` = as a plain file) under `wanted` channels.
fn rows(settings: Settings, survey: bool, wanted: &[&str], text: &str) -> Vec<String> {
    let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut csv = Csv::new(settings);
    let mut chooser = Chooser::new(&wanted, &[]);
    if survey {
        csv.survey(&lines);
        let mut ahead = csv.clone();
        lines.iter().filter_map(|line| ahead.read(line).ok().flatten()).for_each(|values| chooser.learn(&values));
    }
    let mut found = Vec::new();
    for line in &lines {
        match csv.read(line) {
            Ok(None) => {}
            Ok(Some(values)) => match chooser.choose(&values).map(<[f32]>::to_vec) {
                Ok(row) => found.push(format!("{} {row:?}", chooser.channels().join(","))),
                Err(fault) => found.push(fault.into_reason()),
            },
            Err(reason) => found.push(reason),
        }
    }
    found
}

/// As a plain file and as a stream alike.
#[track_caller]
fn check(wanted: &[&str], text: &str, expected: &[&str]) {
    for survey in [true, false] {
        assert_eq!(rows(Settings::default(), survey, wanted, text), expected, "{text:?}, survey {survey}");
    }
}

/// One line of the outcome that holds all of `parts`, and no row in any of them.
#[track_caller]
fn refused(wanted: &[&str], text: &str, parts: &[&str]) {
    for survey in [true, false] {
        let found = rows(Settings::default(), survey, wanted, text);
        assert!(!found.is_empty() && found.iter().all(|line| !line.ends_with(']')), "{text:?}: {found:?}");
        for part in parts {
            assert!(found.iter().any(|line| line.contains(part)), "{text:?}: {part:?} is not in {found:?}");
        }
    }
}

#[test]
fn two_columns_of_one_name_are_refused_where_they_matter() {
    for text in [
        "time,temp,temp\n12:00,1,2",
        "temp,temp\n1,2",
        "time,temp, temp \n12:00,1,2",
        "\"temp\",temp\n1,2",
        "time;temp;x;temp\n12:00;1;2;3",
        "5V,time,5V\n1,12:00,2",
    ] {
        refused(&[], text, &["two values of one name", "column"]);
    }
    refused(
        &["temp"],
        "time,temp,temp\n12:00,1,2",
        &["channel \"temp\" could be \"temp\" (column 2) or \"temp\" (column 3)"],
    );
    check(&["b"], "a,a,b\n1,2,3", &["b [3.0]"]);
    check(&["#3", "#2"], "time,temp,temp\n12:00,1,2", &["#3,#2 [2.0, 1.0]"]);
}

#[test]
fn columns_without_a_name_are_refused_when_they_hold_numbers() {
    refused(&[], "time,,\n12:00,1,2", &["3 fields, and the header has 1"]);
    refused(&[], "time,,b\n12:00,1,2", &["\"\" (column 2) has numbers and no name"]);
    refused(&[], ",temp\n0,21.5", &["\"\" (column 1) has numbers and no name"]);
    check(&["temp"], ",temp\n0,21.5", &["temp [21.5]"]);
    check(&[], "time,a,\n12:00,1,\n12:01,2,", &["a [1.0]", "a [2.0]"]);
    check(&[], "time,a\n12:00,1,\n12:01,2", &["a [1.0]", "a [2.0]"]);
}

#[test]
fn the_header_decides_the_columns_not_the_first_row() {
    for dash in ["---", "", "NaN", "n/a", "null", "unknown", "-", "None"] {
        let text = format!("time,a,b\n12:00,{dash},2\n12:01,3,4\n12:02,5,6");
        check(&[], &text, &["a,b [NaN, 2.0]", "a,b [3.0, 4.0]", "a,b [5.0, 6.0]"]);
    }
    let warm = "time,a,b\n12:00,WARMUP,2\n12:01,3,4";
    let not = "channel \"a\": \"WARMUP\" is not a number";
    assert_eq!(rows(Settings::default(), true, &[], warm), [not, "a,b [3.0, 4.0]"]);
    // A stream cannot look ahead: what was text is not taken for a number later.
    assert_eq!(
        rows(Settings::default(), false, &[], warm),
        ["b [2.0]", "\"a\" (column 2) was no number before and is one now; `channels` says whether it is wanted"]
    );
    check(&["a", "b"], warm, &[not, "a,b [3.0, 4.0]"]);
    // A line of units below the header, and one that says nothing.
    let units = "time;Temp;RH\n;°C;%\n12:00;1;2";
    let degrees = "channel \"Temp\": \"°C\" is not a number";
    assert_eq!(rows(Settings::default(), true, &[], units), [degrees, "Temp,RH [1.0, 2.0]"]);
    assert_eq!(rows(Settings::default(), false, &[], units), ["no number in it", "Temp,RH [1.0, 2.0]"]);
    let empty = "time,a,b\n12:00,,\n12:01,1,2";
    assert_eq!(rows(Settings::default(), true, &[], empty), ["a,b [NaN, NaN]", "a,b [1.0, 2.0]"]);
    assert_eq!(rows(Settings::default(), false, &[], empty), ["no number in it", "a,b [1.0, 2.0]"]);
    check(
        &[],
        "time,a,b\n12:00,21.5 °C,2",
        &["channel \"a\": \"21.5 °C\" is not a number (a unit belongs into the name)"],
    );
}

#[test]
fn a_file_without_header_is_seen_or_refused() {
    check(
        &[],
        "2024-01-01 12:00:00,21.5,40\n2024-01-01 12:01:00,21.6,41",
        &["#2,#3 [21.5, 40.0]", "#2,#3 [21.6, 41.0]"],
    );
    check(&[], "1,2\n3,4", &["#1,#2 [1.0, 2.0]", "#1,#2 [3.0, 4.0]"]);
    check(&[], "12:00;---;2\n12:01;3;4", &["#2,#3 [NaN, 2.0]", "#2,#3 [3.0, 4.0]"]);
    refused(&["a", "b"], "12:00,1,2\n12:01,3,4", &["the first line has no names, and a, b are wanted"]);
    check(&["#3"], "12:00,1,2", &["#3 [2.0]"]);
    refused(&[], "pump1,1,2\npump2,3,4", &["whether the first line", "cannot be told", "header = "]);
    // Names may be or begin with numbers.
    check(&[], "time,5V,3V3\n12:00,1,2", &["5V,3V3 [1.0, 2.0]"]);
    check(&[], "time,450,550\n12:00,1,2", &["450,550 [1.0, 2.0]"]);
    let settings = Settings { header: Header::Absent, ..Settings::default() };
    let text = "pump1,1,2\npump2,3,4";
    assert_eq!(rows(settings, true, &["a", "b"], text), ["a,b [1.0, 2.0]", "a,b [3.0, 4.0]"]);
    assert_eq!(rows(settings, true, &[], text), ["#2,#3 [1.0, 2.0]", "#2,#3 [3.0, 4.0]"]);
    let found = rows(settings, true, &["a"], text);
    assert_eq!(found[0], "2 columns of numbers (#2, #3), where 1 are wanted: a");
    let settings = Settings { header: Header::Present, ..Settings::default() };
    assert_eq!(rows(settings, true, &[], "1,2\n3,4"), ["1,2 [3.0, 4.0]"]);
}

#[test]
fn a_decimal_comma_is_seen_where_it_has_one_meaning() {
    check(&[], "Zeit;Temp;RH\n12:00;21,5;40,2\n12:01;22;41,25", &["Temp,RH [21.5, 40.2]", "Temp,RH [22.0, 41.25]"]);
    check(&[], "t\tx\n1,5\t-0,25", &["t,x [1.5, -0.25]"]);
    check(&[], "t;x\n1.5;2", &["t,x [1.5, 2.0]"]);
    check(&[], "time,temp\n12:00,\"21,5\"", &["temp [21.5]"]);
    check(&[], "12:00;21,5;40,2\n12:01;21,6;40,3", &["#2,#3 [21.5, 40.2]", "#2,#3 [21.6, 40.3]"]);
    check(&[], "sep=;\nt;x\n1,5;2", &["t,x [1.5, 2.0]"]);
    refused(&[], "t;x\n1.234;5", &["\"1.234\" may have decimals or thousands; decimal = "]);
    refused(&[], "t\tx\n1,234\t5", &["\"1,234\" may have decimals or thousands"]);
    refused(&[], "t,x\n\"1,234\",5", &["\"1,234\" may have decimals or thousands"]);
    refused(&[], "t;x\n1.5;2,5", &["\"1.5\" has a decimal point and \"2,5\" a decimal comma"]);
    for grouped in ["1.234,56", "1,234.56", "1.234.567", "1 234,5", "1'234.5"] {
        for decimal in [Decimal::Auto, Decimal::Point, Decimal::Comma] {
            let settings = Settings { decimal, ..Settings::default() };
            let found = rows(settings, true, &[], &format!("t;x\n{grouped};5"));
            assert!(found.iter().all(|line| line.contains("is not a number")), "{grouped} {decimal:?}: {found:?}");
        }
    }
    // Later lines of a plain file show what the first ones mean; in a stream, those are refused.
    let text = "t;x\n1.234;5\n2.345;6,5";
    let dots = "channel \"t\": \"1.234\" is not a number (a decimal point, or thousands?)";
    assert_eq!(rows(Settings::default(), true, &[], text)[0], dots);
    assert!(rows(Settings::default(), false, &[], text)[0].contains("may have decimals or thousands"));
    let settings = Settings { decimal: Decimal::Point, ..Settings::default() };
    assert_eq!(rows(settings, false, &[], "t;x\n1.234;5"), ["t,x [1.234, 5.0]"]);
    check(&[], "t,x\n1.234,5", &["t,x [1.234, 5.0]"]);
    check(
        &[],
        "t,x\n1.5,\"2,5\"",
        &["\"1.5\" has a decimal point and \"2,5\" a decimal comma; decimal = \"point\" or \"comma\" says which it is"],
    );
}

#[test]
fn unquoted_decimal_commas_between_commas_do_not_shift_columns() {
    refused(&[], "time,temp\n12:00,21,5", &["3 fields, and the header has 2"]);
    refused(&["RH"], "time,temp,RH\n12:00,21,5,40,2", &["5 fields, and the header has 3"]);
    refused(&[], "temp\n21,5", &["2 fields, and the header has 1"]);
}

#[test]
fn the_delimiter_is_the_one_that_fits_most_lines() {
    let both = rows(Settings::default(), true, &[], "Temp, innen;RH\n1;2\n3;4");
    assert_eq!(both, ["Temp, innen,RH [1.0, 2.0]", "Temp, innen,RH [3.0, 4.0]"]);
    let both = rows(Settings::default(), true, &[], "time,Temp;innen,RH\n12:00,1,2\n12:01,3,4");
    assert_eq!(both, ["Temp;innen,RH [1.0, 2.0]", "Temp;innen,RH [3.0, 4.0]"]);
    // A stream that is split wrongly gives no values.
    refused_in_stream("time,Temp;innen,RH\n12:00,1,2", "1 fields, and the header has 2");
    let settings = Settings { delimiter: Delimiter::Comma, ..Settings::default() };
    assert_eq!(rows(settings, false, &[], "Temp;innen,RH\n1,2"), ["Temp;innen,RH [1.0, 2.0]"]);
}

#[track_caller]
fn refused_in_stream(text: &str, reason: &str) {
    assert_eq!(rows(Settings::default(), false, &[], text), [reason]);
}

#[test]
fn ragged_lines_are_refused_not_shifted() {
    check(
        &[],
        "time,a,b\n12:00,1\n12:01,1,2,3\n12:02,1,2,\n12:03,4,5",
        &["2 fields, and the header has 3", "4 fields, and the header has 3", "a,b [1.0, 2.0]", "a,b [4.0, 5.0]"],
    );
}

#[test]
fn another_header_is_another_table() {
    check(&[], "time,a,b\n12:00,1,2\ntime,a,b\n12:01,3,4", &["a,b [1.0, 2.0]", "a,b [3.0, 4.0]"]);
    check(&[], "time,a,b\n12:00,1,2\ntime,b,a\n12:01,3,4", &["a,b [1.0, 2.0]", "a,b [4.0, 3.0]"]);
    check(&[], "time,450,550\n12:00,1,2\ntime,450,550\n12:01,3,4", &["450,550 [1.0, 2.0]", "450,550 [3.0, 4.0]"]);
    check(&[], "time,a,b\n12:00,1,2\ntime,c,a,b\n12:01,3,4,5", &["a,b [1.0, 2.0]", "a,b [4.0, 5.0]"]);
    let neither = "neither a reading nor the known header";
    let none = "none of a, b among its values: x, y";
    let found = rows(Settings::default(), true, &[], "a,b\n1,2\nx,y\n3,4\na,b\n5,6");
    assert_eq!(found, ["a,b [1.0, 2.0]", neither, none, neither, "a,b [5.0, 6.0]"]);
    // What is no header leaves the columns as they are.
    check(&[], "a\n1\nERROR\n2", &["a [1.0]", "channel \"a\": \"ERROR\" is not a number", "a [2.0]"]);
    check(&["a"], "a,b\n1,2\nsensor restarted\n3,4", &["a [1.0]", "1 fields, and the header has 2", "a [3.0]"]);
    check(
        &["temp"],
        "room,state,temp\nkitchen,OK,20\nbath,OK,WARMUP\nbath,OK,21",
        &["temp [20.0]", "channel \"temp\": \"WARMUP\" is not a number", "temp [21.0]"],
    );
}

#[test]
fn quotes_and_what_is_within_them() {
    check(
        &["a", "n"],
        "n,a\n\"1\"\"\",2\n\"3\",4",
        &["channel \"n\": \"1\\\"\" is not a number (a unit belongs into the name)", "a,n [4.0, 3.0]"],
    );
    check(&["a"], "n,a\nx\"y,2", &["a [2.0]"]);
    check(&["a"], "n,a\n\"x\"y,2\n\"x\" ,3", &["text behind a closing quote", "text behind a closing quote"]);
    // The lines of a quoted field are no readings, whatever they look like.
    check(
        &["a"],
        "n,a\n\"note\n1,5\nend\",2\nx,3",
        &[
            "a quote that does not end on its line",
            "within a quoted field that began 1 lines before",
            "within a quoted field that began 2 lines before",
            "a [3.0]",
        ],
    );
    // One that never ends was none.
    let many = "\n1,2".repeat(20);
    let found = rows(Settings::default(), false, &["a"], &format!("n,a\n\"x,2{many}"));
    assert_eq!(found.iter().filter(|line| line.ends_with(']')).count(), 4, "{found:?}");
}

#[test]
fn nul_bytes_and_encodings() {
    refused(&[], "a,b\n1\0,2", &["NUL"]);
    assert_eq!(decode(b"Temperatur \xb0C"), "Temperatur °C");
    assert_eq!(decode("Temperatur °C".as_bytes()), "Temperatur °C");
    assert_eq!(decode(b"\x80\x96\xff\x81"), "€–ÿ\u{81}");
}
