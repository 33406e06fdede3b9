"""VGG19 on a GPU, from JPEG files to features: graft on Keras and JAX against PyTorch's loader, alternating.

`python benchmarks/gpu.py --photos FOLDER` needs JAX, PyTorch and torchvision, and no TensorFlow. It prints
images a second: graft's from the files to `data/features` on disk, with `prepare` and `split`, and its
extraction's alone; PyTorch's from the files to features in memory.
"""

import os
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer

Timed = Callable[[], dict[str, float]]


def main(
    photos: Annotated[
        Path, typer.Option(help="Folder of JPEG files, each of which is taken again and again.")
    ],
    images: Annotated[int, typer.Option(help="Images in a round.")] = 16_384,
    rounds: Annotated[int, typer.Option(help="How often the two alternate.")] = 3,
    size: Annotated[int, typer.Option(help="Pixels, height = width.")] = 180,
    batch: Annotated[int, typer.Option(help="Images that go through the backbone at once.")] = 256,
    workers: Annotated[int, typer.Option(help="Processes of PyTorch's loader; 0: graft alone.")] = 15,
    precision: Annotated[str, typer.Option(help="Of graft's backbone.")] = "bfloat16",
) -> None:
    """Measure both, round by round, each in a process of its own."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from drawings import find_photos
    from rows import VGG19
    from run import apart

    row = VGG19 | {"image_size": size, "batch_size": batch}
    with TemporaryDirectory(prefix="graft-gpu-") as folder:
        work = Path(folder)
        make_distinct(find_photos(photos), images, work / "images")
        for i in range(rounds):
            output = work / f"round{i}"
            output.mkdir()
            given = {"images": str(work / "images"), "work": str(output), "row": row, "precision": precision}
            ours = apart("ours.extraction", given)
            n = ours["images"]
            typer.echo(
                f"graft {n / ours['seconds']:.0f}, extraction {n / ours['seconds_embedding']:.0f} images/s"
            )
            if workers:
                same = {"images": given["images"], "size": size, "batch": batch, "workers": workers}
                theirs = apart("gpu.pytorch", same)
                typer.echo(f"PyTorch {theirs['images'] / theirs['seconds']:.0f} images/s")


def make_distinct(photos: list[Path], n: int, folder: Path) -> None:
    """Write n JPEG files in two class folders; bytes behind the end of an image make its copies distinct."""
    for label in "ab":
        (folder / label).mkdir(parents=True)
    for i, photo in enumerate(islice(cycle(photos), n)):
        (folder / "ab"[i % 2] / f"{i:06d}.jpg").write_bytes(photo.read_bytes() + i.to_bytes(4))


def pytorch(images: str, size: int, batch: int, workers: int) -> Timed:
    """Embed by torchvision's VGG19, compiled, bfloat16, channels last, what PyTorch's loader decodes.

    Args:
        images: a folder per class.
        size: pixels, height = width.
        batch: images.
        workers: processes that decode.
    """
    import torch
    from PIL import Image
    from torchvision.models import vgg19

    device, bfloat16 = "cuda" if torch.cuda.is_available() else "cpu", torch.bfloat16
    layers = vgg19(weights=None).features.eval().to(device, bfloat16, memory_format=torch.channels_last)
    mean = torch.tensor([103.939, 116.779, 123.68], device=device, dtype=bfloat16)

    class Files(torch.utils.data.Dataset):
        files = sorted(Path(images).rglob("*.jpg"))

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, i: int) -> np.ndarray:
            image = Image.open(self.files[i]).convert("RGB")
            return np.array(image.resize((size, size), Image.Resampling.BILINEAR))

    @torch.compile
    def embed(pixels):
        channels_first = (pixels.to(bfloat16).flip(-1) - mean).permute(0, 3, 1, 2)
        return layers(channels_first.contiguous(memory_format=torch.channels_last)).half()

    def run() -> dict[str, float]:
        loader = torch.utils.data.DataLoader(
            Files(), batch, num_workers=workers, pin_memory=device == "cuda", prefetch_factor=4
        )
        kept, n = [], 0
        for pixels in loader:
            kept.append(embed(pixels.to(device, non_blocking=True)))
            n += len(pixels)
            if len(kept) > 4:  # the device is that far ahead
                kept.pop(0).cpu().numpy()
        for features in kept:
            features.cpu().numpy()
        return {"images": n}

    torch.multiprocessing.set_sharing_strategy("file_system")
    with torch.inference_mode():
        for _ in range(3):
            embed(torch.zeros(batch, size, size, 3, dtype=torch.uint8, device=device))
    return torch.inference_mode()(run)


if __name__ == "__main__":
    typer.run(main)
