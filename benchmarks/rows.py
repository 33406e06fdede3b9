"""The rows of the table: what each measures on either side, and the bar it is held to."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from drawings import link
from graft.data.workers import count_processes
from graft.export.registry import FORMATS
from loop import BASELINE, has_baseline

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


def head_training(bench: Bench) -> dict[str, Row]:
    """A head on cached features against `model.fit` on the same number in memory, and the machine's limit."""
    counts = {"train": 5 * bench.images, "validation": 5 * bench.images // 2}
    arguments = {"row": bench.vgg19 | {"batch_size": 32}, "epochs": 20}
    own = {"counts": counts | {"test": 2}, "size": bench.matrix}
    plain, ours = [], []
    for _ in range(bench.rounds):
        plain.append(bench.measure("plain.head_training", arguments | {"counts": counts}))
        ours.append(bench.measure("ours.head_training", arguments | own | {"work": bench.folder()}))
    seconds, limit = [m["seconds_training"] for m in ours], median(m["limit"] for m in ours)
    row = _row(
        f"head training, {counts['train']:,} training + {counts['validation']:,} validation images, "
        "20 epochs, batches of 32",
        1.5,
        "s",
        _seconds(plain),
        _side(seconds, ours),
        note=f"the machine's limit: {limit:.3g} s, for Adam moves {ours[0]['gb']:.3g} GB an epoch and there "
        f"are {ours[0]['gflop']:.3g} GFLOP of matrix products; ours, with compiling, reaches "
        f"{limit / median(seconds):.0%} of it",
    )
    return {"head_training": row}


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


def new_head(bench: Bench) -> dict[str, Row]:
    """A changed value of params.yaml to the finished report, against an earlier commit."""
    title = f"a new head to the finished report: the demo, `graft run` against `dvc exp run` of {BASELINE}"
    if not has_baseline():
        return {"new_head": _not_run(title, 3, f"this clone lacks the commit {BASELINE}")}
    commands = {BASELINE: ["dvc", "exp", "run"], "HEAD": ["graft", "run"]}
    folders = {revision: bench.folder() for revision in commands}
    for revision, folder in folders.items():
        bench.measure("loop.clone", {"folder": folder, "revision": revision})
    measured: dict[str, list[Measurement]] = {revision: [] for revision in commands}
    for i in range(bench.rounds):
        for revision, command in commands.items():
            arguments = {"folder": folders[revision], "command": command, "dropout": 0.31 + i / 100}
            measured[revision].append(bench.measure("loop.new_head", arguments))
    plain, ours = map(_seconds, measured.values())
    return {"new_head": _row(title, 3, "s", plain, ours, note="start-up included")}


def prediction(bench: Bench) -> dict[str, Row]:
    """Files -> a table of labels, with the same network."""
    folder, sides = bench.image_folder(bench.images), ("plain", "ours")
    measured: dict[str, list[Measurement]] = {side: [] for side in sides}
    for _ in range(bench.rounds):
        for side in sides:
            own = {"images": folder, "work": bench.folder(), "row": MOBILENET_V2}
            measured[side].append(bench.measure(f"{side}.prediction", own))
    title = f"`graft predict` of {bench.images} JPEG files, MobileNetV2"
    return {"prediction": _row(title, 1, "images/s", *(_speeds(measured[side]) for side in sides))}


def export(bench: Bench) -> dict[str, Row]:
    """Exported files against Keras, one image at a time in one thread."""
    sides = {"keras": "float32", "onnx": "float32", "litert": "int8"}
    missing = [each for format in sides for each in FORMATS[format].packages if not _installed(each)]
    title = "exported, {} against Keras, MobileNetV2, one thread, an image at a time"
    bars = {"onnx": ("ONNX float32", 1.7), "litert": ("LiteRT int8", 3.5)}
    if missing:
        needs = f"it needs {', '.join(missing)}: `make runtimes`"
        return {
            f"export_{name}": _not_run(title.format(what), bar, needs) for name, (what, bar) in bars.items()
        }
    measured: dict[str, list[Measurement]] = {format: [] for format in sides}
    for _ in range(bench.rounds):
        for format, precision in sides.items():
            own = {"work": bench.folder(), "row": MOBILENET_V2, "format": format, "precision": precision}
            measured[format].append(bench.measure("ours.exported", own))
    return {
        f"export_{name}": _row(
            title.format(what), bar, "images/s", _speeds(measured["keras"]), _speeds(measured[name])
        )
        for name, (what, bar) in bars.items()
    }


def decode(bench: Bench) -> dict[str, Row]:
    """Prepared images -> pixels, as graft chooses on this machine, against threads."""
    n = 5 * bench.images
    folder = bench.image_folder(n)
    measured: dict[str, list[Measurement]] = {"threads": [], "chosen": []}
    for _ in range(bench.rounds):
        for side, number in (("threads", 0), ("chosen", None)):
            own = {"images": folder, "size": bench.vgg19["image_size"], "n_processes": number}
            measured[side].append(bench.measure("decode.decoding", own | {"work": bench.folder()}))
    n_processes = count_processes(n)
    chosen = f"{n_processes} processes, their start included" if n_processes else "threads"
    row = _row(
        f"decoding {n:,} JPEG files, by threads and as graft chooses",
        0.95,
        "images/s",
        _speeds(measured["threads"]),
        _speeds(measured["chosen"]),
        note=f"graft chooses {chosen} on this machine",
    )
    return {"decode": row}


def two_workers(bench: Bench) -> dict[str, Row]:
    """The extraction of prepared images by two workers of one core each, against one."""
    n = bench.images
    title = f"`graft features extract`, {n} images: two workers of one core each, against one"
    if find_spec("distributed") is None:
        return {"two_workers": _not_run(title, 1.7, "it needs `make dask`")}
    folder, measured = bench.image_folder(n), []
    for _ in range(bench.rounds):
        arguments = {"images": folder, "row": bench.vgg19}
        measured.append(
            [bench.measure("ours.workers", arguments | {"work": bench.folder(), "n": k}) for k in (1, 2)]
        )
    one, two = map(list, zip(*measured, strict=True))
    row = _row(
        title,
        1.7,
        "images/s",
        _speeds(one),
        _speeds(two),
        reason="the two share memory, caches and the driver",
        note="both sides are graft's, plain: one worker; peak RSS is the driver's",
    )
    return {"two_workers": row}


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
    for function in (
        extraction,
        inline,
        second_training,
        head_training,
        increment,
        size_on_disk,
        new_head,
        prediction,
        export,
        decode,
        two_workers,
        int8_engine,
    )
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


def _installed(package: str) -> bool:
    """Tell if a distribution is installed."""
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _not_run(title: str, bar: float, reason: str) -> Row:
    return {"title": title, "bar": bar, "not_run": reason}


def _round(figure: float) -> float:
    return float(f"{figure:.4g}")
