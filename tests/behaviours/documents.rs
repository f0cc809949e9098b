//! The commands in README and docs are true: every block marked `console` is run, one document after the other in a shell
//! of its own, and says what stands there. A block that can't run in a test is marked `console elsewhere`.
//!
//! A block with a file's name behind its language (`toml profiles/acme_os.toml`) is that file, for the commands of its document.
//!
//! `...` stands for the rest of a line, or alone for any number of lines.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Printed between commands.
const MARK: &str = "@@@@";

/// A command, and what stands below it.
struct Step {
    command: String,
    expected: Vec<String>,
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    documents.push(root.join("README.md"));
    documents.sort();
    documents
}

/// The steps of all `console` blocks.
fn steps(text: &str, name: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```console") {
            assert!(["```console", "```console elsewhere"].contains(&line), "{name}: {line}");
        }
        if line != "```console" {
            continue;
        }
        for line in lines.by_ref().take_while(|line| *line != "```") {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
                (None, Some(step)) if step.command.ends_with('\\') => {
                    step.command.pop();
                    step.command.push_str(line);
                }
                (None, Some(step)) => step.expected.push(line.to_owned()),
                (None, None) => panic!("{name}: a block begins without a command: {line}"),
            }
        }
    }
    steps
}

/// Writes the files that a document shows, into a folder of its own.
fn lay_out(text: &str, folder: &Path) {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```").filter(|fence| !fence.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some((_, file)) = fence.split_once(' ').filter(|(_, file)| file.contains('.')) {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, block.join("\n") + "\n").unwrap();
        }
    }
}

/// What each step said, in a folder of its own where `etc/` is at hand.
fn walk(steps: &[Step], folder: &Path) -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copied = Command::new("cp").arg("-r").arg(root.join("etc")).arg(folder).status().unwrap();
    assert!(copied.success());
    let mut script = String::from("exec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\nset -m\n");
    for step in steps {
        writeln!(script, "{}\necho '{MARK}'", step.command).unwrap();
    }
    let bin = Path::new(env!("CARGO_BIN_EXE_versweep")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args(["--kill-after=5", "120", "bash", "--norc", "-c", &script])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut answers: Vec<Vec<String>> = vec![Vec::new()];
    for line in said.lines() {
        // A line without an end stands before the mark.
        match line.strip_suffix(MARK) {
            Some(rest) => {
                answers.last_mut().unwrap().extend((!rest.is_empty()).then(|| rest.to_owned()));
                answers.push(Vec::new());
            }
            None => answers.last_mut().unwrap().push(line.to_owned()),
        }
    }
    answers.truncate(steps.len());
    answers
}

fn fits_line(expected: &str, said: &str) -> bool {
    match expected.split_once("...") {
        None => expected.trim_end() == said.trim_end(),
        Some((head, tail)) => said.strip_prefix(head).is_some_and(|rest| {
            tail.is_empty()
                || rest.match_indices(tail).any(|(at, _)| rest[at + tail.len()..].trim().is_empty())
        }),
    }
}

fn fits(expected: &[String], said: &[String]) -> bool {
    match (expected.split_first(), said.split_first()) {
        (None, None) => true,
        (Some((any, rest)), _) if any == "..." => {
            (0..=said.len()).any(|skipped| fits(rest, &said[skipped..]))
        }
        (Some((line, rest)), Some((found, others))) => fits_line(line, found) && fits(rest, others),
        _ => false,
    }
}

#[test]
fn every_command_in_the_documents_says_what_stands_there() {
    let mut walked = 0;
    for document in documents() {
        let name = document.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&document).unwrap();
        let steps = steps(&text, &name);
        if steps.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        lay_out(&text, folder.path());
        let answers = walk(&steps, folder.path());
        assert_eq!(answers.len(), steps.len(), "{name}: the shell ended early: {answers:#?}");
        for (step, said) in steps.iter().zip(&answers) {
            // Job control speaks when a command is sent to the background; the simulator speaks when it likes.
            let quiet = step.command.ends_with('&')
                || step.command.starts_with("kill ")
                || step.command.starts_with("until ");
            if !quiet || !step.expected.is_empty() {
                assert!(fits(&step.expected, said), "{name}: $ {}\n{}", step.command, said.join("\n"));
            }
            walked += 1;
        }
    }
    assert!(walked >= 9, "only {walked} commands were walked");
}

#[test]
fn documents_lead_to_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let link = regex::Regex::new(r"\]\(([^)#:]+)(#[^)]*)?\)").unwrap();
    for document in documents().into_iter().chain([root.join("ARCHITECTURE.md"), root.join("CHANGELOG.md")]) {
        let text = std::fs::read_to_string(&document).unwrap();
        for found in link.captures_iter(&text) {
            let target = document.parent().unwrap().join(&found[1]);
            assert!(target.exists(), "{} leads to {}", document.display(), &found[1]);
        }
    }
}

#[test]
fn three_dots_stand_for_anything() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (expected, said, fitting) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a\nc", false),
        ("a", "a\nb", false),
        ("...\nb", "a\na\nb", true),
        ("...\nb\n...", "b", true),
        ("...\nc", "a\nb", false),
        ("port ..., up", "port 22, up", true),
        ("port ..., up", "port 22, down", false),
        ("port ...", "port 22, down", true),
    ] {
        assert_eq!(fits(&lines(expected), &lines(said)), fitting, "{expected:?} {said:?}");
    }
}
