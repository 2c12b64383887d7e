//! Whole runs of the real daemon on real files, as prose.
