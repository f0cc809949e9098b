//! `versweep bench`: each scenario works, at a hundredth of its size. What its targets come to is measured elsewhere, by a
//! release build on a machine that does nothing else (docs/performance.md).

use std::process::{Command, Stdio};

use serde_json::Value;

/// Sweeps a scenario on addresses of its own; gives the figures.
fn bench(scenario: &str, third: u8, more: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_versweep"))
        .args(["bench", "--scenario", scenario, "--rounds", "1", "--output", "json"])
        .args(["--listen", &format!("127.{third}.0.0")])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scenario {scenario}: {told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a visitor found.
fn sweep<'a>(figures: &'a Value, visitor: &str) -> &'a Value {
    let sweeps = figures["sweeps"].as_array().unwrap();
    sweeps.iter().find(|sweep| sweep["visitor"] == visitor).unwrap_or_else(|| panic!("{visitor}: {figures}"))
}

fn goals(figures: &Value) -> Vec<(&str, f64)> {
    let goals = figures["goals"].as_array().unwrap();
    goals.iter().map(|goal| (goal["what"].as_str().unwrap(), goal["allowed"].as_f64().unwrap())).collect()
}

#[test]
fn scenarios_a_to_c_compare_with_bare_russh() {
    for (place, scenario, goal) in
        [(200, "a", "CPU a visit / bare"), (201, "b", "wall / whole waves"), (202, "c", "wall / bare")]
    {
        let figures = bench(scenario, place, &["--devices", "20", "--workers", "5", "--delay", "20ms"]);
        assert_eq!(goals(&figures)[0].0, goal);
        for visitor in ["first", "again", "bare"] {
            assert_eq!(sweep(&figures, visitor)["answered"], 20, "{scenario} {visitor}");
        }
    }
}

#[test]
fn scenario_d_tells_six_ways_to_be_dead_and_leaves_nothing_behind() {
    let figures =
        bench("d", 203, &["--devices", "60", "--workers", "12", "--delay", "20ms", "--timeout", "3s"]);
    // One device of each: SYN dropped, refused, silent, silent after the banner, after the login, after the command.
    for visitor in ["learning", "learned"] {
        let swept = sweep(&figures, visitor);
        assert_eq!((&swept["answered"], &swept["ill"]), (&54.into(), &6.into()), "{visitor}: {swept}");
        assert_eq!(swept["left_over"], 0);
    }
    let held_off = sweep(&figures, "held_off");
    assert_eq!((&held_off["answered"], &held_off["ill"]), (&54.into(), &0.into()), "{held_off}");
    assert_eq!(goals(&figures).len(), 4);
}

#[test]
fn scenario_e_has_a_store_that_hardly_grows_when_nothing_changed() {
    let figures = bench("e", 205, &["--devices", "200", "--workers", "20", "--delay", "2ms"]);
    let grown = |visitor| sweep(&figures, visitor)["store_bytes_per_visit"].as_f64().unwrap();
    assert!(grown("learning") > 100.0, "what is known of a device takes room");
    assert!(grown("learned") <= 300.0, "nothing changed: {} bytes a device", grown("learned"));
    assert_eq!(figures["beside_a"]["answered"], 200);
    assert_eq!(goals(&figures).len(), 4);
}

#[test]
fn scenario_h_logs_in_to_old_routers() {
    let figures = bench("h", 204, &["--devices", "4", "--workers", "4", "--visitors", "first"]);
    assert_eq!(sweep(&figures, "first")["answered"], 4);
    assert_eq!(goals(&figures), [("CPU a visit in ms", 5.0)]);
}
