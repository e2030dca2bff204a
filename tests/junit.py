#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""junit.py XML... SKIPS: prints "passed failed skipped" of junit reports, and writes one line for each skipped test to SKIPS."""
import sys
import xml.etree.ElementTree as ElementTree

passed = failed = skipped = 0
with open(sys.argv[-1], "w") as skips:
    for case in (case for report in sys.argv[1:-1] for case in ElementTree.parse(report).iter("testcase")):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skip is not None:
            skipped += 1
            print(f"{case.get('name')}: {skip.get('message')}", file=skips)
        else:
            passed += 1
print(passed, failed, skipped)
