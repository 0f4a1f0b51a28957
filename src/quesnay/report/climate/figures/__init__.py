"""The drawings of a stress test under warming."""
