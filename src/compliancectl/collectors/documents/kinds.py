"""The kinds of register: which columns are read of each, and what a row of a well-kept one looks like."""

from __future__ import annotations

from dataclasses import dataclass

from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, Table

READ = ("read access to the folder",)
_ID = Column("id", TEXT, "What the register calls it.", "column id", required=True)
_TITLE = Column("title", TEXT, "What it is, in a few words.", "column title", required=True)
_OWNER = Column("owner", TEXT, "Who answers for it.", "column owner")


@dataclass(frozen=True)
class Register:
    """One kind of register."""

    kind: str
    """Kind of the document, as its sidecar says it."""
    table: Table
    example: str
    """One row of a well-kept register, after the header."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is read of each row."""
        return self.table.columns[1:]

    @property
    def header(self) -> str:
        """The first line of the file."""
        return ",".join(column.name for column in self.columns)


def _register(kind: str, table: str, what: str, example: str, *columns: Column) -> Register:
    resource = Column("resource", TEXT, "`path of the register#id`.", required=True)
    drops = ("columns that are not listed here are not read",)
    return Register(kind, Table(f"document.{table}", what, (resource, *columns), ("resource",), READ, drops), example)


def _time(name: str, what: str, *, required: bool = False) -> Column:
    return Column(name, TIME, what, f"column {name}", required=required)


def _text(name: str, what: str, *, required: bool = False) -> Column:
    return Column(name, TEXT, what, f"column {name}", required=required)


def _bool(name: str, what: str) -> Column:
    return Column(name, BOOL, what, f"column {name}")


REGISTERS: dict[str, Register] = {
    register.kind: register
    for register in (
        _register(
            "milestone-register",
            "milestone",
            "One row per milestone that the organisation has announced (kind `milestone-register`).",
            "M-01,SOC 2 Type 1 report,security lead,2026-09-30,,",
            _ID,
            _TITLE,
            _OWNER,
            _time("due", "When it is to be reached: its first instant is too late.", required=True),
            _time("done", "When it was reached; empty while it is open."),
            _text("evidence", "Path of the document in this folder that shows it was reached."),
        ),
        _register(
            "risk-register",
            "risk",
            "One row per risk (kind `risk-register`).",
            "R-01,A vendor trains on customers' data,vendor,2,5,security lead,reduce,2026-06-30",
            _ID,
            _TITLE,
            _text("category", "`fraud`, `vendor`, `change`, `privacy`, `ai` …", required=True),
            Column("likelihood", INT, "1 (rare) to 5 (expected).", "column likelihood"),
            Column("impact", INT, "1 (small) to 5 (ruinous).", "column impact"),
            _OWNER,
            _text("treatment", "`accept`, `avoid`, `reduce` or `transfer`."),
            _time("reviewed", "When somebody last looked at it."),
        ),
        _register(
            "incident-register",
            "incident",
            "One row per security incident (kind `incident-register`).",
            "I-01,Expired certificate,low,2026-05-02T08:00:00Z,2026-05-02T09:10:00Z,yes,no,2026-05-30,2026-05-12",
            _ID,
            _TITLE,
            _text("severity", "`low`, `medium`, `high` or `critical`."),
            _time("detected", "When it was noticed.", required=True),
            _time("resolved", "When it was over; empty while it is open."),
            _bool("root_cause", "Whether its root cause is written down."),
            _bool("personal_data", "Whether personal data was touched; empty if nobody decided."),
            _time("actions_due", "When what was decided after it must be done."),
            _time("actions_done", "When it was done; empty while it is open."),
        ),
        _register(
            "breach-register",
            "breach",
            "One row per breach of personal data (kind `breach-register`).",
            "B-01,Mail to the wrong customer,2026-05-02T08:00:00Z,risk,2026-05-02T20:00:00Z,yes,2026-05-03T08:00:00Z,no,",
            _ID,
            _TITLE,
            _time("aware", "When the organisation knew of it.", required=True),
            _text("risk", "`none`, `risk` or `high`: what was decided about people's rights."),
            _time("customers_told", "When the customers for whom the data is processed were told."),
            _bool("authority_due", "Whether the authority must be told (where the organisation is controller)."),
            _time("authority_told", "When it was."),
            _bool("people_due", "Whether the people concerned must be told by the organisation."),
            _time("people_told", "When they were."),
        ),
        _register(
            "person-register",
            "person",
            "One row per person who works for the organisation, or did (kind `person-register`).",
            "P-01,2024-03-01,,2025-09-01,yes,2024-03-01,2026-02-10,2026-02-10,yes",
            _text("id", "Number or login of the person; never the name.", required=True),
            _time("started", "First day.", required=True),
            _time("left", "Last day; empty while the person is there."),
            _time("moved", "When the person's duties last changed; empty if they never did."),
            _bool("screened", "Whether screening was done as far as the law allows it."),
            _time("bound", "When confidentiality and the code of conduct were signed."),
            _time("trained", "When the training in security and privacy was last passed."),
            _time("records_trained", "When the training in student records was last passed."),
            _bool("production", "Whether the person can reach production."),
        ),
        _register(
            "identity-register",
            "identity",
            "One row per identity of the workforce at its identity provider, as that exports them (kind `identity-register`).",
            "amara@example.org,yes,,yes,yes",
            _text("id", "Address that signs in.", required=True),
            _bool("active", "Whether it can sign in."),
            _time("suspended", "Since when it cannot; empty while it can."),
            _bool("enrolled", "Whether it has a second factor."),
            _bool("enforced", "Whether it cannot sign in without one."),
        ),
        _register(
            "account-register",
            "account",
            "One row per account of a person in a system, that is or was (kind `account-register`).",
            "N-01,github,amara,P-01,2024-02-28,P-04,2024-03-01,2025-09-02,",
            _ID,
            _text("system", "`gcp`, `github`, `postgres`, or `identity` (the identity provider).", required=True),
            _text(
                "login",
                "What the system calls it; `(redacted)` for an address outside `staff_domains`, which evidence does not show.",
                required=True,
            ),
            _text("person", "Whose it is: an id of the person register."),
            _time("approved", "When it was approved."),
            _text("approver", "Who approved it: an id of the person register."),
            _time("granted", "When it was given."),
            _time("confirmed", "When it was last confirmed after a change of duties."),
            _time("ended", "When it was taken away; empty while it is there."),
        ),
        _register(
            "role-register",
            "role",
            "One row per role that somebody must fill (kind `role-register`).",
            "security lead,P-01,2026-01-10",
            _text("id", "Role, as controls and procedures call it.", required=True),
            _text("person", "Who fills it: an id of the person register."),
            _time("appointed", "When that was decided."),
        ),
        _register(
            "device-register",
            "device",
            "One row per device that reaches production or code (kind `device-register`).",
            "D-01,P-01,yes,yes,yes,yes,2026-06-20",
            _ID,
            _text("person", "Who uses it: an id of the person register."),
            _bool("encrypted", "Whether its disk is encrypted."),
            _bool("locks", "Whether its screen locks by itself."),
            _bool("supported", "Whether its operating system still gets security updates, and has them."),
            _bool("protected", "Whether it is protected against malicious software."),
            _time("seen", "When the management of devices last heard of it."),
        ),
        _register(
            "finding-register",
            "finding",
            "One row per open finding, as `compliancectl gaps --format csv` writes them (kind `finding-register`).",
            "GAP-1a2b3c4d5e6f,high,BCP-02,platform,2026-06-01,2026-07-01,",
            _text("id", "Identity of the finding.", required=True),
            _text("severity", "`low`, `medium`, `high` or `critical`.", required=True),
            _text("control", "Control that it is a finding of.", required=True),
            _OWNER,
            _time("first_seen", "When it was first seen.", required=True),
            _time("due", "When it is to be closed.", required=True),
            _text("waiver", "Waiver that accepts it for now; empty if none does."),
        ),
        _register(
            "page-register",
            "page",
            "One row per public page with promises, as `compliancectl claims check` found it (kind `page-register`).",
            "security,Security and privacy,2026-06-29,0,0,marketing",
            _text("id", "Page, as the register of claims calls it.", required=True),
            _TITLE,
            _time("checked", "When it was last held against the register of claims."),
            Column("unregistered", INT, "Sentences on it that are in no register.", "column unregistered"),
            Column("gone", INT, "Registered sentences that are no longer on it.", "column gone"),
            _OWNER,
        ),
        _register(
            "notice-register",
            "notice_item",
            "One row per thing that the privacy notice must say (kind `notice-register`).",
            "purposes,section 3,yes,2026-05-20",
            _text("id", "What must be said: `purposes`, `recipients` …", required=True),
            _text("place", "Where the notice says it."),
            _bool("stated", "Whether it says it, completely and still truly."),
            _time("checked", "When somebody last compared it."),
        ),
        _register(
            "processing-register",
            "processing",
            "One row per record of processing of personal data (kind `processing-register`).",
            "V-01,Conversations,processor,answer questions,students,texts,openai;google_cloud,SCC,365 days,encryption,,customers,2026-05-20,needed",
            _ID,
            _TITLE,
            _text("role", "`controller` or `processor`."),
            _text("purposes", "What for."),
            _text("people", "Whose data."),
            _text("data", "Which data."),
            _text(
                "recipients",
                "Who receives it: vendors as the vendor register calls them, parted by `;`; `none` if nobody does.",
            ),
            _text("transfers", "Third countries and the safeguard for each; `none` if there are none."),
            _text("retention", "When it is erased."),
            _text("security", "Measures that protect it, in general."),
            _text("basis", "Lawful basis: `consent`, `contract`, `legal obligation`, `legitimate interests` …"),
            _text("on_behalf_of", "For whom, where the organisation is processor."),
            _time("reviewed", "When somebody last looked at it."),
            _text("screening", "Whether an impact assessment is `needed` or `not needed`; empty if nobody decided."),
        ),
        _register(
            "impact-assessment-register",
            "impact_assessment",
            "One row per data protection impact assessment (kind `impact-assessment-register`).",
            "A-01,Assistant,V-01,yes,yes,yes,yes,medium,,2026-05-20",
            _ID,
            _TITLE,
            _text("processing", "The record of processing that it is about: its id."),
            _bool("described", "Whether it describes the processing and its purposes."),
            _bool("necessity", "Whether it judges necessity and proportion."),
            _bool("risks", "Whether it judges the risks to people."),
            _bool("measures", "Whether it names the measures against them."),
            _text("residual", "What risk is left: `low`, `medium` or `high`."),
            _time("consulted", "When the authority was consulted, where a high risk is left."),
            _time("reviewed", "When it was last approved or looked at again."),
        ),
        _register(
            "customer-register",
            "customer",
            "One row per customer organisation (kind `customer-register`).",
            "C-01,higher education,2025-09-01,2025-08-20,function;direct control,,",
            _text("id", "Number of the customer.", required=True),
            _text("sector", "`higher education`, `school`, `company` …", required=True),
            _time("began", "When it began to use the service.", required=True),
            _time("agreed", "When the data processing agreement was signed."),
            _text("terms", "Terms of the student-records addendum that are agreed, parted by `;`."),
            _time("ended", "When the contract ended; empty while it runs."),
            _time("erased", "When its data was returned or erased, with a certificate."),
        ),
        _register(
            "vendor-review-register",
            "vendor_review",
            "One row per vendor that was reviewed (kind `vendor-review-register`).",
            "google_cloud,critical,soc2-type2,2026-03-31,,yes,yes,surveillance;entry;power;cooling;media,2026-05-20",
            _text("id", "Vendor, as the vendor register calls it.", required=True),
            _text("tier", "`critical` or `ordinary`."),
            _text("report", "What it shows of itself: `soc2-type2`, `iso27001`, `questionnaire` or `none`."),
            _time("covers_until", "Until when the report speaks for the vendor."),
            _time("bridged_until", "Until when a letter of the vendor extends it."),
            _bool("exceptions_read", "Whether its scope and exceptions were read and judged."),
            _bool("duties_assigned", "Whether what it expects of its customers was assigned to somebody here."),
            _text("premises", "What the report says of data centres, parted by `;`."),
            _time("reviewed", "When it was last reviewed."),
        ),
        _register(
            "request-register",
            "request",
            "One row per request about personal data or student records (kind `request-register`).",
            "Q-01,access,person,2026-05-02,yes,,2026-05-20,granted,,yes",
            _text("id", "Number of the request; never a name.", required=True),
            _text(
                "kind",
                "`access`, `rectification`, `erasure`, `restriction`, `portability`, `objection`, `inspection` or `amendment`.",
            ),
            _text("asked_by", "`person`, `customer` or `institution`."),
            _time("received", "When it came.", required=True),
            _bool("verified", "Whether it was verified who asks."),
            _time(
                "forwarded",
                "When it was passed to the customer whose data it is about; empty if it is our own to answer.",
            ),
            _time("answered", "When it was answered; empty while it is open."),
            _text("outcome", "`granted`, `partly` or `refused`."),
            _bool("reason_told", "Whether a refusal said why, and where to complain."),
            _bool("held", "Whether the records were kept from erasure while it was open."),
        ),
        _register(
            "complaint-register",
            "complaint",
            "One row per complaint (kind `complaint-register`).",
            "K-01,Too much mail,no,2026-05-02,2026-05-04,2026-05-20",
            _ID,
            _TITLE,
            _bool("privacy", "Whether it is about personal data; empty if nobody decided."),
            _time("received", "When it came.", required=True),
            _time("answered", "When it was first answered."),
            _time("closed", "When it was settled; empty while it is open."),
        ),
        _register(
            "disclosure-register",
            "disclosure",
            "One row per disclosure of records to somebody outside, or demand for one (kind `disclosure-register`).",
            "L-01,Subpoena,a court,the case,court order,2026-05-02,2026-05-04,2026-05-20",
            _ID,
            _TITLE,
            _text("recipient", "Who receives them."),
            _text("interest", "What for."),
            _text("basis", "`instruction`, `consent`, `court order`, `emergency` … or `refused`."),
            _time("demanded", "When it was asked for.", required=True),
            _time("institution_told", "When the institution whose records they are was told."),
            _time("disclosed", "When they were disclosed; empty if they were not."),
        ),
        _register(
            "recovery-target-register",
            "recovery_target",
            "One row per system that must come back after a disaster (kind `recovery-target-register`).",
            "app-db,//cloudsql.googleapis.com/projects/p/instances/app-db,120,60",
            _ID,
            _text("subject", "The system, as the restore tests call it."),
            Column("rto_minutes", INT, "How long it may be away, in minutes.", "column rto_minutes"),
            Column("rpo_minutes", INT, "How much of the newest data may be lost, in minutes.", "column rpo_minutes"),
        ),
        _register(
            "access-review-register",
            "access_review",
            "One row per grant that was reviewed, as `compliancectl reviews check --register` writes them (kind `access-review-register`).",
            "AR-1a2b3c4d5e6f,github,amara,remove,2026-05-20,no,2026-05-28,larkspur-learning/lesson-editor",
            _text("id", "Identity of the grant.", required=True),
            _text("system", "`github`, `postgres` or `gcp`.", required=True),
            _text("reviewer", "Who decided, or should have."),
            _text("decision", "`keep`, `change` or `remove`; empty if nobody decided."),
            _time("decided", "When it was decided."),
            _bool("own", "Whether it was the reviewer's own access."),
            _time("gone", "When a later snapshot no longer had it; empty if none shows that."),
            _text("place", "Where: an organisation, a repository, a database, a project."),
        ),
        _register(
            "privileged-access-register",
            "privileged_access",
            "One row per grant of a privileged role that somebody approved (kind `privileged-access-register`).",
            "OPS-101,group:platform@company.example,roles/cloudkms.admin,projects/p,2026-05-20T09:00:00Z,no",
            _text("id", "Ticket in which it was asked for.", required=True),
            _text("member", "To whom, as Google writes it: `user:…`, `group:…`, `serviceAccount:…`.", required=True),
            _text("role", "The role.", required=True),
            _text("place", "Where: `projects/P`, `folders/F` or `organizations/N`.", required=True),
            _time("approved", "When it was approved; empty while it is not."),
            _bool("break_glass", "Whether it is for an emergency, and ends within hours."),
        ),
        _register(
            "need-to-know-register",
            "need_to_know",
            "One row per principal that needs to reach data on Google Cloud (kind `need-to-know-register`).",
            "N-01,user:amara@company.example,database,projects/p,2026-05-20",
            _ID,
            _text("member", "Who, as Google writes it; members of groups one by one.", required=True),
            _text("access", "What for: `database`, `objects` or `secrets`.", required=True),
            _text("place", "From where on: `projects/P`, `folders/F` or `organizations/N`.", required=True),
            _time("approved", "When it was approved; empty while it is not."),
        ),
    )
}
"""Kind of document → register."""
