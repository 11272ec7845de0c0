"""Who was invited to the organisation and has not come in yet."""

from __future__ import annotations

from collections.abc import Iterator

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github.columns import MEMBERS, column, table
from compliancectl.collectors.github.common import audit_phrase, organization_target
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, time_of
from compliancectl.model.table import INT, TEXT, TIME

_INVITED = "GET /orgs/{org}/invitations#[]."

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
)
