"""Draw the picture of the built-in data, docs/images/synthetic.png.

``python docs/images/make_synthetic.py``; the captions need the font DejaVu Sans.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from im2im.data.synthetic import SyntheticCells

PANEL, GAP, CAPTION = 224, 8, 22  # pixels
IMAGE_2D, IMAGE_3D, SEED = 0, 15, 0
INK, PAPER, TICK = (20, 24, 32), (255, 255, 255), (240, 228, 66)
COLOURS = np.array([(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167)])
TITLE, SMALL = (ImageFont.truetype("DejaVuSans.ttf", size) for size in (13, 11))
LEVELS = 56  # of grey, which keeps the file small


def grey(image: np.ndarray, low: float = 0.3, high: float = 99.8) -> np.ndarray:
    """Stretch an image between two percentiles, as RGB."""
    bottom, top = np.percentile(image, (low, high))
    level = np.rint(LEVELS * np.clip((image - bottom) / (top - bottom), 0, 1)) / LEVELS
    return np.repeat((255 * level).astype(np.uint8)[..., None], 3, axis=-1)


def outlined(image: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Tint each nucleus in a colour of its own and draw its outline (YX + RGB)."""
    edge = ndimage.minimum_filter(instances, 3) != ndimage.maximum_filter(instances, 3)
    opacity = (instances > 0)[..., None] * np.where(edge, 1.0, 0.3)[..., None]
    return ((1 - opacity) * image + opacity * COLOURS[instances % len(COLOURS)]).astype(np.uint8)


def panel(image: np.ndarray, height: int = PANEL) -> Image.Image:
    """An image scaled to the width of a panel."""
    return Image.fromarray(image).resize((PANEL, height), Image.Resampling.BILINEAR)


def scale_bar(canvas: ImageDraw.ImageDraw, corner: tuple[int, int], length: float, pixels_per_micrometre: float) -> None:
    """A white bar with its length, above and left of a corner."""
    width = round(length * pixels_per_micrometre)
    x, y = corner[0] - 10, corner[1] - 10
    canvas.rectangle((x - width, y - 3, x, y), fill=PAPER)
    canvas.text((x - width / 2, y - 6), f"{length:g} µm", fill=PAPER, font=SMALL, anchor="mb", stroke_width=1, stroke_fill=(0, 0, 0))


def place(page: Image.Image, column: int, top: int, caption: str, image: Image.Image) -> tuple[int, int]:
    """Put a panel under its caption; gives its lower right corner."""
    left = GAP + column * (PANEL + GAP)
    ImageDraw.Draw(page).text((left, top), caption, fill=INK, font=TITLE)
    page.paste(image, (left, top + CAPTION))
    return left + image.width, top + CAPTION + image.height


def draw_2d(page: Image.Image, top: int) -> None:
    """One field in both contrasts, its fluorescence and its nuclei."""
    crop = (slice(-PANEL, None), slice(-PANEL, None))
    brightfield, phase = (SyntheticCells(contrast=contrast, seed=SEED)(IMAGE_2D) for contrast in ("brightfield", "phase"))
    source, target, instances = (brightfield[role][crop] for role in ("source", "target", "instances"))
    corner = place(page, 0, top, "2D: brightfield", panel(grey(source)))
    scale_bar(ImageDraw.Draw(page), corner, 10, 1 / 0.3)
    place(page, 1, top, "or phase contrast", panel(grey(phase["source"][crop])))
    place(page, 2, top, "→ fluorescence", panel(grey(target, 1, 99.5)))
    place(page, 3, top, "→ nuclei", panel(outlined(grey(source), instances)))


def draw_3d(page: Image.Image, top: int) -> None:
    """A plane (xy) and a section (xz) of a stack in brightfield and of its fluorescence; ticks show where the section lies."""
    cells, canvas = SyntheticCells(spatial_dims=3, seed=SEED), ImageDraw.Draw(page)
    sample = cells(IMAGE_3D)
    z, y = (int(np.argmax(sample["mask"].sum(axis=others))) for others in ((1, 2), (0, 2)))
    planes, _, columns = sample["source"].shape
    depth, _, width = cells.pixel_size
    zoom = PANEL / columns
    stacks = (np.stack([grey(plane) for plane in sample["source"]]), grey(sample["target"], 1, 99.8))
    for column, (name, stack) in enumerate(zip(("brightfield", "fluorescence"), stacks, strict=True)):
        right, bottom = place(page, 2 * column, top, f"{'→' if column else '3D:'} {name}, xy", panel(stack[z]))
        row = bottom - PANEL + zoom * (y + 0.5)
        for tick in (right - PANEL, right - 8):
            canvas.line((tick, row, tick + 8, row), fill=TICK, width=2)
        place(page, 2 * column + 1, top, f"{'→ ' * column}{name}, xz", panel(stack[:, y], round(planes * depth / width * zoom)))
    scale_bar(canvas, (GAP + PANEL, top + CAPTION + PANEL), 10, zoom / width)
    note = f"{planes} planes {depth:g} µm apart,\npixels of {width:g} µm"
    canvas.text((2 * GAP + PANEL, top + CAPTION + PANEL), note, fill=INK, font=SMALL, anchor="ld")


def main() -> None:
    """Draw the page."""
    height = 2 * (CAPTION + PANEL) + 3 * GAP
    page = Image.new("RGB", (4 * PANEL + 5 * GAP, height), PAPER)
    draw_2d(page, GAP)
    draw_3d(page, 2 * GAP + CAPTION + PANEL)
    page.quantize(256).save(Path(__file__).with_name("synthetic.png"), optimize=True)


if __name__ == "__main__":
    main()
