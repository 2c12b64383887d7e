"""What `bench.py` measures: sticks, and MTP players."""
