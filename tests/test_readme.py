"""The example in the README runs as it is written there."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_python_example_runs_as_written():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ndcg@20" in done.stdout
    assert "python3-scipy" in done.stdout


def test_every_file_the_documents_link_to_is_there():
    for document in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "data/README.md"):
        links = re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text(encoding="utf-8"))
        missing = [link for link in links if "://" not in link and not ((ROOT / document).parent / link).exists()]
        assert missing == [], document
