#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""junit.py XML... NAME: prints "passed failed skipped" of junit reports. NAME.skips and NAME.failures get a line for each test that was
skipped or failed, with the reason: enough to know what happened where the last lines of a log are all there is. NAME.failed has the
failed ones as pytest wants them to be named."""
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def reason(failure):
    """The first line that pytest says, and the last place in the test's own files that led there."""
    said = (failure.get("message") or "").strip().splitlines() or ["no message"]
    places = re.findall(r"^(\S+\.py:\d+): ", failure.text or "", re.MULTILINE)
    return f"{said[0]} ({places[-1]})" if places else said[0]


def node(case):
    return f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}"


passed = skipped = 0
failed = []
with open(sys.argv[-1] + ".skips", "w") as skips, open(sys.argv[-1] + ".failures", "w") as failures:
    for case in (case for report in sys.argv[1:-1] for case in ElementTree.parse(report).iter("testcase")):
        # A test whose clean-up failed as well is two cases.
        failure = next(iter([*case.findall("failure"), *case.findall("error")]), None)
        skip = case.find("skipped")
        if failure is not None:
            failed.append(node(case))
            print(f"{case.get('name')}: {reason(failure)}", file=failures)
        elif skip is not None:
            skipped += 1
            print(f"{case.get('name')}: {skip.get('message')}", file=skips)
        else:
            passed += 1
Path(sys.argv[-1] + ".failed").write_text("".join(f"{name}\n" for name in dict.fromkeys(failed)))
print(passed, len(failed), skipped)
