"""The tables of documents."""

from __future__ import annotations

from compliancectl.collectors.documents.registers import TABLES
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, Table

READ = ("read access to the folder",)
DROPS = ("the document itself is not kept: its size, its SHA-256 and what its sidecar says are the evidence",)
_PATH = Column("resource", TEXT, "Path of the document, relative to the folder.", required=True)

FILE = Table(
    "document.file",
    "One row per file in the folder, sidecars left out.",
    (
        _PATH,
        Column("sha256", TEXT, "SHA-256 of the file's bytes.", required=True),
        Column("bytes", INT, "Size in bytes.", required=True),
        Column("media_type", TEXT, "Media type, from the name's ending.", required=True),
        Column("described", BOOL, "Whether a sidecar says what it is.", required=True),
    ),
    ("resource",),
    READ,
    DROPS,
)
ATTESTATION = Table(
    "document.attestation",
    "One row per document with a sidecar.",
    (
        _PATH,
        Column("kind", TEXT, "Kind: `restore-test`, `agreement`, `penetration-test` …", "sidecar kind", required=True),
        Column("subject", TEXT, "What it is about.", "sidecar subject", required=True),
        Column("title", TEXT, "Title.", "sidecar title", required=True),
        Column("owner", TEXT, "Who answers for it.", "sidecar owner", required=True),
        Column("issued", TIME, "Its date; never after the collection.", "sidecar issued", required=True),
        Column("expires", TIME, "When it ends; NULL when it does not say.", "sidecar expires"),
        Column("sha256", TEXT, "SHA-256 of the document's bytes.", required=True),
        Column("bytes", INT, "Size in bytes.", required=True),
        Column("media_type", TEXT, "Media type, from the name's ending.", required=True),
        Column("status", TEXT, "`performed`, `planned`, `adopted` …", "sidecar status"),
        Column("target", TIME, "When something planned is to happen.", "sidecar target"),
        Column("performed_by", TEXT, "Who performed what it reports on.", "sidecar performed_by"),
        Column(
            "independent", BOOL, "Whether who performed it is independent of the organisation.", "sidecar independent"
        ),
        Column("covers_start", TIME, "Start of the span of time that it is about.", "sidecar covers_start"),
        Column("covers_end", TIME, "End of that span, exclusive.", "sidecar covers_end"),
        Column("approver", TEXT, "Who approved it.", "sidecar approver"),
    ),
    ("resource",),
    READ,
    DROPS,
)
AGREEMENT = Table(
    "document.agreement",
    "One row per agreement with a vendor (kind `agreement`).",
    (
        _PATH,
        Column("vendor", TEXT, "Vendor, as the vendor register calls it.", "sidecar agreement.vendor", required=True),
        Column("kind", TEXT, "`dpa` …", "sidecar agreement.kind", required=True),
        Column("signed", TIME, "When it was signed.", "sidecar agreement.signed", required=True),
        Column("version", TEXT, "Version.", "sidecar agreement.version"),
        Column("expires", TIME, "When it ends; NULL when it does not say.", "sidecar expires"),
        Column("scc_module", TEXT, "Module of the standard contractual clauses.", "sidecar agreement.scc_module"),
        Column(
            "breach_notice_hours",
            INT,
            "How soon the vendor must tell of a breach, in hours.",
            "sidecar agreement.breach_notice_hours",
        ),
        Column("audit_right", BOOL, "Whether the vendor may be audited.", "sidecar agreement.audit_right"),
        Column("deletion_term", BOOL, "Whether it says when data is deleted.", "sidecar agreement.deletion_term"),
        Column("no_training", BOOL, "Whether it forbids training on the data.", "sidecar agreement.no_training"),
        Column("personal_data", BOOL, "Whether it covers personal data.", "sidecar agreement.personal_data"),
        Column("ai", BOOL, "Whether the vendor runs AI models.", "sidecar agreement.ai"),
    ),
    ("resource",),
    READ,
    DROPS,
)
RESTORE_TEST = Table(
    "document.restore_test",
    "One row per report of a restore test (kind `restore-test`).",
    (
        _PATH,
        Column(
            "subject",
            TEXT,
            "Full resource name of the instance whose data was restored.",
            "sidecar subject",
            required=True,
        ),
        Column("performed", TIME, "When the restore began.", "sidecar restore_test.performed", required=True),
        Column(
            "rto_minutes",
            INT,
            "From the decision to a working database, in minutes.",
            "sidecar restore_test.rto_minutes",
            required=True,
        ),
        Column(
            "rpo_minutes",
            INT,
            "Age of the newest data that came back, in minutes.",
            "sidecar restore_test.rpo_minutes",
            required=True,
        ),
        Column(
            "checks_passed",
            BOOL,
            "Whether the restored data passed its checks.",
            "sidecar restore_test.checks_passed",
            required=True,
        ),
        Column("signed_by", TEXT, "Who signed the report.", "sidecar restore_test.signed_by", required=True),
    ),
    ("resource",),
    READ,
    DROPS,
)
VENDOR = Table(
    "document.vendor",
    "One row per vendor in the vendor register (kind `vendor-register`).",
    (
        Column("resource", TEXT, "`path of the register#vendor`.", required=True),
        Column("vendor", TEXT, "Vendor.", "sidecar vendors[].vendor", required=True),
        Column(
            "personal_data",
            BOOL,
            "Whether it processes personal data for the organisation.",
            "sidecar vendors[].personal_data",
            required=True,
        ),
        Column("ai", BOOL, "Whether it runs AI models for the organisation.", "sidecar vendors[].ai", required=True),
    ),
    ("resource",),
    READ,
    DROPS,
)
ALL = (FILE, ATTESTATION, AGREEMENT, RESTORE_TEST, VENDOR, *TABLES)
