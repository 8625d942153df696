"""A service under fire: its processes, a crowd at its door, blows to its parts, and the audit."""
