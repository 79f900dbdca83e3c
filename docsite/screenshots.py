"""Pictures of the service's pages for the documents: `python -m docsite.screenshots` (docs/images).

A service is started in a temporary folder with a published site, gets some drawn pictures, and is looked at with
Chromium.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOIT = str(Path(sys.executable).with_name("doit"))
HERE = Path(__file__).parent
IMAGES = HERE.parent / "docs/images"
SETTINGS = '[project]\nid = "proj_0123456789ab"\nname = "Example"\n[source]\nfolder = "dist"\n'
NAMES = ("harbour", "lighthouse", "meadow", "mountain", "orchard", "river", "station", "tower", "valley", "village")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".nimbus").mkdir()
        (folder / ".nimbus/project.toml").write_text(SETTINGS)
        (folder / "pyproject.toml").write_text('[tool.doit]\nloader = "nimbus"\n')
        shutil.copytree(HERE.parent / "examples/site", folder / "dist")
        for command in (["upload"], ["nimbus:process", "--until-empty"]):
            subprocess.run([DOIT, *command], cwd=folder, stdout=subprocess.DEVNULL, check=True)
        pictures = folder / "pictures"
        pictures.mkdir()
        for number, each in enumerate(NAMES):
            _draw(pictures / f"{each}.jpg", number)
        (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
        service = subprocess.Popen(
            [DOIT, "nimbus:serve", "--port=0", "--json"], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        try:
            assert service.stdout is not None
            url = json.loads(service.stdout.readline())["url"]
            made = subprocess.run(
                [DOIT, "nimbus:key:create", "--service", "--name=docs", "--json"],
                cwd=folder,
                capture_output=True,
                check=True,
            )
            told = {"SERVICE_URL": url, "SERVICE_KEY": json.loads(made.stdout)["key"], "PICTURES": str(pictures)}
            IMAGES.mkdir(exist_ok=True)
            command = ["node", str(HERE / "screenshots.mjs"), str(IMAGES)]
            subprocess.run(command, env=os.environ | told, check=True)
        finally:
            service.terminate()
            service.wait(60)


def _draw(file: Path, number: int) -> None:
    """Draw a landscape of a few colours."""
    import pyvips

    hue = 360 * number / len(NAMES)
    sky = pyvips.Image.black(900, 600, bands=3).linear(1, [70, 22, hue])
    hills = pyvips.Image.perlin(900, 600, cell_size=180, seed=number + 1)
    height = pyvips.Image.xyz(900, 600)[1]
    land = (height + hills * 90) > 330
    picture = land.ifthenelse([45, 30, (hue + 120) % 360], sky + (height * [0.03, 0, 0]))
    picture.copy(interpretation="lch").colourspace("srgb").write_to_file(str(file), Q=88)


if __name__ == "__main__":
    main()
