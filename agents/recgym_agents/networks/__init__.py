"""What algorithms are built of: encoders, slate heads, and scans of the catalogue."""
