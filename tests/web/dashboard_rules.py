#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the queries of a Grafana dashboard as recording rules, for promtool to check.

    dashboard_rules.py kinsock.json | promtool check rules /dev/stdin
"""

import json
import sys

# What Grafana puts in their place.
_VARIABLES = {"$__rate_interval": "1m", "$__interval": "1m"}


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    if len({panel["id"] for panel in panels}) != len(panels):
        print("two panels have one id", file=sys.stderr)
        return 1
    rules = []
    for panel in panels:
        for target in panel["targets"]:
            query = target["expr"]
            for variable, value in _VARIABLES.items():
                query = query.replace(variable, value)
            rules.append({"record": f"panel:{panel['id']}:{target['refId']}", "expr": query})
    # JSON is YAML.
    json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
