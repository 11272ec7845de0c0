"""Whether silence in a log of data access may be believed.

Cloud Logging leaves these entries out without a word for whoever may not see private logs. So that permission is looked at
before anybody concludes that there are none.
"""

from __future__ import annotations

from compliancectl.collectors.gcp import identity
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.verdict import Asked, denied

PRIVATE = "logging.privateLogEntries.list"


def believe(session: GcpSession, where: str) -> None:
    """Silence counts only for somebody who may see such entries in a place: `projects/P`, a folder or an organisation.

    Raises:
        Denied: if the principal may not.
        CollectError: if Google does not say.
    """
    if PRIVATE not in identity.held(session, where, (PRIVATE,)):
        message = "entries of data access are left out for whoever may not see private logs"
        raise denied(Asked("logging", PRIVATE, where), message, PRIVATE)
