"""Pure values and functions: no shell, network, disk, clock or widget."""
