"""BigQuery's own client library: the one module that knows it, and what each of its errors means here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.engines.base import EngineFailed, Settings
from compliancectl.errors import UsageError
from compliancectl.googleapi import token_transport
from compliancectl.query.syntax import Refused

if TYPE_CHECKING:
    from google.cloud import bigquery

LABELS = {"made-by": "compliancectl"}
_KEPT = timedelta(hours=24)
"""How long a loaded table stays if nothing removes it."""
_PAGE = 10_000
_CONSTRUCTS = ("invalidQuery", "invalid")
_REACH = "Look at --bigquery-endpoint, the credentials and the network."
_WHY = {
    "accessDenied": "The credentials may not: grant roles/bigquery.jobUser on the project, and "
    "roles/bigquery.dataEditor on the dataset.",
    "quotaExceeded": "A quota is used up: ask again later, or have it raised.",
    "rateLimitExceeded": "Too many requests: ask again later.",
    "bytesBilledLimitExceeded": "It would read more than --bigquery-max-bytes allows.",
    "billingNotEnabled": "The project has no billing account.",
    "notFound": "Look at --bigquery-dataset and --bigquery-location.",
    "resourcesExceeded": "The query needs more than BigQuery gives one.",
}
"""Reason, as BigQuery's errors name it → what to do."""


@dataclass(frozen=True)
class Done:
    """A query job that came to its end."""

    job: str
    """`PROJECT:LOCATION.ID`, as BigQuery's console finds it."""
    bytes_processed: int
    bytes_billed: int
    rows: list[tuple[Any, ...]]


class Client:
    """One dataset, for one run."""

    def __init__(self, settings: Settings) -> None:
        try:
            from google.cloud import bigquery
        except ImportError as error:
            hint = "Install the extra: pip install 'compliancectl[bigquery]'."
            raise UsageError("BigQuery's client library is not installed", hint=hint) from error
        project, dot, dataset = settings.dataset.partition(".")
        if not (project and dot and dataset) or "." in dataset:
            raise UsageError(
                f"--bigquery-dataset must be PROJECT.DATASET, not {settings.dataset!r}",
                hint="Name a dataset that is empty, in the place where the evidence may be.",
            )
        self.settings, self.dataset = settings, settings.dataset
        self.client = _client(bigquery, project, settings)
        self._again = bigquery.DEFAULT_RETRY.with_timeout(settings.retry_s)
        self.location = self._place()

    def close(self) -> None:
        """Close connections."""
        self.client.close()  # type: ignore[no-untyped-call]

    def check(self, sql: str) -> int:
        """Have a query checked without running it; returns the bytes that it would read.

        Raises:
            Refused: BigQuery does not accept it.
            UsageError: BigQuery cannot be asked.
        """
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, labels=LABELS)
        with _asking():
            job = self.client.query(
                sql, job_config=config, retry=self._again, job_retry=None, timeout=self.settings.timeout_s
            )
        return int(job.total_bytes_processed or 0)

    def run(self, sql: str, objects: Mapping[str, Sequence[str]] | None = None) -> Done:
        """Run a query to its end, and read the whole answer.

        Args:
            sql: the query.
            objects: table of the query → the Parquet files in Cloud Storage that it is, for this one job.

        Raises:
            EngineFailed: it did not finish, or not all of its rows arrived.
        """
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            use_query_cache=False,
            maximum_bytes_billed=self.settings.max_bytes,
            job_timeout_ms=int(self.settings.timeout_s * 1000),
            labels=LABELS,
        )
        config.table_definitions = {name: _lying(addresses) for name, addresses in (objects or {}).items()}
        with _failures():
            job = self.client.query(
                sql,
                job_config=config,
                job_id_prefix="compliancectl_",
                retry=self._again,
                job_retry=None,
                timeout=self.settings.timeout_s,
            )
            found = job.result(page_size=_PAGE, retry=self._again, timeout=self.settings.timeout_s, job_retry=None)
            rows = [tuple(row.values()) for row in found]
        name = f"{job.project}:{job.location}.{job.job_id}"
        if found.total_rows is None or len(rows) != found.total_rows:
            raise EngineFailed(f"BigQuery's job {name} has {found.total_rows} rows, but {len(rows)} arrived.")
        return Done(name, int(job.total_bytes_processed or 0), int(job.total_bytes_billed or 0), rows)

    def load(self, name: str, file: Path, rows: int) -> str:
        """Load a Parquet file into a new table that goes away by itself; returns its full name.

        Raises:
            EngineFailed: it was not loaded, or not whole.
        """
        from google.cloud import bigquery

        place = f"{self.dataset}.{name}"
        config = bigquery.LoadJobConfig(
            source_format="PARQUET",
            write_disposition="WRITE_EMPTY",
            create_disposition="CREATE_IF_NEEDED",
            labels=LABELS,
        )
        with _failures(), file.open("rb") as stream:
            job = self.client.load_table_from_file(
                stream, place, size=file.stat().st_size, job_config=config, job_id_prefix="compliancectl_",
                timeout=self.settings.timeout_s,
            )  # fmt: skip
            job.result(retry=self._again, timeout=self.settings.timeout_s)
            if job.output_rows != rows:
                raise EngineFailed(f"BigQuery loaded {job.output_rows} of {rows} rows into {place}.")
            table = self.client.get_table(place, retry=self._again)
            table.expires, table.labels = job.ended + _KEPT, LABELS
            self.client.update_table(table, ["expires", "labels"], retry=self._again)
        return place

    def drop(self, places: Sequence[str]) -> None:
        """Remove tables; what cannot be removed goes away by itself."""
        from google.api_core.exceptions import GoogleAPIError

        for place in places:
            try:
                self.client.delete_table(place, retry=self._again, not_found_ok=True)
            except GoogleAPIError:
                return

    def _place(self) -> str:
        with _asking():
            place = str(self.client.get_dataset(self.dataset, retry=self._again).location)
        wanted = self.settings.location
        if wanted is not None and wanted.lower() != place.lower():
            raise UsageError(
                f"the dataset {self.dataset} is in {place}, not in {wanted}",
                hint="BigQuery runs a query where its data is: name that location, or another dataset.",
            )
        self.client._location = place  # where its jobs run; known only now
        return place


def _lying(addresses: Sequence[str]) -> bigquery.ExternalConfig:
    """Exactly these objects. No pattern: what lies beside them was not held to anything."""
    from google.cloud import bigquery

    found = bigquery.ExternalConfig("PARQUET")
    found.source_uris = list(addresses)
    return found


def _client(bigquery_module: Any, project: str, settings: Settings) -> bigquery.Client:
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession

    options: Mapping[str, Any] | None = {"api_endpoint": settings.endpoint} if settings.endpoint else None
    try:
        credentials, _ = google.auth.default(scopes=bigquery_module.Client.SCOPE)
        session = AuthorizedSession(credentials, auth_request=token_transport())  # type: ignore[no-untyped-call]
        session.configure_mtls_channel()  # type: ignore[no-untyped-call]
        made: bigquery.Client = bigquery_module.Client(
            project=project, credentials=credentials, client_options=options, _http=session
        )
        return made
    except GoogleAuthError as error:
        hint = "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS."
        raise UsageError(f"there are no credentials for BigQuery: {_sentence(str(error))}", hint=hint) from error


@contextmanager
def _failures() -> Iterator[None]:
    """Whatever goes wrong, nothing is known then."""
    from concurrent.futures import TimeoutError as Late

    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    try:
        yield
    except (Late, TimeoutError) as error:
        raise EngineFailed("BigQuery did not finish in time.") from error
    except GoogleAPIError as error:
        if _unreached(error):
            raise EngineFailed(f"BigQuery cannot be reached: {_said(error)[1]}") from error
        reason, said = _said(error)
        raise EngineFailed(f"BigQuery did not finish ({reason}): {said} {_WHY.get(reason, '')}".rstrip()) from error
    except (GoogleAuthError, RequestException) as error:
        raise EngineFailed(f"BigQuery cannot be reached: {_sentence(str(error))}") from error


@contextmanager
def _asking() -> Iterator[None]:
    """Before anything runs: what is wrong with a query is refused, all else is the user's to mend."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    try:
        yield
    except GoogleAPIError as error:
        reason, said = _said(error)
        if _unreached(error):
            raise UsageError(f"BigQuery cannot be reached: {said}", hint=_REACH) from error
        if reason in _CONSTRUCTS:
            raise Refused(f"BigQuery does not accept the SQL: {said}", "Write it in plainer SQL.") from error
        raise UsageError(f"BigQuery cannot be asked ({reason}): {said}", hint=_WHY.get(reason)) from error
    except (GoogleAuthError, RequestException) as error:
        raise UsageError(f"BigQuery cannot be reached: {_sentence(str(error))}", hint=_REACH) from error


def _last(error: Exception) -> Exception:
    """What went wrong when the library gave up repeating."""
    return getattr(error, "cause", None) or error


def _unreached(error: Exception) -> bool:
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    return isinstance(_last(error), RequestException | GoogleAuthError | OSError)


def _said(error: Exception) -> tuple[str, str]:
    """BigQuery's reason in one word, and its sentence."""
    error = _last(error)
    details: Sequence[Mapping[str, Any]] = getattr(error, "errors", None) or ()
    first = next((detail for detail in details if isinstance(detail, Mapping)), {})
    reason = str(first.get("reason") or type(error).__name__)
    return reason, _sentence(str(first.get("message") or getattr(error, "message", None) or error))


def _sentence(text: str) -> str:
    return text.strip().split("\n")[0].rstrip(".;") + "."
