"""The GitHub section of the scope file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from compliancectl.model.base import Model

GENERIC_SECRETS = (
    "http_basic_authentication_header",
    "http_bearer_authentication_header",
    "mongodb_connection_string",
    "mysql_connection_string",
    "openssh_private_key",
    "password",
    "pgp_private_key",
    "postgres_connection_string",
    "rsa_private_key",
)
"""GitHub's names of secrets that belong to no provider; its listing of alerts leaves them out unless they are named."""


class Repositories(Model):
    """Which of the organisation's repositories are looked at, by shell patterns on their names."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


class AppAuth(Model):
    """Authentication as the installation of a GitHub App."""

    id: int
    private_key: str
    """Path of the PEM file, relative to the scope file."""
    installation: int


class GitHubConfig(Model):
    """One organisation on github.com or on a GitHub Enterprise host."""

    organization: str = Field(min_length=1)
    production: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Repository → its production branches; an empty list means its default branch."""
    no_application: tuple[str, ...] = ()
    """Production repositories without code of the application (infrastructure, for example): of these, tests of the
    application are not asked; every report says so."""
    classes: dict[str, Literal["internal", "sandbox"]] = {}
    """What each repository that is not production is: inside the boundary of the system, or consciously outside."""
    watched: dict[str, tuple[str, ...]] = {}
    """Repository → files and folders (with a slash at the end) of which evidence says who changed them last, and who agreed."""
    apis: dict[str, str] = {}
    """Production repository with an API → path of the file that describes its routes (OpenAPI)."""
    deployed_to: str = "production"
    """The environment that production is deployed through."""
    context_variable: str | None = Field(default=None, pattern=r"^\w+\.\w+$")
    """The variable of the database that says whose rows a session sees; code is searched for it."""
    model_router: str | None = Field(default=None, pattern=r'^[^"\s]+$')
    """Host of a router of AI models, e.g. `openrouter.ai`; code is searched for it."""
    feature_label: str = Field(default="feature", pattern=r'^[^"]+$')
    """The label of pull requests that bring a new feature."""
    repositories: Repositories = Repositories()
    bots: tuple[str, ...] = ()
    """Logins of machine users that GitHub counts as people; its own `Bot` accounts are known without this."""
    generic_secret_types: tuple[str, ...] = GENERIC_SECRETS
    """Secrets of no provider that alerts are asked for, besides those that GitHub lists by itself."""
    base_url: Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+")] = "https://api.github.com"
    """REST root; the GraphQL address follows from it."""
    token_env: str = "GITHUB_TOKEN"  # noqa: S105 - the name of a variable
    app: AppAuth | None = None
    """When given, used instead of a token."""
    tokens_app: AppAuth | None = None
    """An App for the list of members' access tokens alone, which GitHub shows to no token; everything else is asked as ever."""
    cache: str | None = None
    """Folder, relative to the scope file, in which answers are kept between runs: of REST, for GitHub to confirm by 304;
    of GraphQL about the changes of a branch, for use while nothing has moved (see `reuse`)."""
    reuse_days: int = Field(default=7, ge=0)
    """How old what was kept of the changes of a branch may be, in days, and still be used while nothing has moved."""
    page_limit: int = Field(default=10_000, ge=1)
    """Pages of one listing after which collection stops and says so."""
    requests_per_minute: int = Field(default=900, ge=0)
    """REST requests that are sent in any minute at most: what GitHub documents as its secondary limit. 0: no limit, for GitHub
    Enterprise Server, where it is off by default."""
    timeout_s: float = Field(default=30.0, gt=0)
    """How long one attempt may take, in seconds."""
    retry_pause_s: float = Field(default=0.5, ge=0)
    """First pause before a repeated request, doubled each time, in seconds."""
    secondary_pause_s: float = Field(default=60.0, ge=0)
    """Pause after a secondary rate limit that names no time, in seconds; GitHub asks for at least a minute."""

    def covers(self, repository: str) -> bool:
        """True if a repository of this name is to be looked at."""
        return covered(repository, self.coverage)

    @property
    def coverage(self) -> dict[str, list[str]]:
        """What `covered` goes by, ready to be kept beside a reply."""
        return {
            "include": list(self.repositories.include),
            "exclude": list(self.repositories.exclude),
            "production": sorted(self.production),
        }


def covered(repository: str, coverage: Mapping[str, Sequence[str]]) -> bool:
    """True if patterns include a repository and do not exclude it; what is declared production always counts."""
    if repository in coverage["production"]:
        return True
    inside = any(fnmatchcase(repository, pattern) for pattern in coverage["include"])
    return inside and not any(fnmatchcase(repository, pattern) for pattern in coverage["exclude"])
