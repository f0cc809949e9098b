"""Holds TOML files against a JSON Schema: check_schema.py SCHEMA FILE... Prints what doesn't fit, and fails on it."""

import json
import sys
import tomllib

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
faults = 0
for name in sys.argv[2:]:
    with open(name, "rb") as file:
        document = tomllib.load(file)
    for error in validator.iter_errors(document):
        faults += 1
        print(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")
sys.exit(1 if faults else 0)
