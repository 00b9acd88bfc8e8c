# SPDX-License-Identifier: Apache-2.0
"""Counts the test cases of a run of tools/test.

    test_report.py DIRECTORY

For each stage, in the order it ran, DIRECTORY holds STAGE.exit, "<start order> <exit code> <seconds>", and, if the stage
was a call of `bazel test`, STAGE.events, its build events. Prints what failed, a table of the stages, and as the last
line "N passed, N failed" (", N skipped" may follow). Exits 0 only if something passed and nothing failed.
"""

import dataclasses
import json
import pathlib
import sys
import typing
import urllib.parse
import xml.etree.ElementTree

# What `bazel test` exits with when the build is sound: all passed, or some test failed, which its cases show.
_OK = 0
_TESTS_FAILED = 3


@dataclasses.dataclass
class Count:
    """Test cases, and what to say of the failed ones."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)

    def fail(self, what: str) -> None:
        self.failed += 1
        self.failures.append(what)

    def add(self, other: "Count") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.skipped

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclasses.dataclass(frozen=True)
class Stage:
    name: str
    order: int
    exit_code: int
    seconds: int
    events: pathlib.Path

    def count(self) -> Count:
        if not self.events.exists():
            return self._count_as_one()
        count = count_events(self.events.read_text())
        if self.exit_code not in (_OK, _TESTS_FAILED) and not count.failed:
            count.fail(f"{self.name}: bazel exited with {self.exit_code}; its messages are above")
        elif self.exit_code == _TESTS_FAILED and not count.failed:
            count.fail(f"{self.name}: bazel says that a test failed, but no report names it")
        elif not count.total:
            count.fail(f"{self.name}: no test ran")
        return count

    def _count_as_one(self) -> Count:
        """A stage that is not made of test cases is one itself."""
        count = Count()
        if self.exit_code == 0:
            count.passed = 1
        else:
            count.fail(f"{self.name}: failed; its messages are above")
        return count


def read_stages(directory: pathlib.Path) -> list[Stage]:
    stages = []
    for path in directory.glob("*.exit"):
        order, exit_code, seconds = map(int, path.read_text().split())
        stages.append(Stage(path.stem, order, exit_code, seconds, path.with_suffix(".events")))
    return sorted(stages, key=lambda stage: stage.order)


def count_events(events: str) -> Count:
    """Counts the cases of a `bazel test` from its --build_event_json_file, a JSON object a line."""
    count = Count()
    asked: dict[str, None] = {}
    reported: set[str] = set()
    for line in events.splitlines():
        event = _parse(line)
        test = event.get("id", {}).get("testResult")
        if "testSize" in event.get("configured", {}):
            asked[event["id"]["targetConfigured"]["label"]] = None
        elif test:
            reported.add(test["label"])
            count.add(_count_result(test["label"], event["testResult"]))
    for label in asked:
        if label not in reported:
            count.fail(f"{label}: did not build or did not run")
    return count


def _parse(line: str) -> dict:
    try:
        return json.loads(line)
    except json.JSONDecodeError:  # the last line of a Bazel that was killed
        return {}


def _count_result(label: str, result: dict) -> Count:
    report = _path_of("test.xml", result)
    count = count_xml(label, report) if report else Count()
    if result.get("status") != "PASSED" and not count.failed:
        count.fail(f"{label}: {result.get('status', 'no status')}, though no case of its report failed")
    if result.get("status") == "PASSED" and not count.total:
        count.fail(f"{label}: passed without a report of its cases")
    log = _path_of("test.log", result)
    if count.failed and log:
        count.failures.append(f"    log: {log}")
    return count


def _path_of(name: str, result: dict) -> pathlib.Path | None:
    for output in result.get("testActionOutput", []):
        if output["name"] == name:
            return pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path))
    return None


def count_xml(label: str, report: pathlib.Path) -> Count:
    """Counts a JUnit report, as GoogleTest, pytest and Bazel write it."""
    count = Count()
    try:
        cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        count.fail(f"{label}: no readable report: {error}")
        return count
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            count.fail(f"{label}: {_name(case)}")
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            count.skipped += 1
        else:
            count.passed += 1
    return count


def _name(case: xml.etree.ElementTree.Element) -> str:
    return ".".join(filter(None, (case.get("classname"), case.get("name"))))


def report(stages: list[Stage], out: typing.TextIO) -> Count:
    total = Count()
    counts = [(stage, stage.count()) for stage in stages]
    for _, count in counts:
        total.add(count)
    if total.failures:
        print("\nFailed:", file=out)
        for failure in total.failures:
            print(f"  {failure}", file=out)
    print("", file=out)
    for stage, count in counts:
        print(f"  {stage.name:<14} {stage.seconds:>5} s  {count}", file=out)
    print(f"\n{total}", file=out)
    return total


def main() -> int:
    total = report(read_stages(pathlib.Path(sys.argv[1])), sys.stdout)
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main())
