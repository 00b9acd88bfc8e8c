# SPDX-License-Identifier: Apache-2.0
"""What a run of tools/test is said to have counted."""

import io
import json
import pathlib

import pytest

import test_report

GTEST = """<testsuites><testsuite name="Cid">
  <testcase name="Fits" status="run" result="completed" classname="Cid"/>
  <testcase name="Wraps" status="run" result="completed" classname="Cid"><failure message="no"/></testcase>
  <testcase name="Sleeps" status="run" result="skipped" classname="Cid"><skipped message="tired"/></testcase>
  <testcase name="DISABLED_Never" status="notrun" result="suppressed" classname="Cid"/>
</testsuite></testsuites>"""
PASSED = '<testsuites><testsuite><testcase name="a"/><testcase name="b"/></testsuite></testsuites>'
# Bazel writes this for a test that wrote no report.
CRASHED = '<testsuites><testsuite><testcase name="t"><error message="exited with 134"/></testcase></testsuite></testsuites>'


class Run:
    """A directory as tools/test leaves it."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.stages = 0

    def stage(self, name: str, exit_code: int = 0, events: list[dict] | None = None) -> None:
        (self.directory / f"{name}.exit").write_text(f"{self.stages} {exit_code} 7\n")
        self.stages += 1
        if events is not None:
            (self.directory / f"{name}.events").write_text("".join(json.dumps(event) + "\n" for event in events))

    def result(self, label: str, status: str, report: str | None) -> dict:
        outputs = [{"name": "test.log", "uri": "file:///logs/test.log"}]
        if report is not None:
            path = self.directory / f"report of {label.strip('/')}.xml"
            path.write_text(report)
            outputs.append({"name": "test.xml", "uri": path.as_uri()})
        return {"id": {"testResult": {"label": label}}, "testResult": {"status": status, "testActionOutput": outputs}}

    def count(self) -> test_report.Count:
        return test_report.report(test_report.read_stages(self.directory), io.StringIO())


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Run:
    return Run(tmp_path)


def asked(label: str) -> dict:
    return {"id": {"targetConfigured": {"label": label}}, "configured": {"targetKind": "cc_test rule", "testSize": "SMALL"}}


def test_cases_are_counted_not_targets(run: Run) -> None:
    run.stage("unit", 3, [asked("//a"), run.result("//a", "FAILED", GTEST), run.result("//b", "PASSED", PASSED)])
    assert str(run.count()) == "3 passed, 1 failed, 2 skipped"


def test_nothing_skipped_is_not_mentioned(run: Run) -> None:
    run.stage("unit", 0, [run.result("//b", "PASSED", PASSED)])
    assert str(run.count()) == "2 passed, 0 failed"


def test_the_failed_case_is_named(run: Run) -> None:
    run.stage("unit", 3, [run.result("//a", "FAILED", GTEST)])
    assert run.count().failures[0] == "//a: Cid.Wraps"


@pytest.mark.parametrize("report", [CRASHED, None, "<testsuites>"])
def test_a_crash_is_a_failed_test(run: Run, report: str | None) -> None:
    run.stage("unit", 3, [run.result("//a", "FAILED", report)])
    assert run.count().failed == 1


def test_a_crash_after_the_last_case_is_a_failed_test(run: Run) -> None:
    run.stage("asan", 3, [run.result("//a", "FAILED", PASSED)])
    assert str(run.count()) == "2 passed, 1 failed"


def test_a_test_that_did_not_build_is_a_failed_test(run: Run) -> None:
    run.stage("unit", 1, [asked("//a"), asked("//b"), run.result("//b", "PASSED", PASSED)])
    assert str(run.count()) == "2 passed, 1 failed"


def test_a_build_failure_outside_of_tests_is_a_failure(run: Run) -> None:
    run.stage("unit", 1, [run.result("//b", "PASSED", PASSED)])
    assert run.count().failed == 1


def test_a_stage_without_tests_is_a_failure(run: Run) -> None:
    run.stage("e2e", 0, [])
    assert str(run.count()) == "0 passed, 1 failed"


def test_a_killed_bazel_is_a_failure(run: Run) -> None:
    run.stage("unit", 137, [asked("//a")])
    with (run.directory / "unit.events").open("a") as events:
        events.write('{"id": {"testRes')
    assert run.count().failed == 1


def test_other_stages_count_as_one(run: Run) -> None:
    run.stage("lint", 0)
    run.stage("build", 1)
    assert str(run.count()) == "1 passed, 1 failed"


def test_stages_are_shown_in_their_order(run: Run) -> None:
    run.stage("unit", 0, [run.result("//b", "PASSED", PASSED)])
    run.stage("e2e", 0, [run.result("//c", "PASSED", PASSED)])
    out = io.StringIO()
    test_report.report(test_report.read_stages(run.directory), out)
    lines = [line.split() for line in out.getvalue().splitlines() if line]
    assert lines == [["unit", "7", "s", "2", "passed,", "0", "failed"], ["e2e", "7", "s", "2", "passed,", "0", "failed"],
                     ["4", "passed,", "0", "failed"]]
