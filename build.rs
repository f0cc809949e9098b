//! Tells the program what it was built from: `versweep_build_info` and `versweep --version` show it.

use std::path::Path;
use std::process::Command;

fn main() {
    // An environment that sets these itself, such as a package's build, has the last word.
    for (name, program, arguments) in [
        ("VERSWEEP_REVISION", "git", &["rev-parse", "--short=12", "HEAD"][..]),
        (
            "VERSWEEP_RUSTVERSION",
            &std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()),
            &["--version"],
        ),
    ] {
        println!("cargo::rerun-if-env-changed={name}");
        if std::env::var_os(name).is_none()
            && let Some(said) = first_line(program, arguments)
        {
            println!("cargo::rustc-env={name}={said}");
        }
    }
    if Path::new(".git/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/HEAD");
    }
    println!("cargo::rerun-if-changed=build.rs");
}

/// What a program prints; nothing where it isn't there or fails, as in an unpacked source archive.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.lines().next().unwrap_or_default().to_owned())
}
