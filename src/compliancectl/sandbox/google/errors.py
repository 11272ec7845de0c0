"""Error bodies as Google writes them."""

from __future__ import annotations

from typing import Any

from compliancectl.sandbox.web import Response

STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


class Refused(Exception):
    """A request that Google would refuse; carries the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body.decode())
        self.response = response


def error(code: int, message: str, reason: str, details: list[dict[str, Any]] | None = None) -> Refused:
    """An error in Google's format: old-style `errors` and new-style `details`."""
    body: dict[str, Any] = {
        "code": code,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
        "status": STATUS[code],
    }
    if details:
        body["details"] = details
    headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'} if code == 401 else {}
    return Refused(Response.of({"error": body}, code, headers))


def unauthenticated(service: str) -> Refused:
    """No token, or one that is not valid."""
    message = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    info = {
        "@type": _INFO,
        "reason": "ACCESS_TOKEN_EXPIRED",
        "domain": "googleapis.com",
        "metadata": {"service": service, "method": "unknown"},
    }
    return error(401, message, "authError", [info])


def service_disabled(service: str, title: str, number: str) -> Refused:
    """The API is not enabled for the project."""
    link = f"https://console.developers.google.com/apis/api/{service}/overview?project={number}"
    message = (
        f"{title} has not been used in project {number} before or it is disabled. Enable it by visiting {link} then "
        "retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    )
    info = {
        "@type": _INFO,
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
        "metadata": {
            "service": service,
            "consumer": f"projects/{number}",
            "serviceTitle": title,
            "containerInfo": number,
            "activationUrl": link,
        },
    }
    return error(403, message, "accessNotConfigured", [info])


def permission_denied(service: str, permission: str, resource: str, email: str) -> Refused:
    """The caller lacks a permission; each service has its own words for it."""
    if service == "storage.googleapis.com":
        message = f"{email} does not have {permission} access to the Google Cloud project. Permission '{permission}' denied on resource (or it may not exist)."
        return error(403, message, "forbidden")
    if service == "compute.googleapis.com":
        return error(403, f"Required '{permission}' permission for '{resource}'", "forbidden")
    if service == "sqladmin.googleapis.com":
        return error(403, "The client is not authorized to make this request.", "notAuthorized")
    message = f"Permission '{permission}' denied on resource '//{service}/{resource}' (or it may not exist)."
    info = {
        "@type": _INFO,
        "reason": "IAM_PERMISSION_DENIED",
        "domain": service,
        "metadata": {"permission": permission, "resource": resource},
    }
    return error(403, message, "forbidden", [info])


def unknown_parameter(name: str) -> Refused:
    """A query parameter or body field that the method does not have."""
    message = f"Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request message."
    violation = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"description": message}]}
    return error(400, message, "invalid", [violation])


def invalid(message: str) -> Refused:
    """An argument that is not valid."""
    return error(400, message, "badRequest")


def not_found(message: str) -> Refused:
    """Something that does not exist."""
    return error(404, message, "notFound")
