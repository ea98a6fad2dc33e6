"""The transaction engine of a coalition loyalty network."""

__version__ = "0.1.0"
