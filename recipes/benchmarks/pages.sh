#!/usr/bin/env bash
# Lines, texts and seconds a page of `ocr transcribe`, tesseract and kraken on the same whole pages, as in
#   recipes/benchmarks/pages.sh typed=eng+deu+fra print=deu+fra --kraken ~/kraken/bin/kraken
# Needs: folders of pages with PAGE or ALTO; an idle machine, half a minute a page; Debian's tesseract-ocr with
#   its languages, and kraken in an environment of its own (pip install kraken), each of which may be missing.
# Gives: a row for each program and folder; see recipes/README.md.  Goals: 1 s a page, CER under 3 %.
set -euo pipefail
python "$(dirname "$0")/pages.py" "$@"
