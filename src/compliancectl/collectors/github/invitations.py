"""Who was invited to the organisation, or to one of its repositories, and has not come in yet."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github.columns import ADMINISTRATION, MEMBERS, METADATA, column, table
from compliancectl.collectors.github.common import audit_phrase, each, organization_target, repositories
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, facts_of, time_of
from compliancectl.model.table import BOOL, INT, TEXT, TIME

_INVITED = "GET /orgs/{org}/invitations#[]."
_COLLABORATOR = "GET /repos/{owner}/{repo}/invitations#[]."

INVITATION = table(
    "invitation",
    "One row per invitation to the organisation that is pending.",
    (MEMBERS,),
    column("id", INT, "Number that GitHub gave it.", _INVITED + "id", required=True),
    column("login", TEXT, "Who is invited; NULL when an e-mail address is, whoever reads it.", _INVITED + "login"),
    column("role", TEXT, "What the person is to be: direct_member, admin, …", _INVITED + "role"),
    column("created", TIME, "When.", _INVITED + "created_at", required=True),
    column("inviter", TEXT, "Login of who invited.", _INVITED + "inviter.login"),
)

REPOSITORY_INVITATION = table(
    "repository_invitation",
    "One row per invitation to a single repository that the scope covers, archived ones included; nobody accepted it yet.",
    (METADATA, ADMINISTRATION),
    column("repository", TEXT, "Name of the repository.", "GET /orgs/{org}/repos#[].name", required=True),
    column("id", INT, "Number that GitHub gave it.", _COLLABORATOR + "id", required=True),
    column(
        "login",
        TEXT,
        "Who is invited; NULL when an e-mail address is, whoever reads it.",
        _COLLABORATOR + "invitee.login",
    ),
    column(
        "permission", TEXT, "What the person is to be allowed: read, write, admin, …", _COLLABORATOR + "permissions"
    ),
    column("created", TIME, "When.", _COLLABORATOR + "created_at", required=True),
    column("inviter", TEXT, "Login of who invited.", _COLLABORATOR + "inviter.login"),
    column("expired", BOOL, "It is too late to accept it.", _COLLABORATOR + "expired"),
)


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages of pending invitations")
    yield from session.pages(f"/orgs/{target.name}/invitations", tally)
    return tally.result()


def _shape(reply: Reply) -> Iterator[Row]:
    organization = reply.context["organization"]
    for entry in data_of(reply):
        yield (
            "github.invitation",
            {
                "organization": organization,
                "resource": f"{organization}/invitations/{at(entry, 'id')}",
                "id": at(entry, "id"),
                "login": at(entry, "login"),
                "role": at(entry, "role"),
                "created": time_of(at(entry, "created_at")),
                "inviter": at(entry, "inviter", "login"),
            },
        )


def _fetch_of_repositories(session: GitHubSession, target: Target) -> Fetched:
    """GitHub lists these for one repository at a time only."""
    tally = Tally("all pages for each repository that the scope covers")
    listed = yield from repositories(session, tally)
    tally.items = 0
    names = sorted(name for name in (str(at(entry, "name")) for entry in listed) if session.config.covers(name))

    def ask(name: str, counted: Tally) -> Generator[Reply, None, None]:
        path = f"/repos/{target.name}/{name}/invitations"
        yield from session.pages(path, counted, facts={"repository": name})

    yield from each(session, names, ask, tally, "invitations")
    return tally.result()


def _shape_of_repository(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    for entry in data_of(reply) if "repository" in facts else ():
        yield (
            "github.repository_invitation",
            {
                "organization": organization,
                "resource": f"{organization}/{facts['repository']}/invitations/{at(entry, 'id')}",
                "repository": facts["repository"],
                "id": at(entry, "id"),
                "login": at(entry, "invitee", "login"),
                "permission": at(entry, "permissions"),
                "created": time_of(at(entry, "created_at")),
                "inviter": at(entry, "inviter", "login"),
                "expired": at(entry, "expired"),
            },
        )


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "invitations",
        "Invitations to the organisation that are pending.",
        (INVITATION,),
        organization_target,
        _fetch,
        _shape,
        corroborate=audit_phrase,
    ),
    Feed(
        "repository_invitations",
        "Invitations to single repositories that are pending.",
        (REPOSITORY_INVITATION,),
        organization_target,
        _fetch_of_repositories,
        _shape_of_repository,
        corroborate=audit_phrase,
    ),
)
