"""What goes wrong between a service and a disk, made to go wrong on purpose."""
