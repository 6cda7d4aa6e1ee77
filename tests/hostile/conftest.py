"""What ``make fuzz`` says at its end."""

import os


def pytest_terminal_summary(terminalreporter):
    """Print how many files each reader was tried with, and how many readers failed."""
    if not os.environ.get("MTM_FUZZ"):
        return
    rows = [
        (report.nodeid.split("::test_")[-1], dict(report.user_properties)["tries"], report.outcome)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call" and "tries" in dict(report.user_properties)
    ]
    terminalreporter.section("tries")
    for name, tries, outcome in sorted(rows):
        terminalreporter.write_line(f"{name:<24} {tries:>8,}  {outcome}")
    n_failed = sum(outcome != "passed" for *_, outcome in rows)
    total = sum(tries for _, tries, _ in rows)
    terminalreporter.write_line(f"{'in all':<24} {total:>8,}  {n_failed} of {len(rows)} failed")
