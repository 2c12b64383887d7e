"""A USB device made of a description, for the guest: any descriptors, and faults. It knows no case and no Tandem."""
