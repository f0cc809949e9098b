use std::path::PathBuf;

use super::{Args, Output, in_words, read_all};
use crate::platform::Platforms;

const FRR: &str = "FRRouting 8.4.4 (rr-1) on Linux(6.1.0).\nconfigured with:\n";

fn output_of(platform: &str, output: Output, files: &[&str], stdin: &str) -> anyhow::Result<(bool, String)> {
    let args = Args {
        platform: platform.to_owned(),
        output,
        profiles: None,
        files: files.iter().map(PathBuf::from).collect(),
    };
    let mut out = Vec::new();
    let all_read = read_all(&args, &Platforms::builtin(), &mut stdin.as_bytes(), &mut out)?;
    Ok((all_read, String::from_utf8(out)?))
}

#[test]
fn stdin_becomes_one_json_object() {
    let (all_read, printed) = output_of("auto", Output::Json, &[], FRR).unwrap();
    assert!(all_read);
    let expected = concat!(
        r#"{"file":"-","platform":"frr","version":"8.4.4","model":null,"serial":null,"hostname":"rr-1","#,
        r#""image":null,"uptime_seconds":null,"members":[],"patches":[],"next_boot":null,"vendor":"FRRouting","os":"FRR","cpe":null,"purl":"pkg:generic/frr@8.4.4","pattern":"banner-line"}"#,
        "\n"
    );
    assert_eq!(printed, expected);
}

#[test]
fn a_file_that_fails_does_not_stop_the_others() {
    let (all_read, printed) = output_of("frr", Output::Json, &["/nonexistent/file", "-"], FRR).unwrap();
    assert!(!all_read);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(r#"{"file":"/nonexistent/file","error":"No such file"#), "{printed}");
    assert!(lines[1].contains(r#""version":"8.4.4""#));
}

#[test]
fn what_nobody_recognises_is_said_so() {
    let (all_read, printed) = output_of("auto", Output::Table, &[], "Welcome!\n").unwrap();
    assert!(!all_read);
    assert_eq!(
        printed,
        "-: no platform recognises the answer, or more than one does: name the device's `platform`\n"
    );
}

#[test]
fn the_table_is_for_people() {
    let (_, printed) = output_of("frr", Output::Table, &[], FRR).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].trim_start().starts_with("FILE"), "{printed}");
    assert!(lines[1].contains("8.4.4"), "{printed}");
}

#[test]
fn an_unknown_platform_is_told_what_is_known() {
    let error = output_of("cisco_xyz", Output::Json, &[], FRR).unwrap_err().to_string();
    assert!(error.starts_with("no platform \"cisco_xyz\": `auto`, or one of a10, "), "{error}");
}

#[test]
fn uptimes_have_two_units() {
    assert_eq!([59, 61, 3_720, 90_000].map(in_words), ["59s", "1m 1s", "1h 2m", "1d 1h"]);
}
