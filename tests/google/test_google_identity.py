"""Acting as a service account, and workload identity federation: against token endpoints on loopback, without a key of its own."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import discovery
import pytest
from cloudbox import PROD, Box

from compliancectl.sandbox.web import Request, Response

AUDITOR = "auditor@larkspur-prod.iam.gserviceaccount.com"
POOL = "//iam.googleapis.com/projects/402117739155/locations/global/workloadIdentityPools/ci/providers/github"
SUBJECT = "SEEDED-SECRET-token-of-the-pipeline"


@pytest.fixture
def lent(box: Box) -> Iterator[list[tuple[Request, Response]]]:
    """The auditor may be acted as, and the pool knows the pipeline; what the token endpoints heard and said."""
    box.cloud.tokens.revoke()
    box.cloud.tokens.impersonable.add(AUDITOR)
    box.cloud.tokens.federated[POOL] = SUBJECT
    heard: list[tuple[Request, Response]] = []
    box.cloud.server.observers.append(lambda request, response: heard.append((request, response)))
    yield heard
    box.cloud.server.observers.clear()
    box.cloud.tokens.impersonable.clear()
    box.cloud.tokens.federated.clear()
    box.cloud.tokens.revoke()


def federation(box: Box, folder: Path, account: str | None, **changes: Any) -> dict[str, str]:
    """The file that gcloud writes for a pipeline, and the variable that names it."""
    (folder / "token.jwt").write_text(changes.pop("token", SUBJECT))
    url = box.cloud.web.url
    said = {
        "type": "external_account",
        "audience": POOL,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{url}/sts.googleapis.com/v1/token",
        "credential_source": {"file": str(folder / "token.jwt")},
        **changes,
    }
    if account:
        lend = f"{url}/iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
        said["service_account_impersonation_url"] = lend
    (folder / "federation.json").write_text(json.dumps(said))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(folder / "federation.json")}


def bearers(box: Box) -> set[str]:
    """Who asked for buckets, by the tokens that were sent."""
    asked = [r for r in box.cloud.web.log if r.path.endswith("/storage/v1/b")]
    return {box.cloud.tokens.check(request.headers["authorization"]).email for request in asked}


def test_a_service_account_is_acted_as(box: Box, lent: list[Any]) -> None:
    item = box.collect("gcp.bucket", projects=[PROD], impersonate=AUDITOR).item("buckets")
    assert (item.status, bearers(box)) == ("collected", {AUDITOR})
    assert (item.principal.subject, item.principal.authentication) == (AUDITOR, "service account impersonation")
    assert f'principalEmail="{AUDITOR}"' in str(item.corroborate)


def test_a_pipeline_acts_as_a_service_account(box: Box, lent: list[Any], tmp_path: Path) -> None:
    env = federation(box, tmp_path, AUDITOR)
    found = box.collect("gcp.bucket", "gcp.log_bucket", projects=[PROD], env=env)
    assert {item.status for item in found.items.values()} == {"collected"} and bearers(box) == {AUDITOR}
    principal = found.item("buckets").principal
    assert (principal.subject, principal.authentication) == (AUDITOR, "workload identity federation")
    assert SUBJECT not in "".join(path.read_text() for path in found.run.rglob("*.json"))


def test_a_pipeline_without_a_service_account_asks_as_itself(box: Box, lent: list[Any], tmp_path: Path) -> None:
    item = box.collect("gcp.bucket", projects=[PROD], env=federation(box, tmp_path, None)).item("buckets")
    assert (item.status, item.principal.subject) == ("collected", "not stated by the credentials")
    assert bearers(box) == {"principal://iam.googleapis.com/sandbox"}


def test_what_the_token_endpoints_hear_and_say_is_as_google_documents_it(
    box: Box, lent: list[tuple[Request, Response]], tmp_path: Path
) -> None:
    box.collect("gcp.bucket", projects=[PROD], env=federation(box, tmp_path, AUDITOR))
    about = [(q, a) for q, a in lent if q.path.startswith(("/sts.", "/iamcredentials."))]
    assert [request.path.split("/")[1].partition(".")[0] for request, _ in about] == ["sts", "iamcredentials"]
    for request, response in about:
        host, _, path = request.path.lstrip("/").partition("/")
        route = discovery.route(["sts.v1", "iamcredentials.v1"], request.method, host, path)
        assert route is not None
        assert list(route.response_problems(json.loads(response.body))) == []
        if host.startswith("iamcredentials"):  # the other hears a form (RFC 8693), which the document does not describe
            said = {name: value for name, value in json.loads(request.body).items() if value is not None}
            assert list(route.request_problems(request.query, json.dumps(said).encode())) == []


def test_who_may_not_act_as_it_is_told(box: Box, lent: list[Any]) -> None:
    box.cloud.tokens.impersonable.clear()
    item = box.collect("gcp.bucket", projects=[PROD], impersonate=AUDITOR).item("buckets")
    assert (item.status, item.cause) == ("denied", "permission")
    assert "impersonat" in str(item.reason).lower() or "getAccessToken" in str(item.reason)
    lines = box.doctor(projects=[PROD], impersonate=AUDITOR)
    assert [(line.subject, line.outcome) for line in lines.values()] == [("credentials", "missing")]


def test_a_token_of_a_stranger_is_refused(box: Box, lent: list[Any], tmp_path: Path) -> None:
    item = box.collect("gcp.bucket", projects=[PROD], env=federation(box, tmp_path, AUDITOR, token="forged")).item(
        "buckets"
    )
    assert (item.status, item.cause) == ("denied", "permission") and "invalid_grant" in str(item.reason)


def test_a_busy_token_endpoint_is_asked_again(box: Box, lent: list[Any]) -> None:
    box.misbehave("generateAccessToken", status=503, times=2)
    item = box.collect("gcp.bucket", projects=[PROD], impersonate=AUDITOR).item("buckets")
    assert item.status == "collected"
    assert len([r for r in box.cloud.web.log if r.path.endswith(":generateAccessToken")]) == 3


def test_the_name_of_an_account_is_checked(box: Box) -> None:
    import pydantic

    from compliancectl import plugins

    with pytest.raises(pydantic.ValidationError, match="impersonate"):
        plugins.collector("gcp").collector.config.model_validate(
            {"projects": [PROD], "impersonate": "ann@larkspur.example"}
        )


def test_nothing_is_sent_anywhere_but_to_the_endpoints(box: Box) -> None:
    """google-auth looks up the regions of an account, in the background and at an address that no option moves."""
    reached: list[str] = []

    class Proxy(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            reached.append(self.rfile.readline().decode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{proxy.server_address[1]}"
        env = {"HTTPS_PROXY": address, "NO_PROXY": "127.0.0.1,localhost"}
        assert box.collect("gcp.bucket", projects=[PROD], env=env).item("buckets").status == "collected"
        for thread in threading.enumerate():
            if type(thread).__module__.startswith("google.auth"):
                thread.join()
        proxy.shutdown()
    assert reached == []
