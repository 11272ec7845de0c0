"""The nouns: frozen, typed, without I/O and without a clock. See docs/glossary.md for the words."""
