"""The origin and terms of a dataset's images, as its module names them."""

from dataclasses import dataclass
from types import ModuleType

from graft.data.datasets import load_dataset
from graft.data.download import Source
from graft.report.provenance import name_dataset

UNKNOWN = "Not known: these are images of one's own."


@dataclass(frozen=True)
class DatasetFacts:
    """The origin and terms of a dataset's images.

    Attributes:
        name: of the dataset; of a folder or an archive of one's own, its name.
        licence: a sentence.
        citation: the work to cite; empty where none is known.
        homepage: a page about it; empty where none is known.
        sources: the archives that it is downloaded from.
    """

    name: str
    licence: str
    citation: str
    homepage: str
    sources: tuple[Source, ...]


def describe_dataset(dataset: str, source: str) -> DatasetFacts:
    """Describe a dataset; arguments as in params.yaml.

    >>> describe_dataset("cifar10", "photos").homepage
    'https://www.cs.toronto.edu/~kriz/cifar.html'
    """
    module = load_dataset(dataset)
    sources = _sources(module)
    first = sources[0] if sources else None
    return DatasetFacts(
        name_dataset(dataset, source),
        getattr(module, "NOTICE", None) or (first.licence if first else UNKNOWN),
        first.citation if first else "",
        first.homepage if first else "",
        sources,
    )


def _sources(module: ModuleType) -> tuple[Source, ...]:
    source = module.SOURCE
    return () if source is None else source if isinstance(source, tuple) else (source,)
