"""What the command line does, one file a job: read, call, write, record; no mathematics.

Each job is a function of paths and settings that goes through the public API and returns a small frozen dataclass saying
what was written, with sizes, counts and seconds: `dataclasses.asdict` of it is what `--json` prints. May import everything.
"""
