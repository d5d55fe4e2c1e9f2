"""Ask `asr serve` with the `openai` package, and `ocr serve` with the standard library alone.

    asr serve --port 8000 & ocr serve --port 8001 &
    python recipes/serve/client.py speech recipes/asr/sample.opus --url http://127.0.0.1:8000/v1
    python recipes/serve/client.py page recipes/ocr/sample.png --url http://127.0.0.1:8001/v1

Needs: for `speech`, `pip install openai`. The key of --api-key-file is read from OPENAI_API_KEY.
"""

import argparse
import base64
import json
import mimetypes
import os
from pathlib import Path
from urllib.request import Request, urlopen


def print_speech(path: Path, url: str, key: str) -> None:
    """Print the text of a recording as it comes, and then its words with their times."""
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key=key)
    for event in client.audio.transcriptions.create(file=path, model="whisper-1", stream=True):
        if event.type == "transcript.text.delta":
            print(event.delta, end="", flush=True)
    print()
    verbose = client.audio.transcriptions.create(
        file=path, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word"]
    )
    for word in verbose.words or []:
        print(f"{word.start:8.2f} {word.end:8.2f}  {word.word}")


def print_page(path: Path, url: str, key: str) -> None:
    """Print each line of an image or a PDF after its confidence and its box."""
    mime = mimetypes.guess_type(path)[0] or "application/octet-stream"
    data = base64.b64encode(path.read_bytes()).decode()
    body = {"document": {"type": "document_url", "document_url": f"data:{mime};base64,{data}"}}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    with urlopen(Request(f"{url}/ocr", json.dumps(body).encode(), headers)) as answer:
        pages = json.load(answer)["pages"]
    for page in pages:
        for line in page["lines"]:
            left, top, right, bottom = map(round, line["box"])
            print(f"{line['confidence']:.2f}  {left},{top},{right},{bottom}  {line['text']}")


def main() -> None:
    """Read the command line, and print what the server finds in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kind", choices=["speech", "page"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    arguments = parser.parse_args()
    show = {"speech": print_speech, "page": print_page}[arguments.kind]
    show(arguments.file, arguments.url, os.environ.get("OPENAI_API_KEY", "none"))


if __name__ == "__main__":
    main()
