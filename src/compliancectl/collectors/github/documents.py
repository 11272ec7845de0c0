"""The GraphQL documents that are sent, and nothing else: what is not asked for never arrives.

No document asks for the e-mail address or the name of a committer.
"""

from __future__ import annotations

from compliancectl.collectors.github.content_documents import (
    COLLABORATORS,
    FEATURES,
    FILES_AT_ONCE,
    LAST_DEPLOYMENTS,
    MORE_COLLABORATORS,
    PAGE,
    TEXTS_AT_ONCE,
    code_texts,
    file_histories,
    watched_paths,
)
from compliancectl.collectors.github.question import Question

VIEWER = "query Viewer { viewer { login } rateLimit { limit remaining resetAt } }"

ORGANIZATION = """
query Organization($organization: String!) {
  organization(login: $organization) {
    login
    requiresTwoFactorAuthentication
    ipAllowListEnabledSetting
    samlIdentityProvider { id }
    viewerCanAdminister
  }
}
"""

MEMBER_COUNT = """
query MemberCount($organization: String!) {
  organization(login: $organization) {
    login
    viewerIsAMember
    membersWithRole(first: 1) { totalCount }
  }
}
"""

REPOSITORIES = f"""
query Repositories($organization: String!, $after: String) {{
  organization(login: $organization) {{
    repositories(first: 100, after: $after, orderBy: {{field: NAME, direction: ASC}}) {{
      {PAGE}
      nodes {{
        name
        isArchived
        isFork
        visibility
        pushedAt
        isSecurityPolicyEnabled
        languages(first: 50) {{ {PAGE} nodes {{ name }} }}
        codeowners {{ errors {{ kind line path }} }}
        hasVulnerabilityAlertsEnabled
        defaultBranchRef {{ name }}
        dependabot: object(expression: "HEAD:.github/dependabot.yml") {{ oid }}
        dependabotLong: object(expression: "HEAD:.github/dependabot.yaml") {{ oid }}
        renovate: object(expression: "HEAD:renovate.json") {{ oid }}
        renovate5: object(expression: "HEAD:renovate.json5") {{ oid }}
        renovateHidden: object(expression: "HEAD:.github/renovate.json") {{ oid }}
        renovateHidden5: object(expression: "HEAD:.github/renovate.json5") {{ oid }}
        renovateRc: object(expression: "HEAD:.renovaterc") {{ oid }}
        renovateRcJson: object(expression: "HEAD:.renovaterc.json") {{ oid }}
        owners: object(expression: "HEAD:.github/CODEOWNERS") {{ ... on Blob {{ owned: text }} }}
        ownersRoot: object(expression: "HEAD:CODEOWNERS") {{ ... on Blob {{ owned: text }} }}
        ownersDocs: object(expression: "HEAD:docs/CODEOWNERS") {{ ... on Blob {{ owned: text }} }}
        policy: object(expression: "HEAD:SECURITY.md") {{ ... on Blob {{ contacts: text }} }}
        policyHidden: object(expression: "HEAD:.github/SECURITY.md") {{ ... on Blob {{ contacts: text }} }}
        policyDocs: object(expression: "HEAD:docs/SECURITY.md") {{ ... on Blob {{ contacts: text }} }}
        template: object(expression: "HEAD:.github/pull_request_template.md") {{ ... on Blob {{ references: text }} }}
        templateRoot: object(expression: "HEAD:pull_request_template.md") {{ ... on Blob {{ references: text }} }}
        templateDocs: object(expression: "HEAD:docs/pull_request_template.md") {{ ... on Blob {{ references: text }} }}
      }}
    }}
  }}
}}
"""

DEFAULT_BRANCH = Question("DefaultBranch", "name defaultBranchRef { name }", size=100)

_CHECKS = f"""
{PAGE}
nodes {{
  __typename
  ... on CheckRun {{ id name conclusion completedAt }}
  ... on StatusContext {{ id context state createdAt }}
}}
"""
"""Checks of a commit; those of the merge commit tell what a merge queue tested."""

_REVIEWS = f"""
{PAGE}
nodes {{ id state submittedAt author {{ __typename login }} commit {{ oid }} }}
"""

PULL_REQUESTS = Question(
    "PullRequests",
    f"""
    name
    pullRequests(
      first: 50, after: $after, states: [MERGED], baseRefName: $branch,
      orderBy: {{field: UPDATED_AT, direction: DESC}}
    ) {{
      {PAGE}
      nodes {{
        number
        createdAt
        updatedAt
        mergedAt
        baseRefName
        headRefOid
        isCrossRepository
        author {{ __typename login }}
        mergedBy {{ __typename login }}
        mergeCommit {{ oid statusCheckRollup {{ contexts(first: 40) {{ {_CHECKS} }} }} }}
        statusCheckRollup {{ contexts(first: 40) {{ {_CHECKS} }} }}
        reviews(first: 50) {{ {_REVIEWS} }}
      }}
    }}
""",
    (("branch", "String!"), ("after", "String")),
)

MORE_REVIEWS = f"""
query MoreReviews($organization: String!, $repository: String!, $number: Int!, $after: String) {{
  repository(owner: $organization, name: $repository, followRenames: false) {{
    name
    pullRequest(number: $number) {{
      number
      reviews(first: 100, after: $after) {{ {_REVIEWS} }}
    }}
  }}
}}
"""

CHECKED = """
query Checked($organization: String!, $repository: String!) {
  repository(owner: $organization, name: $repository, followRenames: false) {
    name
    pullRequests(first: 1, states: [MERGED], orderBy: {field: UPDATED_AT, direction: DESC}) {
      nodes { number statusCheckRollup { contexts(first: 1) { totalCount } } }
    }
  }
}
"""
"""Whether checks are shown; asked by `doctor`."""

MORE_CHECKS = f"""
query MoreChecks($organization: String!, $repository: String!, $number: Int!, $after: String) {{
  repository(owner: $organization, name: $repository, followRenames: false) {{
    name
    pullRequest(number: $number) {{
      number
      statusCheckRollup {{ contexts(first: 100, after: $after) {{ {_CHECKS} }} }}
    }}
  }}
}}
"""

MORE_MERGE_CHECKS = f"""
query MoreMergeChecks($organization: String!, $repository: String!, $number: Int!, $after: String) {{
  repository(owner: $organization, name: $repository, followRenames: false) {{
    name
    pullRequest(number: $number) {{
      number
      mergeCommit {{ oid statusCheckRollup {{ contexts(first: 100, after: $after) {{ {_CHECKS} }} }} }}
    }}
  }}
}}
"""

_PULLS_OF_COMMIT = f"""
{PAGE}
nodes {{ number mergedAt baseRefName baseRepository {{ nameWithOwner }} }}
"""

COMMITS = Question(
    "Commits",
    f"""
    name
    ref(qualifiedName: $ref) {{
      name
      target {{
        oid
        ... on Commit {{
          history(first: 100, after: $after, since: $since, until: $until) {{
            {PAGE}
            nodes {{
              oid
              committedDate
              parents(first: 1) {{ totalCount }}
              author {{ user {{ login }} }}
              signature {{ isValid }}
              associatedPullRequests(first: 20) {{ {_PULLS_OF_COMMIT} }}
            }}
          }}
        }}
      }}
    }}
""",
    (("ref", "String!"), ("since", "GitTimestamp!"), ("until", "GitTimestamp"), ("after", "String")),
    size=100,  # 200,000 nodes at most, fewer than pull requests ask for
)

BRANCH_SIGNATURE = Question(
    "BranchSignature",
    f"""
    name
    ref(qualifiedName: $ref) {{ name target {{ oid }} }}
    pullRequests(
      first: 20, states: [MERGED], baseRefName: $branch, orderBy: {{field: UPDATED_AT, direction: DESC}}
    ) {{
      {PAGE}
      nodes {{ number updatedAt }}
    }}
""",
    (("ref", "String!"), ("branch", "String!")),
    size=100,
)
"""What tells whether anything moved that `PULL_REQUESTS` and `COMMITS` answer; see `reuse`."""

MERGED_COUNT = Question(
    "MergedCount",
    "issueCount",
    field="search",
    subject="query",
    arguments="type: ISSUE, query: $SUBJECT, first: 1",
    kind="SearchResultItemConnection",
    owner=False,
    size=100,
)

BRANCH_RULES = Question(
    "BranchRules",
    f"""
    name
    viewerCanAdminister
    ref(qualifiedName: $ref) {{
      name
      rules(first: 100) {{
        {PAGE}
        nodes {{
          type
          repositoryRuleset {{ databaseId source {{ __typename }} }}
          parameters {{
            ... on PullRequestParameters {{
              requiredApprovingReviewCount
              dismissStaleReviewsOnPush
              requireLastPushApproval
              requireCodeOwnerReview
            }}
            ... on RequiredStatusChecksParameters {{ requiredStatusChecks {{ context }} }}
            ... on CodeScanningParameters {{ codeScanningTools {{ tool alertsThreshold securityAlertsThreshold }} }}
          }}
        }}
      }}
      branchProtectionRule {{
        requiresApprovingReviews
        requiredApprovingReviewCount
        dismissesStaleReviews
        requireLastPushApproval
        requiresCodeOwnerReviews
        requiresStatusChecks
        requiredStatusCheckContexts
        requiresCommitSignatures
        isAdminEnforced
        allowsForcePushes
        allowsDeletions
        bypassPullRequestAllowances(first: 100) {{
          {PAGE}
          nodes {{ actor {{ __typename ... on User {{ login }} ... on Team {{ slug }} ... on App {{ slug }} }} }}
        }}
      }}
    }}
""",
    (("ref", "String!"),),
    size=100,
)

RULESETS = Question(
    "Rulesets",
    f"""
    name
    rulesets(first: 100, includeParents: false, targets: [BRANCH]) {{
      {PAGE}
      nodes {{ databaseId name enforcement }}
    }}
""",
    size=100,
)

ALL_PROPOSALS = f"""
query AllProposals($organization: String!, $after: String) {{
  organization(login: $organization) {{
    repositories(first: 100, after: $after, orderBy: {{field: NAME, direction: ASC}}) {{
      {PAGE}
      nodes {{
        name
        isArchived
        pullRequests(first: 50, orderBy: {{field: CREATED_AT, direction: DESC}}) {{
          {PAGE}
          nodes {{ number createdAt state author {{ __typename login }} }}
        }}
      }}
    }}
  }}
}}
"""

PROPOSALS = f"""
query Proposals($organization: String!, $repository: String!, $after: String) {{
  repository(owner: $organization, name: $repository, followRenames: false) {{
    name
    pullRequests(first: 100, after: $after, orderBy: {{field: CREATED_AT, direction: DESC}}) {{
      {PAGE}
      nodes {{ number createdAt state author {{ __typename login }} }}
    }}
  }}
}}
"""

COUNTS = f"""
query Counts($organization: String!, $after: String) {{
  organization(login: $organization) {{
    repositories(first: 100, after: $after, orderBy: {{field: NAME, direction: ASC}}) {{
      {PAGE}
      nodes {{
        name
        isArchived
        hasVulnerabilityAlertsEnabled
        vulnerabilityAlerts(first: 1) {{ totalCount }}
        deployKeys(first: 1) {{ totalCount }}
      }}
    }}
  }}
}}
"""

QUESTIONS = (
    DEFAULT_BRANCH,
    BRANCH_SIGNATURE,
    PULL_REQUESTS,
    COMMITS,
    MERGED_COUNT,
    BRANCH_RULES,
    RULESETS,
    LAST_DEPLOYMENTS,
)
"""What is asked of one repository, or of many at once."""

CHANGES = (PULL_REQUESTS.one, MORE_REVIEWS, MORE_CHECKS, MORE_MERGE_CHECKS, COMMITS.one)
"""What is asked about the changes of a branch."""

ALL = {
    "VIEWER": VIEWER,
    "ORGANIZATION": ORGANIZATION,
    "MEMBER_COUNT": MEMBER_COUNT,
    "REPOSITORIES": REPOSITORIES,
    "MORE_REVIEWS": MORE_REVIEWS,
    "CHECKED": CHECKED,
    "MORE_CHECKS": MORE_CHECKS,
    "MORE_MERGE_CHECKS": MORE_MERGE_CHECKS,
    "ALL_PROPOSALS": ALL_PROPOSALS,
    "PROPOSALS": PROPOSALS,
    "COUNTS": COUNTS,
    "COLLABORATORS": COLLABORATORS,
    "MORE_COLLABORATORS": MORE_COLLABORATORS,
    "FEATURES": FEATURES,
    "WATCHED": watched_paths(FILES_AT_ONCE),
    **{f"CODE_TEXTS {kept}": code_texts(TEXTS_AT_ONCE, kept) for kept in ("settings", "routing")},
    "FILE_HISTORIES": file_histories(FILES_AT_ONCE),
    **{question.name: question.one for question in QUESTIONS},
    **{f"{question.name} of many": question.many(question.size) for question in QUESTIONS},
}
"""Every document by name; tests validate each against GitHub's published schema."""


def is_known(text: str) -> bool:
    """True for a document that may be sent: one of `ALL`, or a question put about fewer at once."""
    if text in ALL.values():
        return True
    if any(text in (file_histories(count), watched_paths(count)) for count in range(1, FILES_AT_ONCE)):
        return True
    few = range(1, TEXTS_AT_ONCE)
    if any(text == code_texts(count, kept) for count in few for kept in ("settings", "routing")):
        return True
    return any(text == q.many(count) for q in QUESTIONS for count in range(2, q.size))
