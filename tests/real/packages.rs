//! What `make dist` and `make deb` make, tried by the programs that users have: lintian, man, three shells, and a reader of
//! software bills of material. (The package is installed and purged in `boot.rs`.)

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Runs a program in the project's root; panics with what it said when it fails.
fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("can't start {program}: {error}"));
    let [out, err] = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{program}: {out}{err}");
    out + &err
}

/// The Debian package of the program that the tests run, made once. The release differs from it in speed and size only.
pub(crate) fn deb() -> &'static Path {
    static DEB: OnceLock<PathBuf> = OnceLock::new();
    DEB.get_or_init(|| {
        run("bash", &["packaging/deb.sh", "dev", env!("CARGO_BIN_EXE_versweep")]);
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/debian/versweep-dev.deb")
    })
}

fn share() -> PathBuf {
    deb();
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/share")
}

#[test]
#[ignore = "needs cargo-deb and lintian: run by make test"]
fn lintian_finds_no_fault_with_the_package() {
    run("lintian", &["--allow-root", "--fail-on=error,warning", deb().to_str().unwrap()]);
}

#[test]
#[ignore = "needs hadolint: run by make test"]
fn the_container_file_is_sound_and_starts_what_the_unit_starts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("packaging/Containerfile");
    run(root.join("target/venv/bin/hadolint").to_str().unwrap(), &[&file]);
    let text = std::fs::read_to_string(&file).unwrap();
    let unit = include_str!("../../systemd/versweep.service");
    let started = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words = |name: &str| -> Vec<String> {
        serde_json::from_str(text.lines().find_map(|line| line.strip_prefix(name)).unwrap()).unwrap()
    };
    assert_eq!([words("ENTRYPOINT "), words("CMD ")].concat().join(" "), started);
}

#[test]
#[ignore = "needs cargo-deb: run by make test"]
fn the_package_has_what_its_files_speak_of() {
    let listed = run("dpkg-deb", &["--contents", deb().to_str().unwrap()]);
    let has = |path: &str| assert!(listed.contains(&format!(" .{path}\n")), "{path} is not in the package");
    let rules = include_str!("../../etc/prometheus/rules/versweep.rules.yml");
    for url in rules.lines().filter_map(|line| line.trim().strip_prefix("runbook_url: file://")) {
        has(url);
    }
    let unit = include_str!("../../systemd/versweep.service");
    has(unit.lines().find_map(|line| line.strip_prefix("Documentation=file://")).unwrap());
    has(unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap().split(' ').next().unwrap());
    has("/etc/versweep/versweep.toml");
    for document in ["versweep.cdx.json", "licences.txt", "copyright", "README.md"] {
        has(&format!("/usr/share/doc/versweep/{document}"));
    }
}

#[test]
#[ignore = "needs cargo-deb and man: run by make test"]
fn man_renders_every_page_without_a_warning() {
    let mut pages = 0;
    for entry in std::fs::read_dir(share().join("man")).unwrap() {
        let page = entry.unwrap().path();
        let output = Command::new("man")
            .args(["--warnings", "--encoding=UTF-8", "--local-file"])
            .arg(&page)
            .env("MANROFFSEQ", "")
            .env("MANWIDTH", "100")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.is_empty(), "{}: {said}", page.display());
        for part in ["NAME", "SYNOPSIS", "DESCRIPTION"] {
            assert!(text.contains(part), "{} lacks {part}", page.display());
        }
        pages += 1;
    }
    assert!(pages > 10, "one page for each subcommand");
}

/// Each shell loads its file and completes a subcommand and one of its options.
#[test]
#[ignore = "needs cargo-deb, bash, zsh and fish: run by make test"]
fn shells_complete_subcommands_and_options() {
    let share = share();
    let file = |name: &str| share.join(name).to_string_lossy().into_owned();
    let bash = format!(
        "source '{}'; ask() {{ COMP_WORDS=(versweep \"$@\"); COMP_CWORD=$#; _versweep versweep \"${{@: -1}}\" \"${{@: -2:1}}\"; \
         echo \"${{COMPREPLY[@]}}\"; }}; ask plat; ask devices --sta",
        file("versweep.bash")
    );
    let said = run("bash", &["--norc", "-euc", &bash]);
    assert_eq!(said.lines().collect::<Vec<_>>(), ["platforms", "--state"]);

    let fish = format!(
        "source '{}'; complete -C 'versweep plat'; complete -C 'versweep devices --sta'",
        file("versweep.fish")
    );
    let said = run("fish", &["--no-config", "-c", &fish]);
    let words: Vec<&str> = said.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(words, ["platforms", "--state"]);

    // zsh completes in an interactive line only; that its function loads, parses and is registered can be asked without.
    let zsh = format!(
        "fpath=('{}' $fpath); autoload -Uz compinit; compinit -D -u; autoload +X _versweep; print $_comps[versweep]",
        share.display()
    );
    assert_eq!(run("zsh", &["-fec", &zsh]).trim(), "_versweep");
    run("zsh", &["-fn", &file("_versweep")]);
}

#[test]
#[ignore = "needs python: run by make test"]
fn the_bill_of_material_is_valid_and_names_every_crate_that_is_linked() {
    let bill = share().join("versweep.cdx.json");
    let check = "import sys; from cyclonedx.validation.json import JsonStrictValidator; \
                 from cyclonedx.schema import SchemaVersion; \
                 fault = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read()); \
                 sys.exit(fault and str(fault))";
    run("target/venv/bin/python", &["-c", check, bill.to_str().unwrap()]);
    let bill: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(bill).unwrap()).unwrap();
    let named: Vec<&str> =
        bill["components"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    for name in ["russh", "tokio", "prometheus", "rusqlite", "ring"] {
        assert!(named.contains(&name), "{name} is missing");
    }
    for name in ["proptest", "criterion", "openssl"] {
        assert!(!named.contains(&name), "{name} is not linked");
    }
    let licences = std::fs::read_to_string(share().join("licences.txt")).unwrap();
    for name in named {
        assert!(licences.contains(&format!("\n{name} ")), "{name} has no licence");
    }
}
