#!/usr/bin/env python3
"""tools/test-summary against reports as ctest writes them: its last line is what tools/test promises, so it must not flatter."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SUMMARY = pathlib.Path(__file__).resolve().parents[2] / "tools" / "test-summary"
PASSED = '<testcase name="a" status="run"><system-out>fine</system-out></testcase>'
FAILED = '<testcase name="b" status="fail"><failure message="Failed"/></testcase>'
SKIPPED = (
    '<testcase name="c" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>'
    "<system-out>a_test.cc:3: Skipped\nno second disk here\n</system-out></testcase>"
)
NOT_BUILT = '<testcase name="d" status="notrun"><skipped message="Unable to find executable"/></testcase>'
DISABLED = '<testcase name="e" status="disabled"><skipped message="Disabled"/></testcase>'


class Summary(unittest.TestCase):
    def summarise(self, *reports):
        """(last line, exit status, whole output) for reports made of these test cases; None is a report that is not there."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, cases in enumerate(reports):
                paths.append(pathlib.Path(folder) / f"{number}.xml")
                if cases is not None:
                    paths[-1].write_text(f"<testsuite>{cases}</testsuite>")
            done = subprocess.run([sys.executable, SUMMARY, *paths], capture_output=True, text=True, check=False)
            return done.stdout.splitlines()[-1], done.returncode, done.stdout

    def test_counts_passed(self):
        self.assertEqual(self.summarise(PASSED * 3)[:2], ("3 passed, 0 failed, 0 skipped", 0))

    def test_adds_up_several_reports(self):
        self.assertEqual(self.summarise(PASSED, PASSED + FAILED)[:2], ("2 passed, 1 failed, 0 skipped", 1))

    def test_a_skip_is_printed_with_its_reason(self):
        last, status, output = self.summarise(PASSED + SKIPPED)
        self.assertEqual((last, status), ("1 passed, 0 failed, 1 skipped", 0))
        self.assertIn("no second disk here", output)

    def test_what_could_not_run_has_failed(self):
        self.assertEqual(self.summarise(PASSED + NOT_BUILT + DISABLED)[:2], ("1 passed, 2 failed, 0 skipped", 1))

    def test_a_missing_report_has_failed(self):
        self.assertEqual(self.summarise(PASSED, None)[:2], ("1 passed, 1 failed, 0 skipped", 1))

    def test_nothing_run_is_no_success(self):
        self.assertEqual(self.summarise("")[:2], ("0 passed, 0 failed, 0 skipped", 1))


if __name__ == "__main__":
    unittest.main()
