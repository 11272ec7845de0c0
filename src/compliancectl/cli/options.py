"""Options that several commands share, said once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How data is printed."""

    text = "text"
    json = "json"


class Paper(StrEnum):
    """Page sizes."""

    a4 = "A4"
    letter = "Letter"


PaperSize = Annotated[Paper, typer.Option("--paper", help="Page size.")]
ScopeFile = Annotated[
    Path, typer.Option("--scope", "-s", help="Scope file.", metavar="FILE", show_default="compliancectl.yaml")
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Control ids or patterns such as 'BCP-*'; may be repeated.", metavar="ID"),
]
Frameworks = Annotated[
    list[str] | None,
    typer.Option("--framework", help="Only controls that serve this framework; may be repeated.", metavar="ID"),
]
OutputFormat = Annotated[Format, typer.Option("--format", help="Text for people, JSON for scripts.")]
RunFolder = Annotated[Path, typer.Argument(help="Run folder that `collect` wrote.", metavar="RUN")]
AsOf = Annotated[
    str | None,
    typer.Option(help="Instant of judgement, RFC 3339; by default the end of the collection.", metavar="INSTANT"),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted or partial run in the same folder.")]
Deadline = Annotated[
    float, typer.Option("--deadline", help="Longest time for one request, pauses included.", metavar="SECONDS", min=1)
]
MaxCalls = Annotated[
    int | None,
    typer.Option("--max-calls", help="Most requests to Google Cloud; what is left is not judged.", metavar="N", min=1),
]

WriteProbes = Annotated[
    bool,
    typer.Option(
        "--write-probes",
        help="Try writes across tenants and roll them back; only where the scope says `clone: true`.",
    ),
]

TablesPlace = Annotated[
    str | None,
    typer.Option(
        "--tables", help="Where the tables lie: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.", metavar="PLACE"
    ),
]

CopyTables = Annotated[
    bool,
    typer.Option(
        "--copy-tables", help="Copy the tables of a bucket, even if the engine could read them where they lie."
    ),
]

EngineName = Annotated[
    str, typer.Option("--engine", help="What answers the SQL; others than duckdb need a certificate.", metavar="NAME")
]
CertificateFile = Annotated[
    Path | None,
    typer.Option("--certificate", help="The engine's certificate; by default NAME.certificate.json.", metavar="FILE"),
]
SparkMaster = Annotated[
    str,
    typer.Option(
        "--spark-master", help="Spark's master: local[N], or an address.", envvar="SPARK_MASTER", metavar="URL"
    ),
]
BigQueryDataset = Annotated[
    str,
    typer.Option(
        "--bigquery-dataset",
        help="BigQuery's dataset, where evidence may be loaded.",
        envvar="BIGQUERY_DATASET",
        metavar="PROJECT.DATASET",
    ),
]
BigQueryLocation = Annotated[
    str | None,
    typer.Option(
        "--bigquery-location", help="Where that dataset must be, such as EU; refused if it is not.", metavar="PLACE"
    ),
]
BigQueryEndpoint = Annotated[
    str | None,
    typer.Option(
        "--bigquery-endpoint",
        help="BigQuery's API, instead of Google's public one.",
        envvar="COMPLIANCECTL_ENDPOINT_BIGQUERY",
        metavar="URL",
    ),
]
BigQueryMaxBytes = Annotated[
    int,
    typer.Option("--bigquery-max-bytes", help="Most bytes that one query may be billed for.", metavar="N", min=1),
]

DEFAULT_SCOPE = Path("compliancectl.yaml")
