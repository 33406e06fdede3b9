"""The rows of the table: what each measures on either side, and the bar it is held to."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from drawings import link

Measurement = dict[str, float]
Row = dict[str, Any]

VGG19 = {
    "application": "VGG19",
    "preprocessing": "vgg19",
    "layer": "block5_pool",
    "pooling": "none",
    "image_size": 180,
    "batch_size": 16,
}
MOBILENET_V2 = VGG19 | {
    "application": "MobileNetV2",
    "preprocessing": "mobilenet_v2",
    "layer": "out_relu",
    "image_size": 224,
}
N_NEW = 10
NO_BFLOAT16 = "this CPU has no bfloat16 instructions"
NO_INT8 = "it needs OpenVINO (`pip install 'graft[openvino]'`) and a CPU with VNNI instructions"


@dataclass(frozen=True)
class Bench:
    """The means that the rows share.

    Attributes:
        measure: (name, arguments) -> the measurement.
        files: the images, two and a half times as many as `images`.
        work: an empty folder.
        images: how many in a row, 400 in the published table; the others are multiples of it.
        rounds: how often plain and ours alternate.
        vgg19: the backbone's row.
        bfloat16: whether the CPU has it.
        int8: whether the CPU has instructions for it, and OpenVINO is installed.
        matrix: rows of the matrices whose product is the machine's rate.
        photos: how many of the images are photos, which come first.
        weights: of MobileNetV2.
    """

    measure: Callable[[str, dict[str, Any]], Measurement]
    files: Sequence[Path]
    work: Path
    images: int
    rounds: int
    vgg19: dict[str, Any]
    bfloat16: bool
    int8: bool
    matrix: int
    photos: int
    weights: Path | None

    def folder(self) -> str:
        """A new, empty folder."""
        return tempfile.mkdtemp(dir=self.work)

    def image_folder(self, n: int) -> str:
        """A new folder with n images in two classes."""
        return str(link(self.files, Path(self.folder()), n))

    def splits(self, **counts: int) -> str:
        """A new folder with so many images in two classes in each split; none twice while they last."""
        root, files = Path(self.folder()), list(self.files)
        for split, n in counts.items():
            link(files, root / split, n)
            files = files[n:] + files[:n]
        return str(root)

    @property
    def precisions(self) -> list[str]:
        """Those that the CPU has."""
        return ["float32", "bfloat16"] if self.bfloat16 else ["float32"]


def extraction(bench: Bench) -> dict[str, Row]:
    """JPEG files -> features on disk in either precision, and the share of the matrix-product rate."""
    folder = bench.image_folder(bench.images)
    measured: dict[str, list[Measurement]] = {side: [] for side in ("plain", "share", *bench.precisions)}
    for _ in range(bench.rounds):
        arguments = {"images": folder, "row": bench.vgg19}
        measured["plain"].append(bench.measure("plain.extraction", arguments | {"work": bench.folder()}))
        for precision in bench.precisions:
            own = {"work": bench.folder(), "precision": precision}
            measured[precision].append(bench.measure("ours.extraction", arguments | own))
        own = {"work": bench.folder(), "size": bench.matrix}
        measured["share"].append(bench.measure("ours.share", arguments | own))
    plain, ours, share = measured["plain"], measured["float32"], measured["share"]
    rate, gflop = [m["matmul"] for m in share], ours[0]["gflop"] / ours[0]["images"]
    title = f"extraction, {bench.images} JPEG files -> features on disk"
    return {
        "extraction_float32": _row(
            f"{title}, float32",
            1.5,
            "images/s",
            _speeds(plain),
            _speeds(ours),
            reason=_limit(rate, gflop, plain),
        ),
        "extraction_bfloat16": _row(
            f"{title}, bfloat16", 2.8, "images/s", _speeds(plain), _speeds(measured["bfloat16"])
        )
        if bench.bfloat16
        else _not_run(f"{title}, bfloat16", 2.8, NO_BFLOAT16),
        "matmul_share": _row(
            "share of the machine's matrix-product rate reached while extracting, float32",
            0.9,
            "GFLOP/s",
            _side(rate, share),
            _side([m["reached"] for m in share], share),
            note=f"plain: the product of two float32 matrices of {bench.matrix:,} rows, in the same process, "
            f"right before and after; ours: {gflop:.1f} GFLOP an image, padding not counted",
        ),
    }


def inline(bench: Bench) -> dict[str, Row]:
    """An epoch of augmentation -> frozen backbone -> head, half as many validation as training images."""
    n_validation = 8 * bench.images // 25  # of 400, 128: full batches, as in a training on thousands
    n_train = 2 * n_validation
    folder = bench.splits(train=n_train, validation=n_validation, test=4)
    epochs = {"float32": 1, "bfloat16": 3}
    plain: list[Measurement] = []
    ours: dict[str, list[Measurement]] = {precision: [] for precision in epochs}
    for _ in range(bench.rounds):
        arguments = {"images": folder, "row": bench.vgg19}
        plain.append(bench.measure("plain.inline", arguments))
        for precision in bench.precisions:
            own = {"work": bench.folder(), "precision": precision, "epochs": epochs[precision]}
            ours[precision].append(bench.measure("ours.inline", arguments | own))
    title = f"inline, frozen, an epoch of {n_train} training + {n_validation} validation images"
    return {
        f"inline_{precision}": _inline_row(f"{title}, {precision}", bar, plain, ours[precision])
        if ours[precision]
        else _not_run(f"{title}, {precision}", bar, NO_BFLOAT16)
        for precision, bar in (("float32", 1.4), ("bfloat16", 2.8))
    }


def second_training(bench: Bench) -> dict[str, Row]:
    """Another head on features that are there, against an inline training of ten epochs."""
    counts = {"train": 5 * bench.images, "validation": 5 * bench.images // 2}
    folder = bench.splits(**counts)
    plain = [bench.measure("plain.inline", {"images": folder, "row": bench.vgg19})]
    own = {"row": bench.vgg19, "counts": counts | {"test": 2}, "epochs": 20}
    ours = [
        bench.measure("ours.second_training", own | {"work": bench.folder()}) for _ in range(bench.rounds)
    ]
    ten_epochs = 10 * plain[0]["seconds"]
    row = _row(
        f"second `two_stage` training (20 epochs, cached) against an inline one (10 epochs), "
        f"{counts['train']:,} training + {counts['validation']:,} validation images",
        40,
        "s",
        _side([ten_epochs] * len(ours), plain),
        _seconds(ours),
        note=f"plain: one epoch measured once ({plain[0]['seconds']:.0f} s), times ten; "
        "ours: features read from disk included, their values made up",
    )
    return {"second_training": row}


def increment(bench: Bench) -> dict[str, Row]:
    """The extraction of images of which all but ten are cached, against none."""
    n = 5 * bench.images // 2
    folder = bench.image_folder(n)
    none, most = [], []
    for _ in range(bench.rounds):
        arguments = {"images": folder, "row": bench.vgg19}
        work = bench.folder()
        none.append(bench.measure("ours.increment", arguments | {"work": work}))
        own = {"work": bench.folder(), "known": f"{work}/features", "n_new": N_NEW}
        most.append(bench.measure("ours.increment", arguments | own))
    row = _row(
        f"extraction of {n:,} images of which {n - N_NEW:,} are cached, against none",
        30,
        "s",
        _seconds(none),
        _seconds(most),
        note="both sides are graft's extraction of prepared images; plain: from an empty store; "
        f"ours: of it {median(m['seconds_embedding'] for m in most):.2f} s to embed the {N_NEW} images, "
        f"as one batch of {bench.vgg19['batch_size'] + 1}",
    )
    return {"increment": row}


def size_on_disk(bench: Bench) -> dict[str, Row]:
    """Bytes of `data/features` against the pickle, on weights and photos that make real zeros."""
    title = f"bytes of `data/features` against the float32 pickle, MobileNetV2, {bench.images} photos"
    if bench.photos < bench.images or not bench.weights:
        needs = f"it needs --weights, and --photos with at least {bench.images} JPEG files"
        return {"size": _not_run(title, 5, needs)}
    folder = bench.image_folder(bench.images)
    measured = {}
    for pooling in ("none", "avg"):
        arguments = {
            "images": folder,
            "row": MOBILENET_V2 | {"pooling": pooling},
            "weights": str(bench.weights),
        }
        measured[pooling] = [
            bench.measure(f"{side}.extraction", arguments | {"work": bench.folder()})
            for side in ("plain", "ours")
        ]
    plain, ours = measured["none"]
    pooled = measured["avg"][0]["bytes"] / measured["avg"][1]["bytes"]
    row = _row(
        title,
        5,
        "MB",
        _side([plain["bytes"] / 1e6], [plain]),
        _side([ours["bytes"] / 1e6], [ours]),
        note=f"of `out_relu`, (7, 7, 1280); average-pooled features: {pooled:.1f} x fewer bytes",
    )
    return {"size": row}


def int8_engine(bench: Bench) -> dict[str, Row]:
    """Prepared images -> features on disk by OpenVINO in int8, against Keras in float32."""
    title = f"extraction of {bench.images} prepared images, int8 by OpenVINO against float32 by Keras"
    if not bench.int8:
        return {"int8_engine": _not_run(title, 3.5, NO_INT8)}
    arguments = {"images": bench.image_folder(bench.images), "row": bench.vgg19}
    measured: dict[str, list[Measurement]] = {"float32": [], "int8": []}
    for _ in range(bench.rounds):
        for precision, measurements in measured.items():
            own = {"work": bench.folder(), "precision": precision}
            measurements.append(bench.measure("ours.engine", arguments | own))
    exact, ours = measured["float32"], measured["int8"]
    start, least = median(m["startup_seconds"] for m in ours), min(m["cosine"] for m in ours)
    note = (
        "both sides are graft's; start-up includes the calibration, by 128 training images: "
        f"{start:.0f} s; least cosine with Keras's float32 of an image's features: {least:.4f}"
    )
    row = _row(title, 3.5, "images/s", _speeds(exact), _speeds(ours), note=note)
    return {"int8_engine": row}


GROUPS = {
    function.__name__: function
    for function in (extraction, inline, second_training, increment, size_on_disk, int8_engine)
}


def _inline_row(title: str, bar: float, plain: list[Measurement], ours: list[Measurement]) -> Row:
    theirs = [m["seconds"] for m in plain]
    epoch = [m["seconds_training"] / m["epochs"] for m in ours]
    before = median(m["seconds_preparation"] for m in ours)
    ten = 10 * median(theirs) / (before + 10 * median(epoch))
    note = (
        "before its first epoch ours builds the backbone, decodes all images and embeds those of "
        f"validation: {before:.1f} s; over ten epochs, that included, {ten:.2f} x"
    )
    reason = "ours saves a third of an epoch's passes, those of validation: 1.5 x, if a pass takes as long"
    return _row(title, bar, "s", _side(theirs, plain), _side(epoch, ours), reason, note)


def _limit(rate: list[float], gflop: float, plain: list[Measurement]) -> str:
    """Why an extraction cannot be faster than it is."""
    allowed, speed = median(rate) / gflop, median(m["images"] / m["seconds"] for m in plain)
    return (
        f"the machine's matrix-product rate, {median(rate):.0f} GFLOP/s, allows {allowed:.1f} images/s; "
        f"plain Keras reaches {speed / allowed:.0%} of it, so {allowed / speed:.2f} x is the most to be had"
    )


def _side(figures: list[float], measurements: list[Measurement]) -> dict[str, Any]:
    return {
        "figures": [_round(figure) for figure in figures],
        "peak_rss": max(int(m["peak_rss"]) for m in measurements),
        "startup_seconds": _round(median(m["startup_seconds"] for m in measurements)),
    }


def _speeds(measurements: list[Measurement]) -> dict[str, Any]:
    return _side([m["images"] / m["seconds"] for m in measurements], measurements)


def _seconds(measurements: list[Measurement]) -> dict[str, Any]:
    return _side([m["seconds"] for m in measurements], measurements)


def _row(
    title: str,
    bar: float,
    unit: str,
    plain: dict[str, Any],
    ours: dict[str, Any],
    reason: str = "not known",
    note: str = "",
) -> Row:
    """A row, its ratios taken round by round; of seconds and bytes, fewer are better."""
    pairs = zip(plain["figures"], ours["figures"], strict=True)
    ratios = [b / a if unit.endswith("/s") else a / b for a, b in pairs]
    met = median(ratios) >= bar
    return {
        "title": title,
        "bar": bar,
        "unit": unit,
        "plain": plain,
        "ours": ours,
        "ratio": {"median": _round(median(ratios)), "min": _round(min(ratios)), "max": _round(max(ratios))},
        "met": met,
        "reason": "" if met else reason,
        "note": note,
    }


def _not_run(title: str, bar: float, reason: str) -> Row:
    return {"title": title, "bar": bar, "not_run": reason}


def _round(figure: float) -> float:
    return float(f"{figure:.4g}")
