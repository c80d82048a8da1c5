"""Draw the faces that the example table of labels is about: ``python draw_faces.py FOLDER``."""

import argparse
from pathlib import Path

from PIL import Image

from latentlab.data.open import open_dataset

SOURCE = "portraits:count=400,seed=2024"


def main() -> None:
    """Write ``face-000.png`` to ``face-399.png``."""
    parser = argparse.ArgumentParser(description="Draw the faces of docs/examples/faces.csv.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    faces = open_dataset(SOURCE)
    for index, image in enumerate(faces.read(range(len(faces)))):
        Image.fromarray(image).save(folder / f"face-{index:03}.png")


if __name__ == "__main__":
    main()
