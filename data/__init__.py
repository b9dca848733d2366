"""The bundled data set, as files: see README.md here; `recsys.datasets` reads them. Imports nothing."""
