"""The card of the dataset for machines: Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from graft.cards.dataset_facts import DatasetFacts, describe_dataset
from graft.config.load import read_params
from graft.config.paths import CROISSANT, MANIFEST
from graft.data.download import Source
from graft.utils.files import digest, write_json

FIELDS = {
    "key": "sha256 of the image file",
    "path": "of the image in its archive or folder",
    "label": "the image's class",
    "split": "train, validation or test",
}
FORMATS = {".zip": "application/zip", ".tgz": "application/x-tgz", ".gz": "application/gzip"}


def write_croissant(root: Path) -> None:
    """Write `data/croissant.json` of a repository, which describes `data/manifest.csv` beside it.

    Raises:
        FileNotFoundError: if there is no manifest.
        ValueError: if params.yaml cannot be read.
    """
    params = read_params(root / "params.yaml")
    facts = describe_dataset(params["dataset"], params["source"])
    write_json(build_croissant(facts, digest(root / MANIFEST)), root / CROISSANT)


def build_croissant(facts: DatasetFacts, manifest_sha256: str) -> dict[str, Any]:
    """Build the description of a dataset and its manifest.

    Returns:
        JSON-LD with the dataset's name, licence and citation, its archives and the manifest as the
        distribution, and a record set ``images`` with the manifest's columns. What is not known is left out.
    """
    context = json.loads((files("graft.cards") / "croissant_context.json").read_text(encoding="utf-8"))
    known = {"license": facts.licence, "citeAs": facts.citation, "url": facts.homepage}
    return {
        "@context": context,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": _name(facts.name),
        "description": f"{facts.name}: images with one label each, and the split that graft trained on.",
        **{name: value for name, value in known.items() if value},
        "distribution": [*map(_describe_archive, facts.sources), _describe_manifest(manifest_sha256)],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "key": {"@id": "images/key"},
                "field": [_describe_field(name, text) for name, text in FIELDS.items()],
            }
        ],
    }


def _name(name: str) -> str:
    """A name without the characters that Croissant forbids in one."""
    return re.sub(r"[^\w .-]+", "-", name).strip() or "images"


def _describe_archive(source: Source) -> dict[str, Any]:
    algorithm, checksum = source.checksum.split(":")
    return {
        "@type": "cr:FileObject",
        "@id": source.name,
        "name": source.name,
        "contentUrl": source.url,
        "contentSize": f"{source.size} B",
        "encodingFormat": FORMATS.get(Path(source.name).suffix, "application/octet-stream"),
        algorithm: checksum,
    }


def _describe_manifest(sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": MANIFEST.name,
        "name": MANIFEST.name,
        "description": "The key, path, label and split of each image.",
        "contentUrl": MANIFEST.name,
        "encodingFormat": "text/csv",
        "sha256": sha256,
    }


def _describe_field(name: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"images/{name}",
        "name": name,
        "description": description,
        "dataType": "sc:Text",
        "source": {"fileObject": {"@id": MANIFEST.name}, "extract": {"column": name}},
    }
