"""All documents of the project."""

from local.processes import ROOT

DOCUMENTS = sorted(
    document
    for pattern in (
        "*.md",
        "clients/*/*.md",
        "docs/*.md",
        "events/*.md",
        "fake_stripe/*.md",
        "local/*.md",
        "tests/*/*.md",
    )
    for document in ROOT.glob(pattern)
)
