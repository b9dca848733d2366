"""Web pages that are complete in themselves: they load nothing, send nothing, and run no script but their own.

`markup` HTML made safely · `document` the head of a page with its content security policy · `palette.css` colours for light
and dark. Imports nothing of the project.
"""

from __future__ import annotations

from recsys.pages.document import document, own_text
from recsys.pages.markup import Column, Content, Safe, Table, element, embedded_json, joined

__all__ = ["Column", "Content", "Safe", "Table", "document", "element", "embedded_json", "joined", "own_text"]
