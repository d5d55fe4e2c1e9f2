"""Split a manifest of JSON lines by speaker: python hold_out.py MANIFEST FOLDER --share 0.1."""

import argparse
import hashlib
import json
from pathlib import Path


def main() -> None:
    """Write FOLDER/train.jsonl and FOLDER/dev.jsonl, which share no speaker."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=0.1, help="share of the speakers that go to dev")
    arguments = parser.parse_args()
    lines = arguments.manifest.read_text(encoding="utf-8").splitlines()
    speakers = [json.loads(line)["speaker"] for line in lines]
    order = sorted(set(speakers), key=lambda speaker: hashlib.sha256(speaker.encode()).hexdigest())
    held = set(order[: max(1, round(arguments.share * len(order)))])
    for name, wanted in (("train", False), ("dev", True)):
        part = [line for line, speaker in zip(lines, speakers, strict=True) if (speaker in held) == wanted]
        (arguments.folder / f"{name}.jsonl").write_text("\n".join(part) + "\n", encoding="utf-8")
        print(
            f"{name}: {len(part)} utterances, {len(order) - len(held) if not wanted else len(held)} speakers"
        )


if __name__ == "__main__":
    main()
