"""Bytes in, validated chunks out."""
