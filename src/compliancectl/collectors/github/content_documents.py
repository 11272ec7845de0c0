"""GraphQL documents about repositories: who can open them, files that are watched, changes that bring a feature."""

from __future__ import annotations

from compliancectl.collectors.github.question import Question

PAGE = "pageInfo { hasNextPage endCursor } totalCount"

_PEOPLE = f"""
{PAGE}
nodes: edges {{
  permission
  node {{ login }}
  permissionSources {{ permission roleName source {{ __typename ... on Team {{ slug }} }} }}
}}
"""
"""What a person may do hangs at the edge, so that edges take the place of nodes."""

COLLABORATORS = f"""
query Collaborators($organization: String!, $after: String) {{
  organization(login: $organization) {{
    repositories(first: 100, after: $after, orderBy: {{field: NAME, direction: ASC}}) {{
      {PAGE}
      nodes {{ name createdAt collaborators(first: 100, affiliation: ALL) {{ {_PEOPLE} }} }}
    }}
  }}
}}
"""

MORE_COLLABORATORS = f"""
query MoreCollaborators($organization: String!, $repository: String!, $after: String) {{
  repository(owner: $organization, name: $repository, followRenames: false) {{
    name
    createdAt
    collaborators(first: 100, after: $after, affiliation: ALL) {{ {_PEOPLE} }}
  }}
}}
"""

LAST_DEPLOYMENTS = Question(
    "LastDeployments",
    f"""
    name
    deployments(first: 10, environments: [$environment], orderBy: {{field: CREATED_AT, direction: DESC}}) {{
      {PAGE}
      nodes {{
        databaseId
        commitOid
        createdAt
        state
        creator {{ __typename login }}
        commit {{ oid file(path: $path) {{ type oid }} }}
      }}
    }}
""",
    (("environment", "String!"), ("path", "String!")),
    size=100,
)

FEATURES = f"""
query Features($query: String!, $after: String) {{
  search(type: ISSUE, query: $query, first: 50, after: $after) {{
    issueCount
    pageInfo {{ hasNextPage endCursor }}
    nodes {{
      ... on PullRequest {{
        number
        mergedAt
        author {{ __typename login }}
        repository {{ name }}
        labels(first: 50) {{ {PAGE} nodes {{ name }} }}
        references: body
      }}
    }}
  }}
}}
"""

_FILE = f"""
  history(first: 1, path: $PATH) {{
    nodes {{
      oid
      committedDate
      associatedPullRequests(first: 5) {{
        {PAGE}
        nodes {{
          number
          mergedAt
          author {{ __typename login }}
          reviews(first: 50, states: [APPROVED]) {{ {PAGE} nodes {{ submittedAt author {{ __typename login }} }} }}
        }}
      }}
    }}
  }}
"""


def file_histories(count: int) -> str:
    """The document that asks who changed so many files last."""
    head = "".join(f", $p{place}: String!" for place in range(count))
    files = "\n".join(f"f{place}: {_FILE.strip().replace('PATH', f'p{place}')}" for place in range(count))
    return f"""
query FileHistories($organization: String!, $repository: String!{head}) {{
  repository(owner: $organization, name: $repository, followRenames: false) {{
    name
    defaultBranchRef {{ target {{ ... on Commit {{ {files} }} }} }}
  }}
}}
"""


def watched_paths(count: int) -> str:
    """The document that asks what is at so many paths of one repository."""
    head = "".join(f", $e{place}: String!" for place in range(count))
    paths = "\n".join(
        f"    w{place}: object(expression: $e{place}) {{ __typename ... on Tree {{ entries {{ path type }} }} }}"
        for place in range(count)
    )
    return f"""
query Watched($organization: String!, $repository: String!{head}) {{
  repository(owner: $organization, name: $repository, followRenames: false) {{
    name
{paths}
  }}
}}
"""


FILES_AT_ONCE = 20
"""Files whose last change is asked for in one request, and paths at which something may be."""


def code_texts(count: int, kept: str) -> str:
    """The document that asks for so many files of any repositories; `kept` says what is kept of their texts (see `redact`)."""
    head = "".join(f", $n{place}: String!, $e{place}: String!" for place in range(count))
    files = "\n".join(
        f"  f{place}: repository(owner: $organization, name: $n{place}, followRenames: false) "
        f"{{ name object(expression: $e{place}) {{ ... on Blob {{ oid {kept}: text }} }} }}"
        for place in range(count)
    )
    return f"query CodeTexts($organization: String!{head}) {{\n{files}\n}}\n"


TEXTS_AT_ONCE = 50
"""Files that are asked for in one request."""
