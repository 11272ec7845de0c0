"""The GraphQL documents that are sent, and nothing else: what is not asked for never arrives.

No document asks for the e-mail address or the name of a committer.
"""

from __future__ import annotations

PAGE = "pageInfo { hasNextPage endCursor } totalCount"

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
    repositories(first: 50, after: $after, orderBy: {{field: NAME, direction: ASC}}) {{
      {PAGE}
      nodes {{
        name
        isArchived
        isFork
        visibility
        pushedAt
        defaultBranchRef {{ name }}
        dependabot: object(expression: "HEAD:.github/dependabot.yml") {{ oid }}
        dependabotLong: object(expression: "HEAD:.github/dependabot.yaml") {{ oid }}
        renovate: object(expression: "HEAD:renovate.json") {{ oid }}
        renovate5: object(expression: "HEAD:renovate.json5") {{ oid }}
        renovateHidden: object(expression: "HEAD:.github/renovate.json") {{ oid }}
        renovateHidden5: object(expression: "HEAD:.github/renovate.json5") {{ oid }}
        renovateRc: object(expression: "HEAD:.renovaterc") {{ oid }}
        renovateRcJson: object(expression: "HEAD:.renovaterc.json") {{ oid }}
      }}
    }}
  }}
}}
"""

DEFAULT_BRANCH = """
query DefaultBranch($organization: String!, $repository: String!) {
  repository(owner: $organization, name: $repository, followRenames: false) {
    name
    defaultBranchRef { name }
  }
}
"""

_REVIEWS = f"""
{PAGE}
nodes {{ id state submittedAt author {{ __typename login }} commit {{ oid }} }}
"""

PULL_REQUESTS = f"""
query PullRequests($organization: String!, $repository: String!, $branch: String!, $after: String) {{
  repository(owner: $organization, name: $repository, followRenames: false) {{
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
        mergeCommit {{ oid }}
        reviews(first: 100) {{ {_REVIEWS} }}
      }}
    }}
  }}
}}
"""

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

_PULLS_OF_COMMIT = f"""
{PAGE}
nodes {{ number mergedAt baseRefName baseRepository {{ nameWithOwner }} }}
"""

COMMITS = f"""
query Commits(
  $organization: String!, $repository: String!, $ref: String!, $since: GitTimestamp!, $until: GitTimestamp!, $after: String
) {{
  repository(owner: $organization, name: $repository, followRenames: false) {{
    name
    ref(qualifiedName: $ref) {{
      name
      target {{
        ... on Commit {{
          history(first: 100, after: $after, since: $since, until: $until) {{
            {PAGE}
            nodes {{
              oid
              committedDate
              parents(first: 1) {{ totalCount }}
              author {{ user {{ login }} }}
              associatedPullRequests(first: 20) {{ {_PULLS_OF_COMMIT} }}
            }}
          }}
        }}
      }}
    }}
  }}
}}
"""

MERGED_COUNT = """
query MergedCount($query: String!) {
  search(type: ISSUE, query: $query, first: 1) { issueCount }
}
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

ALERT_COUNTS = f"""
query AlertCounts($organization: String!, $after: String) {{
  organization(login: $organization) {{
    repositories(first: 100, after: $after, orderBy: {{field: NAME, direction: ASC}}) {{
      {PAGE}
      nodes {{ name isArchived hasVulnerabilityAlertsEnabled vulnerabilityAlerts(first: 1) {{ totalCount }} }}
    }}
  }}
}}
"""

ALL = {
    "VIEWER": VIEWER,
    "ORGANIZATION": ORGANIZATION,
    "MEMBER_COUNT": MEMBER_COUNT,
    "REPOSITORIES": REPOSITORIES,
    "DEFAULT_BRANCH": DEFAULT_BRANCH,
    "PULL_REQUESTS": PULL_REQUESTS,
    "MORE_REVIEWS": MORE_REVIEWS,
    "COMMITS": COMMITS,
    "MERGED_COUNT": MERGED_COUNT,
    "PROPOSALS": PROPOSALS,
    "ALERT_COUNTS": ALERT_COUNTS,
}
"""Every document by name; tests validate each against GitHub's published schema."""
