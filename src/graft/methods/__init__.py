"""The competing ways of transfer: one module a method."""
