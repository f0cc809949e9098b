#!/usr/bin/env python3
"""What the program is made of: packaging/dependencies.py sbom|licences FOLDER, run in the project's root.

sbom      FOLDER/versweep.cdx.json: CycloneDX 1.5, every crate that is linked in, with purl, licence and checksum
licences  FOLDER/licences.txt: the licences of all of them, each text once, with the crates that it covers

Both are made from Cargo.lock and `cargo metadata` only, so that the same lock gives the same files.
"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import textwrap

TARGET = "x86_64-unknown-linux-gnu"
LICENCE_FILE = re.compile(r"(?i)^(licen[cs]e|copying|notice|unlicense)([-._].*)?$")


def linked():
    """The packages that a release build links or runs, the program itself first, and which needs which."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={TARGET}"]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    root = metadata["resolve"]["root"]
    reached, todo = {}, [root]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached[name] = sorted(needs[name])
            todo.extend(needs[name])
    order = sorted(reached, key=lambda name: (name != root, packages[name]["name"], packages[name]["version"]))
    return [packages[name] for name in order], reached


def checksums():
    """name, version -> SHA-256 of the crate's archive, as Cargo.lock has it."""
    entry = re.compile(r'name = "(.+)"\nversion = "(.+)"\nsource = ".*"\nchecksum = "(.+)"')
    return {(name, version): checksum for name, version, checksum in entry.findall(pathlib.Path("Cargo.lock").read_text())}


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version'].replace('+', '%2B')}"


def spdx(package):
    """The licence as an SPDX expression; crates of old write a slash where they mean OR."""
    return (package["license"] or "LicenseRef-unknown").replace("/", " OR ").replace("  ", " ")


def component(package, sums):
    found = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "licenses": [{"expression": spdx(package)}],
        "purl": purl(package),
    }
    if (package["name"], package["version"]) in sums:
        found["hashes"] = [{"alg": "SHA-256", "content": sums[package["name"], package["version"]]}]
    if package["repository"]:
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def sbom():
    packages, needs = linked()
    sums = checksums()
    purls = {package["id"]: purl(package) for package in packages}
    program = component(packages[0], sums) | {"type": "application"}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": program},
        "components": [component(package, sums) for package in packages[1:]],
        "dependencies": [
            {"ref": purls[package["id"]], "dependsOn": [purls[name] for name in needs[package["id"]]]}
            for package in packages
        ],
    }
    return "versweep.cdx.json", json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def licences():
    packages, _ = linked()
    texts, without = {}, []
    for package in packages[1:]:
        folder = pathlib.Path(package["manifest_path"]).parent
        files = sorted(path for path in folder.iterdir() if path.is_file() and LICENCE_FILE.match(path.name))
        label = f"{package['name']} {package['version']}"
        if not files:
            without.append(label)
        for path in files:
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            # The same text is set in many widths.
            key = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
            texts.setdefault(key, (text, []))[1].append(label)
    lines = [f"versweep is linked with {len(packages) - 1} crates. These are their licences, each text once.", ""]
    lines += [f"{package['name']} {package['version']}: {spdx(package)}" for package in packages[1:]]
    if without:
        lines += ["", "Without a file of its own, under the licence named in its manifest:", *sorted(without)]
    for text, labels in sorted(texts.values(), key=lambda entry: (-len(entry[1]), entry[1])):
        lines += ["", "-" * 100, textwrap.fill("For: " + ", ".join(labels), 100), "", text]
    return "licences.txt", "\n".join(lines) + "\n"


def main():
    makers = {"sbom": sbom, "licences": licences}
    if len(sys.argv) != 3 or sys.argv[1] not in makers:
        sys.exit(__doc__)
    name, text = makers[sys.argv[1]]()
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
