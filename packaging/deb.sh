#!/usr/bin/env bash
# Makes the Debian package of a built program: packaging/deb.sh PROFILE PROGRAM. It comes to target/debian/versweep-PROFILE.deb.
set -eu
profile=$1 program=$2
share=target/share
rm -rf "$share"
python3 packaging/dependencies.py sbom "$share"
python3 packaging/dependencies.py licences "$share"
"$program" man --folder "$share/man" >/dev/null
"$program" completions bash >"$share/versweep.bash"
"$program" completions zsh >"$share/_versweep"
"$program" completions fish >"$share/versweep.fish"
target/tools/bin/cargo-deb --quiet --no-build --locked --profile "$profile" --output "target/debian/versweep-$profile.deb"
