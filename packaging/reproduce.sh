#!/usr/bin/env bash
# Builds the committed tree twice, in two folders, from nothing, and compares the programs byte by byte.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for copy in one two; do
  git clone --quiet . "$folder/$copy"
  make --silent --directory="$folder/$copy" release
done
cmp "$folder"/{one,two}/target/release/versweep
sha256sum "$folder/one/target/release/versweep"
