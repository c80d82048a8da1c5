"""Between uint8 arrays and Qt images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage, QPainter

Images = NDArray[np.uint8]


def as_qimage(image: Images) -> QImage:
    """Return a view of uint8 ``(H, W, C)``, C being 1 or 3, without a copy.

    The caller keeps the array alive and never overwrites it while the image is in use.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(f"an image is uint8 (H, W, 1 or 3), not {image.dtype} {image.shape}")
    image = np.ascontiguousarray(image)
    height, width, channels = image.shape
    kind = QImage.Format.Format_RGB888 if channels == 3 else QImage.Format.Format_Grayscale8
    view = QImage(image.data, width, height, width * channels, kind)
    # Keeps a copy that ascontiguousarray may have made.
    view.source_array = image
    return view


def owned_qimage(image: Images) -> QImage:
    """Return a copy of uint8 ``(H, W, C)`` that lives on its own, for clipboards and drags."""
    return as_qimage(image).copy()


def from_qimage(image: QImage) -> Images:
    """Return a Qt image as uint8 ``(H, W, 3)`` of its own; what is transparent becomes white."""
    flat = image
    if image.hasAlphaChannel():
        flat = QImage(image.size(), QImage.Format.Format_RGB32)
        flat.fill(0xFFFFFFFF)
        painter = QPainter(flat)
        painter.drawImage(0, 0, image)
        painter.end()
    flat = flat.convertToFormat(QImage.Format.Format_RGB888)
    width, height, stride = flat.width(), flat.height(), flat.bytesPerLine()
    rows = np.frombuffer(flat.constBits(), np.uint8).reshape(height, stride)
    return rows[:, : width * 3].reshape(height, width, 3).copy()


def to_rgb(image: Images) -> Images:
    """Return uint8 ``(..., H, W, 3)`` of an image with 1 or 3 channels."""
    return image if image.shape[-1] == 3 else np.repeat(image, 3, axis=-1)
