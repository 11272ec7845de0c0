"""Tables of changes: commits, pull requests and reviews. NULL always means: GitHub did not say."""

from __future__ import annotations

from compliancectl.collectors.github.columns import (
    CHECKS,
    CONTENTS,
    METADATA,
    PULL_REQUESTS,
    STATUSES,
    column,
    table,
)
from compliancectl.model.table import BOOL, INT, TEXT, TIME

COMMIT = table(
    "commit",
    "One row per commit that reached a production branch, by commit date within the period.",
    (METADATA, CONTENTS, PULL_REQUESTS),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("sha", TEXT, "Commit id.", "gql#Commit.oid", required=True),
    column("branch", TEXT, "Production branch.", "scope", required=True),
    column("committed", TIME, "Commit date.", "gql#Commit.committedDate", required=True),
    column(
        "author",
        TEXT,
        "Login of the author; NULL when the commit is linked to no account.",
        "gql#Commit.author.user.login",
    ),
    column(
        "pull_request",
        INT,
        "Number of the pull request merged into this branch that brought it; NULL when there is none.",
        "gql#Commit.associatedPullRequests",
    ),
    column(
        "verified",
        BOOL,
        "Its signature belongs to its committer; false when it has none.",
        "gql#Commit.signature.isValid",
    ),
    column("parents", INT, "Number of parents; 2 or more is a merge commit.", "gql#Commit.parents.totalCount"),
)

_PULL = "gql#PullRequest."

PULL_REQUEST = table(
    "pull_request",
    "One row per pull request merged into a production branch between the start of the period and the run.",
    (METADATA, CONTENTS, PULL_REQUESTS),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("number", INT, "Number.", _PULL + "number", required=True),
    column("author", TEXT, "Login; NULL when the account was deleted. Bots end in `[bot]`.", _PULL + "author.login"),
    column(
        "author_is_bot",
        BOOL,
        "A GitHub App, or declared a machine user in the scope; NULL when the account was deleted.",
        _PULL + "author.__typename",
    ),
    column("created", TIME, "Opened.", _PULL + "createdAt", required=True),
    column("merged", TIME, "Merged.", _PULL + "mergedAt", required=True),
    column("merged_by", TEXT, "Login; NULL when the account was deleted.", _PULL + "mergedBy.login"),
    column("head_sha", TEXT, "Last commit of the proposed change.", _PULL + "headRefOid", required=True),
    column("merge_sha", TEXT, "Commit on the base branch.", _PULL + "mergeCommit.oid"),
    column("base", TEXT, "Branch merged into.", _PULL + "baseRefName", required=True),
    column("from_fork", BOOL, "The change came from another repository.", _PULL + "isCrossRepository"),
)

_REVIEW = "gql#PullRequestReview."

REVIEW = table(
    "review",
    "One row per review of a pull request in `github.pull_request`, dismissed ones included.",
    (METADATA, CONTENTS, PULL_REQUESTS),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("pull_request", INT, "Number of the pull request.", _PULL + "number", required=True),
    column("author", TEXT, "Login; NULL when the account was deleted.", _REVIEW + "author.login"),
    column(
        "author_is_bot",
        BOOL,
        "A GitHub App, or declared a machine user; NULL when the account was deleted.",
        _REVIEW + "author.__typename",
    ),
    column(
        "state", TEXT, "APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING.", _REVIEW + "state", required=True
    ),
    column("submitted", TIME, "Submitted; NULL while pending.", _REVIEW + "submittedAt"),
    column("commit", TEXT, "Commit that was looked at; NULL when it is gone.", _REVIEW + "commit.oid"),
)

CHECK = table(
    "status_check",
    "One row per check of a pull request in `github.pull_request`: on the last commit that was proposed, and on the commit "
    "that the merge made, which is the one that a merge queue tests.",
    (METADATA, PULL_REQUESTS, CHECKS, STATUSES),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("pull_request", INT, "Number of the pull request.", _PULL + "number", required=True),
    column("name", TEXT, "Name of the check run, or context of the status.", "gql#CheckRun.name", required=True),
    column("on_merge", BOOL, "On the commit that the merge made.", _PULL + "mergeCommit", required=True),
    column(
        "conclusion",
        TEXT,
        "success, failure, neutral, skipped, cancelled, timed_out …; NULL while it runs.",
        "gql#CheckRun.conclusion",
    ),
    column("completed", TIME, "When it ended; NULL while it runs.", "gql#CheckRun.completedAt"),
)

_ACTIVITY = "GET /repos/{owner}/{repo}/activity#"

PUSH = table(
    "push",
    "One row for each time that a production branch was moved, since the start of the period, by GitHub's clock.",
    (METADATA, CONTENTS),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("branch", TEXT, "Production branch.", "scope", required=True),
    column(
        "kind",
        TEXT,
        "push, force_push, branch_creation, branch_deletion, pr_merge or merge_queue_merge.",
        _ACTIVITY + "activity_type",
        required=True,
    ),
    column("at", TIME, "When, whatever the dates of the commits say.", _ACTIVITY + "timestamp", required=True),
    column("actor", TEXT, "Login; NULL when the account was deleted.", _ACTIVITY + "actor.login"),
    column("before_sha", TEXT, "Commit that the branch was at before.", _ACTIVITY + "before"),
    column("after_sha", TEXT, "Commit that the branch was moved to.", _ACTIVITY + "after"),
)
