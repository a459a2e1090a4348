"""The media bridge: carriers, AI engines, calls and their record. Knows nothing of Qt."""
