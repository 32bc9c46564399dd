"""What CONTRIBUTING.md says of commits."""

import subprocess

import pytest

from local.processes import ROOT

# Some earlier commits have longer subjects. It is a date because a shallow clone doesn't have the commit.
FIRST = "2026-11-27T17:25:00Z"
LONGEST = 72


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an archive has no commits")
def test_a_commits_subject_fits_in_72_characters() -> None:
    command = ["git", "log", f"--since={FIRST}", "--format=%s"]

    subjects = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.splitlines()

    assert [subject for subject in subjects if len(subject) > LONGEST] == []
